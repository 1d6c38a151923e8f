"""What every peer is given: the same requests and an authority of the same kind; and what is made of its certificates."""
import base64
import os
import re
import subprocess

import deployment

# The head of a SubjectPublicKeyInfo of P-256; the point, 65 octets, follows.
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
SAMPLE = 100  # certificates of a run that openssl verifies
SPARE = 40    # requests beyond those of the runs, for single ones
DAYS = 365


def run(*command, **options):
    """What it printed on standard output; a RuntimeError with what it said when it failed."""
    done = subprocess.run(command, capture_output=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:4])} ...: " + " ".join(done.stderr.decode(errors="replace").split())[-300:])
    return done.stdout


def to_pem(der, label="CERTIFICATE REQUEST"):
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


def from_pem(text):
    """DER of its first certificate; None without one."""
    found = re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END", text, re.DOTALL)
    return base64.b64decode(found[1]) if found else None


def read_certificate(path):
    """None where there is no file, or no certificate in it."""
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return from_pem(file.read())


def point(der):
    """The public key of a request or a certificate."""
    at = der.index(SPKI) + len(SPKI)
    return der[at:at + 65]


class Request:
    def __init__(self, folder, device, der):
        self.device, self.der, self.pem = device, der, to_pem(der)
        self.path = os.path.join(folder, device + ".csr")
        with open(self.path, "w", encoding="ascii") as file:
            file.write(self.pem)


class Fleet:
    """P-256 requests, in memory and as files FOLDER/NAME.csr. requests are for the runs, spare for single ones; the signature
    of forged is not that of its key."""

    def __init__(self, folder, count):
        os.mkdir(folder)
        made = deployment.make_csrs(count + SPARE + 1)
        made[-1] = made[-1][:-1] + bytes([made[-1][-1] ^ 1])
        found = [Request(folder, f"device-{number}", der) for number, der in enumerate(made)]
        self.requests, self.spare, self.forged = found[:count], found[count:-1], found[-1]

    def devices(self):
        return [request.device for request in (*self.requests, *self.spare, self.forged)]


def make_authority(folder):
    """ca.key (PKCS#8) and ca.pem in the folder: P-256, self-signed."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
        "-out", "ca.pem", "-subj", "/CN=Peer CA", "-days", "3650", "-addext", "keyUsage=critical,keyCertSign,cRLSign", cwd=folder)


def judge(folder, requests, certificates, root, between=None):
    """None when each request has a certificate for its key, all differ, and a sample verifies; else what is wrong."""
    missing = {point(request.der) for request in requests} - {point(der) for der in certificates}
    if missing:
        return f"{len(missing)} of {len(requests)} requests have no certificate"
    if len(set(certificates)) != len(requests):
        return f"{len(set(certificates))} certificates for {len(requests)} requests"
    paths = []
    for number, der in enumerate(certificates[::max(1, len(certificates) // SAMPLE)]):
        paths.append(os.path.join(folder, f"sample-{number}.pem"))
        with open(paths[-1], "w", encoding="ascii") as file:
            file.write(to_pem(der, "CERTIFICATE"))
    try:
        run("openssl", "verify", "-CAfile", root, *(["-untrusted", between] if between else []), *paths)
    except RuntimeError as error:
        return f"certificates do not verify: {error}"
    return None
