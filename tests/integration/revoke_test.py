#!/usr/bin/env python3
"""Goal: `revoke` and `device quarantine|reinstate|retire` do what they say, or say why not, and it is in the store and the
audit log. Method: the commands on real deployments, with an engine that serves and without one.

  revoke_test.py
"""
import json
import os
import pty
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
from deployment import CERTMILL, free_port, make_csrs, wait_until

REASONS = {0: "unspecified", 1: "keyCompromise", 4: "superseded", 5: "cessationOfOperation", 6: "certificateHold",
           8: "removeFromCRL"}


class Revoke(unittest.TestCase):
    """Two groups: a and b have two devices each, with two certificates each."""

    serving = False  # with an engine

    def setUp(self):
        self.made = deployment.Deployment()
        self.made.edit(r"(?m)^# Who may ask", "  - name: b\n    authority: issuing\n    profiles: [device-client]\n"
                       "    reinstate: fresh\n\n"
                       r"\g<0>")
        self.made.edit("groups: \\[default\\]", "groups: [default, b]")
        self.made.add_devices(["a-0", "a-1"])
        self.made.add_devices(["b-0", "b-1"], group="b")
        self.serials = {}  # of each device
        for round_ in range(2):
            for name in ("a", "b"):
                self.issue(f"{name}", round_)
        if self.serving:
            engine = self.made.start()
            self.addCleanup(lambda: self.assertEqual(engine.stop(), 0, engine.text()))

    def issue(self, name, round_):
        folder = tempfile.mkdtemp(dir=self.made.folder)
        csrs, out = os.path.join(folder, "csrs"), os.path.join(folder, "out")
        os.mkdir(csrs)
        for i, der in enumerate(make_csrs(2, name=f"{name}{round_}")):
            with open(os.path.join(csrs, f"{name}-{i}.der"), "wb") as file:
                file.write(der)
        self.made.run("issue", "--in", csrs, "--out", out, "--quiet")
        for i in range(2):
            done = subprocess.run(["openssl", "x509", "-noout", "-serial", "-in", os.path.join(out, f"{name}-{i}.pem")],
                                  capture_output=True, text=True, check=True)
            self.serials.setdefault(f"{name}-{i}", []).append(done.stdout.strip().partition("=")[2].lower())

    def certmill(self, *words, code=0):
        done = self.made.run(*words, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def revoke(self, *words):
        return json.loads(self.certmill("revoke", "--json", *words).stdout)

    def refused(self, text, *words):
        done = self.certmill(*words, code=1)
        self.assertIn(text, done.stderr.decode())

    def query(self, text):
        store = sqlite3.connect(f"file:{self.made.store}?mode=ro", uri=True)
        rows = store.execute(text).fetchall()
        store.close()
        return rows

    def revoked(self):
        """{serial: reason} of what is revoked or on hold."""
        rows = self.query("SELECT serial, reason FROM revocation")
        return {serial.hex(): REASONS[reason] for serial, reason in rows if reason != 8}

    def audit(self, kind):
        return [(actor, json.loads(detail)) for actor, detail in
                self.query(f"SELECT actor, detail FROM audit WHERE kind = '{kind}' ORDER BY number")]

    def state(self, device):
        return json.loads(self.certmill("device", "show", device, "--json").stdout)["state"]

    # --- revoke

    def test_a_serial_is_revoked_once_and_says_so(self):
        serial = self.serials["a-0"][0]
        colons = ":".join(serial[i:i + 2] for i in range(0, 40, 2)).upper()
        done = self.certmill("revoke", "--serial", colons, "--reason", "superseded", "--why", "ticket 1")
        self.assertEqual(done.stdout, b"1 certificate revoked\n")
        self.assertEqual(self.revoked(), {serial: "superseded"})
        (actor, detail), = self.audit("revoke")
        self.assertTrue(actor.startswith("operator:"), actor)
        self.assertEqual((detail["serial"], detail["reason"], detail["why"]), (serial, "superseded", "ticket 1"))
        self.assertEqual(self.revoke("--serial", serial)["certificates"], 0)
        self.assertIn(b"none was left to revoke", self.certmill("revoke", "--serial", serial).stdout)
        self.assertEqual(self.revoked(), {serial: "superseded"})

    def test_a_key_compromise_replaces_any_reason_and_has_a_date(self):
        serial = self.serials["a-0"][0]
        self.revoke("--serial", serial, "--issuer", "issuing-1")
        now = int(time.time())
        lost = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        said = self.revoke("--serial", serial, "--reason", "keyCompromise", "--invalidity", lost)
        self.assertEqual(said["certificates"], 1)
        self.assertEqual(self.query("SELECT reason, invalidity_s FROM revocation"), [(1, now)])

    def test_a_device_and_a_group_lose_every_certificate(self):
        self.assertEqual(self.revoke("--device", "a-1", "--reason", "keyCompromise")["certificates"], 2)
        self.assertEqual(set(self.revoked()), set(self.serials["a-1"]))
        said = self.revoke("--group", "b", "--yes")
        self.assertEqual(said, {"certificates": 4, "devices": 2})
        self.assertEqual(set(self.revoked()), set(self.serials["a-1"] + self.serials["b-0"] + self.serials["b-1"]))
        self.assertEqual(self.revoke("--group", "b", "--yes")["certificates"], 0)

    def test_a_group_is_asked_about_on_a_terminal(self):
        for typed, code in ((b"no\n", 1), (b"yes\n", 0)):
            child, terminal = pty.fork()
            if child == 0:
                os.execv(CERTMILL, [CERTMILL, "revoke", "-c", self.made.settings, "--group", "b"])
            seen = b""
            while b"Type yes: " not in seen:
                seen += os.read(terminal, 4096)
            self.assertIn(b"every certificate of the 2 devices of the group b?", seen)
            os.write(terminal, typed)
            try:
                while os.read(terminal, 4096):
                    pass
            except OSError:  # it has ended
                pass
            os.close(terminal)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), code)
            self.assertEqual(len(self.revoked()), 0 if code else 4)

    def test_what_cannot_be_is_refused_and_changes_nothing(self):
        self.refused("revoke.serial-unknown", "revoke", "--serial", "7701")
        self.refused("revoke.serial-unknown", "revoke", "--serial", self.serials["a-0"][0], "--issuer", "issuing-7")
        self.refused("revoke.device-unknown", "revoke", "--device", "nobody")
        self.refused("there is no group", "revoke", "--group", "nowhere", "--yes")
        done = self.certmill("revoke", "--device", "nobody", "--json", code=1)
        self.assertIn("revoke.device-unknown", json.loads(done.stdout)["error"])
        self.assertEqual(self.revoked(), {})

    def test_wrong_lines_are_usage_errors(self):
        self.certmill("device", "retire", "a-0", "b-0", "a\nb", code=2)
        for words in ((), ("--serial", "1", "--device", "a-0"), ("--serial", "xyz"), ("--serial", "0"),
                      ("--device", "a-0", "--issuer", "issuing-1"), ("--device", "a-0", "--reason", "removeFromCRL"),
                      ("--device", "a-0", "--invalidity", "soon"), ("--device", "a-0", "--invalidity", "2099-01-01"),
                      ("--device", "a-0", "--why", "two\nlines"), ("--device", "a-0", "--why", "x" * 2000),
                      ("--group", "b")):
            self.certmill("revoke", *words, code=2)
        self.assertEqual(self.revoked(), {})

    # --- device quarantine, reinstate, retire

    def test_quarantine_puts_on_hold_and_reinstate_takes_off(self):
        done = self.certmill("device", "quarantine", "a-0", "a-1", "--why", "odd traffic")
        self.assertEqual(done.stdout, b"2 devices in quarantine, 4 certificates on hold\n")
        self.assertEqual(set(self.revoked().values()), {"certificateHold"})
        self.assertEqual((self.state("a-0"), self.state("b-0")), ("quarantined", "allowed"))
        self.assertEqual([detail["why"] for _, detail in self.audit("quarantine")], ["odd traffic"] * 2)
        done = self.certmill("device", "quarantine", "a-0")
        self.assertEqual(done.stdout, b"0 devices in quarantine, 0 certificates on hold; 1 was so already\n")
        self.revoke("--serial", self.serials["a-0"][0], "--reason", "keyCompromise")
        done = self.certmill("device", "reinstate", "a-0")
        self.assertEqual(done.stdout, b"1 device reinstated, 1 certificate not on hold any more\n")
        self.assertEqual(self.state("a-0"), "allowed")
        self.assertEqual(self.revoked()[self.serials["a-0"][0]], "keyCompromise")
        self.assertNotIn(self.serials["a-0"][1], self.revoked())

    def test_reinstate_revokes_where_devices_are_to_have_fresh_certificates(self):
        self.certmill("device", "quarantine", "b-1")
        done = self.certmill("device", "reinstate", "b-1")
        self.assertEqual(done.stdout, b"1 device reinstated, 2 certificates not on hold any more\n")
        self.assertEqual(self.revoked(), {serial: "superseded" for serial in self.serials["b-1"]})
        self.assertEqual(self.state("b-1"), "allowed")

    def test_one_certificate_comes_off_hold(self):
        first, second = self.serials["a-0"]
        for serial in (first, second):
            self.revoke("--serial", serial, "--reason", "certificateHold")
        done = self.certmill("device", "reinstate", "--serial", first.upper(), "--issuer", "issuing-1", "--why", "found again")
        self.assertEqual(done.stdout, b"1 certificate not on hold any more\n")
        self.assertEqual(self.revoked(), {second: "certificateHold"})
        (_, detail), = self.audit("reinstate")
        self.assertEqual((detail["serial"], detail["why"]), (first, "found again"))
        self.refused("revoke.not-on-hold", "device", "reinstate", "--serial", first)
        done = self.certmill("device", "reinstate", "--serial", second, "--json")
        self.assertEqual(json.loads(done.stdout), {"certificates": 1})
        self.refused("revoke.serial-unknown", "device", "reinstate", "--serial", "7701")
        self.certmill("device", "quarantine", "a-0")
        self.refused("reinstate the device", "device", "reinstate", "--serial", first)
        self.assertEqual(self.revoked(), {first: "certificateHold", second: "certificateHold"})
        for words in ((), ("a-0", "--serial", first), ("--serial", "xyz"), ("a-0", "--issuer", "issuing-1")):
            self.certmill("device", "reinstate", *words, code=2)

    def test_retire_is_for_good(self):
        self.certmill("device", "retire", "b-0")
        self.assertEqual(self.state("b-0"), "retired")
        self.assertEqual(self.revoked(), {serial: "cessationOfOperation" for serial in self.serials["b-0"]})
        self.refused("b-0: ", "device", "reinstate", "b-0")
        self.assertEqual(self.state("b-0"), "retired")

    def test_one_that_is_refused_does_not_stop_the_others(self):
        done = self.certmill("device", "reinstate", "a-0", code=1)
        self.assertIn(b"certmill: a-0: ", done.stderr)
        done = self.certmill("device", "quarantine", "a-0", "nobody", "a-1", "--json", code=1)
        rows = json.loads(done.stdout)["devices"]
        self.assertEqual([(row["device"], row["done"], row["certificates"]) for row in rows],
                         [("a-0", True, 2), ("nobody", False, 0), ("a-1", True, 2)])
        self.assertEqual(rows[1]["code"], "revoke.device-unknown")
        self.assertEqual(len(self.revoked()), 4)


class RevokeThroughTheEngine(Revoke):
    serving = True


class Told(unittest.TestCase):
    """What relying parties and operators get to see of it, through the commands alone."""

    def setUp(self):
        listen = f"127.0.0.1:{free_port()}"
        self.made = deployment.Deployment(init=("--listen", listen, "--base-url", f"http://{listen}"))
        self.made.edit("  # publish-folder: public", "  publish-folder: public")
        self.made.add_devices(["m-0", "m-1"])
        csrs = os.path.join(self.made.folder, "csrs")
        self.out = os.path.join(self.made.folder, "out")
        os.mkdir(csrs)
        for i, der in enumerate(make_csrs(2)):
            with open(os.path.join(csrs, f"m-{i}.der"), "wb") as file:
                file.write(der)
        self.made.run("issue", "--in", csrs, "--out", self.out, "--quiet")

    def ask(self, device):
        done = self.made.run("ocsp", "query", "--certificate", os.path.join(self.out, f"{device}.pem"), "--json", check=False)
        return done.returncode, json.loads(done.stdout)

    def entries(self):
        said = json.loads(self.made.run("crl", "show", "--issuer", "issuing-1", "--json").stdout)
        return [(entry["serial"], entry["reason"]) for entry in said["entries"]]

    def doctor(self):
        return {(one["verdict"], one["check"], one["text"]) for one in json.loads(self.made.run("doctor", "--json").stdout)["checks"]}

    def verify(self, device):
        """What openssl finds with the folder's CRL, as a web server would: 0 or 23, certificate revoked."""
        parts = [os.path.join(self.made.folder, *path) for path in
                 (("ca", "root.pem"), ("ca", "issuing.pem"), ("out", f"{device}.pem"), ("public", "crl", "issuing-1", "0.crl"))]
        crl = os.path.join(self.made.folder, "0.pem")
        subprocess.run(["openssl", "crl", "-inform", "DER", "-in", parts[3], "-out", crl], check=True)
        done = subprocess.run(["openssl", "verify", "-partial_chain", "-trusted", parts[1], "-CRLfile", crl, "-crl_check", parts[2]],
                              capture_output=True, check=False)
        return 0 if done.returncode == 0 else int(done.stderr.split(b"error ")[1].split()[0])

    def test_without_an_engine_lists_go_into_the_folder_all_the_same(self):
        self.assertEqual(self.made.run("crl", "publish").stdout, b"1 CRL published\n")
        self.assertEqual((self.entries(), self.verify("m-0")), ([], 0))
        self.made.run("device", "quarantine", "m-0")
        said = json.loads(self.made.run("crl", "publish", "--issuer", "issuing-1", "--json").stdout)
        self.assertEqual((said["published"], said["failed"]), (1, 0))
        self.assertEqual([reason for _, reason in self.entries()], ["certificateHold"])
        self.assertEqual((self.verify("m-0"), self.verify("m-1")), (23, 0))

    def test_without_an_engine_what_cannot_be_published_is_told_and_stays(self):
        self.made.run("crl", "publish")
        before = self.entries()
        done = self.made.run("crl", "publish", "--issuer", "issuing-9", check=False)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b"issuing-9", done.stderr)
        folder = os.path.join(self.made.folder, "public/crl/issuing-1")
        os.rename(folder, folder + ".away")
        with open(folder, "wb"):
            pass  # no folder can be made here, whoever asks
        self.made.run("device", "quarantine", "m-0")
        done = self.made.run("crl", "publish", check=False)
        self.assertEqual((done.returncode, done.stdout), (1, b"0 CRLs published\n"))
        self.assertIn(b"certmill: 1 could not be: ", done.stderr)
        os.unlink(folder)
        os.rename(folder + ".away", folder)
        self.assertEqual(self.entries(), before)
        self.made.run("crl", "publish")
        self.assertEqual(len(self.entries()), 1)

    def test_without_an_engine_and_a_folder_there_is_no_place_for_lists(self):
        self.made.edit(r"(?m)^ *publish-folder:.*\n", "")
        done = self.made.run("crl", "publish", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"no status.publish-folder to publish into", done.stderr)

    def test_crl_and_ocsp_follow_what_operators_do(self):
        engine = self.made.start()
        wait_until(lambda: self.ask("m-0")[0] == 0, 20, "a responder answers")
        self.made.run("device", "quarantine", "m-0")
        code, said = wait_until(lambda: (self.ask("m-0")[0] == 3 and self.ask("m-0")), 5, "OCSP says so")
        self.assertEqual((said["reason"], said["delegated"]), ("certificateHold", True))
        self.assertEqual(self.made.run("crl", "publish").stdout, b"1 CRL published\n")
        self.assertEqual(self.entries(), [(said["serial"], "certificateHold")])
        self.made.run("device", "reinstate", "m-0")
        wait_until(lambda: self.ask("m-0")[0] == 0, 5, "OCSP says so")
        self.made.run("crl", "publish", "--issuer", "issuing-1")
        self.assertEqual(self.entries(), [])
        done = self.made.run("crl", "publish", "--issuer", "issuing-9", check=False)
        self.assertEqual(done.returncode, 1)
        done = self.made.run("ocsp", "query", "--serial", "4711", "--issuer", "issuing-1", check=False)
        self.assertEqual(done.returncode, 4, done.stderr)
        said = self.doctor()
        self.assertLessEqual({("OK", "OCSP"), ("OK", "CRLs")}, {(verdict, check) for verdict, check, _ in said})
        self.assertTrue(any(check == "engine" and text.startswith("1 CRL, the first ends on 20") for _, check, text in said))
        self.assertEqual(engine.stop(), 0, engine.text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
