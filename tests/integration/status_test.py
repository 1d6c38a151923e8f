#!/usr/bin/env python3
"""The status service over HTTP: what relying parties ask, what hostile ones send, and that neither waits for the other."""
import base64
import contextlib
import hashlib
import http.client
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))
import deployment  # noqa: E402 (after the path)
import ocsp  # noqa: E402
from status_server import SERVER, StatusServer, make_folder  # noqa: E402

TYPE = "application/ocsp-request"
PERFECT = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"


class Case(unittest.TestCase):
    """One service for all tests of a class; words as StatusServer takes them."""
    words = ()
    prefix = ()
    script = None

    @classmethod
    def setUpClass(cls):
        cls.server = StatusServer(*cls.words, prefix=cls.prefix, script=cls.script)

    @classmethod
    def tearDownClass(cls):
        code = cls.server.close()
        assert code == 0, f"status_server ends with {code}: {cls.server.log()}"

    # --- asking

    def ask(self, method, target, body=None, **headers):
        """(code, headers, body) on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            connection.request(method, target, body, {name.replace("_", "-"): text for name, text in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def post(self, der):
        code, headers, body = self.ask("POST", "/ocsp", der, Content_Type=TYPE)
        self.assertEqual((code, headers["Content-Type"]), (200, "application/ocsp-response"))
        return ocsp.Response(body)

    def status_of(self, serial, **words):
        return self.post(ocsp.request(self.server.issuer.cert_id(serial), **words)).state

    def issue(self):
        return self.server.tell("issue", 1)

    def counters(self):
        time.sleep(0.3)  # the report's age
        return json.loads(self.ask("GET", "/api/v1/status")[2])["http"]

    # --- raw sockets

    def connect(self, data=b""):
        sock = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        self.addCleanup(sock.close)
        if data:
            sock.sendall(data)
        return sock

    def read_all(self, sock):
        """What comes until the other end closes."""
        parts = []
        try:
            while part := sock.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
        return b"".join(parts)

    def read_answers(self, sock, count=1):
        """What comes until so many answers are there whole, or the other end closes."""
        data, at = b"", 0
        while count > 0:
            head, found, rest = data[at:].partition(b"\r\n\r\n")
            size = re.search(rb"(?i)content-length: (\d+)", head)
            if found and len(rest) >= int(size[1] if size else 0):
                at, count = at + len(head) + 4 + int(size[1] if size else 0), count - 1
                continue
            try:
                part = sock.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                break
            data += part
        return data

    def say(self, data):
        """The answer to these octets, whatever they are; nothing: the other end closes."""
        sock = self.connect()
        try:
            sock.sendall(data)
        except ConnectionError:
            pass  # it has seen enough
        return self.read_answers(sock)

    def assert_serves(self):
        self.assertEqual(self.ask("GET", "/healthz")[0], 200)


class Answers(Case):
    def get(self, der, method="GET", **headers):
        return self.ask(method, ocsp.get_target(der), **headers)

    def test_an_issued_certificate_is_good_and_a_revoked_one_revoked(self):
        serial = self.issue()
        self.assertEqual(self.status_of(serial), "good")
        self.server.tell("revoke", serial, "keyCompromise")
        response = self.post(ocsp.request(self.server.issuer.cert_id(serial)))
        self.assertEqual(response.singles, [("revoked", 1)])

    def test_openssl_verifies_answers_of_the_ca_and_of_a_delegated_responder(self):
        serial = self.issue()
        for responder in ("ca", "delegated"):
            self.server.tell("responder", responder)
            for words in ([], ["-no_nonce"], ["-sha256", "-no_nonce"]):
                # A digest counts for the certificates behind it.
                run = subprocess.run(["openssl", "ocsp", *words, "-issuer", "ca.pem", "-serial", "0x" + serial, "-url",
                                      self.server.url + "/ocsp", "-CAfile", "ca.pem"], cwd=self.server.folder,
                                     capture_output=True, text=True, check=False)
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assertIn("Response verify OK", run.stderr)
                self.assertNotIn("WARNING", run.stderr)
                self.assertIn(": good", run.stdout)
        self.server.tell("responder", "ca")

    def test_gnutls_verifies_answers(self):
        if not shutil.which("ocsptool"):
            self.skipTest("ocsptool is missing")
        serial, folder = self.issue(), self.server.folder

        def run(*words):
            return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        run("openssl", "req", "-new", "-key", "responder.key", "-subj", "/CN=leaf", "-out", "leaf.csr")
        run("openssl", "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "1", "-set_serial",
            "0x" + serial, "-out", "leaf.pem")
        command = ("ocsptool", "--ask=" + self.server.url + "/ocsp", "--load-issuer=ca.pem", "--load-cert=leaf.pem")
        for responder, trust in (("ca", "--load-signer=ca.pem"), ("delegated", "--load-trust=ca.pem")):
            self.server.tell("responder", responder)
            good = run(*command, trust)
            self.assertIn("Certificate Status: good", good.stdout, good.stderr)
            self.assertIn("Verifying OCSP Response: Success", good.stdout)
        self.server.tell("responder", "ca")
        self.server.tell("revoke", serial, "superseded")
        self.assertIn("Certificate Status: revoked", run(*command, "--load-signer=ca.pem").stdout)

    def test_another_responder_signs_from_its_change_on(self):
        cert_id = self.server.issuer.cert_id(self.issue())
        before = self.post(ocsp.request(cert_id))
        self.server.tell("responder", "delegated")
        after = self.post(ocsp.request(cert_id))
        self.assertNotEqual(before.key_hash, after.key_hash)
        self.assertEqual((before.certificates, after.certificates), (0, 1))
        self.server.tell("responder", "none")
        self.assertEqual(self.post(ocsp.request(cert_id)).status, ocsp.TRY_LATER)
        self.server.tell("responder", "ca")
        self.assertEqual(self.post(ocsp.request(cert_id)).state, "good")

    def test_a_serial_that_was_never_issued_is_unknown_and_an_abandoned_one_revoked(self):
        self.assertEqual(self.status_of("11" * 20), "unknown")
        self.assertEqual(self.status_of("05"), "unknown")
        self.assertEqual(self.status_of(self.server.tell("abandon")), "revoked")

    def test_of_a_certificate_that_is_being_made_nothing_is_said_yet(self):
        cert_id = self.server.issuer.cert_id(self.server.tell("promise"))
        self.assertEqual(self.post(ocsp.request(cert_id)).status, ocsp.TRY_LATER)

    def test_a_certificate_on_hold_is_good_again_when_it_comes_off(self):
        serial = self.issue()
        self.server.tell("revoke", serial, "certificateHold")
        self.assertEqual(self.post(ocsp.request(self.server.issuer.cert_id(serial))).singles, [("revoked", 6)])

    def test_several_certificates_in_one_request_are_answered_in_their_order(self):
        serials = [self.issue() for _ in range(7)] + ["22" * 20]
        self.server.tell("revoke", serials[2], "superseded")
        ids = [self.server.issuer.cert_id(serial, "sha256" if i % 2 else "sha1") for i, serial in enumerate(serials)]
        response = self.post(ocsp.request(*ids))
        self.assertEqual([state for state, _ in response.singles], ["good", "good", "revoked"] + ["good"] * 4 + ["unknown"])
        self.assertEqual(self.post(ocsp.request(*ids, ids[0])).status, ocsp.MALFORMED)
        self.assertEqual(self.post(ocsp.request()).status, ocsp.MALFORMED)

    def test_an_issuer_that_is_not_ours_is_unauthorized(self):
        serial, issuer = self.issue(), self.server.issuer
        mine, other = issuer.cert_id(serial), issuer.cert_id(serial, key=b"another key")
        for ids in ((other,), (issuer.cert_id(serial, "md5"),), (mine, other), (other, mine)):
            self.assertEqual(self.post(ocsp.request(*ids)).status, ocsp.UNAUTHORIZED)

    def test_a_nonce_comes_back_and_such_an_answer_is_kept_by_nobody(self):
        cert_id = self.server.issuer.cert_id(self.issue())
        for size in (1, 32, 33, 128):
            nonce = random.randbytes(size)
            code, headers, body = self.ask("POST", "/ocsp", ocsp.request(cert_id, nonce=nonce), Content_Type=TYPE)
            self.assertEqual((code, headers["Cache-Control"], headers["ETag"]), (200, "no-store", None))
            self.assertEqual(ocsp.Response(body).nonce, nonce)
        for size in (0, 129):
            self.assertEqual(self.post(ocsp.request(cert_id, nonce=b"n" * size)).status, ocsp.MALFORMED)

    def test_a_hostile_request_is_malformed_at_each_of_its_octets(self):
        issuer, serial = self.server.issuer, self.issue()
        good = ocsp.request(issuer.cert_id(serial))
        hostile = [b"", good + b"\0", b"\x30\x80" + good[2:] + b"\0\0", b"\x30" * 5000, random.randbytes(3000)]
        hostile += [good[:size] for size in range(1, len(good))]
        hostile += [ocsp.request(issuer.cert_id(bad)) for bad in (b"", b"\0", b"\x80", b"\0\x01", b"\1" * 21)]
        hostile += [ocsp.request(issuer.cert_id(serial), extensions=[ocsp.extension("2a0304", b"\5\0", True)])]
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        for der in hostile:
            connection.request("POST", "/ocsp", der, {"Content-Type": TYPE})
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.headers["Cache-Control"]), (200, "no-store"), der.hex())
            self.assertEqual(ocsp.Response(answer.read()).status, ocsp.MALFORMED, der.hex())
        connection.close()

    def test_get_takes_every_way_to_write_the_base64(self):
        der = ocsp.request(self.server.issuer.cert_id(self.issue()))
        text = base64.b64encode(der).decode()
        while "+" not in text or "//" not in text:  # a serial that is not ours has them all, sooner or later
            der = ocsp.request(self.server.issuer.cert_id(b"\x3f" + random.randbytes(6) + b"\xff" * 6))
            text = base64.b64encode(der).decode()
        quoted = urllib.parse.quote(text, safe="")
        for target in (text, quoted, "/" + quoted, text.rstrip("="), quoted + "?x=y", "".join(f"%{ord(c):02x}" for c in text)):
            code, _, body = self.ask("GET", "/ocsp/" + target)
            self.assertEqual((code, ocsp.Response(body).state), (200, "unknown"), target)
        for target in (urllib.parse.quote(quoted), text.rstrip("=")[:-1], text + "=", text.replace("+", " ", 1).replace(" ", "%20"),
                       text.replace("+", "-"), "%", ""):
            code, _, body = self.ask("GET", "/ocsp/" + target)
            self.assertEqual((code, ocsp.Response(body).status), (200, ocsp.MALFORMED), target)

    def test_a_long_path_is_refused(self):
        self.assertEqual(self.ask("GET", "/ocsp/" + "A" * 4100)[0], 414)
        self.assertIn(self.ask("GET", "/ocsp/" + "A" * 20000)[0], (400, 413, 414))
        self.assert_serves()

    def test_caching_headers_are_those_of_rfc_9919(self):
        code, headers, body = self.get(ocsp.request(self.server.issuer.cert_id(self.issue())))
        response = ocsp.Response(body)

        def http_date(text):
            return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.strptime(text.decode(), "%Y%m%d%H%M%SZ"))
        self.assertEqual(code, 200)
        self.assertEqual(headers["ETag"], f'"{hashlib.sha256(body).hexdigest()}"')
        self.assertEqual(headers["Last-Modified"], http_date(response.this_update))
        self.assertEqual(headers["Expires"], http_date(response.next_update))
        self.assertEqual(headers["Content-Length"], str(len(body)))
        age, *rest = headers["Cache-Control"].split(", ")
        self.assertEqual(rest, ["public", "no-transform", "must-revalidate"])
        self.assertLessEqual(int(age.removeprefix("max-age=")), 300)
        self.assertIsNotNone(headers["Date"])

    def test_an_answer_that_was_not_modified_is_not_sent_again(self):
        der = ocsp.request(self.server.issuer.cert_id(self.issue()))
        _, headers, body = self.get(der)
        code, again, rest = self.get(der, If_None_Match=f'"other", {headers["ETag"]}')
        self.assertEqual((code, rest, again["ETag"]), (304, b"", headers["ETag"]))
        self.assertEqual(self.get(der, If_None_Match='"other"')[0], 200)
        code, head, rest = self.get(der, "HEAD")
        self.assertEqual((code, rest, head["Content-Length"]), (200, b"", str(len(body))))

    def test_the_same_octets_are_answered_from_memory_and_get_and_post_are_told_apart(self):
        der = ocsp.request(self.server.issuer.cert_id(self.issue()))
        first = self.post(der)
        before = self.counters()
        self.assertEqual([self.post(der).data, self.get(der)[2], self.post(der).data], [first.data] * 3)
        after = self.counters()
        self.assertEqual(after["ocsp_signed"], before["ocsp_signed"])
        self.assertEqual(after["ocsp_cached"], before["ocsp_cached"] + 3)
        self.assertEqual(self.post(base64.b64encode(der)).status, ocsp.MALFORMED)

    def test_an_answer_changes_with_its_certificate_on_every_connection(self):
        der = ocsp.request(self.server.issuer.cert_id(serial := self.issue()))
        connections = [http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20) for _ in range(16)]

        def states():
            found = set()
            for connection in connections:
                connection.request("POST", "/ocsp", der, {"Content-Type": TYPE})
                found.add(ocsp.Response(connection.getresponse().read()).state)
            return found
        self.assertEqual(states(), {"good"})
        self.server.tell("revoke", serial, "keyCompromise")
        self.assertEqual(states(), {"revoked"})
        for connection in connections:
            connection.close()

    def test_a_revocation_between_the_look_up_and_the_signature_is_in_the_answer(self):
        serial = self.issue()
        self.server.tell("revoke-after", 700, serial, "keyCompromise")  # the loop signs nothing meanwhile
        self.assertEqual(self.status_of(serial), "revoked")
        self.server.receive()
        self.assertEqual(self.status_of(serial), "revoked")

    def test_an_old_answer_is_renewed_at_half_of_its_time(self):
        der = ocsp.request(self.server.issuer.cert_id(self.issue()))
        first = self.post(der)
        self.addCleanup(self.server.tell, "clock", 0)
        self.server.tell("clock", 43190 * 1000)
        self.assertEqual(self.post(der).data, first.data)
        self.server.tell("clock", 43260 * 1000)
        second = self.post(der)
        self.assertGreater(second.this_update, first.this_update)

    def test_an_old_answer_that_is_valid_is_better_than_none(self):
        der = ocsp.request(self.server.issuer.cert_id(self.issue()))
        first = self.post(der)
        self.addCleanup(self.server.tell, "responder", "ca")
        self.addCleanup(self.server.tell, "clock", 0)
        self.server.tell("lose-responder")
        other = ocsp.request(self.server.issuer.cert_id(self.issue()), nonce=b"n")
        deployment.wait_until(lambda: self.post(other).status == ocsp.TRY_LATER, 20, "nobody signs")
        self.server.tell("clock", 50000 * 1000)
        self.assertEqual([self.post(der).data, self.post(der).data], [first.data] * 2)
        self.server.tell("clock", 86500 * 1000)
        self.assertEqual(self.post(der).status, ocsp.TRY_LATER)

    def test_a_signed_request_and_a_long_requestor_are_read_over(self):
        cert_id = self.server.issuer.cert_id(self.issue())
        requestor = ocsp.tlv(0xA1, ocsp.tlv(0x82, b"a" * 3000))
        self.assertIn(self.post(ocsp.request(cert_id, requestor=requestor)).status, (ocsp.SUCCESSFUL, ocsp.MALFORMED))


class Http(Case):
    def test_other_methods_are_not_allowed(self):
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            code, headers, _ = self.ask(method, "/ocsp")
            self.assertEqual((code, headers["Allow"], headers["Cache-Control"]), (405, "GET, HEAD, POST", "no-store"))
        code, headers, _ = self.ask("POST", "/metrics", b"x")
        self.assertEqual((code, headers["Allow"]), (405, "GET, HEAD"))
        self.assertIn(b" 501 ", self.say(b"PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n").split(b"\r\n")[0])

    def test_a_request_of_another_type_is_refused(self):
        for words in ({}, {"Content_Type": "text/plain"}, {"Content_Type": TYPE + "x"}):
            self.assertEqual(self.ask("POST", "/ocsp", b"x", **words)[0], 415)
        self.assertEqual(self.ask("POST", "/ocsp", b"x", Content_Type="Application/OCSP-Request; a=b")[0], 200)

    def test_a_body_over_the_limit_is_refused(self):
        head = b"POST /ocsp HTTP/1.1\r\nHost: h\r\nContent-Type: application/ocsp-request\r\n"
        for rest in (b"Content-Length: 8193\r\n\r\n" + b"x" * 8193, b"Content-Length: 99999999999\r\n\r\n",
                     b"Transfer-Encoding: chunked\r\n\r\n4000\r\n" + b"x" * 0x4000 + b"\r\n0\r\n\r\n"):
            self.assertIn(self.say(head + rest).split(b"\r\n")[0].split(b" ")[1], (b"413", b"400"))
        for rest in (b"Content-Length: -1\r\n\r\n", b"Content-Length: x\r\n\r\n"):
            self.assertIn(self.say(head + rest).split(b" ")[1], (b"400", b"413"), rest)
        self.assert_serves()

    def test_expect_is_answered(self):
        head = b"POST /ocsp HTTP/1.1\r\nHost: h\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\nExpect: %s\r\n\r\n"
        sock = self.connect(head % (4, b"100-continue"))
        self.assertTrue(sock.recv(1000).startswith(b"HTTP/1.1 100 "))
        sock.sendall(b"abcd")
        self.assertTrue(sock.recv(1000).startswith(b"HTTP/1.1 200 "))
        self.assertIn(self.say(head % (9000, b"100-continue")).split(b" ")[1], (b"413", b"417"))

    def test_what_is_no_http_gets_an_error_and_an_end(self):
        for data in (b"GET /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + b"\0" * 200,
                     b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET /healthz\0/x HTTP/1.1\r\n\r\n", b"\r\n" * 1000,
                     b"GET  HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", random.randbytes(5000)):
            answer = self.say(data)
            self.assertNotIn(b" 200 ", answer.split(b"\r\n")[0], data[:40])
        self.assertEqual(self.say(b"GET /healthz HTTP/1.0\r\n\r\n").split(b" ")[1], b"200")
        upgrade = b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        self.assertEqual(self.say(upgrade).split(b" ")[1], b"200")
        self.assert_serves()

    def test_paths_open_no_files(self):
        for target in ("/crl/../../etc/passwd", "/crl/%2e%2e/%2e%2e/etc/passwd", "/ca/..%2f..%2fetc%2fpasswd", "/crl/x%00.crl",
                       "/etc/passwd", "//etc/passwd", "/crl/" + "x" * 4000, "/crl/issuing-1/77.crl", "/crl/", "/ca/"):
            self.assertEqual(self.ask("GET", target)[0], 404, target)
        self.assertNotIn(b"root:", self.say(b"GET /crl/\0../../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n"))

    def test_a_head_that_is_too_large_is_refused(self):
        answer = self.say(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: " + b"y" * 9000 + b"\r\n\r\n")
        self.assertIn(answer.split(b" ")[1] if answer else b"", (b"400", b"413", b""))
        many = b"".join(b"X%d: y\r\n" % i for i in range(2000))
        self.assertNotIn(b" 200 ", self.say(b"GET /healthz HTTP/1.1\r\n" + many + b"\r\n")[:20])
        self.assert_serves()

    # --- documents

    def test_a_document_has_its_headers_and_is_not_sent_again(self):
        content = random.randbytes(5000)
        self.server.put("/crl/issuing-1/0.crl", content, 1000)
        code, headers, body = self.ask("GET", "/crl/issuing-1/0.crl")
        self.assertEqual((code, body, headers["Content-Type"]), (200, content, "application/pkix-crl"))
        self.assertEqual(headers["Cache-Control"], "public, max-age=60")
        self.assertEqual(headers["ETag"], f'"{hashlib.sha256(content).hexdigest()}"')
        self.assertTrue(headers["Last-Modified"] and headers["Expires"] and headers["Date"])
        code, head, rest = self.ask("HEAD", "/crl/issuing-1/0.crl")
        self.assertEqual((code, rest, head["Content-Length"]), (200, b"", "5000"))
        for tags in (headers["ETag"], "W/" + headers["ETag"], "*"):
            self.assertEqual(self.ask("GET", "/crl/issuing-1/0.crl", If_None_Match=tags)[0], 304)
        # Ranges are not served: the whole comes, or what is there now.
        code, _, body = self.ask("GET", "/crl/issuing-1/0.crl?x", Range="bytes=0-9")
        self.assertEqual((code, body), (200, content))
        self.server.put("/crl/issuing-1/0.crl", b"newer", 1000)
        self.assertEqual(self.ask("GET", "/crl/issuing-1/0.crl", If_None_Match=headers["ETag"])[2], b"newer")

    def test_a_download_has_one_document_whole_whatever_comes_after_it(self):
        old = random.randbytes(8 * 1024 * 1024)
        self.server.put("/crl/issuing-1/1.crl", old)
        sock = self.connect(b"GET /crl/issuing-1/1.crl HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        part = sock.recv(1000)
        self.server.put("/crl/issuing-1/1.crl", random.randbytes(1000))
        self.assertEqual((part + self.read_all(sock)).split(b"\r\n\r\n", 1)[1], old)

    def test_keep_alive_serves_one_request_after_another(self):
        sock = self.connect()
        for _ in range(50):
            sock.sendall(PERFECT)
            self.assertTrue(sock.recv(1000).startswith(b"HTTP/1.1 200 "))
        sock.sendall(PERFECT * 100)
        self.assertEqual(self.read_answers(sock, 100).count(b"HTTP/1.1 200 "), 100)


class Slow(Case):
    words = ("deadline_ms=1000",)

    def test_whoever_is_slow_is_cut_off_and_others_are_served_meanwhile(self):
        slow = [self.connect(PERFECT[:-2]) for _ in range(10)] + [self.connect() for _ in range(5)]
        slow += [self.connect(b"POST /ocsp HTTP/1.1\r\nHost: h\r\nContent-Type: application/ocsp-request\r\n"
                              b"Content-Length: 100\r\n\r\nabc") for _ in range(5)]
        ended = threading.Event()
        dripping = self.connect()

        def drip():  # an octet now and then buys no time
            for octet in PERFECT[:-2] * 10:
                try:
                    dripping.sendall(bytes([octet]))
                except OSError:
                    return
                if ended.wait(0.1):
                    return
        thread = threading.Thread(target=drip)
        thread.start()
        for sock in slow + [dripping]:
            self.assert_serves()
            self.read_all(sock)  # ends
        ended.set()
        thread.join()
        self.assertGreaterEqual(self.counters()["connections_cut"], 10)

    def test_whoever_does_not_take_an_answer_is_cut_off(self):
        self.server.put("/crl/issuing-1/2.crl", random.randbytes(64 * 1024 * 1024 // 16))
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", self.server.port))
        before = self.counters()["connections_cut"]
        sock.sendall(b"GET /crl/issuing-1/2.crl HTTP/1.1\r\nHost: h\r\n\r\n" * 3)
        deployment.wait_until(lambda: self.counters()["connections_cut"] > before, 60, "cut off")
        self.assert_serves()

    def test_what_is_sent_ahead_waits_in_its_socket(self):
        sock = self.connect()
        sock.settimeout(0.5)
        sent = 0
        try:
            while sent < 64 * 1024 * 1024:
                sent += sock.send(PERFECT * 1000)
        except (TimeoutError, ConnectionError):
            pass
        self.assertLess(sent, 64 * 1024 * 1024)
        sock.close()
        self.assert_serves()


class Crowd(Case):
    words = ("connections=20", "deadline_ms=60000")

    def test_a_crowd_of_connections_that_ask_for_something_leaves_no_room_until_they_go(self):
        held = [self.connect(b"POST /ocsp HTTP/1.1\r\nHost: h\r\nContent-Type: application/ocsp-request\r\n"
                             b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n") for _ in range(20)]
        for sock in held:
            self.assertTrue(sock.recv(1000).startswith(b"HTTP/1.1 100 "))
        for sock in [self.connect() for _ in range(10)]:
            self.assertEqual(self.read_all(sock), b"")
        for sock in held[:10]:
            sock.close()
        deployment.wait_until(lambda: self.say(PERFECT).startswith(b"HTTP/1.1 200 "), 20, "room")
        self.assertGreaterEqual(self.counters()["connections_refused"], 10)
        for sock in held[10:]:
            sock.sendall(b"abcd")
            self.assertTrue(self.read_answers(sock).startswith(b"HTTP/1.1 200 "))
            sock.close()

    def test_connections_that_wait_for_nothing_make_room(self):
        deployment.wait_until(lambda: self.counters()["connections"] <= 2, 20, "the other test's connections end")
        held = [self.connect(PERFECT) for _ in range(20)]
        for sock in held:
            self.read_answers(sock)
        for _ in range(60):
            self.assertTrue(self.read_answers(self.connect(PERFECT)).startswith(b"HTTP/1.1 200 "))
        for sock in held:
            self.assertEqual(self.read_all(sock), b"")


class Garbage(Case):
    words = ("deadline_ms=1000",)

    @staticmethod
    def spoil(chance, data):
        data = bytearray(data)
        for _ in range(chance.choice((0, 1, 2, 5, 20))):
            at = chance.randrange(len(data) + 1)
            octets = chance.randbytes(chance.randrange(1, 9))
            data[at:at + chance.choice((0, 1, len(octets)))] = chance.choice((octets, b"", b"\r\n"))
        return bytes(data)

    def test_spoiled_requests_in_pieces_leave_nothing_behind(self):
        chance, issuer = random.Random(5), self.server.issuer
        self.server.put("/crl/issuing-1/0.crl", chance.randbytes(1000000))
        head = b"POST /ocsp HTTP/1.1\r\nHost: h\r\nContent-Type: application/ocsp-request\r\n"
        der = ocsp.request(issuer.cert_id(self.issue()), nonce=b"nonce")
        whole = (PERFECT, b"GET /crl/issuing-1/0.crl HTTP/1.1\r\nHost: h\r\n\r\n", b"HEAD / HTTP/1.0\r\n\r\n",
                 head + b"Content-Length: %d\r\n\r\n" % len(der) + der,
                 head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(der) + der + b"\r\n0\r\n\r\n",
                 b"GET /ocsp/" + base64.b64encode(der) + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        for _ in range(1500):
            sock = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
            with contextlib.closing(sock), contextlib.suppress(OSError):
                for _ in range(chance.randrange(1, 4)):
                    data = b"".join(self.spoil(chance, chance.choice(whole)) for _ in range(chance.choice((1, 1, 5))))
                    at = chance.randrange(len(data) + 1)
                    sock.sendall(data[:at])
                    sock.sendall(data[at:])
                if chance.random() < 0.5:  # gone with a reset, whatever is on its way
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        deployment.wait_until(lambda: self.counters()["connections"] <= 1, 30, "all connections end")
        self.assertEqual(self.status_of(self.issue()), "good")


class LongValidity(Case):
    words = ("validity_s=99000000",)

    def test_no_answer_outlives_its_responder(self):
        cert_id = self.server.issuer.cert_id(self.issue())
        for responder, name in (("ca", "ca.pem"), ("delegated", "responder.pem")):
            self.server.tell("responder", responder)
            end = subprocess.run(["openssl", "x509", "-in", self.server.path(name), "-noout", "-enddate"],
                                 capture_output=True, text=True, check=True).stdout.strip().partition("=")[2]
            end = time.strftime("%Y%m%d%H%M%SZ", time.strptime(end, "%b %d %H:%M:%S %Y GMT")).encode()
            self.assertEqual(self.post(ocsp.request(cert_id)).next_update, end)


class FewDescriptors(Case):
    prefix = ("prlimit", "--nofile=40")

    def test_without_descriptors_it_waits_until_there_are_some(self):
        self.assertIn("20 at a time, not 1000", self.server.log())
        held = [self.connect() for _ in range(80)]
        for sock in held:
            sock.close()
        deployment.wait_until(lambda: self.say(PERFECT).startswith(b"HTTP/1.1 200 "), 20, "it is served")


class RaisedDescriptors(Case):
    prefix = ("prlimit", "--nofile=64:2000")
    words = ("connections=100", "deadline_ms=60000")

    def test_as_many_connections_as_the_settings_say_have_descriptors(self):
        self.assertEqual(self.server.log(), "")
        held = [self.connect(PERFECT) for _ in range(100)]
        for sock in held:
            self.assertTrue(self.read_answers(sock).startswith(b"HTTP/1.1 200 "))
        for sock in held:
            sock.sendall(PERFECT)
            self.assertTrue(self.read_answers(sock).startswith(b"HTTP/1.1 200 "))


class Burst(Case):
    words = ("connections=20", "deadline_ms=60000")

    def descriptor_places(self):
        """Of the process's table, which only grows: as many as there were descriptors at a time, and some."""
        with open(f"/proc/{self.server.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"FDSize:\s+(\d+)", file.read())[1])

    def test_a_backlog_of_connections_takes_no_more_descriptors_than_there_may_be_connections(self):
        pid = self.server.process.pid
        self.say(PERFECT)
        places = self.descriptor_places()
        os.kill(pid, signal.SIGSTOP)
        held = [self.connect() for _ in range(900)]
        os.kill(pid, signal.SIGCONT)
        deployment.wait_until(lambda: len(select.select(held, [], [], 0)[0]) >= 870, 20, "the others are closed")
        for sock in held:
            sock.close()
        deployment.wait_until(lambda: self.say(PERFECT).startswith(b"HTTP/1.1 200 "), 20, "it is served")
        self.assertEqual(self.descriptor_places(), places)


class WrongSignatures(Case):
    script = "item=0:wrong item=1:short item=2:UNAVAILABLE item=3:UNCERTAIN item=4:CORRUPT"

    def test_what_a_signer_does_wrong_is_no_answer_and_the_next_one_is(self):
        cert_id = self.server.issuer.cert_id(self.issue())
        found = [self.post(ocsp.request(cert_id)).status for _ in range(6)]
        self.assertEqual(found, [ocsp.INTERNAL_ERROR, ocsp.INTERNAL_ERROR, ocsp.TRY_LATER, ocsp.TRY_LATER, ocsp.INTERNAL_ERROR,
                                 ocsp.SUCCESSFUL])
        self.assertEqual(self.counters()["ocsp_failed"], 3)
        deployment.wait_until(lambda: "OCSP answers were signed wrongly" in self.server.log(), 20, "a notice")


class SlowSigner(Case):
    words = ("deadline_ms=2000",)
    script = "holds={}/holds away={}/away in-flight=1 items-max=3"

    def make(self, name):
        path = self.server.path(name)
        open(path, "w", encoding="utf-8").close()
        self.addCleanup(lambda: os.path.exists(path) and os.remove(path))
        return path

    def test_a_signer_that_is_away_is_told_at_once_and_its_return_noticed(self):
        cert_id = self.server.issuer.cert_id(self.issue())
        path = self.make("away")
        self.assertEqual(self.post(ocsp.request(cert_id)).status, ocsp.TRY_LATER)
        os.remove(path)
        self.assertEqual(self.post(ocsp.request(cert_id)).state, "good")

    def test_a_signer_that_does_not_answer_is_waited_for_no_longer_than_the_deadline(self):
        cert_id = self.server.issuer.cert_id(self.issue())
        path = self.make("holds")
        found = []
        threads = [threading.Thread(target=lambda: found.append(self.post(ocsp.request(cert_id)).status)) for _ in range(20)]
        for thread in threads:
            thread.start()
        self.assert_serves()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [ocsp.TRY_LATER] * 20)
        os.remove(path)
        self.assertEqual(self.post(ocsp.request(cert_id)).state, "good")

    def test_many_requests_share_a_signer_that_takes_few_at_a_time(self):
        serials = [self.issue() for _ in range(40)]
        found = []
        threads = [threading.Thread(target=lambda serial=serial: found.append(self.status_of(serial))) for serial in serials]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, ["good"] * 40)


class Life(unittest.TestCase):
    def test_an_address_that_is_taken_is_said_with_its_name(self):
        first = StatusServer()
        run = subprocess.run([SERVER, make_folder(), f"port={first.port}"], stdin=subprocess.DEVNULL, capture_output=True,
                             text=True, timeout=20, check=False)
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn(f"listen on 127.0.0.1:{first.port}: Address already in use", run.stderr)
        self.assertEqual(first.close(), 0, first.log())

    def test_it_ends_while_requests_wait(self):
        server = StatusServer("workers=1")
        serial, ended = server.tell("issue", 1), threading.Event()

        def ask_all_the_time():
            while not ended.is_set():
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
                with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
                    connection.request("POST", "/ocsp", ocsp.request(server.issuer.cert_id(serial), nonce=b"n"),
                                       {"Content-Type": TYPE})
                    connection.getresponse().read()
        threads = [threading.Thread(target=ask_all_the_time) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        code = server.close()
        ended.set()
        for thread in threads:
            thread.join()
        self.assertEqual(code, 0, server.log())


class Pages(Case):
    def test_readiness_is_the_engines(self):
        self.assertEqual(self.ask("GET", "/readyz")[::2], (200, b"ready\n"))
        self.server.tell("ready", "no")
        deployment.wait_until(lambda: self.ask("GET", "/readyz")[0] == 503, 10, "not ready")
        self.assertIn(b"key does not sign: issuing-1\n", self.ask("GET", "/readyz")[2])
        self.assertEqual(self.ask("GET", "/healthz")[0], 200)
        self.server.tell("ready", "yes")

    def test_pages_are_there_and_kept_by_nobody(self):
        for target, kind in (("/", "text/html"), ("/metrics", "text/plain; version=0.0.4"), ("/api/v1/status", "application/json")):
            code, headers, body = self.ask("GET", target)
            self.assertEqual((code, headers["Cache-Control"]), (200, "no-store"))
            self.assertTrue(headers["Content-Type"].startswith(kind) and body)
            self.assertEqual(self.ask("HEAD", target)[2], b"")
        self.assertIn("default-src 'none'", self.ask("GET", "/")[1]["Content-Security-Policy"])
        self.assertIn(b"certmill_http_requests_total ", self.ask("GET", "/metrics")[2])

    def test_an_engine_that_does_nothing_stops_neither_health_nor_documents_nor_what_is_known(self):
        serial = self.server.tell("issue", 1)
        self.assertEqual(self.status_of(serial), "good")
        self.server.put("/crl/issuing-1/0.crl", b"crl")
        self.server.tell("revoke-after", 60000, serial, "keyCompromise")
        self.assert_serves()
        self.assertEqual(self.status_of(serial), "good")
        self.assertEqual(self.ask("GET", "/crl/issuing-1/0.crl")[2], b"crl")
        self.assertFalse(self.server.has_answered(), "while it did nothing")
        self.server.send("ready", "yes")
        self.server.receive()
        self.server.receive()
        self.assertEqual(self.status_of(serial), "revoked")


class Flood(Case):
    words = ("answers=50",)

    def test_under_a_flood_every_answer_is_right_and_a_revocation_is_seen(self):
        first = int(self.server.tell("issue", 200), 16)
        serials = [f"{first + (i << 96):040x}" for i in range(200)]
        errors, ended, revoked = [], threading.Event(), {}

        def flood(seed):
            chance = random.Random(seed)
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
            while not ended.is_set() and not errors:
                serial = chance.choice(serials)
                nonce = chance.randbytes(8) if chance.random() < 0.3 else None
                was_revoked = serial in revoked
                connection.request("POST", "/ocsp", ocsp.request(self.server.issuer.cert_id(serial), nonce=nonce),
                                   {"Content-Type": TYPE})
                response = ocsp.Response(connection.getresponse().read())
                if response.status != ocsp.SUCCESSFUL or (was_revoked and response.state != "revoked") \
                        or response.state == "unknown" or response.nonce != nonce:
                    errors.append((serial, response.status, response.singles))
            connection.close()
        threads = [threading.Thread(target=flood, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for serial in serials[:60]:
            self.server.tell("revoke", serial, "keyCompromise")
            revoked[serial] = True
        ended.set()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertLessEqual(self.counters()["ocsp_kept"], 50)


if __name__ == "__main__":
    unittest.main()
