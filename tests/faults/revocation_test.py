#!/usr/bin/env python3
"""Revocations under faults: what was acknowledged is revoked for ever, whatever is killed, stopped or asked meanwhile."""
import hashlib
import os
import signal
import sqlite3
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import checker
import ocsp
import served
from backend import Request
from crl import Crl
from deployment import Clock, has_fault_points, make_csrs, wait_until

DAY_S = 86400
# The first commits are rows of the audit log: that an engine has started.
POINTS = ("store-commit:8", "store-committed:8", "crl-numbered:1", "crl-signed:2", "crl-written:1", "crl-renamed:2")


class Faults(served.Served):
    def numbers(self):
        """The numbers of the lists in the folder, by file."""
        folder, found = self.path("public", "crl", "issuing-1"), {}
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = Crl(file.read()).number  # each is whole
        return found

    def revoke_until_it_dies(self, engine, certificates):
        """Those whose revocation was acknowledged."""
        done = []
        for certificate in certificates:
            try:
                self.order("revoke", serial=certificate.serial, reason="keyCompromise")
            except (OSError, ValueError):  # no answer, or half of one
                break
            done.append(certificate)
            time.sleep(0.15)  # so that lists are made in between
        self.assertEqual(engine.wait(20), -signal.SIGKILL, engine.text())
        return done

    def test_what_was_acknowledged_before_a_kill_is_revoked_after_it_and_numbers_go_on(self):
        if not has_fault_points():
            self.skip("this build has no fault points")
        for point in POINTS:
            with self.subTest(point=point):
                self.kill_at(point)

    def kill_at(self, point):
        requests = self.deploy_served(point.replace(":", "-"), 30)
        engine = self.serve()
        certificates = self.issue(requests)
        self.stop(engine)
        before = self.numbers()
        engine = self.start(point + ":kill")
        wait_until(lambda: "serving" in engine.text(), 20, "it serves")
        done = self.revoke_until_it_dies(engine, certificates)
        between = self.numbers()
        engine = self.serve()
        for certificate in done:
            self.assertEqual(self.ask_ocsp(certificate.serial).singles, [("revoked", 1)])
        for certificate in done:
            self.wait_listed(certificate, "keyCompromise")
        self.assertEqual(self.control("publish")["failed"], 0)
        after = self.numbers()
        for name, number in before.items():
            self.assertLessEqual(number, between[name])
            self.assertLess(between[name], after[name])
        listed = {serial for shard in range(served.SHARDS) for serial in self.crl(shard).entries}
        states = {certificate.serial: self.ask_ocsp(certificate.serial).state for certificate in certificates}
        self.assertEqual(listed, {serial for serial, state in states.items() if state == "revoked"})
        self.assertLessEqual(len(listed), len(done) + 1, "nobody else but the one that was on its way")
        self.stop(engine)
        self.check_store()

    def is_put_off(self, certificate):
        """It is asked to come later, or cut off when its time is over."""
        try:
            return self.ask_ocsp(certificate.serial).status == ocsp.TRY_LATER
        except ConnectionError:
            return True

    def test_while_the_keys_are_away_no_answer_is_older_than_its_revocation(self):
        requests = self.deploy_served("away", 3)
        self.deployment.edit(r"(?m)^(  listen: .*)$", r"\g<0>\n  deadline: 3s")
        self.deployment.edit(r"(?m)^    keys: keys$", r"\g<0>\n    call-deadline: 60s")  # signers are not replaced meanwhile
        engine = self.serve()
        cached, revoked, unasked = self.issue(requests)
        for certificate in (cached, revoked):
            self.assertEqual(self.ask_ocsp(certificate.serial).state, "good")
        signers = engine.signers()
        for pid in signers:
            os.kill(pid, signal.SIGSTOP)
        try:
            self.assertEqual(self.order("revoke", serial=revoked.serial), 1)  # needs no key
            self.assertEqual(self.ask_ocsp(cached.serial).state, "good")
            for certificate in (revoked, unasked):
                self.assertTrue(self.is_put_off(certificate))
        finally:
            for pid in signers:
                os.kill(pid, signal.SIGCONT)
        for certificate, state in ((revoked, "revoked"), (unasked, "good"), (cached, "good")):
            wait_until(lambda c=certificate: self.ask_ocsp(c.serial).status == ocsp.SUCCESSFUL, 30, "the keys are back")
            self.assertEqual(self.ask_ocsp(certificate.serial).state, state)
        self.wait_listed(revoked, "unspecified")
        self.stop(engine)

    def test_a_device_that_is_put_on_hold_while_it_asks_keeps_no_good_certificate(self):
        for round_number in range(4):
            self.deploy_served(f"race{round_number}")
            self.deployment.add_devices(["thief"])
            engine = self.serve()
            requests = [Request(f"steal-{i}", "thief", csr, expect=None) for i, csr in enumerate(make_csrs(300, name="thief"))]
            pushing = threading.Thread(target=self.backend.push_slowly, args=(requests[:280], 10, 0.002))
            pushing.start()
            wait_until(lambda: self.status()["issued"] > 10, 20, "some are issued")
            self.order("quarantine", device="thief")
            pushing.join()
            self.backend.push(requests[280:])  # the others may all be issued
            self.backend.wait_answered()
            issued = [answer["certificate"] for answers in self.backend.answers().values() for answer in answers
                      if "certificate" in answer]
            self.assertGreater(len(issued), 5)
            self.assertLess(len(issued), 300, "it was put on hold before the last")
            serials = [served.Certificate(encoding, self.deployment.folder).serial for encoding in issued]
            states = [self.ask_ocsp(serial).singles[0] for serial in serials]
            self.assertEqual(set(states), {("revoked", 6)}, f"{states.count(('good', None))} of {len(states)} are good")
            self.stop(engine)

    def test_a_download_is_one_list_whole_while_others_take_its_place(self):
        requests = self.deploy_served("download", 200)
        engine = self.serve()
        certificates = self.issue(requests)
        ended, wrong, numbers = threading.Event(), [], []

        def download():
            while not ended.is_set():
                _, headers, body = self.get("/crl/issuing-1/0.crl")
                if headers["ETag"] != f'"{hashlib.sha256(body).hexdigest()}"':
                    wrong.append(headers["ETag"])
                numbers.append(Crl(body).number)
        thread = threading.Thread(target=download)
        thread.start()
        for at in range(0, 200, 10):
            self.orders(*[{"kind": "revoke", "serial": certificate.serial} for certificate in certificates[at:at + 10]])
            self.assertEqual(self.control("publish")["failed"], 0)
        ended.set()
        thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(numbers, sorted(numbers), "they do not go back")
        self.assertGreater(len(set(numbers)), 3)
        self.stop(engine)

    def begin_with_clock(self, name, count):
        """An engine that sees self.clock, and certificates."""
        requests = self.deploy_served(name, count)
        self.clock = Clock(self.deployment.folder)
        engine = self.serve(self.clock.variables)
        return engine, self.issue(requests)

    def test_an_entry_that_has_ended_leaves_after_one_more_list_and_is_revoked_for_ever(self):
        engine, (certificate,) = self.begin_with_clock("ended", 1)
        self.order("revoke", serial=certificate.serial, reason="superseded")
        number = self.wait_listed(certificate, "superseded").number
        self.stop(engine)
        self.clock.set(366 * DAY_S)
        engine = self.serve(self.clock.variables)
        after = wait_until(lambda: (crl := self.crl(certificate)).number > number and crl, 20, "the list is made anew")
        self.assertEqual(after.entries, {certificate.serial: "superseded"})
        self.control("publish")
        self.assertEqual(self.crl(certificate).entries, {})
        self.assertEqual(self.ask_ocsp(certificate.serial).singles, [("revoked", 4)])
        self.stop(engine)

    def test_lists_answers_and_the_responder_are_renewed_as_time_goes_by(self):
        engine, (certificate,) = self.begin_with_clock("renewed", 1)
        before, answer = self.crl(certificate), self.ask_ocsp(certificate.serial)
        for days in (5, 20):
            self.clock.pass_to(days * DAY_S, self.look_at_the_clock)
            after = wait_until(lambda b=before: (crl := self.crl(certificate)).number > b.number and crl, 20, "a new list")
            self.assertGreater(after.next_update, before.next_update)
            renewed = wait_until(lambda a=answer: (new := self.ask_ocsp(certificate.serial)).status == ocsp.SUCCESSFUL
                                 and new.this_update > a.this_update and new, 20, "a new answer")
            before, last, answer = after, answer, renewed
        wait_until(lambda: self.certificates_of_responders() == 2, 20, "the responder has another certificate")
        self.assertEqual(last.key_hash, answer.key_hash, "its key stays")
        self.stop(engine)

    def look_at_the_clock(self):
        """The engine and its signer, in order to answer."""
        self.status()
        self.ask_ocsp("11", nonce=os.urandom(16))

    def certificates_of_responders(self):
        store = sqlite3.connect(f"file:{self.deployment.store}?mode=ro", uri=True)
        (count,) = store.execute("SELECT COUNT(*) FROM certificate JOIN device ON device.number = certificate.device"
                                 " WHERE device.id = 'ocsp-responder/issuing-1'").fetchone()
        store.close()
        return count

    def test_while_the_clock_is_behind_nothing_is_signed_and_what_is_ordered_is_published_when_it_is_right(self):
        engine, (revoked, unasked) = self.begin_with_clock("behind", 2)
        self.clock.set(7200)
        (young,) = self.issue([Request("behind-young", "behind-0", make_csrs(1)[0])])
        self.assertEqual(self.ask_ocsp(revoked.serial).state, "good")
        before = self.crl(revoked)
        self.clock.set(3600)
        self.assertEqual(self.ask_ocsp(unasked.serial).status, ocsp.TRY_LATER)
        outcomes = self.orders({"kind": "revoke", "serial": revoked.serial}, {"kind": "revoke", "serial": young.serial})
        self.assertEqual([outcome["code"] for outcome in outcomes], ["", ""])
        self.assertEqual(self.ask_ocsp(revoked.serial).status, ocsp.TRY_LATER)
        self.assertEqual(self.control("publish")["published"], 0)
        self.assertEqual(self.crl(revoked).data, before.data)
        self.clock.set(7200)
        self.wait_listed(revoked, "unspecified")
        wait_until(lambda: self.ask_ocsp(revoked.serial).status == ocsp.SUCCESSFUL, 20, "it signs")
        self.assertEqual([self.ask_ocsp(one.serial).state for one in (revoked, unasked, young)], ["revoked", "good", "revoked"])
        self.stop(engine)


if __name__ == "__main__":
    served.main()
