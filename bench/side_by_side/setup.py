"""Brings the peers: Debian's packages, and step-ca by Go's module proxy."""
import os
import subprocess

from side_by_side import step_ca

BUILD_S = 1800


def say(text):
    print(f"bench/peers: {text}", flush=True)


def is_installed(package):
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, check=False, text=True)
    return said.stdout == "install ok installed"


def install(packages):
    """Those that are missing; False when one could not be had."""
    gone = [package for package in packages if not is_installed(package)]
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    if gone:
        say("installs " + " ".join(gone))
        subprocess.run([*sudo, "apt-get", "update", "-qq"], check=False)
    return all([subprocess.run([*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", package],
                               stdout=subprocess.DEVNULL, check=False).returncode == 0 for package in gone])


def build_step_ca(folder):
    """step-ca in the folder, where it is not there yet."""
    if step_ca.StepCa.find():
        return True
    say(f"builds {step_ca.MODULE}@{step_ca.VERSION}, which takes minutes")
    done = subprocess.run(
        [step_ca.find_go() or "go", "install", "-buildvcs=false", f"{step_ca.MODULE}@{step_ca.VERSION}"],
        env=dict(os.environ, GOBIN=os.path.abspath(folder), CGO_ENABLED="0", GOFLAGS=""), capture_output=True, check=False,
        text=True, timeout=BUILD_S)
    if done.returncode != 0:
        say("step-ca cannot be built: " + " ".join(done.stderr.split())[-300:])
    return done.returncode == 0


def bring(peers, folder):
    """For all of them; False when something could not be had."""
    packages = dict.fromkeys(package for peer in peers for package in peer.packages)
    if step_ca.find_go():
        packages.pop("golang-go", None)
    has_packages = install(packages)
    return (step_ca.StepCa not in map(type, peers) or build_step_ca(folder)) and has_packages
