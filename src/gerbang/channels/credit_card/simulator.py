"""The sandbox's outside world: a pretend acquirer, a pretend 3-D Secure server, and what the issuing bank's page remembers.

All three are counterparties, not parts of the gateway: they keep books of their own, answer the same question the same way for
ever (from another process too, and after `kill -9`), and refuse what a real one would refuse. A test card's number decides,
unless an outcome was chosen for the payment beforehand (`choose`). Neither a card number nor a CVV is in their memory.

Magic values: CVV 000 (AMEX 0000) answers N7 on every card that would be approved; an expiry in the past answers 54; a number that
is no test card answers 14.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from gerbang.channels.credit_card.authentication import new_trans_id
from gerbang.channels.credit_card.numbers import BadExpiry, expiry_of_yymm, mask
from gerbang.channels.credit_card.provider import (
    AcquirerAnswer,
    AuthenticationAnswer,
    AuthenticationQuestion,
    AuthoriseQuestion,
    ChallengeResult,
    FollowUpQuestion,
)
from gerbang.channels.credit_card.responses import KNOWN_CODES, is_approved
from gerbang.channels.credit_card.sandbox_cards import DEFAULT_OTP, SandboxCard, sandbox_card
from gerbang.clock import Clock, from_ms, real_now, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_digits
from gerbang.phones import mask_phone
from gerbang.storage import Database, Retry, Tx

CHALLENGE_TIME = timedelta(minutes=5)
RESEND_PAUSE = timedelta(seconds=30)
MAX_WRONG_CODES = 3
MAX_RESENDS = 3

# For the channel's own list of what a tester may type.
MAGIC_VALUES: Mapping[str, str] = {
    "CVV 000 (AMEX 0000)": "a card that would be approved answers N7, CVV wrong",
    "an expiry in the past": "response code 54, card expired",
    "a number that is no test card": "response code 14, invalid card number",
}

_APPROVED, _REFUSED, _SILENCE = "00", "12", "TO"
_CODE = re.compile(r"[0-9A-Z]{2}")
_FOLLOW_UPS = ("CAPTURE", "VOID", "REFUND", "REVERSE")

# A chosen 3-D Secure outcome: the first answer, and how a challenge ends when the buyer does everything right.
THREE_DS_CHOICES: Mapping[str, tuple[str | None, str]] = {
    "frictionless": ("Y", "Y"),
    "challenge": ("C", "Y"),
    "challenge_failed": ("C", "N"),
    "attempted": ("A", "A"),
    "not_authenticated": ("N", "N"),
    "unavailable": ("U", "U"),
    "rejected": ("R", "R"),
    "none": (None, ""),
}


# Memory: one row per question; it is written once.


def _recall(tx: Tx, question_id: str, kind: str) -> bytes | None:
    row = tx.one(
        "select answer from simulated_answer where question_id = :question_id and kind = :kind",
        {"question_id": question_id, "kind": kind},
    )
    return None if row is None else str(row["answer"]).encode()


def _remember(tx: Tx, question_id: str, kind: str, answer: msgspec.Struct) -> None:
    """Write a row that is not there yet. If somebody was faster, the whole transaction runs again and finds theirs."""
    written = tx.execute(
        "insert into simulated_answer (question_id, kind, answer, real_at) values (:question_id, :kind, :answer, :real_at)"
        " on conflict do nothing",
        {"question_id": question_id, "kind": kind, "answer": _json(answer), "real_at": to_ms(real_now())},
    )
    if written != 1:
        raise Retry


def _json(record: msgspec.Struct) -> str:
    return msgspec.json.encode(record).decode()


# What a tester wants to happen to one payment.


class Chosen(msgspec.Struct, frozen=True, omit_defaults=True):
    """An outcome chosen in advance; None leaves it to the card.

    three_ds        one of THREE_DS_CHOICES
    response_code   what the acquirer answers when asked for the money
    follow_up_code  what it answers to capture, void and refund. TO: it does what it was asked, but its answer is lost
    """

    three_ds: str | None = None
    response_code: str | None = None
    follow_up_code: str | None = None


def choose(
    tx: Tx, reference: str, *, three_ds: str | None, response_code: str | None, follow_up_code: str | None = None
) -> Chosen:
    """Decide what happens to questions about `reference` from now on, whatever the card; nothing chosen clears it.

    Refuses (FIELD_INVALID) an outcome that does not exist.
    """
    if three_ds is not None and three_ds not in THREE_DS_CHOICES:
        raise Refused(Reason.FIELD_INVALID, field="three_ds", known=", ".join(THREE_DS_CHOICES))
    for name, code in (("response_code", response_code), ("follow_up_code", follow_up_code)):
        if code is not None and not _CODE.fullmatch(code):
            raise Refused(Reason.FIELD_INVALID, field=name, known=", ".join(KNOWN_CODES))
    wanted = Chosen(three_ds, response_code, follow_up_code)
    tx.execute(
        "insert into simulated_answer (question_id, kind, answer, real_at) values (:question_id, 'CHOSEN', :answer, :real_at)"
        " on conflict (question_id) do update set answer = excluded.answer, real_at = excluded.real_at",
        {"question_id": f"chosen:{reference}", "answer": _json(wanted), "real_at": to_ms(real_now())},
    )
    return wanted


def chosen(tx: Tx, reference: str) -> Chosen:
    """What was chosen for `reference`; empty if nothing was."""
    answer = _recall(tx, f"chosen:{reference}", "CHOSEN")
    return Chosen() if answer is None else msgspec.json.decode(answer, type=Chosen)


# The acquirer.


class _Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about a question that was answered. `masked` is all that is left of the card."""

    response_code: str
    reference: str
    amount: int
    acquirer: str
    approval_code: str | None = None
    authorise_id: str | None = None
    masked: str | None = None

    @property
    def answer(self) -> AcquirerAnswer:
        return AcquirerAnswer(self.response_code, self.approval_code)


class _Hold(msgspec.Struct, omit_defaults=True):
    """One authorisation in the acquirer's books.

    lost  approved, but the answer never arrived: only a reversal is accepted
    """

    amount: int
    state: Literal["RESERVED", "TAKEN", "VOIDED", "REVERSED"]
    captured: int = 0
    refunded: int = 0
    lost: bool = False

    @property
    def taken(self) -> int:
        return self.captured - self.refunded if self.state == "TAKEN" else 0


class _Book(msgspec.Struct):
    """The authorisations of one payment, by the id of the question that asked for them."""

    holds: dict[str, _Hold]


def _book(tx: Tx, reference: str) -> tuple[_Book, bytes | None]:
    written = _recall(tx, f"book:{reference}", "BOOK")
    return (_Book({}) if written is None else msgspec.json.decode(written, type=_Book)), written


def _write_book(tx: Tx, reference: str, book: _Book, before: bytes | None) -> None:
    """Compare and set: two questions about one payment cannot both count on the money that is there for one."""
    if before is None:
        _remember(tx, f"book:{reference}", "BOOK", book)
        return
    written = tx.execute(
        "update simulated_answer set answer = :after, real_at = :real_at where question_id = :question_id and answer = :before",
        {"question_id": f"book:{reference}", "after": _json(book), "before": before.decode(), "real_at": to_ms(real_now())},
    )
    if written != 1:
        raise Retry


def taken(tx: Tx, reference: str) -> int:
    """Whole rupiah the acquirer has taken for a payment and not given back, by its own books."""
    return sum(hold.taken for hold in _book(tx, reference)[0].holds.values())


def reserved(tx: Tx, reference: str) -> int:
    """Whole rupiah reserved on the buyer's card and neither captured nor released, by the acquirer's own books."""
    return sum(hold.amount for hold in _book(tx, reference)[0].holds.values() if hold.state == "RESERVED")


class SandboxAcquirer:
    """Takes money that does not exist."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def authorise(self, question: AuthoriseQuestion) -> AcquirerAnswer:
        """Decide by what was chosen, else by the card. TO takes the money and stays silent: it has to be reversed."""
        return await self._database.transact(lambda tx: _authorise(tx, question, now=self._clock.now()))

    async def follow_up(self, question: FollowUpQuestion) -> AcquirerAnswer:
        """Refuses (12) what the books do not allow."""
        return await self._database.transact(lambda tx: _follow_up(tx, question))

    async def inquire(self, question_id: str) -> AcquirerAnswer | None:
        """An authorisation that was answered by silence is unknown here, too. A follow-up answered by silence was done."""
        return await self._database.read(lambda tx: _inquire(tx, question_id))


def _authorise(tx: Tx, question: AuthoriseQuestion, *, now: datetime) -> AcquirerAnswer:
    before = _recall(tx, question.id, "AUTHORISE")
    if before is not None:
        return msgspec.json.decode(before, type=_Answered).answer
    book, written = _book(tx, question.reference)
    # A reversal may overtake what it reverses; the latecomer must not take money that nobody will give back.
    code = _REFUSED if question.id in book.holds else _decide(tx, question, now=now)
    approved = is_approved(code, question.card.brand)
    if approved or code == _SILENCE:
        book.holds[question.id] = _Hold(
            amount=question.amount,
            state="TAKEN" if question.capture else "RESERVED",
            captured=question.amount if question.capture else 0,
            lost=not approved,
        )
        _write_book(tx, question.reference, book, written)
    answered = _Answered(
        response_code=code,
        reference=question.reference,
        amount=question.amount,
        acquirer=question.acquirer,
        approval_code=new_digits(6) if approved else None,
        masked=mask(question.card.number),
    )
    _remember(tx, question.id, "AUTHORISE", answered)
    return answered.answer


def _decide(tx: Tx, question: AuthoriseQuestion, *, now: datetime) -> str:
    wanted = chosen(tx, question.reference).response_code
    if wanted is not None:
        return wanted
    card = sandbox_card(question.card.number)
    if card is None:
        return "14"
    try:
        if expiry_of_yymm(question.card.expiry).is_over(now):
            return "54"
    except BadExpiry:
        return "54"
    if is_approved(card.response_code, card.brand) and question.card.cvv is not None and not question.card.cvv.strip("0"):
        return "N7"
    return card.response_code


def _follow_up(tx: Tx, question: FollowUpQuestion) -> AcquirerAnswer:
    assert question.kind in _FOLLOW_UPS, question.kind
    before = _recall(tx, question.id, question.kind)
    if before is not None:
        return _heard(msgspec.json.decode(before, type=_Answered))
    if question.kind == "REVERSE":
        code = _reverse(tx, question)
    else:
        code = chosen(tx, question.reference).follow_up_code or _APPROVED
        if _does_it(code) and not _moved(tx, question):
            code = _REFUSED
    answered = _Answered(
        response_code=code,
        reference=question.reference,
        amount=question.amount,
        acquirer=question.acquirer,
        approval_code=new_digits(6) if _does_it(code) else None,
        authorise_id=question.authorise_id,
    )
    _remember(tx, question.id, question.kind, answered)
    return _heard(answered)


def _does_it(code: str) -> bool:
    return code == _SILENCE or is_approved(code)


def _heard(answered: _Answered) -> AcquirerAnswer:
    """What arrives at the gateway: of a lost answer, no approval code either."""
    return AcquirerAnswer(_SILENCE) if answered.response_code == _SILENCE else answered.answer


def _reverse(tx: Tx, question: FollowUpQuestion) -> str:
    """Whatever became of the authorisation, afterwards nothing of it is held. What was never heard stays reversed, too."""
    asked = _recall(tx, question.authorise_id, "AUTHORISE")
    reference = question.reference if asked is None else msgspec.json.decode(asked, type=_Answered).reference
    book, written = _book(tx, reference)
    hold = book.holds.get(question.authorise_id)
    if hold is None:
        book.holds[question.authorise_id] = _Hold(amount=question.amount, state="REVERSED")
    else:
        hold.state = "REVERSED"
    _write_book(tx, reference, book, written)
    return _APPROVED


def _moved(tx: Tx, question: FollowUpQuestion) -> bool:
    """Do it if the books allow it."""
    book, written = _book(tx, question.reference)
    hold = book.holds.get(question.authorise_id)
    if hold is None or hold.lost or question.amount <= 0:
        return False
    match question.kind, hold.state:
        case "CAPTURE", "RESERVED" if question.amount <= hold.amount:
            # One capture for each authorisation: a smaller one releases the rest.
            hold.state, hold.captured = "TAKEN", question.amount
        case "VOID", "RESERVED" if question.amount == hold.amount:
            hold.state = "VOIDED"
        case "VOID", "TAKEN" if not hold.refunded and question.amount in (hold.captured, hold.amount):
            hold.state = "VOIDED"
        case "REFUND", "TAKEN" if question.amount <= hold.taken:
            hold.refunded += question.amount
        case _:
            return False
    _write_book(tx, question.reference, book, written)
    return True


def _inquire(tx: Tx, question_id: str) -> AcquirerAnswer | None:
    for kind in ("AUTHORISE", *_FOLLOW_UPS):
        written = _recall(tx, question_id, kind)
        if written is None:
            continue
        answered = msgspec.json.decode(written, type=_Answered)
        if answered.response_code != _SILENCE:
            return answered.answer
        return None if kind == "AUTHORISE" else AcquirerAnswer(_APPROVED, answered.approval_code)
    return None


# The 3-D Secure server and the issuing bank.


class _Authenticated(msgspec.Struct, frozen=True, omit_defaults=True):
    trans_status: str | None
    acs_trans_id: str | None = None
    ds_trans_id: str | None = None
    acs_url: str | None = None


class ChallengeFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the issuer's page knows about one challenge.

    ends     the transStatus when the buyer enters the right code
    sent_at  when the last code was sent, in ms
    reason   why it ended otherwise than by Y
    """

    authentication_id: str
    merchant_name: str
    amount: int
    last4: str
    brand: str
    issuer: str | None
    phone: str | None
    otp: str
    ends: str
    notification_url: str
    lang: str
    sent_at: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Challenge:
    """A buyer's visit to the issuing bank."""

    acs_trans_id: str
    facts: ChallengeFacts
    wrong_codes: int
    codes_sent: int
    trans_status: str | None
    created_at: datetime

    @property
    def expires_at(self) -> datetime:
        return self.created_at + CHALLENGE_TIME

    @property
    def tries_left(self) -> int:
        return MAX_WRONG_CODES - self.wrong_codes

    @property
    def resends_left(self) -> int:
        return MAX_RESENDS + 1 - self.codes_sent

    @property
    def step(self) -> str:
        """Names what the buyer saw: a form sent twice, or again by reloading, is not a second try."""
        return f"{self.wrong_codes}.{self.codes_sent}"

    def resend_wait_s(self, now: datetime) -> int:
        """Whole seconds until another code may be sent, rounded up."""
        left = from_ms(self.facts.sent_at) + RESEND_PAUSE - now
        return max(0, -(-left // timedelta(seconds=1)))


class SandboxSchemes:
    """The schemes' 3-D Secure server. The buyer's challenge is at the bank page of the gateway's own address."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def authenticate(self, question: AuthenticationQuestion) -> AuthenticationAnswer:
        """Decide by what was chosen, else by the card; a card without 3-D Secure cannot be challenged."""
        return await self._database.transact(lambda tx: _authenticate(tx, question, now=self._clock.now()))

    async def challenge_result(self, acs_trans_id: str) -> ChallengeResult | None:
        """The result, from the moment the bank knows it. Five minutes without one are the result N, timeout."""

        def look(tx: Tx) -> ChallengeResult | None:
            challenge = current_challenge(tx, acs_trans_id, now=self._clock.now())
            if challenge is None or challenge.trans_status is None:
                return None
            return ChallengeResult(challenge.trans_status, challenge.facts.reason)

        return await self._database.transact(look)


def _authenticate(tx: Tx, question: AuthenticationQuestion, *, now: datetime) -> AuthenticationAnswer:
    row_id = f"authentication:{question.authentication_id}"
    before = _recall(tx, row_id, "AUTHENTICATE")
    if before is not None:
        answered = msgspec.json.decode(before, type=_Authenticated)
    else:
        card = sandbox_card(question.card.number)
        trans_status, ends = _authentication(card, chosen(tx, question.reference).three_ds, challenge=question.challenge)
        if trans_status is None:
            answered = _Authenticated(None)
        else:
            acs_trans_id = new_trans_id()
            acs_url = None
            if trans_status == "C":
                origin = urlsplit(question.notification_url)
                acs_url = f"{origin.scheme}://{origin.netloc}/simulators/bank/{acs_trans_id}"
                _open_challenge(tx, acs_trans_id, question, card, ends=ends, now=now)
            answered = _Authenticated(trans_status, acs_trans_id, new_trans_id(), acs_url)
        _remember(tx, row_id, "AUTHENTICATE", answered)
    return AuthenticationAnswer(answered.trans_status, answered.acs_trans_id, answered.ds_trans_id, answered.acs_url)


def _authentication(card: SandboxCard | None, wanted: str | None, *, challenge: bool) -> tuple[str | None, str]:
    """(first answer, how a challenge ends)."""
    if wanted is not None:
        return THREE_DS_CHOICES[wanted]
    if card is None or card.three_ds == "none":
        return None, ""
    if challenge or card.three_ds == "challenge":
        return "C", "N" if card.trans_status in ("N", "R") else "Y"
    return card.trans_status, ""


def _open_challenge(
    tx: Tx, acs_trans_id: str, question: AuthenticationQuestion, card: SandboxCard | None, *, ends: str, now: datetime
) -> None:
    facts = ChallengeFacts(
        authentication_id=question.authentication_id,
        merchant_name=question.merchant_name,
        amount=question.amount,
        last4=question.card.number[-4:],
        brand=question.card.brand.value,
        issuer=card.issuer if card else None,
        phone=_masked_phone(question.phone),
        otp=card.otp if card else DEFAULT_OTP,
        ends=ends,
        notification_url=question.notification_url,
        lang=question.lang,
        sent_at=to_ms(now),
    )
    tx.execute(
        "insert into simulated_challenge (acs_trans_id, details, wrong_codes, codes_sent, trans_status, created_at)"
        " values (:acs_trans_id, :details, 0, 1, null, :created_at)",
        {"acs_trans_id": acs_trans_id, "details": _json(facts), "created_at": to_ms(now)},
    )


def _masked_phone(phone: str | None) -> str | None:
    digits = re.sub(r"\D", "", phone or "")
    return mask_phone(digits) if len(digits) >= 7 else None


def find_challenge(tx: Tx, acs_trans_id: str) -> Challenge | None:
    """The challenge as it is on disk."""
    row = tx.one("select * from simulated_challenge where acs_trans_id = :acs_trans_id", {"acs_trans_id": acs_trans_id})
    if row is None:
        return None
    return Challenge(
        acs_trans_id=row["acs_trans_id"],
        facts=msgspec.json.decode(row["details"], type=ChallengeFacts),
        wrong_codes=row["wrong_codes"],
        codes_sent=row["codes_sent"],
        trans_status=row["trans_status"],
        created_at=from_ms(row["created_at"]),
    )


def current_challenge(tx: Tx, acs_trans_id: str, *, now: datetime) -> Challenge | None:
    """The challenge; one whose time is over is ended first."""
    challenge = find_challenge(tx, acs_trans_id)
    if challenge is None or challenge.trans_status is not None or now < challenge.expires_at:
        return challenge
    return end_challenge(tx, challenge, "N", reason="timeout")


def end_challenge(tx: Tx, challenge: Challenge, trans_status: str, *, reason: str | None = None) -> Challenge:
    """Write the result. The first one stands: whoever comes later gets that."""
    details = _json(msgspec.structs.replace(challenge.facts, reason=reason))
    tx.execute(
        "update simulated_challenge set trans_status = :trans_status, details = :details"
        " where acs_trans_id = :acs_trans_id and trans_status is null",
        {"acs_trans_id": challenge.acs_trans_id, "trans_status": trans_status, "details": details},
    )
    return _again(tx, challenge)


def try_code(tx: Tx, challenge: Challenge, code: str) -> Challenge:
    """The buyer entered a code. The third wrong one ends it."""
    if hmac.compare_digest(code.encode(), challenge.facts.otp.encode()):
        right = challenge.facts.ends == "Y"
        return end_challenge(tx, challenge, challenge.facts.ends, reason=None if right else "wrong_code")
    counted = tx.execute(
        "update simulated_challenge set wrong_codes = wrong_codes + 1"
        " where acs_trans_id = :acs_trans_id and wrong_codes = :wrong_codes and trans_status is null",
        {"acs_trans_id": challenge.acs_trans_id, "wrong_codes": challenge.wrong_codes},
    )
    after = _again(tx, challenge)
    if after.trans_status is not None:
        return after
    if counted != 1:
        raise Retry  # another try was counted meanwhile: look again, so that guessing side by side wins nothing
    return end_challenge(tx, after, "N", reason="wrong_code") if after.tries_left <= 0 else after


def send_again(tx: Tx, challenge: Challenge, *, now: datetime) -> Challenge:
    """Send another code. Unchanged when the last one is too fresh or there were enough."""
    if challenge.resends_left <= 0 or challenge.resend_wait_s(now) > 0:
        return challenge
    details = _json(msgspec.structs.replace(challenge.facts, sent_at=to_ms(now)))
    tx.execute(
        "update simulated_challenge set codes_sent = codes_sent + 1, details = :details"
        " where acs_trans_id = :acs_trans_id and codes_sent = :codes_sent and trans_status is null",
        {"acs_trans_id": challenge.acs_trans_id, "codes_sent": challenge.codes_sent, "details": details},
    )
    return _again(tx, challenge)


def _again(tx: Tx, challenge: Challenge) -> Challenge:
    found = find_challenge(tx, challenge.acs_trans_id)
    assert found is not None
    return found
