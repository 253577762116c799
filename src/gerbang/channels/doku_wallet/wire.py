"""DOKU e-Wallet on the wire, names verbatim. Source: DOKU e-Wallet API guide (S0-07 … S0-32)."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Url = Annotated[str, Meta(max_length=2048, extra_json_schema={"format": "uri"})]


class LineItem(msgspec.Struct):
    """One thing bought. All three are mandatory once line_items is sent."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    price: Annotated[int, Meta(ge=0, le=999_999_999_999, description="Whole rupiah.")]
    quantity: Annotated[int, Meta(ge=1, le=9_999)]


class Order(msgspec.Struct):
    """The order. The guide prints the four keys at the end without `order.`; clients put them here (decision D-17)."""

    invoice_number: Annotated[str, Meta(min_length=1, max_length=64, description="Unique per request.")]
    amount: Annotated[int, Meta(ge=1, le=999_999_999_999, description="Whole rupiah, equal to the sum of the line items.")]
    line_items: list[LineItem] | None = None
    success_url: Annotated[Url, Meta(description="Where the buyer goes after paying.")] | None = None
    failed_url: Annotated[Url, Meta(description="Where the buyer goes otherwise; absent: success_url.")] | None = None
    notify_url: Annotated[Url, Meta(description="Notified when the payment ends; absent: the configured URL.")] | None = None
    auto_redirect: Annotated[bool, Meta(description="Skip the result page. Default false; text is accepted.")] | None = None


class AdditionalInfo(msgspec.Struct):
    """Extras; whatever else stands here is echoed."""

    override_notification_url: Annotated[Url, Meta(description="Used instead of every other notification URL.")] | None = None


class PaymentRequest(msgspec.Struct):
    """POST /dokuwallet-emoney/v1/payment."""

    order: Order
    success_url: Url | None = None
    failed_url: Url | None = None
    notify_url: Url | None = None
    auto_redirect: bool | None = None
    additional_info: AdditionalInfo | None = None


class OrderEcho(msgspec.Struct, omit_defaults=True):
    """The order as received; line_items only when sent."""

    invoice_number: str
    amount: int
    line_items: list[dict[str, Any]] | None = None


class Page(msgspec.Struct):
    """Where to send the buyer."""

    url: str


class PaymentResponse(msgspec.Struct, omit_defaults=True):
    """The guide's table says doku_wallet_payment_page.url, its prose payment.url: both, the same (S0-30, S0-31)."""

    order: OrderEcho
    doku_wallet_payment_page: Page
    payment: Page
    additional_info: dict[str, Any] | None = None
