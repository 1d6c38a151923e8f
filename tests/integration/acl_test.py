#!/usr/bin/env python3
"""The access rights of docs/reference/wire.md, as they stand there: enough for engine and requester, and no more."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
from deployment import SOURCE, scratch, wait_until
from redis_client import RedisError

PASSWORD = "correct-horse-battery"


def documented():
    """{user: words of its ACL SETUSER}"""
    with open(os.path.join(SOURCE, "docs/reference/wire.md"), encoding="utf-8") as file:
        lines = re.findall(r"(?m)^ACL SETUSER (\S+) +(.*)$", file.read())
    return {user: [">" + PASSWORD if word == ">..." else word for word in words.split()] for user, words in lines}


class Acl(case.Case):
    def setUp(self):
        admin = case.Case.redis.client()
        self.addCleanup(admin.close)
        for user, words in documented().items():
            admin.call("ACL", "DELUSER", user)
            admin.call("ACL", "SETUSER", user, *words)
        admin.call("ACL", "LOG", "RESET")
        self.admin = admin

    def denied(self):
        """The commands that users were refused, and their objects."""
        entries = [dict(zip(entry[::2], entry[1::2])) for entry in self.admin.call("ACL", "LOG")]
        return {(entry[b"username"].decode(), entry[b"object"].decode()) for entry in entries}

    def log_in(self, user):
        client = case.Case.redis.client()
        self.addCleanup(client.close)
        client.call("AUTH", user, PASSWORD)
        return client

    def deploy_as(self, user, count):
        """The engine and submit log in as this user; the requester is line-1."""
        requests = self.deploy("certmill", count, lease="1s")
        for request in requests:
            request.requester = "line-1"
        path = os.path.join(self.deployment.folder, "password")
        with open(path, "w", encoding="ascii") as file:
            file.write(PASSWORD + "\n")
        os.chmod(path, 0o600)
        self.deployment.edit(r"(?m)^  - name: local$", "  - name: line-1")
        self.log_in_as(user)
        return requests

    def log_in_as(self, user):
        url = f"unix://{case.Case.redis.socket}"
        if user:
            # A user's name has no place in the URL of a socket: it is the default user there.
            self.admin.call("ACL", "SETUSER", "default", "on", "nopass", "~*", "+@all")
        self.deployment.edit(r"(?m)^    url: .*$", f"    url: {url}")

    def push_as(self, user, requests):
        client = self.log_in(user)
        client.pipeline([["XADD", "certmill:requests", "*", *request.fields()] for request in requests])
        return client

    def test_the_documented_users_are_there(self):
        self.assertEqual(sorted(documented()), ["certmill", "line-1"])


if __name__ == "__main__":
    case.main()
