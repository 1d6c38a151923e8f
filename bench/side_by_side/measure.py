"""Processor time and memory of processes and those below them, and what the bare cryptography takes meanwhile."""
import collections
import os
import re
import resource
import subprocess
import threading
import time

import deployment

CORES = len(os.sched_getaffinity(0))
TICKS_S = os.sysconf("SC_CLK_TCK")
LOOK_S = 0.05  # between two looks at memory
TIME_OUT_S = 1200

# wall_s: by the clock; cpu_s: of all its processes, kernel_s of that in the kernel; client_s: processor time of who asked;
# memory_kb: None where it was over before anybody looked
Run = collections.namedtuple("Run", "wall_s cpu_s kernel_s client_s memory_kb")


def read(path):
    """None when the process is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None


def family(pids):
    """The processes, and all below them that live."""
    found, waiting = [], list(pids)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                waiting += map(int, (read(f"/proc/{pid}/task/{task}/children") or "").split())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


class Processors:
    """Seconds of processor time since it was made: of processes, those below them and those that they have waited for; of None,
    of this one's children that have ended."""

    def __init__(self, pids=None):
        self.pids, self.at_first = pids, (0, 0)
        self.at_first = self.spent()

    def now(self):
        """(in programs, in the kernel)"""
        if self.pids is None:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime, used.ru_stime
        texts = [read(f"/proc/{pid}/stat") for pid in family(self.pids)]
        ticks = [list(map(int, text.rpartition(")")[2].split()[11:15])) for text in texts if text]
        return sum(row[0] + row[2] for row in ticks) / TICKS_S, sum(row[1] + row[3] for row in ticks) / TICKS_S

    def spent(self):
        """(all, of that in the kernel)"""
        user_s, kernel_s = self.now()
        return user_s + kernel_s - self.at_first[0], kernel_s - self.at_first[1]


class Memory:
    """Looks, while something runs, at how much its processes have had resident at most: the largest sum of those that lived
    at the same time, each with its own peak."""

    def __init__(self, pids):
        self.pids, self.most_kb = list(pids), None
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def look(self):
        peaks = [re.search(r"VmHWM:\s+(\d+)", read(f"/proc/{pid}/status") or "") for pid in family(self.pids)]
        if any(peaks):
            self.most_kb = max(self.most_kb or 0, sum(int(peak[1]) for peak in peaks if peak))

    def _run(self):
        while not self.is_over.wait(LOOK_S):
            self.look()

    def end(self):
        self.is_over.set()
        self.thread.join()
        return self.most_kb


def run_commands(commands, folder, inputs=None):
    """The Run of commands that start at once, each [words]; inputs: what each reads. RuntimeError when one fails."""
    logs = [os.path.join(folder, f"log-{number}") for number in range(len(commands))]
    processors, start = Processors(), time.monotonic()
    running = []
    for number, command in enumerate(commands):
        with open(logs[number], "wb") as log:
            running.append(deployment.spawn(command, cwd=folder, stdin=inputs[number] if inputs else subprocess.DEVNULL,
                                            stdout=log, stderr=log))
    memory = Memory([process.pid for process in running])
    codes = [process.wait(TIME_OUT_S) for process in running]
    wall_s = time.monotonic() - start
    for code, command, log in zip(codes, commands, logs):
        if code != 0:
            raise RuntimeError(f"{' '.join(command[:3])} ... ended with {code}: {' '.join(read(log).split())[-300:]}")
    return Run(wall_s, *processors.spent(), 0.0, memory.end())


def run_client(pids, command):
    """The Run of servers while a client asks them: one of the *_load.py, which prints the seconds that it took."""
    processors, client = Processors(pids), Processors()
    memory = Memory(pids)
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=TIME_OUT_S)
    finally:
        memory.look()
        most_kb = memory.end()
    if done.returncode != 0:
        raise RuntimeError("the client gave up: " + " ".join(done.stderr.split())[-300:])
    return Run(float(done.stdout), *processors.spent(), client.spent()[0], most_kb)


def ceiling():
    """(microseconds of a verification, of a signature): P-256, a bare `openssl speed` on every core, by processor time."""
    command = ["openssl", "speed", "-seconds", "1", "-mr", "ecdsap256"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(CORES)]
    rates = [re.search(r"\+F4:\d+:256:([\d.e+-]+):([\d.e+-]+)", process.communicate()[0]) for process in running]
    return tuple(sum(1e6 / float(rate[column]) for rate in rates) / CORES for column in (2, 1))
