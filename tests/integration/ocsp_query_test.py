#!/usr/bin/env python3
"""Goal: `ocsp query` says what a responder answers, believes only what verifies, and its exit code tells. Method: responders
of `openssl ocsp`, right ones and wrong ones.

  ocsp_query_test.py
"""
import http.server
import json
import os
import subprocess
import sys
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
from deployment import CERTMILL, free_port
from openssl_ca import OpensslCa


def query(*arguments):
    return subprocess.run([CERTMILL, "ocsp", "query", *arguments], capture_output=True, text=True, check=False, timeout=60)


class OcspQuery(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ca = OpensslCa(os.path.join(deployment.scratch(), "ca"))
        for name in ("good", "bad", "held"):
            cls.ca.issue(name)
        cls.ca.revoke("bad", "-crl_reason", "keyCompromise")
        cls.ca.revoke("held", "-crl_hold", "holdInstructionNone")
        cls.ca.issue("responder", "responder")
        cls.ca.issue("device")
        cls.url = cls.start("-rsigner", "responder.pem", "-rkey", "responder.key")

    @classmethod
    def start(cls, *options):
        """A responder; its URL."""
        port = free_port()
        log = cls.ca.path(f"responder-{port}.log")
        with open(log, "wb") as file:
            deployment.spawn(["openssl", "ocsp", "-index", "index.txt", "-CA", "ca.pem", "-port", str(port), "-nmin", "5",
                              "-ignore_err", *options], cwd=cls.ca.folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        # A connection without a request would be in its way: it has one at a time.
        deployment.wait_until(lambda: "waiting for" in cls.ca.read(log).lower(), 20, "the responder listens")
        return f"http://127.0.0.1:{port}"

    def ask(self, name, *options, url=None):
        return query("--certificate", self.ca.path(f"{name}.pem"), "--issuer", self.ca.path("ca.pem"), "--url",
                     url or self.url, *options)

    def failed(self, done, text):
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(text, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_each_status_has_an_exit_code(self):
        done = self.ask("good", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)
        self.assertEqual((said["status"], said["serial"], said["delegated"], said["responder"]),
                         ("good", self.ca.serial("good"), True, "CN=responder"))
        self.assertLess(said["this_update"], said["next_update"])
        done = self.ask("bad", "--json")
        said = json.loads(done.stdout)
        self.assertEqual((done.returncode, said["status"], said["reason"]), (3, "revoked", "keyCompromise"))
        self.assertEqual(json.loads(self.ask("held", "--json").stdout)["reason"], "certificateHold")
        done = query("--serial", "77:01", "--issuer", self.ca.path("ca.pem"), "--url", self.url)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertTrue(done.stdout.startswith("status      unknown\nserial      7701\n"), done.stdout)

    def test_both_hashes_and_a_nonce_are_understood(self):
        for options in (("--hash", "sha1"), ("--hash", "sha256")):
            self.assertEqual(self.ask("good", *options).returncode, 0, options)
        said = json.loads(self.ask("good", "--nonce", "--json").stdout)
        self.assertEqual(said["nonce"], "the same as in the request")
        self.assertNotIn("nonce", json.loads(self.ask("good", "--json").stdout))

    def test_the_ca_may_sign_itself(self):
        url = self.start("-rsigner", "ca.pem", "-rkey", "ca.key")
        said = json.loads(self.ask("good", "--json", url=url).stdout)
        self.assertEqual((said["status"], said["delegated"], said["responder"]), ("good", False, "CN=Old CA"))

    def test_the_certificate_names_responder_and_issuer(self):
        named = OpensslCa(os.path.join(deployment.scratch(), "named"), extensions=f"authorityInfoAccess = OCSP;URI:{self.url}")
        with open(named.issue("x"), "ab") as file, open(named.path("ca.pem"), "rb") as issuer:
            file.write(issuer.read())
        done = query("--certificate", named.path("x.pem"))
        self.failed(done, "does not verify")  # it was asked, and has nothing to do with this CA

    def test_answers_that_do_not_verify_are_not_believed(self):
        url = self.start("-rsigner", "device.pem", "-rkey", "device.key")  # a certificate, but not for OCSP
        self.failed(self.ask("good", url=url), "does not verify")
        other = OpensslCa(os.path.join(deployment.scratch(), "other"), name="Old CA")
        self.failed(query("--certificate", self.ca.path("good.pem"), "--issuer", other.path("ca.pem"), "--url", self.url),
                    "does not verify")

    def test_answers_about_another_certificate_are_not_believed(self):
        url = self.serve(200, self.keep_answer("-no_nonce"))
        self.failed(self.ask("bad", "--hash", "sha1", url=url), "says nothing about the certificate")
        self.assertEqual(self.methods, ["GET"])
        self.failed(self.ask("bad", "--hash", "sha1", url=url + "/" + 250 * "x"), "says nothing about the certificate")
        self.assertEqual(self.methods, ["GET", "POST"])  # it would be a long URL
        self.assertEqual(self.ask("good", "--hash", "sha1", url=url).returncode, 0)
        self.assertEqual(json.loads(self.ask("good", "--hash", "sha1", "--nonce", "--json", url=url).stdout)["nonce"],
                         "none in the answer")
        self.assertEqual(self.methods[-1], "POST")
        self.failed(self.ask("good", "--hash", "sha1", "--nonce", url=self.serve(200, self.keep_answer())), "another nonce")

    def keep_answer(self, *options):
        """What the responder says about "good"; with a nonce unless options say otherwise."""
        self.ca.openssl("ocsp", "-issuer", "ca.pem", "-cert", "good.pem", "-url", self.url, "-noverify", "-respout", "kept",
                        *options)
        with open(self.ca.path("kept"), "rb") as file:
            return file.read()

    def test_what_is_no_answer_is_said(self):
        self.failed(self.ask("good", url=self.serve(200, b"hello")), "no OCSP response")
        self.failed(self.ask("good", url=self.serve(200, b"")), "no OCSP response")
        self.failed(self.ask("good", url=self.serve(500, b"")), "HTTP 500")
        self.failed(self.ask("good", url=self.serve(200, bytes.fromhex("30030a0106"))), "unauthorized")
        self.failed(self.ask("good", url=self.serve(200, bytes.fromhex("30030a0103"))), "trylater")
        self.failed(self.ask("good", url=f"http://127.0.0.1:{free_port()}"), "127.0.0.1")
        self.failed(self.ask("good", url="file:///etc/passwd"), "file")

    def test_a_port_that_the_system_chooses_is_said(self):
        made = deployment.Deployment()
        made.edit(r"\Z", '\nstatus:\n  listen: "127.0.0.1:0"\n')
        self.failed(query("-c", made.settings, "--serial", "77", "--issuer", "issuing-1"), "status.listen is 127.0.0.1:0: the system chooses")

    def test_wrong_lines_are_usage_errors(self):
        for words in ((), ("--serial", "1", "--certificate", "x"), ("--serial", "xyz"), ("--serial", "1", "--hash", "md5")):
            self.assertEqual(query(*words).returncode, 2, words)

    def serve(self, code, body):
        """An HTTP server that says the same to everybody; its URL. self.methods: how it was asked."""
        methods = self.methods = []
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                methods.append(self.command)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"


if __name__ == "__main__":
    unittest.main(verbosity=2)
