#!/usr/bin/env python3
"""Goal: `certmill bench compare` tells differences from noise, and refuses what cannot be compared with words that help. Method:
reports that are made up around one real run.

  bench_compare_test.py
"""
import copy
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))
# pylint: disable=wrong-import-position
import deployment
from deployment import CERTMILL

SAME = "no difference beyond the noise"


def real_report():
    done = subprocess.run([CERTMILL, "bench", "--devices", "1500", "--json"], capture_output=True, text=True, check=True,
                          timeout=120)
    return json.loads(done.stdout)


class Compare(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.real = real_report()

    def setUp(self):
        self.folder = deployment.scratch()

    def write(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def report(self, name, rate=10000.0, scatter=0.01, **members):
        """A report of this rate, its tenths scattered around it by this share."""
        made = copy.deepcopy(self.real)
        made.update(certificates_per_second=rate, slices=[rate * (1 + scatter * (-1) ** i) for i in range(10)])
        made.update(members)
        return self.write(name, made)

    def compare(self, *words):
        return subprocess.run([CERTMILL, "bench", "compare", *words], capture_output=True, text=True, check=False, timeout=60)

    def rows(self, *words):
        done = self.compare("--json", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.told = json.loads(done.stdout)
        return {row["name"]: row for row in self.told["rows"]}

    def test_a_run_does_not_differ_from_itself(self):
        path = self.write("a.json", self.real)
        for name, row in self.rows(path, path).items():
            self.assertEqual(row["difference_percent"], 0, name)
            self.assertIn(row["verdict"], (SAME, "noise not known"), name)

    def test_every_kind_of_figure_is_compared(self):
        path = self.write("a.json", self.real)
        rows = self.rows(path, path)
        for name in ("certificates", "of the ceiling", "processor time, all", "processor time, engine", "processor time, signer",
                     "latency, median", "latency, p99", "memory of the engine, peak", "store, a certificate", "station prove",
                     "station sign", "station record"):
            self.assertIn(name, rows)
            self.assertGreater(rows[name]["before"], 0, name)

    def test_faster_and_slower_go_the_right_way(self):
        a, b = self.report("a.json", 10000), self.report("b.json", 12000)
        self.assertEqual(self.rows(a, b)["certificates"]["verdict"], "faster")
        row = self.rows(b, a)["certificates"]
        self.assertEqual(row["verdict"], "slower")
        self.assertAlmostEqual(row["difference_percent"], -100 / 6, places=3)

    def test_a_difference_within_the_scatter_is_none(self):
        a, b = self.report("a.json", 10000, 0.2), self.report("b.json", 12000, 0.2)
        row = self.rows(a, b)["certificates"]
        self.assertEqual(row["verdict"], SAME)
        self.assertGreater(row["noise_percent"], 20)

    def test_more_runs_of_each_side_make_it_clear(self):
        before = [self.report(f"a{i}.json", 10000 + i, 0.2) for i in range(16)]
        after = [self.report(f"b{i}.json", 12000 + i, 0.2) for i in range(16)]
        self.assertEqual(self.rows(*before, "vs", *after)["certificates"]["verdict"], "faster")
        self.assertEqual((self.told["before"], self.told["after"]), (before, after))

    def test_the_text_has_a_line_for_each_figure_and_says_what_noise_is(self):
        done = self.compare(self.report("a.json", 10000), self.report("b.json", 12000))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^certificates +10,000 +12,000 /s +\+20\.0 % +\d+\.\d %  faster$")
        self.assertIn("Noise is told from the spread of the tenths within each run (runs: 1 before, 1 after).", done.stdout)

    def test_other_machines_and_versions_are_compared_and_named(self):
        machine = dict(self.real["machine"], cpu="Another 9000")
        done = self.compare(self.report("a.json"), self.report("b.json", machine=machine))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Machines or versions differ: machine.cpu", done.stdout)
        self.assertIn("Another 9000", done.stdout)

    # --- what cannot be compared ---

    def check_refused(self, words, expected, code=1):
        done = self.compare(*words)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertIn(expected, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_other_workloads_are_refused_and_said_to_be(self):
        a = self.report("a.json")
        b = self.report("b.json", settings=dict(self.real["settings"], queue="redis", window=7), devices=5)
        self.check_refused([a, b], "are of different workloads: devices (1500, 5), settings.queue (\"memory\", \"redis\"), "
                                   "settings.window (4096, 7)")
        done = self.compare("--across", a, b)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("The workloads differ: devices (1500, 5)", done.stdout)
        self.check_refused(["--across", a, b, "vs", a], "are of different workloads")

    def test_what_is_no_report_is_refused(self):
        good = self.report("good.json")
        for content, expected in [
                ("", "bad.json:1: no JSON"),
                ("{\"report\": ", "no JSON"),
                ("[]", "is no report of certmill bench"),
                ("{}", "is no report of certmill bench"),
                ("{\"report\": \"something\"}", "is no report of certmill bench"),
                ("{\"report\": \"certmill bench\", \"report\": \"certmill bench\"}", "no JSON")]:
            with self.subTest(content):
                bad = self.write("bad.json", content)
                self.check_refused([bad, good], expected)
                self.check_refused([good, bad], expected)
        self.check_refused([good, os.path.join(self.folder, "missing.json")], "missing.json")
        self.check_refused([good, self.folder], self.folder)

    def test_another_version_is_refused(self):
        self.check_refused([self.report("a.json"), self.report("b.json", version=2)],
                           "b.json is a report of version 2, and this certmill reads version 1")

    def test_runs_that_were_not_well_are_refused(self):
        a = self.report("a.json")
        self.check_refused([a, self.report("b.json", interrupted=True)], "b.json: the run was interrupted")
        self.check_refused([a, self.report("b.json", issued=1499)], "not every request of the run was answered")

    def test_members_of_another_kind_crash_nothing(self):
        odd = self.report("b.json", slices="none", tenths=[], station_seconds=7, latency_ms=None, cpu_seconds={"engine": []})
        rows = self.rows(self.report("a.json"), odd)
        self.assertIsNone(rows["latency, median"]["noise_percent"])

    def test_the_words_between_files_are_checked(self):
        a, b = self.report("a.json"), self.report("b.json")
        for words in ([a], [a, b, a], ["vs", a], [a, "vs"], [a, "vs", b, "vs", a]):
            with self.subTest(words):
                done = self.compare(*words)
                self.assertEqual(done.returncode, 2, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
