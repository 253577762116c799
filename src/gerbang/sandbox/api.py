"""The control API: what CI scripts and test suites use to play everybody else. Absent in production.

Plain JSON over HTTP without signatures: the sandbox listens on loopback. Errors are `{"error": {"code", "message"}}`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gerbang.clock import iso_z
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.ledger import Transfer, account, balance_of, entries, post, verify
from gerbang.merchants import create, get
from gerbang.merchants.gateway_key import gateway_public_key
from gerbang.money import Rupiah
from gerbang.notifications.outbox import Attempt, Notification, attempts_of, get_notification, list_notifications, resend
from gerbang.payments import Order, Payment, events, find_order, payments_of, verify_payments
from gerbang.protocols.nonsnap.notification import notify
from gerbang.sandbox.seed import demo_pin_hash, seed, wipe
from gerbang.sandbox.time import move
from gerbang.storage import StorageBusy, Tx
from gerbang.wallet import Level, balance, create_account, get_account, top_up

if TYPE_CHECKING:
    from gerbang.app import Gateway

log = logging.getLogger(__name__)

_SETTLE_S = 10.0

Amount = Annotated[int, Meta(ge=1, le=9_999_999_999_999_999, description="Whole rupiah.")]


class NewMerchant(msgspec.Struct):
    """A merchant to register; present credentials may be imported."""

    name: str
    notification_url: str | None = None
    client_id: str | None = None
    secret_key: str | None = None
    snap_public_key: str | None = None


class MerchantKeys(msgspec.Struct):
    """What the merchant's application needs."""

    client_id: str
    secret_key: str
    gateway_public_key: str


class Outcome(msgspec.Struct):
    """How the pending payment of an order ends."""

    client_id: str
    invoice_number: str
    outcome: Literal["SUCCESS", "FAILED", "EXPIRED", "CANCELLED"]
    code: str | None = None


class ClockMove(msgspec.Struct):
    """One of the three."""

    advance_s: float | None = None
    set: datetime | None = None
    reset: bool = False


class ClockReading(msgspec.Struct):
    """Business time and how far it is ahead of the machine's, in seconds."""

    now: str
    offset_s: float


class NewAccount(msgspec.Struct):
    """A wallet account; a PIN of six digits, a balance to start with."""

    phone: str
    name: str
    email: str | None = None
    pin: str | None = None
    level: Literal["BASIC", "PREMIUM", "basic", "premium"] = "BASIC"
    balance: Annotated[int, Meta(ge=0)] = 0


class TopUp(msgspec.Struct):
    """Money to bring in."""

    amount: Amount


class BadRequest(Exception):
    """The request is not understood; the text says why."""


Handler = Callable[[Request], Awaitable[Any]]

_STATUS = {
    Reason.MERCHANT_NOT_FOUND: 404,
    Reason.ORDER_NOT_FOUND: 404,
    Reason.ACCOUNT_NOT_FOUND: 404,
    Reason.NOTIFICATION_NOT_FOUND: 404,
    Reason.MERCHANT_EXISTS: 409,
    Reason.ACCOUNT_EXISTS: 409,
    Reason.PAYMENT_MOVED_ON: 409,
}


def control_api(gateway: "Gateway") -> list[BaseRoute]:
    """The routes under /sandbox/v1."""
    api = _ControlApi(gateway)

    def route(method: str, path: str, handler: Handler) -> Route:
        async def answer(request: Request) -> Response:
            return await _answered(handler, request)

        return Route(f"/sandbox/v1{path}", answer, methods=[method])

    return [
        route("POST", "/merchants", api.create_merchant),
        route("POST", "/merchants/{client_id}/balance", api.fund_merchant),
        route("GET", "/payments", api.show_payments),
        route("POST", "/payments/outcome", api.play_outcome),
        route("GET", "/notifications", api.show_notifications),
        route("POST", "/notifications/{id}/resend", api.resend_notification),
        route("GET", "/clock", api.read_clock),
        route("POST", "/clock", api.move_clock),
        route("POST", "/accounts", api.create_wallet_account),
        route("GET", "/accounts/{account_id}", api.show_account),
        route("POST", "/accounts/{account_id}/topup", api.top_up_account),
        route("GET", "/verify", api.verify),
        route("POST", "/reset", api.reset),
    ]


async def _answered(handler: Handler, request: Request) -> Response:
    try:
        body, status = await handler(request), 200
    except Refused as refused:
        body, status = _error(refused.reason.name.lower(), str(refused)), _STATUS.get(refused.reason, 400)
    except BadRequest as bad:
        body, status = _error("bad_request", str(bad)), 400
    except StorageBusy as busy:
        body, status = _error("storage_busy", str(busy)), 503
    except Exception:
        request_id = new_id("req")
        log.exception("%s %s (%s)", request.method, request.url.path, request_id)
        body, status = _error("internal", f"a mistake on our side; the log has it under {request_id}"), 500
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


async def _body(request: Request, kind: type[Any]) -> Any:
    raw = await request.body()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind, strict=False)
    except msgspec.DecodeError as error:
        raise BadRequest(str(error)) from None


def _query(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if not value:
        raise BadRequest(f"the query parameter {name} is missing")
    return value


class _ControlApi:
    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._database = gateway.database
        self._clock = gateway.clock

    # -- merchants

    async def create_merchant(self, request: Request) -> MerchantKeys:
        new: NewMerchant = await _body(request, NewMerchant)
        public_key = await gateway_public_key(self._database)
        merchant = await self._database.transact(
            lambda tx: create(
                tx,
                name=new.name,
                client_id=new.client_id,
                secret_key=new.secret_key,
                notification_url=new.notification_url,
                snap_public_key=new.snap_public_key,
                now=self._clock.now(),
            )
        )
        return MerchantKeys(merchant.client_id, merchant.secret_key, public_key)

    async def fund_merchant(self, request: Request) -> dict[str, Any]:
        funds: TopUp = await _body(request, TopUp)
        client_id = request.path_params["client_id"]

        def fund(tx: Tx) -> Rupiah:
            get(tx, client_id)
            name = account("merchant", client_id, "corporate")
            movement = Transfer(debit=account("cash", "sandbox"), credit=name, amount=Rupiah(funds.amount), entry="topup")
            post(tx, [movement], cause=new_id("top"), now=self._clock.now())
            return balance_of(tx, name)

        return {"client_id": client_id, "balance": await self._database.transact(fund)}

    # -- payments

    async def play_outcome(self, request: Request) -> dict[str, Any]:
        wanted: Outcome = await _body(request, Outcome)
        gateway = self._gateway

        def play(tx: Tx) -> dict[str, Any]:
            merchant = get(tx, wanted.client_id)
            order = find_order(tx, merchant.client_id, wanted.invoice_number)
            if order is None:
                raise Refused(Reason.ORDER_NOT_FOUND, invoice_number=wanted.invoice_number)
            payment = payments_of(tx, order.id)[-1]
            channel = gateway.channels[payment.channel]
            now = self._clock.now()
            ended = channel.play(tx, merchant, order, payment, wanted.outcome, wanted.code, now)
            own = merchant.options.strict_override_path
            strict = gateway.settings.strict_override_path if own is None else own
            notify(tx, channel, merchant, order, ended, strict_override=strict, now=now)
            return order_json(tx, order)

        return await self._database.transact(play)

    async def show_payments(self, request: Request) -> dict[str, Any]:
        client_id, invoice = _query(request, "client_id"), _query(request, "invoice_number")

        def show(tx: Tx) -> dict[str, Any]:
            order = find_order(tx, client_id, invoice)
            if order is None:
                raise Refused(Reason.ORDER_NOT_FOUND, invoice_number=invoice)
            return order_json(tx, order)

        return await self._database.read(show)

    # -- notifications

    async def show_notifications(self, request: Request) -> dict[str, Any]:
        client_id, invoice = _query(request, "client_id"), request.query_params.get("invoice_number")

        def show(tx: Tx) -> dict[str, Any]:
            order_id = None
            if invoice:
                order = find_order(tx, client_id, invoice)
                if order is None:
                    raise Refused(Reason.ORDER_NOT_FOUND, invoice_number=invoice)
                order_id = order.id
            found = list_notifications(tx, merchant_id=client_id, order_id=order_id, limit=200)
            return {"notifications": [notification_json(tx, one) for one in found]}

        return await self._database.read(show)

    async def resend_notification(self, request: Request) -> dict[str, Any]:
        notification_id = request.path_params["id"]
        await self._database.transact(lambda tx: resend(tx, notification_id, now=self._clock.now()))
        await self._gateway.deliverer.settle(_SETTLE_S)
        return await self._database.read(lambda tx: notification_json(tx, get_notification(tx, notification_id)))

    # -- time

    async def read_clock(self, _request: Request) -> ClockReading:
        return self._reading()

    async def move_clock(self, request: Request) -> ClockReading:
        wanted: ClockMove = await _body(request, ClockMove)
        given = [wanted.advance_s is not None, wanted.set is not None, wanted.reset]
        if sum(given) != 1:
            raise BadRequest("give exactly one of advance_s, set, reset")
        if wanted.set is not None and wanted.set.tzinfo is None:
            raise BadRequest("set needs a zone, e.g. 2026-12-01T09:00:00+07:00")
        self._clock.offset = await self._database.transact(
            lambda tx: move(tx, self._clock, advance_s=wanted.advance_s, set_to=wanted.set)
        )
        # Whoever moved the clock wants to see what it brought: expiries, retries, and the retries after those.
        await self._gateway.worker.settle(_SETTLE_S)
        return self._reading()

    def _reading(self) -> ClockReading:
        return ClockReading(iso_z(self._clock.now()), self._clock.offset.total_seconds())

    # -- wallet

    async def create_wallet_account(self, request: Request) -> dict[str, Any]:
        new: NewAccount = await _body(request, NewAccount)
        pin_hash = None
        if new.pin is not None:
            pin_hash = await asyncio.to_thread(self._gateway.pin_hasher.hash, new.pin)

        def make(tx: Tx) -> dict[str, Any]:
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
            return account_json(tx, customer.id)

        return await self._database.transact(make)

    async def show_account(self, request: Request) -> dict[str, Any]:
        account_id = request.path_params["account_id"]
        return await self._database.read(lambda tx: account_json(tx, account_id))

    async def top_up_account(self, request: Request) -> dict[str, Any]:
        amount = Rupiah((await _body(request, TopUp)).amount)
        account_id = request.path_params["account_id"]

        def bring_in(tx: Tx) -> dict[str, Any]:
            customer = get_account(tx, account_id)
            top_up(tx, customer, amount, limits=self._gateway.limits, now=self._clock.now())
            return account_json(tx, account_id)

        return await self._database.transact(bring_in)

    # -- the whole

    async def verify(self, _request: Request) -> dict[str, Any]:
        problems = await self._database.read(lambda tx: verify(tx) + verify_payments(tx))
        return {"ok": not problems, "problems": [msgspec.to_builtins(problem) for problem in problems]}

    async def reset(self, _request: Request) -> dict[str, Any]:
        gateway = self._gateway
        pin_hash = await asyncio.to_thread(demo_pin_hash, gateway.pin_hasher)

        def start_over(tx: Tx) -> None:
            wipe(tx)
            self._clock.offset *= 0
            seed(tx, pin_hash=pin_hash, notification_url=gateway.demo_notification_url, now=self._clock.now())

        await self._database.transact(start_over)
        gateway.directory.forget()
        return {"ok": True}


def order_json(tx: Tx, order: Order) -> dict[str, Any]:
    """An order with everything that happened to it."""
    return {
        "client_id": order.merchant_id,
        "invoice_number": order.invoice_number,
        "amount": order.amount,
        "state": order.state,
        "request_id": order.request_id,
        "details": order.details,
        "warnings": order.details.get("warnings", []),
        "created_at": iso_z(order.created_at),
        "payments": [payment_json(tx, payment) for payment in payments_of(tx, order.id)],
        "notifications": [notification_json(tx, one) for one in list_notifications(tx, order_id=order.id)],
    }


def payment_json(tx: Tx, payment: Payment) -> dict[str, Any]:
    """A payment with its events and its transfers."""
    return {
        "id": payment.id,
        "channel": payment.channel,
        "amount": payment.amount,
        "state": payment.state,
        "payer": payment.payer,
        "approval_code": payment.approval_code,
        "failure": payment.failure,
        "created_at": iso_z(payment.created_at),
        "expires_at": iso_z(payment.expires_at),
        "finished_at": iso_z(payment.finished_at) if payment.finished_at else None,
        "events": [
            {"event": event.event, "state": event.state, "at": iso_z(event.at), "facts": event.facts}
            for event in events(tx, payment.id)
        ],
        "transfers": [
            {"id": line.id, "debit": line.debit, "credit": line.credit, "amount": line.amount, "entry": line.entry, "at": iso_z(line.at)}
            for line in entries(tx, cause=payment.id)
        ],
    }


def notification_json(tx: Tx, notification: Notification) -> dict[str, Any]:
    """A notification with every attempt."""
    return {
        "id": notification.id,
        "payment_id": notification.payment_id,
        "url": notification.url,
        "request_id": notification.request_id,
        "body": notification.body.decode(),
        "state": notification.state,
        "created_at": iso_z(notification.created_at),
        "next_attempt_at": iso_z(notification.due_at) if notification.due_at else None,
        "attempts": [attempt_json(attempt) for attempt in attempts_of(tx, notification.id)],
    }


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    """One attempt: what was sent, what was signed, what came back."""
    return {
        "number": attempt.number,
        "at": iso_z(attempt.at),
        "duration_ms": attempt.duration_ms,
        "request_headers": attempt.request_headers,
        "string_to_sign": attempt.string_to_sign,
        "status": attempt.status,
        "answer_headers": attempt.answer_headers,
        "answer_body": attempt.answer_body,
        "error": attempt.error,
    }


def account_json(tx: Tx, account_id: str) -> dict[str, Any]:
    """A wallet account with its balance; never its PIN."""
    customer = get_account(tx, account_id)
    return {
        "account_id": customer.id,
        "phone": customer.phone,
        "name": customer.name,
        "email": customer.email,
        "level": customer.level,
        "status": customer.status,
        "balance": balance(tx, customer.id),
    }
