"""What can go wrong, one class for each thing a shop does differently about it."""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Any failure of this client; catch it when the difference does not matter."""


class DokuError(ClientError):
    """The gateway answered, and the answer is no (or is not an answer of the API at all).

    code        machine-readable, such as `invalid_signature` or `INVALID_PARAMETER`; None where the API gives none
    request_id  what to quote when asking for help
    raw         the body as decoded, {} when it was not a JSON object
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int,
        code: str | None = None,
        type: str | None = None,
        request_id: str | None = None,
        raw: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"HTTP {http_status} {code}: {message}" if code else f"HTTP {http_status}: {message}")
        self.http_status = http_status
        self.code = code
        self.message = message
        self.type = type
        self.request_id = request_id
        self.raw: dict[str, Any] = dict(raw or {})


class DokuUnreachable(ClientError):
    """No whole answer arrived. The payment may or may not exist: repeat with the same request id, or ask for its status."""

    def __init__(self, message: str, *, request_id: str) -> None:
        super().__init__(message)
        self.request_id = request_id


class SignatureMismatch(ClientError):
    """A signature is absent or wrong: whatever the message says, it is not known who said it."""


class NotificationUnreadable(ClientError):
    """The signature is right, but the body lacks what every notification has (invoice number, amount, status)."""
