"""What is expected to go wrong, and what to do then."""

import click

from gerbang.errors import Reason, Refused
from gerbang.settings import BadSettings
from gerbang.storage import StorageBusy, StorageTooNew, StorageUnusable

_HINTS = {
    Reason.MERCHANT_NOT_FOUND: "`gerbang merchant list` shows those there are",
    Reason.MERCHANT_EXISTS: "choose another --client-id, or change that one with `gerbang merchant update`",
    Reason.ACCOUNT_NOT_FOUND: "`gerbang wallet list` shows those there are",
    Reason.ACCOUNT_EXISTS: "`gerbang wallet list` shows it",
    Reason.ACCOUNT_CLOSED: "it stays closed; open another with `gerbang wallet create`",
    Reason.BALANCE_LIMIT_EXCEEDED: "give less, or raise wallet_basic_balance_limit or wallet_premium_balance_limit",
    Reason.MONTHLY_LIMIT_EXCEEDED: "wait for next month, or raise wallet_basic_monthly_limit or wallet_premium_monthly_limit",
    Reason.ORDER_NOT_FOUND: "`gerbang payments list` shows the newest",
    Reason.REFUND_NOT_FOUND: "`gerbang refunds list` shows those that wait",
    Reason.UNEXPECTED_NOT_FOUND: "`gerbang unexpected list` shows what waits",
    Reason.NOTIFICATION_NOT_FOUND: "`gerbang notifications list` shows the newest",
    Reason.CLOCK_NOT_MOVABLE: "the settings say mode = production, where time is real",
}

_FIELDS = {
    "name": "give --name some letters",
    "client_id": "--client-id is at most 64 printable ASCII characters without blanks",
    "secret_key": "--secret-key is at most 256 printable ASCII characters without blanks",
    "notification_url": "--notification-url is an absolute address such as https://shop.example/notify",
    "phone": "a phone number has 8 to 16 digits, e.g. 081234567890",
    "pin": "a PIN is six digits",
    "amount": "an amount is at least Rp 1",
}


class Failure(click.ClickException):
    """One line on stderr: what is wrong and what to do next."""


class Misuse(Failure):
    """The same for what was asked wrongly."""

    exit_code = 2


def explained(error: Exception) -> Failure | None:
    """The line for an expected error; None for a mistake of ours, which deserves its traceback."""
    if isinstance(error, Refused):
        return Failure(_refusal(error))
    if isinstance(error, BadSettings):
        return Misuse(str(error))
    if isinstance(error, StorageUnusable):
        return Failure(f"the data cannot be used: {_one_line(error)}")
    if isinstance(error, StorageBusy):
        return Failure(f"the data is busy or out of reach: {_one_line(error)}; nothing was changed, so try again")
    if isinstance(error, StorageTooNew):
        return Failure(_one_line(error))
    return None


def _refusal(refused: Refused) -> str:
    hint = _HINTS.get(refused.reason)
    if refused.reason in (Reason.FIELD_INVALID, Reason.FIELD_MISSING):
        hint = _FIELDS.get(str(refused.facts.get("field")))
    return f"{refused}; {hint}" if hint else str(refused)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
