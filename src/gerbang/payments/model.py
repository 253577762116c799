"""An order is what the merchant sells; a payment is one attempt to pay it. Two records, two sets of states."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from gerbang.clock import from_ms
from gerbang.money import Rupiah
from gerbang.storage import Row


class OrderState(StrEnum):
    """Where an order stands."""

    OPEN = "OPEN"
    PAID = "PAID"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


class PaymentState(StrEnum):
    """Where one attempt to pay stands."""

    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def is_final(self) -> bool:
        return self is not PaymentState.PENDING


@dataclass(frozen=True, slots=True)
class Order:
    """What a merchant sells. (merchant_id, invoice_number) is unique.

    request_id  the Request-Id of the call that made it, quoted later as original_request_id
    details     what the channel's room needs to keep (URLs, line items, echoes), JSON
    """

    id: str
    merchant_id: str
    invoice_number: str
    amount: Rupiah
    state: OrderState
    request_id: str
    details: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to pay an order through one channel.

    id       also the unguessable part of the hosted page's address
    payer    who paid, as the channel names them (a wallet account id); None until known
    failure  why it ended unpaid, a word of the channel's own
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
    )
