"""`gerbang serve` in a process of its own, to be killed at any moment."""

import http.client
import os
import subprocess
import sys
from pathlib import Path

from gerbang.storage import Database, open_database
from support.gateway import RunningGateway
from support.notifying import eventually
from support.ports import free_port
from support.slow_bank import PAUSES


class Server(RunningGateway):
    """On the same port and the same data each time. Not started yet when it is made.

    settings  as texts
    pauses    the directory in which a test says where slow counterparties stay (support/slow_bank.py, support/slow_cards.py)
    """

    def __init__(self, data: str, directory: Path, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = data
        self.log = directory / "server.log"
        self.pauses = directory / "pauses"
        self.pauses.mkdir()
        self._command = [sys.executable, "-m", "gerbang", "serve", "--data", data, "--port", str(self.port)]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]),
            PAUSES: str(self.pauses),
            **{f"GERBANG_{name.upper()}": value for name, value in settings.items()},
        }
        self._child: subprocess.Popen[bytes] | None = None
        self._opened: Database | None = None

    @property
    def database(self) -> Database:
        """A second process's look at the data."""
        if self._opened is None:
            self._opened = open_database(self.data, connections=4)
        return self._opened

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._environment)
        eventually(self._answers, timeout_s=60)

    def _answers(self) -> bool:
        assert self._child is not None
        assert self._child.poll() is None, self.log.read_text()[-3_000:]
        try:
            return self.request("GET", "/healthz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def kill(self) -> None:
        """What a power cut leaves of a process."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def end(self) -> None:
        """A polite end."""
        assert self._child is not None
        self._child.terminate()
        assert self._child.wait(20) == 0, self.log.read_text()[-3_000:]
        self._child = None

    def stop(self) -> None:
        """The test is over."""
        self.kill()
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def hold(self, point: str) -> None:
        """From now on whoever comes to this point stays there."""
        (self.pauses / point).touch()

    def await_held(self, points: list[str]) -> None:
        def missing() -> list[str]:
            return [point for point in points if not (self.pauses / f"at:{point}").exists()]

        try:
            eventually(lambda: not missing(), timeout_s=30)
        except AssertionError:
            raise AssertionError(f"never came there: {missing()}") from None

    def release(self) -> None:
        """What is started from now on stays nowhere."""
        for pause in self.pauses.iterdir():
            pause.unlink()
