#!/usr/bin/env python3
"""Goal: `init --provider keyvault`, `ca create`, `provider test|bench`, `doctor` and `serve` do what they say with keys in a vault.
Method: the certmill command, run as an operator runs it, against the emulator of Azure Key Vault.

  keyvault_test.py
"""
import concurrent.futures
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment
import jwk
import keyvault
from deployment import CERTMILL
from vault_deployment import SECRET, VaultDeploymentCase


def run(*arguments, **options):
    return subprocess.run([CERTMILL, *arguments], capture_output=True, text=True, check=False, timeout=120, **options)


class Vault(VaultDeploymentCase):
    def keys(self):
        """{generation: reference}, as the store has them."""
        rows = json.loads(self.deployment.run("ca", "list", "--json").stdout)["authorities"]
        return {row["name"]: row["key"] for row in rows}

    def version(self, vault, name):
        return vault.request("GET", "/keys/" + name, token=self.token(vault)).json()["key"]["kid"]

    def token(self, vault):
        return vault.token_request(client_secret=SECRET).json()["access_token"]

    def verify(self, *names):
        ca = os.path.join(self.deployment.folder, "ca")
        for name in names:
            subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", os.path.join(ca, "root.pem"),
                            os.path.join(ca, name)], check=True, capture_output=True)

    # --- deployments and authorities ---

    def test_init_makes_both_keys_in_the_vault_and_pins_their_versions(self):
        vault = self.start_vault()
        self.deploy_in_vault("made", 0, vault)
        self.assertEqual(self.keys(), {"root-1": self.version(vault, "certmill-root"),
                                       "issuing-1": self.version(vault, "certmill-issuing-1")})
        self.assertEqual(os.listdir(os.path.join(self.deployment.folder, "keys")), [])
        with open(os.path.join(self.deployment.folder, "certmill.yaml"), encoding="utf-8") as file:
            self.assertIn(f'      authority: "{vault.url}"\n', file.read())
        self.assertFalse(os.path.exists(os.path.join(self.deployment.folder, "certmill.yaml.new")))
        self.verify("issuing.pem")

    def test_init_makes_keys_of_the_protection_and_name_asked_for(self):
        vault = self.start_vault()
        folder = os.path.join(deployment.scratch(), "ca")
        done = run("init", folder, "--provider", "keyvault", "--vault", vault.url + "/", *self.flags(vault), "--require", "hsm",
                   "--key-label", "plant", "--key-type", "p384", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        bundle = vault.request("GET", "/keys/plant-issuing-1", token=self.token(vault)).json()
        self.assertEqual((bundle["key"]["kty"], bundle["key"]["crv"]), ("EC-HSM", "P-384"))
        self.assertEqual(json.loads(done.stdout)["issuing"]["key"], bundle["key"]["kid"])

    def test_init_takes_keys_that_are_there(self):
        vault = self.start_vault()
        kids = [vault.create_key(name, crv="P-256")["key"]["kid"] for name in ("ours-root", "ours")]
        vault.create_key("ours", crv="P-256")  # a newer version
        folder = os.path.join(deployment.scratch(), "ca")
        done = run("init", folder, "--provider", "keyvault", *self.flags(vault), "--root-key", vault.url + "/keys/ours-root",
                   "--issuing-key", kids[1], "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual([told["root"]["key"], told["issuing"]["key"]], kids)
        self.assertEqual(vault.statistics()["requests"]["create"], 0)

    def test_init_with_a_managed_identity_needs_no_secret(self):
        vault = self.start_vault()
        folder = os.path.join(deployment.scratch(), "ca")
        environment = dict(os.environ, IDENTITY_ENDPOINT=vault.control_url + "/msi/token",
                           IDENTITY_HEADER=keyvault.IDENTITY_HEADER)
        words = ["--vault", vault.url, "--trust", vault.certificate, "--resource", keyvault.RESOURCE]
        done = run("init", folder, "--provider", "keyvault", *words, env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(folder, "certmill.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn('credential: "managed-identity"', text)
        self.assertNotIn("passphrase:", text)
        self.assertEqual(run("doctor", "-c", os.path.join(folder, "certmill.yaml"), env=environment).returncode, 0)

    def test_init_with_a_client_certificate(self):
        folder = os.path.join(deployment.scratch(), "ca")
        path = os.path.join(deployment.scratch(), "client.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", "env:KEY_PASSPHRASE", "-subj", "/CN=client",
                        "-keyout", path + ".key", "-out", path], check=True, capture_output=True,
                       env={**os.environ, "KEY_PASSPHRASE": SECRET})
        with open(path + ".key", encoding="ascii") as key, open(path, "a", encoding="ascii") as file:
            file.write(key.read())
        os.chmod(path, 0o600)
        vault = self.start_vault("--client-certificate", path)
        done = run("init", folder, "--provider", "keyvault", "--vault", vault.url, "--client", keyvault.CLIENT_ID, "--certificate",
                   path, "--passphrase", "env:KEY_PASSPHRASE", "--trust", vault.certificate, "--resource", keyvault.RESOURCE,
                   "--authority", vault.url, env={**os.environ, "KEY_PASSPHRASE": SECRET})
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(folder, "certmill.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.assertIn('passphrase: "env:KEY_PASSPHRASE"       # of the certificate\'s key', text)
        self.assertNotIn(SECRET, text)

    def test_an_init_that_fails_deletes_the_keys_it_made_and_says_what_that_means(self):
        vault = self.start_vault()
        vault.create_key("certmill-issuing-1")  # the second one cannot be made
        folder = os.path.join(deployment.scratch(), "ca")
        done = run("init", folder, "--provider", "keyvault", "--vault", vault.url, *self.flags(vault))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "has a key certmill-issuing-1 already")
        self.assertRegex(done.stderr, "certmill-root/[0-9a-f]+ was destroyed again; soft delete: the vault keeps the key")
        self.assertFalse(os.path.exists(folder))
        answer = vault.request("GET", "/keys/certmill-root", token=self.token(vault))
        self.assertEqual(answer.status, 404)

    def test_flags_that_do_not_go_together_are_usage_errors(self):
        good = ["--provider", "keyvault", "--vault", "https://a.vault.azure.net"]
        for words, expected in [
                (["--vault", "https://a.vault.azure.net"], "need --provider keyvault"),
                (["--provider", "keyvault"], "needs --vault"),
                (["--provider", "keyvault", "--vault", "a.vault.azure.net"], "--vault takes an URL"),
                ([*good, "--client-secret", "env:S"], "needs --client"),
                ([*good, "--client", "c", "--credential", "client-secret"], "needs --client-secret"),
                ([*good, "--client", "c", "--credential", "client-certificate"], "needs --certificate"),
                ([*good, "--client-secret", "env:S", "--credential", "managed-identity"], "goes with --credential client-secret"),
                ([*good, "--tenant", 'a"b'], "not allowed")]:
            done = run("init", os.path.join(deployment.scratch(), "ca"), *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(expected, done.stderr, words)

    def test_an_init_that_no_settings_allow_makes_no_key(self):
        vault = self.start_vault()
        words = ["--provider", "keyvault", "--vault", vault.url, *self.flags(vault)]
        for wrong, expected in ((["--queue", "redis", "--redis-url", "tcp://x"], "queue.redis.url: expected unix:///PATH"),
                                (["--base-url", "https://pki.example"], "crl-url: expected an URL that begins with http://"),
                                (["--authority", vault.url + "/tenant"], "keyvault.authority: expected https://HOST")):
            folder = os.path.join(deployment.scratch(), "ca")
            done = run("init", folder, *words, *wrong)
            self.assertEqual(done.returncode, 1, wrong)
            self.assertIn(expected, done.stderr)
            self.assertNotIn("deleted", done.stderr)
            self.assertFalse(os.path.exists(folder))
        self.assertEqual(vault.statistics()["requests"]["create"], 0)

    def test_init_in_a_folder_that_no_option_can_name_asks_no_vault(self):
        vault = self.start_vault()
        folder = os.path.join(os.fsencode(deployment.scratch()), b"f\xff")
        os.mkdir(folder)
        words = ["--vault", vault.url, *self.flags(vault), "--trust", "vault.pem"]
        done = run("init", folder, "--provider", "keyvault", *words, errors="replace")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--trust: expected a path in UTF-8", done.stderr)
        self.assertEqual(os.listdir(folder), [])

    def test_ca_create_makes_takes_and_imports_keys(self):
        vault = self.start_vault()
        self.deploy_in_vault("creates", 0, vault)
        made = self.deployment
        made.run("ca", "create", "line-2", "--key", vault.url + "/keys/line-2")
        there = vault.create_key("there", "RSA", key_size=2048)["key"]["kid"]
        made.run("ca", "create", "line-3", "--existing-key", "--key", vault.url + "/keys/there")
        imported = self.transfer(vault, "P-384")
        made.run("ca", "create", "line-4", "--key", vault.url + "/keys/line-4", "--transfer", imported, "--key-type", "p384")
        keys = self.keys()
        self.assertEqual(keys["line-2-1"], self.version(vault, "line-2"))
        self.assertEqual(keys["line-3-1"], there)
        self.assertEqual(keys["line-4-1"], self.version(vault, "line-4"))
        self.verify("line-2.pem", "line-3.pem", "line-4.pem")
        self.assertEqual(vault.statistics()["requests"]["import"], 1)

    def transfer(self, vault, curve):
        """Path of a transfer blob for a new key."""
        kek = vault.create_key("kek", "RSA-HSM", key_ops=["import"])["key"]
        path = os.path.join(deployment.scratch(), "key.byok")
        with open(path, "w", encoding="ascii") as file:
            json.dump(jwk.transfer_blob(kek, jwk.new_pkcs8(curve)), file)
        return path

    def test_a_transfer_that_cannot_be_is_refused(self):
        vault = self.start_vault()
        self.deploy_in_vault("transfers", 0, vault)
        blob = self.transfer(vault, "P-256")
        empty, big = (os.path.join(deployment.scratch(), name) for name in ("empty", "big"))
        for path, size in ((empty, 0), (big, 70000)):
            with open(path, "wb") as file:
                file.write(b"x" * size)
        key = ["ca", "create", "line", "--key", vault.url + "/keys/line"]
        self.deployment.edit(r"(?m)^# Who signs\.$", "  - name: soft\n    kind: openssl\n\n\\g<0>")
        for words, code, expected in [
                ([*key, "--transfer", "/nonexistent"], 1, b"No such file"),
                ([*key, "--transfer", empty], 1, b"no transfer blob"),
                ([*key, "--transfer", big], 1, b"no transfer blob"),
                ([*key, "--transfer", blob, "--existing-key"], 2, b"needs no import"),
                ([*key, "--transfer", blob, "--key-type", "rsa-2048"], 1, b""),
                (["ca", "create", "line", "--provider", "soft", "--key", "file:line.pem", "--transfer", blob], 1,
                 b"provider soft imports no keys")]:
            done = self.deployment.run(*words, check=False)
            self.assertEqual(done.returncode, code, (words, done.stderr))
            self.assertIn(expected, done.stderr, words)
        self.assertNotIn("line-1", self.keys())

    # --- serving ---

    def test_certificates_are_issued_and_the_secret_is_nowhere(self):
        vault = self.start_vault("--latency-ms", "5")
        requests = self.deploy_in_vault("serves", 200, vault, lines=["rate: 100000"])
        engine = self.start()
        command_lines = [engine.pid, *deployment.wait_until(engine.signers, 5, "a signer")]
        shown = b""
        for pid in command_lines:
            for name in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    shown += file.read()
        self.backend.push(requests)
        self.backend.wait_answered()
        secrets = {SECRET.encode(), keyvault.TOKEN_PREFIX.encode()}
        self.check_memory(engine, secrets)
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 200)
        self.assertGreaterEqual(vault.statistics()["signed"], 200)
        shown += engine.text().encode() + self.every_file(self.deployment.folder)
        self.assertIn(b"certmill", shown)
        for secret in secrets:
            self.assertNotIn(secret, shown)

    def check_memory(self, engine, secrets):
        """They stand in the signer's alone: the token does; the secret is wiped when it has been sent."""
        self.assertEqual(self.memory_holds(os.getpid(), secrets), secrets, "so that the search can fail")
        self.assertEqual(self.memory_holds(engine.pid, secrets), set())
        if os.geteuid() == 0:  # for others the signer's memory is closed
            self.assertIn(keyvault.TOKEN_PREFIX.encode(), self.memory_holds(engine.signer(), secrets))

    @staticmethod
    def every_file(folder):
        found = b""
        for place, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(place, name), "rb") as file:
                    found += file.read()
        return found

    def test_a_rotation_in_the_vault_is_told_and_the_old_version_signs_on(self):
        vault = self.start_vault()
        requests = self.deploy_in_vault("rotates", 60, vault, lines=["rate: 100000", "watch: 100ms"])
        engine = self.start()
        self.backend.push(requests[:30])
        self.backend.wait_answered()
        newer = vault.create_key("certmill-issuing-1", crv="P-256")["key"]["kid"].rpartition("/")[2]
        deployment.wait_until(lambda: newer in engine.text(), 10, engine.text)
        self.backend.push(requests[30:])
        evidence = self.finish(engine)  # every signature verifies against the issuer's certificate
        self.assertEqual(len(evidence.store.certificates), 60)
        self.finish(self.start())  # and it starts again

    # --- provider test and bench ---

    def test_provider_test_tries_everything_and_deletes_its_keys(self):
        vault = self.start_vault("--latency-ms", "5")
        self.deploy_in_vault("tries", 0, vault, lines=["rate: 100000", "timeout: 60s"])  # so long may an RSA key take
        with concurrent.futures.ThreadPoolExecutor() as pool:
            trial = pool.submit(self.deployment.run, "provider", "test", "vault", "--vault", vault.url, "--json", check=False)
            self.hold_the_last_of_the_sessions(vault, 5)
            done = trial.result()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows = json.loads(done.stdout)["rows"]
        rates = [row for row in rows if row["capability"] == "in flight"]
        self.assertLessEqual({row["verdict"] for row in rates}, {"yes", "?"})  # a slow machine, and the held ones, give no rate
        self.assertEqual({row["verdict"] for row in rows if row not in rates and row["subject"] != "ed25519"}, {"yes"})
        self.assertEqual({row["verdict"] for row in rows if row["subject"] == "ed25519"}, {"no"})
        self.assertEqual([row["subject"] for row in rates],
                         [f"{count}, p256" for count in (1, 8, 64, 256)])
        for row in rows:
            if row["capability"] == "destroy":
                self.assertIn("soft delete", row["detail"])
        requests = vault.statistics()["requests"]
        self.assertEqual((requests["create"] - 2, requests["delete"]), (6, 6))
        self.assertTrue(64 <= vault.statistics()["signs_in_flight_max"] <= 256)

    @staticmethod
    def hold_the_last_of_the_sessions(vault, sessions):
        """Each begins with a token. The last one's first signatures, behind its key's proof, wait side by side however slow
        the client is."""
        before = vault.statistics()["requests"]["token"]
        vault.faults({"on": "token", "kind": "slow", "delay_ms": 6000, "every": sessions})
        deployment.wait_until(lambda: vault.statistics()["requests"]["token"] == before + sessions, 60, vault.statistics)
        vault.faults({"on": "sign", "kind": "slow", "delay_ms": 6000, "count": 1 + 64})

    def test_a_rate_that_is_too_slow_to_measure_is_no_rate(self):
        vault = self.start_vault("--latency-ms", "700")  # nothing comes back while it is measured
        kid = vault.create_key("slow", crv="P-256")["key"]["kid"]
        done = run("provider", "test", "--kind", "keyvault", *self.flags(vault), "--key", kid, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows = [row for row in json.loads(done.stdout)["rows"] if row["capability"] == "in flight"]
        self.assertEqual(len(rows), 4)
        self.assertEqual({row["verdict"] for row in rows}, {"?"})
        for row in rows:
            self.assertIn("too slow", row["detail"])
        # About twice 1, 8, 64 and 256, and what opens the key: no more than keeps so many in flight.
        self.assertLess(vault.statistics()["requests"]["sign"], 800)

    def test_a_key_that_cannot_be_deleted_is_named(self):
        vault = self.start_vault()
        vault.faults({"on": "delete", "kind": "status", "status": 403, "count": 0})
        words = ["--kind", "keyvault", "--vault", vault.url, *self.flags(vault), "--json"]
        left = "the key https://.*/keys/certmill-test-[0-9a-f]+-1 is left there: "
        done = run("provider", "bench", *words, "--algorithms", "p256", "--sessions", "1", "--milliseconds", "20")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, left)
        self.deploy_in_vault("left", 0, vault, lines=["timeout: 60s"])  # so long may an RSA key take
        done = self.deployment.run("provider", "test", "vault", "--vault", vault.url, "--json", check=False)
        self.assertEqual(done.returncode, 1)
        rows = [row for row in json.loads(done.stdout)["rows"] if row["verdict"] == "FAILS"]
        self.assertEqual({row["capability"] for row in rows}, {"destroy"})
        self.assertRegex(rows[0]["detail"], left)

    def test_provider_bench_has_many_in_flight_and_no_more_than_it_says(self):
        vault = self.start_vault("--latency-ms", "20")
        self.deploy_in_vault("benches", 0, vault, lines=["rate: 100000"])
        # The proofs of its key, when it is made and when it is opened; then what waits side by side at any speed.
        vault.faults({"on": "sign", "kind": "slow", "delay_ms": 6000, "count": 2 + 64})
        done = self.deployment.run("provider", "bench", "--vault", vault.url, "--algorithms", "p256", "--sessions", "64",
                                   "--milliseconds", "6500", "--json")
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([(row["algorithm"], row["sessions"], row["failures"]) for row in rows], [("p256", 64, 0)])
        self.assertEqual(vault.statistics()["signs_in_flight_max"], 64)
        self.assertIn(b"soft delete", done.stderr)

    def test_a_vault_is_tried_before_there_is_a_deployment(self):
        vault = self.start_vault()
        kid = vault.create_key("there", crv="P-256")["key"]["kid"]
        done = run("provider", "test", "--kind", "keyvault", *self.flags(vault), "--key", kid, "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout)["rows"][0]["capability"], "find")
        done = run("provider", "bench", "--kind", "keyvault", "--vault", vault.url, *self.flags(vault), "--algorithms", "p256",
                   "--sessions", "8", "--milliseconds", "50", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(vault.request("GET", "/keys", token=self.token(vault)).json()["value"][0]["kid"], vault.url + "/keys/there")
        done = run("provider", "bench", "--kind", "keyvault", *self.flags(vault))
        self.assertEqual(done.returncode, 2)
        self.assertIn("name it with --vault", done.stderr)

    def test_a_vault_has_no_pin_to_be_wrong(self):
        vault = self.start_vault()
        self.deploy_in_vault("pinless", 0, vault)
        before = vault.statistics()["requests"]
        for words in ([], ["vault"]):
            done = self.deployment.run("provider", "test", *words, "--vault", vault.url, "--try-wrong-pin", check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(b"a key vault has no PIN", done.stderr)
        self.assertEqual(vault.statistics()["requests"], before)

    # --- doctor ---

    def test_doctor_says_what_is_wrong_and_what_to_do(self):
        vault = self.start_vault()
        self.deploy_in_vault("doctors", 0, vault)
        self.assertEqual(self.deployment.run("doctor").returncode, 0)
        path = self.keys()["issuing-1"][len(vault.url):]
        token = self.token(vault)
        vault.faults({"on": "get", "kind": "status", "status": 403})
        self.assertRegex(self.doctor(), "(?s)FAIL.*403.*Key Vault Crypto User")
        vault.request("PATCH", path, {"attributes": {"enabled": False}}, token=token)
        self.assertRegex(self.doctor(), "(?s)FAIL.*disabled.*enable the key")
        vault.request("PATCH", path, {"attributes": {"enabled": True}}, token=token)
        self.deployment.edit(r"(?m)^      resource: .*$", r"\g<0>\n      require: hsm")
        self.assertRegex(self.doctor(), "(?s)FAIL.*require an HSM.*keyvault.require")
        self.deployment.edit(r"(?m)^      require: hsm$", "      require: software")
        with open(self.secret, "w", encoding="ascii") as file:
            file.write("wrong")
        self.assertRegex(self.doctor(), "(?s)FAIL.*invalid_client.*see the secret")


if __name__ == "__main__":
    case.main()
