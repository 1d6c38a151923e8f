#!/usr/bin/env python3
"""Goal: an authority's key is replaced every few seconds under full load, from files into a token, into a vault and back, and
every request is answered once, with a certificate that verifies under the generation that it names.
Method: a real Redis, a real SoftHSM, the emulator of Azure Key Vault; a backlog that is never empty; `certmill ca rotate` as an
operator runs it; once more with engines that are killed. What became of it all says the checker.

  rotation_load_test.py      CERTMILL_ROTATION_S=60: for so many seconds
"""
import json
import os
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
import deployment
import der
import keyvault
import served
import softhsm
from backend import Request
from vault_deployment import VaultDeploymentCase

DURATION_S = float(os.environ.get("CERTMILL_ROTATION_S", "60"))
DEVICES, BACKLOG, BURST, PER_S = 1000, 600, 100, 250  # as many signatures are allowed: the engine has all that it can do


@unittest.skipUnless(softhsm.MODULE, softhsm.WHY_NOT)
class Rotation(VaultDeploymentCase):
    def deploy_three(self, name):
        """Providers soft, hsm and vault; the issuing key begins in the first."""
        self.fleet = self.deploy(name, DEVICES, batch_items=64)
        self.vault = self.start_vault("--latency-ms", "4")
        token = softhsm.Token(deployment.scratch())
        self.deployment.edit(
            r"(?m)^# Who signs\.$",
            f"  - name: hsm\n    kind: pkcs11\n    module: {softhsm.MODULE}\n    passphrase: file:{token.pin_file}\n"
            f"  - name: vault\n    kind: keyvault\n    passphrase: file:{self.secret}\n    keyvault:\n"
            f"      credential: client-secret\n      client: {keyvault.CLIENT_ID}\n      trust: {self.vault.certificate}\n"
            f"      resource: {keyvault.RESOURCE}\n      authority: {self.vault.url}\n      rate: 100000\n\n\\g<0>")
        self.deployment.edit(r"(?m)^  - name: issuing$", rf"\g<0>\n    signatures-per-second: {PER_S}")
        self.turns = 0

    def key_of(self, provider, name):
        return {"soft": f"file:{name}.pem", "hsm": f"pkcs11:token={softhsm.LABEL};object={name}",
                "vault": f"{self.vault.url}/keys/{name}"}[provider]

    def rotate(self, check=True):
        """To the next provider; every second time in two commands."""
        providers = ("hsm", "vault", "soft", "vault", "hsm", "soft")
        provider = providers[self.turns % len(providers)]
        self.turns += 1
        words = ["ca", "rotate", "issuing", "--json", "--provider", provider, "--key", self.key_of(provider, f"k{self.turns}")]
        done = self.deployment.run(*words, *(["--activate"] if self.turns % 2 else []), check=check)
        if self.turns % 2 == 0:
            done = self.deployment.run("ca", "activate", "issuing", check=check)
        return done

    def push_until(self, is_over):
        """A backlog that is never empty."""
        client, number = type(self.backend)(self.deployment), 0
        while not is_over():
            if client.pending_entries() > BACKLOG:
                time.sleep(0.005)
                continue
            burst = [Request(f"r-{number + i}", self.fleet[(number + i) % DEVICES].device, self.fleet[(number + i) % DEVICES].csr)
                     for i in range(BURST)]
            client.push(burst)
            number += BURST
        self.backend.requests += client.requests
        client.client.close()

    def check_issuers(self, evidence):
        """All verify, the checker says; of each the key is that of the generation that its answer names, and a hundred of
        each generation verify with its certificate alone. {issuer: certificates}"""
        folder, by_issuer, ders = deployment.scratch(), {}, dict(evidence.store.ders)
        generations = dict(self.deployment.query("SELECT authority || '-' || generation, certificate FROM generation"))
        keys = {issuer: der.Certificate(encoding).ski for issuer, encoding in generations.items()}
        for row in self.backend.publications:
            if row.get("issuer"):
                issuer, number = row["issuer"].decode(), int(row["serial"][:16], 16)
                self.assertEqual(der.Certificate(ders[number]).aki, keys[issuer])
                by_issuer.setdefault(issuer, {})[number] = None
        for issuer, encoding in generations.items():
            with open(os.path.join(folder, issuer + ".pem"), "wb") as file:
                file.write(served.to_pem(encoding))
        for issuer, numbers in by_issuer.items():
            paths = [os.path.join(folder, f"{number}.der") for number in list(numbers)[:100]]
            for number, path in zip(numbers, paths):
                with open(path, "wb") as file:
                    file.write(ders[number])
            root, own = (os.path.join(folder, name + ".pem") for name in ("root-1", issuer))
            self.assertEqual(checker.verify_files(paths, root, [own]), [], issuer)
        return {issuer: len(numbers) for issuer, numbers in by_issuer.items()}

    def states(self):
        rows = json.loads(self.deployment.run("ca", "list", "--json").stdout)["authorities"]
        return [row["state"] for row in rows if row["name"].startswith("issuing-")]

    def test_under_full_load_every_request_is_answered_once(self):
        self.deploy_three("load")
        engine = self.start()
        until = time.monotonic() + DURATION_S
        pushing = threading.Thread(target=lambda: self.push_until(lambda: time.monotonic() > until))
        pushing.start()
        while time.monotonic() < until - 2:
            time.sleep(2)
            self.rotate()
        pushing.join()
        evidence = self.finish(engine, 120)
        issued = self.check_issuers(evidence)
        self.assertEqual(self.states().count("active"), 1)
        self.assertEqual(len(evidence.store.certificates), len(self.backend.requests))
        self.assertEqual(len(evidence.store.abandoned), 0, "no serial is given up for a rotation")
        self.assertGreaterEqual(self.turns, DURATION_S / 5)
        self.assertGreaterEqual(len(issued), self.turns - 1, issued)
        print(f"{len(self.backend.requests)} requests in {DURATION_S:.0f} s, {self.turns} rotations: {issued}", file=sys.stderr)

    def test_engines_that_are_killed_as_they_rotate_lose_nothing(self):
        self.deploy_three("killed")
        engine, is_over = self.start(), threading.Event()
        pushing = threading.Thread(target=lambda: self.push_until(is_over.is_set))
        pushing.start()
        for number in range(8):
            rotating = threading.Thread(target=lambda: self.rotate(check=False))
            rotating.start()
            time.sleep(0.15 * number)  # at another moment of it each time
            engine.kill()
            rotating.join()
            self.assertEqual(self.states().count("active"), 1)
            engine = self.start()
            time.sleep(0.3)
        is_over.set()
        pushing.join()
        evidence = self.finish(engine, 120)
        self.check_issuers(evidence)


if __name__ == "__main__":
    case.main()
