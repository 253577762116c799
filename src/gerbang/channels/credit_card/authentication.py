"""3-D Secure 2: what each outcome means for liability and for going on (EMV 3DS 2.2, ECI tables of the schemes)."""

import base64
import re
import secrets
import uuid
from enum import StrEnum

from gerbang.channels.credit_card.numbers import Brand

MESSAGE_VERSION = "2.2.0"

AUTHENTICATION_ID = re.compile(r"[0-9a-f]{64}")


class TransStatus(StrEnum):
    """transStatus of EMV 3DS. C is a step on the way, the others are results."""

    AUTHENTICATED = "Y"
    ATTEMPTED = "A"
    NOT_AUTHENTICATED = "N"
    UNAVAILABLE = "U"
    REJECTED = "R"
    CHALLENGE = "C"


_AUTHENTICATED, _ATTEMPTED, _NONE = "05", "06", "07"
# Mastercard counts 02, 01, 00 for what the others call 05, 06, 07.
_MASTERCARD = {_AUTHENTICATED: "02", _ATTEMPTED: "01", _NONE: "00"}


def eci(brand: Brand, trans_status: str | None) -> str:
    """The electronic commerce indicator of an outcome; None: 3-D Secure was not run (non-3DS card, MOTO, RECURRING)."""
    if trans_status == TransStatus.AUTHENTICATED:
        indicator = _AUTHENTICATED
    elif trans_status == TransStatus.ATTEMPTED:
        indicator = _ATTEMPTED
    else:
        indicator = _NONE
    return _MASTERCARD[indicator] if brand is Brand.MASTER else indicator


def flag(trans_status: str | None) -> str:
    """`three_d_secure_status` of the notification: only a cardholder who was really authenticated is "TRUE"."""
    return "TRUE" if trans_status == TransStatus.AUTHENTICATED else "FALSE"


def may_continue(trans_status: str | None, *, allow_unavailable: bool) -> bool:
    """Whether the payment may go on to authorisation. If not it has failed with code DA.

    allow_unavailable  the merchant takes the risk of cards whose bank could not be asked (U)
    """
    if trans_status == TransStatus.UNAVAILABLE:
        return allow_unavailable
    return trans_status in (None, TransStatus.AUTHENTICATED, TransStatus.ATTEMPTED)


def new_authentication_id() -> str:
    """Names one authentication in our API: 64 lowercase hex characters, unguessable."""
    return secrets.token_hex(32)


def new_trans_id() -> str:
    """threeDSServerTransID, acsTransID and dsTransID are UUIDs."""
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


def new_cavv() -> str:
    """The cardholder authentication verification value: 20 bytes, 28 characters of base64."""
    return base64.b64encode(secrets.token_bytes(20)).decode()
