#!/usr/bin/env python3
"""What an engine writes into its audit log besides batches, and the checkpoints that it signs over it."""
import hashlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import case
import deployment
from audited import Audited


class Audit(Audited):
    def open_fingerprint(self, path):
        der = subprocess.run(["openssl", "pkey", "-pubin", "-in", path, "-outform", "DER"], capture_output=True,
                             check=True).stdout
        return hashlib.sha256(der).hexdigest()

    def test_start_settings_keys_and_stop_are_rows(self):
        self.deploy_audited("life")
        engine = self.start()
        self.wait_checkpoint()
        pid = engine.pid
        self.stop(engine)
        kinds = [kind for (kind,) in self.deployment.query("SELECT kind FROM audit ORDER BY number")]
        self.assertLess(kinds.index("engine-start"), kinds.index("settings"))
        self.assertEqual(kinds[-1], "engine-stop")
        self.assertEqual(self.rows("engine-start")[0]["pid"], pid)
        with open(self.deployment.settings, "rb") as file:
            self.assertEqual(self.rows("settings")[-1]["sha256"], hashlib.sha256(file.read()).hexdigest())
        keys = {row["issuer"]: row for row in self.rows("key-open")}
        self.assertEqual(keys["audit"]["spki_sha256"], self.open_fingerprint(self.public))
        self.assertEqual(keys["issuing-1"]["provider"], "soft")

    def test_checkpoints_are_signed_while_it_runs_and_as_it_stops(self):
        requests = self.deploy_audited("running", 12)
        engine = self.start()
        self.wait_checkpoint()
        self.backend.push(requests)
        self.backend.wait_answered()
        issued = self.deployment.query("SELECT max(number) FROM audit WHERE kind = 'issue'")[0][0]
        self.wait_checkpoint(issued)
        self.finish(engine)
        rows = self.check_checkpoints()
        self.assertEqual(rows[-1][1], self.deployment.query("SELECT max(number) FROM audit")[0][0])

    def test_many_rows_are_covered_before_the_interval_is_over(self):
        requests = self.deploy_audited("rows", 40, interval="1h", rows=3, batch_items=1)
        engine = self.start()
        self.wait_checkpoint()
        self.backend.push(requests)
        self.backend.wait_answered()
        self.wait_checkpoint(self.deployment.query("SELECT max(number) FROM audit")[0][0] - 2)
        self.finish(engine)
        self.check_checkpoints()

    def test_nothing_new_means_no_checkpoint(self):
        self.deploy_audited("quiet")
        engine = self.start()
        self.wait_checkpoint(self.deployment.query("SELECT max(number) FROM audit")[0][0])
        time.sleep(2.5)
        count = len(self.checkpoints())
        time.sleep(2.5)
        self.assertEqual(len(self.checkpoints()), count)
        self.stop(engine)

    def kill_at(self, point, name, nth=1):
        if not deployment.has_fault_points():
            self.skip("this build has no fault points")
        requests = self.deploy_audited(name, 8)
        self.die_at(f"{point}:{nth}:kill", requests)
        before = self.checkpoints()
        engine = self.start()
        self.wait_checkpoint(self.deployment.query("SELECT max(number) FROM audit")[0][0])
        self.finish(engine)
        self.assertEqual(self.check_checkpoints()[:len(before)], before)
        return before

    def test_killed_when_it_is_signed_a_later_one_covers_the_rows(self):
        self.assertEqual(self.kill_at("checkpoint-signed", "signed"), [])

    def test_killed_when_it_is_recorded_it_is_shipped_by_the_next_engine(self):
        self.assertEqual(len(self.kill_at("checkpoint-recorded", "recorded")), 1)

    def test_killed_when_it_is_shipped_it_is_not_shipped_twice(self):
        self.assertEqual(len(self.kill_at("checkpoint-shipped", "shipped", 2)), 1)

    def test_a_line_that_a_crash_has_cut_off_is_written_anew(self):
        self.deploy_audited("torn")
        engine = self.start()
        self.wait_checkpoint()
        self.stop(engine)
        with open(self.file, "r+b") as file:
            file.truncate(os.path.getsize(self.file) - 20)
        self.stop(self.start())
        self.check_checkpoints()

    def test_a_file_that_cannot_be_written_holds_nothing_up(self):
        requests = self.deploy_audited("no-file", 4)
        os.mkdir(self.file)
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        self.wait_checkpoint()
        self.finish(engine)
        self.assertIn("checkpoints are not where they are to be appended", engine.text())
        os.rmdir(self.file)
        self.stop(self.start())
        self.check_checkpoints()

    def test_a_file_of_another_store_is_left_alone(self):
        self.deploy_audited("other")
        self.stop(self.start())
        with open(self.file, "rb") as file:
            text = file.read().replace(b'"number":', b'"number":47')
        with open(self.file, "wb") as file:
            file.write(text)
        engine = self.start()
        self.stop(engine)
        self.assertIn("which the store does not have", engine.text())
        with open(self.file, "rb") as file:
            self.assertEqual(file.read(), text)

    def test_checkpoints_are_in_a_stream_too_each_once(self):
        self.deploy_audited("stream")
        self.deployment.edit("(?m)^  file: checkpoints.jsonl$", "  file: checkpoints.jsonl\n  redis-stream: audit-checkpoints")
        client = case.Case.redis.client()
        self.addCleanup(client.close)
        self.stop(self.start())
        client.call("XADD", "elsewhere", "*", "a", "b")
        first = client.call("XRANGE", "audit-checkpoints", "-", "+")
        self.stop(self.start())
        entries = client.call("XRANGE", "audit-checkpoints", "-", "+")
        rows = self.check_checkpoints()
        self.assertGreater(len(entries), len(first))
        self.assertEqual([id for id, _ in entries], [b"%d-0" % row[0] for row in rows])
        self.assertEqual([json.loads(fields[1]) for _, fields in entries], self.lines())
        client.call("DEL", "audit-checkpoints")
        self.stop(self.start())
        self.assertEqual(len(client.call("XRANGE", "audit-checkpoints", "-", "+")), len(self.checkpoints()))

    def test_a_key_that_is_away_is_tried_again_and_holds_nothing_up(self):
        requests = self.deploy_audited("no-key", 4)
        key = os.path.join(self.deployment.folder, "keys", "audit.pem")
        os.rename(key, key + ".away")
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        self.assertIn("key of checkpoints could not be opened", engine.text())
        os.rename(key + ".away", key)
        self.wait_checkpoint(timeout_s=20)
        self.finish(engine)
        self.check_checkpoints()

    def test_an_authoritys_key_signs_no_checkpoints(self):
        self.deploy_audited("authority")
        self.deployment.edit("file:audit.pem", "file:issuing-1.pem")
        self.assertIn("an authority's key", self.fail_to_start())
        with open(os.path.join(self.deployment.folder, "keys", "issuing-1.pem"), "rb") as key:
            copy = key.read()
        with open(os.path.join(self.deployment.folder, "keys", "audit.pem"), "wb") as key:
            key.write(copy)
        self.deployment.edit("file:issuing-1.pem", "file:audit.pem")
        engine = self.start()
        deployment.wait_until(lambda: "key of checkpoints could not be opened" in engine.text(), 10, engine.text)
        self.stop(engine)
        self.assertEqual(self.checkpoints(), [])


if __name__ == "__main__":
    case.main()
