"""A buyer at the card page and at the bank, in a real browser.

GERBANG_SCREENSHOTS=DIR keeps a picture of every state, to be looked at.
"""

import os
import uuid
from pathlib import Path
from typing import Any

from playwright.sync_api import Frame, FrameLocator, Locator, Page, expect

from gerbang.sandbox.seed import DEMO_CLIENT_ID
from support.browser import violations
from support.gateway import RunningGateway
from support.listener import Listener

CHALLENGED = "5573381011111101"  # Mandiri; the bank asks, OTP 123456
KNOWN = "4111111111111111"  # frictionless
DECLINED = "4000000000000002"  # 05, without 3-D Secure
BCA = "4555551100000010"  # installments
OTP = "123456"
DISCLAIMER = {
    "id": "Saya setuju pesanan diproses setelah pembayaran diterima dan tidak dapat diubah.",
    "en": "I agree that the order is processed once it is paid and cannot be changed.",
}


class Buyer:
    """A buyer with one order in front of them."""

    def __init__(
        self, gateway: RunningGateway, merchant: Listener, page: Page | FrameLocator, amount: int = 179_000, **more: Any
    ) -> None:
        self.gateway = gateway
        self.merchant = merchant
        self.at = page
        self.invoice = f"INV-{uuid.uuid4().hex[:12]}"
        order = {
            "invoice_number": self.invoice,
            "amount": amount,
            "callback_url": merchant.url("/thanks"),
            "failed_url": merchant.url("/sorry"),
            "line_items": [
                {"name": "Kopi Gayo, 250 g", "price": amount - 90_000, "quantity": 1},
                {"name": "Sambal roa", "price": 45_000, "quantity": 2},
            ],
        } | more.pop("order", {})
        info = {"override_notification_url": merchant.url("/notify")} | more.pop("additional_info", {})
        customer = {"name": "Siti Rahmawati", "email": "siti@contoh.id"} | more.pop("customer", {})
        body = {"order": order, "customer": customer, "additional_info": info, **more}
        answer = gateway.signed("POST", "/credit-card/v1/payment-page", body)
        assert answer.status == 200, answer.body
        self.url: str = answer.json["credit_card_payment_page"]["url"]

    @property
    def page(self) -> Page:
        assert isinstance(self.at, Page)
        return self.at

    @property
    def bank(self) -> FrameLocator:
        """The bank's page, in its frame."""
        return self.at.frame_locator("iframe[name=challenge]")

    @property
    def go(self) -> Locator:
        return self.at.locator("button[value=pay]")

    @property
    def alert(self) -> Locator:
        return self.at.locator("[role=alert]")

    def open(self, lang: str = "id") -> "Buyer":
        self.page.goto(f"{self.url}?lang={lang}")
        return self

    def fill(self, number: str, *, expiry: str = "12/29", cvv: str | None = "123") -> "Buyer":
        self.at.locator("#number").fill(number)
        self.at.locator("#expiry").fill(expiry)
        if cvv is not None:
            self.at.locator("#cvv").fill(cvv)
        return self

    def pay(self, number: str, **more: Any) -> "Buyer":
        self.fill(number, **more)
        self.go.click()
        return self

    def enter_code(self, code: str = OTP) -> None:
        self.bank.locator("#code").fill(code)
        self.bank.locator("button[value=verify]").click()

    def sees(self, state: str) -> None:
        expect(self.at.locator(f"[data-state={state}]")).to_be_visible()

    @property
    def status(self) -> str:
        return str(self.gateway.status(self.invoice).json["transaction"]["status"])

    @property
    def transfers(self) -> list[Any]:
        found = self.gateway.control("GET", f"/payments?client_id={DEMO_CLIENT_ID}&invoice_number={self.invoice}")
        return list(found["payments"][-1]["transfers"])


def seen(page: Page, name: str) -> None:
    """What every state promises, in the page and in every frame in it: accessible, nothing wider than its window."""
    for frame in page.frames:
        assert_accessible(frame, name)
    directory = os.environ.get("GERBANG_SCREENSHOTS")
    if directory:
        Path(directory).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{directory}/{name}.png", full_page=True)


def assert_accessible(frame: Frame, name: str) -> None:
    # A frame without an address is one whose page has not come.
    if not frame.url.startswith("http"):
        return
    # A frame inside answers for itself. What is folded away nobody sees, and its colours have nothing behind them.
    found = violations(frame, only_seen=True)
    assert found == [], (name, found)
    wide = frame.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name}: {frame.url} scrolls sideways by {wide} px"
