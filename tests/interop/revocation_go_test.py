#!/usr/bin/env python3
"""Programs in Go believe what a served deployment says: crypto/x509 reads its CRLs, golang.org/x/crypto/ocsp its answers.

The program is built by go, whose module proxy brings golang.org/x/crypto once for a machine, by revocation_go/go.sum.
"""
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import served
from deployment import scratch

SOURCE = os.path.join(HERE, "revocation_go")
GO_LEAST = 21  # 1.21: the entries of lists with their reasons
GOOD, REVOKED, UNKNOWN = 0, 1, 2


def find_go():
    return shutil.which("go") or next((path for path in ("/usr/local/go/bin/go",) if os.access(path, os.X_OK)), None)


def build(program):
    """None, or why there is no program."""
    go = find_go()
    if not go:
        return "go is not installed (Debian: golang-go)"
    version = subprocess.run([go, "version"], capture_output=True, check=True, text=True).stdout
    if int(re.search(r"go1\.(\d+)", version)[1]) < GO_LEAST:
        return f"the program needs Go 1.{GO_LEAST}, this is {version.split()[2]}"
    try:
        done = subprocess.run([go, "build", "-buildvcs=false", "-o", program, "."], cwd=SOURCE, capture_output=True, check=False,
                              text=True, timeout=240, env=dict(os.environ, GOTOOLCHAIN="local", GOFLAGS="-mod=readonly"))
    except subprocess.TimeoutExpired:
        return "go did not bring golang.org/x/crypto and build within 240 s"
    if done.returncode == 0:
        return None
    text = " ".join(done.stderr.split())
    if re.search(r"dial |lookup |proxy|timeout|connection", text):
        return "go cannot bring golang.org/x/crypto: " + text[:200]
    raise AssertionError(f"the program does not build: {text}")


class Go(served.Served):
    program = None

    def tell(self, *words):
        done = self.run_program(Go.program, *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def write_list(self, crl):
        with open(self.path("list.der"), "wb") as file:
            file.write(crl.data)
        return "list.der"

    def test_go_verifies_lists_and_finds_who_is_in_them(self):
        requests = self.deploy_served("lists", 8)
        engine = self.serve()
        certificates = self.issue(requests)
        reasons = {"keyCompromise": 1, "unspecified": 0, "superseded": 4, "certificateHold": 6}
        for certificate, reason in zip(certificates, reasons):
            self.order("revoke", serial=certificate.serial, reason=reason)
        for certificate, reason in zip(certificates, reasons):
            self.wait_listed(certificate, reason)
        found = {}
        for shard in range(served.SHARDS):
            for is_delta in (False, True):
                crl = self.crl(shard, is_delta)
                said = self.tell("crl", "ca/issuing.pem", self.write_list(crl))
                self.assertEqual(said["number"], crl.number)
                self.assertLess(said["this_update"], said["next_update"])
                self.assertEqual(set(said["entries"]), set(crl.entries))
                found.update(said["entries"])
        self.assertEqual(found, dict(zip((certificate.serial for certificate in certificates), reasons.values())))
        done = self.run_program(Go.program, "crl", "ca/root.pem", "list.der")
        self.assertNotEqual(done.returncode, 0, "it is not the root's")
        self.stop(engine)

    def ask_each(self, is_delegated):
        good, bad = self.issue(self.requests)
        self.order("revoke", serial=bad.serial, reason="cessationOfOperation")
        for digest in ("sha1", "sha256"):
            for way in ("post", "get"):
                for certificate, state, reason in ((good, GOOD, 0), (bad, REVOKED, 5)):
                    said = self.tell("ocsp", "ca/issuing.pem", certificate.path, self.url + "/ocsp", digest, way)
                    self.assertEqual((said["status"], said["reason"], said["delegated"]), (state, reason, is_delegated))
                    self.assertLess(said["this_update"], said["next_update"])

    def test_go_believes_a_delegated_responder(self):
        self.requests = self.deploy_served("delegated", 2)
        engine = self.serve()
        self.ask_each(True)
        self.stop(engine)

    def test_go_believes_the_ca_itself(self):
        self.requests = self.deploy_served("itself", 2)
        self.deployment.edit(r"(?m)^    ocsp-responder: soft\n", "")
        engine = self.serve()
        self.ask_each(False)
        self.stop(engine)

    def test_go_is_told_where_the_issuer_is_not_ours(self):
        self.deploy_served("foreign")
        engine = self.serve()
        done = self.run_program(Go.program, "ocsp", "ca/root.pem", "ca/issuing.pem", self.url + "/ocsp", "sha1", "post")
        self.assertEqual(done.returncode, 1)
        self.assertIn("unauthorized", done.stderr)
        self.stop(engine)


def main():
    place = os.environ.get("REVOCATION_GO") or scratch()
    os.makedirs(place, exist_ok=True)
    Go.program = os.path.join(place, "revocation")
    served.main(build(Go.program))


if __name__ == "__main__":
    main()
