"""The whole error contract of the SNAP API on one screen. An error has exactly responseCode and responseMessage."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from gerbang.errors import Reason, Refused
from gerbang.protocols.snap.codes import CASES, response_code


class SnapError(msgspec.Struct, frozen=True):
    """What every answer has, and all that an error has: HTTP status, service and case in seven digits, and a text."""

    responseCode: str
    responseMessage: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of the contract. `message` is filled with the refusal's facts."""

    status: int
    case: str
    message: str


def _row(status: int, case: str, **facts: str) -> Answer:
    message = CASES[status, case]
    return Answer(status, case, message.format(**facts) if facts else message)


MISSING_HEADER = _row(400, "02")
MALFORMED_HEADER = _row(400, "01")
BAD_REQUEST = _row(400, "00")
TOKEN_NOT_FOUND = _row(401, "03")
INVALID_TOKEN = _row(401, "01")
CUSTOMER_TOKEN_NOT_FOUND = _row(401, "04")
INVALID_CUSTOMER_TOKEN = _row(401, "02")
UNKNOWN_CLIENT = _row(401, "00", why="Unknown Client")
NO_PUBLIC_KEY = _row(401, "00", why="No Public Key Registered")
INVALID_SIGNATURE = _row(401, "00", why="Signature Not Match")
UNKNOWN_PATH = Answer(404, "00", CASES[404, "02"])
WRONG_METHOD = _row(405, "00")
BUSY = _row(500, "00")
INTERNAL = _row(500, "01")

BY_REASON = {
    Reason.FIELD_MISSING: _row(400, "02"),
    Reason.FIELD_INVALID: _row(400, "01"),
    Reason.LINE_ITEMS_DO_NOT_ADD_UP: _row(404, "13"),
    Reason.INVOICE_ALREADY_USED: _row(409, "01"),
    Reason.INVOICE_ALREADY_PAID: _row(409, "01"),
    Reason.REQUEST_IN_PROGRESS: _row(409, "00"),
    Reason.REFERENCE_ALREADY_USED: _row(409, "01"),
    Reason.REFERENCE_NOT_FOUND: _row(404, "01"),
    Reason.CHANNEL_NOT_ENABLED: _row(403, "01", why="Payment Channel Is Inactive"),
    Reason.ORDER_NOT_FOUND: _row(404, "01"),
    Reason.PAYMENT_MOVED_ON: _row(404, "00"),
    Reason.PAYMENT_BUSY: _row(404, "00"),
    Reason.PAYMENT_NOT_PAID: _row(404, "00"),
    Reason.PAYMENT_EXPIRED: _row(403, "00"),
    Reason.PAYMENT_CANCELLED: _row(404, "04"),
    Reason.REFUND_TOO_LARGE: _row(404, "13"),
    Reason.REFUND_NOT_FOUND: _row(404, "01"),
    Reason.AUTHORISATION_NOT_FOUND: _row(404, "01"),
    Reason.AUTHORISATION_CAPTURED: _row(404, "00"),
    Reason.AUTHORISATION_VOIDED: _row(404, "04"),
    Reason.AUTHORISATION_EXPIRED: _row(403, "00"),
    Reason.CAPTURE_TOO_LARGE: _row(404, "13"),
    Reason.MERCHANT_NOT_FOUND: _row(404, "08"),
    Reason.NOT_THIS_PARTNER: _row(401, "00", why="Invalid Merchant"),
    Reason.NOT_THIS_CUSTOMER: _row(403, "15", why="Not The Account Of The Customer Token"),
    Reason.ACCOUNT_NOT_FOUND: _row(404, "11"),
    Reason.ACCOUNT_EXISTS: Answer(400, "00", "This phone number is already registered"),
    Reason.ACCOUNT_LOCKED: _row(403, "18"),
    Reason.ACCOUNT_CLOSED: _row(403, "18"),
    Reason.ACCOUNT_NOT_UPGRADED: _row(403, "15", why="Account not upgraded"),
    Reason.BINDING_NOT_FOUND: _row(404, "11"),
    Reason.LINK_OVER: _row(403, "00"),
    Reason.AUTH_CODE_INVALID: _row(401, "00", why="Invalid authCode"),
    Reason.CUSTOMER_TOKEN_INVALID: _row(401, "02"),
    Reason.OTP_WRONG: _row(404, "15"),
    Reason.OTP_EXPIRED: _row(403, "12"),
    Reason.OTP_BLOCKED: _row(403, "11"),
    Reason.OTP_ALREADY_VERIFIED: _row(404, "00"),
    Reason.TOO_MANY_REQUESTS: _row(429, "00"),
    Reason.BALANCE_TOO_SMALL: _row(403, "14"),
    Reason.BALANCE_LIMIT_EXCEEDED: _row(403, "23"),
    Reason.MONTHLY_LIMIT_EXCEEDED: _row(403, "23"),
    Reason.AMOUNT_LIMIT_EXCEEDED: _row(403, "02"),
    Reason.AMOUNT_INVALID: _row(404, "13"),
    Reason.BANK_NOT_SUPPORTED: _row(404, "03"),
    Reason.BANK_ACCOUNT_NOT_FOUND: _row(404, "11"),
    Reason.BANK_REFUSED: _row(403, "05"),
    Reason.BANK_SILENT: _row(504, "00"),
    Reason.INQUIRY_NOT_MATCHED: _row(404, "18"),
}


class Rejected(Exception):
    """A request turned down before it became a call: a row of the contract with its facts."""

    def __init__(self, answer: Answer, **facts: object) -> None:
        super().__init__(answer.case)
        self.answer = answer
        self.facts = facts


class _Facts(dict[str, object]):
    def __missing__(self, name: str) -> str:
        return ""


def error_body(answer: Answer, service_code: str, facts: Mapping[str, object] | None = None) -> bytes:
    """The JSON of an error."""
    message = answer.message.format_map(_Facts(facts or {}))
    return msgspec.json.encode(SnapError(response_code(answer.status, service_code, answer.case), message))


def answer_to(reason: Reason) -> Answer:
    """The row for a refusal. A reason without a row is a bug and answers as one."""
    return BY_REASON.get(reason, INTERNAL)


def refusal_body(refused: Refused, service_code: str) -> tuple[int, bytes]:
    """HTTP status and JSON for a refusal."""
    answer = answer_to(refused.reason)
    return answer.status, error_body(answer, service_code, refused.facts)
