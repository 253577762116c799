"""One HTTP exchange with the gateway. Every call opens its own connection, so clients are safe to share between threads."""

import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from gerbang.client.errors import DokuUnreachable

_MAX_ANSWER_BYTES = 4 * 1024 * 1024  # a thousand times the largest documented answer


class Host:
    """Where the API lives. `prefix` is the base URL's path: part of what is called, and so of what is signed."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"base_url must look like https://host, optionally with a port and a path: {base_url!r}")
        self.prefix = parts.path.rstrip("/")
        self._host = parts.hostname
        self._port = parts.port
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._timeout_s = timeout_s

    def exchange(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], *, request_id: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer. Raises DokuUnreachable when no whole answer arrives."""
        connection = self._connection()
        try:
            connection.request(method, target, body=body, headers=dict(headers))
            response = connection.getresponse()
            answered = response.read(_MAX_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as problem:
            raise DokuUnreachable(f"{method} {self._host}: {problem!r}", request_id=request_id) from problem
        finally:
            connection.close()
        if len(answered) > _MAX_ANSWER_BYTES:
            raise DokuUnreachable(f"{method} {self._host}: the answer is too large", request_id=request_id)
        if response.length:
            # http.client is silent about it: the connection ended in the middle of the body.
            raise DokuUnreachable(f"{method} {self._host}: the answer broke off", request_id=request_id)
        return response.status, dict(response.headers.items()), answered

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)
