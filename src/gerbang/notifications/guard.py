"""Where notifications may go. In production only public addresses: a URL from a request must not reach our own network.

The check sits where the socket is made, on the very address about to be connected to. Whatever spelling the URL has
(`127.1`, `2130706433`, `[::ffff:7f00:1]`) and whatever a name resolves to a moment later, it comes down to that address.
"""

import errno
import ipaddress
import socket
from contextvars import ContextVar
from typing import Any

# IANA's special-purpose address registries (RFC 6890 and its updates), kept here because Python's own lists differ between
# versions. True: globally reachable. Of several that hold an address the narrowest counts; "N/A" there is no reachability here.
SPECIAL_PURPOSE = {
    ipaddress.ip_network(network): reachable
    for network, reachable in {
        "0.0.0.0/8": False,  # this network
        "10.0.0.0/8": False,  # private use
        "100.64.0.0/10": False,  # shared address space
        "127.0.0.0/8": False,  # loopback
        "169.254.0.0/16": False,  # link local
        "172.16.0.0/12": False,  # private use
        "192.0.0.0/24": False,  # IETF protocol assignments; some of them:
        "192.0.0.0/29": False,  # IPv4 service continuity
        "192.0.0.8/32": False,  # dummy address
        "192.0.0.9/32": True,  # Port Control Protocol anycast
        "192.0.0.10/32": True,  # TURN anycast
        "192.0.0.170/32": False,  # NAT64/DNS64 discovery
        "192.0.0.171/32": False,
        "192.0.2.0/24": False,  # documentation
        "192.31.196.0/24": True,  # AS112
        "192.52.193.0/24": True,  # AMT
        "192.88.99.0/24": False,  # 6to4 relay anycast, deprecated
        "192.168.0.0/16": False,  # private use
        "192.175.48.0/24": True,  # AS112
        "198.18.0.0/15": False,  # benchmarking
        "198.51.100.0/24": False,  # documentation
        "203.0.113.0/24": False,  # documentation
        "240.0.0.0/4": False,  # reserved
        "255.255.255.255/32": False,  # limited broadcast
        "::/128": False,  # unspecified
        "::1/128": False,  # loopback
        "::ffff:0:0/96": False,  # IPv4-mapped
        "64:ff9b:1::/48": False,  # local translation
        "100::/64": False,  # discard only
        "100:0:0:1::/64": False,  # dummy prefix
        "2001::/23": False,  # IETF protocol assignments; some of them:
        "2001::/32": False,  # Teredo
        "2001:1::1/128": True,  # Port Control Protocol anycast
        "2001:1::2/128": True,  # TURN anycast
        "2001:1::3/128": True,  # DNS-SD service registration anycast
        "2001:2::/48": False,  # benchmarking
        "2001:3::/32": True,  # AMT
        "2001:4:112::/48": True,  # AS112
        "2001:10::/28": False,  # ORCHID, deprecated
        "2001:20::/28": True,  # ORCHIDv2
        "2001:30::/28": True,  # drone remote identification
        "2001:db8::/32": False,  # documentation
        "2002::/16": False,  # 6to4
        "2620:4f:8000::/48": True,  # AS112
        "3fff::/20": False,  # documentation
        "5f00::/16": False,  # segment routing
        "fc00::/7": False,  # unique local
        "fe80::/10": False,  # link local
    }.items()
}
_NARROWEST_FIRST = sorted(SPECIAL_PURPOSE, key=lambda network: -network.prefixlen)
# Of IPv6 only this is given out; of IPv4 everything but multicast and what is above.
_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Public by its number, yet a cloud's control plane answers there to its own machines (Azure).
_CONTROL_PLANES = {"168.63.129.16"}


# Whose delivery is under way: aiohttp does not tell its resolver.
looking_for: ContextVar[str] = ContextVar("looking_for", default="")


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
    if str(ip) in _CONTROL_PLANES:
        return False
    special = next((SPECIAL_PURPOSE[network] for network in _NARROWEST_FIRST if ip in network), None)
    if special is not None:
        return special
    return ip in _UNICAST if ip.version == 6 else not ip.is_multicast


def public_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for an entry of getaddrinfo. Raises ForbiddenAddress before there is anything to connect with."""
    family, kind, proto, _, where = address
    if not is_public(str(where[0])):
        raise ForbiddenAddress(str(where[0]))
    return socket.socket(family, kind, proto)
