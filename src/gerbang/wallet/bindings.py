"""Bindings: a customer's consent to one partner, and the auth codes with which the partner gets the customer's tokens.

A partner asks for a binding (BIND) and sends its customer to our page, where consent and PIN make it ACTIVE. It asks to end it
(UNBIND), which waits for a one-time password. The partner is told the link's id before the customer consents: until then the
binding is PENDING. Of one partner and one account there is one binding that has not ended.
"""

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from gerbang.clock import from_ms, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.settings import Settings
from gerbang.storage import Retry, Row, Tx
from gerbang.wallet.accounts import Account, AccountStatus, find_account, get_account
from gerbang.wallet.otp import CodeOutcome, check_code, send_code
from gerbang.wallet.registrations import with_query

# Decision D-5.
AUTH_CODE_LIFE = timedelta(minutes=10)
PAGE_LIFE = timedelta(minutes=15)


class BindingState(StrEnum):
    """Whether the consent stands. PENDING: the partner knows the link, the customer has not consented yet."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    UNBOUND = "UNBOUND"


@dataclass(frozen=True, slots=True)
class Binding:
    """A consent. The id is the wire's linkId; `public_user_id` names the customer to this partner, for ever."""

    id: str
    merchant_id: str
    account_id: str
    public_user_id: str
    state: BindingState
    created_at: datetime


class RequestKind(StrEnum):
    """What a partner asked for."""

    BIND = "BIND"
    UNBIND = "UNBIND"


class RequestState(StrEnum):
    """How far it has come. REPLACED: an unbinding asked for again."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    REFUSED = "REFUSED"
    REPLACED = "REPLACED"


@dataclass(frozen=True, slots=True)
class BindingRequest:
    """A partner's wish. The id is the wire's referenceNo.

    account_id  None where the partner did not say who it is: whoever signs in on the page
    binding_id  the link as told to the partner, None until it is known
    expires_at  until when the page, or the last password sent, can be used
    """

    id: str
    kind: RequestKind
    merchant_id: str
    partner_reference: str
    account_id: str | None
    binding_id: str | None
    redirect_url: str
    state: RequestState
    created_at: datetime
    expires_at: datetime

    def is_open(self, now: datetime) -> bool:
        """Whether the customer can still answer."""
        return self.state is RequestState.PENDING and now < self.expires_at


@dataclass(frozen=True, slots=True)
class UnbindingCheck:
    """What became of a password; with the right one the binding has ended."""

    outcome: CodeOutcome
    account: Account = field(repr=False)


# -- bindings


def get_binding(tx: Tx, binding_id: str) -> Binding | None:
    """The binding in whatever state, or None."""
    row = tx.one("select * from binding where id = :id", {"id": binding_id})
    return None if row is None else _binding(row)


def find_binding(tx: Tx, *, merchant_id: str, account_id: str) -> Binding | None:
    """The active binding of the two, or None."""
    row = tx.one(
        "select * from binding where merchant_id = :merchant and account_id = :account and state = 'ACTIVE'",
        {"merchant": merchant_id, "account": account_id},
    )
    return None if row is None else _binding(row)


def bindings_of(tx: Tx, account_id: str) -> list[Binding]:
    """Every partner the customer consented to, the longest first."""
    rows = tx.all(
        "select * from binding where account_id = :account and state = 'ACTIVE' order by created_at, id", {"account": account_id}
    )
    return [_binding(row) for row in rows]


def bind(tx: Tx, *, merchant_id: str, account_id: str, now: datetime) -> Binding:
    """The active binding of the two; the customer has consented. One that is active already stays as it is."""
    link = _link(tx, merchant_id=merchant_id, account_id=account_id, now=now)
    if link.state is BindingState.ACTIVE:
        return link
    made = tx.execute(
        "update binding set state = 'ACTIVE', created_at = :now where id = :id and state = 'PENDING'",
        {"id": link.id, "now": to_ms(now)},
    )
    if made != 1:
        raise Retry  # bound by somebody else this very moment
    active = get_binding(tx, link.id)
    assert active is not None
    return active


def unbind(tx: Tx, binding: Binding, *, now: datetime) -> None:
    """End the consent; tokens and auth codes die with it. Raises Refused(BINDING_NOT_FOUND) when it has ended already."""
    ended = tx.execute(
        "update binding set state = 'UNBOUND', ended_at = :now where id = :id and state = 'ACTIVE'",
        {"id": binding.id, "now": to_ms(now)},
    )
    if ended != 1:
        raise Refused(Reason.BINDING_NOT_FOUND)


def _link(tx: Tx, *, merchant_id: str, account_id: str, now: datetime) -> Binding:
    """The binding of the two that has not ended; made, PENDING, when there is none. The public id stays the same for ever."""
    earlier = tx.all(
        "select * from binding where merchant_id = :merchant and account_id = :account order by created_at desc, id desc",
        {"merchant": merchant_id, "account": account_id},
    )
    for row in earlier:
        if row["state"] != BindingState.UNBOUND:
            return _binding(row)
    made = Binding(
        id=new_id("lnk"),
        merchant_id=merchant_id,
        account_id=account_id,
        public_user_id=earlier[0]["public_user_id"] if earlier else new_id("usr"),
        state=BindingState.PENDING,
        created_at=now,
    )
    written = tx.execute(
        "insert into binding (id, merchant_id, account_id, public_user_id, state, created_at)"
        " values (:id, :merchant, :account, :public_user_id, :state, :created_at) on conflict do nothing",
        {
            "id": made.id,
            "merchant": merchant_id,
            "account": account_id,
            "public_user_id": made.public_user_id,
            "state": made.state.value,
            "created_at": to_ms(now),
        },
    )
    if written != 1:
        raise Retry  # asked for by somebody else this very moment
    return made


# -- auth codes


def new_auth_code(tx: Tx, binding: Binding, *, now: datetime) -> str:
    """A code the partner may exchange once, within ten minutes. Only its hash is kept."""
    code = str(uuid.uuid4())
    tx.execute(
        "insert into auth_code (hash, merchant_id, binding_id, used, expires_at)"
        " values (:hash, :merchant, :binding, 0, :expires_at)",
        {
            "hash": _hash(code),
            "merchant": binding.merchant_id,
            "binding": binding.id,
            "expires_at": to_ms(now + AUTH_CODE_LIFE),
        },
    )
    return code


def exchange_auth_code(tx: Tx, *, merchant_id: str, code: str, now: datetime) -> Binding:
    """The binding behind a code, which is used up.

    Raises Refused(AUTH_CODE_INVALID): unknown, another partner's, used, over, or its binding has ended.
    """
    used = tx.execute(
        "update auth_code set used = 1 where hash = :hash and merchant_id = :merchant and used = 0 and expires_at > :now",
        {"hash": _hash(code), "merchant": merchant_id, "now": to_ms(now)},
    )
    row = None
    if used == 1:
        row = tx.one(
            "select b.* from binding b join auth_code c on c.binding_id = b.id where c.hash = :hash and b.state = 'ACTIVE'",
            {"hash": _hash(code)},
        )
    if row is None:
        raise Refused(Reason.AUTH_CODE_INVALID)
    return _binding(row)


def purge_auth_codes(tx: Tx, *, now: datetime, limit: int = 1_000) -> int:
    """Drop codes that are over; how many."""
    return tx.execute(
        "delete from auth_code where hash in"
        " (select hash from auth_code where expires_at < :now order by expires_at limit :limit)",
        {"now": to_ms(now), "limit": limit},
    )


# -- asking for a binding


def request_binding(
    tx: Tx, *, merchant_id: str, partner_reference: str, account_id: str | None, redirect_url: str, now: datetime
) -> tuple[BindingRequest, Binding | None]:
    """Write down that a partner asks for a customer's consent; with a DOKU ID, the link that it will get.

    Raises Refused: ACCOUNT_NOT_FOUND, ACCOUNT_LOCKED, ACCOUNT_CLOSED.
    """
    link = None
    if account_id:
        customer = find_account(tx, account_id)
        if customer is None:
            raise Refused(Reason.ACCOUNT_NOT_FOUND)
        _refuse_inactive(customer)
        link = _link(tx, merchant_id=merchant_id, account_id=customer.id, now=now)
    request = BindingRequest(
        id=new_id("bnd"),
        kind=RequestKind.BIND,
        merchant_id=merchant_id,
        partner_reference=partner_reference,
        account_id=link.account_id if link else None,
        binding_id=link.id if link else None,
        redirect_url=redirect_url,
        state=RequestState.PENDING,
        created_at=now,
        expires_at=now + PAGE_LIFE,
    )
    _write(tx, request)
    return request, link


def request_by_id(tx: Tx, request_id: str) -> BindingRequest | None:
    """What was asked for, or None."""
    row = tx.one("select * from binding_request where id = :id", {"id": request_id})
    return None if row is None else _request(row)


def confirm(tx: Tx, request: BindingRequest, account: Account, *, now: datetime) -> tuple[Binding, str]:
    """The customer, whose PIN was right, consents: the binding and an auth code for the way back.

    Raises Refused: LINK_OVER (answered before, or too late), NOT_THIS_CUSTOMER, ACCOUNT_LOCKED, ACCOUNT_CLOSED.
    """
    assert request.kind is RequestKind.BIND, request.kind
    if request.account_id is not None and request.account_id != account.id:
        raise Refused(Reason.NOT_THIS_CUSTOMER)
    current = get_account(tx, account.id)
    _refuse_inactive(current)
    if not request.is_open(now):
        raise Refused(Reason.LINK_OVER)
    _answer(tx, request, RequestState.CONFIRMED)
    binding = bind(tx, merchant_id=request.merchant_id, account_id=current.id, now=now)
    tx.execute(
        "update binding_request set account_id = :account, binding_id = :binding where id = :id",
        {"id": request.id, "account": current.id, "binding": binding.id},
    )
    return binding, new_auth_code(tx, binding, now=now)


def refuse(tx: Tx, request: BindingRequest, *, now: datetime) -> None:
    """The customer does not consent, or their PIN is blocked. Raises Refused(LINK_OVER) when it was answered before."""
    if not request.is_open(now):
        raise Refused(Reason.LINK_OVER)
    _answer(tx, request, RequestState.REFUSED)


def return_url(request: BindingRequest, auth_code: str | None) -> str:
    """Where the customer goes from the page: the partner's address with the auth code, or with status=FAILED."""
    answer = {"authCode": auth_code} if auth_code else {"status": "FAILED"}
    return with_query(request.redirect_url, answer | {"partnerReferenceNo": request.partner_reference})


# -- ending a binding


def request_unbinding(
    tx: Tx, *, merchant_id: str, partner_reference: str, link_id: str, settings: Settings, now: datetime
) -> BindingRequest:
    """Write down that a partner wants to end a binding, and send the customer a password. Nothing ends yet.

    An unbinding of the same link that still waits is replaced. Raises Refused: BINDING_NOT_FOUND, TOO_MANY_REQUESTS.
    """
    binding = get_binding(tx, link_id)
    if binding is None or binding.merchant_id != merchant_id or binding.state is not BindingState.ACTIVE:
        raise Refused(Reason.BINDING_NOT_FOUND)
    customer = get_account(tx, binding.account_id)
    tx.execute(
        "update binding_request set state = 'REPLACED' where binding_id = :binding and kind = 'UNBIND' and state = 'PENDING'",
        {"binding": binding.id},
    )
    request_id = new_id("unb")
    expires_at = send_code(tx, subject=request_id, phone=customer.phone, settings=settings, now=now)
    request = BindingRequest(
        id=request_id,
        kind=RequestKind.UNBIND,
        merchant_id=merchant_id,
        partner_reference=partner_reference,
        account_id=customer.id,
        binding_id=binding.id,
        redirect_url="",
        state=RequestState.PENDING,
        created_at=now,
        expires_at=expires_at,
    )
    _write(tx, request)
    return request


def send_again(tx: Tx, request: BindingRequest, *, settings: Settings, now: datetime) -> None:
    """A new password for an unbinding that waits for one.

    Raises Refused: OTP_ALREADY_VERIFIED, REFERENCE_NOT_FOUND (replaced), TOO_MANY_REQUESTS.
    """
    _refuse_unless_waiting(request)
    customer = _account_of(tx, request)
    expires_at = send_code(tx, subject=request.id, phone=customer.phone, settings=settings, now=now)
    waiting = tx.execute(
        "update binding_request set expires_at = :expires_at where id = :id and state = 'PENDING'",
        {"id": request.id, "expires_at": to_ms(expires_at)},
    )
    if waiting != 1:
        raise Refused(Reason.REFERENCE_NOT_FOUND)


def verify_unbinding(tx: Tx, request: BindingRequest, *, entered: str, settings: Settings, now: datetime) -> UnbindingCheck:
    """Check the password entered; the right one ends the binding. The caller commits whatever came out: a wrong one counts.

    Raises Refused(REFERENCE_NOT_FOUND) when the request was replaced.
    """
    customer = _account_of(tx, request)
    if request.state is RequestState.CONFIRMED:
        return UnbindingCheck(CodeOutcome.USED, customer)
    _refuse_unless_waiting(request)
    outcome = check_code(tx, subject=request.id, entered=entered, settings=settings, now=now)
    if outcome is CodeOutcome.RIGHT:
        moved = tx.execute(
            "update binding_request set state = 'CONFIRMED' where id = :id and state = 'PENDING'", {"id": request.id}
        )
        if moved != 1:
            raise Refused(Reason.REFERENCE_NOT_FOUND)  # replaced this very moment
        binding = get_binding(tx, request.binding_id or "")
        # Ended another way meanwhile: what the customer wanted is so.
        if binding is not None and binding.state is BindingState.ACTIVE:
            unbind(tx, binding, now=now)
    return UnbindingCheck(outcome, customer)


# -- rows


def _refuse_inactive(customer: Account) -> None:
    if customer.status is AccountStatus.LOCKED:
        raise Refused(Reason.ACCOUNT_LOCKED, account_id=customer.id)
    if customer.status is AccountStatus.CLOSED:
        raise Refused(Reason.ACCOUNT_CLOSED, account_id=customer.id)


def _refuse_unless_waiting(request: BindingRequest) -> None:
    if request.state is RequestState.REPLACED or request.kind is not RequestKind.UNBIND:
        raise Refused(Reason.REFERENCE_NOT_FOUND)
    if request.state is not RequestState.PENDING:
        raise Refused(Reason.OTP_ALREADY_VERIFIED)


def _account_of(tx: Tx, request: BindingRequest) -> Account:
    if request.kind is not RequestKind.UNBIND or request.account_id is None:
        raise Refused(Reason.REFERENCE_NOT_FOUND)  # a request to bind waits for no password
    return get_account(tx, request.account_id)


def _answer(tx: Tx, request: BindingRequest, state: RequestState) -> None:
    answered = tx.execute(
        "update binding_request set state = :state where id = :id and state = 'PENDING'",
        {"id": request.id, "state": state.value},
    )
    if answered != 1:
        raise Refused(Reason.LINK_OVER)


def _hash(code: str) -> bytes:
    # 122 random bits need no salt.
    return hashlib.sha256(code.strip().lower().encode("utf-8", "replace")).digest()


def _write(tx: Tx, request: BindingRequest) -> None:
    tx.execute(
        "insert into binding_request (id, kind, merchant_id, partner_reference, account_id, binding_id, redirect_url, state,"
        " created_at, expires_at) values (:id, :kind, :merchant, :partner_reference, :account, :binding, :redirect_url, :state,"
        " :created_at, :expires_at)",
        {
            "id": request.id,
            "kind": request.kind.value,
            "merchant": request.merchant_id,
            "partner_reference": request.partner_reference,
            "account": request.account_id,
            "binding": request.binding_id,
            "redirect_url": request.redirect_url,
            "state": request.state.value,
            "created_at": to_ms(request.created_at),
            "expires_at": to_ms(request.expires_at),
        },
    )


def _binding(row: Row) -> Binding:
    return Binding(
        id=row["id"],
        merchant_id=row["merchant_id"],
        account_id=row["account_id"],
        public_user_id=row["public_user_id"],
        state=BindingState(row["state"]),
        created_at=from_ms(row["created_at"]),
    )


def _request(row: Row) -> BindingRequest:
    return BindingRequest(
        id=row["id"],
        kind=RequestKind(row["kind"]),
        merchant_id=row["merchant_id"],
        partner_reference=row["partner_reference"],
        account_id=row["account_id"],
        binding_id=row["binding_id"],
        redirect_url=row["redirect_url"],
        state=RequestState(row["state"]),
        created_at=from_ms(row["created_at"]),
        expires_at=from_ms(row["expires_at"]),
    )
