"""What happens to a payment's money later: captured, given back, released. Each one transaction's work."""

from datetime import datetime

from gerbang.channels.credit_card import responses
from gerbang.channels.credit_card.charges import Charge, Question, answer_question, current_charge, get_charge
from gerbang.channels.credit_card.charging import Books, fee_for, settles_at, source_of
from gerbang.channels.credit_card.notices import notification
from gerbang.channels.credit_card.numbers import Brand
from gerbang.channels.credit_card.provider import AcquirerAnswer
from gerbang.channels.credit_card.terms import CODE, options_of
from gerbang.clock import to_ms
from gerbang.merchants import get
from gerbang.payments import (
    Move,
    Payment,
    PaymentState,
    Refund,
    complete_refund,
    fail_refund,
    get_refund,
    let_go,
    order_by_id,
    take,
)
from gerbang.payments.moves import hold_payment, record_event
from gerbang.protocols.nonsnap.notification import tell
from gerbang.storage import Tx


def finish_capture(tx: Tx, books: Books, question: Question, answer: AcquirerAnswer, *, now: datetime) -> Payment:
    """Act on the answer to a CAPTURE, once. A declined capture leaves the authorisation as it is, to be tried again.

    Raises Refused(PAYMENT_MOVED_ON) when it was acted on before.
    """
    order, payment = hold_payment(tx, question.payment_id)
    answer_question(tx, question)
    charge = get_charge(tx, question.subject)
    if not responses.is_approved(answer.response_code, Brand(charge.details.brand)):
        facts: dict[str, object] = {"amount": question.amount, "response_code": answer.response_code}
        record_event(tx, payment.id, payment.merchant_id, "CAPTURE_DECLINED", payment.state, now=now, facts=facts)
        return payment
    merchant = get(tx, payment.merchant_id)
    captured = take(
        tx,
        payment,
        source=source_of(charge),
        amount=question.amount,
        fee=fee_for(options_of(merchant), charge, question.amount),
        settles_at=settles_at(books.settings, now),
        now=now,
    )
    tell(tx, merchant, order, captured, notification(tx, order, captured), settings=books.settings, now=now)
    return captured


def finish_refund(tx: Tx, books: Books, question: Question, answer: AcquirerAnswer, *, now: datetime) -> Refund:
    """Act on the answer to a VOID or REFUND, once. Raises Refused(PAYMENT_MOVED_ON) when it was acted on before."""
    hold_payment(tx, question.payment_id)
    answer_question(tx, question)
    refund = get_refund(tx, question.subject)
    charge = _charge_of(tx, question.payment_id)
    row = responses.response(answer.response_code, Brand(charge.details.brand))
    if not responses.is_approved(answer.response_code, Brand(charge.details.brand)):
        return fail_refund(tx, refund, message=row.message, now=now)
    return give_back(tx, books, refund, approval_code=answer.approval_code, message="Approved", now=now)


def give_back(tx: Tx, books: Books, refund: Refund, *, approval_code: str | None, message: str | None, now: datetime) -> Refund:
    """The money went back, by the acquirer or by a person: book it and tell the merchant."""
    done, payment = complete_refund(tx, refund, approval_code=approval_code, message=message, now=now)
    order = order_by_id(tx, payment.order_id)
    merchant = get(tx, payment.merchant_id)
    tell(tx, merchant, order, payment, notification(tx, order, payment), settings=books.settings, now=now)
    return done


def due_for_release(tx: Tx, *, now: datetime, limit: int) -> list[str]:
    """Authorised payments nobody captured in time. One that is being captured or voided right now is left alone."""
    rows = tx.all(
        "select p.id as id from payment p where p.state = 'AUTHORISED' and p.channel = :channel and p.capture_before <= :now"
        " and p.refunded = 0 and not exists (select 1 from card_question q where q.payment_id = p.id and q.state = 'ASKED')"
        " order by p.capture_before limit :limit",
        {"channel": CODE, "now": to_ms(now), "limit": limit},
    )
    return [row["id"] for row in rows]


def release(tx: Tx, books: Books, payment_id: str, *, now: datetime) -> bool:
    """Let go of such a payment's authorisation and tell the merchant; False when it moved on, or somebody has just asked about it."""
    order, payment = hold_payment(tx, payment_id)
    asked = tx.one("select 1 as found from card_question where payment_id = :id and state = 'ASKED'", {"id": payment_id})
    if payment.state is not PaymentState.AUTHORISED or payment.refunded or asked is not None:
        return False
    released = let_go(tx, payment, Move.RELEASED, now=now, failure="RELEASED")
    tell(tx, get(tx, payment.merchant_id), order, released, notification(tx, order, released), settings=books.settings, now=now)
    return True


def _charge_of(tx: Tx, payment_id: str) -> Charge:
    charge = current_charge(tx, payment_id)
    assert charge is not None, payment_id
    return charge
