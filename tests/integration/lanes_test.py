#!/usr/bin/env python3
"""Signatures eight at a time in a whole engine, by a library that stands in for crypto-mb: what it miscalculates
never leaves, its neighbours do; and what settings and the processor say is what happens."""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
from deployment import wait_until

COUNT = 96
FIRST_WRONG = 12  # behind the trials of each kind, and the proof of each key


class Lanes(case.Case):
    def library(self, says=""):
        """Variables of an engine with the stand-in."""
        return {"LD_LIBRARY_PATH": os.environ["CRYPTO_MB"], "CERTMILL_STAND_IN": says}

    def issue(self, key_type, says=""):
        """(the requests, the answers to each) of an engine whose CA has such a key."""
        requests = self.deploy("lanes", COUNT, key_type=key_type)
        self.engine = self.start(variables=self.library(says))
        self.backend.push(requests)
        self.backend.wait_answered(60)
        return requests, self.backend.answers()

    def statuses(self, requests):
        """{status: ids} of each last answer."""
        found, answers = {}, self.backend.answers()
        for request in requests:
            found.setdefault(answers[request.id][-1]["status"].decode(), []).append(request.id)
        return found

    def miscalculate(self, key_type):
        """Whoever was failed asks again, until all have a certificate that verifies."""
        requests, _ = self.issue(key_type, f"miscalculates={FIRST_WRONG}")
        failed_once = failed = self.statuses(requests).get("failed", [])
        self.assertTrue(failed_once, "no signature went wrong")
        self.assertLess(len(failed_once), COUNT / 2, "neighbours failed")
        while failed:
            self.assertEqual({answers[-1].get("code") for id, answers in self.backend.answers().items() if id in failed},
                             {b"engine.signer-failed"})
            before = len(self.backend.collect())
            self.backend.push([request for request in requests if request.id in failed], again=True)
            self.backend.wait_publications(before + len(failed), 60)
            failed = self.statuses(requests).get("failed", [])
        self.backend.wait_empty()
        self.stop(self.engine)
        store = checker.Store(self.deployment.store)
        evidence = checker.Evidence([], [], store, os.path.join(self.deployment.folder, "ca"))
        self.assertEqual(len(store.certificates), COUNT)
        self.assertEqual(list(checker.rule_signatures(evidence)), [])
        self.assertEqual(list(checker.rule_serials_unique(evidence)), [])

    def test_what_p256_miscalculates_never_leaves(self):
        self.miscalculate("p256")

    def test_what_rsa_miscalculates_never_leaves(self):
        self.miscalculate("rsa-2048")

    def verification(self):
        return self.status()["verification"]

    def test_status_metrics_and_doctor_tell_what_is_used(self):
        requests, _ = self.issue("p256")
        self.assertEqual(list(self.statuses(requests)), ["issued"])
        said = self.verification()
        self.assertTrue(said["multi_buffer"])
        self.assertIn("crypto-mb 0.0.0", said["arithmetic"])
        self.assertGreater(said["in_lanes"], COUNT)
        self.assertLessEqual(said["in_lanes"] + said["one_by_one"], 2 * COUNT)  # a proof and a check for each
        done = self.deployment.run("doctor", "--json", check=False)
        self.assertIn("signatures verified in lanes", done.stdout.decode())
        self.stop(self.engine)

    def test_settings_switch_it_off(self):
        requests = self.deploy("lanes", 20)
        self.deployment.edit(r"(?m)^engine:$", "engine:\n  multi-buffer: off")
        engine = self.start(variables=self.library())
        self.backend.push(requests)
        self.backend.wait_answered()
        said = self.verification()
        self.assertFalse(said["multi_buffer"])
        self.assertEqual((said["in_lanes"], said["one_by_one"]), (0, 40))
        findings = json.loads(self.deployment.run("doctor", "--json", check=False).stdout)
        self.assertIn("engine.multi-buffer is off", json.dumps(findings))
        self.finish_all(engine, 20)

    def test_a_kind_in_which_the_library_disagrees_is_not_used(self):
        requests, _ = self.issue("p256", "accepts=p256")
        self.assertEqual(list(self.statuses(requests)), ["issued"])
        said = self.verification()
        self.assertFalse(said["multi_buffer"])
        self.assertIn("not used for, p256", said["arithmetic"])
        self.assertEqual(said["in_lanes"], 0)
        self.finish_all(self.engine, COUNT)

    def test_nonces_of_settings_are_checked(self):
        self.deploy("lanes", 1)
        self.deployment.edit(r"(?m)^    kind: openssl$", "    kind: openssl\n    nonces: constant")
        self.assertIn("expected random or rfc6979", self.fail_to_start())
        self.deployment.edit("nonces: constant", "nonces: rfc6979")
        engine = self.start(variables=self.library())
        wait_until(lambda: "serving" in engine.text(), 20, engine.text)
        self.stop(engine)


if __name__ == "__main__":
    case.main(None if "CRYPTO_MB" in os.environ else "this build has no headers of crypto-mb")
