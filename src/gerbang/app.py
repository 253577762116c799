"""The only place where parts are wired: settings and rooms in, one ASGI application and its background work out."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from gerbang.channel import Channel, Parts, all_channels, open_rooms
from gerbang.clock import Clock, real_now
from gerbang.merchants import MerchantDirectory, list_all
from gerbang.merchants.gateway_key import GatewayKey
from gerbang.notifications.delivery import Deliverer
from gerbang.protocols.nonsnap.service import NonSnap
from gerbang.protocols.nonsnap.status import check_status_endpoint
from gerbang.protocols.preparing import preparers
from gerbang.protocols.snap.guard import unknown_path
from gerbang.protocols.snap.notification import SnapNotifications
from gerbang.protocols.snap.paths import PREFIXES
from gerbang.protocols.snap.service import Snap
from gerbang.protocols.snap.token_service import TOKEN_ENDPOINTS, SnapTokens
from gerbang.sandbox.mischief import EarlyNotifications
from gerbang.sandbox.seed import demo_pin_hash, is_seeded, point_at_shop, seed, wipe
from gerbang.sandbox.time import read_offset
from gerbang.settings import SANDBOX_SECRET_KEY, BadSettings, Settings
from gerbang.storage import Database, StorageBusy, Tx, open_database
from gerbang.vault import Vault
from gerbang.wallet import PinHasher, WalletLimits
from gerbang.web.asgi import ApiTable, Edge, path_of
from gerbang.web.assets import Assets
from gerbang.web.broken import broken_page
from gerbang.web.info import info_pages
from gerbang.web.pages import Pages
from gerbang.web.wiring import Wiring
from gerbang.worker import Worker

log = logging.getLogger(__name__)


class Gateway:
    """One running gateway: everything made from one `Settings`, nothing global.

    asgi           the application to serve; its lifespan starts and stops the background work
    demo_base_url  when given, the demo shop is mounted at /demo and told its own address
    """

    def __init__(self, settings: Settings, *, demo_base_url: str | None = None, background: bool = True) -> None:
        if demo_base_url is not None and not settings.is_sandbox:
            raise BadSettings("the demo shop is for the sandbox")
        self.settings = settings
        self.clock = Clock()
        self.database: Database = open_database(
            settings.data, connections=settings.database_connections, patience_s=settings.database_timeout_s
        )
        self.channels: Mapping[str, Channel] = all_channels()
        self.pin_hasher = PinHasher(settings.key("pin"))
        self.limits = WalletLimits.of(settings)
        self.directory = MerchantDirectory(self.database)
        self.gateway_key = GatewayKey(self.database, settings)
        self._snap_notifications = SnapNotifications(self.gateway_key.private_key)
        self.deliverer = Deliverer(self.database, self.clock, settings, preparers(self._snap_notifications))
        # Without cards no vault key is needed.
        self.vault = Vault.of(settings) if settings.is_sandbox or settings.card_provider else None
        parts = Parts(self.database, self.clock, settings, self.vault)
        self.rooms: Mapping[str, Any] = open_rooms(self.channels, parts)
        self.worker = Worker(self.database, self.clock, settings, self.channels, self.deliverer, self.rooms)
        self._demo_base_url = demo_base_url
        self._background = background
        self._tasks: list[asyncio.Task[None]] = []
        try:
            self.prepare_data()
            self.api = self._api()
            self.asgi: ASGIApp = Edge(self.api, self._pages(), max_body_bytes=settings.max_body_bytes)
        except BaseException:
            self.database.close()
            raise

    def prepare_data(self) -> None:
        """Sandbox: take over the clock, and write the demo data once."""
        if self.vault is not None:
            self.database.transact_now(self.vault.make_ready)
        if not self.settings.is_sandbox:
            self.database.read_now(refuse_sandbox_data)
            return
        self.clock.offset = self.database.read_now(read_offset)
        if self.database.read_now(is_seeded):
            shop = self.demo_notification_url
            if shop is not None:
                # The shop of this run may listen on another port than the one that seeded the data.
                self.database.transact_now(lambda tx: point_at_shop(tx, shop))
        else:
            self._write_demo_data(self.clock.now())

    def _write_demo_data(self, now: datetime, *, first: Callable[[Tx], None] = lambda _tx: None) -> None:
        pin_hash, url = self._demo_pin_hash, self.demo_notification_url

        def write(tx: Tx) -> None:
            first(tx)
            seed(tx, pin_hash=pin_hash, notification_url=url, now=now)

        self.database.transact_now(write)

    @cached_property
    def _demo_pin_hash(self) -> str:
        """Takes tens of milliseconds, on purpose."""
        return demo_pin_hash(self.pin_hasher)

    def start_over(self) -> None:
        """Sandbox: back to the freshly started state. Never call it on an event loop."""
        assert self.settings.is_sandbox
        self._write_demo_data(real_now(), first=wipe)
        self.clock.offset = timedelta(0)
        self.directory.forget()
        self._snap_notifications.forget()

    @property
    def demo_notification_url(self) -> str | None:
        """Where the demo merchant is notified: at the demo shop when there is one."""
        return f"{self._demo_base_url}/demo/notifications" if self._demo_base_url else None

    def _api(self) -> ApiTable:
        early = EarlyNotifications(self) if self.settings.is_sandbox else None
        nonsnap = NonSnap(self.database, self.directory, self.clock, self.settings, early)
        snap = Snap(self.database, self.clock, self.settings)
        tokens = SnapTokens(self.database, self.clock, self.settings, self.gateway_key)
        table = ApiTable()
        for code, channel in self.channels.items():
            if channel.open is not None and code not in self.rooms:
                continue  # nobody outside to ask in this installation
            for endpoint in channel.endpoints:
                protocol = snap if endpoint.family == "snap" else nonsnap
                table.add(protocol, replace(endpoint, room=self.rooms.get(code)))
        table.add(nonsnap, check_status_endpoint(self.channels))
        for endpoint in TOKEN_ENDPOINTS:
            table.add(tokens, endpoint)
        for prefix in PREFIXES:
            table.answer_unknown(prefix, unknown_path)
        return table

    def _pages(self) -> ASGIApp:
        assets = Assets()
        wiring = Wiring(
            database=self.database,
            clock=self.clock,
            settings=self.settings,
            channels=self.channels,
            pin_hasher=self.pin_hasher,
            limits=self.limits,
            pages=Pages(assets, sandbox=self.settings.is_sandbox),
            rooms=self.rooms,
        )
        routes: list[BaseRoute] = [
            Route("/assets/{path:path}", assets.serve),
            Route("/healthz", self._alive),
            Route("/readyz", self._ready),
            Route("/favicon.ico", lambda _request: RedirectResponse(assets.url("favicon.svg"))),
            *info_pages(wiring),
        ]
        for channel in self.channels.values():
            if channel.pages is not None and (channel.open is None or channel.code in self.rooms):
                routes += channel.pages(wiring)
        if self.settings.is_sandbox:
            from gerbang.providers.simulator_pages import desk
            from gerbang.sandbox.api import control_api

            routes += [*control_api(self), *desk(wiring), Route("/openapi.json", self._describe), Route("/", self._front_door)]
        if self._demo_base_url is not None:
            from gerbang.demo import demo_shop
            from gerbang.sandbox.seed import DEMO_CLIENT_ID

            shop = demo_shop(
                gateway_url=self._demo_base_url,
                public_url=f"{self._demo_base_url}/demo",
                client_id=DEMO_CLIENT_ID,
                secret_key=SANDBOX_SECRET_KEY,
            )
            routes += [Route("/demo", lambda _request: RedirectResponse("/demo/")), Mount("/demo", app=shop)]
        broken = broken_page(wiring)
        handlers = {404: self._no_such_path, 405: _no_such_method, StorageBusy: broken, Exception: broken}
        # Pages shrink to a third. What they hold besides the buyer's own words is drawn anew for each answer (form keys), so that
        # its length tells nothing. Assets are compressed already and pass as they are.
        small = [Middleware(GZipMiddleware, minimum_size=1_024)]
        pages = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers=handlers, middleware=small)
        # It would answer a slash too many by sending the browser to whatever the Host header says.
        pages.router.redirect_slashes = False
        if self.settings.is_sandbox:
            from gerbang.sandbox.guard import Guard

            return Guard(pages, self.settings)
        return pages

    async def _alive(self, _request: Request) -> Response:
        """Whether this process is of use: it is not when its data has been taken away under it. Asks no database."""
        return _health(self.database.lost())

    async def _ready(self, _request: Request) -> Response:
        """Whether it can answer calls now: whether its database answers."""
        try:
            await self.database.read(lambda tx: tx.one("select 1 as one"))
        except StorageBusy as busy:
            return _health(" ".join(str(busy).split()))
        return _health(None)

    async def _front_door(self, _request: Request) -> Response:
        """Whoever opens the sandbox's bare address in a browser."""
        if self._demo_base_url is not None:
            return RedirectResponse("/demo/")
        return JSONResponse({"name": "Gerbang", "mode": "sandbox", "openapi": "/openapi.json", "control_api": "/sandbox/v1"})

    async def _no_such_path(self, request: Request, _missing: Exception) -> Response:
        # The start of the text was observed at DOKU. The path is told as it was sent: what is wrong with it may be in its spelling.
        sent = path_of(request.scope)
        message = f"No static resource {sent.removeprefix('/')}"
        meant = self.api.similar(sent)
        if meant is not None:
            message += f" (you called {sent}; the path is {meant})"
        return JSONResponse({"message": message}, status_code=404)

    async def _describe(self, _request: Request) -> Response:
        from gerbang.openapi import openapi_document
        from gerbang.sandbox.api import control_endpoints

        return JSONResponse(openapi_document(self.api.endpoints(), control_endpoints()))

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        if self._background:
            self.begin_work()
        try:
            yield
        finally:
            await self.end_work()
            self.close()

    def begin_work(self) -> None:
        """Begin the background work, on the running event loop."""
        self._tasks = [asyncio.create_task(self.worker.run()), asyncio.create_task(_warm_up())]

    async def end_work(self) -> None:
        """End it; it can be begun again."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


def refuse_sandbox_data(tx: Tx) -> None:
    """Production does not start beside keys that everyone knows, nor beside invented money. Raises BadSettings."""
    if is_seeded(tx):
        raise BadSettings("data is that of a sandbox, with demo accounts and money that nobody paid in; give production its own")
    for merchant in list_all(tx):
        if merchant.secret_key == SANDBOX_SECRET_KEY:
            raise BadSettings(f"merchant {merchant.client_id} has the sandbox's public secret key; give it one of its own first")


async def _warm_up() -> None:
    """Import what the first page and the first notification need, after the first answer could already be given."""
    await asyncio.sleep(0.5)
    for module in ("jinja2", "aiohttp", "python_multipart"):
        await asyncio.to_thread(__import__, module)


def _health(trouble: str | None) -> Response:
    if trouble is None:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "unavailable", "reason": trouble}, status_code=503)


async def _no_such_method(request: Request, _refused: Exception) -> Response:
    return JSONResponse({"message": f"Request method '{request.method}' is not supported"}, status_code=405)
