#!/usr/bin/env python3
"""Goal: keys of an authority follow each other as the settings say, with nobody at hand, and no request notices.
Method: the command under a clock that is moved; running engines with turns of a few seconds, killed in between.

  rotation_schedule_test.py
"""
import fcntl
import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import softhsm
from deployment import CERTMILL, PATIENCE, Clock, Deployment, scratch, wait_until

DAY_S = 86400


class Scheduled(case.Case):
    def set_schedule(self, *lines, authority="issuing"):
        self.deployment.edit(rf"(?m)^  - name: {authority}$", r"\g<0>" + "".join("\n    " + line for line in lines))

    def states(self, authority="issuing"):
        """{name: state}"""
        rows = self.deployment.query("SELECT authority || '-' || generation, state FROM generation WHERE authority = ?"
                                     " ORDER BY generation", authority)
        return dict(rows)

    def active(self, authority="issuing"):
        """The name of the one that is; there is never none and never two."""
        found = [name for name, state in self.states(authority).items() if state == "active"]
        self.assertEqual(len(found), 1, found)
        return found[0]


class Command(Scheduled):
    """Without an engine."""

    def setUp(self):
        super().setUp()
        self.deployment = Deployment()
        self.clock = Clock(self.deployment.folder)

    def run_scheduled(self, days, *more, code=0):
        """What it says, so many days after the first key was made."""
        self.clock.set(int(days * DAY_S))
        done = subprocess.run([CERTMILL, "ca", "rotate", "issuing", "--scheduled", *more, "-c", self.deployment.settings],
                              env=dict(os.environ, **self.clock.variables), capture_output=True, check=False, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr)
        return (done.stdout or done.stderr).decode()

    def path(self, *names):
        return os.path.join(self.deployment.folder, *names)

    def test_automatic_does_what_is_due_and_nothing_else(self):
        self.set_schedule("issues-for: 90d", "rotate-ahead: 9d", "rotation: automatic", "retired-keys: destroy")
        self.assertEqual(self.run_scheduled(80.9), "")
        self.assertEqual(self.states(), {"issuing-1": "active"})
        self.assertEqual(self.run_scheduled(81.1), "issuing-2 is pending now\n")
        self.assertEqual(self.run_scheduled(89.9), "")
        self.assertEqual(self.states(), {"issuing-1": "active", "issuing-2": "pending"})
        self.assertEqual(self.run_scheduled(90.1), "issuing-2 is active now\n")
        self.assertEqual(self.states(), {"issuing-1": "retiring", "issuing-2": "active"})
        self.assertTrue(os.path.exists(self.path("keys", "issuing-1.pem")))
        self.assertEqual(self.run_scheduled(90.2), "issuing-1 is retired now\n")  # it has issued nothing
        self.assertFalse(os.path.exists(self.path("keys", "issuing-1.pem")))
        self.assertEqual(self.run_scheduled(90.3), "")
        steps = json.loads(self.run_scheduled(190, "--json"))  # late: both at once
        self.assertEqual([(step["generation"], step["state"]) for step in steps],
                         [("issuing-3", "pending"), ("issuing-3", "active")])
        self.assertEqual(json.loads(self.run_scheduled(190.1, "--json")), [{"generation": "issuing-2", "state": "retired"}])

    def test_what_has_certificates_out_is_not_retired_and_archived_keys_stay(self):
        self.set_schedule("issues-for: 90d", "rotation: automatic")
        os.mkdir(self.path("in"))
        self.write_csr("in", "m.csr")
        self.deployment.run("issue", "--in", self.path("in"), "--out", self.path("out"), "--enroll", "default")
        self.assertEqual(self.run_scheduled(91), "issuing-2 is pending now\nissuing-2 is active now\n")
        self.assertEqual(self.run_scheduled(92), "")
        self.assertEqual(self.states()["issuing-1"], "retiring")
        self.run_scheduled(182)
        self.assertIn("issuing-1 is retired now", self.run_scheduled(1200))
        self.assertTrue(os.path.exists(self.path("keys", "issuing-1.pem")))
        self.assertEqual(self.deployment.query("SELECT key_fate FROM generation WHERE state = 'retired' LIMIT 1"), [("archived",)])

    def write_csr(self, *names):
        key = self.path("device.key")
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                        "-subj", "/CN=m", "-outform", "DER", "-out", self.path(*names)], check=True, capture_output=True)

    def test_prepare_prepares_and_warn_does_nothing(self):
        self.set_schedule("issues-for: 90d", "rotation: prepare")
        self.assertEqual(self.run_scheduled(200), "issuing-2 is pending now\n")
        self.assertEqual(self.run_scheduled(300), "")
        self.assertEqual(self.states(), {"issuing-1": "active", "issuing-2": "pending"})
        self.deployment.edit("rotation: prepare", "rotation: warn")
        self.deployment.run("ca", "activate", "issuing")
        self.assertEqual(self.run_scheduled(3000), "")
        self.assertEqual(self.states(), {"issuing-1": "retiring", "issuing-2": "active"})

    def test_a_key_that_ends_with_its_signer_is_not_replaced_by_another_one(self):
        self.set_schedule("issues-for: 36500d", "rotate-ahead: 100d", "rotation: automatic")
        self.assertEqual(self.run_scheduled(3549), "")
        self.assertIn("issuing-2 is pending", self.run_scheduled(3551))  # its certificate ends after ten years
        self.assertIn("issuing-2 is active", self.run_scheduled(3650.5))
        self.assertIn("issuing-3 is pending", self.run_scheduled(7150))  # until the end of the root's twenty
        self.assertIn("issuing-3 is active", self.run_scheduled(7201.5))
        text = self.run_scheduled(7202, code=1)
        self.assertIn("issuing-3 ends, and root-1, which signs the next one, no later", text)
        self.assertEqual(self.active(), "issuing-3")

    def test_it_says_what_it_cannot_keep(self):
        self.assertIn("no authority issuing with issues-for", self.run_scheduled(1, code=1))
        self.assertIn("the settings say what is done", self.run_scheduled(1, "--activate", code=2))
        self.set_schedule("issues-for: 90d", "rotation: automatic")
        self.run_scheduled(50)
        text = self.deployment.run("doctor", check=False).stdout.decode()
        self.assertIn("the next key's turn is in 89 d", text)


class Engine(Scheduled):
    """While one runs."""

    def trickle(self, requests, until, timeout_s=60):
        """One request after the other, and a look at the states after each, until that is so."""
        deadline = time.monotonic() + timeout_s * PATIENCE
        while requests and not until():
            self.backend.push([requests.pop()])
            self.active()
            self.assertLess(time.monotonic(), deadline, "that never comes")
            time.sleep(0.1)
        self.backend.wait_answered()
        self.assertTrue(until())

    def number(self, authority="issuing"):
        return int(self.active(authority).rpartition("-")[2])

    def issuers(self):
        return {answer["issuer"].decode() for answers in self.backend.answers().values() for answer in answers}

    def test_keys_follow_each_other_and_who_is_killed_goes_on(self):
        requests = self.deploy("turns", 600)
        self.set_schedule("issues-for: 4s", "rotate-ahead: 2s", "rotation: automatic")
        engine = self.start()
        self.trickle(requests, lambda: self.number() >= 3)
        engine.kill()
        self.active()
        engine = self.start()
        last = self.number()
        # A key may have had its time while nobody ran, or nobody asked.
        self.trickle(requests, lambda: self.number() >= last + 2 and len(self.issuers()) >= 4)
        row = self.status()["issuers"][0]
        self.assertLess(row["rotation_due_s"], 5)
        self.assertRegex(engine.text(), r"issuing-\d+ has issued for \d s of 4 s")
        self.finish(engine)

    def test_short_lived_keys_in_files_follow_each_other_under_a_parent_in_a_token(self):
        if softhsm.MODULE is None:
            self.skip(softhsm.WHY_NOT)
        token = softhsm.Token(scratch())
        requests = self.deploy("local", 400, init=token.init_options())
        os.makedirs(os.path.join(self.deployment.folder, "keys"), mode=0o700, exist_ok=True)
        self.deployment.edit(r"(?m)^providers:$", "providers:\n  - name: files\n    kind: openssl\n    keys: keys")
        self.deployment.run("ca", "create", "local", "--provider", "files", "--key", "file:local.pem", "--signed-by", "root",
                            "--validity", "2d")
        self.deployment.edit(r"(?m)^  - name: issuing$", r"  - name: local\n\g<0>")
        self.deployment.edit(r"(?m)^    authority: issuing$", "    authority: local")
        self.set_schedule("issues-for: 4s", "rotate-ahead: 2s", "rotation: automatic", authority="local")
        engine = self.start()
        self.trickle(requests, lambda: self.number("local") >= 3, 90)
        self.assertGreaterEqual(self.issuers(), {"local-1", "local-2"})
        keys = self.deployment.query("SELECT provider, key FROM generation WHERE authority = 'local'")
        self.assertEqual({provider for provider, _ in keys}, {"files"})
        self.assertEqual(self.states(), {"issuing-1": "active"})
        self.finish(engine)

    def children(self, engine):
        """Process ids of the rotations that it has started."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:  # it has ended
                continue
            if parent == engine.pid and words[1:3] == [b"ca", b"rotate"]:
                found.append(int(pid))
        return found

    def test_what_it_has_started_is_alone_and_ends_with_it(self):
        self.deploy("ended", 0)
        self.set_schedule("issues-for: 2s", "rotation: automatic")
        with open(self.deployment.settings, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # somebody else makes a key: it waits
            engine = self.start()
            (child,) = wait_until(lambda: self.children(engine), 20, engine.text)
            for _ in range(20):  # asked for again, when the next moment comes
                self.assertEqual(self.children(engine), [child])
                time.sleep(0.1)
            self.stop(engine)
            self.assertFalse(os.path.exists(f"/proc/{child}"))
        self.assertEqual(self.states(), {"issuing-1": "active"})

    def test_keys_of_which_everything_has_ended_are_destroyed_while_it_runs(self):
        requests = self.deploy("ends", 1)
        self.set_schedule("issues-for: 4s", "rotation: automatic", "retired-keys: destroy")
        engine = self.start()
        wait_until(lambda: self.states()["issuing-1"] == "retired", 60, engine.text)
        key = os.path.join(self.deployment.folder, "keys", "issuing-1.pem")
        wait_until(lambda: not os.path.exists(key), 20, "it is destroyed")
        self.trickle(requests, lambda: len(self.issuers()) == 1)
        self.assertTrue(self.status()["ready"])
        self.assertNotIn("was not published", engine.text())
        self.finish(engine)

    def test_one_that_only_warns_makes_nothing(self):
        requests = self.deploy("warned", 2)
        self.set_schedule("issues-for: 2s")
        engine = self.start()
        wait_until(lambda: re.search(r"issuing-1 has issued for \d+ s of 2 s: certmill ca rotate issuing makes the next key",
                                     engine.text()), 20, engine.text)
        self.backend.push(requests)
        self.backend.wait_answered()
        self.assertEqual(self.states(), {"issuing-1": "active"})
        self.assertEqual(len(re.findall("of 2 s: ", engine.text())), len(set(re.findall(".*of 2 s: .*", engine.text()))))
        self.finish(engine)

    def test_a_failure_is_said_and_tried_again_with_pauses(self):
        self.deploy("failing", 0)
        root = os.path.join(self.deployment.folder, "keys", "root.pem")
        os.rename(root, root + ".away")
        self.set_schedule("issues-for: 2s", "rotation: automatic")
        engine = self.start()
        for pause in (1, 2):
            wait_until(lambda s=pause: f"the rotation of issuing has failed; it is tried again in {s} s" in engine.text(), 30,
                       engine.text)
        self.assertEqual(self.states(), {"issuing-1": "active"})
        os.rename(root + ".away", root)
        wait_until(lambda: self.number() >= 2, 30, engine.text)
        self.stop(engine)


if __name__ == "__main__":
    case.main()
