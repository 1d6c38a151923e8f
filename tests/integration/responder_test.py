#!/usr/bin/env python3
"""Goal: a delegated OCSP responder whose key lives where the CA's does, in a token or in a vault, gets its key there, answers
what OpenSSL verifies from the root alone, and is the same one after a restart. Method: SoftHSM, and the emulator of Azure Key Vault.

  responder_test.py
"""
import os
import re
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment
from backend import fleet
from deployment import wait_until
from softhsm import MODULE, WHY_NOT, Token
from vault_deployment import VaultDeploymentCase

SERVED = ("--base-url", "http://pki.example", "--listen", "127.0.0.1:0")


class Responder(VaultDeploymentCase):
    def responders(self):
        return self.deployment.query("SELECT certificate.number FROM certificate JOIN device ON device.number = "
                                     "certificate.device WHERE device.id = 'ocsp-responder/issuing-1'")

    def serve(self):
        """An engine, once it has a responder."""
        engine = self.start()
        self.url = re.search(r"status at (http://127\.0\.0\.1:\d+)/", engine.text())[1] + "/ocsp"
        wait_until(lambda: self.ask()[0] == 0, 30, lambda: f"a good answer: {self.ask()[1]}\n{engine.text()}", step_s=0.2)
        return engine

    def ask(self):
        """OpenSSL about the device's certificate: (exit code, what it says)."""
        folder = os.path.join(self.deployment.folder, "ca")
        done = subprocess.run(["openssl", "ocsp", "-issuer", os.path.join(folder, "issuing.pem"), "-cert", self.certificate,
                               "-url", self.url, "-CAfile", os.path.join(folder, "root.pem"), "-resp_text"],
                              capture_output=True, check=False, text=True, timeout=60)
        said = done.stdout + done.stderr
        return int("Response verify OK" not in said or "CN=OCSP responder issuing-1" not in said), said

    def issue(self, requests):
        """Without an engine; the responder is asked about it later."""
        folder = deployment.scratch()
        csrs, out = os.path.join(folder, "in"), os.path.join(folder, "out")
        os.mkdir(csrs)
        name = requests[0].device
        with open(os.path.join(csrs, name + ".der"), "wb") as file:
            file.write(requests[0].csr)
        self.deployment.run("issue", "--in", csrs, "--out", out, "--quiet")
        self.certificate = os.path.join(out, name + ".pem")

    def expect_one_responder(self, requests):
        """Over two starts: one key, one certificate."""
        self.issue(requests)
        engine = self.serve()
        self.assertIn("has a new key", engine.text())
        self.stop(engine)
        first = self.responders()
        self.assertEqual(len(first), 1)
        engine = self.serve()
        self.assertNotIn("has a new key", engine.text())
        self.stop(engine)
        self.assertEqual(self.responders(), first)

    @unittest.skipUnless(MODULE, WHY_NOT)
    def test_in_a_token(self):
        token = Token(deployment.scratch())
        requests = self.deploy("token", 1, init=[*token.init_options(), *SERVED])
        self.expect_one_responder(requests)

    def test_in_a_vault(self):
        vault = self.start_vault()
        requests = self.deploy_in_vault("vault", 0, vault)
        self.deployment.edit(r"(?m)^  - name: issuing$", r"\g<0>\n    ocsp-responder: vault")
        self.deployment.edit(r"\Z", '\nstatus:\n  listen: "127.0.0.1:0"\n')
        requests = fleet(1, "vault")
        self.deployment.add_devices([requests[0].device])
        self.expect_one_responder(requests)


if __name__ == "__main__":
    case.main()
