#!/usr/bin/env python3
"""bench/peers: a small run with whatever peers are installed, and what it makes of one that does not do its work.

BUILD: the build folder, where `bench/peers --setup` leaves step-ca.
"""
import json
import os
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
from deployment import SOURCE, scratch

PEERS = ("openssl-ca", "openssl-ca-2", "certtool", "cfssl", "cfssl-db", "step-ca", "certmill-files", "certmill")
FIGURES = ("rate", "cpu_us", "kernel_us", "client_us", "ceiling", "bare_us", "of_ceiling", "times_bare")
DEVICES = 20
# In front of openssl: `openssl ca` loses its last request.
LOSES_ONE = """#!/bin/bash
[ "$1" = ca ] && [ $# -gt 12 ] && set -- "${@:1:$#-1}"
exec %s "$@"
"""


def run_peers(*words, **variables):
    """(exit code, what it printed, the object of --json)"""
    path = os.path.join(scratch(), "found.json")
    command = [os.path.join(SOURCE, "bench/peers"), "--build", os.environ["BUILD"], "--devices", str(DEVICES), "--rounds", "1",
               "--json", path, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=dict(os.environ, **variables))
    try:
        text, told = process.communicate(timeout=500)
    finally:
        process.terminate()  # it ends its servers; where it has ended, this is nothing
        process.wait()
    if not os.path.exists(path):
        raise AssertionError("bench/peers found nothing: " + told)
    with open(path, encoding="utf-8") as file:
        return process.returncode, text, json.load(file)


class EachPeer(case.Case):
    """One run, looked at peer by peer."""

    @classmethod
    def setUpClass(cls):
        cls.code, cls.text, cls.found = run_peers()
        cls.peers = {peer["name"]: peer for peer in cls.found["peers"]}

    def measured(self, name):
        """Its figures, looked at; the test is skipped where it cannot run here."""
        peer = self.peers[name]
        if peer["status"] == "skipped":
            self.assertIn(f"SKIP {name}: {peer['reason']}", self.text)
            self.skip(f"{name}: {peer['reason']}")
        self.assertEqual(peer["status"], "measured", peer.get("reason"))
        self.assertEqual((peer["count"], len(peer["runs"])), (DEVICES, 1))
        for figure in FIGURES:
            self.assertGreaterEqual(peer[figure], 0, figure)
        self.assertGreater(peer["rate"], 0)
        for said in ("version", "does", "command", "checks", "keeps"):
            self.assertTrue(peer[said], said)
        self.assertIs(type(peer["checks_possession"]), bool)
        return peer

    def test_all_are_told_and_none_failed(self):
        self.assertEqual(tuple(self.peers), PEERS)
        self.assertEqual(self.code, 0, self.text)
        self.assertGreater(self.found["ceiling"]["rate"], 0)

    def test_openssl_issues_all(self):
        self.assertTrue(self.measured("openssl-ca-2")["checks_possession"])
        self.assertEqual(set(self.measured("openssl-ca")["cold"]), {"openssl x509 -req", "openssl ca"})

    def test_certmill_issues_all(self):
        for name in ("certmill-files", "certmill"):
            self.assertTrue(self.measured(name)["checks_possession"], name)
        self.assertGreater(self.peers["certmill"]["single_ms"], 0)
        self.assertGreater(self.peers["certmill"]["start_ms"], 0)

    def test_certtool_issues_all(self):
        self.assertEqual(set(self.measured("certtool")["cold"]), {"certtool"})

    def test_cfssl_issues_all(self):
        self.assertEqual(set(self.measured("cfssl")["cold"]), {"cfssl sign"})

    def test_cfssl_keeps_all_in_its_database(self):
        self.measured("cfssl-db")

    def test_step_ca_issues_all(self):
        self.assertGreater(self.measured("step-ca")["single_ms"], 0)


class OnePeer(unittest.TestCase):
    def test_that_loses_a_request_is_told_and_not_counted(self):
        path = os.path.join(scratch(), "openssl")
        with open(path, "w", encoding="ascii") as file:
            file.write(LOSES_ONE % shutil.which("openssl"))
        os.chmod(path, 0o755)
        code, text, found = run_peers("--only", "openssl-ca", PATH=f"{os.path.dirname(path)}:{os.environ['PATH']}")
        self.assertEqual(code, 1, text)
        self.assertIn(f"FAIL openssl-ca: RuntimeError: 1 of {DEVICES} requests have no certificate", text)
        self.assertEqual(found["peers"][0]["status"], "failed")
        self.assertNotIn("rate", found["peers"][0])


if __name__ == "__main__":
    case.main()
