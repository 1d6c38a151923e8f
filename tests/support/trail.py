"""What relying parties could see while a test went on: every published list, answers of OCSP, and since when orders hold.

A Trail gathers it in threads of its own; revocation_rules decides over it, with what the store holds in the end.
"""
import calendar
import http.client
import os
import random
import threading
import time

import ocsp
from crl import Crl

TICK_S = 0.02  # a file's time may be behind the clock by a tick of the kernel


def seconds(text):
    """Unix seconds of a UTCTime or GeneralizedTime."""
    form = "%y%m%d%H%M%SZ" if len(text) == 13 else "%Y%m%d%H%M%SZ"
    return calendar.timegm(time.strptime(text.decode("ascii"), form))


class Version:
    """One list as somebody found it: path below the folder, crl, its times as numbers, and when its file was written."""

    def __init__(self, path, encoding, written):
        self.path, self.crl, self.written = path, Crl(encoding), written
        self.this_update, self.next_update = seconds(self.crl.this_update), seconds(self.crl.next_update)

    @property
    def is_delta(self):
        return self.crl.base_number is not None

    @property
    def complete_path(self):
        return self.path.replace("-delta.crl", ".crl")


class Standing:
    """A certificate that counts as revoked since an order was answered; until: an order that takes it back was sent."""

    def __init__(self, serial, since):
        self.serial, self.since, self.until = serial, since, None

    def holds_during(self, first, last):
        return self.since < first and (self.until is None or last < self.until)

    def holds_for(self, version, delay_s=0):
        """A list says in which second it was begun, and has read its entries when its file is written."""
        return self.holds_during(version.this_update - delay_s, version.written)


class Sighting:
    """What OCSP said of a certificate between two moments: "good", "revoked", "unknown", or the error's number."""

    def __init__(self, serial, asked, answered, state):
        self.serial, self.asked, self.answered, self.state = serial, asked, answered, state


class Trail:
    """folder: what is published into; versions are in the order in which they were found, those of a path too."""

    def __init__(self, folder, pause_s=0.002):
        self.folder, self.pause_s = folder, pause_s
        self.versions, self.torn = [], []
        self.standings, self.sightings = [], []
        self._seen = {}
        self._looking = threading.Lock()  # who looks beside another would find an old list after a newer one
        self._ended = threading.Event()
        self._threads = []

    # --- lists

    def watch(self):
        """From now on, until end."""
        self._begin(self._watch)

    def _watch(self):
        while not self._ended.wait(self.pause_s):
            self.look()

    def look(self):
        """Once through the folder."""
        with self._looking:
            for folder, _, names in os.walk(self.folder):
                for name in names:
                    if name.endswith(".crl"):
                        self._read(os.path.join(folder, name))

    def _read(self, path):
        try:
            with open(path, "rb") as file:
                about = os.fstat(file.fileno())
                mark = (about.st_ino, about.st_mtime_ns, about.st_size)
                if self._seen.get(path) == mark:
                    return
                encoding = file.read()
        except FileNotFoundError:
            return
        self._seen[path] = mark
        name = os.path.relpath(path, self.folder)
        try:
            self.versions.append(Version(name, encoding, about.st_mtime_ns / 1e9 + TICK_S))
        except (AssertionError, IndexError, KeyError, ValueError) as error:
            self.torn.append(f"{name} was found with {len(encoding)} octets that are no list: {error}")

    def latest(self):
        """{path: the last version}"""
        return {version.path: version for version in self.versions}

    # --- orders

    def revoked(self, serials, since):
        """An order about these was answered at this moment."""
        self.standings += [Standing(serial, since) for serial in serials]

    def taken_back(self, serials, moment):
        """An order that takes them back is about to be sent."""
        for standing in self.standings:
            if standing.serial in serials and standing.until is None:
                standing.until = moment

    # --- OCSP

    def ask(self, issuer, port, serials):
        """Asks about one or another, from now on, until end."""
        self._begin(lambda: self._ask(issuer, port, serials))

    def _ask(self, issuer, port, serials):
        chance = random.Random(len(serials))
        while not self._ended.wait(self.pause_s):
            self.ask_once(issuer, port, chance.choice(serials))

    def ask_once(self, issuer, port, serial):
        """The state, or None where nobody answers."""
        asked = time.time()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("POST", "/ocsp", ocsp.request(issuer.cert_id(serial)),
                               {"Content-Type": "application/ocsp-request"})
            response = ocsp.Response(connection.getresponse().read())
        except (OSError, http.client.HTTPException, IndexError):  # it is being killed, or is not there yet
            return None
        finally:
            connection.close()
        state = response.state if response.status == ocsp.SUCCESSFUL else response.status
        self.sightings.append(Sighting(serial, asked, time.time(), state))
        return state

    # --- life

    def _begin(self, run):
        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def end(self):
        """What stands there now is seen, too."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self.look()
