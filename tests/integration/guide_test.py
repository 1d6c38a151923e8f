#!/usr/bin/env python3
"""Goal: every command of docs/guides/revocation.md works where the guide says it. Method: its sh blocks, one after the other,
in a deployment like the one that it speaks of; names of its world become names of this one.

  guide_test.py
"""
import os
import re
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
from deployment import CERTMILL, SOURCE, Engine, free_port, make_csrs, wait_until
from openssl_ca import OpensslCa

GUIDE = os.path.join(SOURCE, "docs", "guides", "revocation.md")


class Guide(unittest.TestCase):
    def setUp(self):
        self.folder = deployment.scratch()
        self.home = os.path.join(self.folder, "ca")
        self.settings = os.path.join(self.home, "certmill.yaml")
        self.old = OpensslCa(os.path.join(self.folder, "old"))
        for name in ("good", "bad"):
            self.old.issue(name)
        self.old.revoke("bad")
        self.old.crl()
        self.old.crl("last.crl")
        self.names = {"127.0.0.1:8899": f"127.0.0.1:{free_port()}", "/srv/old": self.old.folder,
                      "--serial 1a2b ": f"--serial {self.old.serial('good')} ", "; echo $?": " || echo $?"}
        self.engine = None
        self.addCleanup(self.stop)

    def run_block(self, block, check=True):
        for theirs, ours in self.names.items():
            block = block.replace(theirs, ours)
        bin_folder = os.path.dirname(os.path.abspath(CERTMILL))
        done = subprocess.run(["bash", "-ec", block], cwd=self.home if os.path.exists(self.home) else self.folder,
                              env={**os.environ, "PATH": bin_folder + os.pathsep + os.environ["PATH"]},
                              capture_output=True, text=True, check=False, timeout=120)
        if check:
            self.assertEqual(done.returncode, 0, f"{block}\n{done.stdout}{done.stderr}")
        return done

    def edit(self, old, new):
        with open(self.settings, encoding="utf-8") as file:
            text = file.read()
        self.assertIn(old, text)
        with open(self.settings, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new, 1))

    def start(self):
        self.engine = Engine(self.settings, os.path.join(self.folder, "serve.log"))
        self.assertTrue(self.engine.is_alive(), self.engine.text())

    def stop(self):
        if self.engine:
            self.assertEqual(self.engine.stop(), 0, self.engine.text())
        self.engine = None

    def query(self, device):
        url = "http://" + self.names["127.0.0.1:8899"] + "/ocsp"
        return self.run_block(f"certmill ocsp query --certificate {device}.pem --url {url}", check=False).returncode

    # --- what has to be there before a block, and is there after it

    def after_init(self):
        """Devices with certificates, an engine, the folder of CRLs."""
        self.edit("  # publish-folder:", "  publish-folder:")
        self.edit("\ngroups:\n", "\ngroups:\n  - name: pilot\n    authority: issuing\n    profiles: [device-client]\n")
        self.edit("groups: [default]", "groups: [default, pilot]")
        os.mkdir(os.path.join(self.home, "csrs"))
        for i, der in enumerate(make_csrs(4)):
            with open(os.path.join(self.home, "csrs", f"m-{i}.der"), "wb") as file:
                file.write(der)
        self.run_block("printf 'device,group\\nm-0,pilot\\nm-1,default\\nm-2,default\\nm-3,default\\n' |"
                       " certmill device import -; certmill issue --in csrs --out . --quiet")
        serial = self.run_block("openssl x509 -noout -serial -in m-2.pem").stdout.strip().partition("=")[2]
        self.names["1a224ee9cf90000093c7e2b03e7af7e2e6172b66"] = serial
        # The certificate names a place that is not this machine.
        self.names["--certificate m-1.pem"] = "--certificate m-1.pem --url http://" + self.names["127.0.0.1:8899"] + "/ocsp"
        self.start()
        wait_until(lambda: self.query("m-1") == 0, 20, "a responder answers")

    def after_import(self):
        self.edit("\nauthorities:\n", '\nauthorities:\n  - name: old\n    crl-url: "http://pki.example/old.crl"\n')
        self.start()

    def after_ocsp(self):
        self.assertEqual([self.query(f"m-{i}") for i in range(4)], [3, 3, 3, 3])

    def test_every_command_works(self):
        with open(GUIDE, encoding="utf-8") as file:
            blocks = re.findall(r"^```sh\n(.*?)^```$", file.read(), re.M | re.S)
        hooks = {"certmill init": (None, self.after_init), "certmill ocsp query": (None, self.after_ocsp),
                 "ca import old": (self.stop, self.after_import)}
        for block in blocks:
            before, after = next((hook for words, hook in hooks.items() if words in block), (None, None))
            if before:
                before()
            refuses = "openssl verify" in block  # m-1, which was revoked
            done = self.run_block(block, check=not refuses)
            if refuses:
                self.assertIn("certificate revoked", done.stderr)
            if after:
                after()
            hooks = {words: hook for words, hook in hooks.items() if hook != (before, after)}
        self.assertEqual(hooks, {}, "blocks that the guide no longer has")


if __name__ == "__main__":
    unittest.main(verbosity=2)
