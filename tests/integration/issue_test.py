#!/usr/bin/env python3
"""certmill issue: files in, certificates out, with the same promises as the engine's."""
import base64
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import checker
import der
import deployment

BEGIN, END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


def to_pem(encoding, label="CERTIFICATE REQUEST"):
    text = base64.encodebytes(encoding).decode()
    lines = "".join(text.split())
    return "".join([f"-----BEGIN {label}-----\n", *(lines[i:i + 64] + "\n" for i in range(0, len(lines), 64)),
                    f"-----END {label}-----\n"]).encode()


def from_pem(text):
    """The certificates of a PEM file."""
    return [base64.b64decode(part.split(END)[0]) for part in text.split(BEGIN)[1:]]


def read_file(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


class Issue(case.Case):
    @classmethod
    def setUpClass(cls):
        """No Redis: issue needs none."""

    def setUp(self):
        self.deployment = deployment.Deployment(None)
        self.folder = deployment.scratch()
        self.input = os.path.join(self.folder, "in")
        self.output = os.path.join(self.folder, "out")
        os.mkdir(self.input)

    def write(self, name, content):
        with open(os.path.join(self.input, name), "wb") as file:
            file.write(content)

    def fill(self, count, name="d", key_type="p256"):
        """Files of devices on the list, as .csr, .pem and .der in turn; their CSRs."""
        csrs = deployment.make_csrs(count, key_type, name)
        for i, csr in enumerate(csrs):
            ending = ("csr", "pem", "der")[i % 3]
            self.write(f"{name}-{i}.{ending}", csr if ending == "der" or i % 6 == 0 else to_pem(csr))
        self.deployment.add_devices([f"{name}-{i}" for i in range(count)])
        return csrs

    def issue(self, *arguments, code=0, stdin=None, path=None, json_counts=True):
        done = self.deployment.run("issue", "--in", path or self.input, "--out", self.output,
                                   *(["--json"] if json_counts else []), *arguments, check=False, stdin=stdin)
        self.assertEqual(done.returncode, code, (done.stdout + done.stderr).decode())
        return json.loads(done.stdout) if json_counts and done.stdout else done

    def answers(self):
        return {name: read_file(self.output, name) for name in os.listdir(self.output)}

    def check_store(self, expected_count):
        """The store is sound, every file's certificate is in it and verifies."""
        store = checker.Store(self.deployment.store)
        evidence = checker.Evidence([], [], store, os.path.join(self.deployment.folder, "ca"))
        found = [text for rule in checker.RULES if rule is not checker.rule_recorded_is_published
                 for text in rule(evidence)]
        self.assertEqual(found, [])
        self.assertEqual(len(store.certificates), expected_count)
        in_files = {from_pem(text)[0] for name, text in self.answers().items() if name.endswith(".pem")}
        self.assertLessEqual(in_files, {row[1] for row in store.ders})

    def test_a_folder_gets_a_certificate_with_its_chain_for_each_file(self):
        csrs = self.fill(60)
        counts = self.issue()
        self.assertEqual((counts["issued"], counts["refused"], counts["failed"]), (60, 0, 0))
        answers = self.answers()
        self.assertEqual(set(answers), {f"d-{i}.pem" for i in range(60)})
        issuing = from_pem(read_file(self.deployment.folder, "ca", "issuing.pem"))[0]
        for i, csr in enumerate(csrs):
            chain = from_pem(answers[f"d-{i}.pem"])
            self.assertEqual(chain[1:], [issuing])
            leaf = der.Certificate(chain[0])
            self.assertEqual((leaf.common_name, leaf.spki), (f"d-{i}".encode(), der.csr_spki(csr)))
        self.check_store(60)

    def test_running_again_gives_the_same_certificates(self):
        self.fill(30)
        self.issue()
        first = self.answers()
        self.assertEqual(self.issue()["issued"], 30)
        self.assertEqual(self.answers(), first)
        other = os.path.join(self.folder, "other")
        first_output, self.output = self.output, other
        self.issue()
        self.assertEqual(self.answers(), first)
        self.output = first_output
        self.check_store(30)

    def test_files_that_are_new_are_added(self):
        self.fill(10)
        self.issue()
        first = self.answers()
        self.fill(10, name="e")
        self.issue()
        self.assertEqual({name: text for name, text in self.answers().items() if name.startswith("d")}, first)
        self.check_store(20)

    def test_one_file_is_enough(self):
        self.fill(3)
        self.issue(path=os.path.join(self.input, "d-1.pem"))
        self.assertEqual(set(self.answers()), {"d-1.pem"})
        self.check_store(1)

    def test_requests_from_standard_input_take_their_device_from_the_subject(self):
        csrs = deployment.make_csrs(20, "p256", "pipe")
        counts = self.issue("--device-from", "cn", "--enroll", "default", path="-",
                            stdin=b"".join(to_pem(csr) for csr in csrs))
        self.assertEqual(counts["issued"], 20)
        self.assertEqual(len(self.answers()), 20)
        names = {der.Certificate(from_pem(text)[0]).common_name.decode() for text in self.answers().values()}
        self.assertEqual(names, {f"pipe-{i}" for i in range(20)})
        self.check_store(20)

    def test_an_unknown_device_is_refused_and_enrolled_only_when_asked(self):
        self.write("stranger.csr", deployment.make_csrs(1)[0])
        counts = self.issue(code=1)
        self.assertEqual((counts["issued"], counts["refused"]), (0, 1))
        error = json.loads(self.answers()["stranger.error.json"])
        self.assertEqual(error["code"], "policy.device-not-allowed")
        self.assertIn("stranger", error["message"])

    def test_what_was_refused_may_come_again_where_refusals_are_not_remembered(self):
        self.deployment.edit(r"(?m)^    remember-refusals: .*$", "    remember-refusals: no")
        self.write("stranger.csr", deployment.make_csrs(1)[0])
        self.issue(code=1)
        self.issue("--enroll", "default")
        self.assertEqual(set(self.answers()), {"stranger.pem"}, "the error file of the first run is gone")
        self.check_store(1)

    def test_the_device_may_stand_in_the_common_name(self):
        csrs = deployment.make_csrs(2, "p256", "named")
        self.write("anything.csr", csrs[1])
        self.issue("--device-from", "cn", "--enroll", "default")
        self.assertEqual(der.Certificate(from_pem(self.answers()["anything.pem"])[0]).common_name, b"named-1")

    def test_a_subject_without_the_field_is_refused(self):
        self.write("anything.csr", deployment.make_csrs(1)[0])
        self.issue("--device-from", "serial-number", "--enroll", "default", code=1)
        self.assertEqual(json.loads(self.answers()["anything.error.json"])["code"], "policy.device-invalid")

    def test_bad_files_get_error_files_and_good_ones_their_certificates(self):
        self.fill(20)
        for name, content in (("empty.csr", b""), ("junk.der", os.urandom(500)), ("text.pem", b"hello\n"),
                              ("large.csr", b"\x30" * 200000)):
            self.write(name, content)
        counts = self.issue("--enroll", "default", code=1)
        self.assertEqual((counts["issued"], counts["refused"] + counts["failed"]), (20, 4))
        errors = {name: json.loads(text)["code"] for name, text in self.answers().items() if name.endswith(".json")}
        self.assertEqual(set(errors), {"empty.error.json", "junk.error.json", "text.error.json", "large.error.json"})
        self.assertEqual(errors["large.error.json"], "request.too-large")
        self.check_store(20)

    def test_other_files_and_folders_are_left_alone(self):
        self.fill(3)
        self.write("README.txt", b"not a request")
        self.write(".hidden.csr", b"an editor's")
        os.mkdir(os.path.join(self.input, "folder"))
        self.assertEqual(self.issue()["issued"], 3)
        self.assertEqual(len(self.answers()), 3)

    def test_what_is_named_like_a_request_and_is_no_file_is_refused(self):
        self.fill(3)
        os.mkdir(os.path.join(self.input, "folder.csr"))
        os.mkfifo(os.path.join(self.input, "pipe.csr"))
        os.symlink("/dev/zero", os.path.join(self.input, "endless.csr"))
        os.symlink("nowhere", os.path.join(self.input, "dangling.csr"))
        counts = self.issue(code=1)
        self.assertEqual(counts["issued"], 3)
        errors = {name for name in self.answers() if name.endswith(".error.json")}
        self.assertLessEqual({"folder.error.json", "pipe.error.json", "endless.error.json"}, errors)

    def test_an_empty_folder_is_done_at_once(self):
        counts = self.issue()
        self.assertEqual((counts["issued"], counts["refused"], counts["failed"]), (0, 0, 0))

    def test_what_is_not_there_is_an_error(self):
        done = self.issue(path=os.path.join(self.folder, "nowhere"), code=1, json_counts=False)
        self.assertIn(b"nowhere", done.stderr)
        self.issue("--enroll", "no-such-group", code=1, json_counts=False)
        self.issue("--requester", "nobody", code=1, json_counts=False)
        self.issue("--device-from", "dreams", code=2, json_counts=False)

    def test_an_output_that_is_read_only_fails_and_a_run_later_gives_what_was_recorded(self):
        self.fill(5)
        self.issue()
        first = self.answers()
        with open(os.path.join(self.folder, "file"), "wb"):
            pass
        whole, self.output = self.output, os.path.join(self.folder, "file")
        done = self.issue(code=1, json_counts=False)
        self.assertNotEqual(done.stderr, b"")
        self.output = whole
        self.issue()
        self.assertEqual(self.answers(), first)

    def test_two_runs_at_once_do_not_share_the_store(self):
        self.fill(400)
        command = [deployment.CERTMILL, "issue", "-c", self.deployment.settings, "--in", self.input, "--out"]
        runs = [subprocess.Popen([*command, self.output + str(i)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                for i in range(2)]
        ends = [(run.communicate(timeout=60)[1], run.returncode) for run in runs]
        self.assertIn(0, [code for _, code in ends], ends)
        for error, code in ends:
            if code != 0:
                self.assertIn(b"is being written by process", error)

    def test_a_killed_run_is_started_again_and_the_certificates_are_complete(self):
        self.fill(300)
        command = [deployment.CERTMILL, "issue", "-c", self.deployment.settings, "--in", self.input, "--out",
                   self.output]
        for _ in range(3):
            run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                run.wait(0.03)
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
        self.assertEqual(self.issue()["issued"], 300)
        self.assertEqual(set(self.answers()), {f"d-{i}.pem" for i in range(300)}, "no temporary files stay")
        self.check_store(300)


if __name__ == "__main__":
    case.main()
