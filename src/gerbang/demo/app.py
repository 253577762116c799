"""Pasar Pagi: sells six things, sends the buyer to a payment page, and believes only signed notifications.

Read `receive_notification` first; the order page shows that function too. Everything the shop knows of payments comes
from `gerbang.client`, so this file is also the example of how a shop uses it.
"""

import asyncio
import inspect
import json
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from gerbang.client import (
    ClientError,
    DokuClient,
    DokuError,
    LineItem,
    Notification,
    NotificationUnreadable,
    OrderStatus,
    SignatureMismatch,
    verify_notification,
)
from gerbang.demo.goods import (
    MAX_QUANTITY,
    METHODS,
    PRODUCTS,
    SAMPLE_CART,
    Cart,
    Checkout,
    Method,
    method_of,
    read_cart,
    write_cart,
)
from gerbang.demo.orders import Order, OrderBook, State
from gerbang.demo.pages import CART_COOKIE, CUSTOMER_COOKIE, Pages, cart_of, customer_of, language_of
from gerbang.demo.words import LANGUAGES

_MAX_BODY_BYTES = 64 * 1024
_CALLS_AT_ONCE = 8
_GATEWAY_TIMEOUT_S = 15.0
_WATCH_FOR = timedelta(minutes=30)
_ENDINGS = {"FAILED": "cancelled", "EXPIRED": "expired"}

_T = TypeVar("_T")


@dataclass(frozen=True)
class Shop:
    """What the handlers share. `calls` keeps the shop from taking every worker thread.

    The gateway may be served by this very process and need a thread to answer us.
    """

    client: DokuClient
    client_id: str
    secret_key: str
    public_url: str
    pages: Pages
    # Read once: the file may be edited while the process still runs what it read.
    code: str = field(default_factory=lambda: inspect.getsource(receive_notification))
    orders: OrderBook = field(default_factory=OrderBook)
    calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_CALLS_AT_ONCE))

    async def ask(self, question: Callable[[], _T]) -> _T:
        """Run a call of the client, which blocks, beside the event loop."""
        async with self.calls:
            return await run_in_threadpool(question)


def demo_shop(*, gateway_url: str, public_url: str, client_id: str, secret_key: str) -> Starlette:
    """The shop as an application, to be served at the path of `public_url`.

    gateway_url  where the API lives; may be this same server
    public_url   where buyers and the gateway reach the shop, such as http://127.0.0.1:8080/demo
    """
    public_url = public_url.rstrip("/")
    shop = Shop(
        client=DokuClient(client_id, secret_key, gateway_url, timeout_s=_GATEWAY_TIMEOUT_S),
        client_id=client_id,
        secret_key=secret_key,
        public_url=public_url,
        pages=Pages(gateway_url=gateway_url, public_url=public_url),
    )
    app = Starlette(
        routes=[
            Route("/", partial(catalogue, shop)),
            Route("/cart", partial(change_cart, shop), methods=["POST"]),
            Route("/orders", partial(place_order, shop), methods=["POST"]),
            Route("/orders/{invoice_number}", partial(show_order, shop)),
            Route("/orders/{invoice_number}/again", partial(pay_again, shop), methods=["POST"]),
            Route("/orders/{invoice_number}/state", partial(order_state, shop)),
            Route("/notifications", partial(notifications, shop), methods=["POST"]),
            Route("/api/orders", partial(order_by_program, shop), methods=["POST"]),
            Route("/api/orders/{invoice_number}", partial(tell_order, shop)),
            Route("/source/app.py", source),
            Route("/assets/{name}", partial(asset, shop)),
        ],
        exception_handlers={404: partial(not_found, shop), 403: partial(refused, shop)},
    )
    app.router.redirect_slashes = False  # it would believe the Host header
    return app


# Notifications: the part that every shop must get right.


async def receive_notification(shop: Shop, request: Request, raw_body: bytes) -> Response:
    target = path_called(request)
    note = verify_notification(request.headers, raw_body, shop.secret_key, target=target)

    order = shop.orders.find(note.invoice_number) or order_from_terminal(shop, note)
    if order is None:
        return PlainTextResponse("unknown order", status_code=404)
    if note.amount != order.amount:
        order.record("wrong_amount", real_now(), said=note.amount, expected=order.amount)
        return PlainTextResponse("wrong amount", status_code=400)
    if not order.first_time(note.request_id):
        order.record("repeated", real_now())
        return Response(status_code=200)

    record_notification(order, note.status, note.date)
    # Answer now; look at the status through the API before believing that it is paid.
    return Response(status_code=200, background=BackgroundTask(check_status, shop, order))


async def notifications(shop: Shop, request: Request) -> Response:
    """Turn what the client raises into answers. Anything but 2xx makes the gateway try again later."""
    raw_body = await whole_body(request)
    try:
        return await receive_notification(shop, request, raw_body)
    except SignatureMismatch as problem:
        # The body is a stranger's word: good enough to show that somebody knocked, for nothing else.
        order = shop.orders.find(invoice_in(raw_body))
        if order is not None:
            order.record("bad_signature", real_now())
        return PlainTextResponse(str(problem), status_code=401)
    except NotificationUnreadable as problem:
        return PlainTextResponse(str(problem), status_code=400)


def order_from_terminal(shop: Shop, note: Notification) -> Order | None:
    """An order that was made with the shop's keys, but not here: the request that `gerbang demo` prints makes one.

    Known by its number; the shop's own look different.
    """
    if not note.invoice_number.startswith("INV-"):
        return None
    order = shop.orders.take_in(note.invoice_number, note.amount, METHODS[0], language=LANGUAGES[0], now=real_now())
    order.record("elsewhere", order.made_at)
    return order


def record_notification(order: Order, status: str, paid_at: datetime | None) -> None:
    now = real_now()
    order.notified_at = now
    facts: dict[str, str | int] = {"status": status}
    if status == "SUCCESS" and paid_at is not None:
        facts["delay_ms"] = (now - paid_at) // timedelta(milliseconds=1)
    order.record("notified", now, **facts)


async def check_status(shop: Shop, order: Order) -> None:
    """Ask the gateway what became of an order, and believe that. A failure is shown; the next look tries again."""
    order.checked_at = real_now()
    try:
        status = await shop.ask(partial(shop.client.status, order.invoice_number))
    except ClientError as problem:
        # 404 is the ordinary answer while no payment was begun.
        known = isinstance(problem, DokuError) and problem.http_status == 404
        if not known and (not order.events or order.events[-1].kind != "unchecked"):
            order.record("unchecked", real_now(), reason=reason(problem))
        return
    settle(order, status)


def settle(order: Order, status: OrderStatus) -> None:
    """Move the order to where the gateway says it is. Success for another amount is not success."""
    order.last_status = status.status or None
    order.card = status.card or order.card
    if status.status == "SUCCESS" and status.amount not in (None, order.amount):
        order.record("wrong_amount", real_now(), said=status.amount or 0, expected=order.amount)
    elif status.status == "SUCCESS":
        order.move("paid", real_now(), status=status.status)
    elif status.status == "FAILED" and status.card is not None:
        # One card was declined. The payment page stays open, and the buyer may be trying another one right now.
        if order.declined_on != status.date:
            order.declined_on = status.date
            order.record("declined", real_now(), card=status.card.masked or "", reason=status.card.response_message or "")
    elif status.status in _ENDINGS:
        order.move(_ENDINGS[status.status], real_now(), status=status.status)


def path_called(request: Request) -> str:
    """Path and query as they came over the wire: that is what the gateway signed."""
    path = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    query = request.scope["query_string"]
    return str((path + b"?" + query if query else path).decode("latin-1"))


def invoice_in(raw_body: bytes) -> str:
    """The invoice number in a body that nobody vouches for, or "" when it is not there."""
    try:
        said = json.loads(raw_body)["order"]["invoice_number"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return said if isinstance(said, str) else ""


# Buying.


async def catalogue(shop: Shop, request: Request) -> Response:
    return shop.pages.catalogue(request, form_key=secrets.token_urlsafe(12))


async def change_cart(shop: Shop, request: Request) -> Response:
    form = await form_of(request)
    cart = cart_of(request)
    if form.get("fill"):
        cart = read_cart(SAMPLE_CART)
        place = ""
    else:
        product = next((product for product in PRODUCTS if product.code == form.get("product")), None)
        if product is None:
            raise HTTPException(404)
        count = cart.get(product, 0) + (-1 if form.get("move") == "less" else 1)
        cart = {known: cart.get(known, 0) for known in PRODUCTS} | {product: max(0, min(count, MAX_QUANTITY))}
        cart = {known: count for known, count in cart.items() if count}
        # Without JavaScript the page starts again at the product that was pressed.
        place = f"#{product.code}"
    response = RedirectResponse(f"{shop.pages.base}/{place}", status_code=303)
    shop.pages.keep(response, CART_COOKIE, write_cart(cart))
    return response


async def place_order(shop: Shop, request: Request) -> Response:
    """Buy what the form shows, which may be older than the cookie when the shop is open in two tabs."""
    form = await form_of(request)
    form_key = form.get("key", "")
    pressed_before = shop.orders.of_form(form_key) if form_key else None
    if pressed_before is not None:
        return see(shop, pressed_before)
    cart = read_cart(form.get("cart", ""))
    if not cart:
        return RedirectResponse(f"{shop.pages.base}/", status_code=303)
    customer = customer_of(request)
    response = await open_payment(shop, request, cart, method_of(form.get("method", "")), form_key, customer)
    shop.pages.keep(response, CART_COOKIE, "")
    shop.pages.keep(response, CUSTOMER_COOKIE, customer)
    return response


async def pay_again(shop: Shop, request: Request) -> Response:
    """A new order for the same things: an invoice number is good for one payment only."""
    form = await form_of(request)
    order = known_order(shop, request)
    form_key = form.get("key", "")
    pressed_before = shop.orders.of_form(form_key) if form_key else None
    if pressed_before is not None:
        return see(shop, pressed_before)
    if order.state == State.PAID or not order.cart:
        return see(shop, order)
    return await open_payment(shop, request, order.cart, order.method, form_key, customer_of(request))


async def open_payment(shop: Shop, request: Request, cart: Cart, method: Method, form_key: str, customer: str) -> Response:
    """Make the order, ask the gateway for a payment page, send the buyer there."""
    order = shop.orders.make(cart, method, language=language_of(request), form_key=form_key, now=real_now())
    order.record("made", order.made_at)
    checkout = Checkout(
        invoice_number=order.invoice_number,
        amount=order.amount,
        line_items=tuple(LineItem(product.name[order.language], product.price, count) for product, count in cart.items()),
        return_url=f"{shop.public_url}/orders/{order.invoice_number}?from=gateway",
        notify_url=f"{shop.public_url}/notifications",
        customer_id=customer,
    )
    try:
        url = await shop.ask(partial(method.open_payment, shop.client, checkout))
    except ClientError as problem:
        order.move("not_sent", real_now(), reason=reason(problem))
        return see(shop, order)
    if urlsplit(url).scheme not in ("http", "https"):
        order.move("not_sent", real_now(), reason=f"{url[:60]!r}")
        return see(shop, order)
    order.payment_url = url
    order.move("sent", real_now())
    return RedirectResponse(url, status_code=303)


def reason(problem: ClientError) -> str:
    """What went wrong, short enough for one line of the timeline."""
    said = f"{type(problem).__name__}: {problem}"
    return said if len(said) <= 200 else said[:199] + "…"


# Looking at an order.


async def show_order(shop: Shop, request: Request) -> Response:
    order = known_order(shop, request)
    if request.query_params.get("from") == "gateway":
        # Coming back proves nothing: anybody can open this address. It is only a moment worth writing down.
        if order.returned_at is None:
            order.returned_at = real_now()
            open_still = order.state in (State.MADE, State.WAITING)
            order.record("returned" if open_still else "returned_after", order.returned_at)
        return see(shop, order)
    return shop.pages.order(
        request,
        order,
        watch=is_watched(order),
        notify_path=urlsplit(shop.public_url).path + "/notifications",
        code=shop.code,
        background=check_if_due(shop, order),
    )


async def order_state(shop: Shop, request: Request) -> Response:
    """What the page's script asks for every second or two: whether there is anything new to show."""
    order = known_order(shop, request)
    return JSONResponse(
        {"version": order.version, "watch": is_watched(order)},
        headers={"Cache-Control": "no-store"},
        background=check_if_due(shop, order),
    )


def is_watched(order: Order) -> bool:
    return order.state in (State.MADE, State.WAITING) and real_now() - order.made_at < _WATCH_FOR


def check_if_due(shop: Shop, order: Order) -> BackgroundTask | None:
    """Somebody is looking at an open order: ask for its status now and then, should the notification not come.

    A shop on a developer's machine cannot be reached by DOKU itself, and a status check after a notification can fail.
    """
    if order.state != State.WAITING or not is_watched(order):
        return None
    known = [moment for moment in (order.returned_at, order.notified_at) if moment is not None]
    pause = timedelta(seconds=3) if known else timedelta(seconds=15)
    last = max([order.made_at, *known, *([order.checked_at] if order.checked_at else [])])
    if real_now() - last < pause:
        return None
    order.checked_at = real_now()
    return BackgroundTask(check_status, shop, order)


def known_order(shop: Shop, request: Request) -> Order:
    order = shop.orders.find(request.path_params["invoice_number"])
    if order is None:
        raise HTTPException(404, "unknown")
    return order


def see(shop: Shop, order: Order) -> Response:
    return RedirectResponse(f"{shop.pages.base}/orders/{order.invoice_number}", status_code=303)


# For programs, such as `gerbang score`.


async def order_by_program(shop: Shop, request: Request) -> Response:
    """Order the sample cart, as a buyer would."""
    refuse_other_sites(request)
    form_key = secrets.token_urlsafe(12)
    await open_payment(shop, request, read_cart(SAMPLE_CART), METHODS[0], form_key, customer_of(request))
    order = shop.orders.of_form(form_key)
    assert order is not None, form_key
    return JSONResponse({"invoice_number": order.invoice_number}, status_code=502 if order.state == State.UNSENT else 201)


async def tell_order(shop: Shop, request: Request) -> Response:
    """What the shop believes of an order, and how often it was bought. Who asks about an open one has the gateway asked."""
    order = shop.orders.find(request.path_params["invoice_number"])
    if order is None:
        return JSONResponse({"state": "unknown"}, status_code=404)
    if order.state in (State.MADE, State.WAITING):
        await check_status(shop, order)
    bought = sum(event.kind == "paid" for event in order.events)
    return JSONResponse({"state": order.state, "fulfilled": bought}, headers={"Cache-Control": "no-store"})


# The rest.


async def source(request: Request) -> Response:
    """This file, so that the code on the order page can be read in its place."""
    return PlainTextResponse(inspect.getsource(sys.modules[__name__]))


async def asset(shop: Shop, request: Request) -> Response:
    found = shop.pages.assets.get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(found.content, media_type=found.media_type, headers=headers)


async def not_found(shop: Shop, request: Request, problem: Exception) -> Response:
    unknown_order = isinstance(problem, HTTPException) and problem.detail == "unknown"
    return shop.pages.message(request, 404, "unknown" if unknown_order else "missing")


async def refused(shop: Shop, request: Request, problem: Exception) -> Response:
    return shop.pages.message(request, 403, "refused")


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a posted form, the last of each name. Forms of other sites are turned away."""
    refuse_other_sites(request)
    body = await whole_body(request)
    return {name: values[-1] for name, values in parse_qs(body.decode("latin-1"), max_num_fields=20).items()}


def refuse_other_sites(request: Request) -> None:
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise HTTPException(403)


async def whole_body(request: Request) -> bytes:
    """The bytes received, as long as they are not unreasonably many."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise HTTPException(413)
    return bytes(body)


def real_now() -> datetime:
    return datetime.now(UTC)
