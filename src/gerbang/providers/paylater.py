"""What lenders have in common: the page where a buyer signs, `peer_to_peer_info`, addresses."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gerbang.clock import iso_z, wib_digits
from gerbang.endpoint import Call
from gerbang.payments import Order, Payment
from gerbang.protocols.names import PersonName, Phone
from gerbang.protocols.nonsnap.notification import STATUS_WORD
from gerbang.providers.opening import Answer
from gerbang.providers.party import Plan
from gerbang.providers.questions import Asked, Begun, TurnedDown
from gerbang.providers.wire import Identifier, OrderEcho, Text

# What the pretend lenders offer; invented.
PLANS = (Plan(1, 200), Plan(3, 400), Plan(6, 700), Plan(12, 1400))


class PaymentPage(msgspec.Struct):
    """PENDING and where to send the buyer; FAILED and nowhere, when the lender does not want the order."""

    status: str
    url: str


class PeerToPeerAnswer(msgspec.Struct, omit_defaults=True):
    """The lender's side. Dates are WIB, their `_utc` twins UTC."""

    created_date: str
    expired_date: str
    created_date_utc: str
    expired_date_utc: str
    merchant_unique_reference: str
    identifier: list[Identifier] | None = None


class Address(msgspec.Struct):
    """Billing or shipping. Indodana's table types some of these number, its sample shows text: both are taken (S3-31)."""

    first_name: PersonName
    address: Text
    city: Text
    postal_code: Annotated[str, Meta(min_length=1, max_length=16)]
    phone: Phone
    country_code: Annotated[str, Meta(min_length=1, max_length=3, description="ISO 3166, e.g. IDN.")]
    last_name: PersonName | None = None


class PeerToPeerInfo(msgspec.Struct):
    """The lender's side of a request."""

    merchant_unique_reference: Text
    expired_time: Annotated[int, Meta(ge=1, le=99_999, description="Minutes, default 60.")] | None = None


class OrderResponse(msgspec.Struct, omit_defaults=True):
    """Where to send the buyer."""

    order: OrderEcho
    payment: PaymentPage
    peer_to_peer_info: PeerToPeerAnswer
    additional_info: dict[str, Any] | None = None


def order_answer(identifier: str) -> Answer:
    """What answers a merchant who opened an order; `identifier` is the name of the lender's own order id."""

    def answer(_call: Call, order: Order, payment: Payment, said: Begun | TurnedDown) -> OrderResponse:
        return OrderResponse(
            order=OrderEcho(order.invoice_number, payment.amount),
            payment=payment_page(said),
            peer_to_peer_info=peer_to_peer_answer(order, payment, said, identifier),
            additional_info=order.details.get("additional_info"),
        )

    return answer


def payment_page(said: Begun | TurnedDown) -> PaymentPage:
    """Where the buyer signs."""
    return PaymentPage("PENDING", str(said.url)) if isinstance(said, Begun) else PaymentPage("FAILED", "")


def peer_to_peer_answer(order: Order, payment: Payment, said: Begun | TurnedDown, identifier: str) -> PeerToPeerAnswer:
    """`identifier` is the name of the lender's own order id."""
    return PeerToPeerAnswer(
        created_date=wib_digits(payment.created_at),
        expired_date=wib_digits(payment.expires_at),
        created_date_utc=iso_z(payment.created_at),
        expired_date_utc=iso_z(payment.expires_at),
        merchant_unique_reference=reference_of(order),
        identifier=[Identifier(identifier, said.reference)] if isinstance(said, Begun) else None,
    )


def reference_of(order: Order) -> str:
    """The merchant's own reference, kept with the order under its wire name."""
    return str(order.details.get("merchant_unique_reference", ""))


def paylater_blocks(identifier: str) -> Any:
    """`Channel.blocks` of a lender: `peer_to_peer_info` and the merchant's reference, as two typed clients read them (decision D-8)."""

    def blocks(order: Order, payment: Payment) -> dict[str, Any]:
        info: dict[str, Any] = {
            "virtual_account_number": "",
            "created_date": wib_digits(payment.created_at),
            "expired_date": wib_digits(payment.expires_at),
            "status": STATUS_WORD[payment.state],
            "merchant_unique_reference": reference_of(order),
        }
        if payment.details.get("reference"):
            info["identifier"] = [{"name": identifier, "value": payment.details["reference"]}]
        return {"peer_to_peer_info": info, "payment": {"merchant_unique_reference": reference_of(order)}}

    return blocks


def leads(asked: Asked, outcome: str) -> str | None:
    """Signed: back to the shop. Cancelled: to the shop's page for that. Refused or over: the page says so and links there."""
    return asked.return_url if outcome == "paid" else asked.cancel_url or asked.return_url


def turns_down(asked: Asked) -> str | None:
    """The magic amount of our sandbox at which a lender does not want the order at all."""
    return "REFUSED" if str(asked.amount).endswith("404") else None


MAGIC: Mapping[str, str] = {"order.amount ending 404": "the order is turned down: payment.status FAILED, nobody is notified"}
