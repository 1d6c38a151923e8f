#!/usr/bin/env python3
"""Goal: an authority's key is replaced while everything goes on, and what relying parties have verifies before and after.
Method: the commands on real deployments, with and without a running engine, killed at each of their steps; openssl and
certtool say what verifies.

  rotation_test.py
"""
import base64
import json
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import served
from deployment import CERTMILL, Deployment, has_fault_points, make_csrs, wait_until


class Rotating(served.Served):
    def certmill(self, *arguments, **options):
        return self.deployment.run(*arguments, **options).stdout.decode()

    def states(self, authority="issuing"):
        """{name: state}"""
        rows = json.loads(self.certmill("ca", "list", "--json"))["authorities"]
        return {row["name"]: row["state"] for row in rows if row["name"].startswith(authority + "-")}

    def rotate(self, *more, authority="issuing"):
        return json.loads(self.certmill("ca", "rotate", authority, "--json", *more))

    def write_pem(self, name, *encodings):
        with open(self.path(name), "wb") as file:
            for encoding in encodings:
                file.write(served.to_pem(encoding))
        return name

    def generation(self, name):
        ((der,),) = self.deployment.query("SELECT certificate FROM generation WHERE authority || '-' || generation = ?", name)
        return der

    def cross(self, subject, issuer):
        sql = ("SELECT c.certificate FROM cross_certificate c JOIN generation s ON s.number = c.subject JOIN generation i"
               " ON i.number = c.issuer WHERE s.authority || '-' || s.generation = ? AND i.authority || '-' || i.generation = ?")
        ((der,),) = self.deployment.query(sql, subject, issuer)
        return der

    def expect_verified(self, leaf, *above, root="root-1", gnutls=True):
        """leaf, then what stands between it and the root, in this order; openssl and GnuTLS. GnuTLS counts self-issued
        certificates for the path length, which RFC 5280, 4.2.1.9, does not."""
        anchor = self.write_pem("anchor.pem", self.generation(root))
        between = self.write_pem("between.pem", *above)
        single = self.write_pem("leaf.pem", leaf)
        done = self.run_program("openssl", "verify", "-x509_strict", "-CAfile", anchor, "-untrusted", between, single)
        self.assertEqual(done.returncode, 0, done.stderr)
        if not gnutls:
            return
        chain = self.write_pem("chain.pem", leaf, *above)
        done = self.run_program("certtool", "--verify", "--load-ca-certificate", anchor, "--infile", chain)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Commands(Rotating):
    """Without an engine."""

    def setUp(self):
        super().setUp()
        self.deployment = Deployment()

    def issue_one(self, name):
        """A certificate of a new device by whoever issues now."""
        folder = self.path(name)
        os.mkdir(folder)
        with open(os.path.join(folder, name + ".csr"), "wb") as file:
            file.write(make_csrs(1, name=name)[0])
        self.certmill("issue", "--in", folder, "--out", folder + ".out", "--enroll", "default")
        ((der,),) = self.deployment.query("SELECT der FROM certificate_der ORDER BY number DESC LIMIT 1")
        return der

    def test_the_new_one_is_pending_until_it_is_activated(self):
        made = self.rotate()
        self.assertEqual((made["generation"], made["replaces"], made["state"], made["crosses"]),
                         ("issuing-2", "issuing-1", "pending", 2))
        self.assertEqual(self.states(), {"issuing-1": "active", "issuing-2": "pending"})
        self.assertTrue(self.rotate()["was_there"])  # again: the same one
        self.assertEqual(self.states(), {"issuing-1": "active", "issuing-2": "pending"})
        self.assertIn("in place of issuing-1", self.certmill("ca", "activate", "issuing"))
        self.assertEqual(self.states(), {"issuing-1": "retiring", "issuing-2": "active"})
        self.assertIn("issues already", self.certmill("ca", "activate", "issuing-2"))
        kinds = [kind for (kind,) in self.deployment.query("SELECT kind FROM audit ORDER BY number")]
        self.assertEqual(kinds[2:], ["ca-rotate-intent"] * 3 + ["ca-rotate", "ca-activate", "ca-activate"])

    def test_certificates_verify_under_both_and_through_both_cross_certificates(self):
        old_leaf = self.issue_one("before")
        self.rotate("--activate")
        new_leaf = self.issue_one("after")
        old, new = self.generation("issuing-1"), self.generation("issuing-2")
        self.expect_verified(old_leaf, old)
        self.expect_verified(new_leaf, new)
        self.expect_verified(new_leaf, self.cross("issuing-2", "issuing-1"), old, gnutls=False)
        self.expect_verified(old_leaf, self.cross("issuing-1", "issuing-2"), new, gnutls=False)

    def test_with_a_path_length_that_allows_it_gnutls_follows_cross_certificates_too(self):
        self.certmill("ca", "create", "line", "--path-length", "1", "--key", "file:line.pem")
        self.deployment.edit(r"(?m)^  - name: issuing$", r"  - name: line\n\g<0>")
        self.deployment.edit(r"(?m)^    authority: issuing$", "    authority: line")
        old_leaf = self.issue_one("before")
        self.rotate("--activate", authority="line")
        new_leaf = self.issue_one("after")
        self.expect_verified(new_leaf, self.cross("line-2", "line-1"), self.generation("line-1"))
        self.expect_verified(old_leaf, self.cross("line-1", "line-2"), self.generation("line-2"))

    def test_a_new_root_is_trusted_through_the_old_one_and_the_other_way_round(self):
        self.rotate("--key-type", "p384", "--activate", authority="root")
        self.rotate("--activate")  # signed by the new root
        leaf, issuing = self.issue_one("m"), self.generation("issuing-2")
        self.expect_verified(leaf, issuing, root="root-2")
        self.expect_verified(leaf, issuing, self.cross("root-2", "root-1"), root="root-1")
        self.expect_verified(leaf, self.cross("issuing-2", "issuing-1"), self.generation("issuing-1"),
                             self.cross("root-1", "root-2"), root="root-2", gnutls=False)

    def test_a_key_of_another_type_signs_from_then_on(self):
        self.rotate("--key-type", "rsa-2048", "--activate")
        self.expect_verified(self.issue_one("m"), self.generation("issuing-2"))

    def test_what_has_nothing_out_is_retired_with_its_key(self):
        self.rotate("--activate")
        self.assertIn("destroyed", self.certmill("ca", "retire", "issuing-1", "--destroy-key"))
        self.assertFalse(os.path.exists(self.path("keys", "issuing-1.pem")))
        self.assertIn("destroyed", self.certmill("ca", "retire", "issuing-1", "--destroy-key"))
        self.assertEqual(self.states(), {"issuing-1": "retired", "issuing-2": "active"})
        self.expect_verified(self.issue_one("m"), self.generation("issuing-2"))

    def test_what_has_certificates_out_is_not_retired(self):
        self.issue_one("m")
        self.rotate("--activate")
        done = self.deployment.run("ca", "retire", "issuing-1", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("has 1 certificate out", done.stderr.decode())
        self.assertEqual(self.states()["issuing-1"], "retiring")

    def test_the_last_one_stops_only_when_that_is_meant(self):
        done = self.deployment.run("ca", "retire", "issuing-1", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("only active generation", done.stderr.decode())
        self.certmill("ca", "retire", "issuing-1", "--last")
        self.assertEqual(self.states(), {"issuing-1": "retiring"})

    def test_what_cannot_be_is_said_in_one_line(self):
        for words, text in ((("rotate", "nobody"), "no authority nobody"), (("activate", "issuing"), "ca rotate makes one"),
                            (("activate", "issuing-9"), "no key of issuing-9 is pending"),
                            (("retire", "issuing-9"), "no key issuing-9"),
                            (("rotate", "issuing", "--provider", "moon"), "no provider moon"),
                            (("rotate", "issuing", "--key", "file:root.pem", "--existing-key"), "is that of root-1")):
            done = self.deployment.run("ca", *words, check=False)
            self.assertEqual((done.returncode, len(done.stderr.decode().splitlines())), (1, 1), done.stderr)
            self.assertIn(text, done.stderr.decode())
        self.assertEqual(self.states(), {"issuing-1": "active"})

    def test_a_compromised_key_is_stopped_and_all_that_it_has_issued_is_revoked(self):
        for number in range(3):
            self.issue_one(f"m{number}")
        done = self.deployment.run("ca", "compromise", "issuing-1", check=False)
        self.assertEqual(done.returncode, 2)  # --yes is missing
        self.assertIn("nothing of issuing issues", self.certmill("ca", "compromise", "issuing-1", "--yes", "--no-replace", "--why", "stolen"))
        self.assertEqual(self.states(), {"issuing-1": "compromised"})
        reasons = self.deployment.query("SELECT generation, reason, count(*) FROM revocation GROUP BY 1, 2 ORDER BY 1")
        self.assertEqual(reasons, [(1, 2, 1), (2, 4, 3)])  # cACompromise by the root, superseded
        again = json.loads(self.certmill("ca", "compromise", "issuing/1", "--yes", "--json"))
        self.assertEqual((again["certificates"], again["replacement"]), (0, "issuing-2"))
        self.assertNotIn("replacement", json.loads(self.certmill("ca", "compromise", "issuing-1", "--yes", "--json")))
        self.assertEqual(self.states(), {"issuing-1": "compromised", "issuing-2": "active"})
        self.expect_verified(self.issue_one("after"), self.generation("issuing-2"))
        self.assertIn("stolen", self.audit("ca-compromise")[0][1]["why"])

    def test_what_a_compromised_key_has_issued_stays_where_the_settings_say_so(self):
        self.issue_one("m")
        self.deployment.edit(r"(?m)^  - name: issuing$", r"\g<0>\n    on-compromise: keep")
        self.assertIn("stays as it is", self.certmill("ca", "compromise", "issuing-1", "--yes", "--no-replace"))
        self.assertEqual(self.deployment.query("SELECT generation FROM revocation"), [(1,)])

    def test_what_is_compromised_is_revoked_even_where_there_is_no_next_key(self):
        self.issue_one("m")
        done = self.deployment.run("ca", "compromise", "issuing-1", "--yes", "--provider", "moon", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("stopped and revoked, but there is no next key: the settings have no provider moon", done.stderr.decode())
        self.assertEqual(len(self.deployment.query("SELECT 1 FROM revocation")), 2)

    def test_of_several_active_keys_one_is_named(self):
        self.certmill("ca", "create", "issuing", "--beside", "--key", "file:second.pem")
        self.assertIn("--replace", self.deployment.run("ca", "rotate", "issuing", check=False).stderr.decode())
        self.assertEqual(self.rotate("--replace", "issuing-2", "--activate")["replaces"], "issuing-2")
        self.assertEqual(self.states(), {"issuing-1": "active", "issuing-2": "retiring", "issuing-3": "active"})

    def test_who_is_killed_leaves_the_old_one_or_the_new_one_and_may_go_on(self):
        if not has_fault_points():
            self.skip("built without fault points (-Dfault_points=true)")
        for number, point in enumerate(("ca-key-made:1", "ca-intended:1", "ca-signed:1", "ca-signed:2", "ca-signed:3",
                                        "ca-moved:4", "ca-recorded:1", "ca-moved:5")):
            last = max(int(name.rpartition("-")[2]) for name in self.states())
            old, new = f"issuing-{last}", f"issuing-{last + 1}"
            done = subprocess.run([CERTMILL, "ca", "rotate", "issuing", "--activate", "-c", self.deployment.settings],
                                  env=dict(os.environ, CERTMILL_FAULT=point + ":kill"), capture_output=True, check=False,
                                  timeout=60)
            self.assertEqual(done.returncode, -signal.SIGKILL, (point, done.stderr))
            active = [name for name, state in self.states().items() if state == "active"]
            self.assertEqual(active, [new if point == "ca-moved:5" else old], point)
            if active == [old]:
                made = self.rotate("--activate")
                self.assertEqual((made["generation"], made["was_there"]), (new, point in ("ca-moved:4", "ca-recorded:1")))
            active = [name for name, state in self.states().items() if state == "active"]
            self.assertEqual(active, [new], point)
            self.expect_verified(self.issue_one(f"m{number}"), self.generation(new))


class Engine(Rotating):
    """While one runs."""

    def issuer_of(self, request):
        return self.backend.answers()[request.id][0]["issuer"].decode()

    def issue_one(self, request):
        self.backend.push([request])
        self.backend.wait_answered()
        return self.issuer_of(request)

    def test_it_takes_up_what_is_made_and_activated_and_tells_of_both(self):
        requests = self.deploy_served("live", 4)
        engine = self.serve()
        self.assertEqual(self.issue_one(requests[0]), "issuing-1")
        self.rotate()
        self.assertEqual(self.issue_one(requests[1]), "issuing-1")
        self.assertIn("in place of issuing-1", self.certmill("ca", "activate", "issuing"))
        (certificate,) = self.issue(requests[2:3])
        self.assertEqual(self.issuer_of(requests[2]), "issuing-2")
        self.assertIn("/crl/issuing-2/", certificate.url)
        for issuer in ("issuing-1", "issuing-2"):
            for shard in range(served.SHARDS):
                wait_until(lambda path=f"/crl/{issuer}/{shard}.crl": self.get(path)[0] == 200, 20, f"{issuer} has lists")
            self.assertEqual(self.get(f"/ca/{issuer}.cer")[2], self.generation(issuer))
            wait_until(lambda key=f"live:ca:{issuer}": self.backend.client.call("GET", key), 20, f"{issuer} is in Redis")
        self.order("revoke", serial=certificate.serial, reason="superseded")
        wait_until(lambda: certificate.serial in self.crl(certificate, issuer="issuing-2").entries, 20, "it is listed")
        self.assertEqual(self.issue_one(requests[3]), "issuing-2")
        self.assertIn("issuing-1 is retiring", engine.text())
        self.finish(engine)

    def test_those_who_come_together_make_one_key(self):
        self.deploy_served("together")
        engine = self.serve()
        command = [CERTMILL, "ca", "rotate", "issuing", "--json", "-c", self.deployment.settings]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
        made = [json.loads(process.communicate(timeout=60)[0]) for process in running]
        self.assertEqual({row["generation"] for row in made}, {"issuing-2"})
        self.assertEqual(sorted(row["was_there"] for row in made), [False, True, True, True])
        self.assertEqual(self.states(), {"issuing-1": "active", "issuing-2": "pending"})
        self.assertTrue(os.path.exists(self.path("keys", "issuing-2.pem")))
        self.stop(engine)

    def test_what_it_has_promised_with_the_old_key_is_issued_by_the_new_one(self):
        if not has_fault_points():
            self.skip("built without fault points (-Dfault_points=true)")
        requests = self.deploy("promised", 20)
        self.die_at("signed:1:kill", requests)
        self.rotate("--activate")  # with nobody running
        engine = self.start()
        self.backend.wait_answered()
        self.assertEqual({self.issuer_of(request) for request in requests}, {"issuing-2"})
        evidence = self.finish(engine)
        self.assertGreater(len(evidence.store.abandoned), 0)

    def test_one_that_is_killed_as_it_activates_has_one_active_key(self):
        if not has_fault_points():
            self.skip("built without fault points (-Dfault_points=true)")
        requests = self.deploy("killed", 2)
        self.start("ca-moved:5:kill")
        self.rotate()
        done = self.deployment.run("ca", "activate", "issuing", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.states(), {"issuing-1": "retiring", "issuing-2": "active"})
        engine = self.start()
        self.assertIn("issues already", self.certmill("ca", "activate", "issuing-2"))
        self.assertEqual(self.issue_one(requests[0]), "issuing-2")
        self.assertEqual(self.issue_one(requests[1]), "issuing-2")
        self.finish(engine)

    def test_a_compromised_key_issues_nothing_more_and_its_requests_go_to_the_next(self):
        requests = self.deploy_served("stolen", 30)
        engine = self.serve()
        self.issue(requests[:10])
        self.assertTrue(self.control("ca-transition", actor="operator:ann", generation="issuing/1", to="compromised")["changed"])
        self.backend.push(requests[10:])
        self.rotate("--replace", "issuing-1", "--activate")
        self.backend.wait_answered()
        self.assertEqual({self.issuer_of(request) for request in requests[10:]}, {"issuing-2"})
        self.assertEqual(self.deployment.query("SELECT count(*) FROM cross_certificate"), [(0,)])
        wait_until(lambda: self.get("/crl/issuing-1/0.crl")[0] == 200, 20, "its lists go on")
        self.finish(engine)

    def test_one_that_is_retired_with_its_key_is_no_trouble_to_the_engine(self):
        requests = self.deploy("retired", 2)
        engine = self.start()
        self.rotate("--activate")
        self.certmill("ca", "retire", "issuing-1", "--destroy-key")
        self.certmill("crl", "publish")
        self.backend.push(requests[:1])
        self.backend.wait_answered()
        self.assertTrue(self.status()["ready"], self.status())
        self.assertEqual(self.status()["crls"]["overdue"], 0)
        self.finish(engine)
        engine = self.start()
        self.backend.push(requests[1:])
        self.finish(engine)
        self.assertNotIn("issuing-1", engine.text())

    def test_compromise_at_work_replaces_the_key_and_lists_everything(self):
        requests = self.deploy_served("replaced", 40, root=("crl-delay: 200ms", "ocsp-responder: soft"))
        engine = self.serve()
        certificates = self.issue(requests[:20])
        told = json.loads(self.certmill("ca", "compromise", "issuing-1", "--yes", "--json"))
        self.assertEqual((told["certificates"], told["replacement"]), (21, "issuing-2"))  # and its responder's
        self.issue(requests[20:])
        self.assertEqual({self.issuer_of(request) for request in requests[20:]}, {"issuing-2"})
        for certificate in certificates[:3]:
            wait_until(lambda one=certificate: one.serial in self.crl(one).entries, 20, "it is listed")
            self.assertEqual(self.ask_ocsp(certificate.serial).singles[0][0], "revoked")
        self.assertEqual(len(self.crl(0, issuer="root-1").entries), 1)
        self.finish(engine)

    def refuse_wrong_signers(self):
        """Certificates of ours, and the same with a word too much said of them."""
        issuing, root = self.generation("issuing-1"), self.generation("root-1")
        bent = issuing[:-1] + bytes([issuing[-1] ^ 1])

        def tell(own, signer="root-1", **cross):
            cross = {name: base64.b64encode(value).decode() if name == "certificate" else value for name, value in cross.items()}
            cross = {"crosses": [cross]} if cross else {}
            return self.control("ca-generation", actor="x", purpose="rotate", signer=signer, **cross, generation={
                "authority": "spare", "generation": 1, "state": "pending", "provider": "soft", "key": "file:k.pem",
                "sigalg": "ecdsa-with-SHA256", "certificate": base64.b64encode(own).decode(), "chain": ""})["error"]
        self.assertIn("not by that key", tell(bent))
        self.assertIn("not by that key", tell(issuing, signer="issuing-1"))
        self.assertIn("not of the key named", tell(issuing, subject="issuing-1", certificate=root))
        self.assertIn("not of the key named", tell(issuing, subject="root-1", issuer="root-1", certificate=root))
        self.assertIn("not by the issuer named", tell(issuing, subject="root-1", certificate=root))

    def test_hostile_requests_change_nothing(self):
        self.deploy_served("hostile")
        engine = self.serve()
        before = self.deployment.query("SELECT * FROM generation")
        good = {"actor": "x", "purpose": "rotate", "generation": {}}
        for op, fields in (("ca-transition", {"actor": "x", "generation": "issuing-1", "to": "pending"}),
                           ("ca-transition", {"actor": "x", "generation": "issuing-1", "to": "retired"}),
                           ("ca-transition", {"actor": "x", "generation": "issuing-1", "to": "retiring"}),
                           ("ca-transition", {"actor": "x", "generation": "issuing-1", "to": ["active"]}),
                           ("ca-transition", {"actor": "x", "generation": "issuing-7", "to": "active"}),
                           ("ca-transition", {"generation": "issuing-1", "to": "compromised"}),
                           ("ca-transition", {"actor": "", "generation": "issuing-1", "to": "compromised"}),
                           ("ca-intent", {"actor": "x", "purpose": "rotate", "generation": "a", "signer": "b", "digest": "zz"}),
                           ("ca-intent", {"actor": "x", "purpose": "shop", "generation": "a", "signer": "b", "digest": "00" * 32}),
                           ("ca-generation", good), ("ca-generation", {**good, "generation": 7}),
                           ("ca-generation", {**good, "generation": {"authority": "issuing", "generation": 2, "state": "retired"}}),
                           ("ca-generation", {**good, "generation": {
                               "authority": "issuing", "generation": 2, "state": "pending", "provider": "soft", "key": "k",
                               "sigalg": "ecdsa-with-SHA256", "certificate": "MAA="}}),
                           ("ca-generation", {**good, "generation": {"authority": "a" * 65}})):
            self.assertIn("error", self.control(op, **fields), (op, fields))
        self.refuse_wrong_signers()
        self.assertEqual(self.deployment.query("SELECT * FROM generation"), before)
        self.stop(engine)


if __name__ == "__main__":
    served.main()
