"""A merchant that listens for notifications, in a process of its own; listener_process.py is that process.

with Listener.start(secrets={client_id: secret_key}) as merchant:
    ...  # have gerbang notify merchant.url("/notify")
    [notification] = merchant.wait_for(1)
    assert notification.signature == "valid"
"""

import base64
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest


@dataclass(frozen=True)
class Answer:
    """What the merchant answers to one call.

    delay_s  wait this long before answering
    hang     never answer; the connection stays open until `release` or `stop`
    """

    status: int = 200
    delay_s: float = 0.0
    hang: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True)
class Received:
    """One call as it came in.

    target     path with query, as in the request line
    headers    names in exactly the case sent, in order, repetitions kept
    at         Unix time in seconds, when the request's head had been read
    signature  what the merchant's own check says; "missing" if a header is, "unknown client" without a secret for it
    answered   the status, None for a call left hanging
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float
    signature: Literal["valid", "wrong", "missing", "unknown client"]
    answered: int | None

    def header(self, name: str) -> str | None:
        """The value of the header with exactly this spelling, as PHP's getallheaders()['Signature'] reads it."""
        return dict(self.headers).get(name)

    def json(self) -> Any:
        return json.loads(self.body)


class Listener:
    """Use `Listener.start`; every method may be called from any thread."""

    def __init__(self, child: "subprocess.Popen[str]", port: int) -> None:
        self._child = child
        self._turn = threading.Lock()
        self.port = port

    @classmethod
    def start(cls, secrets: Mapping[str, str] | None = None, *, port: int = 0) -> "Listener":
        """Listen on 127.0.0.1.

        secrets  client id → secret key, for checking signatures
        port     0 takes a free one; give the old port to come back after `stop`
        """
        # -I: no environment, no site directory of ours, nothing of gerbang within reach.
        child = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("listener_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        listener = cls(child, 0)
        try:
            listener.port = listener._tell({"port": port, "secrets": dict(secrets or {})})["port"]
        except BaseException:
            listener.stop()
            raise
        return listener

    def url(self, path: str = "/") -> str:
        """The address of a path here; a query may follow the path."""
        assert path.startswith("/"), path
        return f"http://127.0.0.1:{self.port}{path}"

    def script(self, answers: Sequence[int | Answer]) -> None:
        """Answer the next calls with these, in order, then 200 for ever. Replaces an earlier script."""
        told = [answer if isinstance(answer, Answer) else Answer(answer) for answer in answers]
        self._tell({"do": "script", "answers": [{**vars(answer), "headers": dict(answer.headers)} for answer in told]})

    def received(self) -> list[Received]:
        """Every call so far, in the order it came in."""
        return self._received({"do": "received"})

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[Received]:
        """Wait until there are `count` calls and return all there are; raises TimeoutError."""
        calls = self._received({"do": "wait_for", "count": count, "timeout_s": timeout_s})
        if len(calls) < count:
            raise TimeoutError(f"{len(calls)} of {count} calls after {timeout_s} s")
        return calls

    def forget(self) -> None:
        """Start counting anew."""
        self._tell({"do": "forget"})

    def release(self) -> None:
        """Close the connections left hanging and answer the delayed calls now."""
        self._tell({"do": "release"})

    def stop(self) -> None:
        """End the process; calls are refused from now on. Stopping twice is fine."""
        with contextlib.suppress(OSError):
            self._child.stdin.close()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _received(self, command: dict[str, Any]) -> list[Received]:
        return [
            Received(
                **{
                    **call,
                    "headers": tuple((name, value) for name, value in call["headers"]),
                    "body": base64.b64decode(call["body"]),
                }
            )
            for call in self._tell(command)["received"]
        ]

    def _tell(self, command: dict[str, Any]) -> dict[str, Any]:
        with self._turn:
            self._child.stdin.write(json.dumps(command) + "\n")
            self._child.stdin.flush()
            answer = self._child.stdout.readline()
        if not answer:
            raise RuntimeError(f"the listener's process ended with status {self._child.wait(5)}")
        return json.loads(answer)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A merchant's receiver that knows no secret keys; tests that check signatures start their own."""
    with Listener.start() as merchant:
        yield merchant
