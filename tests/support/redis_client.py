"""A small Redis client for tests: RESP2 over a Unix socket, pipelines, binary safe."""
import socket


class RedisError(Exception):
    """An error reply."""


class RedisClient:
    """One connection. Replies: bytes, int, None, list; an error reply raises RedisError."""

    def __init__(self, path, timeout_s=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def call(self, *words):
        return self.pipeline([words])[0]

    def pipeline(self, commands):
        """Sends all commands at once; returns their replies."""
        self.socket.sendall(b"".join(encode(words) for words in commands))
        replies = [self._read() for _ in commands]
        for reply in replies:
            if isinstance(reply, RedisError):
                raise reply
        return replies

    def _line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        return line[:-2]

    def _read(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self._text(int(rest))
        if kind == b"*":
            return None if rest == b"-1" else [self._read() for _ in range(int(rest))]
        raise ConnectionError(f"not RESP: {line!r}")

    def _text(self, size):
        if size < 0:
            return None
        text = self.file.read(size + 2)
        if len(text) != size + 2:
            raise ConnectionError("Redis closed the connection")
        return text[:-2]


def to_bytes(word):
    return word if isinstance(word, bytes) else str(word).encode()


def encode(words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = to_bytes(word)
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)
