"""Lowkey Vault, an emulator of Azure Key Vault that others wrote (Java, MIT): fetched with Maven, started on loopback.

    reason = lowkey_vault.why_not(place)         None: it is in the folder now
    reason = lowkey_vault.enter_own_network()    None: nobody else is in this network
    vault = LowkeyVault(place)
    vault.request("POST", "/keys/ca/create", {"kty": "EC"}).json()
    vault.stop()

It has the names of keyvault.Keyvault: url, certificate, control_url (managed identity), resource, request. LOWKEY_VAULT_JAR in
the environment names a jar that is there already.

Its vault can be told to listen on loopback; its token port cannot, and listens on all interfaces. So the whole test runs in a
network that has no other.
"""
import fcntl
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys

from deployment import scratch, spawn, wait_until
from keyvault import Answer

ARTIFACT = "com.github.nagyesta.lowkey-vault:lowkey-vault-app"
# The last that each Java runs.
VERSIONS = {17: "3.4.33", 21: "4.1.0", 25: "7.3.74"}
API_VERSION = "7.4"


# --- fetching ---

def java():
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=os.path.join(home, "bin") if home else None)


def java_version():
    text = subprocess.run([java(), "-version"], capture_output=True, check=True, text=True).stderr
    found = re.search(r'version "(\d+)', text)
    return int(found[1]) if found else 0


def version():
    """None: this Java runs none."""
    fitting = [least for least in VERSIONS if least <= java_version()]
    return VERSIONS[max(fitting)] if fitting else None


def jar(place):
    return os.environ.get("LOWKEY_VAULT_JAR") or os.path.join(place, f"lowkey-vault-app-{version()}.jar")


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def is_there(place):
    """The file beside it is written last, so a jar that came in part is none."""
    path = jar(place)
    if os.environ.get("LOWKEY_VAULT_JAR"):
        return True
    if not os.path.exists(path) or not os.path.exists(path + ".sha256"):
        return False
    with open(path + ".sha256", encoding="ascii") as file:
        return file.read() == sha256(path)


def fetch(place):
    """None, or why it did not work. From where Maven's own settings say; the checksum must be what is said there."""
    os.makedirs(place, exist_ok=True)
    command = ["mvn", "--batch-mode", "--strict-checksums", "-U", "dependency:copy",
               f"-Dartifact={ARTIFACT}:{version()}", f"-DoutputDirectory={place}"]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, check=False, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        return f"Maven did not bring Lowkey Vault {version()} within 240 s"
    if done.returncode != 0 or not os.path.exists(jar(place)):
        why = re.search(r"(Could not (find|transfer|resolve)[^\n]*|Unknown host[^\n]*)", done.stdout)
        return f"Maven cannot bring Lowkey Vault {version()}: " + (why[1] if why else done.stdout[-200:])[:200]
    with open(jar(place) + ".sha256", "w", encoding="ascii") as file:
        file.write(sha256(jar(place)))
    return None


def why_not(place):
    """Fetches it into the folder, once. None, or why it cannot be had."""
    if not java():
        return "java is not installed"
    if not version() and not os.environ.get("LOWKEY_VAULT_JAR"):
        return f"Lowkey Vault needs Java {min(VERSIONS)}, this is {java_version()}"
    if is_there(place):
        return None
    if not shutil.which("mvn"):
        return "Maven (mvn) is not installed, and LOWKEY_VAULT_JAR names no jar"
    return fetch(place)


# --- its network ---

ENTERED = "LOWKEY_VAULT_NETWORK"  # says that we are in it
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def start_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP))


def enter_own_network():
    """The program begins anew, with the same words, in a network of its own: call this before anything is started. None: we are
    there; or why we cannot be."""
    if ENTERED in os.environ:
        start_loopback()
        return None
    unshare = shutil.which("unshare")
    if not unshare:
        return "no unshare (util-linux) to give Lowkey Vault a network of its own"
    tried = subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False, text=True)
    if tried.returncode != 0:
        return f"Lowkey Vault must have a network of its own, and gets none here: {tried.stderr.strip()}"
    sys.stdout.flush()
    return os.execve(unshare, [unshare, "-rn", sys.executable, *sys.orig_argv[1:]], {**os.environ, ENTERED: "1"})


# --- running ---

def free_ports(count):
    """Nobody has them now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class LowkeyVault:
    def __init__(self, place):
        self.port, self.control_port = free_ports(2)
        self.folder = scratch()
        # It makes the vault of this name, and wants tokens for it.
        self.url = self.resource = f"https://localhost:{self.port}"
        self.control_url = f"http://localhost:{self.control_port}"
        self.log = os.path.join(self.folder, "lowkey.log")
        print(f"{os.path.basename(jar(place))}, SHA-256 {sha256(jar(place))}, on Java {java_version()}", flush=True)
        with open(self.log, "wb") as log:
            self.process = spawn([java(), "-Xmx512m", "-jar", jar(place), f"--server.port={self.port}",
                                  "--server.address=127.0.0.1", f"--app.token.port={self.control_port}"],
                                 cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._is_up, 120, self._last_words, 0.2)
        self.certificate = self._keep_certificate()
        self.tls = ssl.create_default_context(cafile=self.certificate)

    def _is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Lowkey Vault ended with {self.process.returncode}: {self._last_words()}")
        connection = http.client.HTTPConnection("localhost", self.control_port, timeout=10)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()[-1000:]

    def _keep_certificate(self):
        """It signs itself, and we have just started it."""
        path = os.path.join(self.folder, "tls.pem")
        with open(path, "w", encoding="ascii") as file:
            file.write(ssl.get_server_certificate(("localhost", self.port)))
        return path

    def request(self, method, path, body=None):
        """As an administrator: any token will do."""
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=60, context=self.tls)
        try:
            connection.request(method, f"{path}?api-version={API_VERSION}", None if body is None else json.dumps(body),
                               {"Authorization": "Bearer any", "Content-Type": "application/json"})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
