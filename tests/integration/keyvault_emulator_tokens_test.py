#!/usr/bin/env python3
"""The emulator of Azure Key Vault challenges, and gives tokens as Entra ID and managed identities do."""
import functools
import hashlib
import http.client
import json
import os
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import jwk
import keyvault
from deployment import scratch
from keyvault import to_base64url
from keyvault_case import VaultCase


@functools.cache
def client_identity():
    """(key, certificate) of an application, as files."""
    folder = scratch()
    key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "certificate.pem")
    jwk.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=app")
    return key, certificate


def assertion(vault, alg="PS256", header=(), **claims):
    """A client assertion; None takes a claim away."""
    key, certificate = client_identity()
    der = jwk.openssl("x509", "-in", certificate, "-outform", "DER")
    thumbprint = {"x5t": hashlib.sha1(der)} if alg == "RS256" else {"x5t#S256": hashlib.sha256(der)}
    head = {"alg": alg, "typ": "JWT", **{name: to_base64url(value.digest()) for name, value in thumbprint.items()},
            **dict(header)}
    now = int(time.time())
    body = {"aud": f"{vault.url}/{keyvault.TENANT}/oauth2/v2.0/token", "iss": keyvault.CLIENT_ID,
            "sub": keyvault.CLIENT_ID, "jti": str(uuid.uuid4()), "nbf": now, "exp": now + 600, **claims}
    body = {name: value for name, value in body.items() if value is not None}
    text = ".".join(to_base64url(json.dumps(part).encode()) for part in (head, body))
    words = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if alg == "PS256" else []
    return text + "." + to_base64url(jwk.openssl("dgst", "-sha256", "-sign", key, *words, data=text.encode()))


class Challenge(VaultCase):
    def challenge_of(self, *options, token=None):
        vault = self.start(*options)
        answer = vault.request("GET", "/keys/ca", token=token)
        self.check_error(answer, 401, "Unauthorized")
        return answer.headers["WWW-Authenticate"].replace(f"https://127.0.0.1:{vault.port}/{keyvault.TENANT}", "HERE")

    def test_no_token_and_an_unknown_one_are_challenged(self):
        for token in (None, "unknown", "0.0", keyvault.TOKEN_PREFIX + "0.0", keyvault.TOKEN_PREFIX):
            self.assertEqual(self.challenge_of(token=token),
                             'Bearer authorization="HERE", resource="https://vault.azure.net"')

    def test_the_variants_of_the_challenge(self):
        for options, expected in (
            (("--challenge", "uri"), 'Bearer authorization_uri="HERE", resource="https://vault.azure.net"'),
            (("--challenge", "scope"), 'Bearer authorization="HERE", scope="https://vault.azure.net/.default"'),
            (("--challenge", "both"), 'Bearer authorization="HERE", scope="https://vault.azure.net/.default", '
                                      'resource="https://vault.azure.net"'),
            (("--resource", "https://managedhsm.azure.net"),
             'Bearer authorization="HERE", resource="https://managedhsm.azure.net"'),
            (("--challenge-resource", "https://evil.example"),
             'Bearer authorization="HERE", resource="https://evil.example"'),
            (("--authority", "http://elsewhere/t"),
             'Bearer authorization="http://elsewhere/t", resource="https://vault.azure.net"'),
        ):
            with self.subTest(options=options):
                self.assertEqual(self.challenge_of(*options), expected)

    def test_an_expired_token_is_challenged(self):
        vault = self.start("--token-life", "0")
        self.check_error(vault.request("GET", "/keys"), 401, "Unauthorized")

    def test_revoked_tokens_are_challenged_and_new_ones_are_good(self):
        vault = self.start()
        self.good(vault.request("GET", "/keys"))
        vault.revoke_tokens()
        self.check_error(vault.request("GET", "/keys"), 401, "Unauthorized")
        self.good(vault.request("GET", "/keys", token=vault.token()))
        self.assertEqual(vault.statistics()["unauthorized"], 1)


class Tokens(VaultCase):
    def check_refused(self, answer, status, error, code):
        self.assertEqual(answer.status, status, answer.body)
        said = answer.json()
        self.assertEqual((said["error"], said["error_codes"]), (error, [code]), answer.body)
        self.assertTrue(said["error_description"].startswith(f"AADSTS{code}: "))

    def check_given(self, vault, answer):
        given = self.good(answer)
        self.assertEqual(given["token_type"], "Bearer")
        self.assertTrue(given["access_token"].startswith(keyvault.TOKEN_PREFIX))
        self.good(vault.request("GET", "/keys", token=given["access_token"]))
        return given

    def test_a_secret(self):
        vault = self.start("--token-life", "600", "--refresh-in", "300")
        given = self.check_given(vault, vault.token_request(client_secret=keyvault.CLIENT_SECRET))
        self.assertEqual((given["expires_in"], given["refresh_in"]), (600, 300))
        self.assertEqual(vault.statistics()["tokens"], 1)

    def test_what_is_wrong_about_a_token_request(self):
        vault = self.start()
        secret = {"client_secret": keyvault.CLIENT_SECRET}
        for form, status, error, code in (
            ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
            ({}, 401, "invalid_client", 7000218),
            ({"client_id": "other", **secret}, 400, "unauthorized_client", 700016),
            ({"tenant": "other", **secret}, 400, "invalid_request", 90002),
            ({"grant_type": "password", **secret}, 400, "unsupported_grant_type", 70003),
            ({"scope": "https://other.azure.net/.default", **secret}, 400, "invalid_scope", 70011),
            ({"scope": None, **secret}, 400, "invalid_scope", 70011),
        ):
            with self.subTest(form=form):
                self.check_refused(vault.token_request(**form), status, error, code)
        self.assertEqual(vault.statistics()["tokens"], 0)

    def ask_with(self, vault, text, type_="urn:ietf:params:oauth:client-assertion-type:jwt-bearer"):
        return vault.token_request(client_assertion=text, client_assertion_type=type_)

    def test_a_certificates_assertion_in_both_forms(self):
        vault = self.start("--client-certificate", client_identity()[1])
        for alg in ("PS256", "RS256"):
            self.check_given(vault, self.ask_with(vault, assertion(vault, alg)))

    def test_what_is_wrong_about_an_assertion(self):
        vault = self.start("--client-certificate", client_identity()[1])
        used, now = assertion(vault), int(time.time())
        self.check_given(vault, self.ask_with(vault, used))
        good = assertion(vault)
        for text, code in (
            (used, 50027),
            (assertion(vault, jti=None), 50027),
            ("no.jwt", 50027),
            (assertion(vault, aud="https://login.microsoftonline.com/x/oauth2/v2.0/token"), 700023),
            (assertion(vault, iss="other"), 700021),
            (assertion(vault, sub="other"), 700021),
            (assertion(vault, exp=now - 1), 700024),
            (assertion(vault, nbf=now + 3600), 700024),
            (assertion(vault, exp=None), 700024),
            (assertion(vault, header={"x5t#S256": to_base64url(b"\0" * 32)}), 700027),
            (assertion(vault, "RS256", header={"alg": "PS256"}), 700027),
            (good[:-4] + "AAAA", 700027),
        ):
            with self.subTest(code=code, text=text):
                self.check_refused(self.ask_with(vault, text), 401, "invalid_client", code)
        self.check_refused(self.ask_with(vault, good, "other"), 401, "invalid_client", 900144)
        self.check_refused(self.ask_with(self.start(), good), 401, "invalid_client", 700027)

    def test_a_workload_identity_whose_file_is_rotated(self):
        path = os.path.join(scratch(), "token")
        vault = self.start("--federated-token", path)
        for content in ("eyJ.first.token", "eyJ.second.token\n"):
            with open(path, "w", encoding="ascii") as file:
                file.write(content)
            self.check_given(vault, self.ask_with(vault, content.strip()))
        self.check_refused(self.ask_with(vault, "eyJ.first.token"), 401, "invalid_client", 50027)

    def ask_identity(self, vault, path, headers):
        connection = http.client.HTTPConnection("127.0.0.1", vault.control_port, timeout=30)
        self.addCleanup(connection.close)
        connection.request("GET", path, headers=headers)
        return keyvault.Answer(connection.getresponse())

    def test_a_managed_identity_of_a_machine(self):
        vault = self.start()
        path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net"
        given = self.check_given(vault, self.ask_identity(vault, path, {"Metadata": "true"}))
        self.assertEqual((given["expires_in"], given["resource"]), ("3600", keyvault.RESOURCE))
        self.assertAlmostEqual(int(given["expires_on"]), time.time() + 3600, delta=60)
        self.check_given(vault, self.ask_identity(vault, path.replace("?", "/?"), {"Metadata": "true"}))
        named = self.ask_identity(vault, path + "&client_id=" + keyvault.CLIENT_ID, {"Metadata": "true"})
        self.check_given(vault, named)
        for wrong, headers in ((path, {}), (path, {"Metadata": "false"}), (path + "&client_id=x", {"Metadata": "true"}),
                               (path.replace("2018-02-01", "2017-01-01"), {"Metadata": "true"}),
                               (path.replace("vault.", "other."), {"Metadata": "true"}),
                               (path.split("&", maxsplit=1)[0], {"Metadata": "true"})):
            self.assertEqual(self.ask_identity(vault, wrong, headers).status, 400, wrong)

    def test_a_managed_identity_of_app_service(self):
        vault = self.start("--identity-header", "sesame")
        path = "/msi/token?api-version=2019-08-01&resource=https://vault.azure.net"
        given = self.check_given(vault, self.ask_identity(vault, path, {"X-IDENTITY-HEADER": "sesame"}))
        self.assertGreater(int(given["expires_on"]), time.time())
        self.assertEqual(self.ask_identity(vault, path, {"X-IDENTITY-HEADER": "other"}).status, 401)
        self.assertEqual(self.ask_identity(vault, path, {}).status, 401)


if __name__ == "__main__":
    case.main()
