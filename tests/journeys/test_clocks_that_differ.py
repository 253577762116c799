"""Two servers over one database, whose machines' clocks differ; and one whose clock steps back. What is newest does not depend on it."""

from pathlib import Path

import pytest

from support.gateway import Answer, assert_clean
from support.provider_orders import Shop
from support.server import Server

HOUR_S = 3_600
PAID_BEFORE = {"error": {"code": "INVALID_PARAMETER", "message": "Invoice Number Already Paid", "type": "Invalid Parameter"}}


class ClockedServer(Server):
    """On a machine whose clock can be set."""

    def __init__(self, data: str, directory: Path, *, ahead_s: float = 0) -> None:
        directory.mkdir()
        super().__init__(data, directory, request_timestamp_window_s="0", poll_interval_s="0.05")
        self._clock = directory / "clock"
        self.set_clock(ahead_s)
        self._command[1:3] = ["-m", "support.other_clock", str(self._clock)]

    def set_clock(self, ahead_s: float) -> None:
        self._clock.write_text(str(ahead_s))


class FarShop(Shop):
    """Of a server whose answers tell another time than ours."""

    def post(self, body: object, *, path: str = "", request_id: str | None = None) -> Answer:
        return self.running.signed("POST", path or self.path, body, request_id=request_id)


def linkaja(server: Server) -> Shop:
    items = [{"name": "Roti", "price": 20_000, "quantity": 1}]
    order = {"invoice_number": "INV", "amount": 20_000, "callback_url": "https://toko.example/back", "line_items": items}
    customer = {"name": "Siti", "email": "siti@example.id", "phone": "081112345678"}
    sample = {"order": order, "additional_info": {}, "customer": customer}
    return FarShop(server, "EMONEY_LINKAJA", "/linkaja-emoney/v2/ServiceRequestPayment", sample)


@pytest.mark.kills
def test_an_invoice_opened_again_at_a_server_whose_clock_is_behind_is_paid_once(tmp_path: Path) -> None:
    data = str(tmp_path / "gerbang.db")
    # Less than the hour that LinkAja's buyer has to pay: else it is rightly over for the server that is ahead.
    ahead = ClockedServer(data, tmp_path / "ahead", ahead_s=HOUR_S / 2)
    right = ClockedServer(data, tmp_path / "right")
    try:
        ahead.start()
        right.start()
        first, again = linkaja(ahead), linkaja(right)

        invoice = first.opened()
        assert again.order(order__invoice_number=invoice).status == 200
        assert again.play(invoice, "SUCCESS")["payments"][-1]["state"] == "SUCCESS"

        assert [one["state"] for one in again.record(invoice)["payments"]] == ["REPLACED", "SUCCESS"]
        assert (first.said(invoice), again.said(invoice)) == ("SUCCESS", "SUCCESS")
        for shop in (first, again):
            assert shop.order(order__invoice_number=invoice).json == PAID_BEFORE
        assert_clean(right.database)
    finally:
        ahead.stop()
        right.stop()


@pytest.mark.kills
def test_an_invoice_opened_again_after_the_clock_stepped_back_an_hour_is_paid_once(tmp_path: Path) -> None:
    server = ClockedServer(str(tmp_path / "gerbang.db"), tmp_path / "server")
    try:
        server.start()
        shop = linkaja(server)
        invoice = shop.opened()
        server.set_clock(-HOUR_S)
        server.end()  # so that it knows none of the ids it made
        server.start()

        assert shop.order(order__invoice_number=invoice).status == 200
        shop.play(invoice, "SUCCESS")

        assert [one["state"] for one in shop.record(invoice)["payments"]] == ["REPLACED", "SUCCESS"]
        assert shop.said(invoice) == "SUCCESS"
        assert shop.order(order__invoice_number=invoice).json == PAID_BEFORE
        assert_clean(server.database)
    finally:
        server.stop()
