"""What a provider reported, acted upon once. State, money and the merchant's notification move together, in one transaction."""

from datetime import datetime

from gerbang.channel import Channel
from gerbang.ledger import account
from gerbang.merchants import get
from gerbang.money import Rupiah
from gerbang.payments import Move, Payment, PaymentState, is_reusable, keep_details, open_another, take
from gerbang.payments.moves import hold_payment
from gerbang.payments.unexpected import Unawaited, UnexpectedMoney, hold_unexpected, return_by_hand
from gerbang.protocols.nonsnap.notification import notify
from gerbang.protocols.nonsnap.outcomes import close_unpaid
from gerbang.providers.questions import Report
from gerbang.providers.terms import fee_of, settles_at
from gerbang.settings import Settings
from gerbang.storage import Tx

# What the provider was told at first holds for every payment of a code that is paid more than once.
_OF_THE_ORDER = ("reference", "url", "payment_code")
_MOVES = {"REFUSED": Move.DECLINED, "CANCELLED": Move.CANCELLED, "EXPIRED": Move.TIMED_OUT}


def source_of(channel_code: str) -> str:
    """The ledger account of who took the money."""
    return account("provider", channel_code)


def returned_by_hand(tx: Tx, unexpected_id: str, *, now: datetime) -> UnexpectedMoney:
    """A person sent money back that its provider could not. Raises Refused: UNEXPECTED_NOT_FOUND, PAYMENT_MOVED_ON."""
    return return_by_hand(tx, unexpected_id, source_of=source_of, now=now)


def take_report(tx: Tx, channel: Channel, report: Report, *, settings: Settings, now: datetime) -> Payment:
    """Bring a payment to where the provider says it is. Money that no payment waits for is the buyer's: held, and given back.

    A payment that ended stays as it ended, whatever is reported: a merchant never sees EXPIRED or FAILED turn into SUCCESS.
    """
    order, payment = hold_payment(tx, report.payment_id)
    if report.outcome != "PAID":
        if payment.state is PaymentState.PENDING:
            payment = _keep(tx, payment, report)
            payment = close_unpaid(
                tx,
                channel,
                get(tx, payment.merchant_id),
                order,
                payment,
                _MOVES[report.outcome],
                settings=settings,
                now=now,
                failure=report.reason or report.outcome,
            )
        return payment
    if payment.details.get("receipt") == report.receipt:
        return payment  # heard before
    again = is_reusable(order) and payment.state.is_paid
    if again and report.at < payment.expires_at and report.amount == payment.amount:
        another = open_another(tx, order, payment, receipt=report.receipt, now=now)
        if another is None:
            return payment  # heard before
        kept = {name: payment.details[name] for name in _OF_THE_ORDER if name in payment.details}
        payment = keep_details(tx, another, {**kept, "announced_as": payment.id})
        again = False
    reason = _unawaited(payment, report, again=again)
    if reason is not None:
        hold_unexpected(
            tx,
            payment,
            source=source_of(channel.code),
            receipt=report.receipt,
            amount=Rupiah(report.amount),
            reason=reason,
            now=now,
        )
        return payment
    merchant = get(tx, payment.merchant_id)
    payment = _keep(tx, payment, report)
    paid = take(
        tx,
        payment,
        source=source_of(channel.code),
        amount=payment.amount,
        fee=fee_of(merchant, channel.code, payment.amount),
        payer=report.payer,
        approval_code=report.approval_code,
        settles_at=settles_at(now),
        now=now,
    )
    notify(tx, channel, merchant, order, paid, settings=settings, now=now)
    return paid


def _keep(tx: Tx, payment: Payment, report: Report) -> Payment:
    return keep_details(tx, payment, {**report.facts, "receipt": report.receipt})


def _unawaited(payment: Payment, report: Report, *, again: bool) -> Unawaited | None:
    """`again`: it is paid, and could have been paid once more."""
    if payment.state.is_paid and not again:
        return Unawaited.PAID_AGAIN
    if report.at >= payment.expires_at:
        return Unawaited.PAID_LATE
    if payment.state is not PaymentState.PENDING and not again:
        return Unawaited.PAID_AFTER_END
    if report.amount != payment.amount:
        return Unawaited.PAID_OTHER_AMOUNT
    return None
