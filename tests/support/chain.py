"""The audit log's arithmetic, once more and without certmill: row hashes, Merkle trees (RFC 6962, 2.1), checkpoints."""
import hashlib
import os
import subprocess
import tempfile

CONTEXT = b"certmill audit checkpoint v1\0"


def sha256(octets):
    return hashlib.sha256(octets).digest()


def row_hash(row):
    """row: number, time_ms, kind, actor, detail, digest, previous, ..."""
    number, time_ms, kind, actor, detail, digest, previous = row[:7]
    octets = previous + number.to_bytes(8, "big") + time_ms.to_bytes(8, "big", signed=True)
    for text in (kind, actor, detail):
        octets += len(text.encode()).to_bytes(4, "big") + text.encode()
    return sha256(octets + digest)


def abandoned_entry(serial, generation):
    """serial: all its 20 octets."""
    return b"abandoned\0" + generation.to_bytes(8, "big") + serial


def left(count):
    """The largest power of two below count."""
    return 1 << (count - 1).bit_length() - 1


def leaf_hash(entry):
    return sha256(b"\0" + entry)


def root(entries):
    if not entries:
        return sha256(b"")
    if len(entries) == 1:
        return leaf_hash(entries[0])
    middle = left(len(entries))
    return sha256(b"\1" + root(entries[:middle]) + root(entries[middle:]))


def proof(entries, index):
    """The hashes beside the way from the leaf up."""
    if len(entries) == 1:
        return []
    middle = left(len(entries))
    if index < middle:
        return proof(entries[:middle], index) + [root(entries[middle:])]
    return proof(entries[middle:], index - middle) + [root(entries[:middle])]


def root_by_proof(entry, index, count, hashes):
    """What the root has to be for this proof to be one; None: it is none for a place among so many."""
    hash, at, last, hashes = leaf_hash(entry), index, count - 1, list(hashes)
    while last:
        if at % 2 or at != last:
            if not hashes:
                return None
            beside = hashes.pop(0)
            hash = sha256(b"\1" + beside + hash) if at % 2 else sha256(b"\1" + hash + beside)
        at, last = at // 2, last // 2
    return None if hashes else hash


def checkpoint_message(number, audit, hash, time_ms, previous):
    return (CONTEXT + number.to_bytes(8, "big") + audit.to_bytes(8, "big") + hash + time_ms.to_bytes(8, "big", signed=True)
            + previous)


def is_signed(spki, message, signature):
    """ECDSA with SHA-256, by OpenSSL's word."""
    with tempfile.TemporaryDirectory(prefix="certmill-chain-") as folder:
        paths = [os.path.join(folder, name) for name in ("spki", "message", "signature")]
        for path, octets in zip(paths, (spki, message, signature)):
            with open(path, "wb") as file:
                file.write(octets)
        words = ["openssl", "dgst", "-sha256", "-verify", paths[0], "-keyform", "DER", "-signature", paths[2], paths[1]]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
