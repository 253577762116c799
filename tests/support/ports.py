"""A port to listen on."""

import socket


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on now. Prefer port 0 where the listener can tell which one it got."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
