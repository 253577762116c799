"""Who prepares which kind of notification."""

from collections.abc import Mapping

from gerbang.merchants.gateway_key import GatewayKey
from gerbang.notifications.outbox import Prepare
from gerbang.protocols.nonsnap import notification as nonsnap
from gerbang.protocols.snap.notification import KIND, SnapNotifications


def preparers(key: GatewayKey) -> Mapping[str, Prepare]:
    """By kind."""
    return {"nonsnap": nonsnap.prepare, KIND: SnapNotifications(key.private_key).prepare}
