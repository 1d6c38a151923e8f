#!/usr/bin/env python3
"""Pushes certificate requests with redis-py and saves the certificates.

  submit.py URL REQUESTER CSR_FILE...      e.g. submit.py unix:///run/redis/redis.sock line-1 device-1.csr

A device is named like its file. Needs: pip install redis
"""
import hashlib
import pathlib
import sys

import redis


def main(url, requester, files):
    queue = redis.Redis.from_url(url)
    results = f"certmill:results:{requester}"

    # Where the results end now: nothing that answers us can come before it.
    newest = queue.xrevrange(results, count=1)
    last = newest[0][0] if newest else b"0-0"

    waiting = {}
    pipeline = queue.pipeline(transaction=False)
    for file in map(pathlib.Path, files):
        csr = file.read_bytes()
        # The same id for the same request: pushing it again, after a doubt, changes nothing.
        request_id = hashlib.sha256(file.stem.encode() + b"\0" + csr).hexdigest()[:32]
        waiting[request_id.encode()] = file
        pipeline.xadd("certmill:requests", {"op": "issue", "id": request_id, "requester": requester,
                                            "device": file.stem, "csr": csr})
    pipeline.execute()

    refused = 0
    while waiting:
        answer = queue.xread({results: last}, count=500, block=30000)
        if not answer:
            sys.exit(f"no result within 30 seconds for {len(waiting)} requests")
        for last, fields in answer[0][1]:
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
