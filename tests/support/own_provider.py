"""Providers as an operator would write them: one with books in memory, and the sandbox's pretend one made to pause.

`providers = ["EMONEY_LINKAJA=support.own_provider:make"]`
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from gerbang.channel import Parts, all_channels
from gerbang.money import Rupiah
from gerbang.providers.questions import Asked, Begun, Report, TurnedDown
from gerbang.providers.simulator import SimulatedProvider

PAUSES = "GERBANG_TEST_PAUSES"

Unpaid = Literal["REFUSED", "CANCELLED", "EXPIRED"]


@dataclass
class OwnProvider:
    """Says what it is told to say, and remembers what it was asked.

    gives_back  its answer to `give_back`; None: none comes, although the money went back
    """

    asked: list[Asked] = field(default_factory=list)
    unheard: list[Report] = field(default_factory=list)
    heard_of: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    given_back: list[tuple[str, str, int]] = field(default_factory=list)
    gives_back: bool | None = True
    takes_s: float = 0

    async def begin(self, asked: Asked) -> Begun | TurnedDown:
        self.asked.append(asked)
        await asyncio.sleep(self.takes_s)
        return Begun(f"OWN-{asked.payment_id}", f"https://linkaja.example/pay/{asked.payment_id}")

    def took(self, payment_id: str, amount: int, *, at: datetime, receipt: str = "r-1") -> None:
        """The buyer paid."""
        self.unheard.append(Report(receipt, payment_id, "PAID", at, amount, approval_code="771122"))

    def ended(self, payment_id: str, outcome: Unpaid, *, at: datetime, receipt: str = "r-1") -> None:
        """It ended without money."""
        self.unheard.append(Report(receipt, payment_id, outcome, at))

    async def reports(self, payment_id: str | None = None) -> Sequence[Report]:
        await asyncio.sleep(0)
        return [one for one in self.unheard if payment_id in (None, one.payment_id)]

    async def heard(self, receipt: str) -> None:
        await asyncio.sleep(0)
        self.heard_of.append(receipt)
        self.unheard = [one for one in self.unheard if one.receipt != receipt]

    async def withdraw(self, payment_id: str) -> bool:
        self.withdrawn.append(payment_id)
        return True

    async def give_back(self, question_id: str, receipt: str, amount: Rupiah) -> bool:
        self.given_back.append((question_id, receipt, amount))
        await asyncio.sleep(self.takes_s)
        if self.gives_back is None:
            raise ConnectionError("the line broke")
        return self.gives_back


def make(_parts: Parts) -> OwnProvider:
    """What the setting names."""
    return OwnProvider()


def make_slow(parts: Parts) -> "SlowProvider":
    """The pretend LinkAja, which pauses."""
    return SlowProvider(parts)


class SlowProvider(SimulatedProvider):
    """Stays at a point when the directory named by GERBANG_TEST_PAUSES has a file called like it (`after:begin:90001`: the
    point, the amount or receipt's order), for ever; a file `at:…` says that it came there."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, all_channels()["EMONEY_LINKAJA"].party)
        self._pauses = Path(os.environ[PAUSES])

    async def _pause(self, point: str) -> None:
        if (self._pauses / point).exists():
            (self._pauses / f"at:{point}").touch()
            await asyncio.sleep(3_600)

    async def begin(self, asked: Asked) -> Begun | TurnedDown:
        await self._pause(f"before:begin:{asked.amount}")
        said = await super().begin(asked)
        await self._pause(f"after:begin:{asked.amount}")
        return said

    async def heard(self, receipt: str) -> None:
        await self._pause("before:heard")
        await super().heard(receipt)

    async def give_back(self, question_id: str, receipt: str, amount: Rupiah) -> bool:
        said = await super().give_back(question_id, receipt, amount)
        await self._pause(f"after:give_back:{amount}")
        return said
