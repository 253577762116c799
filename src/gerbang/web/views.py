"""What the hosted pages show, as plain records: a handler fills them in, a template reads them.

Amounts are whole rupiah, moments are aware UTC; how both look in Indonesian or English is decided in the pages.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Lang = Literal["id", "en"]
ResultState = Literal["paid", "failed", "locked", "expired", "cancelled", "waiting"]
InfoTopic = Literal["help", "privacy", "terms"]


@dataclass(frozen=True, slots=True)
class Shell:
    """What surrounds every page.

    title     names state and merchant; "" lets the template write its own
    page_url  the path of this page without a query; the language switch and the forms lead there
    """

    lang: Lang
    sandbox: bool
    title: str
    merchant_name: str
    page_url: str
    request_id: str


@dataclass(frozen=True, slots=True)
class ItemView:
    """One line of the order; `price` is for one piece."""

    name: str
    price: int
    quantity: int


@dataclass(frozen=True, slots=True)
class OrderView:
    """What is being paid. `now` is business time, so that a moved sandbox clock counts down correctly."""

    merchant_name: str
    invoice_number: str
    amount: int
    line_items: tuple[ItemView, ...]
    expires_at: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing to correct: `field` is the name of the input ("" for the form as a whole), `key` a key of `i18n`."""

    field: str
    key: str


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account of the sandbox whose PIN everybody may know.

    note  "rich", "tight", "empty" or "locked" (translated through `i18n`), or any words, shown as they are
    """

    key: str
    name: str
    note: str
    phone: str
    pin: str
