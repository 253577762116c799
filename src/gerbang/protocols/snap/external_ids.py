"""X-EXTERNAL-ID: not twice a day for what creates or moves something (decision D-3).

A conflict is the same partner, service, Jakarta day, id and body: real clients use the Unix second, which different calls share.
`strict_external_id` leaves the body out and looks at every service.
"""

import hashlib
from datetime import datetime, timedelta

from gerbang.clock import WIB, to_ms
from gerbang.errors import Reason, Refused
from gerbang.storage import Tx

# An id counts for its day; a day more, for processes whose clocks differ.
_KEPT = timedelta(days=2)


def take_external_id(tx: Tx, *, merchant_id: str, service_code: str, external_id: str, body: bytes | None, now: datetime) -> None:
    """Use up an id; raises Refused(REQUEST_IN_PROGRESS), which is SNAP's Conflict. `body=None`: whatever the body."""
    day = now.astimezone(WIB).date().isoformat()
    digest = "" if body is None else hashlib.sha256(body).hexdigest()
    scope = "\n".join((merchant_id, service_code, day, external_id, digest))
    taken = tx.execute(
        "insert into snap_external_id (scope, merchant_id, at) values (:scope, :merchant, :at) on conflict do nothing",
        {"scope": hashlib.sha256(scope.encode()).digest(), "merchant": merchant_id, "at": to_ms(now)},
    )
    if taken != 1:
        raise Refused(Reason.REQUEST_IN_PROGRESS)


def purge_external_ids(tx: Tx, *, now: datetime, limit: int = 1_000) -> int:
    """Drop ids of days gone by; how many."""
    return tx.execute(
        "delete from snap_external_id where scope in"
        " (select scope from snap_external_id where at < :before order by at limit :limit)",
        {"before": to_ms(now - _KEPT), "limit": limit},
    )
