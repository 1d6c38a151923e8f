#!/usr/bin/env python3
"""Pushes certificate requests with redis-py and saves the certificates.

  submit.py URL REQUESTER CSR_FILE...      e.g. submit.py unix:///run/redis/redis.sock line-1 device-1.csr

A device is named like its file. Needs: pip install redis

PER_ENTRY=16 puts up to 16 requests into one entry of the stream. Results are read one or several an entry, as they come.

For a requester that must authenticate its requests: AUTH_SECRET=FILE (its secret) or AUTH_KEY=FILE (its Ed25519
private key, PEM; needs: pip install cryptography).
"""
import base64
import hashlib
import hmac
import os
import pathlib
import sys
import time

import redis

SIGNED = ("op", "id", "requester", "device", "csr", "profile", "serial", "reason", "invalidity", "why", "priority",
          "time")


def canonical(fields):
    """A line for each field in a fixed order, "name octets value"; the csr as its SHA-256."""
    text = b"certmill-request-v1\n"
    for name in SIGNED:
        if name not in fields:
            continue
        value = fields[name] if isinstance(fields[name], bytes) else fields[name].encode()
        if name == "csr":
            name, value = "csr-sha256", hashlib.sha256(value).hexdigest().encode()
        text += b"%s %d %s\n" % (name.encode(), len(value), value)
    return text


def sign_with_secret(path):
    secret = pathlib.Path(path).read_bytes().removesuffix(b"\n")
    return "hmac-sha256", lambda text: hmac.new(secret, text, hashlib.sha256).digest()


def sign_with_key(path):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    return "ed25519", load_pem_private_key(pathlib.Path(path).read_bytes(), password=None).sign


def choose_signer():
    """The method and what signs; None where the requester need not authenticate."""
    if "AUTH_SECRET" in os.environ:
        return sign_with_secret(os.environ["AUTH_SECRET"])
    if "AUTH_KEY" in os.environ:
        return sign_with_key(os.environ["AUTH_KEY"])
    return None


def authenticate(fields, signer):
    method, sign = signer
    fields["time"] = str(int(time.time() * 1000))
    fields["auth"] = f"{method}:{base64.urlsafe_b64encode(sign(canonical(fields))).decode().rstrip('=')}"


def pack(requests):
    """Several requests in one entry: each field gets the number of its request."""
    if len(requests) == 1:
        return requests[0]
    return {f"{name}.{number}": value
            for number, fields in enumerate(requests, 1) for name, value in fields.items()}


def unpack(entry):
    """The results of an entry: those with numbers, each with what has none; or the only one."""
    shared, numbered = {}, {}
    for name, value in entry.items():
        plain, dot, number = name.partition(b".")
        (numbered.setdefault(number, {}) if dot else shared)[plain] = value
    return [{**shared, **fields} for fields in numbered.values()] or [shared]


def main(url, requester, files):
    queue = redis.Redis.from_url(url)
    signer = choose_signer()
    results = f"certmill:results:{requester}"

    # Where the results end now: nothing that answers us can come before it.
    newest = queue.xrevrange(results, count=1)
    last = newest[0][0] if newest else b"0-0"

    waiting, requests = {}, []
    for file in map(pathlib.Path, files):
        csr = file.read_bytes()
        # The same id for the same request: pushing it again, after a doubt, changes nothing.
        request_id = hashlib.sha256(file.stem.encode() + b"\0" + csr).hexdigest()[:32]
        waiting[request_id.encode()] = file
        fields = {"op": "issue", "id": request_id, "requester": requester, "device": file.stem, "csr": csr}
        if signer:
            authenticate(fields, signer)
        requests.append(fields)
    pipeline = queue.pipeline(transaction=False)
    per_entry = int(os.environ.get("PER_ENTRY", 1))
    for at in range(0, len(requests), per_entry):
        pipeline.xadd("certmill:requests", pack(requests[at:at + per_entry]))
    pipeline.execute()

    refused = 0
    while waiting:
        answer = queue.xread({results: last}, count=500, block=30000)
        if not answer:
            sys.exit(f"no result within 30 seconds for {len(waiting)} requests")
        last = answer[0][1][-1][0]
        for fields in (result for _, entry in answer[0][1] for result in unpack(entry)):
            file = waiting.pop(fields.get(b"id"), None)
            if file is None:
                continue  # another process's request, or a result that came twice
            if fields[b"status"] == b"issued":
                file.with_suffix(".cer").write_bytes(fields[b"certificate"])
                print(f"{file}: issued, serial {fields[b'serial'].decode()}")
            else:
                refused += 1
                print(f"{file}: {fields[b'status'].decode()}"
                      f" {fields.get(b'code', b'').decode()}: {fields.get(b'message', b'').decode()}")
    return 1 if refused else 0


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
