#!/usr/bin/env python3
"""The engine is killed at every step on which an OCSP responder gets its certificate; the next one has a responder that
OpenSSL verifies, and each serial that was promised is accounted for.

  responder_test.py
"""
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
import served

DEVICE = "ocsp-responder/issuing-1"


class Responder(served.Served):
    def certificates(self):
        """Numbers of those that the store has of the responder."""
        return self.deployment.query("SELECT certificate.number FROM certificate JOIN device "
                                     "ON device.number = certificate.device WHERE device.id = ?", DEVICE)

    def expect_verified_answers(self, certificate):
        """OpenSSL knows the root alone, and the responder from the answer."""
        done = self.run_program("openssl", "ocsp", "-issuer", "ca/issuing.pem", "-cert", certificate.path, "-url",
                                self.url + "/ocsp", "-CAfile", "ca/root.pem", "-resp_text")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Response verify OK", done.stderr)
        self.assertIn(": good", done.stdout)
        self.assertIn("CN=OCSP responder issuing-1", done.stdout)
        self.assertIn("OCSP No Check", done.stdout)

    def kill_at(self, point):
        requests = self.deploy_served(point.replace("responder-", ""), 1)
        self.deployment.edit(r"(?m)^  batch-items: .*$", r"\g<0>\n  intent-hold: 1s")
        self.die_at(point + ":1:kill")
        engine = self.serve()
        self.expect_verified_answers(self.issue(requests)[0])
        return engine

    def test_a_promise_that_is_left_behind_is_abandoned_after_the_hold_time(self):
        for point in ("responder-promised", "responder-signed"):
            with self.subTest(point):
                engine = self.kill_at(point)
                deployment.wait_until(lambda: "were abandoned" in engine.text(), 20, "the promise is abandoned")
                self.stop(engine)
                self.assertEqual(len(self.certificates()), 1)
                self.assertEqual(len(self.check_store().abandoned), 1)

    def test_a_certificate_that_was_recorded_is_used(self):
        engine = self.kill_at("responder-recorded")
        self.stop(engine)
        self.assertEqual(len(self.certificates()), 1)
        self.assertEqual(len(self.check_store().abandoned), 0)
        self.assertEqual(len(self.audit("ocsp-responder")), 1)

    def test_a_start_goes_on_with_the_certificate_unless_its_key_is_gone(self):
        requests = self.deploy_served("again", 1)
        engine = self.serve()
        certificate = self.issue(requests)[0]
        self.stop(engine)
        first = self.certificates()
        engine = self.serve()
        self.expect_verified_answers(certificate)
        self.stop(engine)
        self.assertEqual(self.certificates(), first)
        os.unlink(self.path("keys", "ocsp-issuing-1.pem"))
        engine = self.serve()
        self.expect_verified_answers(certificate)
        self.stop(engine)
        self.assertEqual(len(self.certificates()), 2)
        self.check_store()

    def test_a_device_that_brings_the_responders_key_is_a_clone(self):
        self.deploy_served("clone", 1)
        engine = self.serve()
        csr = subprocess.run(["openssl", "req", "-new", "-key", self.path("keys", "ocsp-issuing-1.pem"), "-subj", "/CN=x",
                              "-outform", "DER"], check=True, capture_output=True).stdout
        request = served.Request("clone-0", "clone-0", csr)
        self.backend.push([request])
        self.backend.wait_answered(20)
        self.assertEqual(self.backend.answers()["clone-0"][0].get("code"), b"key.reused", self.backend.answers())
        self.stop(engine)


if __name__ == "__main__":
    served.main(None if deployment.has_fault_points() else "this build has no fault points (meson option fault_points)")
