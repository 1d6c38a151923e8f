"""wrk (Debian's package of this name): what it is told to ask, and what it says of the answers."""
import re
import subprocess

POST = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/ocsp-request"
local file = io.open("{0}", "rb")
wrk.body = file:read("*a")
"""
# Sixteen digits of a counter in place of the last sixteen octets, which are the nonce.
NONCES = POST + """local head, n = wrk.body:sub(1, -17), {1}
function request()
  n = n + 1
  return wrk.format(nil, nil, nil, head .. string.format("%016d", n))
end
"""
DELAY = """function delay() return {0} end
"""


def command(program, core, url, seconds, connections, script=None):
    """One thread, on this processor."""
    return ["taskset", "-c", core, program, "-t1", f"-c{connections}", f"-d{seconds}", "--latency",
            *(["-s", script] if script else []), url]


def read(out):
    """{"count", "rate", "p99"} of what it printed; it ends the program when there is none, or an answer that is not 200."""
    if "Non-2xx" in out or "requests in" not in out:
        raise SystemExit(f"wrk: not every answer is 200:\n{out}")
    return {"count": int(re.search(r"(\d+) requests in", out)[1]), "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            "p99": re.search(r"(?m)^\s+99%\s+(\S+)\s*$", out)[1]}  # not the 97.99% of another column


def run(*words):
    """As command; what read finds."""
    return read(subprocess.run(command(*words), stdout=subprocess.PIPE, text=True, check=True).stdout)
