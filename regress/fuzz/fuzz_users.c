/*
 * A file of users: each that is found stands in the text, has a name that can be
 * one and a hash that is one, and is found again by its name. No hash is
 * computed.
 */
#include <stdlib.h>

#include "common/sasl/users.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
within(struct span in, struct span s)
{
	if (s.len > 0 && (s.p < in.p || s.p + s.len > in.p + in.len))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span		 in = span(data, size), body;
	const char		*why = NULL;
	char			 class[HASH_CLASS_MAX];
	enum hash_scheme	 scheme;
	struct hash_scram	 keys;
	unsigned		 line;
	struct users		*u = users_parse(in, &why, &line);
	const struct user	*one;

	if (u == NULL) {
		if (why == NULL || line == 0)
			abort();
		return 0;
	}
	for (size_t i = 0; (one = users_at(u, i)) != NULL; i++) {
		within(in, one->name);
		within(in, one->hash);
		if (!users_name_ok(one->name) ||
		    users_get(u, one->name) != one ||
		    !hash_parse(one->hash, &scheme, &body, &why))
			abort();
		within(in, body);
		hash_class(one->hash, class);
		if (hash_scram(one->hash, &keys) != (scheme == HASH_SCRAM) ||
		    strlen(hash_name(one->hash)) == 0)
			abort();
	}
	if (users_decoy(u).len > 0 && (!hash_parse(users_decoy(u), &scheme,
	    &body, &why) || scheme == HASH_LOCKED))
		abort();
	users_free(u);
	return 0;
}
