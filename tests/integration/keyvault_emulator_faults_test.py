#!/usr/bin/env python3
"""The emulator of Azure Key Vault counts as the service does, and fails as it is told."""
import http.client
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import jwk
import keyvault
from deployment import wait_until
from keyvault import from_base64url, to_base64url
from keyvault_case import DIGESTS, LONG_MS, VaultCase


class Throttle(VaultCase):
    """Windows that do not end by themselves, so that counts are exact on a slow machine too."""

    def start_throttled(self, scale, *options, period_ms=LONG_MS):
        vault = self.start("--throttle", "--throttle-scale", str(scale), "--throttle-period-ms", period_ms, *options)
        vault.create_key("soft")
        vault.create_key("hsm", "EC-HSM")
        return vault

    def count_signs(self, vault, name, alg="ES256", tries=60):
        """How many of them pass; once one is throttled, all are."""
        statuses = [self.sign(vault, name, alg).status for _ in range(tries)]
        passed = statuses.count(200)
        self.assertEqual(statuses, [200] * passed + [429] * (tries - passed))
        return passed

    def test_exactly_what_is_permitted_passes(self):
        for kind in ("fixed", "sliding"):
            vault = self.start_throttled(0.01, "--throttle-window", kind)
            self.assertEqual(self.count_signs(vault, "soft"), 40)
            self.assertEqual(vault.statistics()["throttled"], 20)
            vault = self.start_throttled(0.01, "--throttle-window", kind)
            self.assertEqual(self.count_signs(vault, "hsm"), 20)

    def test_the_answer_has_the_services_words_and_no_retry_after(self):
        vault = self.start_throttled(0)
        answer = self.sign(vault, "hsm")
        self.check_error(answer, 429, "Throttled")
        self.assertIn("Reason: VaultRequestTypeLimitReached", answer.json()["error"]["message"])
        self.assertNotIn("Retry-After", answer.headers)
        self.assertEqual(self.sign(self.start_throttled(0, "--retry-after", "7"), "hsm").headers["Retry-After"], "7")

    def test_the_sum_over_all_keys_is_weighted(self):
        vault = self.start_throttled(0.01)
        vault.create_key("rsa", "RSA-HSM", key_size=3072)
        for _ in range(3):
            self.good(self.sign(vault, "rsa", "RS256"))  # 8 each
        for _ in range(4):
            self.good(self.sign(vault, "hsm"))  # 2 each
        self.good(vault.request("GET", "/keys/rsa"))  # the last 8
        self.check_error(vault.request("GET", "/keys/soft"), 429, "Throttled")

    def test_creating_importing_and_listing_have_budgets_of_their_own(self):
        vault = self.start_throttled(0.1)

        def count(method, path, body=None, tries=40):
            return [vault.request(method, path, body).status for _ in range(tries)].count(200)
        self.assertEqual(count("POST", "/keys/new/create", {"kty": "EC-HSM"}, 3), 1)
        self.assertEqual(count("PUT", "/keys/new", {"key": jwk.private_jwk(jwk.new_pkcs8("P-256"))}), 30)
        self.good(vault.request("GET", "/keys"))
        self.good(self.sign(vault, "soft"))
        vault.throttle(scale=0.1)
        self.assertEqual(count("POST", "/keys/new/create", {"kty": "EC"}, 4), 2)
        vault.throttle(scale=0.1)
        self.assertEqual(count("POST", "/keys/soft/rotate", None, 4), 2)
        vault.throttle(scale=0.001)
        self.assertEqual(count("GET", "/keys", None, 6), 4)

    def test_refused_requests_count_only_when_told(self):
        for options, then in (((), 200), (("--count-throttled",), 429)):
            vault = self.start_throttled(0.01, *options)
            vault.create_key("rsa", "RSA", key_size=3072)
            for _ in range(39):
                self.good(self.sign(vault, "soft"))
            self.assertEqual(self.sign(vault, "rsa", "RS256").status, 429)
            self.assertEqual(self.sign(vault, "soft").status, then)

    def test_a_window_ends(self):
        for kind in ("fixed", "sliding"):
            vault = self.start_throttled(0.001, "--throttle-window", kind, period_ms="500")
            wait_until(lambda: self.sign(vault, "soft").status == 429, 20, "four in half a second are too many", 0)
            wait_until(lambda: self.sign(vault, "soft").status == 200, 20, "the window ends", 0.05)

    def test_it_changes_while_it_runs(self):
        vault = self.start_throttled(0)
        self.assertEqual(self.sign(vault, "soft").status, 429)
        vault.throttle(scale=0.001)
        self.assertEqual(self.count_signs(vault, "soft", tries=6), 4)
        vault.throttle(on=False)
        self.assertEqual(self.count_signs(vault, "soft", tries=6), 6)
        vault.throttle(on=True, scale=0, retry_after=3)
        self.assertEqual(self.sign(vault, "soft").headers["Retry-After"], "3")
        for wrong in ({"scale": "x"}, {"scale": -1}, {"period_ms": 0}, {"on": 1}):
            self.assertEqual(vault.control("POST", "/emulator/throttle", wrong).status, 400, wrong)

    def test_without_the_option_nothing_is_throttled(self):
        vault = self.start("--throttle-scale", "0")
        vault.create_key("soft")
        self.assertEqual(self.count_signs(vault, "soft", tries=6), 6)
        vault.throttle(scale=0)
        self.assertEqual(self.count_signs(vault, "soft", tries=6), 0)


class Faults(VaultCase):
    def setUp(self):
        self.vault = self.start()
        self.key = self.vault.create_key("ca")["key"]
        self.good(self.sign(self.vault))  # the token is there

    def after(self, kind, signed, **more):
        """The next sign's answer under a fault; the one after it is as usual. signed: whether the vault did."""
        before = self.vault.statistics()
        self.vault.faults({"on": "sign", "kind": kind, **more})
        try:
            return self.sign(self.vault)
        finally:
            self.good(self.sign(self.vault))
            now = self.vault.statistics()
            self.assertEqual(now["signed"] - before["signed"], 1 + signed)
            self.assertEqual(now["faults"] - before["faults"], 1)

    def test_status(self):
        answer = self.after("status", 0, status=503, retry_after="Fri, 31 Dec 2027 23:59:59 GMT")
        self.check_error(answer, 503, "ServiceUnavailable")
        self.assertEqual(answer.headers["Retry-After"], "Fri, 31 Dec 2027 23:59:59 GMT")
        answer = self.after("status", 0, status=429)
        self.check_error(answer, 429, "Throttled")
        self.assertNotIn("Retry-After", answer.headers)

    def test_status_401_is_a_challenge(self):
        answer = self.after("status", 0, status=401)
        self.check_error(answer, 401, "Unauthorized")
        self.assertIn("Bearer authorization=", answer.headers["WWW-Authenticate"])

    def test_close_before(self):
        with self.assertRaises(http.client.RemoteDisconnected):
            self.after("close-before", 0)

    def test_close_after_headers_and_truncate(self):
        for kind, least in (("close-after-headers", 0), ("truncate", 10)):
            with self.assertRaises(http.client.IncompleteRead) as caught:
                self.after(kind, 1)
            self.assertGreaterEqual(len(caught.exception.partial), least)
            self.assertGreater(caught.exception.expected, 10)

    def test_wrong_kid_and_wrong_version(self):
        kid = self.good(self.after("wrong-kid", 1))["kid"]
        self.assertNotEqual(kid.rpartition("/")[0], self.key["kid"].rpartition("/")[0])
        kid = self.good(self.after("wrong-version", 1))["kid"]
        self.assertEqual(kid.rpartition("/")[0], self.key["kid"].rpartition("/")[0])
        self.assertNotEqual(kid, self.key["kid"])
        self.vault.faults({"on": "get", "kind": "wrong-kid"})
        self.assertNotEqual(self.good(self.vault.request("GET", "/keys/ca"))["key"]["kid"], self.key["kid"])

    def test_bad_signature(self):
        value = from_base64url(self.good(self.after("bad-signature", 1))["value"])
        self.assertEqual(len(value), 64)
        self.assertFalse(jwk.is_signed(self.key, "ES256", DIGESTS["256"], value))

    def test_bodies_that_are_no_json(self):
        answer = self.after("bad-json", 1)
        self.assertEqual(answer.status, 200)
        self.assertRaises(ValueError, answer.json)
        answer = self.after("empty", 1)
        self.assertEqual((answer.status, answer.body), (200, b""))

    def test_huge(self):
        self.assertEqual(len(self.good(self.after("huge", 1, size=3000000))["value"]), 3000000)
        self.assertGreater(len(self.after("huge", 1).body), 16 << 20)

    def test_slow(self):
        begin = time.monotonic()
        self.good(self.after("slow", 1, delay_ms=120))
        self.assertGreaterEqual(time.monotonic() - begin, 0.12)

    def test_faults_queue_up_and_are_about_their_operation(self):
        status = {"on": "sign", "kind": "status"}
        self.vault.faults({**status, "status": 500, "count": 2}, {**status, "status": 502})
        self.vault.faults({"on": "get", "kind": "status", "status": 504})
        self.assertEqual([self.sign(self.vault).status for _ in range(4)], [500, 500, 502, 200])
        self.assertEqual([self.vault.request("GET", "/keys/ca").status for _ in range(2)], [504, 200])
        self.vault.faults({"kind": "status", "status": 418, "count": 0})
        self.assertEqual([self.sign(self.vault).status for _ in range(3)], [418] * 3)
        self.assertEqual(self.vault.request("GET", "/keys").status, 418)
        self.vault.clear_faults()
        self.good(self.sign(self.vault))

    def test_every_nth(self):
        self.vault.faults({"on": "sign", "kind": "status", "every": 3, "count": 2})
        self.assertEqual([self.sign(self.vault).status for _ in range(9)], [200, 200, 503] * 2 + [200] * 3)

    def test_faults_of_tokens(self):
        self.vault.faults({"on": "token", "kind": "status", "status": 503}, {"on": "token", "kind": "close-before"})
        answer = self.vault.token_request(client_secret=keyvault.CLIENT_SECRET)
        self.assertEqual((answer.status, answer.json()["error"]), (503, "temporarily_unavailable"))
        self.assertRaises(http.client.RemoteDisconnected, self.vault.token)
        self.vault.token()

    def test_requests_without_token_meet_none(self):
        self.vault.faults({"on": "sign", "kind": "status", "status": 500})
        self.check_error(self.sign(self.vault, token=None), 401, "Unauthorized")
        self.assertEqual(self.sign(self.vault).status, 500)

    def test_what_is_wrong_about_a_fault(self):
        good = {"on": "sign", "kind": "status"}
        for fault in ({}, {"kind": "none"}, {"on": "jump", "kind": "slow"}, {**good, "status": 99}, {**good, "every": 0},
                      {**good, "count": "x"}, {**good, "delay_ms": -1}, [good, {"kind": "x"}], [1]):
            answer = self.vault.control("POST", "/emulator/faults", fault)
            self.assertEqual(answer.status, 400, fault)
            self.assertTrue(answer.json()["error"])
        self.good(self.sign(self.vault))
        self.assertEqual(self.vault.control("GET", "/emulator/nothing").status, 404)


class Flight(VaultCase):
    def send_signs(self, vault, count):
        """Connections on which a sign request was sent, and no answer read."""
        path = f"/keys/ca//sign?api-version={keyvault.API_VERSION}"
        body = json.dumps({"alg": "ES256", "value": to_base64url(DIGESTS["256"])})
        headers = {"Authorization": "Bearer " + vault.token()}
        connections = [vault.connect() for _ in range(count)]
        for connection in connections:
            connection.connect()
            self.addCleanup(connection.close)
        for connection in connections:
            connection.request("POST", path, body, headers)
        return connections

    def test_signs_in_flight_are_counted(self):
        vault = self.start()
        vault.create_key("ca")
        vault.faults({"on": "sign", "kind": "slow", "delay_ms": int(LONG_MS), "count": 8})
        self.send_signs(vault, 8)
        wait_until(lambda: vault.statistics()["signs_in_flight"] == 8, 10, vault.statistics)
        self.good(self.sign(vault))
        numbers = vault.statistics()
        self.assertEqual((numbers["signs_in_flight"], numbers["signs_in_flight_max"], numbers["requests"]["sign"]),
                         (8, 9, 9))
        self.assertEqual(vault.stop(), 0)  # while they wait

    def test_clients_that_leave_do_no_harm(self):
        vault = self.start("--latency-ms", "30", "--jitter-ms", "5")
        vault.create_key("ca")
        vault.faults(*[{"on": "sign", "kind": kind} for kind in ("slow", "close-before", "truncate", "huge")] * 5)
        for connection in self.send_signs(vault, 20):
            connection.close()

        def is_over():
            numbers = vault.statistics()
            return numbers["connections_open"] == numbers["signs_in_flight"] == 0
        wait_until(is_over, 10, vault.statistics)
        vault.clear_faults()
        self.good(self.sign(vault))

    def test_latency_is_a_timer(self):
        """The answers wait side by side."""
        vault = self.start("--latency-ms", "1000")
        vault.create_key("ca")
        begin = time.monotonic()
        for connection in self.send_signs(vault, 8):
            self.good(keyvault.Answer(connection.getresponse()))
        self.assertGreaterEqual(time.monotonic() - begin, 1)
        self.assertGreater(vault.statistics()["signs_in_flight_max"], 1)


if __name__ == "__main__":
    case.main()
