"""Contoh Pay on the wire, names verbatim."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gerbang.protocols.names import Phone
from gerbang.providers.wire import AdditionalInfo, Amount, InvoiceNumber, OrderEcho, Url


class Order(msgspec.Struct):
    """The order."""

    invoice_number: InvoiceNumber
    amount: Amount
    callback_url: Annotated[Url, Meta(description="Where the buyer goes afterwards, paid or not.")]
    expired_time: Annotated[int, Meta(ge=1, le=1_440, description="Minutes, default 15.")] | None = None


class Customer(msgspec.Struct):
    """Who buys."""

    phone: Phone


class PaymentRequest(msgspec.Struct):
    """POST /contoh-emoney/v1/payment."""

    order: Order
    customer: Customer
    additional_info: AdditionalInfo | None = None


class ContohPayment(msgspec.Struct):
    """Where the app opens."""

    status: str
    url: str
    reference_number: str


class PaymentResponse(msgspec.Struct, omit_defaults=True):
    """Where to send the buyer."""

    order: OrderEcho
    contoh_payment: ContohPayment
    additional_info: dict[str, Any] | None = None
