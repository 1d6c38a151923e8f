#!/usr/bin/env python3
"""Goal: an authority whose certificate another CA signs: the request is one that others take, and of their answers only the
right one is taken. Method: `ca create --csr` and `ca import` on real deployments, with openssl as the other CA.

  ca_request_test.py
"""
import base64
import json
import os
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import deployment
from deployment import make_csrs, wait_until

DAY_S = 86400
CA = "basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n" \
     "authorityKeyIdentifier=keyid\n"
UPPER = CA.replace(",pathlen:0", "")
LEAF = "basicConstraints=CA:false\nkeyUsage=digitalSignature\nsubjectKeyIdentifier=hash\n"


class Elsewhere:
    """A root and a CA below it, of openssl's."""

    def __init__(self):
        self.folder = deployment.scratch()
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "root.key",
                     "-subj", "/O=Elsewhere/CN=Root", "-days", "3650", "-out", "root.pem",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "policy.key",
                     "-subj", "/O=Elsewhere/CN=Policy", "-out", "policy.csr")
        self.sign("policy.csr", "policy.pem", UPPER, by="root")
        with open(self.path("above.pem"), "wb") as file:
            for name in ("policy", "root"):
                file.write(self.read(name + ".pem"))
        with open(self.path("upside-down.pem"), "wb") as file:
            for name in ("root", "policy"):
                file.write(self.read(name + ".pem"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def openssl(self, *words):
        done = subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def copy(self, csr, out, begin, end):
        """What `openssl ca` makes of the request, with the extensions that it asks for; begin and end in days from now."""
        with open(self.path("ca.cnf"), "w", encoding="ascii") as file:
            file.write("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial.txt\nnew_certs_dir=.\ndefault_md=sha256\n"
                       "policy=p\ncopy_extensions=copy\nx509_extensions=e\nunique_subject=no\n[p]\n"
                       "organizationName=optional\ncommonName=supplied\n[e]\nsubjectKeyIdentifier=hash\n"
                       "authorityKeyIdentifier=keyid\n")
        with open(self.path("index.txt"), "a", encoding="ascii"):
            pass
        dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY_S - 60)) for days in (begin, end)]
        self.openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "policy.pem", "-keyfile", "policy.key",
                     "-rand_serial", "-startdate", dates[0], "-enddate", dates[1], "-in", csr, "-out", out)
        return self.path(out)

    def sign(self, csr, out, extensions, by="policy", more=()):
        with open(self.path("extensions"), "w", encoding="ascii") as file:
            file.write(extensions)
        self.openssl("x509", "-req", "-in", csr, "-CA", by + ".pem", "-CAkey", by + ".key", "-CAcreateserial", "-days", "1000",
                     "-extfile", "extensions", *more, "-out", out)
        return self.path(out)


class Request(unittest.TestCase):
    def setUp(self):
        self.made = deployment.Deployment()
        self.elsewhere = Elsewhere()
        self.csr = self.elsewhere.path("site.csr")

    def certmill(self, *words, code=0):
        done = self.made.run(*words, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return (done.stdout if code == 0 else done.stderr).decode()

    def create(self, name="site", *words):
        return self.certmill("ca", "create", name, "--key", f"file:{name}-elsewhere.pem", "--csr", self.csr,
                             "--organization", "Example", *words)

    def take(self, path, *words, name="site", code=0, chain="above.pem"):
        chain = ("--chain", self.elsewhere.path(chain)) if chain else ()
        return self.certmill("ca", "import", name, "--certificate", path, *chain, *words, code=code)

    def refuse(self, text, path, **words):
        self.assertIn(text, self.take(path, code=1, **words))
        self.assertEqual(self.shown("site-1")["state"], "pending")
        self.assertIsNone(self.shown("site-1")["serial"])
        self.assertFalse(os.path.exists(os.path.join(self.made.folder, "ca", "site.pem")))

    def shown(self, name):
        return json.loads(self.certmill("ca", "show", name, "--json"))

    def audit(self):
        return [kind for kind, in self.made.query("SELECT kind FROM audit WHERE kind LIKE 'ca-%' ORDER BY number")]

    # --- the request

    def test_the_request_is_one_that_others_take(self):
        said = self.create("site", "--path-length", "3")
        self.assertIn("site-1 waits for its certificate", said)
        text = self.elsewhere.openssl("req", "-in", "site.csr", "-noout", "-text", "-verify", "-nameopt", "RFC2253")
        for words in ("CN=site,O=Example", "CA:TRUE, pathlen:3", "Certificate Sign, CRL Sign"):
            self.assertIn(words, text)
        self.assertEqual(self.audit()[-2:], ["ca-request-intent", "ca-request"])
        listed = self.certmill("ca", "list")
        self.assertRegex(listed, r"site-1 +pending +\S+ +waits for certificate")
        shown = self.shown("site-1")
        self.assertEqual((shown["state"], shown["subject"], shown["sha256"]), ("pending", "CN=site,O=Example", None))
        self.assertEqual(self.certmill("ca", "show", "site-1", "--pem").encode(), self.elsewhere.read("site.csr"))
        self.assertIn("waits", self.certmill("ca", "show", "site-1"))

    def test_one_that_waits_keeps_its_name_and_its_key(self):
        self.create()
        for text, *words in (("there is an authority site already", "site", "--key", "file:other.pem"),
                             ("is that of site-1 already", "more", "--existing-key", "--key", "file:site-elsewhere.pem"),
                             ("there is no authority site with an active key to sign with", "x", "--key", "file:x.pem",
                              "--signed-by", "site")):
            self.assertIn(text, self.certmill("ca", "create", *words, code=1))
        said = self.certmill("ca", "create", "more", "--key", "file:more.pem", "--csr", self.csr, code=1)
        self.assertIn("site.csr is there already", said)
        self.assertNotIn("destroyed", said)
        self.assertFalse(os.path.exists(os.path.join(self.made.folder, "keys", "more.pem")))

    def test_what_the_other_ca_decides_is_not_asked_for(self):
        for words in (("--validity", "1d"), ("--permit-dns", "a.b"), ("--self-signed",), ("--signed-by", "root"),
                      ("--policy", "1.2.3")):
            done = self.made.run("ca", "create", "x", "--key", "file:x.pem", "--csr", self.csr, *words, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(b"that is for whoever signs the request", done.stderr)

    def test_an_engine_serves_beside_one_that_waits(self):
        self.create("issuing", "--beside")
        engine = self.made.start()
        self.assertEqual(engine.stop(), 0, engine.text())

    # --- the answer

    def test_the_right_answer_is_taken_and_issues(self):
        self.create()
        answer = self.elsewhere.sign("site.csr", "site.pem", CA)
        self.assertIn("site-1 has its certificate, and issues", self.take(answer))
        self.assertEqual(self.audit()[-2:], ["ca-import", "ca-activate"])
        shown = self.shown("site")
        self.assertEqual((shown["state"], shown["signer"]), ("active", None))
        self.assertTrue(shown["active_since"])
        with open(answer, encoding="ascii") as file:
            self.assertEqual(shown["certificate"], file.read())
        before = self.audit()
        self.assertFalse(json.loads(self.take(answer, "--json"))["changed"])  # again
        self.assertEqual(self.audit(), before)
        self.made.edit(r"(?m)^authorities:$", r"\g<0>\n  - name: site")
        self.made.edit(r"(?m)^    authority: issuing$", "    authority: site")
        self.made.add_devices(["pump"])
        folder = deployment.scratch()
        os.mkdir(os.path.join(folder, "in"))
        with open(os.path.join(folder, "in", "pump.der"), "wb") as file:
            file.write(make_csrs(1)[0])
        self.certmill("issue", "--in", os.path.join(folder, "in"), "--out", os.path.join(folder, "out"))
        leaf = os.path.join(folder, "out", "pump.pem")
        self.assertIn("OK", self.elsewhere.openssl("verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "policy.pem",
                                                   "-untrusted", "site.pem", leaf))

    def test_openssl_ca_gives_the_right_answer_too(self):
        """It copies what was asked for, and writes names in string types of its own."""
        self.create()
        self.assertIn("and issues", self.take(self.elsewhere.copy("site.csr", "site.pem", 0, 100)))

    def test_an_authority_of_ours_may_sign_it_and_revoke_it(self):
        """As openssl with our root key: what is above it is known here."""
        self.create()
        for name in ("root.pem", "root.key"):
            os.rename(self.elsewhere.path(name), self.elsewhere.path("theirs-" + name))
        for name, path in (("root.pem", ("ca", "root.pem")), ("root.key", ("keys", "root.pem"))):
            os.symlink(os.path.join(self.made.folder, *path), self.elsewhere.path(name))
        answer = self.elsewhere.sign("site.csr", "site.pem", CA, by="root")
        self.take(answer, chain=None)
        shown = self.shown("site")
        self.assertEqual(shown["signer"], "root-1")
        self.assertRegex(self.certmill("ca", "list"), r"(?m)^root-1 [^\n]*\n  issuing-1 [^\n]*\n  site-1 ")
        said = json.loads(self.certmill("revoke", "--json", "--serial", shown["serial"], "--issuer", "root-1"))
        self.assertEqual(said["certificates"], 1)

    def test_a_second_key_waits_for_its_activation(self):
        self.create()
        self.take(self.elsewhere.sign("site.csr", "site.pem", CA))
        self.csr = self.elsewhere.path("second.csr")
        self.certmill("ca", "create", "site", "--beside", "--key", "file:second.pem", "--csr", self.csr)
        said = self.take(self.elsewhere.sign("second.csr", "second.pem", CA))
        self.assertIn("certmill ca activate site-2", said)
        self.assertEqual([self.shown(name)["state"] for name in ("site-1", "site-2")], ["active", "pending"])
        self.assertTrue(os.path.exists(os.path.join(self.made.folder, "ca", "site-2.pem")))

    def test_wrong_answers_are_not_taken(self):
        self.create()
        sign = self.elsewhere.sign
        good = sign("site.csr", "good.pem", CA)
        self.elsewhere.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                               "other.key", "-subj", "/O=Example/CN=site", "-out", "other.csr")
        self.refuse("the certificate is for another key than that of site-1", sign("other.csr", "other.pem", CA))
        self.refuse("the certificate is no CA's", sign("site.csr", "leaf.pem", LEAF))
        self.refuse("not the certificate of a CA that may sign", sign("site.csr", "usage.pem", CA.replace("keyCertSign,", "")))
        self.refuse("has no cRLSign", sign("site.csr", "crl.pem", CA.replace(",cRLSign", "")))
        self.refuse("is for CN=sight,O=Example, and CN=site,O=Example was asked for",
                    self.renamed())
        self.refuse("the certificate has ended on 20", self.elsewhere.copy("site.csr", "old.pem", -20, -10))
        self.refuse("the certificate begins on 20", self.elsewhere.copy("site.csr", "early.pem", 20, 30))
        self.refuse("--chain: certificate 1 has not signed the one below it", good, chain="upside-down.pem")
        self.refuse("--chain: certificate 1 has not signed the one below it", good, chain="root.pem")
        self.refuse("give the certificates above it with --chain", good, chain=None)
        self.refuse("nothing waits for a certificate under the name other", good, name="other")
        self.take(good)

    def renamed(self):
        """The same key under another name: signed from its public key alone."""
        self.elsewhere.openssl("req", "-in", "site.csr", "-noout", "-pubkey", "-out", "site.pub")
        self.elsewhere.openssl("req", "-new", "-key", "policy.key", "-subj", "/O=Example/CN=sight", "-out", "sight.csr")
        return self.elsewhere.sign("sight.csr", "subject.pem", CA, more=("-force_pubkey", "site.pub"))

    def test_what_is_above_it_is_checked_too(self):
        self.create()
        sign = self.elsewhere.sign
        narrow = {"no-ca": LEAF, "short": CA, "named": UPPER + "nameConstraints=critical,permitted;dirName:d\n[d]\nO=Other\n"}
        for name, extensions in narrow.items():
            self.elsewhere.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                                   name + ".key", "-subj", f"/O=Elsewhere/CN={name}", "-out", name + ".csr")
            sign(name + ".csr", name + ".pem", extensions, by="root")
        for name, text in (("no-ca", "the first certificate of --chain is no CA"),
                           ("short", "no authority may stand below the first certificate of --chain"),
                           ("named", "does not permit its subject in its name constraints")):
            self.refuse(text, sign("site.csr", "site.pem", CA, by=name), chain=name + ".pem")

    def test_a_key_that_is_gone_is_noticed(self):
        self.create()
        os.unlink(os.path.join(self.made.folder, "keys", "site-elsewhere.pem"))
        self.refuse("site-elsewhere.pem", self.elsewhere.sign("site.csr", "site.pem", CA))

    def test_an_engine_that_serves_records_all_of_it_and_issues_with_it(self):
        engine = self.made.start()
        self.create()
        answer = self.elsewhere.sign("site.csr", "site.pem", CA)
        self.refuse("the certificate is for another key than that of site-1", self.elsewhere.path("policy.pem"), chain="root.pem")
        self.assertIn("site-1 has its certificate, and issues", self.take(answer))
        self.certmill("ca", "create", "line", "--key", "file:line.pem", "--sub-ca", "--permit-dns", "line.example")
        self.certmill("ca", "create", "issuing", "--beside", "--key", "file:issuing-2.pem")
        self.certmill("ca", "create", "other", "--key", "file:other.pem", "--self-signed")
        self.assertEqual(self.audit()[-10:], ["ca-request-intent", "ca-request", "ca-import", "ca-activate"]
                         + ["ca-create-intent", "ca-create"] * 3)
        wait_until(lambda: b"issuing-2 signs" in self.made.run("doctor", check=False).stdout, 20, "the engine has the new key")
        self.assertEqual(engine.stop(), 0, engine.text())
        done = self.certmill("ca", "list")
        for name in ("site-1", "  line-1", "  issuing-2", "other-1"):
            self.assertRegex(done, rf"(?m)^{name} +active")
        done = self.certmill("revoke", "--json", "--serial", self.shown("line")["serial"], "--issuer", "root-1")
        self.assertEqual(json.loads(done)["certificates"], 1)

    def control(self, **fields):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(os.path.join(os.path.dirname(self.made.store), "control.sock"))
            client.sendall(json.dumps({"v": 1, "op": "ca-generation", "actor": "operator:x", **fields}).encode() + b"\n")
            with client.makefile() as answers:
                return json.loads(answers.readline())

    def test_an_engine_takes_no_answer_that_is_none(self):
        """Whatever writes to its control socket."""
        self.create()
        engine = self.made.start()
        good, other = (base64.b64encode(ssl.PEM_cert_to_DER_cert(self.elsewhere.read(name).decode())).decode()
                       for name in (self.elsewhere.sign("site.csr", "site.pem", CA), "policy.pem"))
        fields = {"authority": "site", "generation": 1, "state": "pending", "provider": "soft", "key": "file:site-elsewhere.pem",
                  "sigalg": "ecdsa-with-sha256", "certificate": good}
        for text, changed in (("it is for another key than the request", {"certificate": other}),
                              ("it is another one than was recorded", {"key": "file:issuing-1.pem"}),
                              ("it is another one than was recorded", {"provider": "hsm"})):
            said = self.control(purpose="import", generation={**fields, **changed})
            self.assertIn(text, said.get("error", ""), said)
        request = {**fields, "generation": 2, "request": self.elsewhere.read("site.csr").decode()}
        del request["certificate"]
        said = self.control(purpose="request", generation={**request, "state": "active"})
        self.assertIn("without a certificate it is pending", said.get("error", ""), said)
        tampered = request["request"][:200] + ("A" if request["request"][200] != "A" else "B") + request["request"][201:]
        said = self.control(purpose="request", generation={**request, "request": tampered})
        self.assertIn("request: ", said.get("error", ""), said)
        self.assertIsNone(self.shown("site-1")["serial"])
        self.assertEqual(self.control(purpose="import", generation=fields), {"recorded": "site-1"})
        self.assertIn("error", self.control(purpose="import", generation={**fields, "certificate": other}))  # it has one
        self.assertEqual(engine.stop(), 0, engine.text())

    def test_what_was_interrupted_is_finished(self):
        """Killed between certificate and activation: the store as it would be then."""
        self.create()
        answer = self.elsewhere.sign("site.csr", "site.pem", CA)
        self.take(answer)
        store = sqlite3.connect(self.made.store)
        store.execute("UPDATE generation SET state = 'pending', active_ms = 0 WHERE authority = 'site'")
        store.commit()
        store.close()
        self.assertIn("and issues", self.take(answer))
        self.assertEqual(self.shown("site")["state"], "active")


if __name__ == "__main__":
    unittest.main(verbosity=2)
