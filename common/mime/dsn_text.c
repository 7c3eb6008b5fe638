/*
 * The part of a notification that is for people: what happened, who said what,
 * and what can be done about it.
 */
#include "common/mime/dsn_i.h"

#define LEADS_MAX	3000	/* bytes of all text but about recipients */

/*
 * What an enhanced status code means (RFC 3463 and its registry), and what
 * sender and administrators can do. Details are looked for from top to bottom;
 * one that ends in a dot stands for all that begin so. Both texts are whole
 * lines with their indentation.
 */
struct advice {
	const char	*detail, *means, *todo;
};
#define LN	"\r\n    "
static const struct advice advices[] = {
	{ "1.2", "The domain of this address does not exist, or it has no"
	    LN "server for mail.",
	    "Look at the part behind the @ for a typing error. If it is right,"
	    LN "the administrator of that domain has to look at its DNS." },
	{ "1.3", "The server does not take this as an address.",
	    "Look at the address for typing errors." },
	{ "1.6", "The mailbox has moved, and it is not known where to.",
	    "Ask the recipient in another way for the new address." },
	{ "1.7", "The server does not accept your own address as a sender.",
	    "Look whether your mail program has your address right, and whether"
	    LN "mail to it arrives; or ask your own administrator." },
	{ "1.8", "The server does not accept your own address as a sender, as its"
	    LN "domain can't be found.",
	    "Look whether your mail program has your address right; or ask your"
	    LN "own administrator about the DNS of your domain." },
	{ "1.10", "The domain of this address says that it takes no mail at all.",
	    "Look at the part behind the @ for a typing error, or reach the"
	    LN "recipient in another way." },
	{ "1.", "There is no such mailbox.",
	    "Look at the address for typing errors, or ask the recipient in"
	    LN "another way for the right one. The administrator there can tell"
	    LN "whether the mailbox has moved or gone." },
	{ "2.1", "The mailbox exists, but it is out of use.",
	    "Reach the recipient in another way. The administrator there can"
	    LN "bring the mailbox back into use." },
	{ "2.2", "The mailbox is full.",
	    "Send the message again later, or tell the recipient in another way,"
	    LN "who has to make room." },
	{ "2.3", "The message is larger than this mailbox takes.",
	    "Send it in smaller parts, or put what is attached where it can be"
	    LN "fetched." },
	{ "2.", "The mailbox could not take the message.",
	    "Send the message again later, or reach the recipient in another"
	    LN "way." },
	{ "3.4", "The message is larger than the server takes.",
	    "Send it in smaller parts, or put what is attached where it can be"
	    LN "fetched." },
	{ "3.1", "The server has no room for the message.",
	    "Send the message again later. The administrator there has to make"
	    LN "room." },
	{ "3.", "The server could not take the message.",
	    "Send the message again later. If that does not help, the"
	    LN "administrator there has to look at the server." },
	{ "4.1", "The server did not answer.",
	    "Send the message again later. If that does not help, the"
	    LN "administrator there has to look at the server and the network." },
	{ "4.2", "The connection to the server was lost.",
	    "Send the message again later. If that does not help, the"
	    LN "administrator there has to look at the server and the network." },
	{ "4.3", "The DNS could not be asked where mail for this domain goes.",
	    "Send the message again later. If that does not help, the"
	    LN "administrator of the domain has to look at its name servers." },
	{ "4.4", "No server was found that takes mail for this domain.",
	    "Look at the part behind the @ for a typing error. If it is right,"
	    LN "the administrator of that domain has to look at its DNS." },
	{ "4.6", "The message went in a circle between servers.",
	    "The administrator of one of these servers has to change where mail"
	    LN "for this address goes." },
	{ "4.7", "The message was too old for the server.",
	    "Send it again." },
	{ "4.", "The message could not be brought to the server.",
	    "Send the message again later. If that does not help, the"
	    LN "administrator there has to look at the server and the network." },
	{ "5.3", "The message had more recipients than the server takes.",
	    "Send it again to fewer recipients at a time." },
	{ "5.", "The servers did not understand one another.",
	    "The administrators on both sides can find the reason with the reply"
	    LN "above." },
	{ "6.7", "The message needs a server that knows addresses and header"
	    LN "fields beyond ASCII, and this one does not.",
	    "Use addresses of ASCII letters alone, if there are such." },
	{ "6.", "The server does not take the content of the message as it is.",
	    "Send it in another format, for example as plain text." },
	{ "7.1", "The server refused the message by its own rules.",
	    "The reply above often says which rule it was, or names a page that"
	    LN "does. The administrator there can allow your mail; yours can find"
	    LN "out why it is refused." },
	{ "7.20", "The server found no valid DKIM signature.",
	    "Ask your own administrator: your mail has to be signed." },
	{ "7.23", "The server does not believe that the message is from your"
	    LN "domain: its SPF record does not name the server it came from.",
	    "Ask your own administrator to look at the SPF record." },
	{ "7.25", "The server wants a valid reverse name of the server that sends"
	    LN "your mail.",
	    "Ask your own administrator to look at the DNS." },
	{ "7.26", "The server does not believe that the message is from your"
	    LN "domain.",
	    "Ask your own administrator to look at SPF, DKIM and DMARC." },
	{ "7.", "The server refused the message, as it is not allowed there.",
	    "The reply above often says why. The administrator there can allow"
	    LN "your mail." },
	{ "", "The reply does not say more.",
	    "The administrator there can tell more; send him this message." },
};
/* Where nothing was tried. */
static const struct advice untried = { "",
	"There was no chance to try it: no server for it could be reached.",
	"Send the message again later. If that does not help, the"
	LN "administrator there has to look at the server and the network." };

static const struct advice *
advice(const struct dsn_rcpt *r)
{
	struct dsn_rcpt	 last = *r;
	struct span	 detail, want;
	char		 status[DSN_STATUSLEN];

	if (r->reply.len == 0)
		return &untried;
	/* What kept it from being delivered until its time was over. */
	last.expired = false;
	detail = span_str(dsn_status(&last, status) + 2);
	for (size_t i = 0;; i++) {
		want = span_str(advices[i].detail);
		if (want.len == 0 || span_eq(detail, want) ||
		    (want.p[want.len - 1] == '.' && span_starts(detail, want)))
			return &advices[i];
	}
}

/* ---- one recipient ---- */

static void
put_name(struct buf *b, const struct dsn_rcpt *r)
{
	buf_str(b, "<");
	dsn_safe(b, r->orig.len > 0 ? r->orig : r->to, true);
	buf_str(b, ">");
	if (r->orig.len > 0 && !span_eq(r->orig, r->to)) {
		buf_str(b, ", by way of\r\n<");
		dsn_safe(b, r->to, true);
		buf_str(b, ">");
	}
	buf_str(b, ":\r\n");
}

static void
put_reply(struct buf *b, const struct dsn_rcpt *r)
{
	struct span	 name, addr;

	if (r->reply.len == 0)
		return;
	dsn_server(r->server, &name, &addr);
	if (name.len > 0) {
		buf_str(b, "    The server ");
		dsn_safe(b, name, false);
		if (addr.len > 0 && !span_eq(name, addr)) {
			buf_str(b, " [");
			dsn_safe(b, addr, false);
			buf_str(b, "]");
		}
		buf_str(b, " said:\r\n      ");
	} else
		buf_str(b, "    What happened:\r\n      ");
	dsn_safe(b, r->reply, true);
	buf_str(b, "\r\n");
}

static void
put_days(struct buf *b, uint64_t ms)
{
	uint64_t	 min = ms / 60000;
	const char	*unit = "minute";

	if (min >= 48 * 60) {
		min /= 24 * 60;
		unit = "day";
	} else if (min >= 120) {
		min /= 60;
		unit = "hour";
	}
	buf_fmt(b, "%llu %s%s", (unsigned long long)min, unit,
	    min == 1 ? "" : "s");
}

static void
put_rcpt(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	const struct advice	*a = advice(r);

	put_name(b, r);
	switch (r->action) {
	case DSN_FAILED:
		if (r->expired) {
			buf_str(b, "    It was not delivered in time: after ");
			put_days(b, d->now_ms > d->arrived_ms ?
			    d->now_ms - d->arrived_ms : 0);
			buf_str(b, " it is\r\n    given up.\r\n");
		}
		put_reply(b, r);
		buf_fmt(b, "    %s\r\n    %s\r\n", a->means, a->todo);
		break;
	case DSN_DELAYED:
		put_reply(b, r);
		buf_fmt(b, "    %s\r\n", a->means);
		break;
	case DSN_DELIVERED:
		buf_str(b, "    delivered.\r\n");
		break;
	case DSN_RELAYED:
		buf_str(b, "    passed on.\r\n");
		put_reply(b, r);
		break;
	case DSN_EXPANDED:
		buf_str(b, "    sent on to the addresses that it stands for."
		    "\r\n");
		break;
	case DSN_NONE:
		break;
	}
	buf_str(b, "\r\n");
}

/* ---- all of it ---- */

static const struct {
	const char	*subject, *lead;
} words[DSN_ACTIONS] = {
	[DSN_FAILED] = { "Your message could not be delivered",
	    "Your message could not be delivered to the recipients below. It will"
	    "\r\nnot be tried again.\r\n" },
	[DSN_DELAYED] = { "Your message is delayed",
	    "Your message could not be delivered to the recipients below so far."
	    "\r\nYou need not send it once more: it will be tried again until"
	    "\r\n" },
	[DSN_DELIVERED] = { "Your message was delivered",
	    "As you wished to know: your message was delivered to the recipients"
	    "\r\nbelow.\r\n" },
	[DSN_RELAYED] = { "Your message was passed on",
	    "As you wished to know: your message was passed on to the servers of"
	    "\r\nthe recipients below. These can't tell you of its delivery, so "
	    "you will\r\nhear no more unless it fails.\r\n" },
	[DSN_EXPANDED] = { "Your message was sent on",
	    "As you wished to know: each address below stands for several "
	    "others,\r\nand your message was sent on to them. You will not hear "
	    "of its delivery\r\nto them unless it fails.\r\n" },
};

const char *
dsn_subject(const struct dsn *d, size_t n)
{
	if (d->double_bounce)
		return "A message could neither be delivered nor returned";
	for (int a = DSN_FAILED; a < DSN_ACTIONS; a++)
		if (dsn_has(d, (enum dsn_action)a, n))
			return words[a].subject;
	return words[DSN_FAILED].subject;
}

static void
put_lead(struct buf *b, const struct dsn *d, enum dsn_action a)
{
	if (d->double_bounce)
		buf_str(b, "A message without a sender could not be delivered "
		    "to the recipients\r\nbelow. There is nobody but you who "
		    "could be told.\r\n");
	else
		buf_str(b, words[a].lead);
	if (a == DSN_DELAYED) {
		dsn_date(b, d, d->until_ms);
		buf_str(b, ".\r\n");
	}
	buf_str(b, "\r\n");
}

/* The first n recipients with this action, as many as there is room for. */
static void
put_section(struct buf *b, const struct dsn *d, enum dsn_action a, size_t n,
    size_t max)
{
	size_t	 more = 0, before;

	if (!dsn_has(d, a, n))
		return;
	put_lead(b, d, a);
	for (size_t i = 0; i < n; i++) {
		if (d->rcpts[i].action != a)
			continue;
		before = buf_len(b);
		if (more == 0)
			put_rcpt(b, d, &d->rcpts[i]);
		if (more > 0 || b->failed || buf_len(b) > max) {
			b->len = b->start + before;
			b->failed = false;
			more++;
		}
	}
	if (more > 0)
		buf_fmt(b, "and %zu more, which the report below names.\r\n"
		    "\r\n", more);
}

void
dsn_text(struct buf *b, const struct dsn *d, size_t n, enum dsn_returned what)
{
	static const char *const ends[] = {
		[DSN_RETURNS_ALL] = "A report for programs and the message "
		    "follow.\r\n",
		[DSN_RETURNS_HEADER] = "A report for programs and the header of "
		    "the message follow.\r\n",
		[DSN_TOO_LONG] = "A report for programs and the header of the "
		    "message follow. The whole\r\nmessage can't be returned: "
		    "it is too long, or has lines that are.\r\n",
		[DSN_RETURNS_NONE] = "A report for programs follows. The "
		    "message itself can't be read any more.\r\n",
	};
	size_t		 room = b->max > LEADS_MAX ? b->max - LEADS_MAX : 0;

	buf_str(b, "This is the mail system at ");
	dsn_safe(b, d->host, false);
	buf_str(b, ".\r\n\r\n");
	for (int a = DSN_FAILED; a < DSN_ACTIONS; a++)
		put_section(b, d, (enum dsn_action)a, n, room);
	buf_str(b, ends[what]);
}
