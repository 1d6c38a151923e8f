#!/usr/bin/env python3
"""Entries of the stream that carry several requests, at a running engine: each request is answered by itself."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import auth
import case
from backend import Order, Request, packed
from deployment import wait_until


class Several(case.Case):
    def codes(self):
        """{id: [what became of it, for each answer]}"""
        return {id: [row.get("code", row["status"]).decode() for row in rows] for id, rows in self.backend.answers().items()}

    def answer(self, *entries, count):
        """Pushes entries of raw fields; the codes of so many answers, and nothing stays in the stream."""
        engine = self.start()
        self.backend.push_raw(entries)
        self.backend.wait_publications(count)
        self.backend.wait_empty()
        self.stop(engine)
        self.assertEqual(len(self.backend.collect()), count)
        return self.codes()

    def require_signatures(self):
        """Of the requester; returns what signs an entry's fields."""
        secret = "correct horse battery staple"
        path = os.path.join(self.deployment.folder, "secret")
        with open(path, "w", encoding="utf-8") as file:
            file.write(secret + "\n")
        os.chmod(path, 0o600)
        self.deployment.edit(r"(?m)^  - name: local$", "\\g<0>\n    auth: hmac-sha256\n    secret: file:secret")
        return lambda fields: auth.signed(fields, auth.hmac_auth(secret))

    def dead(self):
        return [dict(zip(fields[::2], fields[1::2])) for _, fields in
                self.backend.client.call("XRANGE", self.backend.prefix + ":dead", "-", "+")]

    def test_a_fleet_in_entries_of_any_size_is_issued_once_each(self):
        requests = self.deploy("sizes", 400)
        engine = self.start()
        at = 0
        for per_entry in (1, 2, 64, 13, 1, 40, 64, 64, 64, 64, 23):
            self.backend.per_entry = per_entry
            self.backend.push(requests[at:at + per_entry])
            at += per_entry
        self.assertEqual(at, 400)
        self.finish_all(engine, 400)
        self.assertEqual(len(self.backend.publications), 400)

    def test_what_is_wrong_with_one_is_no_matter_of_its_neighbours(self):
        a, b, c, d, e = self.deploy("mixed", 5)
        c.csr = c.csr[:-1] + bytes([c.csr[-1] ^ 1])
        fields = packed([a.fields(), b.fields() + ["color", "red"], c.fields(), d.fields() + ["id", "twice"],
                         Request("nobody", "no-such-device", e.csr).fields(), e.fields()])
        self.assertEqual(self.answer(fields, count=6), {
            a.id: ["issued"], b.id: ["request.field-unknown"], c.id: ["csr.signature-invalid"],
            d.id: ["request.field-duplicate"], "nobody": ["policy.device-not-allowed"], e.id: ["issued"]})

    def test_fields_without_a_number_are_for_all_of_them(self):
        a, b = self.deploy("shared", 2)
        fields = ["requester", "local", "priority", "bulk", "op", "issue"]
        for number, one in ((7, a), (64, b)):
            fields += [f"id.{number}", one.id, f"device.{number}", one.device, f"csr.{number}", one.csr]
        self.assertEqual(self.answer(fields, count=2), {a.id: ["issued"], b.id: ["issued"]})

    def test_a_number_out_of_range_refuses_the_entry_and_says_so_once_more_without_an_id(self):
        a, b = self.deploy("range", 2)
        fields = ["requester", "local", "id.1", a.id, "device.1", a.device, "csr.1", a.csr, "id.65", b.id]
        self.assertEqual(self.answer(fields, count=2),
                         {a.id: ["request.field-unknown"], "": ["request.field-missing"]})

    def test_a_request_without_an_id_is_refused_alone(self):
        a, b = self.deploy("without", 2)
        fields = ["requester", "local", "id.1", a.id, "device.1", a.device, "csr.1", a.csr,
                  "device.2", b.device, "csr.2", b.csr]
        self.assertEqual(self.answer(fields, count=2), {a.id: ["issued"], "": ["request.field-missing"]})

    def test_the_same_id_within_an_entry_and_in_another_gets_the_same_answer(self):
        a, b, c = self.deploy("again", 3)
        other = Request(a.id, c.device, c.csr)
        codes = self.answer(packed([a.fields(), b.fields(), a.fields(), other.fields()]),
                            packed([b.fields(), a.fields()]), a.fields(), count=7)
        self.assertEqual(sorted(codes[a.id]), ["issued"] * 4 + ["request.id-reused"])
        self.assertEqual(codes[b.id], ["issued"] * 2)
        for id in (a.id, b.id):
            serials = {row.get("serial") for row in self.backend.answers()[id] if row["status"] == b"issued"}
            self.assertEqual(len(serials), 1)

    def test_orders_and_requests_stand_in_one_entry(self):
        a, b = self.deploy("orders", 2)
        self.deployment.allow_orders()
        engine = self.start()
        self.backend.push([a])
        self.backend.wait_answered()
        serial = self.backend.answers()[a.id][0]["serial"]
        revoke = Order("revoke-a", "revoke", "serial", serial, "reason", "superseded")
        wrong = Order("wrong", "revoke", "serial", "00ff00ff", expect=None)
        retire = Order("retire-nobody", "retire", "device", "no-such-device", expect=None)
        self.backend.per_entry = 64
        self.backend.push([revoke, b, wrong, retire])
        self.backend.wait_answered()
        codes = self.codes()
        self.assertEqual((codes["revoke-a"], codes[b.id]), (["done"], ["issued"]))
        self.assertEqual((codes["wrong"], codes["retire-nobody"]), (["revoke.serial-unknown"], ["revoke.device-unknown"]))
        self.backend.wait_empty()
        self.stop(engine)
        self.assertEqual(self.deployment.query("SELECT count(*) FROM revocation"), [(1,)])

    def test_each_request_is_authenticated_by_itself(self):
        a, b, c, d = self.deploy("signed", 4)
        sign = self.require_signatures()
        signed = [sign(one.fields()) for one in (a, b, c, d)]
        signed[1][signed[1].index("device") + 1] = c.device  # not what was signed
        fields = packed([*signed[:3], d.fields()])
        codes = self.answer(fields, packed([signed[3]]), count=3)
        self.assertEqual(codes, {a.id: ["issued"], c.id: ["issued"], d.id: ["issued"]})
        dead = self.dead()
        self.assertEqual([(row[b"dead_code"], row[b"id"]) for row in dead],
                         [(b"request.auth-invalid", b.id.encode()), (b"request.auth-missing", d.id.encode())])
        # As a request by itself, and nothing of its neighbours.
        self.assertEqual(dead[1][b"csr"], d.csr)
        self.assertNotIn(a.csr, dead[0].values())

    def test_a_requester_that_asks_for_it_gets_several_results_in_an_entry(self):
        requests = self.deploy("grouped", 200)
        self.deployment.group_results()
        wrong = [Request(f"wrong-{i}", "no-such-device", requests[i].csr, expect="policy.device-not-allowed") for i in range(3)]
        self.backend.per_entry = 29
        engine = self.start()
        self.backend.push([*requests[:100], *wrong, *requests[100:]])
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 200)
        self.assertEqual(len(self.backend.publications), 203)
        self.assertLess(self.backend.entries_read, 60)

    def test_a_result_by_itself_has_no_numbers_and_others_get_theirs_singly(self):
        requests = self.deploy("singly", 30)
        self.deployment.edit(r"(?m)^  - name: local$", "  - name: other\n    groups: [default]\n\\g<0>")
        self.deployment.group_results()
        for request in requests[:15]:
            request.requester = "other"
        self.backend.per_entry = 64
        engine = self.start()
        self.backend.push(requests)
        wait_until(lambda: len(self.backend.collect("other")) + len(self.backend.collect()) and not self.backend.missing(), 20,
                   "both are answered")
        self.backend.wait_empty()
        self.backend.per_entry = 1
        before = self.backend.entries_read
        self.backend.push(requests[20:21], again=True)
        self.backend.wait_publications(31)
        self.stop(engine)
        self.assertEqual(self.backend.entries_read, before + 1)
        names = {requester: [fields[::2] for _, fields in self.backend.client.call("XRANGE", f"singly:results:{requester}", "-", "+")]
                 for requester in ("other", "local")}
        self.assertEqual(len(names["other"]), 15)
        self.assertNotIn(b".", b"".join(map(b"".join, names["other"])) + b"".join(names["local"][-1]))
        # What all have in common stands there once.
        self.assertEqual({names["local"][0].count(name) for name in (b"status", b"issuer")}, {1})

    def test_what_is_not_covered_by_a_signature_is_believed_by_none_of_them(self):
        a, b = self.deploy("covered", 2)
        sign = self.require_signatures()
        signed = [sign(one.fields()) for one in (a, b)]
        engine = self.start()
        # A field for all that was patched in: it is signed by neither.
        self.backend.push_raw([packed(signed) + ["profile", "device-client"]])
        self.backend.wait_empty()
        self.stop(engine)
        self.assertEqual(self.backend.collect(), [])
        self.assertEqual([row[b"id"] for row in self.dead()], [a.id.encode(), b.id.encode()])


if __name__ == "__main__":
    case.main()
