"""Jenius Pay on the wire, names verbatim. Source: DOKU Jenius Pay guide. Amounts are text here, in both directions."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gerbang.protocols.names import NO_CARD_NUMBER, Phone
from gerbang.providers.wire import AdditionalInfo, InvoiceNumber, Price, Quantity, Url

# With the sen that some clients write, as everywhere.
AmountText = Annotated[
    str,
    Meta(
        pattern=r"^[1-9][0-9]{0,11}(\.0{1,2})?$",
        description="Whole rupiah as text, the sum of the line items; a number is taken too.",
    ),
]


class LineItem(msgspec.Struct):
    """One thing bought."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    price: Price
    quantity: Quantity


class Order(msgspec.Struct):
    """The order. The guide wants its number to be the Request-Id too: enforced for merchants that are strict about Request-Ids."""

    invoice_number: InvoiceNumber
    amount: AmountText
    line_items: list[LineItem]


class Customer(msgspec.Struct):
    """Who buys; in the guide's sample only."""

    name: Annotated[str, Meta(max_length=255, pattern=NO_CARD_NUMBER)] | None = None
    email: Annotated[str, Meta(max_length=255)] | None = None
    phone: Phone | None = None


class JeniusInfo(msgspec.Struct):
    """Whom Jenius shall ask."""

    cash_tag: Annotated[str, Meta(min_length=1, max_length=64, description="The buyer's $Cashtag. Mandatory: our guess.")]


class PaymentRequest(msgspec.Struct):
    """POST /jenius-digital-banking/v2/ServiceRequestPayment."""

    order: Order
    jenius_info: JeniusInfo
    customer: Customer | None = None
    redirect_url: Annotated[Url, Meta(description="Where the buyer goes afterwards.")] | None = None
    additional_info: AdditionalInfo | None = None


class OrderInText(msgspec.Struct):
    """The order as received, its amount text."""

    invoice_number: str
    amount: str


class InternetBankingPayment(msgspec.Struct):
    """SUCCESS: the request is in the buyer's app, and not that it is paid. FAILED: Jenius does not want it. [inferred]"""

    status: str


class PaymentResponse(msgspec.Struct, omit_defaults=True):
    """The request is on its way; whether it was paid is told by the notification."""

    order: OrderInText
    internet_banking_payment: InternetBankingPayment
    additional_info: dict[str, Any] | None = None
