#!/usr/bin/env python3
"""Requests that must be authenticated: who may claim an id, a rate, an answer; and what happens to all others."""
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import auth
import case
import checker
from backend import Order
from deployment import CERTMILL, has_fault_points, wait_until

SECRET = "correct horse battery staple"


class Auth(case.Case):
    def deploy_hmac(self, name, count, more="", **options):
        requests = self.deploy(name, count, **options)
        path = os.path.join(self.deployment.folder, "secret")
        self.write_secret(path, SECRET)
        self.require(f"hmac-sha256\n    secret: file:secret{more}")
        self.sign = auth.hmac_auth(SECRET)
        return requests

    def write_secret(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.chmod(path, 0o600)

    def require(self, method):
        self.deployment.edit(r"(?m)^  - name: local$", rf"\g<0>\n    auth: {method}")

    def push_signed(self, requests, again=False, **options):
        if not again:
            self.backend.requests += requests
        self.backend.push_raw([auth.signed(request.fields(), self.sign, **options) for request in requests])

    def dead(self):
        """What was set aside: [(code, id)]."""
        rows = [dict(zip(fields[::2], fields[1::2])) for _, fields in
                self.backend.client.call("XRANGE", self.backend.prefix + ":dead", "-", "+")]
        return [(row[b"dead_code"].decode(), row.get(b"id", b"").decode()) for row in rows]

    def wait_dead(self, count):
        wait_until(lambda: len(self.dead()) >= count, 20, lambda: f"{len(self.dead())} set aside, expected {count}")
        return self.dead()

    def codes(self):
        return [row.get("code", row["status"]).decode() for row in self.backend.collect()]

    def test_signed_requests_are_issued_and_repeated(self):
        requests = self.deploy_hmac("signed", 200)
        engine = self.start()
        self.push_signed(requests)
        self.backend.wait_answered()
        self.push_signed(requests, again=True)
        self.backend.wait_publications(400)
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 200)
        self.assertEqual(self.dead(), [])

    def test_ed25519_is_accepted_from_a_pem_file_and_from_base64url(self):
        requests = self.deploy("curve", 4)
        first, public = auth.make_key(self.deployment.folder, "first")
        second, _ = auth.make_key(self.deployment.folder, "second")
        third, _ = auth.make_key(self.deployment.folder, "third")
        with open(os.path.join(self.deployment.folder, "second.pub.pem"), encoding="ascii") as file:
            octets = auth.base64.b64decode("".join(file.read().splitlines()[1:-1]))[-32:]
        self.require(f"ed25519\n    public-keys: [{os.path.basename(public)}, \"{auth.base64url(octets)}\"]")
        engine = self.start()
        for request, key in zip(requests, (first, second)):
            self.sign = auth.ed25519_auth(key)
            self.push_signed([request])
        self.backend.wait_answered()
        self.backend.push_raw([auth.signed(requests[2].fields(), auth.ed25519_auth(third)),
                               auth.signed(requests[3].fields(), auth.hmac_auth(octets))])
        self.assertEqual([code for code, _ in self.wait_dead(2)], ["request.auth-invalid"] * 2)
        self.finish(engine)

    def test_an_order_is_done_for_its_requester_only(self):
        requests = self.deploy_hmac("ordered", 2)
        self.deployment.allow_orders()
        engine = self.start()
        self.push_signed(requests)
        self.backend.wait_answered()
        serials = {row["id"].decode(): row["serial"].decode() for row in self.backend.collect()}
        orders = [Order(f"order-{i}", "revoke", "serial", serials[request.id], "reason", "keyCompromise",
                        "invalidity", str(int(time.time())), "why", "stolen van 12")
                  for i, request in enumerate(requests)]
        bad = auth.signed(orders[1].fields(), self.sign)
        bad[bad.index("why") + 1] = "stolen van 13"
        self.backend.push_raw([bad])
        self.push_signed(orders[:1])
        self.assertEqual([code for code, _ in self.wait_dead(1)], ["request.auth-invalid"])
        self.backend.wait_publications(3)
        self.assertEqual(self.backend.collect()[-1], {"id": b"order-0", "status": b"done"})
        self.assertEqual(self.deployment.query("SELECT lower(hex(serial)) FROM revocation"),
                         [(serials[requests[0].id],)])
        self.finish(engine)

    def test_every_field_is_covered(self):
        requests = self.deploy_hmac("covered", 2)
        good = auth.signed(requests[0].fields() + ["priority", "high", "op", "issue"], self.sign)
        bad = []
        for name, value in (("id", "other-id"), ("device", requests[1].device), ("csr", requests[1].csr),
                            ("time", str(auth.now_ms() + 1)), ("priority", "bulk"), ("op", "renew")):
            fields = dict(zip(good[::2], good[1::2]))
            fields[name] = value
            bad.append(fields)
        for name in ("priority", "op"):
            fields = dict(zip(good[::2], good[1::2]))
            del fields[name]
            bad.append(fields)
        for name, value in (("profile", ""), ("profile", "ldevid"), ("serial", "00"), ("reason", "x"),
                            ("invalidity", "1"), ("why", "")):
            bad.append(dict(zip(good[::2], good[1::2]), **{name: value}))
        engine = self.start()
        self.backend.push_raw([[word for pair in fields.items() for word in pair] for fields in bad])
        self.assertEqual([code for code, _ in self.wait_dead(len(bad))], ["request.auth-invalid"] * len(bad))
        self.assertEqual(self.backend.collect(), [])
        self.backend.requests = requests[:1]
        self.backend.push_raw([good])
        self.finish(engine)

    def test_a_forged_entry_is_not_remembered_and_its_requester_hears_nothing_of_it(self):
        requests = self.deploy_hmac("forged", 10)
        forger = auth.hmac_auth("another secret altogether")
        engine = self.start()
        entries = []
        for request in requests:
            fields = request.fields()
            true = auth.signed(fields, self.sign)
            entries += [fields, auth.signed(fields, forger), fields + ["time", str(auth.now_ms())],
                        fields + ["auth", forger(b"")], fields + ["time", "soon", "auth", forger(b"")],
                        true + ["admin", "yes"], true + ["device", "again"], true[:-1] + [true[-1] + "="],
                        true[:-1] + ["x" * 66000]]
        self.backend.push_raw(entries)
        dead = self.wait_dead(90)
        self.assertEqual(sorted({code for code, _ in dead}),
                         ["request.auth-invalid", "request.auth-missing", "request.field-duplicate",
                          "request.field-unknown", "request.time-missing", "request.too-large"])
        self.assertEqual(self.backend.collect(), [])
        self.assertEqual(engine.text().count("set aside"), 1, "told once a minute")
        self.assertNotIn(SECRET, engine.text())
        self.push_signed(requests)
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 10)
        self.assertEqual(evidence.store.refusals, [])

    def test_a_patched_entry_is_not_believed_when_it_was_delivered_too_often(self):
        requests = self.deploy_hmac("worn", 4, deliveries_max=1)
        self.stop(self.start())  # makes the group
        true = [auth.signed(request.fields(), self.sign) for request in requests]
        self.backend.push_raw([true[0], true[1] + ["admin", "yes"], true[2] + ["device", "again"],
                               true[3] + ["x", "x" * 66000]])
        self.backend.client.call("XREADGROUP", "GROUP", self.backend.prefix, "engine", "STREAMS",
                                 self.backend.prefix + ":requests", ">")
        engine = self.start()
        dead = self.wait_dead(4)
        self.assertEqual({code for code, _ in dead}, {"request.undeliverable"})
        self.backend.wait_empty()
        self.assertEqual([row["id"].decode() for row in self.backend.collect()], [requests[0].id])
        self.stop(engine)

    def test_a_forged_entry_in_work_does_not_hold_the_true_one_up(self):
        requests = self.deploy_hmac("pair", 50)
        engine = self.start()
        forger = auth.hmac_auth("another secret altogether")
        self.backend.requests += requests
        self.backend.push_raw([entry for request in requests for entry in
                               (auth.signed(request.fields(), forger), auth.signed(request.fields(), self.sign),
                                request.fields())])
        evidence = self.finish(engine)
        self.assertEqual({len(found) for found in evidence.answers.values()}, {1})
        self.assertEqual(len(self.wait_dead(100)), 100)

    def test_a_forged_entry_learns_no_answer(self):
        requests = self.deploy_hmac("nosy", 3)
        engine = self.start()
        self.push_signed(requests)
        self.backend.wait_answered()
        self.backend.push_raw([request.fields() for request in requests])
        self.wait_dead(3)
        evidence = self.finish(engine)
        self.assertEqual({len(found) for found in evidence.answers.values()}, {1})

    def test_forged_entries_use_up_neither_rate_nor_quota(self):
        requests = self.deploy_hmac("limits", 20)
        self.deployment.edit(r"(?m)^  - name: local$", "\\g<0>\n    rate: 1\n    burst: 20\n    quota-per-day: 20")
        self.deployment.edit(r"(?m)^    # quota-per-day: .*\n", "")
        engine = self.start()
        forger = auth.hmac_auth("another secret altogether")
        self.backend.push_raw([auth.signed(request.fields(), forger) for request in requests * 5])
        self.wait_dead(100)
        self.push_signed(requests)
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 20)

    def test_what_is_too_old_or_from_the_future_is_answered_and_may_come_again(self):
        requests = self.deploy_hmac("clock", 4, more="\n    clock-window: 60s")
        for request, code in zip(requests, ("expired", "from-future")):
            request.expect = None
        engine = self.start()
        now = auth.now_ms()
        self.push_signed(requests[:1], time_ms=now - 70_000)
        self.push_signed(requests[1:2], time_ms=now + 70_000)
        self.push_signed(requests[2:3], time_ms=now - 45_000)
        self.push_signed(requests[3:], time_ms=now + 45_000)
        self.backend.wait_answered()
        codes = {row["id"].decode(): row.get("code", row["status"]).decode() for row in self.backend.collect()}
        self.assertEqual([codes[request.id] for request in requests],
                         ["request.expired", "request.from-future", "issued", "issued"])
        self.push_signed(requests[:2], again=True)
        self.backend.wait_publications(6)
        self.stop(engine)
        store = checker.Store(self.deployment.store)
        self.assertEqual((len(store.certificates), store.refusals), (4, []))

    def flood_with_copies(self, entry, count):
        """Sends an old request again and again; returns (answered, set aside)."""
        self.backend.push_raw([entry] * count)
        wait_until(lambda: len(self.backend.collect()) + len(self.dead()) >= count, 60,
                   lambda: f"{len(self.backend.collect())} answered and {len(self.dead())} set aside of {count}")
        self.assertEqual(set(self.codes()), {"request.expired"})
        self.assertEqual({code for code, _ in self.dead()}, {"request.expired"})
        return len(self.backend.collect()), len(self.dead())

    def test_copies_of_an_old_request_do_not_fill_its_requesters_results(self):
        requests = self.deploy_hmac("copies", 6)
        self.deployment.edit(r"(?m)^  - name: local$", "\\g<0>\n    rate: 1\n    burst: 5")
        engine = self.start()
        old = auth.signed(requests[5].fields(), self.sign, time_ms=auth.now_ms() - 600_000)
        answered, aside = self.flood_with_copies(old, 200)
        self.assertEqual(answered + aside, 200)
        self.assertTrue(5 <= answered < 200, f"{answered} answered")
        self.assertEqual(engine.text().count("set aside"), 1, "told once a minute")
        self.push_signed(requests[:5])
        self.backend.wait_answered()
        self.stop(engine)
        self.assertEqual(len(checker.Store(self.deployment.store).certificates), 5, "its own rate was not used up")

    def test_old_requests_have_a_rate_where_their_requester_has_none(self):
        requests = self.deploy_hmac("unlimited", 1)
        engine = self.start()
        old = auth.signed(requests[0].fields(), self.sign, time_ms=auth.now_ms() - 600_000)
        answered, aside = self.flood_with_copies(old, 12_000)
        self.assertEqual(answered + aside, 12_000)
        self.assertTrue(10_000 <= answered < 12_000, f"{answered} answered")
        self.stop(engine)

    def test_a_stale_copy_of_an_answered_request_learns_nothing(self):
        requests = self.deploy_hmac("replay", 1, more="\n    clock-window: 4s")
        engine = self.start()
        entry = auth.signed(requests[0].fields(), self.sign)
        self.backend.requests += requests
        self.backend.push_raw([entry])
        self.backend.wait_answered()
        time.sleep(4.2)
        self.backend.push_raw([entry])
        self.backend.wait_publications(2)
        self.assertEqual(self.codes(), ["issued", "request.expired"])
        self.stop(engine)

    def test_old_and_new_secret_are_both_good_during_a_change(self):
        requests = self.deploy_hmac("change", 3, more="\n    old-secrets: [\"file:old\", \"env:CM_TEST_SECRET\"]")
        self.write_secret(os.path.join(self.deployment.folder, "old"), "the secret of last year")
        engine = self.start(variables={"CM_TEST_SECRET": "one from the environment"}.items())
        for request, secret in zip(requests, (SECRET, "the secret of last year", "one from the environment")):
            self.sign = auth.hmac_auth(secret)
            self.push_signed([request])
        self.finish(engine)

    def test_an_engine_whose_secret_cannot_be_read_or_is_short_does_not_start(self):
        self.deploy_hmac("short", 0)
        path = os.path.join(self.deployment.folder, "secret")
        self.write_secret(path, "short-secret")
        text = self.fail_to_start()
        self.assertIn("requester local: the secret has 12 octets; expected at least 16", text)
        self.assertNotIn("short-secret", text)
        os.unlink(path)
        self.assertIn("requester local: secret file", self.fail_to_start())

    def test_other_requesters_need_not_authenticate(self):
        requests = self.deploy_hmac("mixed", 40)
        self.deployment.edit(r"(?m)^requesters:$", "\\g<0>\n  - name: open\n    groups: [default]")
        engine = self.start()
        for request in requests[::2]:
            request.requester = "open"
        self.backend.push_raw([request.fields() if request.requester == "open"
                               else auth.signed(request.fields(), self.sign) for request in requests])
        self.backend.requests += requests
        wait_until(lambda: self.backend.collect("open") and self.backend.collect() and not self.backend.missing(), 20,
                   lambda: f"{len(self.backend.missing())} answers are missing")
        self.finish(engine)

    def test_an_engine_that_stops_leaves_what_it_has_not_judged_to_the_next(self):
        if not has_fault_points():
            self.skip("this build has no fault points (meson option fault_points)")
        requests = self.deploy_hmac("heirs", 600)
        engine = self.start("entries-arrived:1:stop")  # asleep with entries in hand, not one of them judged
        self.push_signed(requests)
        wait_until(engine.is_asleep, 20, "the engine has entries in hand")
        engine.signal(signal.SIGTERM)
        engine.signal(signal.SIGCONT)
        self.assertEqual(engine.wait(5), 0, engine.text())
        self.assertLess(len(self.backend.collect()), 600)
        engine = self.start()
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 600)

    def test_files_name_another_requester(self):
        self.deploy_hmac("files", 1)
        done = self.deployment.run("issue", "--in", CERTMILL, "--out", self.deployment.folder + "/out", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"requester local must authenticate its requests", done.stderr)


if __name__ == "__main__":
    case.main()
