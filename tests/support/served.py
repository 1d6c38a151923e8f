"""The frame of tests of what relying parties get: a deployment that serves CRLs and OCSP, and what is asked of it.

Certificates name http://pki.example; the service listens on a port that the system chooses, unless a test gives it one.
"""
import http.client
import json
import os
import re
import sqlite3
import ssl
import subprocess

import case
import checker
import der
import ocsp
from backend import Request
from crl import Crl
from deployment import Deployment, wait_until

BASE_URL = "http://pki.example"
SHARDS = 4
OPERATIONS = "[issue, renew, revoke, quarantine, reinstate, retire]"


def to_pem(encoding, label="CERTIFICATE"):
    return ssl.DER_cert_to_PEM_cert(encoding).replace("CERTIFICATE", label).encode()


class Certificate:
    """One that was issued: serial in hex, der, path of the PEM file, url of its shard."""

    def __init__(self, encoding, folder):
        self.der = encoding
        self.pem = to_pem(encoding)
        self.serial = der.Certificate(encoding).serial.hex()
        self.path = os.path.join(folder, self.serial + ".pem")
        self.url = re.search(rb"http://[ -~]*?/crl/[ -~]*?\.crl", encoding)[0].decode()
        with open(self.path, "wb") as file:
            file.write(self.pem)

    @property
    def shard(self):
        return int(re.search(r"/(\d+)\.crl$", self.url)[1])


class Served(case.Case):
    def deploy_served(self, name, count=0, port=0, base_url=BASE_URL, authority=(), root=None, files=False, init=(), key_type="p256"):
        """As deploy. authority: more lines of the authority; root: the same of the root, which is one of the settings then;
        files: no Redis; init: more of its options."""
        init, requests = ("--base-url", base_url, *init), None
        if files:
            self.deployment = Deployment(init=init)
        else:
            requests = self.deploy(name, count, init=init, key_type=key_type)
        edit = self.deployment.edit
        lines = [f"crl-shards: {SHARDS}", "crl-delay: 200ms", "delta-crl-validity: 1d", "ocsp-responder: soft", *authority]
        edit(r"(?m)^    ca-issuers-url: .*$", r"\g<0>" + "".join("\n    " + line for line in lines))
        if root is not None:
            edit(r"(?m)^authorities:$", r"\g<0>\n  - name: root" + "".join("\n    " + line for line in root))
        edit(r"# listen: .*", f'listen: "127.0.0.1:{port}"')
        edit(r"(?m)^    remember-refusals: .*$", rf"\g<0>\n  - name: operator\n    groups: [default]\n    operations: {OPERATIONS}")
        return requests

    def path(self, *names):
        return os.path.join(self.deployment.folder, *names)

    def serve(self, variables=(), fault=None):
        """An engine whose CRLs are all there and which has a responder."""
        engine = self.start(fault, variables=variables)
        self.port = int(re.search(r"status at http://127\.0\.0\.1:(\d+)/", engine.text())[1])
        self.url = f"http://127.0.0.1:{self.port}"
        done = subprocess.run(["openssl", "x509", "-in", self.path("ca", "issuing.pem"), "-outform", "DER"], check=True,
                              capture_output=True)
        self.issuer = ocsp.Issuer(done.stdout)
        wait_until(lambda: all(self.get(f"/crl/issuing-1/{shard}.crl")[0] == 200 for shard in range(SHARDS)), 20,
                   "every CRL is there")
        wait_until(lambda: self.ask_ocsp("11").status == ocsp.SUCCESSFUL, 20, "there is a responder")
        return engine

    # --- certificates

    def issue(self, requests, timeout_s=20):
        """Certificates of these requests, in their order."""
        self.backend.push(requests)
        self.backend.wait_answered(timeout_s)
        answers = self.backend.answers()
        return [Certificate(answers[request.id][0]["certificate"], self.deployment.folder) for request in requests]

    def ask_queue(self, id, op, requester="operator", device=None, **fields):
        """The answer to an order that comes through the queue: {field: text}."""
        request = Request(id, device, None, requester=requester, extra=(("op", op), *fields.items()))
        self.backend.push_raw([request.fields()])
        return wait_until(lambda: self._find_answer(requester, id), 20, f"{id} is answered")

    def _find_answer(self, requester, id):
        rows = self.backend.client.call("XRANGE", f"{self.deployment.prefix}:results:{requester}", "-", "+")
        found = [dict(zip(fields[::2], fields[1::2])) for _, fields in rows]
        return next(({name.decode(): text.decode() for name, text in answer.items()}
                     for answer in found if answer.get(b"id") == id.encode()), None)

    # --- orders

    def orders(self, *orders, actor="operator:ann"):
        """What came of each."""
        return self.control("orders", actor=actor, orders=list(orders))["orders"]

    def order(self, kind, actor="operator:ann", **fields):
        """How many certificates it changed; it must not be refused."""
        (outcome,) = self.orders({"kind": kind, **fields}, actor=actor)
        self.assertEqual(outcome["code"], "", outcome)
        return outcome["certificates"]

    def audit(self, kind):
        """[(actor, detail)] of the rows of this kind."""
        store = sqlite3.connect(f"file:{self.deployment.store}?mode=ro", uri=True)
        rows = store.execute("SELECT actor, detail FROM audit WHERE kind = ? ORDER BY number", (kind,)).fetchall()
        store.close()
        return [(actor, json.loads(detail)) for actor, detail in rows]

    def check_store(self):
        """The engine has stopped. What is about requests is the other tests' business."""
        evidence = checker.Evidence([], [], checker.Store(self.deployment.store), self.path("ca"))
        rules = (checker.rule_serials_unique, checker.rule_signatures, checker.rule_intents_closed, checker.rule_audit_chain,
                 checker.rule_store_sound)
        self.assertEqual([text for rule in rules for text in rule(evidence)], [])
        return evidence.store

    # --- HTTP

    def ask(self, method, target, body=None, headers=()):
        """(code, headers, body) on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, target):
        return self.ask("GET", target)

    def ask_ocsp(self, *serials, **words):
        request = ocsp.request(*[self.issuer.cert_id(serial) for serial in serials], **words)
        code, _, body = self.ask("POST", "/ocsp", request, {"Content-Type": "application/ocsp-request"})
        self.assertEqual(code, 200)
        return ocsp.Response(body)

    # --- lists

    def crl(self, certificate, is_delta=False, issuer="issuing-1"):
        """The list as it is served now. certificate: or the number of a shard."""
        shard = certificate if isinstance(certificate, int) else certificate.shard
        code, _, body = self.get(f"/crl/{issuer}/{shard}{'-delta' * is_delta}.crl")
        self.assertEqual(code, 200)
        return Crl(body)

    def wait_listed(self, certificate, reason, is_delta=False):
        """The list, once it gives this reason for the certificate; None: once it does not show it."""
        def listed():
            crl = self.crl(certificate, is_delta)
            return crl if crl.entries.get(certificate.serial) == reason else None
        return wait_until(listed, 20, f"the list says {reason} of {certificate.serial}", step_s=0.05)

    def write_crls(self, name, *crls):
        """A PEM file of these lists."""
        with open(self.path(name), "wb") as file:
            for crl in crls:
                file.write(to_pem(crl.data, "X509 CRL"))
        return self.path(name)

    def run_program(self, *command, stdin=None):
        return subprocess.run(command, input=stdin, capture_output=True, check=False, text=True, timeout=60,
                              cwd=self.deployment.folder)


def main(skip_all=None):
    case.main(skip_all)
