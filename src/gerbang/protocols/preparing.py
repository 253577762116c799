"""Who prepares which kind of notification."""

from collections.abc import Mapping

from gerbang.notifications.outbox import Prepare
from gerbang.protocols.nonsnap import notification as nonsnap
from gerbang.protocols.snap.notification import KIND, SnapNotifications


def preparers(snap: SnapNotifications) -> Mapping[str, Prepare]:
    """By kind."""
    return {"nonsnap": nonsnap.prepare, KIND: snap.prepare}
