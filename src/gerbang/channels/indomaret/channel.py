"""Indomaret: the buyer takes a payment code of ours to its till."""

from gerbang.channels.indomaret.wire import CodeRequest
from gerbang.endpoint import Ask, Call, Endpoint
from gerbang.providers.stores import Store, open_code, store_channel
from gerbang.providers.stores_wire import PaymentCodeResponse
from gerbang.web.theme import Theme

STORE = Store(
    code="ONLINE_TO_OFFLINE_INDOMARET",
    name="Indomaret",
    title="Indomaret",
    slug="indomaret",
    acquirer_id="INDOMARET",
    shops="Indomaret",
    agent_id="INDOMARET",
    till="I001",
    first="9",
    theme=Theme(background="F1F5F4", font="17201F", button="0F5C57", button_font="FFFFFF"),
    initials="im",
)


def generate_code(call: Call, body: CodeRequest) -> Ask:
    """A code of ours."""
    return open_code(call, STORE, body)


CHANNEL = store_channel(
    STORE,
    endpoints=(
        Endpoint(
            method="POST",
            path="/indomaret-online-to-offline/v2/payment-code",
            summary="Create a payment code for a till",
            action=generate_code,
            request=CodeRequest,
            response=PaymentCodeResponse,
            source="DOKU, Convenience Store, Indomaret",
        ),
    ),
)
