#!/usr/bin/env python3
"""The disk is full, or the store is read-only: nothing is signed that is not recorded, and it recovers."""
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
import deployment
import small_disk
from small_disk import MIB


class Disk(case.Case):
    def deploy_on(self, folder, name, count):
        """A deployment whose store lies in a folder on that file system."""
        requests = self.deploy(name, count, deliveries_max=2)
        small_disk.move_store(self.deployment, folder)
        return requests

    def test_a_full_disk_delays_and_nothing_is_signed_unrecorded(self):
        folder = small_disk.mount(self, 8 * MIB)
        requests = self.deploy_on(folder, "fulldisk", 300)
        engine = self.start()
        self.backend.push(requests[:50])
        self.backend.wait_answered()
        ballast = small_disk.fill(folder)
        self.backend.push(requests[50:])
        deployment.wait_until(lambda: "store:" in engine.text(), 10, lambda: "a notice of the store:\n" + engine.text())
        time.sleep(3)
        self.assertTrue(engine.is_alive(), engine.text())
        published = {row["certificate"] for row in self.backend.collect() if "certificate" in row}
        recorded = {row[1] for row in checker.Store(self.deployment.store).ders}
        self.assertLessEqual(published, recorded)
        os.unlink(ballast)
        self.finish(engine, timeout_s=60)

    def test_a_disk_that_fills_by_itself_under_load_loses_nothing(self):
        folder = small_disk.mount(self, 2 * MIB)
        requests = self.deploy_on(folder, "filling", 600)
        engine = self.start()
        self.backend.push_slowly(requests)
        deployment.wait_until(lambda: "store:" in engine.text(), 15, lambda: "a notice of the store:\n" + engine.text())
        subprocess.run(["mount", "-o", f"remount,size={64 * MIB}", folder], check=True)
        self.finish(engine, timeout_s=60)

    def test_an_engine_killed_on_a_full_disk_recovers_when_there_is_space(self):
        folder = small_disk.mount(self, 8 * MIB)
        requests = self.deploy_on(folder, "fullkill", 200)
        engine = self.start()
        self.backend.push(requests[:50])
        self.backend.wait_answered()
        ballast = small_disk.fill(folder)
        self.backend.push(requests[50:])
        deployment.wait_until(lambda: "store:" in engine.text(), 10, lambda: "a notice of the store:\n" + engine.text())
        engine.kill()
        os.unlink(ballast)
        self.finish(self.start())

    def test_an_engine_on_a_full_disk_stops_when_asked(self):
        folder = small_disk.mount(self, 8 * MIB)
        requests = self.deploy_on(folder, "fullstop", 100)
        engine = self.start()
        ballast = small_disk.fill(folder)
        self.backend.push(requests)
        deployment.wait_until(lambda: "store:" in engine.text(), 10, lambda: "a notice of the store:\n" + engine.text())
        engine.signal(signal.SIGTERM)
        try:
            engine.wait(10)
        except subprocess.TimeoutExpired:
            self.fail(f"still there after 10 s:\n{engine.text()}")
        os.unlink(ballast)
        self.finish(self.start())

    def test_a_read_only_file_system_is_refused_with_a_reason_and_nothing_is_taken(self):
        folder = small_disk.mount(self, 8 * MIB)
        requests = self.deploy_on(folder, "readonly", 20)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        self.backend.push(requests)
        engine = self.start(wait=False)
        self.assertEqual(engine.wait(10), 1, engine.text())
        self.assertIn(self.deployment.store, engine.text())
        self.assertEqual(self.backend.pending_entries(), 20)
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        self.finish(self.start())

    def test_a_store_that_is_missing_or_no_store_is_refused_with_its_path(self):
        self.deploy("missing")
        shutil.move(self.deployment.store, self.deployment.store + ".away")
        engine = self.start(wait=False)
        self.assertEqual(engine.wait(10), 1)
        self.assertIn(self.deployment.store, engine.text())
        with open(self.deployment.store, "wb") as file:
            file.write(b"no database at all\n" * 1000)
        engine = self.start(wait=False)
        self.assertEqual(engine.wait(10), 1)
        self.assertIn(self.deployment.store, engine.text())


if __name__ == "__main__":
    case.main()
