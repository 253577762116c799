"""The Client-Id style signature, over bytes as sent. Pure functions; the client library uses them too.

Source: DOKU, signature component (non-SNAP); vectors in tests/vectors/nonsnap-signatures.json.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Literal
from urllib.parse import unquote, urlsplit

PREFIX = "HMACSHA256="
# Some clients misspell it (real clients); accepted on input, never sent.
_ACCEPTED_PREFIXES = (PREFIX, "HMACHSHA256=")

TimestampLine = Literal["Request-Timestamp", "Response-Timestamp"]


def digest(body: bytes) -> str:
    """base64(SHA-256(body)). Never of a re-serialised body: PHP clients escape `/`, others pretty-print."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")


def string_to_sign(
    *,
    client_id: str,
    request_id: str,
    timestamp: str,
    target: str,
    body: bytes | None,
    timestamp_line: TimestampLine = "Request-Timestamp",
) -> str:
    """The signed text: lines joined by LF, none at the end. `body=None` leaves the Digest line out (GET)."""
    lines = f"Client-Id:{client_id}\nRequest-Id:{request_id}\n{timestamp_line}:{timestamp}\nRequest-Target:{target}"
    if body is None:
        return lines
    return f"{lines}\nDigest:{digest(body)}"


def sign(text: str, secret_key: str) -> str:
    """The header value `HMACSHA256=<base64>`. The key is the secret's UTF-8 bytes, not decoded."""
    mac = hmac.digest(secret_key.encode(), text.encode(), "sha256")
    return PREFIX + base64.b64encode(mac).decode("ascii")


def matches(sent: str, text: str, secret_key: str) -> bool:
    """Whether a Signature header value as sent is right for the text; decoded bytes compared in constant time."""
    mac = decode_signature(sent)
    return mac is not None and hmac.compare_digest(mac, hmac.digest(secret_key.encode(), text.encode(), "sha256"))


def decode_signature(sent: str) -> bytes | None:
    """The 32 bytes behind a header value, or None. Missing `=` padding is tolerated (one DOKU sample lacks it)."""
    for prefix in _ACCEPTED_PREFIXES:
        if sent.startswith(prefix):
            value = sent[len(prefix) :].rstrip("=")
            try:
                mac = base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
            except (binascii.Error, ValueError):
                return None
            return mac if len(mac) == 32 else None
    return None


def targets_of(raw_path: str, query: str) -> tuple[str, ...]:
    """The forms of Request-Target a client may have signed: as on the wire, percent-decoded, each with its query.

    [inferred] Clients differ on encoding and on the query string; most send neither, so the first form nearly always fits.
    """
    path = raw_path or "/"
    forms = [path]
    if "%" in path:
        decoded = unquote(path)
        # A decoded line break would add lines to the signed text.
        if "\n" not in decoded:
            forms.append(decoded)
    if query:
        forms += [f"{form}?{query}" for form in forms]
    return tuple(forms)


def check_sum(text: str, secret_key: str) -> str:
    """What proves a body that is signed by itself (OVO push): lower-case hex of the SHA-256 of its text and the secret key."""
    # A lone surrogate is JSON, but no UTF-8.
    return hashlib.sha256((text + secret_key).encode(errors="replace")).hexdigest()


def target_of_url(url: str) -> str:
    """The Request-Target for calling a URL: its path, `/` when empty, with the query when it has one.

    [inferred] The Magento plugin verifies with REQUEST_URI, which has the query.
    """
    parts = urlsplit(url)
    target = parts.path or "/"
    return f"{target}?{parts.query}" if parts.query else target
