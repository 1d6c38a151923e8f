#!/usr/bin/env python3
"""bench/scaling: its sums agree with each other and with arithmetic where that is possible, and bad words are told."""
import json
import os
import subprocess
import sys
import unittest

SCALING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench", "scaling")


def run(*words):
    return subprocess.run([sys.executable, SCALING, *words], capture_output=True, text=True, check=False)


def years(*words):
    done = run("--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["years"]


class Scaling(unittest.TestCase):
    def test_without_renewals_there_is_one_certificate_a_device(self):
        rows = years("--devices", "1000", "--years", "2", "--lifetime", "10000", "--revoked", "0", "--enrolment", "100")
        self.assertEqual([row["certificates"] for row in rows], [1000, 1000])
        self.assertEqual(rows[-1]["devices"], 1000)
        self.assertEqual(rows[-1]["crl_entries"], 0)

    def test_a_day_of_enrolment_is_a_day_of_its_peak(self):
        (row,) = years("--devices", "86400", "--years", "1", "--lifetime", "10000", "--enrolment", "1", "--peak", "3")
        self.assertAlmostEqual(row["busiest_hour_per_s"], 3.0)

    def test_renewals_come_as_often_as_the_lifetime_says(self):
        (row,) = years("--devices", "1000", "--years", "1", "--enrolment", "1", "--lifetime", "30", "--renew-at", "0.5", "--revoked", "0")
        self.assertAlmostEqual(row["certificates"] / 1000, 365 / 15, delta=1.5)

    def test_the_revoked_are_counted_once_and_leave_the_lists(self):
        rows = years("--devices", "100000", "--years", "10", "--enrolment", "1", "--revoked", "0.1", "--lifetime", "90")
        self.assertAlmostEqual(rows[-1]["devices"] / 100000, 0.9048 ** 10, delta=0.01)
        self.assertLess(rows[-1]["crl_entries"], 100000 * 0.1 * 90 / 365)
        self.assertGreater(rows[-1]["crl_entries"], 0)

    def test_figures_of_another_machine_change_what_depends_on_them(self):
        before, after = years("--years", "1")[0], years("--years", "1", "--figure", "store_bytes=1660", "--figure", "cpu_us=142")[0]
        self.assertAlmostEqual(after["store_gb"], 2 * before["store_gb"])
        self.assertAlmostEqual(after["all_again_min"], 2 * before["all_again_min"])
        self.assertEqual(after["memory_gb"], before["memory_gb"])

    def test_bad_words_are_told(self):
        for words in (["--devices", "0"], ["--devices", "many"], ["--revoked", "2"], ["--lifetime", "-1"], ["--years", "nan"],
                      ["--figure", "cores=3"], ["--figure", "cpu_us=fast"], ["--unknown"]):
            done = run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("error: ", done.stderr)

    def test_the_table_has_a_row_for_each_year(self):
        done = run("--devices", "1000", "--years", "3")
        self.assertEqual(len(done.stdout.splitlines()), 5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
