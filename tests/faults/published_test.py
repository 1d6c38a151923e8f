#!/usr/bin/env python3
"""Disk, clock and signer misbehave while certificates are revoked: what is published stays, nobody is told `good`, it heals."""
import os
import random
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
import deployment
import ocsp
import small_disk
from backend import Order
from deployment import wait_until
from small_disk import MIB
from trail_case import Orders, TrailCase

KILLS = 12
SEED = int(os.environ.get("CERTMILL_TEST_SEED", time.time()))


class Published(TrailCase):
    def wait_told(self, engine, words, timeout_s=20):
        wait_until(lambda: words in engine.text(), timeout_s, lambda: f"\"{words}\" in:\n{engine.text()}")

    def state(self, one):
        return self.trail.ask_once(self.issuer, self.port, one.serial)

    def numbers(self):
        self.trail.look()
        return {path: version.crl.number for path, version in self.trail.latest().items()}

    def revoke(self, one):
        """By the control socket; the answer came."""
        self.order("revoke", serial=one.serial, reason="keyCompromise")
        self.trail.revoked([one.serial], time.time())

    def begin_served(self, name, count):
        """An engine, its certificates, and a trail that watches the lists."""
        requests = self.begin(name, count)
        engine = self.serve()
        self.issue_all(requests)
        self.trail.watch()
        return engine


class Disk(Published):
    def test_a_full_disk_under_the_lists_leaves_the_old_ones_whole_and_stops_nothing_else(self):
        folder = small_disk.mount(self, 2 * MIB)
        requests = self.begin("lists", 20)
        self.deployment.edit(r"publish-folder: \S+", f"publish-folder: {folder}")
        self.trail.folder = folder
        engine = self.serve()
        self.issue_all(requests[:12])
        self.watch(asks=False)
        self.revoke(self.issued[0])
        self.wait_settled()
        self.assertEqual(self.control("publish")["failed"], 0)  # nothing is being written any more
        ballast = small_disk.fill(folder)
        before = self.numbers()
        self.revoke(self.issued[1])
        self.wait_told(engine, "is not in the folder")
        self.assertEqual(self.state(self.issued[1]), "revoked")
        self.issue_all(requests[12:])
        self.assertEqual(self.numbers(), before)
        self.assertEqual(self.trail.torn, [])
        os.unlink(ballast)
        self.wait_told(engine, "are published again")
        self.conclude(engine)

    def test_a_folder_that_hangs_holds_neither_certificates_nor_ocsp(self):
        if not deployment.has_fault_points():
            self.skip("this build has no fault points")
        requests = self.begin("hangs", 12)
        self.deployment.edit(r"(?m)^engine:$", r"\g<0>\n  workers: 1")
        self.stop(self.serve())  # all files are there: the next one is of the revocation
        engine = self.serve(fault="crl-written:1:hang")
        self.issue_all(requests[:6])
        self.watch(asks=False)
        before = self.numbers()
        revoked = self.issued[0]
        self.revoke(revoked)
        self.wait_told(engine, "takes no file for 10 s")
        self.issue_all(requests[6:])
        self.assertEqual(self.numbers(), before, "it hangs")
        self.assertEqual(self.state(revoked), "revoked")
        self.wait_told(engine, "takes files again")
        self.wait_settled()
        self.conclude(engine)

    def test_orders_are_not_answered_while_the_disk_under_the_store_is_full(self):
        folder = small_disk.mount(self, 8 * MIB)
        requests = self.begin("orders", 40)
        small_disk.move_store(self.deployment, folder)
        engine = self.serve()
        self.issue_all(requests)
        self.watch()
        ballast = small_disk.fill(folder)
        waiting = [Order(f"revoke-{one.serial}", "revoke", "serial", one.serial) for one in self.issued]
        for order in waiting:  # what room the log still has is used up, by a commit for each
            self.backend.push([order])
            wait_until(lambda: "store:" in engine.text() or not self.backend.missing(), 20, engine.text)
        self.wait_told(engine, "store:")
        time.sleep(1)
        answered = {id for id, rows in self.backend.answers().items() if id.startswith("revoke-") and rows}
        recorded = {"revoke-" + row[2] for row in checker.Store(self.deployment.store).revocations}
        self.assertLess(len(answered), len(waiting))
        self.assertLessEqual(answered, recorded)
        os.unlink(ballast)
        self.backend.wait_answered(60)
        for order, one in zip(waiting, self.issued):
            self.trail.revoked([one.serial], self.backend.answered_s[order.id])
        self.conclude(engine)


class Clock(Published):
    def begin_clocked(self, name, count):
        requests = self.begin(name, count)
        self.clock = deployment.Clock(self.deployment.folder)
        self.variables = self.clock.variables
        engine = self.serve()
        self.issue_all(requests)
        return engine

    def test_a_clock_that_was_set_back_stops_lists_and_signatures_but_not_what_is_known(self):
        engine = self.begin_clocked("back", 10)
        known, revoked, fresh = self.issued[:3]
        self.assertEqual(self.state(known), "good")
        self.trail.watch()
        before = self.numbers()
        self.clock.set(-3600)
        self.assertIn("clock", self.control("publish")["why"])
        wait_until(lambda: self.state(fresh) == ocsp.TRY_LATER, 10, "nothing new is signed")
        self.assertEqual(self.state(known), "good", "it is valid still")
        self.wait_told(engine, "clock")
        time.sleep(2)
        self.assertEqual(self.numbers(), before)
        self.assertLess(len(engine.text().splitlines()), 100, "the operator is not drowned")
        self.clock.set(0)
        self.revoke(revoked)
        self.conclude(engine)

    def test_a_clock_set_forward_by_ten_years_drops_nothing_that_no_later_list_has_shown(self):
        engine = self.begin_clocked("forward", 10)
        self.trail.watch()
        for one in self.issued[:5]:
            self.revoke(one)
        self.wait_settled()
        self.assertEqual(self.unsettled(), set())
        last = self.numbers()
        self.clock.set((10 * 365 - 30) * 86400)  # the CA has not ended
        for _ in range(3):  # under way it is not believed
            self.assertEqual(self.control("publish")["failed"], 0)
        last, before = self.numbers(), last
        self.assertTrue(all(last[path] > before[path] for path in before))
        self.assertEqual(self.unsettled(), set())
        self.stop(engine)
        engine = self.serve()
        for round_ in range(3):
            self.assertEqual(self.control("publish")["failed"], 0)
            last, before = self.numbers(), last
            self.assertTrue(all(last[path] > before[path] for path in before), round_)
        self.assertEqual(len(self.unsettled()), 5, "shown once more, and gone")
        self.stop(engine)
        self.trail.end()
        found = checker.violations(checker.Evidence(self.backend.requests, self.backend.collect(),
                                                    checker.Store(self.deployment.store), self.path("ca"), trail=self.trail))
        # entries_stay has seen that they went only when they may; of lists of so late, and the responder's certificate that
        # is of then, nothing else is asked.
        self.assertEqual([text for text in found if not text.startswith(("lists_show_it", "signatures: "))], [])


class Signer(Published):
    def kill_signers(self, engine):
        for pid in engine.signers():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def test_signers_killed_again_and_again_under_lists_and_answers_delay_them_only(self):
        print(f"seed {SEED}", file=sys.stderr)
        chance = random.Random(SEED)
        engine = self.begin_served("killed", 40)
        self.trail.ask(self.issuer, self.port, [one.serial for one in self.issued])
        orders = Orders(self, self.issued, per_s=20)
        for _ in range(KILLS):
            publishing = threading.Thread(target=lambda: self.control("publish"))
            publishing.start()
            time.sleep(chance.uniform(0, 0.15))
            self.kill_signers(engine)
            publishing.join()
        orders.end()
        wait_until(lambda: all(self.state(one) in ("good", "revoked") for one in self.issued), 20, "OCSP is signed again")
        self.conclude(engine)

    def test_without_a_key_what_is_known_is_answered_and_the_rest_later_but_never_good(self):
        requests = self.begin("keyless", 10)
        self.deployment.edit(r"(?m)^(  listen: .*)$", r"\g<0>\n  deadline: 3s")
        engine = self.serve()
        self.issue_all(requests)
        self.trail.watch()
        known, revoked, fresh = self.issued[:3]
        for one in (known, revoked):
            self.assertEqual(self.state(one), "good")
        os.rename(self.path("keys"), self.path("away"))
        self.kill_signers(engine)
        self.wait_told(engine, "is not used")
        self.revoke(revoked)
        self.assertEqual(self.state(known), "good")
        self.assertIn(self.state(revoked), (ocsp.TRY_LATER, None))
        self.assertIn(self.state(fresh), (ocsp.TRY_LATER, None))
        os.rename(self.path("away"), self.path("keys"))
        wait_until(lambda: self.state(revoked) == "revoked", 20, "OCSP is signed again")
        self.conclude(engine)


if __name__ == "__main__":
    case.main()
