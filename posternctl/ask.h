/*
 * Asking a daemon: connects to its control socket, sends one request, and
 * hands the rows of the answer to a printer. Blocking; one request at a time.
 */
#ifndef POSTERNCTL_ASK_H
#define POSTERNCTL_ASK_H

#include "common/base/span.h"

struct row {
	const char	*kind;
	struct span	 fields;	/* pairs, read with ctl_pair() */
};

/* What becomes of an answer. Either may be NULL: it is then left out. */
struct answer {
	void	(*row)(const struct row *, void *arg);
	void	(*data)(struct span bytes, void *arg);
	void	*arg;
	unsigned wait_s;	/* for each message; 0: for ever */
};

/*
 * Sends verb with n words to the daemon `title` below the control directory
 * dir and reads the answer to its end. Gives the daemon's status (sysexits(3));
 * 69 (EX_UNAVAILABLE) if there is no such daemon, 77 (EX_NOPERM) if the socket
 * may not be used. Whatever text the daemon adds goes to standard error, unless
 * quiet.
 */
int	 ask(const char *dir, const char *title, const char *verb, int n,
	    char *const *words, const struct answer *, bool quiet);
/*
 * Calls f for each daemon of the name ("smtpd" finds smtpd.1, smtpd.2 …) that
 * has a socket in dir, in order. Gives how many there were, -1 if the directory
 * cannot be read (errno).
 */
int	 ask_each(const char *dir, const char *name,
	    void (*f)(const char *title, void *arg), void *arg);

/* The value of one field, empty if it is not there. */
struct span row_get(const struct row *, const char *key);
int64_t	 row_num(const struct row *, const char *key);
/* A decimal number with or without a minus; 0 if it is none. */
int64_t	 value_num(struct span);

#endif
