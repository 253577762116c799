"""Giving a paid payment's money back through whoever took it: an action of a merchant's, and what went unanswered.

Reserve the merchant's money and write the refund down, ask the provider outside any transaction, end the refund. Its id is the
key of the question, so it can be asked again by the same request, by the sweep, and by both at once.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from gerbang.endpoint import ActionResult, Ask, Call
from gerbang.errors import Reason, Refused
from gerbang.money import Rupiah
from gerbang.payments import (
    Payment,
    Refund,
    RefundState,
    RefundType,
    complete_refund,
    fail_refund,
    get_payment,
    get_refund,
    open_refund,
    refunds_of,
)
from gerbang.payments.moves import hold_payment
from gerbang.providers.room import ProviderRoom
from gerbang.storage import Tx

CANNOT_GIVE_BACK = "Refund Cannot Be Processed"

Answer = Callable[[Call, Payment, Refund], ActionResult]

_AGAIN_S = 60.0
_BATCH = 20


def give_back_action(call: Call, payment: Payment, amount: int | None, *, answer: Answer, void: bool = False) -> ActionResult:
    """An action's whole work: give money of a paid payment back, and answer with the refund as it then stands.

    amount  None: all that is left
    answer  gets the payment and its refund, which is SUCCESS or FAILED (the provider cannot; the merchant has its money again)
    void    the whole payment, as if it had never been: check status says VOIDED, not REFUNDED

    No notification: channels other than cards tell of nothing that goes back (decision D-7).

    Raises Refused: PAYMENT_NOT_PAID, REFUND_TOO_LARGE (nothing is left, a void of less than all), BALANCE_TOO_SMALL (the merchant
    has not that much); PROVIDER_SILENT afterwards: the refund stays open, and the same request again, or the sweep, asks again.
    """
    _, payment = hold_payment(call.tx, payment.id)  # the same request in another process waits here, and then finds the refund
    mine = [
        one
        for one in refunds_of(call.tx, payment.id)
        if one.request_id == call.request_id and amount in (None, one.amount) and (one.type is RefundType.VOID) is void
    ]
    if mine and mine[-1].state is not RefundState.PENDING:
        return answer(call, payment, mine[-1])  # ended by the sweep before the same request came again
    refund = mine[-1] if mine else _open(call, payment, amount, void=void)
    room: ProviderRoom = call.room

    def after(call: Call, returned: bool | None) -> ActionResult:
        if returned is None:
            raise Refused(Reason.PROVIDER_SILENT, channel=payment.channel)
        ended, payment_now = finish_give_back(call.tx, refund, returned=returned, now=call.now)
        return answer(call, payment_now, ended)

    return Ask(lambda: room.give_back(refund.id, payment, refund.amount), after)


def _open(call: Call, payment: Payment, amount: int | None, *, void: bool) -> Refund:
    if not payment.state.is_paid or payment.charged is None:
        raise Refused(Reason.PAYMENT_NOT_PAID, state=payment.state)
    left = payment.charged - payment.refunded
    wanted = Rupiah(left if amount is None else amount)
    whole = wanted == payment.charged
    if not 0 < wanted <= left or (void and not whole):
        raise Refused(Reason.REFUND_TOO_LARGE, amount=wanted, charged=payment.charged, refunded=payment.refunded)
    kind = RefundType.VOID if void else RefundType.FULL_REFUND if whole else RefundType.PARTIAL_REFUND
    return open_refund(call.tx, payment, amount=wanted, type=kind, request_id=call.request_id, now=call.now)


def finish_give_back(tx: Tx, refund: Refund, *, returned: bool, now: datetime) -> tuple[Refund, Payment]:
    """Act on the provider's answer once; whoever comes second gets the refund as it ended."""
    try:
        if returned:
            return complete_refund(tx, refund, approval_code=None, message=None, now=now)
        failed = fail_refund(tx, refund, message=CANNOT_GIVE_BACK, now=now)
        return failed, get_payment(tx, refund.payment_id)[1]
    except Refused as refused:
        if refused.reason is not Reason.PAYMENT_MOVED_ON:
            raise
        return get_refund(tx, refund.id), get_payment(tx, refund.payment_id)[1]


async def sweep_refunds(room: ProviderRoom) -> int:
    """Ask again about refunds that nobody came back for; how many ended."""
    waiting = await room.database.read(lambda tx: _waiting(tx, room.party.code))
    due = room.due_again({refund.id for refund, _ in waiting}, after_s=_AGAIN_S)
    return sum(await asyncio.gather(*[_ask_again(room, *one) for one in waiting if one[0].id in due]))


async def _ask_again(room: ProviderRoom, refund: Refund, payment: Payment) -> int:
    returned = await room.give_back(refund.id, payment, refund.amount)
    if returned is None:
        return 0
    await room.database.transact(lambda tx: finish_give_back(tx, refund, returned=returned, now=room.clock.now()))
    return 1


def _waiting(tx: Tx, channel: str) -> list[tuple[Refund, Payment]]:
    # What a person has to do is in the same table, under types of its own.
    rows = tx.all(
        "select r.id as id from refund r join payment p on p.id = r.payment_id where r.state = 'PENDING' and p.channel = :channel"
        " and r.type in ('VOID', 'FULL_REFUND', 'PARTIAL_REFUND') order by r.created_at, r.id limit :limit",
        {"channel": channel, "limit": _BATCH},
    )
    refunds = [get_refund(tx, row["id"]) for row in rows]
    return [(refund, get_payment(tx, refund.payment_id)[1]) for refund in refunds]
