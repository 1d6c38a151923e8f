#!/usr/bin/env python3
"""GnuTLS's programs find what a served deployment says of its certificates: ocsptool asks, certtool reads the lists.

What GnuTLS (3.7) does its own way: the trust of an OCSP answer has to begin at the issuing CA, as nobody gives it the way
from there to the root. And certtool knows nothing of issuingDistributionPoint: it takes the list of any shard for the
whole, and of several of one issuer it keeps the newest. It has to be given the one that the certificate names; who checks
with GnuTLS against lists in a file wants a CA with one shard.
"""
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import served


class GnuTls(served.Served):
    def ask_gnutls(self, certificate, *words):
        return self.run_program("ocsptool", "--ask=" + self.url + "/ocsp", "--load-issuer", "ca/issuing.pem", "--load-cert",
                                certificate.path, *words)

    def verify(self, certificate, crl):
        """None: it verifies with this list; else what certtool says."""
        with open(self.path("ca", "issuing.pem"), "rb") as issuing, open(self.path("chain.pem"), "wb") as chain:
            chain.write(certificate.pem + issuing.read())
        done = self.run_program("certtool", "--verify", "--load-ca-certificate", "ca/root.pem", "--load-crl",
                                self.write_crls("list.pem", crl), "--infile", "chain.pem")
        return None if done.returncode == 0 else done.stdout + done.stderr

    def test_ocsptool_believes_the_answers(self):
        requests = self.deploy_served("gnutls", 2)
        engine = self.serve()
        good, bad = self.issue(requests)
        self.order("revoke", serial=bad.serial, reason="superseded")
        for words in ((), ("--nonce",)):
            for certificate, state in ((good, "good"), (bad, "revoked")):
                done = self.ask_gnutls(certificate, "--load-trust", "ca/issuing.pem", *words)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn(f"Certificate Status: {state}", done.stdout)
                self.assertIn("Verifying OCSP Response: Success", done.stdout)
                if words:
                    self.assertIn("Nonce: ", done.stdout)
        self.stop(engine)

    def test_ocsptool_believes_the_answers_that_the_ca_signs_itself(self):
        requests = self.deploy_served("direct", 1)
        self.deployment.edit(r"(?m)^    ocsp-responder: soft\n", "")
        engine = self.serve()
        (certificate,) = self.issue(requests)
        done = self.ask_gnutls(certificate, "--load-signer", "ca/issuing.pem", "--nonce")
        self.assertIn("Certificate Status: good", done.stdout)
        self.assertIn("Verifying OCSP Response: Success", done.stdout)
        self.stop(engine)

    def test_certtool_verifies_the_lists(self):
        requests = self.deploy_served("lists", 3)
        engine = self.serve()
        certificates = self.issue(requests)
        self.order("revoke", serial=certificates[0].serial, reason="superseded")
        self.order("quarantine", device="lists-1")
        self.wait_listed(certificates[0], "superseded")
        self.wait_listed(certificates[1], "certificateHold")
        for shard in range(served.SHARDS):
            for is_delta in (False, True):
                crl = self.crl(shard, is_delta)
                done = self.run_program("certtool", "--verify-crl", "--load-ca-certificate", "ca/issuing.pem", "--infile",
                                        self.write_crls("list.pem", crl))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn("Verification output: Verified. The certificate is trusted.", done.stdout)
                listed = [line.split()[-1] for line in done.stdout.splitlines() if "Serial Number (hex)" in line]
                self.assertEqual(sorted(listed), sorted(crl.entries))
                done = self.run_program("certtool", "--verify-crl", "--load-ca-certificate", "ca/root.pem", "--infile",
                                        "list.pem")
                self.assertNotEqual(done.returncode, 0, "it is not the root's")
        self.stop(engine)

    def test_certtool_finds_who_is_revoked(self):
        requests = self.deploy_served("found", 2)
        engine = self.serve()
        good, bad = self.issue(requests)
        self.order("revoke", serial=bad.serial, reason="keyCompromise")
        crl = self.wait_listed(bad, "keyCompromise")
        self.assertIn("is revoked", self.verify(bad, crl) or "")
        self.assertIsNone(self.verify(good, self.crl(good)))
        self.stop(engine)


if __name__ == "__main__":
    missing = [name for name in ("ocsptool", "certtool") if not shutil.which(name)]
    served.main(f"{missing[0]} is not installed (Debian: gnutls-bin)" if missing else None)
