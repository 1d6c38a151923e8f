#!/usr/bin/env python3
"""Requests that are repeated, forged, malformed or too large, at a running engine, among good ones."""
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
from backend import Backend, Order, Request, fleet

OTHERS = """
  - name: other
    authority: issuing
    profiles: [device-client]
"""


class Requests(case.Case):
    allow_orders = False

    def answer_all(self, requests):
        """Pushes the requests, stops the engine and returns the evidence, which the checker has accepted."""
        engine = self.start()
        self.backend.push(requests)
        return self.finish(engine)

    def answers_to(self, entries, requester="local"):
        """Pushes entries of raw fields between good requests; the answers to those without a known id."""
        good = self.deploy("raw", 20)
        if self.allow_orders:
            self.deployment.allow_orders()
        engine = self.start()
        self.backend.push(good[:10])
        self.backend.push_raw(entries)
        self.backend.push(good[10:])
        self.backend.wait_answered()
        self.stop(engine)
        known = {request.id.encode() for request in good}
        self.assertEqual({row["status"] for row in self.backend.publications if row.get("id") in known}, {b"issued"})
        self.assertEqual(self.backend.pending(), (0, 0))
        return [row for row in self.backend.collect(requester) if row.get("id") not in known]

    def refuse_raw(self, fields, code, requester="local"):
        answers = self.answers_to([fields], requester)
        self.assertEqual([row.get("code", row["status"]).decode() for row in answers], [code], answers)
        return answers[0]

    def test_the_same_request_again_gets_the_same_answer_to_the_octet(self):
        requests = self.deploy("again", 50)
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        self.backend.push(requests, again=True)
        self.stop(engine)
        engine = self.start()
        self.backend.push(requests, again=True)
        self.backend.wait_publications(150)
        self.finish(engine)

    def test_a_request_sent_ten_times_at_once_gets_one_certificate_and_ten_equal_answers(self):
        requests = self.deploy("tenfold", 20)
        engine = self.start()
        clients = [Backend(self.deployment) for _ in range(10)]
        threads = [threading.Thread(target=client.push, args=(requests,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.backend.requests = requests
        evidence = self.finish(engine)
        for client in clients:
            client.client.close()
        self.assertEqual({len(found) for found in evidence.answers.values()}, {10})
        self.assertEqual(len(evidence.store.certificates), 20)

    def test_an_id_used_for_other_content_is_refused_and_the_first_answer_stands(self):
        first = self.deploy("reused", 3)
        engine = self.start()
        self.backend.push(first)
        self.backend.wait_answered()
        other = [Request(first[i].id, first[i].device, csr, expect="request.id-reused")
                 for i, csr in enumerate([first[1].csr, first[2].csr])]
        self.backend.push(other + [Request(first[2].id, first[2].device, first[2].csr, profile="ldevid",
                                           expect="request.id-reused")])
        self.backend.push(first, again=True)
        self.backend.wait_publications(9)
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 3)

    def test_an_id_used_twice_at_once_for_different_content_gets_one_certificate(self):
        first = self.deploy("clash", 10)
        second = [Request(request.id, request.device, request.csr, profile="ldevid", expect=None) for request in first]
        evidence = self.answer_all([request for pair in zip(first, second) for request in pair])
        self.assertEqual(len(evidence.store.certificates), 10)
        for found in evidence.answers.values():
            self.assertEqual(sorted(row.get("code", b"issued") for row in found), [b"issued", b"request.id-reused"])

    def test_a_key_under_two_devices_is_refused_the_second_time(self):
        first = self.deploy("clone", 10)
        self.deployment.add_devices(["thief"])
        engine = self.start()
        self.backend.push(first)
        self.backend.wait_answered()
        self.backend.push([Request(f"theft-{i}", "thief", request.csr, expect="key.reused")
                           for i, request in enumerate(first)])
        self.backend.wait_answered()
        self.stop(engine)
        engine = self.start()
        self.backend.push([Request("later", "thief", first[0].csr, expect="key.reused")])
        self.finish(engine)

    def test_a_key_under_two_devices_at_once_is_certified_once(self):
        first = self.deploy("race", 50)
        self.deployment.add_devices([f"rival-{i}" for i in range(50)])
        rivals = [Request(f"rival-id-{i}", f"rival-{i}", request.csr, expect=None) for i, request in enumerate(first)]
        for request in first:
            request.expect = None
        evidence = self.answer_all([request for pair in zip(first, rivals) for request in pair])
        self.assertEqual(len(evidence.store.certificates), 50)
        codes = [row.get("code", b"issued") for row in evidence.publications]
        self.assertEqual(sorted(set(codes)), [b"issued", b"key.reused"])
        self.assertEqual(codes.count(b"issued"), 50)

    def test_a_device_may_be_certified_again_for_its_own_key(self):
        first = self.deploy("renewal", 5)
        again = [Request(request.id + "-2", request.device, request.csr) for request in first]
        evidence = self.answer_all(first + again)
        self.assertEqual(len(evidence.store.certificates), 10)

    def test_unknown_devices_profiles_and_foreign_groups_are_refused_among_good_ones(self):
        good = self.deploy("policy", 20)
        self.deployment.edit(r"(?m)^# Who may ask", OTHERS + r"\g<0>")
        self.deployment.add_devices(["foreign"], group="other")
        csrs = [request.csr for request in fleet(6, "spare")]
        bad = [Request("unknown", "no-such-device", csrs[0], expect="policy.device-not-allowed"),
               Request("profile", good[0].device, csrs[1], profile="no-such", expect="policy.profile-unknown"),
               Request("ca", good[0].device, csrs[2], profile="sub-ca", expect="policy.profile-not-allowed"),
               Request("root", good[0].device, csrs[2], profile="root-ca", expect="policy.profile-not-allowed"),
               Request("foreign", "foreign", csrs[3], expect="policy.group-not-allowed"),
               Request("control", "bell\a", csrs[4], expect="policy.device-invalid"),
               Request("latin", b"caf\xe9", csrs[4], expect="policy.device-invalid"),
               Request("none", "", csrs[4], expect=None),
               Request("long", "x" * 256, csrs[5], expect="policy.device-invalid")]
        evidence = self.answer_all(good[:10] + bad + good[10:])
        self.assertEqual(len(evidence.store.certificates), 20)

    def test_refusals_that_are_remembered_are_the_same_after_a_restart_and_a_change_of_policy(self):
        self.deploy("memory", 1)
        stranger = Request("early", "late-device", fleet(1, "late")[0].csr, expect="policy.device-not-allowed")
        engine = self.start()
        self.backend.push([stranger])
        self.backend.wait_answered()
        self.stop(engine)
        self.deployment.add_devices(["late-device"])
        engine = self.start()
        self.backend.push([stranger], again=True)
        self.backend.wait_publications(2)
        self.backend.push([Request("later", "late-device", stranger.csr)])
        self.finish(engine)

    def test_a_missing_id_is_refused(self):
        self.refuse_raw(["requester", "local", "device", "d", "csr", "c"], "request.field-missing")

    def test_a_missing_csr_is_refused(self):
        self.refuse_raw(["id", "x", "requester", "local", "device", "d"], "request.field-missing")

    def test_a_missing_device_is_refused(self):
        self.refuse_raw(["id", "x", "requester", "local", "csr", "c"], "request.field-missing")

    def test_an_unknown_field_is_refused(self):
        self.refuse_raw(["id", "x", "requester", "local", "device", "d", "csr", "c", "admin", "yes"],
                        "request.field-unknown")

    def test_a_field_that_stands_twice_is_refused(self):
        self.refuse_raw(["id", "x", "requester", "local", "device", "d", "device", "e", "csr", "c"],
                        "request.field-duplicate")

    def test_an_id_with_blanks_controls_or_too_many_characters_is_refused(self):
        for id in ("a b", "a\nb", b"\xff", "x" * 129):
            with self.subTest(id=id):
                self.refuse_raw(["id", id, "requester", "local", "device", "d", "csr", "c"], "request.id-invalid")

    def test_unknown_operations_are_refused(self):
        for op, code in (("Renew", "request.op-unknown"), ("sign", "request.op-unknown"),
                         ("", "request.op-unknown"), ("revoke", "request.field-invalid")):
            with self.subTest(op=op):
                self.refuse_raw(["op", op, "id", "x", "requester", "local", "device", "d", "csr", "c"], code)

    def test_hostile_orders_are_refused_among_good_ones_and_change_nothing(self):
        """A requester that may order everything, and texts that are no orders."""
        rows = [(("serial", ""), "request.serial-invalid"), (("serial", "0" * 60000), "request.serial-invalid"),
                (("serial", "f" * 60000), "request.serial-invalid"), (("serial", b"\0\xff"), "request.serial-invalid"),
                (("serial", "0a' OR 1=1 --"), "request.serial-invalid"), (("serial", "-1"), "request.serial-invalid"),
                (("serial", "0a"), "revoke.serial-unknown"), (("serial", "7f" * 20), "revoke.serial-unknown"),
                (("serial", "ff" * 20), "request.serial-invalid"),
                (("device", ""), "policy.device-invalid"), (("device", b"\0"), "policy.device-invalid"),
                (("device", "x" * 60000), "policy.device-invalid"), (("device", "nobody"), "revoke.device-unknown"),
                (("device", "raw-0' --"), "revoke.device-unknown"),
                (("device", "nobody", "serial", "0a"), "request.field-invalid"), ((), "request.field-missing"),
                (("device", "raw-0", "reason", ""), "request.reason-invalid"),
                (("device", "raw-0", "reason", b"\xff" * 60000), "request.reason-invalid"),
                (("device", "raw-0", "invalidity", "9" * 60000), "request.field-invalid"),
                (("device", "raw-0", "invalidity", "99999999999"), "revoke.date-invalid"),
                (("device", "raw-0", "invalidity", b"1\0"), "request.field-invalid"),
                (("device", "raw-0", "why", "\n"), "request.field-invalid"),
                (("device", "raw-0", "why", b"\xf0\x9f"), "request.field-invalid"),
                (("device", "raw-0", "why", "x" * 257), "request.field-invalid"),
                (("device", "raw-0", "group", "default"), "request.field-unknown"),
                (("device", "raw-0", "why", "a", "why", "b"), "request.field-duplicate"),
                (("device", "raw-0", "csr", "c"), "request.field-invalid")]
        self.allow_orders = True
        answers = self.answers_to([["op", "revoke", "id", f"hostile-{i}", "requester", "local", *fields]
                                   for i, (fields, _) in enumerate(rows)])
        found = {row["id"].decode(): row.get("code", row["status"]).decode() for row in answers}
        self.assertEqual(found, {f"hostile-{i}": code for i, (_, code) in enumerate(rows)})
        self.assertEqual(self.deployment.query("SELECT count(*) FROM revocation"), [(0,)])

    def test_orders_among_requests_are_done_and_held_devices_get_no_certificates(self):
        requests = self.deploy("orders", 200)
        self.deployment.allow_orders()
        held = [request.device for request in requests[::5]]
        orders = [Order(f"hold-{i}", "quarantine", "device", device, "why", "drill") for i, device in enumerate(held)]
        for request in requests[::5]:
            request.expect = None  # before or after
        engine = self.start()
        for i, request in enumerate(requests):
            self.backend.push([request])
            if i % 5 == 4:
                self.backend.push([orders[i // 5]])
        self.backend.wait_answered()
        self.backend.push(orders, again=True)
        self.backend.wait_publications(280)
        evidence = self.finish(engine)
        answers = [row for row in evidence.publications if row["id"].startswith(b"hold-")]
        self.assertEqual([row["status"] for row in answers], [b"done"] * 80)
        self.assertEqual({tuple(sorted(row)) for row in answers}, {("device", "id", "status")})
        issued = {row["device"].decode(): row["serial"].decode() for row in evidence.publications if "serial" in row}
        reasons = dict(self.deployment.query("SELECT lower(hex(serial)), reason FROM revocation"))
        for device in held:  # none is good: on hold, or never handed out
            self.assertTrue(device not in issued or reasons[issued[device]] == 6, device)
        self.assertEqual(sum(reason == 6 for reason in reasons.values()), len(set(held) & set(issued)))

    def test_an_entry_that_is_too_large_is_refused(self):
        self.refuse_raw(["id", "x", "requester", "local", "device", "d", "csr", b"\x30" * 70000], "request.too-large")
        self.refuse_raw(["id", "x", "requester", "local", "device", "d", "csr", b"\x30" * 8000000], "request.too-large")

    def test_binary_junk_is_refused_among_good_ones(self):
        random = bytes((i * 37 + 11) % 256 for i in range(3000))
        answers = self.answers_to([["id", f"junk-{i}", "requester", "local", "device", "raw-0", "csr", random[i:]]
                                   for i in range(0, 3000, 100)])
        self.assertEqual(len(answers), 30)
        self.assertEqual({row["status"] for row in answers}, {b"refused"})

    def test_junk_in_the_names_of_fields_is_refused(self):
        self.refuse_raw(["id", "x", "requester", "local", b"\0\xff\r\n", b"\0" * 100], "request.field-unknown")
        self.refuse_raw(["id", "x", "requester", "local", "", "", "csr", "c"], "request.field-unknown")

    def test_requests_of_unknown_requesters_are_set_aside_and_never_signed(self):
        requests = self.deploy("unknown", 5)
        forged = [["id", "f1", "requester", "nobody", "device", requests[0].device, "csr", requests[0].csr],
                  ["id", "f2", "requester", "", "device", requests[0].device, "csr", requests[0].csr],
                  ["id", "f3", "device", requests[0].device, "csr", requests[0].csr],
                  ["id", "f4", "requester", b"lo\ncal", "device", requests[0].device, "csr", requests[0].csr]]
        engine = self.start()
        self.backend.push_raw(forged)
        self.backend.push(requests)
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 5)
        self.assertEqual(self.backend.client.call("KEYS", "unknown:results:*"), [b"unknown:results:local"])
        dead = self.backend.client.call("XRANGE", "unknown:dead", "-", "+")
        codes = sorted(dict(zip(fields[::2], fields[1::2]))[b"dead_code"].decode() for _, fields in dead)
        self.assertEqual(codes, ["request.field-missing"] + ["request.requester-unknown"] * 3)

    def test_an_entry_delivered_too_often_is_answered_and_set_aside(self):
        requests = self.deploy("poison", 5, deliveries_max=2)
        # What a group that was delivered to an engine which died again and again looks like.
        self.backend.client.call("XGROUP", "CREATE", "poison:requests", "poison", "0", "MKSTREAM")
        self.backend.push(requests[:1])
        self.backend.client.call("XREADGROUP", "GROUP", "poison", "engine", "COUNT", "1", "STREAMS",
                                 "poison:requests", ">")
        for _ in range(3):
            self.backend.client.call("XCLAIM", "poison:requests", "poison", "engine", "0",
                                     self.backend.client.call("XRANGE", "poison:requests", "-", "+")[0][0])
        requests[0].expect = "request.undeliverable"
        evidence = self.answer_all(requests[1:])
        self.assertEqual(len(evidence.store.certificates), 4)
        dead = self.backend.client.call("XRANGE", "poison:dead", "-", "+")
        self.assertEqual(len(dead), 1, dead)

    def test_a_rate_limit_refuses_what_is_too_much_and_the_same_id_succeeds_later(self):
        requests = self.deploy("limit", 40)
        self.deployment.edit(r"(?m)^  - name: local$", r"\g<0>\n    rate: 5\n    burst: 20")
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        codes = [row.get("code", b"issued") for row in self.backend.publications]
        self.assertIn(b"request.rate-limited", codes)
        for _ in range(30):
            left = [request for request in requests
                    if not any(row["status"] == b"issued" for row in self.backend.answers()[request.id])]
            if not left:
                break
            before = len(self.backend.collect())
            threading.Event().wait(0.6)
            self.backend.push(left[:10], again=True)
            self.backend.wait_publications(before + len(left[:10]))
        self.stop(engine)
        store = checker.Store(self.deployment.store)
        self.assertEqual(len(store.certificates), 40)
        self.assertEqual(store.refusals, [], "a refusal that may pass is not remembered")

    def test_a_quota_is_kept_over_a_restart(self):
        if time.time() % 86400 > 86400 - 120:  # it is of one day, in UTC
            time.sleep(121)
        requests = self.deploy("quota", 30)
        self.deployment.edit(r"(?m)^    # quota-per-day: .*$", "    quota-per-day: 20")
        for request in requests:
            request.expect = None
        engine = self.start()
        self.backend.push(requests[:15])
        self.backend.wait_answered()
        self.stop(engine)
        engine = self.start()
        self.backend.push(requests[15:])
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 20)
        self.assertEqual([row["code"] for row in evidence.publications if "code" in row],
                         [b"policy.quota-exceeded"] * 10)


if __name__ == "__main__":
    case.main()
