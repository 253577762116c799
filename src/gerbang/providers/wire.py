"""What the requests and answers of channels with a provider outside have in common on the wire, names verbatim.

A room's own `wire.py` has what its document adds. Source: DOKU's guides of the channels; the same tables stand in each.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

Url = Annotated[str, Meta(max_length=2048, extra_json_schema={"format": "uri"})]
InvoiceNumber = Annotated[str, Meta(min_length=1, max_length=64, description="Unique per request.")]
Amount = Annotated[int, Meta(ge=1, le=999_999_999_999, description="Whole rupiah; a numeric string is taken too.")]
Price = Annotated[int, Meta(ge=0, le=999_999_999_999, description="Of one piece, whole rupiah.")]
Quantity = Annotated[int, Meta(ge=1, le=9_999)]
Text = Annotated[str, Meta(min_length=1, max_length=255)]


class AdditionalInfo(msgspec.Struct):
    """Extras; whatever else stands here is echoed."""

    override_notification_url: Annotated[Url, Meta(description="Used instead of every other notification URL.")] | None = None


class OrderEcho(msgspec.Struct):
    """The order as received; the amount an integer."""

    invoice_number: str
    amount: int


class Identifier(msgspec.Struct):
    """An id of the acquiring side."""

    name: str
    value: str


def override_of(info: AdditionalInfo | None) -> str | None:
    """The notification URL of this one order, if it names one."""
    return info.override_notification_url if info else None
