#!/usr/bin/env python3
"""Goal: init, ca, device and doctor do what they say on a real folder. Method: the certmill command itself, run as an
operator runs it, with openssl as the judge of certificates.

  init_test.py CERTMILL SOURCE_ROOT
"""
import fcntl
import json
import os
import pty
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
from openssl_ca import OpensslCa

CERTMILL, SOURCE = sys.argv[1], sys.argv[2]


def run(*arguments, stdin=None, environment=None):
    return subprocess.run([CERTMILL, *arguments], input=stdin, capture_output=True, text=True, timeout=120,
                          env={**os.environ, **(environment or {})})


def read(path, how="r"):
    with open(path, how, encoding=None if "b" in how else "utf-8") as file:
        return file.read()


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def run_at_terminal(typed, *arguments):
    """(exit code, how often it asked, what was seen): certmill run by somebody who types this at each question."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(CERTMILL, [CERTMILL, *arguments])
    seen = b""
    asked = 0
    while True:
        try:
            seen += os.read(terminal, 4096)
        except OSError:  # it has ended
            break
        if seen.count(b"Words: ") > asked:
            asked += 1
            os.write(terminal, typed + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), asked, seen


class Deployment(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix="certmill-init.")
        self.addCleanup(shutil.rmtree, self.scratch)
        self.folder = os.path.join(self.scratch, "ca")
        self.config = os.path.join(self.folder, "certmill.yaml")

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def init(self, *options):
        done = run("init", self.folder, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def certmill(self, *arguments, stdin=None):
        return run(*arguments, "-c", self.config, stdin=stdin)

    def good(self, *arguments, stdin=None):
        done = self.certmill(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def verify(self):
        subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", self.path("ca", "root.pem"),
                        self.path("ca", "issuing.pem")], check=True, capture_output=True)


class Init(Deployment):
    def test_the_chain_verifies_for_every_key_type(self):
        for key_type in ("p256", "p384", "p521", "rsa-2048", "ed25519"):
            with self.subTest(key_type):
                self.init("--key-type", key_type, "--organization", "Räder & Söhne")
                self.verify()
                shutil.rmtree(self.folder)

    def test_authorities_live_20_and_10_years_and_the_issuing_one_has_path_length_0(self):
        self.init()
        text = subprocess.run(["openssl", "x509", "-noout", "-text", "-in", self.path("ca", "issuing.pem")],
                              capture_output=True, text=True, check=True).stdout
        self.assertIn("CA:TRUE, pathlen:0", text)
        root, issuing = json.loads(self.good("ca", "list", "--json"))["authorities"]
        self.assertEqual(int(root["not_after"][:4]) - int(root["not_before"][:4]), 20)
        self.assertIn(int(issuing["not_after"][:4]) - int(issuing["not_before"][:4]), (9, 10))

    def test_sub_ca_allows_authorities_below(self):
        self.init("--sub-ca")
        text = subprocess.run(["openssl", "x509", "-noout", "-text", "-in", self.path("ca", "issuing.pem")],
                              capture_output=True, text=True, check=True).stdout
        self.assertIn("CA:TRUE, pathlen:1", text)
        self.assertIn("sub-ca]", read(self.config))

    def test_only_the_owner_reads_keys_and_store(self):
        self.addCleanup(os.umask, os.umask(0))
        self.init()
        self.assertEqual(mode(self.path("keys")), 0o700)
        self.assertEqual(mode(self.path("store")), 0o700)
        for key in ("root.pem", "issuing-1.pem"):
            self.assertEqual(mode(self.path("keys", key)), 0o600)
        self.assertEqual(mode(self.path("store", "certmill.db")), 0o600)
        self.assertEqual(mode(self.path("ca", "root.pem")), 0o644)

    def test_a_deployment_is_never_overwritten(self):
        self.init()
        before = {name: read(self.path(name), "rb")
                  for name in ("certmill.yaml", "keys/root.pem", "ca/root.pem", "store/certmill.db")}
        done = run("init", self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is a deployment in", done.stderr)
        for name, content in before.items():
            self.assertEqual(read(self.path(name), "rb"), content)

    def test_what_is_in_the_way_stays_and_what_was_made_goes(self):
        os.makedirs(self.path("store"))
        done = run("init", self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("store is there already", done.stderr)
        self.assertEqual(os.listdir(self.folder), ["store"])

    def test_a_folder_that_cannot_be_made_leaves_nothing(self):
        done = run("init", os.path.join(self.scratch, "no", "where"))
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.startswith("certmill: "))
        self.assertEqual(os.listdir(self.scratch), [])

    def test_a_redis_deployment_that_no_settings_allow_leaves_nothing(self):
        done = run("init", self.folder, "--queue", "redis", "--redis-url", "tcp://x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("queue.redis.url: expected unix:///PATH", done.stderr)
        self.assertEqual(os.listdir(self.scratch), [])

    def test_a_redis_deployment_names_its_server(self):
        self.init("--queue", "redis", "--redis-url", "unix:///run/redis/x.sock")
        self.assertIn('url: "unix:///run/redis/x.sock"', read(self.config))
        self.assertFalse(os.path.exists(self.path("spool")))

    def test_wrong_options_are_usage_errors(self):
        for options, said in ((["--redis-url", "redis://x"], "goes with --queue redis"),
                              (["--key-type", "dsa"], "expected one of"),
                              (["--base-url", 'http://a"b'], "not allowed"),
                              (["--organisation", "x"], "did you mean --organization?")):
            done = run("init", self.folder, *options)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(said, done.stderr)
        self.assertFalse(os.path.exists(self.folder))

    def test_a_passphrase_encrypts_the_keys_and_opens_them_again(self):
        os.mkdir(self.folder)
        with open(os.open(self.path("pass"), os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write("correct horse\n")
        self.init("--passphrase", "file:pass")
        self.assertIn("ENCRYPTED", read(self.path("keys", "issuing-1.pem")))
        self.verify()
        self.assertIn("issuing-1: the key file:issuing-1.pem signs", self.good("doctor"))

    def test_a_passphrase_is_asked_for_once_for_both_keys(self):
        code, asked, seen = run_at_terminal(b"correct horse", "init", self.folder, "--passphrase", "prompt:Words")
        self.assertEqual((code, asked), (0, 1), seen)
        self.assertIn("ENCRYPTED", read(self.path("keys", "root.pem")))
        self.assertNotIn(b"correct horse", seen)

    def own_key(self, name):
        """A reference to a key that somebody else has made."""
        path = os.path.join(self.scratch, name)
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path],
                       check=True, capture_output=True)
        return "file:" + path

    def test_keys_that_are_there_are_taken_from_their_files(self):
        root, issuing = self.own_key("root.pem"), self.own_key("issuing.pem")
        said = self.init("--root-key", root, "--issuing-key", issuing).stdout
        self.assertIn(root, said)
        self.assertIn(issuing, said)
        self.assertNotIn("token", said)
        self.assertEqual(os.listdir(self.path("keys")), [])
        self.verify()

    def test_one_key_for_both_authorities_is_refused(self):
        key = self.own_key("both.pem")
        for other in (key, key.replace("/both.pem", "/./both.pem")):
            done = run("init", self.folder, "--root-key", key, "--issuing-key", other)
            self.assertEqual(done.returncode, 1)
            self.assertIn("one key", done.stderr)
            self.assertFalse(os.path.exists(self.folder))
        self.assertTrue(os.path.exists(key[5:]))

    def test_base_url_stands_in_the_settings(self):
        self.init("--base-url", "http://pki.example")
        self.assertIn('crl-url: "http://pki.example/crl/${issuer}/${shard}.crl"', read(self.config))

    def test_status_is_served_where_listen_is_given_and_written_for_a_web_server_else(self):
        self.init("--base-url", "http://pki.example", "--listen", "127.0.0.1:0")
        self.assertIn('\nstatus:\n  listen: "127.0.0.1:0"\n  # publish-folder: public', read(self.config))
        self.assertIn("\n    ocsp-responder: soft ", read(self.config))
        shutil.rmtree(self.folder)
        self.init("--base-url", "http://pki.example")
        self.assertIn('\nstatus:\n  # listen: "127.0.0.1:8899"\n  publish-folder: public', read(self.config))
        self.assertIn("\n    # ocsp-responder: soft ", read(self.config))
        shutil.rmtree(self.folder)
        self.init()
        self.assertIn('\n# status:\n#   listen: "127.0.0.1:8899"\n', read(self.config))
        done = run("init", self.folder + "-2", "--listen", "nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("status.listen", done.stderr)
        self.assertFalse(os.path.exists(self.folder + "-2"))

    def test_json_says_where_everything_is(self):
        said = json.loads(self.init("--json").stdout)
        self.assertEqual(said["settings"], self.config)
        self.assertTrue(os.path.exists(said["root"]["key"]))
        self.assertEqual(len(said["issuing"]["sha256"]), 64)


class Authorities(Deployment):
    def setUp(self):
        super().setUp()
        self.init("--organization", "Example")

    def test_list_and_show_agree(self):
        listed = json.loads(self.good("ca", "list", "--json"))["authorities"]
        self.assertEqual([one["name"] for one in listed], ["root-1", "issuing-1"])
        for one in listed:
            shown = json.loads(self.good("ca", "show", one["name"], "--json"))
            self.assertEqual(shown["sha256"], one["sha256"])
        self.assertIn("CN=Example Issuing CA 1", self.good("ca", "show"))

    def test_show_pem_is_the_file_in_ca(self):
        self.assertEqual(self.good("ca", "show", "root", "--pem"), read(self.path("ca", "root.pem")))

    def test_an_unknown_authority_fails(self):
        done = self.certmill("ca", "show", "nobody", "--json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no authority", json.loads(done.stdout)["error"])

    def test_settings_that_are_wrong_stop_every_command(self):
        with open(self.config, "a", encoding="utf-8") as settings:
            settings.write("colour: blue\n")
        for command in (["ca", "list"], ["device", "list"], ["device", "import", "-"], ["doctor"]):
            done = self.certmill(*command, stdin="device\n")
            self.assertEqual(done.returncode, 1, command)
            self.assertIn('unknown key "colour"', done.stdout + done.stderr)


class Devices(Deployment):
    def setUp(self):
        super().setUp()
        self.init()

    def devices(self):
        return {one["device"]: one for one in json.loads(self.good("device", "list", "--json"))["devices"]}

    def refuse(self, text, expected, *options):
        done = self.certmill("device", "import", "-", *options, stdin=text)
        self.assertEqual(done.returncode, 1, text)
        self.assertIn("certmill: standard input:" + expected, done.stderr)
        self.assertEqual(self.devices(), {})

    def test_bad_csv_is_refused_with_its_line_and_nothing_is_imported(self):
        head = "device,group,model\na,default,x\n"
        self.refuse("", "1: the file is empty")
        self.refuse("name,group\n", '1: expected a header with a column "device"')
        self.refuse("device,device\n", '1: the column "device" stands twice')
        self.refuse("device,bad name\n", '1: "bad name" is not a column\'s name')
        self.refuse(head + "b,default\n", "3: expected 3 columns as in the header, found 2")
        self.refuse(head + "b,defualt,x\n", '3: "defualt" is not a group of the settings (did you mean default?)')
        self.refuse(head + ",default,x\n", "3: the device id is missing")
        self.refuse(head + "b\x07,default,x\n", '3: the device id "b\\x07" is not UTF-8')
        self.refuse(head + "b" * 256 + ",default,x\n", "3: the device id is longer than 255 bytes")
        self.refuse(head + '"b,default,x\n', "3: column 1: a quote that is not closed")
        self.refuse(head + 'b"c,default,x\n', "3: column 1: a quote")
        self.refuse(head + "b,default,x\n\na,default,y\n", '5: the device "a" stands in line 2 already')
        self.refuse("device\na\n", "2: the group is missing; name it here or with --group")
        self.refuse("device\na\x00b\n", "2: a NUL character")

    def test_bad_json_lines_are_refused_with_their_line_and_nothing_is_imported(self):
        head = '{"device":"a","group":"default"}\n'
        self.refuse(head + "b,default\n", "2: not JSON: ")
        self.refuse(head + '{"device":"b","group":"default"', "2: not JSON: ")
        self.refuse(head + '{"devcie":"b"}\n', '2: unknown key "devcie" (did you mean device?)')
        self.refuse(head + '{"device":1}\n', "2: device: expected a string")
        self.refuse(head + '{"group":"default"}\n', "2: the device id is missing")
        self.refuse(head + '{"device":"b","group":"default","attributes":["x"]}\n', "2: attributes: expected an object")
        self.refuse(head + '{"device":"b","group":"default","attributes":{"m":1}}\n', '2: the attribute "m" is not')
        self.refuse(head + '{"device":"b","device":"c"}\n', "2: not JSON: ")
        self.refuse(head + '{"device":"a","group":"default"}\n', '2: the device "a" stands in line 1 already')

    def test_csv_from_a_spreadsheet_is_understood(self):
        text = '\ufeffdevice,model,place\r\nm-1,"M ""2"", x",Zürich\r\nm-2,,\r\n'
        said = json.loads(self.good("device", "import", "-", "--group", "default", "--json", stdin=text))
        self.assertEqual(said, {"read": 2, "imported": 2, "unchanged": 0, "state_kept": 0})
        devices = self.devices()
        self.assertEqual(devices["m-1"]["attributes"], {"model": 'M "2", x', "place": "Zürich"})
        self.assertEqual(devices["m-2"]["attributes"], {})
        self.assertEqual(devices["m-2"]["state"], "allowed")

    def test_json_lines_are_understood(self):
        lines = [{"device": "ä-%d" % i, "group": "default", "attributes": {"z": "1", "a": "2"}} for i in range(2000)]
        file = os.path.join(self.scratch, "devices.jsonl")
        with open(file, "w", encoding="utf-8") as out:
            out.writelines(json.dumps(line) + "\n" for line in lines)
        self.assertEqual(json.loads(self.good("device", "import", file, "--json"))["imported"], 2000)
        shown = json.loads(self.good("device", "show", "ä-7", "--json"))
        self.assertEqual(shown["attributes"], {"z": "1", "a": "2"})

    def test_a_device_that_is_there_stays_unless_it_is_to_be_replaced(self):
        self.good("device", "import", "-", stdin="device,group,model\na,default,1\n")
        again = "device,group,model\na,default,2\nb,default,2\n"
        said = json.loads(self.good("device", "import", "-", "--json", stdin=again))
        self.assertEqual(said, {"read": 2, "imported": 1, "unchanged": 1, "state_kept": 0})
        self.assertEqual(self.devices()["a"]["attributes"]["model"], "1")
        self.good("device", "import", "-", "--replace", stdin=again)
        self.assertEqual(self.devices()["a"]["attributes"]["model"], "2")

    def test_an_import_lets_no_device_out_of_quarantine_or_retirement(self):
        again = "device,group,model\na,default,2\nb,default,2\nc,default,2\n"
        self.good("device", "import", "-", stdin=again.replace("2", "1"))
        self.good("device", "quarantine", "a")
        self.good("device", "retire", "b")
        said = json.loads(self.good("device", "import", "-", "--replace", "--json", stdin=again))
        self.assertEqual(said, {"read": 3, "imported": 3, "unchanged": 0, "state_kept": 2})
        listed = self.devices()
        self.assertEqual([listed[one]["state"] for one in "abc"], ["quarantined", "retired", "allowed"])
        self.assertEqual([listed[one]["attributes"]["model"] for one in "abc"], ["2", "2", "2"])
        self.assertIn("2 of them stay quarantined or retired",
                      self.good("device", "import", "-", "--replace", stdin=again))

    def test_an_unknown_device_and_an_unknown_group_fail(self):
        self.assertEqual(self.certmill("device", "show", "nobody").returncode, 1)
        self.assertEqual(self.certmill("device", "list", "--group", "nobody").returncode, 1)

    def test_a_missing_file_fails(self):
        done = self.certmill("device", "import", "/nowhere.csv")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere.csv: No such file", done.stderr)

    def test_a_store_in_use_is_said_with_the_process(self):
        with open(self.path("store", "certmill.db.lock"), "r+", encoding="ascii") as lock:
            whole_file = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            fcntl.fcntl(lock, fcntl.F_OFD_SETLK, whole_file)
            lock.write("4711\n")
            lock.flush()
            done = self.certmill("device", "import", "-", stdin="device,group\nx,default\n")
            self.assertEqual(done.returncode, 1)
            self.assertIn("is being written by process 4711; stop the engine first", done.stderr)
            self.assertIn("(control.sock: No such file or directory)", done.stderr)
            lock.truncate(0)
        self.assertEqual(self.devices(), {})


class Doctor(Deployment):
    def setUp(self):
        super().setUp()
        self.init()

    def checks(self, healthy):
        done = self.certmill("doctor", "--json")
        said = json.loads(done.stdout)
        self.assertEqual(said["healthy"], healthy, done.stdout)
        self.assertEqual(done.returncode, 0 if healthy else 1)
        return [(one["verdict"], one["check"], one["text"]) for one in said["checks"]]

    def expect(self, verdict, check, text, healthy=False):
        found = self.checks(healthy)
        self.assertTrue(any(one[0] == verdict and one[1] == check and text in one[2] for one in found), found)

    def test_a_new_deployment_is_healthy_but_for_the_root_key(self):
        warnings = [one for one in self.checks(True) if one[0] != "OK"]
        self.assertEqual([one[1] for one in warnings], ["root key"])
        os.remove(self.path("keys", "root.pem"))
        self.expect("OK", "root key", "not on this machine", healthy=True)

    def test_lines_say_what_to_do(self):
        os.chmod(self.path("keys", "issuing-1.pem"), 0o644)
        done = self.certmill("doctor")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAIL  key files: ", done.stdout)
        self.assertIn("-> chmod 600 ", done.stdout)

    def test_keys_that_others_reach_fail(self):
        os.chmod(self.path("keys"), 0o755)
        self.expect("FAIL", "key files", "can be reached by others (mode 755)")

    def test_a_missing_key_fails(self):
        os.remove(self.path("keys", "issuing-1.pem"))
        self.expect("FAIL", "issuing-1", "the key file:issuing-1.pem")

    def test_a_key_of_another_certificate_fails(self):
        shutil.copy(self.path("keys", "root.pem"), self.path("keys", "issuing-1.pem"))
        self.expect("FAIL", "issuing-1", "is not that of the certificate")

    def test_a_missing_store_fails(self):
        shutil.rmtree(self.path("store"))
        self.expect("FAIL", "store", "there is no store")

    def test_a_missing_spool_fails(self):
        os.rmdir(self.path("spool", "incoming"))
        self.expect("FAIL", "queue", "incoming: No such file")

    def test_an_authority_without_a_key_fails(self):
        text = read(self.config)
        with open(self.config, "w", encoding="utf-8") as settings:
            settings.write(text.replace("  - name: issuing\n", "  - name: issuing\n  - name: other\n"))
        self.expect("FAIL", "other", "no active key")

    def edit(self, old, new):
        text = read(self.config)
        self.assertIn(old, text)
        with open(self.config, "w", encoding="utf-8") as settings:
            settings.write(text.replace(old, new))

    def test_urls_that_nobody_serves_are_a_warning(self):
        self.edit("    # crl-url:", "    crl-url:")
        self.edit("    # ocsp-url:", "    ocsp-url:")
        self.expect("WARN", "CRLs", "and nobody publishes it", healthy=True)
        self.expect("WARN", "OCSP", "the engine does not listen", healthy=True)
        self.edit("# status:\n#   listen:", "status:\n  listen:")
        self.assertEqual([one for one in self.checks(True) if one[1] in ("CRLs", "OCSP")], [])

    def test_orders_without_authentication_are_a_warning_where_anybody_may_write(self):
        self.edit("    # operations:", "    operations:")
        self.assertEqual([one for one in self.checks(True) if one[1] == "requesters"], [])
        self.edit("kind: spool", "kind: redis")
        self.edit("  spool:\n", "  redis: {url: \"unix:///nowhere.sock\"}\n  spool:\n")
        self.expect("WARN", "requesters", "local may revoke or hold certificates without authentication")

    def test_published_crls_are_looked_at(self):
        self.edit("# status:\n", "status:\n")
        self.edit("#   publish-folder:", "  publish-folder:")
        self.expect("WARN", "CRLs", "public/crl/issuing-1/0.crl", healthy=True)
        ca = OpensslCa(os.path.join(self.scratch, "old"))
        os.makedirs(self.path("public", "crl", "issuing-1"))
        crl = self.path("public", "crl", "issuing-1", "0.crl")
        for options, verdict, text in ((("-crldays", "7"), "OK", "1 of issuing-1, the first ends on"),
                                       (("-crldays", "1"), "WARN", "was not renewed"),
                                       (("-crl_lastupdate", "20250101000000Z", "-crl_nextupdate", "20250108000000Z"), "FAIL",
                                        "has ended on 2025-01-08T00:00:00Z")):
            ca.openssl("ca", "-config", "ca.cnf", "-gencrl", *options, "-out", crl)
            self.expect(verdict, "CRLs", text, healthy=verdict != "FAIL")

    def test_a_redis_that_is_not_there_fails(self):
        text = read(self.config)
        with open(self.config, "w", encoding="utf-8") as settings:
            settings.write(text.replace("kind: spool", "kind: redis")
                           .replace("  spool:\n", "  redis: {url: \"unix:///nowhere.sock\"}\n  spool:\n"))
        self.expect("FAIL", "queue", "unix:///nowhere.sock")


    def test_a_redis_that_answers_is_ok(self):
        if not shutil.which("redis-server"):
            self.skipTest("there is no redis-server")
        socket = os.path.join(self.scratch, "redis.sock")
        command = ["redis-server", "--port", "0", "--unixsocket", socket, "--dir", self.scratch, "--save", ""]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
            try:
                while not os.path.exists(socket):
                    self.assertIsNone(server.poll())
                    time.sleep(0.01)
                shutil.rmtree(self.folder)
                self.init("--queue", "redis", "--redis-url", "unix://" + socket)
                self.expect("OK", "queue", socket + " answers", healthy=True)
            finally:
                server.terminate()


class Pages(unittest.TestCase):
    def test_reference_pages_are_the_generated_ones(self):
        for page in ("commands", "codes", "metrics", "settings"):
            path = os.path.join(SOURCE, "docs", "reference", page + ".md")
            self.assertEqual(read(path), run("--markdown", page).stdout,
                             "%s is old: certmill --markdown %s > %s" % (path, page, path))

    def test_every_command_has_a_man_page(self):
        folder = os.path.join(os.path.dirname(CERTMILL), "man")
        for line in run("--markdown", "commands").stdout.splitlines():
            if line.startswith("## certmill "):
                page = line[3:].replace(" ", "-") + ".1"
                self.assertTrue(os.path.getsize(os.path.join(folder, page)) > 500, page)

    def test_help_of_every_command_fits_80_columns(self):
        pages = [line[len("## certmill "):] for line in run("--markdown", "commands").stdout.splitlines()
                 if line.startswith("## certmill ")]
        self.assertTrue(pages)
        for page in pages:
            done = run(*page.split(), "--help")
            self.assertEqual(done.returncode, 0)
            for line in done.stdout.splitlines():
                self.assertLess(len(line), 80, line)

    def test_version_and_no_command(self):
        self.assertRegex(run("--version").stdout, r"^certmill \d+\.\d+\.\d+\n$")
        self.assertEqual(run().returncode, 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
