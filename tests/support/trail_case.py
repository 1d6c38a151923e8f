"""The frame of tests that order revocations while something goes wrong, and of what relying parties see meanwhile."""
import json
import threading
import time

import checker
import der
import revocation_rules
from backend import Order
from deployment import free_port, wait_until
from served import Served
from trail import Trail


class Issued:
    """A certificate that an order can be about."""

    def __init__(self, request, encoding):
        self.device, self.certificate = request.device, der.Certificate(encoding)
        self.serial = self.certificate.serial.hex()


class Orders:
    """Orders about each certificate by turns, in the background, through the queue and the control socket; whatever happens
    to the engine, each is asked for until it is answered."""

    def __init__(self, test_case, issued, per_s=40):
        self.case, self.issued, self.pause_s = test_case, issued, 1 / per_s
        self.queued = {}  # {id: serial}
        self.held, self.refused = [], []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def is_running(self):
        return self.thread.is_alive()

    def _run(self):
        kinds = (self._revoke_by_queue, self._revoke_by_socket, self._hold_by_queue, self._hold_for_a_while,
                 self._retire_by_socket)
        for number, one in enumerate(self.issued):
            kinds[number % len(kinds)](one)
            time.sleep(self.pause_s)
        for one in self.held:
            self.case.trail.taken_back([one.serial], time.time())
            self._tell(one, "reinstate", device=one.device)

    def _push(self, one, op, *more):
        order = Order(f"{op}-{one.serial}", op, *more)
        self.queued[order.id] = one.serial
        self.case.orders_backend.push([order])
        self.case.backend.requests.append(order)

    def _tell(self, one, kind, **more):
        while True:
            try:
                answer = self.case.control("orders", actor="operator:test", orders=[{"kind": kind, **more}])
            except (OSError, json.JSONDecodeError):  # it has been killed, or is not there yet
                time.sleep(0.01)
                continue
            if answer.get("orders"):  # else it stops, or the store could not be written
                break
            time.sleep(0.01)
        if answer["orders"][0]["code"]:
            self.refused.append(answer["orders"][0])
        if kind != "reinstate":
            self.case.trail.revoked([one.serial], time.time())

    def _revoke_by_queue(self, one):
        self._push(one, "revoke", "serial", one.serial, "reason", "keyCompromise")

    def _revoke_by_socket(self, one):
        self._tell(one, "revoke", serial=one.serial)

    def _hold_by_queue(self, one):
        self._push(one, "quarantine", "device", one.device)

    def _hold_for_a_while(self, one):
        self._tell(one, "quarantine", device=one.device)
        self.held.append(one)

    def _retire_by_socket(self, one):
        self._tell(one, "retire", device=one.device)

    def end(self, timeout_s=60):
        """Every order is answered."""
        self.thread.join(timeout_s)
        assert not self.thread.is_alive(), "orders are not answered"
        # One that was carried out, and killed before its answer, is refused when it is asked for again: not on hold.
        assert all(row["code"] == "revoke.not-on-hold" for row in self.refused), self.refused
        self.case.backend.wait_answered(timeout_s)
        for id, serial in self.queued.items():
            self.case.trail.revoked([serial], self.case.backend.answered_s[id])


class TrailCase(Served):
    variables = ()  # of the engines' environment

    def start(self, fault=None, wait=True, variables=()):
        return super().start(fault, wait, {**dict(self.variables), **dict(variables)})

    def begin(self, name, count, **options):
        """As deploy_served, with a requester that may order and a trail that does not watch yet."""
        requests = self.deploy_served(name, count, port=free_port(), **options)
        self.deployment.allow_orders()
        self.orders_backend = type(self.backend)(self.deployment)
        self.addCleanup(lambda: self.orders_backend.client.close())
        self.trail = Trail(self.path("public"))
        self.addCleanup(self.trail.end)
        return requests

    def issue_all(self, requests, timeout_s=20):
        """What orders can be about."""
        self.backend.push(requests)
        self.backend.wait_answered(timeout_s)
        answers = self.backend.answers()
        self.issued = [Issued(request, answers[request.id][0]["certificate"]) for request in requests]
        return self.issued

    def watch(self, asks=True):
        self.trail.watch()
        if asks:
            self.trail.ask(self.issuer, self.port, [one.serial for one in self.issued])

    def unsettled(self):
        """Serials that the store and the last lists do not agree about."""
        revoked = {serial for (serial,) in self.deployment.query("SELECT lower(hex(serial)) FROM revocation WHERE reason <> ?",
                                                                 revocation_rules.REMOVED)}
        lists = [version for version in self.trail.latest().values() if not version.is_delta]
        return revoked ^ {serial for version in lists for serial in version.crl.entries}

    def wait_settled(self, timeout_s=20):
        wait_until(lambda: not self.unsettled(), timeout_s, lambda: f"the lists and the store agree about {self.unsettled()}",
                   step_s=0.05)

    def ask_all(self):
        """OCSP, about each certificate until it is answered: where deadlines are short one is told to come later."""
        for one in self.issued:
            wait_until(lambda serial=one.serial: self.trail.ask_once(self.issuer, self.port, serial) in ("good", "revoked"), 20,
                       f"OCSP tells of {one.serial}")

    def conclude(self, engine, open_keys=()):
        """Everything is answered and listed; the checker agrees with what everybody saw."""
        self.wait_settled()
        self.ask_all()
        self.backend.wait_answered()
        self.backend.wait_empty()
        self.stop(engine)
        self.trail.end()
        return checker.check(self.backend, self.deployment, open_keys, trail=self.trail, is_settled=True)
