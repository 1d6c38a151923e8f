"""A peer that is asked over HTTP, with bodies in JSON: over many connections by http_load.py, and over one by itself."""
import json

import deployment
from side_by_side import fleet as fleets
from side_by_side import http_load
from side_by_side.peer import HERE, Server

CLIENTS = 16  # connections at the same time
JSON = {"Content-Type": "application/json"}


class HttpServer(Server):
    """connection is http.client's, made by connect() to self.port; asks_path: what is asked for a certificate; trust: the words
    of http_load.py that make it TLS."""
    asks_path, trust, connection = "", (), None

    def connect(self):
        raise NotImplementedError

    def words(self):
        """The command that serves."""
        raise NotImplementedError

    def body(self, request):
        raise NotImplementedError

    def pem(self, answer):
        """Of the certificate in what was answered, or None."""
        raise NotImplementedError

    def prepare(self):
        super().prepare()
        self.port = deployment.free_port()

    def write_requests(self):
        requests = [http_load.request_of(self.asks_path, json.dumps(self.body(request))) for request in self.requests]
        http_load.write_all(self.path("requests"), requests)

    def start(self):
        with open(self.path("log"), "wb") as log:
            self.processes = [deployment.spawn(self.words(), cwd=self.folder, stdout=log, stderr=log)]
        self.connection = self.connect()
        deployment.wait_until(self.is_there, 20, self.name + " answers")

    def is_there(self):
        if self.processes[0].poll() is not None:
            with open(self.path("log"), encoding="utf-8", errors="replace") as log:
                raise RuntimeError("the server ended: " + " ".join(log.read().split())[-300:])
        try:
            self.connection.connect()
            return True
        except OSError:
            return False
        finally:
            self.connection.close()  # servers end what is silent for long; the next request opens it again

    def load(self):
        return [f"{HERE}/http_load.py", str(self.port), str(CLIENTS), self.path("requests"), self.path("answers"), *self.trust]

    def certificates(self):
        texts = [self.pem(http_load.body_of(answer)) for answer in http_load.read_all(self.path("answers"))]
        return [fleets.from_pem(text) for text in texts if text]

    def offer(self, request):
        self.connection.request("POST", self.asks_path, json.dumps(self.body(request)), JSON)
        text = self.pem(json.loads(self.connection.getresponse().read()))
        return fleets.from_pem(text) if text else None

    def end(self):
        if self.connection:
            self.connection.close()
        super().end()
