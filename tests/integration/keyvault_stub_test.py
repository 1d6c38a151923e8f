#!/usr/bin/env python3
"""The stub of Azure Key Vault answers as the service does, counts as it does, and fails as it is told."""
import base64
import functools
import hashlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import unittest
import urllib.request
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import jwk
import keyvault
from deployment import scratch, spawn, wait_until
from keyvault import Keyvault, from_base64url, to_base64url

DIGESTS = {"256": hashlib.sha256(b"a certificate").digest(), "384": hashlib.sha384(b"a certificate").digest(),
           "512": hashlib.sha512(b"a certificate").digest()}
LONG_MS = "3600000"  # a window, or a delay, that does not end in a test


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


class Frame(unittest.TestCase):
    def start(self, *options):
        vault = Keyvault(*options)
        self.addCleanup(lambda: self.assertEqual(vault.process.poll() or vault.stop(), 0))
        return vault

    def check_error(self, answer, status, code, inner=None):
        self.assertEqual(answer.status, status, answer.body)
        error = answer.json()["error"]
        self.assertEqual((error["code"], error.get("innererror", {}).get("code")), (code, inner), answer.body)
        self.assertTrue(error["message"])

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer.body)
        return answer.json() if answer.body else None

    def sign(self, vault, name="ca", alg="ES256", digest=None, version="", **options):
        body = {"alg": alg, "value": to_base64url(DIGESTS[alg[2:]] if digest is None else digest)}
        return vault.request("POST", f"/keys/{name}/{version}/sign", body, **options)

    def check_signed(self, vault, name, alg, public):
        value = from_base64url(self.good(self.sign(vault, name, alg))["value"])
        self.assertTrue(jwk.is_signed(public, alg, DIGESTS[alg[2:]], value), (name, alg))
        wrong = hashlib.new(jwk.HASHES[alg[2:]], b"another").digest()
        self.assertFalse(jwk.is_signed(public, alg, wrong, value))


class Process(Frame):
    def test_it_ends_on_sigterm_and_with_its_input(self):
        self.assertEqual(Keyvault().stop(), 0)
        vault = Keyvault()
        vault.process.send_signal(signal.SIGTERM)
        self.assertEqual(vault.process.wait(10), 0)
        vault.stop()

    def test_it_does_not_end_with_its_input_unless_it_is_told(self):
        process = spawn([keyvault.KEYVAULT_STUB, "--folder", scratch()], stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE)
        port = json.loads(process.stdout.readline())["control_port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stub/statistics") as answer:
            self.assertEqual(answer.status, 200)
        process.terminate()
        self.assertEqual(process.wait(10), 0)
        process.stdout.close()

    def test_help_and_wrong_options(self):
        def run(*words):
            return subprocess.run([keyvault.KEYVAULT_STUB, *words], capture_output=True, text=True, check=False)
        shown = run("--help")
        self.assertEqual(shown.returncode, 0)
        self.assertIn("--throttle-scale X", shown.stdout)
        for words in (("--folder",), ("--nothing",), ("--port", "x", "--folder", "/tmp"), ()):
            self.assertEqual(run(*words).returncode, 2, words)

    def test_tls_begins_with_1_2_and_its_certificate_is_good_for_both_names(self):
        vault = self.start()
        for host in ("127.0.0.1", "localhost"):
            connection = vault.connect(host)
            connection.connect()
            connection.close()
        text = jwk.openssl("x509", "-in", vault.certificate, "-noout", "-text").decode()
        self.assertIn("IP Address:127.0.0.1, DNS:localhost", text)
        jwk.openssl("verify", "-x509_strict", "-CAfile", vault.certificate, vault.certificate)
        vault.tls.minimum_version = ssl.TLSVersion.TLSv1
        vault.tls.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises(OSError):
            vault.connect().connect()

    def test_connections_are_counted_while_they_are_open(self):
        vault = self.start()
        connections = [vault.connect() for _ in range(5)]
        for connection in connections:
            connection.connect()
        wait_until(lambda: vault.statistics()["connections_open"] == 5, 10, vault.statistics)
        for connection in connections:
            connection.close()
        wait_until(lambda: vault.statistics()["connections_open"] == 0, 10, vault.statistics)
        self.assertEqual(vault.statistics()["connections"], 5)


class Challenge(Frame):
    def challenge_of(self, *options, token=None):
        vault = self.start(*options)
        answer = vault.request("GET", "/keys/ca", token=token)
        self.check_error(answer, 401, "Unauthorized")
        return answer.headers["WWW-Authenticate"].replace(f"https://127.0.0.1:{vault.port}/{keyvault.TENANT}", "HERE")

    def test_no_token_and_an_unknown_one_are_challenged(self):
        for token in (None, "unknown", "0.0"):
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


class Tokens(Frame):
    def check_refused(self, answer, status, error, code):
        self.assertEqual(answer.status, status, answer.body)
        said = answer.json()
        self.assertEqual((said["error"], said["error_codes"]), (error, [code]), answer.body)
        self.assertTrue(said["error_description"].startswith(f"AADSTS{code}: "))

    def check_given(self, vault, answer):
        given = self.good(answer)
        self.assertEqual(given["token_type"], "Bearer")
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


class Keys(Frame):
    def setUp(self):
        self.vault = self.start()

    def create(self, name, kty="EC", **members):
        return self.good(self.vault.request("POST", f"/keys/{name}/create", {"kty": kty, **members}))

    def test_headers_of_every_answer(self):
        for path in ("/keys", "/keys/none"):
            headers = self.vault.request("GET", path, headers={"x-ms-client-request-id": "mine"}).headers
            self.assertEqual(headers["x-ms-keyvault-region"], "westeurope")
            self.assertEqual(headers["x-ms-client-request-id"], "mine")
            self.assertEqual(len(headers["x-ms-request-id"]), 36)

    def test_the_api_version_is_needed_and_known(self):
        self.check_error(self.vault.request("GET", "/keys?"), 400, "BadParameter")
        self.check_error(self.vault.request("GET", "/keys?api-version=1.0"), 400, "BadParameter")
        for known in ("7.4", "2025-07-01"):
            self.good(self.vault.request("GET", "/keys?api-version=" + known))

    def test_a_bundle_of_each_type(self):
        for kty, members, expected in (("EC", {}, {"crv": "P-256"}), ("EC-HSM", {"crv": "P-384"}, {"crv": "P-384"}),
                                       ("EC", {"crv": "P-521"}, {"crv": "P-521"}), ("RSA-HSM", {}, {"e": "AQAB"}),
                                       ("RSA", {"key_size": 3072}, {"e": "AQAB"})):
            with self.subTest(kty=kty, members=members):
                name = f"k-{kty}-{members.get('crv', '')}"
                bundle = self.create(name, kty, **members, attributes={"exp": 4102444800}, tags={"a": "b"})
                self.assertEqual(bundle["key"]["kty"], kty)
                self.assertEqual({**bundle["key"], **expected}, bundle["key"])
                self.assertRegex(bundle["key"]["kid"], f"^{self.vault.url}/keys/{name}/[0-9a-f]{{32}}$")
                self.assertEqual(bundle["tags"], {"a": "b"})
                attributes = bundle["attributes"]
                self.assertTrue(attributes["enabled"])
                self.assertEqual(attributes["exp"], 4102444800)
                self.assertEqual(attributes["hsmPlatform"], "2" if kty.endswith("HSM") else "0")
                self.assertNotIn("nbf", attributes)
                self.assertEqual(self.good(self.vault.request("GET", f"/keys/{name}")), bundle)
                if kty.startswith("RSA"):
                    self.assertEqual(len(from_base64url(bundle["key"]["n"])) * 8, members.get("key_size", 2048))

    def test_what_is_wrong_about_a_create_request(self):
        for body in ({}, {"kty": "oct"}, {"kty": "EC", "crv": "P-256K"}, {"kty": "RSA", "key_size": 1024},
                     {"kty": "EC-TPM"}, {"kty": "EC", "key_ops": ["jump"]}, {"kty": "EC", "key_ops": ["import"]},
                     {"kty": "EC", "attributes": {"nbf": "now"}}, {"kty": "EC", "tags": {"a": 1}},
                     {"kty": "EC", "tags": {str(i): "" for i in range(16)}}, "[1]", "{"):
            with self.subTest(body=body):
                self.check_error(self.vault.request("POST", "/keys/wrong/create", body), 400, "BadParameter")
        self.check_error(self.vault.request("GET", "/keys/wrong"), 404, "KeyNotFound")
        for name in ("a_b", "a%20b", "a" * 128, ""):
            self.check_error(self.vault.request("POST", f"/keys/{name}/create", {"kty": "EC"}), 400, "BadParameter")

    def test_what_is_not_there(self):
        self.create("ca")
        for path in ("/keys/none", "/keys/ca/" + "0" * 32, "/deletedkeys/ca", "/keys/none/versions"):
            self.check_error(self.vault.request("GET", path), 404, "KeyNotFound")
        self.check_error(self.sign(self.vault, "none"), 404, "KeyNotFound")
        self.check_error(self.vault.request("GET", "/certificates/ca"), 404, "NotFound")
        self.check_error(self.vault.request("POST", "/keys/ca", {}), 404, "NotFound")

    def test_identifiers_compare_without_case(self):
        kid = self.create("Issuing-CA")["key"]["kid"]
        version = kid.rpartition("/")[2]
        for path in ("/keys/issuing-ca", f"/KEYS/ISSUING-CA/{version.upper()}"):
            self.assertEqual(self.good(self.vault.request("GET", path))["key"]["kid"], kid)
        self.create("issuing-ca")
        self.assertEqual(len(self.good(self.vault.request("GET", "/keys"))["value"]), 1)

    def test_kid_is_built_of_the_hosts_name_as_the_client_says_it(self):
        self.create("ca")
        answer = self.vault.request("GET", "/keys/ca", headers={"Host": "my-vault.vault.azure.net"})
        self.assertTrue(answer.json()["key"]["kid"].startswith("https://my-vault.vault.azure.net/keys/ca/"))

    def walk(self, path):
        """The items of all pages, and the pages' sizes."""
        items, sizes = [], []
        while path:
            page = self.good(self.vault.request("GET", path))
            items += page["value"]
            sizes.append(len(page["value"]))
            self.assertTrue(page["nextLink"] is None or page["nextLink"].startswith(self.vault.url))
            path = page["nextLink"] and page["nextLink"][len(self.vault.url):]
        return items, sizes

    def test_versions_come_in_pages(self):
        kids = {self.create("ca")["key"]["kid"] for _ in range(52)}
        for query, expected in (("", [25, 25, 2]), ("?maxresults=20", [20, 20, 12]), ("?maxresults=13", [13] * 4)):
            items, sizes = self.walk("/keys/ca/versions" + query)
            self.assertEqual(sizes, expected)
            self.assertEqual({item["kid"] for item in items}, kids)
            self.assertEqual(set(items[0]), {"kid", "attributes"})
        for wrong in ("0", "26", "x", "-1", ""):
            self.check_error(self.vault.request("GET", "/keys/ca/versions?maxresults=" + wrong), 400, "BadParameter")

    def test_keys_come_in_pages_with_their_names_only(self):
        for i in range(30):
            self.vault.create_key(f"key-{i}")
        items, sizes = self.walk("/keys")
        self.assertEqual(sizes, [25, 5])
        self.assertEqual({item["kid"] for item in items}, {f"{self.vault.url}/keys/key-{i}" for i in range(30)})

    def test_attributes_change(self):
        kid = self.create("ca", tags={"a": "b"})["key"]["kid"]
        path = kid[len(self.vault.url):]
        changed = self.good(self.vault.request("PATCH", path, {"attributes": {"enabled": False, "nbf": 1, "exp": 2}}))
        self.assertEqual({**changed["attributes"], "enabled": False, "nbf": 1, "exp": 2}, changed["attributes"])
        self.assertEqual(changed["tags"], {"a": "b"})
        changed = self.good(self.vault.request("PATCH", path, {"key_ops": ["verify"], "tags": {}}))
        self.assertEqual((changed["key"]["key_ops"], changed["tags"]), (["verify"], {}))
        self.assertFalse(changed["attributes"]["enabled"])
        self.check_error(self.vault.request("PATCH", path, {"attributes": {"enabled": "yes"}}), 400, "BadParameter")

    def test_rotation_makes_new_material_in_a_new_version(self):
        old = self.create("ca", "EC-HSM", crv="P-384", key_ops=["sign"], tags={"a": "b"})
        new = self.good(self.vault.request("POST", "/keys/ca/rotate"))
        for same in ("kty", "crv", "key_ops"):
            self.assertEqual(new["key"][same], old["key"][same])
        self.assertEqual(new["tags"], old["tags"])
        for other in ("kid", "x"):
            self.assertNotEqual(new["key"][other], old["key"][other])
        self.assertEqual(self.good(self.vault.request("GET", "/keys/ca")), new)

    def test_deletion_recovery_and_purge(self):
        bundle = self.create("ca")
        deleted = self.good(self.vault.request("DELETE", "/keys/ca"))
        self.assertEqual(deleted["recoveryId"], f"{self.vault.url}/deletedkeys/ca")
        self.assertEqual(deleted["scheduledPurgeDate"] - deleted["deletedDate"], 90 * 86400)
        self.assertEqual(deleted["key"], bundle["key"])
        self.check_error(self.vault.request("GET", "/keys/ca"), 404, "KeyNotFound")
        self.check_error(self.sign(self.vault), 404, "KeyNotFound")
        self.assertEqual(self.good(self.vault.request("GET", "/keys"))["value"], [])
        self.assertEqual(self.good(self.vault.request("GET", "/deletedkeys/ca")), deleted)
        listed = self.good(self.vault.request("GET", "/deletedkeys"))["value"]
        self.assertEqual([item["recoveryId"] for item in listed], [deleted["recoveryId"]])
        for method, path, body in (("POST", "/keys/ca/create", {"kty": "EC"}),
                                   ("PUT", "/keys/ca", {"key": jwk.private_jwk(jwk.new_pkcs8("P-256"))})):
            self.check_error(self.vault.request(method, path, body), 409, "Conflict", "ObjectIsDeletedButRecoverable")
        self.assertEqual(self.good(self.vault.request("POST", "/deletedkeys/ca/recover"))["key"], bundle["key"])
        self.good(self.sign(self.vault))
        self.good(self.vault.request("DELETE", "/keys/ca"))
        self.good(self.vault.request("DELETE", "/deletedkeys/ca"), 204)
        self.check_error(self.vault.request("GET", "/deletedkeys/ca"), 404, "KeyNotFound")
        self.assertNotEqual(self.create("ca")["key"]["kid"], bundle["key"]["kid"])


class Signing(Frame):
    def test_signatures_of_every_algorithm_are_good(self):
        vault = self.start()
        for members, algs in (({"kty": "EC", "crv": "P-256"}, ("ES256",)), ({"kty": "EC-HSM", "crv": "P-384"}, ("ES384",)),
                              ({"kty": "EC", "crv": "P-521"}, ("ES512",)),
                              ({"kty": "RSA-HSM"}, ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))):
            name = "k-" + members.get("crv", "rsa")
            public = vault.create_key(name, **members)["key"]
            for alg in algs:
                with self.subTest(alg=alg):
                    self.check_signed(vault, name, alg, public)
                    signed = self.good(self.sign(vault, name, alg))
                    self.assertEqual(signed["kid"], public["kid"])
                    asked = {"alg": alg, "digest": to_base64url(DIGESTS[alg[2:]]), "value": signed["value"]}
                    self.assertIs(self.good(vault.request("POST", f"/keys/{name}//verify", asked))["value"], True)
                    asked["digest"] = to_base64url(b"\1" * len(DIGESTS[alg[2:]]))
                    self.assertIs(self.good(vault.request("POST", f"/keys/{name}//verify", asked))["value"], False)

    def test_a_pinned_version_signs_with_its_own_key(self):
        vault = self.start()
        bundles = [vault.create_key("ca")["key"] for _ in range(3)]
        for public in bundles:
            version = public["kid"].rpartition("/")[2]
            signed = self.good(self.sign(vault, version=version))
            self.assertEqual(signed["kid"], public["kid"])
            self.assertTrue(jwk.is_signed(public, "ES256", DIGESTS["256"], from_base64url(signed["value"])))
        self.assertEqual(self.good(self.sign(vault))["kid"], bundles[-1]["kid"])

    def test_what_does_not_fit_is_a_bad_parameter(self):
        vault = self.start()
        vault.create_key("ca")
        vault.create_key("rsa", "RSA")
        for name, alg, digest in (("ca", "ES256", DIGESTS["384"]), ("ca", "ES256", DIGESTS["256"][:31]),
                                  ("ca", "ES256", b""), ("ca", "ES384", None), ("ca", "RS256", None),
                                  ("ca", "XX256", None), ("rsa", "ES256", None), ("rsa", "PS384", DIGESTS["256"])):
            self.check_error(self.sign(vault, name, alg, digest), 400, "BadParameter")
        for body in ({}, {"alg": "ES256"}, {"alg": "ES256", "value": "a"}, {"alg": 1, "value": 2}):
            self.check_error(vault.request("POST", "/keys/ca//sign", body), 400, "BadParameter")
        self.assertEqual(vault.statistics()["signed"], 0)

    def test_a_key_that_may_not_sign_is_forbidden_to_but_still_verifies(self):
        vault = self.start()
        now = int(time.time())
        for attributes, inner in (({"enabled": False}, "KeyDisabled"), ({"nbf": now + 1000}, "KeyNotYetValid"),
                                  ({"exp": now - 1000}, "KeyExpired")):
            vault.create_key("ca")
            signed = self.good(self.sign(vault))
            self.good(vault.request("PATCH", "/keys/ca", {"attributes": attributes}))
            self.check_error(self.sign(vault), 403, "Forbidden", inner)
            asked = {"alg": "ES256", "digest": to_base64url(DIGESTS["256"]), "value": signed["value"]}
            self.assertIs(self.good(vault.request("POST", "/keys/ca//verify", asked))["value"], True)
        vault.create_key("ca", key_ops=["verify"])
        self.check_error(self.sign(vault), 403, "Forbidden", "KeyOperationForbidden")


class Import(Frame):
    def import_key(self, vault, key, **members):
        return vault.request("PUT", "/keys/imported", {"key": key, **members})

    def test_private_jwks(self):
        vault = self.start()
        for kind, alg in (("P-256", "ES256"), ("P-384", "ES384"), ("P-521", "ES512"), ("2048", "PS256")):
            with self.subTest(kind=kind):
                private = jwk.private_jwk(jwk.new_pkcs8(kind))
                bundle = self.good(self.import_key(vault, private, Hsm=True, tags={"a": "b"}))
                self.assertEqual(bundle["key"]["kty"], private["kty"] + "-HSM")
                self.assertFalse({"d", "p"} & set(bundle["key"]))
                self.assertEqual(jwk.spki(bundle["key"]), jwk.spki(private))
                self.check_signed(vault, "imported", alg, private)

    def test_jwks_whose_halves_do_not_fit(self):
        vault = self.start()
        good, other = (jwk.private_jwk(jwk.new_pkcs8("P-256")) for _ in range(2))
        rsa = jwk.private_jwk(jwk.new_pkcs8("2048"))
        for key in ({**good, "d": other["d"]}, {**good, "x": other["x"]}, {**good, "crv": "P-384"},
                    {name: value for name, value in good.items() if name != "d"}, {**rsa, "d": rsa["p"]},
                    {**rsa, "kty": "EC"}, {}, None):
            with self.subTest(key=key):
                self.check_error(self.import_key(vault, key), 400, "BadParameter")

    def test_transfer_blobs_are_unwrapped(self):
        vault = self.start()
        kek = vault.create_key("kek", "RSA-HSM", key_ops=["import"])["key"]
        for kind, alg, members in (("P-256", "ES256", {"kty": "EC-HSM", "crv": "P-256"}), ("2048", "RS256", {"kty": "RSA-HSM"})):
            pkcs8 = jwk.new_pkcs8(kind)
            blob = json.dumps(jwk.transfer_blob(kek, pkcs8)).encode()
            for encoded in (to_base64url(blob), base64.b64encode(blob).decode()):
                bundle = self.good(self.import_key(vault, {**members, "key_ops": ["sign"], "key_hsm": encoded}))
                self.assertEqual((bundle["key"]["kty"], bundle["key"]["key_ops"]), (members["kty"], ["sign"]))
                self.check_signed(vault, "imported", alg, jwk.private_jwk(pkcs8))

    def test_what_is_wrong_about_a_transfer_blob(self):
        vault = self.start()
        kek = vault.create_key("kek", "RSA-HSM", key_ops=["import"])["key"]
        soft = vault.create_key("soft", "RSA")["key"]
        other = vault.create_key("other", "RSA-HSM", key_ops=["import"])["key"]
        pkcs8 = jwk.new_pkcs8("P-256")
        header = {"kid": kek["kid"], "alg": "dir", "enc": "CKM_RSA_AES_KEY_WRAP"}
        good = jwk.transfer_blob(kek, pkcs8)
        cipher = bytearray(from_base64url(good["ciphertext"]))
        cipher[-1] ^= 1
        members = {"kty": "EC-HSM", "crv": "P-256"}
        for blob, changes in (
            ({**good, "schema_version": "2"}, {}), ({**good, "header": {**header, "enc": "other"}}, {}),
            ({**good, "header": {**header, "kid": vault.url + "/keys/none/" + "0" * 32}}, {}),
            ({**good, "header": {**header, "kid": other["kid"]}}, {}), (jwk.transfer_blob(soft, pkcs8), {}),
            ({**good, "ciphertext": to_base64url(bytes(cipher))}, {}), ({**good, "ciphertext": ""}, {}),
            (good, {"kty": "RSA-HSM"}), (good, {"kty": "EC"}), (good, {"crv": "P-384"}),
            (jwk.transfer_blob(kek, b"no key"), {}),
        ):
            with self.subTest(blob=blob, changes=changes):
                key = {**members, **changes, "key_hsm": to_base64url(json.dumps(blob).encode())}
                self.check_error(self.import_key(vault, key), 400, "BadParameter")
        self.check_error(self.import_key(vault, {**members, "key_hsm": "!"}), 400, "BadParameter")


class Throttle(Frame):
    """Windows that do not end by themselves, so that counts are exact on a slow machine too."""

    def start_throttled(self, scale, *options, period_ms=LONG_MS):
        vault = self.start("--throttle", "--throttle-scale", str(scale), "--throttle-period-ms", period_ms, *options)
        vault.create_key("soft")
        vault.create_key("hsm", "EC-HSM")
        return vault

    def count_signs(self, vault, name, alg="ES256", tries=60):
        """How many of them pass; once one is throttled, all are."""
        statuses = [self.sign(vault, name, alg).status for _ in range(tries)]
        passed = statuses.count(200)
        self.assertEqual(statuses, [200] * passed + [429] * (tries - passed))
        return passed

    def test_exactly_what_is_permitted_passes(self):
        for kind in ("fixed", "sliding"):
            vault = self.start_throttled(0.01, "--throttle-window", kind)
            self.assertEqual(self.count_signs(vault, "soft"), 40)
            self.assertEqual(vault.statistics()["throttled"], 20)
            vault = self.start_throttled(0.01, "--throttle-window", kind)
            self.assertEqual(self.count_signs(vault, "hsm"), 20)

    def test_the_answer_has_the_services_words_and_no_retry_after(self):
        vault = self.start_throttled(0)
        answer = self.sign(vault, "hsm")
        self.check_error(answer, 429, "Throttled")
        self.assertIn("Reason: VaultRequestTypeLimitReached", answer.json()["error"]["message"])
        self.assertNotIn("Retry-After", answer.headers)
        self.assertEqual(self.sign(self.start_throttled(0, "--retry-after", "7"), "hsm").headers["Retry-After"], "7")

    def test_the_sum_over_all_keys_is_weighted(self):
        vault = self.start_throttled(0.01)
        vault.create_key("rsa", "RSA-HSM", key_size=3072)
        for _ in range(3):
            self.good(self.sign(vault, "rsa", "RS256"))  # 8 each
        for _ in range(4):
            self.good(self.sign(vault, "hsm"))  # 2 each
        self.good(vault.request("GET", "/keys/rsa"))  # the last 8
        self.check_error(vault.request("GET", "/keys/soft"), 429, "Throttled")

    def test_creating_importing_and_listing_have_budgets_of_their_own(self):
        vault = self.start_throttled(0.1)

        def count(method, path, body=None, tries=40):
            return [vault.request(method, path, body).status for _ in range(tries)].count(200)
        self.assertEqual(count("POST", "/keys/new/create", {"kty": "EC-HSM"}, 3), 1)
        self.assertEqual(count("PUT", "/keys/new", {"key": jwk.private_jwk(jwk.new_pkcs8("P-256"))}), 30)
        self.good(vault.request("GET", "/keys"))
        self.good(self.sign(vault, "soft"))
        vault.throttle(scale=0.1)
        self.assertEqual(count("POST", "/keys/new/create", {"kty": "EC"}, 4), 2)
        vault.throttle(scale=0.1)
        self.assertEqual(count("POST", "/keys/soft/rotate", None, 4), 2)
        vault.throttle(scale=0.001)
        self.assertEqual(count("GET", "/keys", None, 6), 4)

    def test_refused_requests_count_only_when_told(self):
        for options, then in (((), 200), (("--count-throttled",), 429)):
            vault = self.start_throttled(0.01, *options)
            vault.create_key("rsa", "RSA", key_size=3072)
            for _ in range(39):
                self.good(self.sign(vault, "soft"))
            self.assertEqual(self.sign(vault, "rsa", "RS256").status, 429)
            self.assertEqual(self.sign(vault, "soft").status, then)

    def test_a_window_ends(self):
        for kind in ("fixed", "sliding"):
            vault = self.start_throttled(0.001, "--throttle-window", kind, period_ms="500")
            wait_until(lambda: self.sign(vault, "soft").status == 429, 20, "four in half a second are too many", 0)
            wait_until(lambda: self.sign(vault, "soft").status == 200, 20, "the window ends", 0.05)

    def test_it_changes_while_it_runs(self):
        vault = self.start_throttled(0)
        self.assertEqual(self.sign(vault, "soft").status, 429)
        vault.throttle(scale=0.001)
        self.assertEqual(self.count_signs(vault, "soft", tries=6), 4)
        vault.throttle(on=False)
        self.assertEqual(self.count_signs(vault, "soft", tries=6), 6)
        vault.throttle(on=True, scale=0, retry_after=3)
        self.assertEqual(self.sign(vault, "soft").headers["Retry-After"], "3")
        for wrong in ({"scale": "x"}, {"scale": -1}, {"period_ms": 0}, {"on": 1}):
            self.assertEqual(vault.control("POST", "/stub/throttle", wrong).status, 400, wrong)

    def test_without_the_option_nothing_is_throttled(self):
        vault = self.start("--throttle-scale", "0")
        vault.create_key("soft")
        self.assertEqual(self.count_signs(vault, "soft", tries=6), 6)


class Faults(Frame):
    def setUp(self):
        self.vault = self.start()
        self.key = self.vault.create_key("ca")["key"]
        self.good(self.sign(self.vault))  # the token is there

    def after(self, kind, signed, **more):
        """The next sign's answer under a fault; the one after it is as usual. signed: whether the vault did."""
        before = self.vault.statistics()
        self.vault.faults({"on": "sign", "kind": kind, **more})
        try:
            return self.sign(self.vault)
        finally:
            self.good(self.sign(self.vault))
            now = self.vault.statistics()
            self.assertEqual(now["signed"] - before["signed"], 1 + signed)
            self.assertEqual(now["faults"] - before["faults"], 1)

    def test_status(self):
        answer = self.after("status", 0, status=503, retry_after="Fri, 31 Dec 2027 23:59:59 GMT")
        self.check_error(answer, 503, "ServiceUnavailable")
        self.assertEqual(answer.headers["Retry-After"], "Fri, 31 Dec 2027 23:59:59 GMT")
        answer = self.after("status", 0, status=429)
        self.check_error(answer, 429, "Throttled")
        self.assertNotIn("Retry-After", answer.headers)

    def test_close_before(self):
        with self.assertRaises(http.client.RemoteDisconnected):
            self.after("close-before", 0)

    def test_close_after_headers_and_truncate(self):
        for kind, least in (("close-after-headers", 0), ("truncate", 10)):
            with self.assertRaises(http.client.IncompleteRead) as caught:
                self.after(kind, 1)
            self.assertGreaterEqual(len(caught.exception.partial), least)
            self.assertGreater(caught.exception.expected, 10)

    def test_wrong_kid_and_wrong_version(self):
        kid = self.good(self.after("wrong-kid", 1))["kid"]
        self.assertNotEqual(kid.rpartition("/")[0], self.key["kid"].rpartition("/")[0])
        kid = self.good(self.after("wrong-version", 1))["kid"]
        self.assertEqual(kid.rpartition("/")[0], self.key["kid"].rpartition("/")[0])
        self.assertNotEqual(kid, self.key["kid"])
        self.vault.faults({"on": "get", "kind": "wrong-kid"})
        self.assertNotEqual(self.good(self.vault.request("GET", "/keys/ca"))["key"]["kid"], self.key["kid"])

    def test_bad_signature(self):
        value = from_base64url(self.good(self.after("bad-signature", 1))["value"])
        self.assertEqual(len(value), 64)
        self.assertFalse(jwk.is_signed(self.key, "ES256", DIGESTS["256"], value))

    def test_bodies_that_are_no_json(self):
        answer = self.after("bad-json", 1)
        self.assertEqual(answer.status, 200)
        self.assertRaises(ValueError, answer.json)
        answer = self.after("empty", 1)
        self.assertEqual((answer.status, answer.body), (200, b""))

    def test_huge(self):
        self.assertEqual(len(self.good(self.after("huge", 1, size=3000000))["value"]), 3000000)
        self.assertGreater(len(self.after("huge", 1).body), 16 << 20)

    def test_slow(self):
        begin = time.monotonic()
        self.good(self.after("slow", 1, delay_ms=120))
        self.assertGreaterEqual(time.monotonic() - begin, 0.12)

    def test_faults_queue_up_and_are_about_their_operation(self):
        status = {"on": "sign", "kind": "status"}
        self.vault.faults({**status, "status": 500, "count": 2}, {**status, "status": 502})
        self.vault.faults({"on": "get", "kind": "status", "status": 504})
        self.assertEqual([self.sign(self.vault).status for _ in range(4)], [500, 500, 502, 200])
        self.assertEqual([self.vault.request("GET", "/keys/ca").status for _ in range(2)], [504, 200])
        self.vault.faults({"kind": "status", "status": 418, "count": 0})
        self.assertEqual([self.sign(self.vault).status for _ in range(3)], [418] * 3)
        self.assertEqual(self.vault.request("GET", "/keys").status, 418)
        self.vault.clear_faults()
        self.good(self.sign(self.vault))

    def test_every_nth(self):
        self.vault.faults({"on": "sign", "kind": "status", "every": 3, "count": 2})
        self.assertEqual([self.sign(self.vault).status for _ in range(9)], [200, 200, 503] * 2 + [200] * 3)

    def test_faults_of_tokens(self):
        self.vault.faults({"on": "token", "kind": "status", "status": 503}, {"on": "token", "kind": "close-before"})
        self.assertEqual(self.vault.token_request(client_secret=keyvault.CLIENT_SECRET).status, 503)
        self.assertRaises(http.client.RemoteDisconnected, self.vault.token)
        self.vault.token()

    def test_requests_without_token_meet_none(self):
        self.vault.faults({"on": "sign", "kind": "status", "status": 500})
        self.check_error(self.sign(self.vault, token=None), 401, "Unauthorized")
        self.assertEqual(self.sign(self.vault).status, 500)

    def test_what_is_wrong_about_a_fault(self):
        good = {"on": "sign", "kind": "status"}
        for fault in ({}, {"kind": "none"}, {"on": "jump", "kind": "slow"}, {**good, "status": 99}, {**good, "every": 0},
                      {**good, "count": "x"}, {**good, "delay_ms": -1}, [good, {"kind": "x"}], [1]):
            answer = self.vault.control("POST", "/stub/faults", fault)
            self.assertEqual(answer.status, 400, fault)
            self.assertTrue(answer.json()["error"])
        self.good(self.sign(self.vault))
        self.assertEqual(self.vault.control("GET", "/stub/nothing").status, 404)


class Flight(Frame):
    def send_signs(self, vault, count):
        """Connections on which a sign request was sent, and no answer read."""
        path = f"/keys/ca//sign?api-version={keyvault.API_VERSION}"
        body = json.dumps({"alg": "ES256", "value": to_base64url(DIGESTS["256"])})
        headers = {"Authorization": "Bearer " + vault.token()}
        connections = [vault.connect() for _ in range(count)]
        for connection in connections:
            connection.connect()
            self.addCleanup(connection.close)
        for connection in connections:
            connection.request("POST", path, body, headers)
        return connections

    def test_signs_in_flight_are_counted(self):
        vault = self.start()
        vault.create_key("ca")
        vault.faults({"on": "sign", "kind": "slow", "delay_ms": int(LONG_MS), "count": 8})
        self.send_signs(vault, 8)
        wait_until(lambda: vault.statistics()["signs_in_flight"] == 8, 10, vault.statistics)
        self.good(self.sign(vault))
        numbers = vault.statistics()
        self.assertEqual((numbers["signs_in_flight"], numbers["signs_in_flight_max"], numbers["requests"]["sign"]),
                         (8, 9, 9))
        self.assertEqual(vault.stop(), 0)  # while they wait

    def test_clients_that_leave_do_no_harm(self):
        vault = self.start("--latency-ms", "30", "--jitter-ms", "5")
        vault.create_key("ca")
        vault.faults(*[{"on": "sign", "kind": kind} for kind in ("slow", "close-before", "truncate", "huge")] * 5)
        for connection in self.send_signs(vault, 20):
            connection.close()

        def is_over():
            numbers = vault.statistics()
            return numbers["connections_open"] == numbers["signs_in_flight"] == 0
        wait_until(is_over, 10, vault.statistics)
        vault.clear_faults()
        self.good(self.sign(vault))

    def test_latency_is_a_timer(self):
        """The answers wait side by side."""
        vault = self.start("--latency-ms", "1000")
        vault.create_key("ca")
        begin = time.monotonic()
        for connection in self.send_signs(vault, 8):
            self.good(keyvault.Answer(connection.getresponse()))
        self.assertGreaterEqual(time.monotonic() - begin, 1)
        self.assertGreater(vault.statistics()["signs_in_flight_max"], 1)


if __name__ == "__main__":
    case.main()
