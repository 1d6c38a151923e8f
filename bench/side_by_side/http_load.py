#!/usr/bin/env python3
"""Asks an HTTP server everything in a file, over connections that stay open, each with one request under way.

    http_load.py PORT CONNECTIONS REQUESTS ANSWERS [CA]

REQUESTS: whole requests as they are sent, each behind its size in 4 octets; ANSWERS: what came for each, in the same form. With
CA (a PEM file) over TLS. Prints the seconds from the first request to the last answer.
"""
import json
import re
import selectors
import socket
import ssl
import sys
import time

ANSWER_S = 60


def read_all(path):
    with open(path, "rb") as file:
        data, at, found = file.read(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        found.append(data[at + 4:at + 4 + size])
        at += 4 + size
    return found


def write_all(path, items):
    with open(path, "wb") as file:
        for item in items:
            file.write(len(item).to_bytes(4, "big") + item)


def request_of(path, body):
    """A request as it is sent."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def body_of(answer):
    """What is in JSON in an HTTP answer, chunked or not."""
    head, _, body = answer.partition(b"\r\n\r\n")
    whole = b""
    while b"chunked" in head and body:
        size, _, body = body.partition(b"\r\n")
        whole, body = whole + body[:int(size, 16)], body[int(size, 16) + 2:]
    return json.loads(whole or body)


def connect(port, trust):
    made = socket.create_connection(("127.0.0.1", port), ANSWER_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return trust.wrap_socket(made, server_hostname="127.0.0.1") if trust else made


def is_whole(data):
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return False
    size = re.search(rb"(?i)content-length: (\d+)", head)
    return len(body) >= int(size[1]) if size else body.endswith(b"0\r\n\r\n")


def receive(connection):
    data = b""
    while not is_whole(data):
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("the server closed a connection")
        data += more
    return data


def ask_all(connections, requests):
    """The answers, in the order of the requests."""
    answers, waiting, number = [None] * len(requests), selectors.DefaultSelector(), 0
    for connection in connections:
        waiting.register(connection, selectors.EVENT_READ)
    asked = {}
    for connection in connections[:len(requests)]:
        connection.sendall(requests[number])
        asked[connection], number = number, number + 1
    while asked:
        ready = waiting.select(ANSWER_S)
        if not ready:
            raise TimeoutError(f"no answer within {ANSWER_S} s")
        for key, _ in ready:
            answers[asked.pop(key.fileobj)] = receive(key.fileobj)
            if number < len(requests):
                key.fileobj.sendall(requests[number])
                asked[key.fileobj], number = number, number + 1
    return answers


def main():
    port, count, requests_path, answers_path, *ca = sys.argv[1:]
    requests = read_all(requests_path)
    trust = ssl.create_default_context(cafile=ca[0]) if ca else None
    connections = [connect(int(port), trust) for _ in range(int(count))]
    start = time.monotonic()
    answers = ask_all(connections, requests)
    print(time.monotonic() - start)
    write_all(answers_path, answers)


if __name__ == "__main__":
    main()
