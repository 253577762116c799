"""Indomaret on the wire, names verbatim. Source: DOKU, Convenience Store, Indomaret."""

from gerbang.providers.stores_wire import PaymentCodeRequest


class CodeRequest(PaymentCodeRequest):
    """POST /indomaret-online-to-offline/v2/payment-code."""
