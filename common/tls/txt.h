/*
 * What the TXT records of MTA-STS (RFC 8461, 3.1) and TLSRPT (RFC 8460, 3) have in
 * common: a version, then fields behind semicolons. Pure; spans are borrowed.
 */
#ifndef TLS_TXT_H
#define TLS_TXT_H

#include "common/base/span.h"

/* The one of these n that begins with version ("v=STSv1") and a delimiter; *s is
 * the rest, from that on. False: there is none, or more than one. */
bool	 txt_only(const struct span *txt, size_t n, const char *version,
	    struct span *s);
/* The next field of *s, which moves behind it; blanks around it are gone.
 * PARSE_MORE: there is none. PARSE_BAD: it is none. */
enum parse txt_field(struct span *s, struct span *name, struct span *value);

#endif
