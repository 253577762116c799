"""The four headers and the order in which they are checked (observed live: one at a time, in this order)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gerbang.merchants import Merchant
from gerbang.protocols.nonsnap import errors
from gerbang.protocols.nonsnap.errors import Rejected
from gerbang.protocols.nonsnap.signature import matches, string_to_sign

NAMES = ("Client-Id", "Request-Id", "Request-Timestamp", "Signature")
# Some clients send milliseconds; the text as sent is what is signed.
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


@dataclass(frozen=True, slots=True)
class SignedHeaders:
    """The four headers as sent."""

    client_id: str
    request_id: str
    timestamp: str
    signature: str


def read_headers(headers: Mapping[str, str]) -> SignedHeaders:
    """Raise Rejected for the first that is missing, or for a Request-Id that is none."""
    values = []
    for name in NAMES:
        value = headers.get(name.lower(), "").strip()
        if not value:
            raise Rejected(errors.MISSING_HEADER, name=name)
        values.append(value)
    sent = SignedHeaders(*values)
    if len(sent.request_id) > 128 or not (sent.request_id.isascii() and sent.request_id.isprintable()):
        raise Rejected(errors.MALFORMED_HEADER, name="Request-Id")
    return sent


def check_timestamp(sent: str, *, real: datetime, window_s: int) -> None:
    """Raise Rejected unless it is UTC ISO 8601 and near the machine's real clock (decision D-11). A window of 0: no check."""
    if _TIMESTAMP.fullmatch(sent) is None:
        raise Rejected(errors.MALFORMED_HEADER, name="Request-Timestamp")
    try:
        moment = datetime.fromisoformat(sent[:19]).replace(tzinfo=UTC)
    except ValueError:
        raise Rejected(errors.MALFORMED_HEADER, name="Request-Timestamp") from None
    if window_s and abs((moment - real).total_seconds()) > window_s:
        raise Rejected(errors.TIME_OUT_OF_RANGE, window=window_s)


def is_genuine(
    sent: SignedHeaders, merchant: Merchant, *, targets: tuple[str, ...], body: bytes | None, digestless: bool = False
) -> bool:
    """Whether the Signature is right for one of the target forms.

    digestless  also accept the form without the Digest line (decision D-12)
    """
    bodies: tuple[bytes | None, ...] = (body, None) if digestless and body is not None else (body,)
    return any(
        matches(
            sent.signature,
            string_to_sign(
                client_id=sent.client_id,
                request_id=sent.request_id,
                timestamp=sent.timestamp,
                target=target,
                body=signed_body,
            ),
            merchant.secret_key,
        )
        for signed_body in bodies
        for target in targets
    )
