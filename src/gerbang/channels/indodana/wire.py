"""Indodana on the wire, names verbatim. Source: DOKU Indodana API guide (S3-09 … S3-51)."""

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from gerbang.protocols.names import NO_CARD_NUMBER, Phone
from gerbang.providers.paylater import Address, PeerToPeerInfo
from gerbang.providers.wire import AdditionalInfo, InvoiceNumber

# The guide's expression lost its repetition in printing; these are the characters it names (S3-20).
# A blank and a backslash are among them.
CallbackUrl = Annotated[
    str,
    Meta(
        max_length=2048,
        pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[A-Za-z0-9][A-Za-z0-9()\-=\\.?;,+/:&_ %#]*$",
        extra_json_schema={"format": "uri"},
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=16, pattern=NO_CARD_NUMBER)]

# What the guide lists; its own sample uses another word, so these only earn a warning on the order (S3-15, S3-16).
CATEGORIES = frozenset(
    [
        "airlines",
        "arts-crafts-and-collectibles",
        "automotive",
        "baby",
        "beauty-and-fragrances",
        "biller",
        "books-and-magazines",
        "business-to-business-including-mlm",
        "charity-and-non-profit",
        "clothing",
        "community",
        "digital-content",
        "electronics-and-telecom",
        "entertainment-and-media",
        "fee",
        "financial-services-and-products",
        "financial-services-and-technology",
        "food-and-beverage",
        "food-retail-and-service",
        "games-voucher",
        "gifts-and-flowers",
        "government",
        "health-and-personal-care",
        "home-and-garden",
        "hotel-and-travel",
        "insurance",
        "marketplace",
        "nonprofit",
        "offline-store",
        "others",
        "over-the-air",
        "overseas",
        "pets-and-animals",
        "property",
        "public-services",
        "religion-and-spirituality",
        "retail",
        "services",
        "sports-and-outdoors",
        "telco",
        "ticketing",
        "toys-and-hobbies",
        "transportation",
        "travel",
        "vehicle-sales",
        "vehicles-service-and-accessories",
    ]
)


class LineItem(msgspec.Struct):
    """One thing bought."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    price: Annotated[Decimal, Meta(description="Rupiah, up to 16 digits and two decimals, as a number or as text.")]
    quantity: Annotated[int, Meta(ge=1, le=99_999_999)]
    id: Annotated[str, Meta(min_length=1, max_length=64, description="SKU.")]
    category: Annotated[str, Meta(min_length=1, max_length=128, description="One of the guide's list; others when nothing fits.")]
    url: Annotated[str, Meta(max_length=256)] | None = None
    image_url: Annotated[str, Meta(max_length=256)] | None = None
    type: Annotated[str, Meta(max_length=128)] | None = None


class Order(msgspec.Struct):
    """The order."""

    invoice_number: InvoiceNumber
    line_items: list[LineItem]
    amount: Annotated[int, Meta(ge=1, le=9_999_999_999_999_999, description="Whole rupiah, the sum of the line items.")]
    callback_url_cancel: Annotated[CallbackUrl, Meta(description="Where the buyer goes when the order was cancelled.")]
    callback_url: Annotated[CallbackUrl, Meta(description="Where the buyer goes afterwards.")] | None = None


class Customer(msgspec.Struct):
    """Who buys. The table allows an e-mail 16 characters, the sample has 17: 128 here (S3-26)."""

    first_name: Name
    email: Annotated[str, Meta(min_length=1, max_length=128)]
    phone: Phone
    last_name: Name | None = None


class OrderRequest(msgspec.Struct):
    """POST /indodana-peer-to-peer/v2/generate-order."""

    order: Order
    peer_to_peer_info: PeerToPeerInfo
    customer: Customer
    billing_address: Address
    shipping_address: Address | None = None
    additional_info: AdditionalInfo | None = None
