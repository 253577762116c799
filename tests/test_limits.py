"""What one connection may cost: requests that never end are ended, and connections that say nothing make place."""

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from support.gateway import RunningGateway, lent_gateway

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /dokuwallet-emoney/v1/payment HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(
        max_head_bytes=8_192, request_head_timeout_s=0.5, request_body_timeout_s=0.8, max_connections=20, max_body_bytes=65_536
    ) as one:
        yield one


@contextlib.contextmanager
def connection(running: RunningGateway) -> Iterator[socket.socket]:
    where = urlsplit(running.url)
    with socket.create_connection((where.hostname, where.port), timeout=5) as one:
        yield one


def answer(one: socket.socket) -> bytes:
    """Everything until the end; nothing when it was cut off."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while more := one.recv(65_536):
            said += more
    return said


def pour(one: socket.socket, first: bytes, more: bytes, times: int) -> int:
    """How many bytes were taken before the other side had enough."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        one.sendall(first)
        for _ in range(times):
            one.sendall(more)
            sent += len(more)
            time.sleep(0.001)
    return sent


@pytest.mark.parametrize(
    ("first", "more", "status"),
    [
        (b"GET /", b"a" * 1_000, b"414"),
        (HEAD + b"X-Long: ", b"a" * 1_000, b"431"),
        (HEAD, b"X-Many: " + b"a" * 500 + b"\r\n", b"431"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX-Trailer: ", b"a" * 1_000, b"431"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-T: " + b"a" * 500 + b"\r\n", b"431"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a=b;" * 250, b"431"),
    ],
)  # fmt: skip
def test_what_never_ends_is_ended_early(running: RunningGateway, first: bytes, more: bytes, status: bytes) -> None:
    with connection(running) as one:
        taken = pour(one, first, more, 2_000)
        said = answer(one)

    assert taken < 1_000_000
    assert said[9:12] == status or said == b"", said[:100]


def test_a_head_that_is_too_large_is_refused_in_words(running: RunningGateway) -> None:
    for line, status in ((b"X-Long: " + b"a" * 8_192, 431), (b"", 414)):
        with connection(running) as one:
            path = b"/" + b"a" * (9_000 if status == 414 else 1)
            one.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + line + (b"\r\n" if line else b"") + b"\r\n")
            said = answer(one)
        assert said.startswith(b"HTTP/1.1 %d " % status), said[:80]
        assert b'{"message":"' in said


def test_what_is_within_the_limits_is_answered(running: RunningGateway) -> None:
    body = b'{"a":"' + b"a" * 40_000 + b'"}'
    head = POST + b"X-Long: " + b"a" * 7_000 + b"\r\n"
    with connection(running) as one:
        one.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert one.recv(65_536).startswith(b"HTTP/1.1 400 ")
        pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[at : at + 7] for at in range(0, len(body), 7)))
        one.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\nX-Trailer: fine\r\n\r\n")
        assert one.recv(65_536).startswith(b"HTTP/1.1 400 ")
        one.sendall(HEAD + b"\r\n" + HEAD + b"\r\n")
        said = one.recv(65_536)
        while said.count(b"200 OK") < 2:
            said += one.recv(65_536)


@pytest.mark.parametrize(
    ("half", "status"),
    [(b"", b""), (b"GET /hea", b"408"), (HEAD, b"408"), (POST + b"Content-Length: 10\r\n\r\n{", b"408"), (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"408")],
)  # fmt: skip
def test_half_a_request_does_not_stay(running: RunningGateway, half: bytes, status: bytes) -> None:
    began = time.monotonic()
    with connection(running) as one:
        one.sendall(half)
        said = answer(one)

    assert said[9:12] == status
    assert time.monotonic() - began < 4


def test_a_request_in_slow_pieces_that_comes_in_time_is_answered(running: RunningGateway) -> None:
    with connection(running) as one:
        for piece in (HEAD[:10], HEAD[10:], b"\r\n"):
            one.sendall(piece)
            time.sleep(0.1)
        assert one.recv(1_000).startswith(b"HTTP/1.1 200 ")


def test_connections_that_say_nothing_make_place_for_who_does(running: RunningGateway) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connection(running)) for _ in range(60)]
        where = urlsplit(running.url)
        for _ in range(5):
            asks = http.client.HTTPConnection(where.hostname or "", where.port, timeout=5)
            asks.request("GET", "/healthz")
            assert asks.getresponse().status == 200
            asks.close()
        assert len(silent) == 60
