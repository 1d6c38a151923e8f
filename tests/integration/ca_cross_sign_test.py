#!/usr/bin/env python3
"""Goal: a CA that is not ours gets a cross certificate, through which what it issues verifies under our root, as far as
the certificate allows; whoever may not have one is refused before anything is signed. Method: CAs of openssl and GnuTLS,
the command on real deployments with and without a running engine, killed at each of its steps; openssl and certtool say
what verifies.

  ca_cross_sign_test.py
"""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
import ocsp
import served
from deployment import CERTMILL, Clock, Deployment, has_fault_points, make_csrs, wait_until
from openssl_ca import OpensslCa

ROOT = ("crl-url: " + served.BASE_URL + "/crl/${issuer}/${shard}.crl", "ocsp-url: " + served.BASE_URL + "/ocsp",
        "ca-issuers-url: " + served.BASE_URL + "/ca/${issuer}.crt", "crl-delay: 200ms", "ocsp-responder: soft")
LEAF = "subjectAltName = DNS:{name}"
GNUTLS_CA = 'cn = "GnuTLS Root"\norganization = "Partner"\nca\ncert_signing_key\ncrl_signing_key\nexpiration_days = 3650\n'
GNUTLS_LEAF = 'cn = "g.partner.example"\ndns_name = "g.partner.example"\nsigning_key\nexpiration_days = 365\n'
CA_REQUEST = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")


class Crossing(served.Served):
    """partner: a CA of openssl, in a folder of its own."""

    def make_partner(self, name="Partner Root", leaf="a.partner.example"):
        self.partner = OpensslCa(os.path.join(deployment.scratch(), "partner"), name, LEAF.format(name=leaf))

    def cross_sign(self, file, *words, name="root", code=0, stdin=None):
        """What it says, on the channel that it says it on."""
        done = self.deployment.run("ca", "cross-sign", name, file, *words, check=False, stdin=stdin)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return (done.stdout if code == 0 else done.stderr).decode()

    def cross(self, file, *words, **more):
        """One that is made: {field: value}; its PEM is in cross.pem."""
        told = json.loads(self.cross_sign(file, *words, "--json", **more))
        with open(self.path("cross.pem"), "w", encoding="utf-8") as out:
            out.write(told["certificate"])
        return told

    def audit_count(self):
        return self.deployment.query("SELECT count(*) FROM audit")[0][0]

    def refuse(self, text, file, *words, code=1, **more):
        """For this reason, before anything is signed or said to be."""
        before, out = self.audit_count(), self.path("refused.pem")
        self.assertIn(text, self.cross_sign(file, *words, "--out", out, code=code, **more))
        self.assertEqual(self.audit_count(), before)
        self.assertFalse(os.path.exists(out))

    def verify(self, leaf, *more):
        """What openssl has to say against it; None: nothing."""
        done = self.run_program("openssl", "verify", "-x509_strict", *more, "-CAfile", "ca/root.pem", "-untrusted", "cross.pem", leaf)
        return None if done.returncode == 0 else done.stdout + done.stderr

    def gnutls_verify(self, leaf):
        with open(self.path("chain.pem"), "wb") as chain:
            for path in (leaf, self.path("cross.pem")):
                chain.write(self.run_program("openssl", "x509", "-in", path).stdout.encode())
        done = self.run_program("certtool", "--verify", "--load-ca-certificate", "ca/root.pem", "--infile", "chain.pem")
        return None if done.returncode == 0 else done.stdout + done.stderr

    def text_of(self, file="cross.pem"):
        return self.run_program("openssl", "x509", "-noout", "-text", "-in", file).stdout

    def field(self, file, name):
        """Of a certificate, as openssl prints it."""
        return self.run_program("openssl", "x509", "-noout", "-in", file, *name.split()).stdout

    def identifier(self, file, name="Subject"):
        lines = self.text_of(file).splitlines()
        place = next(i for i, line in enumerate(lines) if f"X509v3 {name} Key Identifier" in line)
        return lines[place + 1].strip().removeprefix("keyid:")

    def to_der(self, file, what="x509"):
        out = file + ".der"
        self.partner.openssl(what, "-in", file, "-outform", "DER", "-out", out)
        with open(self.partner.path(out), "rb") as content:
            return content.read()

    def write(self, name, content):
        with open(self.path(name), "wb") as out:
            out.write(content)
        return self.path(name)

    def request(self, key, *more, subject="/CN=Partner Root"):
        """A request by a key of the partner's; its path."""
        out = self.partner.path(f"request-{len(os.listdir(self.partner.folder))}.csr")
        self.partner.openssl("req", "-new", "-config", "ca.cnf", "-key", key, "-subj", subject, *more, "-out", out)
        return out

    def make_below(self, name="below"):
        """A CA that the partner's has signed; the path of its certificate."""
        return self.partner.issue(name, "authority")

    def check_trail(self):
        self.assertIn("the audit log is whole", self.deployment.run("audit", "verify").stdout.decode())


class Made(Crossing):
    """Without an engine."""

    def setUp(self):
        super().setUp()
        self.deployment = Deployment()
        self.make_partner()

    def test_what_it_issues_verifies_under_our_root(self):
        leaf, file = self.partner.issue("leaf"), self.partner.path("ca.pem")
        told = self.cross(file)
        self.assertIsNone(self.verify(leaf))
        self.assertIsNone(self.gnutls_verify(leaf))
        done = self.run_program("openssl", "verify", "-CAfile", "ca/root.pem", leaf)
        self.assertIn("unable to get local issuer", done.stderr)  # the judge does judge
        text = self.text_of()
        for words in ("X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0",
                      "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign"):
            self.assertIn(words, text)
        for field in ("-subject", "-pubkey"):
            self.assertEqual(self.field("cross.pem", field), self.field(file, field))
        self.assertEqual(self.identifier("cross.pem"), self.identifier(file))
        self.assertEqual(self.identifier("cross.pem", "Authority"), self.identifier("ca/root.pem"))
        self.assertEqual((told["signer"], told["subject"], told["proof"]), ("root-1", "CN=Partner Root", "self-signed"))
        encoding = served.ssl.PEM_cert_to_DER_cert(told["certificate"])
        self.assertEqual(told["sha256"], hashlib.sha256(encoding).hexdigest())
        rows = self.deployment.query("SELECT hex(serial), der FROM imported WHERE der = ?", encoding)
        self.assertEqual([serial.lower() for serial, _ in rows], [told["serial"]])
        self.check_trail()

    def test_the_intent_and_the_record_say_what_was_certified(self):
        told = self.cross(self.partner.path("ca.pem"), "--permit-dns", "partner.example", "--permit-ip", "10.0.0.0/8", "--exclude-dns",
                          "x.partner.example", "--policy", "1.2.3.4", "--policy", "1.2.3.5", "--path-length", "2")
        spki = self.partner.openssl("x509", "-in", "ca.pem", "-noout", "-pubkey")
        key = hashlib.sha256(served.ssl.PEM_cert_to_DER_cert(spki.replace("PUBLIC KEY", "CERTIFICATE"))).hexdigest()
        terms = {"exclude": "dns:x.partner.example", "key": key, "path-length": "2", "permit": "dns:partner.example,ip:10.0.0.0/8",
                 "policy": "1.2.3.4,1.2.3.5", "proof": "self-signed", "subject": "CN=Partner Root"}
        detail = {"signer": "root-1", "serial": told["serial"], "terms": terms}
        for kind in ("ca-cross-sign-intent", "ca-cross-sign"):
            self.assertEqual([row for _, row in self.audit(kind)], [detail])
        text = self.text_of()
        for words in ("pathlen:2", "Name Constraints: critical", "DNS:partner.example", "IP:10.0.0.0/255.0.0.0",
                      "DNS:x.partner.example", "Policy: 1.2.3.4", "Policy: 1.2.3.5"):
            self.assertIn(words, text)
        (digest,), = self.deployment.query("SELECT lower(hex(digest)) FROM audit WHERE kind = 'ca-cross-sign'")
        self.assertEqual(digest, told["sha256"])

    def test_what_it_issues_beyond_its_terms_does_not_verify(self):
        leaf, below = self.partner.issue("leaf"), self.make_below()
        self.cross(self.partner.path("ca.pem"), "--permit-dns", "other.example")
        self.assertIn("permitted subtree violation", self.verify(leaf))
        self.partner.openssl("x509", "-req", "-in", "leaf.csr", "-CA", "below.pem", "-CAkey", "below.key", "-CAcreateserial",
                             "-out", "lower.pem")
        self.cross(self.partner.path("ca.pem"))
        self.assertIn("path length", self.verify(self.partner.path("lower.pem"), "-untrusted", below))
        self.cross(self.partner.path("ca.pem"), "--path-length", "1")
        done = self.run_program("openssl", "verify", "-CAfile", "ca/root.pem", "-untrusted", "cross.pem", "-untrusted", below,
                                self.partner.path("lower.pem"))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_ca_of_gnutls(self):
        if not shutil.which("certtool"):
            self.skip("there is no certtool")
        for name, text in (("ca.tmpl", GNUTLS_CA), ("leaf.tmpl", GNUTLS_LEAF)):
            self.write(name, text.encode())
        for words in (("--generate-privkey", "--key-type", "rsa", "--bits", "2048", "--outfile", "g.key"),
                      ("--generate-self-signed", "--load-privkey", "g.key", "--template", "ca.tmpl", "--outfile", "g.pem"),
                      ("--generate-privkey", "--key-type", "ecdsa", "--curve", "secp256r1", "--outfile", "gl.key"),
                      ("--generate-certificate", "--load-privkey", "gl.key", "--load-ca-certificate", "g.pem", "--load-ca-privkey",
                       "g.key", "--template", "leaf.tmpl", "--outfile", "gl.pem")):
            done = self.run_program("certtool", *words)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.cross(self.path("g.pem"), "--permit-dns", "partner.example")
        self.assertIsNone(self.verify("gl.pem"))
        self.assertIsNone(self.gnutls_verify("gl.pem"))
        self.assertEqual(self.identifier("cross.pem"), self.identifier("g.pem"))

    def test_terms_alone_sign_nothing(self):
        self.make_partner(name="It's ours")
        before, file = self.audit_count(), self.partner.path("ca.pem")
        words = ("--permit-dns", "partner.example", "--path-length", "3")
        terms = json.loads(self.cross_sign(file, "--terms", "--json", *words))["terms"]
        self.assertEqual(terms["subject"], "CN=It's ours")
        printed = self.cross_sign(file, "--terms", *words)
        shell = self.run_program("sh", "-c", printed.replace("certmill ", "printf '%s\\n' ", 1)).stdout.splitlines()
        self.assertEqual(shell[:4], ["ceremony", "prepare", "cross-sign", "root-1"])
        self.assertEqual(dict(word.split("=", 1) for word in shell[5::2]), terms)
        self.assertIn("--terms: nothing is signed", self.cross_sign(file, "--terms", "--out", self.path("x.pem"), code=2))
        self.assertEqual(self.audit_count(), before)
        self.cross(file, *words)
        self.assertEqual(self.audit("ca-cross-sign")[0][1]["terms"], terms)

    def test_files_and_channels(self):
        """PEM with text around it, DER and standard input; to a file or standard output."""
        file, out = self.partner.path("ca.pem"), self.path("out.pem")
        self.to_der("ca.pem")
        self.assertIn("root-1", self.cross_sign(self.partner.path("ca.pem.der"), "--out", out))
        self.assertIn("is there already; nothing is overwritten", self.cross_sign(file, "--out", out, code=1))
        text = self.partner.openssl("x509", "-in", "ca.pem", "-text")
        printed = self.cross_sign("-", stdin=text.encode())
        self.assertTrue(printed.startswith("-----BEGIN CERTIFICATE-----"), printed)
        self.assertEqual(printed.count("-----"), 4)
        told = json.loads(self.cross_sign(file, "--json", "--out", self.path("more.pem")))
        with open(told["file"], encoding="utf-8") as written:
            self.assertEqual(written.read(), told["certificate"])
        self.assertIn("cannot be written there", self.cross_sign(file, "--out", self.path("nowhere", "x.pem"), code=1))
        self.assertEqual(len(self.audit("ca-cross-sign")), 3)


class Proved(Crossing):
    """Whoever has no proof gets nothing, unless that is meant."""

    def setUp(self):
        super().setUp()
        self.deployment = Deployment()
        self.make_partner()

    def test_a_certificate_by_another_ca_comes_with_a_request(self):
        below = self.make_below()
        self.refuse("nothing proves that whoever sends it has the key", below)
        self.refuse("the request is for another key", below, "--csr", self.request("ca.key"))
        self.refuse("--csr and --without-proof", below, "--csr", self.request("below.key"), "--without-proof", code=2)
        told = self.cross(below, "--csr", self.request("below.key"))
        self.assertEqual((told["proof"], told["subject"]), ("request", "CN=below"))
        self.assertEqual(self.identifier("cross.pem"), self.identifier(below))
        self.assertEqual(self.cross(below, "--without-proof")["proof"], "none")
        self.assertEqual([row["terms"]["proof"] for _, row in self.audit("ca-cross-sign")], ["request", "none"])

    def test_a_self_issued_one_of_a_rotation_proves_nothing(self):
        """Subject and issuer are equal, and another key has signed it (RFC 4210, 4.4)."""
        self.partner.make_key("new.key")
        self.partner.openssl("req", "-new", "-config", "ca.cnf", "-key", "new.key", "-subj", "/CN=Partner Root", "-out", "new.csr")
        self.partner.write("new.ext", "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        self.partner.openssl("x509", "-req", "-in", "new.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile",
                             "new.ext", "-out", "new.pem")
        self.refuse("nothing proves that", self.partner.path("new.pem"))
        self.assertEqual(self.cross(self.partner.path("new.pem"), "--csr", self.request("new.key"))["proof"], "request")

    def test_a_request_alone(self):
        request = self.request("ca.key", *CA_REQUEST)
        told = self.cross(request)
        self.assertEqual(told["proof"], "request")
        self.assertIsNone(self.verify(self.partner.issue("leaf")))  # SHA-1 of the key, as its certificate has it
        encoding = self.to_der(request, "req")
        self.assertEqual(self.cross(self.write("der.csr", encoding))["proof"], "request")
        self.refuse("asks for no CA's certificate", self.request("ca.key"))
        self.refuse("asks for no CA's certificate", self.write("device.csr", make_csrs(1)[0]))
        self.refuse("name.empty", self.request("ca.key", *CA_REQUEST, subject="/"))

    def test_signatures_that_do_not_verify(self):
        below = self.make_below()
        request = bytearray(self.to_der(self.request("below.key", *CA_REQUEST), "req"))
        request[-5] ^= 1
        tampered = self.write("bad.csr", request)
        self.refuse("csr.signature-invalid", tampered)
        self.refuse("csr.signature-invalid", below, "--csr", tampered)
        certificate = self.to_der("ca.pem")
        bad = bytearray(certificate)
        bad[-5] ^= 1
        for words in ((), ("--without-proof",)):
            self.refuse("it is self-signed, and its signature does not verify", self.write("bad.der", bad), *words)
        bad = certificate.replace(b"Partner Root", b"Qartner Root")  # name and issuer, as a forger would
        self.refuse("it is self-signed, and its signature does not verify", self.write("bad.der", bad), "--without-proof")


class Refused(Crossing):
    def setUp(self):
        super().setUp()
        self.deployment = Deployment()
        self.make_partner()
        self.file = self.partner.path("ca.pem")

    def test_what_is_no_ca_or_no_file(self):
        leaf = self.partner.issue("leaf")
        self.refuse("it is no CA's", leaf, "--without-proof")
        self.refuse("No such file", self.path("nothing.pem"))
        self.refuse("treat it as compromised", self.partner.path("ca.key"))
        self.refuse("it is neither PEM nor DER", self.write("empty", b""))
        self.refuse("expected one certificate, found 2", self.write("two.pem", self.read(self.file) * 2))
        self.refuse("it is neither PEM nor DER", self.write("text", b"no certificate"))
        self.partner.openssl("req", "-new", "-x509", "-config", "ca.cnf", "-key", "ca.key", "-subj", "/CN=Old", "-addext",
                             "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,cRLSign", "-out", "usage.pem")
        self.refuse("its key usage has no keyCertSign", self.partner.path("usage.pem"))
        self.partner.openssl("req", "-new", "-x509", "-config", "ca.cnf", "-extensions", "authority", "-key", "ca.key", "-subj", "/",
                             "-out", "nameless.pem")
        self.refuse("its subject is empty", self.partner.path("nameless.pem"))

    @staticmethod
    def read(path):
        with open(path, "rb") as content:
            return content.read()

    def test_hostile_octets(self):
        whole, request = self.to_der("ca.pem"), self.to_der(self.request("ca.key", *CA_REQUEST), "req")
        for encoding in (whole, request):
            for size in (1, 2, 5, len(encoding) // 3, len(encoding) // 2, len(encoding) - 1):
                self.refuse("cut: ", self.write("cut", encoding[:size]), "--without-proof")
            self.refuse("more: ", self.write("more", encoding + b"\0"), "--without-proof")
        self.refuse("cut: ", self.write("cut", self.read(self.file)[:200]))
        self.refuse("cut: ", self.write("cut", b"\x30\x84\xff\xff\xff\xff" + whole[4:]))
        self.refuse("long: ", self.write("long", b"\x30\x83\x00" + whole[2:]))

    def test_keys(self):
        for words, text in ((("RSA", "-pkeyopt", "rsa_keygen_bits:1024"), "key.rsa-size"),
                            (("EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"), "key.ec-")):
            self.partner.openssl("genpkey", "-algorithm", *words, "-out", "weak.key")
            self.partner.openssl("req", "-new", "-x509", "-config", "ca.cnf", "-extensions", "authority", "-key", "weak.key", "-subj",
                                 "/CN=Weak", "-out", "weak.pem")
            self.refuse(text, self.partner.path("weak.pem"))

    def test_names_and_keys_of_ours(self):
        ours = self.path("ca", "issuing.pem")
        self.refuse("its subject is that of issuing-1, which is ours", ours, "--without-proof")
        self.refuse("its subject is that of root-1, which is ours", self.path("ca", "root.pem"))
        self.make_partner(name="root ca")  # the same to those who verify
        self.refuse("its subject is that of root-1, which is ours", self.partner.path("ca.pem"))
        self.partner.openssl("req", "-new", "-x509", "-config", "ca.cnf", "-extensions", "authority", "-key",
                             self.path("keys", "issuing-1.pem"), "-subj", "/CN=Other", "-out", "ours.pem")
        self.refuse("is that of issuing-1 already", self.partner.path("ours.pem"))

    def test_what_the_signer_may_not_certify(self):
        self.refuse("no authority may stand below issuing-1", self.file, name="issuing")
        self.refuse("there is no authority nobody", self.file, name="nobody")
        self.deployment.run("ca", "create", "upper", "--key", "file:upper.pem", "--path-length", "1", "--validity", "90d",
                            "--permit-dns", "partner.example", "--policy", "1.2.3.4")
        above = {"name": "upper"}
        self.refuse("its path length must be below 1", self.file, "--path-length", "1", **above)
        self.refuse("upper-1 does not permit dns:else.example", self.file, "--permit-dns", "else.example", **above)
        self.refuse("policy 1.2.3.5 is none of those of upper-1", self.file, "--policy", "1.2.3.5", **above)
        self.refuse("what is left is a validity of ", self.file, "--validity", "100d", **above)
        self.refuse("--permit-dns: \"*.example\": a wildcard", self.file, "--permit-dns", "*.example", code=2)
        self.refuse("--validity: \"long\" is no duration", self.file, "--validity", "long", code=2)
        self.cross(self.file, "--policy", "1.2.3.4", **above)
        self.assertEqual(self.field("cross.pem", "-enddate"), self.field("ca/upper.pem", "-enddate"))
        self.deployment.run("ca", "rotate", "upper", "--activate")
        self.refuse("upper-1 is retiring: only a key that is active", self.file, name="upper-1")
        self.assertEqual(self.cross(self.file, name="upper-2")["signer"], "upper-2")
        self.assertEqual(self.cross(self.file, **above)["signer"], "upper-2")

    def test_it_ends_with_the_certificate_of_the_ca(self):
        self.partner.openssl("req", "-new", "-x509", "-config", "ca.cnf", "-extensions", "authority", "-days", "10", "-key", "ca.key",
                             "-subj", "/CN=Brief", "-out", "brief.pem")
        brief = self.partner.path("brief.pem")
        self.refuse("it would end after the certificate in", brief, "--validity", "11d")
        self.cross(brief)
        self.assertEqual(self.field("cross.pem", "-enddate"), self.field(brief, "-enddate"))
        self.cross(brief, "--validity", "5d")
        clock = Clock(self.deployment.folder, 11 * 86400)
        done = subprocess.run([CERTMILL, "ca", "cross-sign", "root", brief, "-c", self.deployment.settings], capture_output=True,
                              text=True, check=False, env={**os.environ, **clock.variables})
        self.assertEqual(done.returncode, 1)
        self.assertIn("brief.pem: it has ended on 20", done.stderr)


class Revoked(Crossing):
    """By an engine that serves the store meanwhile."""

    def test_it_is_in_the_list_and_the_answers_of_its_signer(self):
        self.deploy_served("crossed", root=ROOT, files=True)
        self.make_partner()
        leaf = self.partner.issue("leaf")
        engine = self.serve()
        told = self.cross(self.partner.path("ca.pem"))
        self.assertEqual(len(self.audit("ca-cross-sign-intent")), 1)
        text = self.text_of()
        for url in ("/crl/root-1/0.crl", "/ocsp", "/ca/root-1.crt"):
            self.assertIn("URI:" + served.BASE_URL + url, text)
        self.issuer = ocsp.Issuer(self.to_der(self.path("ca", "root.pem")))
        self.assertEqual(wait_until(lambda: self.standing(told["serial"]), 20, "the root has a responder"), [("good", None)])
        crls = self.write_crls("crls.pem", self.crl(0, issuer="root-1"))
        self.assertIsNone(self.verify("cross.pem", "-crl_check", "-CRLfile", crls))
        self.deployment.run("revoke", "--serial", told["serial"], "--issuer", "root-1", "--reason", "cACompromise")
        wait_until(lambda: told["serial"] in self.crl(0, issuer="root-1").entries, 20, "the root's list shows it")
        self.assertEqual(self.crl(0, issuer="root-1").entries[told["serial"]], "cACompromise")
        crls = self.write_crls("crls.pem", self.crl(0, issuer="root-1"))
        self.assertIn("certificate revoked", self.verify("cross.pem", "-crl_check", "-CRLfile", crls))
        self.assertIsNone(self.verify(leaf))  # who checks no CRL does not know
        self.assertEqual(self.standing(told["serial"]), [("revoked", 2)])
        self.refuse("--without-proof", self.make_below())
        self.stop(engine)
        self.check_trail()
        self.check_store()

    def standing(self, serial):
        answer = self.ask_ocsp(serial)
        return answer.status == ocsp.SUCCESSFUL and answer.singles

    def test_an_engine_takes_no_other_certificate(self):
        """What a command that is not ours might ask it to record."""
        self.deploy_served("asked", files=True)
        self.make_partner()
        engine = self.serve()
        told = self.cross(self.partner.path("ca.pem"))
        wanted = {"signer": "root-1", "proof": "self-signed", "certificate": self.base64(told["certificate"])}
        before = self.audit_count()
        for change, text in (({"signer": "issuing-1"}, "names another signer"), ({"signer": "root-2"}, "there is no root-2"),
                             ({"proof": "trust me"}, "proof: expected"), ({"certificate": "AAAA"}, "certificate: "),
                             ({"certificate": self.base64(self.read_text("ca", "issuing.pem"), 5)}, "not by the signer named"),
                             ({"certificate": self.base64(self.read_text("ca", "root.pem"))}, "its signer's name or key")):
            answer = self.control("ca-cross", actor="operator:eve", **{**wanted, **change})
            self.assertIn(text, answer["error"], change)
        answer = self.control("ca-intent", actor="operator:eve", purpose="cross-sign", signer="root-1", proof="none", tbs="MAA=")
        self.assertIn("TBSCertificate: ", answer["error"])
        self.assertEqual(self.audit_count(), before)
        self.stop(engine)

    def read_text(self, *names):
        with open(self.path(*names), encoding="utf-8") as content:
            return content.read()

    @staticmethod
    def base64(pem, flip=0):
        encoding = bytearray(served.ssl.PEM_cert_to_DER_cert(pem))
        if flip:
            encoding[-flip] ^= 1
        return served.ssl.DER_cert_to_PEM_cert(bytes(encoding)).replace("\n", "").replace("-----BEGIN CERTIFICATE-----", "").replace(
            "-----END CERTIFICATE-----", "")


class Killed(Crossing):
    """At each step: what is recorded is whole, nothing is handed out that is not, and the next run does it."""

    points = ("ca-intended:1", "ca-signed:1", "ca-moved:2", "ca-recorded:1")

    def setUp(self):
        super().setUp()
        if not has_fault_points():
            self.skip("built without fault points (-Dfault_points=true)")
        self.deployment = Deployment()
        self.make_partner()
        self.file = self.partner.path("ca.pem")

    def kill_at(self, point):
        out = self.path("killed.pem")
        done = subprocess.run([CERTMILL, "ca", "cross-sign", "root", self.file, "--out", out, "-c", self.deployment.settings],
                              env=dict(os.environ, CERTMILL_FAULT=point + ":kill"), capture_output=True, check=False, timeout=60)
        self.assertEqual(done.returncode, -signal.SIGKILL, (point, done.stderr))
        self.assertFalse(os.path.exists(out), point)

    def counts(self):
        return tuple(len(self.audit(kind)) for kind in ("ca-cross-sign-intent", "ca-cross-sign")) + self.deployment.query(
            "SELECT count(*) FROM imported")[0]

    def expect_whole(self, points, recorded):
        before = self.counts()
        for number, point in enumerate(points, 1):
            self.kill_at(point)
            intents, records, rows = (now - then for now, then in zip(self.counts(), before))
            self.assertEqual(intents, number, point)
            done = sum(one in recorded for one in points[:number])
            self.assertEqual((records, rows), (done, done), point)

    def test_without_an_engine(self):
        self.expect_whole(self.points, ("ca-moved:2", "ca-recorded:1"))
        self.cross(self.file)
        self.assertIsNone(self.verify(self.partner.issue("leaf")))
        self.check_trail()
        self.check_store()

    def test_beside_an_engine(self):
        engine = self.start()
        self.expect_whole(("ca-intended:1", "ca-signed:1", "ca-recorded:1"), ("ca-recorded:1",))
        self.cross(self.file)
        self.stop(engine)
        self.check_trail()


if __name__ == "__main__":
    served.main()
