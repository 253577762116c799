"""What a merchant is told about a card payment: notification and check status. Both follow the newest charge.

Shapes: a notification captured from DOKU's sandbox, and the global check-status reference; the spellings differ on purpose
(`three_d_secure_status` here, `three_dsecure_status` there).
"""

import hashlib
from typing import Any

from gerbang.channels.credit_card.authentication import flag
from gerbang.channels.credit_card.charges import Charge, ChargeState, current_charge
from gerbang.channels.credit_card.numbers import Brand
from gerbang.channels.credit_card.options import PaymentType
from gerbang.channels.credit_card.responses import response
from gerbang.channels.credit_card.terms import CODE, Terms, terms_of
from gerbang.clock import iso_z
from gerbang.payments import Order, Payment, PaymentState, Refund, RefundState, RefundType, refunds_of
from gerbang.protocols.nonsnap.notification import STATUS_WORD, additional_info
from gerbang.storage import Tx

NAME = "Credit Card"
_DEFAULT_ACQUIRER = "BANK_MANDIRI"


def identifiers(merchant_id: str, acquirer: str) -> list[dict[str, str]]:
    """MID, Acquirer and TID: the same for a merchant and an acquirer for ever, as real ones are."""
    seed = hashlib.sha256(f"{merchant_id}|{acquirer}".encode()).digest()
    mid, tid = int.from_bytes(seed[:8], "big"), int.from_bytes(seed[8:16], "big")
    return [
        {"name": "MID", "value": f"{mid % 10**15:015d}"},
        {"name": "Acquirer", "value": acquirer},
        {"name": "TID", "value": f"{tid % 10**8:08d}"},
    ]


def notification(tx: Tx, order: Order, payment: Payment) -> dict[str, Any]:
    """The body of the notification that tells where the payment stands now (cards §12)."""
    terms = terms_of(order)
    charge = current_charge(tx, payment.id)
    refund = _newest_refund(tx, payment)
    body: dict[str, Any] = {"order": _order(order, payment, charge)}
    customer = {name: terms.customer[name] for name in ("id", "name", "email") if terms.customer.get(name)}
    if customer:
        body["customer"] = customer
    body["transaction"] = {
        "type": _type(terms, payment, charge, refund),
        "status": _status(payment, charge, refund),
        "date": iso_z(_date(payment, charge, refund)),
        "original_request_id": order.request_id,
    }
    body |= {"service": {"id": CODE}, "acquirer": {"id": _acquirer(charge)}, "channel": {"id": CODE, "name": NAME}}
    echo = additional_info(order)
    if echo:
        body["additional_info"] = echo
    if charge is None:
        return body
    body["card_payment"] = {
        "masked_card_number": charge.details.masked,
        **_answer(charge, payment, refund),
        "issuer": charge.details.issuer,
        "identifier": identifiers(charge.merchant_id, charge.details.acquirer),
        **_if("authorize_id", charge.authorize_id),
        "brand": charge.details.brand,
        "authentication_id": charge.authentication_id or "",
        "three_d_secure_status": flag(charge.details.trans_status),
        **_if("token_id", charge.details.token),
        **({"charged_amount": payment.charged or charge.amount} if charge.details.discount else {}),
    }
    if charge.authorize_id:
        # One documented sample has it at the top, the seed's prose under payment, real traffic above: all three (S2-65).
        body["authorize_id"] = charge.authorize_id
        body["payment"] = {"authorize_id": charge.authorize_id}
    if charge.details.tenor:
        body["payment"] = body.get("payment", {}) | {
            "acquirer": charge.details.plan_bank or charge.details.acquirer,
            "tenor": charge.details.tenor,
        }
    if charge.details.token:
        body["card"] = {"token": charge.details.token}
    if refund is not None:
        body["refund"] = {"amount": refund.amount, "type": refund.type.value, "status": _refund_status(refund)}
    body["verification"] = {"status": charge.details.risk_status, "reason": charge.details.risk_reason}
    # How a marketplace wants the money split is told back at the top, as a public client shows it (S2-125).
    settlement = (order.details.get("additional_info") or {}).get("settlement")
    if settlement:
        body["settlement"] = settlement
    return body


def status(tx: Tx, order: Order, payment: Payment) -> dict[str, Any]:
    """The body of check status (cards §16). Amounts inside transaction and refund are text, as documented."""
    charge = current_charge(tx, payment.id)
    refund = _newest_refund(tx, payment)
    terms = terms_of(order)
    body: dict[str, Any] = {
        "order": _order(order, payment, charge) | {"status": "ORDER_GENERATED"},
        "transaction": {
            "status": _status(payment, charge, refund),
            "type": _type(terms, payment, charge, refund),
            "date": iso_z(_date(payment, charge, refund)),
            "original_request_id": order.request_id,
        },
        "service": {"id": CODE},
        "acquirer": {"id": _acquirer(charge), "name": _acquirer(charge)},
        "channel": {"id": CODE},
    }
    if payment.charged is not None:
        body["transaction"]["amount"] = str(payment.charged)
    if charge is not None:
        details = charge.details
        in_3ds = charge.state is ChargeState.AUTHENTICATING
        body["card_payment"] = {
            "card_masked": details.masked,
            **_answer(charge, payment, refund),
            "type": details.payment_type,
            "acquiring_off_us_status": "TRUE" if details.off_us else "FALSE",
            "request_id": order.request_id,
            "card_type": details.brand if in_3ds else details.card_type,
            "three_dsecure_status": flag(details.trans_status),
            "issuer": details.issuer,
            "transaction_status": "REDIRECT" if in_3ds else body["transaction"]["status"],
            "brand": details.brand,
            "date": iso_z(charge.created_at),
            **_if("authorize_id", charge.authorize_id),
            "authentication_id": charge.authentication_id or "",
            **_if("token_id", details.token),
            **_if("card_holder_name", details.holder),
            "identifier": identifiers(charge.merchant_id, details.acquirer),
        }
        body["verification"] = {"status": details.risk_status, "reason": details.risk_reason}
    if refund is not None:
        body["refund"] = {"amount": str(refund.amount)}
    echo = additional_info(order)
    if echo:
        body["additional_info"] = echo
    return body


def response_message(charge: Charge) -> str:
    """The acquirer's words for its code."""
    return response(charge.response_code or "", Brand(charge.details.brand)).message


def _answer(charge: Charge, payment: Payment, refund: Refund | None) -> dict[str, str]:
    approval = charge.details.approval_code
    found: dict[str, str] = _if("approval_code", approval)
    if charge.response_code is not None:
        found["response_code"] = charge.response_code
        found["response_message"] = response_message(charge)
    if payment.state is PaymentState.RELEASED:
        found["response_message"] = "AUTHORIZATION RELEASED"
    elif refund is not None and refund.state is RefundState.SUCCESS:
        word = "Void" if refund.type is RefundType.VOID else "Refund"
        found["response_message"] = f"Transaction Has Been Successfully {word}"
    return found


def _if(name: str, value: str | None) -> dict[str, str]:
    return {name: value} if value else {}


def _acquirer(charge: Charge | None) -> str:
    return charge.details.acquirer if charge else _DEFAULT_ACQUIRER


def _order(order: Order, payment: Payment, charge: Charge | None) -> dict[str, Any]:
    """The amount stays what the merchant asked (its plugins look the order up by it), but a capture's is what was captured."""
    amount = payment.amount
    if charge is not None and charge.authorize_id and payment.state is PaymentState.SUCCESS and not charge.details.capture:
        amount = payment.charged or amount
    told: dict[str, Any] = {"invoice_number": order.invoice_number, "amount": amount}
    if charge is not None and charge.details.discount:
        told["discount_amount"] = charge.details.discount
    return told


def _type(terms: Terms, payment: Payment, charge: Charge | None, refund: Refund | None) -> str:
    if refund is not None and refund.state is not RefundState.FAILED:
        return "REFUND"
    if payment.state.is_paid and charge is not None and charge.authorize_id and not charge.details.capture:
        return "CAPTURE"
    return charge.details.payment_type if charge else terms.payment_type.value


def _status(payment: Payment, charge: Charge | None, refund: Refund | None) -> str:
    # A declined attempt on a page that is still open is FAILED, which is not a final word (cards §16).
    if payment.state is PaymentState.PENDING and charge is not None and charge.state is ChargeState.DECLINED:
        return "FAILED"
    return STATUS_WORD[payment.state]


def _refund_status(refund: Refund) -> str:
    return "FAILED" if refund.state is RefundState.FAILED else "SUCCESS"


def _date(payment: Payment, charge: Charge | None, refund: Refund | None) -> Any:
    if refund is not None and refund.finished_at is not None:
        return refund.finished_at
    if charge is not None and not payment.state.is_paid:
        return charge.created_at
    return payment.finished_at or payment.created_at


def _newest_refund(tx: Tx, payment: Payment) -> Refund | None:
    if not payment.state.is_paid:
        return None
    found = [one for one in refunds_of(tx, payment.id) if one.state is RefundState.SUCCESS]
    return found[-1] if found else None


def payment_type_of(charge: Charge) -> PaymentType:
    """The type this charge was made with."""
    return PaymentType(charge.details.payment_type)
