"""OVO push payment on the wire, names verbatim. Source: DOKU OVO Push Payment guide; counters, date and configuration as a typed
public client reads them."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gerbang.endpoint import BodySignature
from gerbang.protocols.names import Phone
from gerbang.providers.wire import AdditionalInfo, Amount, InvoiceNumber, OrderEcho

_SIGNED = (
    ("order", "amount"),
    ("ovo_payment", "approval_code"),
    ("ovo_payment", "batch_number"),
    ("client", "id"),
    ("order", "invoice_number"),
    ("ovo_info", "ovo_id"),
    ("ovo_payment", "reference_number"),
    ("ovo_payment", "trace_number"),
)


def signed_values(body: Mapping[str, Any]) -> tuple[str, ...]:
    """What a void's `security.check_sum` is made of: these values as sent; what is missing is empty."""
    return tuple(_as_sent(body.get(outer), inner) for outer, inner in _SIGNED)


def signed_values_of_push(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The same of a push, which has no `ovo_payment`: one that is sent all the same could hold the amount's last digits."""
    return signed_values({name: block for name, block in body.items() if name != "ovo_payment"})


def _as_sent(block: Any, name: str) -> str:
    value = block.get(name) if isinstance(block, Mapping) else None
    return "" if value is None or isinstance(value, Mapping | list) else str(value)


CHECK_SUM = BodySignature(client_id=("client", "id"), check_sum=("security", "check_sum"), values=signed_values)
PUSH_CHECK_SUM = BodySignature(client_id=("client", "id"), check_sum=("security", "check_sum"), values=signed_values_of_push)

Counter = Annotated[int, Meta(ge=0, le=999_999_999_999)]


class Client(msgspec.Struct):
    """Who calls."""

    id: Annotated[str, Meta(min_length=1, max_length=64, description="The Client ID.")]


class Order(msgspec.Struct):
    """What is paid."""

    invoice_number: InvoiceNumber
    amount: Amount


class OvoInfo(msgspec.Struct):
    """Who is asked to pay."""

    ovo_id: Annotated[Phone, Meta(description="The buyer's phone number at OVO.")]


class Security(msgspec.Struct):
    """What proves who calls."""

    check_sum: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            description="Lower-case hex of the SHA-256 of amount, approval_code, batch_number, client.id, invoice_number, ovo_id, "
            "reference_number, trace_number and the secret key, one behind the other; what a request does not have is empty.",
        ),
    ]


class PaymentRequest(msgspec.Struct):
    """POST /ovo-emoney/v1/payment."""

    client: Client
    order: Order
    ovo_info: OvoInfo
    security: Security
    additional_info: AdditionalInfo | None = None


class PaidBefore(msgspec.Struct):
    """The payment to be voided, as its answer named it."""

    batch_number: Counter
    trace_number: Counter
    reference_number: Counter
    approval_code: Annotated[str, Meta(min_length=1, max_length=20)]


class VoidRequest(msgspec.Struct):
    """POST /ovo-emoney/v1/cancel."""

    client: Client
    order: Order
    ovo_info: OvoInfo
    ovo_payment: PaidBefore
    security: Security


class OvoAccount(msgspec.Struct, omit_defaults=True):
    """Who was asked; the name as OVO has it."""

    ovo_id: str
    ovo_account_name: str | None = None


class Configuration(msgspec.Struct):
    """The merchant at OVO."""

    merchant_id: str
    store_code: str
    mid: str
    tid: str


class OvoPayment(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What became of it. `status` is SUCCESS, FAILED, or TIMEOUT: nobody knows yet, use check status. `date` is WIB."""

    date: str
    batch_number: int | None = None
    trace_number: int | None = None
    reference_number: int | None = None
    approval_code: str | None = None
    response_code: str
    cash_used: int
    cash_balance: int | None = None
    ovo_points_used: int
    ovo_points_balance: int | None = None
    ovo_points_earned: int
    status: str


class PaymentResponse(msgspec.Struct, omit_defaults=True):
    """The answer to a push and to a void."""

    client: Client
    order: OrderEcho
    ovo_info: OvoAccount
    ovo_configuration: Configuration
    ovo_payment: OvoPayment
    additional_info: dict[str, Any] | None = None
