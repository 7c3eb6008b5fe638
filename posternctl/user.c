/*
 * user: the file of a users' table (postern-tables(5)), which no daemon is
 * asked about. A change puts a new file in its place, under a lock of the file
 * itself; what else a line has, and every other line, stays as it is.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <readpassphrase.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/sasl/users.h"
#include "posternctl/places.h"
#include "posternctl/replace.h"
#include "posternctl/words.h"

#define FILE_MAX	(128UL << 20)

enum edit { EDIT_ADD, EDIT_PASSWD, EDIT_REMOVE };

struct file {
	const char	*path;
	int		 fd;		/* locked; -1: none */
	struct stat	 st;
	struct buf	 text;
	struct users	*users;
};

static int
complain(const char *what, const char *why, int status)
{
	fprintf(stderr, "posternctl: %s: %s\n", what, why);
	return status;
}

/* A path has a slash; else it is a table's name, and NULL the only table. */
static bool
path_of(const struct call *call, const char *table,
    char path[USERS_PATH_LEN])
{
	if (table != NULL && strchr(table, '/') != NULL)
		return strlcpy(path, table, USERS_PATH_LEN) < USERS_PATH_LEN;
	return places_users(call->conf, table, path);
}

/* The lock is of the file that has the name now: whoever had it before may have
 * put another in its place. */
static bool
lock(struct file *f, bool make)
{
	struct stat	st;

	for (;;) {
		f->fd = open(f->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW |
		    O_NONBLOCK | (make ? O_CREAT : 0), 0600);
		if (f->fd == -1 || flock(f->fd, LOCK_EX) == -1 ||
		    fstat(f->fd, &f->st) == -1)
			return false;
		if (stat(f->path, &st) == 0 && st.st_ino == f->st.st_ino &&
		    st.st_dev == f->st.st_dev)
			return true;
		close(f->fd);
	}
}

static bool
slurp(struct file *f)
{
	uint8_t	*p;
	ssize_t	 n = -1;

	while ((p = buf_room(&f->text, 65536)) != NULL &&
	    (n = read(f->fd, p, 65536)) > 0)
		buf_added(&f->text, (size_t)n);
	return p != NULL && n == 0;
}

static void
file_close(struct file *f)
{
	users_free(f->users);
	buf_clear(&f->text);
	if (f->fd != -1)
		close(f->fd);
}

/* EX_OK, or it has been told what is wrong; file_close() in any case. */
static int
file_load(struct file *f, const char *path, bool change, bool make)
{
	char		 where[160];
	const char	*why;
	unsigned	 line;

	*f = (struct file){ .path = path, .fd = -1 };
	buf_init(&f->text, FILE_MAX);
	f->text.secret = true;
	if (change) {
		if (!lock(f, make))
			return complain(path, strerror(errno), EX_NOINPUT);
	} else if ((f->fd = open(path, O_RDONLY | O_CLOEXEC |
	    O_NONBLOCK)) == -1 || fstat(f->fd, &f->st) == -1)
		return complain(path, strerror(errno), EX_NOINPUT);
	if (!S_ISREG(f->st.st_mode))
		return complain(path, "not a file", EX_NOINPUT);
	if (!slurp(f))
		return complain(path, "cannot be read", EX_NOINPUT);
	f->users = users_parse(buf_content(&f->text), &why, &line);
	if (f->users != NULL)
		return EX_OK;
	snprintf(where, sizeof(where), "line %u: %s", line, why);
	return complain(path, where, EX_DATAERR);
}

static bool
write_all(int fd, struct span s)
{
	ssize_t	n;

	while (s.len > 0) {
		if ((n = write(fd, s.p, s.len)) == -1 && errno != EINTR)
			return false;
		span_skip(&s, n > 0 ? (size_t)n : 0);
	}
	return true;
}

/* In its place, with its mode and owner. */
static int
file_store(const struct file *f, struct span text)
{
	struct replace	r;

	if (!replace_begin(&r, f->path))
		return complain(f->path, strerror(errno), EX_CANTCREAT);
	if (((f->st.st_uid == geteuid() && f->st.st_gid == getegid()) ||
	    fchown(r.fd, f->st.st_uid, f->st.st_gid) == 0) &&
	    fchmod(r.fd, f->st.st_mode & 07777) == 0 &&
	    write_all(r.fd, text)) {
		if (replace_commit(&r))
			return EX_OK;
	} else
		replace_drop(&r);
	return complain(f->path, strerror(errno), EX_IOERR);
}

/* ---- a new password -------------------------------------------------------- */

static bool
scheme_of(const char *name, enum hash_make *how)
{
	static const struct { const char *name; enum hash_make how; } all[] = {
		{ "yescrypt", MAKE_YESCRYPT }, { "bcrypt", MAKE_BCRYPT },
		{ "sha512", MAKE_SHA512 }, { "scram-sha-256", MAKE_SCRAM }
	};

	*how = MAKE_YESCRYPT;
	if (name == NULL)
		return true;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(name, all[i].name) == 0) {
			*how = all[i].how;
			return true;
		}
	return false;
}

/* Twice from a terminal, without echo; else the first line of the input. */
static bool
ask_password(char pass[HASH_PASSWORD_MAX + 2])
{
	char	again[HASH_PASSWORD_MAX + 2];
	bool	ok = true, typed = isatty(STDIN_FILENO);

	if (readpassphrase("Password: ", pass, HASH_PASSWORD_MAX + 2,
	    typed ? RPP_REQUIRE_TTY : RPP_STDIN) == NULL)
		ok = complain("password", "none was given", 0) != 0;
	else if (pass[0] == '\0' || strlen(pass) > HASH_PASSWORD_MAX)
		ok = complain("password", "1 to 511 bytes", 0) != 0;
	else if (typed && (readpassphrase("Again: ", again, sizeof(again),
	    RPP_REQUIRE_TTY) == NULL || strcmp(pass, again) != 0))
		ok = complain("password", "not the same twice", 0) != 0;
	explicit_bzero(again, sizeof(again));
	return ok;
}

static int
new_hash(const struct call *call, struct buf *hash)
{
	char		pass[HASH_PASSWORD_MAX + 2];
	enum hash_make	how;
	int		st = EX_OK;

	if (!scheme_of(call->scheme, &how))
		return complain(call->scheme, "yescrypt, bcrypt, sha512 or "
		    "scram-sha-256", EX_USAGE);
	if (!ask_password(pass))
		st = EX_DATAERR;
	else if (!hash_make(how, span_str(pass), hash))
		st = complain("password", "no hash can be made of it",
		    EX_SOFTWARE);
	explicit_bzero(pass, sizeof(pass));
	return st;
}

/* ---- commands -------------------------------------------------------------- */

/* The text with this user's line changed; all other lines as they are. */
static void
change(struct span text, struct span name, enum edit edit, struct span hash,
    struct buf *to)
{
	struct user	 u;
	const char	*why;

	while (text.len > 0) {
		size_t		 n = span_find(text, '\n');
		struct span	 line = span_sub(text, 0, n);

		span_skip(&text, n + 1);
		if (users_line(line, &u, &why) != 1 ||
		    !span_eq(u.name, name)) {
			buf_span(to, line);
		} else if (edit == EDIT_REMOVE) {
			continue;
		} else {
			buf_span(to, name);
			buf_byte(to, ':');
			buf_span(to, hash);
			buf_span(to, span_sub(line, (size_t)(u.hash.p +
			    u.hash.len - line.p), line.len));
		}
		buf_byte(to, '\n');
	}
	if (edit == EDIT_ADD) {
		buf_span(to, name);
		buf_byte(to, ':');
		buf_span(to, hash);
		buf_byte(to, '\n');
	}
}

static int
edit_file(const struct call *call, const char *path, enum edit edit)
{
	struct span	 name = span_str(call->argv[0]);
	struct file	 f;
	struct buf	 hash, to;
	int		 st;

	buf_init(&hash, HASH_MAX);
	buf_init(&to, FILE_MAX);
	hash.secret = to.secret = true;
	/* The password first: nobody waits for a lock while it is typed. */
	if (edit != EDIT_REMOVE && (st = new_hash(call, &hash)) != EX_OK) {
		buf_clear(&hash);
		return st;
	}
	if ((st = file_load(&f, path, true, edit == EDIT_ADD)) == EX_OK) {
		bool	is = users_get(f.users, name) != NULL;

		if (is != (edit != EDIT_ADD))
			st = complain(call->argv[0], is ? "is there already" :
			    "no such user", is ? EX_DATAERR : EX_NOUSER);
		else {
			change(buf_content(&f.text), name, edit,
			    buf_content(&hash), &to);
			st = to.failed ? complain(path, "too large", EX_IOERR) :
			    file_store(&f, buf_content(&to));
		}
	}
	file_close(&f);
	buf_clear(&hash);
	buf_clear(&to);
	if (st == EX_OK && !call->quiet)
		fprintf(stderr, "posternctl reload makes it count\n");
	return st;
}

static int
run_edit(const struct call *call, enum edit edit)
{
	const char	*table = call->argc > 1 ? call->argv[1] : NULL;
	char		 path[USERS_PATH_LEN];

	if (!users_name_ok(span_str(call->argv[0])))
		return complain(call->argv[0], "no name of a user", EX_DATAERR);
	if (!path_of(call, table, path))
		return complain(table != NULL ? table : call->conf, "which "
		    "users' table? give its name, or its file's path",
		    EX_CONFIG);
	return edit_file(call, path, edit);
}

static int
run_add(const struct call *call)
{
	return run_edit(call, EDIT_ADD);
}

static int
run_passwd(const struct call *call)
{
	return run_edit(call, EDIT_PASSWD);
}

static int
run_remove(const struct call *call)
{
	return run_edit(call, EDIT_REMOVE);
}

static int
run_list(const struct call *call)
{
	const char		*table = call->argc > 0 ? call->argv[0] : NULL;
	char			 path[USERS_PATH_LEN];
	struct file		 f;
	const struct user	*u;
	int			 st;

	if (!path_of(call, table, path))
		return complain(table != NULL ? table : call->conf, "which "
		    "users' table? give its name, or its file's path",
		    EX_CONFIG);
	st = file_load(&f, path, false, false);
	for (size_t i = 0; st == EX_OK && (u = users_at(f.users, i)) != NULL;
	    i++)
		printf("%.*s\t%s%s\n", (int)u->name.len,
		    (const char *)u->name.p, hash_name(u->hash), u->barred ?
		    "\tbarred" : "");
	file_close(&f);
	return st;
}

const struct command commands_user[] = {
	{ "user add", "NAME [TABLE]", "a user with a password", 1, 2, run_add },
	{ "user passwd", "NAME [TABLE]", "another password", 1, 2,
	    run_passwd },
	{ "user remove", "NAME [TABLE]", "no such user any more", 1, 2,
	    run_remove },
	{ "user list", "[TABLE]", "names, schemes and flags", 0, 1, run_list },
	{ NULL, NULL, NULL, 0, 0, NULL }
};
