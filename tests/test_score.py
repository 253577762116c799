"""`gerbang score`: twelve situations against a shop. What it says is broken is broken, and what it says is handled is handled."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gerbang.cli import main
from gerbang.sandbox.score import (
    TOTAL,
    ScoreReport,
    Shop,
    Situation,
    Unplayable,
    invoice_in,
    read_state,
    run_score,
)
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY, load_settings
from support.broken_shop import FAULTS, BrokenShop
from support.gateway import RunningGateway, assert_clean
from support.listener import Answer, Listener
from support.ports import free_port

pytestmark = pytest.mark.slow


ALL = set(range(1, TOTAL + 1))
SEEN_FROM_INSIDE = {3, 5, 10, 11, 12}

# What each fault breaks, and nothing else. The second set: what cannot be judged any more.
BROKEN: dict[str, tuple[set[int], set[int]]] = {
    "answers_500": ({1, 3, 4, 5, 9, 11}, {6, 7, 8}),
    "is_slow": ({2}, set()),
    "buys_again": ({3}, set()),
    "refuses_repeats": ({3}, set()),
    "refuses_failed": ({4, 5}, set()),
    "failed_undoes": ({5}, set()),
    "checks_no_signature": ({6, 7, 8}, set()),
    "trusts_digest_header": ({7}, set()),
    "shrugs_at_strangers": ({8}, set()),
    "hashes_rewritten_json": ({9}, set()),
    "rejects_new_fields": ({9}, set()),
    "believes_any_amount": ({10}, set()),
    "stores_after_the_call": ({11}, set()),
    "never_asks": ({12}, set()),
    "counts_nothing": (set(), {3}),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    directory = tmp_path_factory.mktemp("score")
    running = RunningGateway(load_settings(env={}, given={"data": str(directory / "gerbang.db")}), demo=True)
    try:
        yield running
        assert_clean(running.database)
    finally:
        running.stop()


def a_shop(gateway: RunningGateway, *faults: str) -> BrokenShop:
    return BrokenShop(gateway.url, DEMO_CLIENT_ID, SANDBOX_SECRET_KEY, faults)


def against(gateway: RunningGateway, shop: BrokenShop, *, seen: bool = True, **more: Any) -> ScoreReport:
    """The score with patience that fits a test."""
    urls = {"checkout_url": f"{shop.url}/orders", "state_url": shop.url + "/orders/{invoice}"} if seen else {}
    patience = {"wait_s": 1.5, "quick_s": 2.0, "calm_s": 0.2}
    given = {"client_id": DEMO_CLIENT_ID, "secret_key": SANDBOX_SECRET_KEY} | patience | urls | more
    return run_score(Shop(f"{shop.url}/notify", gateway.url, **given))


def numbers(report: ScoreReport, verdict: str) -> set[int]:
    return {one.number for one in report.situations if one.verdict == verdict}


def situation(report: ScoreReport, number: int) -> Situation:
    [found] = [one for one in report.situations if one.number == number]
    return found


# -- what it says


def test_a_shop_without_faults_handles_all_twelve(gateway: RunningGateway) -> None:
    with a_shop(gateway) as shop:
        report = against(gateway, shop)

    assert [one for one in report.situations if one.verdict != "HANDLED"] == []
    assert report.sentence == "your shop handled 12 of 12"
    assert (report.handled, report.judged, report.total) == (12, 12, 12)
    assert [one.number for one in report.situations] == list(range(1, 13))


def test_every_fault_is_tried() -> None:
    assert set(BROKEN) == set(FAULTS)
    assert set().union(*(failed for failed, _ in BROKEN.values())) == ALL, "each situation can fail"


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_fails_exactly_what_it_breaks(gateway: RunningGateway, fault: str) -> None:
    failed, unjudged = BROKEN[fault]

    with a_shop(gateway, fault) as shop:
        report = against(gateway, shop)

    told = [(one.number, one.verdict, one.came_back) for one in report.situations]
    assert numbers(report, "FAILED") == failed, told
    assert numbers(report, "NOT_JUDGED") == unjudged, told
    assert report.handled == TOTAL - len(failed) - len(unjudged)


def test_two_faults_fail_what_either_breaks(gateway: RunningGateway) -> None:
    with a_shop(gateway, "believes_any_amount", "trusts_digest_header") as shop:
        report = against(gateway, shop)

    assert numbers(report, "FAILED") == {7, 10}
    assert report.sentence == "your shop handled 10 of 12"


def test_without_the_two_urls_five_are_not_judged_and_the_sentence_says_so(gateway: RunningGateway) -> None:
    report = _demo_score(gateway)

    assert numbers(report, "NOT_JUDGED") == SEEN_FROM_INSIDE
    assert report.sentence == "your shop handled 7 of 7 judged; 5 need --checkout-url and --state-url"


@pytest.mark.parametrize("given", ["checkout_url", "state_url"])
def test_one_of_the_two_urls_alone_is_not_enough(gateway: RunningGateway, given: str) -> None:
    with a_shop(gateway) as shop:
        url = {"checkout_url": f"{shop.url}/orders", "state_url": shop.url + "/orders/{invoice}"}[given]
        report = against(gateway, shop, seen=False, **{given: url})

    assert numbers(report, "NOT_JUDGED") >= SEEN_FROM_INSIDE


def test_a_receiver_that_knows_only_its_own_orders_is_told_of_the_checkout_url(gateway: RunningGateway) -> None:
    """It answers 404 to an order made for it. Refusing forgeries then proves nothing."""
    with a_shop(gateway) as shop:
        report = against(gateway, shop, seen=False)

    assert numbers(report, "FAILED") == {1, 4, 9}
    assert numbers(report, "NOT_JUDGED") == SEEN_FROM_INSIDE | {6, 7, 8}
    assert "404" in situation(report, 1).came_back
    assert "--checkout-url" in situation(report, 1).mend
    assert report.sentence == "your shop handled 1 of 4 judged; 5 need --checkout-url and --state-url; 3 could not be judged"


def test_a_receiver_that_accepts_everything_fails_the_forgeries(gateway: RunningGateway) -> None:
    with Listener.start() as everybody:
        report = run_score(Shop(everybody.url("/n"), gateway.url, DEMO_CLIENT_ID, SANDBOX_SECRET_KEY))
        signatures = len({one.header("Signature") for one in everybody.received()})

    assert numbers(report, "FAILED") == {6, 7, 8}
    assert report.sentence == "your shop handled 4 of 7 judged; 5 need --checkout-url and --state-url"
    assert signatures == 6


def test_what_is_sent_is_signed_as_it_says(gateway: RunningGateway) -> None:
    """The receiver's own check, which shares no code with gerbang, calls good what is to be accepted and bad what is not."""
    with Listener.start(secrets={DEMO_CLIENT_ID: SANDBOX_SECRET_KEY}) as receiver:
        run_score(Shop(receiver.url("/n?shop=1"), gateway.url, DEMO_CLIENT_ID, SANDBOX_SECRET_KEY))
        received = receiver.received()

    assert [one.signature for one in received] == ["valid", "valid", "wrong", "wrong", "unknown client", "valid"]
    genuine, failed, _, _, _, other_form = received
    assert (genuine.json()["transaction"]["status"], failed.json()["transaction"]["status"]) == ("SUCCESS", "FAILED")
    assert other_form.body != json.dumps(other_form.json(), separators=(",", ":")).encode()
    assert next(iter(other_form.json()["order"])) == "a_new_field"


def test_a_shop_that_is_not_there_fails_without_passing_for_strict(gateway: RunningGateway) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/notify"

    report = run_score(Shop(nowhere, gateway.url, DEMO_CLIENT_ID, SANDBOX_SECRET_KEY))

    assert numbers(report, "HANDLED") == set()
    assert "no answer" in situation(report, 1).came_back


def test_a_redirect_is_no_acknowledgement(gateway: RunningGateway) -> None:
    with Listener.start() as receiver:
        receiver.script([Answer(302, headers={"Location": "/elsewhere"})])
        report = run_score(Shop(receiver.url("/n"), gateway.url, DEMO_CLIENT_ID, SANDBOX_SECRET_KEY))
        called = {one.target for one in receiver.received()}

    assert 1 in numbers(report, "FAILED")
    assert called == {"/n"}


def test_every_failure_says_what_was_sent_what_came_back_why_it_matters_and_how_to_mend_it(gateway: RunningGateway) -> None:
    with a_shop(gateway, *sorted({"checks_no_signature", "believes_any_amount", "never_asks"})) as shop:
        report = against(gateway, shop)

    for one in report.situations:
        if one.verdict == "FAILED":
            assert min(len(one.sent), len(one.why), len(one.mend)) > 20
            assert "HTTP" in one.came_back or "the shop said" in one.came_back
    assert "7500 rupiah instead of 75000" in situation(report, 10).sent
    assert '"paid"' in situation(report, 10).came_back


# -- the demo shop, the control API, the command line


def _demo_score(gateway: RunningGateway, **more: Any) -> ScoreReport:
    return run_score(Shop(f"{gateway.url}/demo/notifications", gateway.url, DEMO_CLIENT_ID, SANDBOX_SECRET_KEY, **more))


def test_the_demo_shop_scores_twelve_of_twelve(gateway: RunningGateway) -> None:
    report = _demo_score(
        gateway, checkout_url=f"{gateway.url}/demo/api/orders", state_url=gateway.url + "/demo/api/orders/{invoice}"
    )

    assert report.sentence == "your shop handled 12 of 12", report.situations


def test_the_control_api_answers_the_same_report(gateway: RunningGateway) -> None:
    with a_shop(gateway, "failed_undoes") as shop:
        answer = gateway.control(
            "POST",
            "/score",
            {
                "url": f"{shop.url}/notify",
                "checkout_url": f"{shop.url}/orders",
                "state_url": shop.url + "/orders/{invoice}",
                "wait_s": 2,
            },
        )

    assert answer["sentence"] == "your shop handled 11 of 12"
    [failed] = [one for one in answer["situations"] if one["verdict"] == "FAILED"]
    assert failed["number"] == 5


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "url"),
        ({"url": "notify"}, 400, "absolute"),
        ({"url": "http://127.0.0.1:1/n", "state_url": "http://127.0.0.1:1/state"}, 400, "{invoice}"),
        ({"url": "http://127.0.0.1:1/n", "client_id": "BRN-nobody"}, 404, "merchant"),
        ({"url": "http://127.0.0.1:1/n", "secret_key": "SK-wrong"}, 400, "made no order"),
        ({"url": "http://127.0.0.1:1/n", "checkout_url": "http://127.0.0.1:1/c"}, 400, "--checkout-url made no order"),
    ],
)
def test_what_cannot_be_played_is_said(gateway: RunningGateway, body: dict[str, str], status: int, says: str) -> None:
    answer = gateway.request("POST", "/sandbox/v1/score", json.dumps(body).encode())

    assert answer.status == status
    assert says in answer.json["error"]["message"]


def test_the_merchants_own_mischief_is_there_again_afterwards(gateway: RunningGateway) -> None:
    path = f"/merchants/{DEMO_CLIENT_ID}/mischief"
    before = gateway.control("PUT", path, {"kinds": ["LATE"], "seed": 4, "rate": 20})
    try:
        with a_shop(gateway) as shop:
            report = against(gateway, shop)
        assert report.handled == 12
        assert gateway.control("GET", path) == before
    finally:
        gateway.control("DELETE", path)


def cli(*args: str) -> Result:
    return CliRunner().invoke(main, ["score", *args])


def test_the_command_line_shows_each_and_exits_1_when_one_failed(gateway: RunningGateway) -> None:
    with a_shop(gateway, "refuses_repeats") as shop:
        args = ("--url", f"{shop.url}/notify", "--gateway", gateway.url)
        urls = ("--checkout-url", f"{shop.url}/orders", "--state-url", shop.url + "/orders/{invoice}", "--wait", "2")
        shown = cli(*args, *urls)
        as_json = cli(*args, *urls, "--json")

    assert (shown.exit_code, as_json.exit_code) == (1, 1)
    assert "✗  3  the same notification again buys nothing twice" in shown.stdout
    assert "HTTP 409" in shown.stdout
    assert "Request-Ids" in shown.stdout
    assert shown.stdout.count("✓") == 11
    assert shown.stdout.endswith("your shop handled 11 of 12\n")
    assert json.loads(as_json.stdout)["handled"] == 11


def test_the_command_line_exits_0_when_nothing_failed_though_some_were_not_judged(gateway: RunningGateway) -> None:
    shown = cli("--url", f"{gateway.url}/demo/notifications", "--gateway", gateway.url)

    assert shown.exit_code == 0, shown.output
    assert shown.stdout.count("needs --checkout-url and --state-url") == 5


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--url", "http://127.0.0.1:1/n", "--gateway", "http://127.0.0.1:1"), "made no order"),
        (("--url", "notify"), "absolute"),
        (("--url", "http://127.0.0.1:1/n", "--state-url", "http://127.0.0.1:1/s"), "{invoice}"),
    ],
)
def test_the_command_line_exits_2_when_it_cannot_be_played(args: tuple[str, ...], says: str) -> None:
    result = cli(*args)

    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_a_production_gateway_cannot_be_used(tmp_path: Path) -> None:
    settings = load_settings(
        env={},
        given={
            "mode": "production",
            "encryption_key": "a key of this installation alone, 32+",
            "public_url": "https://pay.example.id",
            "data": str(tmp_path / "gerbang.db"),
        },
    )
    running = RunningGateway(settings)
    try:
        assert running.request("POST", "/sandbox/v1/score", b"{}").status == 404
        with pytest.raises(Unplayable):
            run_score(Shop("http://127.0.0.1:1/n", running.url, DEMO_CLIENT_ID, SANDBOX_SECRET_KEY))
    finally:
        running.stop()


# -- how answers are read


@pytest.mark.parametrize(
    ("text", "paid", "fulfilled"),
    [
        ('{"state": "paid", "fulfilled": 1}', True, 1),
        ('{"state": "PAID"}', True, None),
        ('{"status": "Success", "fulfilled": 0}', True, 0),
        ('{"payment_status": "settlement"}', True, None),
        ('{"state": "pending", "status": "paid"}', False, None),
        ('{"paid": true}', True, None),
        ('{"paid": 1}', False, None),
        ('{"state": "paid", "fulfilled": true}', True, None),
        ('{"state": "paid", "fulfilled": "1"}', True, None),
        ('{"state": "unpaid"}', False, None),
        ('"paid"', True, None),
        (" Lunas \n", True, None),
        ("not paid", False, None),
        ("[]", False, None),
        ("", False, None),
    ],
)
def test_a_state_is_read_as_documented(text: str, paid: bool, fulfilled: int | None) -> None:
    belief = read_state(text)

    assert (belief.paid, belief.fulfilled) == (paid, fulfilled)


@pytest.mark.parametrize(
    ("text", "invoice"),
    [
        ('{"invoice_number": "INV-1"}', "INV-1"),
        ('{"order": {"invoice_number": "INV-2"}}', "INV-2"),
        ('"INV-3"', "INV-3"),
        ("INV-4\n", "INV-4"),
        ("{}", None),
        ("", None),
        ('{"invoice_number": 5}', None),
        ("<html>" + "x" * 200, None),
    ],
)
def test_an_invoice_number_is_read_as_documented(text: str, invoice: str | None) -> None:
    assert invoice_in(text) == invoice
