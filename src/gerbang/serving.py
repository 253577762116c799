"""Listening: a bound socket and a uvicorn server over one gateway."""

import asyncio
import contextlib
import gc
import logging
import socket

import uvicorn
from starlette.types import ASGIApp

from gerbang.connections import Connection, Door, connection_class
from gerbang.settings import Settings

log = logging.getLogger(__name__)

_KEEP_ALIVE_S = 30
# Descriptors for everything else: the database, notifications on their way, files.
_OTHER_DESCRIPTORS = 256
_BACKLOG = 2_048
_LAST_WORDS_S = 0.5


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.set_inheritable(True)
    return listening


def make_server(asgi: ASGIApp, settings: Settings | None = None) -> "Server":
    """A server that keeps out of logging's way: this program sets logging up itself."""
    settings = settings or Settings()
    connections, backlog = affordable_connections(settings.max_connections)
    door = Door(
        most=connections,
        max_head_bytes=settings.max_head_bytes,
        arrival_timeout_s=settings.arrival_timeout_s,
        keep_alive_s=_KEEP_ALIVE_S,
    )
    return Server(
        uvicorn.Config(
            asgi,
            http=connection_class(door),
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            log_level=max(logging.WARNING, getattr(logging, settings.log_level.upper())),
            server_header=False,
            proxy_headers=False,  # behind a proxy, public_url says how buyers reach us
            timeout_graceful_shutdown=5,
            timeout_keep_alive=_KEEP_ALIVE_S,
            backlog=backlog,
        ),
        door,
    )


class Server(uvicorn.Server):
    """uvicorn's, and when it stops it answers what was sent to it."""

    def __init__(self, config: uvicorn.Config, door: Door) -> None:
        super().__init__(config)
        self._door = door

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take who has knocked, then nobody; answer what is on its way, each connection's last answer saying so."""
        self._door.is_closing = True
        await self._take_last(sockets or [])
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LAST_WORDS_S
        # A connection at rest may have a request under way to it, and one whose answer goes out is told by that answer.
        for connection in self._door.inside:
            connection.announce_close()
        while self._door.inside and loop.time() < deadline:
            await asyncio.sleep(0.01)
        await super().shutdown(sockets)

    async def _take_last(self, sockets: list[socket.socket]) -> None:
        """Close the door behind the last one: closing it on those who wait before it would reset what they have said."""
        knocked = []
        for listening in sockets:
            listening.setblocking(False)
            with contextlib.suppress(OSError):
                while True:
                    knocked.append(listening.accept()[0])
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for one in knocked:
            with contextlib.suppress(OSError):
                await loop.connect_accepted_socket(self._connection, one)

    def _connection(self) -> Connection:
        made = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        assert isinstance(made, Connection)
        return made


def affordable_connections(wanted: int) -> tuple[int, int]:
    """How many connections this process may have, and how many may wait at the door, by its file descriptors.

    Asks the system for more of them, up to what it allows.
    """
    try:
        import resource
    except ImportError:  # Windows
        return wanted, _BACKLOG
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _OTHER_DESCRIPTORS + 2 * wanted + _BACKLOG
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted, _BACKLOG
    share = max(16, (soft - _OTHER_DESCRIPTORS) // 4)
    connections = min(wanted, 2 * share)
    if connections < wanted:
        log.warning("%s file descriptors allow %s connections, not %s; see: ulimit -n", soft, connections, wanted)
    return connections, min(_BACKLOG, share)


def calm_garbage_collection() -> None:
    """Once everything is loaded: leave it out of every later collection, and collect less often.

    A request leaves almost nothing behind that reference counting does not free, so the collector mostly looks through
    objects that live as long as the process. Worth about a tenth of the create rate. For a process that only serves.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
