#!/usr/bin/env python3
"""certmill audit: what is verified, shown, exported and proved; and that nothing can be changed that is not found."""
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import case
import chain
import checker
import der
from audited import Audited
from der import Certificate

ROWS = "number, time_ms, kind, actor, detail, digest, previous, hash"


def row_of(text):
    """The number of the row that a line of verify is about."""
    found = re.match(r"certmill: audit log: row (\d+): ", text)
    return int(found.group(1)) if found else None


class AuditVerify(Audited):
    """One run is looked at by all; each that changes anything works on a copy of its store."""
    good = None

    def setUp(self):
        if AuditVerify.good is None:
            self.make_good()
        self.deployment, self.public, self.file, self.issued = AuditVerify.good

    def make_good(self):
        requests = self.deploy_audited("verify", 30, batch_items=4)
        self.deployment.allow_orders()
        engine = self.start()
        self.wait_checkpoint()
        self.backend.push(requests)
        self.backend.wait_answered()
        answers = self.backend.answers()
        issued = {request.device: answers[request.id][0]["certificate"] for request in requests}
        self.wait_checkpoint(self.query("SELECT max(number) FROM audit")[0][0])
        self.control("orders", actor="operator:ann", orders=[{"kind": "revoke", "device": requests[0].device}])
        self.wait_checkpoint(self.query("SELECT max(number) FROM audit")[0][0])
        self.stop(engine)
        AuditVerify.good = (self.deployment, self.public, self.file, issued)
        AuditVerify.requests = requests

    def verify(self, *options, check=False):
        return self.deployment.run("audit", "verify", *options, check=check)

    def copied(self):
        """A deployment beside the good one, with a store of its own: its settings, its file of checkpoints, its store."""
        folder = tempfile.mkdtemp(dir=self.deployment.folder)
        self.addCleanup(shutil.rmtree, folder)
        store, file = os.path.join(folder, "certmill.db"), os.path.join(folder, "checkpoints.jsonl")
        for name in ("-wal", ""):
            if os.path.exists(self.deployment.store + name):
                shutil.copy(self.deployment.store + name, store + name)
        shutil.copy(self.file, file)
        settings = os.path.join(self.deployment.folder, os.path.basename(folder) + ".yaml")
        with open(self.deployment.settings, encoding="utf-8") as text:
            changed = text.read().replace("store/certmill.db", f"{os.path.basename(folder)}/certmill.db") \
                .replace("file: checkpoints.jsonl", f"file: {os.path.basename(folder)}/checkpoints.jsonl")
        with open(settings, "w", encoding="utf-8") as out:
            out.write(changed)
        self.addCleanup(os.unlink, settings)
        return settings, file, store

    def found_in(self, changes, change_file=None, options=(), by_python=True):
        """What verify says of a copy after the SQL statements; Python's checker has to find it, too."""
        settings, file, store = self.copied()
        db = sqlite3.connect(store)
        db.execute("PRAGMA ignore_check_constraints = ON")
        for sql, *values in changes:
            db.execute(sql, values)
        db.commit()
        db.close()
        if change_file:
            change_file(file)
        done = self.deployment.run("audit", "verify", "-c", settings, *options, settings=False, check=False)
        self.assertEqual(done.returncode, 1, f"nothing was found after {changes}: {done.stdout}")
        text = done.stderr.decode()
        self.assertEqual(text.count("\n"), 1, text)
        self.assertTrue(text.startswith("certmill: audit log: "), text)
        if by_python:
            evidence = checker.Evidence([], [], checker.Store(store))
            rules = (checker.rule_audit_chain, checker.rule_audit_counts, checker.rule_audit_roots,
                     checker.rule_audit_checkpoints)
            self.assertTrue([wrong for rule in rules for wrong in rule(evidence)], f"Python finds nothing after {changes}")
        return text

    def query(self, sql, *values):
        return self.deployment.query(sql, *values)

    def issue_rows(self):
        return [number for (number,) in self.query("SELECT number FROM audit WHERE kind = 'issue' AND"
                                                    " json_extract(detail, '$.issued') > 1 ORDER BY number")]

    # --- whole

    def test_a_log_that_nobody_touched_is_whole(self):
        done = json.loads(self.verify("--json", "--key", self.public, check=True).stdout)
        rows, head = self.query("SELECT count(*), (SELECT hash FROM audit ORDER BY number DESC LIMIT 1) FROM audit")[0]
        self.assertTrue(done["whole"])
        self.assertEqual((done["rows"], done["head"], done["covered"]), (rows, head.hex(), rows))
        self.assertEqual(done["certificates"], len(self.issued))
        self.assertEqual(done["checkpoints"], self.query("SELECT count(*) FROM checkpoint")[0][0])
        evidence = checker.Evidence([], [], checker.Store(self.deployment.store))
        self.assertEqual(list(checker.rule_audit_checkpoints(evidence)), [])

    def test_it_is_verified_while_an_engine_writes(self):
        more = self.deploy_audited("busy", 60, batch_items=2)
        engine = self.start()
        for at in range(0, 60, 6):
            self.backend.push(more[at:at + 6])
            self.verify(check=True)
        self.finish(engine)
        self.verify(check=True)

    # --- rows

    def test_every_column_of_a_row_is_held_by_the_chain(self):
        number = self.issue_rows()[2]
        for column, value in (("time_ms", 1), ("kind", "issues"), ("actor", "somebody"), ("detail", "{}"),
                              ("digest", bytes(32)), ("previous", bytes(32)), ("hash", bytes(32))):
            with self.subTest(column=column):
                text = self.found_in([(f"UPDATE audit SET {column} = ? WHERE number = ?", value, number)])
                self.assertEqual(row_of(text), number)

    def test_a_row_that_cannot_even_be_read_is_named(self):
        number = self.issue_rows()[2]
        text = self.found_in([("UPDATE audit SET digest = x'00' WHERE number = ?", number)])
        self.assertEqual(row_of(text), number)

    def test_a_row_that_was_made_anew_with_its_hash_is_named_by_the_next(self):
        row = list(self.query(f"SELECT {ROWS} FROM audit WHERE number = ?", self.issue_rows()[2])[0])
        row[3] = "somebody"
        text = self.found_in([("UPDATE audit SET actor = ?, hash = ? WHERE number = ?", row[3], chain.row_hash(row), row[0])])
        self.assertEqual(row_of(text), row[0] + 1)

    def test_a_chain_that_was_made_anew_is_named_by_the_checkpoint_over_it(self):
        changes, previous, begin = [], None, self.issue_rows()[2]
        for row in self.query(f"SELECT {ROWS} FROM audit WHERE number >= ? ORDER BY number", begin):
            row = list(row)
            if row[0] == begin:
                row[3] = "somebody"
            else:
                row[6] = previous
            previous = chain.row_hash(row)
            changes.append(("UPDATE audit SET actor = ?, previous = ?, hash = ? WHERE number = ?", row[3], row[6], previous,
                            row[0]))
        text = self.found_in(changes)
        covering = min(row[1] for row in self.checkpoints() if row[1] >= begin)
        self.assertEqual(row_of(text), covering)
        self.assertIn("checkpoint", text)

    def test_a_row_that_was_taken_out_is_named(self):
        number = self.issue_rows()[2]
        self.assertEqual(row_of(self.found_in([("DELETE FROM audit WHERE number = ?", number)])), number)
        text = self.found_in([("DELETE FROM audit WHERE number = ?", number),
                              ("UPDATE audit SET number = -number WHERE number > ?", number),
                              ("UPDATE audit SET number = -number - 1 WHERE number < 0",),
                              ("UPDATE total SET audit_rows = audit_rows - 1",)])
        self.assertEqual(row_of(text), number)

    def test_rows_that_changed_places_are_named(self):
        one, other = self.issue_rows()[1:3]
        text = self.found_in([("UPDATE audit SET number = -1 WHERE number = ?", one),
                              ("UPDATE audit SET number = ? WHERE number = ?", one, other),
                              ("UPDATE audit SET number = ? WHERE number = -1", other)])
        self.assertEqual(row_of(text), one)

    def last(self):
        return self.query("SELECT max(number) FROM audit")[0][0]

    def test_an_end_that_was_cut_off_is_named_by_the_totals(self):
        last = self.last()
        self.assertEqual(row_of(self.found_in([("DELETE FROM audit WHERE number = ?", last)])), last)

    def test_an_end_that_was_cut_off_with_the_totals_is_named_by_a_checkpoint(self):
        last = self.last()
        text = self.found_in([("DELETE FROM audit WHERE number = ?", last),
                              ("UPDATE total SET audit_rows = audit_rows - 1",)])
        self.assertEqual(row_of(text), last)

    def test_an_end_that_was_cut_off_with_its_checkpoints_is_named_by_the_file(self):
        number = self.issue_rows()[1]
        text = self.found_in([("DELETE FROM audit WHERE number > ?", number), ("DELETE FROM checkpoint WHERE audit > ?", number),
                              ("UPDATE total SET audit_rows = ?", number),
                              ("DELETE FROM certificate_der WHERE number IN (SELECT number FROM certificate WHERE audit > ?)",
                               number), ("DELETE FROM certificate WHERE audit > ?", number),
                              ("UPDATE total SET certificates = (SELECT count(*) FROM certificate)",)], by_python=False)
        self.assertEqual(row_of(text), number + 1)
        self.assertIn("cut off", text)

    def test_an_end_that_was_cut_off_is_named_by_the_certificates_of_its_rows(self):
        number = self.issue_rows()[1]
        text = self.found_in([("DELETE FROM audit WHERE number > ?", number), ("DELETE FROM checkpoint WHERE audit > ?", number),
                              ("UPDATE total SET audit_rows = ?", number)],
                             lambda path: open(path, "w", encoding="ascii").close())
        self.assertEqual(row_of(text), self.query("SELECT min(audit) FROM certificate WHERE audit > ?", number)[0][0])

    # --- certificates

    def certificate(self):
        """(number, audit) of one in a batch of several."""
        return self.query("SELECT number, audit FROM certificate WHERE audit = ? ORDER BY number", self.issue_rows()[2])[1]

    def test_a_certificate_that_was_changed_removed_put_in_or_moved_is_named_by_its_row(self):
        number, audit = self.certificate()
        other = self.query("SELECT number FROM certificate WHERE audit = ?", self.issue_rows()[0])[0][0]
        columns = "serial_tail, digest, device, generation, key_fingerprint, not_after, audit"
        for what, changes in {
                "changed": [("UPDATE certificate_der SET der = CAST(der || x'00' AS BLOB) WHERE number = ?", number)],
                "an octet of it": [("UPDATE certificate_der SET der = CAST(substr(der, 1, length(der) - 1) ||"
                                    " CASE WHEN substr(der, -1) = x'00' THEN x'01' ELSE x'00' END AS BLOB) WHERE number = ?", number)],
                "exchanged": [("UPDATE certificate_der SET der = (SELECT der FROM certificate_der WHERE number = ?)"
                               " WHERE number = ?", other, number)],
                "its content removed": [("DELETE FROM certificate_der WHERE number = ?", number)],
                "removed": [("DELETE FROM certificate_der WHERE number = ?", number),
                            ("DELETE FROM certificate WHERE number = ?", number),
                            ("UPDATE total SET certificates = certificates - 1",)],
                "put in": [(f"INSERT INTO certificate(number, {columns}) SELECT number + 500000, {columns} FROM certificate"
                            " WHERE number = ?", number),
                           ("INSERT INTO certificate_der SELECT number + 500000, der FROM certificate_der WHERE number = ?", number),
                           ("UPDATE total SET certificates = certificates + 1",)],
                "without a row": [("UPDATE certificate SET audit = 0 WHERE number = ?", number)],
                "another serial": [("UPDATE certificate SET serial_tail = zeroblob(12) WHERE number = ?", number)]}.items():
            with self.subTest(what=what):
                self.assertEqual(row_of(self.found_in(changes, by_python=what != "another serial")), audit)

    def test_a_certificate_that_names_another_row_is_named(self):
        number, audit = self.certificate()
        text = self.found_in([("UPDATE certificate SET audit = ? WHERE number = ?", self.issue_rows()[1], number)])
        self.assertEqual(row_of(text), audit)
        text = self.found_in([("UPDATE certificate SET audit = 4711 WHERE number = ?", number)])
        self.assertEqual(row_of(text), audit)

    def test_a_certificate_that_was_put_in_where_its_row_does_not_look_is_named(self):
        number, audit = self.certificate()
        for named, said in ((audit, "and is not its own"), (4711, "row 4711: it is missing")):
            text = self.found_in([("INSERT INTO certificate SELECT number + 500000000, serial_tail, digest, device, generation,"
                                   " key_fingerprint, not_after, ? FROM certificate WHERE number = ?", named, number),
                                  ("INSERT INTO certificate_der SELECT number + 500000000, der FROM certificate_der"
                                   " WHERE number = ?", number),
                                  ("UPDATE total SET certificates = certificates + 1",)])
            self.assertEqual(row_of(text), named)
            self.assertIn(said, text)

    def test_a_certificate_of_before_that_was_put_in_is_counted(self):
        number, _ = self.certificate()
        text = self.found_in([("INSERT INTO certificate SELECT number + 500000, serial_tail, digest, device, generation,"
                               " key_fingerprint, not_after, 0 FROM certificate WHERE number = ?", number),
                              ("INSERT INTO certificate_der SELECT number + 500000, der FROM certificate_der WHERE number = ?", number),
                              ("UPDATE total SET certificates = certificates + 1",)])
        self.assertIn("1 certificates and 0 abandoned serials name no row", text)

    # --- checkpoints

    def test_a_checkpoint_that_was_changed_or_removed_is_named(self):
        for column, value in (("audit", 2), ("hash", bytes(32)), ("time_ms", 1), ("previous", bytes(32)),
                              ("spki", bytes(91)), ("sigalg", "ed25519"), ("signature", bytes(70))):
            with self.subTest(column=column):
                text = self.found_in([(f"UPDATE checkpoint SET {column} = ? WHERE number = 2", value)])
                self.assertIn("checkpoint 2 of the store", text)
        self.assertIn("checkpoint 2 of the store: it is missing", self.found_in([("DELETE FROM checkpoint WHERE number = 2",)]))
        count = len(self.checkpoints())
        self.assertIn(f"checkpoint {count} of the store: it is missing",
                      self.found_in([("DELETE FROM checkpoint WHERE number = ?", count)], by_python=False))

    def test_a_file_that_was_cut_off_or_changed_is_named(self):
        def cut(path):
            with open(path, encoding="ascii") as file:
                lines = file.readlines()
            with open(path, "w", encoding="ascii") as file:
                file.writelines(lines[:-1])

        def change(path):
            with open(path, encoding="ascii") as file:
                lines = file.readlines()
            with open(path, "w", encoding="ascii") as file:
                file.writelines([lines[0], lines[1].replace('"time_ms":1', '"time_ms":2'), *lines[2:]])

        count = len(self.checkpoints())
        self.assertRegex(self.found_in([], cut, by_python=False), f"checkpoint {count} of .*: it is missing; the store has it")
        self.assertRegex(self.found_in([], change, by_python=False), "checkpoint 2 of .*: line 2 is not that of the store")

    def test_another_key_than_the_one_given_is_named(self):
        self.deploy_audited("another")
        other = self.public
        self.deployment, _, self.file, _ = AuditVerify.good
        self.assertIn("another key than the one given", self.found_in([], options=("--key", other), by_python=False))

    # --- proofs

    def prove(self, certificate):
        text = self.deployment.run("audit", "prove", "--serial", certificate.serial.hex()).stdout
        path = os.path.join(self.deployment.folder, "proof.json")
        with open(path, "wb") as file:
            file.write(text)
        return path, json.loads(text)

    def check_proof(self, path, encoding, *options):
        with open(os.path.join(self.deployment.folder, "proved.der"), "wb") as file:
            file.write(encoding)
        return self.deployment.run("audit", "verify", "--proof", path, "--certificate", file.name, *options, settings=False,
                                   check=False)

    def test_a_proof_holds_for_its_certificate_alone_by_python_too(self):
        encodings = list(self.issued.values())
        for encoding, other in zip(encodings, encodings[1:] + encodings[:1]):
            path, proof = self.prove(Certificate(encoding))
            root = chain.root_by_proof(encoding, proof["index"], proof["leaves"], [bytes.fromhex(x) for x in proof["hashes"]])
            self.assertEqual(root.hex(), proof["rows"][0]["digest"])
            done = self.check_proof(path, encoding, "--key", self.public)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(b"covers it, signed by the key", done.stdout)
            self.assertEqual(self.check_proof(path, other, "--key", self.public).returncode, 1)

    def test_a_proof_that_was_changed_is_none(self):
        encoding = list(self.issued.values())[3]
        path, proof = self.prove(Certificate(encoding))

        def changed(change):
            other = json.loads(json.dumps(proof))
            change(other)
            with open(path, "w", encoding="utf-8") as file:
                json.dump(other, file)
            self.assertEqual(self.check_proof(path, encoding, "--key", self.public).returncode, 1, other)

        changed(lambda other: other["rows"][0].update(actor="somebody"))
        changed(lambda other: other["rows"].pop())
        changed(lambda other: other.pop("checkpoint"))
        changed(lambda other: other["checkpoint"].update(time_ms=1))
        changed(lambda other: other.update(rows=[]))
        changed(lambda other: other.update(index=-1))
        changed(lambda other: other.update(leaves=0))
        changed(lambda other: other.update(v=2))

    def test_what_is_not_ours_has_no_proof(self):
        self.assertEqual(self.deployment.run("audit", "prove", "--serial", "4711", check=False).returncode, 1)
        self.assertEqual(self.deployment.run("audit", "prove", "--serial", "xyz", check=False).returncode, 1)

    # --- shown and exported

    def show(self, *options):
        return json.loads(self.deployment.run("audit", "show", "--json", *options).stdout)["rows"]

    def test_show_finds_rows_by_what_they_are_about(self):
        device, encoding = next(iter(self.issued.items()))
        rows = self.show("--device", device)
        self.assertEqual([row["kind"] for row in rows], ["issue", "revoke"])
        self.assertEqual(self.show("--operator", "ann"), rows[1:])
        self.assertEqual(self.show("--kind", "revoke"), rows[1:])
        self.assertEqual(self.show("--serial", Certificate(encoding).serial.hex())[0], rows[0])
        self.assertEqual(self.show("--since", "2100-01-01"), [])
        self.assertEqual(self.show("--until", "2000-01-01"), [])
        self.assertEqual([row["number"] for row in self.show("--limit", "2")], [self.last() - 1, self.last()])
        self.assertEqual(self.deployment.run("audit", "show", "--since", "noon", check=False).returncode, 2)

    def test_what_is_exported_can_be_verified_elsewhere(self):
        lines = [json.loads(line) for line in self.deployment.run("audit", "export").stdout.splitlines()]
        rows = self.query(f"SELECT {ROWS} FROM audit ORDER BY number")
        self.assertEqual(len(lines), len(rows))
        for line, row in zip(lines, rows):
            self.assertEqual((line["number"], line["kind"], line["hash"]), (row[0], row[2], row[7].hex()))
            self.assertEqual(line["detail"], json.loads(row[4]))
        tail = self.deployment.run("audit", "export", "--from", str(self.last())).stdout
        self.assertEqual(json.loads(tail), lines[-1])


class Secrets(Audited):
    def test_no_row_holds_a_passphrase_or_a_token(self):
        sentinel = "s3ntinel-4711"
        path = os.path.join(self.scratch(), "secret")
        with open(path, "w", encoding="ascii") as file:
            file.write(sentinel)
        os.chmod(path, 0o600)
        requests = self.deploy_audited("secret", 2, init=("--passphrase", f"file:{path}"))
        engine = self.start()
        self.backend.push(requests)
        self.finish(engine)
        with open(self.deployment.store, "rb") as file:
            self.assertNotIn(sentinel.encode(), file.read())
        rows = self.deployment.run("audit", "export").stdout.decode()
        for word in (sentinel, path, "passphrase", "file:"):
            self.assertNotIn(word, rows)

    def scratch(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        return folder


if __name__ == "__main__":
    case.main()
