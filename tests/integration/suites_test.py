#!/usr/bin/env python3
"""Goal: no benchmark rots. Method: each of one suite runs once, and says what it has come to; how fast it is, is nobody's
business here.

  suites_test.py PROGRAM SUITE        PROGRAM is bench/suites; "missing: WHY" where it was not built
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM, SUITE = sys.argv[1:3]
WITH_VAULT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/with_vault")
ENVIRONMENT = {**os.environ, "BENCH_ONCE": "1", "BENCH_STORE_ROWS": "3000"}  # the store that is filled is small


def run(benchmarks, *words, scratch=None):
    command = [PROGRAM, f"--benchmark_filter=^{benchmarks}/", *words]
    if benchmarks == "providers":
        command.insert(0, WITH_VAULT)
    environment = {**ENVIRONMENT, "TMPDIR": scratch} if scratch else ENVIRONMENT
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)


class Suite(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.listed = run(SUITE, "--benchmark_list_tests")
        with tempfile.TemporaryDirectory() as scratch, tempfile.NamedTemporaryFile(suffix=".json") as out:
            cls.done = run(SUITE, f"--benchmark_out={out.name}", "--benchmark_out_format=json", scratch=scratch)
            cls.left = os.listdir(scratch)
            cls.found = json.load(out)["benchmarks"]
        for line in cls.listed.stderr.splitlines():
            if line.startswith(f"SKIP {SUITE}/"):
                print("SKIP: " + line[5:], flush=True)

    def test_none_fails(self):
        failures = [f"{one['name']}: {one['error_message']}" for one in self.found if one.get("error_occurred")]
        self.assertEqual(failures, [])
        self.assertEqual(self.done.returncode, 0, self.done.stderr)

    def test_every_one_runs(self):
        names = self.listed.stdout.split()
        self.assertEqual(self.listed.returncode, 0, self.listed.stderr)
        self.assertGreater(len(names), 0)
        self.assertEqual([one["name"] for one in self.found], names)

    def test_nothing_is_left_behind(self):
        self.assertEqual(self.left, [])


class Failure(unittest.TestCase):
    def test_a_benchmark_that_fails_fails_the_program(self):
        """There is no folder for a deployment."""
        done = run("stations/compose/8", scratch="/nowhere")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("ERROR OCCURRED: '/nowhere/", done.stdout)


if __name__ == "__main__":
    if PROGRAM.startswith("missing: "):
        print(f"SKIP: bench/suites was not built: {PROGRAM[9:]}")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], defaultTest=["Suite", "Failure"] if SUITE == "stations" else ["Suite"])
