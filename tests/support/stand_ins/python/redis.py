"""Stands in for redis-py where it is not installed: the few calls of docs/reference/examples/submit.py."""
from redis_client import RedisClient, to_bytes


class Redis:
    def __init__(self, path):
        self.client = RedisClient(path, timeout_s=40)
        self.commands = []

    @classmethod
    def from_url(cls, url):
        return cls(url.removeprefix("unix://"))

    def pipeline(self, transaction):
        assert not transaction
        return self

    def xrevrange(self, stream, count):
        return self.client.call("XREVRANGE", stream, "+", "-", "COUNT", count)

    def xadd(self, stream, fields):
        self.commands.append(["XADD", stream, "*", *(to_bytes(word) for pair in fields.items() for word in pair)])

    def execute(self):
        return self.client.pipeline(self.commands)

    def xread(self, streams, count, block):
        words = [word for pair in streams.items() for word in pair]
        found = self.client.call("XREAD", "COUNT", count, "BLOCK", block, "STREAMS", *words) or []
        return [(stream, [(entry, dict(zip(fields[::2], fields[1::2]))) for entry, fields in entries])
                for stream, entries in found]
