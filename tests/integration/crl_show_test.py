#!/usr/bin/env python3
"""Goal: `crl show` says what a CRL of any CA says, and why it cannot where it is none. Method: CRLs that openssl has made.

  crl_show_test.py
"""
import json
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
from deployment import CERTMILL
from openssl_ca import OpensslCa


def show(*arguments, stdin=None):
    return subprocess.run([CERTMILL, "crl", "show", *arguments], input=stdin, capture_output=True, check=False, timeout=60)


class CrlShow(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ca = OpensslCa(os.path.join(deployment.scratch(), "old"), name="Old, CA")
        for name, how in (("a", ()), ("b", ("-crl_reason", "superseded")), ("c", ("-crl_compromise", "20260130000000Z"))):
            cls.ca.issue(name)
            cls.ca.revoke(name, *how)
        cls.crl = cls.ca.crl()
        cls.ca.openssl("crl", "-in", "ca.crl", "-outform", "DER", "-out", "ca.crl.der")

    def test_it_says_who_when_and_what(self):
        said = json.loads(show("--json", self.crl).stdout)
        self.assertEqual(said["issuer"], "CN=Old\\, CA")
        self.assertEqual(said["number"], "1")
        self.assertNotIn("base", said)
        self.assertEqual([(one["serial"], one["reason"], one.get("invalidity")) for one in said["entries"]],
                         [("01", "unspecified", None), ("02", "superseded", None),
                          ("03", "keyCompromise", "2026-01-30T00:00:00Z")])
        self.assertLess(said["this_update"], said["next_update"])

    def test_der_pem_and_standard_input_are_the_same(self):
        der = self.ca.path("ca.crl.der")
        expected = show(self.crl).stdout
        self.assertIn(b"entries     3\n", expected)
        self.assertEqual(show(der).stdout, expected)
        with open(der, "rb") as file:
            self.assertEqual(show("-", stdin=file.read()).stdout, expected)

    def test_what_is_no_crl_is_refused_with_the_file(self):
        with open(self.ca.path("ca.crl.der"), "rb") as file:
            der = file.read()
        for stdin, expected in ((b"", b"no X509 CRL in it"), (b"hello", b"no X509 CRL in it"), (der[:-1], b"standard input: "),
                                (der + b"x", b"standard input: "),
                                (b"-----BEGIN X509 CRL-----\n!!\n-----END X509 CRL-----\n", b"broken")):
            done = show("-", stdin=stdin)
            self.assertEqual(done.returncode, 1, stdin)
            self.assertIn(expected, done.stderr)
            self.assertEqual(done.stdout, b"")
        done = show(self.ca.path("ca.pem"))
        self.assertIn(b"no X509 CRL in it", done.stderr)
        self.assertEqual(show("/nowhere").returncode, 1)

    def test_wrong_lines_are_usage_errors(self):
        for words in ((), ("--issuer", "x", self.crl), ("--shard", "1", self.crl), ("--delta", self.crl)):
            self.assertEqual(show(*words).returncode, 2, words)

    def test_without_a_folder_of_published_crls_it_says_so(self):
        made = deployment.Deployment()
        done = made.run("crl", "show", "--issuer", "issuing-1", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"publish-folder", done.stderr)

    def test_a_published_one_is_found_by_issuer_and_shard(self):
        made = deployment.Deployment()
        made.edit(r"\Z", "\nstatus:\n  publish-folder: public\n")
        folder = os.path.join(made.folder, "public", "crl", "issuing-1")
        os.makedirs(folder)
        with open(os.path.join(folder, "3.crl"), "wb") as file, open(self.ca.path("ca.crl.der"), "rb") as der:
            file.write(der.read())
        said = json.loads(made.run("crl", "show", "--issuer", "issuing-1", "--shard", "3", "--json").stdout)
        self.assertEqual(len(said["entries"]), 3)
        for words in (("--shard", "0"), ("--shard", "3", "--delta")):
            self.assertIn(b"No such file", made.run("crl", "show", "--issuer", "issuing-1", *words, check=False).stderr)
        self.assertIn(b"no key of an authority", made.run("crl", "show", "--issuer", "../x", check=False).stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
