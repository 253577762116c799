"""What SNAP calls answer, as a partner reads it. Amounts are whole rupiah; `raw` is the body as decoded.

`reference` is the partner's own number of something (partnerReferenceNo), `reference_no` the gateway's (referenceNo).
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

SUCCESS = "00"
"""The only latestTransactionStatus that means: the money moved."""


@dataclass(frozen=True)
class CustomerTokens:
    """A customer's tokens. Keep them like a password; with the refresh token the next pair is got without the customer."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_expires_at: datetime | None
    refresh_expires_at: datetime | None


@dataclass(frozen=True)
class SnapAnswer:
    """A successful answer. `in_progress`: it was taken, but is not done (HTTP 202)."""

    response_code: str
    in_progress: bool
    external_id: str
    raw: dict[str, Any]


@dataclass(frozen=True)
class AccountOpening:
    """A registration that waits for the one-time password; both references go into `verify_otp`."""

    reference: str
    reference_no: str
    raw: dict[str, Any]


@dataclass(frozen=True)
class OtpVerified:
    """The password was right. `page_url`: where the customer sets a PIN now; None after an unbinding, which is done."""

    page_url: str | None
    phone: str | None
    email: str | None
    raw: dict[str, Any]


@dataclass(frozen=True)
class BindingPage:
    """Where the customer consents. `link_id` and `public_user_id` are known when the account was named."""

    reference: str
    reference_no: str
    url: str
    link_id: str | None
    public_user_id: str | None
    raw: dict[str, Any]


@dataclass(frozen=True)
class FoundBinding:
    """A binding that stands. `auth_code` is fresh: good once, for ten minutes."""

    link_id: str
    auth_code: str = field(repr=False)
    raw: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Unbinding:
    """A wish to end a binding; it ends with `verify_otp` of both references."""

    reference: str
    reference_no: str
    link_id: str
    raw: dict[str, Any]


@dataclass(frozen=True)
class WalletBalance:
    """What a customer has. `available` can be spent; `held` is reserved."""

    account_id: str
    name: str
    available: int
    held: int
    raw: dict[str, Any]


@dataclass(frozen=True)
class BankAccount:
    """Whose bank account it is; `reference_no` goes into the transfer."""

    reference_no: str
    bank_code: str
    number: str
    name: str
    raw: dict[str, Any]


@dataclass(frozen=True)
class BankTransfer:
    """A transfer to a bank account. `in_progress`: the bank has not answered for good."""

    reference: str
    reference_no: str
    in_progress: bool
    bank_reference: str | None
    date: datetime | None
    raw: dict[str, Any]


@dataclass(frozen=True)
class TopUpOffer:
    """Who would be topped up, and between which amounts. `session_id` goes into the top-up."""

    session_id: str
    name: str
    minimum: int
    maximum: int
    fee: int
    raw: dict[str, Any]


@dataclass(frozen=True)
class TopUp:
    """A top-up that was made."""

    reference: str
    reference_no: str
    amount: int
    raw: dict[str, Any]


@dataclass(frozen=True)
class TopUpStatus:
    """What became of a top-up."""

    reference: str
    status: str
    description: str
    amount: int
    date: datetime | None
    raw: dict[str, Any]

    @property
    def is_done(self) -> bool:
        return self.status == SUCCESS


@dataclass(frozen=True)
class Purchase:
    """A purchase that waits for its customer's PIN. Send the customer to `url`."""

    reference: str
    reference_no: str
    url: str
    raw: dict[str, Any]


@dataclass(frozen=True)
class PurchaseRefund:
    """One refund of a purchase; status 00 done, 03 under way, 06 failed."""

    reference: str
    refund_no: str
    amount: int
    status: str


@dataclass(frozen=True)
class PurchaseStatus:
    """What the gateway says about a purchase now.

    status  00 success, 01 initiated, 03 pending, 04 refunded, 05 cancelled or expired, 06 failed
    amount  compare it with the order before shipping anything
    """

    reference: str
    reference_no: str
    status: str
    description: str
    amount: int
    paid_at: datetime | None
    refunds: tuple[PurchaseRefund, ...]
    raw: dict[str, Any]

    @property
    def is_paid(self) -> bool:
        return self.status == SUCCESS


@dataclass(frozen=True)
class Cancellation:
    """A purchase that was undone before settlement."""

    reference: str
    reference_no: str
    at: datetime | None
    raw: dict[str, Any]


@dataclass(frozen=True)
class Refund:
    """Money that is back in the wallet."""

    reference: str
    refund_reference: str
    refund_no: str
    amount: int
    at: datetime | None
    raw: dict[str, Any]


@dataclass(frozen=True)
class Authorisation:
    """Money that is reserved until `valid_until`, to be captured or voided."""

    reference: str
    reference_no: str
    amount: int
    valid_until: datetime | None
    raw: dict[str, Any]


@dataclass(frozen=True)
class Capture:
    """What was taken of an authorisation; the rest was let go."""

    reference: str
    capture_no: str
    amount: int
    at: datetime | None
    raw: dict[str, Any]


@dataclass(frozen=True)
class Void:
    """An authorisation that was let go."""

    reference: str
    void_no: str
    amount: int
    at: datetime | None
    raw: dict[str, Any]


@dataclass(frozen=True)
class HistoryLine:
    """One thing that happened to a customer's money, e.g. type PAYMENT, status SUCCESS."""

    at: datetime | None
    amount: int
    type: str
    status: str
    remark: str
    reference: str | None
    reference_no: str | None
    raw: dict[str, Any]
