/*
 * The codec, all messages of msg.def: generated values are written as the header
 * says, read back alike, shown; what is cut, too long, of another version or
 * otherwise not as described is refused with its reason. With IPC_CORPUS in the
 * environment, one packet of each message is written into that folder.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "regress/lib/ipcgen.h"

static uint64_t	seed = 0x9e3779b97f4a7c15;

/* A second encoder, by hand from the wire format in codec.h. */
static size_t
encode_again(uint8_t *dst, uint16_t type, const union ipc_any *m)
{
	const struct ipcgen_field	*f = ipcgen_fields(type);
	const uint8_t			*p = (const uint8_t *)m;
	uint8_t				*to = dst + IPC_HEAD_LEN;
	struct addr			 a;
	struct span			 s;

	dst[0] = (uint8_t)type;
	dst[1] = (uint8_t)(type >> 8);
	dst[2] = IPC_VERSION;
	dst[3] = 0;
	memcpy(dst + 4, p, 4);
	for (f++; f->kind != GEN_END; f++)
		switch (f->kind) {
		case GEN_ADDR:
			memcpy(&a, p + f->at, sizeof(a));
			*to++ = a.family;
			*to++ = (uint8_t)a.port;
			*to++ = (uint8_t)(a.port >> 8);
			memcpy(to, a.ip, 16);
			to += 16;
			break;
		case GEN_STR:
		case GEN_BLOB:
			memcpy(&s, p + f->at, sizeof(s));
			*to++ = (uint8_t)s.len;
			*to++ = (uint8_t)(s.len >> 8);
			if (s.len > 0)
				memcpy(to, s.p, s.len);
			to += s.len;
			break;
		default:
			memcpy(to, p + f->at, f->max);
			to += f->max;
		}
	for (size_t n = (size_t)(to - dst) - IPC_HEAD_LEN, i = 8; i < 12; i++) {
		dst[i] = (uint8_t)n;
		n >>= 8;
	}
	return (size_t)(to - dst);
}

static bool
same_field(const struct ipcgen_field *f, const union ipc_any *x,
    const union ipc_any *y)
{
	const uint8_t	*a = (const uint8_t *)x + f->at;
	const uint8_t	*b = (const uint8_t *)y + f->at;
	struct addr	 aa, ab;
	struct span	 sa, sb;

	switch (f->kind) {
	case GEN_STR:
	case GEN_BLOB:
		memcpy(&sa, a, sizeof(sa));
		memcpy(&sb, b, sizeof(sb));
		return sa.len == sb.len && (sa.len == 0 ||
		    memcmp(sa.p, sb.p, sa.len) == 0);
	case GEN_ADDR:
		memcpy(&aa, a, sizeof(aa));
		memcpy(&ab, b, sizeof(ab));
		return aa.family == ab.family && aa.port == ab.port &&
		    memcmp(aa.ip, ab.ip, sizeof(aa.ip)) == 0;
	default:
		return memcmp(a, b, f->max) == 0;
	}
}

static void
write_corpus(uint16_t type, struct span packet)
{
	const char	*dir = getenv("IPC_CORPUS");
	char		 path[1024];
	FILE		*f;

	if (dir == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%s", dir, ipc_info(type)->name);
	assert_non_null(f = fopen(path, "wb"));
	assert_int_equal(fwrite(packet.p, 1, packet.len, f), packet.len);
	fclose(f);
}

static void
one_round(uint16_t type, enum ipcgen_size size)
{
	static union ipc_any		 m, back;
	static uint8_t			 hand[65536];
	const struct ipcgen_field	*f;
	struct span			 in;
	struct buf			 b;
	const char			*why = NULL;
	uint16_t			 got;
	size_t				 n;

	ipcgen_fill(&m, type, size, &seed);
	buf_init(&b, IPC_PACKET_MAX);
	assert_true(ipc_encode(&b, type, &m));
	n = encode_again(hand, type, &m);
	assert_int_equal(n, buf_len(&b));
	assert_memory_equal(hand, buf_content(&b).p, n);
	in = buf_content(&b);
	assert_int_equal(ipc_decode(&in, &got, &back, &why), PARSE_OK);
	assert_int_equal(in.len, 0);
	assert_int_equal(got, type);
	for (f = ipcgen_fields(type); f->kind != GEN_END; f++)
		if (!same_field(f, &m, &back))
			fail_msg("%s.%s", ipc_info(type)->name, f->name);
	if (size == GEN_SHORT)
		write_corpus(type, buf_content(&b));
	buf_clear(&b);
}

/* Over all messages there are. */
static void
each_type(void (*f)(uint16_t))
{
	unsigned	 n = 0;

	for (uint16_t t = 0; t < IPC_T_MAX; t++) {
		assert_int_equal(ipc_info(t) != NULL,
		    ipcgen_fields(t) != NULL);
		if (ipc_info(t) == NULL)
			continue;
		f(t);
		n++;
	}
	assert_true(n > 60);
	assert_null(ipc_info(IPC_T_MAX));
	assert_null(ipc_info(UINT16_MAX));
}

static void
type_round_trip(uint16_t type)
{
	one_round(type, GEN_EMPTY);
	one_round(type, GEN_SHORT);
	one_round(type, GEN_FULL);
	for (int i = 0; i < 50; i++)
		one_round(type, GEN_ANY);
}

static void
round_trip(void **state)
{
	(void)state;
	each_type(type_round_trip);
}

static void
type_described(uint16_t type)
{
	const struct ipc_info	*i = ipc_info(type);

	assert_non_null(i->name);
	assert_int_not_equal(i->from, 0);
	assert_int_not_equal(i->to, 0);
	/* Nobody sends anything to itself, but for the control socket and what
	 * passwd has beside it. */
	if ((i->from | i->to) & IPC_CTL)
		assert_int_equal((i->from | i->to), IPC_CTL | IPC_ANYONE);
	else if (type != IPC_T_k_check && type != IPC_T_k_checked)
		assert_int_equal(i->from & i->to, 0);
	assert_in_range(i->fds, 0, 2);
}

static void
described(void **state)
{
	(void)state;
	each_type(type_described);
}

static enum parse
decode(const uint8_t *p, size_t n, const char **why)
{
	static union ipc_any	 m;
	uint8_t			*exact = malloc(n == 0 ? 1 : n);
	struct span		 in;
	uint16_t		 type;
	enum parse		 rc;

	/* Its own block: a read beyond the end is seen by the sanitizer. */
	memcpy(exact, p, n);
	in = span(exact, n);
	*why = NULL;
	rc = ipc_decode(&in, &type, &m, why);
	assert_int_equal(rc == PARSE_OK, *why == NULL);
	free(exact);
	return rc;
}

static void
put_len(uint8_t *p, size_t body)
{
	for (unsigned i = 8; i < 12; i++) {
		p[i] = (uint8_t)body;
		body >>= 8;
	}
}

/* At every byte: the packet ends, or the head says that the message does. */
static void
type_truncated(uint16_t type)
{
	static union ipc_any	 m;
	static uint8_t		 p[65536];
	const char		*why;
	size_t			 n;

	ipcgen_fill(&m, type, GEN_SHORT, &seed);
	n = encode_again(p, type, &m);
	for (size_t cut = 0; cut < n; cut++) {
		assert_int_equal(decode(p, cut, &why), PARSE_BAD);
		if (cut < IPC_HEAD_LEN)
			continue;
		put_len(p, cut - IPC_HEAD_LEN);
		assert_int_equal(decode(p, cut, &why), PARSE_BAD);
		assert_non_null(strstr(why, "ends within"));
		assert_int_equal(decode(p, n, &why), PARSE_BAD);
		put_len(p, n - IPC_HEAD_LEN);
	}
	assert_int_equal(decode(p, n, &why), PARSE_OK);
	/* One byte too many inside the message. */
	put_len(p, n - IPC_HEAD_LEN + 1);
	p[n] = 0;
	assert_int_equal(decode(p, n + 1, &why), PARSE_BAD);
	assert_string_equal(why, "message longer than its fields");
	assert_int_equal(decode(p, n, &why), PARSE_BAD);
	assert_string_equal(why, "message longer than its packet");
	put_len(p, SIZE_MAX);
	assert_int_equal(decode(p, n, &why), PARSE_BAD);
}

static void
truncated(void **state)
{
	(void)state;
	each_type(type_truncated);
}

/* Each string and blob one byte too long, each string with a NUL at both ends,
 * each truth neither, each address of a family that is none. */
static void
type_bad_fields(uint16_t type)
{
	static union ipc_any		 m;
	static uint8_t			 p[65536], text[40000];
	const struct ipcgen_field	*f;
	struct addr			 a;
	struct span			 s;
	struct buf			 b;
	const char			*why;
	size_t				 n;

	buf_init(&b, IPC_PACKET_MAX);
	for (f = ipcgen_fields(type); f->kind != GEN_END; f++) {
		ipcgen_fill(&m, type, GEN_EMPTY, &seed);
		memset(text, 'x', sizeof(text));
		if (f->kind == GEN_BOOL) {
			((uint8_t *)&m)[f->at] = 2;
			n = encode_again(p, type, &m);
			assert_int_equal(decode(p, n, &why), PARSE_BAD);
			assert_string_equal(why, "neither true nor false");
		}
		if (f->kind == GEN_ADDR) {
			memset(&a, 0, sizeof(a));
			a.family = 5;
			memcpy((uint8_t *)&m + f->at, &a, sizeof(a));
			n = encode_again(p, type, &m);
			assert_int_equal(decode(p, n, &why), PARSE_BAD);
			assert_string_equal(why, "no such address family");
		}
		if (f->kind != GEN_STR && f->kind != GEN_BLOB)
			continue;
		s = span(text, f->max + 1);
		memcpy((uint8_t *)&m + f->at, &s, sizeof(s));
		buf_str(&b, "before");
		assert_false(ipc_encode(&b, type, &m));
		assert_true(span_is(buf_content(&b), "before"));
		assert_false(b.failed);
		buf_reset(&b);
		n = encode_again(p, type, &m);
		assert_int_equal(decode(p, n, &why), PARSE_BAD);
		assert_string_equal(why, "field longer than its maximum");
		if (f->kind != GEN_STR)
			continue;
		for (size_t i = 0; i < 3; i += 2) {
			s = span(text, 3);
			memset(text, 'x', 3);
			text[i] = '\0';
			memcpy((uint8_t *)&m + f->at, &s, sizeof(s));
			assert_false(ipc_encode(&b, type, &m));
			n = encode_again(p, type, &m);
			assert_int_equal(decode(p, n, &why), PARSE_BAD);
			assert_string_equal(why, "NUL in a string");
		}
	}
	buf_clear(&b);
}

static void
bad_fields(void **state)
{
	(void)state;
	each_type(type_bad_fields);
}

static void
bad_head(void **state)
{
	static union ipc_any	 m;
	static uint8_t		 p[65536];
	const char		*why;
	struct buf		 b;
	size_t			 n;

	(void)state;
	memset(&m, 0, sizeof(m));
	n = encode_again(p, IPC_T_stop, &m);
	assert_int_equal(decode(p, n, &why), PARSE_OK);
	for (unsigned v = 0; v < 256; v++) {
		p[2] = (uint8_t)v;
		assert_int_equal(decode(p, n, &why) == PARSE_OK,
		    v == IPC_VERSION);
		if (v != IPC_VERSION)
			assert_string_equal(why,
			    "another version of the protocol");
	}
	p[2] = IPC_VERSION;
	p[3] = 1;
	assert_int_equal(decode(p, n, &why), PARSE_BAD);
	p[3] = 0;
	for (unsigned t = 0; t <= UINT16_MAX; t++) {
		if (ipc_info((uint16_t)t) != NULL)
			continue;
		p[0] = (uint8_t)t;
		p[1] = (uint8_t)(t >> 8);
		assert_int_equal(decode(p, n, &why), PARSE_BAD);
		assert_string_equal(why, "no such message");
	}
	buf_init(&b, IPC_PACKET_MAX);
	assert_false(ipc_encode(&b, 0, &m));
	assert_false(ipc_encode(&b, IPC_T_MAX, &m));
	buf_clear(&b);
}

/* Several messages of one packet come out one by one; a full one takes no more
 * and is left as it was. */
static void
many(void **state)
{
	struct ipc_q_data	 d = { .tid = 9 };
	static uint8_t		 bytes[10000];
	union ipc_any		 m;
	struct span		 in;
	struct buf		 b;
	const char		*why;
	uint16_t		 type;
	size_t			 n;

	(void)state;
	buf_init(&b, IPC_PACKET_MAX);
	d.bytes = span(bytes, sizeof(bytes));
	for (n = 0; ipc_encode(&b, IPC_T_q_data, &d); n++)
		d.tid++;
	assert_int_equal(n, 3);
	assert_int_equal(buf_len(&b), 3 * (IPC_HEAD_LEN + 2 + sizeof(bytes)));
	in = buf_content(&b);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(ipc_decode(&in, &type, &m, &why), PARSE_OK);
		assert_int_equal(m.q_data.tid, 9 + i);
		assert_int_equal(m.q_data.bytes.len, sizeof(bytes));
	}
	assert_int_equal(in.len, 0);
	buf_clear(&b);
}

static void
type_dumped(uint16_t type)
{
	static union ipc_any		 m;
	const struct ipcgen_field	*f;
	struct buf			 b;
	char				 key[64];
	const char			*s;

	ipcgen_fill(&m, type, GEN_ANY, &seed);
	buf_init(&b, 1 << 20);
	ipc_dump(&b, type, &m);
	assert_non_null(s = buf_cstr(&b));
	assert_ptr_equal(strstr(s, ipc_info(type)->name), s);
	for (f = ipcgen_fields(type); f->kind != GEN_END; f++) {
		snprintf(key, sizeof(key), " %s=", f->name);
		assert_non_null(strstr(s, key));
	}
	for (; *s != '\0'; s++)
		assert_in_range((unsigned char)*s, 0x20, 0x7e);
	buf_clear(&b);
}

static void
dumped(void **state)
{
	struct ipc_c_request	 m = { .tid = 7, .verb = SPAN("a\"\\\n\x80z"),
				    .args = SPAN("") };
	struct buf		 b;

	(void)state;
	each_type(type_dumped);
	buf_init(&b, 1000);
	ipc_dump(&b, IPC_T_c_request, &m);
	assert_string_equal(buf_cstr(&b),
	    "c_request tid=7 verb=\"a\\x22\\x5c\\x0a\\x80z\" args=\"\"");
	buf_reset(&b);
	ipc_dump(&b, 31, &m);
	assert_string_equal(buf_cstr(&b), "?31");
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(described),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(truncated),
		cmocka_unit_test(bad_fields),
		cmocka_unit_test(bad_head),
		cmocka_unit_test(many),
		cmocka_unit_test(dumped)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
