"""Voiding an OVO push: the whole amount goes back, once, and only of what is described in every number."""

from collections.abc import Iterator
from typing import Any

import pytest

from gerbang.money import Rupiah
from gerbang.providers.party import BALANCE
from support.gateway import RunningGateway, lent_gateway
from support.nonsnap import BODY, HEADER, assert_error, assert_genuine, import_merchant
from support.ovo import MERCHANT, PAYS, PUSH, REFUSES, SILENT, VOID, paid, post, push_body, record, tell_somewhere, void_body

OTHER, OTHER_KEY = "BRN-OVO-3", "SK-ovo-three"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(poll_interval_s=0.05, ovo_timeout_s=0.3) as one:
        tell_somewhere(one)
        import_merchant(one, OTHER, OTHER_KEY)
        yield one


def invoice_of(answer: Any) -> str:
    return str(answer["order"]["invoice_number"])


def said(running: RunningGateway, answer: Any) -> str:
    return str(running.status(invoice_of(answer)).json["transaction"]["status"])


def test_a_void_gives_the_whole_payment_back(running: RunningGateway):
    """Answered in the shape of the push. Check status has e-money's word for it, and nobody is notified of it (D-7)."""
    payment = paid(running)

    answer = post(running, void_body(payment), VOID)

    assert answer.status == 200
    assert answer.json == {
        "client": payment["client"],
        "order": payment["order"],
        "ovo_info": payment["ovo_info"],
        "ovo_configuration": payment["ovo_configuration"],
        "ovo_payment": payment["ovo_payment"]
        | {"date": answer.json["ovo_payment"]["date"], "cash_used": 0, "cash_balance": BALANCE, "status": "SUCCESS"},
        "additional_info": payment["additional_info"],
    }
    assert list(answer.json["ovo_payment"]) == list(payment["ovo_payment"])
    assert said(running, payment) == "REFUNDED"
    assert len(record(running, invoice_of(payment))["notifications"]) == 1


def test_the_money_goes_back_the_way_it_came():
    """The merchant has nothing of it left, and its fee is its own again."""
    with lent_gateway(poll_interval_s=0.05) as running:
        running.control("PUT", f"/merchants/{MERCHANT}/channels/EMONEY_OVO", {"options": {"fee_bp": 150}})
        payment = paid(running, order__amount=200_000)

        post(running, void_body(payment), VOID)

        (refund,) = record(running, invoice_of(payment))["payments"][-1]["refunds"]
        moved = {(one["debit"], one["credit"], one["amount"]) for one in refund["transfers"]}
        payable, way = f"merchant:{MERCHANT}:payable", f"merchant:{MERCHANT}:refunding"
        assert (refund["state"], refund["amount"]) == ("SUCCESS", 200_000)
        assert moved == {
            ("fee:EMONEY_OVO", payable, Rupiah(3_000)),
            (payable, way, Rupiah(200_000)),
            (way, "provider:EMONEY_OVO", Rupiah(200_000)),
        }
        assert running.control("GET", "/verify") == {"ok": True, "problems": []}


def test_the_same_void_again_gets_the_same_answer(running: RunningGateway):
    body = void_body(paid(running))

    first, repeat = (post(running, body, VOID) for _ in range(2))

    assert (first.status, repeat.status, repeat.body) == (200, 409, first.body)


def test_a_second_void_is_refused(running: RunningGateway):
    payment = paid(running)
    assert post(running, void_body(payment), VOID).status == 200

    again = running.signed("POST", VOID, void_body(payment))

    assert_error(again, 400, "INVALID_PARAMETER", "Refund Amount Exceeds Transaction Amount", BODY)
    assert_genuine(again, "POST", VOID)
    assert len(record(running, invoice_of(payment))["payments"][-1]["refunds"]) == 1


@pytest.mark.parametrize("phone", [REFUSES, SILENT], ids=["refused", "timed out"])
def test_what_is_not_paid_cannot_be_voided(running: RunningGateway, phone: str):
    payment = post(running, push_body(ovo_info__ovo_id=phone)).json

    answer = post(running, void_body(payment | {"ovo_payment": payment["ovo_payment"] | {"approval_code": "123456"}}), VOID)

    assert_error(answer, 400, "INVALID_PARAMETER", "Transaction Not Paid", BODY)


@pytest.mark.parametrize(
    "change",
    [
        {"order__invoice_number": "INV-nobody"},
        {"ovo_info__ovo_id": "081211112222"},
        {"ovo_payment__batch_number": 2},
        {"ovo_payment__trace_number": 0},
        {"ovo_payment__reference_number": 0},
        {"ovo_payment__approval_code": "000000"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_void_has_to_describe_the_payment_in_every_number(running: RunningGateway, change: dict[str, Any]):
    payment = paid(running)

    answer = post(running, void_body(payment, **change), VOID)

    assert_error(answer, 400, "INVALID_PARAMETER", "Transaction Not Found", BODY)
    assert said(running, payment) == "SUCCESS"


def test_a_void_takes_the_phone_in_any_written_form(running: RunningGateway):
    """D-6."""
    payment = paid(running)

    assert post(running, void_body(payment, ovo_info__ovo_id="+62" + PAYS[1:]), VOID).status == 200


def test_the_sum_of_a_push_is_no_name_of_its_payment(running: RunningGateway):
    """Check status finds an order by it; a void names the invoice."""
    body = push_body(ovo_info__ovo_id=PAYS)
    payment = post(running, body).json

    answer = post(running, void_body(payment, order__invoice_number=body["security"]["check_sum"]), VOID)

    assert_error(answer, 400, "INVALID_PARAMETER", "Transaction Not Found", BODY)


def test_nobody_voids_another_merchants_payment(running: RunningGateway):
    payment = paid(running)

    answer = post(running, void_body(payment, secret_key=OTHER_KEY, client__id=OTHER), VOID)

    assert_error(answer, 400, "INVALID_PARAMETER", "Transaction Not Found", BODY)


def test_an_order_of_another_channel_is_not_voided_here(running: RunningGateway):
    payment = paid(running)
    invoice = running.create_order().json["order"]["invoice_number"]

    answer = post(running, void_body(payment, order__invoice_number=invoice), VOID)

    assert_error(answer, 400, "INVALID_PARAMETER", "Transaction Not Found", BODY)


def test_an_ovo_that_cannot_give_back_is_said_and_leaves_the_merchant_its_money(monkeypatch: pytest.MonkeyPatch):
    with lent_gateway(poll_interval_s=0.05) as running:

        async def cannot(*_asked: object) -> bool:
            return False

        monkeypatch.setattr(running.gateway.rooms["EMONEY_OVO"].provider, "give_back", cannot)
        payment = paid(running)

        told = post(running, void_body(payment), VOID).json["ovo_payment"]

        assert (told["status"], told["response_code"], told["cash_used"]) == ("FAILED", "26", 10_000)
        assert said(running, payment) == "SUCCESS"


def test_a_silent_ovo_is_asked_again_by_the_same_void(monkeypatch: pytest.MonkeyPatch):
    """The money is given back once, whoever asks how often."""
    with lent_gateway(poll_interval_s=0.05, provider_timeout_s=0.3) as running:
        provider = running.gateway.rooms["EMONEY_OVO"].provider
        honest, silent = provider.give_back, True

        async def give_back(*asked: Any) -> bool:
            if silent:
                raise ConnectionError("OVO is not there")
            return bool(await honest(*asked))

        monkeypatch.setattr(provider, "give_back", give_back)
        payment = paid(running)
        body = void_body(payment)

        first = post(running, body, VOID)
        assert (first.status, first.json["error"]["code"]) == (503, "service_unavailable")
        silent = False
        again = post(running, body, VOID)

        assert again.json["ovo_payment"]["status"] == "SUCCESS"
        assert said(running, payment) == "REFUNDED"
        assert len(record(running, invoice_of(payment))["payments"][-1]["refunds"]) == 1


def test_a_void_is_not_a_push(running: RunningGateway):
    """The body of a push says too little for a void, and a void's sum takes in what a push has nothing of."""
    payment = paid(running)

    too_little = post(running, push_body(), VOID)
    too_much = post(running, void_body(payment), PUSH)

    assert_error(too_little, 400, "INVALID_PARAMETER", "ovo_payment Must Not Be Blank", BODY)
    assert_error(too_much, 400, "invalid_signature", "Invalid Header Signature", HEADER)
