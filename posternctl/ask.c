/*
 * The caller's side of the control socket: see ask.h.
 */
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "posternctl/ask.h"

#include "common/ipc/codec.h"
#include "common/ipc/ctl.h"

#define TITLES_MAX	2048	/* daemons of one name, all generations */

static int
ask_connect(const char *dir, const char *title)
{
	struct sockaddr_un	 un = { .sun_family = AF_UNIX };
	int			 fd, n;

	n = snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", dir, title);
	if (n < 0 || (size_t)n >= sizeof(un.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == -1) {
		n = errno;
		close(fd);
		errno = n;
		return -1;
	}
	return fd;
}

static int
ask_refused(const char *dir, const char *title)
{
	switch (errno) {
	case EACCES:
	case EPERM:
		fprintf(stderr, "posternctl: %s/%s: permission denied; root "
		    "and members of the group _postern-adm may\n", dir, title);
		return EX_NOPERM;
	case ENOENT:
	case ECONNREFUSED:
		fprintf(stderr, "posternctl: no %s answers at %s/%s; is "
		    "postern(8) running?\n", title, dir, title);
		return EX_UNAVAILABLE;
	default:
		fprintf(stderr, "posternctl: %s/%s: %s\n", dir, title,
		    strerror(errno));
		return EX_UNAVAILABLE;
	}
}

static void
ask_patience(int fd, unsigned wait_s)
{
	const struct timeval	tv = { wait_s, 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

static bool
ask_send(int fd, const char *verb, int n, char *const *words)
{
	struct ipc_c_request	 m = { .verb = span_str(verb) };
	struct buf		 args, packet;
	bool			 ok;

	buf_init(&args, 4096);
	buf_init(&packet, IPC_PACKET_MAX);
	for (int i = 0; i < n; i++) {
		if (i > 0)
			buf_byte(&args, '\n');
		buf_str(&args, words[i]);
	}
	m.args = buf_content(&args);
	ok = !args.failed && ipc_encode(&packet, IPC_T_c_request, &m);
	if (ok)
		ok = send(fd, packet.p + packet.start, buf_len(&packet),
		    MSG_NOSIGNAL) == (ssize_t)buf_len(&packet);
	else
		errno = EMSGSIZE;
	buf_clear(&args);
	buf_clear(&packet);
	return ok;
}

/* One message of the answer; true when it was the last. */
static bool
ask_take(uint16_t type, const union ipc_any *m, const struct answer *a,
    bool quiet, int *status)
{
	char		 kind[33];
	struct row	 row;

	switch (type) {
	case IPC_T_c_row:
		if (a->row == NULL || !span_cstr(m->c_row.kind, kind,
		    sizeof(kind)))
			return false;
		row.kind = kind;
		row.fields = m->c_row.fields;
		a->row(&row, a->arg);
		return false;
	case IPC_T_c_data:
		if (a->data != NULL)
			a->data(m->c_data.bytes, a->arg);
		return false;
	case IPC_T_c_end:
		*status = m->c_end.status;
		if (m->c_end.text.len > 0 && (!quiet || *status != 0))
			fprintf(stderr, "%.*s\n", (int)m->c_end.text.len,
			    (const char *)m->c_end.text.p);
		return true;
	default:
		*status = EX_PROTOCOL;
		fprintf(stderr, "posternctl: unexpected answer\n");
		return true;
	}
}

/* What has been printed is seen before one waits for more. */
static ssize_t
ask_recv(int fd, void *p, size_t size)
{
	ssize_t	 n = recv(fd, p, size, MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		fflush(stdout);
		n = recv(fd, p, size, 0);
	}
	return n;
}

int
ask(const char *dir, const char *title, const char *verb, int n,
    char *const *words, const struct answer *a, bool quiet)
{
	static uint8_t	 packet[IPC_PACKET_MAX];
	union ipc_any	 m;
	struct span	 in;
	const char	*why;
	uint16_t	 type;
	ssize_t		 got;
	int		 fd, status = EX_PROTOCOL;

	if ((fd = ask_connect(dir, title)) == -1)
		return ask_refused(dir, title);
	ask_patience(fd, a->wait_s);
	if (!ask_send(fd, verb, n, words)) {
		fprintf(stderr, "posternctl: %s: %s\n", title, strerror(errno));
		close(fd);
		return EX_USAGE;
	}
	while ((got = ask_recv(fd, packet, sizeof(packet))) > 0) {
		in = span(packet, (size_t)got);
		while (in.len > 0) {
			if (ipc_decode(&in, &type, &m, &why) != PARSE_OK) {
				fprintf(stderr, "posternctl: %s: %s\n", title,
				    why);
				goto out;
			}
			if (ask_take(type, &m, a, quiet, &status))
				goto out;
		}
	}
	if (got == -1 && errno == EAGAIN)
		fprintf(stderr, "posternctl: %s does not answer\n", title);
	else
		fprintf(stderr, "posternctl: %s ended the connection; "
		    "permission is needed, or it was restarted\n", title);
	status = EX_UNAVAILABLE;
out:
	close(fd);
	return status;
}

static int
title_cmp(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

int
ask_each(const char *dir, const char *name,
    void (*f)(const char *title, void *arg), void *arg)
{
	static char	*titles[TITLES_MAX];
	struct dirent	*e;
	size_t		 len = strlen(name);
	int		 n = 0;
	DIR		*d;

	if ((d = opendir(dir)) == NULL)
		return -1;
	while ((e = readdir(d)) != NULL && n < TITLES_MAX) {
		if (strncmp(e->d_name, name, len) != 0 ||
		    (e->d_name[len] != '\0' && e->d_name[len] != '.'))
			continue;
		if ((titles[n] = strdup(e->d_name)) != NULL)
			n++;
	}
	closedir(d);
	qsort(titles, (size_t)n, sizeof(titles[0]), title_cmp);
	for (int i = 0; i < n; i++) {
		f(titles[i], arg);
		free(titles[i]);
	}
	return n;
}

struct span
row_get(const struct row *row, const char *key)
{
	struct span	 in = row->fields, k, v;
	bool		 number;

	while (ctl_pair(&in, &k, &v, &number))
		if (span_is(k, key))
			return v;
	return span(NULL, 0);
}

int64_t
value_num(struct span v)
{
	bool		 neg = v.len > 0 && v.p[0] == '-';
	uint64_t	 n;

	if (neg)
		span_skip(&v, 1);
	if (!span_u64(v, INT64_MAX, &n))
		return 0;
	return neg ? -(int64_t)n : (int64_t)n;
}

int64_t
row_num(const struct row *row, const char *key)
{
	return value_num(row_get(row, key));
}
