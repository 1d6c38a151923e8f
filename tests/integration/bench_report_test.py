#!/usr/bin/env python3
"""Goal: what `certmill bench` tells of a run holds together, in JSON and on its page, also of runs that are short, slow or interrupted.
Method: small runs through memory and a private Redis; sums over what was told, the page through an XML parser. How fast it is, is
nobody's business here.

  bench_report_test.py
"""
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
from xml.dom import minidom

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
# pylint: disable=wrong-import-position
import deployment
from deployment import CERTMILL

HAS_REDIS = shutil.which("redis-server") is not None
STATIONS = ["gather", "wait", "decode", "admit", "renew", "prove", "compose", "intent", "sign", "seal", "record", "reply"]
PLOTS = ["Throughput", "Latency over time", "Latencies of all answers", "Time per station", "Provider wait, and others",
         "Processor time by thread", "Processor time of one certificate", "Memory", "Store growth", "Queue growth"]


def text_of(node):
    return "".join(child.data if child.nodeType == child.TEXT_NODE else text_of(child) for child in node.childNodes)


class Bench(unittest.TestCase):
    def setUp(self):
        self.scratch = deployment.scratch()

    def path(self, name):
        return os.path.join(self.scratch, name)

    def run_bench(self, *options):
        return subprocess.run([CERTMILL, "bench", *options], capture_output=True, text=True, timeout=170, check=False,
                              env={**os.environ, "TMPDIR": self.scratch})

    def bench(self, *options):
        done = self.run_bench("--json", *options)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return json.loads(done.stdout)

    def page(self, name="page.html"):
        """The page as a document; it must be well formed, and fetch nothing."""
        with open(self.path(name), encoding="utf-8") as file:
            text = file.read()
        self.assertIsNone(re.search(r"(src|href)=|https?://|@import|<script|url\(|[^a-z]nan|[^a-z]inf[^a-z]", text))
        return minidom.parseString(text.replace("<!DOCTYPE html>", ""))

    def check_sums(self, report):
        count = report["requests"]
        self.assertEqual((report["issued"], report["sent"]), (count, count))
        for name in ("refused", "failed", "missing", "repeated", "unknown"):
            self.assertEqual(report[name], 0, name)
        self.assertEqual(sum(row["answers"] for row in report["intervals"]), count)
        self.assertEqual(sum(answers for _, answers in report["latency_histogram"]), count)
        self.assertEqual(sum(report["fleet"]["key_types"].values()), count)
        self.assertAlmostEqual(report["intervals"][-1]["end_s"], report["seconds"], places=3)

    def check_samples(self, report):
        rows = report["samples"]
        self.assertGreaterEqual(len(rows), 2)
        for before, after in zip(rows, rows[1:]):
            for name in ("at_s", "sent", "answered", "batches"):
                self.assertLessEqual(before[name], after[name], name)
            for name in ("cpu_seconds", "station_seconds"):
                for member in before[name]:
                    self.assertLessEqual(before[name][member], after[name][member] + 1e-9, member)
        self.assertEqual(rows[-1]["answered"], report["requests"])
        self.assertEqual({len(row["thread_cpu_seconds"]) for row in rows}, {len(report["threads"])})
        self.assertGreater(rows[-1]["memory_bytes"]["engine"], 1 << 20)
        self.assertGreater(rows[-1]["store_bytes"], 0)

    def check_stations(self, report):
        stations = report["station_seconds"]
        self.assertEqual(list(stations), STATIONS)
        for name in ("decode", "prove", "compose", "intent", "sign", "seal", "record"):
            self.assertGreater(stations[name], 0, name)
        # A batch is at one station at a time: all of them together are no more than each of them was there.
        self.assertLess(sum(stations.values()), report["batches"] * (report["seconds"] + 1))

    def check_page(self, report):
        document = self.page()
        figures = document.getElementsByTagName("figure")
        self.assertEqual([text_of(figure.getElementsByTagName("h2")[0]) for figure in figures], PLOTS)
        for figure in figures:
            self.assertEqual(len(figure.getElementsByTagName("svg")), 1)
        marks = [text_of(node) for node in figures[0].getElementsByTagName("text") if node.getAttribute("class") == "t"]
        self.assertRegex(marks[0], r"^ceiling [\d,]+")
        self.assertIn(report["command"], text_of(document.documentElement))

    def check(self, report):
        self.check_sums(report)
        self.check_samples(report)
        self.check_stations(report)
        self.check_page(report)

    def test_the_report_of_the_memory_queue_holds_together(self):
        report = self.bench("--devices", "2000", "--report", self.path("page.html"))
        self.check(report)
        self.assertEqual((report["report"], report["version"], report["interrupted"]), ("certmill bench", 1, False))
        self.assertEqual(report["command"], "certmill bench --devices 2000")
        self.assertEqual(report["samples"][-1]["queue_length"], 0)

    @unittest.skipUnless(HAS_REDIS, "redis-server is not installed")
    def test_the_report_of_redis_has_its_stream_its_server_and_its_load(self):
        report = self.bench("--queue", "redis", "--devices", "3000", "--window", "1000", "--report", self.path("page.html"))
        self.check(report)
        names = {(row["process"], row["name"]) for row in report["threads"]}
        for expected in (("engine", "certmill"), ("engine", "engine-0"), ("engine", "store"), ("redis_server", "redis-server"),
                         ("load_generator", "certmill")):
            self.assertIn(expected, names)
        self.assertTrue(any(process == "signers" for process, _ in names))
        self.assertGreater(max(row["redis_bytes"] for row in report["samples"]), 0)
        self.assertGreater(max(row["queue_length"] for row in report["samples"]), 0)
        self.assertEqual(report["samples"][-1]["queue_length"], 0)
        for process in ("engine", "signers", "redis_server", "load_generator"):
            self.assertGreater(report["cpu_seconds"][process], 0, process)

    def test_the_machine_is_described(self):
        report = self.bench("--devices", "10")
        for name in ("cpu", "kernel", "system", "architecture"):
            self.assertNotEqual(report["machine"][name], "", name)
        self.assertEqual(report["machine"]["processors"], os.cpu_count())
        self.assertEqual(report["versions"]["kernel"], os.uname().release)
        for name in ("certmill", "openssl", "sqlite"):
            self.assertRegex(report["versions"][name], r"\d+\.\d+", name)

    def test_a_run_of_ten_has_a_page_too(self):
        report = self.bench("--devices", "10", "--report", self.path("page.html"))
        self.check(report)
        self.assertEqual(len(report["intervals"]), max(1, math.floor(report["seconds"] / 0.1 + 0.5)))  # one, if nothing is in the way

    def test_a_mix_is_what_was_asked_for(self):
        report = self.bench("--devices", "300", "--mix", "p256=50,p384=20,ed25519=29,rsa-2048=1")
        self.assertEqual(report["fleet"]["key_types"], {"p256": 150, "p384": 60, "ed25519": 87, "rsa-2048": 3})
        self.check_sums(report)

    # --- open loops ---

    @unittest.skipUnless(HAS_REDIS, "redis-server is not installed")
    def test_a_ramp_is_judged_rate_by_rate(self):
        options = ("--queue", "redis", "--ramp", "100:300:100", "--hold", "1", "--report", self.path("page.html"))
        report = self.bench(*options, "--latency-bound", "600000")
        self.check(report)
        loop = report["open_loop"]
        self.assertEqual([row["rate"] for row in loop["stages"]], [100, 200, 300])
        self.assertEqual([row["requests"] for row in loop["stages"]], [100, 200, 300])
        self.assertEqual(report["requests"], 600)
        self.assertGreater(report["seconds"], 2.9)
        self.assertLessEqual(loop["generator_late_mean_ms"], loop["generator_late_max_ms"])
        for row in loop["stages"]:
            self.assertEqual(row["well"], not row["falls_behind"])
        text = text_of(self.page().documentElement)
        self.assertRegex(text, r"Well up to \d+ a second|the answers fall behind")

    def test_a_rate_that_is_too_much_is_said_to_be(self):
        report = self.bench("--devices", "4000", "--rate", "1000000", "--latency-bound", "1", "--report", self.path("page.html"))
        loop = report["open_loop"]
        self.assertEqual((loop["well_up_to"], loop["not_well_at"]), (None, 1000000))
        self.assertTrue(loop["stages"][0]["falls_behind"])
        self.assertIn("At 1,000,000 a second the answers fall behind the requests.", text_of(self.page().documentElement))

    # --- the cache of fleets ---

    def cached(self, *options):
        done = self.run_bench("--json", "--devices", "50", "--fleet-cache", self.path("fleets"), *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["fleet"]["from_cache"], done.stderr

    def test_a_fleet_is_made_once(self):
        self.assertEqual([self.cached()[0], self.cached()[0]], [False, True])
        self.assertEqual(self.cached("--mix", "ed25519=100")[0], False)
        self.assertEqual(sorted(os.listdir(self.path("fleets"))), ["fleet-50-ed25519-50.csrs", "fleet-50-p256-50.csrs"])

    def test_a_damaged_cache_is_made_anew_and_that_is_said(self):
        self.cached()
        path = os.path.join(self.path("fleets"), "fleet-50-p256-50.csrs")
        with open(path, "r+b") as file:
            file.seek(2000)
            file.write(b"damage")
        found, said = self.cached()
        self.assertFalse(found)
        self.assertIn("its hash is another; it is made anew", said)
        self.assertEqual(self.cached(), (True, self.cached()[1]))

    def test_a_cache_that_cannot_be_written_is_an_error(self):
        with open(self.path("file"), "w", encoding="utf-8"):
            pass
        done = self.run_bench("--devices", "10", "--fleet-cache", self.path("file"))
        self.assertEqual(done.returncode, 1)
        self.assertIn(self.path("file"), done.stderr)

    # --- interrupted ---

    @unittest.skipUnless(HAS_REDIS, "redis-server is not installed")
    def test_an_interrupted_run_tells_what_there_was_and_leaves_nothing(self):
        process = deployment.spawn([CERTMILL, "bench", "--queue", "redis", "--devices", "4000", "--rate", "200", "--dir",
                                    self.path("kept"), "--json", "--report", self.path("page.html")],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": self.scratch})
        wal = os.path.join(self.path("kept"), "store", "certmill.db-wal")
        deployment.wait_until(lambda: os.path.exists(wal) and os.path.getsize(wal) > 1 << 20, 60, "no store that grows")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, errors)
        report = json.loads(out)
        self.assertTrue(report["interrupted"])
        self.assertGreater(report["issued"], 0)
        self.assertLess(report["issued"], 4000)
        self.assertEqual(report["issued"] + report["missing"], 4000)
        self.assertEqual(sum(row["answers"] for row in report["intervals"]), report["issued"])
        self.assertRegex(text_of(self.page().documentElement), r"Interrupted after \d+ of 4000 requests")
        self.assertFalse(os.path.exists(os.path.join(self.path("kept"), "redis.sock")))

    # --- what cannot be meant ---

    def test_what_does_not_go_together_is_wrong_usage(self):
        for options, expected in [
                (["--rate", "5", "--ramp", "1:2:1"], "--rate and --ramp"),
                (["--devices", "10", "--ramp", "1:2:1"], "--devices and --ramp"),
                (["--ramp", "5"], "FROM:TO:STEP"),
                (["--ramp", "1:2:1", "--queue", "spool"], "--queue memory or redis"),
                (["--mix", "p256=100", "--key-type", "p256"], "--key-type and --mix"),
                (["--mix", "p256=60,rsa-4096=40"], "\"rsa-4096\" is no kind of key of devices"),
                (["--mix", "p256=60"], "60, not 100"),
                (["--provider", "pkcs11", "--kind", "openssl"], "does not go with --config or --kind"),
                (["--config", "a.yaml", "--kind", "openssl"], "--config and --kind"),
                (["--key", "file:a"], "it needs --config or --kind"),
                (["--vault", "https://a.vault.azure.net"], "need --config or --kind"),
                (["name"], "it needs --config"),
                (["--pin", "env:PIN"], "need --kind")]:
            with self.subTest(options):
                done = self.run_bench(*options)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(expected, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
