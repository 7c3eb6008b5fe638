"""The client's side of SASL mechanisms for tests: auth(smtp, mech, user,
password) goes through an exchange and gives the last reply and all its lines, as
bytes, with "C" or "S" in front. Standard library only."""
import base64
import hashlib
import hmac
import os


def b64(b):
    return base64.b64encode(b)


def un64(t):
    return base64.b64decode(t)


class Exchange:
    def __init__(self, smtp):
        self.s, self.lines = smtp, []

    def say(self, line):
        self.lines.append(b"C" + line)
        code, text = self.s.cmd(line)
        self.lines.append(b"S%d %s" % (code, text.encode()))
        return code, text


def scram(x, name, user, password):
    h = {b"SCRAM-SHA-1": "sha1", b"SCRAM-SHA-256": "sha256"}[name]
    user = user.replace(b"=", b"=3D").replace(b",", b"=2C")
    nonce = b64(os.urandom(12))
    bare = b"n=" + user + b",r=" + nonce
    code, text = x.say(b"AUTH " + name + b" " + b64(b"n,," + bare))
    if code != 334:
        return code, text
    first = un64(text)
    got = dict(p.split(b"=", 1) for p in first.split(b","))
    if not got[b"r"].startswith(nonce):
        raise ValueError("another nonce")
    salted = hashlib.pbkdf2_hmac(h, password, un64(got[b"s"]), int(got[b"i"]))
    final = b"c=biws,r=" + got[b"r"]
    message = b",".join((bare, first, final))
    key = hmac.digest(salted, b"Client Key", h)
    sig = hmac.digest(hashlib.new(h, key).digest(), message, h)
    proof = bytes(a ^ b for a, b in zip(key, sig))
    code, text = x.say(b64(final + b",p=" + b64(proof)))
    if code != 334:
        return code, text
    v = hmac.digest(hmac.digest(salted, b"Server Key", h), message, h)
    if un64(text) != b"v=" + b64(v):
        raise ValueError("the server does not know the password")
    return x.say(b"")


def auth(smtp, mech, user, password):
    x = Exchange(smtp)
    u, p = user.encode(), password.encode()
    if mech == "PLAIN":
        got = x.say(b"AUTH PLAIN " + b64(b"\0" + u + b"\0" + p))
    elif mech == "PLAIN2":              # without an initial response
        got = x.say(b"AUTH PLAIN")
        if got[0] == 334:
            got = x.say(b64(b"\0" + u + b"\0" + p))
    elif mech == "LOGIN":
        got = x.say(b"AUTH LOGIN")
        for answer in (u, p):
            if got[0] == 334:
                got = x.say(b64(answer))
    elif mech == "LOGIN2":              # the name at once
        got = x.say(b"AUTH LOGIN " + b64(u))
        if got[0] == 334:
            got = x.say(b64(p))
    elif mech == "CRAM-MD5":
        got = x.say(b"AUTH CRAM-MD5")
        if got[0] == 334:
            d = hmac.new(p, un64(got[1]), "md5").hexdigest().encode()
            got = x.say(b64(u + b" " + d))
    elif mech.startswith("SCRAM-"):
        got = scram(x, mech.encode(), u, p)
    elif mech == "XOAUTH2":
        got = x.say(b"AUTH XOAUTH2 " + b64(
            b"user=" + u + b"\1auth=Bearer " + p + b"\1\1"))
    elif mech == "OAUTHBEARER":
        got = x.say(b"AUTH OAUTHBEARER " + b64(
            b"n,a=" + u + b",\1host=h\1port=587\1auth=Bearer " + p + b"\1\1"))
    else:
        raise ValueError(mech)
    return got, x.lines
