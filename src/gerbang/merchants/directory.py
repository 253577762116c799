"""Merchants by client id, remembered for a moment: every signed request needs one before its transaction begins."""

import time

from gerbang.merchants.records import Merchant, find
from gerbang.storage import Database

_REMEMBER_S = 1.0
_MAX_REMEMBERED = 10_000


class MerchantDirectory:
    """Looks merchants up. A change made elsewhere (CLI, another process) is seen within a second; see `fresh`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, Merchant]] = {}

    async def find(self, client_id: str, *, fresh: bool = False) -> Merchant | None:
        """The merchant, or None. `fresh` asks the database: used before a signature is called wrong."""
        known = self._known.get(client_id)
        now = time.monotonic()
        if known is not None and not fresh and now - known[0] < _REMEMBER_S:
            return known[1]
        merchant = await self._database.read(lambda tx: find(tx, client_id))
        if merchant is None:
            self._known.pop(client_id, None)
        else:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[client_id] = (now, merchant)
        return merchant

    def forget(self) -> None:
        """Everything may have changed (sandbox reset)."""
        self._known.clear()
