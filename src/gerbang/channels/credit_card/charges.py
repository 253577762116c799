"""One attempt to charge one card: its record, its states, what the acquirer was asked about it.

| state | means | goes to |
|---|---|---|
| AUTHENTICATING | the issuer is verifying the buyer | AUTHORISING, DECLINED |
| AUTHORISING | the acquirer was asked | APPROVED, DECLINED, REVERSING |
| REVERSING | nobody knows what the acquirer did; it is asked to undo it | DECLINED |
| APPROVED | the money is taken or reserved | |
| DECLINED | no money moved | |
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from gerbang.clock import from_ms, real_now, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.money import Rupiah
from gerbang.payments.moves import hold_payment
from gerbang.storage import Row, Tx
from gerbang.storage.due import due_moments, is_due

ABANDONED = "abandoned"


class ChargeState(StrEnum):
    """Where a charge stands."""

    AUTHENTICATING = "AUTHENTICATING"
    AUTHORISING = "AUTHORISING"
    REVERSING = "REVERSING"
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"

    @property
    def is_open(self) -> bool:
        return self not in (ChargeState.APPROVED, ChargeState.DECLINED)


_NEXT = {
    ChargeState.AUTHENTICATING: (ChargeState.AUTHORISING, ChargeState.DECLINED),
    ChargeState.AUTHORISING: (ChargeState.APPROVED, ChargeState.DECLINED, ChargeState.REVERSING),
    ChargeState.REVERSING: (ChargeState.DECLINED,),
}


class ChargeDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is told about a charge, without a number or a CVV.

    acquirer     where it is sent
    plan_bank    whose installments these are; off us that is another bank
    acs_*        the issuer's page, while the buyer has to go there
    reason       why the authentication failed: timeout, cancelled, wrong_code
    risk_*       what the risk rules said
    token        the token under which the card was saved
    consent      when the buyer agreed to the disclaimer, and the SHA-256 of the text
    form         a keyed hash of the form and its card: the same form sent twice is one charge
    final        a decline ends the payment too (host-to-host)
    """

    payment_type: str
    masked: str
    brand: str
    card_type: str
    issuer: str
    acquirer: str
    discount: int = 0
    tenor: int = 0
    plan_bank: str | None = None
    interest_bp: int = 0
    off_us: bool = False
    capture: bool = True
    save: bool = False
    token: str | None = None
    trans_status: str | None = None
    eci: str = ""
    acs_url: str | None = None
    acs_trans_id: str | None = None
    reason: str | None = None
    risk_status: str = "APPROVE"
    risk_reason: str = "Decision No Rules Triggered"
    approval_code: str | None = None
    holder: str | None = None
    ip: str | None = None
    consent: dict[str, str] | None = None
    final: bool = False
    request_id: str | None = None
    descriptor: str | None = None
    pay_with_token: bool = False
    form: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge as stored. `authorize_id` is what a capture names."""

    id: str
    payment_id: str
    merchant_id: str
    state: ChargeState
    amount: Rupiah
    card_id: str
    fingerprint: str
    customer_id: str | None
    authentication_id: str | None
    authorize_id: str | None
    response_code: str | None
    sealed_cvv: bytes | None
    details: ChargeDetails
    created_at: datetime
    deadline_at: datetime

    @property
    def is_attempt(self) -> bool:
        """Whether it counts as one: a buyer who starts over while the bank is asking has not failed."""
        return self.details.reason != ABANDONED


@dataclass(frozen=True, slots=True)
class Question:
    """What an acquirer was asked. `subject` is the charge or the refund it is about."""

    id: str
    merchant_id: str
    payment_id: str
    kind: str
    subject: str
    amount: Rupiah
    state: str
    details: dict[str, Any]
    asked_at: datetime


def open_charge(tx: Tx, charge: Charge) -> Charge:
    """Write a new charge. Raises Refused(PAYMENT_BUSY) while another one of the payment is under way."""
    written = tx.execute(
        "insert into card_charge (id, payment_id, merchant_id, state, amount, card_id, fingerprint, customer_id,"
        " authentication_id, authorize_id, response_code, sealed_cvv, details, created_at, deadline_at)"
        " values (:id, :payment_id, :merchant_id, :state, :amount, :card_id, :fingerprint, :customer_id,"
        " :authentication_id, :authorize_id, :response_code, :sealed_cvv, :details, :created_at, :deadline_at)"
        " on conflict do nothing",
        {
            "id": charge.id,
            "payment_id": charge.payment_id,
            "merchant_id": charge.merchant_id,
            "state": charge.state.value,
            "amount": charge.amount,
            "card_id": charge.card_id,
            "fingerprint": charge.fingerprint,
            "customer_id": charge.customer_id,
            "authentication_id": charge.authentication_id,
            "authorize_id": charge.authorize_id,
            "response_code": charge.response_code,
            "sealed_cvv": charge.sealed_cvv,
            "details": msgspec.json.encode(charge.details).decode(),
            "created_at": to_ms(charge.created_at),
            "deadline_at": to_ms(charge.deadline_at),
        },
    )
    if written != 1:
        raise Refused(Reason.PAYMENT_BUSY, payment=charge.payment_id)
    return charge


def move_charge(tx: Tx, charge: Charge, state: ChargeState, **changes: Any) -> Charge:
    """Move a charge along the table; `changes` are fields of Charge. A charge that ends forgets its CVV.

    Raises Refused(PAYMENT_MOVED_ON) when the table has no such move, or when another transaction got here first.
    """
    if state is not charge.state and state not in _NEXT.get(charge.state, ()):
        raise Refused(Reason.PAYMENT_MOVED_ON, charge=charge.id, state=charge.state)
    moved = replace(charge, state=state, **changes)
    if state is not ChargeState.AUTHENTICATING:
        moved = replace(moved, sealed_cvv=None)
    won = tx.execute(
        "update card_charge set state = :next, authentication_id = :authentication_id, authorize_id = :authorize_id,"
        " response_code = :response_code, sealed_cvv = :sealed_cvv, details = :details, deadline_at = :deadline_at"
        " where id = :id and state = :state",
        {
            "id": charge.id,
            "state": charge.state.value,
            "next": state.value,
            "authentication_id": moved.authentication_id,
            "authorize_id": moved.authorize_id,
            "response_code": moved.response_code,
            "sealed_cvv": moved.sealed_cvv,
            "details": msgspec.json.encode(moved.details).decode(),
            "deadline_at": to_ms(moved.deadline_at),
        },
    )
    if won != 1:
        raise Refused(Reason.PAYMENT_MOVED_ON, charge=charge.id, state=charge.state)
    return moved


def get_charge(tx: Tx, charge_id: str) -> Charge:
    """A charge we know the id of."""
    row = tx.one("select * from card_charge where id = :id", {"id": charge_id})
    assert row is not None, charge_id
    return charge_from(row)


def hold_charge(tx: Tx, charge_id: str) -> Charge:
    """The same, as it is now; its payment is held, so nobody moves it until the transaction ends."""
    hold_payment(tx, get_charge(tx, charge_id).payment_id)
    return get_charge(tx, charge_id)


def charges_of(tx: Tx, payment_id: str) -> list[Charge]:
    """A payment's charges, oldest first."""
    return [
        charge_from(row) for row in tx.all("select * from card_charge where payment_id = :id order by id", {"id": payment_id})
    ]


def current_charge(tx: Tx, payment_id: str) -> Charge | None:
    """The newest charge of a payment: the one that says how it stands."""
    row = tx.one("select * from card_charge where payment_id = :id order by id desc limit 1", {"id": payment_id})
    return None if row is None else charge_from(row)


def by_authorize_id(tx: Tx, merchant_id: str, authorize_id: str) -> Charge | None:
    """The approved charge that a capture names."""
    row = tx.one(
        "select * from card_charge where merchant_id = :merchant_id and authorize_id = :authorize_id and state = 'APPROVED'",
        {"merchant_id": merchant_id, "authorize_id": authorize_id},
    )
    return None if row is None else charge_from(row)


def overdue_charges(tx: Tx, *, now: datetime, limit: int) -> list[Charge]:
    """Charges whose buyer did not come back from the issuer in time."""
    rows = tx.all(
        "select * from card_charge where state in ('AUTHENTICATING', 'AUTHORISING', 'REVERSING') and deadline_at <= :now"
        " and state = 'AUTHENTICATING' order by deadline_at limit :limit",
        {"now": to_ms(now), "limit": limit},
    )
    return [charge_from(row) for row in rows]


def hold_counts(tx: Tx, merchant_id: str) -> None:
    """Let the merchant's attempts come one after the other until this transaction ends: those at the same moment, on other
    orders, would not see each other in `counts`."""
    tx.execute("update merchant set name = name where client_id = :merchant_id", {"merchant_id": merchant_id})


def counts(tx: Tx, *, merchant_id: str, fingerprint: str, customer_id: str | None, now: datetime) -> tuple[int, int, int]:
    """For the risk rules: attempts and failures with this card in the last hour, payments of this customer in a day."""
    row = tx.one(
        "select count(*) as attempts, coalesce(sum(case when state = 'DECLINED' then 1 else 0 end), 0) as failures"
        " from card_charge where merchant_id = :merchant_id and fingerprint = :fingerprint and created_at > :since",
        {"merchant_id": merchant_id, "fingerprint": fingerprint, "since": to_ms(now - timedelta(hours=1))},
    )
    assert row is not None
    paid = None
    if customer_id:
        paid = tx.one(
            "select count(*) as n from card_charge where merchant_id = :merchant_id and customer_id = :customer_id"
            " and created_at > :since and state = 'APPROVED'",
            {"merchant_id": merchant_id, "customer_id": customer_id, "since": to_ms(now - timedelta(days=1))},
        )
    return int(row["attempts"]), int(row["failures"]), int(paid["n"]) if paid else 0


def write_question(
    tx: Tx, charge: Charge, kind: str, *, subject: str, amount: Rupiah, now: datetime, due_in_s: float, **details: Any
) -> Question:
    """Write a question down before it is asked. The sweeper takes it up when nobody has the answer after `due_in_s` real seconds.

    Raises Refused(PAYMENT_BUSY) when something else is being asked about this payment's money.
    """
    before = questions_about(tx, subject, kind)
    question_id = new_id("ask", after=before[-1].id if before else None)
    question = Question(question_id, charge.merchant_id, charge.payment_id, kind, subject, amount, "ASKED", details, now)
    written = tx.execute(
        "insert into card_question (id, merchant_id, payment_id, kind, subject, amount, state, details, asked_at, due_real_at)"
        " values (:id, :merchant_id, :payment_id, :kind, :subject, :amount, 'ASKED', :details, :now, :due) on conflict do nothing",
        {
            "id": question.id,
            "merchant_id": question.merchant_id,
            "payment_id": question.payment_id,
            "kind": kind,
            "subject": subject,
            "amount": amount,
            "details": msgspec.json.encode(details).decode(),
            "now": to_ms(now),
            "due": to_ms(real_now() + timedelta(seconds=due_in_s)),
        },
    )
    if written != 1:
        raise Refused(Reason.PAYMENT_BUSY, payment=charge.payment_id)
    return question


def answer_question(tx: Tx, question: Question) -> None:
    """Its answer is being acted on, in this transaction and no other. Raises Refused(PAYMENT_MOVED_ON)."""
    won = tx.execute(
        "update card_question set state = 'ANSWERED', due_real_at = null where id = :id and state = 'ASKED'", {"id": question.id}
    )
    if won != 1:
        raise Refused(Reason.PAYMENT_MOVED_ON, question=question.id)


def questions_about(tx: Tx, subject: str, kind: str) -> list[Question]:
    """What was asked about a charge or refund, oldest first."""
    rows = tx.all(
        "select * from card_question where subject = :subject and kind = :kind order by id", {"subject": subject, "kind": kind}
    )
    return [_question(row) for row in rows]


def claim_questions(tx: Tx, *, again_in_s: float, limit: int) -> list[Question]:
    """Questions whose asker has not come back, each given to one sweeper for `again_in_s` real seconds."""
    real = real_now()
    rows = tx.all(
        f"select * from card_question where {is_due('due_real_at')} order by due_real_at, id limit :limit",  # noqa: S608 - fixed texts
        {**due_moments(real), "limit": limit},
    )
    return [
        _question(row)
        for row in rows
        if tx.execute(
            "update card_question set due_real_at = :again where id = :id and due_real_at = :due",
            {"id": row["id"], "due": row["due_real_at"], "again": to_ms(real + timedelta(seconds=again_in_s))},
        )
        == 1
    ]


def any_due(tx: Tx, *, now: datetime) -> bool:
    """Whether a sweep would find anything: three small indexes, read often."""
    row = tx.one(
        f"select (exists (select 1 from card_question where {is_due('due_real_at')})"  # noqa: S608 - fixed texts
        " or exists (select 1 from card_charge where state in ('AUTHENTICATING', 'AUTHORISING', 'REVERSING')"
        " and state = 'AUTHENTICATING' and deadline_at <= :now)"
        " or exists (select 1 from payment where state = 'AUTHORISED' and capture_before <= :now)"
        " or exists (select 1 from vault_card where keep_until is not null and keep_until <= :now)) as due",
        {**due_moments(real_now()), "now": to_ms(now)},
    )
    return bool(row and row["due"])


def charge_from(row: Row) -> Charge:
    """A charge as stored."""
    sealed = row["sealed_cvv"]
    return Charge(
        id=row["id"],
        payment_id=row["payment_id"],
        merchant_id=row["merchant_id"],
        state=ChargeState(row["state"]),
        amount=Rupiah(row["amount"]),
        card_id=row["card_id"],
        fingerprint=row["fingerprint"],
        customer_id=row["customer_id"],
        authentication_id=row["authentication_id"],
        authorize_id=row["authorize_id"],
        response_code=row["response_code"],
        sealed_cvv=None if sealed is None else bytes(sealed),
        details=msgspec.json.decode(row["details"], type=ChargeDetails),
        created_at=from_ms(row["created_at"]),
        deadline_at=from_ms(row["deadline_at"]),
    )


def _question(row: Row) -> Question:
    return Question(
        id=row["id"],
        merchant_id=row["merchant_id"],
        payment_id=row["payment_id"],
        kind=row["kind"],
        subject=row["subject"],
        amount=Rupiah(row["amount"]),
        state=row["state"],
        details=msgspec.json.decode(row["details"]),
        asked_at=from_ms(row["asked_at"]),
    )
