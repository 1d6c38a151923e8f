"""A status service by itself: bench/status_server in a folder of its own, with a CA and a delegated responder."""
import os
import select
import subprocess

import deployment
import ocsp

SERVER = os.environ.get("STATUS_SERVER", os.path.join(deployment.SOURCE, "build/bench/status_server"))
RESPONDER = "extendedKeyUsage=OCSPSigning\n1.3.6.1.5.5.7.48.1.5=ASN1:NULL\nkeyUsage=critical,digitalSignature\n"


def _openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _make_key(folder, name):
    _openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.key")
    os.chmod(os.path.join(folder, f"{name}.key"), 0o600)


def make_folder():
    """A new folder with ca.key, ca.pem, ca.der, and the same of a responder that the CA has certified."""
    folder = deployment.scratch()
    for name in ("ca", "responder"):
        _make_key(folder, name)
    _openssl(folder, "req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=Issuing CA", "-days", "30", "-out", "ca.pem",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
    with open(os.path.join(folder, "responder.ext"), "w", encoding="utf-8") as file:
        file.write(RESPONDER)
    _openssl(folder, "req", "-new", "-key", "responder.key", "-subj", "/CN=Responder", "-out", "responder.csr")
    _openssl(folder, "x509", "-req", "-in", "responder.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "77",
             "-days", "20", "-extfile", "responder.ext", "-out", "responder.pem")
    for name in ("ca", "responder"):
        _openssl(folder, "x509", "-in", f"{name}.pem", "-outform", "DER", "-out", f"{name}.der")
    return folder


class StatusServer:
    """words: NAME=NUMBER as bench/status_server takes them; prefix: of the command (taskset); script: of the fake provider,
    {} stands for the folder."""

    def __init__(self, *words, prefix=(), script=None):
        self.folder = make_folder()
        if script is not None:
            with open(self.path("fake-script"), "w", encoding="utf-8") as file:
                file.write(script.replace("{}", self.folder))
        with open(self.path("log"), "w", encoding="utf-8") as log:
            self.process = deployment.spawn([*prefix, SERVER, self.folder, *words], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline().split()
        assert line[:1] == ["port"], f"status_server says {line} {self.log()}"
        self.port = int(line[1])
        self.url = f"http://127.0.0.1:{self.port}"
        with open(self.path("ca.der"), "rb") as file:
            self.issuer = ocsp.Issuer(file.read())

    def path(self, name):
        return os.path.join(self.folder, name)

    def log(self):
        with open(self.path("log"), encoding="utf-8") as file:
            return file.read()

    def send(self, *words):
        """A command whose answer is read later, by receive."""
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def receive(self):
        answer = self.process.stdout.readline().split()
        assert answer[:1] == ["ok"], f"status_server says {answer} {self.log()}"
        return answer[1] if len(answer) > 1 else None

    def has_answered(self):
        """Something is there for receive."""
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def tell(self, *words):
        self.send(*words)
        return self.receive()

    def put(self, path, content, expires_in=86400):
        name = self.path("document")
        with open(name, "wb") as file:
            file.write(content)
        self.tell("put", path, name, expires_in)

    def close(self):
        """Ends it in order; its exit code."""
        if self.process.poll() is None:
            self.tell("quit")
        code = self.process.wait(20)
        self.process.stdin.close()
        self.process.stdout.close()
        return code
