"""An order is what the merchant sells; a payment is one attempt to pay it. Two records, two sets of states."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from gerbang.clock import from_ms
from gerbang.money import Rupiah
from gerbang.storage import Row

NOTHING = Rupiah(0)


class OrderState(StrEnum):
    """Where an order stands: as the newest of its payments does."""

    OPEN = "OPEN"
    AUTHORISED = "AUTHORISED"
    PAID = "PAID"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    RELEASED = "RELEASED"
    VOIDED = "VOIDED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"


class PaymentState(StrEnum):
    """Where one attempt to pay stands."""

    PENDING = "PENDING"
    AUTHORISED = "AUTHORISED"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REPLACED = "REPLACED"
    RELEASED = "RELEASED"
    VOIDED = "VOIDED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"

    @property
    def is_final(self) -> bool:
        """The buyer has no more part in it: it is paid, authorised, or over."""
        return self is not PaymentState.PENDING

    @property
    def is_paid(self) -> bool:
        """The merchant has money of it, or had."""
        return self in _PAID

    @property
    def is_spent(self) -> bool:
        """The buyer's money was taken or held for it, whatever became of that: its order is not sold a second time."""
        return self.is_paid or self in (PaymentState.AUTHORISED, PaymentState.RELEASED)


_PAID = frozenset({PaymentState.SUCCESS, PaymentState.VOIDED, PaymentState.PARTIALLY_REFUNDED, PaymentState.REFUNDED})


@dataclass(frozen=True, slots=True)
class Order:
    """What a merchant sells. (merchant_id, invoice_number) is unique.

    request_id  the Request-Id of the call that made it, quoted later as original_request_id
    details     what the channel's room needs to keep (URLs, line items, echoes), JSON
    attempts    how many payments it has: the newest is the one with this number
    """

    id: str
    merchant_id: str
    invoice_number: str
    amount: Rupiah
    state: OrderState
    request_id: str
    details: dict[str, Any]
    created_at: datetime
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to pay an order through one channel.

    id              also the unguessable part of the hosted page's address
    payer           who paid, as the channel names them (a wallet account id); None until known
    failure         why it ended unpaid, a word of the channel's own
    charged         what was taken, or is held: less than `amount` after a promo or a partial capture
    refunded        how much of it went back or is on its way back
    settles_at      from then on money goes back by refund, before by void
    capture_before  until then an authorisation can be captured
    attempt         its number among the payments of its order, from 1
    """

    id: str
    order_id: str
    merchant_id: str
    channel: str
    amount: Rupiah
    state: PaymentState
    payer: str | None
    approval_code: str | None
    failure: str | None
    details: dict[str, Any]
    created_at: datetime
    expires_at: datetime
    finished_at: datetime | None
    charged: Rupiah | None = None
    refunded: Rupiah = NOTHING
    settles_at: datetime | None = None
    capture_before: datetime | None = None
    attempt: int = 1

    def is_settled(self, now: datetime) -> bool:
        """Whether the merchant's money of this payment has been paid out."""
        return self.settles_at is not None and now >= self.settles_at


def order_from(row: Row) -> Order:
    """An order as stored."""
    return Order(
        id=row["id"],
        merchant_id=row["merchant_id"],
        invoice_number=row["invoice_number"],
        amount=Rupiah(row["amount"]),
        state=OrderState(row["state"]),
        request_id=row["request_id"],
        details=msgspec.json.decode(row["details"]),
        created_at=from_ms(row["created_at"]),
        attempts=row["attempts"],
    )


def payment_from(row: Row) -> Payment:
    """A payment as stored."""
    finished_at = row["finished_at"]
    return Payment(
        id=row["id"],
        order_id=row["order_id"],
        merchant_id=row["merchant_id"],
        channel=row["channel"],
        amount=Rupiah(row["amount"]),
        state=PaymentState(row["state"]),
        payer=row["payer"],
        approval_code=row["approval_code"],
        failure=row["failure"],
        details=msgspec.json.decode(row["details"]),
        created_at=from_ms(row["created_at"]),
        expires_at=from_ms(row["expires_at"]),
        finished_at=None if finished_at is None else from_ms(finished_at),
        charged=row["charged"],
        refunded=row["refunded"],
        settles_at=None if row["settles_at"] is None else from_ms(row["settles_at"]),
        capture_before=None if row["capture_before"] is None else from_ms(row["capture_before"]),
        attempt=row["attempt"],
    )
