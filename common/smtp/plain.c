/*
 * The tables of plain.h.
 */
#include "common/smtp/plain.h"

#include "common/smtp/reply.h"

/* RFC 3463, 3 and the registry: subject and detail, whatever the class. */
static const struct { const char *status, *text; } statuses[] = {
	{ "1.0", "Something is wrong with the address" },
	{ "1.1", "No such mailbox" },
	{ "1.2", "No such domain" },
	{ "1.3", "Bad destination mailbox address syntax" },
	{ "1.4", "The address is ambiguous" },
	{ "1.5", "The address is valid" },
	{ "1.6", "The mailbox has moved" },
	{ "1.7", "Bad sender address syntax" },
	{ "1.8", "Bad sender address" },
	{ "1.9", "Relayed to a server without DSN" },
	{ "1.10", "The domain takes no mail" },
	{ "2.0", "Something is wrong with the mailbox" },
	{ "2.1", "The mailbox is disabled" },
	{ "2.2", "The mailbox is full" },
	{ "2.3", "The message is too long for the mailbox" },
	{ "2.4", "The mailing list can't be expanded" },
	{ "3.0", "The mail system has a problem" },
	{ "3.1", "The mail system is full" },
	{ "3.2", "The system takes no messages now" },
	{ "3.3", "The system can't do what is asked" },
	{ "3.4", "The message is too big" },
	{ "3.5", "The system is not set up for it" },
	{ "4.0", "The network has a problem" },
	{ "4.1", "The server does not answer" },
	{ "4.2", "The connection is bad" },
	{ "4.3", "The directory can't be asked" },
	{ "4.4", "There is no route" },
	{ "4.5", "The mail system is congested" },
	{ "4.6", "A routing loop" },
	{ "4.7", "The time for delivery is over" },
	{ "5.0", "A protocol problem" },
	{ "5.1", "Invalid command" },
	{ "5.2", "Syntax error" },
	{ "5.3", "Too many recipients" },
	{ "5.4", "Invalid command arguments" },
	{ "5.5", "Wrong protocol version" },
	{ "5.6", "The authentication exchange is too long" },
	{ "6.0", "The content has a problem" },
	{ "6.1", "The kind of content is not supported" },
	{ "6.2", "A conversion is required and prohibited" },
	{ "6.3", "A conversion is required and not supported" },
	{ "6.4", "The conversion loses something" },
	{ "6.5", "The conversion failed" },
	{ "6.7", "Addresses beyond ASCII are not permitted" },
	{ "6.8", "A reply in UTF-8 is required and not permitted" },
	{ "6.9", "A UTF-8 header can't be passed on" },
	{ "7.0", "Refused by policy" },
	{ "7.1", "Not authorized; the message is refused" },
	{ "7.2", "The list may not be expanded by you" },
	{ "7.3", "A conversion of security is needed" },
	{ "7.4", "A security feature is not supported" },
	{ "7.5", "Cryptographic failure" },
	{ "7.6", "A cryptographic algorithm is not supported" },
	{ "7.7", "The message's integrity is in doubt" },
	{ "7.8", "The credentials are invalid" },
	{ "7.9", "The mechanism is too weak" },
	{ "7.11", "Encryption is required" },
	{ "7.13", "The account is disabled" },
	{ "7.15", "The priority is too low" },
	{ "7.16", "The message is too big for its priority" },
	{ "7.17", "The owner of the mailbox has changed" },
	{ "7.23", "SPF validation failed" },
	{ "7.25", "Reverse DNS validation failed" },
	{ "7.26", "Several authentication checks failed" },
	{ "7.27", "The sender's domain takes no mail" }
};

/* RFC 5321, 4.2.2 and 4.2.3; RFC 4954, 6; RFC 7504. */
static const struct { uint16_t code; const char *text; } codes[] = {
	{ 211, "System status" },
	{ 214, "No help" },
	{ 220, "Service ready" },
	{ 221, "Closing" },
	{ 235, "Authentication succeeded" },
	{ 250, "Ok" },
	{ 251, "User not local; will forward" },
	{ 252, "Not verified; send a message and see" },
	{ 354, "Start mail input; end with <CRLF>.<CRLF>" },
	{ 421, "Service not available, closing" },
	{ 432, "A password transition is needed" },
	{ 450, "The mailbox is not available now" },
	{ 451, "Local error in processing" },
	{ 452, "Insufficient system storage" },
	{ 454, "Temporary authentication failure" },
	{ 455, "Parameters can't be handled now" },
	{ 500, "Command not recognized" },
	{ 501, "Syntax error in parameters" },
	{ 502, "Command not implemented" },
	{ 503, "Bad sequence of commands" },
	{ 504, "Parameter not implemented" },
	{ 521, "No mail here" },
	{ 530, "Authentication is required" },
	{ 534, "The mechanism is too weak" },
	{ 535, "The credentials are invalid" },
	{ 538, "Encryption is required" },
	{ 550, "The mailbox is not available" },
	{ 551, "User not local" },
	{ 552, "Exceeded storage allocation" },
	{ 553, "Mailbox name not allowed" },
	{ 554, "Transaction failed" },
	{ 555, "Parameters not recognized" },
	{ 556, "The domain takes no mail" }
};

static const char *
by_code(uint16_t code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].text;
	return code / 100 == 2 ? "Ok" : code / 100 == 3 ? "Go on" :
	    code / 100 == 4 ? "Temporary failure" : "Failure";
}

/* enh: "5.1.1". That of a success says no more than the code. */
static const char *
by_status(uint16_t code, struct span enh)
{
	struct span	rest = span_sub(enh, 2, enh.len);

	if (code < 400)
		return by_code(code);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (span_is(rest, statuses[i].status))
			return statuses[i].text;
	return by_code(code);
}

bool
smtp_plain(struct buf *to, uint16_t code, struct span text)
{
	struct span	enh;

	if (!smtp_enhanced(code, text, &enh))
		return buf_str(to, by_code(code));
	return buf_span(to, enh) && buf_str(to, " ") &&
	    buf_str(to, by_status(code, enh));
}
