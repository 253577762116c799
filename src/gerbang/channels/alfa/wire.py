"""Alfa Group on the wire, names verbatim. Source: DOKU, Convenience Store, Alfa Group."""

from typing import Annotated

from msgspec import Meta

from gerbang.providers.stores_wire import OnlineToOfflineInfo, PaymentCode, PaymentCodeRequest


class AlfaOnlineToOfflineInfo(OnlineToOfflineInfo):
    """The code; the merchant's own, if it sends one."""

    payment_code: Annotated[PaymentCode, Meta(description="The merchant's own code; left out, we make one.")] | None = None


class CodeRequest(PaymentCodeRequest):
    """POST /alfa-virtual-account/v2/payment-code, also written /alfa-online-to-offline/v2/payment-code."""

    online_to_offline_info: AlfaOnlineToOfflineInfo


class MerchantCodeRequest(CodeRequest):
    """POST …/v2/merchant-payment-code: the same, and the merchant has to name the code. By the pattern of virtual accounts. [inferred]"""
