"""What a peer is: how it is measured, and what it says of itself. One file beside this one for each program.

A round: begin(folder, fleet, requests), with a folder of its own and everything from the start; then run(), in which the clock
runs; then certificates(); at last end(), whatever has happened before.
"""
import os
import shutil
import statistics
import subprocess
import sys
import time

from side_by_side import fleet as fleets
from side_by_side import measure

HERE = os.path.dirname(os.path.abspath(__file__))
SINGLES = 31     # requests one by one; the middle one is told
COLD_STARTS = 7  # of a command; the middle one is told


def ms(seconds):
    return round(1e3 * statistics.median(seconds), 2)


class Peer:
    """What of it is told beside figures are its class's texts; share: it gets so much of the requests, when it is slow."""
    name = does = keeps = checks = command = ""
    packages = ()  # of Debian, that bring its programs
    programs = ()
    share = 1.0

    def missing(self):
        """None, or why it cannot run here."""
        gone = [program for program in self.programs if not shutil.which(program)]
        return f"{' and '.join(gone)} not found: bench/peers --setup, or install {' '.join(self.packages)}" if gone else None

    def version(self):
        raise NotImplementedError

    def count(self, whole):
        return max(min(whole, 20), round(whole * self.share))

    def begin(self, folder, fleet, requests):
        self.folder, self.fleet, self.requests = folder, fleet, requests
        self.prepare()

    def prepare(self):
        fleets.make_authority(self.folder)

    def run(self):
        """A measure.Run."""
        raise NotImplementedError

    def certificates(self):
        """DER of all that it has issued in the run."""
        raise NotImplementedError

    def end(self):
        pass

    def offer(self, request):
        """DER of a certificate for one more request, or None when it is refused."""
        raise NotImplementedError

    def authorities(self):
        """(the root's file, None or that of what stands between)"""
        return self.path("ca.pem"), None

    def checks_possession(self):
        """Whether it refuses a request that the key in it has not signed."""
        der = self.offer(self.fleet.forged)
        return der is None or fleets.point(der) != fleets.point(self.fleet.forged.der)

    def one_by_one(self):
        """What is told of requests that come alone: {"start_ms", "single_ms", "cold": {command: {"ms", "cpu_ms"}}}, each
        where there is one"""
        return {}

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def folder_certificates(self, name):
        """Of the files in one of its folders."""
        found = [fleets.read_certificate(self.path(name, file)) for file in os.listdir(self.path(name)) if file.endswith(".pem")]
        return [der for der in found if der]


class Commands(Peer):
    """One that is started for its work, and ends with it. cold_commands() are one certificate's: (label, words)."""
    made = "one.pem"  # what they write

    def cold_commands(self, request):
        raise NotImplementedError

    def run_cold(self, words):
        """(seconds by the clock, of processor time), or None when it failed."""
        processors, start = measure.Processors(), time.monotonic()
        done = subprocess.run(words, cwd=self.folder, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
        return (time.monotonic() - start, processors.spent()[0]) if done.returncode == 0 else None

    def offer(self, request):
        if os.path.exists(self.path(self.made)):
            os.unlink(self.path(self.made))
        _, words = self.cold_commands(request)[-1]
        self.run_cold(words)
        return fleets.read_certificate(self.path(self.made))

    def one_by_one(self):
        took = {}
        for request in self.fleet.spare[:COLD_STARTS]:
            for label, words in self.cold_commands(request):
                times = self.run_cold(words)
                if times is None:
                    raise RuntimeError(f"{label}: failed for one request")
                took.setdefault(label, []).append(times)
        return {"cold": {label: dict(zip(("ms", "cpu_ms"), map(ms, zip(*times)))) for label, times in took.items()}}


class Server(Peer):
    """One that waits for requests. start() makes self.processes, and returns when it answers."""

    def start(self):
        raise NotImplementedError

    def load(self):
        """The command of the client that asks for everything."""
        raise NotImplementedError

    def begin(self, folder, fleet, requests):
        self.processes = []
        super().begin(folder, fleet, requests)
        start = time.monotonic()
        self.start()
        self.start_s = time.monotonic() - start

    def run(self):
        return measure.run_client([process.pid for process in self.processes], [sys.executable, *self.load()])

    def one_by_one(self):
        seconds = []
        for request in self.fleet.spare[:SINGLES]:
            start = time.monotonic()
            if self.offer(request) is None:
                raise RuntimeError("one request by itself was refused")
            seconds.append(time.monotonic() - start)
        return {"start_ms": ms([self.start_s]), "single_ms": ms(seconds)}

    def end(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
