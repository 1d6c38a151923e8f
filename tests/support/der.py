"""A small DER reader for checks: just enough to take certificates and requests apart."""

OID_CN = bytes.fromhex("550403")
OID_BASIC_CONSTRAINTS = bytes.fromhex("551d13")
OID_CRL_POINTS = bytes.fromhex("551d1f")
OID_SUBJECT_KEY_ID, OID_AUTHORITY_KEY_ID = bytes.fromhex("551d0e"), bytes.fromhex("551d23")


def read(data, at=0):
    """(tag, content, end) of the element at an offset."""
    tag, size, at = data[at], data[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(data[at:at + count], "big"), at + count
    if at + size > len(data):
        raise ValueError("truncated DER")
    return tag, data[at:at + size], at + size


def children(content):
    """[(tag, content, whole encoding)] of a constructed element's content."""
    found, at = [], 0
    while at < len(content):
        tag, inner, end = read(content, at)
        found.append((tag, inner, content[at:end]))
        at = end
    return found


def attributes(name):
    """[(OID, value)] of a Name's content."""
    return [(parts[0][1], parts[1][1])
            for _, rdn, _ in children(name) for _, pair, _ in children(rdn) for parts in [children(pair)]]


class Certificate:
    """What checks ask for: serial and times (bytes), issuer and spki (DER), subject (attributes), extensions {OID: (critical, value)}."""

    def __init__(self, der):
        tbs = children(children(read(der)[1])[0][1])
        if tbs[0][0] == 0xA0:
            tbs = tbs[1:]
        self.serial = tbs[0][1]
        self.issuer = tbs[2][2]
        self.not_before, self.not_after = (time for _, time, _ in children(tbs[3][1]))
        self.subject = attributes(tbs[4][1])
        self.spki = tbs[5][2]
        wrapped = [inner for tag, inner, _ in tbs if tag == 0xA3]
        rows = [children(row) for _, row, _ in children(read(wrapped[0])[1])] if wrapped else []
        self.extensions = {row[0][1]: (len(row) == 3, row[-1][1]) for row in rows}

    @property
    def common_name(self):
        return dict(self.subject).get(OID_CN)

    @property
    def ski(self):
        """The subject key identifier."""
        return read(self.extensions[OID_SUBJECT_KEY_ID][1])[1]

    @property
    def aki(self):
        """The key identifier of the issuer."""
        return children(read(self.extensions[OID_AUTHORITY_KEY_ID][1])[1])[0][1]

    @property
    def crl_path(self):
        """crl/ISSUER/SHARD.crl of the first distribution point's URL; None: there is none."""
        if OID_CRL_POINTS not in self.extensions:
            return None
        points = read(self.extensions[OID_CRL_POINTS][1])[1]
        names = read(read(read(points)[1])[1])[1]  # DistributionPoint, distributionPoint, fullName
        url = read(names)[1].decode()
        return url[url.index("crl/"):]


def csr_spki(der):
    """The SubjectPublicKeyInfo of a certificate request."""
    return children(children(read(der)[1])[0][1])[2][2]
