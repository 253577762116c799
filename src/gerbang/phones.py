"""Phone numbers: one form of each, however it is written, and a form that shows no stranger whose it is."""

import re

from gerbang.errors import Reason, Refused

_DROPPED = re.compile(r"[\s\-.()]+")


def normalise_phone(sent: str | int) -> str:
    """The one form of a phone number (decision D-6): `0812…`, `812…`, `62812…`, `+62 812-…`, `0062812…`, `+62 0812…` are `62812…`.

    A number has lost its leading 0 on the way through JSON; the `8` rule restores it.
    Raises Refused(FIELD_INVALID, field="phone") unless 8–16 digits remain, and for a country code that stands there twice.
    """
    if str(sent).lstrip().startswith("-"):
        raise Refused(Reason.FIELD_INVALID, field="phone")  # its minus would be taken for a dash
    text = _DROPPED.sub("", str(sent))
    if not (text.removeprefix("+").isdigit() and text.isascii()):
        raise Refused(Reason.FIELD_INVALID, field="phone")
    text = text.removeprefix("+").removeprefix("00")
    if text.startswith("0"):
        text = "62" + text[1:]
    elif text.startswith("620"):
        text = "62" + text[3:]
    elif text.startswith("8"):
        text = "62" + text
    # 62 62 8xx…, or 0 62 8xx…: too long for a landline of the area codes 062x.
    doubled = text.startswith("6262") and len(text) >= 13
    if doubled or text.startswith(("0", "620")) or not 8 <= len(text) <= 16:
        raise Refused(Reason.FIELD_INVALID, field="phone")
    return text


def is_phone(sent: str | int) -> bool:
    """Whether this is a phone number in any written form."""
    try:
        normalise_phone(sent)
    except Refused:
        return False
    return True


def mask_phone(phone: str) -> str:
    """`6281234567890` → `0812 •••• 7890`: enough to recognise one's own, not enough to learn another's."""
    local = "0" + phone[2:] if phone.startswith("62") else phone
    shown = max(0, min(4, len(local) - 7))  # at least three digits stay hidden, of a short number, too
    return f"{local[:4]} •••• {local[len(local) - shown :]}".rstrip()
