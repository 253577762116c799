"""Alfa Group: the buyer takes a payment code to a till of Alfamart, Alfamidi, Alfaexpress, Lawson or Dan+Dan.

DOKU's documents write `alfa-virtual-account` in the path, its own plugins `alfa-online-to-offline`: both are served. The
merchant's own code may come on either endpoint; where it has to come, by the pattern of virtual accounts, it is required. [inferred]
"""

from gerbang.channels.alfa.wire import CodeRequest, MerchantCodeRequest
from gerbang.endpoint import Action, Ask, Call, Endpoint
from gerbang.errors import Reason, Refused
from gerbang.providers.stores import Store, open_code, store_channel
from gerbang.providers.stores_wire import PaymentCodeResponse
from gerbang.web.theme import Theme

STORE = Store(
    code="ONLINE_TO_OFFLINE_ALFA",
    name="Alfamart",
    title="Alfa Group",
    slug="alfa",
    acquirer_id="ALFA",
    shops="Alfamart, Alfamidi, Alfaexpress, Lawson, Dan+Dan",
    agent_id="ALFAMART",
    till="A001",
    first="8",
    theme=Theme(background="F4F2F6", font="1B1A1F", button="3D2C6B", button_font="FFFFFF"),
    initials="al",
)
_PATHS = ("/alfa-virtual-account/v2", "/alfa-online-to-offline/v2")


def generate_code(call: Call, body: CodeRequest) -> Ask:
    """A code of ours, or the merchant's own if it sends one."""
    return open_code(call, STORE, body, wanted=body.online_to_offline_info.payment_code)


def register_code(call: Call, body: MerchantCodeRequest) -> Ask:
    """The merchant's own code."""
    if body.online_to_offline_info.payment_code is None:
        raise Refused(Reason.FIELD_MISSING, field="online_to_offline_info.payment_code")
    return generate_code(call, body)


def _endpoint(path: str, summary: str, action: Action, request: type[CodeRequest]) -> Endpoint:
    return Endpoint(
        method="POST",
        path=path,
        summary=summary,
        action=action,
        request=request,
        response=PaymentCodeResponse,
        source="DOKU, Convenience Store, Alfa Group",
    )


CHANNEL = store_channel(
    STORE,
    endpoints=(
        *(_endpoint(f"{path}/payment-code", "Create a payment code for a till", generate_code, CodeRequest) for path in _PATHS),
        *(
            _endpoint(f"{path}/merchant-payment-code", "Bring a payment code of one's own", register_code, MerchantCodeRequest)
            for path in _PATHS
        ),
    ),
)
