#!/usr/bin/env python3
"""Renewal campaigns: every device that has to come has its notice, whatever is paused, killed or restarted meanwhile."""
import collections
import json
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment
from backend import Renewal, Request, fleet
from deployment import RedisServer, has_fault_points, wait_until

WINDOW_S = 604800
STEP = 100  # notices that may come twice for each crash
FIELDS = ["v", "kind", "campaign", "device", "serial", "issuer", "not_after", "not_before", "deadline"]


class Campaigns(case.Case):
    def serve(self, name, count, redis=None):
        """An engine that serves, and devices with a certificate each."""
        requests = self.deploy(name, count, redis=redis, batch_items=256)
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered(60)
        self.serials = {row["device"].decode(): row["serial"].decode() for row in self.backend.collect()}
        return engine, requests

    def ask(self, op, name="autumn", **fields):
        answer = self.control("campaign-" + op, actor="operator:ann", name=name, **fields)
        self.assertNotIn("error", answer)
        return answer

    def begin(self, name="autumn", rate=100000, **fields):
        self.started_s = time.time()
        return self.ask("start", name, generation="issuing-1", window=WINDOW_S, rate=rate, **fields)

    def notices(self):
        rows = self.backend.client.call("XRANGE", f"{self.deployment.prefix}:notices", "-", "+")
        return [{name.decode(): value.decode() for name, value in zip(fields[::2], fields[1::2])} for _, fields in rows]

    def count(self):
        return self.backend.client.call("XLEN", f"{self.deployment.prefix}:notices")

    def row(self, name="autumn"):
        """(state, noticed, renewed) in the store."""
        return self.deployment.query("SELECT state, noticed, renewed FROM campaign WHERE name = ?", name)[0]

    def wait_done(self, timeout_s=60, name="autumn"):
        wait_until(lambda: self.row(name)[0] == "done", timeout_s, lambda: f"the campaign is done: {self.row(name)}")

    def audit(self):
        rows = self.deployment.query("SELECT kind, actor, detail FROM audit WHERE kind LIKE 'campaign%' ORDER BY number")
        return [(kind, actor, json.loads(detail)) for kind, actor, detail in rows]

    # ---

    def test_every_device_has_its_notice_through_pauses_kills_and_restarts(self):
        redis = RedisServer(deployment.scratch(), append_only="always")
        self.addCleanup(redis.kill)
        engine, requests = self.serve("many", 2000, redis)
        self.begin(rate=400, expected=2000)
        wait_until(lambda: self.count() >= 300, 20, "some have their notice")
        self.assertEqual(self.ask("pause"), {"campaign": "autumn", "state": "paused", "changed": True})
        time.sleep(0.3)
        paused = self.count()
        time.sleep(1)
        self.assertEqual(self.count(), paused)
        self.assertLess(paused, 2000)
        self.ask("resume")
        wait_until(lambda: self.count() >= paused + 100, 20, "it goes on")
        engine.kill()
        engine = self.start()
        killed = self.count()
        wait_until(lambda: self.count() >= killed + 100, 20, "it goes on after a kill")
        redis.kill()
        wait_until(lambda: any(row["trouble"] for row in self.control("campaign-list")["campaigns"]), 20, "it waits")
        self.assertEqual(self.status()["campaigns"][0]["in_trouble"], 1)
        redis.start()
        self.backend.reconnect()
        self.wait_done()
        self.check_all(requests, crashes=2)
        self.assertEqual(self.row(), ("done", 2000, 0))
        self.assertEqual([(kind, actor) for kind, actor, _ in self.audit()],
                         [("campaign-start", "operator:ann"), ("campaign-pause", "operator:ann"),
                          ("campaign-resume", "operator:ann"), ("campaign-end", "engine")])
        self.assertEqual(self.audit()[-1][2], {"campaign": "autumn", "noticed": 2000, "renewed": 0})
        self.stop(engine)

    def check_all(self, requests, crashes):
        """Every device at least once, few of them twice, and then the same."""
        notices = self.notices()
        times = collections.Counter(notice["device"] for notice in notices)
        self.assertEqual(set(times), {request.device for request in requests})
        self.assertLessEqual(len(notices) - len(times), crashes * STEP)
        said = {}
        for notice in notices:
            self.assertEqual(list(notice), FIELDS)
            self.assertEqual(said.setdefault(notice["device"], notice), notice)
            self.assertEqual(notice["serial"], self.serials[notice["device"]])
            self.assertEqual((notice["v"], notice["kind"], notice["campaign"], notice["issuer"]),
                             ("1", "renew", "autumn", "issuing-1"))
            start_s = int(notice["deadline"]) - WINDOW_S
            self.assertAlmostEqual(start_s, self.started_s, delta=60)
            self.assertTrue(start_s <= int(notice["not_before"]) < int(notice["deadline"]) <= int(notice["not_after"]))
        days = collections.Counter((int(notice["not_before"]) - start_s) // 86400 for notice in said.values())
        self.assertEqual(set(days), set(range(7)))

    def test_what_was_written_and_not_recorded_comes_twice(self):
        if not has_fault_points():
            self.skip("built without fault points")
        engine, requests = self.serve("twice", 250)
        self.stop(engine)
        engine = self.start("notices-written:1:kill")
        self.begin()
        self.assertEqual(engine.wait(20), -signal.SIGKILL)
        written = self.count()
        self.assertTrue(0 < written <= STEP)
        self.assertEqual(self.row(), ("running", 0, 0))
        engine = self.start()
        self.wait_done()
        self.check_all(requests, crashes=1)
        self.assertEqual(self.count(), 250 + written)
        self.stop(engine)

    def test_who_has_come_is_out_of_the_groups_or_may_not_come_gets_none(self):
        engine, requests = self.serve("few", 10)
        self.deployment.edit(r"(?m)^groups:$", "groups:\n  - name: valves\n    authority: issuing\n    profiles: [device-client]")
        self.stop(engine)
        self.deployment.add_devices(["few-0", "few-1"], "valves")
        engine = self.start()
        self.assertIn("there is no group", self.control("campaign-start", actor="a", name="x", generation="issuing-1",
                                                        window=600, rate=1, groups=["cars"])["error"])
        self.assertIn("there is no key", self.control("campaign-start", actor="a", name="x", generation="issuing-9",
                                                      window=600, rate=1)["error"])
        self.assertEqual(self.control("orders", actor="operator:ann", orders=[
            {"kind": "quarantine", "device": "few-2"}, {"kind": "revoke", "device": "few-3"}])["orders"][1]["code"], "")
        self.begin(groups=["default"])
        self.ask("pause")
        # Its key is issuing-1 as well: what comes behind the start is a renewal.
        again = fleet(1, "again")[0]
        self.backend.push([Request("again", "few-4", again.csr)])
        self.backend.wait_answered()
        before = self.count()
        self.ask("resume")
        self.wait_done()
        self.assertLessEqual(before, 6)
        devices = {notice["device"] for notice in self.notices()}
        self.assertEqual(devices | {"few-4"}, {f"few-{i}" for i in range(4, 10)})
        self.assertEqual(self.row()[1] + self.row()[2], 6)
        self.stop(engine)

    def test_a_cancelled_campaign_is_over_and_its_name_used(self):
        engine, _ = self.serve("cancelled", 300)
        self.begin(rate=20)
        wait_until(lambda: self.count() >= 20, 20, "some have their notice")
        self.assertEqual(self.ask("cancel"), {"campaign": "autumn", "state": "cancelled", "changed": True})
        self.assertEqual(self.ask("cancel")["changed"], False)
        time.sleep(0.3)
        count = self.count()
        self.assertIn("cannot become running", self.control("campaign-resume", actor="a", name="autumn")["error"])
        self.assertIn("used once", self.control("campaign-start", actor="a", name="autumn", generation="issuing-1",
                                                window=600, rate=1)["error"])
        self.assertEqual(self.control("campaign-list"), {"campaigns": []})
        self.stop(engine)
        engine = self.start()
        time.sleep(1)
        self.assertEqual(self.count(), count)
        self.stop(engine)

    def test_after_a_rotation_devices_come_for_certificates_of_the_new_key(self):
        engine, requests = self.serve("rotated", 40)
        self.command("ca", "rotate", "issuing")
        self.command("ca", "activate", "issuing")
        early = [Renewal(f"early-{request.device}", request.device, request.csr) for request in requests[:10]]
        self.backend.push(early)
        self.backend.wait_answered()
        self.assertIn("30 devices are asked to come; 10 have come already",
                      self.command("campaign", "start", "autumn", "--generation", "issuing-1"))
        self.wait_done()
        told = [notice["device"] for notice in self.notices()]
        self.assertEqual(sorted(told), sorted(request.device for request in requests[10:]))
        self.assertEqual(self.row(), ("done", 30, 10))
        self.backend.push([Renewal(f"told-{notice['device']}", notice["device"], request.csr, notice["serial"])
                           for notice in self.notices()[:20] for request in requests if request.device == notice["device"]])
        self.backend.wait_answered()
        issuers = collections.Counter(row["issuer"] for row in self.backend.collect())
        self.assertEqual(issuers, {b"issuing-1": 40, b"issuing-2": 30})
        shown = self.in_json("campaign", "show", "autumn")
        self.assertEqual((shown["renewed_since"], shown["to_come"]), (20, 10))
        found = self.in_json("device", "list", "--generation", "issuing-1")
        self.assertEqual((found["count"], found["renewed"]), (40, 30))
        self.assertEqual({row["device"] for row in found["devices"] if not row["renewed"]}, set(told[20:]))
        self.assertEqual(self.in_json("device", "list", "--generation", "issuing-2")["count"], 30)
        self.stop(engine)

    def test_what_redis_refuses_is_said_and_waited_for(self):
        engine, requests = self.serve("refused", 20)
        stream = "refused:notices"
        self.backend.client.call("SET", stream, "in the way")
        self.begin()
        row = wait_until(lambda: [row for row in self.control("campaign-list")["campaigns"] if row["trouble"]], 20, "it says so")[0]
        self.assertIn("WRONGTYPE", row["trouble"])
        self.assertIn("WRONGTYPE", self.command("campaign", "show", "autumn"))
        self.assertIn("campaign autumn waits: WRONGTYPE", engine.text())
        self.backend.client.call("DEL", stream)
        self.wait_done()
        self.check_devices(requests)
        self.assertEqual(self.count(), 20)
        self.stop(engine)

    def test_an_engine_stops_while_redis_hangs(self):
        redis = RedisServer(deployment.scratch())
        self.addCleanup(redis.kill)
        engine, requests = self.serve("hangs", 120, redis)
        self.begin(rate=20)
        wait_until(lambda: self.count() >= 5, 20, "some have their notice")
        redis.process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        self.stop(engine)
        redis.process.send_signal(signal.SIGCONT)
        engine = self.start()
        self.wait_done()
        self.check_devices(requests)
        self.assertLessEqual(self.count(), 120 + STEP)
        self.stop(engine)

    # --- commands

    def command(self, *words, code=0):
        done = self.deployment.run(*words, check=False)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stdout.decode()

    def in_json(self, *words):
        return json.loads(self.command(*words, "--json"))

    def complaint(self, *words, code=1):
        done = self.deployment.run(*words, check=False)
        self.assertEqual(done.returncode, code)
        return done.stderr.decode()

    def test_devices_of_a_generation_are_listed(self):
        engine, _ = self.serve("listed", 5)
        self.backend.push([Request("again", "listed-2", fleet(1, "again")[0].csr)])
        self.backend.wait_answered()
        self.stop(engine)
        for row in self.in_json("device", "list", "--generation", "issuing-1")["devices"]:
            self.assertEqual((row["group"], row["state"], row["renewed"]), ("default", "allowed", False))
        found = self.in_json("device", "list", "--generation", "issuing-1", "--group", "default")
        self.assertEqual([row["device"] for row in found["devices"]], [f"listed-{i}" for i in (0, 1, 3, 4, 2)])
        self.assertEqual((found["count"], found["renewed"]), (5, 0))
        self.assertEqual(found["devices"][0]["serial"], self.serials["listed-0"])
        lines = self.command("device", "list", "--generation", "issuing-1").splitlines()
        self.assertEqual(lines[0].split("\t")[:4], ["listed-0", "default", "allowed", self.serials["listed-0"]])
        self.assertEqual(self.in_json("device", "list", "--generation", "issuing-1", "--until", "2000-01-01")["count"], 0)
        self.assertIn("there is no key", self.complaint("device", "list", "--generation", "issuing-7"))
        self.assertIn("--until", self.complaint("device", "list", "--generation", "issuing-1", "--until", "soon"))
        self.assertIn("goes with", self.complaint("device", "list", "--until", "2000-01-01", code=2))

    def test_commands_work_without_an_engine_and_with_one(self):
        engine, requests = self.serve("commands", 30)
        self.stop(engine)
        start = ("campaign", "start", "autumn", "--generation", "issuing-1", "--window", "7d", "--rate", "10/s")
        self.started_s = time.time()
        self.assertIn("30 devices would be asked", self.command(*start, "--dry-run"))
        self.assertEqual(self.in_json("campaign", "list"), {"campaigns": []})
        self.assertIn("there is no group", self.complaint(*start, "--group", "cars"))
        self.assertIn("--rate", self.complaint(*start[:-1], "10/h", code=2))
        self.assertIn("--window", self.complaint(*start[:5], "--window", "7", code=2))
        self.assertIn("no engine runs", self.command(*start))
        self.assertIn("none runs: its notices wait", self.command("campaign", "show", "autumn"))
        self.assertIn("is paused", self.command("campaign", "pause", "autumn"))
        self.assertIn("is paused already", self.command("campaign", "pause", "autumn"))
        engine = self.start()
        self.assertIn("used once", self.complaint(*start))
        self.assertEqual(self.count(), 0)
        self.assertIn("is running", self.command("campaign", "resume", "autumn"))
        self.wait_done()
        self.check_devices(requests)
        self.backend.push([Request("again", "commands-2", fleet(1, "again")[0].csr)])
        self.backend.wait_answered()
        shown = self.in_json("campaign", "show", "autumn")
        self.assertEqual([shown[key] for key in ("state", "generation", "expected", "noticed", "renewed_since", "to_come", "engine")],
                         ["done", "issuing-1", 30, 30, 1, 29, True])
        self.assertTrue(shown["actor"].startswith("operator:"))
        self.assertIn("1 have come since, 29 are still to come", self.command("campaign", "show", "autumn"))
        (row,) = self.in_json("campaign", "list")["campaigns"]
        self.assertEqual((row["name"], row["state"], row["noticed"]), ("autumn", "done", 30))
        self.assertIn("autumn\tissuing-1\tdone\t30 of 30\t", self.command("campaign", "list"))
        self.assertIn("cannot become cancelled", self.complaint("campaign", "cancel", "autumn"))
        self.assertIn("no campaign winter", self.complaint("campaign", "show", "winter"))
        self.assertEqual({actor for _, actor, _ in self.audit()}, {shown["actor"], "engine"})
        self.stop(engine)

    def check_devices(self, requests):
        self.assertEqual({notice["device"] for notice in self.notices()}, {request.device for request in requests})


if __name__ == "__main__":
    case.main()
