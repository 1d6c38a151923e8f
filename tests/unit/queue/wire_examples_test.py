#!/usr/bin/env python3
"""Checks that docs/reference/wire.md shows its examples as they stand in docs/reference/examples/, and that the
authentication that it shows is that of the form before it."""
import base64
import hashlib
import hmac
import pathlib
import re
import sys

folder = pathlib.Path(__file__).resolve().parents[3] / "docs/reference"
page = (folder / "wire.md").read_text()
shown = re.findall(r"<!-- include (\S+) -->\n```\w+\n(.*?)```\n", page, re.S)
wrong = [name for name, text in shown if text != (folder / name).read_text()]
files = {f"examples/{file.name}" for file in (folder / "examples").iterdir()}
wrong += sorted(files - {name for name, _ in shown})
for name in wrong:
    print(f"docs/reference/wire.md does not show {name} as it is")

vectors = re.findall(r"secret `(\w+)`[^`]*```\n(certmill-request-v1\n.*?)```\n\n`hmac-sha256:(\S+)`\n", page, re.S)
for secret, form, auth in vectors:
    digest = hmac.new(secret.encode(), form.encode(), hashlib.sha256).digest()
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != auth:
        print(f"docs/reference/wire.md: hmac-sha256:{auth} is not that of its form")
        wrong.append(auth)
sys.exit(1 if wrong or not shown or not vectors else 0)
