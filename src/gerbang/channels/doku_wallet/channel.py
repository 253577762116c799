"""DOKU e-Wallet: the buyer pays from a wallet account of this very gateway."""

from datetime import datetime
from typing import Any

from gerbang.channel import Channel
from gerbang.channels.doku_wallet.actions import CODE, open_payment, pay
from gerbang.channels.doku_wallet.pages import wallet_pages
from gerbang.channels.doku_wallet.wire import PaymentRequest, PaymentResponse
from gerbang.endpoint import Endpoint
from gerbang.ids import new_id
from gerbang.ledger import Transfer, account, post
from gerbang.merchants import Merchant
from gerbang.payments import Move, Order, Payment, PaymentState, advance
from gerbang.payments.moves import hold_payment
from gerbang.storage import Tx
from gerbang.wallet import get_account, wallet_ledger_account
from gerbang.wallet.demo import DEMO_PIN, PLAYER

_MOVES = {"FAILED": Move.DECLINED, "EXPIRED": Move.TIMED_OUT, "CANCELLED": Move.CANCELLED}


def blocks(order: Order, payment: Payment) -> dict[str, Any]:
    """`emoney_payment`: who paid and the approval code, each as far as it exists (decision D-8)."""
    known = {"account_id": payment.payer, "approval_code": payment.approval_code}
    block = {name: value for name, value in known.items() if value}
    return {"emoney_payment": block} if block and payment.state is PaymentState.SUCCESS else {}


def play(tx: Tx, merchant: Merchant, order: Order, payment: Payment, outcome: str, code: str | None, now: datetime) -> Payment:
    """Sandbox: the buyer's part without a browser. Paying uses an account of its own whose money is made for it."""
    if outcome != "SUCCESS":
        return advance(tx, payment, _MOVES[outcome], now=now, failure=code or outcome)
    hold_payment(tx, payment.id)
    player = get_account(tx, PLAYER.account_id)
    post(
        tx,
        [
            Transfer(
                debit=account("cash", "sandbox"),
                credit=wallet_ledger_account(player.id),
                amount=payment.amount,
                entry="topup",
            )
        ],
        cause=new_id("top"),
        now=now,
    )
    return pay(tx, payment, player, now=now)


CHANNEL = Channel(
    code=CODE,
    title="DOKU e-Wallet",
    service_id="EMONEY",
    acquirer_id="DOKU",
    endpoints=(
        Endpoint(
            method="POST",
            path="/dokuwallet-emoney/v1/payment",
            summary="Create a DOKU e-Wallet order and get its payment page",
            action=open_payment,
            request=PaymentRequest,
            response=PaymentResponse,
            source="DOKU e-Wallet API guide",
        ),
    ),
    blocks=blocks,
    play=play,
    pages=wallet_pages,
    magic_values={
        f"phone 081234567890, PIN {DEMO_PIN}": "pays (plenty of money)",
        f"phone 081234567891, PIN {DEMO_PIN}": "balance too small above Rp 45.000",
        f"phone 081234567892, PIN {DEMO_PIN}": "account locked",
        "any other PIN, three times": "payment FAILED, account locked",
    },
)
