#!/usr/bin/env python3
"""Reads the reports of TLS in a log of peer.py with Python's parsers of mail and
JSON, and holds them against RFC 8460 and against what tlsrpt.sh has done.

    tlsrpt.py LOG HASH OLD      HASH, OLD: the digests in the TLSA records
"""
import datetime
import email
import email.policy
import json
import sys

LOG, HASH, OLD = sys.argv[1:4]
RESULTS = """starttls-not-supported certificate-host-mismatch
certificate-expired certificate-not-trusted validation-failure tlsa-invalid
dnssec-invalid dane-required sts-policy-fetch-error sts-policy-invalid
sts-webpki-invalid""".split()
STS = ["version: STSv1", "mode: enforce", "max_age: 86400"] + [
    "mx: mx.%s.test" % d for d in ("good", "cert", "forged", "try")]


def check(what, good):
    print("%s - tlsrpt: %s" % ("ok" if good else "not ok", what))


def moment(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")


def read(raw):
    """The message's domain and its report; what is common to all is checked."""
    m = email.message_from_bytes(raw.encode("latin-1"),
                                 policy=email.policy.default)
    bad = []

    def must(good, what):
        if not good:
            bad.append(what)
    domain = m["TLS-Report-Domain"]
    must(m.get_content_type() == "multipart/report" and
         m.get_param("report-type") == "tlsrpt", "type")
    must(m["TLS-Report-Submitter"] == "gw.test", "submitter")
    must(m["TLS-Required"] == "No", "TLS-Required")
    must(str(m["From"]) == "tls@gw.test", "From")
    must(str(m["To"]) == domain.split(".")[0] + "@rpt.test", "To")
    must(m["Subject"].startswith("Report Domain: %s\tSubmitter: gw.test\t"
                                 "Report-ID: <" % domain) or
         m["Subject"].startswith("Report Domain: %s Submitter: gw.test "
                                 "Report-ID: <" % domain), "Subject")
    parts = list(m.iter_parts())
    must([p.get_content_type() for p in parts] ==
         ["text/plain", "application/tlsrpt+json"], "parts")
    r = json.loads(parts[1].get_content())
    name = parts[1].get_filename().rsplit(".", 1)
    must(name[1] == "json", "extension")
    sender, of, begin, end, _ = name[0].split("!")
    must(sender == "gw.test" and of == domain, "file name")
    d = r["date-range"]
    zero = datetime.datetime(1970, 1, 1)
    must((moment(d["start-datetime"]) - zero).total_seconds() == int(begin) and
         (moment(d["end-datetime"]) - zero).total_seconds() == int(end),
         "times")
    must(int(begin) % 86400 == 0 and int(end) - int(begin) < 86400, "a day")
    must(r["organization-name"] == "Our Org" and
         r["contact-info"] == "admin@gw.test" and "@" in r["report-id"],
         "who")
    for p in r["policies"]:
        s, details = p["summary"], p.get("failure-details", [])
        must(s["total-failure-session-count"] ==
             sum(x["failed-session-count"] for x in details), "sums")
        must(all(x["result-type"] in RESULTS for x in details), "results")
    check("the message and report of " + domain +
          (": " + ", ".join(bad) if bad else ""), not bad)
    return domain, r["policies"]


def sums(p):
    return (p["summary"]["total-successful-session-count"],
            p["summary"]["total-failure-session-count"])


def main():
    with open(LOG) as f:
        events = [json.loads(line) for line in f]
    got = dict(read(e["content"]) for e in events if e["event"] == "message"
               and "TLS-Report-Domain" in e["content"])
    check("one for each domain", sorted(got) == sorted(
        d + ".test" for d in "good wrong cert try forged key old bogus "
        "plain".split()))

    def one(domain):
        return got[domain + ".test"][0]

    p = one("good")
    check("a policy of MTA-STS that was kept", p["policy"] == {
        "policy-type": "sts", "policy-string": STS,
        "policy-domain": "good.test", "mx-host": [x[4:] for x in STS[3:]]}
        and sums(p) == (1, 0) and "failure-details" not in p)
    d = one("wrong")["failure-details"][0]
    check("a server that it does not name", d["result-type"] ==
          "validation-failure" and d["receiving-mx-hostname"] ==
          "mx.wrong.test" and "receiving-ip" not in d)
    d = one("cert")["failure-details"][0]
    check("another host's certificate", d["result-type"] ==
          "certificate-host-mismatch" and "mx.cert.test" in
          d["failure-reason-code"] and d["receiving-ip"].startswith("127.")
          and d["sending-mta-ip"].startswith("127."))
    p = one("try")
    check("the same in testing, though the mail was delivered",
          "mode: testing" in p["policy"]["policy-string"] and
          p["failure-details"][0]["result-type"] ==
          "certificate-host-mismatch" and sums(p) == (0, 1))
    both = {p["policy"]["policy-type"]: p for p in got["forged.test"]}
    check("a policy that can't be had", sums(both["no-policy-found"]) == (1, 0)
          and both["sts"]["failure-details"][0]["result-type"] ==
          "sts-webpki-invalid" and sums(both["sts"]) == (0, 1))
    p = one("key")
    check("TLSA records that were matched", p["policy"] == {
        "policy-type": "tlsa", "policy-string": ["3 1 1 " + HASH],
        "policy-domain": "mx.key.test", "mx-host": ["mx.key.test"]} and
        sums(p) == (1, 0))
    p = one("old")
    check("and that were not", p["policy"]["policy-string"] ==
          ["3 1 1 " + OLD] and p["failure-details"][0]["result-type"] ==
          "validation-failure" and sums(p) == (0, 1))
    p = one("plain")
    check("no STARTTLS, no policy", p["policy"] == {
        "policy-type": "no-policy-found", "policy-domain": "plain.test"} and
        p["failure-details"][0]["result-type"] == "starttls-not-supported")
    p = one("bogus")
    check("records with a false signature",
          p["policy"]["policy-type"] == "tlsa" and
          p["failure-details"][0]["result-type"] == "dnssec-invalid")
    print("done")


main()
