"""Money that somebody else brings in: reserved, taken, let go. State and books move together.

An authorisation is a hold: the merchant sees it, and has nothing of it. Taking the money, with or without an authorisation
before it, books gross and fee.
"""

from datetime import datetime

from gerbang.errors import Reason, Refused
from gerbang.ledger import Transfer, account, post
from gerbang.money import Rupiah
from gerbang.payments.model import Payment, PaymentState
from gerbang.payments.moves import advance, finish
from gerbang.payments.states import Move
from gerbang.storage import Tx

# The other side of every hold: promised by issuers, in nobody's hands yet.
PROMISED = account("promised", "issuers")


def payable(merchant_id: str) -> str:
    """What we owe the merchant."""
    return account("merchant", merchant_id, "payable")


def authorised(merchant_id: str) -> str:
    """What is reserved for the merchant."""
    return account("merchant", merchant_id, "authorised")


def authorise(
    tx: Tx, payment: Payment, *, amount: Rupiah, payer: str, approval_code: str | None, capture_before: datetime, now: datetime
) -> Payment:
    """Reserve. Raises Refused(PAYMENT_MOVED_ON)."""
    held = advance(
        tx,
        payment,
        Move.AUTHORISED,
        now=now,
        payer=payer,
        approval_code=approval_code,
        charged=amount,
        capture_before=capture_before,
    )
    post(tx, [Transfer(PROMISED, authorised(payment.merchant_id), amount, "hold")], cause=payment.id, now=now)
    return held


def take(
    tx: Tx,
    payment: Payment,
    *,
    source: str,
    amount: Rupiah,
    fee: Rupiah,
    payer: str | None = None,
    approval_code: str | None = None,
    settles_at: datetime,
    now: datetime,
) -> Payment:
    """Take `amount`, what was reserved included; a smaller amount lets the rest go.

    source  the ledger account of who brings it, e.g. acquirer:BCA
    fee     the merchant discount, part of `amount`

    Raises Refused: PAYMENT_MOVED_ON, PAYMENT_BUSY (it is being voided), CAPTURE_TOO_LARGE (more than was reserved).
    """
    transfers = []
    if payment.state is PaymentState.AUTHORISED:
        _refuse_if_being_voided(payment)
        assert payment.charged is not None, payment.id
        if amount > payment.charged:
            raise Refused(Reason.CAPTURE_TOO_LARGE, amount=amount, authorised=payment.charged)
        transfers += _let_go(payment)
    transfers.append(Transfer(source, payable(payment.merchant_id), amount, "gross"))
    if fee:
        transfers.append(Transfer(payable(payment.merchant_id), account("fee", payment.channel), fee, "fee"))
    return finish(
        tx,
        payment,
        transfers=transfers,
        payer=payer,
        approval_code=approval_code,
        now=now,
        move=Move.CAPTURED if payment.state is PaymentState.AUTHORISED else Move.PAID,
        charged=amount,
        settles_at=settles_at,
    )


def let_go(tx: Tx, payment: Payment, move: Move, *, now: datetime, failure: str | None = None) -> Payment:
    """End an authorisation without money. `move` is RELEASED, or VOIDED at the end of a refund (`complete_refund`).

    Raises Refused: PAYMENT_MOVED_ON, PAYMENT_BUSY (it is being voided).
    """
    if move is Move.RELEASED:
        _refuse_if_being_voided(payment)
    ended = advance(tx, payment, move, now=now, failure=failure)
    post(tx, _let_go(payment), cause=payment.id, now=now)
    return ended


def _refuse_if_being_voided(payment: Payment) -> None:
    if payment.refunded:
        raise Refused(Reason.PAYMENT_BUSY, payment=payment.id)


def _let_go(payment: Payment) -> list[Transfer]:
    assert payment.charged is not None, payment.id
    return [Transfer(authorised(payment.merchant_id), PROMISED, payment.charged, "release")]
