"""The sandbox's bank, made to be slow: `bank_provider = "support.slow_bank:make"`.

In the directory named by GERBANG_TEST_PAUSES a file `before:66001` or `after:66001` holds the transfer of that amount for ever before
the bank heard it, or after it moved the money; `inquire:1234567890` holds whoever asks whose account that is until the file is gone.
Who is held leaves a file `at:…` beside it. Every other question takes up to as many seconds before, and again after, as the file
`jitter` says.
"""

import asyncio
import os
import random
from pathlib import Path

from gerbang.channel import Parts
from gerbang.channels.doku_wallet_snap.simulator import SandboxBank
from gerbang.wallet.bank import Bank, BankAccount, BankAnswer, BankQuestion

PAUSES = "GERBANG_TEST_PAUSES"


def make(parts: Parts) -> Bank:
    """The bank, over the sandbox's own books."""
    return _SlowBank(SandboxBank(parts.database), Path(os.environ[PAUSES]))


class _SlowBank:
    def __init__(self, bank: SandboxBank, directory: Path) -> None:
        self._bank = bank
        self._directory = directory

    async def inquire(self, bank_code: str, number: str) -> BankAccount | None:
        name = f"inquire:{number}"
        while (self._directory / name).exists():
            (self._directory / f"at:{name}").touch()
            await asyncio.sleep(0.02)
        return await self._bank.inquire(bank_code, number)

    async def transfer(self, question: BankQuestion) -> BankAnswer:
        await self._pause("before", question.amount)
        answer = await self._bank.transfer(question)
        await self._pause("after", question.amount)
        return answer

    async def status(self, question_id: str) -> BankAnswer | None:
        await self._dawdle()
        answer = await self._bank.status(question_id)
        await self._dawdle()
        return answer

    async def _pause(self, point: str, amount: int) -> None:
        name = f"{point}:{amount}"
        if (self._directory / name).exists():
            (self._directory / f"at:{name}").touch()
            await asyncio.sleep(3_600)
        await self._dawdle()

    async def _dawdle(self) -> None:
        jitter = self._directory / "jitter"
        if jitter.exists():
            await asyncio.sleep(random.uniform(0, float(jitter.read_text())))
