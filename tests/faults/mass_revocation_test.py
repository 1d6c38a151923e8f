#!/usr/bin/env python3
"""The drill for the day on which a fleet is compromised: one order revokes all of a group, while others are issued and
everybody asks. CERTMILL_TEST_FLEET=100000 makes it as large as fleets are."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
# pylint: disable=wrong-import-position
import case
import memory
import ocsp
from backend import fleet
from load import Load
from trail_case import TrailCase

FLEET = int(os.environ.get("CERTMILL_TEST_FLEET", 5000))
OTHERS, OTHERS_PER_S, ASKED_AT_ONCE = 2000, 400, 8
MEMORY_MB, OCTETS_EACH = 64, 2048  # beside what the engine has anyway; a revocation takes about 100 octets


class MassRevocation(TrailCase):
    def begin_drill(self):
        """A fleet with certificates, and requests of a group of its own that come in from now on."""
        requests = self.begin("drill", FLEET)
        self.deployment.edit(r"(?m)^groups:$", r"\g<0>\n  - name: others\n    authority: issuing\n    profiles: [device-client]")
        self.deployment.edit(r"groups: \[default\]", "groups: [default, others]")
        others = fleet(OTHERS, "other")
        self.deployment.run("device", "import", "--quiet", "-",
                            stdin="".join(["device,group\n", *(f"{one.device},others\n" for one in others)]).encode())
        engine = self.serve()
        self.issue_all(requests, timeout_s=200)
        self.watch()
        self.load = Load(self, others, OTHERS_PER_S)
        return engine

    def states(self):
        """What OCSP says of each of the fleet."""
        serials, found = [one.serial for one in self.issued], set()
        for at in range(0, len(serials), ASKED_AT_ONCE):
            response = self.ask_ocsp(*serials[at:at + ASKED_AT_ONCE])
            self.assertEqual(response.status, ocsp.SUCCESSFUL)
            found.update(response.singles)
        return found

    def test_a_fleet_is_revoked_by_one_order_while_others_get_certificates(self):
        engine = self.begin_drill()
        before_kb, issued_before = memory.peak_kb(engine.pid), self.status()["issued"]
        began = time.monotonic()
        changed = self.order("revoke", group="default", reason="keyCompromise")
        self.assertEqual(changed, FLEET)
        self.trail.revoked([one.serial for one in self.issued], time.time())
        ordered = time.monotonic()
        self.assertEqual(self.states(), {("revoked", 1)})
        self.wait_settled(60)
        print(f"{FLEET} revoked in {ordered - began:.1f} s, asked and listed after {time.monotonic() - began:.1f} s",
              file=sys.stderr)
        self.assertGreater(self.status()["issued"], issued_before, "others are issued meanwhile")
        grown_kb = memory.peak_kb(engine.pid) - before_kb
        self.load.end()
        if not memory.is_sanitized(engine.pid):
            self.assertLess(grown_kb, MEMORY_MB * 1024 + FLEET * OCTETS_EACH // 1024)
        evidence = self.conclude(engine)
        self.assertEqual(len(evidence.store.revocations), FLEET)
        self.assertEqual({one.state for one in self.trail.sightings if one.asked > self.trail.standings[0].since}, {"revoked"})


if __name__ == "__main__":
    case.main()
