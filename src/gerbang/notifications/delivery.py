"""Delivering: claims due rows, has them signed for the URL actually called, posts, and records every attempt."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

from gerbang.clock import Clock, real_now
from gerbang.merchants import Merchant
from gerbang.notifications.outbox import TOPIC, Attempt, Notification, Prepare, Prepared
from gerbang.notifications.queue import LEASE_S, any_due, claim, record, release, renew
from gerbang.settings import Settings
from gerbang.storage import Database, StorageBusy

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

_MAX_IN_FLIGHT = 256
_MAX_PER_ENDPOINT = 16
_KEPT_ANSWER = 4_096  # characters of a merchant's answer worth keeping


class Deliverer:
    """The delivery loop of one process. Endpoints have separate lanes, so a slow one holds back nobody else."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, prepare: Prepare) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._prepare = prepare
        self._wake = asyncio.Event()
        self._in_flight: dict[str, str] = {}  # notification id → endpoint
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def run(self) -> None:
        """Deliver until cancelled, then give back what was not started."""
        loop = asyncio.get_running_loop()
        self._database.listen(TOPIC, lambda: _wake_from_thread(loop, self._wake))
        renewing = asyncio.create_task(self._renew_leases())
        try:
            while True:
                try:
                    await self.start_due()
                except StorageBusy as error:
                    log.warning("notifications: %s", error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._settings.poll_interval_s)
                self._wake.clear()
        finally:
            renewing.cancel()
            await self._stop()

    async def start_due(self) -> int:
        """Start everything that is due now and has a free lane; how many were started."""
        started = 0
        while True:
            free = _MAX_IN_FLIGHT - len(self._in_flight)
            if free <= 0:
                return started
            per_endpoint = Counter(self._in_flight.values())
            saturated = [endpoint for endpoint, count in per_endpoint.items() if count >= _MAX_PER_ENDPOINT]
            now, real = self._clock.now(), real_now()
            # Looking costs no fsync; claiming does. Most looks find nothing.
            if not await self._database.read(lambda tx, now=now: any_due(tx, now=now)):  # type: ignore[misc]
                return started
            limit = min(free, _MAX_PER_ENDPOINT)
            claimed = await self._database.transact(
                lambda tx, now=now, real=real, limit=limit, saturated=saturated: claim(  # type: ignore[misc]
                    tx, now=now, real=real, limit=limit, saturated=saturated
                )
            )
            if not claimed:
                return started
            for notification, merchant in claimed:
                self._in_flight[notification.id] = notification.endpoint
                task = asyncio.create_task(self._deliver(notification, merchant))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            started += len(claimed)

    async def settle(self, timeout_s: float) -> bool:
        """Deliver until nothing is due and nothing is under way; False when time ran out first."""
        deadline = time.monotonic() + timeout_s
        while True:
            await self.start_due()
            if not self._tasks:
                now = self._clock.now()
                if not await self._database.read(lambda tx, now=now: any_due(tx, now=now)):  # type: ignore[misc]
                    return True
                await asyncio.sleep(0.05)  # another process holds it
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)

    async def _deliver(self, notification: Notification, merchant: Merchant) -> None:
        try:
            attempt = await self._post(notification, merchant)
            delays = self._settings.notification_retry_delays_s
            state = await self._database.transact(lambda tx: record(tx, notification, attempt, retry_delays_s=delays))
            log.info(
                "notification %s to %s: %s after attempt %d",
                notification.id,
                notification.endpoint,
                state.value,
                notification.attempts + 1,
            )
        except Exception:
            # The lease ends by itself and the notification is tried again.
            log.exception("notification %s could not be recorded", notification.id)
        finally:
            self._in_flight.pop(notification.id, None)
            self._wake.set()

    async def _post(self, notification: Notification, merchant: Merchant) -> Attempt:
        import aiohttp
        from yarl import URL

        from gerbang.notifications.guard import check_literal

        real, at = real_now(), self._clock.now()
        began = time.perf_counter()
        prepared = Prepared({}, "")
        status: int | None = None
        answer_headers: dict[str, str] = {}
        answer, error = "", None
        try:
            # An ASCII URL is called exactly as the merchant wrote it; the path signed is the path called.
            url = URL(notification.url, encoded=notification.url.isascii())
            prepared = self._prepare(notification, merchant, url.raw_path_qs or "/", real)
            if not self._settings.is_sandbox:
                check_literal(url.host)
            session = await self._client()
            async with session.post(url, data=notification.body, headers=prepared.headers, allow_redirects=False) as response:
                status = response.status
                answer_headers = {name: value for name, value in response.headers.items()}
                answer = (await response.content.read(_KEPT_ANSWER)).decode("utf-8", "replace")
        except TimeoutError:
            error = f"no answer within {self._settings.notification_timeout_s:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        return Attempt(
            number=0,  # given when recorded
            at=at,
            started_real_at=real,
            duration_ms=round((time.perf_counter() - began) * 1000),
            url=notification.url,
            request_headers=prepared.headers,
            string_to_sign=prepared.string_to_sign,
            status=status,
            answer_headers=answer_headers,
            answer_body=answer.replace("\x00", "�"),
            error=error,
        )

    async def _client(self) -> "aiohttp.ClientSession":
        if self._session is None:
            import aiohttp

            from gerbang.notifications.guard import connector

            self._session = aiohttp.ClientSession(
                connector=connector(public_only=not self._settings.is_sandbox, limit=_MAX_IN_FLIGHT),
                timeout=aiohttp.ClientTimeout(
                    total=self._settings.notification_timeout_s,
                    connect=self._settings.notification_connect_timeout_s,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            held = list(self._in_flight)
            if held:
                with contextlib.suppress(StorageBusy):
                    await self._database.transact(lambda tx, held=held: renew(tx, held, real=real_now()))  # type: ignore[misc]

    async def _stop(self) -> None:
        # Deliveries that are nearly through may finish; the others are taken up by the next process.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        for task in list(self._tasks):
            task.cancel()
        left = list(self._in_flight)
        if left:
            with contextlib.suppress(StorageBusy):
                await self._database.transact(lambda tx: release(tx, left))
        if self._session is not None:
            await self._session.close()


def _wake_from_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is gone: somebody else will look
        loop.call_soon_threadsafe(event.set)
