/*
 * Reads the configuration with all it refers to, and the facts of the machine,
 * into a bundle; parses it; keeps it in a sealed memfd for the daemons. The
 * only place that opens these files.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "postern/postern.h"

#define FILES_MAX	256		/* includes and tables */
#define FILE_MAX	(64UL << 20)	/* bytes of an include */
#define TABLE_MAX	(1UL << 30)	/* bytes of a table */

struct want {
	enum bundle_kind kind;
	char		*key;
	bool		 done;
};
struct loader {
	struct gateway	*gw;
	struct buf	 bundle;
	struct buf	*msgs;
	struct want	 wants[FILES_MAX];
	size_t		 nwants;
	bool		 failed;
};

/*
 * What real (a path without links) names and each folder above it belong to
 * root (or to us) and no one else may write there; a sticky folder of root's
 * (/tmp) is fine. Writes into real.
 */
static bool
is_safe(char *real, struct buf *msgs)
{
	struct stat	 st;
	char		*slash;

	for (;;) {
		if (stat(real[0] == '\0' ? "/" : real, &st) == -1) {
			buf_fmt(msgs, "%s: %s\n", real, strerror(errno));
			return false;
		}
		if (st.st_uid != 0 && st.st_uid != getuid()) {
			buf_fmt(msgs, "%s: belongs to another user (uid %u); "
			    "it must be root's\n", real, (unsigned)st.st_uid);
			return false;
		}
		if ((st.st_mode & 022) != 0 && !(S_ISDIR(st.st_mode) &&
		    (st.st_mode & S_ISVTX) != 0)) {
			buf_fmt(msgs, "%s: others than its owner may write "
			    "it\n", real);
			return false;
		}
		if (real[0] == '\0' || (slash = strrchr(real, '/')) == NULL)
			return true;
		*slash = '\0';
	}
}

bool
dir_is_safe(const char *path, struct buf *msgs)
{
	char	 dir[PATH_MAX], real[PATH_MAX], *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	if ((slash = strrchr(dir, '/')) == NULL)
		snprintf(dir, sizeof(dir), ".");
	else
		slash[slash == dir] = '\0';
	if (realpath(dir, real) == NULL) {
		buf_fmt(msgs, "%s: %s\n", dir, strerror(errno));
		return false;
	}
	return is_safe(real, msgs);
}

int
file_open(const char *path, bool secret, struct buf *msgs)
{
	char		 real[PATH_MAX], checked[PATH_MAX];
	struct stat	 st;
	int		 fd;

	if (realpath(path, real) == NULL) {
		buf_fmt(msgs, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	memcpy(checked, real, sizeof(checked));
	if (!is_safe(checked, msgs))
		return -1;
	/* What was looked at, not the name that a link may turn elsewhere. */
	if ((fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK |
	    O_NOFOLLOW)) == -1 || fstat(fd, &st) == -1) {
		buf_fmt(msgs, "%s: %s\n", path, strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (!S_ISREG(st.st_mode))
		buf_fmt(msgs, "%s: not a file\n", path);
	else if (secret && (st.st_mode & 007) != 0)
		buf_fmt(msgs, "%s: others may read it; it is secret\n", path);
	else
		return fd;
	close(fd);
	return -1;
}

static bool
file_read(const char *path, size_t max, struct buf *out, struct buf *msgs)
{
	struct stat	 st;
	uint8_t		*p;
	ssize_t		 n = 0;
	int		 fd;

	if ((fd = file_open(path, false, msgs)) == -1)
		return false;
	if (fstat(fd, &st) == -1 || st.st_size > (off_t)max) {
		buf_fmt(msgs, "%s: not a file of %zu MiB at most\n", path,
		    max >> 20);
		close(fd);
		return false;
	}
	while ((p = buf_room(out, 65536)) != NULL &&
	    (n = read(fd, p, 65536)) > 0)
		buf_added(out, (size_t)n);
	close(fd);
	if (p == NULL || n == -1)
		buf_fmt(msgs, "%s: cannot be read\n", path);
	return p != NULL && n != -1;
}

static bool
add_file(struct loader *l, enum bundle_kind kind, const char *path,
    const char *key)
{
	size_t		 max = kind == BUNDLE_TABLE ? TABLE_MAX : FILE_MAX;
	struct buf	 text;
	bool		 ok;

	buf_init(&text, max + 65536);
	ok = file_read(path, max, &text, l->msgs) && bundle_add(&l->bundle, kind,
	    span_str(path), span_str(key), buf_content(&text));
	buf_clear(&text);
	return ok;
}

static void
add_fact(struct loader *l, enum bundle_kind kind, const char *text)
{
	bundle_add(&l->bundle, kind, span(NULL, 0), span(NULL, 0),
	    span_str(text));
}

static void
add_hostname(struct loader *l)
{
	struct addrinfo	 hints = { .ai_flags = AI_CANONNAME }, *res = NULL;
	char		 name[256] = "localhost";

	if (gethostname(name, sizeof(name) - 1) == 0 &&
	    strchr(name, '.') == NULL &&
	    getaddrinfo(name, NULL, &hints, &res) == 0 && res != NULL &&
	    res->ai_canonname != NULL)
		snprintf(name, sizeof(name), "%s", res->ai_canonname);
	if (res != NULL)
		freeaddrinfo(res);
	add_fact(l, BUNDLE_HOSTNAME, name);
}

static void
add_addresses(struct loader *l)
{
	struct ifaddrs	*list, *i;
	struct addr	 a;
	char		 text[ADDR_STRLEN];

	if (getifaddrs(&list) == -1)
		return;
	for (i = list; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL)
			continue;
		addr_from_sockaddr(&a, i->ifa_addr);
		if (a.family != 0)
			bundle_add(&l->bundle, BUNDLE_ADDRESS, span(NULL, 0),
			    span_str(i->ifa_name),
			    span_str(addr_str(&a, text)));
	}
	freeifaddrs(list);
}

static void
add_resolvers(struct loader *l)
{
	struct buf	 text, ignored;
	struct span	 s, line, word;

	buf_init(&text, 65536 * 2);
	buf_init(&ignored, 4096);
	if (file_read("/etc/resolv.conf", 65536, &text, &ignored)) {
		s = buf_content(&text);
		while (span_word(&s, "\n", &line))
			if (span_word(&line, " \t", &word) &&
			    span_is(word, "nameserver")) {
				line = span_trim(line);
				bundle_add(&l->bundle, BUNDLE_RESOLVER,
				    span(NULL, 0), span(NULL, 0), line);
			}
	}
	buf_clear(&text);
	buf_clear(&ignored);
}

static void
on_want(enum bundle_kind kind, struct span key, void *arg)
{
	struct loader	*l = arg;

	for (size_t i = 0; i < l->nwants; i++)
		if (l->wants[i].kind == kind && span_is(key, l->wants[i].key))
			return;
	if (l->nwants == FILES_MAX) {
		if (!l->failed)
			buf_fmt(l->msgs, "more than %d files are included\n",
			    FILES_MAX);
		l->failed = true;
		return;
	}
	l->wants[l->nwants++] = (struct want){ kind, span_dup(key), false };
}

/* A relative name begins where the main file lies. */
static char *
absolute(const struct loader *l, const char *name)
{
	const char	*slash = strrchr(l->gw->conf_path, '/');
	char		*path;

	if (name[0] == '/' || slash == NULL)
		return strdup(name);
	if (asprintf(&path, "%.*s/%s", (int)(slash - l->gw->conf_path),
	    l->gw->conf_path, name) == -1)
		return NULL;
	return path;
}

static void
fetch(struct loader *l, struct want *w)
{
	char	*path = absolute(l, w->key);
	glob_t	 g;

	w->done = true;
	if (path == NULL)
		fatalx("out of memory");
	if (w->kind == BUNDLE_TABLE || w->kind == BUNDLE_LIST) {
		if (!add_file(l, w->kind, path, w->key))
			l->failed = true;
	} else if (glob(path, 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc && i < 64; i++)
			if (!add_file(l, w->kind, g.gl_pathv[i], w->key))
				l->failed = true;
		globfree(&g);
	}
	free(path);
}

/* Reads until the texts name no file that is not there. */
static void
fetch_all(struct loader *l)
{
	bool	 more = true;

	while (more && !l->failed) {
		conf_wants(buf_content(&l->bundle), on_want, l);
		more = false;
		for (size_t i = 0; i < l->nwants; i++)
			if (!l->wants[i].done) {
				fetch(l, &l->wants[i]);
				more = true;
			}
	}
	for (size_t i = 0; i < l->nwants; i++)
		free(l->wants[i].key);
}

/* Into a memfd that nobody can change, and mapped from there: the daemons map
 * the same pages. */
static int
bundle_seal(struct span s, struct span *mapped)
{
	size_t	 len = s.len;
	void	*map;
	int	 fd = memfd_create("postern.conf", MFD_CLOEXEC |
		    MFD_ALLOW_SEALING);
	ssize_t	 n;

	if (fd == -1)
		fatal("memfd_create");
	for (; s.len > 0; span_skip(&s, (size_t)n))
		if ((n = write(fd, s.p, s.len)) == -1)
			fatal("memfd");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL) == -1)
		fatal("memfd seals");
	if ((map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0)) ==
	    MAP_FAILED)
		fatal("memfd");
	*mapped = span(map, len);
	return fd;
}

static bool
set_plan(struct set *s, struct buf *msgs)
{
	struct rlimit	 l;
	struct sysinfo	 si;
	long		 ncpu = sysconf(_SC_NPROCESSORS_ONLN);

	if (getrlimit(RLIMIT_NOFILE, &l) == -1 || sysinfo(&si) == -1)
		fatal("limits of this machine");
	return plan_make(&s->plan, s->conf, ncpu < 1 ? 1 : (unsigned)ncpu,
	    l.rlim_max, ((uint64_t)si.totalram + si.totalswap) * si.mem_unit,
	    msgs);
}

struct set *
set_load(struct gateway *gw, uint32_t generation, struct buf *msgs)
{
	struct loader	 l = { .gw = gw, .msgs = msgs };
	struct set	*s = calloc(1, sizeof(*s));
	char		 number[16];

	if (s == NULL)
		fatalx("out of memory");
	s->generation = generation;
	s->conf_fd = -1;
	bundle_begin(&l.bundle);
	snprintf(number, sizeof(number), "%u", generation);
	add_fact(&l, BUNDLE_GENERATION, number);
	for (size_t i = 0; i < gw->nmacros; i++)
		add_fact(&l, BUNDLE_MACRO, gw->macros[i]);
	add_hostname(&l);
	add_addresses(&l);
	add_resolvers(&l);
	if (add_file(&l, BUNDLE_MAIN, gw->conf_path, gw->conf_path)) {
		fetch_all(&l);
		if (!l.failed) {
			s->conf_fd = bundle_seal(buf_content(&l.bundle),
			    &s->bundle);
			s->conf = conf_parse(s->bundle, msgs);
		}
	}
	buf_clear(&l.bundle);
	if (s->conf == NULL || !set_plan(s, msgs)) {
		set_free(s);
		return NULL;
	}
	return s;
}

void
set_free(struct set *s)
{
	if (s == NULL)
		return;
	if (s->conf_fd != -1)
		close(s->conf_fd);
	for (size_t i = 0; i < s->nsockets; i++)
		free(s->sockets[i].path);
	free(s->sockets);
	conf_free(s->conf);
	if (s->bundle.len > 0)
		munmap((void *)(uintptr_t)s->bundle.p, s->bundle.len);
	free(s);
}
