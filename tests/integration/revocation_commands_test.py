#!/usr/bin/env python3
"""An operator's commands on a deployment that serves, end to end; authorities with several keys, and with keys of each type."""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import ocsp
import served
from backend import Request
from deployment import CERTMILL, make_csrs, wait_until

GOOD, REVOKED = 0, 3  # exit codes of ocsp query


class Commands(served.Served):
    def run_json(self, *words, code=0):
        done = self.deployment.run(*words, "--json", check=False)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return json.loads(done.stdout) if done.stdout else None

    def query(self, certificate, *words):
        """The exit code of ocsp query."""
        done = self.run_program(CERTMILL, "ocsp", "query", "--certificate", certificate.path, "--url",
                                self.url + "/ocsp", "--issuer", "ca/issuing.pem", *words)
        self.assertNotEqual(done.returncode, 1, done.stderr)
        return done.returncode

    def listed(self, certificate, *words):
        """Reason and serial of the published list that crl show prints."""
        shown = self.run_json("crl", "show", "--issuer", "issuing-1", "--shard", str(certificate.shard), *words)
        return {entry["serial"]: entry["reason"] for entry in shown["entries"]}

    def test_what_an_operator_orders_is_what_relying_parties_get(self):
        requests = self.deploy_served("ordered", 3)
        engine = self.serve()
        one, two, three = self.issue(requests)
        self.assertEqual([self.query(one), self.query(one, "--nonce"), self.query(one, "--hash", "sha1")], [GOOD] * 3)
        self.deployment.run("revoke", "--serial", one.serial.upper(), "--reason", "keyCompromise", "--why", "van 12")
        self.assertEqual(self.query(one), REVOKED)
        self.wait_listed(one, "keyCompromise")
        self.assertEqual(self.listed(one).get(one.serial), "keyCompromise")
        self.deployment.run("device", "quarantine", "ordered-1")
        self.assertEqual([self.query(two), self.query(three)], [REVOKED, GOOD])
        self.wait_listed(two, "certificateHold", is_delta=True)
        self.assertEqual(self.listed(two, "--delta").get(two.serial), "certificateHold")
        self.deployment.run("device", "reinstate", "ordered-1")
        self.assertEqual(self.query(two), GOOD)
        self.deployment.run("device", "retire", "ordered-2")
        self.assertEqual(self.query(three), REVOKED)
        numbers = [self.crl(shard).number for shard in range(served.SHARDS)]
        self.deployment.run("crl", "publish")
        self.assertTrue(all(self.crl(shard).number > number for shard, number in enumerate(numbers)))
        done = self.deployment.run("revoke", "--serial", "1234", check=False)
        self.assertEqual(done.returncode, 1)
        self.deployment.run("doctor")
        self.stop(engine)
        self.check_store()

    def test_what_is_ordered_while_no_engine_runs_is_published_by_the_next(self):
        requests = self.deploy_served("away", 2)
        engine = self.serve()
        one, two = self.issue(requests)
        self.stop(engine)
        self.deployment.run("revoke", "--serial", one.serial, "--reason", "superseded")
        self.deployment.run("device", "quarantine", "away-1")
        engine = self.serve()
        self.assertEqual([self.ask_ocsp(certificate.serial).singles for certificate in (one, two)],
                         [[("revoked", 4)], [("revoked", 6)]])
        self.wait_listed(one, "superseded")
        self.wait_listed(two, "certificateHold")
        self.stop(engine)
        self.check_store()


class Keys(served.Served):
    def check_with_openssl(self, certificate, is_revoked, shard=None):
        """openssl ocsp and openssl verify agree."""
        done = self.run_program("openssl", "ocsp", "-issuer", self.issuing, "-CAfile", "ca/root.pem", "-url", self.url + "/ocsp",
                                "-sha256", "-cert", certificate.path)
        self.assertIn("Response verify OK", done.stderr)
        self.assertIn(": revoked" if is_revoked else ": good", done.stdout)
        crls = self.write_crls("list.pem", shard or self.crl(certificate))
        done = self.run_program("openssl", "verify", "-x509_strict", "-crl_check", "-CAfile", "ca/root.pem", "-untrusted",
                                self.issuing, "-CRLfile", crls, certificate.path)
        self.assertEqual("certificate revoked" in done.stderr, is_revoked, done.stderr)
        self.assertEqual(done.returncode == 0, not is_revoked, done.stderr)

    def check_type(self, key_type, *, is_delegated):
        requests = self.deploy_served(key_type, 2, key_type=key_type)
        if not is_delegated:
            self.deployment.edit(r"(?m)^    ocsp-responder: soft\n", "")
        self.issuing = "ca/issuing.pem"
        engine = self.serve()
        good, bad = self.issue(requests)
        self.order("revoke", serial=bad.serial, reason="keyCompromise")
        self.wait_listed(bad, "keyCompromise")
        self.assertEqual(self.ask_ocsp(good.serial).certificates, int(is_delegated))
        self.check_with_openssl(good, False)
        self.check_with_openssl(bad, True)
        self.stop(engine)

    def test_keys_of_each_type_sign_lists_and_answers(self):
        for key_type in ("p384", "p521", "rsa-2048", "ed25519"):
            with self.subTest(key_type=key_type):
                self.check_type(key_type, is_delegated=False)

    def test_delegated_responders_speak_for_keys_of_each_type(self):
        for key_type in ("rsa-3072", "ed25519"):
            with self.subTest(key_type=key_type):
                self.check_type(key_type, is_delegated=True)

    def issue_with(self, issuer, count):
        """So many certificates of device 0 that this one of several keys has signed."""
        found = []
        for number, csr in enumerate(make_csrs(60, name="beside")):
            (certificate,) = self.issue([Request(f"beside-{number}", "beside-0", csr)])
            if f"/{issuer}/" in certificate.url:
                found.append(certificate)
            if len(found) == count:
                return found
        raise AssertionError(f"{issuer} has issued {len(found)} of 60")

    def test_each_key_of_an_authority_has_lists_and_a_responder_of_its_own(self):
        self.deploy_served("beside", 1)
        self.deployment.run("ca", "create", "--beside", "--key", "file:issuing-2.pem", "issuing")
        engine = self.serve()
        good, bad = self.issue_with("issuing-2", 2)
        with open(self.path("ca", "issuing-2.pem"), "rb") as file:
            self.issuer = ocsp.Issuer(self.to_der(file.read()))
        self.issuing = "ca/issuing-2.pem"
        wait_until(lambda: self.ask_ocsp("11").status == ocsp.SUCCESSFUL, 20, "it has a responder")
        self.order("revoke", serial=bad.serial, reason="keyCompromise")
        wait_until(lambda: bad.serial in self.crl(bad, issuer="issuing-2").entries, 20, "it is listed")
        self.assertEqual(self.crl(bad, issuer="issuing-2").url, bad.url)
        self.assertEqual([self.crl(shard).entries for shard in range(served.SHARDS)], [{}] * served.SHARDS)
        self.check_with_openssl(good, False, self.crl(good, issuer="issuing-2"))
        self.check_with_openssl(bad, True, self.crl(bad, issuer="issuing-2"))
        # The other key has not issued it.
        done = self.run_program("openssl", "ocsp", "-issuer", "ca/issuing.pem", "-CAfile", "ca/root.pem", "-url",
                                self.url + "/ocsp", "-serial", "0x" + bad.serial)
        self.assertIn(": unknown", done.stdout)
        self.stop(engine)

    def to_der(self, pem):
        done = self.run_program("openssl", "x509", "-outform", "DER", "-out", "some.der", stdin=pem.decode())
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("some.der"), "rb") as file:
            return file.read()


if __name__ == "__main__":
    served.main()
