#!/usr/bin/env python3
"""The wall clock is set while the engine works and between its runs: what it would sign with a wrong clock is not signed."""
import os
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
import deployment


class Clock(case.Case):
    def begin(self, name, count, offset_s=0):
        """A deployment whose engines see self.clock."""
        requests = self.deploy(name, count, lease="60s", deliveries_max=2)
        self.clock = deployment.Clock(self.deployment.folder, offset_s)
        return requests

    def start_clocked(self, wait=True):
        return self.start(wait=wait, variables=self.clock.variables)

    def issue_some(self, requests):
        engine = self.start_clocked()
        self.backend.push(requests)
        self.backend.wait_answered()
        return engine

    def test_a_clock_that_was_set_back_is_refused_at_the_start(self):
        requests = self.begin("start", 20)
        self.stop(self.issue_some(requests[:10]))
        self.clock.set(-3600)
        engine = self.start_clocked(wait=False)
        self.assertEqual(engine.wait(10), 1, engine.text())
        self.assertIn("clock", engine.text())
        self.clock.set(0)
        engine = self.start_clocked()
        self.backend.push(requests[10:])
        self.finish(engine)

    def test_a_clock_set_back_by_a_little_is_borne(self):
        requests = self.begin("little", 20)
        engine = self.issue_some(requests[:10])
        self.clock.set(-3)
        self.backend.push(requests[10:])
        self.finish(engine)

    def test_a_clock_set_back_under_way_stops_signing_until_it_is_right(self):
        requests = self.begin("back", 60)
        engine = self.issue_some(requests[:30])
        self.clock.set(-3600)
        self.backend.push(requests[30:])
        deployment.wait_until(lambda: "clock" in engine.text(), 10, lambda: "a notice:\n" + engine.text())
        time.sleep(3)
        self.assertEqual(len({row["id"] for row in self.backend.collect()}), 30, "nothing is signed meanwhile")
        self.assertLess(len(engine.text().splitlines()), 100, "the operator is not drowned")
        self.clock.set(0)
        self.finish(engine)

    def test_a_clock_set_forward_is_believed_and_serials_stay_unique(self):
        requests = self.begin("forward", 60)
        engine = self.issue_some(requests[:30])
        self.clock.set(3600)
        self.backend.push(requests[30:])
        # Certificates of the future do not verify today: the checker looks at all else.
        self.backend.wait_answered()
        self.backend.wait_empty()
        self.stop(engine)
        store = checker.Store(self.deployment.store)
        found = checker.violations(checker.Evidence(self.backend.requests, self.backend.collect(), store))
        self.assertEqual(found, [])
        self.assertEqual(len(store.certificates), 60)

    def test_a_clock_that_leaps_years_ahead_is_not_believed(self):
        requests = self.begin("leap", 60)
        engine = self.issue_some(requests[:30])
        self.clock.set(10 * 365 * 86400)
        deployment.wait_until(lambda: "the clock has leapt ahead by 87" in engine.text(), 10, engine.text)
        self.backend.push(requests[30:])
        self.backend.wait_answered()
        self.clock.set(0)
        deployment.wait_until(lambda: "the clock is right again" in engine.text(), 10, engine.text)
        evidence = self.finish(engine)
        made_ms = [row[0] >> 20 for row in evidence.store.certificates]
        self.assertEqual(len(made_ms), 60)
        self.assertLess(max(made_ms), time.time() * 1000)

    def test_a_store_written_in_the_future_is_refused_at_the_start(self):
        """The same as a clock that was set back, seen from the store."""
        self.deploy("future", 1)
        db = sqlite3.connect(self.deployment.store)
        db.execute("UPDATE total SET last_time_ms = last_time_ms + 3600000")
        db.commit()
        db.close()
        engine = self.start(wait=False)
        self.assertEqual(engine.wait(10), 1, engine.text())
        self.assertIn("clock", engine.text())


if __name__ == "__main__":
    case.main()
