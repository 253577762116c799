"""Sandbox: a buyer without a browser, and outcomes chosen in advance. The room does its ordinary work; only the buyer is pretended."""

import secrets
from collections.abc import Mapping

from gerbang.channel import Channel
from gerbang.channels.credit_card.bins import facts_of
from gerbang.channels.credit_card.charges import ChargeState, current_charge
from gerbang.channels.credit_card.numbers import Expiry
from gerbang.channels.credit_card.responses import KNOWN_CODES
from gerbang.channels.credit_card.room import CardRoom, Submission
from gerbang.channels.credit_card.sandbox_cards import SANDBOX_CARDS, SandboxCard, featured
from gerbang.channels.credit_card.terms import accepts_bin, terms_of
from gerbang.errors import Reason, Refused
from gerbang.merchants import Merchant, get
from gerbang.payments import Move, Order, PaymentState, get_payment
from gerbang.protocols.nonsnap.outcomes import close_unpaid
from gerbang.storage import Tx

_YEARS_AHEAD = 2


async def drive(room: CardRoom, channel: Channel, payment_id: str, outcome: str, code: str | None) -> None:
    """Bring a payment to an outcome. FAILED is one declined attempt: the page stays open, as it would for a buyer.

    code  the acquirer's answer for FAILED; 05 if not given

    Raises Refused: PAYMENT_MOVED_ON, PAYMENT_BUSY; FIELD_INVALID (code) for a code that does not exist.
    """
    from gerbang.channels.credit_card.simulator import choose

    if outcome == "CANCELLED":
        await room.cancel(payment_id, channel)
        return
    if outcome == "EXPIRED":

        def expire(tx: Tx) -> None:
            order, payment = get_payment(tx, payment_id)
            charge = current_charge(tx, payment_id)
            if charge is not None and charge.state in (ChargeState.AUTHORISING, ChargeState.REVERSING):
                raise Refused(Reason.PAYMENT_BUSY, payment=payment_id)
            close_unpaid(
                tx,
                channel,
                get(tx, payment.merchant_id),
                order,
                payment,
                Move.TIMED_OUT,
                settings=room.settings,
                now=room.clock.now(),
                failure="EXPIRED",
            )

        await room.database.transact(expire)
        return

    def prepare(tx: Tx) -> SandboxCard:
        order, payment = get_payment(tx, payment_id)
        if payment.state is not PaymentState.PENDING:
            raise Refused(Reason.PAYMENT_MOVED_ON, state=payment.state)
        choose(tx, payment_id, three_ds="frictionless", response_code="00" if outcome == "SUCCESS" else code or "05")
        return _usable_card(room, order, get(tx, payment.merchant_id))

    card = await room.database.transact(prepare)
    try:
        await room.submit(
            payment_id,
            Submission(
                browser_key=secrets.token_hex(16),
                number=card.number,
                expiry=Expiry(room.clock.now().year + _YEARS_AHEAD, 12),
                cvv=card.cvv,
                lang="en",
                origin=room.settings.public_url or "http://127.0.0.1",
            ),
        )
    finally:
        await room.database.transact(lambda tx: choose(tx, payment_id, three_ds=None, response_code=None))


def choose_outcome(tx: Tx, payment_id: str, wanted: Mapping[str, str | None]) -> None:
    """Decide what bank and acquirer will say about a payment, whatever card its buyer takes.

    three_ds        one of the simulator's words, `challenge_failed` for one
    response_code   what the acquirer answers when asked for the money
    follow_up_code  what it answers to capture, void and refund

    Raises Refused: FIELD_INVALID; PAYMENT_MOVED_ON when the payment is over and nothing can be asked about it any more.
    """
    from gerbang.channels.credit_card.simulator import choose

    _, payment = get_payment(tx, payment_id)
    if payment.state.is_final and payment.charged is None:
        raise Refused(Reason.PAYMENT_MOVED_ON, state=payment.state)
    for name in ("response_code", "follow_up_code"):
        if wanted.get(name) is not None and wanted[name] not in KNOWN_CODES:
            raise Refused(Reason.FIELD_INVALID, field=name, known=", ".join(KNOWN_CODES))
    choose(
        tx,
        payment_id,
        three_ds=wanted.get("three_ds"),
        response_code=wanted.get("response_code"),
        follow_up_code=wanted.get("follow_up_code"),
    )


def _usable_card(room: CardRoom, order: Order, merchant: Merchant) -> SandboxCard:
    """A test card that this page takes: the merchant may have named BINs, or a bank and a tenor."""
    for card in (*(one.card for one in featured()), *SANDBOX_CARDS.values()):
        if not accepts_bin(terms_of(order), card.number) or card.country != "ID":
            continue
        if room.price(order, merchant, card.number, facts_of(card.number)).plan(None) is not None:
            return card
    raise Refused(Reason.FIELD_INVALID, field="override_configuration.allow_bin")
