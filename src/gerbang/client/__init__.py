"""A small typed client for the DOKU API: for shops that use Gerbang, and for shops that use DOKU itself.

It needs the standard library only. Everything a shop touches is in this list.
"""

from gerbang.client.calls import Answer, DokuClient, LineItem, OrderStatus, WalletPayment, signed_headers
from gerbang.client.cards import CardCharge, CardFacts, CardPayment, CardRefund, CardToken, PageTheme, Promo, ThreeDSecureStart
from gerbang.client.errors import ClientError, DokuError, DokuUnreachable, NotificationUnreadable, SignatureMismatch
from gerbang.client.notifications import Notification, verify_notification

__all__ = [
    "Answer",
    "CardCharge",
    "CardFacts",
    "CardPayment",
    "CardRefund",
    "CardToken",
    "ClientError",
    "DokuClient",
    "DokuError",
    "DokuUnreachable",
    "LineItem",
    "Notification",
    "NotificationUnreadable",
    "OrderStatus",
    "PageTheme",
    "Promo",
    "SignatureMismatch",
    "ThreeDSecureStart",
    "WalletPayment",
    "signed_headers",
    "verify_notification",
]
