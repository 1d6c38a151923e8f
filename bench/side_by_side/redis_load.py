#!/usr/bin/env python3
"""Pushes everything in a file to a Redis as backends do, pipelined, and reads the results meanwhile.

    redis_load.py SOCKET COMMANDS RESULTS-STREAM

COMMANDS: XADD commands as they are sent, each behind its size in 4 octets. Prints the seconds from the first of them to the last
result. Results are counted here by the head of their entry, and looked at by whoever started this.
"""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir, "tests/support"))
# pylint: disable=wrong-import-position
from http_load import read_all
from redis_client import RedisClient, encode

WINDOW, TOGETHER = 4096, 500  # requests that wait at most; in one go
PAUSE_S, ANSWER_S = 0.004, 60
ENTRY = re.compile(rb"\*2\r\n\$\d+\r\n(\d{13}-\d+)\r\n\*\d+\r\n")  # of a stream, as Redis writes it: its number, its fields


class Pipe(RedisClient):
    """Replies are left as they are: reading them field by field would take more time than Redis does."""

    def send_and_read(self, commands):
        """All replies together, as octets."""
        mark = os.urandom(16).hex().encode()
        end = b"$32\r\n" + mark + b"\r\n"
        self.socket.sendall(b"".join(commands) + encode(["ECHO", mark]))
        data = b""
        while not data.endswith(end):
            more = self.socket.recv(1 << 20)
            if not more:
                raise ConnectionError("Redis closed the connection")
            data += more
        return data


def push_all(pipe, commands, stream):
    pushed = answered = 0
    last, heard_s = b"0", time.monotonic()
    while answered < len(commands):
        some = commands[pushed:pushed + min(TOGETHER, WINDOW - (pushed - answered))]
        pushed += len(some)
        numbers = ENTRY.findall(pipe.send_and_read([*some, encode(["XREAD", "COUNT", 2 * TOGETHER, "STREAMS", stream, last])]))
        answered += len(numbers)
        now_s = time.monotonic()
        if numbers:
            last, heard_s = numbers[-1], now_s
        elif now_s - heard_s > ANSWER_S:
            raise TimeoutError(f"no result within {ANSWER_S} s, {len(commands) - answered} are missing")
        if pushed == len(commands) or pushed - answered > WINDOW - TOGETHER:
            time.sleep(PAUSE_S)


def main():
    socket, commands_path, stream = sys.argv[1:]
    commands, pipe = read_all(commands_path), Pipe(socket)
    start = time.monotonic()
    push_all(pipe, commands, stream)
    print(time.monotonic() - start)


if __name__ == "__main__":
    main()
