"""cfssl, as a server: without a database, and with one."""
import http.client
import json
import sqlite3

from side_by_side import fleet as fleets
from side_by_side.http_server import CLIENTS, HttpServer
from side_by_side.peer import Commands

CONFIG = {"signing": {"default": {"expiry": f"{fleets.DAYS * 24}h", "usages": ["digital signature", "client auth"]}}}
# What its migrations come to, for older and newer ones.
TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE certificates (
  serial_number BLOB NOT NULL, authority_key_identifier BLOB NOT NULL, ca_label BLOB, status BLOB NOT NULL, reason INT,
  expiry TIMESTAMP, revoked_at TIMESTAMP, pem BLOB NOT NULL, issued_at TIMESTAMP, not_before TIMESTAMP, metadata TEXT, sans TEXT,
  common_name TEXT, PRIMARY KEY (serial_number, authority_key_identifier));
CREATE INDEX certificates_expiry ON certificates (expiry);
"""


class Cfssl(HttpServer):
    name = "cfssl"
    does = f"`cfssl serve` without a database, {CLIENTS} clients that keep their connections, HTTP"
    command = "cfssl serve -loglevel 2 -ca ca.pem -ca-key ca.key -config config.json"
    checks = "nothing: every CSR gets its certificate; each new signature (Go does)"
    keeps = "nothing"
    programs, packages = ("cfssl",), ("golang-cfssl",)
    share = 0.5
    asks_path = "/api/v1/cfssl/sign"
    more = ()

    def version(self):
        text = dict(line.split(":", 1) for line in fleets.run("cfssl", "version").decode().splitlines() if ":" in line)
        return f"cfssl {text['Version'].strip()} ({text.get('Runtime', '?').strip()})"

    def prepare(self):
        super().prepare()
        self.write("config.json", json.dumps(CONFIG))
        self.write_requests()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def words(self):
        return ["cfssl", "serve", "-loglevel", "2", "-address", "127.0.0.1", "-port", str(self.port), "-ca", "ca.pem", "-ca-key",
                "ca.key", "-config", "config.json", *self.more]

    def body(self, request):
        return {"certificate_request": request.pem}

    def pem(self, answer):
        return answer["result"]["certificate"] if answer.get("success") else None

    def one_by_one(self):
        return {**super().one_by_one(), **Cold(self).one_by_one()}


class Cold(Commands):
    """The same authority, by `cfssl sign`."""

    def __init__(self, server):
        self.folder, self.fleet = server.folder, server.fleet

    def cold_commands(self, request):
        return [("cfssl sign", ["cfssl", "sign", "-loglevel", "3", "-ca", "ca.pem", "-ca-key", "ca.key", "-config", "config.json",
                                request.path])]


class CfsslDatabase(Cfssl):
    name = "cfssl-db"
    does = "the same with its certificate database in SQLite, in WAL mode"
    command = "cfssl serve ... -db-config db.json"
    keeps = "a row each in SQLite (WAL), synced at checkpoints only"
    share = 0.25
    more = ("-db-config", "db.json")

    def prepare(self):
        super().prepare()
        self.write("db.json", json.dumps({"driver": "sqlite3", "data_source": "certificates.db"}))
        with sqlite3.connect(self.path("certificates.db")) as tables:
            tables.executescript(TABLES)
        tables.close()

    def certificates(self):
        """Those that stand in the database, too."""
        with sqlite3.connect(self.path("certificates.db")) as tables:
            rows = {fleets.from_pem(text) for text, in tables.execute("SELECT CAST(pem AS TEXT) FROM certificates")}
        tables.close()
        return [der for der in super().certificates() if der in rows]

    def one_by_one(self):
        return HttpServer.one_by_one(self)
