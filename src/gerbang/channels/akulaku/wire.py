"""Akulaku on the wire, names verbatim.

Source: DOKU Akulaku guide for the order; DOKU's own collection of calls for cancel and refund; a client's model for the answer.
What the last two calls answer is printed nowhere. [inferred]
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gerbang.protocols.names import PersonName, Phone
from gerbang.providers.wire import AdditionalInfo, Amount, Identifier, InvoiceNumber, OrderEcho, Price, Quantity, Text, Url


class LineItem(msgspec.Struct):
    """One thing bought."""

    name: Text
    price: Price
    quantity: Quantity
    sku: Text
    category: Text


class Order(msgspec.Struct):
    """The order."""

    invoice_number: InvoiceNumber
    amount: Amount
    line_items: list[LineItem]
    callback_url: Annotated[Url, Meta(description="Where the buyer goes afterwards.")] | None = None


class OrderReference(msgspec.Struct):
    """The merchant's own reference, beside its invoice number."""

    merchant_unique_reference: Text


class Customer(msgspec.Struct):
    """Who buys, whole: Akulaku lends to a person at an address."""

    id: Text
    name: PersonName
    phone: Phone
    address: Text
    postcode: Annotated[str, Meta(min_length=1, max_length=16)]
    state: Text
    city: Text


class OrderRequest(msgspec.Struct):
    """POST /akulaku-peer-to-peer/v2/generate-order."""

    order: Order
    payment: OrderReference
    customer: Customer
    additional_info: AdditionalInfo | None = None


class OrderPayment(msgspec.Struct, omit_defaults=True):
    """PENDING and where to send the buyer; FAILED and nowhere, when Akulaku does not want the order."""

    status: str
    url: str
    merchant_unique_reference: str
    identifier: list[Identifier] | None = None


class OrderResponse(msgspec.Struct, omit_defaults=True):
    """Where to send the buyer. [inferred]"""

    order: OrderEcho
    payment: OrderPayment
    additional_info: dict[str, Any] | None = None


class NamedOrder(msgspec.Struct):
    """Which order."""

    invoice_number: InvoiceNumber


class NamedPayment(msgspec.Struct):
    """The order's other names, as the first answer gave them: all three have to be one order's."""

    merchant_unique_reference: Text
    identifier: list[Identifier]


class CancelRequest(msgspec.Struct):
    """POST /akulaku-peer-to-peer/v2/cancel."""

    order: NamedOrder
    payment: NamedPayment


class EndedPayment(msgspec.Struct):
    """How the order ended: CANCELLED, or FAILED or EXPIRED before this call."""

    status: str
    merchant_unique_reference: str
    identifier: list[Identifier]


class CancelResponse(msgspec.Struct):
    """The order cannot be paid any more. [inferred]"""

    order: OrderEcho
    payment: EndedPayment


class RefundReference(msgspec.Struct):
    """The merchant's own reference of the refund. No document names an amount: it is all that is left."""

    merchant_unique_reference: Text


class RefundRequest(msgspec.Struct):
    """POST /akulaku-peer-to-peer/v2/refund."""

    order: NamedOrder
    payment: NamedPayment
    refund: RefundReference


class Refunded(msgspec.Struct):
    """SUCCESS: the money went back. FAILED: Akulaku cannot give it back, and it is the merchant's as before."""

    merchant_unique_reference: str
    amount: int
    status: str


class RefundResponse(msgspec.Struct):
    """What became of the refund. [inferred]"""

    order: OrderEcho
    payment: NamedPayment
    refund: Refunded
