"""CRLs taken apart (RFC 5280, section 5). Signatures are for others' programs to check."""
import der

REASONS = {0: "unspecified", 1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded",
           5: "cessationOfOperation", 6: "certificateHold", 8: "removeFromCRL", 9: "privilegeWithdrawn", 10: "aACompromise"}
NUMBER, DELTA, POINT, FRESHEST = "551d14", "551d1b", "551d1c", "551d2e"
REASON, INVALIDITY = "551d15", "551d18"


def _extensions(content):
    """{OID in hex: (critical, value)} of the content of Extensions."""
    rows = [der.children(row) for _, row, _ in der.children(content)]
    return {row[0][1].hex(): (len(row) == 3, row[-1][1]) for row in rows}


class Crl:
    """number, base_number (None: complete), this_update, next_update, url (None: none), users_only, freshest, and entries:
    {serial: reason's name}, invalidity: {serial: text}."""

    def __init__(self, encoding):
        self.data = encoding
        fields = der.children(der.children(der.read(encoding)[1])[0][1])
        assert fields[0][1] == b"\x01", "a CRL of version 2"
        self.this_update, self.next_update = fields[3][1], fields[4][1]
        extensions = _extensions(der.read(fields[-1][1])[1])
        self.number = self._integer(extensions[NUMBER])
        self.base_number = self._integer(extensions[DELTA]) if DELTA in extensions else None
        self.freshest = FRESHEST in extensions
        self.url, self.users_only = None, False
        if POINT in extensions:
            self._read_point(extensions[POINT])
        self.entries, self.invalidity = {}, {}
        if len(fields) > 6:
            for _, row, _ in der.children(fields[5][1]):
                self._read_entry(der.children(row))

    @staticmethod
    def _integer(extension):
        return int.from_bytes(der.read(extension[1])[1], "big")

    def _read_point(self, extension):
        assert extension[0], "issuingDistributionPoint is critical"
        for tag, content, _ in der.children(der.read(extension[1])[1]):
            if tag == 0xA0:  # distributionPoint, fullName, the first name
                self.url = der.read(der.read(content)[1])[1].decode()
            self.users_only |= tag == 0x81 and content == b"\xff"

    def _read_entry(self, parts):
        serial = parts[0][1].hex()
        assert serial not in self.entries, f"{serial} stands twice"
        extensions = _extensions(parts[2][1]) if len(parts) > 2 else {}
        value = der.read(extensions[REASON][1])[1][0] if REASON in extensions else 0
        self.entries[serial] = REASONS[value]
        if INVALIDITY in extensions:
            self.invalidity[serial] = der.read(extensions[INVALIDITY][1])[1].decode()
