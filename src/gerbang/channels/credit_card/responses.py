"""What the acquirer's two-character response codes mean: for the merchant, for the buyer, and for what happens next.

Codes, brands and categories are those of DOKU's card documentation; the messages are the schemes' own names in the form of the
one message that is known from real traffic ("PAYMENT APPROVED"). The advice is ours. [inferred]
"""

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum

from gerbang.channels.credit_card.numbers import Brand


class Category(StrEnum):
    """What a merchant may do with an answer."""

    APPROVED = "A"
    NEVER = "N"  # the issuer will never approve this card
    LATER = "L"  # cannot be approved now
    DETAILS = "D"  # something that was sent is wrong
    GENERIC = "G"


class BuyerText(StrEnum):
    """Which words the buyer reads. Lost, stolen and suspected are never told apart (S2-62)."""

    DECLINED = "declined"
    LIMIT = "limit"
    EXPIRED = "expired"
    NUMBER = "number"
    CVV = "cvv"
    VERIFICATION = "verification"
    UNUSABLE = "unusable"
    NOT_ACCEPTED = "not_accepted"
    NOT_PROCESSED = "not_processed"
    BANK_SILENT = "bank_silent"


@dataclass(frozen=True, slots=True)
class Response:
    """One meaning of one code. `brands` None: every brand; `buyer` None: there is nothing to explain."""

    code: str
    category: Category
    brands: frozenset[Brand] | None
    message: str
    buyer: BuyerText | None
    advice: str

    def applies_to(self, brand: Brand) -> bool:
        """Whether this row speaks of cards of this brand."""
        return self.brands is None or brand in self.brands


APPROVED = "00"
AUTHENTICATION_DECLINED = "DA"
RISK_REJECTED = "RJ"
TIMED_OUT = "TO"

# Nobody knows what the bank did: the money may have moved, so the authorisation has to be reversed.
_SILENT = frozenset({"91", "96", TIMED_OUT, "1Z"})

_RETRY_ONCE = "May be retried once, later; the buyer's bank knows why."
_CONTACT = "The buyer has to speak to the bank; offer another card."
_MONEY = "Offer another card or a smaller amount, or try again tomorrow."
_NEVER = "Never retry this card; delete its token."
_CHECK_DETAILS = "Do not retry the same number; let the buyer type it again."
_CVV = "Let the buyer enter the security code again."
_AUTHENTICATE = "Start again with 3-D Secure."
_RISK = "Review the risk; never retry by itself, and tell the buyer no detail."
_CONFIGURATION = "Check your configuration with the acquirer; retrying does not help."
_DUPLICATE = "Check for an earlier transaction with the same data before you retry."
_SILENCE = "Check the status first; retry only when it says that nothing was charged."
_TECHNICAL = "Technical refusal by the bank or the network; may be retried once, later."
_NOTHING_TO_DO = "None."

_V, _M = "V", "M"

# code, category, brands (V: Visa only, M: Mastercard only), message, buyer text, advice
_TABLE: tuple[tuple[str, str, str, str, str, str], ...] = (
    ("00", "A", "", "PAYMENT APPROVED", "", _NOTHING_TO_DO),
    ("08", "A", _V, "HONOUR WITH IDENTIFICATION", "", _NOTHING_TO_DO),
    ("11", "A", _M, "VIP APPROVAL", "", _NOTHING_TO_DO),
    ("85", "A", "", "NO REASON TO DECLINE", "", _NOTHING_TO_DO),
    ("87", "A", _M, "PURCHASE AMOUNT ONLY, NO CASH BACK", "", _NOTHING_TO_DO),
    ("04", "N", "", "PICK UP CARD", "unusable", _NEVER),
    ("07", "N", _V, "PICK UP CARD, SPECIAL CONDITION", "unusable", _NEVER),
    ("12", "N", "", "INVALID TRANSACTION", "not_processed", _CONFIGURATION),
    ("14", "N", "", "INVALID CARD NUMBER", "number", _CHECK_DETAILS),
    ("15", "N", "", "NO SUCH ISSUER", "number", _CHECK_DETAILS),
    ("41", "N", "", "LOST CARD", "unusable", _NEVER),
    ("43", "N", "", "STOLEN CARD", "unusable", _NEVER),
    ("46", "N", _V, "CLOSED ACCOUNT", "unusable", _NEVER),
    ("57", "N", "", "TRANSACTION NOT PERMITTED TO CARDHOLDER", "unusable", _NEVER),
    ("R0", "N", _V, "STOP PAYMENT ORDER", "unusable", _NEVER),
    ("R1", "N", _V, "REVOCATION OF AUTHORIZATION ORDER", "unusable", _NEVER),
    ("R3", "N", _V, "REVOCATION OF ALL AUTHORIZATION ORDERS", "unusable", _NEVER),
    ("03", "L", "", "INVALID MERCHANT", "not_processed", _CONFIGURATION),
    ("19", "L", _V, "RE-ENTER TRANSACTION", "not_processed", _TECHNICAL),
    ("39", "L", _V, "NO CREDIT ACCOUNT", "declined", _CONTACT),
    ("51", "L", "", "INSUFFICIENT FUNDS", "limit", _MONEY),
    ("52", "L", _V, "NO CHECKING ACCOUNT", "declined", _CONTACT),
    ("53", "L", _V, "NO SAVINGS ACCOUNT", "declined", _CONTACT),
    ("59", "L", "", "SUSPECTED FRAUD", "not_accepted", _RISK),
    ("61", "L", "", "EXCEEDS AMOUNT LIMIT", "limit", _MONEY),
    ("62", "L", "", "RESTRICTED CARD", "declined", _RETRY_ONCE),
    ("65", "L", "", "EXCEEDS FREQUENCY LIMIT", "limit", _MONEY),
    ("70", "L", _M, "CONTACT CARD ISSUER", "declined", _CONTACT),
    ("71", "L", _M, "PIN NOT CHANGED", "declined", _CONTACT),
    ("75", "L", "", "PIN TRIES EXCEEDED", "declined", _CONTACT),
    ("78", "L", _V, "BLOCKED, FIRST USE", "declined", _CONTACT),
    ("86", "L", "", "PIN CANNOT BE VERIFIED", "verification", _AUTHENTICATE),
    ("91", "L", "", "ISSUER OR SWITCH INOPERATIVE", "bank_silent", _SILENCE),
    ("93", "L", _V, "VIOLATION OF LAW", "declined", _CONTACT),
    ("96", "L", "", "SYSTEM MALFUNCTION", "bank_silent", _SILENCE),
    ("DA", "L", "", "DECLINED AUTHENTICATION", "verification", _AUTHENTICATE),
    ("TO", "L", "", "TIMEOUT", "bank_silent", _SILENCE),
    ("N3", "L", _V, "CASH SERVICE NOT AVAILABLE", "not_processed", _CONFIGURATION),
    ("N4", "L", _V, "CASH REQUEST EXCEEDS LIMIT", "limit", _MONEY),
    ("54", "D", "", "EXPIRED CARD", "expired", "Ask for a new card; a saved one needs its new expiry date."),
    ("55", "D", "", "INCORRECT PIN", "verification", _AUTHENTICATE),
    ("63", "D", "", "SECURITY VIOLATION", "declined", _CONTACT),
    ("70", "D", _V, "PIN DATA REQUIRED", "declined", _RETRY_ONCE),
    ("82", "D", _V, "NEGATIVE CVV RESULT", "cvv", _CVV),
    ("RJ", "D", "", "DECISION BLACK LIST", "not_accepted", _RISK),
    ("1A", "D", "", "AUTHENTICATION REQUIRED", "verification", _AUTHENTICATE),
    ("N7", "D", _V, "CVV2 FAILURE", "cvv", _CVV),
    ("01", "G", "", "REFER TO CARD ISSUER", "declined", _RETRY_ONCE),
    ("02", "G", "", "REFER TO CARD ISSUER, SPECIAL CONDITION", "declined", _RETRY_ONCE),
    ("05", "G", "", "DO NOT HONOUR", "declined", _RETRY_ONCE),
    ("06", "G", _V, "ERROR", "not_processed", _TECHNICAL),
    ("10", "G", "", "PARTIAL APPROVAL", "limit", "The bank approved a part only, which is not taken; offer another card."),
    ("13", "G", "", "INVALID AMOUNT", "not_processed", _CONFIGURATION),
    ("21", "G", _V, "NO ACTION TAKEN", "not_processed", _TECHNICAL),
    ("25", "G", _V, "UNABLE TO LOCATE RECORD IN FILE", "not_processed", _TECHNICAL),
    ("28", "G", _V, "FILE TEMPORARILY NOT AVAILABLE", "not_processed", _TECHNICAL),
    ("30", "G", _M, "FORMAT ERROR", "not_processed", _CONFIGURATION),
    ("58", "G", "", "TRANSACTION NOT PERMITTED TO TERMINAL", "not_processed", _CONFIGURATION),
    ("64", "G", _V, "DOES NOT FULFIL AML REQUIREMENT", "not_accepted", _RISK),
    ("74", "G", "", "PIN ENCRYPTION ERROR", "not_processed", _TECHNICAL),
    ("76", "G", _V, "REVERSAL DATA DOES NOT MATCH", "not_processed", _DUPLICATE),
    ("76", "G", "", "INVALID TO ACCOUNT", "not_processed", _TECHNICAL),
    ("77", "G", _M, "INVALID FROM ACCOUNT", "number", _CHECK_DETAILS),
    ("78", "G", _M, "INVALID ACCOUNT", "number", _CHECK_DETAILS),
    ("79", "G", _M, "LIFE CYCLE", "not_processed", _TECHNICAL),
    ("79", "G", _V, "ALREADY REVERSED", "not_processed", _DUPLICATE),
    ("80", "G", _V, "NO FINANCIAL IMPACT", "not_processed", _TECHNICAL),
    ("80", "G", "", "SYSTEM NOT AVAILABLE", "not_processed", _TECHNICAL),
    ("81", "G", _M, "DOMESTIC TRANSACTION NOT ALLOWED", "declined", _CONTACT),
    ("81", "G", "", "PIN CRYPTOGRAPHIC ERROR", "not_processed", _TECHNICAL),
    ("82", "G", _M, "DECLINED BY POLICY", "declined", _CONTACT),
    ("83", "G", _M, "FRAUD OR SECURITY", "not_accepted", _RISK),
    ("84", "G", _M, "INVALID AUTHORIZATION LIFE CYCLE", "not_processed", _DUPLICATE),
    ("88", "G", "", "CRYPTOGRAPHIC FAILURE", "not_processed", _TECHNICAL),
    ("89", "G", _M, "UNACCEPTABLE PIN, RETRY", "declined", _CONTACT),
    ("89", "G", "", "TERMINAL ERROR", "not_processed", _CONFIGURATION),
    ("90", "G", _M, "CUT-OFF IN PROGRESS", "not_processed", _TECHNICAL),
    ("92", "G", "", "UNABLE TO ROUTE TRANSACTION", "not_processed", _TECHNICAL),
    ("94", "G", "", "DUPLICATE TRANSACTION", "not_processed", _DUPLICATE),
    ("6P", "G", _V, "VERIFICATION DATA FAILED", "verification", _AUTHENTICATE),
    ("B1", "G", _V, "SURCHARGE AMOUNT NOT PERMITTED", "not_processed", _CONFIGURATION),
    ("B2", "G", _V, "SURCHARGE AMOUNT NOT SUPPORTED", "not_processed", _CONFIGURATION),
    ("N0", "G", _V, "FORCE STAND-IN PROCESSING", "not_processed", _TECHNICAL),
    ("N5", "G", _V, "INELIGIBLE FOR RESUBMISSION", "not_processed", _DUPLICATE),
    ("N8", "G", _V, "EXCEEDS PREAUTHORIZED AMOUNT", "not_processed", _CONFIGURATION),
    ("P5", "G", _V, "PIN UNBLOCK DENIED", "declined", _CONTACT),
    ("P6", "G", _V, "PIN CHANGE DENIED", "declined", _CONTACT),
    ("Q1", "G", _V, "CARD AUTHENTICATION FAILED", "verification", _AUTHENTICATE),
    ("R2", "G", _V, "DOES NOT QUALIFY FOR VISA PIN", "not_processed", _CONFIGURATION),
    ("Z3", "G", _V, "UNABLE TO GO ONLINE, DECLINED", "not_processed", _TECHNICAL),
    ("1Z", "G", _M, "AUTHORIZATION SYSTEM INOPERATIVE", "bank_silent", _SILENCE),
)

_BRANDS = {"": None, _V: frozenset({Brand.VISA}), _M: frozenset({Brand.MASTER})}

RESPONSES: tuple[Response, ...] = tuple(
    Response(code, Category(category), _BRANDS[brands], message, BuyerText(buyer) if buyer else None, advice)
    for code, category, brands, message, buyer, advice in _TABLE
)

_OF_BRAND = {(row.code, brand): row for row in RESPONSES if row.brands for brand in row.brands}
_OF_ALL = {row.code: row for row in RESPONSES if row.brands is None}
_FIRST = {row.code: row for row in reversed(RESPONSES)}
_COUNT = Counter(row.code for row in RESPONSES)
_ONLY_DECLINE = {row.code: row for row in RESPONSES if _COUNT[row.code] == 1 and row.category is not Category.APPROVED}

_UNKNOWN = Response("", Category.GENERIC, None, "DECLINED", BuyerText.DECLINED, "The code is in no table; ask the acquirer.")


KNOWN_CODES = tuple(dict.fromkeys(row.code for row in RESPONSES))


def response(code: str, brand: Brand | None = None) -> Response:
    """What the code means for a card of this brand. The brand's own row wins over the common one.

    Without a brand: the common row, else the first. A code that is documented for another brand only, in one meaning, means the same
    here unless it approves: money is not taken on a code nobody explained for this card. Everything else is a generic decline.
    """
    found = _OF_ALL.get(code) or _FIRST.get(code) if brand is None else _OF_BRAND.get((code, brand)) or _OF_ALL.get(code)
    return found or _ONLY_DECLINE.get(code) or replace(_UNKNOWN, code=code)


def is_approved(code: str, brand: Brand | None = None) -> bool:
    """Whether the money was taken or reserved."""
    return response(code, brand).category is Category.APPROVED


def is_silent(code: str) -> bool:
    """Whether the outcome is unknown, so that the authorisation has to be reversed before anything is tried again."""
    return code in _SILENT


def of_brand(brand: Brand) -> tuple[Response, ...]:
    """Every code that a card of this brand can answer with, each in the brand's own meaning, in the order of the table."""
    codes = dict.fromkeys(row.code for row in RESPONSES if row.applies_to(brand))
    return tuple(response(code, brand) for code in codes)
