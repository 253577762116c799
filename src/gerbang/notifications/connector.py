"""The connections that deliveries use: aiohttp's, fitted to what merchants' servers do. Imported with the first delivery."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from gerbang.notifications.guard import looking_for, public_socket

# Longer than this, and a merchant's server may close the connection just as the next notification goes out on it; that would
# count as a failure and cost half an hour. 2 s is the shortest keep-alive among common servers' defaults (gunicorn).
_KEEP_ALIVE_S = 1.0
_LOOK_UPS = 128
_MERCHANT_LOOK_UPS = 24  # most of one merchant
_LOOK_UP_S = 5.0


class _StatusFirst(ResponseHandler):
    """Takes in an answer's head before what follows it.

    The status counts whatever comes after, but aiohttp loses it when the same packet goes on with what is not HTTP: a 204 with
    a body, or more bytes than Content-Length says.
    """

    def data_received(self, data: bytes) -> None:
        head, gap, rest = data.partition(b"\r\n\r\n")
        super().data_received(head + gap)
        if rest:
            super().data_received(rest)


class _OwnThreads(AbstractResolver):
    """Names are looked up on threads of their own: a merchant's dead name server keeps neither PINs nor others' names waiting."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="gerbang-names")
        self._turns: dict[str, asyncio.Semaphore] = {}  # merchant → threads that are left, until a look-up really ends

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
        turn = self._turns.setdefault(looking_for.get(), asyncio.Semaphore(_MERCHANT_LOOK_UPS))
        await turn.acquire()
        asked = loop.run_in_executor(self._threads, ask)
        asked.add_done_callback(lambda _done: turn.release())
        found = await asyncio.wait_for(asyncio.shield(asked), _LOOK_UP_S)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=str(where[0]), port=int(where[1]), family=kind, proto=proto, flags=flags)
            for kind, _, proto, _, where in found
            if kind == socket.AF_INET or (kind == socket.AF_INET6 and len(where) > 2)
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def connector(*, public_only: bool, limit: int) -> aiohttp.TCPConnector:
    """The connector of one session."""
    made = aiohttp.TCPConnector(
        limit=limit,
        keepalive_timeout=_KEEP_ALIVE_S,
        ttl_dns_cache=30,
        resolver=_OwnThreads(),
        socket_factory=public_socket if public_only else None,
    )
    made._resolver_owner = True  # closed with it
    made._factory = partial(_StatusFirst, loop=asyncio.get_running_loop())  # type: ignore[assignment] # a subclass
    return made
