#!/usr/bin/env python3
"""From an order to what relying parties get: CRLs and OCSP of a deployment that serves, asked by OpenSSL and by hand."""
import base64
import hashlib
import json
import os
import shutil
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import checker
import ocsp
import prometheus
import served
from backend import fleet
from crl import Crl
from deployment import free_port, has_fault_points, make_csrs, wait_until

OCSP_TYPE = {"Content-Type": "application/ocsp-request"}

# Without the first of them OpenSSL takes a delta for a whole list, and the newest one.
DELTAS = ("-extended_crl", "-use_deltas")


class OpenSsl(served.Served):
    """What OpenSSL's own programs say of it."""

    def ask_openssl(self, *words):
        return self.run_program("openssl", "ocsp", "-issuer", "ca/issuing.pem", "-CAfile", "ca/root.pem", "-url",
                                self.url + "/ocsp", *words)

    def assert_says(self, done, *texts):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Response verify OK", done.stderr)
        self.assertNotIn("WARNING", done.stderr)
        for text in texts:
            self.assertIn(text, done.stdout)

    def verify(self, certificate, *crls, options=()):
        """None: it verifies with these lists; else what openssl verify says."""
        path = self.write_crls("lists.pem", *crls)
        done = self.run_program("openssl", "verify", "-crl_check", *options, "-CAfile", "ca/root.pem", "-untrusted",
                                "ca/issuing.pem", "-CRLfile", path, certificate.path)
        return None if done.returncode == 0 else done.stderr

    def test_openssl_ocsp_gets_right_answers_that_verify(self):
        requests = self.deploy_served("ocsp", 4)
        engine = self.serve()
        good, bad, held, other = self.issue(requests)
        self.order("revoke", serial=bad.serial, reason="keyCompromise")
        self.order("revoke", serial=held.serial, reason="certificateHold")
        for words in ((), ("-no_nonce",), ("-sha256",), ("-sha256", "-no_nonce"), ("-sha1",)):
            # A digest counts for the certificates behind it.
            self.assert_says(self.ask_openssl(*words, "-cert", good.path), f"{good.path}: good")
            self.assert_says(self.ask_openssl(*words, "-cert", bad.path), ": revoked", "Reason: keyCompromise")
        self.assert_says(self.ask_openssl("-cert", held.path), ": revoked", "Reason: certificateHold")
        done = self.ask_openssl("-cert", good.path, "-cert", bad.path, "-sha256", "-cert", other.path, "-serial", "0x1234")
        self.assert_says(done, f"{good.path}: good", f"{bad.path}: revoked", f"{other.path}: good", "0x1234: unknown")
        self.stop(engine)
        self.check_store()

    def test_openssl_reads_answers_to_get(self):
        requests = self.deploy_served("get", 2)
        engine = self.serve()
        good, bad = self.issue(requests)
        self.order("revoke", serial=bad.serial, reason="superseded")
        for certificate, state in ((good, "good"), (bad, "revoked")):
            words = ("ocsp", "-no_nonce", "-issuer", "ca/issuing.pem", "-cert", certificate.path)
            self.run_program("openssl", *words, "-reqout", "request.der")
            with open(self.path("request.der"), "rb") as file:
                code, headers, body = self.get(ocsp.get_target(file.read()))
            self.assertEqual((code, headers["Content-Type"]), (200, "application/ocsp-response"))
            with open(self.path("response.der"), "wb") as file:
                file.write(body)
            self.assert_says(self.run_program("openssl", *words, "-respin", "response.der", "-CAfile", "ca/root.pem"),
                             f": {state}")
        code, headers, body = self.get(ocsp.get_target(ocsp.request(self.issuer.cert_id(bad.serial), nonce=b"n" * 32)))
        self.assertEqual((code, headers["Cache-Control"]), (200, "no-store"))
        self.assertEqual((ocsp.Response(body).state, ocsp.Response(body).nonce), ("revoked", b"n" * 32))
        self.stop(engine)

    def test_an_issuer_that_is_not_ours_is_unauthorized(self):
        self.deploy_served("foreign")
        engine = self.serve()
        done = self.run_program("openssl", "ocsp", "-issuer", "ca/root.pem", "-cert", "ca/issuing.pem", "-url", self.url + "/ocsp",
                                "-CAfile", "ca/root.pem")
        self.assertIn("Responder Error: unauthorized (6)", done.stdout + done.stderr)
        self.stop(engine)

    def test_openssl_verify_finds_what_its_shard_says(self):
        requests = self.deploy_served("verify", 12)
        engine = self.serve()
        certificates = self.issue(requests)
        good, bad = certificates[0], certificates[1]
        self.order("revoke", serial=bad.serial, reason="keyCompromise")
        self.wait_listed(bad, "keyCompromise")
        self.assertIsNone(self.verify(good, self.crl(good)))
        self.assertIn("certificate revoked", self.verify(bad, self.crl(bad)))
        # A list of another shard does not count, whoever has all takes the right one.
        others = [self.crl(shard) for shard in range(served.SHARDS) if shard != good.shard]
        self.assertIn("different CRL scope", self.verify(good, *others).replace("Different", "different"))
        everything = [self.crl(shard) for shard in range(served.SHARDS)]
        for certificate in certificates:
            found = self.verify(certificate, *everything)
            self.assertEqual(found is not None, certificate is bad, found)
        self.assertGreater(len({certificate.shard for certificate in certificates}), 1, "they are spread")
        self.stop(engine)

    def test_what_certificates_name_is_there(self):
        port = free_port()
        requests = self.deploy_served("named", 2, port=port, base_url=f"http://127.0.0.1:{port}")
        engine = self.serve()
        good, bad = self.issue(requests)
        self.order("revoke", serial=bad.serial)
        self.wait_listed(bad, "unspecified")
        for certificate, is_revoked in ((good, False), (bad, True)):
            done = self.run_program("openssl", "verify", "-crl_check", "-crl_download", "-CAfile", "ca/root.pem", "-untrusted",
                                    "ca/issuing.pem", certificate.path)
            self.assertEqual("certificate revoked" in done.stderr, is_revoked, done.stderr)
            self.assertEqual(done.returncode == 0, not is_revoked, done.stderr)
            uri = self.run_program("openssl", "x509", "-noout", "-ocsp_uri", "-in", certificate.path).stdout.strip()
            done = self.run_program("openssl", "ocsp", "-issuer", "ca/issuing.pem", "-CAfile", "ca/root.pem", "-cert",
                                    certificate.path, "-url", uri)
            self.assert_says(done, ": revoked" if is_revoked else ": good")
        self.stop(engine)

    def test_openssl_verifies_whole_chains_with_the_list_of_the_root(self):
        """The root is one of the settings' authorities, without crl-url: the issuing CA's certificate names no list either."""
        requests = self.deploy_served("chain", 1, root=())
        engine = self.serve()
        (certificate,) = self.issue(requests)
        root = self.crl(0, issuer="root-1")
        self.assertIsNone(root.url)
        options = ("-crl_check_all", "-x509_strict")
        self.assertIn("unable to get certificate CRL", self.verify(certificate, self.crl(certificate), options=options))
        self.assertIsNone(self.verify(certificate, self.crl(certificate), root, options=options))
        self.stop(engine)

    def test_lists_are_for_users_only_where_that_is_so(self):
        self.deploy_served("users", init=["--sub-ca"], root=("crl-url: " + served.BASE_URL + "/crl/${issuer}/${shard}.crl",))
        engine = self.serve()
        self.assertEqual([self.crl(0, issuer=name).users_only for name in ("root-1", "issuing-1")], [False, False])
        self.stop(engine)
        self.deployment.edit(r", sub-ca\]", "]")
        engine = self.serve()
        self.control("publish")
        self.assertEqual([self.crl(0, issuer=name).users_only for name in ("root-1", "issuing-1")], [False, True])
        self.stop(engine)

    def test_openssl_takes_a_delta_on_top_of_an_older_list(self):
        requests = self.deploy_served("delta", 2)
        engine = self.serve()
        one, two = self.issue(requests)
        base = self.crl(one)
        self.order("revoke", serial=one.serial, reason="keyCompromise")
        delta = self.wait_listed(one, "keyCompromise", is_delta=True)
        self.assertEqual(delta.base_number, base.number)
        self.assertGreater(delta.number, base.number)
        self.assertIsNone(self.verify(one, base), "what it shows is older")
        self.assertIn("certificate revoked", self.verify(one, base, delta, options=DELTAS))
        self.assertIn("unable to get certificate CRL", self.verify(one, delta, options=DELTAS), "a delta alone is no list")
        if two.shard == one.shard:
            self.assertIsNone(self.verify(two, base, delta, options=DELTAS))
        self.stop(engine)

    def test_a_certificate_that_comes_off_hold_is_removed_by_a_delta(self):
        requests = self.deploy_served("removed", 1)
        engine = self.serve()
        (certificate,) = self.issue(requests)
        self.assertEqual(self.order("quarantine", device="removed-0", why="strange noises"), 1)
        self.wait_listed(certificate, "certificateHold")
        self.assertEqual(self.control("publish")["failed"], 0)
        base = self.crl(certificate)  # deltas start here
        self.assertEqual(self.order("reinstate", device="removed-0"), 1)
        delta = self.wait_listed(certificate, "removeFromCRL", is_delta=True)
        self.assertEqual(delta.base_number, base.number)
        complete = self.wait_listed(certificate, None)
        self.assertGreater(complete.number, base.number)
        self.assertIn("certificate revoked", self.verify(certificate, base))
        self.assertIsNone(self.verify(certificate, base, delta, options=DELTAS))
        self.assertIsNone(self.verify(certificate, complete))
        self.assertEqual(self.ask_ocsp(certificate.serial).state, "good")
        self.stop(engine)
        self.check_store()


class Orders(served.Served):
    """What orders do, and what they are refused."""

    def test_the_first_answer_after_an_order_was_acknowledged_says_revoked(self):
        requests = self.deploy_served("first", 20)
        engine = self.serve()
        for certificate in self.issue(requests):
            self.assertEqual(self.ask_ocsp(certificate.serial).state, "good")  # and kept, from here on
            self.assertEqual(self.order("revoke", serial=certificate.serial, reason="cessationOfOperation"), 1)
            self.assertEqual(self.ask_ocsp(certificate.serial).singles, [("revoked", 5)])
        self.stop(engine)

    def test_a_revocation_writes_its_shard_anew_and_no_other(self):
        requests = self.deploy_served("shard", 1)
        engine = self.serve()
        (certificate,) = self.issue(requests)
        before = [self.crl(shard) for shard in range(served.SHARDS)]
        invalid_since = int(time.time())
        self.order("revoke", serial=certificate.serial, reason="keyCompromise", invalidity=invalid_since)
        after = self.wait_listed(certificate, "keyCompromise")
        self.assertEqual(after.invalidity, {certificate.serial: time.strftime("%Y%m%d%H%M%SZ", time.gmtime(invalid_since))})
        self.assertGreater(after.number, before[certificate.shard].number)
        self.assertEqual(after.url, certificate.url)
        for shard in set(range(served.SHARDS)) - {certificate.shard}:
            self.assertEqual(self.crl(shard).data, before[shard].data)
        for shard in range(served.SHARDS):
            with open(self.path("public", "crl", "issuing-1", f"{shard}.crl"), "rb") as file:
                self.assertEqual(file.read(), self.crl(shard).data)
        self.stop(engine)

    def test_a_device_and_a_group_are_revoked_whole(self):
        requests = self.deploy_served("whole", 3)
        engine = self.serve()
        twice = fleet(1, "whole")[0]  # another key for device 0
        twice.id = "whole-again"
        certificates = self.issue(requests + [twice])
        self.assertEqual(self.order("revoke", device="whole-0", reason="superseded"), 2)
        states = [self.ask_ocsp(certificate.serial).singles[0] for certificate in certificates]
        self.assertEqual(states, [("revoked", 4), ("good", None), ("good", None), ("revoked", 4)])
        self.assertEqual(self.order("revoke", group="default", reason="privilegeWithdrawn"), 2)
        self.assertEqual([self.ask_ocsp(certificate.serial).singles[0] for certificate in certificates],
                         [("revoked", 4), ("revoked", 9), ("revoked", 9), ("revoked", 4)])
        self.stop(engine)

    def test_a_group_of_more_devices_than_one_step_takes_is_revoked_whole(self):
        requests = self.deploy_served("fleet", 1500)
        engine = self.serve()
        serials = {certificate.serial for certificate in self.issue(requests, timeout_s=90)}
        self.assertEqual(self.order("revoke", group="default", reason="cACompromise"), 1500)
        self.assertEqual({self.ask_ocsp(serial).state for serial in sorted(serials)[::50]}, {"revoked"})

        def listed():
            return {serial: reason for shard in range(served.SHARDS) for serial, reason in self.crl(shard).entries.items()}
        wait_until(lambda: len(listed()) == 1500, 30, lambda: f"{len(listed())} of 1500 are listed", step_s=0.1)
        self.assertEqual(listed(), dict.fromkeys(serials, "cACompromise"))
        self.stop(engine)
        self.check_store()

    def test_quarantine_stops_new_certificates_until_the_device_is_reinstated_and_retirement_for_good(self):
        requests = self.deploy_served("state", 1)
        engine = self.serve()
        (certificate,) = self.issue(requests)
        csrs = iter(make_csrs(3, name="state"))

        def ask_again(id):
            (request,) = fleet(1, "state")
            request.id, request.csr = id, next(csrs)
            self.backend.push([request])
            self.backend.wait_answered()
            (answer,) = self.backend.answers()[id]
            return answer.get("code", answer["status"]).decode()

        self.order("quarantine", device="state-0")
        self.assertEqual(self.ask_ocsp(certificate.serial).singles, [("revoked", 6)])
        self.assertEqual(ask_again("during"), "policy.device-state")
        self.order("reinstate", device="state-0")
        self.assertEqual(self.ask_ocsp(certificate.serial).state, "good")
        self.assertEqual(ask_again("after"), "issued")
        self.assertEqual(self.order("retire", device="state-0"), 2)
        self.assertEqual(self.ask_ocsp(certificate.serial).singles, [("revoked", 5)])
        self.assertEqual(ask_again("late"), "policy.device-state")
        self.wait_listed(certificate, "cessationOfOperation")
        self.stop(engine)
        self.check_store()

    def test_what_makes_no_sense_is_refused_and_what_is_done_already_changes_nothing(self):
        requests = self.deploy_served("sense", 2)
        engine = self.serve()
        one, two = self.issue(requests)
        self.order("revoke", serial=one.serial, reason="superseded")
        outcomes = self.orders({"kind": "revoke", "serial": one.serial}, {"kind": "revoke", "serial": "1234"},
                               {"kind": "reinstate", "device": "sense-1"}, {"kind": "revoke", "serial": two.serial, "reason": "x"},
                               {"kind": "revoke", "serial": two.serial, "reason": "removeFromCRL"}, {"kind": "revoke"},
                               {"kind": "revoke", "serial": "00" * 3}, {"kind": "sell", "device": "sense-1"})
        self.assertEqual([(outcome["code"], outcome["certificates"]) for outcome in outcomes],
                         [("", 0), ("revoke.serial-unknown", 0), ("revoke.not-on-hold", 0), ("request.reason-invalid", 0),
                          ("request.reason-invalid", 0), ("request.field-missing", 0), ("request.serial-invalid", 0),
                          ("request.op-unknown", 0)])
        self.assertEqual(self.ask_ocsp(two.serial).state, "good")
        self.assertEqual(self.ask_ocsp(one.serial).singles, [("revoked", 4)])
        self.stop(engine)

    def test_orders_come_through_the_queue_from_those_who_have_the_right(self):
        requests = self.deploy_served("queue", 2)
        engine = self.serve()
        one, two = self.issue(requests)
        answer = self.ask_queue("by-local", "revoke", "local", serial=one.serial)
        self.assertEqual((answer["status"], answer["code"]), ("refused", "policy.operation-not-allowed"))
        self.assertEqual(self.ask_ocsp(one.serial).state, "good")
        answer = self.ask_queue("by-operator", "revoke", serial=one.serial, reason="keyCompromise", why="found in a drawer")
        self.assertEqual(answer["status"], "done")
        self.assertEqual(self.ask_ocsp(one.serial).singles, [("revoked", 1)])
        self.assertEqual(self.ask_queue("hold", "quarantine", device="queue-1")["status"], "done")
        self.assertEqual(self.ask_ocsp(two.serial).singles, [("revoked", 6)])
        self.assertEqual(self.ask_queue("unhold", "reinstate", device="queue-1")["status"], "done")
        self.assertEqual(self.ask_ocsp(two.serial).state, "good")
        (actor, detail) = self.audit("revoke")[-1]
        self.assertIn("operator", actor)
        self.assertEqual(detail["why"], "found in a drawer")
        self.assertEqual(self.ask_queue("hold-one", "revoke", serial=two.serial, reason="certificateHold")["status"], "done")
        self.assertEqual(self.ask_queue("unhold-one", "reinstate", serial=two.serial)["status"], "done")
        self.assertEqual(self.ask_ocsp(two.serial).state, "good")
        self.stop(engine)
        self.check_store()

    def test_the_audit_log_knows_who_and_why(self):
        requests = self.deploy_served("audit", 1)
        engine = self.serve()
        (certificate,) = self.issue(requests)
        self.order("quarantine", actor="operator:ann", device="audit-0", why="van 12 is missing")
        self.order("reinstate", actor="operator:bob", device="audit-0", why="it came back")
        self.order("revoke", actor="operator:cy", serial=certificate.serial, reason="keyCompromise", why="with its key \"copied\"")
        self.stop(engine)
        found = {kind: self.audit(kind) for kind in ("quarantine", "reinstate", "revoke")}
        self.assertEqual({kind: [(actor, detail["why"]) for actor, detail in rows] for kind, rows in found.items()},
                         {"quarantine": [("operator:ann", "van 12 is missing")],
                          "reinstate": [("operator:bob", "it came back")],
                          "revoke": [("operator:cy", "with its key \"copied\"")]})
        self.check_store()


class Restarts(served.Served):
    """What outlasts the engine."""

    def test_a_store_that_was_restored_learns_from_the_list_in_the_folder(self):
        requests = self.deploy_served("restored", 1)
        self.stop(self.serve())
        shutil.copytree(self.path("store"), self.path("backup"))
        engine = self.serve()
        (bad,) = self.issue(requests)
        self.order("revoke", serial=bad.serial, reason="keyCompromise")
        before = self.wait_listed(bad, "keyCompromise")
        self.stop(engine)
        shutil.rmtree(self.path("store"))
        shutil.copytree(self.path("backup"), self.path("store"))
        engine = self.serve()
        wait_until(lambda: "certmill ca import --issuer issuing-1 --crl" in engine.text(), 20, engine.text)
        self.assertEqual(self.ask_ocsp(bad.serial).singles, [("revoked", 1)])
        self.assertIn(bad.serial, self.crl(bad).entries)
        self.run_program(os.environ["CERTMILL"], "ca", "import", "--issuer", "issuing-1", "--crl",
                         self.path("public", "crl", "issuing-1", f"{bad.shard}.crl"))
        after = wait_until(lambda: (crl := self.crl(bad)).number > before.number and crl, 20, engine.text)
        self.assertIn(bad.serial, after.entries)
        self.stop(engine)
        shutil.rmtree(self.path("public"))  # the store has it now
        engine = self.serve()
        self.assertEqual(self.ask_ocsp(bad.serial).singles, [("revoked", 1)])
        self.wait_listed(bad, "keyCompromise")
        self.assertNotIn("old copy", engine.text())
        self.stop(engine)

    def restart_after(self, end):
        requests = self.deploy_served("restart", 2)
        engine = self.serve()
        bad, good = self.issue(requests)
        self.order("revoke", serial=bad.serial, reason="keyCompromise")
        before = self.wait_listed(bad, "keyCompromise")
        end(engine)
        engine = self.serve()
        self.assertEqual(self.ask_ocsp(bad.serial).singles, [("revoked", 1)])
        self.assertEqual(self.ask_ocsp(good.serial).state, "good")
        self.assertEqual(self.crl(bad).data, before.data, "it is up to date and is not written anew")
        self.assertEqual(self.control("publish")["failed"], 0)
        after = self.crl(bad)
        self.assertGreater(after.number, before.number)
        self.assertEqual(after.entries, before.entries)
        self.stop(engine)
        return self.check_store()

    def test_numbers_and_revocations_go_on_after_a_stop(self):
        self.restart_after(self.stop)

    def test_numbers_and_revocations_go_on_after_a_kill(self):
        self.restart_after(lambda engine: engine.kill())

    def test_a_revocation_that_was_acknowledged_before_a_kill_is_in_the_list_after_it(self):
        requests = self.deploy_served("killed", 1)
        self.deployment.edit(r"crl-delay: 200ms", "crl-delay: 1h")
        engine = self.serve()
        (certificate,) = self.issue(requests)
        before = self.crl(certificate)
        self.order("revoke", serial=certificate.serial)
        self.assertEqual(self.crl(certificate).data, before.data)
        engine.kill()
        self.deployment.edit(r"crl-delay: 1h", "crl-delay: 200ms")
        engine = self.serve()
        self.assertEqual(self.ask_ocsp(certificate.serial).state, "revoked")
        self.assertGreater(self.wait_listed(certificate, "unspecified").number, before.number)
        self.stop(engine)

    def test_serials_that_were_promised_and_abandoned_are_revoked(self):
        if not has_fault_points():
            self.skip("this build has no fault points")
        requests = self.deploy_served("abandoned", 20)
        self.deployment.edit(r"(?m)^  batch-items: .*$", r"\g<0>\n  intent-hold: 1s")
        self.die_at("signed:1:kill", requests)
        self.backend.client.call("DEL", "abandoned:requests")
        engine = self.serve()
        wait_until(lambda: "were abandoned" in engine.text(), 20, "the promises are abandoned")
        serials = {serial.hex() for serial in checker.Store(self.deployment.store).abandoned_serials()}
        self.assertGreater(len(serials), 0)
        for serial in sorted(serials)[:8]:
            wait_until(lambda s=serial: self.ask_ocsp(s).state == "revoked", 20, f"{serial} is revoked")
        wait_until(lambda: serials <= {serial for shard in range(served.SHARDS) for serial in self.crl(shard).entries}, 20,
                   "they are in the lists")
        self.stop(engine)


class Http(served.Served):
    """The same over HTTP as caches, proxies and strangers see it; more of it in status_test.py."""

    def setUp(self):
        self.deploy_served("http", 1)
        self.engine = self.serve()

    def tearDown(self):
        self.stop(self.engine)

    def test_documents_have_their_headers_and_are_not_sent_again(self):
        code, headers, body = self.get("/crl/issuing-1/0.crl")
        crl = Crl(body)
        self.assertEqual((code, headers["Content-Type"]), (200, "application/pkix-crl"))
        self.assertEqual(headers["ETag"], f'"{hashlib.sha256(body).hexdigest()}"')

        def http_date(text):
            return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.strptime(text.decode(), "%y%m%d%H%M%SZ"))
        self.assertEqual((headers["Last-Modified"], headers["Expires"]), (http_date(crl.this_update), http_date(crl.next_update)))
        code, head, rest = self.ask("HEAD", "/crl/issuing-1/0.crl")
        self.assertEqual((code, rest, head["Content-Length"]), (200, b"", str(len(body))))
        code, _, rest = self.ask("GET", "/crl/issuing-1/0.crl", headers={"If-None-Match": headers["ETag"]})
        self.assertEqual((code, rest), (304, b""))
        code, _, whole = self.ask("GET", "/crl/issuing-1/0.crl", headers={"Range": "bytes=5-9"})
        self.assertEqual((code, whole), (200, body))
        self.control("publish")
        code, _, newer = self.ask("GET", "/crl/issuing-1/0.crl", headers={"If-None-Match": headers["ETag"]})
        self.assertEqual(code, 200)
        self.assertGreater(Crl(newer).number, crl.number)

    def test_the_issuers_certificate_is_where_certificates_say(self):
        code, headers, body = self.get("/ca/issuing-1.cer")
        self.assertEqual((code, headers["Content-Type"]), (200, "application/pkix-cert"))
        (certificate,) = self.issue(fleet(1, "http"))
        text = self.run_program("openssl", "x509", "-noout", "-text", "-in", certificate.path).stdout
        self.assertIn(f"CA Issuers - URI:{served.BASE_URL}/ca/issuing-1.cer", text)
        self.assertIn(f"OCSP - URI:{served.BASE_URL}/ocsp", text)
        self.assertIn(b"BEGIN CERTIFICATE", self.get("/ca/issuing-1.pem")[2])
        with open(self.path("ca", "issuing.pem"), "rb") as file:
            self.assertIn(served.to_pem(body), file.read())

    def test_neither_files_nor_shards_that_are_none_are_found(self):
        for target in ("/crl/../../etc/passwd", "/crl/%2e%2e/%2e%2e/etc/passwd", "/crl/issuing-1/4.crl", "/crl/issuing-1/00.crl",
                       "/crl/issuing-1/0.crl/", "/crl/issuing-2/0.crl", "/crl/issuing-1/" + "0" * 8000, "/ca/../keys/issuing-1.pem",
                       "/public/crl/issuing-1/0.crl", "/ca/issuing-1.key", "/crl/issuing-1/0.crl%00"):
            self.assertIn(self.get(target)[0], (404, 414, 400), target)
        self.assertEqual(self.get("/crl/issuing-1/0.crl?x=/../..")[0], 200)

    def test_what_is_wrong_about_a_request_is_said_at_once(self):
        (certificate,) = self.issue(fleet(1, "http"))
        request = ocsp.request(self.issuer.cert_id(certificate.serial))
        self.assertEqual(self.ask("PUT", "/ocsp", request, OCSP_TYPE)[0], 405)
        self.assertEqual(self.ask("DELETE", "/crl/issuing-1/0.crl")[0], 405)
        self.assertEqual(self.ask("POST", "/ocsp", request, {"Content-Type": "text/plain"})[0], 415)
        self.assertEqual(self.ask("POST", "/ocsp", b"x" * 9000, OCSP_TYPE)[0], 413)
        text = base64.b64encode(request).decode()
        quoted = urllib.parse.quote(text, safe="")
        for target in (text, quoted, text.rstrip("="), text + "?a=b", "/" + text):
            code, headers, body = self.get("/ocsp/" + target)
            self.assertEqual((code, ocsp.Response(body).state), (200, "good"), target)
            self.assertIn("public", headers["Cache-Control"])
        for target in (quoted.replace("%", "%25") + "%252B", text[:-5], "AAAA"):
            code, headers, body = self.get("/ocsp/" + target)
            self.assertEqual((code, ocsp.Response(body).status, headers["Cache-Control"]), (200, ocsp.MALFORMED, "no-store"))

    def test_two_questions_with_a_revocation_between_them(self):
        (certificate,) = self.issue(fleet(1, "http"))
        target = ocsp.get_target(ocsp.request(self.issuer.cert_id(certificate.serial)))
        code, headers, body = self.get(target)
        self.assertEqual((code, ocsp.Response(body).state), (200, "good"))
        self.order("revoke", serial=certificate.serial)
        code, _, body = self.ask("GET", target, headers={"If-None-Match": headers["ETag"]})
        self.assertEqual((code, ocsp.Response(body).state), (200, "revoked"))

    NOT_METRICS = {"providers.pid", "documents.size", "documents.modified_s", "documents.expires_s"}

    def check_metrics(self):
        """They are well formed, and show every number of the status, under the names of the reference."""
        families = prometheus.read(self.get("/metrics")[2].decode())
        with open(os.path.join(SOURCE, "docs/reference/metrics.md"), encoding="utf-8") as file:
            rows = [[cell.strip(" `") for cell in line.split("|")] for line in file if line.startswith("| `")]
        known = {row[4]: row[1] for row in rows}
        for place in sorted(places(json.loads(self.get("/api/v1/status")[2])) - self.NOT_METRICS):
            self.assertIn(known.get(place), families, f"{place} of the status has no metric")
        self.assertLessEqual(set(families), set(known.values()))

    def test_an_operators_pages_are_there(self):
        self.assertEqual(self.get("/healthz")[0], 200)
        wait_until(lambda: self.get("/readyz")[0] == 200, 20, "it is ready")
        self.check_metrics()
        self.assertIn(b'"crls"', self.get("/api/v1/status")[2])


def places(value, path=""):
    """Where numbers and truths stand: {"providers.pace.in_flight", ...}."""
    if isinstance(value, dict):
        return set().union(*(places(member, f"{path}.{name}".lstrip(".")) for name, member in value.items()))
    if isinstance(value, list):
        return set().union(*(places(member, path) for member in value))
    return {path} if isinstance(value, (int, float)) else set()


class Files(served.Served):
    """A deployment whose requests are files."""

    @classmethod
    def setUpClass(cls):
        """No Redis needed."""

    def test_a_certificate_that_came_through_files_is_revoked(self):
        self.deploy_served("files", files=True)
        self.deployment.add_devices(["files-0"])
        engine = self.serve()
        with open(self.path("spool", "incoming", ".files-0"), "wb") as file:
            file.write(make_csrs(1, name="files")[0])
        os.rename(self.path("spool", "incoming", ".files-0"), self.path("spool", "incoming", "files-0.csr"))
        answered = self.path("spool", "answered", "files-0.pem")
        wait_until(lambda: os.path.exists(answered), 20, "it is answered")
        done = self.run_program("openssl", "x509", "-in", answered, "-outform", "DER", "-out", "files-0.der")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("files-0.der"), "rb") as file:
            certificate = served.Certificate(file.read(), self.deployment.folder)
        self.assertEqual(self.ask_ocsp(certificate.serial).state, "good")
        self.assertEqual(self.order("revoke", device="files-0"), 1)
        self.assertEqual(self.ask_ocsp(certificate.serial).state, "revoked")
        self.wait_listed(certificate, "unspecified")
        self.stop(engine)
        self.check_store()


if __name__ == "__main__":
    served.main()
