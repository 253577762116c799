"""The connections that deliveries use: aiohttp's, fitted to what merchants' servers do. Imported with the first delivery."""

import asyncio
from functools import partial

import aiohttp
from aiohttp.client_proto import ResponseHandler

from gerbang.notifications.guard import public_socket

# Longer than this, and a merchant's server may close the connection just as the next notification goes out on it; that would
# count as a failure and cost half an hour. 2 s is the shortest keep-alive among common servers' defaults (gunicorn).
_KEEP_ALIVE_S = 1.0


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


def connector(*, public_only: bool, limit: int) -> aiohttp.TCPConnector:
    """The connector of one session."""
    made = aiohttp.TCPConnector(
        limit=limit,
        keepalive_timeout=_KEEP_ALIVE_S,
        ttl_dns_cache=30,
        socket_factory=public_socket if public_only else None,
    )
    made._factory = partial(_StatusFirst, loop=asyncio.get_running_loop())  # type: ignore[assignment] # a subclass
    return made
