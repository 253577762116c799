"""A PostgreSQL of one test's own, which may be stopped, frozen and started again without anybody else noticing."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from support import postgres_server


class OwnPostgres:
    """A running server."""

    def __init__(self, session_dir: Path) -> None:
        self._dir = session_dir
        self._user = postgres_server.unprivileged_user()
        self._server = postgres_server.start(session_dir, self._user)
        postgres_server.wait_until_ready(session_dir, self._server)
        self.url = f"postgresql://postgres@/postgres?host={session_dir / 'socket'}"

    def stop(self) -> None:
        self.thaw()
        postgres_server.stop(self._server)

    def start(self) -> None:
        self._server = subprocess.Popen(
            self._server.args,
            cwd=self._dir / "data",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **postgres_server.identity(self._user),
        )
        postgres_server.wait_until_ready(self._dir, self._server)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """To the server and the processes it made, one for each connection; the server first, so that it makes no more."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._server.pid, number)
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        for pid, parent in (map(int, line.split()) for line in listed.splitlines()):
            if parent == self._server.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)


@contextlib.contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """A fresh server for the length of the block."""
    directory = Path(tempfile.mkdtemp(prefix="gerbang-out-", dir="/tmp")).resolve()
    server = OwnPostgres(directory)
    try:
        yield server
    finally:
        server.stop()
        postgres_server.remove(directory)
        shutil.rmtree(directory, ignore_errors=True)
