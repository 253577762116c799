"""LinkAja on the wire, names verbatim. Source: DOKU LinkAja API guide (S4-08 … S4-27)."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gerbang.protocols.names import NO_CARD_NUMBER, Phone
from gerbang.providers.wire import AdditionalInfo, Amount, Identifier, OrderEcho, Price, Quantity, Url


class LineItem(msgspec.Struct):
    """One thing bought. The guide's own sample does not add up to the amount: nothing is summed (decision D-13)."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    price: Price
    quantity: Quantity


class Order(msgspec.Struct):
    """The order."""

    invoice_number: Annotated[str, Meta(min_length=1, max_length=64, description="May be sent again while unpaid (D-9).")]
    amount: Amount
    callback_url: Annotated[Url, Meta(description="Where the buyer goes afterwards, paid or not.")]
    line_items: Annotated[list[LineItem], Meta(description="Typed string in the guide's table, an array in its sample.")]


class Customer(msgspec.Struct):
    """Who buys. The phone is typed number in the table and a string in the sample (decision D-6)."""

    name: Annotated[str, Meta(max_length=255, pattern=NO_CARD_NUMBER)] | None = None
    email: Annotated[str, Meta(max_length=255)] | None = None
    phone: Phone | None = None


class PaymentRequest(msgspec.Struct):
    """POST /linkaja-emoney/v2/ServiceRequestPayment."""

    order: Order
    customer: Customer | None = None
    additional_info: AdditionalInfo | None = None


class Configuration(msgspec.Struct):
    """The merchant at LinkAja, up to 15 letters and digits."""

    identifier: str


class EmoneyPayment(msgspec.Struct):
    """A form the buyer's browser has to post. The guide names the text `parameter`, a client reads the list: both (D-18)."""

    redirect_method_http: str
    redirect_url_http: str
    redirect_parameter: list[Identifier]
    parameter: str
    status: str


class PaymentResponse(msgspec.Struct, omit_defaults=True):
    """Where to send the buyer, and how."""

    order: OrderEcho
    emoney_configuration: Configuration
    emoney_payment: EmoneyPayment
    additional_info: dict[str, Any] | None = None
