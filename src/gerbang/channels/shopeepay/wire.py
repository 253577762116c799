"""ShopeePay on the wire, names verbatim. Source: DOKU ShopeePay guide; the answer is that of a client's typed model."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gerbang.providers.wire import AdditionalInfo, Amount, InvoiceNumber, OrderEcho, Url


class Order(msgspec.Struct):
    """The order. The last two are in the guide's sample and in the PHP library, in no table."""

    invoice_number: InvoiceNumber
    amount: Amount
    callback_url: Annotated[Url, Meta(description="Where the buyer goes afterwards; absent: the Payment Return URL.")] | None = (
        None
    )
    # The sample says 300 and names no unit; minutes, as everywhere else. [inferred]
    expired_time: Annotated[int, Meta(ge=1, le=99_999, description="Minutes, default 60.")] | None = None


class OrderRequest(msgspec.Struct):
    """POST /shopeepay-emoney/v2/order."""

    order: Order
    additional_info: AdditionalInfo | None = None


class Configuration(msgspec.Struct):
    """The merchant and its shop at ShopeePay."""

    merchant_ext_id: str
    store_ext_id: str


class ShopeepayPayment(msgspec.Struct):
    """PENDING and the address that opens the app; FAILED and nowhere, when ShopeePay does not want the order. [inferred]"""

    redirect_url_http: str
    status: str


class OrderResponse(msgspec.Struct, omit_defaults=True):
    """Where to send the buyer."""

    order: OrderEcho
    shopeepay_configuration: Configuration
    shopeepay_payment: ShopeepayPayment
    additional_info: dict[str, Any] | None = None
