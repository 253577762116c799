"""What the tests of the card page over HTTP share: cards, and what became of an invoice."""

import time
import uuid

from support.card_buyer import Shop

MANDIRI, FRICTIONLESS, AMEX = "5573381011111101", "4111111111111111", "378282246310005"
DECLINED, LIMIT = "4000000000000002", "4000000000009995"
SILENT, UNAVAILABLE, REJECTED = "4555550000300009", "4555550000100003", "4555550000200001"
OK, KO = "https://merchant.example/ok?order=1&sig=a%2Fb", "https://merchant.example/ko?x=y"


def invoice() -> str:
    return f"INV-{uuid.uuid4().hex[:12]}"


def stories(shop: Shop, number: str) -> list[tuple[str, str | None, str]]:
    """(status, response code, 3-D Secure) of every notification about an invoice."""
    return [
        (one["transaction"]["status"], one["card_payment"].get("response_code"), one["card_payment"]["three_d_secure_status"])
        for one in shop.told(number)
    ]


def wait_until_final(shop: Shop, number: str) -> None:
    # Longer than the sweeper leaves a question to whoever asked it (card_answer_timeout_s, 35 s).
    deadline = time.monotonic() + 60
    while shop.charges(number)[-1].state.is_open:
        assert time.monotonic() < deadline, "nobody came round"
        time.sleep(0.1)


def save_card(shop: Shop, customer_id: str, number: str = FRICTIONLESS) -> str:
    """Pay with the tick box set; the token."""
    code = invoice()
    buyer = shop.buyer(code, customer={"id": customer_id}).pay(number, save="1")
    if buyer.is_sent_to_bank:
        buyer.verify()
    assert buyer.state == "paid"
    return str(shop.told(code)[-1]["card_payment"]["token_id"])
