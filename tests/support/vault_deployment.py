"""Deployments whose keys are in a vault (keyvault.py): what init is told, a second vault beside the first, and a way to one that can be cut."""
import os
import socket
import threading

import case
from keyvault import CLIENT_ID, RESOURCE, Keyvault

SECRET = "nobody-is-told-d41d8cd98f"


class Way:
    """A TCP port that leads to the vault; cut() ends every connection and refuses new ones until open()."""

    def __init__(self, vault):
        self.vault_port, self.port = vault.port, 0
        self.listener, self.sockets = None, set()
        self.lock = threading.Lock()
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def cut(self):
        with self.lock:
            ended, self.listener = self.listener, None
            sockets, self.sockets = self.sockets, set()
        ended.shutdown(socket.SHUT_RDWR)
        ended.close()
        for each in sockets:
            self._end(each)

    @staticmethod
    def _end(each):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended by itself
            pass

    def _accept(self, listener):
        while True:
            try:
                ours = listener.accept()[0]
                theirs = socket.create_connection(("127.0.0.1", self.vault_port))
            except OSError:  # cut, or the vault is gone
                return
            with self.lock:
                if self.listener is not listener:
                    ours.close()
                    theirs.close()
                    return
                self.sockets |= {ours, theirs}
            for pair in ((ours, theirs), (theirs, ours)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        self._end(source)
        self._end(target)
        with self.lock:
            self.sockets -= {source, target}


class VaultDeploymentCase(case.Case):
    def start_vault(self, *options):
        vault = Keyvault("--client-secret", SECRET, *options)
        self.addCleanup(vault.stop)
        self.secret = os.path.join(vault.folder, "secret")
        with open(self.secret, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(SECRET)
        return vault

    def flags(self, vault):
        """How a command line describes it."""
        return ["--client", CLIENT_ID, "--client-secret", "file:" + self.secret, "--trust", vault.certificate,
                "--resource", RESOURCE, "--authority", vault.url]

    def deploy_in_vault(self, name, count, vault, url=None, lines=(), **options):
        """As Case.deploy. lines: more of the settings' map `keyvault`."""
        words = ["--provider", "keyvault", "--vault", url or vault.url, *self.flags(vault)]
        requests = self.deploy(name, count, init=words, **options)
        more = "".join(f"\n      {line}" for line in lines)
        self.deployment.edit(r"(?m)^      resource: .*$", r"\g<0>" + more)
        return requests

    def add_vault(self, vault, url=None, lines=()):
        """Provider west, with a second issuing key."""
        more = "".join(f"\n      {line}" for line in lines)
        self.deployment.edit(
            r"(?m)^# Who signs\.$", f"  - name: west\n    kind: keyvault\n    passphrase: file:{self.secret}\n    keyvault:\n"
            f"      credential: client-secret\n      client: {CLIENT_ID}\n      trust: {vault.certificate}\n"
            f"      resource: {RESOURCE}\n      authority: {vault.url}{more}\n\n\\g<0>")
        self.deployment.run("ca", "create", "issuing", "--beside", "--provider", "west", "--key",
                            (url or vault.url) + "/keys/west")

    def doctor(self):
        """What it finds wrong."""
        done = self.deployment.run("doctor", check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stdout.decode()
