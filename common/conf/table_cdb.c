/*
 * Tables made by `posternctl makemap`: constant databases, read where they lie
 * in the bundle, which all daemons map. Their records:
 *	"h"		the version of this form (1), are there values, which
 *			lengths of prefixes (33 of IPv4, 129 of IPv6: 0 or 1),
 *			the number of entries (8 bytes, little-endian)
 *	"k" key		each entry's value, its key as it is compared
 *	"p" prefix	the same, if the key is an address or prefix
 *	"d" domain	of a key with an @, once
 * See table.h.
 */
#include <string.h>

#include "common/conf/table_i.h"

#define FORM		1
#define HEAD_LEN	(2 + 33 + 129 + 8)
#define CDB_MIN		2048		/* its own table of tables */

const char *
table_cdb_open(struct conf_table *t, struct span file)
{
	static const char	 bad[] = "not made by `posternctl makemap`";
	struct span		 h;

	if (file.len < CDB_MIN || file.len > UINT32_MAX)
		return bad;
	/* As cdb_init() does with a file of its own; each access is held
	 * against these bounds by the library. */
	t->cdb = (struct cdb){ .cdb_fd = -1, .cdb_fsize = (unsigned)file.len,
	    .cdb_mem = file.p, .cdb_dend = cdb_unpack(file.p) };
	if (t->cdb.cdb_dend < CDB_MIN || t->cdb.cdb_dend > file.len)
		return bad;
	t->is_cdb = true;
	if (!table_cdb_get(t, 'h', span(NULL, 0), &h) || h.len != HEAD_LEN ||
	    h.p[0] != FORM) {
		t->is_cdb = false;
		return bad;
	}
	t->is_map = h.p[1] != 0;
	for (size_t i = 0; i < 33; i++)
		t->bits4[i] = h.p[2 + i] != 0;
	for (size_t i = 0; i < 129; i++)
		t->bits6[i] = h.p[35 + i] != 0;
	for (size_t i = 8; i > 0; i--)
		t->ncdb = t->ncdb << 8 | h.p[164 + i - 1];
	return NULL;
}

bool
table_cdb_get(const struct conf_table *t, char kind, struct span key,
    struct span *value)
{
	struct cdb	 c = t->cdb;	/* what it finds, it notes there */
	char		 k[TABLE_CANON_MAX + 1];
	const void	*p;

	if (key.len > TABLE_CANON_MAX)
		return false;
	k[0] = kind;
	if (key.len > 0)
		memcpy(k + 1, key.p, key.len);
	if (cdb_find(&c, k, (unsigned)key.len + 1) <= 0 ||
	    (p = cdb_getdata(&c)) == NULL)
		return false;
	if (value != NULL)
		*value = span(p, cdb_datalen(&c));
	return true;
}

void
table_cdb_each(const struct conf_table *t,
    bool (*f)(struct span, struct span, void *), void *arg)
{
	struct cdb	 c = t->cdb;
	const uint8_t	*k, *v;
	unsigned	 at;

	cdb_seqinit(&at, &c);
	while (cdb_seqnext(&at, &c) > 0) {
		k = cdb_getkey(&c);
		v = cdb_getdata(&c);
		if (k == NULL || v == NULL || cdb_keylen(&c) < 2 ||
		    k[0] != 'k')
			continue;
		if (!f(span(k + 1, cdb_keylen(&c) - 1),
		    span(v, cdb_datalen(&c)), arg))
			return;
	}
}

/* ---- what makemap writes ------------------------------------------------- */

struct records {
	bool	(*f)(struct span, struct span, void *);
	void	*arg;
	bool	 ok;
};

static bool
put(struct records *r, char kind, struct span key, struct span value)
{
	char	 k[TABLE_CANON_MAX + 1];

	k[0] = kind;
	if (key.len > 0)
		memcpy(k + 1, key.p, key.len);
	return r->ok = r->ok && r->f(span(k, key.len + 1), value, r->arg);
}

static bool
put_entry(struct span key, struct span value, void *arg)
{
	struct records		*r = arg;
	char			 low[TABLE_CANON_MAX];
	uint8_t			 pk[18];
	struct addr_prefix	 p;

	if (addr_parse_prefix(key, &p))
		put(r, 'p', table_prefix_key(&p.addr, p.bits, pk), value);
	return put(r, 'k', table_canon(key, low), value);
}

static bool
put_domain(struct span domain, void *v, void *arg)
{
	(void)v;
	return put(arg, 'd', domain, span(NULL, 0));
}

bool
table_cdb_records(const struct conf_table *t,
    bool (*f)(struct span, struct span, void *), void *arg)
{
	struct records	 r = { f, arg, true };
	uint8_t		 h[HEAD_LEN] = { FORM, t->is_map };

	for (size_t i = 0; i < 33; i++)
		h[2 + i] = t->bits4[i];
	for (size_t i = 0; i < 129; i++)
		h[35 + i] = t->bits6[i];
	for (size_t i = 0; i < 8; i++)
		h[164 + i] = (uint8_t)(t->n >> (8 * i));
	put(&r, 'h', span(NULL, 0), span(h, sizeof(h)));
	table_each(t, put_entry, &r);
	if (r.ok)
		map_each(t->domains, put_domain, &r);
	return r.ok;
}
