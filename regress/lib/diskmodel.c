/*
 * A model of a disk and its cache. See diskmodel.h.
 */
#include "regress/lib/diskmodel.h"

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK	4096
#define NAMES	128		/* files at a time */
#define NAME_LEN 40

struct op {
	enum dio_op	 op;
	char		 name[NAME_LEN], to[NAME_LEN];
	uint8_t		*bytes;
	size_t		 len;
	off_t		 off;
};
struct trace {
	struct op	*v;
	size_t		 n, cap;
};

/* A file: what is durable, and what was done since. */
struct node {
	uint8_t		*p;
	size_t		 len;
	const struct op	**todo;
	size_t		 ntodo, cap;
};
struct folder {
	char		 name[NAMES][NAME_LEN];
	struct node	*node[NAMES];
	size_t		 n;
};
struct disk {
	const struct trace *t;
	size_t		 at;
	struct folder	 durable, now;
	const struct op	**todo;		/* of the folder since its sync */
	struct node	**made;		/* the node of each of these, or NULL */
	size_t		 ntodo, cap;
	struct node	**all;
	size_t		 nall, all_cap;
};

static void *
grow(void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	*cap = *cap ? *cap * 2 : 64;
	if ((v = realloc(v, *cap * size)) == NULL)
		err(1, NULL);
	return v;
}

struct trace *
trace_new(void)
{
	return calloc(1, sizeof(struct trace));
}

void
trace_free(struct trace *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].bytes);
	free(t->v);
	free(t);
}

static void
name_copy(char *dst, const char *name)
{
	const char	*slash;

	/* Berkeley DB says "./log.1", or the whole path of it. */
	if (name == NULL)
		return;
	slash = strrchr(name, '/');
	strlcpy(dst, slash != NULL ? slash + 1 : name, NAME_LEN);
}

void
trace_add(const struct dio_event *e, void *arg)
{
	struct trace	*t = arg;
	struct op	*o;

	t->v = grow(t->v, t->n, &t->cap, sizeof(*t->v));
	o = &t->v[t->n++];
	*o = (struct op){ .op = e->op, .len = e->len, .off = e->offset };
	name_copy(o->name, e->name);
	name_copy(o->to, e->to);
	if (e->op == DIO_WRITE) {
		if ((o->bytes = malloc(e->len)) == NULL)
			err(1, NULL);
		memcpy(o->bytes, e->bytes, e->len);
	}
}

size_t
trace_len(const struct trace *t)
{
	return t->n;
}

struct disk *
disk_new(const struct trace *t)
{
	struct disk	*d = calloc(1, sizeof(*d));

	d->t = t;
	return d;
}

void
disk_free(struct disk *d)
{
	for (size_t i = 0; i < d->nall; i++) {
		free(d->all[i]->p);
		free(d->all[i]->todo);
		free(d->all[i]);
	}
	free(d->all);
	free(d->todo);
	free(d->made);
	free(d);
}

/* ---- the folder ---- */

static size_t
find(const struct folder *f, const char *name)
{
	size_t	 i = 0;

	while (i < f->n && strcmp(f->name[i], name) != 0)
		i++;
	return i;
}

static void
drop(struct folder *f, const char *name)
{
	size_t	 i = find(f, name);

	if (i == f->n)
		return;
	f->n--;
	memmove(f->name[i], f->name[f->n], NAME_LEN);
	f->node[i] = f->node[f->n];
}

static void
put(struct folder *f, const char *name, struct node *n)
{
	drop(f, name);
	if (f->n == NAMES)
		errx(1, "too many files");
	strlcpy(f->name[f->n], name, NAME_LEN);
	f->node[f->n++] = n;
}

static void
folder_do(struct folder *f, const struct op *o, struct node *made)
{
	size_t		 i;
	struct node	*n;

	switch (o->op) {
	case DIO_CREATE:
		put(f, o->name, made);
		break;
	case DIO_UNLINK:
		drop(f, o->name);
		break;
	default:			/* DIO_RENAME */
		if ((i = find(f, o->name)) == f->n)
			return;
		n = f->node[i];
		drop(f, o->name);
		put(f, o->to, n);
	}
}

/* ---- one file ---- */

static void
resize(uint8_t **p, size_t *len, size_t to)
{
	if ((*p = realloc(*p, to ? to : 1)) == NULL)
		err(1, NULL);
	if (to > *len)
		memset(*p + *len, 0, to - *len);
	*len = to;
}

/* keep: which of its blocks; NULL: all. */
static void
node_do(uint8_t **p, size_t *len, const struct op *o,
    bool (*keep)(uint64_t *), uint64_t *seed)
{
	size_t	 n, done = 0, at;

	if (o->op != DIO_WRITE) {
		if ((keep == NULL || keep(seed)) &&
		    (o->op == DIO_TRUNCATE || o->len > *len))
			resize(p, len, o->len);
		return;
	}
	for (; done < o->len; done += n) {
		at = (size_t)o->off + done;
		n = BLOCK - at % BLOCK;
		if (n > o->len - done)
			n = o->len - done;
		if (keep != NULL && !keep(seed))
			continue;
		if (at + n > *len)
			resize(p, len, at + n);
		memcpy(*p + at, o->bytes + done, n);
	}
}

static void
node_sync(struct node *n)
{
	for (size_t i = 0; i < n->ntodo; i++)
		node_do(&n->p, &n->len, n->todo[i], NULL, NULL);
	n->ntodo = 0;
}

bool
disk_step(struct disk *d)
{
	const struct op	*o;
	struct node	*n = NULL;
	size_t		 i;

	if (d->at == d->t->n)
		return false;
	o = &d->t->v[d->at++];
	switch (o->op) {
	case DIO_SYNC_DIR:
		d->durable = d->now;
		d->ntodo = 0;
		break;
	case DIO_CREATE:
		if ((n = calloc(1, sizeof(*n))) == NULL)
			err(1, NULL);
		d->all = grow(d->all, d->nall, &d->all_cap, sizeof(*d->all));
		d->all[d->nall++] = n;
		/* FALLTHROUGH */
	case DIO_RENAME:
	case DIO_UNLINK:
		i = d->cap;
		d->todo = grow(d->todo, d->ntodo, &i, sizeof(*d->todo));
		d->made = grow(d->made, d->ntodo, &d->cap, sizeof(*d->made));
		d->todo[d->ntodo] = o;
		d->made[d->ntodo++] = n;
		folder_do(&d->now, o, n);
		break;
	default:
		if ((i = find(&d->now, o->name)) == d->now.n)
			break;		/* unlinked while open */
		n = d->now.node[i];
		if (o->op == DIO_SYNC) {
			node_sync(n);
			break;
		}
		n->todo = grow(n->todo, n->ntodo, &n->cap, sizeof(*n->todo));
		n->todo[n->ntodo++] = o;
	}
	return true;
}

/* ---- the folder as it is found ---- */

static uint64_t
next(uint64_t *seed)
{
	*seed += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = *seed;

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool
coin(uint64_t *seed)
{
	return next(seed) & 1;
}

/* The bytes of a file as they are found. */
static uint8_t *
node_found(const struct node *n, enum disk_found how, uint64_t *seed,
    size_t *len)
{
	uint8_t	*p = malloc(n->len + 1);

	if (p == NULL)
		err(1, NULL);
	*len = n->len;
	if (n->len > 0)
		memcpy(p, n->p, n->len);
	for (size_t i = 0; how != DISK_DROPPED && i < n->ntodo; i++)
		node_do(&p, len, n->todo[i], how == DISK_TORN ? coin : NULL,
		    seed);
	return p;
}

static struct folder
folder_found(const struct disk *d, enum disk_found how, uint64_t *seed)
{
	struct folder	 f = how == DISK_KEPT ? d->now : d->durable;
	size_t		 n = 0;

	if (how == DISK_TORN)
		n = next(seed) % (d->ntodo + 1);
	for (size_t i = 0; i < n; i++)
		folder_do(&f, d->todo[i], d->made[i]);
	return f;
}

static void
file_write(const char *name, const struct node *n, enum disk_found how,
    uint64_t *seed)
{
	size_t	 len;
	uint8_t	*p = node_found(n, how, seed, &len);
	int	 fd;

	if ((fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600)) == -1 ||
	    write(fd, p, len) != (ssize_t)len)
		err(1, "%s", name);
	close(fd);
	free(p);
}

void
disk_clear(void)
{
	struct dirent	*e;
	DIR		*dir = opendir(".");

	if (dir == NULL)
		err(1, ".");
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			unlink(e->d_name);
	closedir(dir);
}

void
disk_write(const struct disk *d, enum disk_found how, uint64_t seed)
{
	struct folder	 f = folder_found(d, how, &seed);

	disk_clear();
	for (size_t i = 0; i < f.n; i++)
		file_write(f.name[i], f.node[i], how, &seed);
}

void
disk_cut(struct disk *d, enum disk_found how, uint64_t seed)
{
	struct folder	 f = folder_found(d, how, &seed);
	uint8_t		*p;

	for (size_t i = 0; i < f.n; i++) {
		p = node_found(f.node[i], how, &seed, &f.node[i]->len);
		free(f.node[i]->p);
		f.node[i]->p = p;
		f.node[i]->ntodo = 0;
	}
	d->now = d->durable = f;
	d->ntodo = 0;
}
