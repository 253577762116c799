"""What the card room asks the outside world, and what may come back. In the sandbox `simulator.py` answers.

Two counterparties: the 3-D Secure server of the card schemes, which says whether the buyer is the cardholder, and the acquirer,
which moves money. Every question to the acquirer has an id that is written down before it is asked: asking again with
the same id gives the same answer and moves nothing twice. A card number and a CVV live in these records and nowhere else.
"""

from dataclasses import dataclass, field
from typing import Protocol

from gerbang.channels.credit_card.numbers import Brand
from gerbang.money import Rupiah


@dataclass(frozen=True, slots=True)
class CardData:
    """A card as its holder typed it. `expiry` is YYMM. Never printed: `repr` leaves number and CVV out."""

    number: str = field(repr=False)
    expiry: str
    brand: Brand
    cvv: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AuthenticationQuestion:
    """The 3-D Secure authentication request (AReq).

    reference         our payment's or authentication's id, by which a sandbox outcome may have been chosen
    notification_url  where the issuer's page posts its result (CRes) when it is done with the buyer
    challenge         ask the issuer to challenge the buyer (a risk rule wants it)
    """

    authentication_id: str
    reference: str
    card: CardData
    amount: Rupiah
    merchant_name: str
    phone: str | None
    lang: str
    notification_url: str
    challenge: bool = False


@dataclass(frozen=True, slots=True)
class AuthenticationAnswer:
    """The answer (ARes).

    trans_status  Y, A, N, U, R; C: the buyer has to visit acs_url; None: the card knows no 3-D Secure
    """

    trans_status: str | None
    acs_trans_id: str | None = None
    ds_trans_id: str | None = None
    acs_url: str | None = None


@dataclass(frozen=True, slots=True)
class ChallengeResult:
    """How the buyer's visit to the issuer ended (RReq); `reason` is "timeout", "cancelled" or "wrong_code" when not Y."""

    trans_status: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AuthoriseQuestion:
    """Take, or reserve, money from a card. `capture` False reserves only."""

    id: str
    reference: str
    acquirer: str
    card: CardData
    amount: Rupiah
    capture: bool
    payment_type: str
    eci: str
    tenor: int | None = None
    descriptor: str | None = None


@dataclass(frozen=True, slots=True)
class FollowUpQuestion:
    """Something about money that was authorised before: capture, void, refund, reverse.

    authorise_id  the id of the question that authorised it
    """

    id: str
    kind: str
    authorise_id: str
    reference: str
    acquirer: str
    amount: Rupiah


@dataclass(frozen=True, slots=True)
class AcquirerAnswer:
    """`response_code` of cards.responses; "TO" when the acquirer did not answer in time, and then nothing is known."""

    response_code: str
    approval_code: str | None = None


class CardSchemes(Protocol):
    """3-D Secure."""

    async def authenticate(self, question: AuthenticationQuestion) -> AuthenticationAnswer:
        """Ask for an authentication. Never raises: a server that cannot be reached answers U."""
        ...

    async def challenge_result(self, acs_trans_id: str) -> ChallengeResult | None:
        """The result as the issuer told the server; None while the buyer is still there. The browser's word counts nothing."""
        ...


class Acquirer(Protocol):
    """The bank that takes the money for the merchant."""

    async def authorise(self, question: AuthoriseQuestion) -> AcquirerAnswer:
        """Ask for money. Never raises: silence is the answer TO."""
        ...

    async def follow_up(self, question: FollowUpQuestion) -> AcquirerAnswer:
        """kind is CAPTURE, VOID, REFUND or REVERSE. Reversing what was never authorised succeeds."""
        ...

    async def inquire(self, question_id: str) -> AcquirerAnswer | None:
        """What was answered to a question, or None when the acquirer never heard it."""
        ...
