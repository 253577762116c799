"""What a merchant can do with cards: open a payment page, capture, void and refund, list and unbind tokens."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from gerbang.channels.credit_card.bins import facts_of
from gerbang.channels.credit_card.charges import (
    Charge,
    ChargeState,
    Question,
    by_authorize_id,
    current_charge,
    questions_about,
    write_question,
)
from gerbang.channels.credit_card.followups import finish_capture, finish_refund
from gerbang.channels.credit_card.installments import Acquirer, acquirer_of, check_requested
from gerbang.channels.credit_card.notices import identifiers
from gerbang.channels.credit_card.numbers import Brand, expiry_of_yymm
from gerbang.channels.credit_card.options import CardOptions, PaymentType
from gerbang.channels.credit_card.promo import Promo
from gerbang.channels.credit_card.provider import AcquirerAnswer
from gerbang.channels.credit_card.responses import is_approved, response
from gerbang.channels.credit_card.room import CardRoom
from gerbang.channels.credit_card.terms import CODE, PAGE_PATH, Terms, options_of
from gerbang.channels.credit_card.wire import (
    CaptureRequest,
    ChargedCard,
    ChargedCustomer,
    ChargedOrder,
    ChargedPayment,
    ChargeResponse,
    Customer,
    Identifier,
    LineItem,
    ListCustomer,
    ListedCard,
    ListedToken,
    ListedTokenV1,
    Page,
    PageAdditionalInfo,
    PageOrder,
    PageRequest,
    PageResponse,
    PaymentChoice,
    RefundRequest,
    RefundResponse,
    RefundResult,
    ThreeDSecure,
    TokenListRequest,
    TokenListResponse,
    TokenListV1Request,
    TokenListV1Response,
    UnbindRequest,
    UnbindResponse,
    UnboundToken,
)
from gerbang.endpoint import Ask, Call
from gerbang.errors import Reason, Refused
from gerbang.money import NotMoney, Rupiah, parse_amount
from gerbang.payments import (
    Order,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    RefundType,
    find_order,
    get_payment,
    open_order,
    open_refund,
    payments_of,
    refunds_of,
    refuse_refund,
)
from gerbang.payments.moves import hold_payment
from gerbang.protocols.nonsnap.decode import plain
from gerbang.protocols.nonsnap.notification import override_warning
from gerbang.storage import Tx
from gerbang.vault import Token, deactivate, find_token, tokens_of

_ALIASES = {"AUTHORIZATION": "AUTHORIZE"}  # one sentence of the guide says so
_AND_CAPTURE = "AUTHORIZE_CAPTURE"  # the global API's word


def open_page(call: Call, body: PageRequest) -> PageResponse:
    """Write the order down and say where its buyer pays (S2-03 … S2-56). An unpaid invoice gets a new page (decision D-9)."""
    options = options_of(call.merchant)
    order = body.order
    check_line_items(order.line_items, order.amount)
    if order.auto_redirect and not order.callback_url:
        raise Refused(Reason.FIELD_MISSING, field="order.callback_url")  # S2-12
    check_contact(call, body.customer)
    override = body.override_configuration
    allow_tenor = _tenors(override.allow_tenor if override else None)
    payment_type, auto_capture = payment_type_of(options, body.payment)
    terms = Terms(
        payment_type=payment_type,
        auto_capture=auto_capture,
        callback_url=order.callback_url,
        failed_url=order.failed_url,
        auto_redirect=bool(order.auto_redirect),
        descriptor=order.descriptor,
        customer=customer_as_kept(body.customer),
        promos=_promos(override.promo if override else None),
        allow_bin=_bins(override.allow_bin if override else None),
        allow_tenor=allow_tenor,
    )
    if override and override.themes:
        sent = msgspec.to_builtins(override.themes)
        terms.theme = {name: value for name, value in sent.items() if isinstance(value, str) and value}
    if payment_type is PaymentType.INSTALLMENT:
        terms.acquirer, terms.tenor = check_installment(options, body.payment, order.amount, allow_tenor)
    check_mandiri(call, options, body.payment, order.invoice_number)
    if body.card is not None:
        _check_card(call, terms, body.card.token, save=bool(body.card.save))
    disclaimer = body.additional_info.disclaimer if body.additional_info else None
    if disclaimer is not None:
        terms.disclaimer = {
            lang: text for lang, text in (("id", _first_text(disclaimer.id)), ("en", _first_text(disclaimer.en))) if text
        }
    _, payment = open_card_order(
        call,
        terms,
        invoice_number=order.invoice_number,
        amount=Rupiah(order.amount),
        line_items=order.line_items,
        override=body.additional_info.override_notification_url if body.additional_info else None,
        expiry_min=options.expiry_min or call.settings.card_page_expiry_min,
    )
    echo = body.additional_info.override_notification_url if body.additional_info else None
    return PageResponse(
        order=PageOrder(
            invoice_number=order.invoice_number,
            line_items=plain(call.raw["order"]["line_items"]) if order.line_items else None,
            session_id=plain(order.session_id) if isinstance(order.session_id, str | int) else None,
        ),
        credit_card_payment_page=Page(f"{call.public_url}{PAGE_PATH}/{payment.id}"),
        additional_info=PageAdditionalInfo(echo) if echo else None,
    )


def open_card_order(
    call: Call,
    terms: Terms,
    *,
    invoice_number: str,
    amount: Rupiah,
    line_items: list[LineItem] | None,
    override: str | None,
    expiry_min: int,
) -> tuple[Order, Payment]:
    """The order with its terms, its echoes, and the payment that waits.

    Raises Refused: INVOICE_ALREADY_PAID; PAYMENT_BUSY while the bank is being asked about an earlier page's card.
    """
    details: dict[str, Any] = msgspec.to_builtins(terms)
    if line_items:
        details["line_items"] = [
            {"name": item.name or "", "price": item.price, "quantity": item.quantity}
            for item in line_items
            if item.price is not None and item.quantity is not None
        ]
    info = call.raw.get("additional_info")
    if isinstance(info, Mapping) and info:
        details["additional_info"] = plain(info)
    if override:
        details["override_notification_url"] = override
        warning = override_warning(override, call.merchant.notification_url)
        if warning:
            details["warnings"] = [warning]
    opened = open_order(
        call.tx,
        merchant_id=call.merchant.client_id,
        invoice_number=invoice_number,
        amount=amount,
        channel=CODE,
        request_id=call.request_id,
        details=details,
        expires_at=call.now + timedelta(minutes=expiry_min),
        now=call.now,
        retriable=True,
    )
    _leave_no_charge_behind(call.tx, opened[0])
    return opened


def _leave_no_charge_behind(tx: Tx, order: Order) -> None:
    """A page whose card is at the acquirer right now may not be replaced: its buyer might pay both.

    Looked at when the order is held and they are replaced: nobody can begin a charge between the look and that.
    """
    for payment in payments_of(tx, order.id):
        charge = current_charge(tx, payment.id) if payment.state is PaymentState.REPLACED else None
        if charge is not None and charge.state in (ChargeState.AUTHORISING, ChargeState.REVERSING):
            raise Refused(Reason.PAYMENT_BUSY, invoice_number=order.invoice_number)


def check_line_items(items: list[LineItem] | None, amount: int) -> None:
    """S2-16, decision D-13: the sum counts when every item has price and quantity."""
    priced = [(item.price, item.quantity) for item in items or ()]
    sums = [price * quantity for price, quantity in priced if price is not None and quantity is not None]
    if sums and len(sums) == len(priced) and sum(sums) != amount:
        raise Refused(Reason.LINE_ITEMS_DO_NOT_ADD_UP, field="order.line_items")


def check_contact(call: Call, customer: Customer | None) -> None:
    """S2-25: one of e-mail and phone."""
    if call.settings.require_customer_contact and (customer is None or not (customer.email or customer.phone)):
        raise Refused(Reason.FIELD_MISSING, field="customer.email")


def customer_as_kept(customer: Customer | None) -> dict[str, Any]:
    """The customer's fields that were sent. An address comes as text or as a list of lines (real clients)."""
    if customer is None:
        return {}
    kept = {name: value for name, value in msgspec.structs.asdict(customer).items() if value not in (None, "")}
    address = kept.get("address")
    if isinstance(address, list):
        kept["address"] = ", ".join(str(line) for line in address if line)
    elif address is not None and not isinstance(address, str):
        kept.pop("address")
    return kept


def payment_type_of(options: CardOptions, sent: PaymentChoice | None) -> tuple[PaymentType, bool]:
    """The type of a request and whether an authorisation is captured at once (S2-41, S2-42)."""
    wanted = sent.type if sent else None
    if not wanted:
        wanted = options.default_type.value
    if wanted == _AND_CAPTURE:
        wanted, auto_capture = "AUTHORIZE", True
    else:
        wanted, auto_capture = _ALIASES.get(wanted, wanted), bool(sent and sent.auto_capture)
    if wanted not in PaymentType.__members__ or PaymentType(wanted) not in options.types:
        raise Refused(Reason.FIELD_INVALID, field="payment.type")
    return PaymentType(wanted), auto_capture and wanted == "AUTHORIZE"


def check_installment(
    options: CardOptions, sent: PaymentChoice | None, amount: int, allow_tenor: list[int]
) -> tuple[Acquirer, int]:
    """S2-43, S2-44: both are needed, offered, and the amount reaches the minimum."""
    if sent is None or not sent.acquirer:
        raise Refused(Reason.FIELD_MISSING, field="payment.acquirer")
    if not sent.tenor:
        raise Refused(Reason.FIELD_MISSING, field="payment.tenor")
    bank = check_requested(options.installments, sent.acquirer, sent.tenor, amount, allow_tenor=allow_tenor or None)
    off_us = options.installments.mode(bank) == "off_us"
    # On us needs that bank's MID, off us another bank's.
    if not any((other is not bank) if off_us else (other is bank) for other in options.acquirers):
        raise Refused(Reason.FIELD_INVALID, field="payment.acquirer")
    return bank, sent.tenor


def check_mandiri(call: Call, options: CardOptions, sent: PaymentChoice | None, invoice_number: str) -> None:
    """Decision D-15: refuse a long invoice number when nobody but Mandiri could take the payment."""
    if len(invoice_number) <= call.settings.mandiri_invoice_max:
        return
    asked_for = sent is not None and sent.acquirer == Acquirer.BANK_MANDIRI
    if asked_for or options.acquirers == (Acquirer.BANK_MANDIRI,):
        raise Refused(Reason.FIELD_INVALID, field="order.invoice_number")


def _check_card(call: Call, terms: Terms, token_id: str | None, *, save: bool) -> None:
    if save and not terms.customer_id:
        raise Refused(Reason.FIELD_MISSING, field="customer.id")  # S2-21
    terms.save = save
    if not token_id:
        return
    token = find_token(call.tx, call.merchant.client_id, token_id)
    if token is None or (terms.customer_id and token.customer_id != terms.customer_id):
        raise Refused(Reason.FIELD_INVALID, field="card.token")
    terms.token = token.id
    if not terms.customer_id:
        terms.customer = terms.customer | {"id": token.customer_id}


def _as_list(sent: Any) -> list[Any]:
    if sent is None or sent == "":
        return []
    return sent if isinstance(sent, list) else [sent]


def _bins(sent: Any) -> list[str]:
    found = [str(one).strip() for one in _as_list(sent) if one not in (None, "")]
    if not all(one.isascii() and one.isdigit() and len(one) <= 19 for one in found):
        raise Refused(Reason.FIELD_INVALID, field="override_configuration.allow_bin")
    return found


def _tenors(sent: Any) -> list[int]:
    try:
        found = [int(parse_amount(one)) for one in _as_list(sent) if one not in (None, "")]
    except NotMoney:
        raise Refused(Reason.FIELD_INVALID, field="override_configuration.allow_tenor") from None
    if not all(0 <= one <= 99 for one in found):
        raise Refused(Reason.FIELD_INVALID, field="override_configuration.allow_tenor")
    return found


def _promos(sent: Any) -> list[Promo]:
    found = []
    for index, one in enumerate(_as_list(sent)):
        at = f"override_configuration.promo[{index}]"
        if not isinstance(one, Mapping):
            raise Refused(Reason.FIELD_INVALID, field=at)
        prefix, discount = str(one.get("bin") or "").strip(), one.get("discount_amount")
        if not prefix and discount in (None, ""):
            continue
        if not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 16):
            raise Refused(Reason.FIELD_INVALID, field=f"{at}.bin")
        try:
            amount = parse_amount(discount)
        except NotMoney:
            raise Refused(Reason.FIELD_INVALID, field=f"{at}.discount_amount") from None
        if amount < 0:
            raise Refused(Reason.FIELD_INVALID, field=f"{at}.discount_amount")
        found.append(Promo(prefix, amount))
    return found


def _first_text(sent: Any) -> str | None:
    """Clients send text where the guide says object: of an object the first text counts."""
    if isinstance(sent, Mapping):
        sent = next((value for value in sent.values() if isinstance(value, str) and value.strip()), None)
    return sent.strip() or None if isinstance(sent, str) else None


# -- capture


def capture(call: Call, body: CaptureRequest) -> ChargeResponse | Ask:
    """Take what was reserved, or less of it; the rest is let go (S2-64 … S2-89, cards §8)."""
    charge = by_authorize_id(call.tx, call.merchant.client_id, body.payment.authorize_id)
    if charge is None:
        raise Refused(Reason.AUTHORISATION_NOT_FOUND, authorize_id=body.payment.authorize_id)
    # Held: whoever captures or voids at this moment has come before us, and we see it, or finds our question. It may be this very
    # request, in another process.
    _, payment = hold_payment(call.tx, charge.payment_id)
    mine = _own_question(call, charge.id, "CAPTURE")
    if mine is not None and mine.state == "ASKED":
        return _ask_capture(call, mine)
    if mine is not None:
        return _captured(call, charge, mine, None)
    _check_capturable(payment, call)
    assert payment.charged is not None
    amount = body.payment.capture_amount
    if amount is not None and amount < 1:
        raise Refused(Reason.FIELD_INVALID, field="payment.capture_amount")
    if amount is not None and amount > payment.charged:
        raise Refused(Reason.CAPTURE_TOO_LARGE, amount=amount, authorised=payment.charged)
    question = write_question(
        call.tx,
        charge,
        "CAPTURE",
        subject=charge.id,
        amount=Rupiah(amount or payment.charged),
        now=call.now,
        due_in_s=call.settings.card_answer_timeout_s,
        request_id=call.request_id,
    )
    return _ask_capture(call, question)


def _check_capturable(payment: Payment, call: Call) -> None:
    if payment.state is PaymentState.VOIDED:
        raise Refused(Reason.AUTHORISATION_VOIDED, payment=payment.id)
    over = payment.capture_before is not None and call.now >= payment.capture_before
    if payment.state is PaymentState.RELEASED or (payment.state is PaymentState.AUTHORISED and over):
        raise Refused(Reason.AUTHORISATION_EXPIRED, payment=payment.id)
    if payment.state is not PaymentState.AUTHORISED:
        raise Refused(Reason.AUTHORISATION_CAPTURED, payment=payment.id)


def _ask_capture(call: Call, question: Question) -> Ask:
    room: CardRoom = call.room

    def after(call: Call, answer: AcquirerAnswer) -> ChargeResponse:
        charge = by_authorize_id_of(call.tx, question)
        if answer.response_code != "TO":
            try:
                finish_capture(call.tx, room.books, question, answer, now=call.now)
            except Refused as refused:
                if refused.reason is not Reason.PAYMENT_MOVED_ON:
                    raise
        return _captured(call, charge, question, answer)

    return Ask(lambda: room.follow_up(question), after)


def by_authorize_id_of(tx: Tx, question: Question) -> Charge:
    """The charge a question is about."""
    charge = current_charge(tx, question.payment_id)
    assert charge is not None, question.payment_id
    return charge


def _own_question(call: Call, subject: str, kind: str) -> Question | None:
    """The question an earlier run of this very request wrote, before the process died."""
    own = [one for one in questions_about(call.tx, subject, kind) if one.details.get("request_id") == call.request_id]
    return own[-1] if own else None


def _captured(call: Call, charge: Charge, question: Question, answer: AcquirerAnswer | None) -> ChargeResponse:
    """The answer to a capture, from where the payment stands now."""
    order, payment = get_payment(call.tx, charge.payment_id)
    code = answer.response_code if answer else "TO"
    if code == "TO" and payment.state is not PaymentState.AUTHORISED:
        code = "00"  # the sweeper was quicker
    elif answer is None:
        code = "05"
    if is_approved(code, Brand(charge.details.brand)):
        status = "SUCCESS"
    else:
        status = "PENDING" if code == "TO" else "FAILED"
    return charge_response(
        order,
        charge,
        amount=question.amount,
        request_id=call.request_id,
        code=code,
        status=status,
        approval_code=(answer.approval_code if answer else None) or charge.details.approval_code,
    )


def charge_response(
    order: Order, charge: Charge, *, amount: int, request_id: str, code: str, status: str, approval_code: str | None
) -> ChargeResponse:
    """The shape that capture and charge share (cards §8). `payment.type` is that of the payment, also for a capture (D-16)."""
    details = charge.details
    customer_id = charge.customer_id
    return ChargeResponse(
        order=ChargedOrder(order.invoice_number, amount),
        payment=ChargedPayment(
            type=details.payment_type,
            identifier=[Identifier(**one) for one in identifiers(charge.merchant_id, details.acquirer)],
            request_id=request_id,
            response_code=code,
            response_message=response(code, Brand(details.brand)).message,
            status=status,
            eci=details.eci,
            authorize_id=charge.authorize_id,
            approval_code=approval_code if status == "SUCCESS" else None,
        ),
        three_dsecure=ThreeDSecure(charge.authentication_id or ""),
        card=ChargedCard(
            masked=details.masked, type=details.card_type, issuer=details.issuer, brand=details.brand, token=details.token
        ),
        customer=ChargedCustomer(customer_id) if customer_id else None,
    )


# -- void and refund

NO_PARTIAL_VOID = "Void amount must equal the transaction amount"
BEING_PROCESSED = "Refund Is Being Processed"


def refund(call: Call, body: RefundRequest) -> RefundResponse | Ask:
    """Give money back: a void before settlement, a refund after it, by hand where the acquirer knows none (S2-90 … S2-110)."""
    _, payment = _paid_payment(call, body.order.invoice_number, body.payment.original_request_id)
    _, payment = hold_payment(call.tx, payment.id)  # the same request in another process waits here, and then finds the refund
    amount = Rupiah(body.refund.amount)
    mine = next(
        (one for one in refunds_of(call.tx, payment.id) if one.request_id == call.request_id and one.amount == amount), None
    )
    if mine is not None:
        return _resume_refund(call, body, mine)
    if payment.state in (PaymentState.VOIDED, PaymentState.REFUNDED):
        raise Refused(Reason.REFUND_TOO_LARGE, amount=amount, refunded=payment.refunded)
    if payment.charged is None or payment.state is PaymentState.RELEASED:
        raise Refused(Reason.PAYMENT_NOT_PAID, state=payment.state)
    if amount > payment.charged - payment.refunded:
        raise Refused(Reason.REFUND_TOO_LARGE, amount=amount, charged=payment.charged, refunded=payment.refunded)
    charge = current_charge(call.tx, payment.id)
    assert charge is not None, payment.id
    kind = refund_type(options_of(call.merchant), payment, amount, call)
    if kind is RefundType.VOID and amount != payment.charged:
        refused = refuse_refund(
            call.tx, payment, amount=amount, type=kind, request_id=call.request_id, message=NO_PARTIAL_VOID, now=call.now
        )
        return _refund_response(body, refused)
    opened = open_refund(call.tx, payment, amount=amount, type=kind, request_id=call.request_id, now=call.now)
    if kind.is_manual:
        return _refund_response(body, opened)
    question = write_question(
        call.tx,
        charge,
        "VOID" if kind is RefundType.VOID else "REFUND",
        subject=opened.id,
        amount=amount,
        now=call.now,
        due_in_s=call.settings.card_answer_timeout_s,
    )
    return _ask_refund(call, body, opened, question)


def refund_type(options: CardOptions, payment: Payment, amount: int, call: Call) -> RefundType:
    """VOID until the money is settled; after that by amount, and by whether the merchant's MID refunds online."""
    if payment.state is PaymentState.AUTHORISED or not payment.is_settled(call.now):
        return RefundType.VOID
    whole = amount == payment.charged
    if options.refunds_online:
        return RefundType.FULL_REFUND if whole else RefundType.PARTIAL_REFUND
    return RefundType.MANUAL_FULL_REFUND if whole else RefundType.MANUAL_PARTIAL_REFUND


def _paid_payment(call: Call, invoice_number: str, original_request_id: str) -> tuple[Order, Payment]:
    order = find_order(call.tx, call.merchant.client_id, invoice_number)
    if order is None or order.invoice_number != invoice_number:
        raise Refused(Reason.REFUND_NOT_FOUND, invoice_number=invoice_number)
    if original_request_id not in (order.request_id, *order.details.get("earlier_request_ids", ())):
        raise Refused(Reason.REFUND_NOT_FOUND, original_request_id=original_request_id)
    payment = payments_of(call.tx, order.id)[-1]
    if payment.channel != CODE:
        raise Refused(Reason.REFUND_NOT_FOUND, invoice_number=invoice_number)
    return order, payment


def _resume_refund(call: Call, body: RefundRequest, mine: Refund) -> RefundResponse | Ask:
    asked = [one for kind in ("VOID", "REFUND") for one in questions_about(call.tx, mine.id, kind) if one.state == "ASKED"]
    if mine.state is RefundState.PENDING and asked:
        return _ask_refund(call, body, mine, asked[-1])
    return _refund_response(body, mine)


def _ask_refund(call: Call, body: RefundRequest, opened: Refund, question: Question) -> Ask:
    room: CardRoom = call.room

    def after(call: Call, answer: AcquirerAnswer) -> RefundResponse:
        if answer.response_code == "TO":
            return _refund_response(body, opened)  # the sweeper goes on asking
        try:
            ended = finish_refund(call.tx, room.books, question, answer, now=call.now)
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                raise
            ended = next(one for one in refunds_of(call.tx, opened.payment_id) if one.id == opened.id)
        return _refund_response(body, ended)

    return Ask(lambda: room.follow_up(question), after)


def _refund_response(body: RefundRequest, refund: Refund) -> RefundResponse:
    """A refund that waits for a person, or for a bank that is slow, is accepted: SUCCESS without an approval code (cards §9)."""
    pending = refund.state is RefundState.PENDING
    return RefundResponse(
        order=body.order,
        payment=body.payment,
        refund=RefundResult(
            amount=refund.amount,
            type=refund.type.value,
            status="FAILED" if refund.state is RefundState.FAILED else "SUCCESS",
            message=BEING_PROCESSED if pending else refund.message,
            approval_code=refund.approval_code,
        ),
    )


# -- tokens


def unbind_token(call: Call, body: UnbindRequest) -> UnbindResponse:
    """Forget a saved card (S2-117 … S2-123). Either body on either path, answered in its own form (decision D-14)."""
    newer = body.token is not None
    token_id = body.token.id if body.token is not None else body.token_id
    if not token_id:
        raise Refused(Reason.FIELD_MISSING, field="token.id" if newer else "token_id")
    gone = deactivate(
        call.tx, merchant_id=call.merchant.client_id, token_id=token_id, customer_id=body.customer_id or None, now=call.now
    )
    if newer and not gone:
        raise Refused(Reason.FIELD_INVALID, field="token.id")
    if newer:
        return UnbindResponse(token=UnboundToken(token_id, "INACTIVE"))
    return UnbindResponse(status="DELETE SUCCESS" if gone else "DELETE FAILED")


def list_tokens(call: Call, body: TokenListRequest) -> TokenListResponse:
    """A customer's saved cards (S2-124), newer form."""
    found = []
    if body.channel is None or body.channel.id in (None, CODE):
        found = tokens_of(call.tx, call.merchant.client_id, body.customer.id)
    bank = body.issuer.id if body.issuer else None
    return TokenListResponse(
        customer=body.customer, tokens=[_listed(one) for one in found if bank is None or _bank_of(one) == bank]
    )


def list_tokens_v1(call: Call, body: TokenListV1Request) -> TokenListV1Response:
    """The same in the archived form."""
    kind = body.token_data.type if body.token_data else None
    found = tokens_of(call.tx, call.merchant.client_id, body.customer.id) if kind in (None, CODE) else []
    return TokenListV1Response(
        customer=ListCustomer(body.customer.id),
        tokens=[
            ListedTokenV1(
                id=one.id,
                type=CODE,
                masked=one.card.masked,
                brand=one.card.brand,
                issuer=one.card.issuer,
                expiry=_yy_mm(one),
            )
            for one in found
        ],
    )


def _listed(token: Token) -> ListedToken:
    card = token.card
    return ListedToken(
        id=token.id,
        masked_account="********" + card.last4,
        card=ListedCard(
            cardholder_name=_masked_name(card.holder),
            expiry=_yy_mm(token),
            brand=card.brand,
            issuer=_bank_of(token),
            country=facts_of(card.bin).country,
            bin=int(card.bin[:6]),
        ),
    )


def _bank_of(token: Token) -> str:
    bank = acquirer_of(token.card.issuer)
    return bank.value if bank else token.card.issuer


def _yy_mm(token: Token) -> str:
    expiry = expiry_of_yymm(token.card.expiry)
    return f"{expiry.year % 100:02}/{expiry.month:02}"


def _masked_name(holder: str | None) -> str:
    """`EGA BUDIMAN` → `EGXXXXXXXXN`, as the document's sample has it."""
    if not holder:
        return ""
    if len(holder) <= 3:
        return holder[: len(holder) // 2] + "X" * (len(holder) - len(holder) // 2)
    return holder[:2] + "X" * (len(holder) - 3) + holder[-1]
