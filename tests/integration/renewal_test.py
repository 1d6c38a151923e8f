#!/usr/bin/env python3
"""Devices renew their certificates over the queue: whose, when, for which key, and from which generation."""
import os
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
import der
from backend import Order, Renewal, Request
from deployment import Clock, make_csrs

DAY_S = 86400
LIFE_DAYS = 365  # of a device-client
REVOKED = ("unspecified", "keyCompromise", "affiliationChanged", "cessationOfOperation", "certificateHold",
           "privilegeWithdrawn", "aACompromise")


class Renewals(case.Case):
    def begin(self, name, count, *group, clock=False):
        """Certificates of this many devices: self.requests, self.serials by device. group: lines of its settings."""
        self.requests = self.deploy(name, count)
        self.deployment.edit(r"(?m)^    # quota-per-day: .*$", "\n".join("    " + line for line in group))
        self.deployment.allow_orders()
        self.clock = Clock(self.deployment.folder)
        self.variables = self.clock.variables if clock else ()
        self.engine = self.start(variables=self.variables)
        self.ask(self.requests)
        self.serials = {request.device: self.answer(request)["serial"].decode() for request in self.requests}

    def restart(self, days=None):
        self.stop(self.engine)
        if days is not None:
            self.clock.set(days * DAY_S)
        self.engine = self.start(variables=self.variables)

    def ask(self, requests):
        self.backend.push(requests)
        self.backend.wait_answered()

    def answer(self, request):
        return self.backend.answers()[request.id][-1]

    def code(self, request):
        row = self.answer(request)
        return row.get("code", row["status"]).decode()

    def renew(self, codes):
        """codes: {request: expected}; what is expected of a request that is answered twice stands in each answer."""
        for request, code in codes.items():
            request.expect = code
        self.ask(list(codes))
        self.assertEqual({request.id: self.code(request) for request in codes},
                         {request.id: code for request, code in codes.items()})

    def finish_late(self, early=()):
        """As finish, of a clock that is ahead: certificates of the future do not verify today. early: requests that were
        told to come again."""
        self.backend.wait_empty()
        self.stop(self.engine)
        store = checker.Store(self.deployment.store)
        told = {request.id.encode() for request in early}
        final = [row for row in self.backend.collect() if row["id"] not in told or row.get("code") != b"renew.too-early"]
        evidence = checker.Evidence(self.backend.requests, final, store)
        self.assertEqual(checker.violations(evidence), [])

    def set_state(self, generation, state):
        """By another hand, while no engine runs."""
        store = sqlite3.connect(self.deployment.store)
        with store:
            store.execute("UPDATE generation SET state = ? WHERE authority = 'issuing' AND generation = ?", (state, generation))
        store.close()

    # --- whose

    def test_what_is_not_this_device_s_certificate_is_not_renewed(self):
        self.begin("whose", 4)
        self.deployment.add_devices(["whose-new"])
        csr = make_csrs(1)[0]
        mine, other = self.serials["whose-0"], self.serials["whose-1"]
        ours = self.deployment.query("SELECT number FROM certificate")[0][0].to_bytes(8, "big").hex()
        rows = [("whose-0", other, "renew.not-owned"), ("whose-0", mine[:-2] + "00", "renew.unknown"),
                ("whose-0", mine[:16], "renew.unknown"), ("whose-0", ours + "00" * 12, "renew.unknown"),
                ("whose-0", "01", "renew.unknown"), ("whose-0", "7f" * 20, "renew.unknown"),
                ("whose-0", "ff" * 20, "request.serial-invalid"), ("whose-0", "", "request.serial-invalid"),
                ("whose-0", "0" * 60000, "request.serial-invalid"), ("whose-0", mine + "00", "request.serial-invalid"),
                ("whose-0", mine + " ", "request.serial-invalid"), ("whose-0", b"\0", "request.serial-invalid"),
                ("whose-0", "0x" + mine, "request.serial-invalid"), ("whose-0", "1' OR 1=1 --", "request.serial-invalid"),
                ("whose-new", None, "renew.unknown"), ("whose-new", mine, "renew.not-owned"),
                ("nobody", None, "policy.device-not-allowed"), ("nobody", mine, "policy.device-not-allowed"),
                ("ocsp-responder/issuing-1", None, "policy.device-invalid"), ("", mine, "policy.device-invalid")]
        self.renew({Renewal(f"whose-{i}", device, csr, serial): code for i, (device, serial, code) in enumerate(rows)})
        self.renew({Renewal("zeros", "whose-0", csr, "000" + mine.upper()): "issued"})
        self.finish(self.engine)

    def test_a_renewal_says_what_it_must_and_nothing_else(self):
        self.begin("says", 1)
        csr = make_csrs(1)[0]
        self.renew({Renewal("says-1", "says-0", None): "request.field-missing",
                    Renewal("says-2", None, csr): "request.field-missing",
                    Renewal("says-3", "says-0", csr, extra=(("reason", "superseded"),)): "request.field-invalid",
                    Renewal("says-4", "says-0", csr, extra=(("why", ""),)): "request.field-invalid",
                    Renewal("says-5", "says-0", csr[:-1]): "der.truncated",
                    Request("says-6", "says-0", csr, extra=(("serial", self.serials["says-0"]),)): "request.field-invalid"})
        self.finish(self.engine)

    def test_whoever_may_have_no_certificate_may_not_renew_one(self):
        self.begin("barred", 3)
        self.ask([Order("hold", "quarantine", "device", "barred-0"), Order("gone", "retire", "device", "barred-1")])
        csrs = make_csrs(3)
        self.renew({Renewal(f"barred-{i}", f"barred-{i}", csrs[i]): code
                    for i, code in enumerate(("policy.device-state", "policy.device-state", "issued"))})
        self.finish(self.engine)

    def test_a_requester_renews_where_its_settings_say_so(self):
        self.begin("may", 1)
        self.stop(self.engine)
        self.deployment.edit(r"operations: \[.*\]", "operations: [issue]")
        self.engine = self.start()
        csr = make_csrs(1)[0]
        self.renew({Renewal("may-1", "may-0", csr): "policy.operation-not-allowed"})
        self.stop(self.engine)
        self.deployment.edit(r"operations: \[.*\]", "operations: [renew]")
        self.engine = self.start()
        self.renew({Renewal("may-2", "may-0", csr): "issued",
                    Request("may-3", "may-0", csr): "policy.operation-not-allowed"})
        self.finish(self.engine)

    # --- revoked

    def test_what_is_revoked_or_on_hold_is_not_renewed(self):
        self.begin("revoked", len(REVOKED) + 3)
        reasons = [*REVOKED, "superseded", "cACompromise"]
        self.ask([Order(f"revoke-{i}", "revoke", "serial", self.serials[f"revoked-{i}"], "reason", reason)
                  for i, reason in enumerate(reasons)])
        csrs = make_csrs(2 * len(reasons))
        for named in (False, True):
            self.renew({Renewal(f"named-{named}-{i}", f"revoked-{i}", csrs[2 * i + named],
                                self.serials[f"revoked-{i}"] if named else None):
                        "renew.revoked" if reason in REVOKED else "issued" for i, reason in enumerate(reasons)})
        held = REVOKED.index("certificateHold")
        self.ask([Order("lift", "reinstate", "serial", self.serials[f"revoked-{held}"])])
        self.renew({Renewal("lifted", f"revoked-{held}", make_csrs(1)[0]): "issued"})
        self.finish(self.engine)

    def test_a_key_that_was_lost_is_not_certified_again(self):
        """By way of another certificate of the device, which is good."""
        self.begin("lost", 1)
        first, again = self.requests[0], Request("again", "lost-0", self.requests[0].csr)
        self.ask([again])
        self.ask([Order("lose", "revoke", "serial", self.answer(again)["serial"].decode(), "reason", "keyCompromise")])
        self.renew({Renewal("lost-1", "lost-0", first.csr, self.serials["lost-0"]): "key.blocked",
                    Renewal("lost-2", "lost-0", make_csrs(1)[0], self.serials["lost-0"]): "issued"})
        self.finish(self.engine)

    # --- when

    def test_before_the_window_it_is_too_early_and_in_it_the_same_id_is_right(self):
        self.begin("window", 2, "renewal-window: 30d", clock=True)
        csrs = make_csrs(2)
        early = [Renewal(f"early-{i}", f"window-{i}", csrs[i], self.serials[f"window-{i}"] if i else None) for i in range(2)]
        self.renew({request: "renew.too-early" for request in early})
        self.restart(days=LIFE_DAYS - 31)
        self.backend.push(early, again=True)
        self.backend.wait_publications(6)
        self.assertEqual({self.code(request) for request in early}, {"renew.too-early"})
        self.restart(days=LIFE_DAYS - 29)
        for request in early:
            request.expect = None  # first the one, then the other
        self.backend.push(early, again=True)
        self.backend.wait_publications(8)
        self.assertEqual({self.code(request) for request in early}, {"issued"})
        self.renew({Renewal("next", "window-0", make_csrs(1)[0]): "renew.too-early"})
        self.finish_late(early)

    def test_after_its_end_a_certificate_is_renewed_as_long_as_the_group_says(self):
        self.begin("ended", 2, "renewal-window: 30d", clock=True)
        self.restart(days=LIFE_DAYS + 3)
        csrs = make_csrs(4)
        self.renew({Renewal("ended-1", "ended-0", csrs[0]): "renew.expired",
                    Renewal("ended-2", "ended-0", csrs[0], self.serials["ended-0"]): "renew.expired"})
        self.deployment.edit(r"(?m)^    renewal-window: 30d$", r"\g<0>" + "\n    renew-after-expiry: 7d")
        self.restart()
        self.renew({Renewal("ended-3", "ended-0", csrs[1]): "issued"})
        self.restart(days=LIFE_DAYS + 8)
        self.renew({Renewal("ended-4", "ended-1", csrs[2]): "renew.expired"})
        self.finish_late()

    # --- for which key

    def test_the_group_says_which_key(self):
        self.begin("same", 2, "renewal-key: same")
        first = self.requests[0]
        self.renew({Renewal("same-1", "same-0", make_csrs(1)[0]): "renew.same-key-required",
                    Renewal("same-2", "same-0", self.requests[1].csr): "renew.same-key-required",
                    Renewal("same-3", "same-0", first.csr): "issued"})
        self.stop(self.engine)
        self.deployment.edit("renewal-key: same", "renewal-key: new")
        self.engine = self.start()
        new = make_csrs(1)[0]
        self.renew({Renewal("new-1", "same-0", first.csr): "renew.new-key-required",
                    Renewal("new-2", "same-0", self.requests[1].csr): "key.reused",
                    Renewal("new-3", "same-0", new): "issued"})
        self.renew({Renewal("new-4", "same-0", first.csr): "renew.new-key-required"})  # not of the newest, yet used before
        self.finish(self.engine)

    def test_a_key_of_another_device_is_refused_and_with_reuse_key_no_one_s_own(self):
        self.begin("clone", 2)
        self.renew({Renewal("clone-1", "clone-0", self.requests[1].csr): "key.reused",
                    Renewal("clone-2", "clone-0", self.requests[0].csr): "issued"})
        self.deployment.edit(r"(?m)^    profiles: \[device-client.*$", r"\g<0>" + "\n    reuse-key: no")
        self.restart()
        self.renew({Renewal("clone-3", "clone-0", self.requests[0].csr): "key.reused",
                    Renewal("clone-4", "clone-0", make_csrs(1)[0]): "issued"})
        self.finish(self.engine)

    # --- which, and by whom

    def test_the_same_id_gets_the_same_certificate_to_the_octet(self):
        self.begin("again", 20)
        csrs = make_csrs(20)
        renewals = [Renewal(f"again-{i}", f"again-{i}", csrs[i], self.serials[f"again-{i}"] if i % 2 else None)
                    for i in range(20)]
        self.renew({request: "issued" for request in renewals})
        self.restart()
        self.backend.push(renewals, again=True)
        self.backend.wait_publications(60)
        for request in renewals:
            self.assertEqual(len({row["certificate"] for row in self.backend.answers()[request.id]}), 1)
        others = [Renewal("again-1", "again-1", csrs[1], None, expect=None), Renewal("again-2", "again-2", csrs[2],
                                                                                    self.serials["again-2"], expect=None)]
        self.backend.push(others)
        self.backend.wait_publications(62)
        self.assertEqual([row["code"] for row in self.backend.publications[60:]], [b"request.id-reused"] * 2)
        evidence = self.finish(self.engine)
        self.assertEqual(len(evidence.store.certificates), 40)

    def test_without_a_serial_it_is_the_newest_of_the_profile(self):
        """The newest of all, a server's, has just been issued; the client's is due."""
        self.begin("profile", 1, "renewal-window: 30d", clock=True)
        self.restart(days=LIFE_DAYS - 10)
        csrs = make_csrs(4)
        self.ask([Request("server", "profile-0", csrs[0], profile="device-server")])
        self.renew({Renewal("server-2", "profile-0", csrs[1], profile="device-server"): "renew.too-early",
                    Renewal("gateway-2", "profile-0", csrs[1], profile="gateway"): "renew.unknown",
                    Renewal("client-2", "profile-0", csrs[2]): "issued"})
        self.renew({Renewal("client-3", "profile-0", csrs[3]): "renew.too-early",
                    Renewal("client-4", "profile-0", csrs[3], self.serials["profile-0"]): "issued"})
        self.finish_late()

    def test_who_leaves_a_generation_gets_its_certificate_from_the_active_one_at_once(self):
        self.begin("leave", 6, "renewal-window: 30d")
        csrs = make_csrs(6)
        self.renew({Renewal("leave-0", "leave-0", csrs[0]): "renew.too-early"})
        self.stop(self.engine)
        self.deployment.run("ca", "create", "issuing", "--beside", "--key", "file:next.pem")
        for i, state in enumerate(("retiring", "retired", "compromised")):
            self.set_state(1, state)
            self.engine = self.start()
            named, unnamed = Renewal(f"{state}-1", f"leave-{2 * i}", csrs[2 * i], self.serials[f"leave-{2 * i}"]), \
                Renewal(f"{state}-2", f"leave-{2 * i + 1}", csrs[2 * i + 1])
            self.renew({named: "issued", unnamed: "issued"})
            self.assertEqual({self.answer(request)["issuer"] for request in (named, unnamed)}, {b"issuing-2"})
            self.renew({Renewal(f"{state}-3", f"leave-{2 * i}", make_csrs(1)[0]): "renew.too-early"})
            self.stop(self.engine)
        self.set_state(1, "retiring")
        self.engine = self.start()
        evidence = self.finish(self.engine)
        issuers = {der.Certificate(certificate).issuer for _, certificate in evidence.store.ders}
        self.assertEqual(len(issuers), 2)


if __name__ == "__main__":
    case.main()
