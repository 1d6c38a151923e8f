"""Requests as a backend makes them, a record of what was asked, and the answers that came."""
import time

from deployment import make_csrs, wait_until
from redis_client import RedisError


class Request:
    """One entry of the request stream. expect: "issued", a refusal code, or None where both are right."""

    serial = None  # of a renewal

    def __init__(self, id, device, csr, requester="local", profile=None, expect="issued", extra=()):
        self.id, self.device, self.csr = id, device, csr
        self.requester, self.profile, self.expect, self.extra = requester, profile, expect, tuple(extra)

    def fields(self):
        words = []
        for name, value in (("id", self.id), ("requester", self.requester), ("device", self.device),
                            ("csr", self.csr), ("profile", self.profile), *self.extra):
            if value is not None:
                words += [name, value]
        return words


class Renewal(Request):
    """A request for another certificate, of the one with this serial (hex) or of the device's newest."""

    def __init__(self, id, device, csr, serial=None, extra=(), **options):
        super().__init__(id, device, csr, extra=(("op", "renew"), ("serial", serial), *extra), **options)
        self.serial = serial


class Order:
    """One order in the request stream. more: its other fields, names and values by turns."""
    csr = profile = serial = None

    def __init__(self, id, op, *more, requester="local", expect="done"):
        self.id, self.op, self.more = id, op, more
        self.requester, self.expect = requester, expect
        self.device = dict(zip(more[::2], more[1::2])).get("device")

    def fields(self):
        return ["op", self.op, "id", self.id, "requester", self.requester, *self.more]


def packed(requests):
    """The fields of one entry that carries several requests; each comes as its own fields."""
    return [word for number, fields in enumerate(requests, 1)
            for name, value in zip(fields[::2], fields[1::2]) for word in (f"{name}.{number}", value)]


def unpacked(fields):
    """The results of one entry, {field: value} each: one, or several with their numbers; what has none is for all."""
    shared, numbered = {}, {}
    for name, value in fields.items():
        plain, dot, number = name.partition(".")
        if dot:
            numbered.setdefault(int(number), {})[plain] = value
        else:
            shared[plain] = value
    return [{**shared, **numbered[number]} for number in sorted(numbered)] or [shared]


def fleet(count, name, key_type="p256", **options):
    """Requests of devices NAME-0, NAME-1, ... with a new key each."""
    csrs = make_csrs(count, key_type, name)
    return [Request(f"{name}-id-{i}", f"{name}-{i}", csrs[i], **options) for i in range(count)]


class Backend:
    """Pushes requests and gathers every publication on the result streams."""

    def __init__(self, deployment):
        self.deployment = deployment
        self.prefix = deployment.prefix
        self.client = deployment.redis.client()
        self.requests = []
        self.publications = []  # {field: bytes}, in the order of arrival
        self.entries_read = 0  # of the result streams: one may hold several of them
        self.answered_s = {}  # {id: since when its first answer is there, by Redis's clock}
        self.per_entry = 1  # requests that are pushed in one entry
        self._last = {}

    def reconnect(self):
        self.client.close()
        self.client = self.deployment.redis.client()

    def push(self, requests, again=False):
        if not again:
            self.requests += requests
        fields = [request.fields() for request in requests]
        if self.per_entry > 1:
            fields = [packed(fields[at:at + self.per_entry]) for at in range(0, len(fields), self.per_entry)]
        self.push_raw(fields)

    def push_raw(self, entries):
        stream = self.prefix + ":requests"
        self.client.pipeline([["XADD", stream, "*", *fields] for fields in entries])

    def push_slowly(self, requests, chunk=40, pause_s=0.005):
        for at in range(0, len(requests), chunk):
            self.push(requests[at:at + chunk])
            time.sleep(pause_s)

    def collect(self, requester="local"):
        """Takes over what was published since the last time; returns all publications."""
        stream = f"{self.prefix}:results:{requester}"
        rows = self.client.call("XRANGE", stream, "(" + self._last[stream] if stream in self._last else "-", "+")
        for number, fields in rows:
            self._last[stream] = number.decode()
            entry = {fields[i].decode(): fields[i + 1] for i in range(0, len(fields), 2)}
            self.entries_read += 1
            for publication in unpacked(entry):
                self.publications.append(publication)
                id = publication.get("id", b"").decode("latin-1")
                # Redis tells the millisecond that it was written in: who asks in the same one may have asked before.
                self.answered_s.setdefault(id, (int(number.partition(b"-")[0]) + 1) / 1000)
        return self.publications

    def forget_streams(self):
        """After a FLUSHALL the streams begin again."""
        self._last = {}

    def answers(self):
        """{id: [publication, ...]}"""
        found = {}
        for publication in self.collect():
            found.setdefault(publication.get("id", b"").decode("latin-1"), []).append(publication)
        return found

    def missing(self):
        answers = self.answers()
        return [request.id for request in self.requests if request.id not in answers]

    def wait_answered(self, timeout_s=20):
        def describe():
            missing = self.missing()
            return f"{len(missing)} of {len(self.requests)} requests have an answer missing, such as {missing[:3]}"
        wait_until(lambda: not self.missing(), timeout_s, describe, step_s=0.02)

    def wait_publications(self, count, timeout_s=20):
        wait_until(lambda: len(self.collect()) >= count, timeout_s,
                   lambda: f"{len(self.publications)} publications, expected {count}")

    def pending_entries(self):
        """Entries in the request stream, delivered or not."""
        return self.client.call("XLEN", self.prefix + ":requests")

    def pending(self):
        """(entries in the request stream, entries delivered and not acknowledged; None without a group)"""
        stream = self.prefix + ":requests"
        try:
            delivered = self.client.call("XPENDING", stream, self.prefix)[0]
        except RedisError:
            delivered = None
        return self.client.call("XLEN", stream), delivered

    def wait_empty(self, timeout_s=20):
        wait_until(lambda: self.pending() == (0, 0), timeout_s,
                   lambda: f"(entries in the stream, pending) are {self.pending()}", step_s=0.02)
