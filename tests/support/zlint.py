"""What zlint has to say against certificates."""
import functools
import json
import os
import shutil
import subprocess

import deployment


def find_program(name):
    unpacked = [os.path.join(deployment.SOURCE, ".deps", *folder, name) for folder in (("bin",), ("usr", "bin"))]
    return shutil.which(name) or next((path for path in unpacked if os.access(path, os.X_OK)), None)


@functools.cache
def _special_sources(program):
    """zlint's sources of rules that are about the public web, mail or one vendor's root programme."""
    listed = subprocess.run([program, "-list-lints-source"], capture_output=True, check=True, text=True).stdout.split()
    return ",".join(sorted({name for name in listed if not name.startswith("RFC") and name != "Community"}))


def complaints(path, program):
    """The rules that a certificate breaks, as a text; None: it breaks none."""
    done = subprocess.run([program, "-excludeSources=" + _special_sources(program), path], capture_output=True, check=False,
                          text=True)
    if done.returncode != 0:
        return done.stderr[-300:]
    results = json.loads(done.stdout)
    if not any(result["result"] == "pass" for result in results.values()):
        return "zlint applied no rule"
    return ", ".join(name for name, result in results.items() if result["result"] in ("error", "fatal")) or None
