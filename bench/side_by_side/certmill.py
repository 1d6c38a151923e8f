"""certmill: a folder of files, and requests from Redis."""
import json
import os

import deployment
from redis_client import encode
from side_by_side import fleet as fleets
from side_by_side import http_load
from side_by_side import measure
from side_by_side.peer import HERE, Commands, Server

CHECKS = "device on the allow-list, profile, quota, the key no other device's; each new signature"
KEEPS = "intents, certificates, audit log in SQLite, synced before any answer"
REQUESTS, RESULTS = "certmill:requests", "certmill:results:local"
ANSWER_MS = 5000


def build_type():
    """How it was built, where its build folder tells: speed depends on it."""
    path = os.path.join(os.path.dirname(deployment.CERTMILL), "../meson-info/intro-buildoptions.json")
    try:
        with open(path, encoding="utf-8") as file:
            return next(f" ({option['value']})" for option in json.load(file) if option["name"] == "buildtype")
    except (OSError, StopIteration):
        return ""


class Deployment:
    """What `certmill init` makes, all settings as it sets them, every device of the fleet on the allow-list."""

    def deploy(self, *more):
        fleets.run(deployment.CERTMILL, "init", "--quiet", *more, self.path("ca"))
        rows = "".join(f"{device},default\n" for device in self.fleet.devices())
        fleets.run(deployment.CERTMILL, "device", "import", "--quiet", "-c", self.settings(), "-",
                   input=("device,group\n" + rows).encode())

    def settings(self):
        return self.path("ca", "certmill.yaml")

    def missing(self):
        return super().missing() if os.access(deployment.CERTMILL, os.X_OK) else f"no {deployment.CERTMILL}: build it first"

    def version(self):
        return fleets.run(deployment.CERTMILL, "--version").decode().strip() + build_type()

    def authorities(self):
        return self.path("ca", "ca", "root.pem"), self.path("ca", "ca", "issuing.pem")


class CertmillFiles(Deployment, Commands):
    name = "certmill-files"
    does = "`certmill issue`, a folder of CSRs to a folder of certificates"
    command = "certmill issue -c certmill.yaml --in csrs --out certificates"
    checks, keeps = CHECKS, KEEPS

    def prepare(self):
        self.deploy()
        os.mkdir(self.path("csrs"))
        for request in self.requests:
            os.link(request.path, self.path("csrs", request.device + ".csr"))

    def words(self, path, out):
        return [deployment.CERTMILL, "issue", "--quiet", "-c", self.settings(), "--in", path, "--out", out]

    def run(self):
        return measure.run_commands([self.words("csrs", "certificates")], self.folder)

    def certificates(self):
        return self.folder_certificates("certificates")

    def cold_commands(self, request):
        self.made = os.path.join("one", request.device + ".pem")
        return [("certmill issue", self.words(request.path, "one"))]

    def offer(self, request):
        self.cold_commands(request)
        return super().offer(request)


class Certmill(Deployment, Server):
    name = "certmill"
    does = "`certmill serve`, requests pushed pipelined through Redis, results read meanwhile"
    command = "certmill serve -c certmill.yaml, beside redis-server --save '' --appendonly no"
    checks, keeps = CHECKS, KEEPS + "; Redis: nothing"
    programs = packages = ("redis-server",)

    def version(self):
        said = fleets.run("redis-server", "--version").decode()
        return f"{super().version()}, redis {said.partition('v=')[2].split()[0]}"

    def prepare(self):
        self.socket = self.path("redis.sock")
        self.deploy("--queue", "redis", "--redis-url", "unix://" + self.socket)
        commands = [encode(self.push_words(request)) for request in self.requests]
        http_load.write_all(self.path("requests"), commands)

    def push_words(self, request):
        return ["XADD", REQUESTS, "*", "id", request.device, "requester", "local", "device", request.device, "csr", request.der]

    def start(self):
        redis = deployment.RedisServer(self.folder)
        self.client = redis.client()
        self.processes = [redis.process]
        engine = deployment.Engine(self.settings(), self.path("log"))
        self.processes.append(engine.process)
        if not engine.is_alive():
            raise RuntimeError("certmill serve ended: " + " ".join(engine.text().split())[-300:])

    def load(self):
        return [f"{HERE}/redis_load.py", self.socket, self.path("requests"), RESULTS]

    def certificates(self):
        rows = self.client.call("XRANGE", RESULTS, "-", "+")
        answers = [dict(zip(fields[::2], fields[1::2])) for _, fields in rows]
        return [answer[b"certificate"] for answer in answers if answer.get(b"status") == b"issued"]

    def offer(self, request):
        last = self.client.call("XREVRANGE", RESULTS, "+", "-", "COUNT", 1)
        self.client.call(*self.push_words(request))
        found = self.client.call("XREAD", "BLOCK", ANSWER_MS, "STREAMS", RESULTS, last[0][0] if last else "0")
        fields = found[0][1][0][1]
        return dict(zip(fields[::2], fields[1::2])).get(b"certificate")
