#!/usr/bin/env python3
"""The emulator of Azure Key Vault answers as the service does: its process, its keys, and their signatures."""
import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import jwk
import keyvault
from deployment import scratch, spawn, wait_until
from keyvault import Keyvault, from_base64url, to_base64url
from keyvault_case import DIGESTS, VaultCase


class Process(VaultCase):
    def test_it_ends_on_sigterm_and_with_its_input(self):
        self.assertEqual(Keyvault().stop(), 0)
        vault = Keyvault()
        vault.process.send_signal(signal.SIGTERM)
        self.assertEqual(vault.process.wait(10), 0)
        vault.stop()

    def test_it_does_not_end_with_its_input_unless_it_is_told(self):
        process = spawn([keyvault.KEYVAULT_EMULATOR, "--folder", scratch()], stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE)
        port = json.loads(process.stdout.readline())["control_port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/emulator/statistics") as answer:
            self.assertEqual(answer.status, 200)
        process.terminate()
        self.assertEqual(process.wait(10), 0)
        process.stdout.close()

    def test_help_and_wrong_options(self):
        def run(*words):
            return subprocess.run([keyvault.KEYVAULT_EMULATOR, *words], capture_output=True, text=True, check=False)
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
        vault.tls.set_ciphers("DEFAULT@SECLEVEL=0")  # else this side would not even ask
        vault.tls.minimum_version, vault.tls.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with self.assertRaisesRegex(ssl.SSLError, "(?i)alert protocol version"):
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


class Keys(VaultCase):
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
        self.good(self.vault.request("GET", "/keys?api%2Dversion=7.6"))

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


class Signing(VaultCase):
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


class Import(VaultCase):
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
        for kind, alg, members in (("P-256", "ES256", {"kty": "EC-HSM", "crv": "P-256"}),
                                   ("2048", "RS256", {"kty": "RSA-HSM"})):
            pkcs8 = jwk.new_pkcs8(kind)
            blob = json.dumps(jwk.transfer_blob(kek, pkcs8)).encode()
            for encoded in (to_base64url(blob), base64.b64encode(blob).decode()):
                bundle = self.good(self.import_key(vault, {**members, "key_ops": ["sign"], "key_hsm": encoded}))
                self.assertEqual((bundle["key"]["kty"], bundle["key"]["key_ops"]), (members["kty"], ["sign"]))
                self.check_signed(vault, "imported", alg, jwk.private_jwk(pkcs8))

    def test_what_is_wrong_about_a_transfer_blob(self):
        vault = self.start()
        kek = vault.create_key("kek", "RSA-HSM", key_ops=["import"])["key"]
        soft, signing = vault.create_key("soft", "RSA")["key"], vault.create_key("signing", "RSA-HSM")["key"]
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
            (jwk.transfer_blob(signing, pkcs8), {}),
            ({**good, "ciphertext": to_base64url(bytes(cipher))}, {}), ({**good, "ciphertext": ""}, {}),
            (good, {"kty": "RSA-HSM"}), (good, {"kty": "EC"}), (good, {"crv": "P-384"}),
            (jwk.transfer_blob(kek, b"no key"), {}),
        ):
            with self.subTest(blob=blob, changes=changes):
                key = {**members, **changes, "key_hsm": to_base64url(json.dumps(blob).encode())}
                self.check_error(self.import_key(vault, key), 400, "BadParameter")
        self.check_error(self.import_key(vault, {**members, "key_hsm": "!"}), 400, "BadParameter")


if __name__ == "__main__":
    case.main()
