"""The oracle: from what was asked, what was published and what the store holds it decides whether promises were kept.

It shares no code with the engine: SQLite through Python, certificates through a DER reader of its own and `openssl
verify`. The rules hold for a store whose engine has stopped. Each rule is a function that yields violations; the rules are
listed in RULES, and tests/faults/checker_test.py breaks each of them on purpose. Rules about revocations are in
revocation_rules.py, and tests/faults/trail_checker_test.py breaks those.
"""
import functools
import hashlib
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import tempfile

import chain
import der
import revocation_rules

ITEM_SIZE, LOG_ITEM_SIZE, KEY_SIZE, SERIAL_SIZE = 68, 24, 16, 20


def request_key(requester, id):
    return hashlib.sha256(requester.encode() + b"\0" + id.encode()).digest()[:KEY_SIZE]


def logged_requests(db):
    """The rows of the log that stand in the index not yet: [(key, certificate or None, refusal or None)]"""
    moved_until = dict(db.execute("SELECT stretch, moved_until FROM request_stretch"))
    found = []
    for number, items in db.execute("SELECT number, items FROM request_log"):
        for at in range(0, len(items), LOG_ITEM_SIZE):
            key, answer = items[at:at + KEY_SIZE], int.from_bytes(items[at + KEY_SIZE:at + LOG_ITEM_SIZE], "big", signed=True)
            if number > moved_until.get(key[0], 0):
                found.append((key, answer if answer > 0 else None, -answer if answer < 0 else None))
    return found


def listed_certificates(db):
    """[(device, certificate)] as the log and the runs that count have them."""
    rows = list(db.execute("SELECT items FROM device_log UNION ALL"
                           " SELECT items FROM device_run, total WHERE run <= device_runs"))
    return [struct.unpack_from(">qq", items, at) for items, in rows for at in range(0, len(items), 16)]


def head_of_log(path):
    """It changes when the log begins anew, and what it had is in the database then."""
    try:
        with open(path + "-wal", "rb") as file:
            return file.read(32)
    except FileNotFoundError:
        return b""


def copy_store(path, copy):
    """The log beside it is replayed into the copy, and the engine's files stay as they are. One may be running: then the copy
    is as of some moment."""
    while True:
        head = head_of_log(path)
        shutil.copy(path, copy)
        with open(copy + "-wal", "wb") as log:
            if head:
                with open(path + "-wal", "rb") as file:
                    shutil.copyfileobj(file, log)
        if head_of_log(path) == head:
            return


class Store:
    """A copy of the store's tables, read at once."""

    def __init__(self, path):
        with tempfile.TemporaryDirectory(prefix="certmill-store-") as folder:
            copy_store(path, os.path.join(folder, "copy.db"))
            db = sqlite3.connect(os.path.join(folder, "copy.db"))
            self.integrity = [row[0] for row in db.execute("PRAGMA integrity_check")]
            self.certificates = db.execute("SELECT number, serial_tail, digest, device, generation, key_fingerprint,"
                                           " not_after, audit FROM certificate").fetchall()
            self.ders = db.execute("SELECT number, der FROM certificate_der").fetchall()
            self.requests = db.execute("SELECT key, certificate, refusal FROM request").fetchall() + logged_requests(db)
            self.refusals = db.execute("SELECT number, code, message FROM refusal").fetchall()
            self.intents = db.execute("SELECT number, created_ms, generation, items FROM intent").fetchall()
            self.abandoned = db.execute("SELECT number, serial_tail, generation, audit FROM abandoned").fetchall()
            self.revoked = db.execute("SELECT generation, serial FROM revocation WHERE reason <> 8").fetchall()
            self.listed = listed_certificates(db)
            self.audit = db.execute("SELECT number, time_ms, kind, actor, detail, digest, previous, hash FROM audit"
                                    " ORDER BY number").fetchall()
            self.checkpoints = db.execute("SELECT number, audit, hash, time_ms, previous, spki, sigalg, signature"
                                          " FROM checkpoint ORDER BY number").fetchall()
            self.devices = dict(db.execute("SELECT number, id FROM device"))
            self.device_states = dict(db.execute("SELECT number, state FROM device"))
            self.revocations = db.execute("SELECT revision, generation, lower(hex(serial)), reason, revoked_s, not_after"
                                          " FROM revocation").fetchall()
            self.crls = db.execute("SELECT shard, is_delta, number, tbs_hash FROM crl").fetchall()
            self.revocation_totals = db.execute("SELECT revocations, last_revision FROM total").fetchone()
            self.totals = db.execute("SELECT devices, certificates, refusals, abandoned, audit_rows, last_number"
                                     " FROM total").fetchone()
            db.close()

    def certificate_serials(self):
        return [row[0].to_bytes(8, "big") + row[1] for row in self.certificates]

    def abandoned_serials(self):
        return [row[0].to_bytes(8, "big") + row[1] for row in self.abandoned]

    def own_numbers(self):
        """Certificates that nobody asked for: the engine's own responders'."""
        return {row[0] for row in self.certificates if self.devices.get(row[3], "").startswith("ocsp-responder/")}

    def intent_items(self):
        """[(intent number, request key, serial)]"""
        return [(number, items[at:at + KEY_SIZE], items[at + KEY_SIZE:at + KEY_SIZE + SERIAL_SIZE])
                for number, _, _, items in self.intents for at in range(0, len(items), ITEM_SIZE)]


class Evidence:
    """What the rules look at. open_keys: request keys whose intent may be open, since they never came again; trail: what
    relying parties saw; is_settled: the last lists have everything; list_delay_s: from an answer to its lists."""

    def __init__(self, requests, publications, store, authorities=None, open_keys=(), trail=None, is_settled=False,
                 list_delay_s=0):
        self.requests = requests
        self.publications = publications
        self.store = store
        self.authorities = authorities  # folder with root.pem and issuing.pem; None: signatures are not looked at
        self.open_keys = set(open_keys)
        self.trail, self.is_settled, self.list_delay_s = trail, is_settled, list_delay_s
        self.by_id = {}
        for request in requests:
            self.by_id.setdefault(request.id, []).append(request)
        self.answers = {}
        for publication in publications:
            self.answers.setdefault(publication.get("id", b"").decode("latin-1"), []).append(publication)

    @functools.cached_property
    def paths(self):
        """{serial in hex: path of its shard's list below the published folder}"""
        certificates = [der.Certificate(encoding) for _, encoding in self.store.ders]
        return {one.serial.hex(): one.crl_path for one in certificates if one.crl_path}

    @functools.cached_property
    def ends(self):
        """{serial in hex: the Unix second after which it does not count any more}"""
        return {(row[0].to_bytes(8, "big") + row[1]).hex(): row[6] for row in self.store.certificates}

    def is_reused(self, id):
        """Asked for with different content, on purpose."""
        return len({(request.device, request.csr, request.profile, request.serial) for request in self.by_id.get(id, ())}) > 1


def rule_answered(evidence):
    """Every request has an answer, and it is the one that was expected."""
    for request in evidence.requests:
        found = evidence.answers.get(request.id)
        if not found:
            yield f"{request.id} has no answer"
        elif request.expect:
            words = {publication.get("code", publication["status"]).decode() for publication in found}
            if request.expect not in words:
                yield f"{request.id} was answered {sorted(words)}, expected {request.expect}"


def rule_answered_once(evidence):
    """All publications about one request are the same to the octet."""
    for id, found in evidence.answers.items():
        final = [publication for publication in found
                 if not (evidence.is_reused(id) and publication.get("code") == b"request.id-reused")]
        if any(publication != final[0] for publication in final[1:]):
            yield f"{id} was answered in {len(final)} publications that differ"


def rule_nobody_unasked(evidence):
    """Nobody is answered who did not ask."""
    for id in evidence.answers:
        if id not in evidence.by_id:
            yield f"an answer for {id!r}, which nobody asked for"


def rule_published_is_recorded(evidence):
    """A certificate in an answer is in the store, under its request."""
    ders = dict(evidence.store.ders)
    certificates = {key: ders.get(number) for key, number, _ in evidence.store.requests if number}
    for id, found in evidence.answers.items():
        for publication in found:
            if publication["status"] != b"issued" or id not in evidence.by_id:
                continue
            key = request_key(evidence.by_id[id][0].requester, id)
            if certificates.get(key) != publication["certificate"]:
                yield f"the certificate published for {id} is not the one that the store has for it"


def rule_recorded_is_published(evidence):
    """A certificate in the store was published."""
    published = {publication["certificate"] for publication in evidence.publications if "certificate" in publication}
    own = evidence.store.own_numbers()
    for number, encoding in evidence.store.ders:
        if encoding not in published and number not in own:
            yield f"certificate {number} is in the store and was never published"


def rule_one_certificate_a_request(evidence):
    """A request id has one row, and a certificate one request."""
    keys = [row[0] for row in evidence.store.requests]
    numbers = [row[1] for row in evidence.store.requests if row[1]]
    if len(set(keys)) != len(keys):
        yield "a request key stands twice in the store"
    if len(set(numbers)) != len(numbers):
        yield "two requests share a certificate"
    if sorted(numbers) != sorted(row[0] for row in evidence.store.certificates):
        yield "not every certificate belongs to exactly one request"


def rule_serials_unique(evidence):
    """No serial twice, among certificates and abandoned promises, in rows and in the certificates themselves."""
    rows = evidence.store.certificate_serials() + evidence.store.abandoned_serials()
    inside = [der.Certificate(encoding).serial for _, encoding in evidence.store.ders]
    if len(set(rows)) != len(rows):
        yield "a serial stands twice among certificates and abandoned promises"
    if len(set(inside)) != len(inside):
        yield "two certificates carry the same serial"
    if sorted(inside) != sorted(evidence.store.certificate_serials()):
        yield "serials in rows and in certificates differ"


def rule_right_owner(evidence):
    """A certificate is for the device and the key that asked."""
    devices = {row[0]: evidence.store.devices.get(row[3]) for row in evidence.store.certificates}
    ders = dict(evidence.store.ders)
    numbers = {key: number for key, number, _ in evidence.store.requests if number}
    for id, requests in evidence.by_id.items():
        number = numbers.get(request_key(requests[0].requester, id))
        if not number or number not in ders or evidence.is_reused(id):
            continue
        if devices.get(number) != requests[0].device:
            yield f"the certificate of {id} is recorded for device {devices.get(number)}"
        if der.Certificate(ders[number]).spki != der.csr_spki(requests[0].csr):
            yield f"the certificate of {id} is for another key"


def verify_files(paths, root, issuers):
    """Names of the files that `openssl verify` does not accept."""
    bad, untrusted = [], [word for path in issuers for word in ("-untrusted", path)]
    for at in range(0, len(paths), 500):
        done = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", root, *untrusted,
                               *paths[at:at + 500]], capture_output=True, check=False, text=True)
        good = {line[:-4] for line in done.stdout.splitlines() if line.endswith(": OK")}
        bad += [path for path in paths[at:at + 500] if path not in good]
    return bad


def rule_signatures(evidence):
    """Every certificate in the store verifies against its issuer."""
    if not evidence.authorities:
        return
    with tempfile.TemporaryDirectory(prefix="certmill-verify-") as folder:
        paths = []
        for number, encoding in evidence.store.ders:
            paths.append(os.path.join(folder, f"{number}.der"))
            with open(paths[-1], "wb") as file:
                file.write(encoding)
        issuers = [os.path.join(evidence.authorities, name) for name in sorted(os.listdir(evidence.authorities))]
        for path in verify_files(paths, os.path.join(evidence.authorities, "root.pem"), issuers):
            yield f"certificate {os.path.basename(path)[:-4]} does not verify"


def rule_intents_closed(evidence):
    """No intent is open, but for requests that never came again; an open one's serials are not used."""
    used = set(evidence.store.certificate_serials() + evidence.store.abandoned_serials())
    for number, key, serial in evidence.store.intent_items():
        if key not in evidence.open_keys and serial not in used:
            yield f"intent {number} is open without a reason"
    for number in {row[0] for row in evidence.store.intents}:
        items = [item for item in evidence.store.intent_items() if item[0] == number]
        if all(serial in used for _, _, serial in items):
            yield f"intent {number} is open, though all its serials are accounted for"


def rule_audit_chain(evidence):
    """Audit rows are numbered without gaps, each hash is right and is the next row's previous."""
    previous = bytes(32)
    for position, row in enumerate(evidence.store.audit):
        if row[0] != position + 1:
            yield f"audit row {position + 1} is missing"
            return
        if row[6] != previous:
            yield f"audit row {row[0]} does not follow the row before it"
        if chain.row_hash(row) != row[7]:
            yield f"audit row {row[0]} is not what its hash says"
        previous = row[7]


def rule_audit_counts(evidence):
    """What the audit log says was issued and abandoned is what there is."""
    details = [json.loads(row[4]) for row in evidence.store.audit if row[2] in ("issue", "abandon")]
    details += [{json.loads(row[4])["outcome"]: 1} for row in evidence.store.audit if row[2] == "ocsp-responder"]
    for word, there in (("issued", len(evidence.store.certificates)), ("abandoned", len(evidence.store.abandoned))):
        said = sum(detail.get(word, 0) for detail in details)
        if said != there:
            yield f"the audit log says {said} {word}, the store has {there}"


def rule_audit_roots(evidence):
    """What was recorded names its audit row, and that row's digest is the root over all of it."""
    ders = dict(evidence.store.ders)
    entries = {}
    for row in sorted(evidence.store.certificates):
        entries.setdefault(row[7], []).append(ders.get(row[0], b""))
    for number, tail, generation, audit in sorted(evidence.store.abandoned):
        entries.setdefault(audit, []).append(chain.abandoned_entry(number.to_bytes(8, "big") + tail, generation))
    rows = {row[0]: row for row in evidence.store.audit}
    for audit, there in entries.items():
        if audit not in rows:
            yield f"{len(there)} certificates and abandoned serials name audit row {audit}, which is not there"
        elif rows[audit][5] != chain.root(there):
            yield f"the digest of audit row {audit} is not the root over its {len(there)} entries"


def rule_audit_checkpoints(evidence):
    """Checkpoints follow each other, each is signed, and is over a row that is there with this hash."""
    hashes = {row[0]: row[7] for row in evidence.store.audit}
    previous, last = bytes(32), 0
    for position, (number, audit, hash, time_ms, before, spki, sigalg, signature) in enumerate(evidence.store.checkpoints):
        message = chain.checkpoint_message(number, audit, hash, time_ms, before)
        if number != position + 1 or before != previous or audit <= last:
            yield f"checkpoint {position + 1} is missing, or another does not follow it"
            return
        if sigalg != "ecdsa-with-sha256" or not chain.is_signed(spki, message, signature):
            yield f"checkpoint {number} is not signed"
        if hashes.get(audit) != hash:
            yield f"row {audit} has not the hash that checkpoint {number} is over"
        previous, last = chain.sha256(message), audit


def rule_store_sound(evidence):
    """SQLite finds nothing wrong, and the totals are those of the tables."""
    store = evidence.store
    if store.integrity != ["ok"]:
        yield f"the database is damaged: {store.integrity[:3]}"
    there = (len(store.devices), len(store.certificates), len(store.refusals), len(store.abandoned), len(store.audit))
    if store.totals[:5] != there:
        yield f"totals are {store.totals[:5]}, the tables hold {there}"
    highest = max([row[0] for row in store.certificates + store.abandoned], default=0)
    if store.totals[5] < highest:
        yield f"the highest number is {highest}, the totals say {store.totals[5]}"


def rule_abandoned_revoked(evidence):
    """A serial that was given up is revoked."""
    revoked = set(evidence.store.revoked)
    for number, tail, generation, _ in evidence.store.abandoned:
        if (generation, number.to_bytes(8, "big") + tail) not in revoked:
            yield f"the abandoned serial {number} is not revoked"


def rule_listed_by_device(evidence):
    """Each certificate is found by its device, once."""
    if sorted(evidence.store.listed) != sorted((row[3], row[0]) for row in evidence.store.certificates):
        yield "certificates by device are not the certificates that there are"


RULES = (rule_answered, rule_answered_once, rule_nobody_unasked, rule_published_is_recorded, rule_recorded_is_published,
         rule_one_certificate_a_request, rule_serials_unique, rule_right_owner, rule_signatures, rule_intents_closed,
         rule_audit_chain, rule_audit_counts, rule_audit_roots, rule_audit_checkpoints, rule_store_sound, rule_abandoned_revoked, rule_listed_by_device)


def violations(evidence):
    """["rule: what is wrong", ...]; empty when all is well."""
    rules = RULES + revocation_rules.OF_STORE + (revocation_rules.OF_TRAIL if evidence.trail else ())
    return [f"{rule.__name__[5:]}: {text}" for rule in rules for text in rule(evidence)]


def check(backend, deployment, open_keys=(), **words):
    """Raises an AssertionError with the violations, if there are any. The engine has stopped. words: as of Evidence."""
    backend.collect()
    evidence = Evidence(backend.requests, backend.publications, Store(deployment.store),
                        os.path.join(deployment.folder, "ca"), open_keys, **words)
    found = violations(evidence)
    if found:
        raise AssertionError(f"{len(found)} violations:\n" + "\n".join(found[:20]))
    return evidence
