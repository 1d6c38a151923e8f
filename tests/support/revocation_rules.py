"""The checker's rules about revocations: once it was answered, it is never forgotten.

The first ones look at the store alone; the others at what relying parties saw (trail.Trail), and find nothing where there
is none.
"""
import functools
import hashlib
import os
import subprocess
import tempfile

import der

HOLD, REMOVED = 6, 8
BARRED = ("quarantined", "retired")


def revoked_serials(store):
    return {row[2] for row in store.revocations if row[3] != REMOVED}


def rule_barred_devices_hold_nothing(evidence):
    """No device that is in quarantine, or retired, has a certificate that counts."""
    revoked = revoked_serials(evidence.store)
    for number, tail, _, device, *_ in evidence.store.certificates:
        serial = (number.to_bytes(8, "big") + tail).hex()
        if evidence.store.device_states.get(device) in BARRED and serial not in revoked:
            yield f"{serial} counts, and its device {evidence.store.devices.get(device)} is not allowed any more"


def rule_revocations_counted(evidence):
    """The totals, and each revision once and none behind the last."""
    store = evidence.store
    if store.revocation_totals[0] != len(store.revocations):
        yield f"the totals say {store.revocation_totals[0]} revocations, there are {len(store.revocations)}"
    if max((row[0] for row in store.revocations), default=0) > store.revocation_totals[1]:
        yield "a revocation has a revision behind the last one"


def rule_orders_are_recorded(evidence):
    """What was answered `done` is in the store."""
    revoked = revoked_serials(evidence.store)
    for standing in evidence.trail.standings:
        if standing.until is None and standing.serial not in revoked:
            yield f"the revocation of {standing.serial} was answered and is not in the store"


def complete_by_number(trail):
    return {(version.path, version.crl.number): version for version in trail.versions if not version.is_delta}


def shows(version, serial, complete):
    """With a delta goes the list that it is based on; None: that one was not seen."""
    if serial in version.crl.entries:
        return version.crl.entries[serial] != "removeFromCRL"
    if not version.is_delta:
        return False
    base = complete.get((version.complete_path, version.crl.base_number))
    return serial in base.crl.entries if base else None


def rule_lists_show_it(evidence):
    """Every list of the certificate's shard that was made after the answer shows the revocation."""
    complete = complete_by_number(evidence.trail)
    for standing in evidence.trail.standings:
        path = evidence.paths.get(standing.serial)
        for version in evidence.trail.versions:
            if version.complete_path == path and standing.holds_for(version, evidence.list_delay_s) \
                    and shows(version, standing.serial, complete) is False:
                yield f"{version.path} number {version.crl.number} does not show {standing.serial}, which was revoked before"


def rule_lists_whole(evidence):
    """Nobody ever found a part of a list; nothing unfinished stays behind."""
    yield from evidence.trail.torn
    for folder, _, names in os.walk(evidence.trail.folder):
        for name in names:
            if name.endswith(".unfinished"):
                yield f"{os.path.join(folder, name)} was left behind"


@functools.lru_cache(maxsize=None)
def verifies(encoding, issuer):
    """A list, against the certificate of its issuer in a file."""
    with tempfile.NamedTemporaryFile(prefix="certmill-crl-") as file:
        file.write(encoding)
        file.flush()
        done = subprocess.run(["openssl", "crl", "-inform", "DER", "-in", file.name, "-CAfile", issuer, "-noout"],
                              capture_output=True, check=False)
    return b"verify OK" in done.stderr + done.stdout


def rule_lists_verify(evidence):
    """Each list that was seen has the signature of its issuer, as OpenSSL sees it."""
    if not evidence.authorities:
        return
    for version in evidence.trail.versions:
        if not verifies(version.crl.data, os.path.join(evidence.authorities, "issuing.pem")):
            yield f"{version.path} number {version.crl.number} does not verify"


def by_path(trail):
    found = {}
    for version in trail.versions:
        found.setdefault(version.path, []).append(version)
    return found


def rule_numbers_grow(evidence):
    """From one list to the next the number grows, and thisUpdate does not go back."""
    for path, versions in by_path(evidence.trail).items():
        for before, after in zip(versions, versions[1:]):
            if after.crl.number <= before.crl.number and after.crl.data != before.crl.data:
                yield f"{path} has number {after.crl.number} after number {before.crl.number}"
            if after.this_update < before.this_update:
                yield f"{path} number {after.crl.number} has a thisUpdate before that of {before.crl.number}"


def tbs_hash(encoding):
    return hashlib.sha256(der.children(der.read(encoding)[1])[0][2]).digest()


def rule_lists_are_recorded(evidence):
    """No list has a number that the store does not know of; the last number is that of just one list."""
    rows = {(shard, bool(is_delta)): (number, tbs) for shard, is_delta, number, tbs in evidence.store.crls}
    for version in evidence.trail.versions:
        shard = int(os.path.basename(version.complete_path)[:-len(".crl")])
        number, tbs = rows.get((shard, version.is_delta), (0, b""))
        if version.crl.number > number:
            yield f"{version.path} has number {version.crl.number}, the store knows of {number}"
        elif version.crl.number == number and tbs_hash(version.crl.data) != tbs:
            yield f"{version.path} number {number} is not the one that was recorded"


def rule_entries_stay(evidence):
    """An entry goes when its certificate was taken back, or had ended when a list still showed it."""
    taken_back = {standing.serial: standing.until for standing in evidence.trail.standings if standing.until is not None}
    ends = evidence.ends
    for path, versions in by_path(evidence.trail).items():
        for before, after in zip(versions, versions[1:]):
            if after.is_delta:
                continue
            for serial in before.crl.entries.keys() - after.crl.entries.keys():
                is_back = serial in taken_back and taken_back[serial] < after.written
                if not is_back and ends.get(serial, float("inf")) >= before.this_update:
                    yield f"{path} number {after.crl.number} does not show {serial} any more"


def rule_ocsp_never_good(evidence):
    """Who asks after the answer, and is answered before it is taken back, is not told `good`; what was issued is never unknown."""
    since = {}
    for standing in evidence.trail.standings:
        since.setdefault(standing.serial, []).append(standing)
    for sighting in evidence.trail.sightings:
        if sighting.state == "unknown":
            yield f"OCSP did not know {sighting.serial}"
        elif sighting.state == "good" and any(standing.holds_during(sighting.asked, sighting.answered)
                                              for standing in since.get(sighting.serial, ())):
            yield f"OCSP said good of {sighting.serial}, which was revoked before"


def rule_lists_in_the_end(evidence):
    """The last list of each shard shows what the store says, no more and no less."""
    if not evidence.is_settled:
        return
    revoked, shown = revoked_serials(evidence.store), set()
    for path, version in evidence.trail.latest().items():
        if not version.is_delta:
            shown |= version.crl.entries.keys()
            for serial in version.crl.entries.keys() - revoked:
                yield f"{path} shows {serial}, which the store does not"
    for serial in revoked - shown:
        yield f"{serial} is revoked in the store and in no list"


OF_STORE = (rule_barred_devices_hold_nothing, rule_revocations_counted)
OF_TRAIL = (rule_orders_are_recorded, rule_lists_show_it, rule_lists_whole, rule_lists_verify, rule_numbers_grow,
            rule_lists_are_recorded, rule_entries_stay, rule_ocsp_never_good, rule_lists_in_the_end)
