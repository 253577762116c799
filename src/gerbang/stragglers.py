"""Work that asks somebody outside, done side by side: who hangs goes on by itself and holds up nobody."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

log = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, int]]


class Stragglers:
    """Starts pieces of work together and waits for them a little, `patience_s` at most.

    What is not done by then keeps its name taken until it is; how long it may take at all is the work's own business.
    """

    def __init__(self, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._under_way: set[asyncio.Task[int]] = set()
        self._late: set[asyncio.Task[int]] = set()

    def __len__(self) -> int:
        """How many pieces of work are under way."""
        return len(self._under_way)

    async def run(self, works: Mapping[str, Work]) -> int:
        """The sum of what was done in time. Work under a name that is late already is not started again.

        Raises what a piece of work raised, when all others had their time.
        """
        taken = {task.get_name() for task in self._late}
        started = {asyncio.create_task(work(), name=name) for name, work in works.items() if name not in taken}
        for task in started:
            # The loop itself forgets tasks that wait.
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        if not started:
            return 0
        done, late = await asyncio.wait(started, timeout=self._patience_s)
        for task in late:
            self._late.add(task)
            task.add_done_callback(self._came_late)
        done = {task for task in done if not task.cancelled()}
        errors = [error for task in done if (error := task.exception()) is not None]
        for error in errors[1:]:
            log.error("failed beside another", exc_info=error)
        if errors:
            raise errors[0]
        return sum(task.result() for task in done)

    def _came_late(self, task: asyncio.Task[int]) -> None:
        self._late.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed, late", task.get_name(), exc_info=error)

    async def stop(self) -> None:
        """Give up what is under way."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
