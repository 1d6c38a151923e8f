#!/usr/bin/env python3
"""Signer processes die, hang and come back with other keys, under load: every request is answered once, and none `failed`."""
import os
import random
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment
from load import Load

KILLS = 15
SEED = int(os.environ.get("CERTMILL_TEST_SEED", time.time()))
PASSPHRASE = "a horse, correct, and a staple of batteries"


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def is_there(pid):
    """Alive, and not only a name without a process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Signer(case.Case):
    def deploy_guarded(self, name, count, deadline="10s", **options):
        requests = self.deploy(name, count, **options)
        self.deployment.edit(r"(?m)^    keys: keys$", rf"\g<0>\n    call-deadline: {deadline}")
        self.key = os.path.join(self.deployment.folder, "keys", "issuing-1.pem")
        return requests

    def wait_for_another(self, engine, pid):
        """A signer that is not this one, which has ended."""
        deployment.wait_until(lambda: (found := engine.signers()) and pid not in found, 5, "another signer")

    def wait_for(self, engine, words, timeout_s=10):
        deployment.wait_until(lambda: words in engine.text(), timeout_s, lambda: f"\"{words}\" in:\n{engine.text()}")

    def finish_all(self, engine, count, timeout_s=90):
        evidence = super().finish_all(engine, count, timeout_s)
        self.assertEqual(len(evidence.store.abandoned), 0, "no serial was given up")
        return evidence

    def expect_nothing_answered(self, count, seconds):
        time.sleep(seconds)
        self.assertEqual(len({row["id"] for row in self.backend.collect()}), count, "the others wait")

    def test_signers_killed_again_and_again_under_load_lose_nothing(self):
        print(f"seed {SEED}", file=sys.stderr)
        chance = random.Random(SEED)
        requests = self.deploy_guarded("killed", 900)
        engine = self.start()
        load = Load(self, requests, per_s=180)
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.005, 0.4))
            kill(engine.signer())
        load.end()
        self.finish_all(engine, 900)

    def test_a_signer_that_is_killed_is_back_within_two_seconds(self):
        requests = self.deploy_guarded("back", 20)
        engine = self.start()
        for round_number in range(4):
            before = engine.signer()
            kill(before)
            begun = time.monotonic()
            self.wait_for_another(engine, before)
            self.assertLess(time.monotonic() - begun, 2.5 * deployment.PATIENCE, f"round {round_number}")
        self.wait_for(engine, "is back after")
        self.assertIn("was killed by signal 9", engine.text())
        self.backend.push(requests)
        self.finish_all(engine, 20)

    def test_a_signer_that_hangs_is_replaced(self):
        requests = self.deploy_guarded("hangs", 300, deadline="500ms")
        engine = self.start()
        load = Load(self, requests[:200], per_s=150)
        for held_back in (requests[200:250], requests[250:]):
            time.sleep(0.3)
            seen, pid = engine.text().count("does not answer"), engine.signer()
            os.kill(pid, signal.SIGSTOP)
            begun = time.monotonic()
            self.backend.push(held_back)  # the others may all be answered
            deployment.wait_until(lambda n=seen: engine.text().count("does not answer") > n, 5, engine.text)
            self.assertLess(time.monotonic() - begun, 2.5 * deployment.PATIENCE)
            self.wait_for_another(engine, pid)
        load.end()
        self.finish_all(engine, 300)

    def test_an_engine_that_was_frozen_itself_does_not_blame_its_signer(self):
        requests = self.deploy_guarded("frozen", 20, deadline="3s")
        engine = self.start()
        engine.signal(signal.SIGSTOP)
        time.sleep(4)
        engine.signal(signal.SIGCONT)
        self.backend.push(requests)
        self.finish_all(engine, 20)
        self.assertNotIn("does not answer", engine.text())

    def test_requests_wait_for_a_key_file_that_is_gone(self):
        requests = self.deploy_guarded("gone", 40)
        engine = self.start()
        os.rename(self.key, self.key + ".away")
        kill(engine.signer())
        self.wait_for(engine, "is not used")
        self.backend.push(requests)
        self.expect_nothing_answered(0, 1)
        os.rename(self.key + ".away", self.key)
        self.finish_all(engine, 40)

    def test_a_key_that_was_exchanged_is_not_used(self):
        requests = self.deploy_guarded("exchanged", 60)
        engine = self.start()
        self.backend.push(requests[:20])
        self.backend.wait_answered()
        os.rename(self.key, self.key + ".true")
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.key],
                       check=True, capture_output=True)
        os.chmod(self.key, 0o600)
        kill(engine.signer())
        self.wait_for(engine, "another key than before")
        self.backend.push(requests[20:])
        self.expect_nothing_answered(20, 1)
        os.rename(self.key + ".true", self.key)
        self.finish_all(engine, 60)

    def test_a_signer_that_cannot_start_is_started_until_it_can(self):
        requests = self.deploy_guarded("starts", 40)
        secret = os.path.join(self.deployment.folder, "secret")
        with open(secret, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(PASSPHRASE)
        self.deployment.edit(r"(?m)^    # passphrase: .*$", "    passphrase: file:secret")
        engine = self.start()
        os.rename(secret, secret + ".away")
        kill(engine.signer())
        self.wait_for(engine, "does not open")
        self.backend.push(requests)
        self.expect_nothing_answered(0, 3)
        self.assertLess(len(engine.text().splitlines()), 20, "the operator is not drowned")
        os.rename(secret + ".away", secret)
        self.finish_all(engine, 40)

    def test_an_engine_stops_while_its_signer_is_away_and_the_next_signs_the_same(self):
        requests = self.deploy_guarded("stops", 40)
        engine = self.start()
        os.rename(self.key, self.key + ".away")
        kill(engine.signer())
        self.wait_for(engine, "is not used")
        self.backend.push(requests)
        time.sleep(0.5)
        self.stop(engine)
        os.rename(self.key + ".away", self.key)
        self.finish_all(self.start(), 40)

    def test_a_signer_ends_with_its_engine(self):
        self.deploy_guarded("orphan", 0)
        engine = self.start()
        pid = engine.signer()
        engine.kill()
        deployment.wait_until(lambda: not is_there(pid), 5, "the signer has ended")

    def test_a_signer_outlives_the_signals_that_stop_its_engine(self):
        """A terminal or a service manager tells all processes to stop; the work is finished all the same."""
        requests = self.deploy_guarded("told", 200)
        engine = self.start()
        self.backend.push(requests)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(engine.signer(), number)
        self.finish_all(engine, 200)
        self.assertNotIn("is back", engine.text())

    def secrets(self):
        """The passphrase, and the private key's number as OpenSSL holds it, for a deployment with an encrypted key."""
        text = subprocess.run(["openssl", "pkey", "-in", self.key, "-noout", "-text", "-passin", "pass:" + PASSPHRASE],
                              check=True, capture_output=True).stdout.decode()
        digits = text.partition("priv:")[2].partition("pub:")[0]
        number = bytes.fromhex("".join(digits.split()).replace(":", ""))[-32:]
        return {PASSPHRASE.encode(), number, number[::-1]}

    def deploy_encrypted(self, name):
        secret = os.path.join(deployment.scratch(), "secret")
        with open(secret, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(PASSPHRASE)
        return self.deploy_guarded(name, 20, init=("--passphrase", "file:" + secret))

    def test_the_engine_holds_no_key_and_no_passphrase(self):
        requests = self.deploy_encrypted("empty")
        needles = self.secrets()
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        self.assertEqual(self.memory_holds(engine.pid, needles), set(), "nothing of it stands in the engine")
        if os.geteuid() == 0:  # for others the signer's memory is closed
            self.assertNotEqual(self.memory_holds(engine.signer(), needles), set(), "so that the search can fail")
        self.finish_all(engine, 20)

    def test_an_engine_that_signs_inline_has_no_signers(self):
        requests = self.deploy_encrypted("inline")
        self.deployment.edit(r"(?m)^  batch-items: .*$", r"\g<0>\n  signers: inline")
        needles = self.secrets()
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        self.assertEqual(engine.signers(), [])
        self.assertNotEqual(self.memory_holds(engine.pid, needles), set(), "here the engine holds the key")
        self.finish_all(engine, 20)

    def test_a_signer_leaves_nothing_to_look_at(self):
        self.deploy_guarded("hidden", 0)
        engine = self.start()
        pid = engine.signer()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            self.assertEqual(file.read(), b"certmill\0signer\0soft\0")
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            self.assertIn("NoNewPrivs:\t1", file.read())
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            self.assertRegex(file.read(), r"(?m)^Max core file size +0 +0 ")
        # Not dumpable: what is under /proc belongs to root, whoever runs it.
        self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, 0)
        self.stop(engine)

    def test_nobody_starts_a_signer_by_hand(self):
        done = subprocess.run([deployment.CERTMILL, "signer"], capture_output=True, check=False, timeout=10)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"by an engine", done.stderr)


if __name__ == "__main__":
    case.main()
