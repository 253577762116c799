"""Where notifications may go. In production only public addresses: a URL from a request must not reach our own network."""

import ipaddress
import socket
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver


class ForbiddenAddress(OSError):
    """The host is, or resolves to, an address that is not public."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also behind IPv6 forms that carry an IPv4 address."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        carried = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if carried is not None:
            return is_public(str(carried))
    return ip.is_global and not ip.is_multicast


class PublicResolver(AbstractResolver):
    """Resolves names and refuses every answer that is not public. It sits in the connector, so that the address checked is
    the address connected to, whatever the name says a moment later."""

    def __init__(self) -> None:
        self._inner = DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        public = [result for result in found if is_public(result["host"])]
        if not public:
            raise ForbiddenAddress(f"{host} does not resolve to a public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


def check_literal(host: str | None) -> None:
    """Refuse an IP address written into the URL itself, which no resolver sees. Raises ForbiddenAddress."""
    try:
        ipaddress.ip_address((host or "").strip("[]"))
    except ValueError:
        return
    if not is_public((host or "").strip("[]")):
        raise ForbiddenAddress(f"{host} is not a public address")


def connector(*, public_only: bool, limit: int) -> Any:
    """The aiohttp connector that deliveries use."""
    import aiohttp

    return aiohttp.TCPConnector(limit=limit, resolver=PublicResolver() if public_only else None, ttl_dns_cache=30)
