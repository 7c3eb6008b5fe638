/*
 * DANE for SMTP (RFC 7672, 7671, 6698): TLSA records read, and what they ask
 * for, decided. Pure: the records come from lookupd, with its word on whether
 * they were validated; the match itself is OpenSSL's (dane_ssl.h).
 */
#ifndef TLS_DANE_H
#define TLS_DANE_H

#include "common/dns/answer.h"

#define DANE_RRS_MAX	32	/* usable records that are kept of a host */
#define DANE_TEXT_MAX	256
#define DANE_NAME_MAX	(DNS_NAME_MAX + 16)

/* One record; data is borrowed from what was parsed. */
struct dane_rr {
	uint8_t		 usage, selector, matching;
	struct span	 data;
};

/* What a host's records ask of a session with it. */
enum dane_verdict {
	DANE_NONE,	/* no records, or none that are validated: not DANE */
	DANE_UNUSABLE,	/* validated, but none that we can use: it must be
			 * encrypted, nobody is verified (RFC 7672, 2.2) */
	DANE_REQUIRED,	/* the host must prove itself by one of those kept */
	DANE_DEFER	/* no answer, or a false one: this host not now */
};

/* The usable records of a host, with their own bytes. */
struct dane_set {
	size_t		 n;
	struct dane_rr	 rr[DANE_RRS_MAX];
	uint8_t		 bytes[];
};

/* RFC 6698, 2.1: three octets, then at least one. False: malformed. */
bool	 dane_parse(struct span rdata, struct dane_rr *);
/*
 * RFC 7672, 3.1: usage 2 (DANE-TA) and 3 (DANE-EE); selector 0 and 1; matching
 * 0, 1 and 2, with a digest of the length that it has.
 */
bool	 dane_usable(const struct dane_rr *);
/*
 * The answer to the question for TLSA records: its status, whether it is
 * validated, and n records as they came. *set is NULL but for DANE_REQUIRED:
 * then free(3) it. Where memory runs out the verdict is DANE_DEFER.
 */
enum dane_verdict dane_decide(enum dns_status, bool ad, const struct span *,
	    size_t n, struct dane_set **set);
/* A copy of the set; free with free(3). NULL: no memory, or no set. */
struct dane_set *dane_set_dup(const struct dane_set *);
/* "_25._tcp.mx.example.org"; false if it gets too long for a name. */
bool	 dane_name(uint16_t port, const char *base, char *dst, size_t size);
/* As in a zone file, "3 1 1 0d6f…", cut to fit; for people. */
const char *dane_text(struct span rdata, char *dst, size_t size);

#endif
