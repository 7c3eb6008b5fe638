/*
 * The fields of every message as data, made from msg.def once more, and values
 * for them: for tests that go over all messages. Include it in one file of a
 * program.
 */
#ifndef LIB_IPCGEN_H
#define LIB_IPCGEN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/ipc/codec.h"

enum ipcgen_kind { GEN_END, GEN_INT, GEN_BOOL, GEN_ADDR, GEN_STR, GEN_BLOB };
struct ipcgen_field {
	enum ipcgen_kind kind;
	const char	*name;
	size_t		 at;		/* in the struct */
	size_t		 max;		/* bytes; of an integer its width */
};

#define GEN_OF(f)	offsetof(GEN_STRUCT, f)
#define IPC_MSG(name, num, from, to, fds) \
static const struct ipcgen_field * \
ipcgen_fields_##name(void) \
{ \
	typedef struct ipc_##name GEN_STRUCT; \
	static const struct ipcgen_field fields[] = { \
		{ GEN_INT, "tid", 0, 4 },
#define IPC_U8(f)	{ GEN_INT, #f, GEN_OF(f), 1 },
#define IPC_U16(f)	{ GEN_INT, #f, GEN_OF(f), 2 },
#define IPC_U32(f)	{ GEN_INT, #f, GEN_OF(f), 4 },
#define IPC_U64(f)	{ GEN_INT, #f, GEN_OF(f), 8 },
#define IPC_BOOL(f)	{ GEN_BOOL, #f, GEN_OF(f), 1 },
#define IPC_ADDR(f)	{ GEN_ADDR, #f, GEN_OF(f), 19 },
#define IPC_STR(f, max)	{ GEN_STR, #f, GEN_OF(f), max },
#define IPC_BLOB(f, max) { GEN_BLOB, #f, GEN_OF(f), max },
#define IPC_END(name) \
		{ GEN_END, NULL, sizeof(GEN_STRUCT), 0 } \
	}; \
	return fields; \
}
#include "common/ipc/msg.def"
#include "common/ipc/undef.h"

/* NULL where there is no such message. */
static const struct ipcgen_field *
ipcgen_fields(uint16_t type)
{
	switch (type) {
#define IPC_MSG(name, num, from, to, fds) \
	case num: return ipcgen_fields_##name();
#define IPC_U8(f)
#define IPC_U16(f)
#define IPC_U32(f)
#define IPC_U64(f)
#define IPC_BOOL(f)
#define IPC_ADDR(f)
#define IPC_STR(f, max)
#define IPC_BLOB(f, max)
#define IPC_END(name)
#include "common/ipc/msg.def"
#include "common/ipc/undef.h"
	}
	return NULL;
}

/* xorshift: the same values in every run. */
static uint64_t
ipcgen_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

enum ipcgen_size { GEN_EMPTY, GEN_SHORT, GEN_ANY, GEN_FULL };

static struct span
ipcgen_bytes(const struct ipcgen_field *f, enum ipcgen_size size,
    uint64_t *seed)
{
	static uint8_t	 pool[8][33000];
	static unsigned	 turn;
	uint8_t		*p = pool[turn++ % 8];
	size_t		 n = 0;

	if (size == GEN_SHORT)
		n = f->max < 5 ? f->max : 5;
	else if (size == GEN_ANY)
		n = ipcgen_next(seed) % (f->max + 1);
	else if (size == GEN_FULL)
		n = f->max;
	for (size_t i = 0; i < n; i++) {
		p[i] = (uint8_t)ipcgen_next(seed);
		if (size == GEN_SHORT)
			p[i] = (uint8_t)('a' + p[i] % 26);
		if (f->kind == GEN_STR && p[i] == 0)
			p[i] = '.';
	}
	return span(p, n);
}

/* Fills *m for this type; its spans live until eight more were made. */
static void
ipcgen_fill(union ipc_any *m, uint16_t type, enum ipcgen_size size,
    uint64_t *seed)
{
	const struct ipcgen_field *f;
	uint8_t			*p = (uint8_t *)m;
	struct addr		 a;
	struct span		 s;
	uint64_t		 v;
	bool			 b;

	memset(m, 0, sizeof(*m));
	for (f = ipcgen_fields(type); f->kind != GEN_END; f++)
		switch (f->kind) {
		case GEN_INT:
			v = size == GEN_EMPTY ? 0 : size == GEN_FULL ?
			    UINT64_MAX : ipcgen_next(seed);
			memcpy(p + f->at, &v, f->max);	/* little-endian */
			break;
		case GEN_BOOL:
			b = size != GEN_EMPTY && (ipcgen_next(seed) & 1) != 0;
			memcpy(p + f->at, &b, sizeof(b));
			break;
		case GEN_ADDR:
			memset(&a, 0, sizeof(a));
			v = ipcgen_next(seed);
			a.family = size == GEN_EMPTY ? 0 : (v & 1) ? 4 : 6;
			a.port = (uint16_t)(v >> 8);
			for (size_t i = 0; i < sizeof(a.ip); i++)
				a.ip[i] = (uint8_t)ipcgen_next(seed);
			memcpy(p + f->at, &a, sizeof(a));
			break;
		default:
			s = ipcgen_bytes(f, size, seed);
			memcpy(p + f->at, &s, sizeof(s));
		}
}

#endif
