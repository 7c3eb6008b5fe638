/*
 * UTF-8 and domain names. See utf8.h.
 */
#include <stdlib.h>
#include <idn2.h>

#include "common/base/utf8.h"

bool
utf8_is_ascii(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] > 0x7f)
			return false;
	return true;
}

/* Length of the sequence at the front of s, 0 if it is none (RFC 3629, 4). */
static size_t
sequence(struct span s)
{
	uint8_t	 c = s.p[0], lo = 0x80, hi = 0xbf;
	size_t	 n;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		n = 2;
	else if (c >= 0xe0 && c <= 0xef) {
		n = 3;
		if (c == 0xe0)
			lo = 0xa0;
		else if (c == 0xed)
			hi = 0x9f;	/* no surrogates */
	} else if (c >= 0xf0 && c <= 0xf4) {
		n = 4;
		if (c == 0xf0)
			lo = 0x90;
		else if (c == 0xf4)
			hi = 0x8f;
	} else
		return 0;
	if (s.len < n || s.p[1] < lo || s.p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool
utf8_valid(struct span s)
{
	size_t	 n;

	for (; s.len > 0; span_skip(&s, n))
		if ((n = sequence(s)) == 0)
			return false;
	return true;
}

/* Letters, digits, hyphens and underscores (as seen in real names), labels of
 * 1 to 63 bytes that neither begin nor end with a hyphen. */
static bool
domain_is_valid(const char *d)
{
	size_t	 label = 0, len = strlen(d);

	if (len == 0 || len > 253)
		return false;
	for (size_t i = 0; i <= len; i++) {
		char c = d[i];

		if (c == '.' || c == '\0') {
			if (label == 0 || label > 63 || d[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    c == '_' || (c == '-' && label > 0)))
			return false;
		label++;
	}
	return true;
}

bool
utf8_domain_to_ascii(struct span s, char *dst, size_t size)
{
	uint8_t	 text[512];
	uint8_t	*out = NULL;
	bool	 ok;

	if (utf8_is_ascii(s)) {
		if (!span_cstr(s, dst, size))
			return false;
		for (char *p = dst; *p != '\0'; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p |= 0x20;
		return domain_is_valid(dst);
	}
	if (!utf8_valid(s) || !span_cstr(s, (char *)text, sizeof(text)) ||
	    idn2_lookup_u8(text, &out, IDN2_NFC_INPUT |
	    IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	ok = span_cstr(span_str((char *)out), dst, size) &&
	    domain_is_valid(dst);
	idn2_free(out);
	return ok;
}
