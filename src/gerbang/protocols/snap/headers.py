"""The headers of a SNAP call and of a token request, and their checks (snap-common §5, §6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gerbang.protocols.snap import errors
from gerbang.protocols.snap.errors import Rejected
from gerbang.protocols.snap.times import parse_time

NAMES = ("X-TIMESTAMP", "X-SIGNATURE", "X-PARTNER-ID", "X-EXTERNAL-ID")
TOKEN_NAMES = ("X-CLIENT-KEY", "X-TIMESTAMP", "X-SIGNATURE")


@dataclass(frozen=True, slots=True)
class CallHeaders:
    """The headers of a call as sent, without blanks around."""

    timestamp: str
    signature: str
    partner_id: str
    external_id: str


@dataclass(frozen=True, slots=True)
class TokenHeaders:
    """The headers of a token request."""

    client_key: str
    timestamp: str
    signature: str


def _mandatory(headers: Mapping[str, str], names: tuple[str, ...]) -> list[str]:
    values = []
    for name in names:
        value = headers.get(name.lower(), "").strip()
        if not value:
            raise Rejected(errors.MISSING_HEADER, field=name)
        values.append(value)
    return values


def read_headers(headers: Mapping[str, str]) -> CallHeaders:
    """Raise Rejected for the first that is missing."""
    return CallHeaders(*_mandatory(headers, NAMES))


def read_token_headers(headers: Mapping[str, str]) -> TokenHeaders:
    """The same for a token request."""
    return TokenHeaders(*_mandatory(headers, TOKEN_NAMES))


def check_timestamp(sent: str, *, real: datetime, window_s: int) -> None:
    """Raise Rejected unless it is a time near the machine's real clock (decision D-11). A window of 0: no check."""
    try:
        moment = parse_time(sent)
    except ValueError:
        raise Rejected(errors.MALFORMED_HEADER, field="X-TIMESTAMP") from None
    if window_s and abs((moment - real).total_seconds()) > window_s:
        raise Rejected(errors.MALFORMED_HEADER, field="X-TIMESTAMP")


def check_external_id(sent: str) -> None:
    """Raise Rejected unless it is 1 to 128 visible ASCII characters: many clients send no number."""
    if len(sent) > 128 or not all("!" <= char <= "~" for char in sent):
        raise Rejected(errors.MALFORMED_HEADER, field="X-EXTERNAL-ID")


def bearer(headers: Mapping[str, str], name: str) -> str:
    """The token of an Authorization header, with or without its scheme in any letter case; empty when there is none."""
    value = headers.get(name, "").strip()
    scheme, _, token = value.partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return value
