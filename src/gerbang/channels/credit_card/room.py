"""The card room at work: transactions with questions to the outside between them. What a page, a call or the sweeper starts ends here."""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from gerbang.channel import Channel, Parts
from gerbang.channels.credit_card import charging, installments
from gerbang.channels.credit_card.authentications import (
    Authentication,
    finish_authentication,
    start_authentication,
)
from gerbang.channels.credit_card.bins import CardFacts, facts_of
from gerbang.channels.credit_card.charges import (
    Charge,
    ChargeState,
    Question,
    any_due,
    charges_of,
    claim_questions,
    current_charge,
    get_charge,
    hold_charge,
    move_charge,
    overdue_charges,
    questions_about,
)
from gerbang.channels.credit_card.charging import Attempt, Books
from gerbang.channels.credit_card.followups import due_for_release, finish_capture, finish_refund, release
from gerbang.channels.credit_card.installments import Plan
from gerbang.channels.credit_card.numbers import Brand, Expiry, mask
from gerbang.channels.credit_card.options import PaymentType
from gerbang.channels.credit_card.provider import (
    Acquirer,
    AcquirerAnswer,
    AuthenticationAnswer,
    AuthenticationQuestion,
    AuthoriseQuestion,
    CardData,
    CardSchemes,
    FollowUpQuestion,
)
from gerbang.channels.credit_card.sandbox_cards import sandbox_card
from gerbang.channels.credit_card.terms import THREE_DS_PATH, Quote, options_of, quote, route, terms_of
from gerbang.errors import Reason, Refused
from gerbang.merchants import Merchant, get
from gerbang.money import Rupiah
from gerbang.payments import Move, Order, Payment, PaymentState
from gerbang.payments.moves import hold_payment
from gerbang.protocols.nonsnap.outcomes import close_unpaid
from gerbang.settings import Settings
from gerbang.storage import Tx
from gerbang.vault import CardForgotten, SealBroken, StoredCard, Vault, find_token, open_sealed, seal

log = logging.getLogger(__name__)

_SWEEP_BATCH = 20
_Subject = TypeVar("_Subject", Question, Charge, str)


@dataclass(frozen=True, slots=True)
class Submission:
    """What a buyer sent with Pay, checked for form: a new card, or the token of a saved one.

    browser_key  a random text that only this buyer's browser keeps: the CVV waits under it while the bank asks
    origin       where the buyer reaches us, for the way back from the bank
    """

    browser_key: str = field(repr=False)
    number: str | None = field(default=None, repr=False)
    expiry: Expiry | None = None
    cvv: str | None = field(default=None, repr=False)
    holder: str | None = None
    token: str | None = None
    plan_id: str | None = None
    save: bool = False
    consent: dict[str, str] | None = None
    ip: str | None = None
    lang: str = "id"
    origin: str = ""


class CardRefused(Exception):
    """The card cannot be used for this payment, and nothing was tried: `key` is the page's text."""

    def __init__(self, key: str, field: str = "number") -> None:
        super().__init__(key)
        self.key = key
        self.field = field


class CardRoom:
    """The running parts of the room."""

    def __init__(self, parts: Parts, acquirer: Acquirer, schemes: CardSchemes) -> None:
        self.database = parts.database
        self.clock = parts.clock
        self.settings: Settings = parts.settings
        assert parts.vault is not None, "cards without a vault"
        self.vault: Vault = parts.vault
        self.acquirer = acquirer
        self.schemes = schemes
        self.books = Books(parts.settings, self.vault)
        self._cvv_key = parts.settings.key("cvv between submit and authorisation")

    # -- a page's charge

    async def submit(self, payment_id: str, sent: Submission) -> Charge:
        """Try to charge. The charge returned says how far it came: waiting for the bank's page, or ended.

        Raises CardRefused (nothing was tried), Refused: PAYMENT_MOVED_ON, PAYMENT_BUSY.
        """
        now = self.clock.now()

        form = self._form_of(sent)

        def start(tx: Tx) -> _Step:
            # Held from the first look on: of the same form sent twice at once, the second has to find what the first wrote.
            order, payment = hold_payment(tx, payment_id)
            sent_before = next((one for one in charges_of(tx, payment_id) if one.details.form == form), None)
            if sent_before is not None:
                return _Step(sent_before)  # the same form again: a reload, or a second press
            if payment.state is not PaymentState.PENDING or now >= self.deadline(tx, payment):
                raise Refused(Reason.PAYMENT_MOVED_ON, state=payment.state)
            under_way = current_charge(tx, payment_id)
            if under_way is not None and under_way.state is ChargeState.AUTHENTICATING:
                charging.abandon(tx, under_way)
            merchant = get(tx, payment.merchant_id)
            terms = terms_of(order)
            card, facts, plan, discount = self._card(tx, merchant, order, payment, sent, now=now)
            with_token = sent.token is not None
            options = options_of(merchant)
            acquirer = self.route(order, merchant, facts, plan)
            if acquirer is None:
                raise CardRefused("number_refused")
            payment_type = PaymentType.INSTALLMENT if plan.tenor else terms.payment_type
            if payment_type is PaymentType.INSTALLMENT and not plan.tenor:
                payment_type = PaymentType.SALE
            charge, verdict = charging.begin(
                tx,
                self.books,
                merchant,
                order,
                payment,
                Attempt(
                    card=card,
                    facts=facts,
                    amount=Rupiah(order.amount - discount),
                    discount=discount,
                    acquirer=acquirer.value,
                    payment_type=payment_type,
                    captures=terms.captures,
                    save=bool(terms.customer_id) and (sent.save or terms.save or _first_recurring(payment_type, with_token)),
                    email=terms.customer.get("email"),
                    ip=sent.ip,
                    tenor=plan.tenor,
                    plan_bank=plan.acquirer.value if plan.acquirer else None,
                    interest_bp=plan.interest_bp,
                    off_us=plan.off_us,
                    descriptor=terms.descriptor if options.descriptor else None,
                    consent=sent.consent,
                    with_token=with_token,
                    form=form,
                ),
                now=now,
            )
            if not charge.state.is_open:
                return _Step(charge)
            if payment_type is PaymentType.MOTO or (payment_type is PaymentType.RECURRING and with_token):
                charge, question = charging.authenticated(tx, self.books, charge, None, now=now)
                return self._on_to_acquirer(tx, charge, question, sent.cvv)
            authentication = start_authentication(
                tx,
                merchant_id=merchant.client_id,
                charge_id=charge.id,
                card_id=card.id,
                amount=charge.amount,
                now=now,
                minutes=self.settings.card_challenge_min,
            )
            charge = move_charge(tx, charge, charge.state, authentication_id=authentication.id)
            return _Step(
                charge,
                authenticate=self._authentication_question(
                    tx,
                    authentication,
                    merchant,
                    card,
                    payment.id,
                    sent,
                    phone=terms.customer.get("phone"),
                    challenge=verdict.challenge,
                    now=now,
                ),
            )

        step = await self.database.transact(start)
        if step.authenticate is not None:
            answer = await self.schemes.authenticate(step.authenticate)
            step = await self.database.transact(lambda tx: self._authentication_answered(tx, step.charge.id, answer, sent))
        if step.authorise is None:
            return step.charge
        return await self.authorise(step.charge, *step.authorise)

    def _card(
        self, tx: Tx, merchant: Merchant, order: Order, payment: Payment, sent: Submission, *, now: datetime
    ) -> tuple[StoredCard, CardFacts, Plan, Rupiah]:
        terms = terms_of(order)
        if sent.token is not None:
            token = find_token(tx, merchant.client_id, sent.token)
            if token is None or (terms.customer_id and token.customer_id != terms.customer_id):
                raise CardRefused("card_gone", "choice")
            number = self.vault.number(tx, token.card, purpose="charge", now=now)
            card = token.card
        else:
            assert sent.number is not None
            assert sent.expiry is not None
            number = sent.number
            card = self.keep(
                tx,
                merchant.client_id,
                number,
                sent.expiry,
                holder=sent.holder,
                until=now + timedelta(minutes=self.settings.card_challenge_min + 15),
                now=now,
            )
        facts = facts_of(number)
        priced = self.price(order, merchant, number, facts)
        plan = priced.plan(sent.plan_id)
        if plan is None:
            raise CardRefused("plan_unavailable" if priced.plans else "number_refused", "plan" if priced.plans else "number")
        return card, facts, plan, priced.discount

    def keep(
        self, tx: Tx, merchant_id: str, number: str, expiry: Expiry, *, holder: str | None, until: datetime, now: datetime
    ) -> StoredCard:
        """Put a card into the vault until `until`; a token keeps it longer."""
        facts = facts_of(number)
        return self.vault.keep(
            tx,
            merchant_id=merchant_id,
            number=number,
            masked=mask(number),
            bin=number[:8] if len(number) >= 16 else number[:6],
            last4=number[-4:],
            expiry=expiry.yymm,
            brand=facts.brand.value,
            card_type=facts.type,
            issuer=facts.issuer,
            holder=holder,
            keep_until=until,
            now=now,
        )

    def deadline(self, tx: Tx, payment: Payment) -> datetime:
        """Until when Pay may be pressed. The payment itself expires later when somebody pressed it in time and is at the bank."""
        options = options_of(get(tx, payment.merchant_id))
        minutes = options.expiry_min or self.settings.card_page_expiry_min
        return min(payment.expires_at, payment.created_at + timedelta(minutes=minutes))

    def check_environment(self, number: str) -> None:
        """A sandbox takes test cards only, production none of them (PCI DSS 6.5). Raises Refused(FIELD_INVALID, field="card.number")."""
        if (sandbox_card(number) is None) == self.settings.is_sandbox:
            raise Refused(Reason.FIELD_INVALID, field="card.number")

    def price(self, order: Order, merchant: Merchant, number_or_bin: str, facts: CardFacts) -> Quote:
        """What this card would pay for the order: the plans that some acquirer of the merchant can take."""
        priced = quote(terms_of(order), options_of(merchant), order.amount, facts, number_or_bin)
        return replace(priced, plans=tuple(plan for plan in priced.plans if self.route(order, merchant, facts, plan) is not None))

    def route(self, order: Order, merchant: Merchant, facts: CardFacts, plan: Plan) -> installments.Acquirer | None:
        """Which acquirer this charge goes to."""
        return route(
            options_of(merchant),
            facts,
            plan,
            invoice_number=order.invoice_number,
            mandiri_max=self.settings.mandiri_invoice_max,
        )

    def _authentication_question(
        self,
        tx: Tx,
        authentication: Authentication,
        merchant: Merchant,
        card: StoredCard,
        reference: str,
        sent: Submission,
        *,
        phone: str | None,
        challenge: bool,
        now: datetime,
    ) -> AuthenticationQuestion:
        number = sent.number or self.vault.number(tx, card, purpose="authenticate", now=now)
        return AuthenticationQuestion(
            authentication_id=authentication.id,
            reference=reference,
            card=CardData(number, card.expiry, Brand(card.brand), sent.cvv),
            amount=authentication.amount,
            merchant_name=merchant.name,
            phone=phone,
            lang=sent.lang,
            # The bank's form brings nothing else of the page back: the language the buyer chose would be lost there.
            notification_url=f"{sent.origin}{THREE_DS_PATH}/{authentication.id}?lang={sent.lang}",
            challenge=challenge,
        )

    def _authentication_answered(self, tx: Tx, charge_id: str, answer: AuthenticationAnswer, sent: Submission) -> "_Step":
        now = self.clock.now()
        charge = hold_charge(tx, charge_id)
        if charge.state is not ChargeState.AUTHENTICATING:
            raise Refused(Reason.PAYMENT_MOVED_ON, charge=charge.id, state=charge.state)
        if answer.trans_status == "C":
            details = charging.replace_details(charge, acs_url=answer.acs_url, acs_trans_id=answer.acs_trans_id)
            sealed = self._seal_cvv(charge.id, sent.browser_key, sent.cvv)
            return _Step(move_charge(tx, charge, charge.state, details=details, sealed_cvv=sealed))
        if charge.authentication_id:
            finish_authentication(tx, charge.authentication_id, answer.trans_status)
        charge, question = charging.authenticated(tx, self.books, charge, answer.trans_status, now=now)
        return self._on_to_acquirer(tx, charge, question, sent.cvv)

    # -- back from the bank

    async def continue_charge(self, charge: Charge, browser_key: str) -> Charge:
        """The buyer came back from the bank's page: ask the schemes how it ended, and go on. The browser's word counts nothing."""
        if charge.state is not ChargeState.AUTHENTICATING or charge.details.acs_trans_id is None:
            return charge
        result = await self.schemes.challenge_result(charge.details.acs_trans_id)
        if result is None:
            return charge
        cvv = self._open_cvv(charge, browser_key)
        lost = charge.sealed_cvv is not None and cvv is None

        def ended(tx: Tx) -> _Step:
            now = self.clock.now()
            current = hold_charge(tx, charge.id)
            if current.state is not ChargeState.AUTHENTICATING:
                return _Step(current)
            status, reason = result.trans_status, result.reason
            if lost and status == "Y":
                # Without the CVV the bank would not approve: better said at once.
                status, reason = "N", "interrupted"
            if current.authentication_id:
                finish_authentication(tx, current.authentication_id, status)
            current, question = charging.authenticated(tx, self.books, current, status, now=now, reason=reason)
            return self._on_to_acquirer(tx, current, question, cvv)

        step = await self.database.transact(ended)
        if step.authorise is None:
            return step.charge
        return await self.authorise(step.charge, *step.authorise)

    def _seal_cvv(self, charge_id: str, browser_key: str, cvv: str | None) -> bytes | None:
        if cvv is None:
            return None
        return seal(self._key_of(charge_id, browser_key), cvv.encode(), context=charge_id.encode())

    def _open_cvv(self, charge: Charge, browser_key: str) -> str | None:
        if charge.sealed_cvv is None:
            return None
        try:
            return open_sealed(self._key_of(charge.id, browser_key), charge.sealed_cvv, context=charge.id.encode()).decode()
        except SealBroken:
            return None

    def _form_of(self, sent: Submission) -> str:
        """What may be kept of a form, enough to know it again: keyed, and without the CVV. The card is part of it: a browser that
        goes back shows the old form, and another card typed there is another attempt."""
        expiry = sent.expiry.yymm if sent.expiry else ""
        parts = ("form", sent.browser_key, sent.token or sent.number or "", expiry, sent.plan_id or "")
        return hmac.new(self._cvv_key, "|".join(parts).encode(), "sha256").hexdigest()

    def _key_of(self, charge_id: str, browser_key: str) -> bytes:
        # Half of the key is ours, half is the browser's: what lies in the database opens with neither alone.
        return hmac.digest(self._cvv_key, f"{charge_id}|{browser_key}".encode(), "sha256")

    # -- asking the acquirer

    def _on_to_acquirer(self, tx: Tx, charge: Charge, question: Question | None, cvv: str | None) -> "_Step":
        if question is None:
            return _Step(charge)
        return _Step(charge, authorise=(question, self.authorise_question(tx, charge, question, cvv)))

    async def authorise(self, charge: Charge, question: Question, asked: AuthoriseQuestion) -> Charge:
        """Ask for the money and act on the answer. When somebody else acted first (the sweeper), theirs stands."""
        answer = await self.acquirer.authorise(asked)
        return await self._act(lambda tx: charging.conclude(tx, self.books, question, answer, now=self.clock.now()), charge.id)

    def authorise_question(self, tx: Tx, charge: Charge, question: Question, cvv: str | None) -> AuthoriseQuestion:
        """The question with the card, for this process's memory only. Read in the transaction that writes the question down."""
        card = self.vault.card(tx, charge.card_id, merchant_id=charge.merchant_id)
        if card is None:
            raise CardForgotten(charge.card_id)
        number = self.vault.number(tx, card, purpose="authorise", now=self.clock.now())
        details = charge.details
        return AuthoriseQuestion(
            id=question.id,
            reference=charge.payment_id,
            acquirer=details.acquirer,
            card=CardData(number, card.expiry, Brand(details.brand), cvv),
            amount=charge.amount,
            capture=details.capture,
            payment_type=details.payment_type,
            eci=details.eci,
            tenor=details.tenor or None,
            descriptor=details.descriptor,
        )

    async def follow_up(self, question: Question) -> AcquirerAnswer:
        """Ask about money authorised before."""
        about = await self.database.read(lambda tx: self._follow_up_question(tx, question))
        return await self.acquirer.follow_up(about)

    def _follow_up_question(self, tx: Tx, question: Question) -> FollowUpQuestion:
        charge = current_charge(tx, question.payment_id)
        assert charge is not None, question.payment_id
        return FollowUpQuestion(
            id=question.id,
            kind=question.kind,
            authorise_id=questions_about(tx, charge.id, "AUTHORISE")[-1].id,
            reference=question.payment_id,
            acquirer=charge.details.acquirer,
            amount=question.amount,
        )

    async def _act(self, act: Callable[[Tx], Charge], charge_id: str) -> Charge:
        try:
            return await self.database.transact(act)
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                raise
            return await self.database.read(lambda tx: get_charge(tx, charge_id))

    # -- what fell due

    async def sweep(self) -> int:
        """Questions nobody came back for, buyers who did not come back from their bank, authorisations nobody captured."""
        now = self.clock.now()
        if not await self.database.read(lambda tx: any_due(tx, now=now)):
            return 0
        done = 0
        again_in_s = self.settings.card_answer_timeout_s
        questions = await self.database.transact(lambda tx: claim_questions(tx, again_in_s=again_in_s, limit=_SWEEP_BATCH))
        # Side by side: one that hangs must not hold up the others.
        done += sum(await asyncio.gather(*(self._safely(self._take_up, question) for question in questions)))
        for charge in await self.database.read(lambda tx: overdue_charges(tx, now=now, limit=_SWEEP_BATCH)):
            done += await self._safely(self._give_up, charge)
        for payment_id in await self.database.read(lambda tx: due_for_release(tx, now=now, limit=_SWEEP_BATCH)):
            done += await self._safely(self._release, payment_id)
        done += await self.database.transact(lambda tx: self.vault.purge(tx, now=self.clock.now(), limit=_SWEEP_BATCH))
        return done

    async def _safely(self, work: Callable[[_Subject], Awaitable[bool]], subject: _Subject) -> int:
        try:
            return int(await work(subject))
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                log.error("sweeping %s: %s", _name(subject), refused)
            return 0
        except Exception:
            log.exception("sweeping %s", _name(subject))
            return 0

    async def _take_up(self, question: Question) -> bool:
        """Somebody asked and did not come back with the answer. Asking again with the same id is harmless; of an authorisation,
        whose CVV is gone, we ask what became of it. False: still silent, the lease brings it back."""
        try:
            async with asyncio.timeout(self.settings.card_answer_timeout_s):
                answer = await self._find_out(question)
        except TimeoutError:
            return False
        if question.kind == "AUTHORISE":
            await self.database.transact(lambda tx: charging.conclude(tx, self.books, question, answer, now=self.clock.now()))
            return True
        if answer.response_code == "TO":
            return False
        await self.database.transact(lambda tx: self._followed_up(tx, question, answer))
        return True

    async def _find_out(self, question: Question) -> AcquirerAnswer:
        found = await self.acquirer.inquire(question.id)
        if question.kind == "AUTHORISE":
            return found or AcquirerAnswer("TO")
        # Asked again, an acquirer whose answer was lost may stay silent for ever; so first, what became of it.
        return found or await self.follow_up(question)

    def _followed_up(self, tx: Tx, question: Question, answer: AcquirerAnswer) -> None:
        now = self.clock.now()
        if question.kind == "REVERSE":
            charging.reversed_(tx, self.books, question, now=now)
        elif question.kind == "CAPTURE":
            finish_capture(tx, self.books, question, answer, now=now)
        else:
            finish_refund(tx, self.books, question, answer, now=now)

    async def _release(self, payment_id: str) -> bool:
        return await self.database.transact(lambda tx: release(tx, self.books, payment_id, now=self.clock.now()))

    async def _give_up(self, charge: Charge) -> bool:
        acs_trans_id = charge.details.acs_trans_id
        result = await self.schemes.challenge_result(acs_trans_id) if acs_trans_id else None

        def end(tx: Tx) -> None:
            current = hold_charge(tx, charge.id)
            if current.state is not ChargeState.AUTHENTICATING:
                return
            # Even a buyer whom the bank knows is declined: with the browser the CVV is gone.
            reason = result.reason if result is not None and result.reason else "timeout"
            if current.authentication_id:
                finish_authentication(tx, current.authentication_id, "N")
            charging.authenticated(tx, self.books, current, "N", now=self.clock.now(), reason=reason)

        await self.database.transact(end)
        return True

    # -- a buyer who leaves

    async def cancel(self, payment_id: str, channel: Channel) -> None:
        """The buyer gives up. Raises Refused: PAYMENT_MOVED_ON, PAYMENT_BUSY while the acquirer is being asked."""

        def close(tx: Tx) -> None:
            now = self.clock.now()
            order, payment = hold_payment(tx, payment_id)
            charge = current_charge(tx, payment_id)
            if charge is not None and charge.state.is_open:
                if charge.state is not ChargeState.AUTHENTICATING:
                    raise Refused(Reason.PAYMENT_BUSY, payment=payment_id)
                details = charging.replace_details(charge, reason="cancelled")
                move_charge(tx, charge, ChargeState.DECLINED, response_code=charging.NOT_AUTHENTICATED, details=details)
            merchant = get(tx, payment.merchant_id)
            close_unpaid(
                tx,
                channel,
                merchant,
                order,
                payment,
                Move.CANCELLED,
                settings=self.settings,
                now=now,
                failure="CANCELLED_BY_BUYER",
            )

        await self.database.transact(close)


@dataclass(frozen=True, slots=True)
class _Step:
    """How far a charge came in one transaction, and whom to ask next, if anybody."""

    charge: Charge
    authenticate: AuthenticationQuestion | None = None
    authorise: tuple[Question, AuthoriseQuestion] | None = None


def _name(subject: Question | Charge | str) -> str:
    return subject if isinstance(subject, str) else subject.id


def _first_recurring(payment_type: PaymentType, with_token: bool) -> bool:
    return payment_type is PaymentType.RECURRING and not with_token
