"""The whole error contract of the non-SNAP API on one screen (decision D-4).

Header, client and signature errors use lower_snake codes and `invalid_request_error` (observed live); body errors use
UPPER_SNAKE codes and `Invalid Parameter` (DOKU's samples). HTTP statuses other than that of a missing header were never
observed: they are ours, and each is one entry here.
"""

from dataclasses import dataclass

import msgspec

from gerbang.errors import Reason, Refused

_HEADER = "invalid_request_error"
_BODY = "Invalid Parameter"


class ErrorDetail(msgspec.Struct, frozen=True):
    """What went wrong: a code for programs, a message for people."""

    code: str
    message: str
    type: str


class ErrorBody(msgspec.Struct, frozen=True):
    """Error family A: the answer of every direct API."""

    error: ErrorDetail


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of the contract. `message` is filled with the refusal's facts."""

    status: int
    code: str
    message: str
    type: str


MISSING_HEADER = Answer(400, "invalid_header_request", "Header {name} is required", _HEADER)
MALFORMED_HEADER = Answer(400, "invalid_header_request", "Invalid format Header {name}", _HEADER)
TIME_OUT_OF_RANGE = Answer(
    400, "request_time_out_of_range", "Header Request-Timestamp is not in +- {window} second of now", _HEADER
)
INVALID_CLIENT_ID = Answer(400, "invalid_client_id", "Invalid Client-Id", _HEADER)
INVALID_SIGNATURE = Answer(400, "invalid_signature", "Invalid Header Signature", _HEADER)
NOT_AN_OBJECT = Answer(400, "INVALID_PARAMETER", "Bad Request", _BODY)
BODY_TOO_LARGE = Answer(413, "INVALID_PARAMETER", "Request Body Too Large", _BODY)
INTERNAL = Answer(500, "internal_server_error", "Internal Server Error", "api_error")
BUSY = Answer(503, "service_unavailable", "Service Unavailable", "api_error")

BY_REASON = {
    Reason.FIELD_MISSING: Answer(400, "INVALID_PARAMETER", "{field} Must Not Be Blank", _BODY),
    Reason.FIELD_INVALID: Answer(400, "INVALID_PARAMETER", "{field} Invalid Format", _BODY),
    Reason.LINE_ITEMS_DO_NOT_ADD_UP: Answer(400, "INVALID_PARAMETER", "Invalid Total Amount And Line Items", _BODY),
    Reason.INVOICE_ALREADY_USED: Answer(400, "INVALID_PARAMETER", "Invoice Number Already Used", _BODY),
    Reason.INVOICE_ALREADY_PAID: Answer(400, "INVALID_PARAMETER", "Invoice Number Already Paid", _BODY),
    # In the words of a used invoice number. [inferred]
    Reason.PAYMENT_CODE_IN_USE: Answer(400, "INVALID_PARAMETER", "Payment Code Already Used", _BODY),
    Reason.REQUEST_IN_PROGRESS: Answer(409, "idempotent_request", "Idempotent Request", _HEADER),
    Reason.CHANNEL_NOT_ENABLED: Answer(400, "CHANNEL_NOT_ENABLED", "Payment Channel Is Inactive", _BODY),
    Reason.PAYMENT_BUSY: Answer(409, "INVALID_PARAMETER", "Payment Is Being Processed", _BODY),
    Reason.PAYMENT_NOT_PAID: Answer(400, "INVALID_PARAMETER", "Transaction Not Paid", _BODY),
    Reason.REFUND_TOO_LARGE: Answer(400, "INVALID_PARAMETER", "Refund Amount Exceeds Transaction Amount", _BODY),
    # Nothing is documented for a merchant whose money is gone already. [inferred]
    Reason.BALANCE_TOO_SMALL: Answer(400, "INVALID_PARAMETER", "Insufficient Balance", _BODY),
    Reason.REFUND_NOT_FOUND: Answer(400, "INVALID_PARAMETER", "Transaction Not Found", _BODY),
    Reason.AUTHORISATION_NOT_FOUND: Answer(400, "INVALID_PARAMETER", "Authorize Id Not Found", _BODY),
    Reason.AUTHORISATION_CAPTURED: Answer(400, "INVALID_PARAMETER", "Authorization Already Captured", _BODY),
    Reason.AUTHORISATION_VOIDED: Answer(400, "INVALID_PARAMETER", "Authorization Already Voided", _BODY),
    Reason.AUTHORISATION_EXPIRED: Answer(400, "INVALID_PARAMETER", "Authorization Expired", _BODY),
    Reason.CAPTURE_TOO_LARGE: Answer(400, "INVALID_PARAMETER", "Capture Amount Exceeds Authorized Amount", _BODY),
    Reason.AUTHENTICATION_NOT_FOUND: Answer(400, "INVALID_PARAMETER", "three_dsecure.authentication_id Invalid Format", _BODY),
    # The question is on disk: the same request again asks it again. [inferred]
    Reason.PROVIDER_SILENT: BUSY,
    Reason.ORDER_NOT_FOUND: Answer(404, "data_not_found", "Data Not Found", _HEADER),
}


class Rejected(Exception):
    """A request turned down before it became a call: a row of the contract with its facts."""

    def __init__(self, answer: Answer, **facts: object) -> None:
        super().__init__(answer.code)
        self.answer = answer
        self.facts = facts


def body_of(answer: Answer, facts: "dict[str, object]") -> bytes:
    """The JSON of an error."""
    return msgspec.json.encode(ErrorBody(ErrorDetail(answer.code, answer.message.format(**facts), answer.type)))


def answer_to(refused: Refused) -> Answer:
    """The row for a refusal. A reason without a row is a bug and answers as one."""
    return BY_REASON.get(refused.reason, INTERNAL)
