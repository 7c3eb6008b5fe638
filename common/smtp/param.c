/*
 * Parameters of MAIL and RCPT: one table row each, with the function that reads
 * its value; then the writers. A parameter stands once.
 */
#include "common/smtp/param.h"

#include "common/base/enc.h"
#include "common/base/utf8.h"
#include "common/smtp/ehlo.h"
#include "common/smtp/path.h"

#define ENVID_MAX	100	/* RFC 3461, 4.4 */
#define ORCPT_MAX	500	/* RFC 3461, 4.2 */
#define AUTH_MAX	500	/* RFC 4954, 5 */

/* Both commands' results behind one pointer, for the table. */
struct target {
	struct smtp_mail_params	*mail;
	struct smtp_rcpt_params	*rcpt;
};
/* 0, or the code of the reply. has: there was a "=". */
typedef uint16_t param_fn(struct target *, bool has, struct span value);

struct param {
	const char	*name;
	param_fn	*read;
};

/*
 * xtext = *( xchar / hexchar ), RFC 3461, 4. What it stands for has to be
 * printable: it is put into fields of messages later.
 */
static bool
is_xtext(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t	c = s.p[i];
		int	hi, lo;

		if (c <= ' ' || c >= 127 || c == '=')
			return false;
		if (c != '+')
			continue;
		if (s.len - i < 3)
			return false;
		hi = hex_upper(s.p[i + 1]);
		lo = hex_upper(s.p[i + 2]);
		if (hi < 2 || hi > 7 || lo < 0 || (hi == 7 && lo == 15))
			return false;
		i += 2;
	}
	return true;
}

/* RFC 1870, 3: size-value = 1*20DIGIT. More than 64 bits hold is "more". */
static uint16_t
read_size(struct target *t, bool has, struct span v)
{
	if (!has || v.len == 0 || v.len > 20)
		return 501;
	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return 501;
	}
	t->mail->size_set = true;
	if (!span_u64(v, UINT64_MAX, &t->mail->size))
		t->mail->size = UINT64_MAX;
	return 0;
}

/* RFC 6152, 2; RFC 3030, 3. */
static uint16_t
read_body(struct target *t, bool has, struct span v)
{
	if (has && span_caseis(v, "7BIT"))
		t->mail->body = BODY_7BIT;
	else if (has && span_caseis(v, "8BITMIME"))
		t->mail->body = BODY_8BITMIME;
	else
		return has && span_caseis(v, "BINARYMIME") ? 504 : 501;
	return 0;
}

/* RFC 6531, 3.4. */
static uint16_t
read_utf8(struct target *t, bool has, struct span v)
{
	(void)v;
	t->mail->utf8 = true;
	return has ? 501 : 0;
}

/* draft-hall-prdr, 4. */
static uint16_t
read_prdr(struct target *t, bool has, struct span v)
{
	(void)v;
	t->mail->prdr = true;
	return has ? 501 : 0;
}

/* RFC 8689, 2. */
static uint16_t
read_requiretls(struct target *t, bool has, struct span v)
{
	(void)v;
	t->mail->requiretls = true;
	return has ? 501 : 0;
}

/* RFC 3461, 4.3. */
static uint16_t
read_ret(struct target *t, bool has, struct span v)
{
	if (has && span_caseis(v, "FULL"))
		t->mail->ret = RET_FULL;
	else if (has && span_caseis(v, "HDRS"))
		t->mail->ret = RET_HDRS;
	else
		return 501;
	return 0;
}

/* RFC 3461, 4.4. */
static uint16_t
read_envid(struct target *t, bool has, struct span v)
{
	if (!has || v.len == 0 || v.len > ENVID_MAX || !is_xtext(v))
		return 501;
	t->mail->envid = v;
	return 0;
}

/* RFC 4954, 5: AUTH=<xtext of a mailbox> or AUTH=<>. */
static uint16_t
read_auth(struct target *t, bool has, struct span v)
{
	if (!has || v.len == 0 || v.len > AUTH_MAX ||
	    (!span_is(v, "<>") && !is_xtext(v)))
		return 501;
	t->mail->auth = v;
	return 0;
}

/* RFC 3461, 4.1: NEVER stands alone. */
static uint16_t
read_notify(struct target *t, bool has, struct span v)
{
	static const struct { const char *name; uint8_t bit; } list[] = {
		{ "NEVER", NOTIFY_NEVER },
		{ "SUCCESS", NOTIFY_SUCCESS },
		{ "FAILURE", NOTIFY_FAILURE },
		{ "DELAY", NOTIFY_DELAY },
	};
	uint8_t	bits = 0;
	size_t	i, n;

	if (!has)
		return 501;
	for (;;) {
		n = span_find(v, ',');
		for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
			if (span_caseis(span_sub(v, 0, n), list[i].name))
				break;
		}
		if (i == sizeof(list) / sizeof(list[0]))
			return 501;
		bits |= list[i].bit;
		if (n >= v.len)
			break;
		span_skip(&v, n + 1);
	}
	if ((bits & NOTIFY_NEVER) && bits != NOTIFY_NEVER)
		return 501;
	t->rcpt->notify = bits;
	return 0;
}

/*
 * RFC 3461, 4.2: original-recipient-address = addr-type ";" xtext. With type
 * utf-8 (RFC 6533, 3) the address may be UTF-8.
 */
static uint16_t
read_orcpt(struct target *t, bool has, struct span v)
{
	size_t		n = span_find(v, ';');
	struct span	type = span_sub(v, 0, n);
	struct span	addr = span_sub(v, n + 1, v.len);

	if (!has || n == 0 || n >= v.len || v.len > ORCPT_MAX ||
	    addr.len == 0)
		return 501;
	for (size_t i = 0; i < type.len; i++) {
		uint8_t	c = type.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || c == '-' || c == '_'))
			return 501;
	}
	if (!is_xtext(addr) &&
	    !(span_caseis(type, "utf-8") && !utf8_is_ascii(addr)))
		return 501;
	t->rcpt->orcpt = v;
	return 0;
}

static const struct param mail_table[] = {
	{ "SIZE", read_size },
	{ "BODY", read_body },
	{ "SMTPUTF8", read_utf8 },
	{ "RET", read_ret },
	{ "ENVID", read_envid },
	{ "AUTH", read_auth },
	{ "PRDR", read_prdr },
	{ "REQUIRETLS", read_requiretls },
	{ NULL, NULL }
};
static const struct param rcpt_table[] = {
	{ "NOTIFY", read_notify },
	{ "ORCPT", read_orcpt },
	{ NULL, NULL }
};

/* esmtp-value = 1*(%d33-60 / %d62-126), UTF8-non-ascii by RFC 6531, 3.3. */
static bool
value_ok(struct span v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] <= ' ' || v.p[i] == '=' || v.p[i] == 127)
			return false;
	}
	return v.len > 0 && utf8_valid(v);
}

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool
keyword_ok(struct span k)
{
	for (size_t i = 0; i < k.len; i++) {
		uint8_t	c = k.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || (c == '-' && i > 0)))
			return false;
	}
	return k.len > 0;
}

static enum parse
bad(uint16_t is, const char *text, uint16_t *code, const char **why)
{
	*code = is;
	*why = text;
	return PARSE_BAD;
}

/* One esmtp-param = esmtp-keyword ["=" esmtp-value]. */
static enum parse
one_param(struct span word, const struct param *table, struct target *t,
    unsigned *seen, uint16_t *code, const char **why)
{
	size_t		eq = span_find(word, '=');
	struct span	key = span_sub(word, 0, eq);
	struct span	value = span_sub(word, eq + 1, word.len);
	bool		has = eq < word.len;
	uint16_t	c;

	if (!keyword_ok(key) || (has && !value_ok(value)))
		return bad(501, "malformed parameter", code, why);
	for (unsigned i = 0; table[i].name != NULL; i++) {
		if (!span_caseis(key, table[i].name))
			continue;
		if (*seen & 1U << i)
			return bad(501, "a parameter stands twice", code, why);
		*seen |= 1U << i;
		if ((c = table[i].read(t, has, value)) == 0)
			return PARSE_OK;
		return bad(c, c == 504 ? "parameter value not implemented" :
		    "malformed parameter value", code, why);
	}
	return bad(555, "unknown parameter", code, why);
}

static enum parse
all_params(struct span in, const struct param *table, struct target *t,
    uint16_t *code, const char **why)
{
	unsigned	seen = 0;
	size_t		n;

	if (in.len > 0 && in.p[0] != ' ')
		return bad(501, "a space follows the address", code, why);
	for (;;) {
		while (in.len > 0 && in.p[0] == ' ')
			span_skip(&in, 1);
		if (in.len == 0)
			return PARSE_OK;
		n = span_find(in, ' ');
		if (one_param(span_sub(in, 0, n), table, t, &seen, code,
		    why) != PARSE_OK)
			return PARSE_BAD;
		span_skip(&in, n);
	}
}

enum parse
smtp_mail_params(struct span in, struct smtp_mail_params *p, uint16_t *code,
    const char **why)
{
	*p = (struct smtp_mail_params){ 0 };
	return all_params(in, mail_table, &(struct target){ .mail = p }, code,
	    why);
}

enum parse
smtp_rcpt_params(struct span in, struct smtp_rcpt_params *p, uint16_t *code,
    const char **why)
{
	*p = (struct smtp_rcpt_params){ 0 };
	return all_params(in, rcpt_table, &(struct target){ .rcpt = p }, code,
	    why);
}

/* "FROM:" or "TO:", then the path. Its UTF-8 is judged by the caller. */
static bool
keyword_path(struct span *arg, const char *keyword, bool null,
    struct smtp_path *path, uint16_t *code, const char **why)
{
	*code = 501;
	if (!span_casestarts(*arg, span_str(keyword))) {
		*why = null ? "MAIL FROM:<address> is the syntax" :
		    "RCPT TO:<address> is the syntax";
		return false;
	}
	span_skip(arg, strlen(keyword));
	while (arg->len > 0 && arg->p[0] == ' ')
		span_skip(arg, 1);
	return smtp_path_parse(arg, true, null, path, why) == PARSE_OK;
}

static enum parse
check_utf8(bool has, bool allowed, uint16_t *code, const char **why)
{
	if (!has || allowed)
		return PARSE_OK;
	/* RFC 6531, 3.5. */
	return bad(553, "non-ASCII address without SMTPUTF8", code, why);
}

enum parse
smtp_mail_parse(struct span arg, struct smtp_path *path,
    struct smtp_mail_params *p, uint16_t *code, const char **why)
{
	if (!keyword_path(&arg, "FROM:", true, path, code, why) ||
	    smtp_mail_params(arg, p, code, why) != PARSE_OK)
		return PARSE_BAD;
	return check_utf8(path->utf8, p->utf8, code, why);
}

enum parse
smtp_rcpt_parse(struct span arg, bool utf8, struct smtp_path *path,
    struct smtp_rcpt_params *p, uint16_t *code, const char **why)
{
	if (!keyword_path(&arg, "TO:", false, path, code, why) ||
	    smtp_rcpt_params(arg, p, code, why) != PARSE_OK)
		return PARSE_BAD;
	return check_utf8(path->utf8 || !utf8_is_ascii(p->orcpt), utf8, code,
	    why);
}

bool
smtp_mail_params_write(struct buf *b, const struct smtp_mail_params *p,
    uint32_t caps)
{
	bool	ok = true;

	if (p->size_set && (caps & CAP_SIZE))
		ok = ok && buf_fmt(b, " SIZE=%llu",
		    (unsigned long long)p->size);
	if (p->body != BODY_NONE && (caps & CAP_8BITMIME))
		ok = ok && buf_str(b, p->body == BODY_7BIT ? " BODY=7BIT" :
		    " BODY=8BITMIME");
	if (p->utf8)
		ok = ok && buf_str(b, " SMTPUTF8");
	if (p->requiretls)
		ok = ok && buf_str(b, " REQUIRETLS");
	if (p->ret != RET_NONE && (caps & CAP_DSN))
		ok = ok && buf_str(b, p->ret == RET_FULL ? " RET=FULL" :
		    " RET=HDRS");
	if (p->envid.len > 0 && (caps & CAP_DSN))
		ok = ok && buf_str(b, " ENVID=") && buf_span(b, p->envid);
	if (p->auth.len > 0 && (caps & CAP_AUTH))
		ok = ok && buf_str(b, " AUTH=") && buf_span(b, p->auth);
	return ok;
}

bool
smtp_rcpt_params_write(struct buf *b, const struct smtp_rcpt_params *p,
    uint32_t caps)
{
	static const struct { uint8_t bit; const char *name; } list[] = {
		{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" },
	};
	const char	*sep = " NOTIFY=";

	if (!(caps & CAP_DSN))
		return true;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		if (!(p->notify & list[i].bit))
			continue;
		if (!buf_str(b, sep) || !buf_str(b, list[i].name))
			return false;
		sep = ",";
	}
	return p->orcpt.len == 0 ||
	    (buf_str(b, " ORCPT=") && buf_span(b, p->orcpt));
}
