#!/usr/bin/env python3
"""Goal: bench and quickstart do what they say, through every queue, and say so when something is missing. Method: the
certmill command itself with small fleets; how fast it is, is nobody's business here.

  bench_test.py CERTMILL
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

CERTMILL = sys.argv[1]
HAS_REDIS = shutil.which("redis-server") is not None


def run(*arguments, environment=None):
    return subprocess.run([CERTMILL, *arguments], capture_output=True, text=True, timeout=170,
                          env={**os.environ, **(environment or {})})


class Scratch(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix="certmill-bench.")
        self.addCleanup(shutil.rmtree, self.scratch)
        self.environment = {"TMPDIR": self.scratch}

    def path(self, *parts):
        return os.path.join(self.scratch, *parts)

    def left_behind(self):
        return sorted(os.listdir(self.scratch))


class Bench(Scratch):
    def bench(self, *options):
        done = run("bench", "--devices", "300", "--json", *options, environment=self.environment)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return json.loads(done.stdout)

    def check(self, figures):
        self.assertEqual((figures["issued"], figures["missing"], figures["repeated"]), (300, 0, 0))
        self.assertEqual(figures["devices"], 300)
        self.assertEqual(len(figures["slices"]), 10)
        self.assertGreater(figures["ceiling_per_second"], 0)
        self.assertAlmostEqual(figures["ratio_to_ceiling"],
                               figures["certificates_per_second"] / figures["ceiling_per_second"], places=3)
        latency = figures["latency_ms"]
        self.assertTrue(0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"])
        self.assertGreater(figures["peak_memory_bytes"], 1 << 20)
        self.assertGreater(figures["cpu_seconds"]["engine"], 0)
        self.assertGreater(figures["cpu_seconds"]["signers"], 0)

    def test_the_memory_queue_answers_everything_and_leaves_nothing_behind(self):
        figures = self.bench()
        self.check(figures)
        self.assertEqual(figures["cpu_seconds"]["redis_server"], 0)
        self.assertEqual(self.left_behind(), [])

    @unittest.skipUnless(HAS_REDIS, "redis-server is not installed")
    def test_redis_and_its_load_generator_answer_everything_and_are_gone_afterwards(self):
        figures = self.bench("--queue", "redis", "--redis-aof", "always")
        self.check(figures)
        self.assertRegex(figures["versions"]["redis"], r"^\d+\.\d+")
        self.assertEqual(figures["settings"]["redis_aof"], "always")
        self.assertEqual(self.left_behind(), [])

    def test_files_answer_everything(self):
        self.check(self.bench("--queue", "spool"))

    def test_a_rate_is_kept_and_not_exceeded(self):
        figures = self.bench("--rate", "300")
        self.check(figures)
        self.assertGreater(figures["seconds"], 0.95)

    def test_every_kind_of_key_goes_through(self):
        for key_type in ("p384", "p521", "ed25519"):
            with self.subTest(key_type):
                self.check(self.bench("--key-type", key_type, "--ca-key", key_type))

    def test_a_folder_that_is_named_stays_and_is_never_written_over(self):
        folder = self.path("kept")
        self.bench("--dir", folder)
        self.assertTrue(os.path.exists(os.path.join(folder, "certmill.yaml")))
        again = run("bench", "--dir", folder, "--devices", "10", "--json")
        self.assertEqual(again.returncode, 1)
        self.assertIn("kept", json.loads(again.stdout)["error"])

    def test_the_page_has_its_plots_and_fetches_nothing(self):
        page = self.path("page.html")
        self.bench("--report", page)
        with open(page, encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(text.count("<svg"), 10)
        self.assertIsNone(re.search(r"(src|href)=|https?://|@import|nan|inf\b", text))

    def test_a_rate_for_files_is_wrong_usage(self):
        self.assertEqual(run("bench", "--queue", "spool", "--rate", "5").returncode, 2)

    def test_a_missing_redis_server_is_said_plainly(self):
        done = run("bench", "--queue", "redis", "--devices", "10",
                   environment={**self.environment, "PATH": "/nonexistent"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("redis-server is not installed", done.stderr)
        self.assertEqual(self.left_behind(), [])


class Quickstart(Scratch):
    def quickstart(self, *options):
        done = run("quickstart", "--dir", self.path("fleet"), "--devices", "60", *options)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return done.stdout

    def certificates(self):
        return [name for name in os.listdir(self.path("fleet", "certs")) if name.endswith(".pem")]

    def test_every_device_has_a_certificate_and_what_to_try_next_works(self):
        text = self.quickstart()
        self.assertEqual(len(self.certificates()), 60)
        commands = text.split("Try next:")[1].strip().splitlines()
        self.assertGreaterEqual(len(commands), 5)
        for command in commands:
            with self.subTest(command):
                subprocess.run(command, shell=True, check=True, capture_output=True, timeout=60)
        for name in self.certificates():
            with open(self.path("fleet", "certs", name), "rb") as first, \
                    open(self.path("fleet", "again", name), "rb") as second:
                self.assertEqual(first.read(), second.read())

    def test_json_is_one_object_that_says_what_was_made(self):
        figures = json.loads(self.quickstart("--json"))
        self.assertEqual(figures["issued"], 60)
        self.assertEqual(sum(figures["key_types"].values()), 60)
        self.assertEqual(set(figures["key_types"]), {"p256", "p384", "rsa", "ed25519"})
        self.assertGreater(figures["verified"], 0)
        self.assertEqual(figures["revoked"], 1)

    @unittest.skipUnless(HAS_REDIS, "redis-server is not installed")
    def test_redis_gives_the_same_and_is_gone_afterwards(self):
        figures = json.loads(self.quickstart("--redis", "--json"))
        self.assertEqual((figures["issued"], figures["queue"]), (60, "redis"))
        self.assertEqual(len(self.certificates()), 60)
        self.assertFalse(os.path.exists(self.path("fleet", "redis.sock")))

    def test_an_earlier_quickstart_is_replaced(self):
        self.quickstart()
        stale = self.path("fleet", "certs", "stale.pem")
        with open(stale, "w", encoding="utf-8"):
            pass
        self.quickstart()
        self.assertFalse(os.path.exists(stale))

    def test_any_other_folder_is_left_alone(self):
        folder = self.path("fleet")
        os.mkdir(folder)
        with open(os.path.join(folder, "precious"), "w", encoding="utf-8"):
            pass
        done = run("quickstart", "--dir", folder, "--devices", "5")
        self.assertEqual(done.returncode, 1)
        self.assertIn("not a quickstart's", done.stderr)
        self.assertEqual(os.listdir(folder), ["precious"])

    def test_a_certificate_that_does_not_verify_fails_the_quickstart(self):
        liar = self.path("bin")
        os.mkdir(liar)
        with open(os.path.join(liar, "openssl"), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nexit 2\n")
        os.chmod(os.path.join(liar, "openssl"), 0o755)
        done = run("quickstart", "--dir", self.path("fleet"), "--devices", "5", "--json",
                   environment={"PATH": liar + os.pathsep + os.environ["PATH"]})
        self.assertEqual(done.returncode, 1)
        self.assertIn("openssl verify failed", done.stderr)
        self.assertIn("error", json.loads(done.stdout))

    def test_a_revocation_that_nobody_sees_fails_the_quickstart(self):
        liar = self.path("bin")
        os.mkdir(liar)
        with open(os.path.join(liar, "openssl"), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho 'x.pem: OK'\n")
        os.chmod(os.path.join(liar, "openssl"), 0o755)
        done = run("quickstart", "--dir", self.path("fleet"), "--devices", "5",
                   environment={"PATH": liar + os.pathsep + os.environ["PATH"]})
        self.assertEqual(done.returncode, 1)
        self.assertIn('openssl verify did not say "certificate revoked"', done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
