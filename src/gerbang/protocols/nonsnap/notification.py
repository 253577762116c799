"""Notifications in the Client-Id style: which URL, which body, which headers.

Source: nonsnap-common §5 of DOKU's documents as observed; bodies of the wallet family by decision D-8.
"""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from gerbang.channel import Channel
from gerbang.clock import iso_z
from gerbang.merchants import Merchant
from gerbang.notifications.outbox import Notification, Post, Prepared, enqueue
from gerbang.payments import Order, Payment, PaymentState
from gerbang.protocols.nonsnap.signature import sign, string_to_sign
from gerbang.settings import Settings
from gerbang.storage import Tx

# The only words ever put into transaction.status (decision D-7).
STATUS_WORD = {
    PaymentState.PENDING: "PENDING",
    PaymentState.SUCCESS: "SUCCESS",
    PaymentState.FAILED: "FAILED",
    PaymentState.CANCELLED: "FAILED",
    PaymentState.EXPIRED: "EXPIRED",
    PaymentState.REPLACED: "EXPIRED",
    # Authorised, awaiting capture: not final, as DOKU's own sandbox was seen to say.
    PaymentState.AUTHORISED: "PENDING",
    PaymentState.RELEASED: "FAILED",
    PaymentState.VOIDED: "VOIDED",
    PaymentState.PARTIALLY_REFUNDED: "SUCCESS",
    PaymentState.REFUNDED: "REFUNDED",
}


def notify(
    tx: Tx, channel: Channel, merchant: Merchant, order: Order, payment: Payment, *, settings: Settings, now: datetime
) -> None:
    """Queue the notification of a payment that ended, when there is anyone to tell.

    EXPIRED is told only to merchants that asked for it. No URL anywhere: nothing is sent.
    """
    if payment.state is PaymentState.EXPIRED and not merchant.options.notify_expired:
        return
    body = channel.notification(tx, order, payment) if channel.notification else notification_body(channel, order, payment)
    tell(tx, merchant, order, payment, body, settings=settings, now=now)


def tell(
    tx: Tx, merchant: Merchant, order: Order, payment: Payment, body: dict[str, Any], *, settings: Settings, now: datetime
) -> None:
    """Queue this body for whoever is told about the order. No URL anywhere: nothing is sent."""
    url = notification_url(order, merchant, settings)
    if url is None:
        return
    enqueue(
        tx,
        merchant_id=merchant.client_id,
        order_id=order.id,
        payment_id=payment.id,
        kind="nonsnap",
        url=url,
        body=body,
        now=now,
    )


def notification_url(order: Order, merchant: Merchant, settings: Settings) -> str | None:
    """The documented precedence: usable override, the order's own notify_url, the merchant's configured URL, nobody."""
    override = order.details.get("override_notification_url")
    strict = merchant.strict_override_path(settings)
    if override and not (strict and override_warning(override, merchant.notification_url)):
        return str(override)
    if strict and override and merchant.notification_url:
        return merchant.notification_url
    notify_url = order.details.get("notify_url")
    return str(notify_url) if notify_url else merchant.notification_url


def override_warning(override: str, configured: str | None) -> str | None:
    """Why DOKU itself would not deliver to this override (decision D-10), or None."""
    if configured is None:
        return "DOKU itself would not deliver here: no Notification URL is configured for this merchant"
    # On the wire an empty path is `/`.
    if (urlsplit(override).path or "/") != (urlsplit(configured).path or "/"):
        return "DOKU itself would not deliver here: the path differs from the configured Notification URL's"
    return None


def notification_body(channel: Channel, order: Order, payment: Payment) -> dict[str, Any]:
    """The body, keys in the order of decision D-8. `transaction.date` is business time, true UTC."""
    body: dict[str, Any] = {
        "service": {"id": channel.service_id},
        "acquirer": {"id": channel.acquirer_id, **({"name": channel.acquirer_name} if channel.acquirer_name else {})},
        "channel": {"id": channel.code},
        "order": {"invoice_number": order.invoice_number, "amount": payment.amount},
        "transaction": {
            "status": STATUS_WORD[payment.state],
            "date": iso_z(payment.finished_at or payment.created_at),
            "original_request_id": order.request_id,
        },
    }
    body |= channel.blocks(order, payment)
    echo = additional_info(order)
    if echo:
        body["additional_info"] = echo
    return body


# What of the request's additional_info is told back in notifications and check status.
_ECHOED = ("override_notification_url", "line_items", "account", "origin")


def additional_info(order: Order) -> dict[str, Any]:
    """The request's additional_info as far as it is told back."""
    sent = order.details.get("additional_info") or {}
    return {name: sent[name] for name in _ECHOED if sent.get(name) not in (None, "")}


def prepare(notification: Notification, merchant: Merchant, target: str, real: datetime, _post: Post) -> Prepared:
    """Sign for the URL actually called. Header names in exactly this case: PHP receivers compare it."""
    timestamp = iso_z(real)
    text = string_to_sign(
        client_id=merchant.client_id,
        request_id=notification.request_id,
        timestamp=timestamp,
        target=target,
        body=notification.body,
    )
    headers = {
        "Client-Id": merchant.client_id,
        "Request-Id": notification.request_id,
        "Request-Timestamp": timestamp,
        "Signature": sign(text, merchant.secret_key),
        "Content-Type": "application/json",
        "User-Agent": "Gerbang",
    }
    return Prepared(headers, text)
