"""A wall clock that a test sets, for engines that are started with its variables."""
import os

import deployment


class WallClock:
    def __init__(self, folder):
        self.path = os.path.join(folder, "clock")
        self.variables = {"LD_PRELOAD": deployment.CLOCK_SHIM, "CERTMILL_TEST_CLOCK": self.path}
        self.set(0)

    def set(self, offset_s):
        """Seconds before (negative) or after the true time."""
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(str(offset_s))
        os.rename(self.path + ".new", self.path)
