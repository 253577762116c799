"""Who is signed in on a payment page: a signed token in a hidden field, bound to one payment, valid for minutes.

No cookie, because hosted pages also live in other sites' frames, where browsers drop cookies (decision 0004).
"""

import base64
import binascii
import hmac
from datetime import datetime, timedelta

from gerbang.clock import to_ms


def issue(key: bytes, *, payment_id: str, account_id: str, now: datetime, minutes: int) -> str:
    """A token saying that this account's PIN was right on this payment's page."""
    text = f"{payment_id}|{account_id}|{to_ms(now + timedelta(minutes=minutes))}"
    return base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256") + text.encode()).decode("ascii")


def read(key: bytes, token: str, *, payment_id: str, now: datetime) -> str | None:
    """The account id, or None when the token is forged, for another payment, or too old."""
    try:
        raw = base64.b64decode(token.encode("ascii", "replace"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, text = raw[:32], raw[32:]
    if not hmac.compare_digest(mac, hmac.digest(key, text, "sha256")):
        return None
    for_payment, account_id, until = text.decode().split("|")
    if for_payment != payment_id or int(until) < to_ms(now):
        return None
    return account_id
