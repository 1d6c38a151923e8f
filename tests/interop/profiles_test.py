#!/usr/bin/env python3
"""Every profile with every key type, issued by real deployments, is accepted by OpenSSL, GnuTLS and zlint."""
import base64
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment
import zlint
from backend import Request
from zlint import find_program

PROFILES = ("device-client", "device-server", "gateway", "ldevid", "idevid", "sub-ca")
KEY_TYPES = ("p256", "p384", "p521", "ed25519", "rsa2048", "rsa3072")
CA_KEY_TYPES = ("p256", "p384", "ed25519", "rsa-2048")
ATTRIBUTES = (("serial", "SN-1"), ("model", "M200"), ("o", "Example Devices"), ("dns", "unit.example.com"),
              ("ip", "192.0.2.7"), ("hw-type", "1.3.6.1.4.1.99999.1"), ("hw-serial", "00ff"))


def to_pem(encoding):
    text = base64.b64encode(encoding).decode()
    return "\n".join(["-----BEGIN CERTIFICATE-----", *(text[i:i + 64] for i in range(0, len(text), 64)),
                      "-----END CERTIFICATE-----", ""])


class Profiles(case.Case):
    issued = {}  # CA key type: (folder of the CA, {"profile-keytype": path of the PEM file})

    def certificates(self):
        """[(CA folder, name, path)] of all certificates; issued once."""
        for ca_key_type in CA_KEY_TYPES:
            if ca_key_type not in Profiles.issued:
                Profiles.issued[ca_key_type] = self.issue_all(ca_key_type)
        return [(folder, f"{ca_key_type}/{name}", path) for ca_key_type, (folder, paths) in Profiles.issued.items()
                for name, path in paths.items()]

    def issue_all(self, ca_key_type):
        self.deploy("profiles", key_type=ca_key_type, init=("--sub-ca", "--base-url", "http://pki.example",
                                                            "--organization", "Example Devices"))
        requests = [Request(f"{profile}-{key_type}", f"{profile}-{key_type}",
                            deployment.make_csrs(1, key_type, "any")[0], profile=profile)
                    for profile in PROFILES for key_type in KEY_TYPES]
        self.deployment.add_devices([request.device for request in requests], attributes=ATTRIBUTES)
        engine = self.start()
        self.backend.push(requests)
        evidence = self.finish(engine)
        paths = {}
        for publication in evidence.publications:
            name = publication["id"].decode()
            paths[name] = os.path.join(self.deployment.folder, name + ".pem")
            with open(paths[name], "w", encoding="ascii") as file:
                file.write(to_pem(publication["certificate"]))
        self.assertEqual(len(paths), len(PROFILES) * len(KEY_TYPES))
        return os.path.join(self.deployment.folder, "ca"), paths

    def expect_each(self, check):
        """check(CA folder, path) gives what is wrong, or None."""
        found = {name: check(folder, path) for folder, name, path in self.certificates()}
        bad = {name: text for name, text in found.items() if text}
        self.assertEqual(bad, {}, f"{len(bad)} of {len(found)} are not accepted")

    def run_tool(self, *command):
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        return None if done.returncode == 0 else (done.stdout + done.stderr)[-300:]

    def test_openssl_verify_strict_accepts_each(self):
        self.expect_each(lambda folder, path: self.run_tool(
            "openssl", "verify", "-x509_strict", "-policy_check", "-CAfile", os.path.join(folder, "root.pem"),
            "-untrusted", os.path.join(folder, "issuing.pem"), path))

    def test_openssl_accepts_each_for_its_purpose_and_for_no_other(self):
        purposes = {"device-client": "sslclient", "device-server": "sslserver", "ldevid": "sslclient"}

        def check(folder, path):
            profile = os.path.basename(path).rpartition("-")[0]
            base = ["openssl", "verify", "-x509_strict", "-CAfile", os.path.join(folder, "root.pem"), "-untrusted",
                    os.path.join(folder, "issuing.pem")]
            wanted = ["sslclient", "sslserver"] if profile == "gateway" else [purposes[profile]] \
                if profile in purposes else []
            for purpose in wanted:
                text = self.run_tool(*base, "-purpose", purpose, path)
                if text:
                    return text
            others = {"sslclient", "sslserver"} - set(wanted) if wanted else ()
            for purpose in others:
                if not self.run_tool(*base, "-purpose", purpose, path):
                    return f"accepted for {purpose}, too"
            return None
        self.expect_each(check)

    def test_gnutls_verifies_each(self):
        if not find_program("certtool"):
            self.skip("certtool is not installed")

        def check(folder, path):
            with open(path, encoding="ascii") as leaf, open(os.path.join(folder, "issuing.pem"),
                                                            encoding="ascii") as issuing:
                chain = leaf.read() + issuing.read()
            with open(path + ".chain", "w", encoding="ascii") as file:
                file.write(chain)
            return self.run_tool("certtool", "--verify", "--load-ca-certificate", os.path.join(folder, "root.pem"),
                                 "--infile", path + ".chain")
        self.expect_each(check)

    def test_zlint_finds_no_error_in_any(self):
        program = find_program("zlint")
        if not program:
            self.skip("zlint is not installed")
        self.expect_each(lambda _, path: zlint.complaints(path, program))

    def test_zlint_would_find_an_error(self):
        program = find_program("zlint")
        if not program:
            self.skip("zlint is not installed")
        path = os.path.join(deployment.scratch(), "bad.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj",
                        "/CN=bad", "-set_serial", "-5", "-out", path], check=True, capture_output=True)
        self.assertIn("e_serial_number_not_positive", zlint.complaints(path, program) or "")

    def test_zlint_finds_no_error_in_the_authorities(self):
        program = find_program("zlint")
        if not program:
            self.skip("zlint is not installed")
        folders = {folder for folder, _, _ in self.certificates()}
        found = {path: zlint.complaints(path, program) for folder in folders
                 for path in (os.path.join(folder, "root.pem"), os.path.join(folder, "issuing.pem"))}
        self.assertEqual({path: text for path, text in found.items() if text}, {})


if __name__ == "__main__":
    case.main()
