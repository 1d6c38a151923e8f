#!/usr/bin/env python3
"""The engine is killed while orders come in and lists are published: what was answered is never forgotten by anybody."""
import os
import random
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment
from trail_case import Orders, TrailCase

# Of a publication; tests/faults/kill_test.py sweeps those of a request.
POINTS = ("crl-numbered", "crl-signed", "crl-written", "crl-renamed")
OF_ORDERS = ("store-commit", "store-committed", "recorded", "answers-written")
COUNT = 30
KILLS = 8
SEED = int(os.environ.get("CERTMILL_TEST_SEED", time.time()))


class Crl(TrailCase):
    def begin_orders(self, name):
        """Certificates that were issued, and orders about them that begin now; nobody serves."""
        requests = self.begin(name, COUNT)
        engine = self.serve()
        self.issue_all(requests)
        self.watch()
        self.stop(engine)
        return Orders(self, self.issued)

    def wait_dead(self, fault):
        engine = self.start(fault)
        try:
            code = engine.wait(20)
        except subprocess.TimeoutExpired:
            self.fail(f"{fault} was not passed:\n{engine.text()}")
        self.assertEqual(code, -signal.SIGKILL, engine.text())

    def kill_at(self, point):
        orders = self.begin_orders(point)
        for nth in (1, 2):
            self.wait_dead(f"{point}:{nth}:kill")
        engine = self.serve()
        orders.end()
        self.conclude(engine)

    def test_killed_again_and_again_at_any_moment(self):
        print(f"seed {SEED}", file=sys.stderr)
        chance = random.Random(SEED)
        orders = self.begin_orders("anytime")
        for _ in range(KILLS):
            engine = self.start()
            time.sleep(chance.uniform(0.0, 0.3))
            engine.kill()
        engine = self.serve()
        orders.end()
        self.conclude(engine)

    def test_a_store_that_is_an_old_copy_takes_nothing_back_from_the_lists(self):
        requests = self.begin("oldcopy", 6)
        engine = self.serve()
        self.issue_all(requests)
        self.watch(asks=False)
        self.stop(engine)
        store = os.path.dirname(self.deployment.store)
        shutil.copytree(store, self.path("copy"))
        engine = self.serve()
        self.order("revoke", serial=self.issued[0].serial, reason="keyCompromise")
        self.wait_settled()
        self.stop(engine)
        shutil.rmtree(store)
        os.rename(self.path("copy"), store)
        engine = self.serve()
        deployment.wait_until(lambda: "old copy" in engine.text(), 20, engine.text)
        self.assertEqual(self.ask_ocsp(self.issued[0].serial).singles, [("revoked", 1)])
        self.assertEqual(self.control("publish")["failed"], 0)
        self.trail.look()
        self.assertTrue(any(self.issued[0].serial in version.crl.entries for version in self.trail.latest().values()
                            if not version.is_delta))
        # Ordered again it is known again, and everything goes on.
        self.order("revoke", serial=self.issued[0].serial, reason="keyCompromise")
        self.wait_settled()
        self.stop(engine)


def add_points():
    for point in POINTS + OF_ORDERS:
        def test(self, point=point):
            self.kill_at(point)
        setattr(Crl, f"test_killed_at_{point.replace('-', '_')}", test)


add_points()

if __name__ == "__main__":
    case.main(None if deployment.has_fault_points() else "this build has no fault points (meson option fault_points)")
