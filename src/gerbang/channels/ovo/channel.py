"""OVO push payment: OVO asks the buyer in its app, and the merchant's call waits for what the buyer says."""

from typing import Any

from gerbang.channels.ovo.actions import blocks, push, status, void
from gerbang.channels.ovo.party import PARTY
from gerbang.channels.ovo.wire import CHECK_SUM, PUSH_CHECK_SUM, PaymentRequest, PaymentResponse, VoidRequest
from gerbang.endpoint import Endpoint
from gerbang.payments import Order, Payment
from gerbang.providers.channel import provider_channel
from gerbang.storage import Tx

_GUIDE = "DOKU OVO Push Payment guide"


def _status(_tx: Tx, order: Order, payment: Payment) -> dict[str, Any]:
    return status(CHANNEL, order, payment)


CHANNEL = provider_channel(
    PARTY,
    title="OVO",
    service_id="EMONEY",
    acquirer_id="OVO",
    endpoints=(
        Endpoint(
            method="POST",
            path="/ovo-emoney/v1/payment",
            summary="Ask a buyer in the OVO app, and hear what the buyer says (waits for it)",
            action=push,
            request=PaymentRequest,
            response=PaymentResponse,
            source=_GUIDE,
            body_signature=PUSH_CHECK_SUM,
            repeats_join=True,
        ),
        Endpoint(
            method="POST",
            path="/ovo-emoney/v1/cancel",
            summary="Void an OVO payment: the whole amount goes back",
            action=void,
            request=VoidRequest,
            response=PaymentResponse,
            source=_GUIDE,
            body_signature=CHECK_SUM,
        ),
    ),
    blocks=blocks,
    status=_status,
)
