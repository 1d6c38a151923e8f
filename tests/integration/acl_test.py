#!/usr/bin/env python3
"""The access rights of docs/reference/wire.md, as they stand there: enough for engine and requester, and no more."""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
from deployment import SOURCE, RedisServer, free_port, scratch
from redis_client import RedisError

PASSWORD = "correct-horse-battery"
EVERY_KEY = ["certmill:requests", "certmill:results:line-1", "certmill:results:line-2", "certmill:ca:issuing-1",
             "certmill:dead", "other"]


def documented():
    """{user: words of its ACL SETUSER}; what stands in parentheses is one word."""
    with open(os.path.join(SOURCE, "docs/reference/wire.md"), encoding="utf-8") as file:
        lines = re.findall(r"(?m)^ACL SETUSER (\S+) +(.*)$", file.read())
    return {user: [">" + PASSWORD if word == ">..." else word for word in re.findall(r"\([^)]*\)|\S+", words)]
            for user, words in lines}


class Acl(case.Case):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        case.Case.redis = RedisServer(scratch(), options=["--port", str(cls.port), "--bind", "127.0.0.1"])

    def setUp(self):
        self.admin = case.Case.redis.client()
        self.addCleanup(self.admin.close)
        self.admin.call("FLUSHALL")
        for user, words in documented().items():
            self.admin.call("ACL", "SETUSER", user, "reset", *words)
        self.admin.call("ACL", "LOG", "RESET")

    def denied(self):
        """What users were refused: {(user, command or key)}."""
        entries = [dict(zip(entry[::2], entry[1::2])) for entry in self.admin.call("ACL", "LOG")]
        return {(entry[b"username"].decode(), entry[b"object"].decode()) for entry in entries}

    def log_in(self, user):
        client = case.Case.redis.client()
        self.addCleanup(client.close)
        client.call("AUTH", user, PASSWORD)
        return client

    def deploy_for(self, count):
        """An engine that logs in as certmill; requests are line-1's."""
        requests = self.deploy("certmill", count, lease="1s", deliveries_max=2)
        for request in requests:
            request.requester = "line-1"
        with open(os.path.join(self.deployment.folder, "password"), "w", encoding="ascii") as file:
            file.write(PASSWORD + "\n")
        os.chmod(os.path.join(self.deployment.folder, "password"), 0o600)
        self.deployment.edit(r"(?m)^  - name: local$", "  - name: line-1")
        self.use("certmill")
        self.deployment.edit(r"(?m)^    url: .*$", rf"\g<0>\n    password: file:password")
        return requests

    def use(self, user):
        self.deployment.edit(r"(?m)^    url: .*$", f"    url: redis://{user}@127.0.0.1:{self.port}")

    def answered(self, engine, requests):
        self.backend.requests += requests
        self.backend.collect("line-1")
        self.backend.wait_empty()
        self.stop(engine)
        self.backend.collect("line-1")
        self.assertEqual(self.backend.missing(), [])

    def test_the_engine_has_what_it_needs(self):
        requests = self.deploy_for(60)
        engine = self.start()
        self.backend.push_raw([request.fields() for request in requests[:30]])
        self.backend.push_raw([["id", "x", "requester", "nobody"]])  # to be set aside
        self.answered(engine, requests[:30])
        self.assertEqual(self.admin.call("XLEN", "certmill:dead"), 1)
        # What another engine has left behind is claimed, and counted.
        self.backend.push_raw([request.fields() for request in requests[30:]])
        self.admin.call("XREADGROUP", "GROUP", "certmill", "dead", "COUNT", "100", "STREAMS", "certmill:requests", ">")
        engine = self.start()
        self.answered(engine, requests[30:])
        # One that stops with requests in hand gives them back.
        engine = self.start()
        self.backend.push_raw([request.fields() for request in requests] * 20)
        self.stop(engine)
        self.assertEqual(self.denied(), set())

    def run_example(self, device, csr_file):
        """submit-redis-cli as line-1, in the folder of the CSR; where it wrote the certificate."""
        words = f"redis-cli -p {self.port} --user line-1 --pass {PASSWORD} --no-auth-warning"
        folder = os.path.dirname(csr_file)
        done = subprocess.run([os.path.join(SOURCE, "docs/reference/examples/submit-redis-cli"), "line-1", device, csr_file],
                              env=dict(os.environ, REDIS_CLI=words), cwd=folder, capture_output=True, check=False,
                              timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return os.path.join(folder, device + ".cer")

    def test_submit_and_the_example_have_what_they_need(self):
        requests = self.deploy_for(2)
        engine = self.start()
        paths = [os.path.join(scratch(), request.device + ".csr") for request in requests]
        for path, request in zip(paths, requests):
            with open(path, "wb") as file:
                file.write(request.csr)
        self.use("line-1")
        done = self.deployment.run("submit", "--requester", "line-1", "--timeout", "10", paths[0])
        self.assertEqual(done.stdout.count(b"BEGIN CERTIFICATE"), 2)
        self.admin.call("ACL", "SETUSER", "line-1", "reset",
                        *(word.replace("(+xread ", "(+eval +xread ") for word in documented()["line-1"]))
        with open(self.run_example(requests[1].device, paths[1]), "rb") as file:
            self.assertIn(requests[1].device.encode(), file.read())
        client = self.log_in("line-1")
        row = client.call("XRANGE", "certmill:results:line-1", "-", "+")[0]
        self.assertEqual(client.call("XDEL", "certmill:results:line-1", row[0]), 1)
        self.assertEqual(self.denied(), set())
        self.stop(engine)

    def test_a_requester_can_do_nothing_else(self):
        for key in EVERY_KEY:
            self.admin.call("XADD", key, "1-1", "a", "b") if "ca:" not in key else self.admin.call("SET", key, "pem")
        client = self.log_in("line-1")
        allowed = {("XADD", "certmill:requests"), ("XRANGE", "certmill:results:line-1"), ("GET", "certmill:ca:issuing-1"),
                   ("XREVRANGE", "certmill:results:line-1"), ("XREAD", "certmill:results:line-1"),
                   ("XDEL", "certmill:results:line-1")}
        commands = {"XADD": ["KEY", "*", "a", "b"], "XRANGE": ["KEY", "-", "+"], "XREVRANGE": ["KEY", "+", "-"],
                    "XREAD": ["STREAMS", "KEY", "0"], "XDEL": ["KEY", "9-9"], "GET": ["KEY"], "SET": ["KEY", "x"],
                    "DEL": ["KEY"], "XTRIM": ["KEY", "MAXLEN", "0"], "XGROUP": ["CREATE", "KEY", "g", "0"],
                    "XLEN": ["KEY"], "EXPIRE": ["KEY", "1"], "RENAME": ["KEY", "x"], "DUMP": ["KEY"]}
        found = set()
        for command, words in commands.items():
            for key in EVERY_KEY:
                try:
                    client.call(command, *(key if word == "KEY" else word for word in words))
                    found.add((command, key))
                except RedisError as error:
                    if not str(error).startswith("NOPERM"):
                        found.add((command, key))
        self.assertEqual(found, allowed)
        for words in (["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["ACL", "LIST"], ["SAVE"],
                      ["EVAL", "return 1", "0"], ["SHUTDOWN"], ["SUBSCRIBE", "x"], ["MONITOR"], ["CLIENT", "LIST"]):
            with self.assertRaisesRegex(RedisError, "NOPERM"):
                client.call(*words)

    def test_the_engine_cannot_touch_other_keys_or_the_server(self):
        client = self.log_in("certmill")
        for words in (["SET", "other", "x"], ["XADD", "other", "*", "a", "b"], ["KEYS", "*"], ["FLUSHALL"],
                      ["CONFIG", "GET", "*"], ["DEL", "certmill:requests"], ["XTRIM", "certmill:requests", "MAXLEN", "0"],
                      ["XGROUP", "DESTROY", "certmill:requests", "certmill"], ["ACL", "LIST"], ["SHUTDOWN"]):
            with self.assertRaisesRegex(RedisError, "NOPERM"):
                client.call(*words)


if __name__ == "__main__":
    case.main()
