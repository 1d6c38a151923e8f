"""Real deployments for tests: a scratch folder, a private Redis, `certmill init`, engines that are started and killed.

The programs come from the environment, as meson sets it: CERTMILL, MAKE_CSRS, CLOCK_SHIM. Every process that is started here is
ended here, by its own pid.
"""
import atexit
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

from redis_client import RedisClient, RedisError

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CERTMILL = os.environ.get("CERTMILL", os.path.join(SOURCE, "build/tools/certmill"))
CLOCK_SHIM = os.environ.get("CLOCK_SHIM", os.path.join(SOURCE, "build/tests/support/clock_shim.so"))
MAKE_CSRS = os.environ.get("MAKE_CSRS", os.path.join(SOURCE, "build/tests/support/make_csrs"))

# How much longer things may take than in a build without sanitizers.
PATIENCE = float(os.environ.get("CERTMILL_TEST_PATIENCE", "1"))

_alive = []
_ports = []  # sockets whose names say which ports are ours


@atexit.register
def _end_all():
    for process in _alive:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


# A run that is stopped from outside ends what it started, too.
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def spawn(command, **options):
    process = subprocess.Popen(command, **options)
    _alive.append(process)
    return process


def scratch():
    """A new folder that goes when the program ends."""
    folder = tempfile.mkdtemp(prefix="certmill-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def wait_until(condition, timeout_s, what, step_s=0.01):
    """The condition's value once it is true; an AssertionError after the time-out, which PATIENCE makes longer."""
    timeout_s *= PATIENCE
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what() if callable(what) else what}")
        time.sleep(step_s)


def first_port_of_the_system():
    """It gives this one and those above to connections, and to who asks for any."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        return int(file.read().split()[0])


def free_port():
    """A TCP port of 127.0.0.1 that is left to this program until it ends, whether somebody listens on it or not: the system gives
    it to nobody, and no other test takes it."""
    while True:
        port = random.randrange(10000, max(20000, first_port_of_the_system()))
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0certmill-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:  # somebody has it
            mark.close()
            continue
        _ports.append(mark)
        return port


def make_csrs(count, key_type="p256", name="device"):
    """Certificate requests (DER) with new keys; subjects are CN=name-0, name-1, ..."""
    data = subprocess.run([MAKE_CSRS, str(count), key_type, name], check=True, stdout=subprocess.PIPE).stdout
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        found.append(data[at + 4:at + 4 + size])
        at += 4 + size
    assert len(found) == count
    return found


def has_fault_points():
    """True when CERTMILL was built with the option fault_points."""
    with open(CERTMILL, "rb") as file:
        return b"CERTMILL_FAULT" in file.read()


class Clock:
    """A wall clock that engines started with its variables see, in seconds before (negative) or after the true time."""

    def __init__(self, folder, offset_s=0):
        self.path = os.path.join(folder, "clock")
        self.variables = {"LD_PRELOAD": CLOCK_SHIM, "CERTMILL_TEST_CLOCK": self.path}
        self.set(offset_s)

    def set(self, offset_s):
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(str(offset_s))
        os.rename(self.path + ".new", self.path)
        self.offset_s = offset_s

    def pass_to(self, offset_s, look):
        """As time passes: serve and its signers disbelieve a clock that leaps by more than a day. look: makes them look at it."""
        while self.offset_s < offset_s:
            self.set(min(offset_s, self.offset_s + 86000))
            look()
            time.sleep(1.5)


class RedisServer:
    """redis-server on a Unix socket in a folder. append_only: "no", or an appendfsync policy such as "always"; options:
    more words for its command line."""

    def __init__(self, folder, append_only="no", options=()):
        self.folder = folder
        self.socket = os.path.join(folder, "redis.sock")
        self.append_only = append_only
        self.options = options
        self.process = None
        self.start()

    def start(self):
        persistence = ["--appendonly", "no", "--save", ""]
        if self.append_only != "no":
            persistence = ["--appendonly", "yes", "--appendfsync", self.append_only, "--save", ""]
        with open(os.path.join(self.folder, "redis.log"), "ab") as log:
            self.process = spawn(["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.folder,
                                  *persistence, *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._answers, 10, "redis-server answers")

    def _answers(self):
        try:
            client = self.client()
            reply = client.call("PING")
            client.close()
            return reply == b"PONG"
        except (OSError, RedisError):  # not there yet, or loading
            return False

    def client(self):
        return RedisClient(self.socket)

    def kill(self):
        self.process.kill()
        self.process.wait()
        if os.path.exists(self.socket):
            os.unlink(self.socket)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Engine:
    """One `certmill serve`."""

    def __init__(self, settings, log, fault=None, wait=True, variables=()):
        environment = dict(os.environ, **dict(variables))
        environment.pop("CERTMILL_FAULT", None)
        if fault:
            environment["CERTMILL_FAULT"] = fault
        self.log = log
        with open(log, "wb") as file:
            self.process = spawn([CERTMILL, "serve", "-c", settings], env=environment, stdin=subprocess.DEVNULL,
                                 stdout=file, stderr=file)
        if wait:
            wait_until(lambda: "serving" in self.text() or self.process.poll() is not None, 20, "the engine serves")

    @property
    def pid(self):
        return self.process.pid

    def signers(self):
        """Process ids of its signer processes, as ps shows them."""
        found = []
        for name in os.listdir("/proc"):
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except (OSError, IndexError):  # no process, or one that has just ended
                continue
            if parent == self.pid and words[1:2] == [b"signer"]:
                found.append(int(name))
        return found

    def signer(self, timeout_s=5):
        """The one that it has, once it has one."""
        return wait_until(self.signers, timeout_s, lambda: "the engine has a signer:\n" + self.text())[0]

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def is_alive(self):
        return self.process.poll() is None

    def is_asleep(self):
        """Stopped, as by SIGSTOP."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"

    def kill(self):
        self.process.kill()
        return self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout_s):
        return self.process.wait(timeout_s * PATIENCE)

    def stop(self, timeout_s=20):
        """SIGTERM; the exit code. Raises when it takes longer."""
        timeout_s *= PATIENCE
        self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise AssertionError(f"the engine did not stop within {timeout_s} s:\n{self.text()}") from error


class Deployment:
    """What `certmill init` makes, on the Redis given, with devices and small batches."""

    def __init__(self, redis=None, folder=None, prefix="certmill", lease="60s", consumer="engine", deliveries_max=1000,
                 batch_items=16, init=(), profiles=None, key_type="p256"):
        self.folder = folder or os.path.join(scratch(), "ca")
        self.redis = redis
        self.prefix = prefix
        self.starts = 0
        self.settings = os.path.join(self.folder, "certmill.yaml")
        self.store = os.path.join(self.folder, "store", "certmill.db")
        queue = ["--queue", "redis", "--redis-url", "unix://" + redis.socket] if redis else []
        self.run("init", "--quiet", "--key-type", key_type, *queue, *init, self.folder, settings=False)
        if redis:
            consumer_line = f"\n    consumer: {consumer}" if consumer else ""
            self.edit(r"(?m)^    url: .*$", rf"\g<0>\n    prefix: {prefix}\n    lease: {lease}{consumer_line}"
                      rf"\n    deliveries-max: {deliveries_max}")
        self.edit(r"\Z", f"\nengine:\n  batch-items: {batch_items}\n")
        self.edit(r"(?m)^    remember-refusals: .*$", "    remember-refusals: yes")

    def run(self, *arguments, settings=True, check=True, stdin=None, prefix=()):
        """Runs a command of certmill to its end."""
        command = [*prefix, CERTMILL, *arguments, *(["-c", self.settings] if settings else [])]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=120)
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: exit code {done.returncode}: {done.stderr.decode()}")
        return done

    def edit(self, pattern, replacement):
        with open(self.settings, encoding="utf-8") as file:
            text, count = re.subn(pattern, replacement, file.read(), count=1)
        assert count == 1, f"{pattern} is not in the settings"
        with open(self.settings, "w", encoding="utf-8") as file:
            file.write(text)

    def group_results(self):
        """The requester reads several results of one entry."""
        self.edit(r"(?m)^  - name: local$", r"\g<0>\n    results: grouped")

    def allow_orders(self):
        """The requester may order whatever there is to be ordered."""
        self.edit(r"(?m)^  - name: local$", r"\g<0>\n    operations: [issue, renew, revoke, quarantine, reinstate, retire]")

    def query(self, sql, *values):
        """Rows of the store, whoever writes to it."""
        store = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)
        try:
            return store.execute(sql, values).fetchall()
        finally:
            store.close()

    def add_devices(self, names, group="default", attributes=()):
        header = ",".join(["device", "group", *(name for name, _ in attributes)])
        rows = [",".join([name, group, *(value for _, value in attributes)]) for name in names]
        self.run("device", "import", "--quiet", "--replace", "-", stdin="\n".join([header, *rows, ""]).encode())

    def start(self, fault=None, wait=True, variables=()):
        self.starts += 1
        engine = Engine(self.settings, os.path.join(self.folder, f"serve-{self.starts}.log"), fault, wait, variables)
        if wait and not fault and not engine.is_alive():
            raise AssertionError(f"the engine did not start:\n{engine.text()}")
        return engine
