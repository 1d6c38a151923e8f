#!/usr/bin/env python3
"""A token that goes and comes back, under load: requests wait, none is lost and none `failed`. With a real SoftHSM."""
import os
import re
import shutil
import signal
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment
from load import Load
from softhsm import MODULE, PIN, WHY_NOT, Token


@unittest.skipUnless(MODULE, WHY_NOT)
class TokenFaults(case.Case):
    def deploy_in_token(self, name, count):
        self.token = Token(deployment.scratch())
        return self.deploy(name, count, init=self.token.init_options())

    def wait_for(self, engine, words, timeout_s=10):
        deployment.wait_until(lambda: words in engine.text(), timeout_s, lambda: f"\"{words}\" in:\n{engine.text()}")

    def expect_ready(self, is_ready):
        """What the engine says of itself, and doctor of the engine."""
        status = self.status()
        self.assertEqual(status["ready"], is_ready, status)
        told = self.deployment.run("doctor", check=False).stdout
        self.assertEqual(b"wait for a signature of issuing-1" in told, not is_ready, told)
        self.assertIn(b"provider hsm is up", told)

    def answered(self):
        return len({row["id"] for row in self.backend.collect()})

    def test_a_token_that_is_removed_under_load_is_waited_for(self):
        requests = self.deploy_in_token("removed", 600)
        engine = self.start()
        load = Load(self, requests[:400], per_s=200)
        for held_back in (requests[400:500], requests[500:]):
            deployment.wait_until(lambda: self.answered() > 20, 10, "the first are answered")
            self.token.remove()
            self.backend.push(held_back)  # the others may all be answered
            time.sleep(1.5)
            deployment.wait_until(lambda: not self.status()["ready"], 10, "it is not ready")
            self.expect_ready(False)
            before = self.answered()
            time.sleep(0.7)
            self.assertLessEqual(self.answered() - before, 16, "without a key nothing is signed")
            self.token.bring_back()
            begun = time.monotonic()
            deployment.wait_until(lambda seen=before: self.answered() > seen + 40, 10, engine.text)
            self.assertLess(time.monotonic() - begun, 6 * deployment.PATIENCE, "it goes on within 5 s of the token's return")
        load.end()
        self.backend.wait_answered()
        self.expect_ready(True)
        self.finish_all(engine, 600)

    def test_a_module_that_crashes_under_load_is_started_again(self):
        requests = self.deploy_in_token("crashes", 1000)
        engine = self.start()
        load = Load(self, requests[:500], per_s=200)
        for at in range(500, 1000, 100):
            # It signs, so it has logged in: SoftHSM's file is lost when its login is killed over writing it.
            signed = len(self.backend.collect())
            self.backend.push(requests[at:at + 100])  # the others may all be answered
            deployment.wait_until(lambda: len(self.backend.collect()) > signed, 20, engine.text)  # pylint: disable=cell-var-from-loop
            os.kill(engine.signer(), signal.SIGABRT)
        load.end()
        self.finish_all(engine, 1000)
        self.assertIn("killed by signal 6", engine.text())

    def test_a_wrong_pin_stops_the_start_and_is_tried_once(self):
        self.deploy_in_token("pin", 1)
        self.token.write_pin("654321")
        engine = self.start(wait=False)
        self.assertNotEqual(engine.wait(20), 0)
        self.assertIn("CKR_PIN_INCORRECT", engine.text())
        self.assertNotIn("654321", engine.text())
        self.assertEqual(engine.text().count("CKR_PIN_INCORRECT"), 1, engine.text())

    def test_the_pin_is_in_no_command_line_and_not_in_the_engine(self):
        requests = self.deploy_in_token("secret", 4)
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        for pid in [engine.pid, *engine.signers()]:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                self.assertNotIn(PIN.encode(), file.read())
        self.assertEqual(self.memory_holds(engine.pid, {PIN.encode()}), set())
        self.finish_all(engine, 4)
        engine = self.start(variables={"CM_TEST_PIN": PIN}.items())
        self.assertEqual(self.memory_holds(engine.pid, {PIN.encode()}), {PIN.encode()}, "so that the search can fail")
        self.stop(engine)

    def test_a_key_that_is_another_one_stops_the_start_with_both_fingerprints(self):
        self.deploy_in_token("mine", 1)
        mine = self.token
        other = Token(deployment.scratch())
        self.deployment_of_other = deployment.Deployment(case.Case.redis, prefix="other", init=other.init_options())
        shutil.rmtree(mine.objects)
        shutil.copytree(other.objects, mine.objects)
        os.environ["SOFTHSM2_CONF"] = mine.conf
        engine = self.start(wait=False)
        self.assertNotEqual(engine.wait(20), 0)
        found = re.search(r"key ([0-9a-f]{64}), certificate ([0-9a-f]{64})", engine.text())
        self.assertTrue(found, engine.text())
        self.assertNotEqual(found[1], found[2])

    def test_a_token_that_comes_back_with_another_key_signs_nothing(self):
        requests = self.deploy_in_token("changed", 60)
        mine = self.token
        other = Token(deployment.scratch())
        deployment.Deployment(case.Case.redis, prefix="other", init=other.init_options())
        os.environ["SOFTHSM2_CONF"] = mine.conf
        engine = self.start()
        self.backend.push(requests[:20])
        self.backend.wait_answered()
        mine.remove()
        os.kill(engine.signer(), signal.SIGKILL)
        os.rmdir(mine.objects)
        shutil.copytree(other.objects, mine.objects)
        self.backend.push(requests[20:])
        time.sleep(3)
        self.assertEqual(self.answered(), 20, engine.text())
        shutil.rmtree(mine.objects)
        os.rename(mine.objects + ".away", mine.objects)
        self.finish_all(engine, 60)


if __name__ == "__main__":
    case.main()
