"""JSON web keys for tests that use the openssl command: to PEM and back, and signatures checked."""
import functools
import os
import subprocess

import der
from deployment import scratch
from keyvault import from_base64url, to_base64url

OID_EC, OID_RSA = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06092a864886f70d010101")
# name: (OID of the curve, octets of a coordinate)
CURVES = {"P-256": (bytes.fromhex("06082a8648ce3d030107"), 32), "P-384": (bytes.fromhex("06052b81040022"), 48),
          "P-521": (bytes.fromhex("06052b81040023"), 66)}
HASHES = {"256": "sha256", "384": "sha384", "512": "sha512"}


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], input=data, check=True, capture_output=True).stdout


# --- DER ---

def element(tag, *contents):
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def integer(data):
    value = int.from_bytes(data, "big")
    return element(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def spki(jwk):
    """SubjectPublicKeyInfo of a public JWK."""
    if jwk["kty"].startswith("EC"):
        oid, size = CURVES[jwk["crv"]]
        x, y = from_base64url(jwk["x"]), from_base64url(jwk["y"])
        assert len(x) == len(y) == size
        return element(0x30, element(0x30, OID_EC, oid), element(0x03, b"\0\4", x, y))
    key = element(0x30, integer(from_base64url(jwk["n"])), integer(from_base64url(jwk["e"])))
    return element(0x30, element(0x30, OID_RSA, b"\5\0"), element(0x03, b"\0", key))


def public_pem(jwk):
    """The path of a file."""
    return pem_file(spki(jwk))


@functools.cache
def pem_file(encoding):
    path = os.path.join(scratch(), "public.pem")
    openssl("pkey", "-pubin", "-inform", "DER", "-out", path, data=encoding)
    return path


# --- signatures ---

def is_signed(jwk, alg, digest, signature):
    """What the openssl command says of a signature as Key Vault gives it."""
    folder = scratch()
    words = ["-pkeyopt", "digest:" + HASHES[alg[2:]]]
    if alg.startswith("ES"):
        half = CURVES[jwk["crv"]][1]
        if len(signature) != 2 * half:
            return False
        signature = element(0x30, integer(signature[:half]), integer(signature[half:]))
    if alg.startswith("PS"):
        words += ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"]
    paths = [os.path.join(folder, name) for name in ("digest", "signature")]
    for path, data in zip(paths, (digest, signature)):
        with open(path, "wb") as file:
            file.write(data)
    done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public_pem(jwk), "-in", paths[0],
                           "-sigfile", paths[1], *words], capture_output=True, check=False)
    return done.returncode == 0


# --- private keys ---

def new_pkcs8(kind):
    """DER of a new key: P-256, P-384, P-521, or the bits of RSA's modulus."""
    words = ["RSA", "-pkeyopt", f"rsa_keygen_bits:{kind}"]
    if kind in CURVES:
        words = ["EC", "-pkeyopt", "ec_paramgen_curve:" + kind, "-pkeyopt", "ec_param_enc:named_curve"]
    return openssl("pkcs8", "-topk8", "-nocrypt", "-outform", "DER", data=openssl("genpkey", "-algorithm", *words))


def private_jwk(pkcs8):
    """The JWK with its private members."""
    _, algorithm, wrapped = [(inner, whole) for _, inner, whole in der.children(der.read(pkcs8)[1])][:3]
    parts = der.children(der.read(wrapped[0])[1])
    if OID_RSA in algorithm[1]:
        names = ("n", "e", "d", "p", "q", "dp", "dq", "qi")
        return {"kty": "RSA", **{name: to_base64url(inner.lstrip(b"\0"))
                                 for name, (_, inner, _) in zip(names, parts[1:9])}}
    crv, size = next((crv, size) for crv, (oid, size) in CURVES.items() if oid in algorithm[1])
    point = der.read(next(inner for tag, inner, _ in parts if tag == 0xA1))[1][2:]
    return {"kty": "EC", "crv": crv, "x": to_base64url(point[:size]), "y": to_base64url(point[size:]),
            "d": to_base64url(parts[1][1])}


def transfer_blob(kek, pkcs8, **changes):
    """A BYOK transfer blob as `key_hsm` takes it; kek: the key exchange key's public JWK with its kid."""
    folder = scratch()
    aes = os.urandom(32)
    wrapped = openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", public_pem(kek), "-pkeyopt", "rsa_padding_mode:oaep",
                      "-pkeyopt", "rsa_oaep_md:sha1", data=aes)
    target = os.path.join(folder, "target")
    with open(target, "wb") as file:
        file.write(pkcs8)
    wrapped += openssl("enc", "-e", "-id-aes256-wrap-pad", "-K", aes.hex(), "-iv", "A65959A6", "-in", target)
    file = {"schema_version": "1.0.0", "header": {"kid": kek["kid"], "alg": "dir", "enc": "CKM_RSA_AES_KEY_WRAP"},
            "ciphertext": to_base64url(wrapped), "generator": "certmill's tests", **changes}
    return file
