#!/usr/bin/env python3
"""The control socket of a running engine: orders about certificates, inventories of other CAs, and CRLs anew."""
import base64
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
from backend import fleet

HOLD, CESSATION, COMPROMISE, REMOVED = 6, 5, 1, 8


class ControlOrders(case.Case):
    def serve(self, name, count=0):
        """An engine that serves, and requests of devices on the list, each with its certificate."""
        requests = self.deploy(name, count)
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        return engine, requests

    def order(self, *orders, actor="operator:test"):
        return self.control("orders", actor=actor, orders=list(orders))

    def outcomes(self, *orders):
        answer = self.order(*orders)
        self.assertEqual(list(answer), ["orders"], answer)
        self.assertEqual(len(answer["orders"]), len(orders))
        return answer["orders"]

    def done(self, *orders):
        """[(certificates, devices), ...] that were changed."""
        rows = self.outcomes(*orders)
        self.assertEqual({(row["code"], row["message"]) for row in rows}, {("", "")}, rows)
        return [(row["certificates"], row["devices"]) for row in rows]

    def codes(self, *orders):
        return [row["code"] for row in self.outcomes(*orders)]

    def serials(self):
        """{request id: serial in hexadecimal}"""
        return {row["id"].decode(): row["serial"].decode() for row in self.backend.collect() if "serial" in row}

    def reasons(self):
        """{serial in hexadecimal: reason}"""
        return {serial.hex(): reason for serial, reason in self.deployment.query("SELECT serial, reason FROM revocation")}

    def refused(self, answer, reason):
        self.assertIsNotNone(answer)
        self.assertEqual(list(answer), ["error"], answer)
        self.assertIn(reason, answer["error"])

    # --- orders

    def test_a_revocation_is_durable_before_its_answer_and_says_who_and_why(self):
        engine, requests = self.serve("serial", 2)
        serial = self.serials()[requests[0].id]
        order = {"kind": "revoke", "serial": serial.upper(), "issuer": "issuing-1", "reason": "keyCompromise",
                 "invalidity": int(time.time()), "why": "van 12 gestohlen, Köln"}
        self.assertEqual(self.done(order), [(1, 0)])
        self.assertEqual(self.reasons(), {serial: COMPROMISE})
        self.assertEqual(self.done(order), [(0, 0)])
        actor, detail = self.deployment.query("SELECT actor, detail FROM audit WHERE kind = 'revoke' ORDER BY number")[0]
        self.assertEqual(actor, "operator:test")
        self.assertEqual(json.loads(detail)["why"], "van 12 gestohlen, Köln")
        self.stop(engine)

    def test_a_device_is_held_freed_and_retired(self):
        engine, requests = self.serve("device", 2)
        serial = self.serials()[requests[0].id]
        device = requests[0].device
        self.assertEqual(self.done({"kind": "quarantine", "device": device}), [(1, 1)])
        self.assertEqual(self.reasons(), {serial: HOLD})
        held = fleet(1, "device-again", expect="policy.device-state")
        held[0].device = device
        self.backend.push(held)
        self.backend.wait_answered()
        self.assertEqual(self.done({"kind": "reinstate", "device": device}), [(1, 1)])
        self.assertEqual(self.reasons(), {serial: REMOVED})
        self.assertEqual(self.codes({"kind": "reinstate", "device": device}), ["revoke.not-on-hold"])
        self.assertEqual(self.done({"kind": "revoke", "serial": serial, "reason": "certificateHold"}), [(1, 0)])
        self.assertEqual(self.done({"kind": "reinstate", "serial": serial, "issuer": "issuing-1"}), [(1, 0)])
        self.assertEqual(self.reasons(), {serial: REMOVED})
        self.assertEqual(self.done({"kind": "retire", "device": device, "why": "sold"}), [(1, 1)])
        self.assertEqual(self.reasons(), {serial: CESSATION})
        self.stop(engine)

    def test_a_group_is_summed_up_over_as_many_operations_as_it_takes(self):
        engine, requests = self.serve("group", 40)
        self.deployment.add_devices([f"group-more-{i}" for i in range(3000)])
        self.assertEqual(self.done({"kind": "quarantine", "group": "default"}), [(40, 3040)])
        self.assertEqual(self.done({"kind": "quarantine", "group": "default"}), [(0, 0)])
        self.assertEqual(set(self.reasons().values()), {HOLD})
        self.assertEqual(self.done({"kind": "revoke", "group": "default", "reason": "superseded"},
                                   {"kind": "revoke", "device": requests[0].device}), [(40, 40), (0, 0)])
        self.stop(engine)

    def test_orders_stand_beside_those_that_are_refused_in_their_order(self):
        engine, requests = self.serve("mixed", 5)
        serials = self.serials()
        rows = self.outcomes({"kind": "revoke", "serial": "xy"},
                             {"kind": "revoke", "serial": serials[requests[0].id]},
                             {"kind": "revoke", "serial": "0abc"},
                             {"kind": "retire", "group": "no-such-group"},
                             {"kind": "quarantine", "device": requests[1].device},
                             {"kind": "quarantine", "device": "nobody"},
                             {"kind": "revoke", "device": requests[2].device, "reason": "removeFromCRL"},
                             {"kind": "issue", "device": requests[2].device},
                             {"kind": "revoke", "device": requests[2].device, "invalidity": int(time.time()) + 86400},
                             {"kind": "revoke", "serial": serials[requests[3].id], "issuer": "issuing-9"},
                             {"kind": "retire", "device": requests[4].device})
        self.assertEqual([row["code"] for row in rows],
                         ["request.serial-invalid", "", "revoke.serial-unknown", "revoke.group-unknown", "",
                          "revoke.device-unknown", "request.reason-invalid", "request.op-unknown",
                          "revoke.date-invalid", "revoke.serial-unknown", ""])
        self.assertTrue(all(row["message"] for row in rows if row["code"]))
        self.assertEqual(sum(row["certificates"] for row in rows), 3)
        self.assertEqual(len(self.reasons()), 3)
        self.stop(engine)

    def test_a_thousand_orders_go_into_one_request(self):
        engine, _ = self.serve("thousand")
        self.deployment.add_devices([f"thousand-{i}" for i in range(1000)])
        orders = [{"kind": "retire", "device": f"thousand-{i}"} for i in range(1000)]
        self.assertEqual(self.done(*orders), [(0, 1)] * 1000)
        self.refused(self.order(*orders, orders[0]), "orders: ")
        self.assertEqual(self.deployment.query("SELECT count(*) FROM device WHERE state = 'retired'"), [(1000,)])
        self.stop(engine)

    def test_orders_that_are_not_orders_are_refused_whole(self):
        engine, requests = self.serve("wrong", 1)
        good = {"kind": "retire", "device": requests[0].device}
        for bad, reason in (("x", "expected an object"), ({"kind": 1}, "kind: "), ({"serial": 1}, "serial: "),
                            ({"invalidity": "1"}, "invalidity: "), ({"invalidity": 1.5}, "invalidity: "),
                            ({"colour": "red"}, "unknown key"), ({"why": None}, "why: ")):
            with self.subTest(bad=bad):
                answer = self.order(good, bad if isinstance(bad, str) else {**good, **bad})
                self.refused(answer, "orders[1]: ")
                self.refused(answer, reason)
        self.refused(self.order(), "orders: ")
        self.refused(self.control("orders", actor="a", orders={}), "orders: ")
        self.refused(self.control("orders", orders=[good]), "actor: ")
        self.assertEqual(self.reasons(), {})
        self.assertEqual(self.deployment.query("SELECT count(*) FROM device WHERE state = 'retired'"), [(0,)])
        self.stop(engine)

    def test_orders_come_through_while_certificates_are_issued(self):
        engine, requests = self.serve("while", 100)
        more = fleet(300, "while-more")
        self.deployment.add_devices([request.device for request in more])
        self.backend.push(more)
        rows = self.outcomes(*[{"kind": "revoke", "device": request.device} for request in requests])
        self.assertEqual([row["certificates"] for row in rows], [1] * 100)
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 400)

    # --- certificates that move in

    def ca(self):
        """The issuing certificate, DER, and the path of its key."""
        return self.deployment.query("SELECT certificate, key FROM generation WHERE authority = 'issuing'")[0]

    def foreign(self, serial):
        """A certificate that another software issues with the key of issuing-1: (DER, not_after)."""
        der, key = self.ca()
        key_path = os.path.join(self.deployment.folder, "keys", key.split(":")[-1])
        work = os.path.join(self.deployment.folder, "foreign")
        os.makedirs(work, exist_ok=True)

        def openssl(*words, stdin=None):
            return subprocess.run(["openssl", *words], input=stdin, check=True, capture_output=True, cwd=work).stdout
        openssl("x509", "-inform", "DER", "-out", "ca.pem", stdin=der)
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "k.pem",
                "-subj", "/CN=old-1", "-out", "r.pem")
        with open(os.path.join(work, "x.cnf"), "w", encoding="ascii") as file:
            file.write("basicConstraints=CA:FALSE\n")
        made = openssl("x509", "-req", "-in", "r.pem", "-CA", "ca.pem", "-CAkey", key_path, "-set_serial",
                       "0x" + serial, "-days", "30", "-extfile", "x.cnf", "-outform", "DER")
        text = openssl("x509", "-inform", "DER", "-noout", "-enddate", "-dateopt", "iso_8601", stdin=made).decode()
        end = time.strptime(text.strip().split("=")[1], "%Y-%m-%d %H:%M:%SZ")
        return made, int(time.mktime(end)) - time.timezone

    def take_over(self, *certificates, issuer="issuing-1"):
        return self.control("import", actor="operator:test", issuer=issuer, certificates=list(certificates))

    def test_certificates_move_in_and_are_revoked_like_our_own(self):
        engine, _ = self.serve("import")
        der, not_after = self.foreign("4242")
        row = {"serial": "4242", "not_after": not_after, "der": base64.b64encode(der).decode()}
        gone = {"serial": "0042", "revoked": 1700000000, "reason": "superseded", "invalidity": 1690000000}
        self.assertEqual(self.take_over(row, gone), {"changed": 2})
        self.assertEqual(self.take_over(row, gone), {"changed": 0})
        self.assertEqual(self.reasons(), {"42": 4})
        self.assertEqual(self.done({"kind": "revoke", "serial": "4242", "reason": "keyCompromise"}), [(1, 0)])
        self.assertEqual(self.reasons(), {"42": 4, "4242": COMPROMISE})
        actor, detail = self.deployment.query("SELECT actor, detail FROM audit WHERE kind = 'ca-import'")[0]
        self.assertEqual((actor, json.loads(detail)), ("operator:test", {"issuer": "issuing-1", "certificates": 2}))
        self.stop(engine)

    def test_rows_that_cannot_be_are_refused_and_nothing_of_their_request_moves_in(self):
        engine, _ = self.serve("rows")
        der, not_after = self.foreign("4242")
        text = base64.b64encode(der).decode()
        ca = base64.b64encode(self.ca()[0]).decode()
        good = {"serial": "01", "not_after": not_after}
        for bad, reason in (("x", "expected an object"), ({}, "serial: "), ({"serial": "00"}, "serial: "),
                            ({"serial": 1}, "serial: "), ({"serial": "1", "not_after": -1}, "not_after: "),
                            ({"serial": "1", "revoked": "now"}, "revoked: "),
                            ({"serial": "1", "revoked": int(time.time()) + 3600}, "revoked: in the future"),
                            ({"serial": "1", "revoked": 300000000000}, "revoked: in the future"),
                            ({"serial": "1", "not_after": 253402300800}, "not_after: after the year 9999"),
                            ({"serial": "1", "revoked": 1, "invalidity": 253402300800}, "invalidity: after the year 9999"),
                            ({"serial": "1", "reason": "superseded"}, "only with revoked"),
                            ({"serial": "1", "invalidity": 1}, "only with revoked"),
                            ({"serial": "1", "revoked": 1, "reason": "removeFromCRL"}, "reason: "),
                            ({"serial": "4242", "der": text[:-4]}, "der: "), ({"serial": "1", "der": "AAAA"}, "der: "),
                            ({"serial": "4242", "der": text + " "}, "der: "),
                            ({"serial": "4243", "der": text}, "another serial number"),
                            ({"serial": "4242", "der": text, "not_after": 1}, "another serial number or end"),
                            ({"serial": "1", "der": ca}, "not issued by issuing-1"),
                            ({"serial": "1", "owner": "me"}, "unknown key")):
            with self.subTest(bad=bad):
                self.refused(self.take_over(good, bad), "certificates[1]: ")
                self.refused(self.take_over(good, bad), reason)
        self.refused(self.take_over(), "certificates: ")
        self.refused(self.take_over(*[good] * 1001), "certificates: ")
        self.refused(self.take_over(good, issuer="issuing-9"), "issuer: ")
        self.refused(self.control("import", actor="a", certificates=[good]), "issuer: ")
        self.refused(self.control("import", issuer="issuing-1", certificates=[good]), "actor: ")
        self.assertEqual(self.deployment.query("SELECT count(*) FROM imported"), [(1,)])  # the authority's own, of the root's
        self.stop(engine)

    # --- CRLs anew

    def test_an_issuer_that_is_no_name_is_refused(self):
        engine, _ = self.serve("publish")
        self.refused(self.control("publish", issuer=7), "issuer: ")
        self.stop(engine)


if __name__ == "__main__":
    case.main()
