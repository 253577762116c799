"""What a caller may cost: the size of a head, the time a request takes to arrive, the number of connections; and a stop loses nothing."""

import asyncio
import contextlib
import http.client
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from gerbang.endpoint import Endpoint, HttpReply, HttpRequest
from gerbang.protocols.snap.guard import Guard, Outcome
from gerbang.serving import Server, affordable_connections, bind, make_server
from gerbang.settings import load_settings
from gerbang.web.asgi import read_body
from support.notifying import eventually

pytestmark = pytest.mark.slow


class Echo:
    """Answers the number of headers and the size of the body it was sent; `/slow` waits until `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.answered = 0
        self.begun = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                await send({"type": f"{(await receive())['type']}.complete"})
            return
        body = await read_body(receive, 10_000_000)
        if body is None:
            return
        self.begun += 1
        while scope["path"] == "/slow" and not self.go.is_set():
            await asyncio.sleep(0.005)
        said = f"{len(scope['headers'])} {len(body)}".encode()
        self.answered += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(said)).encode())]})
        await send({"type": "http.response.body", "body": said})


class Served:
    """A server with these settings, in a thread."""

    def __init__(self, **given: Any) -> None:
        self.app = Echo()
        self.listening = bind("127.0.0.1", 0)
        self.port: int = self.listening.getsockname()[1]
        self.server: Server = make_server(self.app, load_settings(env={}, given=given))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        eventually(lambda: self.server.started)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.server.serve(sockets=[self.listening]))

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def say(self, *parts: bytes) -> bytes:
        """All that is answered to these bytes, however much of them could be said."""
        with self.connect() as one:
            with contextlib.suppress(OSError):
                for part in parts:
                    one.sendall(part)
            return heard(one)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()


def heard(one: socket.socket) -> bytes:
    """Until the other side ends. A reset raises."""
    said = b""
    while piece := one.recv(65_536):
        said += piece
    return said


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.fixture
def serving() -> Iterator[Callable[..., Served]]:
    with contextlib.ExitStack() as open_ones:

        def serve(**given: Any) -> Served:
            served = Served(**given)
            open_ones.callback(served.stop)
            return served

        yield serve


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
MUCH = [b"a" * 65_536] * 64
TOO_MUCH = {
    "a header that does not end": (431, [HEAD, b"X-A: ", *MUCH]),
    "headers that do not end": (431, [HEAD, *[b"X-A: b\r\n" * 8_192] * 64]),
    "a header's name that does not end": (431, [HEAD, *MUCH]),
    "a URL that does not end": (414, [b"GET /", *MUCH]),
    "a head too large that ends": (431, [HEAD + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n"]),
    "many headers that end": (431, [HEAD + b"X-A: b\r\n" * 8_000 + b"\r\n"]),
    "a URL too long that ends": (414, [b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"]),
    "a trailer that does not end": (431, [CHUNKED, b"1\r\nx\r\n0\r\nX-A: ", *MUCH]),
    "trailers that do not end": (431, [CHUNKED, b"1\r\nx\r\n0\r\n", *[b"X-A: b\r\n" * 8_192] * 64]),
    "the size of a piece that does not end": (431, [CHUNKED, b"1;a=", *MUCH]),
    "the second of two sent at once": (431, [HEAD + b"\r\n" + HEAD + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n"]),
}


def test_what_is_too_large_is_refused_before_it_is_kept(serving: Callable[..., Served]):
    served = serving()

    for name, (status, parts) in TOO_MUCH.items():
        answer = served.say(*parts)
        assert f"HTTP/1.1 {status} ".encode() in answer, (name, answer)
        assert answer.count(b"HTTP/1.1 200") == (name == "the second of two sent at once"), name

    fitting = HEAD + b"Connection: close\r\nX-A: " + b"a" * 30_000 + b"\r\n\r\n"
    assert served.say(fitting).endswith(b"3 0")


def test_a_large_body_is_no_large_head_and_trailers_are_no_headers(serving: Callable[..., Served]):
    served = serving(max_head_bytes=1024)
    close = b"Host: x\r\nConnection: close\r\n"

    assert served.say(b"POST / HTTP/1.1\r\n" + close + b"Content-Length: 4194304\r\n\r\n", *MUCH).endswith(b"3 4194304")
    pieces = [b"10000\r\n" + one + b"\r\n" for one in MUCH]
    sent = [b"POST / HTTP/1.1\r\n" + close + b"Transfer-Encoding: chunked\r\n\r\n", *pieces, b"0\r\nClient-Id: BRN-X\r\n\r\n"]
    assert served.say(*sent).endswith(b"3 4194304")


def test_an_answer_that_is_due_comes_before_the_refusal_of_what_follows(serving: Callable[..., Served]):
    served = serving()
    with served.connect() as one:
        one.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: served.app.begun == 1)
        with contextlib.suppress(OSError):
            one.sendall(HEAD + b"X-A: " + b"a" * 60_000)
        served.app.go.set()

        assert heard(one).endswith(b"1 0")


def test_what_does_not_arrive_in_time_is_refused(serving: Callable[..., Served]):
    served = serving(arrival_timeout_s=0.4)
    half = {
        "nothing": (0, b""),
        "half a line": (408, b"GET /"),
        "half a head": (408, HEAD),
        "half a body": (408, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"),
        "half a body in pieces": (408, CHUNKED + b"3\r\nabc\r\n"),
    }
    for name, (status, said) in half.items():
        assert status_of(served.say(said)) == status, name
    assert served.app.begun == 0


def test_a_trickle_is_not_in_time_and_a_slow_answer_is(serving: Callable[..., Served]):
    served = serving(arrival_timeout_s=0.4)
    with served.connect() as trickling, served.connect() as waiting:
        waiting.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        trickling.sendall(HEAD)
        trickling.settimeout(0.05)
        answer = b""
        deadline = time.monotonic() + 5
        while not answer and time.monotonic() < deadline:
            trickling.sendall(b"X-A: b\r\n")
            with contextlib.suppress(TimeoutError):
                answer = trickling.recv(65_536)
        assert status_of(answer) == 408
        time.sleep(0.5)  # a time-out of the answering, if there were one, would have come by now
        served.app.go.set()
        assert heard(waiting).endswith(b"2 0")


def test_an_answer_that_nobody_fetches_is_let_go_and_one_that_is_fetched_slowly_is_not():
    class Wire(asyncio.Transport):
        unsent, aborted = 1_000, False

        def get_write_buffer_size(self) -> int:
            return self.unsent

        def is_closing(self) -> bool:
            return True

        def abort(self) -> None:
            self.aborted = True

    async def look_at(fetched: int) -> bool:
        server, wire = make_server(Echo(), load_settings(env={}, given={"arrival_timeout_s": 20})), Wire()
        server.config.load()
        connection = server.config.http_protocol_class(config=server.config, server_state=server.server_state, app_state={})
        connection.connection_made(wire)
        began = asyncio.get_running_loop().time()
        for second in range(60):
            wire.unsent -= fetched
            connection.look(began + second)
        return wire.aborted

    assert asyncio.run(look_at(fetched=0))
    assert not asyncio.run(look_at(fetched=1))


def test_silent_connections_give_way_to_those_who_come(serving: Callable[..., Served]):
    served = serving(max_connections=32)
    with contextlib.ExitStack() as held:
        busy = held.enter_context(served.connect())
        busy.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        eventually(lambda: served.app.begun == 1)
        for n in range(200):
            one = held.enter_context(served.connect())
            if n % 2:
                one.sendall(HEAD)

        for _ in range(50):
            assert served.say(HEAD + b"Connection: close\r\n\r\n").endswith(b"2 0")

        served.app.go.set()
        assert heard(busy).endswith(b"2 0")


def test_who_holds_most_silent_connections_gives_way_first(serving: Callable[..., Served]):
    served = serving(max_connections=32)

    def from_address(address: str) -> socket.socket:
        return socket.create_connection(("127.0.0.1", served.port), timeout=10, source_address=(address, 0))

    with contextlib.ExitStack() as held:
        honest = held.enter_context(from_address("127.0.0.2"))
        for _ in range(200):
            held.enter_context(from_address("127.0.0.3"))
        assert served.say(HEAD + b"Connection: close\r\n\r\n").endswith(b"2 0")

        honest.sendall(HEAD + b"Connection: close\r\n\r\n")
        assert heard(honest).endswith(b"2 0")


def test_when_all_are_being_answered_one_more_is_told_so(serving: Callable[..., Served]):
    served = serving(max_connections=16)
    with contextlib.ExitStack() as held:
        for _ in range(16):
            held.enter_context(served.connect()).sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: served.app.begun == 16)

        assert status_of(served.say(b"")) == 503
        served.app.go.set()


def test_connections_fit_into_the_file_descriptors(monkeypatch: pytest.MonkeyPatch):
    limits = [1024, 1024]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.__setitem__(0, wanted[0]))

    connections, backlog = affordable_connections(2_000)
    assert connections + backlog < 1024 - 200
    limits[1] = 1_000_000
    assert affordable_connections(2_000) == (2_000, 2_048)
    assert limits[0] > 2 * 2_000


def test_a_stop_answers_what_was_sent(serving: Callable[..., Served]):
    """64 connections that ask again and again: each either has its answer, or was never heard."""
    served = serving()
    cut: list[str] = []
    ended = threading.Barrier(65)

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        try:
            while True:
                if connection.sock is None:
                    try:
                        connection.connect()
                    except OSError:
                        return  # refused: nothing was said
                connection.request("POST", "/", b"{}")
                connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            cut.append(repr(error))
        finally:
            connection.close()
            ended.wait(30)

    for _ in range(64):
        threading.Thread(target=ask, daemon=True).start()
    eventually(lambda: served.app.answered > 500)
    served.stop()
    ended.wait(30)

    assert cut == []


def test_a_stop_takes_in_who_has_knocked(serving: Callable[..., Served]):
    """Connections that wait to be accepted, with their requests sent, while the server is busy with something else."""
    served = serving()
    request = HEAD + b"\r\n"
    with contextlib.ExitStack() as held:
        idle = held.enter_context(served.connect())
        idle.sendall(request)
        assert idle.recv(65_536).endswith(b"1 0")
        pair = held.enter_context(served.connect())
        pair.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + request)
        eventually(lambda: served.app.begun == 2)
        served.server.should_exit = True
        # It notices within a tenth of a second; by then these have come.
        late = [held.enter_context(served.connect()) for _ in range(20)]
        for one in [idle, *late]:
            one.sendall(request)
        served.app.go.set()

        for one in [idle, *late]:
            said = heard(one)
            assert said.endswith(b"1 0"), said
        assert heard(pair).count(b"HTTP/1.1 200") == 2


def test_a_snap_call_that_the_stop_cuts_short_is_told_so():
    """The non-SNAP guard does the same. Nobody is left without an answer, and the same call again goes on."""

    class Hanging(Guard):
        async def answer(self, endpoint: Endpoint, request: HttpRequest, path_value: str) -> Outcome:
            await asyncio.Event().wait()
            raise AssertionError

    endpoint = Endpoint(
        method="POST", path="/x", summary="", action=lambda *_: {}, response=Struct, family="snap", service_code="54"
    )

    async def cut_short() -> HttpReply:
        call = asyncio.create_task(Hanging().handle(endpoint, HttpRequest("POST", "/x", "", {}, b"", ""), ""))
        await asyncio.sleep(0)
        call.cancel()
        return await call

    reply = asyncio.run(cut_short())

    assert (reply.status, json.loads(reply.body)["responseCode"]) == (500, "5005400")
