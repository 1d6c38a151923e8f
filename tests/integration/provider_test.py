#!/usr/bin/env python3
"""Goal: `provider test`, `provider bench`, `init --provider pkcs11`, `ca create` and `quickstart --hsm` do what they say.
Method: the certmill command, run as an operator runs it, on key files and on a SoftHSM token.

  provider_test.py
"""
import json
import os
import signal
import stat
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment
from deployment import CERTMILL
from softhsm import LABEL, MODULE, PIN, WHY_NOT, Token

FAKE_MODULE = os.environ["FAKE_PKCS11_MODULE"]
KINDS = ["p256", "p384", "p521", "ed25519", "rsa-2048", "rsa-3072", "rsa-4096"]


def run(*arguments):
    return subprocess.run([CERTMILL, *arguments], capture_output=True, text=True, check=False, timeout=170)


class Files(unittest.TestCase):
    def test_key_files_can_do_everything_and_none_is_left(self):
        folder = deployment.scratch()
        environment = {**os.environ, "TMPDIR": folder}
        done = subprocess.run([CERTMILL, "provider", "test", "--kind", "openssl", "--json"], env=environment,
                              capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([row["subject"] for row in rows if row["capability"] == "generate"], KINDS)
        self.assertEqual({row["verdict"] for row in rows}, {"yes"})
        self.assertEqual(os.listdir(folder), [], "keys are left")

    def test_bench_measures_the_cells_that_are_asked_for(self):
        done = run("provider", "bench", "--kind", "openssl", "--algorithms", "p256,ed25519", "--sessions", "1 2",
                   "--milliseconds", "100", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([(row["algorithm"], row["sessions"]) for row in rows],
                         [("p256", 1), ("p256", 2), ("ed25519", 1), ("ed25519", 2)])
        for row in rows:
            self.assertGreater(row["per_second"], 0)
            self.assertGreaterEqual(row["p99_us"], row["p50_us"])
            self.assertEqual(row["failures"], 0)

    def test_the_settings_provider_and_an_existing_key_are_tried(self):
        made = deployment.Deployment()
        done = made.run("provider", "test", "--key", "file:issuing-1.pem", "--json")
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([row["capability"] for row in rows], ["find", "sign"] + 4 * ["sessions"])
        self.assertEqual({row["verdict"] for row in rows}, {"yes"})
        done = made.run("provider", "test", "absent", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b'no provider "absent"', done.stderr)

    def test_a_key_that_is_not_there_is_a_failure(self):
        done = run("provider", "test", "--kind", "openssl", "--key", "file:/nonexistent.pem")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILS", done.stdout)

    def test_sessions_that_are_no_numbers_are_refused(self):
        for words in ("0", "65", "x", "", "1 2 x"):
            done = run("provider", "bench", "--kind", "openssl", "--sessions", words)
            self.assertEqual(done.returncode, 2, words)

    def test_flags_that_say_nothing_of_the_provider_are_usage_errors(self):
        vault = ["--vault", "https://a.vault.azure.net"]
        for words, expected in [
                (["--pin", "env:PIN"], "need --kind"),
                (["--module", "/opt/hsm.so"], "need --kind"),
                (["--trust", "ca.pem", *vault], "need --kind"),
                (["--require", "hsm"], "need --kind"),
                (["--client-secret", "env:S"], "need --kind"),
                (["--kind", "openssl", "soft"], "NAME is one of the settings' providers"),
                (["--kind", "openssl", "--credential", "managed-identity"], "need --kind keyvault"),
                (["--kind", "openssl", "--token", "pkcs11:token=a"], "need --kind pkcs11"),
                (["--kind", "pkcs11", *vault], "need --kind keyvault"),
                (["--kind", "keyvault", *vault, "--module", "/opt/hsm.so"], "need --kind pkcs11"),
                (["--kind", "keyvault", *vault, "--client-secret", "env:S", "--pin", "env:P"], "one of them"),
                (["--kind", "keyvault", *vault, "--client-secret", "env:S"], "needs --client"),
                (["--kind", "keyvault"], "name it with --vault")]:
            for command in ("test", "bench"):
                done = run("provider", command, *words)
                self.assertEqual(done.returncode, 2, words)
                self.assertIn(expected, done.stderr, words)
        made = deployment.Deployment()
        for words in (vault, ["--token", "pkcs11:token=a"]):
            done = made.run("provider", "bench", *words, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"names no place for keys of the provider soft", done.stderr)

    def test_ca_create_makes_authorities_below_the_root_and_roots(self):
        made = deployment.Deployment()
        told = json.loads(made.run("ca", "create", "line-2", "--key", "file:line-2.pem", "--json").stdout)
        self.assertEqual(told["authority"], "line-2")
        subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", os.path.join(made.folder, "ca", "root.pem"),
                        told["certificate"]], check=True, capture_output=True)
        made.run("ca", "create", "root-2", "--self-signed", "--key", "file:root-2.pem", "--key-type", "p384")
        path = os.path.join(made.folder, "ca", "root-2.pem")
        subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", path, path], check=True, capture_output=True)
        names = [row["name"] for row in json.loads(made.run("ca", "list", "--json").stdout)["authorities"]]
        self.assertEqual(names, ["root-1", "issuing-1", "line-2-1", "root-2-1"])

    def test_ca_create_gives_an_authority_more_keys_beside_the_first(self):
        made = deployment.Deployment()
        ca = os.path.join(made.folder, "ca")
        for number in (2, 3):
            told = json.loads(made.run("ca", "create", "issuing", "--beside", "--key", f"file:issuing-{number}.pem", "--json").stdout)
            self.assertEqual((told["authority"], told["generation"]), ("issuing", number))
            self.assertEqual(told["certificate"], os.path.join(ca, f"issuing-{number}.pem"))
            subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", os.path.join(ca, "root.pem"), told["certificate"]],
                           check=True, capture_output=True)
        rows = [json.loads(line) for line in made.run("ca", "show", "issuing", "--json").stdout.splitlines()]
        self.assertEqual([row["name"] for row in rows], ["issuing-1", "issuing-2", "issuing-3"])
        self.assertEqual({row["state"] for row in rows}, {"active"})
        self.assertEqual(len({row["subject"] for row in rows}), 3, "no two issuers of one name")
        made.run("ca", "create", "root-2", "--self-signed", "--key", "file:root-2.pem")
        for words, code, expected in [
                (["issuing", "--key", "file:new.pem"], 1, b"--beside gives it one more key"),
                (["line", "--beside", "--key", "file:new.pem"], 1, b"no authority line with an active key"),
                (["issuing", "--beside", "--signed-by", "root-2", "--key", "file:new.pem"], 1, b"was not signed by root-2"),
                (["issuing", "--beside", "--self-signed", "--key", "file:new.pem"], 2, b"a root has one key")]:
            done = made.run("ca", "create", *words, check=False)
            self.assertEqual(done.returncode, code, words)
            self.assertIn(expected, done.stderr)
        self.assertFalse(os.path.exists(os.path.join(made.folder, "keys", "new.pem")))

    def test_ca_create_refuses_and_leaves_nothing(self):
        made = deployment.Deployment()
        keys = os.path.join(made.folder, "keys")
        before = sorted(os.listdir(keys))
        for words, expected in [
                (["issuing", "--key", "file:new.pem"], b"there is an authority issuing already"),
                (["line", "--key", "file:new.pem", "--signed-by", "nobody"], b"there is no authority nobody"),
                (["line", "--key", "file:issuing-1.pem"], b"File exists"),
                (["line", "--key", "file:issuing-1.pem", "--existing-key"], b"is that of issuing-1 already"),
                (["line", "--key", "file:absent.pem", "--existing-key"], b"No such file"),
                (["line", "--key", "file:new.pem", "--provider", "hsm"], b"no provider hsm")]:
            done = made.run("ca", "create", *words, check=False)
            self.assertEqual(done.returncode, 1, words)
            self.assertIn(expected, done.stderr)
        self.assertEqual(sorted(os.listdir(keys)), before)
        self.assertEqual(made.run("ca", "create", "../x", "--key", "file:new.pem", check=False).returncode, 2)
        self.assertEqual(sorted(os.listdir(os.path.join(made.folder, "ca"))), ["issuing.pem", "root.pem"])

    def test_ca_create_records_no_authority_whose_certificate_may_be_lost(self):
        # A folder that cannot be opened cannot be synced; root opens it all the same, unless it gives that right up.
        obeying = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        if subprocess.run([*obeying, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("cannot give up the right to read every folder")
        made = deployment.Deployment()
        folder = os.path.join(made.folder, "ca")
        os.chmod(folder, 0o300)
        self.addCleanup(os.chmod, folder, 0o755)
        done = made.run("ca", "create", "line-2", "--key", "file:line-2.pem", check=False, prefix=obeying)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"sync the folder", done.stderr)
        self.assertNotIn("line-2-1", made.run("ca", "list").stdout.decode())
        self.assertFalse(os.path.exists(os.path.join(folder, "line-2.pem")))
        self.assertFalse(os.path.exists(os.path.join(made.folder, "keys", "line-2.pem")))


class InFakeToken(unittest.TestCase):
    """tests/support/fake_pkcs11.h: its keys live as long as the command, and what the command calls is counted."""

    OPTIONS = ["--kind", "pkcs11", "--module", FAKE_MODULE, "--pin", "env:FAKE_PIN"]

    def setUp(self):
        self.trace = os.path.join(deployment.scratch(), "trace")
        self.script = os.path.join(deployment.scratch(), "script")
        for name, value in (("FAKE_PKCS11", self.script), ("FAKE_PKCS11_TRACE", self.trace), ("FAKE_PIN", "1234")):
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name)
        # Who runs the suite with nohup would have every command ignore it.
        self.addCleanup(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_DFL))

    def calls(self, function):
        with open(self.trace, encoding="utf-8") as file:
            return file.read().split().count(function)

    def test_a_ceremony_signs_nothing_but_what_it_is_for(self):
        made = deployment.Deployment()
        made.edit(r"(?m)^authorities:", f"  - name: hsm\n    kind: pkcs11\n    module: {FAKE_MODULE}\n"
                  r"    passphrase: env:FAKE_PIN\n\n\g<0>")
        made.run("ca", "create", "root-2", "--self-signed", "--provider", "hsm", "--key", "pkcs11:object=root-2")
        self.assertEqual(self.calls("C_Sign"), 2, "more than the key's proof and its certificate")


    def test_a_wrong_pin_is_tried_only_after_the_right_one_worked(self):
        os.environ["FAKE_PIN"] = "4321"
        done = run("provider", "test", *self.OPTIONS, "--try-wrong-pin")
        self.assertEqual(done.returncode, 1)
        self.assertIn("refused the PIN", done.stderr)
        self.assertEqual(self.calls("C_Login"), 1, "tries were used up")
        os.environ["FAKE_PIN"] = "1234"
        done = run("provider", "test", *self.OPTIONS, "--try-wrong-pin", "--json")
        first = json.loads(done.stdout)["rows"][0]
        self.assertEqual((first["capability"], first["verdict"]), ("wrong PIN", "yes"))
        self.assertIn("CKR_PIN_INCORRECT", first["detail"])

    def test_a_secret_of_a_vault_is_not_tried_as_a_pin(self):
        with_secret = [*self.OPTIONS, "--client-secret", "env:CLIENT_SECRET"]
        done = subprocess.run([CERTMILL, "provider", "test", *with_secret], capture_output=True, text=True, check=False,
                              timeout=120, env={**os.environ, "CLIENT_SECRET": "4321"})
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertFalse(os.path.exists(self.trace), "a try of the PIN was used up")

    def test_a_wrong_pin_is_not_tried_where_the_uri_has_one_of_its_own(self):
        for words in (["--token", "pkcs11:token=fake?pin-source=file:/run/pin"],
                      ["--key", "pkcs11:object=a?pin-source=file:/run/pin"]):
            done = run("provider", "test", *self.OPTIONS, "--try-wrong-pin", *words)
            self.assertEqual(done.returncode, 2)
            self.assertIn("pin-source", done.stderr)
            self.assertFalse(os.path.exists(self.trace))

    def bench(self, milliseconds):
        return [CERTMILL, "provider", "bench", *self.OPTIONS, "--algorithms", "p256", "--sessions", "1", "--milliseconds",
                milliseconds]

    def test_bench_names_the_key_that_it_cannot_destroy(self):
        with open(self.script, "w", encoding="utf-8") as file:
            file.write("fail C_DestroyObject 5 0\n")
        done = run(*self.bench("10")[1:])
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, "^certmill: the key pkcs11:object=certmill-test-.* is left there: .*CKR_GENERAL_ERROR; "
                         "remove it with its store's own tools\n$")
        done = run(*self.bench("10")[1:], "--json")
        self.assertIn(" is left there: ", json.loads(done.stdout)["error"])

    def test_ca_create_says_why_its_key_is_left_there(self):
        made = deployment.Deployment()
        made.edit(r"(?m)^authorities:", f"  - name: hsm\n    kind: pkcs11\n    module: {FAKE_MODULE}\n"
                  r"    passphrase: env:FAKE_PIN\n\n\g<0>")
        # In the way of the certificate; a file that is there would be seen before there is a key.
        os.symlink("nowhere", os.path.join(made.folder, "ca", "line.pem"))
        with open(self.script, "w", encoding="utf-8") as file:
            file.write("fail C_DestroyObject 5 0\n")
        done = made.run("ca", "create", "line", "--provider", "hsm", "--key", "pkcs11:object=line", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, b"the key pkcs11:object=line is left there: .*CKR_GENERAL_ERROR; remove it ")

    def test_bench_that_is_interrupted_destroys_its_key_and_names_it(self):
        with subprocess.Popen(self.bench("600000"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            deployment.wait_until(lambda: os.path.exists(self.trace) and self.calls("C_Sign") > 100, 60, "signatures")
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, told)
        self.assertIn("object=certmill-test-", told)
        self.assertGreater(self.calls("C_DestroyObject"), 0)

    def interrupt(self, number, *arguments, function="C_GenerateKeyPair"):
        """What a command says that gets the signal while it calls the function for the first time."""
        with open(self.script, "w", encoding="utf-8") as file:
            file.write(f"hang {function}\n")
        before = self.calls(function) if os.path.exists(self.trace) else 0
        with subprocess.Popen([CERTMILL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            deployment.wait_until(lambda: os.path.exists(self.trace) and self.calls(function) > before, 60, function)
            process.send_signal(number)
            self.assertIn("interrupt", process.stderr.readline())
            os.remove(self.script)
            out, told = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, told)
        self.assertIn("certmill: interrupted\n", told)
        return out, told

    def test_what_is_interrupted_makes_no_second_key_and_destroys_the_first(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if os.path.exists(self.trace):
                os.remove(self.trace)
            folder = os.path.join(deployment.scratch(), "ca")
            _, told = self.interrupt(number, "init", folder, "--provider", "pkcs11", "--module", FAKE_MODULE, "--pin", "env:FAKE_PIN")
            self.assertIn("the new key pkcs11:object=certmill-root was destroyed again", told)
            self.assertEqual((self.calls("C_GenerateKeyPair"), self.calls("C_DestroyObject")), (1, 1))
            self.assertFalse(os.path.exists(folder))

    def test_provider_test_that_is_interrupted_destroys_its_key(self):
        for function in ("C_GenerateKeyPair", "C_Sign"):
            self.interrupt(signal.SIGTERM, "provider", "test", *self.OPTIONS, function=function)
            self.assertEqual((self.calls("C_GenerateKeyPair"), self.calls("C_DestroyObject")), (1, 1))
            os.remove(self.trace)

    def test_ca_create_that_is_interrupted_destroys_its_key(self):
        made = deployment.Deployment()
        made.edit(r"(?m)^authorities:", f"  - name: hsm\n    kind: pkcs11\n    module: {FAKE_MODULE}\n"
                  r"    passphrase: env:FAKE_PIN\n\n\g<0>")
        _, told = self.interrupt(signal.SIGTERM, "ca", "create", "line", "-c", made.settings, "--provider", "hsm", "--key",
                                 "pkcs11:object=line")
        self.assertIn("the new key pkcs11:object=line was destroyed again", told)
        self.assertEqual(self.calls("C_DestroyObject"), 1)
        self.assertFalse(os.path.exists(os.path.join(made.folder, "ca", "line.pem")))
        self.assertNotIn(b"line-1", made.run("ca", "list").stdout)


@unittest.skipUnless(MODULE, WHY_NOT)
class InToken(unittest.TestCase):
    def setUp(self):
        self.token = Token(deployment.scratch())

    def objects(self):
        return sum(name.endswith(".object") for _, _, names in os.walk(self.token.objects) for name in names)

    def test_softhsm_can_do_everything_and_no_key_is_left(self):
        before = self.objects()
        done = run("provider", "test", *self.token.provider_options(), "--try-wrong-pin", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual(rows[0]["capability"], "wrong PIN")
        self.assertIn("CKR_PIN_INCORRECT", rows[0]["detail"])
        self.assertEqual([row["subject"] for row in rows if row["capability"] == "generate"], KINDS)
        self.assertEqual({row["verdict"] for row in rows}, {"yes"})
        self.assertEqual(self.objects(), before)
        self.assertNotIn(PIN, done.stdout + done.stderr)

    def test_an_engine_with_its_keys_in_a_token_issues(self):
        made = deployment.Deployment(init=self.token.init_options())
        self.assertEqual(os.listdir(os.path.join(made.folder, "keys")), [])
        made.run("device", "import", "-", stdin=b"device,group\npump-1,default\n")
        csr = os.path.join(deployment.scratch(), "pump-1.der")
        with open(csr, "wb") as file:
            file.write(deployment.make_csrs(1)[0])
        out = deployment.scratch()
        made.run("issue", "--in", csr, "--out", out)
        subprocess.run(["openssl", "verify", "-CAfile", os.path.join(made.folder, "ca", "root.pem"), "-untrusted",
                        os.path.join(made.folder, "ca", "issuing.pem"), os.path.join(out, "pump-1.pem")], check=True,
                       capture_output=True)
        self.assertIn(b"signs", made.run("doctor").stdout)

    def test_a_second_deployment_in_a_token_wants_labels_of_its_own(self):
        deployment.Deployment(init=self.token.init_options())
        before = self.objects()
        folder = os.path.join(deployment.scratch(), "second")
        done = run("init", folder, *self.token.init_options())
        self.assertEqual(done.returncode, 1)
        self.assertIn("holds a key of that label already", done.stderr)
        self.assertFalse(os.path.exists(folder))
        self.assertEqual(self.objects(), before)
        deployment.Deployment(init=self.token.init_options("second"))

    def test_an_init_that_fails_later_destroys_the_keys_it_made(self):
        before = self.objects()
        folder = os.path.join(deployment.scratch(), "taken")
        os.makedirs(os.path.join(folder, "store"))
        done = run("init", folder, *self.token.init_options())
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.objects(), before, done.stderr)

    def test_ca_create_makes_its_key_in_the_token_or_takes_one_that_is_there(self):
        made = deployment.Deployment(init=self.token.init_options())
        key = f"pkcs11:token={LABEL};object=line-2"
        told = json.loads(made.run("ca", "create", "line-2", "--key", key, "--key-type", "rsa-2048", "--json").stdout)
        subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", os.path.join(made.folder, "ca", "root.pem"),
                        told["certificate"]], check=True, capture_output=True)
        before = self.objects()
        done = made.run("ca", "create", "line-3", "--key", key, check=False)
        self.assertIn(b"holds a key of that label already", done.stderr)
        done = made.run("ca", "create", "line-3", "--key", key, "--existing-key", check=False)
        self.assertIn(b"is that of line-2-1 already", done.stderr)
        done = made.run("ca", "create", "line-3", "--key", key.replace("line-2", "line-3"), "--signed-by", "nobody",
                        check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.objects(), before)
        os.environ["OWN_PIN"] = PIN
        subprocess.run(["pkcs11-tool", "--module", MODULE, "--token-label", LABEL, "--login", "--pin", "env:OWN_PIN",
                        "--keypairgen", "--key-type", "EC:prime256v1", "--label", "brought", "--id", "42"], check=True,
                       capture_output=True)
        made.run("ca", "create", "line-4", "--key", f"pkcs11:token={LABEL};object=brought", "--existing-key")

    def test_quickstart_makes_a_token_of_its_own(self):
        folder = os.path.join(deployment.scratch(), "quick")
        done = run("quickstart", "--dir", folder, "--devices", "60", "--redis", "--hsm", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual((told["provider"], told["issued"]), ("pkcs11", 60))
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(folder, "token", "pin")).st_mode), 0o600)

    def test_bench_measures_the_token_beside_the_engine(self):
        done = run("bench", "--provider", "pkcs11", "--devices", "200", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertGreater(told["token_per_second"], 0)
        self.assertAlmostEqual(told["ratio_to_token"], told["certificates_per_second"] / told["token_per_second"], 3)


if __name__ == "__main__":
    case.main()
