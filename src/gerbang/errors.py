"""What the domain may refuse, and nothing about how a protocol words it."""

from enum import StrEnum


class Reason(StrEnum):
    """Why something was turned down. Each protocol owns one table from Reason to its code and wording."""

    FIELD_MISSING = "a mandatory field is missing"
    FIELD_INVALID = "a field has an invalid format"
    LINE_ITEMS_DO_NOT_ADD_UP = "the line items do not add up to the amount"
    INVOICE_ALREADY_USED = "the invoice number was used before"
    INVOICE_ALREADY_PAID = "the invoice number was paid before"
    PAYMENT_CODE_IN_USE = "the payment code stands for another payment"
    REQUEST_IN_PROGRESS = "the same request is still running"
    CHANNEL_NOT_ENABLED = "the merchant has not this channel"
    ORDER_NOT_FOUND = "no such order"
    PAYMENT_MOVED_ON = "the payment is no longer in a state that allows this"
    PAYMENT_BUSY = "something else is being done with this payment"
    PAYMENT_NOT_PAID = "the payment is not paid"
    REFUND_TOO_LARGE = "more would go back than was paid"
    REFUND_NOT_FOUND = "no such refund"
    AUTHORISATION_NOT_FOUND = "no such authorisation"
    AUTHORISATION_CAPTURED = "the authorisation was captured before"
    AUTHORISATION_VOIDED = "the authorisation was voided before"
    AUTHORISATION_EXPIRED = "the authorisation is over"
    CAPTURE_TOO_LARGE = "more would be captured than was authorised"
    AUTHENTICATION_NOT_FOUND = "no such 3-D Secure authentication, or it is over or used"
    MERCHANT_NOT_FOUND = "no such merchant"
    MERCHANT_EXISTS = "a merchant with this client id exists already"
    ACCOUNT_NOT_FOUND = "no such wallet account"
    ACCOUNT_EXISTS = "an account with this phone number exists already"
    ACCOUNT_LOCKED = "the account is locked"
    ACCOUNT_CLOSED = "the account is closed"
    BALANCE_TOO_SMALL = "the balance is not enough"
    BALANCE_LIMIT_EXCEEDED = "the account would hold more than its level allows"
    MONTHLY_LIMIT_EXCEEDED = "the account would receive more in a month than its level allows"
    NOTIFICATION_NOT_FOUND = "no such notification"
    CLOCK_NOT_MOVABLE = "the clock can be moved in the sandbox only"
    TOO_MANY_REQUESTS = "too many of these in a short time"
    REFERENCE_ALREADY_USED = "the partner's reference was used before"
    REFERENCE_NOT_FOUND = "the partner's reference is not known"
    CUSTOMER_TOKEN_INVALID = "no such customer token, or it is over"  # noqa: S105
    AUTH_CODE_INVALID = "no such auth code, or it is over or used"
    BINDING_NOT_FOUND = "no such binding"
    NOT_THIS_PARTNER = "the partner named is not the one that calls"
    NOT_THIS_CUSTOMER = "the customer named is not the one of the customer token"
    OTP_WRONG = "the one-time password is wrong"
    OTP_EXPIRED = "the one-time password is over"
    OTP_BLOCKED = "too many wrong one-time passwords"
    OTP_ALREADY_VERIFIED = "the one-time password was used before"
    LINK_OVER = "the link is over, was used, or was replaced by a newer one"
    KYC_NOT_FOUND = "nobody asked for this account to be upgraded"
    KYC_DECIDED = "this account is upgraded, or its request waits for a decision"
    ACCOUNT_NOT_UPGRADED = "the account's level does not allow this"
    AMOUNT_INVALID = "the amount is not one that can be moved here"
    AMOUNT_LIMIT_EXCEEDED = "one such movement may not be that large"
    BANK_NOT_SUPPORTED = "no transfers to this bank"
    BANK_ACCOUNT_NOT_FOUND = "the bank knows no such account"
    BANK_REFUSED = "the bank did not make the transfer"
    BANK_SILENT = "the bank did not answer"
    INQUIRY_NOT_MATCHED = "what is asked for is not what was inquired"
    PAYMENT_EXPIRED = "the payment's time is over"
    PROVIDER_SILENT = "the provider does not answer"
    UNEXPECTED_NOT_FOUND = "no such unexpected money"
    PAYMENT_CANCELLED = "the payment was cancelled before"


class Refused(Exception):
    """Understood and turned down. Nothing was written: raising rolls back.

    facts  what a person needs to understand it, e.g. field="order.amount"
    """

    def __init__(self, reason: Reason, **facts: object) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.facts = facts

    def __str__(self) -> str:
        if not self.facts:
            return self.reason.value
        return f"{self.reason.value} ({', '.join(f'{name} {value}' for name, value in self.facts.items())})"
