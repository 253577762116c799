"""What the pages of pretend providers show, as plain records. Amounts are whole rupiah, moments are aware UTC."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gerbang.web.theme import Theme


@dataclass(frozen=True, slots=True)
class Look:
    """Whose page it is."""

    code: str
    name: str
    initials: str
    kind: Literal["app", "lender", "cashier"]
    theme: Theme


@dataclass(frozen=True, slots=True)
class AccountView:
    """The buyer's account at the provider."""

    name: str
    phone_masked: str
    balance: int


@dataclass(frozen=True, slots=True)
class PlanView:
    """One offer of a lender; `interest` in percent, as written."""

    months: int
    monthly: int
    interest: str
    total: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class BillView:
    """What a till shows for a payment code; `attempt` is the number this payment would get, so that pressing twice pays once."""

    code: str
    merchant_name: str
    invoice_number: str
    amount: int
    info: tuple[str, ...]
    expires_at: datetime
    attempt: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """What a till prints; `number` finds it again."""

    code: str
    merchant_name: str
    amount: int
    paid_at: datetime
    trx_id: str
    store: str
    footer: str
    number: str = ""


@dataclass(frozen=True, slots=True)
class WaitingView:
    """An order that waits at a pretend provider."""

    merchant_name: str
    invoice_number: str
    amount: int
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PartyView:
    """A pretend provider with what waits there."""

    look: Look
    url: str
    waiting: tuple[WaitingView, ...]
