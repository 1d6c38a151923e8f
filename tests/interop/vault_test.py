#!/usr/bin/env python3
"""The provider against a vault: "emulator" is ours, "lowkey" is Lowkey Vault, which others wrote. The same tests for both.

    vault_test.py emulator|lowkey

Lowkey Vault comes with Maven, into the folder LOWKEY_VAULT, or build/lowkey_vault; it stays there (tests/support/lowkey_vault.py).
"""
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
# pylint: disable=wrong-import-position
import case
import keyvault
import lowkey_vault
from deployment import SOURCE, spawn
from keyvault import Keyvault
from lowkey_vault import LowkeyVault

PROBE = os.environ.get("KEYVAULT_PROBE", "keyvault_probe")
SUITES = os.environ.get("PROVIDER_SUITES", "").split(os.pathsep)


class Vault(unittest.TestCase):
    """What the provider does with any vault. Tokens are a managed identity's."""

    vault = None

    def options(self, **more):
        return json.dumps({"trust": self.vault.certificate, "resource": self.vault.resource, "rate": 100000,
                           "timeout-ms": 60000, **more})

    def environment(self, **more):
        """Nobody's identity but the vault's."""
        inherited = {name: value for name, value in os.environ.items()
                     if not name.startswith(("AZURE_", "IDENTITY_", "MSI_")) and "proxy" not in name.lower()}
        return {**inherited, "AZURE_POD_IDENTITY_AUTHORITY_HOST": self.vault.control_url, **more}

    def ask(self, method, path, body=None):
        """The vault, as its administrator."""
        answer = self.vault.request(method, path, body)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def create(self, name):
        """The kid of a new version."""
        members = {"kty": "EC", "crv": "P-256", "key_ops": ["sign", "verify"]}
        return self.ask("POST", f"/keys/{name}/create", members)["key"]["kid"]

    def disable(self, kid):
        self.ask("PATCH", kid[kid.index("/keys/"):], {"attributes": {"enabled": False}})

    def unversioned(self, name):
        return f"{self.vault.url}/keys/{name}"

    def open(self, reference):
        """What the provider says to it: ("OK", kid), or (status, why not)."""
        done = subprocess.run([PROBE, "open", self.options(), reference], env=self.environment(), capture_output=True,
                              check=False, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return tuple(done.stdout.rstrip("\n").split(" ", 1))

    def begin(self, action, reference, **more):
        """A probe that has opened the key."""
        probe = spawn([PROBE, action, self.options(**more), reference], env=self.environment(), stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE, text=True)
        self.assertRegex(probe.stdout.readline(), "^OK ")
        return probe

    def finish(self, probe):
        """What it still has to say."""
        said, _ = probe.communicate("go\n", timeout=120)
        self.assertEqual(probe.returncode, 0)
        return said.rstrip("\n")

    def test_the_suites_of_all_providers(self):
        variables = {"CM_TEST_PROVIDER": "keyvault", "CM_TEST_VAULT": self.vault.url}
        variables["CM_TEST_VAULT_OPTIONS"] = self.options(**{"in-flight": 16})
        for suite in SUITES:
            done = subprocess.run([suite], env=self.environment(**variables), capture_output=True, check=False,
                                  text=True, timeout=400)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"asserts +[1-9]\d* +[1-9]\d* +[1-9]\d* +0 ")

    def test_a_key_is_opened_with_and_without_its_version_and_stays_the_same(self):
        name = "versions"
        first = self.create(name)
        self.assertEqual(self.open(self.unversioned(name)), ("OK", first))
        second = self.create(name)
        self.assertNotEqual(first, second)
        self.assertEqual(self.open(first), ("OK", first))
        self.assertEqual(self.open(second), ("OK", second))
        self.assertEqual(self.open(self.unversioned(name)), ("OK", second))

    def test_another_version_is_told_of(self):
        name = "rotated"
        self.create(name)
        probe = self.begin("watch", self.unversioned(name), **{"watch-ms": 100})
        version = self.create(name).rpartition("/")[2]
        self.assertRegex(self.finish(probe), f"^NOTICE .* another version of key {name}, {version}")

    def test_the_newest_version_that_is_enabled_is_taken(self):
        name = "newest"
        first = self.create(name)
        second = self.create(name)
        self.disable(second)
        self.assertEqual(self.open(self.unversioned(name)), ("OK", first))
        self.assertEqual(self.open(second)[0], "NO_KEY")
        self.disable(first)
        self.assertEqual(self.open(self.unversioned(name))[0], "NO_KEY")

    def test_a_key_that_is_disabled_later_makes_its_batch_wait(self):
        kid = self.create("disabled")
        self.assertEqual(self.finish(self.begin("sign", kid)), "OK")
        probe = self.begin("sign", kid)
        self.disable(kid)
        self.assertEqual(self.finish(probe), "UNAVAILABLE")

    def test_a_key_that_is_deleted_is_none(self):
        kid = self.create("deleted")
        probe = self.begin("sign", kid)
        self.ask("DELETE", "/keys/deleted")
        self.assertEqual(self.finish(probe), "UNAVAILABLE")
        for reference in (kid, self.unversioned("deleted")):
            status, why = self.open(reference)
            self.assertEqual(status, "NO_KEY")
            self.assertRegex(why, "answers 404")


class Emulator(Vault):
    """And what only our own can be told to do."""

    def test_a_newest_version_that_the_vault_hides_is_looked_for(self):
        name = "hidden"
        kid = self.create(name)
        for status, expected in ((403, "DENIED"), (404, "NO_KEY")):
            self.vault.faults({"on": "get", "kind": "status", "status": status})
            self.assertEqual(self.open(self.unversioned(name)), ("OK", kid))
            self.vault.faults({"on": "get", "kind": "status", "status": status},
                              {"on": "versions", "kind": "status", "status": 400})
            self.assertRegex(" ".join(self.open(self.unversioned(name))), f"^{expected} .* answers {status} ")


def start_emulator():
    """It challenges as Lowkey Vault does: for a resource of its own."""
    vault = Keyvault("--challenge", "uri")
    vault.resource = keyvault.RESOURCE
    return vault


def load_tests(loader, *_):
    return loader.loadTestsFromTestCase(Emulator if isinstance(Vault.vault, Keyvault) else Vault)


def main():
    reason = None
    if sys.argv.pop(1) == "emulator":
        Vault.vault = start_emulator()
    else:
        place = os.path.abspath(os.environ.get("LOWKEY_VAULT") or os.path.join(SOURCE, "build", "lowkey_vault"))
        reason = lowkey_vault.why_not(place) or lowkey_vault.enter_own_network()
        Vault.vault = None if reason else LowkeyVault(place)
    case.main(reason)


if __name__ == "__main__":
    main()
