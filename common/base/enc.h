/*
 * Text encodings of mail: base64 (RFC 4648), hex, xtext (RFC 3461, 4),
 * quoted-printable (RFC 2045, 6.7) and CRC32C (RFC 3720) for records. Pure
 * functions.
 */
#ifndef BASE_ENC_H
#define BASE_ENC_H

#include "common/base/buf.h"

/* Append the encoded form to buf; false if it does not fit. */
bool	 enc_base64(struct buf *, struct span);
bool	 enc_hex(struct buf *, struct span);
bool	 enc_xtext(struct buf *, struct span);
/* Whole text, its lines ended by CRLF; any other CR or LF is encoded. */
bool	 enc_qp(struct buf *, struct span);
/* Strict decoders: padding needed, no white space; false if malformed. */
bool	 dec_base64(struct buf *, struct span);
bool	 dec_xtext(struct buf *, struct span);
/* The same into an array: between min and max bytes, *len of them. What is
 * read on the way is wiped: it may be a secret. */
bool	 dec_base64_into(struct span, uint8_t *dst, size_t min, size_t max,
	    size_t *len);
/* What a digit of hex stands for; -1: it is none. hex_upper knows no "a" to
 * "f", as RFC 3461, 4 has it. */
int	 hex_digit(uint8_t);
int	 hex_upper(uint8_t);
/* CRC32C of the bytes, continued from crc (0 to begin). */
uint32_t enc_crc32c(uint32_t crc, struct span);
/* The same without the processor's instruction, for those that lack it. */
uint32_t enc_crc32c_table(uint32_t crc, struct span);

#endif
