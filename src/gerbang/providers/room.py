"""A provider's room at work: questions with a time limit between transactions, reports acted upon, money given back."""

import asyncio
import importlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gerbang.channel import Channel, Parts
from gerbang.clock import real_now
from gerbang.errors import Reason, Refused
from gerbang.money import Rupiah
from gerbang.payments import Payment, find_payment
from gerbang.payments.unexpected import UnexpectedMoney, claim_unexpected, end_unexpected
from gerbang.providers.party import Party
from gerbang.providers.questions import Asked, Begun, Provider, Report, TurnedDown
from gerbang.providers.reports import source_of, take_report
from gerbang.providers.watch import Watch
from gerbang.settings import BadSettings
from gerbang.storage import StorageBusy, Tx
from gerbang.storage.due import due_moments, is_due

log = logging.getLogger(__name__)

_BATCH = 20
_AGAIN_S = 60.0
_T = TypeVar("_T")


class ProviderRoom:
    """The running parts of a channel whose money somebody outside takes."""

    def __init__(self, parts: Parts, party: Party, provider: Provider, channel: Callable[[], Channel]) -> None:
        self.database = parts.database
        self.clock = parts.clock
        self.settings = parts.settings
        self.party = party
        self.provider = provider
        self._channel = channel
        self._watch = Watch(parts.database, parts.clock, every_s=parts.settings.poll_interval_s)
        self._ask_again: dict[str, float] = {}

    @property
    def channel(self) -> Channel:
        return self._channel()

    async def begin(self, asked: Asked) -> Begun | TurnedDown | None:
        """Announce an order; None when the provider is silent."""
        return await self._in_time(self.provider.begin(asked), f"announcing {asked.payment_id}")

    async def wait_for_end(self, payment_id: str, *, timeout_s: float) -> None:
        """Until the payment is no longer PENDING, but no longer than `timeout_s`. Nothing is held meanwhile."""
        await self._in_time(self.hear(payment_id), f"hearing of {payment_id}")  # perhaps it has decided already
        await self._watch.ended(payment_id, timeout_s=timeout_s)

    async def withdraw(self, payment_id: str) -> bool | None:
        """Tell the provider that an order is void; None when it is silent. Should it be paid all the same, the money goes back."""
        return await self._in_time(self.provider.withdraw(payment_id), f"withdrawing {payment_id}")

    async def give_back(self, question_id: str, payment: Payment, amount: Rupiah) -> bool | None:
        """Return a paid payment's money; None when the provider is silent, and then the same question may be asked again."""
        receipt = str(payment.details["receipt"])
        return await self._in_time(self.provider.give_back(question_id, receipt, amount), f"giving back {payment.id}")

    def due_again(self, questions: set[str], *, after_s: float) -> set[str]:
        """Which of the open questions to ask now: each once in `after_s`, and none that was opened a moment ago.

        Kept here and not on disk: whoever else asks too asks the same question.
        """
        real = time.monotonic()
        first = real + self.settings.provider_timeout_s
        self._ask_again = {one: self._ask_again.get(one, first) for one in questions}
        due = {one for one, at in self._ask_again.items() if at <= real}
        self._ask_again.update(dict.fromkeys(due, real + after_s))
        return due

    async def _in_time(self, answer: Awaitable[_T], what: str) -> _T | None:
        try:
            async with asyncio.timeout(self.settings.provider_timeout_s):
                return await answer
        except TimeoutError:
            log.warning("%s is silent: %s", self.party.code, what)
        except StorageBusy:
            raise  # ours, and no silence
        except Exception:
            log.exception("%s: %s", self.party.code, what)
        return None

    async def hear(self, payment_id: str | None = None) -> int:
        """Act on what the provider has to report; how much that was. What fails here is reported again later."""
        done = 0
        seen: set[str] = set()
        while True:
            reports = await self._in_time(self.provider.reports(payment_id), "asking what happened")
            new = [report for report in reports or () if report.receipt not in seen]
            if not new:
                return done
            # Not only the first page of them: after a long stop, what was paid in time would expire before its turn came.
            for report in new:
                seen.add(report.receipt)
                done += await self._take(report)

    async def _take(self, report: Report) -> int:
        def act(tx: Tx) -> bool:
            found = find_payment(tx, report.payment_id)
            if found is None or found[1].channel != self.party.code:
                return False  # nor is anybody believed about a payment of somebody else's
            take_report(tx, self.channel, report, settings=self.settings, now=self.clock.now())
            return True

        try:
            if not await self.database.transact(act):
                log.error("%s reports about %s, which we do not know", self.party.code, report.payment_id)
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                log.error("%s, report %s: %s", self.party.code, report.receipt, refused)
            return 0
        except StorageBusy:
            raise
        except Exception:
            # One report that cannot be acted on must not hold back the others.
            log.exception("%s, report %s", self.party.code, report.receipt)
            return 0
        return 1 if await self._in_time(self._acknowledge(report.receipt), f"acknowledging {report.receipt}") else 0

    async def _acknowledge(self, receipt: str) -> bool:
        await self.provider.heard(receipt)
        return True

    async def sweep(self) -> int:
        """What fell due: reports nobody acted on, and money to be given back."""
        done = await self.hear()
        if await self.database.read(lambda tx: claimable(tx, self.party.code)):
            due = await self.database.transact(
                lambda tx: claim_unexpected(tx, self.party.code, again_in_s=_AGAIN_S, limit=_BATCH)
            )
            # Side by side: who hangs keeps nobody's report waiting longer than one question may take.
            done += sum(await asyncio.gather(*[self._return(one) for one in due]))
        return done

    async def _return(self, held: UnexpectedMoney) -> int:
        returned = await self._in_time(self.provider.give_back(held.id, held.receipt, held.amount), f"returning {held.id}")
        if returned is None:
            return 0

        def end(tx: Tx) -> None:
            found = find_payment(tx, held.payment_id)
            assert found is not None, held.payment_id
            end_unexpected(tx, held, found[1], source=source_of(held.channel), returned=returned, now=self.clock.now())

        try:
            await self.database.transact(end)
        except Refused:
            return 0  # somebody else has
        return 1


def claimable(tx: Tx, channel: str) -> bool:
    """Whether money is held that has to go back now, looked at without writing."""
    row = tx.one(
        f"select 1 as found from unexpected_money where channel = :channel and {is_due('ask_again_real_at')} limit 1",  # noqa: S608
        {"channel": channel, **due_moments(real_now())},
    )
    return row is not None


def open_provider_room(parts: Parts, party: Party, channel: Callable[[], Channel]) -> ProviderRoom | None:
    """The operator's provider, else the pretend one in a sandbox, else nothing: the channel is not offered then.

    The setting `providers` names for a channel a function that takes `Parts` and returns a `Provider`. Raises BadSettings.
    """
    named = dict(one.partition("=")[::2] for one in parts.settings.providers).get(party.code)
    if named:
        module, _, function = named.partition(":")
        try:
            make = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise BadSettings(f"the provider {named!r} of {party.code} cannot be loaded: {error}") from None
        return ProviderRoom(parts, party, make(parts), channel)
    if not parts.settings.is_sandbox:
        return None
    from gerbang.providers.simulator import SimulatedProvider

    return ProviderRoom(parts, party, SimulatedProvider(parts, party), channel)
