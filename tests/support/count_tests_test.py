#!/usr/bin/env python3
"""tests/support/count-tests counts what passed, and nothing that did not."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

COUNT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "count-tests")
CUNIT = "  Test: test_a ...{line}\n\nRun Summary:    Type  Total    Ran Passed Failed Inactive\n" \
        "              suites      1      1    n/a      0        0\n" \
        "               tests {total:6} {total:6} {passed:6} {failed:6}        0\n" \
        "             asserts      9      9      9      0      n/a\n"


def entry(result, stdout="", stderr=""):
    return {"name": "a test", "result": result, "duration": 0.1, "stdout": stdout, "stderr": stderr}


def cunit(passed, failed, line="passed"):
    return CUNIT.format(total=passed + failed, passed=passed, failed=failed, line=line)


class CountTests(unittest.TestCase):
    def count(self, *entries):
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as log:
            log.write("".join(json.dumps(one) + "\n" for one in entries))
            log.flush()
            run = subprocess.run([sys.executable, COUNT, log.name], capture_output=True, text=True, check=True)
        return run.stdout.rstrip().split("\n")

    def counts(self, *entries):
        return self.count(*entries)[-1]

    def test_a_crash_a_leak_and_a_timeout_are_failures(self):
        self.assertEqual(self.counts(entry("FAIL", "  Test: test_a ...")), "0 1 0")
        self.assertEqual(self.counts(entry("FAIL", cunit(5, 0))), "5 1 0")
        self.assertEqual(self.counts(entry("TIMEOUT")), "0 1 0")
        self.assertEqual(self.counts(entry("ERROR")), "0 1 0")

    def test_a_failed_test_is_counted_and_shown(self):
        lines = self.count(entry("FAIL", cunit(3, 2)), entry("OK"))
        self.assertEqual(lines[-1], "4 2 0")
        self.assertIn("a test: FAIL", lines[0])

    def test_a_skip_is_counted_and_its_reason_shown(self):
        self.assertEqual(self.count(entry("SKIP", cunit(4, 0, "SKIP: no zlint\npassed"))),
                         ["SKIP a test: no zlint", "3 0 1"])
        self.assertEqual(self.count(entry("SKIP", "SKIP: another version\n")), ["SKIP a test: another version", "0 0 1"])

    def test_single_tests_are_counted(self):
        self.assertEqual(self.counts(entry("OK", cunit(12, 0)), entry("OK", cunit(3, 0))), "15 0 0")
        self.assertEqual(self.counts(entry("OK", "", "Ran 7 tests in 3.0s\n\nOK\n")), "7 0 0")
        self.assertEqual(self.counts(entry("FAIL", "", "Ran 7 tests in 3.0s\n\nFAILED (failures=2, errors=1)\n")), "4 3 0")
        self.assertEqual(self.counts(entry("OK", "", "Ran 7 tests in 3.0s\n\nOK (skipped=2)\n")), "5 0 2")

    def test_nothing_is_nothing(self):
        self.assertEqual(self.counts(), "0 0 0")


if __name__ == "__main__":
    unittest.main()
