"""Listening: a bound socket and a uvicorn server over one gateway."""

import ctypes
import gc
import logging
import socket
import sys

import uvicorn
from starlette.types import ASGIApp


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError:
        listening.close()
        raise
    listening.set_inheritable(True)
    return listening


def make_server(asgi: ASGIApp, *, log_level: str = "info") -> uvicorn.Server:
    """A server that keeps out of logging's way: this program sets logging up itself."""
    return uvicorn.Server(
        uvicorn.Config(
            asgi,
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            log_level=max(logging.WARNING, getattr(logging, log_level.upper())),
            server_header=False,
            proxy_headers=False,  # behind a proxy, public_url says how buyers reach us
            timeout_graceful_shutdown=5,
            timeout_keep_alive=30,
        )
    )


def forbid_core_dumps() -> None:
    """What this process has in memory (card numbers, PINs, keys) is never written to a disk when it crashes."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # A dump that the kernel hands to a program (systemd-coredump, apport) asks for no limit.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


_PR_SET_DUMPABLE = 4


def calm_garbage_collection() -> None:
    """Once everything is loaded: leave it out of every later collection, and collect less often.

    A request leaves almost nothing behind that reference counting does not free, so the collector mostly looks through
    objects that live as long as the process. Worth about a tenth of the create rate. For a process that only serves.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
