#!/usr/bin/env python3
"""Goal: `certmill bench` measures with a provider of the operator's own, and touches nothing else of theirs. Method: deployments with
keys in files, in SoftHSM and in the emulator of Key Vault, and what is in them before and after.

  bench_provider_test.py
"""
import hashlib
import json
import os
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
# pylint: disable=wrong-import-position
import deployment
import keyvault
import softhsm
from deployment import CERTMILL
from keyvault import KEYVAULT_EMULATOR, Keyvault


def run(*words, **options):
    return subprocess.run([CERTMILL, *words], capture_output=True, text=True, check=False, timeout=170, **options)


def fingerprints(folder):
    """Of every file below it."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                found[os.path.join(path, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


class Scratch(unittest.TestCase):
    def setUp(self):
        self.scratch = deployment.scratch()
        self.folder = os.path.join(self.scratch, "ca")
        self.settings = os.path.join(self.folder, "certmill.yaml")

    def init(self, *options):
        done = run("init", self.folder, *options)
        self.assertEqual(done.returncode, 0, done.stderr)

    def bench(self, *options):
        done = run("bench", "--devices", "120", "--json", *options)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        report = json.loads(done.stdout)
        self.assertEqual((report["issued"], report["missing"]), (120, 0))
        self.assertGreater(report["provider_per_second"], 0)
        return report


class InFiles(Scratch):
    def test_a_deployment_with_keys_in_files_is_as_it_was(self):
        self.init()
        before = fingerprints(self.folder)
        report = self.bench("-c", self.settings)
        self.assertEqual((report["settings"]["provider"], report["settings"]["provider_kind"]), ("soft", "openssl"))
        self.assertEqual(fingerprints(self.folder), before)

    def test_a_key_that_is_there_signs_and_stays(self):
        self.init("--key-type", "ed25519")
        before = fingerprints(self.folder)
        report = self.bench("-c", self.settings, "--key", "file:root.pem")
        self.assertEqual(fingerprints(self.folder), before)
        self.assertIn("--key file:root.pem", report["command"])

    def test_its_certificates_do_not_lead_to_the_deployments_ca(self):
        self.init()
        kept = os.path.join(self.scratch, "kept")
        self.bench("-c", self.settings, "--key", "file:root.pem", "--queue", "spool", "--dir", kept)
        leaf = os.path.join(kept, "certs", "device-000001.pem")
        issuer = subprocess.run(["openssl", "x509", "-in", leaf, "-noout", "-issuer"], capture_output=True, text=True, check=True)
        self.assertIn("certmill bench, trust it in nothing", issuer.stdout)
        done = subprocess.run(["openssl", "verify", "-CAfile", os.path.join(self.folder, "ca", "root.pem"), "-partial_chain", leaf],
                              capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)

    def test_an_instance_without_settings(self):
        report = self.bench("--kind", "openssl", "--ca-key", "p384")
        self.assertEqual(report["settings"]["provider_kind"], "openssl")

    def test_what_cannot_be_found_is_said(self):
        self.init()
        for options, expected in [(["-c", self.settings, "nobody"], "the settings have no provider \"nobody\""),
                                  (["-c", os.path.join(self.scratch, "none.yaml")], "none.yaml"),
                                  (["-c", self.settings, "--key", "file:none.pem"], "none.pem"),
                                  (["-c", self.settings, "--vault", "https://a.vault.azure.net"], "its kind is openssl")]:
            with self.subTest(options):
                done = run("bench", "--devices", "10", *options)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(expected, done.stderr)


@unittest.skipUnless(softhsm.MODULE, softhsm.WHY_NOT)
class InToken(Scratch):
    def setUp(self):
        super().setUp()
        self.token = softhsm.Token(self.scratch)
        self.init(*self.token.init_options())

    def objects(self):
        return sorted(name for _, _, names in os.walk(self.token.objects) for name in names if name.endswith(".object"))

    def test_a_key_is_made_in_the_token_and_destroyed(self):
        before, objects = fingerprints(self.folder), self.objects()
        report = self.bench("-c", self.settings, "hsm", "--ca-key", "rsa-2048")
        self.assertEqual(report["settings"]["provider_kind"], "pkcs11")
        self.assertEqual(fingerprints(self.folder), before)
        self.assertEqual(self.objects(), objects)

    def test_a_token_is_measured_before_there_is_a_deployment(self):
        objects = self.objects()
        self.bench(*self.token.provider_options())
        self.assertEqual(self.objects(), objects)

    def test_an_interrupted_run_destroys_its_key(self):
        objects = self.objects()
        process = deployment.spawn([CERTMILL, "bench", "-c", self.settings, "--devices", "4000", "--rate", "100", "--json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deployment.wait_until(lambda: len(self.objects()) > len(objects), 60, "no key was made")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertEqual(self.objects(), objects, errors)


@unittest.skipUnless(os.path.exists(KEYVAULT_EMULATOR), "the emulator of Key Vault was not built")
class InVault(unittest.TestCase):
    def test_a_vault_of_the_settings_gives_its_rate_and_keeps_no_key(self):
        vault = Keyvault("--latency-ms", "2")
        self.addCleanup(vault.stop)
        folder = os.path.join(deployment.scratch(), "ca")
        environment = {**os.environ, "BENCH_SECRET": keyvault.CLIENT_SECRET}
        flags = ["--client", keyvault.CLIENT_ID, "--client-secret", "env:BENCH_SECRET", "--trust", vault.certificate,
                 "--resource", keyvault.RESOURCE, "--authority", vault.url]
        done = run("init", folder, "--provider", "keyvault", "--vault", vault.url, *flags, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        before = fingerprints(folder)
        made = vault.statistics()["requests"]["create"]
        done = run("bench", "-c", os.path.join(folder, "certmill.yaml"), "--vault", vault.url, "--devices", "120", "--json",
                   env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual((report["issued"], report["settings"]["provider_kind"]), (120, "keyvault"))
        self.assertGreater(report["provider_per_second"], 0)
        self.assertEqual(vault.statistics()["requests"]["create"], made + 1)
        self.assertIn("soft delete", done.stderr)
        self.assertEqual(fingerprints(folder), before)
        done = run("bench", "-c", os.path.join(folder, "certmill.yaml"), "--devices", "10", env=environment)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no vault to make keys in", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
