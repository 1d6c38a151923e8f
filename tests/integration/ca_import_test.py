#!/usr/bin/env python3
"""Goal: a CA of other software moves in with its key, its certificates and what has become of them, or is refused with the
reason and nothing is changed. Method: CAs of `openssl ca`, and the command on real deployments.

  ca_import_test.py
"""
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
from openssl_ca import OpensslCa

HOWS = {"plain": (), "superseded": ("-crl_reason", "superseded"), "lost": ("-crl_compromise", "20260130000000Z"),
        "held": ("-crl_hold", "holdInstructionNone")}
REASON_NUMBERS = {"plain": 0, "superseded": 4, "lost": 1, "held": 6}


class CaImport(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ca = OpensslCa(os.path.join(deployment.scratch(), "old"), serial="FE01")  # the first bit is set
        for name in ("good", *HOWS):
            cls.ca.issue(name)
        for name, how in HOWS.items():
            cls.ca.revoke(name, *how)
        cls.crl = cls.ca.crl()
        cls.other = OpensslCa(os.path.join(deployment.scratch(), "other"), name="Other CA")
        cls.other.issue("stranger")
        cls.other.crl()
        cls.twin = OpensslCa(os.path.join(deployment.scratch(), "twin"))  # the same name, another key
        cls.twin.issue("stranger")
        cls.twin.crl()

    def setUp(self):
        self.made = deployment.Deployment()

    def command(self, *words, code=0):
        done = self.made.run("ca", "import", *words, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def key_options(self, ca=None, key="ca.key"):
        ca = ca or self.ca
        return ("old", "--key", "file:" + ca.path(key), "--certificate", ca.path("ca.pem"))

    def move_in(self, *words):
        return json.loads(self.command(*self.key_options(), *words, "--json").stdout)

    def refused(self, text, *words):
        before = self.everything()
        done = self.command(*words, code=1)
        self.assertIn(text, done.stderr.decode())
        self.assertEqual(self.everything(), before)

    def query(self, text):
        store = sqlite3.connect(f"file:{self.made.store}?mode=ro", uri=True)
        rows = store.execute(text).fetchall()
        store.close()
        return rows

    def everything(self):
        return [self.query(f"SELECT count(*) FROM {table}") for table in ("generation", "imported", "revocation", "audit")]

    def revoked(self):
        """{serial: (reason, invalidity)}"""
        return {serial.hex().removeprefix("00"): (reason, invalidity) for serial, reason, invalidity in
                self.query("SELECT serial, reason, invalidity_s FROM revocation")}

    def expected(self):
        found = {self.ca.serial(name): (REASON_NUMBERS[name], None) for name in HOWS}
        found[self.ca.serial("lost")] = (1, 1769731200)
        return found

    # --- what it is for

    def test_a_ca_of_openssl_moves_in_with_index_and_certificates(self):
        said = self.move_in("--index", self.ca.path("index.txt"), "--certificates", self.ca.path("newcerts"))
        self.assertEqual(said, {"issuer": "old-1", "new": True, "certificates": 5, "revoked": 4, "changed": 5})
        self.assertEqual(self.revoked(), self.expected())
        listed = json.loads(self.made.run("ca", "list", "--json").stdout)["authorities"]
        self.assertEqual([(one["name"], one["state"], one["subject"]) for one in listed][-1],
                         ("old-1", "active", "CN=Old CA"))
        self.assertEqual([kind for kind, in self.query("SELECT kind FROM audit ORDER BY number")][-2:],
                         ["ca-import", "ca-import"])

    def test_doing_it_again_changes_nothing(self):
        words = ("--index", self.ca.path("index.txt"), "--certificates", self.ca.path("newcerts"), "--crl", self.crl)
        self.assertEqual(self.move_in(*words)["changed"], 5)
        again = self.move_in(*words)
        self.assertEqual((again["new"], again["changed"]), (False, 0))
        self.assertEqual(self.revoked(), self.expected())

    def test_a_crl_alone_brings_the_revocations(self):
        der = self.ca.path("ca.der")
        self.ca.openssl("crl", "-in", "ca.crl", "-outform", "DER", "-out", der)
        self.assertEqual(self.move_in("--crl", der)["revoked"], 4)
        self.assertEqual(self.revoked(), self.expected())

    def test_more_is_imported_later_and_a_revocation_is_never_taken_back(self):
        self.move_in()
        bundle = self.ca.path("bundle.pem")
        with open(bundle, "w", encoding="utf-8") as file:
            for name in ("good", "plain", "good"):  # twice is once
                file.write(self.ca.read(f"{name}.pem"))
        said = json.loads(self.command("--issuer", "old-1", "--certificates", bundle, "--json").stdout)
        self.assertEqual((said["new"], said["certificates"], said["revoked"], said["changed"]), (False, 2, 0, 2))
        done = self.command("--issuer", "old-1", "--crl", self.crl)
        self.assertEqual(done.stdout, b"4 certificates read, 4 of them revoked; 4 new or changed\n")
        self.command("--issuer", "old-1", "--certificates", self.ca.path("newcerts"))
        self.assertEqual(self.revoked(), self.expected())

    def test_more_is_imported_while_an_engine_serves(self):
        self.move_in()
        engine = self.made.start()
        words = ("--issuer", "old-1", "--index", self.ca.path("index.txt"), "--certificates", self.ca.path("newcerts"))
        for changed in (5, 0):
            said = json.loads(self.command(*words, "--json").stdout)
            self.assertEqual(said, {"issuer": "old-1", "new": False, "certificates": 5, "revoked": 4, "changed": changed})
        done = self.command(*self.key_options(self.twin)[1:], "twin", code=1)  # a new key needs the store
        self.assertIn(b"stop the engine first", done.stderr)
        self.assertEqual(engine.stop(), 0, engine.text())
        self.assertEqual(self.revoked(), self.expected())

    def test_its_crl_goes_on_under_its_old_url_behind_its_old_number(self):
        url = "http://pki.example/old.crl"
        ca = OpensslCa(os.path.join(deployment.scratch(), "urls"), extensions=f"crlDistributionPoints = URI:{url}")
        for name in ("good", "bad"):
            ca.issue(name)
        ca.revoke("bad")
        ca.write("crlnumber", "1FFF\n")
        words = (*self.key_options(ca), "--index", ca.path("index.txt"), "--crl", ca.crl())
        self.command(*words)
        self.command(*words)  # the number is there already
        self.made.edit("authorities:\n", f'authorities:\n  - name: old\n    crl-url: "{url}"\n')
        self.made.edit(r"\Z", "\nstatus:\n  publish-folder: public\n")
        engine = self.made.start()
        crl = os.path.join(self.made.folder, "public", "crl", "old-1", "0.crl")
        deployment.wait_until(lambda: os.path.exists(crl), 20, "the CRL is published")
        said = json.loads(self.made.run("crl", "show", "--issuer", "old-1", "--json").stdout)
        self.assertGreater(int(said["number"]), 0x1FFF)
        self.assertEqual(said["url"], url)
        self.assertEqual([one["serial"] for one in said["entries"]], [ca.serial("bad")])
        ca.openssl("crl", "-inform", "DER", "-in", crl, "-out", "new.crl")
        for name, expected in (("good", 0), ("bad", 2)):
            done = subprocess.run(["openssl", "verify", "-crl_check", "-CRLfile", "new.crl", "-CAfile", "ca.pem",
                                   f"{name}.pem"], cwd=ca.folder, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, expected, done.stderr)
        self.assertEqual(engine.stop(), 0, engine.text())

    def test_a_number_that_is_too_large_is_said(self):
        ca = OpensslCa(os.path.join(deployment.scratch(), "huge"))
        ca.write("crlnumber", "01" * 20 + "\n")
        done = self.command(*self.key_options(ca), "--crl", ca.crl())
        self.assertIn(b"does not fit 63 bits", done.stderr)

    def test_what_moved_in_can_be_revoked(self):
        self.move_in("--certificates", self.ca.path("good.pem"))
        serial = self.ca.serial("good")
        self.made.run("revoke", "--serial", serial, "--issuer", "old-1", "--reason", "superseded")
        self.assertEqual(self.revoked(), {serial: (4, None)})

    def test_what_the_old_ca_has_put_on_hold_comes_off_by_serial(self):
        self.move_in("--crl", self.ca.crl())
        serial = self.ca.serial("held")
        self.assertEqual(self.revoked()[serial], (6, None))
        self.made.run("device", "reinstate", "--serial", serial, "--issuer", "old-1")
        self.assertEqual(self.revoked()[serial], (8, None))

    def test_a_chain_is_checked_and_kept_without_its_root(self):
        self.other.openssl("ca", "-batch", "-config", "ca.cnf", "-extensions", "authority", "-ss_cert", self.ca.path("ca.pem"),
                           "-out", "below.pem", "-notext")
        shutil.copy(self.ca.path("ca.key"), self.other.path("below.key"))
        words = ("old", "--key", "file:" + self.other.path("below.key"), "--certificate", self.other.path("below.pem"),
                 "--chain")
        self.refused("--chain: certificate 1 has not signed", *words, self.twin.path("ca.pem"))
        self.command(*words, self.other.path("ca.pem"))
        (chain,), = self.query("SELECT chain FROM generation WHERE authority = 'old'")
        self.assertEqual(chain.count("BEGIN CERTIFICATE"), 1)

    # --- what is refused

    def test_what_another_ca_has_issued_is_refused_by_name(self):
        self.refused('it was issued by "CN=Other CA"', *self.key_options(), "--certificates", self.other.path("newcerts"))
        self.refused("not signed with the key of this CA", *self.key_options(), "--certificates",
                     self.twin.path("stranger.pem"))
        self.refused('issued by "CN=Other CA"', *self.key_options(), "--crl", self.other.path("ca.crl"))
        self.refused("not signed with the key of this CA", *self.key_options(), "--crl", self.twin.path("ca.crl"))
        self.refused("block 1: it was issued by", *self.key_options(), "--certificates", self.ca.path("newcerts"),
                     "--certificates", self.other.path("stranger.pem"))

    def test_lines_of_an_index_that_are_wrong_are_said_with_file_and_line(self):
        path = self.ca.path("broken.txt")
        good = self.ca.read("index.txt").splitlines()
        for line, said in (("V\tsoon\t\t01\tunknown\t/CN=x", ":6: expected the end of the certificate"),
                           ("rubbish", ":6: expected six fields"),
                           ("R\t301231235959Z\t260101000000Z,stolen\t01\tunknown\t/CN=x", ":6: expected a reason")):
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join([*good, line, ""]))
            self.refused(path[-20:] + said, *self.key_options(), "--index", path)

    def test_a_date_that_cannot_be_is_refused_by_serial(self):
        ca = OpensslCa(os.path.join(deployment.scratch(), "late"))
        for name in ("early", "late"):
            ca.issue(name)
            ca.revoke(name)
        lines = ca.read("index.txt").splitlines()
        serial = ca.serial("late")

        def revoked_at(date):
            fields = lines[-1].split("\t")
            ca.write("index.txt", "\n".join(lines[:-1] + ["\t".join([*fields[:2], date, *fields[3:]])]) + "\n")
        revoked_at("490101000000Z")
        for words in (("--index", ca.path("index.txt")), ("--crl", ca.crl())):
            self.refused(f"serial {serial}: the date of its revocation, 2049-01-01T00:00:00Z, is in the future", *self.key_options(ca), *words)
        revoked_at("690101000000Z")
        self.refused(f"serial {serial}: its revocation has no date after 1970", *self.key_options(ca), "--crl", ca.crl())

    def test_a_key_that_is_not_the_ca_s_is_refused(self):
        self.refused("is not that of the certificate", "old", "--key", "file:" + self.twin.path("ca.key"), "--certificate",
                     self.ca.path("ca.pem"))
        self.refused("", "old", "--key", "file:/nowhere.pem", "--certificate", self.ca.path("ca.pem"))
        self.refused("", "old", "--key", "file:" + self.ca.path("good.key"), "--certificate", self.ca.path("good.pem"))

    def test_a_name_or_key_that_is_taken_is_refused(self):
        self.move_in()
        self.refused("the key is that of old-1 already", "new", *self.key_options()[1:])
        self.refused("there is an authority old already", *self.key_options(self.twin))
        self.refused("there is no key old-2", "--issuer", "old-2", "--crl", self.crl)

    def test_two_certificates_with_one_serial_are_refused(self):
        one, other = self.ca.path("one.pem"), self.ca.path("two.pem")
        for path, name in ((one, "one"), (other, "two")):
            self.ca.openssl("x509", "-req", "-in", "good.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "77",
                            "-days", "1" if name == "one" else "2", "-out", path)
        self.refused("two different certificates have the serial 4d", *self.key_options(), "--certificates", one,
                     "--certificates", other)

    def test_wrong_lines_are_usage_errors(self):
        for words in ((), ("old",), ("old", "--key", "file:x"), ("--key", "file:x", "--certificate", "x"),
                      ("--issuer", "old-1"), ("old", "--issuer", "old-1", "--crl", "x"),
                      ("--issuer", "old-1", "--key", "file:x"), ("a/b", "--key", "file:x", "--certificate", "x")):
            self.command(*words, code=2)

    def test_files_that_are_none_are_refused(self):
        self.refused("No such file", *self.key_options(), "--certificates", "/nowhere")
        self.refused("there is no CERTIFICATE in it", *self.key_options(), "--certificates", self.ca.path("ca.cnf"))
        self.refused("there is no X509 CRL in it", *self.key_options(), "--crl", self.ca.path("ca.pem"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
