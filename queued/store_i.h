/*
 * What store.c and store_row.c share of the index; for them alone.
 */
#ifndef QUEUED_STORE_I_H
#define QUEUED_STORE_I_H

#include <string.h>

#include <db.h>

#include "queued/bytes.h"
#include "queued/store.h"

#define ROW_VERSION	3	/* written; older ones are read too */
#define ROW_MAX		8192	/* bytes of one row */

enum { T_MSG, T_RCPT, T_SCHED, T_DEST, T_META, T_KEEP, T_COUNT };

struct side;
struct store {
	DB_ENV		*env;
	DB		*db[T_COUNT];
	struct side	*verify, *policies, *rpt;
	DB_TXN		*txn;
	uint32_t	 lg_max;
	struct buf	 out;		/* a row being written */
	uint8_t		 row[ROW_MAX];	/* the last one read */
};

/* Ends the process if ret is an error of the library. */
void	 store_must(int ret, const char *what);
/* The version of a row, which stands first in it. */
uint8_t	 store_row_version(struct cur *, const char *what);
/* 0: there is none; else the row's version. */
uint8_t	 store_row_get(struct store *, int t, const void *key, size_t klen,
	    struct cur *);
/* A new row, in s->out; then it is put: 0, or DB_KEYEXIST. */
struct buf *store_row_begin(struct store *);
int	 store_row_put(struct store *, int t, const void *key, size_t klen,
	    uint32_t flags);
void	 store_row_del(struct store *, int t, const void *key, size_t klen);

/* Keys are big-endian, so that they sort. */
static inline void
key_u64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

static inline uint64_t
key_get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static inline DBT
store_dbt(const void *p, size_t len)
{
	DBT	 d;

	memset(&d, 0, sizeof(d));
	memcpy(&d.data, &p, sizeof(p));
	d.size = (uint32_t)len;
	return d;
}

#endif
