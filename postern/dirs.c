/*
 * Accounts and folders: who each daemon is, and the folders that root makes.
 * Root follows no link below a folder of less right (security.md, R17): it
 * makes a folder, or finds it as it must be, and never looks inside.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "postern/postern.h"

static const struct {
	enum ipc_role	 role;
	const char	*user;
} users[] = {
	{ IPC_SMTPD, "_postern-smtpd" },
	{ IPC_QUEUED, "_postern-queue" },
	{ IPC_DELIVERD, "_postern-deliver" },
	{ IPC_PROXYD, "_postern-proxy" },
	{ IPC_LOOKUPD, "_postern-lookup" },
	{ IPC_KEYD, "_postern-key" },
	{ IPC_PASSWD, "_postern-auth" }
};

void
users_find(struct gateway *gw)
{
	struct passwd	*pw;
	struct group	*gr;

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		unsigned r = role_index(users[i].role);

		gw->uid[r] = getuid();
		gw->gid[r] = getgid();
		if (!gw->root)
			continue;
		if ((pw = getpwnam(users[i].user)) == NULL)
			fatalx("there is no user %s; `make users` or the "
			    "package creates it", users[i].user);
		gw->uid[r] = pw->pw_uid;
		gw->gid[r] = pw->pw_gid;
	}
	gw->adm_gid = getgid();
	if (gw->root) {
		if ((gr = getgrnam("_postern-adm")) == NULL)
			fatalx("there is no group _postern-adm; `make users` "
			    "or the package creates it");
		gw->adm_gid = gr->gr_gid;
	}
}

/* Each folder of the path that is missing, 0755; all must be root's, or what we
 * make at its end could be moved away and a link put in its place. */
static void
make_parents(const char *path)
{
	struct buf	 msgs;
	char		 tmp[1100], *p;

	if (snprintf(tmp, sizeof(tmp), "%s", path) >= (int)sizeof(tmp))
		fatalx("%s: too long", path);
	for (p = tmp + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		if (mkdir(tmp, 0755) == -1 && errno != EEXIST)
			fatal("mkdir %s", tmp);
	}
	buf_init(&msgs, 4096);
	if (!dir_is_safe(path, &msgs))
		fatalx("%s", buf_cstr(&msgs));
	buf_clear(&msgs);
}

/*
 * Makes path with this mode, owner and group; if it is there already it must be
 * a real folder of that owner that no one else may write. Our own folder (made
 * by systemd, say) then gets mode and group; another's is left as it is.
 */
static void
make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	struct stat	 st;
	bool		 made;
	int		 fd;

	if (!(made = mkdir(path, 0700) == 0) && errno != EEXIST)
		fatal("mkdir %s", path);
	if (lstat(path, &st) == -1)
		fatal("%s", path);
	if (!S_ISDIR(st.st_mode) || (st.st_mode & 022) != 0 ||
	    st.st_uid != (made ? getuid() : uid))
		fatalx("%s: must be a folder of uid %u that no one else may "
		    "write", path, (unsigned)uid);
	if (!made && st.st_uid != getuid()) {
		if ((st.st_mode & 07777 & ~mode) != 0)
			fatalx("%s: has mode %04o, must have %04o", path,
			    (unsigned)st.st_mode & 07777, (unsigned)mode);
		return;
	}
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC)) == -1 || fchmod(fd, mode) == -1 ||
	    ((uid != st.st_uid || gid != st.st_gid) &&
	    fchown(fd, uid, gid) == -1))
		fatal("%s", path);
	close(fd);
}

void
lock_write_pid(const struct gateway *gw)
{
	char	 pid[16];
	int	 n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

	if (ftruncate(gw->lock_fd, 0) == -1 ||
	    pwrite(gw->lock_fd, pid, (size_t)n, 0) == -1)
		fatal("the lock of the control path");
}

/* One gateway a control directory. */
static void
take_lock(struct gateway *gw, const char *dir)
{
	char		 path[1100];
	struct stat	 st;

	snprintf(path, sizeof(path), "%s/lock", dir);
	if ((gw->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC |
	    O_NOFOLLOW | O_NONBLOCK, 0600)) == -1 ||
	    fstat(gw->lock_fd, &st) == -1)
		fatal("%s", path);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		fatalx("%s: not a file of ours", path);
	if (flock(gw->lock_fd, LOCK_EX | LOCK_NB) == -1)
		fatalx("%s: another postern runs with this control path", dir);
	lock_write_pid(gw);
}

void
dirs_make(struct gateway *gw, const struct conf *c)
{
	unsigned	 q = role_index(IPC_QUEUED);
	char		 path[1100];

	make_parents(c->control_path);
	make_dir(c->control_path, gw->root ? 0750 : 0700, getuid(),
	    gw->adm_gid);
	take_lock(gw, c->control_path);
	snprintf(gw->empty, sizeof(gw->empty), "%s/empty", c->control_path);
	make_dir(gw->empty, 0555, getuid(), getgid());
	make_parents(c->queue_path);
	make_dir(c->queue_path, 0711, getuid(), getgid());
	snprintf(path, sizeof(path), "%s/queue", c->queue_path);
	make_dir(path, 0700, gw->uid[q], gw->gid[q]);
}
