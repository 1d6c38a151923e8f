"""Requests that are signed as docs/reference/wire.md says, written down independently of the engine's C."""
import base64
import hashlib
import hmac
import os
import subprocess
import tempfile
import time

from redis_client import to_bytes

ORDER = ("op", "id", "requester", "device", "csr", "profile", "serial", "reason", "invalidity", "why", "priority",
         "time")


def canonical(fields):
    """fields: {name: value}"""
    lines = [b"certmill-request-v1\n"]
    for name in ORDER:
        if name in fields:
            value = to_bytes(fields[name])
            if name == "csr":
                name, value = "csr-sha256", hashlib.sha256(value).hexdigest().encode()
            lines.append(b"%s %d %s\n" % (name.encode(), len(value), value))
    return b"".join(lines)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hmac_auth(secret):
    return lambda text: "hmac-sha256:" + base64url(hmac.new(to_bytes(secret), text, hashlib.sha256).digest())


def ed25519_auth(key_file):
    def sign(text):
        with tempfile.NamedTemporaryFile() as file:
            file.write(text)
            file.flush()
            done = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key_file, "-in", file.name],
                                  check=True, capture_output=True)
        return "ed25519:" + base64url(done.stdout)
    return sign


def make_key(folder, name):
    """An Ed25519 key pair: the files of the private and the public key."""
    private, public = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".pub.pem")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def now_ms():
    return int(time.time() * 1000)


def signed(words, sign, time_ms=None):
    """The words of an entry (name, value, name, value, ...), with time and auth."""
    fields = dict(zip(words[::2], words[1::2]))
    fields["time"] = str(now_ms() if time_ms is None else time_ms)
    fields["auth"] = sign(canonical(fields))
    return [word for pair in fields.items() for word in pair]
