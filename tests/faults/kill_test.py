#!/usr/bin/env python3
"""The engine is killed at every named point between two steps; after a restart nothing is lost, doubled or unrecorded."""
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
import deployment
from backend import Order, Renewal

POINTS = ("entries-arrived", "composed", "intent-durable", "signed", "sealed", "store-commit", "store-committed",
          "recorded", "answers-written", "answered")
# Behind the intent and before the record: what was promised is then found open at the next start.
PROMISING = ("intent-durable", "signed", "sealed")
# Of what is not a request's: crl_test.py and responder_test.py, and of the integration tests audit_test.py, rotation_test.py,
# ceremony_test.py and campaign_test.py sweep them.
OTHERS = ("crl-numbered", "crl-signed", "crl-written", "crl-renamed", "responder-promised", "responder-signed",
          "responder-recorded", "checkpoint-signed", "checkpoint-recorded", "checkpoint-shipped", "ca-key-made", "ca-intended",
          "ca-signed", "ca-recorded", "ca-moved", "plan-marked", "orders-durable", "notices-written")
# Those that orders pass, too: nothing of them is composed or signed.
ORDERED = ("entries-arrived", "store-commit", "store-committed", "recorded", "answers-written", "answered")
COUNT = 200
# Requests in one entry of the stream, and their results, too: batches end within entries.
SEVERAL = 9


class Kill(case.Case):
    def kill_at(self, point, nth, per_entry=1):
        requests = self.deploy(f"{point}-{nth}-{per_entry}", COUNT)
        self.backend.per_entry = per_entry
        if per_entry > 1:
            self.deployment.group_results()
        self.die_at(f"{point}:{nth}:kill", requests)
        promised = len(checker.Store(self.deployment.store).intent_items())
        if point in PROMISING:
            self.assertGreater(promised, 0, "the point lies behind a durable intent")
        evidence = self.finish(self.start())
        # Nothing has changed meanwhile, so each promise is kept: no serial is given up.
        self.assertEqual(len(evidence.store.abandoned), 0)

    def kill_orders_at(self, point):
        requests = self.deploy(f"orders-{point}", 60)
        self.deployment.allow_orders()
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        self.stop(engine)
        orders = [Order(f"order-{i}", "revoke", "device", request.device, "reason", "keyCompromise")
                  for i, request in enumerate(requests)]
        self.die_at(f"{point}:2:kill", orders)
        self.finish(self.start())
        # Each has taken place once, whoever has answered it.
        self.assertEqual(self.deployment.query("SELECT count(*) FROM audit WHERE kind = 'revoke'"), [(60,)])
        self.assertEqual(self.deployment.query("SELECT count(*) FROM revocation WHERE reason = 1"), [(60,)])

    def begin_renewals(self, name, count):
        """Devices with a certificate each; renewals of every second one name it."""
        requests = self.deploy(name, count)
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        self.stop(engine)
        answers, csrs = self.backend.answers(), deployment.make_csrs(count, name="next")
        return [Renewal(f"{name}-next-{i}", request.device, csrs[i],
                        answers[request.id][0]["serial"].decode() if i % 2 else None)
                for i, request in enumerate(requests)]

    def kill_renewals_at(self, point):
        renewals = self.begin_renewals(f"renewals-{point}", 60)
        self.die_at(f"{point}:2:kill", renewals)
        promised = len(checker.Store(self.deployment.store).intent_items())
        if point in PROMISING:
            self.assertGreater(promised, 0, "the point lies behind a durable intent")
        engine = self.start()
        self.backend.wait_answered()
        before = len(self.backend.publications)
        self.backend.push(renewals, again=True)
        self.backend.wait_publications(before + len(renewals))
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 120)
        self.assertEqual(len(evidence.store.abandoned), 0)

    def test_a_renewal_that_was_promised_is_refused_when_its_certificate_is_revoked_meanwhile(self):
        renewals = self.begin_renewals("meanwhile", 40)
        self.die_at("signed:1:kill", renewals)
        promised = len(checker.Store(self.deployment.store).intent_items())
        self.assertGreater(promised, 0)
        self.deployment.run("revoke", "--group", "default", "--reason", "keyCompromise", "--yes")
        for request in renewals:
            request.expect = "renew.revoked"
        evidence = self.finish(self.start())
        self.assertEqual(len(evidence.store.certificates), 40)
        self.assertEqual(len(evidence.store.abandoned), promised)

    def test_a_second_kill_while_recovering_loses_nothing(self):
        requests = self.deploy("twice", COUNT)
        self.die_at("intent-durable:2:kill", requests)
        self.die_at("signed:1:kill")
        self.die_at("store-commit:2:kill")
        self.assertEqual(len(self.finish(self.start()).store.abandoned), 0)

    def test_promises_that_cannot_be_kept_are_abandoned_and_their_requests_answered(self):
        requests = self.deploy("changed", COUNT)
        self.die_at("signed:2:kill", requests)
        promised = len(checker.Store(self.deployment.store).intent_items())
        self.deployment.edit(r'# ocsp-url: .*', 'ocsp-url: "http://changed.example/ocsp"')
        evidence = self.finish(self.start())
        self.assertGreater(promised, 0)
        self.assertEqual(len(evidence.store.abandoned), promised)

    def test_promises_nobody_comes_for_are_abandoned_after_the_hold_time(self):
        requests = self.deploy("hold", COUNT)
        self.deployment.edit(r"(?m)^  batch-items: .*$", r"\g<0>\n  intent-hold: 1s")
        self.die_at("signed:1:kill", requests)
        promised = len(checker.Store(self.deployment.store).intent_items())
        self.backend.client.call("DEL", "hold:requests")
        engine = self.start()
        deployment.wait_until(lambda: "were abandoned" in engine.text(), 20, "the promises are abandoned")
        self.backend.push(requests, again=True)
        evidence = self.finish(engine)
        self.assertGreater(promised, 0)
        self.assertEqual(len(evidence.store.abandoned), promised)


def add_points():
    for point in POINTS:
        for nth in (1, 3):
            def test(self, point=point, nth=nth):
                self.kill_at(point, nth)
            setattr(Kill, f"test_killed_at_passage_{nth}_of_{point.replace('-', '_')}", test)

            def test_several(self, point=point, nth=nth):
                self.kill_at(point, nth, SEVERAL)
            setattr(Kill, f"test_several_in_an_entry_killed_at_passage_{nth}_of_{point.replace('-', '_')}", test_several)

        def test_renewals(self, point=point):
            self.kill_renewals_at(point)
        setattr(Kill, f"test_renewals_killed_at_{point.replace('-', '_')}", test_renewals)
    for point in ORDERED:
        def test_orders(self, point=point):
            self.kill_orders_at(point)
        setattr(Kill, f"test_orders_killed_at_{point.replace('-', '_')}", test_orders)


class Points(unittest.TestCase):
    def test_every_point_of_the_sources_is_swept(self):
        found = set()
        for folder in ("engine", "queue", "providers", "tools"):
            for path, _, names in os.walk(os.path.join(deployment.SOURCE, folder)):
                for name in names:
                    if name.endswith(".c"):
                        with open(os.path.join(path, name), encoding="utf-8") as file:
                            found |= set(re.findall(r'CM_FAULT_POINT\("([^"]*)"\)', file.read()))
        self.assertEqual(found, {*POINTS, *OTHERS})


add_points()

if __name__ == "__main__":
    case.main(None if deployment.has_fault_points() else "this build has no fault points (meson option fault_points)")
