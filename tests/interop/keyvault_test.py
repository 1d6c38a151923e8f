#!/usr/bin/env python3
"""Microsoft's own client finds a vault in the emulator: keys, signatures, and every way to a token.

The client's packages come from npm's registry, by keyvault_js/package-lock.json, into the build folder; they stay there.
"""
import filecmp
import os
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import keyvault
from deployment import SOURCE, scratch
from keyvault import Keyvault

PROGRAM = os.path.join(HERE, "keyvault_js")
NODE_LEAST = 20  # what the packages want


def why_no_node():
    for name in ("node", "npm"):
        if not shutil.which(name):
            return f"{name} is not installed"
    version = subprocess.run(["node", "--version"], capture_output=True, check=True, text=True).stdout.strip()
    if int(version[1:].split(".", maxsplit=1)[0]) < NODE_LEAST:
        return f"Microsoft's client needs node {NODE_LEAST}, this is {version}"
    return None


def is_installed(place):
    """All of these packages and nothing else: npm's last step writes the file."""
    lock, done = os.path.join(PROGRAM, "package-lock.json"), os.path.join(place, "installed.json")
    return os.path.exists(done) and filecmp.cmp(lock, done, shallow=False)


def install(place):
    """None, or why it did not work."""
    os.makedirs(place, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(PROGRAM, name), place)
    try:
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"],
                              cwd=place, capture_output=True, check=False, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        return "npm did not bring Microsoft's client within 180 s"
    if done.returncode != 0:
        return "npm cannot bring Microsoft's client: " + " ".join(done.stderr.split())[:200]
    shutil.copy(os.path.join(PROGRAM, "package-lock.json"), os.path.join(place, "installed.json"))
    return None


class Client(unittest.TestCase):
    place = None  # where its packages are

    def run_client(self, vault, way, **variables):
        program = shutil.copy(os.path.join(PROGRAM, "client.mjs"), self.place)
        usual = {"NODE_EXTRA_CA_CERTS": vault.certificate, "VAULT_URL": vault.url, "TENANT": keyvault.TENANT,
                 "CLIENT_ID": keyvault.CLIENT_ID, "CLIENT_SECRET": keyvault.CLIENT_SECRET}
        inherited = {name: value for name, value in os.environ.items()
                     if not name.startswith(("AZURE_", "IDENTITY_", "MSI_")) and "proxy" not in name.lower()}
        done = subprocess.run(["node", program, way], env={**inherited, **usual, **variables}, capture_output=True,
                              check=False, text=True, timeout=120)
        self.assertRegex(done.stdout, r"^ok [1-9]", done.stderr)
        self.assertEqual(vault.statistics()["faults"], 0)

    def start(self, *options):
        vault = Keyvault(*options)
        self.addCleanup(vault.stop)
        vault.create_key("ca")
        return vault

    def test_the_life_of_keys(self):
        vault = self.start()
        self.run_client(vault, "keys")
        numbers = vault.statistics()
        self.assertEqual((numbers["tokens"], numbers["requests"]["rotate"]), (1, 1))
        self.assertGreaterEqual(numbers["unauthorized"], 1, "no challenge was asked for")

    def test_every_variant_of_the_challenge_is_understood(self):
        for challenge in ("scope", "both"):
            self.run_client(self.start("--challenge", challenge), "secret")

    def test_a_certificate(self):
        folder = scratch()
        path, certificate = os.path.join(folder, "both.pem"), os.path.join(folder, "certificate.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", path, "-out", certificate,
                        "-subj", "/CN=app"], check=True, capture_output=True)
        with open(certificate, encoding="ascii") as file, open(path, "a", encoding="ascii") as both:
            both.write(file.read())
        self.run_client(self.start("--client-certificate", certificate), "certificate", CLIENT_FILE=path)

    def test_a_workload_identity(self):
        path = os.path.join(scratch(), "token")
        with open(path, "w", encoding="ascii") as file:
            file.write("eyJ.of.kubelet")
        self.run_client(self.start("--federated-token", path), "workload", CLIENT_FILE=path)

    def test_managed_identities(self):
        vault = self.start()
        self.run_client(vault, "imds", AZURE_POD_IDENTITY_AUTHORITY_HOST=vault.control_url)
        self.run_client(vault, "app-service", IDENTITY_ENDPOINT=vault.control_url + "/msi/token",
                        IDENTITY_HEADER=keyvault.IDENTITY_HEADER)


def main():
    place = os.environ.get("KEYVAULT_CLIENT") or os.path.join(SOURCE, "build", "keyvault_client")
    reason = why_no_node() or (None if is_installed(place) else install(place))
    Client.place = place
    case.main(reason)


if __name__ == "__main__":
    main()
