#!/usr/bin/env python3
"""A build as users make it has no fault points: not one of their names is in the binary, and the variable does nothing."""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import deployment
from kill_test import POINTS

WORDS = [b"CERTMILL_FAULT", *(name.encode() for name in POINTS if "-" in name)]


def words_in(path):
    with open(path, "rb") as file:
        content = file.read()
    return [word.decode() for word in WORDS if b"\0" + word + b"\0" in content]


class Release(case.Case):
    @classmethod
    def setUpClass(cls):
        """No Redis needed."""

    def release(self):
        """CERTMILL where it has no fault points, or CERTMILL_RELEASE, or one that is built here."""
        if not deployment.has_fault_points():
            return deployment.CERTMILL
        if os.environ.get("CERTMILL_RELEASE"):
            return os.environ["CERTMILL_RELEASE"]
        if not shutil.which("meson") or not shutil.which("ninja"):
            self.skip("no release build is at hand (CERTMILL_RELEASE), and none can be built without meson and ninja")
        folder = deployment.scratch()
        subprocess.run(["meson", "setup", folder, deployment.SOURCE, "-Dtests=false", "-Doptimization=0"],
                       check=True, capture_output=True)
        subprocess.run(["ninja", "-j2", "-C", folder, "tools/certmill"], check=True, capture_output=True)
        return os.path.join(folder, "tools", "certmill")

    def test_no_name_of_a_fault_point_is_in_a_release(self):
        self.assertEqual(words_in(self.release()), [])

    def test_the_names_are_found_where_they_are(self):
        if not deployment.has_fault_points():
            self.skip("this build has no fault points")
        self.assertEqual(len(words_in(deployment.CERTMILL)), len(WORDS))


if __name__ == "__main__":
    case.main()
