"""Deployments whose engines sign checkpoints of the audit log, and what is known of them without certmill."""
import json
import os
import subprocess

import chain
from case import Case
from deployment import wait_until

COLUMNS = "number, audit, hash, time_ms, previous, spki, sigalg, signature"


class Audited(Case):
    def deploy_audited(self, name, count=0, interval="1s", rows=10000, **options):
        requests = self.deploy(name, count, **options)
        folder = self.deployment.folder
        self.file = os.path.join(folder, "checkpoints.jsonl")
        key = os.path.join(folder, "keys", "audit.pem")
        if not os.path.exists(key):
            subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key],
                           check=True, capture_output=True)
            os.chmod(key, 0o600)
        self.public = os.path.join(folder, "audit.pub.pem")
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", self.public], check=True)
        self.deployment.edit(r"\Z", f"\naudit:\n  key: \"file:audit.pem\"\n  provider: soft\n  interval: {interval}\n"
                             f"  rows: {rows}\n  file: checkpoints.jsonl\n")
        return requests

    def rows(self, kind):
        """[detail] of the rows of this kind."""
        return [json.loads(detail) for (detail,) in
                self.deployment.query("SELECT detail FROM audit WHERE kind = ? ORDER BY number", kind)]

    def checkpoints(self):
        return self.deployment.query(f"SELECT {COLUMNS} FROM checkpoint ORDER BY number")

    def lines(self):
        with open(self.file, encoding="ascii") as file:
            return [json.loads(line) for line in file]

    def wait_checkpoint(self, audit=1, timeout_s=10):
        """One that covers this row."""
        return wait_until(lambda: [row for row in self.checkpoints() if row[1] >= audit], timeout_s,
                          f"a checkpoint covers row {audit}")[0]

    def check_checkpoints(self):
        """They follow each other, have the hashes of their rows, are signed; the file has each, once and in order; audit verify agrees."""
        hashes = dict(self.deployment.query("SELECT number, hash FROM audit"))
        previous, last = bytes(32), 0
        rows = self.checkpoints()
        for position, (number, audit, hash, time_ms, before, spki, _, signature) in enumerate(rows):
            self.assertEqual((number, before), (position + 1, previous))
            self.assertGreater(audit, last)
            self.assertEqual(hash, hashes[audit])
            message = chain.checkpoint_message(number, audit, hash, time_ms, before)
            self.assertTrue(chain.is_signed(spki, message, signature))
            previous, last = chain.sha256(message), audit
        self.assertEqual([(line["number"], line["audit"], line["hash"], line["signature"]) for line in self.lines()],
                         [(row[0], row[1], row[2].hex(), row[7].hex()) for row in rows])
        self.deployment.run("audit", "verify", "--quiet", "--key", self.public)
        return rows
