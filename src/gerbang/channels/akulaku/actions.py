"""What a merchant can do with Akulaku: open an order, take an unpaid one back, give the money of a paid one back."""

from gerbang.channels.akulaku.wire import (
    CancelRequest,
    CancelResponse,
    EndedPayment,
    NamedPayment,
    OrderPayment,
    OrderRequest,
    OrderResponse,
    Refunded,
    RefundRequest,
    RefundResponse,
)
from gerbang.endpoint import ActionResult, Ask, Call
from gerbang.errors import Reason, Refused
from gerbang.payments import (
    Move,
    Order,
    Payment,
    PaymentState,
    Refund,
    RefundState,
    advance,
    find_order,
    keep_details,
    order_by_id,
    payments_of,
)
from gerbang.payments.moves import hold_payment
from gerbang.providers.giving_back import give_back_action
from gerbang.providers.line_items import adding_up
from gerbang.providers.opening import open_with_provider
from gerbang.providers.paylater import payment_page, reference_of
from gerbang.providers.questions import Begun, TurnedDown
from gerbang.providers.room import ProviderRoom
from gerbang.providers.wire import Identifier, OrderEcho, override_of

CODE = "PEER_TO_PEER_AKULAKU"
IDENTIFIER = "AKULAKU_ORDER_ID"  # [inferred]


def generate_order(call: Call, body: OrderRequest) -> Ask:
    """Write the order down, announce it, and say where its buyer signs."""
    order = body.order
    items = adding_up(order.line_items, order.amount)
    return open_with_provider(
        call,
        invoice_number=order.invoice_number,
        amount=order.amount,
        override=override_of(body.additional_info),
        details={"merchant_unique_reference": body.payment.merchant_unique_reference},
        items=items,
        payer=body.customer.phone,
        return_url=order.callback_url,
        answer=_opened,
    )


def _opened(_call: Call, order: Order, payment: Payment, said: Begun | TurnedDown) -> OrderResponse:
    page = payment_page(said)
    return OrderResponse(
        order=OrderEcho(order.invoice_number, payment.amount),
        payment=OrderPayment(
            status=page.status,
            url=page.url,
            merchant_unique_reference=reference_of(order),
            identifier=[Identifier(IDENTIFIER, said.reference)] if isinstance(said, Begun) else None,
        ),
        additional_info=order.details.get("additional_info"),
    )


def cancel(call: Call, body: CancelRequest) -> CancelResponse | Ask:
    """Take an order back that nobody paid: Akulaku first, so that nobody pays what we call cancelled.

    An order that is over is answered with how it ended. Nobody is notified: the answer says it, as when an order is turned down.

    Raises Refused: REFUND_NOT_FOUND, INVOICE_ALREADY_PAID; afterwards PROVIDER_SILENT, and PAYMENT_BUSY when Akulaku has its
    buyer's signature, or will not take the order back.
    """
    order, payment = _named(call, body.order.invoice_number, body.payment)
    if payment.state is not PaymentState.PENDING:
        return _cancelled(order, payment, body.payment)
    room: ProviderRoom = call.room

    async def ask() -> bool | None:
        withdrawn = await room.withdraw(payment.id)
        if withdrawn is False:
            await room.hear(payment.id)  # the reason may be a report that waits
        return withdrawn

    def after(call: Call, withdrawn: bool | None) -> CancelResponse:
        if withdrawn is None:
            raise Refused(Reason.PROVIDER_SILENT, channel=CODE)
        _, now_stands = hold_payment(call.tx, payment.id)
        if now_stands.state is PaymentState.PENDING:
            if not withdrawn:
                raise Refused(Reason.PAYMENT_BUSY, payment=payment.id)
            now_stands = advance(call.tx, now_stands, Move.CANCELLED, now=call.now, failure="CANCELLED_BY_MERCHANT")
        return _cancelled(order, now_stands, body.payment)

    return Ask(ask, after)


def _cancelled(order: Order, payment: Payment, named: NamedPayment) -> CancelResponse:
    if payment.state.is_paid:
        raise Refused(Reason.INVOICE_ALREADY_PAID, invoice_number=order.invoice_number)
    return CancelResponse(
        order=OrderEcho(order.invoice_number, payment.amount),
        payment=EndedPayment(payment.state.value, named.merchant_unique_reference, named.identifier),
    )


def refund(call: Call, body: RefundRequest) -> ActionResult:
    """Give back all that is left of a paid order. Nobody is notified; check status says REFUNDED (decision D-7).

    Raises Refused: REFUND_NOT_FOUND, and as `give_back_action`.
    """
    _, payment = _named(call, body.order.invoice_number, body.payment)

    def answer(call: Call, payment: Payment, refund: Refund) -> RefundResponse:
        order = order_by_id(call.tx, payment.order_id)
        return RefundResponse(
            order=OrderEcho(order.invoice_number, payment.amount),
            payment=body.payment,
            refund=Refunded(
                merchant_unique_reference=body.refund.merchant_unique_reference,
                amount=refund.amount,
                status="SUCCESS" if refund.state is RefundState.SUCCESS else "FAILED",
            ),
        )

    begun = give_back_action(call, payment, None, answer=answer)
    keep_details(call.tx, payment, {"refund_reference": body.refund.merchant_unique_reference})
    return begun


def _named(call: Call, invoice_number: str, named: NamedPayment) -> tuple[Order, Payment]:
    """The order that all three names are of; one wrong name is an order that does not exist."""
    order = find_order(call.tx, call.merchant.client_id, invoice_number)
    if order is None or order.invoice_number != invoice_number:
        raise Refused(Reason.REFUND_NOT_FOUND, invoice_number=invoice_number)
    if not named.identifier:
        raise Refused(Reason.FIELD_MISSING, field="payment.identifier")
    payment = payments_of(call.tx, order.id)[-1]
    ours = Identifier(IDENTIFIER, str(payment.details.get("reference", "")))
    if (
        payment.channel != CODE
        or named.merchant_unique_reference != reference_of(order)
        or any(one != ours for one in named.identifier)
    ):
        raise Refused(Reason.REFUND_NOT_FOUND, invoice_number=invoice_number)
    return order, payment
