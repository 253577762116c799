"""Host-to-host: the merchant's own page takes the card, or it charges a saved one (cards §11)."""

from dataclasses import dataclass
from datetime import timedelta

from gerbang.channels.credit_card import charging
from gerbang.channels.credit_card.actions import (
    charge_response,
    check_installment,
    check_line_items,
    check_mandiri,
    customer_as_kept,
    open_card_order,
    payment_type_of,
)
from gerbang.channels.credit_card.authentications import (
    Authentication,
    AuthenticationDetails,
    finish_authentication,
    get_authentication,
    send_to_issuer,
    start_authentication,
    use_authentication,
)
from gerbang.channels.credit_card.bins import facts_of
from gerbang.channels.credit_card.charges import Charge, ChargeState, Question, charges_of, get_charge, questions_about
from gerbang.channels.credit_card.charging import Attempt
from gerbang.channels.credit_card.installments import full_payment, requested_plan
from gerbang.channels.credit_card.numbers import BadExpiry, BadNumber, Brand, check_number, is_cvv, parse_expiry
from gerbang.channels.credit_card.options import PaymentType
from gerbang.channels.credit_card.provider import AuthenticationAnswer, AuthenticationQuestion, CardData
from gerbang.channels.credit_card.room import CardRoom
from gerbang.channels.credit_card.terms import THREE_DS_PATH, Terms, options_of, route
from gerbang.channels.credit_card.wire import (
    ChargeRequest,
    ChargeResponse,
    H2hCard,
    ThreeDSecureOrder,
    ThreeDSecureRequest,
    ThreeDSecureResponse,
    ThreeDSecureStarted,
)
from gerbang.endpoint import Ask, Call
from gerbang.errors import Reason, Refused
from gerbang.money import Rupiah
from gerbang.payments import Order, Payment, find_order, payments_of
from gerbang.payments.opening import hold_order
from gerbang.vault import StoredCard, find_token

_KEEP_MIN = 15


@dataclass(frozen=True, slots=True)
class _GivenCard:
    """The card of a call, in the vault."""

    card: StoredCard
    number: str
    with_token: bool
    customer_id: str | None = None


def check_three_d_secure(call: Call, body: ThreeDSecureRequest) -> Ask:
    """Start an authentication; the answer says where to send the buyer."""
    room: CardRoom = call.room
    urls = body.three_dsecure or body.three_d_secure
    if urls is None:
        raise Refused(Reason.FIELD_MISSING, field="three_dsecure.callback_url_success")
    options = options_of(call.merchant)
    payment_type, _ = payment_type_of(options, body.payment)
    given = _card_of(call, body.card)
    authentication = start_authentication(
        call.tx,
        merchant_id=call.merchant.client_id,
        charge_id=None,
        card_id=given.card.id,
        amount=Rupiah(body.order.amount),
        now=call.now,
        minutes=_KEEP_MIN,
        details=AuthenticationDetails(
            callback_success=urls.callback_url_success,
            callback_failed=urls.callback_url_failed,
            invoice_number=body.order.invoice_number or body.invoice_number,
            payment_type=payment_type.value,
        ),
    )
    question = AuthenticationQuestion(
        authentication_id=authentication.id,
        reference=authentication.id,
        card=CardData(given.number, given.card.expiry, Brand(given.card.brand)),
        amount=authentication.amount,
        merchant_name=call.merchant.name,
        phone=(body.customer.phone if body.customer else None) or None,
        lang="id",
        notification_url=f"{call.public_url}{THREE_DS_PATH}/{authentication.id}",
    )

    def after(call: Call, answer: AuthenticationAnswer) -> ThreeDSecureResponse:
        if answer.trans_status == "C":
            send_to_issuer(call.tx, authentication, acs_url=answer.acs_url, acs_trans_id=answer.acs_trans_id)
        else:
            finish_authentication(call.tx, authentication.id, answer.trans_status)
        started = ThreeDSecureStarted(
            enrollment_status=answer.trans_status is not None,
            authentication_id=authentication.id,
            authentication_url=f"{call.public_url}{THREE_DS_PATH}/{authentication.id}",
        )
        order = ThreeDSecureOrder(body.order.amount)
        if body.three_dsecure is None:
            return ThreeDSecureResponse(order, three_d_secure=started)
        return ThreeDSecureResponse(order, three_dsecure=started)

    return Ask(lambda: room.schemes.authenticate(question), after)


def charge(call: Call, body: ChargeRequest) -> ChargeResponse | Ask:
    """Charge a card: after an authentication, or without one for MOTO and RECURRING."""
    room: CardRoom = call.room
    again = _own_charge(call, body.order.invoice_number)
    if again is not None:
        return _resume(call, *again, cvv=body.card.cvv if body.card else None)
    try:
        opened, payment, attempt, authentication = _open(call, body)
        if _own_charge(call, opened.invoice_number) is not None:
            raise Refused(Reason.REQUEST_IN_PROGRESS)
    except Refused:
        # Perhaps because of the same request in another process, quicker by a moment. Ours has begun no charge yet.
        if _own_charge(call, body.order.invoice_number) is not None:
            raise Refused(Reason.REQUEST_IN_PROGRESS) from None
        raise
    begun, _ = charging.begin(call.tx, room.books, call.merchant, opened, payment, attempt, now=call.now)
    if authentication is not None:
        use_authentication(call.tx, authentication, begun.id)
    if not begun.state.is_open:
        return _response(call, opened, begun)
    trans_status = authentication.trans_status if authentication else None
    begun, question = charging.authenticated(call.tx, room.books, begun, trans_status, now=call.now)
    if question is None:
        return _response(call, opened, begun)
    return _ask(call, opened, begun, question, cvv=body.card.cvv if body.card else None)


def _open(call: Call, body: ChargeRequest) -> tuple[Order, Payment, Attempt, Authentication | None]:
    """The order, held and open, with what is to be tried; nothing of the card is asked yet."""
    order = body.order
    check_line_items(order.line_items, order.amount)
    hold_order(call.tx, call.merchant.client_id, order.invoice_number)  # before the vault, as everywhere
    options = options_of(call.merchant)
    payment_type, auto_capture = payment_type_of(options, body.payment)
    authentication = _authentication(call, body, payment_type)
    given = _charged_card(call, body.card, authentication)
    cvv = body.card.cvv if body.card else None
    facts = facts_of(given.number)
    if cvv is not None and not is_cvv(cvv, facts.brand):
        raise Refused(Reason.FIELD_INVALID, field="card.cvv")
    customer = customer_as_kept(body.customer)
    if given.customer_id and not customer.get("id"):
        customer["id"] = given.customer_id
    save = bool(body.card and body.card.save)
    if save and not customer.get("id"):
        raise Refused(Reason.FIELD_MISSING, field="customer.id")
    terms = Terms(
        payment_type=payment_type,
        auto_capture=auto_capture,
        descriptor=order.descriptor,
        save=save,
        customer=customer,
        host_to_host=True,
    )
    plan = full_payment(order.amount)
    if payment_type is PaymentType.INSTALLMENT:
        terms.acquirer, terms.tenor = check_installment(options, body.payment, order.amount, [])
        requested = requested_plan(options.installments, facts, terms.acquirer, terms.tenor, order.amount)
        if requested is None:
            # Off us, too, it is the issuer who turns the sale into installments.
            raise Refused(Reason.FIELD_INVALID, field="payment.acquirer")
        plan = requested
    check_mandiri(call, options, body.payment, order.invoice_number)
    acquirer = route(
        options,
        facts,
        plan,
        invoice_number=order.invoice_number,
        mandiri_max=call.settings.mandiri_invoice_max,
    )
    if acquirer is None:
        raise Refused(Reason.FIELD_INVALID, field="order.invoice_number")
    opened, payment = open_card_order(
        call,
        terms,
        invoice_number=order.invoice_number,
        amount=Rupiah(order.amount),
        line_items=order.line_items,
        override=body.additional_info.override_notification_url if body.additional_info else None,
        expiry_min=call.settings.card_page_expiry_min,
    )
    attempt = Attempt(
        card=given.card,
        facts=facts,
        amount=Rupiah(order.amount),
        discount=Rupiah(0),
        acquirer=acquirer.value,
        payment_type=payment_type,
        captures=terms.captures,
        save=save and not given.with_token,
        email=customer.get("email"),
        ip=None,
        tenor=terms.tenor,
        plan_bank=plan.acquirer.value if plan.acquirer else None,
        interest_bp=plan.interest_bp,
        off_us=plan.off_us,
        descriptor=order.descriptor if options.descriptor else None,
        final=True,
        request_id=call.request_id,
        with_token=given.with_token,
        authentication_id=authentication.id if authentication else None,
    )
    return opened, payment, attempt, authentication


def _ask(call: Call, order: Order, begun: Charge, question: Question, *, cvv: str | None) -> Ask:
    room: CardRoom = call.room
    asked = room.authorise_question(call.tx, begun, question, cvv)

    async def ask() -> None:
        # It acts on the answer, too: then nothing is lost should the connection to the merchant break here.
        await room.authorise(begun, question, asked)

    def after(call: Call, _answer: None) -> ChargeResponse:
        return _response(call, order, get_charge(call.tx, begun.id))

    return Ask(ask, after)


def _own_charge(call: Call, invoice_number: str) -> tuple[Order, Charge] | None:
    """What an earlier run of this very request began, before the process died."""
    order = find_order(call.tx, call.merchant.client_id, invoice_number)
    if order is None or order.invoice_number != invoice_number or order.request_id != call.request_id:
        return None
    for payment in reversed(payments_of(call.tx, order.id)):
        for one in charges_of(call.tx, payment.id):
            if one.details.request_id == call.request_id:
                return order, one
    return None


def _resume(call: Call, order: Order, begun: Charge, *, cvv: str | None) -> ChargeResponse | Ask:
    asked = [one for one in questions_about(call.tx, begun.id, "AUTHORISE") if one.state == "ASKED"]
    if begun.state is ChargeState.AUTHORISING and asked:
        return _ask(call, order, begun, asked[-1], cvv=cvv)
    return _response(call, order, begun)


def _response(call: Call, order: Order, charge: Charge) -> ChargeResponse:
    """A decline is an answer like any other: HTTP 200, FAILED. Silence is PENDING until the reversal is through."""
    words = {ChargeState.APPROVED: "SUCCESS", ChargeState.DECLINED: "FAILED"}
    status = words.get(charge.state, "PENDING")
    return charge_response(
        order,
        charge,
        amount=order.amount,
        request_id=call.request_id,
        code=charge.response_code or "TO",
        status=status,
        approval_code=charge.details.approval_code,
    )


def _authentication(call: Call, body: ChargeRequest, payment_type: PaymentType) -> Authentication | None:
    """The authentication a charge rests on: of this merchant, this amount, passed, unused, not older than 15 minutes."""
    sent = body.three_dsecure or body.three_d_secure
    named = sent.authentication_id if sent else None
    if payment_type in (PaymentType.MOTO, PaymentType.RECURRING):
        return None
    if not named:
        raise Refused(Reason.FIELD_MISSING, field="three_dsecure.authentication_id")
    found = get_authentication(call.tx, named, merchant_id=call.merchant.client_id)
    if found is None or found.state != "DONE" or call.now >= found.expires_at:
        raise Refused(Reason.AUTHENTICATION_NOT_FOUND, authentication=named)
    if found.amount != body.order.amount:
        raise Refused(Reason.FIELD_INVALID, field="order.amount")
    return found


def _charged_card(call: Call, sent: H2hCard | None, authentication: Authentication | None) -> _GivenCard:
    room: CardRoom = call.room
    if authentication is None:
        if sent is None:
            raise Refused(Reason.FIELD_MISSING, field="card.number")
        return _card_of(call, sent)
    card = room.vault.card(call.tx, authentication.card_id, merchant_id=call.merchant.client_id)
    if card is None:
        raise Refused(Reason.AUTHENTICATION_NOT_FOUND, authentication=authentication.id)
    if sent is not None and (sent.token or sent.number):
        given = _card_of(call, sent)
        if given.card.fingerprint != card.fingerprint:
            raise Refused(Reason.FIELD_INVALID, field="card.token" if sent.token else "card.number")
        return given
    number = room.vault.number(call.tx, card, purpose="charge", now=call.now)
    return _GivenCard(card, number, with_token=False)


def _card_of(call: Call, sent: H2hCard) -> _GivenCard:
    """The card of a token, or number and expiry put into the vault for a while."""
    room: CardRoom = call.room
    if sent.token:
        token = find_token(call.tx, call.merchant.client_id, sent.token)
        if token is None:
            raise Refused(Reason.FIELD_INVALID, field="card.token")
        number = room.vault.number(call.tx, token.card, purpose="charge", now=call.now)
        return _GivenCard(token.card, number, with_token=True, customer_id=token.customer_id)
    if not sent.number:
        raise Refused(Reason.FIELD_MISSING, field="card.number")
    if not sent.expiry:
        raise Refused(Reason.FIELD_MISSING, field="card.expiry")
    try:
        number = check_number(sent.number)
    except BadNumber:
        raise Refused(Reason.FIELD_INVALID, field="card.number") from None
    room.check_environment(number)
    try:
        expiry = parse_expiry(sent.expiry)
    except BadExpiry:
        raise Refused(Reason.FIELD_INVALID, field="card.expiry") from None
    if expiry.too_far(call.now):
        raise Refused(Reason.FIELD_INVALID, field="card.expiry")
    # One that is over is the issuer's to decline, with code 54.
    card = room.keep(
        call.tx,
        call.merchant.client_id,
        number,
        expiry,
        holder=sent.cardholder_name,
        until=call.now + timedelta(minutes=2 * _KEEP_MIN),
        now=call.now,
    )
    return _GivenCard(card, number, with_token=False)
