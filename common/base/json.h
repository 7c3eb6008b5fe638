/*
 * Strings of JSON (RFC 8259, 7).
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "common/base/buf.h"

/* In quotes, on one line. Bytes that are no UTF-8 are taken for those of
 * ISO 8859-1. False: it does not fit. */
bool	 json_string(struct buf *, struct span);

#endif
