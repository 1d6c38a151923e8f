#!/usr/bin/env python3
"""An nginx that lets in whom a served deployment's CRLs do not show, and staples what its OCSP responder says.

What nginx needs (1.22, with OpenSSL 3.0): ssl_crl is one PEM file that nginx reads at its start and at a reload. With it
nginx has OpenSSL check every certificate of the chain, so the file holds

  - the lists of all shards, one behind the other: OpenSSL takes the one whose issuingDistributionPoint the certificate
    names; a certificate whose shard is missing is refused (unable to get certificate CRL);
  - the root's list, too, which covers the issuing CA's certificate. Here the root is an authority of the settings, without
    crl-url: the issuing CA's certificate names no list, so a list that is bound to a URL would not count for it;
  - no delta: without X509_V_FLAG_EXTENDED_CRL_SUPPORT, which nginx does not set, OpenSSL takes a delta for a whole list.
"""
import os
import shutil
import socket
import ssl
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
import served
from backend import Request
from deployment import wait_until

HOST = "unit.example.com"
CONFIGURATION = """
daemon off; master_process on; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log info;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port} ssl; server_name {host};
    ssl_certificate {folder}/server.chain; ssl_certificate_key {folder}/server.key;
    ssl_session_tickets off; ssl_session_cache off;
    {lines}
    location / {{ return 200 "let in\\n"; }}
  }}
}}
"""
CLIENTS = """ssl_verify_client on; ssl_verify_depth 3; ssl_client_certificate {folder}/ca/chain.pem; ssl_crl {folder}/crls.pem;"""
STAPLES = """ssl_stapling on; ssl_stapling_verify on; ssl_trusted_certificate {folder}/ca/chain.pem;"""


def find_nginx():
    return shutil.which("nginx") or next((path for path in ("/usr/sbin/nginx",) if os.access(path, os.X_OK)), None)


class Nginx(served.Served):
    def deploy_nginx(self, name, lines, **options):
        """An engine that serves where certificates say, certificates of a server and two clients, an nginx not started yet."""
        port = served.free_port()
        self.deploy_served(name, port=port, base_url=f"http://127.0.0.1:{port}", **options)
        self.engine = self.serve()
        self.server, *self.clients = [self.enrol(one, profile) for one, profile in
                                      ((HOST, "device-server"), ("c-0", "device-client"), ("c-1", "device-client"))]
        with open(self.path("ca", "chain.pem"), "wb") as chain:
            for one in ("issuing", "root"):
                chain.write(self.read("ca", one + ".pem"))
        self.nginx_port = served.free_port()
        with open(self.path("nginx.conf"), "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(folder=self.deployment.folder, port=self.nginx_port, host=HOST,
                                            lines=lines.format(folder=self.deployment.folder)))

    def read(self, *names):
        with open(self.path(*names), "rb") as file:
            return file.read()

    def enrol(self, device, profile):
        """A certificate for a key in DEVICE.key, with its chain in DEVICE.chain."""
        short = "server" if device == HOST else device
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                        f"/CN={device}", "-keyout", self.path(short + ".key"), "-outform", "DER", "-out",
                        self.path(short + ".csr")], check=True, capture_output=True)
        self.deployment.add_devices([device])
        (certificate,) = self.issue([Request("id-" + short, device, self.read(short + ".csr"), profile=profile)])
        certificate.name = short
        with open(self.path(short + ".chain"), "wb") as file:
            file.write(certificate.pem + self.read("ca", "issuing.pem"))
        return certificate

    def start_nginx(self):
        with open(self.path("nginx.out"), "wb") as out:
            nginx = deployment.spawn([find_nginx(), "-c", self.path("nginx.conf"), "-e", self.path("nginx.log")],
                                     stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.addCleanup(lambda: (nginx.terminate(), nginx.wait()))

        def listens():
            if nginx.poll() is not None:
                self.fail("nginx did not start: " + self.read("nginx.out").decode())
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.nginx_port)) == 0
        wait_until(listens, 20, "nginx listens")
        return nginx

    def write_lists(self):
        """What nginx is given: every complete list."""
        self.write_crls("crls.pem", self.crl(0, issuer="root-1"), *[self.crl(shard) for shard in range(served.SHARDS)])

    def visit(self, client=None):
        """What nginx answers to this client: the status line's code and the body."""
        context = ssl.create_default_context(cafile=self.path("ca", "root.pem"))
        if client:
            context.load_cert_chain(self.path(client.name + ".chain"), self.path(client.name + ".key"))
        with socket.create_connection(("127.0.0.1", self.nginx_port), timeout=20) as plain, \
                context.wrap_socket(plain, server_hostname=HOST) as secured:
            secured.sendall(f"GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
            answer = b""
            while part := secured.recv(4096):
                answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def test_a_client_is_refused_once_nginx_has_read_the_list_that_shows_it(self):
        self.deploy_nginx("clients", CLIENTS, root=())
        good, bad = self.clients
        self.write_lists()
        nginx = self.start_nginx()
        self.assertEqual([self.visit(client) for client in self.clients], [(200, "let in\n")] * 2)
        self.assertEqual(self.visit()[0], 400, "without a certificate")
        self.order("revoke", serial=bad.serial, reason="keyCompromise")
        self.wait_listed(bad, "keyCompromise")
        self.assertEqual(self.visit(bad)[0], 200, "nginx has not read the new list")
        self.write_lists()
        nginx.send_signal(1)  # SIGHUP: it reads its files again
        wait_until(lambda: self.visit(bad)[0] == 400, 20, lambda: self.read("nginx.log").decode(), step_s=0.1)
        self.assertIn("The SSL certificate error", self.visit(bad)[1])
        self.assertIn(b"certificate revoked", self.read("nginx.log"))
        self.assertEqual(self.visit(good), (200, "let in\n"))
        self.stop(self.engine)

    def test_a_client_whose_shard_is_missing_is_refused(self):
        self.deploy_nginx("missing", CLIENTS, root=())
        client = self.clients[0]
        others = [self.crl(shard) for shard in range(served.SHARDS) if shard != client.shard]
        self.write_crls("crls.pem", self.crl(0, issuer="root-1"), *others)
        self.start_nginx()
        self.assertEqual(self.visit(client)[0], 400)
        self.assertIn(b"unable to get certificate CRL", self.read("nginx.log"))
        self.stop(self.engine)

    def staple(self):
        """What openssl s_client says of the answer that nginx staples."""
        done = self.run_program("openssl", "s_client", "-connect", f"127.0.0.1:{self.nginx_port}", "-servername", HOST,
                                "-status", "-CAfile", "ca/root.pem", "-verify_return_error", stdin="")
        self.assertIn("Verify return code: 0 (ok)", done.stdout, done.stderr)
        return done.stdout

    def test_nginx_staples_what_the_responder_says(self):
        self.deploy_nginx("staples", STAPLES)
        self.start_nginx()
        # It asks when the first client comes, which has nothing of it yet.
        said = wait_until(lambda: "Cert Status" in (text := self.staple()) and text, 20,
                          lambda: "a stapled answer:\n" + self.read("nginx.log").decode(), step_s=0.1)
        self.assertIn("OCSP Response Status: successful", said)
        self.assertIn("Cert Status: good", said)
        self.assertIn("Serial Number: " + self.server.serial.upper(), said)
        self.assertNotIn(b"OCSP_basic_verify() failed", self.read("nginx.log"))
        self.stop(self.engine)

    def test_nginx_does_not_staple_that_its_certificate_is_revoked(self):
        """It looks for good ones only, and says so."""
        self.deploy_nginx("revoked", STAPLES)
        self.order("revoke", serial=self.server.serial, reason="superseded")
        self.start_nginx()
        self.staple()
        wait_until(lambda: b'certificate status "revoked"' in self.read("nginx.log"), 20,
                   lambda: self.read("nginx.log").decode(), step_s=0.1)
        self.stop(self.engine)


if __name__ == "__main__":
    served.main(None if find_nginx() else "nginx is not installed (Debian: nginx-light)")
