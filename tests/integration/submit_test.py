#!/usr/bin/env python3
"""Requesters as they come: `certmill submit`, and the examples of docs/reference/wire.md as they stand there."""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import auth
import case
import checker
from deployment import SOURCE, scratch

EXAMPLES = os.path.join(SOURCE, "docs/reference/examples")
STAND_INS = os.path.join(SOURCE, "tests/support/stand_ins")
SECRET = "correct horse battery staple"


class Submit(case.Case):
    def deploy_files(self, count, method=None):
        """Devices, and their CSRs in files; the requester authenticates by this method."""
        requests = self.deploy("certmill", count)
        self.folder = scratch()
        self.files = [os.path.join(self.folder, request.device + ".csr") for request in requests]
        for request, path in zip(requests, self.files):
            with open(path, "wb") as file:
                file.write(request.csr)
        self.secret = os.path.join(self.deployment.folder, "secret")
        with open(self.secret, "w", encoding="ascii") as file:
            file.write(SECRET + "\n")
        os.chmod(self.secret, 0o600)
        self.key, _ = auth.make_key(self.deployment.folder, "requester")
        keys = {"hmac-sha256": "secret: file:secret", "ed25519": "public-keys: [requester.pub.pem]"}
        if method:
            self.deployment.edit(r"(?m)^  - name: local$", rf"\g<0>\n    auth: {method}\n    {keys[method]}")
        return requests

    def certificates(self, engine):
        self.stop(engine)
        store = checker.Store(self.deployment.store)
        self.assertEqual(store.refusals, [])
        return len(store.certificates)

    def submit(self, *options, check=True):
        return self.deployment.run("submit", "--timeout", "10", *options, *self.files, check=check)

    def test_submit_signs_as_the_settings_ask(self):
        for method, options in ((None, ()), ("hmac-sha256", ()), ("ed25519", ("--auth-key", "KEY"))):
            with self.subTest(method=method):
                self.deploy_files(3, method)
                engine = self.start()
                done = self.submit(*(self.key if option == "KEY" else option for option in options))
                self.assertGreaterEqual(done.stdout.count(b"BEGIN CERTIFICATE"), 3)
                self.assertEqual(self.certificates(engine), 3)

    def test_submit_puts_several_into_an_entry(self):
        self.deploy_files(7, "hmac-sha256")
        self.deployment.group_results()
        engine = self.start()
        done = self.submit("--per-entry", "3")
        self.assertGreaterEqual(done.stdout.count(b"BEGIN CERTIFICATE"), 7)
        self.assertEqual(self.backend.client.call("XINFO", "GROUPS", "certmill:requests")[0][9], 3, "entries read")
        self.assertEqual(self.certificates(engine), 7)

    def test_submit_renews_with_the_same_csr_as_often_as_a_serial_is_named(self):
        for method in (None, "hmac-sha256"):
            with self.subTest(method=method):
                self.deploy_files(1, method)
                engine = self.start()
                self.submit("--json")
                serials = [self.newest_serial()]
                for options in ((), ("--serial", serials[0])):
                    first, again = self.submit("--renew", *options), self.submit("--renew", *options)
                    self.assertEqual(first.stdout, again.stdout, "a repetition")
                    self.assertIn(b"BEGIN CERTIFICATE", first.stdout)
                    serials.append(self.newest_serial())
                self.assertEqual(len(set(serials)), 3)
                done = self.submit("--renew", "--serial", "01", "--json", check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"renew.unknown", done.stdout)
                self.stop(engine)
                self.assertEqual(len(checker.Store(self.deployment.store).certificates), 3)

    def newest_serial(self):
        ((number, tail),) = self.deployment.query("SELECT number, serial_tail FROM certificate ORDER BY number DESC LIMIT 1")
        return number.to_bytes(8, "big").hex() + tail.hex()

    def test_submit_says_what_renewing_needs(self):
        self.deploy_files(2)
        for options, code, words in ((("--renew", "--serial", "01"), 2, b"--serial are for a single CSR"),
                                     (("--serial", "01"), 2, b"for a single CSR")):
            done = self.submit(*options, check=False)
            self.assertEqual((done.returncode, words in done.stderr), (code, True), done.stderr)
        self.files = self.files[:1]
        done = self.submit("--serial", "01", check=False)
        self.assertEqual((done.returncode, b"--serial is for --renew" in done.stderr), (2, True), done.stderr)
        self.deployment.edit("kind: redis", "kind: spool")
        done = self.submit("--renew", check=False)
        self.assertEqual((done.returncode, b"--renew needs a Redis queue" in done.stderr), (1, True), done.stderr)

    def test_submit_says_which_key_it_needs(self):
        self.deploy_files(1, "ed25519")
        self.assertIn(b"requester local must sign its requests: name its private key with --auth-key",
                      self.submit(check=False).stderr)
        self.assertIn(b"holds no private key", self.submit("--auth-key", self.files[0], check=False).stderr)
        self.deploy_files(1, "hmac-sha256")
        self.assertIn(b"--auth-key is for requesters with auth: ed25519 in the settings; local has hmac-sha256",
                      self.submit("--auth-key", self.key, check=False).stderr)
        os.unlink(self.secret)
        self.assertIn(b"secret file", self.submit(check=False).stderr)

    def run_example(self, words, variables):
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", **variables)
        return subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, check=False, timeout=60)

    def check_example(self, words, variables=()):
        """Without authentication, with a secret, with a key; each gets the certificate of the device."""
        for method, name in ((None, None), ("hmac-sha256", "AUTH_SECRET"), ("ed25519", "AUTH_KEY")):
            with self.subTest(method=method):
                requests = self.deploy_files(1, method)
                engine = self.start()
                more = {name: self.key if name == "AUTH_KEY" else self.secret} if name else {}
                done = self.run_example(words(requests[0].device, self.files[0]), {**dict(variables), **more})
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertTrue(os.path.exists(os.path.join(self.folder, requests[0].device + ".cer")))
                self.assertEqual(self.certificates(engine), 1)

    def test_the_example_for_redis_cli(self):
        self.check_example(lambda device, file: [os.path.join(EXAMPLES, "submit-redis-cli"), "local", device, file],
                           {"REDIS_CLI": "redis-cli -s " + case.Case.redis.socket})

    def python_paths(self):
        """Where the example finds its packages."""
        paths = [os.path.join(SOURCE, "tests/support")]
        try:
            import redis  # pylint: disable=import-outside-toplevel,unused-import
        except ImportError:
            paths.append(os.path.join(STAND_INS, "python"))
        return {"PYTHONPATH": os.pathsep.join(paths)}

    def python_words(self, *files):
        return [sys.executable, os.path.join(EXAMPLES, "submit.py"), "unix://" + case.Case.redis.socket, "local", *files]

    def test_the_example_for_python(self):
        try:
            import cryptography  # pylint: disable=import-outside-toplevel,unused-import
        except ImportError:
            self.skip("python3-cryptography is not installed")
        self.check_example(lambda device, file: self.python_words(file), self.python_paths())

    def test_the_example_for_python_with_several_in_an_entry(self):
        for method, results in ((None, None), ("hmac-sha256", "grouped")):
            with self.subTest(method=method, results=results):
                self.deploy_files(7, method)
                if results:
                    self.deployment.group_results()
                engine = self.start()
                more = {"AUTH_SECRET": self.secret} if method else {}
                done = self.run_example(self.python_words(*self.files), {**self.python_paths(), "PER_ENTRY": "3", **more})
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(done.stdout.count(b": issued, serial "), 7)
                self.assertEqual(self.certificates(engine), 7)
                entries = self.backend.client.call("XLEN", "certmill:results:local")
                self.assertEqual(entries < 7, bool(results))

    def test_the_example_for_node(self):
        if not shutil.which("node"):
            self.skip("node is not installed")
        place = scratch()  # packages are looked for beside the program
        shutil.copytree(os.path.join(STAND_INS, "ioredis"), os.path.join(place, "node_modules", "ioredis"))
        program = shutil.copy(os.path.join(EXAMPLES, "submit.mjs"), place)
        self.check_example(lambda device, file: ["node", program, case.Case.redis.socket, "local", file])


if __name__ == "__main__":
    case.main()
