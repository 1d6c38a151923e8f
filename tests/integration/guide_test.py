#!/usr/bin/env python3
"""Goal: the commands of README.md and of the guides work where they stand. Method: their sh blocks, one after the other, in
a deployment like the one that they speak of; names of their world become names of this one.

  guide_test.py
"""
import os
import re
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
from backend import Backend, fleet
from deployment import CERTMILL, SOURCE, Engine, RedisServer, free_port, make_csrs, wait_until
from keyvault import KEYVAULT_EMULATOR
from openssl_ca import OpensslCa

END_JOBS = "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n"


class Page(unittest.TestCase):
    """names: what stands there, and what takes its place here."""

    def setUp(self):
        self.folder = self.home = deployment.scratch()
        self.names = {}

    @staticmethod
    def blocks(*page):
        with open(os.path.join(SOURCE, *page), encoding="utf-8") as file:
            return re.findall(r"^```sh\n(.*?)^```$", file.read(), re.M | re.S)

    def block(self, words, *page):
        """The one block that has these words."""
        (block,) = [block for block in self.blocks(*page) if words in block]
        return block

    def run_block(self, block, check=True):
        for theirs, ours in self.names.items():
            block = block.replace(theirs, ours)
        bin_folder = os.path.dirname(os.path.abspath(CERTMILL))
        done = subprocess.run(["bash", "-ec", block], cwd=self.home if os.path.exists(self.home) else self.folder,
                              env={**os.environ, "PATH": bin_folder + os.pathsep + os.environ["PATH"]},
                              capture_output=True, text=True, errors="replace", check=False, timeout=120)
        if check:
            self.assertEqual(done.returncode, 0, f"{block}\n{done.stdout}{done.stderr}")
        return done


class Readme(Page):
    def setUp(self):
        super().setUp()
        self.names = {"/tmp/": self.folder + "/", "redis-cli ": "redis-cli -s redis.sock "}

    def test_every_command_by_hand_works(self):
        block = self.block("certmill init /tmp/pki", "README.md")
        built, blank, block = block.partition("\n\n")
        self.assertRegex(built, r"^meson setup.*\nexport PATH=.*$")
        self.assertTrue(blank)
        self.assertIn("pump-1.pem: OK", self.run_block(block).stdout)
        said = self.run_block(self.block("device quarantine", "README.md")).stdout
        self.assertIn("1 certificate on hold", said)
        self.assertIn("1 certificate revoked", said)

    def test_the_request_through_redis_is_answered(self):
        if not shutil.which("redis-cli"):
            self.skipTest("there is no redis-cli")
        redis = RedisServer(self.folder)
        self.addCleanup(redis.stop)
        self.run_block("certmill init --queue redis --redis-url unix://$PWD/redis.sock pki\n"
                       "printf 'device,group\\npump-1,default\\n' | certmill device import -c pki/certmill.yaml -")
        with open(os.path.join(self.folder, "csr.der"), "wb") as file:
            file.write(make_csrs(1)[0])
        self.run_block("openssl req -inform DER -in csr.der -out pump-1.csr")
        engine = Engine(os.path.join(self.folder, "pki", "certmill.yaml"), os.path.join(self.folder, "serve.log"))
        try:
            self.assertIn("issued", self.run_block(self.block("redis-cli XADD", "README.md")).stdout, engine.text())
        finally:
            self.assertEqual(engine.stop(), 0, engine.text())


class Keyvault(Page):
    """docs/guides/key-vault.md: what it does with the stand-in for the service."""

    PAGE = ("docs", "guides", "key-vault.md")

    def setUp(self):
        super().setUp()
        self.names = {"/tmp/": self.folder + "/", "/srv/": self.folder + "/", "build/tests/support/keyvault_emulator": KEYVAULT_EMULATOR,
                      "8443": str(free_port()), "8080": str(free_port())}
        for name in ("acme-ca", "acme-ca-2"):
            self.names[f"https://{name}.vault.azure.net"] = "https://127.0.0.1:" + self.names["8443"]

    def test_every_command_of_the_trial_works_and_gives_a_first_certificate(self):
        begin, serve, end = self.block("keyvault_emulator", *self.PAGE).partition("certmill serve")
        first = self.block("certs/pump-1.pem", *self.PAGE)
        more = self.block("--beside", *self.PAGE)
        serves = "\nuntil certmill doctor -c /tmp/pki/certmill.yaml | grep 'provider vault is up'; do sleep 0.1; done\n"
        said = self.run_block(END_JOBS + begin + first + more + serve + end + serves).stdout
        self.assertIn("certs/pump-1.pem: OK", said)
        self.assertIn("issuing-2, signed by root", said)


class Hierarchy(Page):
    """docs/guides/hierarchy.md, all of it."""

    PAGE = ("docs", "guides", "hierarchy.md")

    def test_every_command_works(self):
        self.home = os.path.join(self.folder, "ca")
        said = [self.run_block(block).stdout for block in self.blocks(*self.PAGE)]
        tree = next(text for text in said if "plant-1" in text)
        self.assertRegex(tree, r"(?m)^root-1 .*\n  issuing-1 .*\n  policy-1 .*\n    plant-1 ")
        self.assertTrue(any(re.search("site-1 +pending", text) for text in said))
        self.assertTrue(any("site-1 has its certificate, and issues" in text for text in said))
        self.assertTrue(any("partner/gate.pem: OK" in text for text in said))
        self.assertTrue(any("CN=Issuing,O=Partner, certified by root-1" in text for text in said))
        self.assertTrue(any("1 certificate revoked" in text for text in said))
        self.assertIn("plant.pem: OK", said[-1])

    def test_what_it_says_is_refused_is_refused_so(self):
        with open(os.path.join(SOURCE, *self.PAGE), encoding="utf-8") as file:
            table = re.findall(r"^\| `([^`]*)` \|", file.read().partition("| refused with")[2].partition("\n\n")[0], re.M)
        self.home = os.path.join(self.folder, "ca")
        self.run_block("certmill init ca")
        self.run_block("certmill ca create policy --key file:policy.pem --path-length 1 --validity 365d --permit-dns plant.example "
                       "--policy 1.2.3\ncertmill ca create plant --signed-by policy --key file:plant.pem")
        asked = ("--signed-by plant", "--signed-by policy --sub-ca", "--signed-by policy --validity 400d", None,
                 "--signed-by policy --permit-dns office.example", "--signed-by policy --policy 1.2.3.5")
        self.assertEqual(len(table), len(asked))
        for text, words in zip(table, asked):
            if words:
                done = self.run_block(f"certmill ca create x --key file:x.pem {words}", check=False)
                pattern = re.escape(text).replace(r"\.\.\.", ".*").replace("364", "36[45]")
                self.assertRegex(done.stderr, pattern)


class Rotation(Page):
    """docs/guides/rotation.md, all of it."""

    PAGE = ("docs", "guides", "rotation.md")

    def test_every_command_works(self):
        self.home = os.path.join(self.folder, "ca")
        said = [self.run_block(block).stdout for block in self.blocks(*self.PAGE)]
        self.assertTrue(any("in place of issuing-1" in text for text in said))
        self.assertTrue(any("not yet" in text for text in said))
        self.assertTrue(any("issuing-4 issues in its place" in text for text in said))
        states = [re.search(rf"(?m)^ *issuing-{number} +(active|retir[a-z]+|compromised)\b", said[-1])[1] for number in (1, 2, 3, 4)]
        self.assertEqual(states, ["retiring", "retiring", "compromised", "active"])


class AuditLog(Page):
    """docs/guides/audit.md, all of it."""

    PAGE = ("docs", "guides", "audit.md")

    def test_every_command_works(self):
        self.home = os.path.join(self.folder, "ca")
        said = [self.run_block(block).stdout for block in self.blocks(*self.PAGE)]
        self.assertTrue(any("the audit log is whole: " in text for text in said))
        self.assertTrue(any(re.search("covers it, signed by the key", text) for text in said))
        self.assertTrue(any("stolen from van 12" in text for text in said))
        self.assertFalse(any("call somebody" in text for text in said))


class Ceremony(Page):
    """docs/guides/ceremony.md, all of it, as one session."""

    def test_every_command_works(self):
        if not shutil.which("jq"):
            self.skipTest("there is no jq")
        self.names = {"/srv/": self.folder + "/"}
        self.run_block("certmill init --quiet /srv/ca && cd /srv/ca && printf 'device,group\\np-1,default\\n' | certmill device import -")
        said = self.run_block("\n".join(self.blocks("docs", "guides", "ceremony.md"))).stdout
        for words in ("refused, exit code 1", "0 of 2", "CEREMONY   rotate issuing", "2 of 2 have approved the plan", "issuing-2, signed by root",
                      "it issues in place of issuing-1", "CEREMONY   revoke-group default", "0 certificates of 0 devices revoked",
                      "2 of 2 want it cancelled: the plan is cancelled", "Signature Verified Successfully"):
            self.assertIn(words, said)
        digest, said = said.partition("  -\n")[0].rpartition("\n")[2], said.partition("  -\n")[2]
        self.assertEqual(said.partition("\n")[0], digest)
        self.assertIn("\nann\n", said)


class Guide(Page):
    """docs/guides/revocation.md, all of it."""

    def setUp(self):
        super().setUp()
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
        """A second group, the folder of CRLs, and requests of devices."""
        self.edit("  # publish-folder:", "  publish-folder:")
        self.edit("\ngroups:\n", "\ngroups:\n  - name: pilot\n    authority: issuing\n    profiles: [device-client]\n")
        self.edit("groups: [default]", "groups: [default, pilot]")
        os.mkdir(os.path.join(self.home, "csrs"))
        for i, der in enumerate(make_csrs(4)):
            with open(os.path.join(self.home, "csrs", f"m-{i}.csr"), "wb") as file:
                file.write(der)

    def after_issue(self):
        """An engine whose responder answers."""
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
        blocks = self.blocks("docs", "guides", "revocation.md")
        hooks = {"certmill init": (None, self.after_init), "certmill issue": (None, self.after_issue), "certmill ocsp query": (None, self.after_ocsp),
                 "ca import old": (self.stop, self.after_import)}
        for block in blocks:
            if "ocsptool" in block and not (shutil.which("ocsptool") and shutil.which("certtool")):
                print("\nSKIP: there is no gnutls-bin for a block of the guide", flush=True)
                continue
            before, after = next((hook for words, hook in hooks.items() if words in block), (None, None))
            if before:
                before()
            refuses = "openssl verify" in block  # m-1, which was revoked
            done = self.run_block(block, check=not refuses)
            if refuses:
                self.assertIn("certificate revoked", done.stderr)
            if "ocsptool" in block:
                self.assertIn("Verified. The certificate is trusted.", done.stdout)
                self.assertRegex(done.stdout, "Certificate Status: revoked")
            if after:
                after()
            hooks = {words: hook for words, hook in hooks.items() if hook != (before, after)}
        self.assertEqual(hooks, {}, "blocks that the guide no longer has")


class Renewal(Page):
    """docs/guides/renewal.md: an engine on a Redis, and devices with certificates."""

    def test_every_command_of_the_campaign_works(self):
        redis = RedisServer(self.folder)
        self.addCleanup(redis.stop)
        made = deployment.Deployment(redis)
        backend = Backend(made)
        self.addCleanup(lambda: backend.client.close())
        requests = fleet(900, "pump")  # of 50/s it is not done before the last command, however slow they are
        made.add_devices([request.device for request in requests])
        self.home = made.folder
        self.names = {"redis-cli ": f"redis-cli -s {redis.socket} "}
        engine = made.start()
        self.addCleanup(lambda: engine.is_alive() and engine.kill())
        backend.push(requests)
        backend.wait_answered()
        said = ""
        for block in self.blocks("docs", "guides", "renewal.md"):
            if "campaign cancel" in block:
                wait_until(lambda: backend.client.call("XLEN", "certmill:notices") > 3, 20, "there are notices")
            said += self.run_block(block).stdout
        self.assertEqual(engine.stop(), 0, engine.text())
        for words in ('"count":900', "900 devices would be asked", "900 devices are asked", "state       paused", "autumn is running",
                      "autumn is cancelled", "not_before"):
            self.assertTrue(words in said, words)


if __name__ == "__main__":
    unittest.main(verbosity=2)
