"""Convenience stores on the wire, names verbatim: what both chains have in common.

Source: DOKU's guides of Alfa Group and Indomaret; the answer's names as DOKU's Magento plugin reads them, the rest of it by
the pattern of virtual accounts. [inferred]
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gerbang.protocols.names import PersonName
from gerbang.providers.wire import AdditionalInfo, Amount, InvoiceNumber, Text

PaymentCode = Annotated[
    str, Meta(min_length=1, max_length=18, pattern=r"^[0-9]+$", description="Digits that the buyer reads out at the till.")
]


class StoreOrder(msgspec.Struct):
    """The order."""

    invoice_number: InvoiceNumber
    amount: Amount


class OnlineToOfflineInfo(msgspec.Struct):
    """The code. Clients write the line for the till `info` or `info1`."""

    reusable_status: Annotated[
        bool, Meta(description="Whether the code can be paid again and again until it expires; true, false, or these as text.")
    ]
    expired_time: Annotated[int, Meta(ge=1, le=99_999_999, description="Minutes, default 60.")] | None = None
    info: Annotated[Text, Meta(description="Shown at the till.")] | None = None
    info1: Annotated[Text, Meta(description="The same, as a plugin sends it.")] | None = None


class StoreCustomer(msgspec.Struct):
    """Who buys."""

    name: PersonName
    email: Annotated[str, Meta(max_length=255)] | None = None


class ReceiptText(msgspec.Struct):
    """What the till prints besides."""

    footer_message: Text | None = None


class AlfaInfo(msgspec.Struct):
    """Named after one chain, sent to both."""

    receipt: ReceiptText | None = None


class PaymentCodeRequest(msgspec.Struct):
    """POST …/v2/payment-code."""

    order: StoreOrder
    online_to_offline_info: OnlineToOfflineInfo
    customer: StoreCustomer
    alfa_info: AlfaInfo | None = None
    additional_info: AdditionalInfo | None = None


class InvoiceEcho(msgspec.Struct):
    """The order as received."""

    invoice_number: str


class OnlineToOfflineAnswer(msgspec.Struct):
    """The code, and where a buyer reads how to pay it: a page, and the same as JSON. Dates are WIB, their `_utc` twins UTC."""

    payment_code: str
    how_to_pay_page: str
    how_to_pay_api: str
    created_date: str
    expired_date: str
    created_date_utc: str
    expired_date_utc: str


class PaymentCodeResponse(msgspec.Struct, omit_defaults=True):
    """What the buyer takes to the shop."""

    order: InvoiceEcho
    online_to_offline_info: OnlineToOfflineAnswer
    additional_info: dict[str, Any] | None = None


class Instructions(msgspec.Struct):
    """The steps at one place in one language."""

    channel: str
    step: list[str]
    language: str


class HowToPay(msgspec.Struct):
    """GET how_to_pay_api, unsigned: what shop plugins show beside the code. The elements' shape is [inferred]."""

    payment_instruction: list[Instructions]
