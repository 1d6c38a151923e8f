#!/usr/bin/env python3
"""Devices are quarantined and retired while their requests are under way: none of them gets a certificate that counts."""
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
import der
from backend import Request
from deployment import has_fault_points, wait_until
from trail import seconds
from trail_case import TrailCase

DEVICES, ROUNDS, BACKDATE_S = 40, 12, 300
SEED = int(os.environ.get("CERTMILL_TEST_SEED", time.time()))


class Quarantine(TrailCase):
    def prepare(self, name):
        """Each device's requests for itself, one a round, in the order in which they are pushed."""
        requests = self.begin(name, DEVICES)
        return [Request(f"{name}-{round_}-{i}", one.device, one.csr, expect=None) for round_ in range(ROUNDS)
                for i, one in enumerate(requests)]

    def bar(self, chance, devices):
        """By turns, for a moment each; {device: when the order's answer came}. The engine may die meanwhile."""
        answered = {}
        for number, device in enumerate(devices):
            kind = ("quarantine", "retire")[number % 2]
            time.sleep(chance.uniform(0, 0.05))
            while device not in answered:
                try:
                    answer = self.control("orders", actor="operator:test", orders=[{"kind": kind, "device": device}])
                except (OSError, ValueError):
                    answer = {}
                if answer.get("orders"):
                    self.assertEqual(answer["orders"][0]["code"], "")
                    answered[device] = time.time()
                else:
                    time.sleep(0.01)
        return answered

    def run_load(self, requests, devices, disturb=lambda: None):
        """{device: when it was barred}, with requests of all devices before, meanwhile and after: for each a round at least."""
        chance, answered = random.Random(SEED), {}
        print(f"seed {SEED}", file=sys.stderr)
        barring = threading.Thread(target=lambda: answered.update(self.bar(chance, devices)))
        self.backend.push(requests[:DEVICES])
        barring.start()
        for at in range(DEVICES, len(requests) - DEVICES, 8):
            self.backend.push(requests[at:at + 8])
            disturb()
            time.sleep(0.01)
        barring.join(60)
        self.assertEqual(set(answered), set(devices))
        self.backend.push(requests[-DEVICES:])
        return answered

    def check_certificates(self, evidence, answered):
        """After an answer nothing is made for the device. Its certificates before it are the checker's business."""
        certificates = [(evidence.store.devices[row[3]], der.Certificate(dict(evidence.store.ders)[row[0]]))
                        for row in evidence.store.certificates]
        late = [device for device, one in certificates
                if device in answered and seconds(one.not_before) + BACKDATE_S > answered[device]]
        self.assertEqual(late, [])
        last = max(answered.values())
        codes = {row["code"] for request in self.backend.requests for row in self.backend.answers()[request.id]
                 if request.device in answered and "code" in row}
        self.assertEqual(codes, {b"policy.device-state"})
        self.assertGreater(max(seconds(one.not_before) for device, one in certificates if device not in answered),
                           last - BACKDATE_S - 60, "others go on")

    def devices_of(self, requests):
        return [request.device for request in requests[:DEVICES:2]]

    def watch_lists(self):
        self.trail.watch()
        self.issued = []

    def test_no_certificate_is_made_for_a_device_after_its_order_was_answered(self):
        requests = self.prepare("barred")
        engine = self.serve()
        self.watch_lists()
        answered = self.run_load(requests, self.devices_of(requests))
        evidence = self.conclude(engine)
        self.check_certificates(evidence, answered)

    def test_what_was_signed_meanwhile_counts_for_nothing(self):
        """The engine is stopped with signatures in its hand, and the order comes as it goes on."""
        requests = self.prepare("signed")
        self.trail.watch()
        self.issued = []
        engine = self.start("sealed:3:stop")
        self.backend.push(requests[:DEVICES * 3])
        wait_until(engine.is_asleep, 20, "it stops with signatures in its hand")
        devices = self.devices_of(requests)
        answered = {}
        barring = threading.Thread(target=lambda: answered.update(self.bar(random.Random(1), devices)))
        barring.start()
        time.sleep(0.3)  # the first order waits in the socket
        engine.signal(signal.SIGCONT)
        barring.join(60)
        self.stop(engine)
        self.backend.push(requests[DEVICES * 3:DEVICES * 4])  # a fast engine had issued all others before the first order
        engine = self.serve()
        evidence = self.conclude(engine)
        self.check_certificates(evidence, answered)

    def die_with_promises(self, name):
        """An engine that leaves promises to devices behind; their requests, of every round."""
        requests = self.prepare(name)
        self.trail.watch()
        self.issued = []
        self.stop(self.serve())  # the responder has its certificate: no promise of it is left open
        self.backend.push(requests[:DEVICES])  # all at once: three batches, each with promises to those who will be barred
        self.die_at("signed:3:kill")
        return requests

    def test_neither_is_one_made_by_an_engine_that_was_killed_with_promises_to_keep(self):
        requests = self.die_with_promises("promised")
        devices = self.devices_of(requests)
        done = self.deployment.run("device", "quarantine", *devices)
        self.assertIn(b"20 devices in quarantine", done.stdout)
        now = time.time()
        engine = self.serve()
        self.backend.push(requests[DEVICES:DEVICES * 2])
        evidence = self.conclude(engine)
        self.check_certificates(evidence, {device: now for device in devices})
        self.assertGreater(len(evidence.store.abandoned), 0, "what was promised to them is given up")

    def test_what_was_promised_before_a_device_was_revoked_is_not_issued_after_a_restart(self):
        requests = self.die_with_promises("revoked")
        open_intents = self.deployment.query("SELECT count(*) FROM intent")[0][0]
        self.assertGreater(open_intents, 0)
        last = self.deployment.query("SELECT last_number FROM total")[0][0]
        one, rest = requests[0].device, "default"
        self.deployment.run("revoke", "--device", one)
        self.deployment.run("revoke", "--group", rest, "--yes")
        before = {row[0] for row in self.deployment.query("SELECT number FROM certificate")}
        engine = self.serve()
        evidence = self.conclude(engine)
        late = [row[0] for row in evidence.store.certificates if row[0] not in before and row[0] <= last]
        self.assertEqual(late, [], "what was promised by then is not handed out")
        self.assertIn(b"policy.device-revoked", {row.get("code") for request in requests[:DEVICES]
                                                 for row in self.backend.answers()[request.id]})


if __name__ == "__main__":
    case.main(None if has_fault_points() else "this build has no fault points (meson option fault_points)")
