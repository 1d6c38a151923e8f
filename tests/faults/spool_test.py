#!/usr/bin/env python3
"""An engine on a spool folder is killed at every point: each file is answered by one certificate, and none stays."""
import base64
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
import der
import deployment
from kill_test import POINTS

COUNT = 60
BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


class Spool(case.Case):
    @classmethod
    def setUpClass(cls):
        """No Redis needed."""

    def setUp(self):
        self.deployment = deployment.Deployment()
        self.spool = os.path.join(self.deployment.folder, "spool")
        self.csrs = deployment.make_csrs(COUNT)
        self.names = [f"d-{i}" for i in range(COUNT)]
        self.deployment.add_devices(self.names)

    def drop(self, name, content, ending="csr"):
        """As documented: written beside, renamed into place."""
        hidden = os.path.join(self.spool, "incoming", "." + name)
        with open(hidden, "wb") as file:
            file.write(content)
        os.rename(hidden, os.path.join(self.spool, "incoming", f"{name}.{ending}"))

    def drop_all(self):
        for name, csr in zip(self.names, self.csrs):
            self.drop(name, csr)

    def files(self, folder):
        return {name for name in os.listdir(os.path.join(self.spool, folder)) if not name.startswith(".")}

    def answered(self):
        """{device: certificate} of the folder of the answers."""
        found = {}
        for name in self.files("answered"):
            with open(os.path.join(self.spool, "answered", name), "rb") as file:
                text = file.read()
            found[name.rpartition(".")[0]] = base64.b64decode(text.split(BEGIN)[1].split(END)[0])
        return found

    def finish(self, engine, count=COUNT):
        deployment.wait_until(lambda: len(self.files("answered")) >= count and not self.files("incoming"), 20,
                              lambda: f"{len(self.files('answered'))} of {count} answered, "
                              f"{len(self.files('incoming'))} still there:\n{engine.text()}")
        self.stop(engine)
        store = checker.Store(self.deployment.store)
        evidence = checker.Evidence([], [], store, os.path.join(self.deployment.folder, "ca"))
        found = [text for rule in checker.RULES if rule is not checker.rule_recorded_is_published
                 for text in rule(evidence)]
        self.assertEqual(found, [])
        self.assertEqual(sorted(self.answered().values()), sorted(row[1] for row in store.ders),
                         "the files and the store hold the same certificates")
        for name, csr in zip(self.names, self.csrs):
            self.assertEqual(der.Certificate(self.answered()[name]).spki, der.csr_spki(csr))
        hidden = [name for folder in ("answered", "refused") for name in os.listdir(os.path.join(self.spool, folder))
                  if name.startswith(".")]
        self.assertEqual(hidden, [], "nothing half-written stays")
        return store

    def kill_at(self, point):
        if not deployment.has_fault_points():
            self.skip("this build has no fault points")
        self.drop_all()
        self.die_at(f"{point}:1:kill")
        self.assertEqual(len(self.finish(self.start()).abandoned), 0)

    def test_files_dropped_under_load_and_random_kills_are_all_answered(self):
        for at in range(0, COUNT, 10):
            engine = self.start()
            for name, csr in list(zip(self.names, self.csrs))[at:at + 10]:
                self.drop(name, csr)
            time.sleep(0.01 * (at % 3))
            engine.kill()
        self.finish(self.start())

    def test_a_file_that_is_refused_goes_to_refused_and_its_neighbours_are_answered(self):
        engine = self.start()
        self.drop("bad", b"nothing that is a request")
        self.drop_all()
        deployment.wait_until(lambda: "bad.error.json" in self.files("refused"), 10, "the bad file is refused")
        self.finish(engine)
        self.assertEqual(self.files("refused"), {"bad.error.json"})

    def test_a_file_that_is_still_being_written_is_taken_when_it_is_whole(self):
        engine = self.start()
        path = os.path.join(self.spool, "incoming", self.names[0] + ".csr")
        with open(path, "wb") as file:
            for octet in range(0, len(self.csrs[0]), 64):
                file.write(self.csrs[0][octet:octet + 64])
                file.flush()
                time.sleep(0.01)
        for name, csr in list(zip(self.names, self.csrs))[1:]:
            self.drop(name, csr)
        self.finish(engine)


def add_points():
    for point in POINTS:
        if point == "answers-written":
            continue  # of the Redis queue

        def test(self, point=point):
            self.kill_at(point)
        setattr(Spool, f"test_killed_at_{point.replace('-', '_')}", test)


add_points()

if __name__ == "__main__":
    case.main()
