"""Kredivo on the wire, names verbatim.

Source: DOKU Kredivo guide for the order and its line items; a client in use and DOKU's table of what Checkout needs for Kredivo for
customer and address; DOKU's Indodana guide for the rest. [inferred]
"""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from gerbang.protocols.names import PersonName, Phone
from gerbang.providers.paylater import Address, PeerToPeerInfo
from gerbang.providers.wire import AdditionalInfo, Amount, InvoiceNumber, Quantity, Text, Url


class LineItem(msgspec.Struct):
    """One thing bought."""

    name: Text
    price: Annotated[Decimal, Meta(description="Rupiah, up to two decimals, as a number or as text.")]
    quantity: Quantity
    id: Annotated[str, Meta(min_length=1, max_length=64, description="SKU.")]
    type: Annotated[str, Meta(min_length=1, max_length=128, description="Category of the item, e.g. ELECTRONIC.")]
    url: Annotated[Url, Meta(description="The item's page in the shop.")]


class Order(msgspec.Struct):
    """The order."""

    invoice_number: InvoiceNumber
    line_items: list[LineItem]
    amount: Amount
    callback_url: Annotated[Url, Meta(description="Where the buyer goes afterwards.")] | None = None
    callback_url_cancel: Annotated[Url, Meta(description="Where the buyer goes when the order was cancelled.")] | None = None


class Customer(msgspec.Struct):
    """Who buys. [inferred]"""

    first_name: PersonName
    email: Annotated[str, Meta(min_length=1, max_length=128)]
    phone: Phone
    last_name: PersonName | None = None


class OrderRequest(msgspec.Struct):
    """POST /kredivo-peer-to-peer/v2/generate-order. Kredivo wants the whole shipping address, and no client sends a billing address."""

    order: Order
    peer_to_peer_info: PeerToPeerInfo
    customer: Customer
    shipping_address: Address
    billing_address: Address | None = None
    additional_info: AdditionalInfo | None = None
