"""The frame of tests that run a deployment: one Redis for a file, a deployment, its backend and engines for each test."""
import json
import os
import signal
import socket
import subprocess
import sys
import unittest

import checker
import deployment
import memory
from backend import Backend, fleet


class Case(unittest.TestCase):
    redis = None  # of the file; a test may set one of its own

    @classmethod
    def setUpClass(cls):
        if Case.redis is None:
            Case.redis = deployment.RedisServer(deployment.scratch())

    def deploy(self, name, count=0, redis=None, **options):
        """self.deployment and self.backend; returns requests of count devices on the list, not pushed yet."""
        if redis is None:
            client = Case.redis.client()
            client.call("FLUSHALL")
            client.close()
        self.deployment = deployment.Deployment(redis or Case.redis, prefix=name, **options)
        self.backend = Backend(self.deployment)
        self.addCleanup(lambda: self.backend.client.close())
        requests = fleet(count, name)
        if count:
            self.deployment.add_devices([request.device for request in requests])
        return requests

    def start(self, fault=None, wait=True, variables=()):
        engine = self.deployment.start(fault, wait, variables)
        self.addCleanup(lambda: engine.is_alive() and engine.kill())
        return engine

    def fail_to_start(self):
        """What an engine says that does not start. A leak would end it with the same exit code."""
        engine = self.start(wait=False)
        self.assertEqual(engine.wait(20), 1)
        self.assertNotIn("LeakSanitizer", engine.text())
        return engine.text()

    def die_at(self, fault, requests=()):
        """An engine that kills itself at a fault point, with requests pushed meanwhile: half of them as they come; the others in
        four parts, each behind the answers to those before, so that the point is passed five times, however they are gathered."""
        engine = self.start(fault)
        if requests:
            half, step = len(requests) // 2, -(-len(requests) // 8)
            self.backend.push_slowly(requests[:half])
            for at in range(half, len(requests), step):
                deployment.wait_until(lambda: not engine.is_alive() or not self.backend.missing(), 20, engine.text)
                self.backend.push(requests[at:at + step])
        try:
            code = engine.wait(20)
        except subprocess.TimeoutExpired:
            self.fail(f"{fault} was not passed:\n{engine.text()}")
        self.assertEqual(code, -signal.SIGKILL, engine.text())

    def stop(self, engine, timeout_s=20):
        self.assertEqual(engine.stop(timeout_s), 0, engine.text())

    def finish(self, engine, timeout_s=20, open_keys=()):
        """Everything is answered, the engine stops, nothing stays in the stream, the checker agrees."""
        self.backend.wait_answered(timeout_s)
        self.backend.wait_empty(timeout_s)
        self.stop(engine)
        self.assertEqual(self.backend.pending(), (0, 0), "entries stay in the stream")
        return checker.check(self.backend, self.deployment, open_keys)

    def finish_all(self, engine, count, timeout_s=90):
        """Every request is issued (the backend expects nothing else), once, and verifies."""
        evidence = self.finish(engine, timeout_s)
        self.assertEqual(len(evidence.store.certificates), count)
        return evidence

    def control(self, op, **fields):
        """The answer of the engine's control socket to a request."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(os.path.join(os.path.dirname(self.deployment.store), "control.sock"))
            client.sendall(json.dumps({"v": 1, "op": op, **fields}).encode() + b"\n")
            with client.makefile() as answers:
                return json.loads(answers.readline())

    def status(self):
        """What the engine says of itself."""
        return self.control("status")

    def memory_holds(self, pid, needles):
        """Which of the byte strings stand in the memory of the process."""
        try:
            return memory.holds(pid, needles)
        except PermissionError as error:
            return self.skip(f"memory of processes cannot be read here: {error}")

    def skip(self, reason):
        """Loudly: the report counts lines that begin with SKIP."""
        sys.stderr.flush()
        print(f"\nSKIP: {self.id().rpartition('.')[2]}: {reason}", flush=True)
        self.skipTest(reason)


def main(skip_all=None):
    """skip_all: why the whole file cannot run here."""
    if skip_all:
        print(f"SKIP: {os.path.basename(sys.argv[0])}: {skip_all}")
        sys.exit(77)
    unittest.main(module="__main__", verbosity=2, warnings="ignore")
