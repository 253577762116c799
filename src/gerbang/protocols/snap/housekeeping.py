"""What the worker drops from time to time."""

from datetime import datetime

from gerbang.protocols.snap.external_ids import purge_external_ids
from gerbang.protocols.snap.tokens import purge_tokens
from gerbang.storage import Tx


def purge_snap(tx: Tx, *, now: datetime, limit: int = 1_000) -> int:
    """Drop ended tokens and the X-EXTERNAL-IDs of days gone by; how many. Business time; call again until it is 0."""
    return purge_tokens(tx, now=now, limit=limit) + purge_external_ids(tx, now=now, limit=limit)
