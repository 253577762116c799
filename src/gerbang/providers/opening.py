"""Opening an order that somebody outside has to hear of: write it down, announce it, answer the merchant."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import msgspec

from gerbang.endpoint import ActionResult, Ask, Call
from gerbang.errors import Reason, Refused
from gerbang.money import Rupiah
from gerbang.payments import (
    Move,
    Order,
    Payment,
    PaymentState,
    advance,
    find_order,
    get_payment,
    keep_details,
    open_order,
    payments_of,
)
from gerbang.protocols.nonsnap.decode import plain
from gerbang.protocols.nonsnap.notification import override_warning
from gerbang.providers.questions import Asked, Begun, Item, TurnedDown
from gerbang.providers.room import ProviderRoom
from gerbang.providers.terms import options_of
from gerbang.storage import Retry

Answer = Callable[[Call, Order, Payment, Begun | TurnedDown], ActionResult]


def open_with_provider(
    call: Call,
    *,
    invoice_number: str,
    amount: int,
    answer: Answer,
    override: str | None = None,
    details: Mapping[str, object] | None = None,
    items: Iterable[Item] = (),
    payer: str = "",
    return_url: str | None = None,
    cancel_url: str | None = None,
    facts: Mapping[str, Any] | None = None,
    prepare: Callable[[Order, Payment], Mapping[str, Any]] = lambda _order, _payment: {},
    expires_min: int | None = None,
    retriable: bool = False,
    waits: bool = False,
) -> Ask:
    """An action's whole work: the order is on disk before anybody outside hears of it, and the answer is made of what they said.

    answer      makes the answer; its `Payment` keeps the provider's reference and url in `details`
    override    additional_info.override_notification_url
    details     what the order keeps beside the request's additional_info
    facts       what the provider is told besides
    prepare     what the payment needs before anybody hears of it, in the transaction that opens it; returns more such facts. Done
                again when the same request announces the payment again
    expires_min asked for by the request; else the merchant's own, else the channel's
    waits       `answer` returns an Ask that waits for the buyer: a call that comes again before it was answered (a restart, another
                process) finds its order, whatever became of it since, and `answer` says so

    Raises Refused: CHANNEL_NOT_ENABLED, INVOICE_ALREADY_USED, INVOICE_ALREADY_PAID; PROVIDER_SILENT afterwards, and then the same
    request again announces the same payment again.
    """
    room: ProviderRoom = call.room
    party = room.party
    options = options_of(call.merchant, party.code)
    if not options.enabled:
        raise Refused(Reason.CHANNEL_NOT_ENABLED, channel=party.code)
    kept: dict[str, Any] = dict(details or {})
    additional_info = call.raw.get("additional_info")
    if isinstance(additional_info, Mapping) and additional_info:
        kept["additional_info"] = plain(dict(additional_info))
    if override:
        kept["override_notification_url"] = override
        warning = override_warning(override, call.merchant.notification_url)
        if warning:
            kept["warnings"] = [*kept.get("warnings", ()), warning]
    minutes = expires_min or options.expiry_min or party.expiry_min
    seen = _order_of(call, invoice_number)
    found = _unanswered(call, seen, party.code, amount, kept, announced=waits)
    if found is None:
        try:
            found = open_order(
                call.tx,
                merchant_id=call.merchant.client_id,
                invoice_number=invoice_number,
                amount=Rupiah(amount),
                channel=party.code,
                request_id=call.request_id,
                details=kept,
                expires_at=call.now + timedelta(minutes=minutes),
                now=call.now,
                retriable=retriable,
            )
        except Refused as refused:
            # Perhaps by the same request in another process, quicker by a moment.
            found = _unanswered(call, _order_of(call, invoice_number), party.code, amount, kept, announced=waits)
            if found is None or refused.reason is not Reason.INVOICE_ALREADY_USED:
                raise
        else:
            if _attempts(found[0]) != (_attempts(seen) + 1 if seen is not None else 0):
                raise Retry  # a new attempt of another one than was looked at: perhaps of this very request's, in another process
    order, payment = found
    known = payment.details.get("reference")
    begun = Begun(str(known), payment.details.get("url")) if known else None
    withdrawn = [] if begun is not None else _replaced_by(call, payment)
    told = {**(facts or {}), **prepare(order, payment)}
    asked = Asked(
        payment_id=payment.id,
        channel=party.code,
        amount=amount,
        merchant_id=call.merchant.client_id,
        merchant_name=call.merchant.name,
        invoice_number=invoice_number,
        created_at=payment.created_at,
        expires_at=payment.expires_at,
        home=call.public_url,
        items=tuple(items),
        payer=payer,
        return_url=return_url or options.return_url,
        cancel_url=cancel_url,
        facts=told,
    )

    async def ask() -> Begun | TurnedDown | None:
        for payment_id in withdrawn:
            await room.withdraw(payment_id)
        if begun is not None:
            return begun
        return await room.begin(asked)

    def after(call: Call, said: Begun | TurnedDown | None) -> ActionResult:
        if said is None:
            raise Refused(Reason.PROVIDER_SILENT, channel=party.code)
        order, payment = get_payment(call.tx, asked.payment_id)
        if isinstance(said, TurnedDown):
            if payment.state is PaymentState.PENDING:
                # The answer says so: nobody is notified.
                payment = advance(call.tx, payment, Move.DECLINED, now=call.now, failure=said.reason)
        else:
            payment = keep_details(call.tx, payment, {**said.facts, "reference": said.reference, "url": said.url})
            if payment.state is PaymentState.REPLACED:
                # While it was announced: whoever replaced it may have withdrawn it before that.
                return Ask(lambda: room.withdraw(payment.id), lambda call, _nothing: answer(call, order, payment, said))
        return answer(call, order, payment, said)

    return Ask(ask, after)


def _order_of(call: Call, invoice_number: str) -> Order | None:
    order = find_order(call.tx, call.merchant.client_id, invoice_number)
    return order if order is not None and order.invoice_number == invoice_number else None


def _attempts(order: Order) -> int:
    """How many calls opened it before the last one."""
    return len(order.details.get("earlier_request_ids", ()))


def _replaced_by(call: Call, payment: Payment) -> list[str]:
    """The attempt in whose place this one was opened: nobody shall pay it any more."""
    earlier = payments_of(call.tx, payment.order_id)[:-1]
    return [one.id for one in earlier[-1:] if one.state is PaymentState.REPLACED]


def _unanswered(
    call: Call, order: Order | None, channel: str, amount: int, details: dict[str, Any], *, announced: bool
) -> tuple[Order, Payment] | None:
    """The order, if this very request opened it before on this channel and the provider's answer never reached us.

    announced  also when it did, and the merchant was not answered
    """
    if order is None or order.request_id != call.request_id:
        return None
    payment = payments_of(call.tx, order.id)[-1]
    if payment.channel != channel:
        return None
    kept = {name: value for name, value in order.details.items() if name != "earlier_request_ids"}
    same = order.amount == amount and kept == msgspec.json.decode(msgspec.json.encode(details))
    # Paid, when a buyer who was asked in an app was quicker than the answer.
    unanswered = "reference" not in payment.details and (payment.state is PaymentState.PENDING or payment.state.is_paid)
    return (order, payment) if same and (unanswered or announced) else None
