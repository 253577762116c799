"""The room's hosted pages: set a PIN, consent, pay, upgrade; in a sandbox also the inbox of text messages."""

from starlette.routing import BaseRoute

from gerbang.channels.doku_wallet_snap.front import Front
from gerbang.channels.doku_wallet_snap.identity_pages import BindPage, CreatePinPage
from gerbang.channels.doku_wallet_snap.inbox_page import InboxPage
from gerbang.channels.doku_wallet_snap.purchase_page import PurchasePage
from gerbang.channels.doku_wallet_snap.upgrade_page import UpgradePage
from gerbang.web.wiring import Wiring


def wallet_snap_pages(wiring: Wiring) -> list[BaseRoute]:
    """The routes of this room's pages."""
    front = Front(wiring)
    routes = [
        *CreatePinPage(front).routes(),
        *BindPage(front).routes(),
        *PurchasePage(front).routes(),
        *UpgradePage(front).routes(),
    ]
    if wiring.settings.is_sandbox:
        routes += InboxPage(front).routes()
    return routes
