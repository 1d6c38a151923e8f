#!/usr/bin/env python3
"""Every hostile request of the catalogue (tests/data/csr) at a running engine: refused as expected, its neighbours issued."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
from backend import Request
from deployment import SOURCE

FOLDER = os.path.join(SOURCE, "tests", "data", "csr")
# Fields that are too large, or absent because they are empty, are refused before anybody reads a CSR.
BEFORE_THE_CSR = {"der.too-large": "request.too-large"}


def catalogue():
    with open(os.path.join(FOLDER, "expected.tsv"), encoding="utf-8") as table:
        return [line.rstrip("\n").split("\t") for line in table if line.strip() and not line.startswith("#")]


class Corpus(case.Case):
    def test_each_is_refused_with_its_code_and_its_neighbours_are_issued(self):
        rows = catalogue()
        self.assertGreater(len(rows), 200)
        self.assertEqual({row[0] for row in rows}, set(os.listdir(FOLDER)) - {"expected.tsv", "README.md", "generate.py"})
        good = self.deploy("corpus", len(rows))
        requests = []
        for i, (name, code) in enumerate(rows):
            with open(os.path.join(FOLDER, name), "rb") as file:
                csr = file.read()
            self.assertLess(len(csr), 60000)
            # What is well-formed may still be refused for who asks, such as for the names it brings.
            expect = None if code == "ok" else BEFORE_THE_CSR.get(code, code)
            requests += [Request("hostile-" + name, f"hostile-{i}", csr, expect=expect), good[i]]
        self.deployment.add_devices([f"hostile-{i}" for i in range(len(rows))])
        engine = self.start()
        pid = engine.pid
        self.backend.push_slowly(requests)
        evidence = self.finish(engine, timeout_s=60)
        self.assertEqual(engine.pid, pid)
        issued = {row["id"].decode() for row in evidence.publications if row["status"] == b"issued"}
        self.assertEqual({request.id for request in good} - issued, set())
        fine = {"hostile-" + name for name, code in rows if code == "ok"}
        self.assertEqual({id for id in issued if id.startswith("hostile-")} - fine, set())
        refused = {row["id"].decode(): row["code"].decode() for row in evidence.publications if "code" in row}
        # The catalogue's good ones share keys: the second device with a key is refused for that.
        self.assertEqual({refused[id] for id in fine - issued} - {"key.reused"}, set(),
                         {id: refused[id] for id in fine - issued})


if __name__ == "__main__":
    case.main()
