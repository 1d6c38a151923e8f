#!/usr/bin/env python3
"""Vaults throttle, forget tokens, answer slowly, end and come back, under load: every request is answered once, and none `failed`."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment
from backend import fleet
from load import Load
from vault_deployment import SECRET, VaultDeploymentCase, Way

FAST = "rate: 100000"  # the pace is not what is tested
BACK = "timeout: 2s"


class Faults(VaultDeploymentCase):
    def answered(self):
        return len(self.backend.collect())

    def wait_for_answers(self, count, timeout_s=60):
        deployment.wait_until(lambda: self.answered() >= count, timeout_s, lambda: f"{self.answered()} answers, not {count}",
                              step_s=0.05)

    def issuers(self):
        return {publication["issuer"].decode() for publication in self.backend.collect()}

    # --- one vault ---

    def test_a_vault_that_throttles_makes_requests_wait(self):
        vault = self.start_vault("--latency-ms", "5")
        requests = self.deploy_in_vault("throttled", 250, vault, lines=[FAST])
        vault.throttle(scale=0.0125, period_ms=1000, on=True)  # 50 signatures a second with keys in software
        engine = self.start()
        self.backend.push(requests)
        self.wait_for_throttling_in_the_status()
        self.finish_all(engine, 250)
        self.assertGreater(vault.statistics()["throttled"], 0)

    def wait_for_throttling_in_the_status(self):
        """It has come from the signer through the engine, together with how long answers took."""
        def pace():
            return self.status()["providers"][0].get("pace", {})
        deployment.wait_until(lambda: pace().get("throttled", 0) > 0 and pace()["median_ms"] > 0, 30, pace, step_s=0.1)

    def test_tokens_that_are_revoked_are_asked_for_again(self):
        vault = self.start_vault("--latency-ms", "5")
        requests = self.deploy_in_vault("revoked", 600, vault, lines=[FAST])
        engine = self.start()
        load = Load(self, requests[:400], per_s=200)
        for count, held_back in ((100, requests[400:500]), (300, requests[500:])):
            self.wait_for_answers(count)
            tokens = vault.statistics()["tokens"]
            vault.revoke_tokens()
            self.backend.push(held_back)  # the others may all be answered
            deployment.wait_until(lambda n=tokens: vault.statistics()["tokens"] > n, 20, "another token")
        load.end()
        evidence = self.finish_all(engine, 600)
        self.assertEqual(len(evidence.store.abandoned), 0)

    def test_a_vault_that_ends_and_comes_back_is_waited_for(self):
        vault = self.start_vault("--latency-ms", "20")
        way = Way(vault)
        requests = self.deploy_in_vault("ends", 600, vault, url=way.url, lines=[FAST, BACK])
        engine = self.start()
        load = Load(self, requests[:500], per_s=200)
        self.wait_for_answers(150)
        way.cut()
        self.backend.push(requests[500:])  # the others may all be answered
        load.end()
        before = self.answered()
        self.assertLess(before, 600)
        way.open()
        self.finish_all(engine, 600)

    def test_an_engine_that_starts_waits_a_while_for_its_vault(self):
        vault = self.start_vault()
        way = Way(vault)
        requests = self.deploy_in_vault("absent", 50, vault, url=way.url, lines=[FAST, BACK])
        way.cut()
        engine = self.start(wait=False)
        self.backend.push(requests)
        time.sleep(2)
        self.assertTrue(engine.is_alive(), engine.text())
        way.open()
        self.finish_all(engine, 50)

    def test_answers_slower_than_a_call_of_the_signer_do_not_end_it(self):
        vault = self.start_vault("--latency-ms", "4500")
        requests = self.deploy_in_vault("slow", 60, vault, lines=[FAST])
        self.deployment.edit(r"(?m)^    kind: keyvault$", r"\g<0>\n    call-deadline: 3s")
        engine = self.start()
        signer = engine.signer()
        self.backend.push(requests)
        self.backend.wait_answered(60)
        self.assertEqual(engine.signer(), signer, engine.text())
        self.finish_all(engine, 60)

    def test_a_role_that_is_missing_for_a_while_makes_requests_wait(self):
        vault = self.start_vault("--latency-ms", "5")
        requests = self.deploy_in_vault("role", 200, vault, lines=[FAST])
        engine = self.start()
        vault.faults({"on": "sign", "kind": "status", "status": 403, "count": 50})
        self.backend.push(requests)
        self.finish_all(engine, 200)
        self.assertEqual(vault.statistics()["faults"], 50)

    def test_a_key_that_is_disabled_for_a_while_makes_requests_wait(self):
        vault = self.start_vault("--latency-ms", "5")
        requests = self.deploy_in_vault("disabled", 200, vault, lines=[FAST])
        engine = self.start()
        path = "/keys/certmill-issuing-1"
        token = vault.token_request(client_secret=SECRET).json()["access_token"]
        vault.request("PATCH", path, {"attributes": {"enabled": False}}, token=token)
        self.backend.push(requests)
        deployment.wait_until(lambda: "KeyDisabled" in engine.text(), 20, engine.text)
        asked = vault.statistics()["requests"]["sign"]
        deployment.wait_until(lambda: vault.statistics()["requests"]["sign"] > asked, 20, "the vault is asked again")
        self.assertEqual(self.answered(), 0, engine.text())
        vault.request("PATCH", path, {"attributes": {"enabled": True}}, token=token)
        self.finish_all(engine, 200)

    def test_answers_that_come_too_late_are_neither_lost_nor_doubled(self):
        vault = self.start_vault("--latency-ms", "5")
        requests = self.deploy_in_vault("late", 300, vault, lines=[FAST, "timeout: 500ms"])
        engine = self.start()
        vault.faults({"on": "sign", "kind": "slow", "delay_ms": 1500, "count": 40, "every": 5})
        self.backend.push(requests)
        evidence = self.finish_all(engine, 300)
        statistics = vault.statistics()
        self.assertEqual(statistics["faults"], 40)
        self.assertEqual(len(evidence.store.abandoned), 0, "the same bytes were signed again")

    def test_answers_that_are_wrong_or_cut_never_leave(self):
        vault = self.start_vault("--latency-ms", "5")
        requests = self.deploy_in_vault("wrong", 400, vault, lines=[FAST])
        engine = self.start()
        kinds = ("bad-signature", "wrong-kid", "truncate", "close-after-headers", "bad-json", "close-before")
        vault.faults(*({"on": "sign", "kind": kind, "count": 5, "every": 3} for kind in kinds),
                     {"on": "sign", "kind": "status", "status": 500, "count": 5, "every": 3})
        self.backend.push(requests)
        self.finish_all(engine, 400)
        self.assertEqual(vault.statistics()["faults"], 35)

    def test_an_engine_killed_while_a_vault_signs_keeps_its_promises(self):
        vault = self.start_vault("--latency-ms", "300")
        requests = self.deploy_in_vault("killed", 200, vault, lines=[FAST])
        engine = self.start()
        self.backend.push(requests)
        deployment.wait_until(lambda: vault.statistics()["signs_in_flight"] > 4, 20, "signatures are under way")
        engine.kill()
        evidence = self.finish_all(self.start(), 200)
        self.assertEqual(len(evidence.store.abandoned), 0)

    # --- what doctor makes of them ---

    def test_doctor_tells_a_certificate_that_is_not_trusted_from_a_name_that_is_not_known(self):
        vault = self.start_vault()
        self.deploy_in_vault("doctors", 0, vault)
        self.deployment.edit(r"(?m)^      trust: .*$", "")
        self.assertRegex(self.doctor(), "(?s)FAIL.*certificate.*keyvault.trust")
        done = self.deployment.run("provider", "test", "--key", "https://no-such-vault.invalid/keys/a", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout.decode(), "FAILS .*[Rr]esolve")

    # --- two vaults ---

    def deploy_two(self, name, count, ways=False, lines=()):
        self.vaults = [self.start_vault("--latency-ms", "10") for _ in range(2)]
        self.ways = [Way(vault) for vault in self.vaults] if ways else []
        urls = [each.url for each in self.ways or self.vaults]
        requests = self.deploy_in_vault(name, count, self.vaults[0], url=urls[0], lines=lines)
        self.add_vault(self.vaults[1], url=urls[1], lines=lines)
        return requests

    def signed(self):
        return [vault.statistics()["signed"] for vault in self.vaults]

    def test_two_vaults_share_the_work_when_they_throttle(self):
        requests = self.deploy_two("two", 600, lines=["rate: 50"])  # software keys count half
        before = self.signed()
        engine = self.start()
        self.backend.push(requests)
        self.finish_all(engine, 600)
        shares = [now - then for now, then in zip(self.signed(), before)]
        self.assertGreater(min(shares), 200, f"each makes about the half: {shares}")
        self.assertEqual(self.issuers(), {"issuing-1", "issuing-2"})

    def test_one_of_two_vaults_ends_and_the_other_takes_over(self):
        requests = self.deploy_two("over", 400, ways=True, lines=[FAST, BACK])
        more = fleet(200, "more")
        self.deployment.add_devices([request.device for request in more])
        engine = self.start()
        load = Load(self, requests, per_s=150)
        deployment.wait_until(lambda: self.issuers() == {"issuing-1", "issuing-2"}, 60, lambda: f"both issue: {self.issuers()}")
        self.ways[0].cut()
        load.end()
        self.backend.push(more)
        self.wait_for_answers(600)  # while it is away
        self.ways[0].open()
        self.finish_all(engine, 600)


if __name__ == "__main__":
    case.main()
