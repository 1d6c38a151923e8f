#!/usr/bin/env python3
"""The status port is flooded, and held by clients that are slow, while requests come in: all of them are issued, and
others are answered."""
import http.client
import json
import os
import random
import resource
import signal
import socket
import sys
import threading
import time
import unittest.mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment
import ocsp
from backend import Order
from deployment import PATIENCE, wait_until
from load import Load
from trail_case import TrailCase

REQUESTS, CONNECTIONS, THREADS = 600, 200, 6


class Flood(TrailCase):
    def setUp(self):
        self.ended = threading.Event()
        self.threads = []
        self.addCleanup(self.end)

    def begin_flood(self, name):
        """An engine that serves, ten certificates to ask about, and requests that come in from now on."""
        requests = self.begin(name, REQUESTS)
        self.deployment.edit(r"(?m)^(  listen: .*)$", rf"\g<0>\n  connections-max: {CONNECTIONS}\n  deadline: 1s")
        engine = self.serve()
        self.issue_all(requests[:10])
        self.load = Load(self, requests[10:], per_s=150)
        return engine

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        self.addCleanup(sock.close)
        return sock

    def run_beside(self, run, *words):
        self.threads.append(threading.Thread(target=run, args=words, daemon=True))
        self.threads[-1].start()

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(20)

    def send_anything(self, seed):
        """As fast as one can: good questions, bad ones, and what is none, on connections that are dropped."""
        chance = random.Random(seed)
        good = ocsp.request(self.issuer.cert_id(self.issued[0].serial))
        head = b"POST /ocsp HTTP/1.1\r\nHost: h\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n"
        while not self.ended.is_set():
            unknown = ocsp.request(self.issuer.cert_id(chance.randbytes(16)))
            body = chance.choice((good, unknown, good[:-3], chance.randbytes(60)))
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                    sock.sendall(chance.choice((head % len(body) + body, chance.randbytes(200),
                                                b"GET /crl/issuing-1/0.crl HTTP/1.1\r\nHost: h\r\n\r\n" * 20)))
                    if chance.random() < 0.7:  # the others leave without listening
                        sock.recv(65536)
            except OSError:
                pass  # it is refused, or cut off

    def drip(self):
        """One octet at a time, on every connection that there may be, and new ones for those that are cut off."""
        socks = []
        while not self.ended.wait(0.05):
            try:
                while len(socks) < CONNECTIONS - 20:
                    socks.append(self.connect())
                    socks[-1].sendall(b"POST /ocsp HTTP/1.1\r\nHost: h\r\n")
            except OSError:
                pass
            for sock in list(socks):
                try:
                    sock.sendall(b"X")
                except OSError:
                    socks.remove(sock)

    def expect_answers(self, serial):
        """Others are answered: rightly, or not at all where their connection found no room, or later where their time was over; as
        long as requests come in, and until there are enough of them."""
        right = refused = 0
        until = time.monotonic() + 20 * PATIENCE
        while self.load.is_running() or (right <= 20 and time.monotonic() < until):
            try:
                response = self.ask_ocsp(serial)
                if response.status == ocsp.TRY_LATER:
                    refused += 1
                    continue
                self.assertEqual(response.state, "good")
                self.assertEqual(self.get("/crl/issuing-1/0.crl")[0], 200)
                right += 1
            except (ConnectionError, http.client.HTTPException):
                refused += 1
        self.assertGreater(right, 20, f"{refused} found no room")
        return refused

    def finish_flood(self, engine):
        self.load.end()
        self.backend.wait_answered(60)
        self.end()
        self.trail.look()
        self.cut_count = json.loads(self.get("/api/v1/status")[2])["http"]["connections_cut"]
        self.conclude(engine)

    def test_a_flood_of_questions_stops_no_certificate_and_nobody_else(self):
        engine = self.begin_flood("flood")
        for seed in range(THREADS):
            self.run_beside(self.send_anything, seed)
        self.expect_answers(self.issued[1].serial)
        self.finish_flood(engine)

    def test_clients_that_are_slow_stop_no_certificate_and_nobody_else(self):
        engine = self.begin_flood("slow")
        self.run_beside(self.drip)
        self.expect_answers(self.issued[1].serial)
        self.finish_flood(engine)
        self.assertGreater(self.cut_count, 0)

    def test_connections_leave_certificates_orders_and_signers_the_descriptors_that_they_need(self):
        """A system that allows few, and as many connections as can be had, held by clients that never finish."""
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        program = os.path.join(deployment.scratch(), "certmill-with-few-descriptors")
        with open(program, "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\nexec prlimit --nofile=600:600 "{deployment.CERTMILL}" "$@"\n')
        os.chmod(program, 0o755)
        with unittest.mock.patch.object(deployment, "CERTMILL", program):
            requests = self.begin("few", 30)
            self.deployment.edit(r"(?m)^(  listen: .*)$", r"\g<0>\n  connections-max: 1000\n  deadline: 60s")
            engine = self.serve()
        self.assertIn("status.connections-max: 344 at a time, not 1000", engine.text())
        self.issue_all(requests[:10])
        self.watch(asks=False)
        held = [self.connect() for _ in range(900)]
        for sock in held:
            try:
                sock.sendall(b"POST /ocsp HTTP/1.1\r\nHost: h\r\n")
            except OSError:
                pass  # there was no room for it
        self.issue_all(requests[10:20])
        order = Order("few-revoke", "revoke", "device", requests[0].device, "reason", "keyCompromise")
        self.backend.push([order])
        self.backend.wait_answered()
        for pid in engine.signers():
            os.kill(pid, signal.SIGKILL)
        self.issue_all(requests[20:])
        for sock in held:
            sock.close()
        wait_until(lambda: self.can_be_asked(), 20, "others are answered again")
        self.wait_settled()
        self.stop(engine)

    def can_be_asked(self):
        try:
            return self.get("/crl/issuing-1/0.crl")[0] == 200
        except (ConnectionError, http.client.HTTPException):
            return False


if __name__ == "__main__":
    case.main()
