#!/usr/bin/env python3
"""Redis over TLS: a real redis-server with certificates made here, and everything that can be wrong with them."""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
from deployment import RedisServer, free_port, scratch, wait_until


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Authority:
    """A CA in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.key, self.file = self.path(name, "key"), self.path(name, "pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key,
                "-out", self.file, "-days", "2", "-subj", f"/CN={name}")

    def path(self, name, ending):
        return os.path.join(self.folder, f"{name}.{ending}")

    def issue(self, name, san, days="2"):
        """The files of a certificate and its key."""
        request, extensions = self.path(name, "csr"), self.path(name, "ext")
        key, certificate = self.path(name, "key"), self.path(name, "pem")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
                "-subj", f"/CN={name}")
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"subjectAltName={san}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-out",
                certificate, "-days", days, "-extfile", extensions)
        return certificate, key


class Tls(case.Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = scratch()
        cls.authority = Authority(cls.folder, "ca")
        cls.server = cls.authority.issue("server", "DNS:localhost,IP:127.0.0.1")
        cls.client = cls.authority.issue("client", "DNS:engine")
        cls.port, cls.plain_port = free_port(), free_port()
        case.Case.redis = RedisServer(scratch(), options=cls.options(cls.server))

    @classmethod
    def options(cls, server):
        certificate, key = server
        return ["--port", str(cls.plain_port), "--tls-port", str(cls.port), "--tls-cert-file", certificate,
                "--tls-key-file", key, "--tls-ca-cert-file", cls.authority.file, "--bind", "127.0.0.1"]

    def deploy_tls(self, name, count, host="localhost", scheme="rediss", port=None, keys=None):
        requests = self.deploy(name, count)
        if keys is None:
            keys = {"tls-ca": self.authority.file, "tls-certificate": self.client[0], "tls-key": self.client[1]}
        lines = "".join(f"\n    {key}: {value}" for key, value in keys.items())
        self.deployment.edit(r"(?m)^    url: .*$", f"    url: {scheme}://{host}:{port or self.port}{lines}")
        return requests

    def fails_with(self, text, name, patience_s=3, **options):
        """Neither engine nor submit come through; both say why; the engine still stops at once."""
        requests = self.deploy_tls(name, 1, **options)
        engine = self.start(wait=False)
        wait_until(lambda: text in engine.text(), 10, engine.text)
        self.stop(engine)
        path = os.path.join(self.folder, "device.csr")
        with open(path, "wb") as file:
            file.write(requests[0].csr)
        done = self.deployment.run("submit", "--timeout", str(patience_s), path, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(text, done.stderr.decode())
        if patience_s == 3:
            done = self.deployment.run("doctor", check=False)
            self.assertIn(text, (done.stdout + done.stderr).decode())

    def test_engine_and_submit_work_over_tls(self):
        requests = self.deploy_tls("certmill", 300)
        engine = self.start()
        self.backend.push(requests)
        self.backend.wait_answered()
        path = os.path.join(self.folder, "certmill-0.csr")
        shutil.copy(self.write_csr(requests[0]), path)
        done = self.deployment.run("submit", "--timeout", "10", "--id", requests[0].id, "--device", requests[0].device,
                                   path)
        self.assertEqual(done.stdout.count(b"BEGIN CERTIFICATE"), 2)
        self.assertEqual(self.deployment.run("doctor", check=False).returncode, 0)
        self.finish(engine)

    def write_csr(self, request):
        path = os.path.join(scratch(), "request.csr")
        with open(path, "wb") as file:
            file.write(request.csr)
        return path

    def test_an_address_is_verified_as_an_address(self):
        requests = self.deploy_tls("address", 5, host="127.0.0.1")
        engine = self.start()
        self.backend.push(requests)
        self.finish(engine)

    def test_the_servers_name_may_be_another_than_that_of_the_url(self):
        keys = {"tls-ca": self.authority.file, "tls-certificate": self.client[0], "tls-key": self.client[1],
                "tls-server-name": "localhost"}
        requests = self.deploy_tls("named", 5, host="127.0.0.1", keys=keys)
        engine = self.start()
        self.backend.push(requests)
        self.finish(engine)

    def test_a_server_of_another_name_is_refused(self):
        keys = {"tls-ca": self.authority.file, "tls-certificate": self.client[0], "tls-key": self.client[1]}
        self.fails_with("the server's certificate is for another name than redis.example", "misnamed",
                        keys={**keys, "tls-server-name": "redis.example"})
        self.fails_with("the server's certificate is for another name than this address", "misplaced",
                        keys={**keys, "tls-server-name": "127.0.0.2"})

    def test_a_server_of_another_authority_is_refused(self):
        other = Authority(scratch(), "other")
        keys = {"tls-ca": other.file, "tls-certificate": self.client[0], "tls-key": self.client[1]}
        self.fails_with("the server's certificate is not accepted: ", "stranger", keys=keys)
        del keys["tls-ca"]
        self.fails_with("the server's certificate is not accepted: ", "unknown", keys=keys)

    def test_a_missing_client_certificate_is_told(self):
        self.fails_with("does the server want a client certificate (tls-certificate, tls-key)?", "anonymous",
                        keys={"tls-ca": self.authority.file})

    def test_a_client_certificate_of_another_authority_is_told(self):
        certificate, key = Authority(scratch(), "other").issue("intruder", "DNS:engine")
        self.fails_with("accept the client certificate", "intruder",
                        keys={"tls-ca": self.authority.file, "tls-certificate": certificate, "tls-key": key})

    def test_a_port_without_tls_is_told(self):
        self.fails_with("is this a port without TLS?", "plain", patience_s=8, port=self.plain_port)

    def test_a_port_with_tls_is_not_spoken_to_without(self):
        self.fails_with("connection to Redis lost: ", "clear", scheme="redis", keys={})

    def test_files_that_are_not_there_stop_the_start(self):
        certificate, key = self.client
        for keys, text in (({"tls-ca": "/nonexistent.pem"}, "read the CA file /nonexistent.pem: "),
                           ({"tls-ca": key}, f"read the CA file {key}: "),
                           ({"tls-certificate": key, "tls-key": key}, f"read the client certificate {key}: "),
                           ({"tls-certificate": certificate, "tls-key": self.server[1]},
                            f"read the client certificate's key {self.server[1]}: key values mismatch")):
            with self.subTest(keys=keys):
                self.deploy_tls("files", 0, keys=keys)
                engine = self.start(wait=False)
                self.assertEqual(engine.wait(10), 1)
                self.assertIn(text, engine.text())

    def test_a_server_that_goes_and_comes_back_is_found_again(self):
        usual = case.Case.redis
        usual.stop()  # the ports are its
        self.addCleanup(usual.start)
        server = case.Case.redis = RedisServer(scratch(), append_only="always", options=self.options(self.server))
        self.addCleanup(lambda: setattr(case.Case, "redis", usual))
        self.addCleanup(server.stop)
        requests = self.deploy_tls("return", 60)
        engine = self.start()
        self.backend.push(requests[:30])
        self.backend.wait_answered()
        server.kill()
        server.start()
        self.backend.reconnect()
        self.backend.push(requests[30:])
        self.finish(engine)


if __name__ == "__main__":
    case.main()
