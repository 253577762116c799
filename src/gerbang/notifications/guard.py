"""Where notifications may go. In production only public addresses: a URL from a request must not reach our own network.

The check sits where the socket is made, on the very address about to be connected to. Whatever spelling the URL has
(`127.1`, `2130706433`, `[::ffff:7f00:1]`) and whatever a name resolves to a moment later, it comes down to that address.
"""

import errno
import ipaddress
import socket
from typing import Any

_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Public by its number, yet a cloud's control plane answers there to its own machines (Azure).
_CONTROL_PLANES = {"168.63.129.16"}


class ForbiddenAddress(OSError):
    """The address is not one of the public internet."""

    def __init__(self, address: str) -> None:
        # aiohttp shows `strerror` only.
        super().__init__(errno.EACCES, f"{address} is not a public address")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also behind IPv6 forms that carry an IPv4 address."""
    try:
        ip = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        carried = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            carried = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if carried is not None:
            return is_public(str(carried))
        # Python calls some unassigned and old local ranges global (`::7f00:1`, `fec0::`); only this one is in use.
        if ip not in _UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and str(ip) not in _CONTROL_PLANES


def public_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for an entry of getaddrinfo. Raises ForbiddenAddress before there is anything to connect with."""
    family, kind, proto, _, where = address
    if not is_public(str(where[0])):
        raise ForbiddenAddress(str(where[0]))
    return socket.socket(family, kind, proto)
