/*
 * Tables: entries in order, an index by key, and one by prefix for addresses,
 * so that a look-up costs the same at any size. See table.h.
 */
#include <stdlib.h>

#include "common/base/utf8.h"
#include "common/conf/table_i.h"

#define ENTRIES_MAX	10000000

struct conf_table *
table_new(struct arena *mem, const char *name)
{
	struct conf_table	*t = arena_alloc(mem, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->name = name;
	t->index = map_new(ENTRIES_MAX);
	t->prefixes = map_new(ENTRIES_MAX);
	t->domains = map_new(ENTRIES_MAX);
	if (t->index == NULL || t->prefixes == NULL || t->domains == NULL) {
		table_clear(t);
		return NULL;
	}
	return t;
}

void
table_clear(struct conf_table *t)
{
	map_free(t->index);
	map_free(t->prefixes);
	map_free(t->domains);
	free(t->entries);
	t->index = t->prefixes = t->domains = NULL;
	t->entries = NULL;
}

struct span
table_canon(struct span key, char dst[TABLE_CANON_MAX])
{
	char		 domain[256];
	struct span	 s = span(dst, key.len), d;
	size_t		 from;

	for (size_t i = 0; i < key.len; i++)
		dst[i] = (char)(key.p[i] >= 'A' && key.p[i] <= 'Z' ?
		    key.p[i] | 0x20 : key.p[i]);
	if (utf8_is_ascii(key))
		return s;
	from = span_rfind(s, '@');
	from = from < s.len ? from + 1 : 0;
	if (from < s.len && s.p[from] == '.')
		from++;
	d = span_sub(s, from, s.len);
	if (utf8_is_ascii(d) ||
	    !utf8_domain_to_ascii(d, domain, sizeof(domain)))
		return s;
	memcpy(dst + from, domain, strlen(domain));
	return span(dst, from + strlen(domain));
}

struct span
table_prefix_key(const struct addr *a, uint8_t bits, uint8_t dst[18])
{
	struct addr	 m = addr_mask(a, bits);

	dst[0] = m.family;
	dst[1] = bits;
	for (size_t i = 0; i < sizeof(m.ip); i++)
		dst[2 + i] = m.ip[i];
	return span(dst, 2 + sizeof(m.ip));
}

bool
table_add(struct arena *mem, struct conf_table *t, struct span key,
    struct span value)
{
	char			 low[TABLE_CANON_MAX];
	uint8_t			 pk[18];
	struct addr_prefix	 p;
	struct table_entry	*e;
	struct span		 k;
	size_t			 at;

	if (key.len == 0 || key.len > TABLE_KEY_MAX)
		return false;
	k = table_canon(key, low);
	if (map_get(t->index, k) != NULL)
		return true;
	if (t->n == t->cap) {
		size_t	 cap = t->cap == 0 ? 8 : t->cap * 2;

		if ((e = reallocarray(t->entries, cap, sizeof(*e))) == NULL)
			return false;
		t->entries = e;
		t->cap = cap;
	}
	e = &t->entries[t->n];
	e->key = arena_span(mem, key);
	e->value = arena_span(mem, value);
	if (e->key.p == NULL || e->value.p == NULL)
		return false;
	t->n++;
	if (value.len > 0)
		t->is_map = true;
	if (!map_set(t->index, k, (void *)(uintptr_t)t->n))
		return false;
	if ((at = span_rfind(k, '@')) < k.len && !map_set(t->domains,
	    span_sub(k, at + 1, k.len), t))
		return false;
	if (addr_parse_prefix(key, &p)) {
		if (p.addr.family == 4)
			t->bits4[p.bits] = true;
		else
			t->bits6[p.bits] = true;
		return map_set(t->prefixes, table_prefix_key(&p.addr, p.bits, pk),
		    (void *)(uintptr_t)t->n);
	}
	return true;
}

/* Up to a # that begins a word: local parts may hold one. */
static struct span
without_comment(struct span line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.p[i] == '#' && (i == 0 || line.p[i - 1] == ' ' ||
		    line.p[i - 1] == '\t'))
			return span_sub(line, 0, i);
	return line;
}

static bool
line_is_text(struct span line)
{
	for (size_t i = 0; i < line.len; i++)
		if ((line.p[i] < ' ' && line.p[i] != '\t') ||
		    line.p[i] == 0x7f)
			return false;
	return utf8_valid(line);
}

static bool
load_line(struct arena *mem, struct conf_table *t, struct span line)
{
	struct addr_prefix	 p;
	struct span		 key, value;
	size_t			 n;

	for (n = 0; n < line.len && line.p[n] != ' ' && line.p[n] != '\t'; n++)
		;
	key = span_sub(line, 0, n);
	value = span_trim(span_sub(line, n, line.len));
	/* "key: value"; but "2001:db8::" ends in a colon of its own. */
	if (key.len > 1 && key.p[key.len - 1] == ':' &&
	    !addr_parse_prefix(key, &p))
		key.len--;
	return table_add(mem, t, key, value);
}

unsigned
table_load(struct arena *mem, struct conf_table *t, struct span text)
{
	struct span	 line;
	unsigned	 n = 0;

	while (span_word(&text, "\n", &line)) {
		n++;
		if (line.len > 0 && line.p[line.len - 1] == '\r')
			line.len--;
		line = span_trim(without_comment(line));
		if (line.len > 0 && (!line_is_text(line) ||
		    !load_line(mem, t, line)))
			return n;
	}
	return 0;
}

const char *
table_name(const struct conf_table *t)
{
	return t->name == NULL ? "<inline>" : t->name;
}

const char *
table_users(const struct conf_table *t)
{
	return t->is_users && !t->is_dovecot ? t->path : NULL;
}

const char *
table_dovecot(const struct conf_table *t)
{
	return t->is_dovecot ? t->path : NULL;
}

size_t
table_count(const struct conf_table *t)
{
	return t->is_cdb ? t->ncdb : t->n;
}

static bool
found(const struct conf_table *t, const void *number, struct span *value)
{
	if (number == NULL)
		return false;
	if (value != NULL)
		*value = t->entries[(uintptr_t)number - 1].value;
	return true;
}

bool
table_get(const struct conf_table *t, struct span key, struct span *value)
{
	char	 low[TABLE_CANON_MAX];

	if (key.len == 0 || key.len > TABLE_KEY_MAX)
		return false;
	key = table_canon(key, low);
	return t->is_cdb ? table_cdb_get(t, 'k', key, value) :
	    found(t, map_get(t->index, key), value);
}

bool
table_get_domain(const struct conf_table *t, struct span domain,
    struct span *value)
{
	size_t	 dot;

	if (table_get(t, domain, value))
		return true;
	while ((dot = span_find(domain, '.')) < domain.len) {
		span_skip(&domain, dot);
		if (table_get(t, domain, value))
			return true;
		span_skip(&domain, 1);
	}
	return false;
}

bool
table_get_mail(const struct conf_table *t, struct span address,
    const char *subaddress, bool ours, struct span *value)
{
	size_t		 at = span_rfind(address, '@'), sub;
	struct span	 local = span_sub(address, 0, at), domain, plain;
	char		 tmp[TABLE_KEY_MAX];
	size_t		 n;

	domain = span_sub(address, at + 1, address.len);
	if (table_get(t, address, value))
		return true;
	plain = local;
	if (subaddress[0] != '\0' &&
	    (sub = span_find(local, (uint8_t)subaddress[0])) > 0 &&
	    sub < local.len) {
		plain = span_sub(local, 0, sub);
		n = plain.len + 1 + domain.len;
		if (n <= sizeof(tmp) && domain.len > 0) {
			memcpy(tmp, plain.p, plain.len);
			tmp[plain.len] = '@';
			memcpy(tmp + plain.len + 1, domain.p, domain.len);
			if (table_get(t, span(tmp, n), value))
				return true;
		}
	}
	if (ours && (table_get(t, local, value) || table_get(t, plain, value)))
		return true;
	if (domain.len > 0 && table_get_domain(t, domain, value))
		return true;
	if (domain.len > 0 && domain.len + 1 <= sizeof(tmp)) {
		tmp[0] = '@';
		memcpy(tmp + 1, domain.p, domain.len);
		return table_get(t, span(tmp, domain.len + 1), value);
	}
	return false;
}

bool
table_has_domain(const struct conf_table *t, struct span domain)
{
	char	 low[TABLE_CANON_MAX];

	if (domain.len == 0 || domain.len > TABLE_KEY_MAX)
		return false;
	domain = table_canon(domain, low);
	return t->is_cdb ? table_cdb_get(t, 'd', domain, NULL) :
	    map_get(t->domains, domain) != NULL;
}

static bool
get_prefix(const struct conf_table *t, const struct addr *a, uint8_t bits,
    struct span *value)
{
	uint8_t		 dst[18];
	struct span	 key = table_prefix_key(a, bits, dst);

	return t->is_cdb ? table_cdb_get(t, 'p', key, value) :
	    found(t, map_get(t->prefixes, key), value);
}

static int
longest(const struct conf_table *t, const struct addr *a, struct span *value)
{
	const bool	*bits = a->family == 4 ? t->bits4 : t->bits6;

	if (a->family == 0)
		return -1;
	for (int b = a->family == 4 ? 32 : 128; b >= 0; b--)
		if (bits[b] && get_prefix(t, a, (uint8_t)b, value))
			return b;
	return -1;
}

bool
table_get_addr(const struct conf_table *t, const struct addr *a,
    struct span *value)
{
	return longest(t, a, value) >= 0;
}

int
table_addr_bits(const struct conf_table *t, const struct addr *a)
{
	return longest(t, a, NULL);
}

bool
table_has_prefix(const struct conf_table *t, const struct addr *a,
    uint8_t bits)
{
	return (a->family == 4 ? t->bits4[bits] : t->bits6[bits]) &&
	    get_prefix(t, a, bits, NULL);
}

void
table_each(const struct conf_table *t,
    bool (*f)(struct span, struct span, void *), void *arg)
{
	if (t->is_cdb)
		table_cdb_each(t, f, arg);
	for (size_t i = 0; i < t->n; i++)
		if (!f(t->entries[i].key, t->entries[i].value, arg))
			return;
}
