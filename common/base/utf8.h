/*
 * UTF-8 (RFC 3629) and domain names in their two forms (IDNA2008, libidn2).
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "common/base/buf.h"

bool	 utf8_valid(struct span);
bool	 utf8_is_ascii(struct span);
/*
 * The domain with A-labels in lower case, at most 253 bytes, into dst (NUL
 * added; 254 bytes are enough). ASCII domains are only lower-cased. False if
 * it is no valid domain.
 */
bool	 utf8_domain_to_ascii(struct span, char *dst, size_t size);

#endif
