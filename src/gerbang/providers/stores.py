"""Convenience stores: the buyer takes a code of ours to a till and pays cash. A room adds its name, its paths and its words.

Who makes the code: we do (DOKU calls that DGPC), or the merchant sends one along (MGPC). A code belongs to one payment of its
channel as long as that can be paid. A reusable one can be paid again and again until it expires; each time is a payment and a
notification of its own under the same invoice number.

A chain is told `code`, `reusable`, `customer` (a name), `info` (lines for the till) and `footer` (of the receipt) in `Asked.facts`; it
tells AGENT_ID, AGENT_STORE_ID and AGENT_TRX_ID in `Report.facts`. Each payment of a reusable code is a report about the same payment
id, with a receipt of its own. That a merchant is asked about a code nobody announced (DOKU calls that DIPC) is not served.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from gerbang.channel import Channel
from gerbang.clock import iso_z, wib_digits
from gerbang.endpoint import Ask, Call, Endpoint
from gerbang.errors import Reason, Refused
from gerbang.ids import new_digits
from gerbang.merchants import Merchant
from gerbang.payments import Order, Payment, is_reusable, keep_details, take_code
from gerbang.protocols.nonsnap.notification import notification_body
from gerbang.providers.channel import provider_channel
from gerbang.providers.opening import open_with_provider
from gerbang.providers.party import MAGIC_AMOUNTS, Behaviour, Party
from gerbang.providers.questions import Asked, Begun, TurnedDown
from gerbang.providers.stores_wire import (
    InvoiceEcho,
    OnlineToOfflineAnswer,
    PaymentCodeRequest,
    PaymentCodeResponse,
)
from gerbang.providers.terms import ProviderOptions, terms_of
from gerbang.providers.wire import override_of
from gerbang.storage import Tx
from gerbang.web.theme import Theme

CODE_DIGITS = 16
_TRIES = 50
_FACTS = ("AGENT_ID", "AGENT_STORE_ID", "AGENT_TRX_ID")

# A till takes the money or it does not: nobody refuses, and nobody cancels.
BEHAVIOURS = (
    Behaviour.SUCCESS,
    Behaviour.EXPIRED,
    Behaviour.SLOW,
    Behaviour.NO_ANSWER,
    Behaviour.PAID_TWICE,
    Behaviour.PAID_LATE,
)

_KEPT: Mapping[Behaviour, str] = {
    Behaviour.PAID_TWICE: "paid twice; no till pays out, so a person has to give the second amount back",
    Behaviour.PAID_LATE: "paid a minute after the order expired; no till pays out, so a person has to give it back",
}


class StoreOptions(ProviderOptions, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A merchant's own terms at a chain of shops.

    code_prefix  what the codes we make begin with; left out, five digits of the merchant's own
    """

    code_prefix: Annotated[str, Meta(pattern=r"^[0-9]{1,10}$")] | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """A chain of shops.

    shops     where buyers can go, as prose
    agent_id  its name in AGENT_ID
    till      the pretend till's shop, in AGENT_STORE_ID
    first     the digits that codes of ours begin with, before the merchant's
    """

    code: str
    name: str
    title: str
    slug: str
    acquirer_id: str
    shops: str
    agent_id: str
    till: str
    first: str
    theme: Theme
    initials: str

    @property
    def party(self) -> Party:
        return Party(
            code=self.code,
            name=self.name,
            slug=self.slug,
            kind="cashier",
            theme=self.theme,
            initials=self.initials,
            behaviours=BEHAVIOURS,
            magic={f"order.amount ending {end}": _KEPT[one] for end, one in MAGIC_AMOUNTS.items() if one in _KEPT},
            tells=self._tells,
        )

    def _tells(self, _asked: Asked, receipt: str) -> dict[str, Any]:
        return dict(zip(_FACTS, (self.agent_id, self.till, trx_id(receipt)), strict=True))


def trx_id(receipt: str) -> str:
    """The number that a pretend till prints for what it reports under this receipt."""
    return f"{int.from_bytes(hashlib.sha256(receipt.encode()).digest()[:8]) % 10**12:012}"


def open_code(call: Call, store: Store, body: PaymentCodeRequest, *, wanted: str | None = None) -> Ask:
    """An action's whole work: an order with a code that a buyer can take to the shop. `wanted` is the merchant's own.

    Raises Refused as `open_with_provider`, and PAYMENT_CODE_IN_USE for a code that can still be paid for something else.
    """
    info, alfa = body.online_to_offline_info, body.alfa_info
    footer = alfa.receipt.footer_message if alfa and alfa.receipt else None
    facts: dict[str, Any] = {"customer": body.customer.name, "reusable": info.reusable_status}
    lines = [line for line in (info.info, info.info1) if line]
    if lines:
        facts["info"] = lines
    if footer:
        facts["footer"] = footer

    def code_for(_order: Order, payment: Payment) -> dict[str, str]:
        code = payment.details.get("payment_code")
        if code is None:
            code = _take(call, store, payment, wanted)
            keep_details(call.tx, payment, {"payment_code": code})
        return {"code": code}

    def answer(call: Call, order: Order, payment: Payment, said: Begun | TurnedDown) -> PaymentCodeResponse:
        if isinstance(said, TurnedDown):
            raise Refused(Reason.PROVIDER_SILENT, channel=store.code)  # nothing documented says that shops turn orders down
        page = f"{call.public_url}/how-to-pay/{store.slug}/{payment.id}"
        return PaymentCodeResponse(
            order=InvoiceEcho(order.invoice_number),
            online_to_offline_info=OnlineToOfflineAnswer(
                payment_code=code_of(payment),
                how_to_pay_page=page,
                how_to_pay_api=f"{page}.json",
                created_date=wib_digits(payment.created_at),
                expired_date=wib_digits(payment.expires_at),
                created_date_utc=iso_z(payment.created_at),
                expired_date_utc=iso_z(payment.expires_at),
            ),
            additional_info=order.details.get("additional_info"),
        )

    return open_with_provider(
        call,
        invoice_number=body.order.invoice_number,
        amount=body.order.amount,
        override=override_of(body.additional_info),
        details={"reusable": True} if info.reusable_status else {},
        facts=facts,
        prepare=code_for,
        expires_min=info.expired_time,
        answer=answer,
    )


def _take(call: Call, store: Store, payment: Payment, wanted: str | None) -> str:
    if wanted is not None:
        if not take_code(call.tx, payment, wanted, now=call.now):
            raise Refused(Reason.PAYMENT_CODE_IN_USE, field="online_to_offline_info.payment_code", code=wanted)
        return wanted
    prefix = prefix_of(call.merchant, store)
    for _ in range(_TRIES):
        # Drawn, not counted: a code tells nobody how many there are, nor which comes next.
        code = prefix + new_digits(CODE_DIGITS - len(prefix))
        if take_code(call.tx, payment, code, now=call.now):
            return code
    raise RuntimeError(f"no free payment code begins with {prefix}")


def prefix_of(merchant: Merchant, store: Store) -> str:
    """What the codes we make for a merchant begin with: the same for ever."""
    chosen = terms_of(merchant, store.code, StoreOptions).code_prefix
    return chosen or f"{store.first}{int.from_bytes(hashlib.sha256(merchant.client_id.encode()).digest()[:4]) % 10_000:04}"


def code_of(payment: Payment) -> str:
    """What the buyer reads out."""
    return str(payment.details["payment_code"])


def blocks(_order: Order, payment: Payment) -> dict[str, Any]:
    """`online_to_offline_info`, and where and under which number a paid one was paid."""
    told: dict[str, Any] = {"online_to_offline_info": {"payment_code": code_of(payment)}}
    if payment.state.is_paid:
        facts = [{"name": name, "value": str(payment.details[name])} for name in _FACTS if name in payment.details]
        told["online_to_offline_payment"] = {"identifier": facts}
    return told


def store_channel(store: Store, *, endpoints: tuple[Endpoint, ...]) -> Channel:
    """The channel of a chain of shops."""

    def status(_tx: Tx, order: Order, payment: Payment) -> dict[str, Any]:
        """As notified, with the code's dates; `reusable_status` is text here, as DOKU's sample shows it."""
        body = notification_body(channel, order, payment)
        body["online_to_offline_info"] |= {
            "created_date": wib_digits(payment.created_at),
            "expired_date": wib_digits(payment.expires_at),
            "reusable_status": "true" if is_reusable(order) else "false",
        }
        return {"order": body.pop("order"), "transaction": body.pop("transaction"), **body}

    def pages(wiring: Any) -> list[Any]:
        from gerbang.providers.store_pages import HowToPayPages

        return [*HowToPayPages(wiring, store).routes()]

    channel = provider_channel(
        store.party,
        title=store.title,
        service_id="ONLINE_TO_OFFLINE",
        acquirer_id=store.acquirer_id,
        endpoints=endpoints,
        blocks=blocks,
        status=status,
        pages=pages,
        options=StoreOptions,
    )
    return channel
