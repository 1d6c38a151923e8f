#!/usr/bin/env python3
"""Writes the catalogue of certificate requests, good and bad, with the code that each must get.

    tests/data/csr/generate.py            rewrites the files beside it and expected.tsv

Keys are drawn anew on every run, so the files change; the codes must not. Needs only Python's
standard library and the openssl command. Names of files begin with the row of the catalogue:
D (DER), C (structure), N (subject), S (alternative names), K (keys), P (proof of possession),
M (PEM), G (good).
"""
import base64
import hashlib
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = []


def put(name, data, code="ok"):
    assert name not in [row[0] for row in ROWS], name
    with open(os.path.join(HERE, name), "wb") as file:
        file.write(data)
    ROWS.append((name, code))


# --- DER ---------------------------------------------------------------------------------------


def length(size):
    if size < 0x80:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def tlv(tag, content):
    return bytes([tag]) + length(len(content)) + content


def seq(*parts):
    return tlv(0x30, b"".join(parts))


def set_of(*parts):
    return tlv(0x31, b"".join(sorted(parts)))


def integer(value):
    size = value.bit_length() // 8 + 1 if value >= 0 else (value + 1).bit_length() // 8 + 1
    return tlv(2, value.to_bytes(size, "big", signed=True))


def oid_content(dotted):
    arcs = [int(arc) for arc in dotted.split(".")]
    out = b""
    for arc in [arcs[0] * 40 + arcs[1]] + arcs[2:]:
        chunk = [arc & 0x7F]
        while arc > 0x7F:
            arc >>= 7
            chunk.insert(0, 0x80 | (arc & 0x7F))
        out += bytes(chunk)
    return out


def oid(dotted):
    return tlv(6, oid_content(dotted))


def bits(octets, unused=0):
    return tlv(3, bytes([unused]) + octets)


def octets(content):
    return tlv(4, content)


def utf8(text):
    return tlv(0x0C, text if isinstance(text, bytes) else text.encode())


def printable(text):
    return tlv(0x13, text.encode())


NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"
CN, SERIAL, COUNTRY, ORG, UNIT, EMAIL = (
    "2.5.4.3", "2.5.4.5", "2.5.4.6", "2.5.4.10", "2.5.4.11", "1.2.840.113549.1.9.1")


def rdn(kind, value):
    return set_of(seq(oid(kind), value))


def name(*rdns):
    return seq(*rdns)


DEVICE = name(rdn(CN, utf8("dev-1")))

# --- keys --------------------------------------------------------------------------------------

SCRATCH = tempfile.TemporaryDirectory()


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, check=True, capture_output=True).stdout


class Key:
    """A key in a file, made by the openssl command."""

    def __init__(self, label, *args):
        self.path = os.path.join(SCRATCH.name, label)
        openssl("genpkey", *args, "-out", self.path)
        self.spki = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")

    def sign(self, message, alg):
        if alg == "ed25519":
            path = os.path.join(SCRATCH.name, "message")
            with open(path, "wb") as file:
                file.write(message)
            return openssl("pkeyutl", "-sign", "-inkey", self.path, "-rawin", "-in", path)
        if alg.startswith("pss-"):
            return openssl("dgst", "-" + alg[4:], "-sigopt", "rsa_padding_mode:pss", "-sigopt",
                           "rsa_pss_saltlen:digest", "-sign", self.path, data=message)
        return openssl("dgst", "-" + alg, "-sign", self.path, data=message)


DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


class RawRsa:
    """An RSA key from its primes, for keys that no tool would make."""

    def __init__(self, primes, exponent=65537):
        self.n, order = 1, 1
        for prime in primes:
            self.n *= prime
            order *= prime - 1
        self.d = pow(exponent, -1, order)
        self.spki = rsa_spki(self.n, exponent)

    def sign(self, message, _alg):
        size = (self.n.bit_length() + 7) // 8
        info = DIGEST_INFO + hashlib.sha256(message).digest()
        block = b"\x00\x01" + b"\xff" * (size - 3 - len(info)) + b"\x00" + info
        return pow(int.from_bytes(block, "big"), self.d, self.n).to_bytes(size, "big")


class NoKey:
    """A public key that nobody signs with: the signature is of the right form only."""

    def __init__(self, spki, signature=None):
        self.spki = spki
        self.signature = signature or seq(integer(1), integer(1))

    def sign(self, _message, _alg):
        return self.signature


def rsa_spki(n, e):
    return seq(seq(oid("1.2.840.113549.1.1.1"), NULL), bits(seq(integer(n), integer(e))))


def ec_spki(point, curve=oid("1.2.840.10045.3.1.7")):
    return seq(seq(oid("1.2.840.10045.2.1"), curve), bits(point))


P256 = Key("p256", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
P384 = Key("p384", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")
P521 = Key("p521", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521")
RSA = Key("rsa", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
ED25519 = Key("ed25519", "-algorithm", "ED25519")

ECDSA_SHA256 = seq(oid("1.2.840.10045.4.3.2"))
RSA_SHA256 = seq(oid("1.2.840.113549.1.1.11"), NULL)


def pss(hash_arc, salt, mgf_arc=None, trailer=b""):
    def alg(arc):
        return seq(oid("2.16.840.1.101.3.4.2.%d" % arc), NULL)
    return seq(oid("1.2.840.113549.1.1.10"),
               seq(tlv(0xA0, alg(hash_arc)),
                   tlv(0xA1, seq(oid("1.2.840.113549.1.1.8"), alg(mgf_arc or hash_arc))),
                   tlv(0xA2, integer(salt)), trailer))


# --- requests ----------------------------------------------------------------------------------


def info(subject=DEVICE, spki=None, attributes=b"\xa0\x00", version=b"\x02\x01\x00", extra=b""):
    return seq(version, subject, spki or P256.spki, attributes, extra)


def sign(signed, key=None, alg="sha256", sigalg=ECDSA_SHA256, extra=b"", signature=None):
    key = key or P256
    return seq(signed, sigalg, signature or bits(key.sign(signed, alg)), extra)


def attribute(kind, *values):
    return seq(oid(kind), set_of(*values))


def attributes(*items, is_sorted=True):
    return tlv(0xA0, b"".join(sorted(items) if is_sorted else items))


def extension(kind, value, critical=b""):
    return seq(oid(kind), critical, octets(value))


EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
CHALLENGE = "1.2.840.113549.1.9.7"


def with_extensions(*items, subject=DEVICE):
    request = attribute(EXTENSION_REQUEST, seq(*items))
    return sign(info(subject=subject, attributes=attributes(request)))


def with_attributes(*items, is_sorted=True):
    return sign(info(attributes=attributes(*items, is_sorted=is_sorted)))


def with_subject(*rdns):
    return sign(info(subject=name(*rdns)))


def with_cn(value):
    return with_subject(rdn(CN, value))


def with_sans(*names):
    return with_extensions(extension("2.5.29.17", seq(*names)))


def with_rsa(key, **more):
    return sign(info(spki=key.spki), key=key, sigalg=RSA_SHA256, **more)


def with_spki(spki, sigalg=ECDSA_SHA256, signature=None):
    key = NoKey(spki, signature)
    return sign(info(spki=spki), key=key, sigalg=sigalg)


def dns(text):
    return tlv(0x82, text if isinstance(text, bytes) else text.encode())


def pem(data, label="CERTIFICATE REQUEST", eol="\n", width=64, last="\n"):
    text = base64.b64encode(data).decode()
    lines = [text[i:i + width] for i in range(0, len(text), width)]
    return ("-----BEGIN %s-----%s" % (label, eol) + eol.join(lines) + eol
            + "-----END %s-----" % label + last).encode()


GOOD = sign(info())


def good():
    san = with_sans(dns("dev-1.example.com"), tlv(0x87, bytes([10, 0, 0, 1])),
                    tlv(0x86, b"spiffe://fleet.example/dev-1"), tlv(0x81, b"dev-1@example.com"),
                    dns("xn--bcher-kva.example"))
    put("G01-p256.der", GOOD)
    put("G02-p384.der", sign(info(spki=P384.spki), P384, "sha384", seq(oid("1.2.840.10045.4.3.3"))))
    put("G03-p521.der", sign(info(spki=P521.spki), P521, "sha512", seq(oid("1.2.840.10045.4.3.4"))))
    put("G04-rsa.der", with_rsa(RSA))
    put("G05-ed25519.der", sign(info(spki=ED25519.spki), ED25519, "ed25519", seq(oid("1.3.101.112"))))
    put("G06-rsa-pss.der", sign(info(spki=RSA.spki), RSA, "pss-sha256", pss(1, 32)))
    put("G07-alternative-names.der", san)
    put("G08-names-only-alternative.der", with_extensions(
        extension("2.5.29.17", seq(dns("dev-1.example.com")), TRUE), subject=name()))
    put("G09-usage.der", with_extensions(
        extension("2.5.29.15", bits(b"\x80", 7), TRUE), extension("2.5.29.19", seq(), TRUE),
        extension("2.5.29.37", seq(oid("1.3.6.1.5.5.7.3.2"))),
        extension("2.5.29.14", octets(bytes(20)))))
    put("G10-subject.der", with_subject(
        rdn(COUNTRY, printable("DE")), rdn(ORG, utf8("B\u00fccher \u6771\u4eac")),
        rdn(UNIT, utf8("a")), rdn(UNIT, utf8("b")), rdn(SERIAL, printable("SN-1 (2)")),
        rdn("0.9.2342.19200300.100.1.25", tlv(0x16, b"example")), rdn(CN, utf8("dev-1"))))
    put("G11-injection-text.der", with_cn(utf8("'; DROP TABLE x; -- %n ../ $(id) {\"a\":1}")))


def der_rows():
    body = GOOD[4:] if GOOD[1] == 0x82 else GOOD[3:]
    put("D01-empty.der", b"", "der.empty")
    put("D03-trailing-byte.der", GOOD + b"\x00", "der.trailing-data")
    put("D04-two-requests.der", GOOD + GOOD, "der.trailing-data")
    put("D05-indefinite-outer.der", b"\x30\x80" + body + b"\x00\x00", "der.indefinite-length")
    put("D06-indefinite-subject.der",
        sign(info(subject=b"\x30\x80" + DEVICE[2:] + b"\x00\x00")), "der.indefinite-length")
    put("D07-length-leading-zero.der",
        b"\x30\x83" + len(body).to_bytes(3, "big") + body, "der.length-not-minimal")
    put("D07-length-long-form.der",
        sign(info(subject=b"\x30\x81" + bytes([len(DEVICE) - 2]) + DEVICE[2:])),
        "der.length-not-minimal")
    put("D08-length-4g.der", b"\x30\x84\xff\xff\xff\xff" + body, "der.length-overflow")
    put("D09-length-reserved.der", b"\x30\xff" + body, "der.length-overflow")
    put("D10-set.der", b"\x31" + GOOD[1:], "der.unexpected-tag")
    put("D10-context.der", b"\xa0" + GOOD[1:], "der.unexpected-tag")
    certificate = openssl("req", "-x509", "-new", "-key", P256.path, "-subj", "/CN=x", "-outform",
                          "DER")
    put("D10-certificate.der", certificate, "csr.is-certificate")
    put("D11-extra-in-request.der", sign(info(), extra=NULL), "der.unexpected-tag")
    put("D11-extra-in-info.der", sign(info(extra=NULL)), "der.unexpected-tag")
    deep = b""
    for _ in range(3000):
        deep = seq(deep)
    put("D12-deep-attribute.der", with_attributes(attribute("1.2.3.4", deep)), "der.too-deep")
    put("D12-deep-extension.der", with_extensions(extension("2.5.29.17", deep)), "der.too-deep")
    put("D13-many-attributes.der",
        with_attributes(*[attribute("1.2.3.%d" % i, NULL) for i in range(9)]),
        "der.too-many-elements")
    put("D13-many-extensions.der",
        with_extensions(*[extension("1.2.3.%d" % i, NULL) for i in range(17)]),
        "der.too-many-elements")
    put("D15-version-00-00.der", sign(info(version=b"\x02\x02\x00\x00")), "der.integer-not-minimal")
    put("D16-boolean-01.der",
        with_extensions(extension("2.5.29.15", bits(b"\x80", 7), b"\x01\x01\x01")),
        "der.boolean-not-canonical")
    put("D17-critical-false.der",
        with_extensions(extension("2.5.29.15", bits(b"\x80", 7), b"\x01\x01\x00")),
        "der.default-encoded")
    usage = attribute(EXTENSION_REQUEST, seq(extension("2.5.29.15", bits(b"\x80", 7))))
    challenge = attribute(CHALLENGE, utf8("secret"))
    unsorted = sorted([usage, challenge], reverse=True)
    put("D18-unsorted-attributes.der", with_attributes(*unsorted, is_sorted=False))
    put("D19-signature-unused-bits.der",
        sign(info(), signature=bits(P256.sign(info(), "sha256")[:-1] + b"\x00", 1)),
        "der.bitstring-unused-bits")
    put("D20-key-unused-bits.der",
        with_spki(seq(seq(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")),
                      bits(P256.spki[-65:-1] + b"\x00", 1))), "der.bitstring-unused-bits")
    put("D21-constructed-string.der", with_cn(tlv(0x2C, utf8("dev-1"))), "der.string-constructed")
    for label, content, code in (("empty", b"", "der.oid-invalid"),
                                 ("leading-80", b"\x80\x55\x1d\x11", "der.oid-invalid"),
                                 ("cut-arc", b"\x55\x1d\x91", "der.oid-invalid"),
                                 ("long-arc", b"\x55" + b"\x81" * 8000 + b"\x01", "der.oid-too-long")):
        put("D22-oid-%s.der" % label,
            with_extensions(seq(tlv(6, content), octets(seq(dns("a"))))), code)
    put("D23-null-content.der",
        sign(info(), sigalg=seq(oid("1.2.840.10045.4.3.2"), b"\x05\x01\x00")),
        "der.unexpected-length")
    put("D23-boolean-empty.der", with_extensions(extension("2.5.29.15", bits(b"\x80", 7), b"\x01\x00")),
        "der.unexpected-length")
    put("D23-integer-empty.der", sign(info(version=b"\x02\x00")), "der.unexpected-length")
    put("D24-high-tag.der", with_cn(b"\x1f\x0c\x05dev-1"), "der.unexpected-tag")
    put("D25-zeros.der", bytes(300), "der.unexpected-tag")
    put("D25-text.der", b"hello, this is no request\n", "der.unexpected-tag")
    put("D25-gzip.der", bytes.fromhex("1f8b0800000000000003") + bytes(30), "der.unexpected-tag")
    put("D25-pkcs7.der", seq(oid("1.2.840.113549.1.7.2"), tlv(0xA0, seq(integer(1)))),
        "der.unexpected-tag")
    put("D25-pkcs12.der", seq(integer(3), seq(oid("1.2.840.113549.1.7.1"), tlv(0xA0, octets(b"x")))),
        "der.unexpected-tag")
    pkcs8 = openssl("pkcs8", "-topk8", "-nocrypt", "-in", P256.path, "-outform", "DER")
    put("D25-private-pkcs8.der", pkcs8, "csr.is-private-key")
    put("D25-private-encrypted.der",
        openssl("pkcs8", "-topk8", "-passout", "pass:x", "-in", P256.path, "-outform", "DER"),
        "csr.is-private-key")
    put("D25-private-sec1.der", seq(integer(1), octets(bytes(32))), "csr.is-private-key")
    put("D25-private-pkcs1.der", seq(*[integer(i) for i in (0, 15, 3, 3, 5, 3, 1, 1, 2)]),
        "csr.is-private-key")
    put("D26-utf16.der", "-----BEGIN".encode("utf-16"), "der.unexpected-tag")
    put("D26-hex.der", GOOD.hex().encode(), "der.unexpected-tag")
    put("D27-info-missing.der", seq(), "der.too-few-elements")
    put("D27-signature-missing.der", seq(info(), ECDSA_SHA256), "der.too-few-elements")


def structure_rows():
    def ext(kind, value=NULL, critical=b""):
        return with_extensions(extension(kind, value, critical))

    san = extension("2.5.29.17", seq(dns("a.example")))
    request = attribute(EXTENSION_REQUEST, seq(san))
    other = attribute(EXTENSION_REQUEST, seq(extension("2.5.29.17", seq(dns("b.example")))))
    challenge = attribute(CHALLENGE, utf8("secret"))
    put("C01-version-1.der", sign(info(version=integer(1))), "csr.version")
    put("C02-version-minus-1.der", sign(info(version=integer(-1))), "der.integer-negative")
    put("C03-version-512-bits.der", sign(info(version=integer(1 << 511))), "csr.version")
    put("C04-attributes-missing.der", sign(info(attributes=b"")))
    put("C05-attributes-tag.der", sign(info(attributes=b"\xa1\x00")), "der.unexpected-tag")
    put("C06-no-value.der", with_attributes(attribute(EXTENSION_REQUEST)), "csr.attr-value-count")
    put("C07-two-values.der", with_attributes(
        attribute(EXTENSION_REQUEST, seq(san), seq(extension("2.5.29.17", seq(dns("b.example")))))),
        "csr.attr-value-count")
    put("C08-two-requests.der", with_attributes(request, other), "csr.attr-duplicate")
    put("C09-microsoft.der", with_attributes(
        request, attribute("1.3.6.1.4.1.311.2.1.14", seq(san))), "csr.attr-not-allowed")
    put("C10-challenge.der", with_attributes(challenge, request))
    put("C10-challenge-universal.der", with_attributes(attribute(CHALLENGE, tlv(0x1C, b"secret"))),
        "csr.attr-not-allowed")
    put("C11-challenge-twice.der", with_attributes(challenge, attribute(CHALLENGE, utf8("other"))),
        "csr.attr-duplicate")
    put("C11-challenge-values.der", with_attributes(attribute(CHALLENGE, utf8("a"), utf8("b"))),
        "csr.attr-value-count")
    put("C12-unknown-attribute.der", with_attributes(attribute("1.2.3.4", NULL)),
        "csr.attr-not-allowed")
    put("C13-two-sans.der",
        with_extensions(san, extension("2.5.29.17", seq(dns("b.example")))), "csr.ext-duplicate")
    put("C14-ca.der", ext("2.5.29.19", seq(TRUE), TRUE), "csr.ext-ca-requested")
    put("C14-ca-path-length.der", ext("2.5.29.19", seq(TRUE, integer(0))), "csr.ext-ca-requested")
    put("C15-path-length-alone.der", ext("2.5.29.19", seq(integer(0))), "csr.ext-malformed")
    put("C15-ca-false-encoded.der", ext("2.5.29.19", seq(b"\x01\x01\x00")), "csr.ext-malformed")
    put("C16-cert-sign.der", ext("2.5.29.15", bits(b"\x04", 2)), "csr.ext-keyusage-not-allowed")
    put("C16-crl-sign.der", ext("2.5.29.15", bits(b"\x82", 1)), "csr.ext-keyusage-not-allowed")
    put("C17-usage-no-bits.der", ext("2.5.29.15", bits(b"")), "csr.ext-malformed")
    put("C17-usage-zero.der", ext("2.5.29.15", bits(b"\x00", 7)), "csr.ext-malformed")
    put("C17-usage-bit-9.der", ext("2.5.29.15", bits(b"\x80\x40", 6)), "csr.ext-malformed")
    put("C17-usage-unused-9.der", ext("2.5.29.15", bits(b"\x80", 9)), "csr.ext-malformed")
    put("C17-usage-trailing-zeros.der", ext("2.5.29.15", bits(b"\x80", 0)), "csr.ext-malformed")
    for label, purpose in (("any", "2.5.29.37.0"), ("ocsp", "1.3.6.1.5.5.7.3.9"),
                           ("code", "1.3.6.1.5.5.7.3.3"), ("time", "1.3.6.1.5.5.7.3.8")):
        put("C18-purpose-%s.der" % label,
            ext("2.5.29.37", seq(oid("1.3.6.1.5.5.7.3.2"), oid(purpose))), "csr.ext-eku-not-allowed")
    put("C19-purposes-empty.der", ext("2.5.29.37", seq()), "csr.ext-malformed")
    put("C20-unknown-critical.der", ext("1.2.3.4", NULL, TRUE), "csr.ext-critical-unknown")
    put("C21-unknown.der", ext("1.2.3.4"), "csr.ext-not-allowed")
    for label, kind in (("crldp", "2.5.29.31"), ("aia", "1.3.6.1.5.5.7.1.1"), ("policies", "2.5.29.32"),
                        ("constraints", "2.5.29.30"), ("aki", "2.5.29.35"),
                        ("sct", "1.3.6.1.4.1.11129.2.4.2"), ("poison", "1.3.6.1.4.1.11129.2.4.3"),
                        ("nocheck", "1.3.6.1.5.5.7.48.1.5")):
        put("C22-%s.der" % label, ext(kind, seq(), TRUE), "csr.ext-not-allowed")
    put("C23-key-identifier.der", ext("2.5.29.14", octets(bytes(20))))
    put("C24-trailing.der", ext("2.5.29.17", seq(dns("a.example")) + NULL), "csr.ext-malformed")
    put("C24-not-der.der", ext("2.5.29.17", b"\x30\x80\x82\x01a\x00\x00"), "csr.ext-malformed")
    put("C24-empty.der", ext("2.5.29.17", b""), "csr.ext-malformed")
    put("C25-template.der", ext("1.3.6.1.4.1.311.21.7", seq()), "csr.ext-not-allowed")
    put("C25-sid.der", ext("1.3.6.1.4.1.311.25.2", seq()), "csr.ext-not-allowed")
    put("C27-extensions-empty.der", with_extensions(), "der.too-few-elements")


def name_rows():
    put("N01-empty.der", with_subject(), "name.empty")
    put("N02-nul.der", with_cn(utf8("dev-1\0.evil")), "name.nul")
    put("N02-nul-printable.der", with_cn(printable("dev-1\0.evil")), "name.nul")
    for label, tag, value in (("bmp", 0x1E, "dev".encode("utf-16-be")), ("bmp-odd", 0x1E, b"\0d\0"),
                              ("universal", 0x1C, "dev".encode("utf-32-be")), ("t61", 0x14, b"dev"),
                              ("videotex", 0x15, b"dev"), ("graphic", 0x19, b"dev"),
                              ("ia5", 0x16, b"dev"), ("integer", 0x02, b"\x01")):
        put("N05-%s.der" % label, with_cn(tlv(tag, value)), "name.string-type")
    for label, text in (("at", "a@b"), ("star", "a*b"), ("underscore", "a_b"), ("amp", "a&b")):
        put("N06-printable-%s.der" % label, with_cn(printable(text)), "name.charset")
    for label, text in (("bad", b"a\xc3\x28"), ("ff", b"\xff"), ("overlong", b"\xc0\xaf"),
                        ("overlong-3", b"\xe0\x80\xaf"), ("surrogate", b"\xed\xa0\x80"),
                        ("above", b"\xf4\x90\x80\x80"), ("cut", b"a\xe2\x82")):
        put("N08-utf8-%s.der" % label, with_cn(utf8(text)), "name.utf8-invalid")
    for label, text in (("esc", "a\x1b[0m"), ("crlf", "a\r\nb"), ("del", "a\x7f"), ("c1", "a\x85b"),
                        ("line", "a\u2028b")):
        put("N09-control-%s.der" % label, with_cn(utf8(text)), "name.control-char")
    put("N10-bidi.der", with_cn(utf8("a\u202eb")), "name.bidi")
    put("N10-isolate.der", with_cn(utf8("a\u2066b")), "name.bidi")
    for label, text in (("zwsp", "a\u200bb"), ("bom", "\ufeffa"), ("tag", "a\U000e0041"),
                        ("shy", "a\u00adb")):
        put("N10-invisible-%s.der" % label, with_cn(utf8(text)), "name.invisible")
    put("N10-noncharacter.der", with_cn(utf8("a\ufdd0")), "name.charset")
    put("N11-64.der", with_cn(utf8("\u00e4" * 64)))
    put("N11-65.der", with_cn(utf8("a" * 65)), "name.too-long")
    put("N13-empty-value.der", with_cn(utf8("")), "name.empty")
    put("N13-space.der", with_cn(utf8(" ")), "name.whitespace")
    put("N13-leading.der", with_cn(utf8(" a")), "name.whitespace")
    put("N13-trailing.der", with_cn(utf8("a\u3000")), "name.whitespace")
    put("N14-country-3.der", with_subject(rdn(COUNTRY, printable("DEU"))), "name.too-long")
    put("N14-country-lower.der", with_subject(rdn(COUNTRY, printable("de"))), "name.charset")
    put("N14-country-utf8.der", with_subject(rdn(COUNTRY, utf8("DE"))), "name.string-type")
    put("N15-two-cn.der", with_subject(rdn(CN, utf8("dev-1")), rdn(CN, utf8("admin"))),
        "name.attr-duplicate")
    put("N16-multivalued.der", sign(info(subject=name(
        set_of(seq(oid(CN), utf8("a")), seq(oid(ORG), utf8("b")))))), "name.multivalued-rdn")
    put("N17-empty-rdn.der", sign(info(subject=name(set_of()))), "der.too-few-elements")
    put("N19-13-rdns.der", with_subject(*[rdn(UNIT, utf8("u%d" % i)) for i in range(13)]),
        "der.too-many-elements")
    put("N20-unknown.der", with_subject(rdn("1.2.3.4", utf8("x"))), "name.attr-not-allowed")
    put("N20-email.der", with_subject(rdn(EMAIL, tlv(0x16, b"a@b.example"))),
        "name.attr-not-allowed")


def san_rows():
    def one(label, item, code):
        put("%s.der" % label, with_sans(item), code)

    syntax = "san.dns-syntax"
    put("S01-none.der", with_sans(), "san.empty")
    for label, text in (("empty", ""), ("dot", "."), ("leading-dot", ".a"), ("trailing-dot", "a."),
                        ("two-dots", "a..b"), ("label-64", "a" * 64 + ".b"),
                        ("254", ".".join(["a" * 50] * 5)[:254]), ("11-labels", ".".join("abcdefghijk")),
                        ("underscore", "a_b.c"), ("hyphen-first", "-a.b"), ("hyphen-last", "a-.b"),
                        ("numeric", "12345"), ("ipv4", "10.0.0.1"), ("space", "a b"), ("colon", "a:80")):
        one("S02-dns-%s" % label, dns(text), syntax)
    one("S02-dns-longer", dns(".".join(["a" * 60] * 5)), syntax)
    one("S03-nul", dns(b"a\0.b"), "san.nul")
    one("S04-not-ascii", dns("\u00e4.b"), "san.not-ascii")
    for label, text in (("star", "*"), ("bare", "*."), ("middle", "a.*.b"), ("part", "f*o.b"),
                        ("two", "*.*.x"), ("plain", "*.example.com")):
        one("S06-wildcard-%s" % label, dns(text), "san.wildcard")
    one("S07-idn-ascii", dns("xn--abc-.example"), syntax)
    for label, text in (("upper", "XN--bcher-kva"), ("reserved", "ab--cd"), ("cut", "xn--0"),
                        ("overflow", "xn--99999999999"), ("above", "xn--99999b")):
        one("S07-idn-%s" % label, dns(text + ".example"), "san.idn-invalid")
    for size in (0, 5, 8, 32):
        one("S09-ip-%d" % size, tlv(0x87, bytes([10] * size)), "san.ip-length")
    for label, address in (("none", bytes(4)), ("loopback", bytes([127, 0, 0, 1])),
                           ("multicast", bytes([224, 0, 0, 1])), ("broadcast", b"\xff" * 4),
                           ("none-6", bytes(16)), ("loopback-6", bytes(15) + b"\x01"),
                           ("multicast-6", b"\xff\x02" + bytes(14)),
                           ("mapped", bytes(10) + b"\xff\xff\x0a\x00\x00\x01")):
        one("S10-ip-%s" % label, tlv(0x87, address), "san.ip-not-allowed")
    upn = tlv(0xA0, oid("1.3.6.1.4.1.311.20.2.3") + tlv(0xA0, utf8("admin@corp")))
    for label, item in (("upn", upn), ("directory", tlv(0xA4, DEVICE)), ("x400", tlv(0xA3, seq())),
                        ("edi", tlv(0xA5, b"")), ("registered", tlv(0x88, oid_content("1.2.3")))):
        one("S11-%s" % label, item, "san.type-not-allowed")
    for label, text in (("two-at", b"a@b@c.d"), ("control", b"a\x01@b.c"), ("none", b"a.b.c"),
                        ("local", b"@b.c"), ("domain", b"a@-b.c"), ("dots", b"a..b@c.d")):
        one("S12-email-%s" % label, tlv(0x81, text), "san.email-syntax")
    one("S12-email-idn", tlv(0x81, "\u00e4@b.c".encode()), "san.not-ascii")
    for label, text in (("relative", b"/a/b"), ("javascript", b"javascript:alert(1)"),
                        ("user", b"https://u:p@h/"), ("data", b"data:,x"), ("space", b"http://a b/"),
                        ("empty", b""), ("authority", b"http:///x"), ("digit", b"1http://a/")):
        one("S13-uri-%s" % label, tlv(0x86, text), "san.uri-syntax")
    put("S14-33.der", with_sans(*[dns("d%d.example" % i) for i in range(33)]), "san.too-many")
    put("S14-32.der", with_sans(*[dns("d%d.example" % i) for i in range(32)]))
    put("S15-duplicate.der", with_sans(dns("a.example"), dns("A.EXAMPLE")), "san.duplicate")
    put("S17-not-sequence.der", with_extensions(extension("2.5.29.17", utf8("a.example"))),
        "csr.ext-malformed")
    put("S18-last-of-32.der",
        with_sans(*[dns("d%d.example" % i) for i in range(31)], dns("a_b.example")), syntax)


# --- numbers for keys ----------------------------------------------------------------------------


def is_prime(n):
    for small in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        if n % small == 0:
            return n == small
    d, r = n - 1, 0
    while d % 2 == 0:
        d, r = d // 2, r + 1
    for _ in range(12):
        x = pow(random.randrange(2, n - 1), d, n)
        if x in (1, n - 1):
            continue
        for _ in range(r - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def is_usable(n):
    return (n - 1) % 65537 != 0 and is_prime(n)


def next_prime(n):
    n |= 1
    while not is_usable(n):
        n += 2
    return n


def random_prime(size):
    return next_prime(random.getrandbits(size) | 3 << (size - 2))


def roca_prime():
    product = 1
    for n in range(2, 702):
        if all(n % d for d in range(2, int(n ** 0.5) + 1)):
            product *= n
    while True:
        p = random.randrange((3 << 1022) // product, (1 << 1024) // product) * product \
            + pow(65537, random.getrandbits(100), product)
        if p.bit_length() == 1024 and is_usable(p):
            return p


def patterned_primes():
    p = random_prime(1024)
    return p, next_prime(int("c3" * 256, 16) // p)


def key_rows():
    odd = random.getrandbits(2048) | 1 << 2047 | 1
    wrong = bytes(255) + b"\x01"

    def rsa(label, n, e, code, signature=wrong):
        put("%s.der" % label, with_spki(rsa_spki(n, e), RSA_SHA256, signature), code)

    for size in (512, 1024, 2040, 2047, 2049, 16384):
        rsa("K01-rsa-%d" % size, random.getrandbits(size) | 1 << (size - 1) | 1, 65537, "key.rsa-size")
    for label, e in (("1", 1), ("3", 3), ("17", 17), ("0", 0), ("even", 65536), ("minus", -65537),
                     ("3000-bits", random.getrandbits(3000) | 1 << 2999 | 1)):
        rsa("K03-exponent-%s" % label, odd, e, "key.rsa-exponent")
    negative = seq(seq(oid("1.2.840.113549.1.1.1"), NULL),
                   bits(seq(tlv(2, odd.to_bytes(256, "big")), integer(65537))))
    put("K07-negative.der", with_spki(negative, RSA_SHA256, wrong), "key.rsa-negative")
    rsa("K08-zero", 0, 65537, "key.rsa-size")
    rsa("K08-one", 1, 65537, "key.rsa-size")
    rsa("K09-even", odd - 1, 65537, "key.rsa-modulus-even")
    put("K10-factor-3.der", with_rsa(RawRsa([3, random_prime(2046)])), "key.rsa-small-factor")
    put("K10-factor-751.der", with_rsa(RawRsa([751, random_prime(2038)])), "key.rsa-small-factor")
    p = random_prime(1024)
    put("K12-close-primes.der", with_rsa(RawRsa([p, next_prime(p + 2)])), "key.rsa-close-primes")
    put("K12-close-100.der", with_rsa(RawRsa([p, next_prime(p + (1 << 516))])),
        "key.rsa-close-primes")
    put("K13-roca.der", with_rsa(RawRsa([roca_prime(), roca_prime()])), "key.rsa-roca")
    put("K16-pattern.der", with_rsa(RawRsa(patterned_primes())), "key.rsa-pattern")
    trailing = seq(seq(oid("1.2.840.113549.1.1.1"), NULL), bits(seq(integer(odd), integer(65537)) + NULL))
    put("K17-garbage.der", with_spki(trailing, RSA_SHA256, wrong), "key.encoding")
    no_null = seq(seq(oid("1.2.840.113549.1.1.1")), bits(seq(integer(odd), integer(65537))))
    put("K18-no-null.der", with_spki(no_null, RSA_SHA256, wrong), "key.encoding")
    for label, kind in (("pss", "1.2.840.113549.1.1.10"), ("oaep", "1.2.840.113549.1.1.7"),
                        ("dsa", "1.2.840.10040.4.1"), ("x25519", "1.3.101.110"),
                        ("gost", "1.2.643.7.1.1.1.1"), ("ed448", "1.3.101.113")):
        put("K19-%s.der" % label, with_spki(seq(seq(oid(kind)), bits(bytes(32)))),
            "key.alg-not-allowed")
    point = P256.spki[-65:]
    for label, curve in (("secp256k1", "1.3.132.0.10"), ("p224", "1.3.132.0.33"),
                         ("p192", "1.2.840.10045.3.1.1"), ("brainpool", "1.3.36.3.3.2.8.1.1.7"),
                         ("unknown", "1.2.3.4")):
        put("K21-%s.der" % label, with_spki(ec_spki(point, oid(curve))), "key.ec-curve-not-allowed")
    put("K23-explicit.der", with_spki(ec_spki(point, seq(integer(1)))), "key.ec-explicit-params")
    put("K25-null.der", with_spki(ec_spki(point, NULL)), "key.ec-explicit-params")
    put("K25-absent.der", with_spki(ec_spki(point, b"")), "key.ec-explicit-params")
    put("K26-compressed.der", with_spki(ec_spki(bytes([2 + point[64] % 2]) + point[1:33])),
        "key.ec-point-format")
    put("K27-hybrid.der", with_spki(ec_spki(bytes([6 + point[64] % 2]) + point[1:])),
        "key.ec-point-format")
    put("K28-infinity.der", with_spki(ec_spki(b"\x00")), "key.ec-infinity")
    for label, bad in (("off-curve", point[:64] + bytes([point[64] ^ 1])),
                       ("large-x", b"\x04" + b"\xff" * 32 + point[33:]), ("short", point[:64]),
                       ("long", point + b"\x00"), ("other-curve", P384.spki[-97:]),
                       ("zeros", b"\x04" + bytes(64))):
        put("K29-%s.der" % label, with_spki(ec_spki(bad)), "key.ec-point-invalid")
    one = os.path.join(SCRATCH.name, "one")
    generator = Key.__new__(Key)
    scalar = octets(bytes(31) + b"\x01")
    private = seq(integer(0), seq(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")),
                  octets(seq(integer(1), scalar, tlv(0xA1, bits(GENERATOR)))))
    openssl("pkey", "-inform", "DER", "-out", one, data=private)
    generator.path, generator.spki = one, ec_spki(GENERATOR)
    put("K30-generator.der", sign(info(spki=generator.spki), generator), "key.blocked")
    for size in (31, 33):
        put("K34-ed25519-%d.der" % size,
            with_spki(seq(seq(oid("1.3.101.112")), bits(bytes(size))), seq(oid("1.3.101.112")), bytes(64)),
            "key.encoding")
    # R is the neutral point and S is 0: S * B = R + k * A for a neutral A, whatever is signed.
    neutral = b"\x01" + bytes(31)
    put("K34-ed25519-neutral.der",
        with_spki(seq(seq(oid("1.3.101.112")), bits(neutral)), seq(oid("1.3.101.112")),
                  neutral + bytes(32)), "key.ed25519-small-order")
    put("K35-ed25519-null.der",
        with_spki(seq(seq(oid("1.3.101.112"), NULL), bits(ED25519.spki[-32:])),
                  seq(oid("1.3.101.112")), bytes(64)), "key.encoding")


GENERATOR = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def read_ecdsa(signature):
    size = signature[3]
    r = int.from_bytes(signature[4:4 + size], "big")
    return r, int.from_bytes(signature[6 + size:], "big")


def proof_rows():
    signed = info()
    other = Key("other", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    invalid, encoding = "csr.signature-invalid", "csr.signature-encoding"
    params, not_allowed = "csr.sigalg-params", "csr.sigalg-not-allowed"
    put("P01-other-key.der", sign(signed, other), invalid)
    put("P03-other-hash.der", sign(signed, sigalg=seq(oid("1.2.840.10045.4.3.3"))), invalid)
    put("P04-rsa-alg-ec-key.der", sign(signed, sigalg=RSA_SHA256), "csr.sigalg-mismatch")
    put("P04-ec-alg-rsa-key.der", sign(info(spki=RSA.spki), RSA), "csr.sigalg-mismatch")
    put("P05-ecdsa-sha1.der", sign(signed, alg="sha1", sigalg=seq(oid("1.2.840.10045.4.1"))), not_allowed)
    put("P05-rsa-sha1.der", sign(info(spki=RSA.spki), RSA, "sha1",
                                 seq(oid("1.2.840.113549.1.1.5"), NULL)), not_allowed)
    put("P05-rsa-md5.der", sign(info(spki=RSA.spki), RSA, "md5",
                                seq(oid("1.2.840.113549.1.1.4"), NULL)), not_allowed)
    put("P06-unknown.der", sign(signed, sigalg=seq(oid("1.2.3.4"))), not_allowed)
    put("P07-ecdsa-null.der", sign(signed, sigalg=seq(oid("1.2.840.10045.4.3.2"), NULL)), params)
    put("P08-rsa-no-null.der", sign(info(spki=RSA.spki), RSA, "sha256",
                                    seq(oid("1.2.840.113549.1.1.11"))), params)
    for label, sigalg in (("empty", seq(oid("1.2.840.113549.1.1.10"), seq())), ("salt-0", pss(1, 0)),
                          ("salt-2g", pss(1, 1 << 31)), ("mgf", pss(1, 32, 2)),
                          ("trailer", pss(1, 32, trailer=tlv(0xA3, integer(2))))):
        put("P09-pss-%s.der" % label, sign(info(spki=RSA.spki), RSA, "pss-sha256", sigalg), params)
    r, s = read_ecdsa(P256.sign(signed, "sha256"))
    rows = (("empty", b"", encoding), ("zero", seq(integer(0), integer(0)), encoding),
            ("negative", seq(integer(-5), integer(s)), encoding),
            ("large", seq(integer(ORDER + 5), integer(s)), invalid),
            ("too-long", seq(integer(1 << 260), integer(s)), encoding),
            ("trailing", seq(integer(r), integer(s)) + b"\x00", encoding),
            ("inner", seq(integer(r), integer(s), NULL), encoding),
            ("padded-r", seq(tlv(2, b"\x00\x00" + integer(r)[2:]), integer(s)), encoding),
            ("long-length", b"\x30\x81" + seq(integer(r), integer(s))[1:], encoding))
    for label, signature, code in rows:
        put("P11-%s.der" % label, sign(signed, signature=bits(signature)), code)
    put("P13-malleated.der", sign(signed, signature=bits(seq(integer(r), integer(ORDER - s)))))
    weak = RawRsa([random_prime(1024), random_prime(1024)])

    def padded(block):
        value = pow(int.from_bytes(block, "big"), weak.d, weak.n).to_bytes(256, "big")
        return sign(info(spki=weak.spki), weak, sigalg=RSA_SHA256, signature=bits(value))

    digest = hashlib.sha256(info(spki=weak.spki)).digest()
    di = DIGEST_INFO + digest
    bare = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest
    put("P14-good.der", padded(b"\x00\x01" + b"\xff" * (253 - len(di)) + b"\x00" + di))
    put("P14-short-ff.der",
        padded(b"\x00\x01" + b"\xff" * 8 + b"\x00" + di + bytes(245 - len(di))), invalid)
    put("P14-no-null.der", padded(b"\x00\x01" + b"\xff" * (253 - len(bare)) + b"\x00" + bare), invalid)
    put("P14-type-2.der", padded(b"\x00\x02" + b"\xff" * (253 - len(di)) + b"\x00" + di), invalid)
    put("P14-short.der", sign(info(spki=RSA.spki), RSA, sigalg=RSA_SHA256, signature=bits(bytes(255))),
        encoding)


def pem_rows():
    text = pem(GOOD)
    lines = text.split(b"\n")
    private = openssl("pkey", "-in", P256.path)
    put("M00.pem", text)
    put("M01-text-before.pem", b"Certificate Request:\n" + text, "pem.text-outside")
    put("M01-text-behind.pem", text + b"x\n", "pem.text-outside")
    put("M01-two-blocks.pem", text + text, "pem.multiple-blocks")
    put("M02-certificate.pem", pem(GOOD, "CERTIFICATE"), "pem.wrong-label")
    put("M02-private-key.pem", private, "csr.is-private-key")
    put("M02-private-behind.pem", text + private, "csr.is-private-key")
    put("M02-encrypted.pem", pem(b"x" * 50, "ENCRYPTED PRIVATE KEY"), "csr.is-private-key")
    put("M03-new-label.pem", pem(GOOD, "NEW CERTIFICATE REQUEST"))
    put("M03-crlf.pem", pem(GOOD, eol="\r\n"))
    put("M03-one-line.pem", pem(GOOD, width=100000))
    put("M03-no-newline.pem", pem(GOOD, last=""))
    put("M03-trailing-tabs.pem", text.replace(b"\n", b" \t\n"))
    put("M03-blank-around.pem", b"\n\n" + text + b"\r\n\n")
    put("M04-encrypted-header.pem",
        text.replace(b"\n", b"\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1),
        "pem.headers-not-allowed")
    put("M05-header.pem", text.replace(b"\n", b"\nComment: x\n\n", 1), "pem.headers-not-allowed")
    put("M05-bom.pem", b"\xef\xbb\xbf" + text, "pem.text-outside")
    put("M05-space-inside.pem", b"\n".join([lines[0], lines[1][:20] + b" " + lines[1][20:]] + lines[2:]),
        "pem.base64-invalid")
    put("M06-no-end.pem", b"\n".join(lines[:-2]), "pem.unterminated")
    put("M06-other-end.pem", text.replace(b"END CERTIFICATE REQUEST", b"END CERTIFICATE"),
        "pem.unterminated")
    put("M06-begin-cut.pem", b"-----BEGIN CERTIFICATE REQUEST\n" + b"\n".join(lines[1:]),
        "pem.unterminated")
    bad = "pem.base64-invalid"
    padded = pem(GOOD + b"\x00" * ((1 - len(GOOD)) % 3))
    assert padded.count(b"=") == 2
    put("M06-no-padding.pem", padded.replace(b"=", b""), bad)
    put("M06-half-padding.pem", padded.replace(b"==", b"="), bad)
    put("M06-padding-bits.pem", padded.replace(b"A==", b"B=="), bad)
    put("M06-padding-inside.pem", b"\n".join([lines[0], b"AA==" + lines[1]] + lines[2:]), bad)
    put("M06-marks.pem", b"\n".join([lines[0], b"!!!!" + lines[1][4:]] + lines[2:]), bad)
    put("M06-nul.pem", b"\n".join([lines[0], b"\0" + lines[1][1:]] + lines[2:]), bad)
    put("M06-url-safe.pem", b"\n".join([lines[0], b"-_" + lines[1][2:]] + lines[2:]), bad)
    put("M06-empty.pem", lines[0] + b"\n" + lines[-2] + b"\n", "pem.empty")


def main():
    for old in os.listdir(HERE):
        if old.endswith((".der", ".pem")):
            os.remove(os.path.join(HERE, old))
    for rows in (good, der_rows, structure_rows, name_rows, san_rows, key_rows, proof_rows, pem_rows):
        rows()
    with open(os.path.join(HERE, "expected.tsv"), "w", encoding="ascii") as file:
        for row in ROWS:
            file.write("%s\t%s\n" % row)
    print("%d files" % len(ROWS), file=sys.stderr)


main()
