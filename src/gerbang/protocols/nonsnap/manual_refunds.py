"""Refunds that people carry out: the merchant's own MID cannot refund online, so somebody transfers the money and says so."""

from collections.abc import Mapping
from datetime import datetime

from gerbang.channel import Channel
from gerbang.errors import Reason, Refused
from gerbang.merchants import get
from gerbang.payments import Refund, complete_refund, fail_refund, get_refund, order_by_id
from gerbang.protocols.nonsnap.notification import notify
from gerbang.settings import Settings
from gerbang.storage import Tx

CANNOT_BE_DONE = "Refund Cannot Be Processed"


def complete_manual_refund(
    tx: Tx,
    channels: Mapping[str, Channel],
    refund_id: str,
    *,
    approval_code: str | None,
    settings: Settings,
    now: datetime,
) -> Refund:
    """The money was given back by hand: book it and tell the merchant.

    Raises Refused: REFUND_NOT_FOUND, PAYMENT_MOVED_ON (it ended before), PAYMENT_BUSY (it is the acquirer's to end).
    """
    refund = _manual(tx, refund_id)
    done, payment = complete_refund(tx, refund, approval_code=approval_code, message="Approved", now=now)
    order, merchant = order_by_id(tx, payment.order_id), get(tx, payment.merchant_id)
    notify(tx, channels[payment.channel], merchant, order, payment, settings=settings, now=now)
    return done


def fail_manual_refund(tx: Tx, refund_id: str, *, message: str | None, now: datetime) -> Refund:
    """It cannot be done: the money is the merchant's again. Nobody is told, as with any refund that fails after its answer.

    Raises as `complete_manual_refund`.
    """
    return fail_refund(tx, _manual(tx, refund_id), message=message or CANNOT_BE_DONE, now=now)


def _manual(tx: Tx, refund_id: str) -> Refund:
    refund = get_refund(tx, refund_id)
    if not refund.type.is_manual:
        # An acquirer has been asked, and its answer may come at any moment.
        raise Refused(Reason.PAYMENT_BUSY, refund=refund.id, type=refund.type)
    return refund
