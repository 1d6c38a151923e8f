"""The frame of tests that speak to vaults: started and stopped, errors and signatures checked."""
import hashlib
import unittest

import jwk
from keyvault import Keyvault, from_base64url, to_base64url

DIGESTS = {"256": hashlib.sha256(b"a certificate").digest(), "384": hashlib.sha384(b"a certificate").digest(),
           "512": hashlib.sha512(b"a certificate").digest()}
LONG_MS = "3600000"  # a window, or a delay, that does not end in a test


class VaultCase(unittest.TestCase):
    def start(self, *options):
        vault = Keyvault(*options)
        self.addCleanup(lambda: self.assertEqual(vault.process.poll() or vault.stop(), 0))
        return vault

    def check_error(self, answer, status, code, inner=None):
        self.assertEqual(answer.status, status, answer.body)
        error = answer.json()["error"]
        self.assertEqual((error["code"], error.get("innererror", {}).get("code")), (code, inner), answer.body)
        self.assertTrue(error["message"])

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer.body)
        return answer.json() if answer.body else None

    def sign(self, vault, name="ca", alg="ES256", digest=None, version="", **options):
        body = {"alg": alg, "value": to_base64url(DIGESTS[alg[2:]] if digest is None else digest)}
        return vault.request("POST", f"/keys/{name}/{version}/sign", body, **options)

    def check_signed(self, vault, name, alg, public):
        value = from_base64url(self.good(self.sign(vault, name, alg))["value"])
        self.assertTrue(jwk.is_signed(public, alg, DIGESTS[alg[2:]], value), (name, alg))
        wrong = hashlib.new(jwk.HASHES[alg[2:]], b"another").digest()
        self.assertFalse(jwk.is_signed(public, alg, wrong, value))
