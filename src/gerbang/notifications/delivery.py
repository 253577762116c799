"""Delivering: claims due rows, has them signed for the URL actually called, posts, and records every attempt."""

import asyncio
import contextlib
import inspect
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gerbang.clock import Clock, real_now, to_ms
from gerbang.merchants import Merchant
from gerbang.notifications import mischief
from gerbang.notifications.guard import looking_for
from gerbang.notifications.outbox import (
    TOPIC,
    Attempt,
    Exchange,
    Notification,
    NotPrepared,
    Prepare,
    Prepared,
    get_notification,
    masked,
)
from gerbang.notifications.queue import LEASE_S, any_due, claim, has_untried, record, release, renew, waiting
from gerbang.settings import Settings
from gerbang.storage import Database, Row, StorageBusy

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

log = logging.getLogger(__name__)

# A delivery takes one of few slots for its first moment only; who has not answered by then waits in a wide room, where a hanging
# endpoint costs a connection and holds up nobody.
_SLOTS = 128
_SLOT_S = 0.25
_SHORT_SLOT_S = 0.06  # … of a merchant many of whose endpoints hang, so that the one that answers comes sooner
_MERCHANT_SLOTS = 96  # most of one merchant …
_RESERVED_SLOTS = 32  # … and what is left for merchants who have none
_MAX_IN_FLIGHT = 1_024  # in all; half of the descriptors at most
_LEAST_PATIENCE_S = 1.0  # when the room is full, whoever waits longer than this makes place: of the merchant with most of them
_LANES = 16  # deliveries at a time to one endpoint …
_NARROW_LANES = 2  # … and to one that did not answer last time, so that many of them cannot fill all there is
_MAX_SILENT = 10_000  # how many endpoints that did not answer are remembered
_LOOK_AHEAD = 64
_KEPT_ANSWER = 4_096  # bytes of a merchant's answer worth keeping …
_READ_ANSWER = 65_536  # … and of one that has to be understood
_ANSWER_WAIT_S = 2.0  # … and how long they may take once the status is there
_KEPT_HEADERS, _KEPT_HEADER = 64, 1_024
# In production, so that a gateway that was down for half a day does not spend all attempts within a second.
_LEAST_GAP_S = 300
_AFTER_TROUBLE_S = 1.0
_ECHO_EVERY_S = 0.25


class Deliverer:
    """The delivery loop of one process. Endpoints have separate lanes, so a slow one holds back nobody else.

    prepare  by a notification's kind, who makes it ready to post
    """

    def __init__(self, database: Database, clock: Clock, settings: Settings, prepare: Mapping[str, Prepare]) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._prepare = prepare
        self._wake = asyncio.Event()
        self._starting = asyncio.Lock()
        self._renewing = asyncio.Lock()
        self._leases: dict[str, int] = {}  # notification id → when our lease on it ends
        self._claiming: dict[str, int] = {}  # leases being written: left over when we are stopped in this very moment
        self._under_way: Counter[str] = Counter()  # endpoint → deliveries
        self._silent: set[str] = set()  # endpoints that gave no answer last time
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_slots: Counter[str] = Counter()  # merchant → deliveries in their first moment
        self._of_merchant: Counter[str] = Counter()  # merchant → deliveries
        self._hanging: dict[asyncio.Task[None], tuple[str, float]] = {}  # the others: whose, and since when by time.monotonic()
        self._patience: dict[asyncio.Task[None], asyncio.Timeout] = {}  # of calls under way
        self._room = min(_MAX_IN_FLIGHT, _descriptors() // 2)
        self._merchant_room = self._room * _MERCHANT_SLOTS // _SLOTS
        self._ended = 0  # deliveries so far, whatever came of them
        self._echoed = 0.0  # when payments given back were last looked for, by time.monotonic()
        self._session: aiohttp.ClientSession | None = None

    async def run(self) -> None:
        """Deliver until cancelled, then give back what was not delivered. Nothing that goes wrong ends it."""
        loop = asyncio.get_running_loop()
        self._database.listen(TOPIC, lambda: _wake_from_thread(loop, self._wake))
        renewing = asyncio.create_task(self._renew_leases())
        try:
            while True:
                try:
                    await self.start_due()
                except StorageBusy as busy:
                    log.warning("notifications cannot be read: %s", busy)
                    await asyncio.sleep(_AFTER_TROUBLE_S)
                except Exception:
                    log.exception("notifications cannot be read; trying again")
                    await asyncio.sleep(_AFTER_TROUBLE_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.poll_interval_s):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            renewing.cancel()
            await self._stop()

    async def start_due(self) -> int:
        """Start everything that is due now and has a free lane; how many were started."""
        async with self._starting:
            if self._settings.is_sandbox:
                await self._echo_refunded()
            started = 0
            saturated = {endpoint for endpoint in self._under_way if self._lanes_left(endpoint) <= 0}
            crowded: set[str] = set()
            while (left := _SLOTS - self._in_slots.total()) > 0:
                # Looking costs no fsync and no writer; claiming does. Most looks find nothing.
                found = await self._look(saturated, crowded)
                room = self._room - len(self._tasks)
                chosen = self._choose(found, min(left, room), left, saturated, crowded)
                if len(chosen) < len(found):
                    self._make_room(len(found) - len(chosen), is_full=room <= len(found))
                if room <= 0:
                    break
                if chosen:
                    started += await self._claim(chosen)
                if len(found) < _LOOK_AHEAD:
                    break
            return started

    async def _echo_refunded(self) -> None:
        """Sandbox: put back into the outbox what is told once more after a refund."""
        if time.monotonic() - self._echoed < _ECHO_EVERY_S:
            return
        self._echoed = time.monotonic()
        for payment_id in await self._database.read(mischief.echoes_due):
            now = self._clock.now()
            await self._database.transact(lambda tx, one=payment_id, now=now: mischief.echo(tx, one, now=now))  # type: ignore[misc]

    async def _look(self, saturated: set[str], crowded: set[str]) -> list[Row]:
        now, real = self._clock.now(), real_now()
        return await self._database.read(
            lambda tx: waiting(tx, now=now, real=real, limit=_LOOK_AHEAD, saturated=saturated, crowded=crowded)
        )

    def _choose(self, found: Sequence[Row], most: int, slots: int, saturated: set[str], crowded: set[str]) -> list[str]:
        """The ids that have a free lane and a slot. Adds endpoints and merchants that have none left to `saturated`, `crowded`.

        most   of them, and `slots` how many slots are free: the last ones are for merchants who have none
        """
        chosen: list[str] = []
        lanes: Counter[str] = Counter()
        merchants: Counter[str] = Counter()
        for row in found:
            endpoint, merchant = row["endpoint"], row["merchant_id"]
            if len(chosen) >= most:
                break
            held, last_ones = self._in_slots[merchant] + merchants[merchant], slots - len(chosen) <= _RESERVED_SLOTS
            if self._is_crowded(merchant, merchants[merchant]) or (held and last_ones):
                crowded.add(merchant)
            elif self._lanes_left(endpoint) - lanes[endpoint] <= 0:
                saturated.add(endpoint)
            elif row["id"] not in self._leases:  # our own lease can run out while this process was suspended
                chosen.append(row["id"])
                lanes[endpoint] += 1
                merchants[merchant] += 1
        return chosen

    def _is_crowded(self, merchant: str, more: int = 0) -> bool:
        """Whether a merchant has as many deliveries under way as one may: in slots, and of the whole room."""
        return self._in_slots[merchant] + more >= _MERCHANT_SLOTS or self._of_merchant[merchant] + more >= self._merchant_room

    def _make_room(self, wanted: int, *, is_full: bool) -> None:
        """Let go of what hangs longest, so that nobody waits for its time-out.

        is_full  of every merchant who has more than an equal part of the room, one more counted who is to come; otherwise of those
                 who fill their own part of it
        """
        loop, since = asyncio.get_running_loop(), time.monotonic() - _LEAST_PATIENCE_S
        most = self._room // (len(self._of_merchant) + 1) if is_full else self._merchant_room * 3 // 4
        waits = [(began, task) for task, (merchant, began) in self._hanging.items() if self._of_merchant[merchant] >= most]
        waits = [(began, task) for began, task in waits if began <= since]
        for _, task in sorted(waits, key=lambda one: one[0])[:wanted]:
            patience = self._patience.get(task)
            if patience is not None and not patience.expired():
                patience.reschedule(loop.time())

    def _lanes_left(self, endpoint: str) -> int:
        return (_NARROW_LANES if endpoint in self._silent else _LANES) - self._under_way[endpoint]

    async def _claim(self, chosen: Sequence[str]) -> int:
        now, real = self._clock.now(), real_now()
        until = to_ms(real + timedelta(seconds=LEASE_S))
        sandbox = self._settings.is_sandbox
        self._claiming = dict.fromkeys(chosen, until)
        claimed = await self._database.transact(lambda tx: claim(tx, chosen, now=now, real=real, until=until, sandbox=sandbox))
        self._claiming = {}
        for notification, merchant in claimed:
            self._leases[notification.id] = until
            self._under_way[notification.endpoint] += 1
            self._in_slots[merchant.client_id] += 1
            self._of_merchant[merchant.client_id] += 1
            task = asyncio.create_task(self._deliver(notification, merchant))
            self._tasks.add(task)
        return len(claimed)

    async def settle(self, timeout_s: float, *, patience_s: float | None = None) -> bool:
        """Deliver until nothing is due and nothing is under way; False when time ran out first.

        patience_s  give up sooner, when nothing has ended for so long: what is left waits for endpoints that do not answer
        """
        deadline = time.monotonic() + timeout_s
        ended, moved = self._ended, time.monotonic()
        while True:
            self._echoed = 0.0
            await self.start_due()
            if self._ended != ended:
                ended, moved = self._ended, time.monotonic()
            if not self._tasks:
                now = self._clock.now()
                if not await self._database.read(lambda tx, now=now: any_due(tx, now=now)):  # type: ignore[misc]
                    return True
                await asyncio.sleep(0.05)  # another process holds it
            left = (deadline if patience_s is None else min(deadline, moved + patience_s)) - time.monotonic()
            if left <= 0:
                return False
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)

    async def settle_resend(self, notification_id: str, timeout_s: float) -> bool:
        """Deliver a notification that a person asked for, whatever else is under way; False when time ran out first.

        Raises Refused(NOTIFICATION_NOT_FOUND).
        """
        deadline = time.monotonic() + timeout_s
        while True:
            await self.start_due()
            if not (await self._database.read(lambda tx: get_notification(tx, notification_id))).resend:
                return True
            if time.monotonic() >= deadline:
                return False
            # Looked at again and again, because another process may be the one that delivers it.
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.sleep(0.05)

    async def settle_first(self, payment_id: str, timeout_s: float) -> bool:
        """Wait until everything due of a payment has been tried once, whoever does it; False when time ran out first."""
        deadline = time.monotonic() + timeout_s
        while True:
            await self.start_due()
            now = self._clock.now()
            if not await self._database.read(lambda tx, now=now: has_untried(tx, payment_id, now=now)):  # type: ignore[misc]
                return True
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(0.02)

    async def _deliver(self, notification: Notification, merchant: Merchant) -> None:
        task = asyncio.current_task()
        assert task is not None
        looking_for.set(merchant.client_id)
        hanging = self._of_merchant[merchant.client_id] - self._in_slots[merchant.client_id]
        first_s = _SLOT_S if hanging < _MERCHANT_SLOTS else _SHORT_SLOT_S
        slot = asyncio.get_running_loop().call_later(first_s, self._leave_slot, merchant.client_id, task)
        try:
            try:
                attempt = await self._attempt(notification, merchant)
            finally:
                self._free_lane(notification.endpoint)
            self._remember_silence(notification.endpoint, silent=attempt.status is None)
            await self._record(notification, attempt)
        except Exception:
            # The lease ends by itself and the notification is tried again.
            log.exception("notification %s could not be recorded", notification.id)
        finally:
            slot.cancel()
            if self._hanging.pop(task, None) is None:
                _count_down(self._in_slots, merchant.client_id)
            _count_down(self._of_merchant, merchant.client_id)
            self._leases.pop(notification.id, None)
            self._tasks.discard(task)
            self._ended += 1
            self._wake.set()

    def _leave_slot(self, merchant: str, task: "asyncio.Task[None]") -> None:
        self._hanging[task] = (merchant, time.monotonic())
        _count_down(self._in_slots, merchant)
        self._wake.set()

    def _free_lane(self, endpoint: str) -> None:
        """The endpoint can take the next one; writing down what it said is our own affair."""
        _count_down(self._under_way, endpoint)
        self._wake.set()

    def _remember_silence(self, endpoint: str, *, silent: bool) -> None:
        if not silent:
            self._silent.discard(endpoint)
        elif len(self._silent) < _MAX_SILENT:
            self._silent.add(endpoint)

    async def _record(self, notification: Notification, attempt: Attempt) -> None:
        async with self._renewing:  # from here on nobody moves our lease, by which the row knows us
            lease = self._leases.pop(notification.id)
        delays = self._settings.notification_retry_delays_s
        sandbox = self._settings.is_sandbox
        gap = 0 if sandbox else _LEAST_GAP_S
        state = await self._database.transact(
            lambda tx: record(tx, notification, attempt, lease=lease, retry_delays_s=delays, least_gap_s=gap, sandbox=sandbox)
        )
        log.info(
            "notification %s to %s: %s, attempt %d%s",
            notification.id,
            notification.endpoint,
            state.value,
            notification.attempts + 1,
            f" ({attempt.error})" if attempt.error else "",
        )

    async def _attempt(self, notification: Notification, merchant: Merchant) -> Attempt:
        """Post it once. Whatever goes wrong is what the attempt says."""
        real, at = real_now(), self._clock.now()
        began = time.perf_counter()
        prepared = Prepared({}, "")
        exchange = Exchange(notification.url, 0, {}, "", None, {}, "", None)
        error: str | None = None
        try:
            url = _called(notification.url)
            prepared = await self._prepared(notification, merchant, url.raw_path_qs, real)
        except NotPrepared as failure:
            prepared = Prepared({}, "", before=failure.before)
            error = str(failure)
        except ValueError as failure:
            error = f"{type(failure).__name__}: {failure}"
        except Exception as failure:
            # A mistake of ours. Recorded like any failure: a notification that trips us must not be tried for ever.
            log.exception("notification %s", notification.id)
            error = f"{type(failure).__name__}: {failure}"
        else:
            exchange = await self._exchange(url, notification.body, prepared.headers, wait_s=_ANSWER_WAIT_S, most=_KEPT_ANSWER)
            error = exchange.error
            if prepared.answered is not None:
                prepared.answered(exchange.status, exchange.answer_body)
        return Attempt(
            number=0,  # given when recorded
            at=at,
            started_real_at=real,
            duration_ms=_ms_since(began),
            url=notification.url,
            request_headers={name: masked(value, prepared.secrets) for name, value in prepared.headers.items()},
            string_to_sign=masked(prepared.string_to_sign, prepared.secrets),
            status=exchange.status,
            answer_headers={name: masked(value, prepared.secrets) for name, value in exchange.answer_headers.items()},
            answer_body=masked(exchange.answer_body, prepared.secrets),
            error=None if error is None else masked(_storable(error), prepared.secrets)[:_KEPT_ANSWER],
            before=prepared.before,
        )

    async def _prepared(self, notification: Notification, merchant: Merchant, target: str, real: datetime) -> Prepared:
        prepare = self._prepare.get(notification.kind)
        if prepare is None:
            raise NotPrepared(f"this version delivers no notifications of the kind {notification.kind!r}")
        made = prepare(notification, merchant, target, real, self._post)
        if not inspect.isawaitable(made):
            return made
        began = time.perf_counter()
        try:
            async with self._patiently():
                return await made
        except TimeoutError:
            raise NotPrepared(f"no token within {time.perf_counter() - began:.3g} s, and others needed the place") from None

    @contextlib.asynccontextmanager
    async def _patiently(self) -> AsyncIterator[asyncio.Timeout]:
        """What this delivery waits for here it stops waiting for when others need the place."""
        task = asyncio.current_task()
        assert task is not None
        patience = self._patience[task] = asyncio.timeout(None)
        try:
            async with patience:
                yield patience
        finally:
            self._patience.pop(task, None)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str], string_to_sign: str) -> Exchange:
        """A call that has to come before the notification. Its answer is read whole, within reason."""
        try:
            called = _called(url)
        except ValueError as failure:
            return Exchange(url, 0, dict(headers), string_to_sign, None, {}, "", f"{type(failure).__name__}: {failure}")
        exchange = await self._exchange(called, body, headers, wait_s=self._settings.notification_timeout_s, most=_READ_ANSWER)
        return replace(exchange, url=url, string_to_sign=string_to_sign)

    async def _exchange(self, url: "URL", body: bytes, headers: Mapping[str, str], *, wait_s: float, most: int) -> Exchange:
        """Call once; whatever goes wrong is its error.

        wait_s, most  how long and how large the answer's body may be, once the status is there
        """
        import aiohttp

        began = time.perf_counter()
        status: int | None = None
        answer_headers: dict[str, str] = {}
        answer, error = "", None
        patience = asyncio.timeout(None)
        try:
            session = await self._client()
            async with (
                self._patiently() as patience,
                session.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                status = response.status
                answer_headers = _kept_headers(response)
                answer = await _start_of_body(response, wait_s=wait_s, most=most)
        except aiohttp.ConnectionTimeoutError:
            error = f"no connection within {self._settings.notification_connect_timeout_s:g} s"
        except TimeoutError:
            waited = time.perf_counter() - began if patience.expired() else self._settings.notification_timeout_s
            error = f"no answer within {waited:.3g} s" + (", and others needed the place" if patience.expired() else "")
        except aiohttp.ClientConnectorError as failure:
            # aiohttp's own text speaks of ssl whatever the scheme, and hides the reason at its end.
            error = f"Cannot connect to {failure.host}:{failure.port}: {failure.os_error}"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        except Exception as failure:
            log.exception("calling %s", url.origin())
            error = f"{type(failure).__name__}: {failure}"
        return Exchange(str(url), _ms_since(began), dict(headers), "", status, answer_headers, answer, error)

    async def _client(self) -> "aiohttp.ClientSession":
        if self._session is None:
            import aiohttp

            from gerbang.notifications.connector import connector

            self._session = aiohttp.ClientSession(
                connector=connector(public_only=not self._settings.is_sandbox, limit=self._room),
                timeout=aiohttp.ClientTimeout(
                    total=self._settings.notification_timeout_s,
                    connect=self._settings.notification_connect_timeout_s,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                # What a merchant answers is kept to be read by people.
                headers={"Accept-Encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            try:
                await self._renew()
            except Exception:
                log.exception("leases could not be renewed; trying again")

    async def _renew(self) -> None:
        async with self._renewing:
            real = real_now()
            # Most deliveries are over long before; only the slow ones are worth a commit.
            ending = to_ms(real + timedelta(seconds=LEASE_S * 2 / 3))
            held = {notification_id: until for notification_id, until in self._leases.items() if until <= ending}
            if not held:
                return
            until = to_ms(real + timedelta(seconds=LEASE_S))
            for notification_id in await self._database.transact(lambda tx: renew(tx, held, until=until)):
                if notification_id in self._leases:  # else it ended meanwhile
                    self._leases[notification_id] = until

    async def _stop(self) -> None:
        # Deliveries that are nearly through may finish; the others are taken up by the next process.
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        left = self._leases | self._claiming
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if left:
            try:
                await self._database.transact(lambda tx: release(tx, left))
            except Exception:
                log.exception("leases could not be given back; they end by themselves")
        if self._session is not None:
            await self._session.close()
            self._session = None


def _count_down(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def _descriptors() -> int:
    """How many files and connections this process may have open."""
    try:
        import resource
    except ImportError:  # Windows
        return 512
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else 1_048_576


def _kept_headers(response: "aiohttp.ClientResponse") -> dict[str, str]:
    names_and_values = list(response.headers.items())[:_KEPT_HEADERS]
    return {_storable(name)[:_KEPT_HEADER]: _storable(value)[:_KEPT_HEADER] for name, value in names_and_values}


def _called(address: str) -> "URL":
    """The address as it is called: an ASCII one exactly as the merchant wrote it. The path signed is the path called."""
    from yarl import URL

    url = URL(address, encoded=address.isascii())
    if not url.raw_path:
        url = url.join(URL("/" + (f"?{url.raw_query_string}" if url.raw_query_string else ""), encoded=True))
    return url


def _ms_since(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)


async def _start_of_body(response: "aiohttp.ClientResponse", *, wait_s: float, most: int) -> str:
    """What came, as far as it came: a body may be huge, broken or endless, so it gets so much room and time."""
    import aiohttp

    taken = bytearray()
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError, ValueError):
        async with asyncio.timeout(wait_s):
            while len(taken) < most and (chunk := await response.content.read(most - len(taken))):
                taken += chunk
    return _storable(taken.decode("utf-8", "replace"))


def _storable(text: str) -> str:
    """Text that both databases and JSON take: PostgreSQL refuses NUL, JSON refuses halves of surrogate pairs."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\x00", "\ufffd")


def _wake_from_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is gone: somebody else will look
        loop.call_soon_threadsafe(event.set)
