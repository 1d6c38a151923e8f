#!/usr/bin/env python3
"""An nginx that lets in whom a served deployment's CRLs do not show, and staples what its OCSP responder says.

What nginx needs (1.22, with OpenSSL 3.0): ssl_crl is one PEM file that nginx reads at its start and at a reload. With it
nginx has OpenSSL check every certificate of the chain, so the file holds

  - the lists of all shards, one behind the other: OpenSSL takes the one whose issuingDistributionPoint the certificate
    names; a certificate whose shard is missing is refused (unable to get certificate CRL);
  - the root's list, too, which covers the issuing CA's certificate. Here the root is an authority of the settings, without
    crl-url: the issuing CA's certificate names no list, so a list that is bound to a URL would not count for it. A root
    whose key is elsewhere has one from `openssl ca -gencrl`;
  - no delta: without X509_V_FLAG_EXTENDED_CRL_SUPPORT, which nginx does not set, OpenSSL takes a delta for a whole list.
"""
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
import ocsp
import served
from backend import Request
from deployment import free_port, wait_until

HOST = "unit.example.com"
# The user is for a root that runs this: others may not look into the scratch folder.
CONFIGURATION = """
user root; daemon off; master_process on; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log info;
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
  {front}
}}
"""
ROOT_LIST = """
[ca]
default_ca = root
[root]
database = root-index.txt
crlnumber = root-crlnumber
default_md = sha256
"""
CLIENTS = """ssl_verify_client on; ssl_verify_depth 3; ssl_client_certificate {folder}/ca/chain.pem; ssl_crl {folder}/crls.pem;"""
ASKS = """ssl_verify_client on; ssl_verify_depth 3; ssl_client_certificate {folder}/ca/chain.pem; ssl_ocsp leaf;"""
# As the guide has it: OCSP from the engine, the rest from there or from the folder.
FRONT = """
  server {{
    listen 127.0.0.1:{front};
    location /ocsp {{ proxy_pass http://127.0.0.1:{engine}; }}
    location /crl/ {{ root {folder}/public; }}
    location /ca/ {{ proxy_pass http://127.0.0.1:{engine}; }}
  }}
"""
STAPLES = """ssl_stapling on; ssl_stapling_verify on; ssl_trusted_certificate {folder}/ca/chain.pem;"""


def find_nginx():
    return shutil.which("nginx") or next((path for path in ("/usr/sbin/nginx",) if os.access(path, os.X_OK)), None)


class Nginx(served.Served):
    nginx = front_port = None

    def deploy_nginx(self, name, lines, **options):
        """An engine that serves where certificates say, certificates of a server and two clients, an nginx not started yet."""
        port = free_port()
        self.deploy_served(name, port=port, base_url=f"http://127.0.0.1:{port}", **options)
        self.engine = self.serve()
        self.server, *self.clients = [self.enrol(one, profile) for one, profile in
                                      ((HOST, "device-server"), ("c-0", "device-client"), ("c-1", "device-client"))]
        with open(self.path("ca", "chain.pem"), "wb") as chain:
            for one in ("issuing", "root"):
                chain.write(self.read("ca", one + ".pem"))
        self.nginx_port, self.front_port = free_port(), free_port()
        front = FRONT.format(folder=self.deployment.folder, front=self.front_port, engine=port)
        with open(self.path("nginx.conf"), "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(folder=self.deployment.folder, port=self.nginx_port, host=HOST, front=front,
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
        self.nginx = nginx

        def listens():
            if nginx.poll() is not None:
                self.fail("nginx did not start: " + self.read("nginx.out").decode())
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.nginx_port)) == 0
        wait_until(listens, 20, "nginx listens")

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

    def wait_visited(self, client, code):
        """What nginx says once it answers so: its workers from before a reload go on for a moment."""
        def visited():
            answer = self.visit(client)
            return answer[1] if answer[0] == code else None
        return wait_until(visited, 20, lambda: f"{code}:\n" + self.read("nginx.log").decode(), step_s=0.1)

    def test_a_client_is_refused_once_nginx_has_read_the_list_that_shows_it(self):
        self.deploy_nginx("clients", CLIENTS, root=())
        good, bad = self.clients
        self.write_lists()
        self.start_nginx()
        self.assertEqual([self.visit(client) for client in self.clients], [(200, "let in\n")] * 2)
        self.assertEqual(self.visit()[0], 400, "without a certificate")
        self.order("revoke", serial=bad.serial, reason="keyCompromise")
        self.wait_listed(bad, "keyCompromise")
        self.assertEqual(self.visit(bad)[0], 200, "nginx has not read the new list")
        self.write_lists()
        self.nginx.send_signal(signal.SIGHUP)  # it reads its files again
        self.assertIn("The SSL certificate error", self.wait_visited(bad, 400))
        self.assertIn(b"certificate revoked", self.read("nginx.log"))
        self.assertEqual(self.visit(good), (200, "let in\n"))
        self.stop(self.engine)

    def test_a_root_whose_key_is_elsewhere_has_its_list_from_openssl(self):
        self.deploy_nginx("offline", CLIENTS)
        for name, text in (("root-crl.cnf", ROOT_LIST), ("root-index.txt", ""), ("root-crlnumber", "01\n")):
            with open(self.path(name), "w", encoding="ascii") as file:
                file.write(text)
        done = self.run_program("openssl", "ca", "-gencrl", "-config", "root-crl.cnf", "-keyfile", "keys/root.pem", "-cert",
                                "ca/root.pem", "-crldays", "400", "-out", "root-crl.pem")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.write_crls("crls.pem", *[self.crl(shard) for shard in range(served.SHARDS)])
        self.start_nginx()
        self.assertEqual(self.visit(self.clients[0])[0], 400, "nginx wants the root's list, too")
        with open(self.path("crls.pem"), "ab") as file:
            file.write(self.read("root-crl.pem"))
        self.nginx.send_signal(signal.SIGHUP)
        self.wait_visited(self.clients[0], 200)
        self.stop(self.engine)

    def test_an_nginx_that_asks_refuses_at_once(self):
        self.deploy_nginx("asks", ASKS)
        good, bad = self.clients
        self.start_nginx()
        self.assertEqual([self.visit(client)[0] for client in self.clients], [200, 200])
        self.order("revoke", serial=bad.serial, reason="keyCompromise")
        self.assertEqual([self.visit(client)[0] for client in (good, bad)], [200, 400])
        self.stop(self.engine)

    def test_a_server_in_front_passes_everything_on(self):
        self.deploy_nginx("front", "")
        bad = self.clients[0]
        self.order("revoke", serial=bad.serial, reason="keyCompromise")
        listed = self.wait_listed(bad, "keyCompromise")
        issuer = self.get("/ca/issuing-1.cer")[2]
        self.start_nginx()
        self.url = f"http://127.0.0.1:{self.front_port}"
        for words in ((), ("-no_nonce",)):
            done = self.run_program("openssl", "ocsp", *words, "-issuer", "ca/issuing.pem", "-CAfile", "ca/root.pem", "-url",
                                    self.url + "/ocsp", "-cert", bad.path)
            self.assertIn("Response verify OK", done.stderr)
            self.assertIn(": revoked", done.stdout)
        self.port = self.front_port
        for serial in [bad.serial] + [f"3f{number:02x}ffffffff" for number in range(40)]:  # with / and + in their base64
            code, headers, body = self.get(ocsp.get_target(ocsp.request(self.issuer.cert_id(serial))))
            self.assertEqual((code, headers["Content-Type"]), (200, "application/ocsp-response"))
            self.assertEqual(ocsp.Response(body).state, "revoked" if serial == bad.serial else "unknown")
            self.assertIn("public" if serial == bad.serial else "no-store", headers["Cache-Control"])
        self.assertEqual(self.crl(bad).data, listed.data)
        self.assertEqual(self.get("/ca/issuing-1.cer")[2], issuer)
        self.assertEqual(self.get("/metrics")[0], 404)
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
