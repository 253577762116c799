"""The control API: what CI scripts and test suites use to play everybody else. Absent in production.

Plain JSON over HTTP without signatures: the sandbox listens on loopback. Errors are `{"error": {"code", "message"}}`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gerbang import audit
from gerbang.channel import Channel, choose_options, effective_options
from gerbang.clock import Clock, iso_z
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.ledger import Problem, Transfer, account, balance_of, post
from gerbang.merchants import Merchant, MerchantDirectory, MerchantOptions, create, get, update
from gerbang.merchants.gateway_key import gateway_public_key
from gerbang.money import Rupiah
from gerbang.notifications.delivery import Deliverer
from gerbang.notifications.mischief import Kind, Plan, plan_of
from gerbang.notifications.outbox import get_notification, list_notifications, resend
from gerbang.payments import Order, Payment, find_order, get_refund, open_refunds, order_by_id, payments_of
from gerbang.payments.unexpected import list_unexpected
from gerbang.phones import normalise_phone
from gerbang.protocols.decoding import NotAnObject, read_object
from gerbang.protocols.nonsnap.manual_refunds import complete_manual_refund, fail_manual_refund, open_manual_refund
from gerbang.providers.reports import returned_by_hand
from gerbang.records import (
    AccountRecord,
    NotificationRecord,
    OrderRecord,
    RefundRecord,
    UnexpectedRecord,
    account_record,
    notification_record,
    order_record,
    refund_record,
    unexpected_record,
)
from gerbang.sandbox.mischief import plan_merchant, plan_order
from gerbang.sandbox.playing import CHOICES, NotChosen, choose, play
from gerbang.sandbox.score import ScoreReport, Shop, Unplayable, run_score
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.sandbox.time import MOST_S, move
from gerbang.settings import Settings
from gerbang.storage import Database, StorageBusy, Tx
from gerbang.wallet import Level, PinHasher, WalletLimits, create_account, get_account, top_up
from gerbang.wallet.kyc import upgrade
from gerbang.wallet.messages import inbox

log = logging.getLogger(__name__)

_SETTLE_S = 10.0
_PATIENCE_S = 1.0  # how long a call here waits for endpoints that do not answer

Amount = Annotated[int, Meta(ge=1, le=9_999_999_999_999_999, description="Whole rupiah.")]


class NewMerchant(msgspec.Struct, forbid_unknown_fields=True):
    """A merchant to register; present credentials may be imported."""

    name: str
    notification_url: str | None = None
    client_id: str | None = None
    secret_key: str | None = None
    snap_public_key: str | None = None
    snap_token_url: str | None = None


class MerchantKeys(msgspec.Struct):
    """What the merchant's application needs."""

    client_id: str
    secret_key: str
    gateway_public_key: str


class Outcome(msgspec.Struct, forbid_unknown_fields=True):
    """How the pending payment of an order ends.

    code  why it FAILED: of a card the acquirer's answer, e.g. 51; elsewhere the provider's word
    """

    client_id: str
    invoice_number: str
    outcome: Literal["SUCCESS", "FAILED", "EXPIRED", "CANCELLED", "NOT_ENOUGH", "NO_ANSWER", "SLOW", "PAID_TWICE", "PAID_LATE"]
    code: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class NextOutcome(msgspec.Struct, forbid_unknown_fields=True):
    """What the simulators shall say about an order, whatever card its buyer takes. What is left away they decide by the card;
    each call replaces what an earlier one chose.

    three_ds        frictionless, challenge, challenge_failed, attempted, not_authenticated, unavailable, rejected or none
    response_code   what the acquirer answers when asked for the money, e.g. 51; TO: it stays silent
    follow_up_code  what it answers to capture, void and refund
    outcome         of a channel whose buyer pays elsewhere: what happens there when the buyer presses Pay, e.g. SLOW
    """

    client_id: str
    invoice_number: str
    outcome: str | None = None
    three_ds: str | None = None
    response_code: str | None = None
    follow_up_code: str | None = None


class ChannelOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What a merchant has otherwise on a channel. The rest has its defaults. What GET answers may be sent back as it is."""

    options: dict[str, Any]
    client_id: str | None = None
    channel: str | None = None
    effective: dict[str, Any] | None = None


class MerchantChannel(msgspec.Struct):
    """A merchant's options on a channel: its own, and what holds with the defaults."""

    client_id: str
    channel: str
    options: dict[str, Any]
    effective: dict[str, Any]


class Refunds(msgspec.Struct):
    """Refunds that nobody has ended yet, oldest first."""

    refunds: list[RefundRecord]


class NewRefund(msgspec.Struct, forbid_unknown_fields=True):
    """Money of a paid payment that a person gives back.

    amount      all that is left, when it is not named
    payment_id  which of the order's payments, where it has several; else the newest that was paid
    """

    client_id: str
    invoice_number: str
    amount: Amount | None = None
    payment_id: str | None = None


class UnexpectedList(msgspec.Struct):
    """Money that no payment waited for, oldest first."""

    unexpected: list[UnexpectedRecord]


class Completion(msgspec.Struct, forbid_unknown_fields=True):
    """A refund was carried out by hand."""

    approval_code: Annotated[str, Meta(min_length=1, max_length=20)] | None = None


class Failure(msgspec.Struct, forbid_unknown_fields=True):
    """A refund cannot be carried out, and why."""

    message: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class Mischief(msgspec.Struct, forbid_unknown_fields=True):
    """One of the kinds for each of a merchant's orders that is hit, of those made from now on.

    seed  decides, with the order, which kind hits it: the same seed and the same orders, the same mischief
    rate  how many of a hundred orders are hit
    by    what tells the orders apart: "count", the how-many-th since this call, or "invoice", the invoice number
    """

    kinds: list[Kind]
    seed: int = 0
    rate: Annotated[int, Meta(ge=1, le=100)] = 100
    by: Literal["count", "invoice"] = "count"


class MerchantMischief(msgspec.Struct):
    """A merchant's plan; without kinds there is none."""

    client_id: str
    kinds: list[Kind]
    seed: int = 0
    rate: int = 100
    by: Literal["count", "invoice"] = "count"


class OrderMischief(msgspec.Struct, forbid_unknown_fields=True):
    """All of the kinds for one order, which need not exist yet; without kinds the plan ends. It goes before the merchant's."""

    client_id: str
    invoice_number: str
    kinds: list[Kind]
    seed: int = 0


class Score(msgspec.Struct, forbid_unknown_fields=True):
    """A shop to play twelve situations against (docs/guides/shop-score.md); the demo merchant's when no client id is given.

    secret_key    need not be given: the merchant is one of this gateway
    checkout_url  POST makes the shop open an order here and answer its invoice number
    state_url     with {invoice} in it; GET answers what the shop believes of an order
    wait_s        how long the shop may take until it believes that an order is paid
    """

    url: str
    client_id: str = DEMO_CLIENT_ID
    secret_key: str | None = None
    checkout_url: str | None = None
    state_url: str | None = None
    wait_s: Annotated[float, Meta(ge=0, le=3600)] = 15.0


class ClockMove(msgspec.Struct, forbid_unknown_fields=True):
    """One of the three."""

    advance_s: Annotated[float, Meta(ge=-MOST_S, le=MOST_S, description="Seconds; back when negative.")] | None = None
    set: Annotated[datetime, Meta(tz=True, description="ISO 8601 with a zone, e.g. 2026-12-01T09:00:00+07:00.")] | None = None
    reset: bool = False


class ClockReading(msgspec.Struct):
    """Business time and how far it is ahead of the machine's, in seconds."""

    now: str
    offset_s: float


class NewAccount(msgspec.Struct, forbid_unknown_fields=True):
    """A wallet account; a PIN of six digits, a balance to start with."""

    phone: str
    name: str
    email: str | None = None
    pin: str | None = None
    level: Literal["BASIC", "PREMIUM", "basic", "premium"] = "BASIC"
    balance: Annotated[int, Meta(ge=0)] = 0


class TopUp(msgspec.Struct, forbid_unknown_fields=True):
    """Money to bring in."""

    amount: Amount


class MerchantBalance(msgspec.Struct):
    """What a merchant's own (corporate) account holds."""

    client_id: str
    balance: int


class Notifications(msgspec.Struct):
    """Notifications of an order as made, or of a merchant, newest first."""

    notifications: list[NotificationRecord]


class SentMessage(msgspec.Struct):
    """A text message as its receiver reads it. `code` is the one-time password in it; `used` and `over` what became of that."""

    id: str
    phone: str
    text: str
    code: str
    state: str
    used: bool
    over: bool
    at: str


class SentMessages(msgspec.Struct):
    """Newest first."""

    messages: list[SentMessage]


class Verified(msgspec.Struct):
    """Whether every invariant holds, and what does not."""

    ok: bool
    problems: list[Problem]


class Done(msgspec.Struct):
    """It is done."""

    ok: bool = True


class ControlErrorDetail(msgspec.Struct):
    """A word for programs, a sentence for people."""

    code: str
    message: str


class ControlError(msgspec.Struct):
    """What a call here answers when it is refused: 400, 403, 404 or 409."""

    error: ControlErrorDetail


class Background(Protocol):
    """The background work, as far as a call here waits for it."""

    async def settle(self, timeout_s: float, *, patience_s: float) -> bool: ...


class Controlled(Protocol):
    """What of a running gateway the control API moves."""

    settings: Settings
    clock: Clock
    database: Database
    channels: Mapping[str, Channel]
    rooms: Mapping[str, Any]
    pin_hasher: PinHasher
    limits: WalletLimits
    directory: MerchantDirectory
    deliverer: Deliverer

    @property
    def worker(self) -> Background: ...
    def start_over(self) -> None: ...


class BadRequest(Exception):
    """The request is not understood; the text says why."""


_STATUS = {
    Reason.MERCHANT_NOT_FOUND: 404,
    Reason.ORDER_NOT_FOUND: 404,
    Reason.ACCOUNT_NOT_FOUND: 404,
    Reason.NOTIFICATION_NOT_FOUND: 404,
    Reason.REFUND_NOT_FOUND: 404,
    Reason.UNEXPECTED_NOT_FOUND: 404,
    Reason.MERCHANT_EXISTS: 409,
    Reason.ACCOUNT_EXISTS: 409,
    Reason.PAYMENT_MOVED_ON: 409,
    Reason.PROVIDER_SILENT: 409,
    Reason.PAYMENT_BUSY: 409,
}


@dataclass(frozen=True, slots=True)
class ControlEndpoint:
    """One line of the control API's table of contents. `query` names the parameters; those ending in `?` are optional."""

    method: str
    path: str
    summary: str
    handler: Callable[["_ControlApi", Request], Awaitable[Any]]
    response: type[msgspec.Struct]
    request: type[msgspec.Struct] | None = None
    query: tuple[str, ...] = ()


def control_api(gateway: Controlled) -> list[BaseRoute]:
    """The routes under /sandbox/v1."""
    api = _ControlApi(gateway)

    def route(endpoint: ControlEndpoint) -> Route:
        async def handle(request: Request) -> Any:
            await _check_request(endpoint, request)
            return await endpoint.handler(api, request)

        async def answer(request: Request) -> Response:
            return await _answered(lambda: handle(request), request)

        return Route(endpoint.path, answer, methods=[endpoint.method])

    return [route(endpoint) for endpoint in control_endpoints()]


async def _answered(handler: Callable[[], Awaitable[Any]], request: Request) -> Response:
    status = 200
    try:
        body = await handler()
    except Refused as refused:
        body, status = _error(refused.reason.name.lower(), str(refused)), _STATUS.get(refused.reason, 400)
    except BadRequest as bad:
        body, status = _error("bad_request", str(bad)), 400
    except HTTPException:
        raise
    except StorageBusy as busy:
        body, status = _error("storage_busy", str(busy)), 503
    except Exception:
        request_id = new_id("req")
        log.exception("%s %s (%s)", request.method, request.url.path, request_id)
        body, status = _error("internal", f"a mistake on our side; the log has it under {request_id}"), 500
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def _error(code: str, message: str) -> ControlError:
    return ControlError(ControlErrorDetail(code, message))


async def _check_request(endpoint: ControlEndpoint, request: Request) -> None:
    """What is misspelt, or has no meaning here, must not look as if it were done."""
    named = [name.rstrip("?") for name in endpoint.query]
    strange = [name for name in request.query_params if name not in named]
    if strange:
        raise BadRequest(f"there is no query parameter {strange[0]} here; {_listed(named)}")
    raw = await request.body()
    if endpoint.request is None and raw.strip() not in (b"", b"{}"):
        raise BadRequest("this call takes no body")
    if any("\x00" in str(text) for text in (*request.query_params.values(), *request.path_params.values())):
        raise BadRequest("a text may hold no NUL")
    try:
        read_object(raw or b"{}")
    except NotAnObject:
        raise BadRequest(f"the body is no JSON object; {_taken(endpoint)}") from None
    except Refused as refused:
        raise BadRequest(f"{refused.facts['field'] or 'a name'} holds a NUL or half a surrogate pair") from None


async def _body(request: Request, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise BadRequest(f"{error}; {_fields_of(kind)}") from None


def _taken(endpoint: ControlEndpoint) -> str:
    return "it takes none" if endpoint.request is None else _fields_of(endpoint.request)


def _fields_of(kind: type[msgspec.Struct]) -> str:
    return _listed([_field(field) for field in msgspec.structs.fields(kind)])


def _listed(names: list[str]) -> str:
    return f"it takes {', '.join(names)}" if names else "it takes none"


def _field(field: msgspec.structs.FieldInfo) -> str:
    """Its name, and its words where it takes only some."""
    words = _words_of(msgspec.inspect.type_info(field.type))
    return f"{field.encode_name} ({' | '.join(words)})" if words else field.encode_name


def _words_of(kind: Any) -> list[str]:
    match kind:
        case msgspec.inspect.LiteralType():
            return [str(value) for value in kind.values]
        case msgspec.inspect.EnumType():
            return [str(one.value) for one in kind.cls]
        case msgspec.inspect.UnionType():
            return [word for one in kind.types for word in _words_of(one)]
        case msgspec.inspect.ListType():
            return _words_of(kind.item_type)
        case msgspec.inspect.Metadata():
            return _words_of(kind.type)
    return []


def _query(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if not value:
        raise BadRequest(f"the query parameter {name} is missing")
    return value


class _ControlApi:
    def __init__(self, gateway: Controlled) -> None:
        self._gateway = gateway
        self._database = gateway.database
        self._clock = gateway.clock

    # -- merchants

    async def create_merchant(self, request: Request) -> MerchantKeys:
        new: NewMerchant = await _body(request, NewMerchant)
        public_key = await gateway_public_key(self._database, self._gateway.settings)

        def register(tx: Tx) -> Merchant:
            made = create(
                tx,
                name=new.name,
                client_id=new.client_id,
                secret_key=new.secret_key,
                notification_url=new.notification_url,
                snap_public_key=new.snap_public_key,
                now=self._clock.now(),
            )
            if new.snap_token_url is None:
                return made
            return update(tx, made.client_id, options=MerchantOptions(snap_token_url=new.snap_token_url))

        merchant = await self._database.transact(register)
        return MerchantKeys(merchant.client_id, merchant.secret_key, public_key)

    async def fund_merchant(self, request: Request) -> MerchantBalance:
        funds: TopUp = await _body(request, TopUp)
        client_id = request.path_params["client_id"]

        def fund(tx: Tx) -> Rupiah:
            get(tx, client_id)
            name = account("merchant", client_id, "corporate")
            movement = Transfer(debit=account("cash", "sandbox"), credit=name, amount=Rupiah(funds.amount), entry="topup")
            post(tx, [movement], cause=new_id("top"), now=self._clock.now())
            return balance_of(tx, name)

        return MerchantBalance(client_id, await self._database.transact(fund))

    async def show_channel(self, request: Request) -> MerchantChannel:
        channel, client_id = self._channel(request), request.path_params["client_id"]
        return await self._database.read(lambda tx: _merchant_channel(channel, get(tx, client_id)))

    async def set_channel(self, request: Request) -> MerchantChannel:
        wanted: ChannelOptions = await _body(request, ChannelOptions)
        channel, client_id = self._channel(request), request.path_params["client_id"]
        if wanted.client_id not in (None, client_id) or wanted.channel not in (None, channel.code):
            raise BadRequest(f"these are options of {wanted.client_id} on {wanted.channel}, not of {client_id} on {channel.code}")
        merchant = await self._database.transact(lambda tx: choose_options(tx, channel, client_id, wanted.options))
        self._gateway.directory.forget()
        return _merchant_channel(channel, merchant)

    def _channel(self, request: Request) -> Channel:
        code = request.path_params["code"]
        channel = self._gateway.channels.get(code)
        if channel is None or channel.read_options is None:
            configurable = [one.code for one in self._gateway.channels.values() if one.read_options is not None]
            raise BadRequest(f"channel {code} has no options; {', '.join(configurable)} has")
        return channel

    # -- mischief

    async def show_mischief(self, request: Request) -> MerchantMischief:
        client_id = request.path_params["client_id"]
        return await self._database.read(lambda tx: _merchant_mischief(get(tx, client_id).client_id, plan_of(tx, client_id)))

    async def set_mischief(self, request: Request) -> MerchantMischief:
        wanted: Mischief = await _body(request, Mischief)
        client_id = request.path_params["client_id"]

        def keep(tx: Tx) -> Plan | None:
            by_invoice = wanted.by == "invoice"
            return plan_merchant(tx, client_id, wanted.kinds, seed=wanted.seed, rate=wanted.rate, by_invoice=by_invoice)

        return _merchant_mischief(client_id, await self._database.transact(keep))

    async def end_mischief(self, request: Request) -> MerchantMischief:
        client_id = request.path_params["client_id"]
        return _merchant_mischief(client_id, await self._database.transact(lambda tx: plan_merchant(tx, client_id, ())))

    async def set_order_mischief(self, request: Request) -> OrderMischief:
        wanted: OrderMischief = await _body(request, OrderMischief)
        await self._database.transact(
            lambda tx: plan_order(tx, wanted.client_id, wanted.invoice_number, wanted.kinds, seed=wanted.seed)
        )
        return wanted

    async def score(self, request: Request) -> ScoreReport:
        wanted: Score = await _body(request, Score)
        secret_key = wanted.secret_key
        if secret_key is None:
            merchant = await self._database.read(lambda tx: get(tx, wanted.client_id))
            secret_key = merchant.secret_key
        gateway = str(request.base_url)
        try:
            shop = Shop(
                wanted.url, gateway, wanted.client_id, secret_key, wanted.checkout_url, wanted.state_url, wait_s=wanted.wait_s
            )
            # It blocks and calls this very gateway.
            return await asyncio.to_thread(run_score, shop)
        except Unplayable as problem:
            raise BadRequest(str(problem)) from None

    # -- payments

    async def play_outcome(self, request: Request) -> OrderRecord:
        wanted: Outcome = await _body(request, Outcome)
        gateway = self._gateway

        def look(tx: Tx) -> tuple[Order, Payment]:
            order = find_order(tx, get(tx, wanted.client_id).client_id, wanted.invoice_number)
            if order is None:
                raise Refused(Reason.ORDER_NOT_FOUND, invoice_number=wanted.invoice_number)
            return order, payments_of(tx, order.id)[-1]

        order, payment = await self._database.read(look)
        channel = gateway.channels[payment.channel]
        if wanted.outcome not in channel.outcomes:
            raise BadRequest(
                f"outcome {wanted.outcome} does not exist on channel {channel.code}; {', '.join(channel.outcomes)} do"
            )
        if wanted.code is not None and wanted.outcome != "FAILED":
            raise BadRequest(f"code means nothing with outcome {wanted.outcome}; it says why one FAILED")
        await play(gateway, payment, wanted.outcome, wanted.code)
        return await self._database.read(lambda tx: order_record(tx, order_by_id(tx, order.id), gateway.channels))

    async def choose_next(self, request: Request) -> Done:
        wanted: NextOutcome = await _body(request, NextOutcome)

        def decide(tx: Tx) -> None:
            order = find_order(tx, get(tx, wanted.client_id).client_id, wanted.invoice_number)
            if order is None:
                raise Refused(Reason.ORDER_NOT_FOUND, invoice_number=wanted.invoice_number)
            payment = payments_of(tx, order.id)[-1]
            named = {name: getattr(wanted, name) for name in CHOICES}
            try:
                choose(tx, self._gateway.channels[payment.channel], payment, named)
            except NotChosen as not_chosen:
                raise BadRequest(str(not_chosen)) from None

        await self._database.transact(decide)
        return Done()

    async def show_payments(self, request: Request) -> OrderRecord:
        client_id, invoice = _query(request, "client_id"), _query(request, "invoice_number")

        def show(tx: Tx) -> OrderRecord:
            order = find_order(tx, client_id, invoice)
            if order is None:
                raise Refused(Reason.ORDER_NOT_FOUND, invoice_number=invoice)
            return order_record(tx, order, self._gateway.channels)

        return await self._database.read(show)

    # -- refunds

    async def show_refunds(self, _request: Request) -> Refunds:
        return await self._database.read(lambda tx: Refunds([refund_record(tx, one) for one in open_refunds(tx)]))

    async def show_refund(self, request: Request) -> RefundRecord:
        refund_id = request.path_params["id"]
        return await self._database.read(lambda tx: refund_record(tx, get_refund(tx, refund_id)))

    async def open_refund(self, request: Request) -> RefundRecord:
        wanted: NewRefund = await _body(request, NewRefund)

        def begin(tx: Tx) -> RefundRecord:
            order = find_order(tx, wanted.client_id, wanted.invoice_number)
            if order is None:
                raise Refused(Reason.ORDER_NOT_FOUND, invoice_number=wanted.invoice_number)
            now = self._clock.now()
            return refund_record(tx, open_manual_refund(tx, order, amount=wanted.amount, payment_id=wanted.payment_id, now=now))

        return await self._database.transact(begin)

    async def complete_refund(self, request: Request) -> RefundRecord:
        given: Completion = await _body(request, Completion)
        gateway, refund_id = self._gateway, request.path_params["id"]

        def complete(tx: Tx) -> RefundRecord:
            done = complete_manual_refund(
                tx,
                gateway.channels,
                refund_id,
                approval_code=given.approval_code,
                settings=gateway.settings,
                now=self._clock.now(),
            )
            return refund_record(tx, done)

        return await self._database.transact(complete)

    async def fail_refund(self, request: Request) -> RefundRecord:
        given: Failure = await _body(request, Failure)
        refund_id = request.path_params["id"]

        def fail(tx: Tx) -> RefundRecord:
            return refund_record(tx, fail_manual_refund(tx, refund_id, message=given.message, now=self._clock.now()))

        return await self._database.transact(fail)

    # -- money nobody waited for

    async def show_unexpected(self, _request: Request) -> UnexpectedList:
        return await self._database.read(
            lambda tx: UnexpectedList([unexpected_record(one) for one in list_unexpected(tx, all_of_it=True)])
        )

    async def return_unexpected(self, request: Request) -> UnexpectedRecord:
        unexpected_id = request.path_params["id"]
        now = self._clock.now()
        return await self._database.transact(lambda tx: unexpected_record(returned_by_hand(tx, unexpected_id, now=now)))

    # -- notifications

    async def show_notifications(self, request: Request) -> Notifications:
        client_id, invoice = _query(request, "client_id"), request.query_params.get("invoice_number")

        def show(tx: Tx) -> Notifications:
            get(tx, client_id)  # a typing mistake must not look like "nothing was sent"
            order_id = None
            if invoice:
                order = find_order(tx, client_id, invoice)
                if order is None:
                    raise Refused(Reason.ORDER_NOT_FOUND, invoice_number=invoice)
                order_id = order.id
            found = list_notifications(tx, merchant_id=client_id, order_id=order_id, limit=200)
            return Notifications([notification_record(tx, one) for one in found])

        return await self._database.read(show)

    async def resend_notification(self, request: Request) -> NotificationRecord:
        notification_id = request.path_params["id"]
        await self._database.transact(lambda tx: resend(tx, notification_id, now=self._clock.now()))
        await self._gateway.deliverer.settle_resend(notification_id, _SETTLE_S)
        return await self._database.read(lambda tx: notification_record(tx, get_notification(tx, notification_id)))

    # -- time

    async def read_clock(self, _request: Request) -> ClockReading:
        return self._reading()

    async def move_clock(self, request: Request) -> ClockReading:
        wanted: ClockMove = await _body(request, ClockMove)
        given = [wanted.advance_s is not None, wanted.set is not None, wanted.reset]
        if sum(given) != 1:
            raise BadRequest("give exactly one of advance_s, set, reset")
        self._clock.offset = await self._database.transact(
            lambda tx: move(tx, self._gateway.settings, advance_s=wanted.advance_s, set_to=wanted.set)
        )
        # Whoever moved the clock wants to see what it brought: expiries, retries, and the retries after those. An endpoint that
        # hangs is not waited for: its delivery has been started.
        await self._gateway.worker.settle(_SETTLE_S, patience_s=_PATIENCE_S)
        return self._reading()

    def _reading(self) -> ClockReading:
        return ClockReading(iso_z(self._clock.now()), self._clock.offset.total_seconds())

    # -- wallet

    async def create_wallet_account(self, request: Request) -> AccountRecord:
        new: NewAccount = await _body(request, NewAccount)
        pin_hash = None
        if new.pin is not None:
            pin_hash = await asyncio.to_thread(self._gateway.pin_hasher.hash, new.pin)

        def make(tx: Tx) -> AccountRecord:
            now = self._clock.now()
            customer = create_account(
                tx,
                phone=new.phone,
                name=new.name,
                email=new.email,
                level=Level(new.level.upper()),
                pin_hash=pin_hash,
                now=now,
            )
            if new.balance:
                top_up(tx, customer, Rupiah(new.balance), limits=self._gateway.limits, now=now)
            return account_record(tx, customer.id)

        return await self._database.transact(make)

    async def show_account(self, request: Request) -> AccountRecord:
        account_id = request.path_params["account_id"]
        return await self._database.read(lambda tx: account_record(tx, account_id))

    async def top_up_account(self, request: Request) -> AccountRecord:
        amount = Rupiah((await _body(request, TopUp)).amount)
        account_id = request.path_params["account_id"]

        def bring_in(tx: Tx) -> AccountRecord:
            customer = get_account(tx, account_id)
            top_up(tx, customer, amount, limits=self._gateway.limits, now=self._clock.now())
            return account_record(tx, account_id)

        return await self._database.transact(bring_in)

    # -- the whole

    async def upgrade_account(self, request: Request) -> AccountRecord:
        account_id = request.path_params["account_id"]

        def lift(tx: Tx) -> AccountRecord:
            upgrade(tx, account_id)
            return account_record(tx, account_id)

        return await self._database.transact(lift)

    async def show_messages(self, request: Request) -> SentMessages:
        sent = request.query_params.get("phone")
        phone = normalise_phone(sent) if sent else None

        def show(tx: Tx) -> SentMessages:
            found = inbox(tx, settings=self._gateway.settings, now=self._clock.now(), phone=phone, limit=200)
            return SentMessages(
                [
                    SentMessage(
                        one.id, one.phone, one.text, one.code, one.state.value, one.code_used, one.code_over, iso_z(one.at)
                    )
                    for one in found
                ]
            )

        return await self._database.read(show)

    async def verify(self, _request: Request) -> Verified:
        problems = await self._database.read(audit.problems)
        return Verified(not problems, problems)

    async def reset(self, _request: Request) -> Done:
        # Emptying a sandbox that has grown takes seconds: on a thread, so that the loop goes on (decision 0006).
        await asyncio.to_thread(self._gateway.start_over)
        return Done()


def _merchant_channel(channel: Channel, merchant: Merchant) -> MerchantChannel:
    return MerchantChannel(
        client_id=merchant.client_id,
        channel=channel.code,
        options=merchant.options.channels.get(channel.code, {}),
        effective=effective_options(channel, merchant),
    )


def _merchant_mischief(client_id: str, plan: Plan | None) -> MerchantMischief:
    if plan is None:
        return MerchantMischief(client_id, [])
    return MerchantMischief(client_id, list(plan.kinds), plan.seed, plan.rate, plan.by)


def control_endpoints() -> list[ControlEndpoint]:
    """The table of contents."""
    root, api = "/sandbox/v1", _ControlApi
    order = ("client_id", "invoice_number")
    return [
        ControlEndpoint("POST", f"{root}/merchants", "Register a merchant", api.create_merchant, MerchantKeys, NewMerchant),
        ControlEndpoint(
            "POST", f"{root}/merchants/{{client_id}}/balance", "Fund a merchant", api.fund_merchant, MerchantBalance, TopUp
        ),
        ControlEndpoint(
            "GET", f"{root}/merchants/{{client_id}}/channels/{{code}}", "A merchant's channel", api.show_channel, MerchantChannel
        ),
        ControlEndpoint(
            "PUT",
            f"{root}/merchants/{{client_id}}/channels/{{code}}",
            "Set a merchant's own options on a channel; what is not named has its default",
            api.set_channel,
            MerchantChannel,
            ChannelOptions,
        ),
        ControlEndpoint(
            "GET", f"{root}/merchants/{{client_id}}/mischief", "A merchant's mischief", api.show_mischief, MerchantMischief
        ),
        ControlEndpoint(
            "PUT",
            f"{root}/merchants/{{client_id}}/mischief",
            "Deliver a merchant's notifications early, late, twice, out of order, or not at all",
            api.set_mischief,
            MerchantMischief,
            Mischief,
        ),
        ControlEndpoint("DELETE", f"{root}/merchants/{{client_id}}/mischief", "End it", api.end_mischief, MerchantMischief),
        ControlEndpoint(
            "POST",
            f"{root}/payments/mischief",
            "The same for one order, which need not exist yet",
            api.set_order_mischief,
            OrderMischief,
            OrderMischief,
        ),
        ControlEndpoint(
            "GET", f"{root}/payments", "An order with everything about it", api.show_payments, OrderRecord, None, order
        ),
        ControlEndpoint(
            "POST",
            f"{root}/payments/outcome",
            "Play buyer and provider without a browser",
            api.play_outcome,
            OrderRecord,
            Outcome,
        ),
        ControlEndpoint(
            "POST",
            f"{root}/payments/next",
            "Decide beforehand what bank and acquirer will say about an order",
            api.choose_next,
            Done,
            NextOutcome,
        ),
        ControlEndpoint("GET", f"{root}/refunds", "Refunds that wait for an end", api.show_refunds, Refunds),
        ControlEndpoint(
            "POST",
            f"{root}/refunds",
            "The operator means to give a paid payment's money back by hand",
            api.open_refund,
            RefundRecord,
            NewRefund,
        ),
        ControlEndpoint("GET", f"{root}/refunds/{{id}}", "A refund", api.show_refund, RefundRecord),
        ControlEndpoint(
            "POST",
            f"{root}/refunds/{{id}}/complete",
            "A manual refund was carried out",
            api.complete_refund,
            RefundRecord,
            Completion,
        ),
        ControlEndpoint(
            "POST", f"{root}/refunds/{{id}}/fail", "A manual refund cannot be carried out", api.fail_refund, RefundRecord, Failure
        ),
        ControlEndpoint(
            "GET", f"{root}/unexpected", "Money that came in and no payment waited for", api.show_unexpected, UnexpectedList
        ),
        ControlEndpoint(
            "POST",
            f"{root}/unexpected/{{id}}/returned",
            "A person sent it back to who paid it",
            api.return_unexpected,
            UnexpectedRecord,
        ),
        ControlEndpoint(
            "GET",
            f"{root}/notifications",
            "Notifications with every attempt",
            api.show_notifications,
            Notifications,
            None,
            ("client_id", "invoice_number?"),
        ),
        ControlEndpoint(
            "POST", f"{root}/notifications/{{id}}/resend", "Deliver once more, now", api.resend_notification, NotificationRecord
        ),
        ControlEndpoint("GET", f"{root}/clock", "Read the clock", api.read_clock, ClockReading),
        ControlEndpoint(
            "POST",
            f"{root}/clock",
            "Move the clock; answers when all that became due has been started",
            api.move_clock,
            ClockReading,
            ClockMove,
        ),
        ControlEndpoint(
            "POST", f"{root}/accounts", "Open a wallet account", api.create_wallet_account, AccountRecord, NewAccount
        ),
        ControlEndpoint("GET", f"{root}/accounts/{{account_id}}", "A wallet account", api.show_account, AccountRecord),
        ControlEndpoint(
            "POST", f"{root}/accounts/{{account_id}}/topup", "Top a wallet account up", api.top_up_account, AccountRecord, TopUp
        ),
        ControlEndpoint(
            "POST", f"{root}/accounts/{{account_id}}/upgrade", "Make a wallet account PREMIUM", api.upgrade_account, AccountRecord
        ),
        ControlEndpoint(
            "GET", f"{root}/messages", "Text messages to customers", api.show_messages, SentMessages, None, ("phone?",)
        ),
        ControlEndpoint(
            "POST", f"{root}/score", "Play twelve situations against a shop's receiver", api.score, ScoreReport, Score
        ),
        ControlEndpoint("GET", f"{root}/verify", "Check every invariant", api.verify, Verified),
        ControlEndpoint("POST", f"{root}/reset", "Back to the freshly started state", api.reset, Done),
    ]
