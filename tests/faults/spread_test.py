#!/usr/bin/env python3
"""Several issuing keys: shares follow speed, a key that goes away is replaced, an authority that is away holds up no other."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
import deployment
from backend import Order, fleet
from load import Load

EAST, WEST = "issuing-1", "issuing-2"
PATIENCE_S = 3  # of the engine, with a key that does not sign


class Spread(case.Case):
    def deploy_two(self, name, count=0, east="", west="", authority="issuing", **options):
        """Providers soft and west, both scripted. west holds a second key of issuing, or another authority's."""
        requests = self.deploy(name, count, **options)
        made = self.deployment
        self.west_keys = os.path.join(made.folder, "west")
        os.mkdir(self.west_keys, 0o700)
        self.away, self.loses = (os.path.join(made.folder, word) for word in ("west-is-away", "west-loses"))
        made.edit(r"(?m)^    kind: openssl$", "    kind: fake")
        made.edit(r"(?m)^    keys: keys$", "    keys: keys\n  - name: west\n    kind: fake\n    keys: west")
        beside = ["--beside"] if authority == "issuing" else []
        made.run("ca", "create", authority, *beside, "--provider", "west", "--key", "file:key.pem")
        self.script(os.path.join(made.folder, "keys"), east)
        self.script(self.west_keys, f"away={self.away} loses={self.loses} {west}")
        return requests

    def script(self, folder, text):
        path = os.path.join(folder, "fake-script")
        with open(path, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)

    def put(self, path):
        with open(path, "w", encoding="ascii"):
            pass

    def issuers(self):
        """{issuer: answers}"""
        found = {}
        for publication in self.backend.collect():
            issuer = publication.get("issuer", b"").decode()
            found[issuer] = found.get(issuer, 0) + 1
        return found

    def doctor(self):
        return self.deployment.run("doctor", check=False).stdout.decode()

    def trickle_until(self, condition, what, timeout_s=30):
        """Pushes a request now and then, of devices of their own, until the condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            self.backend.push([self.spare.pop()])
            time.sleep(0.05)

    def make_spare(self, count, name):
        self.spare = fleet(count, name)
        self.deployment.add_devices([request.device for request in self.spare])

    def test_two_keys_get_shares_in_proportion_to_their_speed(self):
        requests = self.deploy_two("shares", 640, east="delay=100 in-flight=1", west="delay=300 in-flight=1")
        self.backend.push(requests)
        engine = self.start()
        evidence = self.finish_all(engine, 640)
        share = self.issuers()[WEST] / 640
        self.assertTrue(0.15 < share < 0.4, f"west is three times as slow and has signed {share:.0%}")
        self.assertEqual(len(evidence.store.abandoned), 0)

    def test_a_key_that_did_not_get_to_it_in_time_is_slow_and_not_away(self):
        expired = " ".join(f"item={number}:EXPIRED" for number in range(10))  # for longer than the engine's patience
        requests = self.deploy_two("slow", 2, west=f"delay=300 {expired}")
        engine = self.start()
        self.backend.push(requests[:1])
        self.backend.wait_answered()
        self.backend.push(requests[1:])
        evidence = self.finish_all(engine, 2)
        self.assertEqual(self.issuers(), {EAST: 1, WEST: 1})
        self.assertEqual(len(evidence.store.abandoned), 0)

    def test_every_key_publishes_its_chain(self):
        requests = self.deploy_two("chains", 64)
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        for name, file in ((EAST, "issuing.pem"), (WEST, "issuing-2.pem")):
            with open(os.path.join(self.deployment.folder, "ca", file), encoding="ascii") as pem:
                self.assertTrue(self.backend.client.call("GET", "chains:ca:" + name).decode().startswith(pem.read()), name)
        self.finish_all(engine, 64)

    def test_a_key_goes_away_and_comes_back_and_everything_is_issued_once(self):
        requests = self.deploy_two("leaves", 900)
        self.make_spare(600, "spare")
        engine = self.start()
        load = Load(self, requests[:700], per_s=250)
        deployment.wait_until(lambda: WEST in self.issuers(), 10, "west issues")
        self.put(self.away)
        self.backend.push(requests[700:])  # the others may all be answered
        deployment.wait_until(lambda: "issuing-2 has signed nothing" in self.doctor(), 20, self.doctor, step_s=0.2)
        load.end()
        self.backend.wait_answered()  # while it is away
        before = self.issuers()[WEST]
        os.unlink(self.away)
        self.trickle_until(lambda: self.issuers()[WEST] > before + 10, "west has work again")
        self.assertIn("issuing-2 signs", self.doctor())
        evidence = self.finish_all(engine, len(self.backend.requests))
        # What had been promised with west's key was given up, and is on record for the status services.
        self.assertGreater(len(evidence.store.abandoned), 0)
        self.assertEqual({row[2] for row in evidence.store.abandoned}, {self.generation(evidence, WEST)})
        # Each ends with the certificate that it was for, not with its authority.
        last_end = max(end for (end,) in self.deployment.query("SELECT not_after FROM certificate"))
        ends = [end for (end,) in self.deployment.query("SELECT not_after FROM revocation")]
        self.assertEqual(len(ends), len(evidence.store.abandoned))
        self.assertLessEqual(max(ends), last_end)

    def generation(self, evidence, issuer):
        """Its number in the store, by a certificate that it has signed."""
        serial = next(row["serial"] for row in self.backend.publications if row.get("issuer") == issuer.encode())
        number = int(serial[:16], 16)
        return next(row[4] for row in evidence.store.certificates if row[0] == number)

    def test_answers_that_are_lost_for_long_move_to_the_other_key(self):
        requests = self.deploy_two("lost", 300)
        engine = self.start()
        self.put(self.loses)
        self.backend.push(requests)
        self.backend.wait_answered(30)
        evidence = self.finish_all(engine, 300)
        self.assertGreater(len(evidence.store.abandoned), 0)
        self.assertEqual(set(self.issuers()), {EAST})

    def test_an_authority_that_is_away_holds_up_no_other(self):
        ours = self.deploy_two("other", 300, authority="line-2")
        # Who was set aside has paid already: a second time there would be no room for it.
        self.deployment.edit(r"(?m)^    remember-refusals: yes$", r"\g<0>\n    rate: 1\n    burst: 900")
        engine, theirs = self.start_with_line_2(ours)
        deployment.wait_until(lambda: len(self.backend.collect()) >= 300, 20, lambda: f"{len(self.backend.publications)} answers")
        self.assertEqual(set(self.issuers()), {EAST})
        self.assertIn("requests wait until a key of their authority signs", self.doctor())
        more = fleet(200, "more")
        self.deployment.add_devices([request.device for request in more])
        self.backend.push(more)
        deployment.wait_until(lambda: len(self.backend.collect()) >= 500, 20, "the others go on")
        os.unlink(self.away)
        evidence = self.finish_all(engine, 500 + len(theirs))
        self.assertEqual(len(evidence.store.abandoned), 0, "what was promised to them was kept")

    def test_an_authority_that_is_away_for_long_leaves_no_more_intents_open(self):
        self.deploy_two("long", authority="line-2")
        engine, theirs = self.start_with_line_2([], count=20)
        deployment.wait_until(lambda: "its requests wait" in engine.text(), 20, engine.text)
        more = fleet(40, "later")
        self.deployment.add_devices([request.device for request in more], group="second")
        promised = len(checker.Store(self.deployment.store).intent_items())
        for request in more:  # for longer than a few probes
            self.backend.push([request])
            time.sleep(0.5)
        self.assertEqual(len(checker.Store(self.deployment.store).intent_items()), promised)
        os.unlink(self.away)
        evidence = self.finish_all(engine, len(theirs) + len(more))
        self.assertEqual(len(evidence.store.abandoned), 0)

    def start_with_line_2(self, ours, count=400):
        """An engine with line-2 away, and more requests for it than its batches hold, in front of ours."""
        made = self.deployment
        made.edit(r"(?m)^groups:$", "  - name: line-2\n\ngroups:\n  - name: second\n    authority: line-2\n    profiles: [device-client]\n    rate: 1\n    burst: 400")
        made.edit(r"groups: \[default\]", "groups: [default, second]")
        theirs = fleet(count, "theirs")
        made.add_devices([request.device for request in theirs], group="second")
        engine = self.start()
        self.put(self.away)
        self.backend.push(theirs)
        self.backend.push(ours)
        return engine, theirs

    def test_an_engine_stops_and_is_killed_with_requests_set_aside(self):
        ours = self.deploy_two("aside", 40, authority="line-2")
        engine, theirs = self.start_with_line_2(ours)
        deployment.wait_until(lambda: len(self.backend.collect()) >= 40, 20, "ours are answered")
        self.stop(engine)
        engine = self.start()
        deployment.wait_until(lambda: "its requests wait" in engine.text(), 20, engine.text)
        engine.kill()
        os.unlink(self.away)
        evidence = self.finish_all(self.start(), 40 + len(theirs))
        self.assertEqual(len(evidence.store.abandoned), 0)

    def all_keys_are_long_in_trouble(self):
        return all(row["in_trouble"] and row["seconds"] > PATIENCE_S for row in self.status()["issuers"])

    def test_requests_wait_while_all_keys_of_the_only_authority_are_away(self):
        requests = self.deploy_two("all", 200)
        self.script(os.path.join(self.deployment.folder, "keys"), f"away={self.away}")
        engine = self.start()
        self.put(self.away)
        self.backend.push(requests)
        deployment.wait_until(self.all_keys_are_long_in_trouble, 30, self.status, step_s=0.1)
        self.assertEqual(self.backend.collect(), [])
        os.unlink(self.away)
        self.finish_all(engine, 200)

    def test_an_order_behind_all_that_waits_for_a_key_is_carried_out(self):
        requests = self.deploy_two("ahead", 400)
        self.script(os.path.join(self.deployment.folder, "keys"), f"away={self.away}")
        self.deployment.edit(r"(?m)^  batch-items: .*$", "  batch-items: 4\n  batches-in-flight: 2")
        self.deployment.allow_orders()
        self.put(self.away)
        engine = self.start()
        self.backend.push(requests)
        orders = [Order(f"order-{number}", "quarantine", "device", requests[-1 - number].device) for number in range(3)]
        self.backend.push(orders[:2])
        deployment.wait_until(lambda: len(self.backend.collect()) == 2, 20, engine.text)
        engine.kill()
        engine = self.start()
        self.backend.push(orders[2:])
        deployment.wait_until(lambda: len(self.backend.collect()) == 3, 20, engine.text)
        os.unlink(self.away)
        for request in requests[-3:]:
            request.expect = "policy.device-state"
        self.finish_all(engine, 397)

    def test_what_a_key_promised_before_a_kill_is_given_up_when_it_stays_away(self):
        requests = self.deploy_two("gone", 200, east="delay=5", west="delay=300")  # west always has something in its hand
        self.backend.push(requests)
        self.die_at("signed:4:kill")
        store = checker.Store(self.deployment.store)
        promised = len(store.intent_items())
        self.put(self.away)
        evidence = self.finish_all(self.start(), 200)
        of_west = {row[2] for row in evidence.store.abandoned}
        self.assertGreater(promised, 0)
        self.assertEqual(len(of_west), 1, "east has kept what it had promised")

    def test_killed_with_two_keys_each_keeps_what_it_promised(self):
        for number, point in enumerate(("intent-durable:3:kill", "signed:4:kill", "sealed:2:kill")):
            requests = self.deploy_two(f"killed-{number}", 200, east="delay=5", west="delay=5")
            self.die_at(point, requests)
            evidence = self.finish_all(self.start(), 200)
            self.assertEqual(len(evidence.store.abandoned), 0)
            self.assertEqual(set(self.issuers()), {EAST, WEST})


if __name__ == "__main__":
    case.main(None if deployment.has_fault_points() else "this build has no scripted provider (meson option fault_points)")
