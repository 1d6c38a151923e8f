#!/usr/bin/env python3
"""Goal: the commands of docs/guides/benchmarks.md work where they stand. Method: all of its sh blocks, one after the other, with
fleets of a few dozen devices in place of tens of thousands.

  bench_guide_test.py
"""
import glob
import json
import os
import re
import shutil
import unittest

from guide_test import Page  # first: it says where tests/support is
import softhsm
from deployment import SOURCE

SMALL = "--devices 60 "


@unittest.skipUnless(shutil.which("redis-server"), "redis-server is not installed")
class Benchmarks(Page):
    PAGE = ("docs", "guides", "benchmarks.md")

    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.folder, "trial")
        os.mkdir(self.home)
        self.names = {"certmill bench  ": "certmill bench " + SMALL, "1000:8000:1000 --hold 5": "100:200:100 --hold 1",
                      "--mix": SMALL + "--mix", "/srv/": self.folder + "/"}

    def small(self, block):
        return re.sub(r"--devices \d+0000?0?\b", SMALL, block)

    def run_all(self, blocks):
        return [self.run_block(self.small(block)).stdout for block in blocks]

    def report(self, name):
        with open(os.path.join(self.home, name), encoding="utf-8") as file:
            return json.load(file)

    def test_every_command_works(self):
        self.run_block("certmill init --quiet /srv/ca")
        blocks = [block for block in self.blocks(*self.PAGE) if "--module" not in block]
        said = "\n".join(self.run_all(blocks))
        self.assertIn("the provider soft alone", said)
        self.assertRegex(said, r"(Well up to|At) \d+ a second")
        self.assertIn("The workloads differ: settings.signers (\"inline\", \"process\")", said)
        self.assertIn("(runs: 3 before, 3 after)", said)
        self.assertEqual(sorted(glob.glob("*.html", root_dir=self.home)), ["bench.html", "ramp.html"])
        self.assertEqual([self.report(name)["issued"] for name in ("before.json", "after-3.json")], [60, 60])
        self.assertTrue(self.report("after.json")["fleet"]["from_cache"])

    def test_the_members_that_it_names_are_there(self):
        report = json.loads(self.run_block("certmill bench --devices 50 --rate 1000 --json").stdout)
        with open(os.path.join(SOURCE, *self.PAGE), encoding="utf-8") as file:
            table = file.read().partition("| member | what |")[2].partition("\n\n")[0]
        named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\| ([^|]*) \|", table)))) - {"token_per_second"}
        self.assertGreater(len(named), 30)
        self.assertEqual(named - set(report), set())

    @unittest.skipUnless(softhsm.MODULE, softhsm.WHY_NOT)
    def test_a_token_is_measured_as_it_says(self):
        token = softhsm.Token(self.folder)
        block = self.block("--module", *self.PAGE)
        self.names.update({"/usr/lib/softhsm/libsofthsm2.so": softhsm.MODULE, "token=trial": "token=" + softhsm.LABEL,
                           "file:/tmp/hsm/pin": "file:" + token.pin_file})
        self.assertIn("the provider pkcs11 alone", self.run_block(self.small(block)).stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
