"""What counts as an address, wherever one is taken: from merchants, the control API, the command line and the settings."""

import ipaddress
import re
import socket
from functools import lru_cache
from urllib.parse import urlsplit

LONGEST_URL = 2_048

# What a name and a port may be. Of the rest, urlsplit would forget what stands beside the brackets of an IPv6 number.
_PLACE = re.compile(r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<name>[^\[\]:]*))(?::\d*)?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*", re.ASCII | re.IGNORECASE)


def is_absolute_url(url: str) -> bool:
    """Whether this is an absolute http or https URL that can be called. A name and password in it are sent as Basic authorization."""
    return not any(char in url for char in ' <>"\\') and leads_to_a_host(url)


@lru_cache(1_024)  # a shop sends the same few addresses all day
def leads_to_a_host(url: str) -> bool:
    """The same for a field whose document names the characters it may have, blanks and backslashes among them."""
    if not url.isprintable() or len(url) > LONGEST_URL:
        return False
    try:
        parts = urlsplit(url)
        place = _PLACE.fullmatch(parts.netloc.rpartition("@")[2])
        if place is None or parts.scheme not in ("http", "https") or parts.port == 0:
            return False
        return _is_host(place["name"]) if place["ipv6"] is None else ipaddress.IPv6Address(place["ipv6"]).scope_id is None
    except ValueError:  # UnicodeError, AddressValueError and a port beyond 65535 among them
        return False


def is_base_url(url: str) -> bool:
    """Whether it is one with nothing behind the host."""
    if not is_absolute_url(url):
        return False
    parts = urlsplit(url)
    return not (parts.path.strip("/") or parts.query or parts.fragment)


def _is_host(name: str) -> bool:
    """Whether this can be looked up: labels of 1 to 63 letters, digits and dashes (RFC 1123; `_` is in use), or an IPv4 number in
    any of its forms.
    """
    # What is not ASCII is looked up in its encoded form. Raises UnicodeError.
    encoded = (name if name.isascii() else name.encode("idna").decode()).removesuffix(".")
    labels = encoded.split(".")
    if len(encoded) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    return not _NUMBER.fullmatch(labels[-1]) or _is_ipv4(encoded)


def _is_ipv4(text: str) -> bool:
    try:
        socket.inet_aton(text)
    except OSError:
        return False
    return True
