#!/usr/bin/env python3
"""Engines are killed at random, stopped, frozen and started twice, under load: nothing is lost, doubled or unrecorded."""
import os
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
import deployment
from load import Load

CYCLES = 10
SEED = int(os.environ.get("CERTMILL_TEST_SEED", time.time()))


class Signals(case.Case):
    def kill_at_random(self, name, count, **options):
        print(f"seed {SEED}", file=sys.stderr)
        chance = random.Random(SEED)
        load = Load(self, self.deploy(name, count, **options), per_s=count / 5)
        for _ in range(CYCLES):
            engine = self.start()
            time.sleep(chance.uniform(0.005, 0.4))
            engine.kill()
        load.end()
        return self.finish(self.start(), timeout_s=30)

    def test_ten_kills_at_random_under_load_lose_nothing(self):
        evidence = self.kill_at_random("random", 600)
        self.assertEqual(len(evidence.store.certificates), 600)

    def test_engines_with_changing_names_take_over_what_killed_ones_held(self):
        self.kill_at_random("takeover", 300, consumer=None, lease="1s")

    def test_sigterm_under_load_ends_in_five_seconds_and_loses_nothing(self):
        load = Load(self, self.deploy("term", 600), per_s=400)
        for _ in range(3):
            engine = self.start()
            time.sleep(0.3)
            began = time.monotonic()
            self.stop(engine)
            self.assertLess(time.monotonic() - began, 5 * deployment.PATIENCE)
            self.assertEqual(checker.Store(self.deployment.store).intent_items(), [], "a clean stop promises nothing")
        load.end()
        self.finish(self.start())

    def test_sigint_is_as_good_as_sigterm(self):
        requests = self.deploy("int", 100)
        engine = self.start()
        self.backend.push(requests)
        engine.signal(signal.SIGINT)
        self.assertEqual(engine.wait(5), 0, engine.text())
        self.finish(self.start())

    def test_a_second_signal_ends_it_at_once_and_nothing_is_lost(self):
        requests = self.deploy("impatient", 300)
        engine = self.start()
        self.backend.push(requests)
        engine.signal(signal.SIGSTOP)
        engine.signal(signal.SIGTERM)
        engine.signal(signal.SIGINT)
        engine.signal(signal.SIGCONT)
        self.assertIn(engine.wait(5), (0, 1), engine.text())
        self.finish(self.start())

    def test_a_frozen_engine_keeps_the_store_and_goes_on_when_thawed(self):
        requests = self.deploy("frozen", 300, lease="1s")
        engine = self.start()
        self.backend.push(requests[:150])
        engine.signal(signal.SIGSTOP)
        self.backend.push(requests[150:])
        second = self.start(wait=False)
        self.assertEqual(second.wait(10), 1, "a second engine must not start")
        self.assertIn(str(engine.pid), second.text())
        self.assertIn("is being written by process", second.text())
        engine.signal(signal.SIGCONT)
        self.finish(engine)

    def test_of_two_engines_started_at_once_one_serves(self):
        requests = self.deploy("two", 50)
        engines = [self.start(wait=False) for _ in range(2)]
        self.backend.push(requests)
        deployment.wait_until(lambda: any(not engine.is_alive() for engine in engines), 10, "one of two engines ends")
        alive = [engine for engine in engines if engine.is_alive()]
        self.assertEqual(len(alive), 1, [engine.text() for engine in engines])
        dead = next(engine for engine in engines if engine not in alive)
        self.assertEqual(dead.wait(1), 1)
        self.assertIn(str(alive[0].pid), dead.text())
        self.finish(alive[0])

    def test_an_engine_beside_a_killed_one_starts_at_once(self):
        requests = self.deploy("after", 50)
        self.start().kill()
        began = time.monotonic()
        engine = self.start()
        self.assertLess(time.monotonic() - began, 5 * deployment.PATIENCE)
        self.backend.push(requests)
        self.finish(engine)


if __name__ == "__main__":
    case.main()
