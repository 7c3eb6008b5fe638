/*
 * What queued does without a parent: see offline.h.
 */
#include "queued/offline.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/rand.h"
#include "queued/diskio.h"
#include "queued/audit.h"

#define SLICE	(1 << 20)
#define TOLD_MAX 1000	/* problems told one by one */

bool
offline_wanted(int argc, char **argv)
{
	return argc == 3 && (strcmp(argv[1], "verify") == 0 ||
	    strcmp(argv[1], "recover") == 0);
}

/* Into the folder and, as root, down to its owner: what is read there is
 * other people's. */
static void
enter(const char *dir)
{
	struct stat	 st;

	if (chdir(dir) == -1 || stat(".", &st) == -1)
		err(EX_NOINPUT, "%s", dir);
	if (geteuid() != 0 || st.st_uid == 0)
		return;
	if (setgroups(0, NULL) == -1 ||
	    setresgid(st.st_gid, st.st_gid, st.st_gid) == -1 ||
	    setresuid(st.st_uid, st.st_uid, st.st_uid) == -1)
		err(EX_OSERR, "owner of %s", dir);
}

/* Nobody may be at work in the folder. A check makes no file. */
static void
lock(const char *dir, bool make)
{
	int	 fd;

	fd = open(DIO_LOCK, (make ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	if (fd == -1 && errno == ENOENT && !make)
		return;
	if (fd == -1)
		err(EX_NOPERM, "%s/" DIO_LOCK, dir);
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		errx(EX_TEMPFAIL, "%s: a queued runs on it", dir);
	/* Open until the end. */
}

static void
say(struct audit *v, const char *what, uint64_t id, uint64_t segment,
    uint64_t offset)
{
	char	 ids[ID_STRLEN];

	if (v->problems > TOLD_MAX)
		return;
	printf("problem: %s", what);
	if (id != 0)
		printf(", message %s", id_str(id, ids));
	if (segment != 0)
		printf(", segment %016llx, offset %llu",
		    (unsigned long long)segment, (unsigned long long)offset);
	printf("\n");
}

static int
check(const char *dir, bool with_index)
{
	struct queue	 q = { 0 };
	struct audit	 v = { .problem = say };
	const char	*why = "";
	bool		 index = false;

	TAILQ_INIT(&q.pins);
	if ((q.segs = segs_open(INT64_MAX, SLICE, &why)) == NULL)
		errx(EX_DATAERR, "%s: %s", dir, why);
	if (segs_count(q.segs) == 0)
		errx(EX_NOINPUT, "%s: no segment of a queue is there", dir);
	/* After an orderly end the index is whole; else it is brought up to
	 * date by the next start, and differs until then. */
	if (with_index && segs_closed_at(q.segs) != 0 &&
	    (q.store = store_open_read(&why)) != NULL)
		index = true;
	if (!audit_init(&v, &q, true))
		errx(EX_OSERR, "out of memory");
	v.problems = segs_damage(q.segs);
	while (audit_step(&v))
		;
	printf("%llu messages, %llu of them with a file of their own; "
	    "%llu records, %llu bytes of segments, %s; %llu problems\n",
	    (unsigned long long)v.messages, (unsigned long long)v.bodies,
	    (unsigned long long)v.records, (unsigned long long)v.bytes,
	    index ? "index" : "no index looked at",
	    (unsigned long long)v.problems);
	audit_clear(&v);
	store_close(q.store);
	segs_close(q.segs, false);
	return v.problems == 0 ? EX_OK : EX_DATAERR;
}

int
offline_main(int argc, char **argv)
{
	const char	*dir = argv[2];
	bool		 recover = strcmp(argv[1], "recover") == 0;
	int		 st;

	(void)argc;
	log_init("queued", LOG_FORM_TEXT, LOG_LV_WARN);
	enter(dir);
	lock(dir, recover);
	st = check(dir, !recover);
	if (recover) {
		store_set_aside();
		dio_unlink(DIO_REBUILD);
		dio_sync_dir();
		printf("the index is set aside; the next start of postern "
		    "makes it of the segments\n");
	}
	return fflush(stdout) == 0 ? st : EX_IOERR;
}
