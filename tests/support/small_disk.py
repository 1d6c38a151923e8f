"""A small file system of its own, to be filled."""
import os
import shutil
import subprocess

import deployment

MIB = 1 << 20


def mount(test_case, size):
    """Its folder; or the test is skipped, loudly."""
    folder = deployment.scratch()
    if os.geteuid() != 0 or not shutil.which("mount"):
        test_case.skip("a small file system needs root and mount")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode != 0:
        test_case.skip(f"mount does not work here: {done.stderr.decode().strip()}")
    test_case.addCleanup(lambda: subprocess.run(["umount", "-l", folder], check=True))
    return folder


def fill(folder):
    """Takes all room that is left; the file that is to be removed to get it back."""
    path = os.path.join(folder, "ballast")
    with open(path, "wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return path


def move_store(made, folder):
    """The store of a deployment, into that file system."""
    store = os.path.join(folder, "store")
    shutil.move(os.path.dirname(made.store), store)
    made.edit(r"(?m)^  path: store/certmill.db.*$", f"  path: {store}/certmill.db")
    made.store = os.path.join(store, "certmill.db")
