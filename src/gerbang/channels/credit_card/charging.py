"""A charge from beginning to end, as transactions: begin, authenticated, ask for the money, act on the answer.

Each function is one transaction's work. What the outside says comes in as an argument; who asks it is `room.py`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from gerbang.channels.credit_card import responses
from gerbang.channels.credit_card.authentication import eci, may_continue
from gerbang.channels.credit_card.bins import CardFacts
from gerbang.channels.credit_card.charges import (
    ABANDONED,
    Charge,
    ChargeDetails,
    ChargeState,
    Question,
    answer_question,
    charges_of,
    counts,
    current_charge,
    get_charge,
    hold_counts,
    move_charge,
    open_charge,
    write_question,
)
from gerbang.channels.credit_card.notices import notification
from gerbang.channels.credit_card.numbers import Brand
from gerbang.channels.credit_card.options import CardOptions, PaymentType, fee
from gerbang.channels.credit_card.provider import AcquirerAnswer
from gerbang.channels.credit_card.risk import RiskFacts, RiskStatus, Verdict, assess
from gerbang.channels.credit_card.terms import options_of, terms_of
from gerbang.clock import next_midnight
from gerbang.ids import new_digits, new_id
from gerbang.ledger import account
from gerbang.merchants import Merchant, get
from gerbang.money import Rupiah
from gerbang.payments import Move, Order, Payment, PaymentState, advance, authorise, get_payment, note, postpone, take
from gerbang.payments.moves import hold_payment
from gerbang.protocols.nonsnap.notification import tell
from gerbang.settings import Settings
from gerbang.storage import Tx
from gerbang.vault import StoredCard, Vault, issue

# A timed-out authorisation is reversed after a moment: the acquirer may still be working on it.
REVERSE_AFTER_S = 2.0
NOT_AUTHENTICATED = "DA"
RISK_REJECTED = "RJ"


@dataclass(frozen=True, slots=True)
class Books:
    """What these functions need beside their transaction."""

    settings: Settings
    vault: Vault


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known about an attempt to pay when it begins. The card is in the vault already.

    authentication_id  of an authentication made before (host-to-host), with how it ended
    """

    card: StoredCard
    facts: CardFacts
    amount: Rupiah
    discount: Rupiah
    acquirer: str
    payment_type: PaymentType
    captures: bool
    save: bool
    email: str | None
    ip: str | None
    tenor: int = 0
    plan_bank: str | None = None
    interest_bp: int = 0
    off_us: bool = False
    descriptor: str | None = None
    consent: dict[str, str] | None = None
    final: bool = False
    request_id: str | None = None
    with_token: bool = False
    authentication_id: str | None = None
    form: str | None = None


def begin(
    tx: Tx, books: Books, merchant: Merchant, order: Order, payment: Payment, attempt: Attempt, *, now: datetime
) -> tuple[Charge, Verdict]:
    """Write the charge down and let the risk rules judge it. A rejected one has ended, declined with RJ, when this returns.

    Raises Refused: PAYMENT_BUSY (another charge is under way), PAYMENT_MOVED_ON.
    """
    # Writing the payment as it is makes two attempts at once come one after the other.
    note(tx, payment, "CARD_SUBMITTED", now=now, facts={"card": attempt.card.masked, "amount": attempt.amount})
    terms, options = terms_of(order), options_of(merchant)
    attempts = failures = paid = 0
    if options.risk.counts_anything:
        hold_counts(tx, merchant.client_id)
        attempts, failures, paid = counts(
            tx, merchant_id=merchant.client_id, fingerprint=attempt.card.fingerprint, customer_id=terms.customer_id, now=now
        )
    verdict = assess(
        options.risk,
        RiskFacts(
            amount=attempt.amount,
            bin=attempt.card.bin,
            country=attempt.facts.country,
            fingerprint=attempt.card.fingerprint,
            email=attempt.email,
            ip=attempt.ip,
            customer_id=terms.customer_id,
            attempts_on_card_last_hour=attempts,
            failures_on_card_last_hour=failures,
            payments_of_customer_today=paid,
        ),
    )
    before = current_charge(tx, payment.id)
    charge = open_charge(
        tx,
        Charge(
            id=new_id("chg", after=before.id if before else None),
            payment_id=payment.id,
            merchant_id=merchant.client_id,
            state=ChargeState.AUTHENTICATING,
            amount=attempt.amount,
            card_id=attempt.card.id,
            fingerprint=attempt.card.fingerprint,
            customer_id=terms.customer_id,
            authentication_id=attempt.authentication_id,
            authorize_id=None,
            response_code=None,
            sealed_cvv=None,
            details=ChargeDetails(
                payment_type=attempt.payment_type.value,
                masked=attempt.card.masked,
                brand=attempt.card.brand,
                card_type=attempt.card.card_type,
                issuer=attempt.card.issuer,
                acquirer=attempt.acquirer,
                discount=attempt.discount,
                tenor=attempt.tenor,
                plan_bank=attempt.plan_bank,
                interest_bp=attempt.interest_bp,
                off_us=attempt.off_us,
                capture=attempt.captures,
                save=attempt.save,
                eci=eci(attempt.facts.brand, None),
                risk_status=verdict.status.value,
                risk_reason=verdict.reason,
                holder=attempt.card.holder,
                ip=attempt.ip,
                consent=attempt.consent,
                final=attempt.final,
                request_id=attempt.request_id,
                descriptor=attempt.descriptor,
                pay_with_token=attempt.with_token,
                form=attempt.form,
            ),
            created_at=now,
            deadline_at=now + timedelta(minutes=books.settings.card_challenge_min),
        ),
    )
    postpone(tx, payment, charge.deadline_at + timedelta(minutes=1))
    if verdict.status is RiskStatus.REJECT:
        charge = decline(tx, books, charge, RISK_REJECTED, now=now)
    return charge, verdict


def authenticated(
    tx: Tx, books: Books, charge: Charge, trans_status: str | None, *, now: datetime, reason: str | None = None
) -> tuple[Charge, Question | None]:
    """3-D Secure ended: go on to the acquirer (the question is written down), or end declined with DA (then None)."""
    details = replace_details(
        charge, trans_status=trans_status, eci=eci(Brand(charge.details.brand), trans_status), reason=reason
    )
    charge = move_charge(tx, charge, charge.state, details=details)
    allow = options_of(get(tx, charge.merchant_id)).three_ds_unavailable == "continue"
    if not may_continue(trans_status, allow_unavailable=allow):
        return decline(tx, books, charge, NOT_AUTHENTICATED, now=now), None
    asked = move_charge(tx, charge, ChargeState.AUTHORISING)
    question = write_question(
        tx, asked, "AUTHORISE", subject=charge.id, amount=charge.amount, now=now, due_in_s=books.settings.card_answer_timeout_s
    )
    return asked, question


def conclude(tx: Tx, books: Books, question: Question, answer: AcquirerAnswer, *, now: datetime) -> Charge:
    """Act on the acquirer's answer to an AUTHORISE question, once. Raises Refused(PAYMENT_MOVED_ON) when it was acted on before."""
    order, payment = hold_payment(tx, question.payment_id)
    answer_question(tx, question)
    charge = get_charge(tx, question.subject)
    brand = Brand(charge.details.brand)
    if responses.is_silent(answer.response_code):
        return _reverse(tx, books, charge, payment, answer.response_code, now=now)
    if not responses.is_approved(answer.response_code, brand):
        return decline(tx, books, charge, answer.response_code, now=now)
    if payment.state is not PaymentState.PENDING:
        # The payment ended while the bank was thinking: money nobody is waiting for goes straight back.
        return _reverse(tx, books, charge, payment, answer.response_code, now=now)
    return _approve(tx, books, charge, order, payment, answer, now=now)


def reversed_(tx: Tx, books: Books, question: Question, *, now: datetime) -> Charge:
    """The acquirer confirmed that nothing is taken: only now is the charge declined, with the code it had."""
    hold_payment(tx, question.payment_id)
    answer_question(tx, question)
    charge = get_charge(tx, question.subject)
    code = charge.response_code or "TO"
    return decline(tx, books, charge, "TO" if responses.is_approved(code) else code, now=now)


def decline(tx: Tx, books: Books, charge: Charge, code: str, *, now: datetime) -> Charge:
    """End a charge without money, tell the merchant, and end the payment when this was the last attempt it had."""
    declined = move_charge(tx, charge, ChargeState.DECLINED, response_code=code)
    order, payment = get_payment(tx, charge.payment_id)
    merchant = get(tx, charge.merchant_id)
    if payment.state is PaymentState.PENDING:
        note(tx, payment, "CARD_DECLINED", now=now, facts={"card": charge.details.masked, "response_code": code})
        tried = sum(one.state is ChargeState.DECLINED and one.is_attempt for one in charges_of(tx, payment.id))
        if charge.details.final or tried >= options_of(merchant).max_attempts:
            payment = advance(tx, payment, Move.DECLINED, now=now, failure=code)
        tell(tx, merchant, order, payment, notification(tx, order, payment), settings=books.settings, now=now)
    return declined


def abandon(tx: Tx, charge: Charge) -> Charge:
    """The buyer started over while the bank was asking: this charge is over, quietly, and can never be approved."""
    details = replace_details(charge, reason=ABANDONED)
    return move_charge(tx, charge, ChargeState.DECLINED, response_code=NOT_AUTHENTICATED, details=details)


def settles_at(settings: Settings, now: datetime) -> datetime:
    """When a payment of now counts as paid out: at the next midnight in Jakarta, or as the settings say."""
    if settings.card_settles_after_min:
        return now + timedelta(minutes=settings.card_settles_after_min)
    return next_midnight(now)


def source_of(charge: Charge) -> str:
    """The ledger account the money of a charge comes from."""
    return account("acquirer", charge.details.acquirer)


def fee_for(options: CardOptions, charge: Charge, amount: Rupiah) -> Rupiah:
    """The merchant discount of an amount taken."""
    return fee(amount, options.rate_bp(charge.details.payment_type))


def replace_details(charge: Charge, **changes: object) -> ChargeDetails:
    """The charge's details with some of them changed."""
    return msgspec.structs.replace(charge.details, **changes)


def _approve(
    tx: Tx, books: Books, charge: Charge, order: Order, payment: Payment, answer: AcquirerAnswer, *, now: datetime
) -> Charge:
    merchant = get(tx, charge.merchant_id)
    authorises = charge.details.payment_type == PaymentType.AUTHORIZE
    details = replace_details(charge, approval_code=answer.approval_code)
    if charge.details.save and charge.customer_id:
        card = books.vault.card(tx, charge.card_id, merchant_id=charge.merchant_id)
        if card is not None:
            token = issue(tx, books.vault, merchant_id=charge.merchant_id, customer_id=charge.customer_id, card=card, now=now)
            details = msgspec.structs.replace(details, token=token.id)
    charge = move_charge(
        tx,
        charge,
        ChargeState.APPROVED,
        response_code=answer.response_code,
        details=details,
        authorize_id=new_digits(17) if authorises else None,
    )
    if charge.details.capture:
        paid = take(
            tx,
            payment,
            source=source_of(charge),
            amount=charge.amount,
            fee=fee_for(options_of(merchant), charge, charge.amount),
            payer=charge.details.masked,
            approval_code=answer.approval_code,
            settles_at=settles_at(books.settings, now),
            now=now,
        )
    else:
        paid = authorise(
            tx,
            payment,
            amount=charge.amount,
            payer=charge.details.masked,
            approval_code=answer.approval_code,
            capture_before=now + timedelta(hours=books.settings.card_capture_window_h),
            now=now,
        )
    tell(tx, merchant, order, paid, notification(tx, order, paid), settings=books.settings, now=now)
    return charge


def _reverse(tx: Tx, books: Books, charge: Charge, payment: Payment, code: str, *, now: datetime) -> Charge:
    reversing = move_charge(tx, charge, ChargeState.REVERSING, response_code=code)
    write_question(tx, reversing, "REVERSE", subject=charge.id, amount=charge.amount, now=now, due_in_s=REVERSE_AFTER_S)
    postpone(tx, payment, now + timedelta(minutes=books.settings.card_challenge_min))
    return reversing
