"""Check status: GET /orders/v1/status/{invoice number or Request-Id}, for every channel."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gerbang.channel import Channel
from gerbang.endpoint import Call, Endpoint
from gerbang.errors import Reason, Refused
from gerbang.payments import Payment, RefundState, find_order, payments_of, refunds_of
from gerbang.protocols.nonsnap.notification import notification_body
from gerbang.storage import Tx


class StatusOrder(msgspec.Struct):
    """What was sold."""

    invoice_number: str
    amount: int


class StatusTransaction(msgspec.Struct):
    """How it stands: PENDING, SUCCESS, FAILED, EXPIRED, REFUNDED, VOIDED, TIMEOUT or REDIRECT (decision D-7)."""

    status: str
    date: str
    original_request_id: str


class Identified(msgspec.Struct, omit_defaults=True):
    """An id, and a name where DOKU says one."""

    id: str
    name: str | None = None


class StatusResponse(msgspec.Struct, omit_defaults=True):
    """Like the notification; a channel's own blocks stand beside these."""

    order: StatusOrder
    transaction: StatusTransaction
    service: Identified
    acquirer: Identified
    channel: Identified
    emoney_payment: dict[str, str] | None = None
    card_payment: dict[str, Any] | None = None
    verification: dict[str, str] | None = None
    online_to_offline_info: dict[str, str] | None = None
    online_to_offline_payment: dict[str, Any] | None = None
    ovo_payment: dict[str, Any] | None = None
    shopeepay_configuration: dict[str, str] | None = None
    shopeepay_payment: dict[str, Any] | None = None
    peer_to_peer_info: dict[str, Any] | None = None
    payment: dict[str, str] | None = None
    refund: dict[str, str] | None = None
    additional_info: dict[str, Any] | None = None


def check_status_endpoint(channels: Mapping[str, Channel]) -> Endpoint:
    """The endpoint over all rooms given."""

    def check_status(call: Call, _body: None) -> Mapping[str, Any]:
        # A name that no order can have is not looked for: PostgreSQL would not even take a NUL.
        named = call.path_value
        order = find_order(call.tx, call.merchant.client_id, named) if "\x00" not in named else None
        if order is None:
            raise Refused(Reason.ORDER_NOT_FOUND, invoice_number=call.path_value)
        # The newest attempt is how the order stands.
        payment = payments_of(call.tx, order.id)[-1]
        channel = channels[payment.channel]
        if channel.status is not None:
            return channel.status(call.tx, order, payment)
        body = notification_body(channel, order, payment)
        return {"order": body.pop("order"), "transaction": body.pop("transaction"), **body, **_refund(call.tx, payment)}

    return Endpoint(
        method="GET",
        path="/orders/v1/status/{invoice_number_or_request_id}",
        summary="Check status",
        action=check_status,
        response=StatusResponse,
        source="DOKU, check status API (non-SNAP)",
    )


def _refund(tx: Tx, payment: Payment) -> dict[str, Any]:
    """The newest refund: what alone tells that a part of a SUCCESS went back (decision D-7). Amounts are text, as for cards."""
    if not payment.refunded:
        return {}
    done = [one for one in refunds_of(tx, payment.id) if one.state is RefundState.SUCCESS]
    if not done:
        return {}
    return {"refund": {"amount": str(done[-1].amount), "type": done[-1].type.value, "status": "SUCCESS"}}
