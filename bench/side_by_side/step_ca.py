"""step-ca: a JWK provisioner whose one-time tokens are made before the clock runs, and its database in Badger."""
import base64
import http.client
import json
import os
import re
import secrets
import shutil
import ssl
import time

from side_by_side import fleet as fleets
from side_by_side.http_server import CLIENTS, HttpServer

try:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils
except ImportError:
    ec = None

VERSION, MODULE = "v0.30.2", "github.com/smallstep/certificates/cmd/step-ca"
PATH = "/1.0/sign"
TEMPLATE = '{"subject": {{ toJson .Subject }}, "keyUsage": ["digitalSignature"], "extKeyUsage": ["clientAuth"]}'
TOKEN_S = 3600


def find_go():
    return shutil.which("go") or next((path for path in ("/usr/local/go/bin/go",) if os.access(path, os.X_OK)), None)


def to_base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provisioner:
    """A key whose tokens let one name have one certificate."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())

    def jwk(self):
        numbers = self.key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "bench",
                **{name: to_base64url(value.to_bytes(32, "big")) for name, value in (("x", numbers.x), ("y", numbers.y))}}

    def token(self, device):
        now = int(time.time())
        claims = {"iss": "bench", "aud": "https://127.0.0.1" + PATH, "sub": device, "sans": [device], "iat": now, "nbf": now - 60,
                  "exp": now + TOKEN_S, "jti": secrets.token_hex(16)}
        text = ".".join(to_base64url(json.dumps(part).encode())
                        for part in ({"alg": "ES256", "kid": "bench", "typ": "JWT"}, claims))
        pair = utils.decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return text + "." + to_base64url(b"".join(half.to_bytes(32, "big") for half in pair))

    def settings(self):
        return {"type": "JWK", "name": "bench", "key": self.jwk(), "options": {"x509": {"template": TEMPLATE}}}


class StepCa(HttpServer):
    name = "step-ca"
    does = f"`step-ca`, JWK provisioner, {CLIENTS} clients that keep their connections, HTTPS (it has no HTTP)"
    command = "step-ca ca.json"
    checks = "a one-time token for the device's name; each new signature (Go does)"
    keeps = "certificate and token in Badger, each write synced"
    packages = ("golang-go", "python3-cryptography")
    share = 0.25
    asks_path = PATH
    program = None  # as --step-ca or the build folder has it

    @classmethod
    def find(cls):
        return cls.program if cls.program and os.access(cls.program, os.X_OK) else shutil.which("step-ca")

    def missing(self):
        if not self.find():
            return "no step-ca: bench/peers --setup builds it where Go and its module proxy are"
        return None if ec else "Python has no cryptography, for tokens: bench/peers --setup, or install python3-cryptography"

    def version(self):
        said = fleets.run(find_go() or "go", "version", "-m", self.find()).decode() if find_go() else ""
        found = re.search(r"\smod\s+\S+\s+(\S+)", said), re.search(r"(go1[.\d]+)", said)
        return f"step-ca {found[0][1]} ({found[1][1]})" if all(found) else "step-ca of unknown version"

    def prepare(self):
        super().prepare()
        self.provisioner, self.trust = Provisioner(), (self.path("ca.pem"),)
        claims = {f"{which}TLSCertDuration": f"{fleets.DAYS * 24}h" for which in ("max", "default")}
        authority = {"disableIssuedAtCheck": True,  # tokens are made before it starts
                     "claims": claims, "provisioners": [self.provisioner.settings()]}
        self.write("ca.json", json.dumps({
            "root": "ca.pem", "crt": "ca.pem", "key": "ca.key", "address": f"127.0.0.1:{self.port}", "dnsNames": ["127.0.0.1"],
            "db": {"type": "badgerv2", "dataSource": "db"}, "authority": authority}))
        self.write_requests()

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20,
                                           context=ssl.create_default_context(cafile=self.path("ca.pem")))

    def words(self):
        return ["env", "STEPPATH=" + self.path("step"), self.find(), "ca.json"]

    def body(self, request):
        return {"csr": request.pem, "ott": self.provisioner.token(request.device)}

    def pem(self, answer):
        return answer.get("crt")
