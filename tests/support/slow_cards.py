"""The sandbox's acquirer and 3-D Secure server, made to pause: `card_provider = "support.slow_cards:make"`.

The directory named by GERBANG_TEST_PAUSES holds a file for each pause, called `before:AUTHORISE:90001` (the point, the kind of
question, its amount), and in it the seconds to pause; nothing in it means for ever. Whoever pauses leaves a file `at:…` beside it.
"""

import asyncio
import os
from pathlib import Path

from gerbang.channel import Parts
from gerbang.channels.credit_card.provider import (
    Acquirer,
    AcquirerAnswer,
    AuthenticationAnswer,
    AuthenticationQuestion,
    AuthoriseQuestion,
    CardSchemes,
    ChallengeResult,
    FollowUpQuestion,
)
from gerbang.channels.credit_card.simulator import SandboxAcquirer, SandboxSchemes

PAUSES = "GERBANG_TEST_PAUSES"


def make(parts: Parts) -> tuple[Acquirer, CardSchemes]:
    """Both counterparties, over the sandbox's own books."""
    directory = Path(os.environ[PAUSES])
    return (
        _SlowAcquirer(SandboxAcquirer(parts.database, parts.clock), directory),
        _SlowSchemes(SandboxSchemes(parts.database, parts.clock), directory),
    )


async def _pause(directory: Path, point: str, kind: str, amount: int) -> None:
    name = f"{point}:{kind}:{amount}"
    wanted = directory / name
    if not wanted.exists():
        return
    seconds = wanted.read_text()
    (directory / f"at:{name}").touch()
    await asyncio.sleep(float(seconds) if seconds else 3_600)


class _SlowAcquirer:
    def __init__(self, acquirer: SandboxAcquirer, directory: Path) -> None:
        self._acquirer = acquirer
        self._directory = directory

    async def authorise(self, question: AuthoriseQuestion) -> AcquirerAnswer:
        await _pause(self._directory, "before", "AUTHORISE", question.amount)
        answer = await self._acquirer.authorise(question)
        await _pause(self._directory, "after", "AUTHORISE", question.amount)
        return answer

    async def follow_up(self, question: FollowUpQuestion) -> AcquirerAnswer:
        await _pause(self._directory, "before", question.kind, question.amount)
        answer = await self._acquirer.follow_up(question)
        await _pause(self._directory, "after", question.kind, question.amount)
        return answer

    async def inquire(self, question_id: str) -> AcquirerAnswer | None:
        return await self._acquirer.inquire(question_id)


class _SlowSchemes:
    def __init__(self, schemes: SandboxSchemes, directory: Path) -> None:
        self._schemes = schemes
        self._directory = directory

    async def authenticate(self, question: AuthenticationQuestion) -> AuthenticationAnswer:
        await _pause(self._directory, "before", "AUTHENTICATE", question.amount)
        answer = await self._schemes.authenticate(question)
        await _pause(self._directory, "after", "AUTHENTICATE", question.amount)
        return answer

    async def challenge_result(self, acs_trans_id: str) -> ChallengeResult | None:
        return await self._schemes.challenge_result(acs_trans_id)
