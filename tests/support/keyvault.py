"""A vault for tests: starts keyvault_emulator (tests/support/keyvault), pulls its levers, and speaks to it as a client does.

    vault = Keyvault("--latency-ms", "5")
    kid = vault.create_key("ca", "EC-HSM", crv="P-256")["key"]["kid"]
    vault.faults({"on": "sign", "kind": "status", "status": 503, "count": 2})
    answer = vault.request("POST", "/keys/ca//sign", {"alg": "ES256", "value": digest})
    vault.statistics()["requests"]["sign"]
    vault.stop()

The program comes from the environment, as meson sets it: KEYVAULT_EMULATOR. It ends with the test that started it.
"""
import base64
import http.client
import json
import os
import re
import ssl
import subprocess
import urllib.parse

from deployment import SOURCE, scratch, spawn

KEYVAULT_EMULATOR = os.environ.get("KEYVAULT_EMULATOR", os.path.join(SOURCE, "build/tests/support/keyvault_emulator"))
API_VERSION = "7.6"
RESOURCE = "https://vault.azure.net"
# What the emulator takes when no option says another.
TENANT = "11111111-2222-4333-8444-555555555555"
CLIENT_ID, CLIENT_SECRET = "66666666-7777-4888-8999-aaaaaaaaaaaa", "emulator-secret"
IDENTITY_HEADER = "emulator-identity"
TOKEN_PREFIX = "emulator-token-"  # of every token that it gives


def to_base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Answer:
    """One HTTP answer: status, headers (case does not matter), body; json() reads it."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)


class Keyvault:
    """One vault. options: the program's words; folder: where its certificate goes, a new one by default."""

    def __init__(self, *options, folder=None):
        self.folder = folder or scratch()
        self.process = spawn([KEYVAULT_EMULATOR, "--folder", self.folder, "--until-eof", *options], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"keyvault_emulator did not start: exit code {self.process.wait()}")
        started = json.loads(line)
        self.port, self.control_port, self.certificate = (started[name]
                                                          for name in ("port", "control_port", "certificate"))
        self.url = f"https://127.0.0.1:{self.port}"
        self.control_url = f"http://127.0.0.1:{self.control_port}"
        self.tls = ssl.create_default_context(cafile=self.certificate)
        self._connection, self._token = None, None

    def stop(self):
        """Its exit code."""
        self.close()
        self.process.stdin.close()
        try:
            return self.process.wait(10)
        finally:
            self.process.stdout.close()

    # --- levers ---

    def control(self, method, path, body=None):
        """A request to the plain port."""
        return self._ask(http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=30), method, path, body)

    def _pull(self, method, path, body=None):
        answer = self.control(method, path, body)
        if answer.status != 200:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.body!r}")
        return answer.json()

    def faults(self, *faults):
        """Queues faults up: dictionaries as tests/support/keyvault/faults.c describes them."""
        return self._pull("POST", "/emulator/faults", list(faults))

    def clear_faults(self):
        return self._pull("DELETE", "/emulator/faults")

    def statistics(self):
        return self._pull("GET", "/emulator/statistics")

    def revoke_tokens(self):
        return self._pull("POST", "/emulator/tokens/revoke")

    def throttle(self, **settings):
        """scale (switches it on), on, sliding, count_throttled, period_ms, retry_after; what is not said stays, the
        windows begin anew."""
        return self._pull("POST", "/emulator/throttle", settings)

    def create_key(self, name, kty="EC", **members):
        """The bundle of a new version; needs no token, is not throttled and not counted."""
        return self._pull("POST", f"/emulator/vault/keys/{name}/create?api-version={API_VERSION}", {"kty": kty, **members})

    # --- as a client ---

    def token(self):
        """A bearer token by client secret."""
        answer = self.token_request(client_secret=CLIENT_SECRET)
        if answer.status != 200:
            raise AssertionError(f"no token: {answer.status} {answer.body!r}")
        return answer.json()["access_token"]

    def token_request(self, tenant=TENANT, **form):
        fields = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "scope": RESOURCE + "/.default", **form}
        body = urllib.parse.urlencode({name: value for name, value in fields.items() if value is not None})
        return self._ask(self.connect(), "POST", f"/{tenant}/oauth2/v2.0/token", body)

    def connect(self, host="127.0.0.1"):
        """A TLS connection of its own."""
        return http.client.HTTPSConnection(host, self.port, timeout=30, context=self.tls)

    def request(self, method, path, body=None, token=True, headers=()):
        """On one connection that is kept. token: True (one that is fetched once), None, or a text. The api-version is
        added where the path has none and does not end in "?"."""
        if not re.search(r"api(-|%2D)version=|\?$", path):
            path += ("&" if "?" in path else "?") + "api-version=" + API_VERSION
        if token is True:
            self._token = self._token or self.token()
            token = self._token
        headers = dict(headers, **({"Authorization": "Bearer " + token} if token else {}))
        self._connection = self._connection or self.connect()
        return self._ask(self._connection, method, path, body, headers, keep=True)

    def close(self):
        """The connection of request(); the next one opens another."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def _ask(self, connection, method, path, body=None, headers=(), keep=False):
        headers = dict(headers)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        finally:
            if not keep:
                connection.close()
