#!/usr/bin/env python3
"""Goal: what settings mark runs only by a plan that enough operators have signed, once, within its time, while what it
says is so; and no one alone runs or cancels one. Method: the commands on a real deployment, without an engine and with one.

  ceremony_test.py
"""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
from deployment import make_csrs, wait_until

OPERATORS = {"ann": ["-algorithm", "ED25519"], "bob": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
             "eve": ["-algorithm", "ED25519"]}
DEVICES = 3


def openssl(*words):
    return subprocess.run(["openssl", *words], capture_output=True, check=True).stdout


class CeremonyCase(unittest.TestCase):
    """ann and bob may approve; eve has a key, and is no operator."""

    serving = False  # with an engine
    valid = "1d"
    marked = ("activate",)

    def setUp(self):
        self.made = deployment.Deployment()
        for name, kind in OPERATORS.items():
            openssl("genpkey", *kind, "-out", self.path(name + ".key"))
            openssl("pkey", "-in", self.path(name + ".key"), "-pubout", "-out", self.path(name + ".pem"))
        self.made.edit(r"\Z", "\noperators:\n  - {name: ann, key: ann.pem}\n  - {name: bob, key: bob.pem}\n"
                       f"dual-control:\n  - {{operation: revoke-group, valid: {self.valid}}}\n"
                       + "".join(f"  - {{operation: {operation}}}\n" for operation in self.marked))
        names = [f"m-{i}" for i in range(DEVICES)]
        self.made.add_devices(names)
        self.issue(names)
        self.engine = None
        if self.serving:
            self.start()
        self.addCleanup(self.stop)

    def path(self, *names):
        return os.path.join(self.made.folder, *names)

    def start(self, fault=None):
        self.engine = self.made.start(fault)

    def stop(self):
        if self.engine:
            self.assertEqual(self.engine.stop(), 0, self.engine.text())
        self.engine = None

    def issue(self, names):
        folder = tempfile.mkdtemp(dir=self.made.folder)
        for name, der in zip(names, make_csrs(len(names))):
            with open(os.path.join(folder, name + ".der"), "wb") as file:
                file.write(der)
        self.made.run("issue", "--in", folder, "--out", os.path.join(folder, "out"), "--quiet")

    # --- commands

    def certmill(self, *words, code=0):
        done = self.made.run(*words, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def refused(self, text, *words):
        self.assertIn(text, self.certmill(*words, code=1).stderr.decode())

    def prepare(self, *words):
        done = self.certmill("ceremony", "prepare", *(words or ("revoke-group", "default")), "--json")
        return json.loads(done.stdout)["plan"]

    @staticmethod
    def by(name, key=None):
        return ["--operator", name, "--key", "file:" + (key or name) + ".key"]

    def sign(self, step, plan, name, key=None):
        words = ["ceremony", step, plan, "--operator", name, "--key", "file:" + self.path((key or name) + ".key"), "--json"]
        return json.loads(self.certmill(*words).stdout)

    def approve(self, plan, *names):
        for name in names:
            self.assertTrue(self.sign("approve", plan, name)["changed"])

    def run_plan(self, plan):
        return json.loads(self.certmill("ceremony", "run", plan, "--json").stdout)

    def state(self, plan):
        return json.loads(self.certmill("ceremony", "show", plan, "--json").stdout)["state"]

    def revoked(self):
        return self.made.query("SELECT count(*) FROM revocation")[0][0]

    def audit(self):
        rows = self.made.query("SELECT kind FROM audit WHERE kind LIKE 'plan-%' OR kind = 'revoke' ORDER BY number")
        return [kind for kind, in rows]


class Ceremony(CeremonyCase):
    def test_a_plan_that_two_approve_runs_once(self):
        self.refused("revoke-group wants the approval of 2 operators: certmill ceremony prepare revoke-group default",
                     "revoke", "--group", "default", "--yes")
        plan = self.prepare("revoke-group", "default", "--set", "reason=keyCompromise", "--set", "why=stolen van")
        self.refused("the plan has 0 of 2 approvals to run it", "ceremony", "run", plan)
        self.approve(plan, "ann")
        self.refused("the plan has 1 of 2 approvals to run it", "ceremony", "run", plan)
        again = self.sign("approve", plan, "ann")  # the same one again is not two
        self.assertEqual((again["changed"], again["counted"]), (False, 1))
        self.refused("the plan has 1 of 2 approvals to run it", "ceremony", "run", plan)
        self.assertEqual(self.revoked(), 0)
        self.assertEqual(self.sign("approve", plan[:8], "bob"),
                         {"changed": True, "counted": 2, "wanted": 2, "cancelled": False})
        self.assertEqual(self.run_plan(plan[:6]), {"certificates": DEVICES, "devices": DEVICES})
        self.assertEqual(self.revoked(), DEVICES)
        self.refused("the plan has run already", "ceremony", "run", plan)
        self.refused("the plan has run already", "ceremony", "approve", plan, "--operator", "bob", "--key",
                     "file:" + self.path("bob.key"))
        self.assertEqual(self.state(plan), "run")
        self.assertIn(plan[:4], self.made.run("ca", "ceremony", "list").stdout.decode())  # it is looked for there, too
        self.assertEqual(self.audit(), ["plan-prepared", "plan-approved", "plan-approved", "revoke", "plan-run"])
        (detail,), = self.made.query("SELECT detail FROM audit WHERE kind = 'revoke'")
        detail = json.loads(detail)
        self.assertEqual((detail["plan"], detail["reason"], detail["why"]), (plan, "keyCompromise", "stolen van"))

    def test_only_an_operators_own_key_approves(self):
        plan = self.prepare()
        for name, key, why in (("eve", "eve", "eve is no operator of the settings"),
                               ("ann", "eve", "the key is not that of the operator ann in the settings"),
                               ("bob", "ann", "the key is not that of the operator bob in the settings")):
            self.refused(why, "ceremony", "approve", plan, "--operator", name, "--key", "file:" + self.path(key + ".key"))
        self.refused("there is no plan", "ceremony", "approve", "f" * 32, "--operator", "ann", "--key",
                     "file:" + self.path("ann.key"))
        self.refused("the plan has not this digest", "ceremony", "approve", plan, "--digest", "0" * 64, "--operator", "ann",
                     "--key", "file:" + self.path("ann.key"))
        self.assertEqual(json.loads(self.certmill("ceremony", "show", plan, "--json").stdout)["counted"], 0)

    def test_signatures_come_from_elsewhere(self):
        plan_file, bob, ann = self.path("plan.json"), self.path("bob.json"), self.path("ann.json")
        plan = self.prepare("revoke-group", "default", "--out", plan_file)
        script = subprocess.run([deployment.CERTMILL, "ceremony", "show", plan_file], capture_output=True, check=True, cwd="/").stdout
        with open(plan_file, "rb") as file:
            text = file.read().rstrip(b"\n")
        digest = hashlib.sha256(text).hexdigest()
        words = "  ".join(digest[i:i + 4] for i in range(0, 16, 4))
        self.assertIn(words, script.decode())
        self.assertIn(words, self.certmill("ceremony", "show", plan).stdout.decode())
        subprocess.run([deployment.CERTMILL, "ceremony", "sign", plan_file, *self.by("bob"), "--digest", digest, "--out", bob],
                       check=True, cwd=self.made.folder)
        self.certmill("ceremony", "approve", plan, "--approval", bob)
        # Any tool signs, and nothing of ours is needed for it.
        with open(self.path("message"), "w", encoding="ascii") as file:
            file.write("certmill-plan-v1 run " + digest)
        signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path("ann.key"), "-in", self.path("message"))
        spki = openssl("pkey", "-pubin", "-in", self.path("ann.pem"), "-outform", "DER")
        approval = {"v": 1, "plan": plan, "digest": digest, "purpose": "run", "operator": "ann",
                    "key": base64.b64encode(spki).decode(), "signature": base64.b64encode(signature).decode()}
        self.write_json(ann, {**approval, "purpose": "cancel"})
        self.refused("signed to cancel the plan", "ceremony", "approve", plan, "--approval", ann)
        self.write_json(ann, {**approval, "digest": "0" * 64})
        self.refused("a plan with another digest", "ceremony", "approve", plan, "--approval", ann)
        self.write_json(ann, {**approval, "signature": base64.b64encode(bytes(64)).decode()})
        self.refused("the signature is not by this key", "ceremony", "approve", plan, "--approval", ann)
        other = self.prepare()
        self.write_json(ann, approval)
        self.refused("for another plan", "ceremony", "approve", other, "--approval", ann)
        self.certmill("ceremony", "approve", plan, "--approval", ann)
        self.assertEqual(self.run_plan(plan)["certificates"], DEVICES)

    @staticmethod
    def write_json(path, value):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(value, file)

    def test_an_altered_plan_has_no_approvals(self):
        plan_file = self.path("plan.json")
        self.prepare("revoke-group", "default", "--set", "reason=superseded", "--out", plan_file)
        with open(plan_file, encoding="utf-8") as file:
            text = file.read()
        with open(plan_file, "w", encoding="utf-8") as file:
            file.write(text.replace("superseded", "keyCompromise"))
        self.certmill("ceremony", "sign", plan_file, "--operator", "ann", "--key", "file:" + self.path("ann.key"), "--out",
                      self.path("a.json"))
        self.refused("another digest", "ceremony", "approve", json.loads(text)["id"], "--approval", self.path("a.json"))
        with open(plan_file, "w", encoding="utf-8") as file:
            file.write(text.replace(",", ", ", 1))
        self.refused("not in its canonical form", "ceremony", "show", plan_file)

    def test_no_one_alone_cancels_a_plan(self):
        plan = self.prepare()
        self.approve(plan, "ann", "bob")
        self.assertEqual(self.sign("cancel", plan, "ann"), {"changed": True, "counted": 1, "wanted": 2, "cancelled": False})
        self.assertFalse(self.sign("cancel", plan, "ann")["cancelled"])
        self.assertEqual(self.state(plan), "open")
        self.refused("not that of the operator bob", "ceremony", "cancel", plan, "--operator", "bob", "--key",
                     "file:" + self.path("eve.key"))
        self.assertTrue(self.sign("cancel", plan, "bob")["cancelled"])
        self.assertEqual(self.state(plan), "cancelled")
        self.refused("the plan was cancelled", "ceremony", "run", plan)
        self.assertEqual(self.revoked(), 0)
        self.assertEqual(self.audit()[-1], "plan-cancelled")

    def test_who_has_left_does_not_count_any_more(self):
        plan = self.prepare()
        self.approve(plan, "ann", "bob")
        self.stop()
        self.made.edit(r"key: bob\.pem", "key: eve.pem")
        if self.serving:
            self.start()
        self.refused("the plan has 1 of 2 approvals to run it", "ceremony", "run", plan)
        self.assertRegex(self.certmill("ceremony", "show", plan).stdout.decode(), "bob approved it at .*: does not count any more")
        self.assertTrue(self.sign("approve", plan, "bob", "eve")["changed"])  # bob has a new key
        self.assertEqual(self.run_plan(plan)["certificates"], DEVICES)

    def test_settings_that_want_more_want_it_of_plans_that_are_there(self):
        plan = self.prepare()
        self.approve(plan, "ann", "bob")
        self.stop()
        self.made.edit(r"\n  - \{name: bob", r"\n  - {name: eve, key: eve.pem}\g<0>")
        self.made.edit(r"operation: revoke-group", r"\g<0>, approvals: 3")
        if self.serving:
            self.start()
        self.refused("the plan has 2 of 3 approvals to run it", "ceremony", "run", plan)
        self.approve(plan, "eve")
        self.assertEqual(self.run_plan(plan)["certificates"], DEVICES)

    def test_only_those_of_the_role_count(self):
        self.stop()
        for name in ("ann", "bob"):
            self.made.edit(rf"key: {name}\.pem", r"\g<0>, roles: [keys]")
        self.made.edit(r"\n  - \{name: bob", r"\n  - {name: eve, key: eve.pem}\g<0>")
        self.made.edit(r"operation: revoke-group", r"\g<0>, role: keys")
        if self.serving:
            self.start()
        plan = self.prepare()
        self.refused("the operator eve has not the role that revoke-group wants", "ceremony", "approve", plan, "--operator", "eve",
                     "--key", "file:" + self.path("eve.key"))
        self.approve(plan, "ann", "bob")
        self.assertEqual(self.run_plan(plan)["certificates"], DEVICES)

    def test_the_record_verifies_without_us(self):
        plan = self.prepare()
        self.approve(plan, "ann", "bob")
        self.run_plan(plan)
        self.certmill("ceremony", "record", plan, "--out", self.path("record.json"))
        with open(self.path("record.json"), encoding="utf-8") as file:
            record = json.load(file)
        self.assertEqual(record["digest"], hashlib.sha256(record["plan"].encode()).hexdigest())
        self.assertEqual((record["outcome"], record["wanted"]), ("run", 2))
        self.assertEqual([row["kind"] for row in record["audit"]],
                         ["plan-prepared", "plan-approved", "plan-approved", "revoke", "plan-run"])
        self.assertEqual(sorted(row["operator"] for row in record["approvals"]), ["ann", "bob"])
        for row in record["approvals"]:
            for name, octets in (("m", row["message"].encode()), ("s", base64.b64decode(row["signature"])),
                                 ("k", base64.b64decode(row["key"]))):
                with open(self.path(name), "wb") as file:
                    file.write(octets)
            self.assertEqual(row["message"], "certmill-plan-v1 run " + record["digest"])
            openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", self.path("k"), "-in", self.path("m"),
                    "-sigfile", self.path("s"))
        self.refused("record.json", "ceremony", "record", plan, "--out", self.path("record.json"))

    def test_what_is_not_marked_needs_no_plan_and_what_is_not_there_gets_none(self):
        self.refused("do not ask for a plan to retire", "ceremony", "prepare", "retire", "issuing-1")
        self.refused("there is no group", "ceremony", "prepare", "revoke-group", "pumps")
        self.refused("there is no generation issuing-7", "ceremony", "prepare", "activate", "issuing-7")
        self.refused("not a reason", "ceremony", "prepare", "revoke-group", "default", "--set", "reason=whim")
        self.refused("no order about a group", "ceremony", "prepare", "revoke-group", "default", "--set", "kind=quarantine")
        self.refused("no order about a group", "ceremony", "prepare", "revoke-group", "default", "--set", "x=y")
        self.certmill("ceremony", "prepare", "revoke-group", "default", "--set", "reason", code=2)
        self.certmill("ceremony", "prepare", "dance", "default", code=2)
        self.assertEqual(json.loads(self.certmill("ceremony", "list", "--json").stdout), {"plans": []})
        device = self.certmill("revoke", "--device", "m-0", "--json")  # one device is no bulk
        self.assertEqual(json.loads(device.stdout)["certificates"], 1)

    def test_a_script_says_all_of_it(self):
        plan = self.prepare("activate", "issuing-1")
        script = self.certmill("ceremony", "show", plan).stdout.decode()
        fingerprint = json.loads(self.certmill("ca", "show", "issuing-1", "--json").stdout)["sha256"]
        for words in ("CEREMONY   activate issuing-1", "issuing-1 is active", plan, "Approvals: 0 of 2", "Missing: 2 more of ann bob",
                      "  ".join(fingerprint[i:i + 4] for i in range(0, 16, 4))):
            self.assertIn(words, script)
        self.approve(plan, "bob")
        script = self.certmill("ceremony", "show", plan).stdout.decode()
        self.assertIn("Missing: 1 more of ann\n", script)
        self.assertIn("bob approved it at", script)
        self.assertIn(f"{plan[:8]}  open       1 of 2", self.certmill("ceremony", "list").stdout.decode())


class CeremonyOfAnEngine(Ceremony):
    serving = True

    def test_an_order_through_the_socket_wants_a_plan_too(self):
        plan = self.prepare()
        order = {"kind": "revoke", "group": "default"}
        for more in ({}, {"plan": plan}, {"plan": "f" * 32}, {"plan": ""}):
            (outcome,) = self.ask("orders", orders=[{**order, **more}])["orders"]
            self.assertEqual(outcome["code"], "policy.dual-control", outcome)
        (outcome,) = self.ask("orders", orders=[{"kind": "retire", "group": "default"}])["orders"]
        self.assertEqual(outcome["code"], "policy.dual-control", outcome)
        self.assertIn("plan: expected with", self.ask("orders", orders=[{"kind": "revoke", "device": "m-0", "plan": plan}])["error"])
        self.approve(plan, "ann", "bob")
        (outcome,) = self.ask("orders", orders=[{**order, "plan": plan, "reason": "superseded"}])["orders"]
        self.assertIn("the plan is for something else", outcome["message"])
        self.assertEqual(self.revoked(), 0)
        (outcome,) = self.ask("orders", orders=[{**order, "plan": plan}])["orders"]
        self.assertEqual((outcome["code"], outcome["certificates"]), ("", DEVICES))

    def test_nobody_at_the_socket_cancels_a_plan_alone(self):
        plan = self.prepare()
        self.assertIn("0 of 2 operators want it cancelled", self.ask("plan-cancel", text=plan)["error"])
        self.sign("cancel", plan, "ann")
        self.assertIn("1 of 2 operators want it cancelled", self.ask("plan-cancel", text=plan)["error"])
        self.assertEqual(self.state(plan), "open")
        self.sign("cancel", plan, "bob")
        self.assertEqual(self.ask("plan-cancel", text=plan), {"changed": False})  # it is already

    def test_a_plan_that_says_other_than_the_store_is_not_taken(self):
        plan_file = self.path("plan.json")
        self.prepare("activate", "issuing-1", "--out", plan_file)
        with open(plan_file, encoding="utf-8") as file:
            plan = json.load(file)
        plan["id"] = "0" * 32
        for change, why in (({"approvals": 1}, "other approvals"), ({"prepared_by": "operator:eve"}, "somebody else"),
                            ({"expires": plan["expires"] + 1}, "another time"), ({"prepared": plan["prepared"] - 10000,
                             "expires": plan["expires"] - 10000}, "not prepared now"),
                            ({"found": []}, "the store is not as it says"), ({"operation": "retire"}, "not marked")):
            text = json.dumps({**plan, **change}, sort_keys=True, separators=(",", ":"))
            self.assertIn(why, self.ask("plan-prepare", actor=plan["prepared_by"], text=text)["error"])
        self.assertIn("no plan", self.ask("plan-cancel", text="0" * 32)["error"])
        self.assertIn("not an approval", self.ask("plan-approve", text="{}")["error"])
        self.assertIn("text", self.ask("plan-approve", text=7)["error"])

    def ask(self, op, actor="operator:ann", **fields):
        import socket  # pylint: disable=import-outside-toplevel
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path("store", "control.sock"))
            client.sendall(json.dumps({"v": 1, "op": op, "actor": actor, **fields}).encode() + b"\n")
            return json.loads(client.makefile().readline())

    def test_an_engine_that_dies_before_a_plan_runs_has_kept_its_approvals(self):
        plan = self.prepare()
        self.approve(plan, "ann", "bob")
        self.engine.kill()
        self.start()
        self.assertEqual(self.run_plan(plan)["certificates"], DEVICES)

    @unittest.skipUnless(deployment.has_fault_points(), "built without fault points")
    def test_an_engine_that_dies_as_a_plan_runs_runs_it_or_not(self):
        plan = self.prepare()
        self.approve(plan, "ann", "bob")
        for point, state, revoked in (("plan-marked", "open", 0), ("orders-durable", "run", DEVICES)):
            self.stop()
            self.start(fault=f"{point}:1:kill")
            self.certmill("ceremony", "run", plan, code=1)
            self.engine.wait(10)
            self.engine = None
            self.assertEqual((self.state(plan), self.revoked()), (state, revoked))
        self.start()
        self.refused("the plan has run already", "ceremony", "run", plan)


class AuthoritiesCase(CeremonyCase):
    """Everything that may be marked is."""

    marked = ("root-key", "create", "rotate", "activate", "retire", "compromise")

    def approved(self, *words):
        plan = self.prepare(*words)
        self.approve(plan, "bob", "ann")
        return plan

    def states(self):
        rows = self.made.query("SELECT authority || '-' || generation, state FROM generation WHERE authority <> 'root'")
        return dict(rows)

    def wants(self, operation, *words):
        keys = sorted(os.listdir(self.path("keys")))
        self.refused(f"{operation} wants the approval of 2 operators", *words)
        self.assertEqual(sorted(os.listdir(self.path("keys"))), keys)


class CeremonyOfAuthorities(AuthoritiesCase):
    def test_a_key_is_replaced_by_plans_alone(self):
        self.refused("rotate wants the approval of 2 operators", "ca", "rotate", "issuing")
        self.assertEqual(self.states(), {"issuing-1": "active"})
        self.refused("there is no plan", "ca", "rotate", "issuing", "--plan", "0" * 32)
        plan = self.approved("rotate", "issuing")
        self.refused("certmill ca rotate issuing --plan " + plan[:8], "ceremony", "run", plan)
        self.certmill("ca", "rotate", "issuing", "--plan", plan)
        self.assertEqual(self.states(), {"issuing-1": "active", "issuing-2": "pending"})
        self.wants("activate", "ca", "activate", "issuing")
        self.refused("the plan is for something else", "ca", "activate", "issuing", "--plan", plan)
        first, second = self.approved("activate", "issuing-2"), self.approved("activate", "issuing-2")
        self.assertEqual(json.loads(self.certmill("ceremony", "run", first, "--json").stdout), {"changed": True, "stopped": "issuing-1"})
        self.assertEqual(self.states(), {"issuing-1": "retiring", "issuing-2": "active"})
        self.refused("not as the plan has found them", "ceremony", "run", second)
        again = json.loads(self.certmill("ca", "activate", "issuing-2", "--json").stdout)  # it is so already
        self.assertFalse(again["changed"])
        self.assertEqual((self.state(first), self.state(second)), ("run", "open"))
        self.wants("retire", "ca", "retire", "issuing-2", "--last")
        plan = self.approved("retire", "issuing-2", "--set", "to=retiring")
        self.refused("with other parameters or none", "ca", "retire", "issuing-2", "--last", "--plan", plan)
        plan = self.approved("retire", "issuing-2", "--set", "to=retiring", "--set", "last=yes")
        self.certmill("ca", "retire", "issuing-2", "--last", "--plan", plan)
        self.assertEqual(self.states()["issuing-2"], "retiring")

    def test_a_key_that_is_lost_is_given_up_by_a_plan(self):
        compromise = ["ca", "compromise", "issuing-1", "--yes", "--no-replace", "--why", "stolen backup"]
        self.wants("compromise", *compromise)
        self.refused("with other parameters or none", *compromise, "--plan", self.approved("compromise", "issuing-1"))
        self.assertEqual((self.states(), self.revoked()), ({"issuing-1": "active"}, 0))
        plan = self.approved("compromise", "issuing-1", "--set", "why=stolen backup")
        self.certmill(*compromise, "--plan", plan)
        self.assertEqual(self.states(), {"issuing-1": "compromised"})
        self.assertEqual(self.revoked(), DEVICES + 1)
        self.assertEqual(self.state(plan), "run")
        self.certmill(*compromise)  # gone on with, after it was cut off
        self.wants("rotate", "ca", "rotate", "issuing", "--replace", "issuing-1")

    def test_a_parameter_that_nothing_goes_by_is_refused(self):
        for words in (("activate", "issuing-1", "--set", "x=y"), ("retire", "issuing-1"), ("rotate", "issuing", "--set", "key=x"),
                      ("retire", "issuing-1", "--set", "key=kept"), ("compromise", "issuing-1", "--set", "when=now")):
            self.refused("parameters of " + words[0], "ceremony", "prepare", *words)


class CeremonyOfAuthoritiesOfAnEngine(CeremonyOfAuthorities):
    serving = True


class CeremonyOfNewAuthorities(AuthoritiesCase):
    """Which no engine makes."""

    def test_an_authority_is_made_by_a_plan(self):
        root = ["ca", "create", "second", "--self-signed", "--key", "file:second.pem"]
        below = ["ca", "create", "third", "--signed-by", "root", "--key", "file:third.pem"]
        self.wants("root-key", *root)
        self.wants("create", *below)
        plan = self.approved("root-key", "second")
        self.refused("the plan is for something else", *below, "--plan", plan)
        self.certmill(*root, "--plan", plan)
        self.refused("there is an authority second already", *root, "--plan", plan)
        self.certmill(*below, "--plan", self.approved("create", "third"))
        self.assertEqual(self.states(), {"issuing-1": "active", "second-1": "active", "third-1": "active"})

    def test_a_request_for_another_signer_is_made_by_a_plan(self):
        words = ["ca", "create", "site", "--key", "file:site.pem", "--csr", self.path("site.csr")]
        self.wants("create", *words)
        self.assertFalse(os.path.exists(self.path("site.csr")))
        self.certmill(*words, "--plan", self.approved("create", "site"))
        self.assertEqual(self.states(), {"issuing-1": "active", "site-1": "pending"})


class CeremonyOfCrossCertificates(AuthoritiesCase):
    """For CAs that are not ours: whoever has marked create means these, too."""

    def cross_sign(self, *words):
        openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", self.path("p.key"), "-subj", "/CN=Partner", "-addext",
                "keyUsage=critical,keyCertSign,cRLSign", "-out", self.path("p.pem"))
        return ["ca", "cross-sign", "root", self.path("p.pem"), "--permit-dns", "p.example", "--permit-ip", "10.0.0.0/8", *words]

    def terms(self, words, **more):
        """What the plan has to say, or something else."""
        terms = json.loads(self.certmill(*words, "--terms", "--json").stdout)["terms"]
        return [word for name, value in {**terms, **more}.items() for word in ("--set", f"{name}={value}")]

    def made_count(self):
        return self.made.query("SELECT count(*) FROM imported WHERE der <> x''")[0][0]

    def test_a_cross_certificate_is_made_by_a_plan_for_this_key_and_these_terms(self):
        words, before = self.cross_sign(), self.made_count()
        self.refused("cross-sign wants the approval of 2 operators", *words)
        for terms in ({"path-length": "1"}, {"permit": "dns:p.example"}, {"policy": "1.2.3"}, {"subject": "CN=Other"}, {"proof": "none"}):
            plan = self.approved("cross-sign", "root-1", *self.terms(words, **terms))
            self.refused("the plan is for something else", *words, "--plan", plan)
        plan = self.prepare("cross-sign", "root-1", *self.terms(words))
        self.approve(plan, "ann")
        self.refused("the plan has 1 of 2 approvals", *words, "--plan", plan)
        self.assertEqual(self.made_count(), before)
        self.assertEqual(self.made.query("SELECT count(*) FROM audit WHERE kind LIKE 'ca-cross%'"), [(0,)])
        self.approve(plan, "bob")
        self.refused("certmill ca cross-sign root-1 FILE --plan " + plan[:8], "ceremony", "run", plan)
        self.certmill(*words, "--plan", plan)
        self.assertEqual((self.made_count(), self.state(plan)), (before + 1, "run"))
        self.refused("the plan has run already", *words, "--plan", plan)
        self.assertEqual(self.made_count(), before + 1)

    def test_parameters_that_nothing_goes_by(self):
        words = self.cross_sign()
        for terms in ([], ["--set", "path-length=0"], self.terms(words, key="abc"), self.terms(words, validity="1d")):
            self.refused("parameters of cross-sign", "ceremony", "prepare", "cross-sign", "root-1", *terms)
        self.refused("there is no generation root-7", "ceremony", "prepare", "cross-sign", "root-7", *self.terms(words))


class CeremonyOfCrossCertificatesOfAnEngine(CeremonyOfCrossCertificates):
    serving = True


class CeremonyOfCrossCertificatesAlone(CeremonyOfCrossCertificates):
    """Marked by itself."""

    marked = ("cross-sign", "activate")

    def test_a_new_authority_wants_no_plan(self):
        self.certmill("ca", "create", "third", "--key", "file:third.pem")
        self.refused("the settings do not ask for a plan to create", "ceremony", "prepare", "create", "fourth")


class CeremonyInTime(CeremonyCase):
    """A plan is good for a few seconds: time enough to approve it."""

    valid = f"{5 * deployment.PATIENCE:.0f}s"

    def test_a_plan_that_has_ended_does_not_run(self):
        plan = self.prepare()
        self.approve(plan, "ann", "bob")
        wait_until(lambda: self.state(plan) == "expired", 10, "the plan has ended")
        self.refused("the time of the plan has ended", "ceremony", "run", plan)
        self.refused("the time of the plan has ended", "ceremony", "cancel", plan, "--operator", "ann", "--key",
                     "file:" + self.path("ann.key"))
        self.assertEqual(self.revoked(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
