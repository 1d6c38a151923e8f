"""Requests in the background, at a pace, while a test does something else."""
import threading
import time

from backend import Backend


class Load:
    """Pushes requests through a connection of its own."""

    def __init__(self, test_case, requests, per_s):
        self.backend = test_case.backend
        self.client = Backend(test_case.deployment)
        self.requests, self.pause_s = requests, 20 / per_s
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        for at in range(0, len(self.requests), 20):
            self.client.push(self.requests[at:at + 20])
            time.sleep(self.pause_s)
        self.client.client.close()

    def is_running(self):
        return self.thread.is_alive()

    def end(self):
        self.thread.join()
        self.backend.requests += self.requests
