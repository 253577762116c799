"""What can be done with a DOKU e-Wallet order."""

from datetime import datetime, timedelta

from gerbang.channels.doku_wallet.wire import OrderEcho, Page, PaymentRequest, PaymentResponse
from gerbang.endpoint import Call
from gerbang.errors import Reason, Refused
from gerbang.ids import new_digits
from gerbang.ledger import Transfer, account
from gerbang.money import Rupiah
from gerbang.payments import Payment, finish, open_order
from gerbang.protocols.nonsnap.decode import plain
from gerbang.protocols.nonsnap.notification import override_warning
from gerbang.storage import Tx
from gerbang.wallet import Account, AccountStatus, wallet_ledger_account

CODE = "EMONEY_DOKU"
PAGE_PATH = "/wallet/pay"


def open_payment(call: Call, body: PaymentRequest) -> PaymentResponse:
    """Write the order down and say where its buyer pays (S0-01, S0-30)."""
    order = body.order
    if order.line_items and sum(item.price * item.quantity for item in order.line_items) != order.amount:
        raise Refused(Reason.LINE_ITEMS_DO_NOT_ADD_UP, field="order.line_items")  # S0-12, decision D-13
    details: dict[str, object] = {}
    # Inside `order` first, then at the top level (decision D-17).
    for name in ("success_url", "failed_url", "notify_url"):
        url = getattr(order, name) or getattr(body, name)
        if url:
            details[name] = url
    auto_redirect = order.auto_redirect if order.auto_redirect is not None else body.auto_redirect
    if auto_redirect:
        details["auto_redirect"] = True
    if order.line_items:
        details["line_items"] = [{"name": item.name, "price": item.price, "quantity": item.quantity} for item in order.line_items]
    additional_info = plain(call.raw["additional_info"]) if body.additional_info is not None else None
    if additional_info:
        details["additional_info"] = additional_info
    override = body.additional_info.override_notification_url if body.additional_info else None
    if override:
        details["override_notification_url"] = override
        warning = override_warning(override, call.merchant.notification_url)
        if warning:
            details["warnings"] = [warning]

    _, payment = open_order(
        call.tx,
        merchant_id=call.merchant.client_id,
        invoice_number=order.invoice_number,
        amount=Rupiah(order.amount),
        channel=CODE,
        request_id=call.request_id,
        details=details,
        expires_at=call.now + timedelta(minutes=call.settings.payment_expiry_min),
        now=call.now,
    )
    page = Page(f"{call.public_url}{PAGE_PATH}/{payment.id}")
    return PaymentResponse(
        order=OrderEcho(
            invoice_number=order.invoice_number,
            amount=order.amount,
            line_items=plain(call.raw["order"]["line_items"]) if order.line_items else None,
        ),
        doku_wallet_payment_page=page,
        payment=page,
        additional_info=additional_info,
    )


def pay(tx: Tx, payment: Payment, customer: Account, *, now: datetime) -> Payment:
    """Move the money from the customer to the merchant and the payment to paid, together.

    Raises Refused: ACCOUNT_LOCKED, ACCOUNT_CLOSED, BALANCE_TOO_SMALL, PAYMENT_MOVED_ON.
    """
    if customer.status is AccountStatus.LOCKED:
        raise Refused(Reason.ACCOUNT_LOCKED, account_id=customer.id)
    if customer.status is AccountStatus.CLOSED:
        raise Refused(Reason.ACCOUNT_CLOSED, account_id=customer.id)
    if now >= payment.expires_at:
        raise Refused(Reason.PAYMENT_MOVED_ON, state="EXPIRED")
    return finish(
        tx,
        payment,
        transfers=[
            Transfer(
                debit=wallet_ledger_account(customer.id),
                credit=account("merchant", payment.merchant_id, "payable"),
                amount=payment.amount,
            )
        ],
        payer=customer.id,
        approval_code=new_digits(6),
        now=now,
    )
