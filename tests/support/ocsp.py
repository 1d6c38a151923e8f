"""OCSP requests, right and wrong, and responses taken apart (RFC 6960). Signatures are for OpenSSL to check."""
import base64
import hashlib
import urllib.parse

import der

OID = {"sha1": "2b0e03021a", "sha256": "608648016503040201", "md5": "2a864886f70d0205"}
NONCE = "2b0601050507300102"
SUCCESSFUL, MALFORMED, INTERNAL_ERROR, TRY_LATER, UNAUTHORIZED = 0, 1, 2, 3, 6


def tlv(tag, *parts):
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        head = bytes([size])
    else:
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        head = bytes([0x80 | len(octets)]) + octets
    return bytes([tag]) + head + content


def sequence(*parts):
    return tlv(0x30, *parts)


def oid(text):
    return tlv(0x06, bytes.fromhex(text))


class Issuer:
    """What CertIDs know a CA by, from its certificate in DER."""

    def __init__(self, certificate):
        tbs = der.children(der.children(der.read(certificate)[1])[0][1])
        self.name, spki = tbs[5][2], tbs[6][1]
        self.key = der.children(spki)[1][1][1:]

    def cert_id(self, serial, name="sha1", parameters=b"\x05\x00", key=None):
        """serial: the INTEGER's content, as bytes or hex."""
        if isinstance(serial, str):
            serial = bytes.fromhex(serial)

        def octets(data):
            return tlv(0x04, hashlib.new(name, data).digest())
        return sequence(sequence(oid(OID[name]), parameters), octets(self.name), octets(key or self.key),
                        tlv(0x02, serial))


def extension(name, value, critical=False):
    return sequence(oid(name), tlv(0x01, b"\xff") if critical else b"", tlv(0x04, value))


def request(*cert_ids, nonce=None, extensions=(), requestor=b"", signature=b""):
    """One request for these CertIDs. nonce: octets; requestor and signature: whole elements."""
    extensions = list(extensions)
    if nonce is not None:
        extensions.append(extension(NONCE, tlv(0x04, nonce)))
    wrapped = tlv(0xA2, sequence(*extensions)) if extensions else b""
    tbs = sequence(requestor, sequence(*[sequence(cert_id) for cert_id in cert_ids]), wrapped)
    return sequence(tbs, signature)


def get_target(request):
    """The path of a GET that asks this."""
    return "/ocsp/" + urllib.parse.quote(base64.b64encode(request).decode(), safe="")


class Response:
    """status; of a successful one: singles as (state, reason or None), nonce, key_hash, certificates, and its times."""

    def __init__(self, data):
        parts = der.children(der.read(data)[1])
        self.data, self.status, self.singles, self.nonce = data, parts[0][1][0], [], None
        if self.status != SUCCESSFUL:
            assert len(parts) == 1, "an error response has nothing but its status"
            return
        basic = der.children(der.read(der.children(der.read(parts[1][1])[1])[1][1])[1])
        self.certificates = len(basic) - 3
        tbs = der.children(basic[0][1])
        assert tbs[0][0] == 0xA2, "the responder is known by its key"
        self.key_hash = der.read(tbs[0][1])[1]
        self.singles = [self._single(content) for _, content, _ in der.children(tbs[2][1])]
        for tag, content, _ in tbs[3:]:
            if tag == 0xA1:
                row = der.children(der.children(der.read(content)[1])[0][1])
                self.nonce = der.read(row[-1][1])[1]

    def _single(self, content):
        parts = der.children(content)
        self.this_update, self.next_update = parts[2][1], der.read(parts[3][1])[1]
        tag, inner, _ = parts[1]
        if tag != 0xA1:
            return {0x80: "good", 0x82: "unknown"}[tag], None
        fields = der.children(inner)
        return "revoked", der.read(fields[1][1])[1][0] if len(fields) > 1 else None

    @property
    def state(self):
        (only,) = self.singles
        return only[0]
