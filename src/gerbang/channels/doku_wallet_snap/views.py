"""What the room's pages show, as plain records: a handler fills them in, a template reads them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Fate = Literal["", "used", "over", "failed"]
Gate = Literal["paid", "failed", "expired", "cancelled", "waiting", "shut"]
Hold = Literal["short", "blocked", "locked"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a visit ended, in words already of the visitor's language.

    gate      the state picture
    back_url  where the visitor goes on to, with its words; None: this page may be closed
    facts     lines of what stays, as name and value
    """

    gate: Gate
    heading: str
    lead: str
    back_url: str | None = None
    back_label: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    help: bool = False


@dataclass(frozen=True, slots=True)
class Payer:
    """Who is asked to pay or to consent, as far as the page may show it."""

    name: str
    phone_masked: str


@dataclass(frozen=True, slots=True)
class IdentityForm:
    """What was typed on the upgrade page, kept when something has to be corrected."""

    nik: str = ""
    name: str = ""
    birth_place: str = ""
    birth_date: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class MessageView:
    """A text message, cut around its code; `code` is empty once it opens nothing."""

    id: str
    before: str
    digits: str
    after: str
    code: str
    fate: Fate
    at: datetime


@dataclass(frozen=True, slots=True)
class Inbox:
    """The messages of one phone number, newest first."""

    phone: str
    messages: tuple[MessageView, ...]
