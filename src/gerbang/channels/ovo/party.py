"""OVO as the sandbox pretends it. The magic phone numbers are ours: DOKU documents none."""

import hashlib
from typing import Any

from gerbang.providers.party import BALANCE, BUYER, Behaviour, Party
from gerbang.providers.questions import Asked
from gerbang.web.theme import Theme

CODE = "EMONEY_OVO"


def at_once(asked: Asked) -> Behaviour | None:
    """What needs no buyer: so that a test may wait for the answer without playing one beside it."""
    match asked.payer[-4:]:
        case "0000":
            return Behaviour.FAILED
        case "8888":
            return PARTY.behaviour(asked)
        case "9999":
            return Behaviour.NO_ANSWER
    return None


def facts(asked: Asked) -> dict[str, Any]:
    """The account asked, and OVO's numbers of the push, the same for an order however often it is asked for."""
    drawn = hashlib.sha256(f"{asked.merchant_id}|{asked.invoice_number}".encode()).digest()
    return {
        "ovo_account_name": BUYER,
        "batch_number": 1,
        "trace_number": 1 + int.from_bytes(drawn[:4], "big") % 999_999,
        "reference_number": 1 + int.from_bytes(drawn[4:8], "big") % 999_999,
    }


def tells(asked: Asked, _receipt: str) -> dict[str, Any]:
    """How the buyer paid: all of it in cash."""
    return {
        "cash_used": asked.amount,
        "cash_balance": max(0, BALANCE - asked.amount),
        "ovo_points_used": 0,
        "ovo_points_balance": 0,
        "ovo_points_earned": 0,
    }


PARTY = Party(
    code=CODE,
    name="OVO",
    slug="ovo",
    kind="app",
    theme=Theme(background="F4F2F7", font="1D1826", button="4B2A82", button_font="FFFFFF"),
    magic={
        "ovo_info.ovo_id ending 0000": "the buyer refuses at once",
        "ovo_info.ovo_id ending 8888": "the buyer presses Pay at once; what that does is up to the amount",
        "ovo_info.ovo_id ending 9999": "the buyer does not answer: TIMEOUT after the 70 s of the setting ovo_timeout_s",
    },
    at_once=at_once,
    facts=facts,
    tells=tells,
)
