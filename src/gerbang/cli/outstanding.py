"""What is due, and waiting a little for whoever does it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from gerbang.cli.data import Data
from gerbang.clock import real_now
from gerbang.notifications.queue import count_due
from gerbang.payments.queries import count_overdue

PATIENCE_S = 3.0
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Outstanding:
    """How much is due now.

    overdue    payments whose time is over and which nobody has closed
    waiting    notifications nobody has taken up
    under_way  notifications being delivered at this moment
    """

    overdue: int
    waiting: int
    under_way: int

    @property
    def is_all_done(self) -> bool:
        return not (self.overdue or self.waiting or self.under_way)


def outstanding(data: Data) -> Outstanding:
    """Look now."""
    data.refresh_clock()
    now, real = data.now(), real_now()
    return data.read(lambda tx: Outstanding(count_overdue(tx, now=now), *count_due(tx, now=now, real=real)))


def wait_until_done(data: Data) -> Outstanding:
    """Wait while somebody works on what is due: until all is done, or nothing has moved for PATIENCE_S."""
    seen = outstanding(data)
    deadline = time.monotonic() + PATIENCE_S
    while not seen.is_all_done and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
        now = outstanding(data)
        if now.overdue + now.waiting < seen.overdue + seen.waiting:
            deadline = time.monotonic() + PATIENCE_S
        seen = now
    return seen


def wait_for(happened: Callable[[], bool]) -> bool:
    """Wait at most PATIENCE_S; whether it happened."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_EVERY_S)
    return True
