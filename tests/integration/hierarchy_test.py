#!/usr/bin/env python3
"""Goal: authorities stand below each other as openssl sees it, and their certificates are revoked as any other.
Method: the commands on real deployments, and what openssl says of what they make.

  hierarchy_test.py
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import ocsp
import served
import zlint
from deployment import CERTMILL, Clock, Deployment, make_csrs, wait_until

ROOT = ("crl-url: " + served.BASE_URL + "/crl/${issuer}/${shard}.crl", "ocsp-url: " + served.BASE_URL + "/ocsp",
        "ca-issuers-url: " + served.BASE_URL + "/ca/${issuer}.crt", "crl-delay: 200ms", "ocsp-responder: soft")

class Revocable(served.Served):
    """Certificates of authorities are revoked by their signer, in whose list and OCSP answers it stands."""

    def serial_of(self, *names):
        done = self.run_program("openssl", "x509", "-noout", "-serial", "-in", self.path(*names))
        return done.stdout.strip().partition("=")[2].lower()

    def verify(self, name, *crls):
        """What openssl has to say against the certificate of this authority; None: nothing."""
        done = self.run_program("openssl", "verify", "-x509_strict", "-crl_check", "-CRLfile", self.write_crls("crls.pem", *crls),
                                "-CAfile", "ca/root.pem", f"ca/{name}.pem")
        return None if done.returncode == 0 else done.stderr

    def ask_root(self, serial):
        """What the root's responder answers."""
        done = subprocess.run(["openssl", "x509", "-in", self.path("ca", "root.pem"), "-outform", "DER"], check=True,
                              capture_output=True)
        self.issuer = ocsp.Issuer(done.stdout)
        answer = self.ask_ocsp(serial)
        return answer.status == ocsp.SUCCESSFUL and answer.singles

    def expect_revocable(self, name, reason, code):
        serial = self.serial_of("ca", f"{name}.pem")
        self.assertEqual(wait_until(lambda: self.ask_root(serial), 20, "the root has a responder"), [("good", None)])
        self.assertIsNone(self.verify(name, self.crl(0, issuer="root-1")))
        self.deployment.run("revoke", "--serial", serial, "--issuer", "root-1", "--reason", reason)
        listed = wait_until(lambda: serial in self.crl(0, issuer="root-1").entries, 20, "the root's list shows it")
        self.assertTrue(listed)
        self.assertEqual(self.crl(0, issuer="root-1").entries[serial], reason)
        self.assertIn("certificate revoked", self.verify(name, self.crl(0, issuer="root-1")))
        self.assertEqual(self.ask_root(serial), [("revoked", code)])

    def test_those_of_init_are_in_the_roots_list_and_answers(self):
        """They name no list: the root was none of the settings, and its list is one of everything."""
        self.deploy_served("init", root=("crl-delay: 200ms", "ocsp-responder: soft"), files=True)
        engine = self.serve()
        self.expect_revocable("issuing", "cACompromise", 2)
        self.stop(engine)
        self.check_store()

    def test_those_of_ca_create_name_the_list_that_they_are_in(self):
        self.deploy_served("create", root=ROOT, files=True)
        self.deployment.run("ca", "create", "line-2", "--key", "file:line-2.pem")
        text = self.run_program("openssl", "x509", "-noout", "-text", "-in", "ca/line-2.pem").stdout
        for url in ("/crl/root-1/0.crl", "/ocsp", "/ca/root-1.crt"):
            self.assertIn("URI:" + served.BASE_URL + url, text)
        self.assertEqual(self.audit("ca-fix")[0][1]["crl_url"], served.BASE_URL + "/crl/root-1/${shard}.crl")
        engine = self.serve()
        self.expect_revocable("line-2", "cessationOfOperation", 5)
        self.stop(engine)
        self.check_store()


class Planned(served.Served):
    """What is planned is checked before there is a key, and openssl and zlint take what comes out."""

    def setUp(self):
        super().setUp()
        self.deployment = Deployment()

    def create(self, name, *words, code=0):
        done = self.deployment.run("ca", "create", name, "--key", f"file:{name}.pem", *words, check=False)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return (done.stdout if code == 0 else done.stderr).decode()

    def refuse(self, text, *words, code=1):
        """For this reason, and nothing is left behind."""
        before = self.deployment.query("SELECT count(*) FROM audit")
        self.assertIn(text, self.create("x", *words, code=code))
        self.assertFalse(os.path.exists(self.path("keys", "x.pem")))
        self.assertFalse(os.path.exists(self.path("ca", "x.pem")))
        self.assertEqual(self.deployment.query("SELECT count(*) FROM audit"), before)

    def text_of(self, name):
        return self.run_program("openssl", "x509", "-noout", "-text", "-in", f"ca/{name}.pem").stdout

    def expect_good(self, name, *above):
        untrusted = [word for one in above for word in ("-untrusted", f"ca/{one}.pem")]
        done = self.run_program("openssl", "verify", "-x509_strict", "-policy_check", "-CAfile", "ca/root.pem", *untrusted,
                                f"ca/{name}.pem")
        self.assertEqual(done.returncode, 0, done.stderr)
        program = zlint.find_program("zlint")
        if not program:
            self.skip("there is no zlint")
        self.assertIsNone(zlint.complaints(self.path("ca", f"{name}.pem"), program))

    def test_a_plan_that_nobody_would_accept_is_refused_without_a_key(self):
        self.create("upper", "--sub-ca", "--validity", "365d", "--permit-dns", "plant.example", "--policy", "1.2.3.4")
        self.create("lower", "--signed-by", "upper", "--permit-dns", "a.plant.example", "--policy", "1.2.3.4")
        below = ("--signed-by", "upper")
        self.refuse("no authority may stand below lower-1: the path length of lower-1 is 0", "--signed-by", "lower")
        self.refuse("its path length must be below 1", *below, "--sub-ca")
        self.refuse("its path length must be below 1", *below, "--path-length", "2")
        self.refuse("what is left is a validity of 36", *below, "--validity", "400d")
        self.refuse("upper-1 does not permit dns:office.example", *below, "--permit-dns", "office.example")
        self.refuse("policy 1.2.3.5 is none of those of upper-1", *below, "--policy", "1.2.3.5")
        self.refuse("it would bear the name of its signer, upper-1", *below, "--cn", "upper")
        self.refuse("--permit-dns: \"*.example\": a wildcard", "--permit-dns", "*.example", code=2)
        self.refuse("--exclude-ip: \"10.0.0.1/8\"", "--exclude-ip", "10.0.0.1/8", code=2)
        self.refuse("--validity: \"long\" is no duration", "--validity", "long", code=2)
        self.refuse("policies[0]: not an OID", "--policy", "strict", code=2)
        self.refuse("--sub-ca and --path-length 0", "--sub-ca", "--path-length", "0", code=2)

    def test_a_signer_that_has_ended_signs_nothing(self):
        self.create("brief", "--sub-ca", "--validity", "60s")
        clock = Clock(self.deployment.folder, 120)
        done = subprocess.run([CERTMILL, "ca", "create", "x", "--key", "file:x.pem", "--signed-by", "brief", "-c",
                               self.deployment.settings], capture_output=True, text=True, check=False,
                              env={**os.environ, **clock.variables})
        self.assertEqual(done.returncode, 1)
        self.assertIn("brief-1 has ended on 20", done.stderr)
        self.assertFalse(os.path.exists(self.path("keys", "x.pem")))

    def test_openssl_and_zlint_take_what_comes_out(self):
        said = self.create("upper", "--path-length", "2", "--validity", "365d", "--permit-dns", "plant.example",
                           "--permit-email", "plant.example", "--exclude-dns", "secret.plant.example", "--permit-uri",
                           ".plant.example", "--permit-ip", "10.0.0.0/8", "--exclude-ip", "2001:db8::/32", "--policy", "1.2.3.4")
        self.assertNotIn("as long as what is above it", said)
        said = self.create("lower", "--signed-by", "upper", "--permit-dns", "a.plant.example", "--policy", "1.2.3.4")
        self.assertIn("as long as what is above it", said)
        text = self.text_of("upper")
        for words in ("CA:TRUE, pathlen:2", "X509v3 Name Constraints: critical", "DNS:plant.example", "IP:10.0.0.0/255.0.0.0",
                      "email:plant.example", "URI:.plant.example", "DNS:secret.plant.example", "Policy: 1.2.3.4"):
            self.assertIn(words, text)
        ends = [self.run_program("openssl", "x509", "-noout", "-enddate", "-in", f"ca/{name}.pem").stdout for name in ("upper", "lower")]
        self.assertEqual(ends[0], ends[1])
        self.expect_good("upper")
        self.expect_good("lower", "upper")

    def test_nobody_is_issued_a_name_that_the_issuer_may_not_have_below_it(self):
        """openssl would refuse such a certificate; so does the linter, before it is signed."""
        self.create("plant", "--permit-dns", "plant.example")
        self.deployment.edit(r"(?m)^authorities:$", r"\g<0>\n  - name: plant")
        self.deployment.edit(r"(?m)^# Who may ask", "  - name: plant\n    authority: plant\n    profiles: [device-server]\n\n" r"\g<0>")
        self.deployment.edit("groups: \\[default\\]", "groups: [default, plant]")
        self.deployment.add_devices(["a.plant.example", "a.office.example"], group="plant")
        folder, out = self.path("csrs"), self.path("out")
        os.mkdir(folder)
        for name, der in zip(("a.plant.example", "a.office.example"), make_csrs(2)):
            with open(os.path.join(folder, name + ".der"), "wb") as file:
                file.write(der)
        self.deployment.run("issue", "--in", folder, "--out", out, check=False)
        self.assertEqual(sorted(os.listdir(out)), ["a.office.example.error.json", "a.plant.example.pem"])
        with open(os.path.join(out, "a.office.example.error.json"), encoding="utf-8") as file:
            self.assertIn("names-issuer: ", file.read())
        done = self.run_program("openssl", "verify", "-x509_strict", "-CAfile", "ca/root.pem", "-untrusted", "ca/plant.pem",
                                "out/a.plant.example.pem")
        self.assertEqual(done.returncode, 0, done.stderr)


class Shown(served.Served):
    """Who has signed whom, and the chains that others install."""

    def setUp(self):
        super().setUp()
        self.deployment = Deployment(init=["--sub-ca"])
        self.deployment.run("ca", "create", "line", "--key", "file:line.pem", "--signed-by", "issuing")

    def export(self, name, *words, code=0):
        done = self.deployment.run("ca", "export-chain", name, *words, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == 0 else done.stderr.decode()

    def subjects(self, pem, *program):
        """Of the certificates in a file, in their order."""
        with open(self.path("bundle"), "wb") as file:
            file.write(pem)
        program = program or ("openssl", "crl2pkcs7", "-nocrl", "-certfile", "bundle")
        bag = self.run_program(*program).stdout
        text = self.run_program("openssl", "pkcs7", "-print_certs", "-noout", stdin=bag).stdout
        return [line.partition("CN = ")[2] or line.partition("CN=")[2] for line in text.splitlines() if line.startswith("subject")]

    def test_a_chain_is_what_others_install(self):
        self.assertEqual(self.subjects(self.export("line-1", "--root")), ["line", "Issuing CA 1", "Root CA"])
        self.assertEqual(self.subjects(self.export("root")), ["Root CA"])
        pem = self.export("line")
        self.assertEqual(self.subjects(pem), ["line", "Issuing CA 1"])
        with open(self.path("ca", "line.pem"), "rb") as one, open(self.path("ca", "issuing.pem"), "rb") as other:
            self.assertEqual(pem, one.read() + other.read())
        done = self.run_program("openssl", "verify", "-x509_strict", "-CAfile", "ca/root.pem", "-untrusted", "bundle", "ca/line.pem")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_bag_has_the_same_certificates(self):
        out = self.path("chain.p7b")
        self.export("line", "--root", "--pkcs7", "--out", out)
        with open(out, "rb") as file:
            names = self.subjects(file.read(), "cat", "bundle")
        self.assertEqual(sorted(names), sorted(["line", "Issuing CA 1", "Root CA"]))
        self.assertIn("is there already", self.export("line", "--out", out, code=1))
        self.assertIn("there is no authority nobody", self.export("nobody", code=1))

    def test_the_list_is_a_tree_and_flat_for_machines(self):
        tree = self.deployment.run("ca", "list").stdout.decode()
        self.assertRegex(tree, r"(?m)^root-1 .*\n  issuing-1 .*\n    line-1 ")
        flat = json.loads(self.deployment.run("ca", "list", "--json").stdout)["authorities"]
        self.assertEqual({one["name"]: one["signer"] for one in flat},
                         {"root-1": "root-1", "issuing-1": "root-1", "line-1": "issuing-1"})

    def test_show_knows_what_became_of_a_generation(self):
        self.deployment.add_devices(["pump"])
        os.mkdir(self.path("csrs"))
        with open(self.path("csrs", "pump.der"), "wb") as file:
            file.write(make_csrs(1)[0])
        self.deployment.run("issue", "--in", self.path("csrs"), "--out", self.path("out"))
        self.deployment.run("ca", "rotate", "issuing", "--key", "file:issuing-2.pem")
        old, new = (json.loads(self.deployment.run("ca", "show", name, "--json").stdout) for name in ("issuing-1", "issuing-2"))
        self.assertEqual((old["certificates"], new["certificates"]), (2, 0))  # of pump and line
        self.assertEqual((old["state"], old["signer"], old["key_fate"], old["replaces"]), ("active", "root-1", "kept", None))
        self.assertEqual((new["state"], new["replaces"], new["active_since"]), ("pending", "issuing-1", None))
        pairs = sorted((cross["subject"], cross["issuer"]) for cross in old["crosses"])
        self.assertEqual(pairs, [("issuing-1", "issuing-2"), ("issuing-2", "issuing-1")])
        text = self.deployment.run("ca", "show", "issuing-2").stdout.decode()
        for words in ("replaces    issuing-1", "crossed by  issuing-1, until 20", "crosses     issuing-1, until 20"):
            self.assertIn(words, text)
        blocks = [block + "-----END CERTIFICATE-----\n" for block in
                  self.export("issuing-2", "--cross").decode().split("-----END CERTIFICATE-----\n")[:-1]]
        for i, block in enumerate(blocks):
            with open(self.path(f"block-{i}.pem"), "w", encoding="ascii") as file:
                file.write(block)
        self.assertEqual(len(blocks), 3)
        under = {trusted: [self.run_program("openssl", "verify", "-x509_strict", "-partial_chain", "-trusted", trusted,
                                            f"block-{i}.pem").returncode == 0 for i in (1, 2)]
                 for trusted in ("ca/issuing.pem", "block-0.pem")}
        self.assertEqual(sorted(under["ca/issuing.pem"]), [False, True])  # each key has certified the other
        self.assertEqual(under["block-0.pem"], under["ca/issuing.pem"][::-1])


if __name__ == "__main__":
    served.main()
