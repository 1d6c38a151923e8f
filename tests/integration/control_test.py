#!/usr/bin/env python3
"""The control socket of a running engine: devices come onto the list while it issues, and nothing that is sent stops it."""
import concurrent.futures
import json
import os
import signal
import socket
import sqlite3
import stat
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
from backend import fleet
from deployment import scratch, wait_until

MESSAGE_SIZE_MAX = 1024 * 1024
CONNECTIONS_MAX = 16
DEADLINE_S = 30


class Client:
    """One connection to the control socket."""

    def __init__(self, path, timeout_s=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.socket.settimeout(timeout_s)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        """False when the engine has hung up meanwhile."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def answer(self):
        """None: hung up."""
        try:
            line = self.file.readline()
        except ConnectionResetError:
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    def call(self, op, **fields):
        self.send(json.dumps({"v": 1, "op": op, **fields}).encode() + b"\n")
        return self.answer()


def device(name, **fields):
    return dict({"id": name, "group": "default"}, **fields)


class Control(case.Case):
    def serve(self, name, count=0):
        """An engine that serves; requests of devices on the list, not pushed yet."""
        requests = self.deploy(name, count)
        return self.start(), requests

    @property
    def path(self):
        return os.path.join(os.path.dirname(self.deployment.store), "control.sock")

    def client(self, timeout_s=10):
        client = Client(self.path, timeout_s)
        self.addCleanup(client.close)
        return client

    def call(self, op, **fields):
        client = self.client()
        answer = client.call(op, **fields)
        client.close()
        return answer

    def put(self, *devices, actor="operator:test"):
        return self.call("devices", actor=actor, devices=list(devices))

    def import_devices(self, names, group="default", options=(), check=True):
        lines = "".join(f"{name},{group}\n" for name in names)
        return self.deployment.run("device", "import", *options, "-", stdin=b"device,group\n" + lines.encode(),
                                   check=check)

    def devices(self):
        listed = json.loads(self.deployment.run("device", "list", "--json").stdout)["devices"]
        return {row["device"]: row for row in listed}

    def audit(self):
        store = sqlite3.connect(f"file:{self.deployment.store}?mode=ro", uri=True)
        rows = store.execute("SELECT actor, detail FROM audit WHERE kind = 'device-import' ORDER BY number").fetchall()
        store.close()
        return rows

    def answer_as(self, user):
        """What another user gets to read when it asks for the status."""
        mine, other = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setuid(user)
                client = Client(self.path)
                client.send(b'{"v":1,"op":"status"}\n')
                os.write(other, client.file.readline())
            finally:
                os._exit(0)
        os.close(other)
        os.waitpid(child, 0)
        with os.fdopen(mine, "rb") as file:
            return file.read()

    def refused(self, answer, reason):
        self.assertIsNotNone(answer)
        self.assertEqual(list(answer), ["error"], answer)
        self.assertIn(reason, answer["error"])

    # --- what it is for

    def test_a_device_imported_while_the_engine_serves_gets_its_certificate_at_once(self):
        engine, known = self.serve("now", 10)
        self.backend.push(known)
        done = self.import_devices(["now-new-0", "now-new-1", "now-0"])
        self.assertEqual(done.stdout, b"3 devices read, 2 imported, 1 left as they were\n")
        new = fleet(2, "now-new")
        self.backend.push(new)
        evidence = self.finish(engine)
        self.assertEqual(len(evidence.store.certificates), 12)
        actor, detail = self.audit()[-1]
        self.assertTrue(bytes(actor, "utf-8").startswith(b"operator:"), actor)
        self.assertEqual(json.loads(detail), {"devices": 3, "replace": False})

    def test_a_device_of_the_engines_own_is_not_imported_and_not_enrolled(self):
        engine, known = self.serve("own", 1)
        self.backend.push(known)
        self.backend.wait_answered(20)
        own = "ocsp-responder/issuing-1"
        self.assertIn(b"is the engine's own", self.import_devices([own], check=False).stderr)
        self.assertIn("is the engine's own", self.put(device(own))["error"])
        request = fleet(1, "own-wrong")[0]
        request.device = own
        self.backend.push([request])
        self.backend.wait_answered(20)
        self.assertEqual(self.backend.answers()[request.id][0]["code"], b"policy.device-invalid")
        self.stop(engine)

    def test_output_and_list_are_the_same_with_and_without_an_engine(self):
        self.deploy("same")
        rows = b'{"device":"%s","group":"default","attributes":{"model":"M \\"1\\"","site":"B\xc3\xa4r"}}\n'
        run = self.deployment.run
        without = run("device", "import", "--json", "-", stdin=rows % b"a")
        engine = self.start()
        during = run("device", "import", "--json", "-", stdin=rows % b"b")
        self.assertEqual(during.stdout, without.stdout)
        self.assertEqual(run("device", "import", "--quiet", "-", stdin=rows % b"b").stdout, b"")
        self.assertEqual(json.loads(run("device", "import", "--json", "-", stdin=rows % b"b").stdout),
                         {"read": 1, "imported": 0, "unchanged": 1, "state_kept": 0})
        self.assertEqual(json.loads(run("device", "import", "--json", "--replace", "-", stdin=rows % b"b").stdout),
                         {"read": 1, "imported": 1, "unchanged": 0, "state_kept": 0})
        listed = self.devices()
        self.assertEqual(dict(listed["b"], device="a"), listed["a"])
        shown = json.loads(run("device", "show", "--json", "b").stdout)
        self.assertEqual(shown["attributes"], {"model": 'M "1"', "site": "Bär"})
        run("doctor")
        self.stop(engine)

    def test_a_state_and_a_replacement_are_taken_and_hold_at_once(self):
        engine, requests = self.serve("state", 2)
        self.assertEqual(self.put(device("state-0", state="quarantined", replace=True)), {"changed": 1})
        self.assertEqual(self.put(device("state-1", state="quarantined")), {"changed": 0})
        requests[0].expect = "policy.device-state"
        self.backend.push(requests)
        self.finish(engine)

    def test_a_replacement_makes_no_state_better(self):
        engine, _ = self.serve("worse", 1)
        for state, said, is_now in ((None, {"changed": 1}, "allowed"),
                                    ("quarantined", {"changed": 1}, "quarantined"),
                                    (None, {"changed": 1, "state_kept": 1}, "quarantined"),
                                    ("allowed", {"changed": 1, "state_kept": 1}, "quarantined"),
                                    ("retired", {"changed": 1}, "retired"),
                                    ("quarantined", {"changed": 1}, "retired"),
                                    ("allowed", {"changed": 1, "state_kept": 1}, "retired")):
            words = {"state": state} if state else {}
            self.assertEqual(self.put(device("worse-0", replace=True, **words)), said)
            self.assertEqual(self.devices()["worse-0"]["state"], is_now)
        self.stop(engine)

    def test_five_thousand_devices_come_in_while_certificates_are_issued(self):
        engine, requests = self.serve("many", 300)
        self.backend.push(requests[:150])
        done = self.import_devices([f"five-{i}" for i in range(5000)])
        self.backend.push(requests[150:])
        self.assertEqual(done.stdout, b"5000 devices read, 5000 imported, 0 left as they were\n")
        self.finish(engine)
        self.assertEqual(len(self.devices()), 5300)
        self.assertEqual(sum(json.loads(detail)["devices"] for _, detail in self.audit()), 5300)

    def test_rows_as_large_as_they_may_be_fit_into_messages(self):
        engine, _ = self.serve("large")
        attributes = {f"{'k' * 60}{i:03}": '"' * 1024 for i in range(64)}
        lines = [json.dumps({"device": f"{i:03}" + "\\" * 252, "group": "default", "attributes": attributes})
                 for i in range(60)]
        self.deployment.run("device", "import", "-", stdin="\n".join(lines).encode())
        self.stop(engine)
        listed = self.devices()
        self.assertEqual(len(listed), 60)
        self.assertEqual(listed["059" + "\\" * 252]["attributes"], attributes)

    def test_two_imports_at_once_both_take_place(self):
        engine, requests = self.serve("two", 20)
        self.backend.push(requests)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            imports = [pool.submit(self.import_devices, [f"{name}-{i}" for i in range(2500)]) for name in ("a", "b")]
        for done in imports:
            self.assertEqual(done.result().stdout, b"2500 devices read, 2500 imported, 0 left as they were\n")
        self.finish(engine)
        self.assertEqual(len(self.devices()), 5020)

    def test_status_has_the_counters(self):
        engine, requests = self.serve("status", 5)
        self.backend.push(requests)
        self.backend.wait_answered()
        answer = self.call("status")
        self.assertEqual((answer["pid"], answer["issued"], answer["refused"]), (engine.pid, 5, 0))
        self.assertEqual((answer["ready"], answer["away"], answer["set_aside"]), (True, [], 0))
        self.assertNotIn("pace", answer["providers"][0])
        self.assertEqual(answer["issuers"], [{"name": "issuing-1", "waiting": 0, "outstanding": 0, "in_trouble": False, "seconds": 0}])
        self.finish(engine)

    def until_pace(self, condition, what):
        """The status once the provider's pace is so."""
        def holds():
            found["status"] = self.call("status")
            return condition(found["status"]["providers"][0].get("pace", {}))
        found = {}
        wait_until(holds, 20, what)
        return found["status"]

    def test_status_has_the_pace_of_a_provider_that_asks_a_service_and_names_one_that_is_away(self):
        requests = self.deploy("pace", 5)
        circuit = os.path.join(self.deployment.folder, "circuit")
        self.deployment.edit(r"(?m)^    kind: openssl$", "    kind: fake")
        script = os.path.join(self.deployment.folder, "keys", "fake-script")
        with open(script, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(f"pace=200 circuit={circuit} tells=1")
        if b"fake" in self.deployment.run("doctor", check=False).stdout:
            self.skip("this build has no scripted provider (-Dfault_points=true)")
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        # Five certificates, and a CRL.
        status = self.until_pace(lambda pace: pace.get("succeeded", 0) > 5, "the answers")
        pace = status["providers"][0]["pace"]
        self.assertGreater(pace.pop("succeeded"), 5)
        self.assertEqual(pace, {"rate_per_s": 200, "in_flight": 0, "waiting": 0, "throttled": 0, "failed": 0, "median_ms": 20,
                                "p99_ms": 81, "circuits_open": 0})
        self.assertEqual((status["ready"], status["away"]), (True, []))
        self.assertIn("provider soft may make 200 signatures a second", self.deployment.run("doctor").stdout.decode())
        with open(circuit, "w", encoding="ascii"):
            pass
        status = self.until_pace(lambda pace: pace.get("circuits_open") == 1, "an open circuit")
        self.assertEqual((status["ready"], status["away"]), (False, ["soft"]))
        said = self.deployment.run("doctor", check=False)
        self.assertEqual(said.returncode, 1)
        self.assertIn("provider soft does not ask 1 of its services", said.stdout.decode())
        os.unlink(circuit)
        self.assertTrue(self.until_pace(lambda pace: pace.get("circuits_open") == 0, "a closed one")["ready"])
        self.finish(engine)
        self.assertIn("signer soft: the fake?has notice 0 to tell", engine.text())

    # --- what is refused

    def test_a_group_that_the_engine_does_not_know_changes_nothing(self):
        engine, requests = self.serve("group", 3)
        self.deployment.edit(r"(?m)^# Who may ask", "\n  - name: late\n    authority: issuing\n    profiles: "
                             r"[device-client]\n\g<0>")
        rows = "".join(f"x-{i},default\n" for i in range(2500)) + "y,late\n"
        done = self.deployment.run("device", "import", "-", stdin=b"device,group\n" + rows.encode(), check=False)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b'"late" is not a group of the settings that the engine has read', done.stderr)
        self.refused(self.put(device("a"), device("b", group="none")), "devices[1]: ")
        self.assertEqual(len(self.devices()), 3)
        self.backend.push(requests)
        self.finish(engine)

    def test_devices_that_a_file_could_not_bring_are_refused(self):
        engine, _ = self.serve("rows")
        for bad, reason in (({"group": "default"}, "the device id is missing"),
                            (device(""), "the device id is missing"),
                            (device(7), "the device id is missing"),
                            (device("x" * 256), "longer than 255"),
                            (device("bell\a"), "control characters"),
                            (device("x", group=None), "group: "),
                            (device("x", state="new"), "state: "),
                            (device("x", state=1), "state: "),
                            (device("x", replace="yes"), "replace: "),
                            (device("x", admin=True), "unknown key"),
                            (device("x", attributes=[]), "attributes: "),
                            (device("x", attributes={"a": 1}), "not a string"),
                            (device("x", attributes={"a b": "c"}), "not an attribute's name"),
                            (device("x", attributes={"a": "c" * 1025}), "longer than 1024"),
                            (device("x", attributes={f"a{i}": "c" for i in range(65)}), "more than 64"),
                            ("x", "expected an object")):
            with self.subTest(bad=bad):
                self.refused(self.put(device("good"), bad), "devices[1]: ")
                self.refused(self.put(device("good"), bad), reason)
        self.refused(self.put(), "devices: ")
        self.refused(self.put(*[device(f"d{i}") for i in range(1001)]), "devices: ")
        self.refused(self.call("devices", devices=[device("x")]), "actor: ")
        self.refused(self.call("devices", actor="", devices=[device("x")]), "actor: ")
        self.refused(self.call("devices", actor="a", devices="x"), "devices: ")
        self.assertEqual(self.devices(), {})
        self.assertEqual(self.audit(), [])
        self.stop(engine)

    def test_garbage_is_answered_with_an_error_and_the_connection_goes_on(self):
        engine, requests = self.serve("garbage", 20)
        self.backend.push(requests[:10])
        client = self.client()
        for line in (b"", b"\0\xff\xfe", b"{", b"[]", b"7", b'"x"', b"{}", b'{"v":2,"op":"status"}', b'{"op":"status"}',
                     b'{"v":"1","op":"status"}', b'{"v":1}', b'{"v":1,"op":7}', b'{"v":1,"op":"stop"}',
                     b'{"v":1,"op":"status","op":"devices"}', b"[" * 100000, b'{"v":1,"op":"\\u0000"}',
                     b'{"v":1,"op":"\\ud800"}', os.urandom(3000).replace(b"\n", b"")):
            with self.subTest(line=line[:40]):
                client.send(line + b"\n")
                self.refused(client.answer(), "")
        self.assertIn("issued", client.call("status"))
        self.backend.push(requests[10:])
        self.finish(engine)

    def test_requests_sent_at_once_are_answered_one_after_the_other(self):
        engine, _ = self.serve("pipe")
        client = self.client()
        lines = [json.dumps({"v": 1, "op": "devices", "actor": "a", "devices": [device(f"p-{i}")]}) for i in range(200)]
        client.send("\n".join(lines + ['{"v":1,"op":"status"}', '{"v":1,']).encode())
        client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual([client.answer() for _ in range(200)], [{"changed": 1}] * 200)
        self.assertIn("issued", client.answer())
        self.assertIsNone(client.answer(), "half a request has no answer")
        self.stop(engine)
        self.assertEqual(len(self.devices()), 200)

    def test_a_message_that_is_too_long_is_refused_and_the_longest_is_taken(self):
        engine, requests = self.serve("long", 10)
        client = self.client()
        client.send(b"x" * MESSAGE_SIZE_MAX + b"\n")
        self.refused(client.answer(), "not JSON")
        client.send(b"x" * (MESSAGE_SIZE_MAX + 1) + b"\n")
        self.refused(client.answer(), "longer than 1 MiB")
        self.assertIsNone(client.answer())
        endless = self.client()
        while endless.send(b"x" * 65536):
            pass
        self.refused(endless.answer(), "longer than 1 MiB")
        self.backend.push(requests)
        self.finish(engine)

    def test_a_connection_too_many_is_turned_away_until_there_is_room(self):
        engine, requests = self.serve("crowd", 10)
        clients = [self.client() for _ in range(CONNECTIONS_MAX)]
        for client in clients:
            self.assertIn("issued", client.call("status"))
        late = self.client()
        self.refused(late.answer(), "too many connections")
        self.assertIsNone(late.answer())
        done = self.import_devices(["late"], check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"too many connections", done.stderr)
        self.backend.push(requests)
        clients[0].close()
        wait_until(lambda: "issued" in (self.call("status") or {}), 5, "there is room again")
        self.finish(engine)

    def test_who_hangs_up_without_waiting_leaves_nothing_behind(self):
        engine, requests = self.serve("gone", 20)
        self.backend.push(requests)
        for i in range(100):
            client = self.client()
            client.send(json.dumps({"v": 1, "op": "devices", "actor": "a", "devices": [device(f"g-{i}")]}).encode()
                        + b"\n" * (i % 2))
            client.close()
            if i % 10 == 9:  # no more at once than there is room for
                expected = 20 + (i + 1) // 2
                wait_until(lambda n=expected: len(self.devices()) == n, 10, "what was asked is done")
        self.assertIn("issued", self.call("status"))
        self.finish(engine)

    def is_cut_off(self, client):
        try:
            return not client.send(b"x")
        except socket.timeout:  # it is still there, and does not read
            return False

    def test_silent_and_slow_clients_are_cut_off_and_the_engine_goes_on(self):
        engine, requests = self.serve("silent", 30)
        began = time.monotonic()
        silent, half, dribbling, deaf = [self.client(timeout_s=DEADLINE_S + 15) for _ in range(4)]
        half.send(b'{"v":1,"op":')
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.socket.settimeout(1)
        try:
            for _ in range(100):
                deaf.send(b'{"v":1,"op":"status"}\n' * 1000)
        except socket.timeout:
            pass  # it reads no more as long as nobody reads its answers
        while time.monotonic() < began + DEADLINE_S + 3:
            dribbling.send(b" ")
            if requests:
                self.backend.push([requests.pop()])
            time.sleep(0.5)
        for client in (silent, half, dribbling):
            self.assertIsNone(client.answer())
        wait_until(lambda: self.is_cut_off(deaf), 20, "it is cut off")
        self.finish(engine)

    # --- the socket's life

    def test_the_socket_is_the_owners_alone_and_goes_with_the_engine(self):
        engine, requests = self.serve("life", 5)
        mode = os.lstat(self.path).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        client = self.client()
        self.assertIn("issued", client.call("status"))
        self.backend.push(requests)
        self.finish(engine)
        self.assertFalse(os.path.exists(self.path))
        self.assertIsNone(client.answer())
        self.import_devices(["after"])
        self.assertIn("after", self.devices())

    def test_the_socket_of_a_dead_engine_is_replaced(self):
        engine, _ = self.serve("stale")
        engine.kill()
        self.assertTrue(os.path.exists(self.path))
        self.import_devices(["between"])
        engine = self.start()
        self.import_devices(["during"])
        self.assertEqual(sorted(self.devices()), ["between", "during"])
        self.stop(engine)
        self.assertFalse(os.path.exists(self.path))

    def test_what_is_not_a_socket_is_left_alone_and_the_engine_runs_without(self):
        requests = self.deploy("other", 5)
        with open(self.path, "w", encoding="ascii") as file:
            file.write("mine")
        engine = self.start()
        self.assertIn("no control socket, continuing without: ", engine.text())
        self.assertIn("is not a socket", engine.text())
        done = self.import_devices(["x"], check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"is being written by process {engine.pid}; stop the engine first", done.stderr.decode())
        self.assertIn("control.sock: ", done.stderr.decode())
        self.backend.push(requests)
        self.finish(engine)
        with open(self.path, encoding="ascii") as file:
            self.assertEqual(file.read(), "mine")

    def test_a_path_too_long_for_a_socket_is_said_and_the_engine_runs_without(self):
        requests = self.deploy("deep", 5, folder=os.path.join(scratch(), "d" * 75))
        engine = self.start()
        self.assertIn("continuing without: its path has more than 107 characters", engine.text())
        done = self.import_devices(["x"], check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"is being written by process {engine.pid}; stop the engine first", done.stderr.decode())
        self.backend.push(requests)
        self.finish(engine)

    def test_another_user_is_kept_out(self):
        if os.geteuid() != 0:
            self.skip("only root can become another user")
        engine, _ = self.serve("user")
        os.chmod(self.path, 0o666)  # the mode is the first wall; the peer's user is the second
        for folder in (os.path.dirname(self.path), self.deployment.folder, os.path.dirname(self.deployment.folder)):
            os.chmod(folder, 0o711)
        self.assertIn(b"only the engine's own user and root", self.answer_as(65534))
        self.stop(engine)

    def test_what_is_under_way_at_the_stop_is_finished_and_answered(self):
        engine, _ = self.serve("stop")
        clients = [self.client() for _ in range(CONNECTIONS_MAX)]
        for number, client in enumerate(clients):
            rows = [device(f"s-{number}-{i}") for i in range(1000)]
            client.send(json.dumps({"v": 1, "op": "devices", "actor": "a", "devices": rows}).encode() + b"\n")
            if number == 0:
                self.assertEqual(client.answer(), {"changed": 1000})
        engine.signal(signal.SIGTERM)
        answers = [client.answer() for client in clients[1:]]
        self.assertEqual(engine.wait(5), 0, engine.text())
        self.assertFalse(os.path.exists(self.path))
        given = [answer for answer in answers if answer]
        self.assertEqual(given, [{"changed": 1000}] * len(given))
        self.assertEqual(len(self.devices()), 1000 * (1 + len(given)), "what is on the list was answered")

    def test_an_import_whose_engine_stops_halfway_says_how_far_it_came_and_can_be_repeated(self):
        engine, _ = self.serve("halfway")
        names = [f"h-{i}" for i in range(60000)]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            running = pool.submit(self.import_devices, names, check=False)
            wait_until(lambda: len(self.audit()) >= 3 or running.done(), 20, "some of it is on the list")
            self.stop(engine)
            done = running.result()
        if done.returncode == 0:
            self.skip("the import was faster than the stop")
        self.assertIn(b" of the devices are on the list for certain", done.stderr)
        count = int(done.stderr.split(b" of the devices")[0].split()[-1])
        self.assertIn(len(self.devices()) - count, (0, 1000), "an answer may have been lost")
        self.import_devices(names)
        self.assertEqual(len(self.devices()), 60000)


if __name__ == "__main__":
    case.main()
