"""S0-19, S0-20, S0-23, S0-36, S0-37, S0-39, D-8, D-10: what a merchant is told, where, and how it is signed.

Transport, retries and leases are tested with the outbox; here it is the protocol's part.
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import pytest

from gerbang.merchants import MerchantOptions, update
from gerbang.notifications.outbox import body_bytes
from gerbang.protocols.nonsnap.notification import override_warning
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY
from support.gateway import RunningGateway, lent_gateway
from support.listener import Listener
from support.nonsnap import PAYMENT, assert_invalid, import_merchant

CONFIGURED, CONFIGURED_KEY = "BRN-NOTIFIED-1", "SK-notified-one"
# Nothing listens there; what matters is the outbox row.
SOMEWHERE = "http://127.0.0.1:9/doku/notify"
WARNING = "DOKU itself would not deliver here"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    """The demo merchant has no configured URL here, the other one has."""
    with lent_gateway() as one:
        import_merchant(one, CONFIGURED, CONFIGURED_KEY, notification_url=SOMEWHERE)
        yield one


@pytest.fixture
def invoice() -> str:
    return "INV-" + uuid.uuid4().hex


def create(
    running: RunningGateway, invoice: str, *, configured: bool = False, body: dict[str, Any] | None = None, **order: Any
) -> None:
    client = {"client_id": CONFIGURED, "secret_key": CONFIGURED_KEY} if configured else {}
    whole = {"order": {"invoice_number": invoice, "amount": 60_000} | order} | (body or {})
    answer = running.signed("POST", PAYMENT, whole, request_id="first-" + invoice, **client)
    assert answer.status == 200, answer.body


def play(running: RunningGateway, invoice: str, outcome: str = "SUCCESS", *, configured: bool = False) -> Any:
    client_id = CONFIGURED if configured else DEMO_CLIENT_ID
    return running.control("POST", "/payments/outcome", {"client_id": client_id, "invoice_number": invoice, "outcome": outcome})


def notified(running: RunningGateway, invoice: str, *, outcome: str = "SUCCESS", configured: bool = False) -> list[str]:
    """The URLs that are told about the payment's end."""
    return [one["url"] for one in play(running, invoice, outcome, configured=configured)["notifications"]]


# -- the body


def test_the_body_of_a_paid_order_is_exactly_this(running: RunningGateway, invoice: str):
    """S0-37, D-8: these keys in this order."""
    override = "https://another.example.com/payments/notifications"
    create(running, invoice, body={"additional_info": {"override_notification_url": override}})

    ended = play(running, invoice)

    [told] = ended["notifications"]
    [payment] = ended["payments"]
    assert told["body"] == (
        '{"service":{"id":"EMONEY"},"acquirer":{"id":"DOKU"},"channel":{"id":"EMONEY_DOKU"},'
        f'"order":{{"invoice_number":"{invoice}","amount":60000}},'
        f'"transaction":{{"status":"SUCCESS","date":"{payment["finished_at"]}","original_request_id":"first-{invoice}"}},'
        f'"emoney_payment":{{"account_id":"{payment["payer"]}","approval_code":"{payment["approval_code"]}"}},'
        f'"additional_info":{{"override_notification_url":"{override}"}}}}'
    )


@pytest.mark.parametrize("outcome", ["FAILED", "CANCELLED"])
def test_the_body_of_an_unpaid_end_has_no_approval_code(running: RunningGateway, invoice: str, outcome: str):
    """D-8; D-7: a cancelled payment is FAILED."""
    create(running, invoice, notify_url=SOMEWHERE)

    ended = play(running, invoice, outcome)

    [told] = ended["notifications"]
    assert told["body"] == (
        '{"service":{"id":"EMONEY"},"acquirer":{"id":"DOKU"},"channel":{"id":"EMONEY_DOKU"},'
        f'"order":{{"invoice_number":"{invoice}","amount":60000}},'
        f'"transaction":{{"status":"FAILED","date":"{ended["payments"][0]["finished_at"]}",'
        f'"original_request_id":"first-{invoice}"}}}}'
    )


def test_plus_and_percent_never_stand_bare_in_a_body(running: RunningGateway):
    """NC5.1: the Magento plugin URL-decodes the body before it hashes it. Decoded as JSON it is the same."""
    invoice = f"A+B%20C {uuid.uuid4().hex}"
    account = {"id": "SAC+%41 é", "+%": ["1+1", 1.5, 1e22, 12345678901234567890, -0.25]}
    create(running, invoice, notify_url=SOMEWHERE, body={"additional_info": {"account": account}})

    [told] = play(running, invoice)["notifications"]

    body = told["body"]
    assert body.isascii()
    assert "+" not in body
    assert "%" not in body
    assert unquote_plus(body) == body
    read = json.loads(body)
    assert read["order"]["invoice_number"] == invoice
    assert read["additional_info"]["account"]["id"] == "SAC+%41 é"
    assert read["additional_info"]["account"]["+%"][0] == "1+1"


@pytest.mark.parametrize("text", ["+", "%", "%2B", "\\+", '"+"', "Zoë ＋ ٪", "\\u002b"])
def test_escaping_changes_no_meaning(text: str):
    body = {"order": {"invoice_number": text}, text: [text]}

    assert json.loads(body_bytes(body)) == body
    assert not set(body_bytes(body)) & set(b"+%")


def test_amount_and_ids_are_what_the_merchant_compares(running: RunningGateway, invoice: str):
    """Real clients §4: a plain integer equal to the order's amount, the first call's Request-Id."""
    create(running, invoice, amount="60000.00", notify_url=SOMEWHERE)

    [told] = play(running, invoice)["notifications"]

    read = json.loads(told["body"])
    assert read["order"] == {"invoice_number": invoice, "amount": 60_000}
    assert type(read["order"]["amount"]) is int
    assert read["transaction"]["original_request_id"] == "first-" + invoice
    assert told["request_id"] != read["transaction"]["original_request_id"]


# -- which events


@pytest.mark.parametrize(("outcome", "told"), [("SUCCESS", 1), ("FAILED", 1), ("CANCELLED", 1), ("EXPIRED", 0)])
def test_which_endings_are_told(running: RunningGateway, invoice: str, outcome: str, told: int):
    """D-7: EXPIRED is not told by default."""
    create(running, invoice, notify_url=SOMEWHERE)

    assert len(notified(running, invoice, outcome=outcome)) == told


def test_expiry_is_told_to_merchants_that_asked(running: RunningGateway, invoice: str):
    import_merchant(running, "BRN-ASKED-" + invoice[-8:], "SK-asked", notification_url=SOMEWHERE)
    client_id = "BRN-ASKED-" + invoice[-8:]
    running.database.transact_now(lambda tx: update(tx, client_id, options=MerchantOptions(notify_expired=True)))
    body = {"order": {"invoice_number": invoice, "amount": 1}}
    running.signed("POST", PAYMENT, body, client_id=client_id, secret_key="SK-asked")

    running.control("POST", "/payments/outcome", {"client_id": client_id, "invoice_number": invoice, "outcome": "EXPIRED"})

    shown = running.control("GET", f"/notifications?client_id={client_id}&invoice_number={invoice}")
    [told] = shown["notifications"]
    assert json.loads(told["body"])["transaction"]["status"] == "EXPIRED"


def test_creating_an_order_tells_nobody(running: RunningGateway, invoice: str):
    create(running, invoice, notify_url=SOMEWHERE)

    shown = running.control("GET", f"/notifications?client_id={DEMO_CLIENT_ID}&invoice_number={invoice}")
    assert shown == {"notifications": []}


# -- which URL

OVERRIDE = "http://127.0.0.1:9/override"
ORDERS = "http://127.0.0.1:9/orders-own"


@pytest.mark.parametrize(
    ("override", "notify_url", "configured", "called"),
    [
        (OVERRIDE, ORDERS, True, OVERRIDE),
        (OVERRIDE, ORDERS, False, OVERRIDE),
        (OVERRIDE, None, True, OVERRIDE),
        (OVERRIDE, None, False, OVERRIDE),
        (None, ORDERS, True, ORDERS),
        (None, ORDERS, False, ORDERS),
        (None, None, True, SOMEWHERE),
        (None, None, False, None),
    ],
)
def test_the_precedence_of_urls(
    running: RunningGateway, invoice: str, override: str | None, notify_url: str | None, configured: bool, called: str | None
):
    """S0-19, S0-20, S0-23, contract §5.1: override, the order's own, the configured one, nobody."""
    create(
        running,
        invoice,
        configured=configured,
        notify_url=notify_url,
        body={"additional_info": {"override_notification_url": override}},
    )

    assert notified(running, invoice, configured=configured) == ([called] if called else [])


STRICT = [
    # the same path on another host counts, another path does not; without a configured URL the feature does not work
    ("http://127.0.0.2:9/doku/notify", None, True, "http://127.0.0.2:9/doku/notify"),
    ("http://127.0.0.2:9/doku/notify?shop=2", None, True, "http://127.0.0.2:9/doku/notify?shop=2"),
    (OVERRIDE, None, True, SOMEWHERE),
    (OVERRIDE, ORDERS, True, SOMEWHERE),
    (OVERRIDE, ORDERS, False, ORDERS),
    (OVERRIDE, None, False, None),
]


@pytest.mark.parametrize(("override", "notify_url", "configured", "called"), STRICT)
def test_strict_override_path_follows_dokus_page(
    tmp_path, invoice: str, override: str, notify_url: str | None, configured: bool, called: str | None
):
    """D-10, S0-39."""
    with lent_gateway(strict_override_path=True) as strict:
        import_merchant(strict, CONFIGURED, CONFIGURED_KEY, notification_url=SOMEWHERE)
        create(
            strict,
            invoice,
            configured=configured,
            notify_url=notify_url,
            body={"additional_info": {"override_notification_url": override}},
        )

        assert notified(strict, invoice, configured=configured) == ([called] if called else [])


def test_one_merchant_may_be_strict_about_overrides_alone(running: RunningGateway, invoice: str):
    client_id = "BRN-STRICT-" + invoice[-8:]
    import_merchant(running, client_id, "SK-strict", notification_url=SOMEWHERE)
    running.database.transact_now(lambda tx: update(tx, client_id, options=MerchantOptions(strict_override_path=True)))
    body = {"order": {"invoice_number": invoice, "amount": 1}, "additional_info": {"override_notification_url": OVERRIDE}}
    running.signed("POST", PAYMENT, body, client_id=client_id, secret_key="SK-strict")

    ended = running.control(
        "POST", "/payments/outcome", {"client_id": client_id, "invoice_number": invoice, "outcome": "SUCCESS"}
    )

    assert [one["url"] for one in ended["notifications"]] == [SOMEWHERE]


@pytest.mark.parametrize(
    ("override", "configured", "warned"),
    [
        ("https://a.example/n", None, True),
        ("https://a.example/n", "https://b.example/n", False),
        ("https://a.example/n?x=1", "https://b.example/n?y=2", False),
        ("https://a.example/n/", "https://b.example/n", True),
        ("https://a.example/N", "https://b.example/n", True),
        ("https://a.example/%6E", "https://b.example/n", True),
        ("https://a.example", "https://b.example/", False),
    ],
)
def test_when_doku_itself_would_not_deliver(override: str, configured: str | None, warned: bool):
    """D-10: no configured URL, or another path, byte for byte, the query aside."""
    warning = override_warning(override, configured)

    assert (warning is not None) is warned
    assert warning is None or warning.startswith(WARNING)


def test_the_warning_stands_on_the_order_and_the_override_is_used_all_the_same(running: RunningGateway, invoice: str):
    """D-10, S0-39."""
    create(running, invoice, configured=True, body={"additional_info": {"override_notification_url": OVERRIDE}})

    ended = play(running, invoice, configured=True)

    assert len(ended["warnings"]) == 1
    assert ended["warnings"][0].startswith(WARNING)
    assert [one["url"] for one in ended["notifications"]] == [OVERRIDE]


def test_no_warning_where_doku_delivers(running: RunningGateway, invoice: str):
    override = "http://127.0.0.2:9/doku/notify"
    create(running, invoice, configured=True, body={"additional_info": {"override_notification_url": override}})

    assert play(running, invoice, configured=True)["warnings"] == []


@pytest.mark.parametrize(
    "url", ["/path", "shop.example/n", "ftp://shop.example", "javascript:alert(1)", "http://", "https://a b"]
)
def test_an_override_that_is_no_url_is_refused(running: RunningGateway, invoice: str, url: str):
    """S0-23."""
    body = {"order": {"invoice_number": invoice, "amount": 1}, "additional_info": {"override_notification_url": url}}

    assert_invalid(running.signed("POST", PAYMENT, body), "additional_info.override_notification_url Invalid Format")


# -- as it arrives


@pytest.mark.parametrize("target", ["/payments/notifications", "/payments/notifications?shop=1", "/"])
def test_it_arrives_signed_for_the_url_called(running: RunningGateway, invoice: str, target: str):
    """S0-36, NC5.1: header names in exactly this case, checked by code that knows nothing of ours."""
    with Listener.start({DEMO_CLIENT_ID: SANDBOX_SECRET_KEY}) as merchant:
        url = merchant.url(target) if target != "/" else merchant.url("/").removesuffix("/")
        create(running, invoice, notify_url=url)
        ended = play(running, invoice)
        [received] = merchant.wait_for(1)

    [told] = ended["notifications"]
    assert (received.method, received.target, received.signature) == ("POST", target, "valid")
    assert received.body == told["body"].encode()
    assert received.header("Client-Id") == DEMO_CLIENT_ID
    assert received.header("Request-Id") == told["request_id"]
    assert received.header("Content-Type") == "application/json"
    timestamp = received.header("Request-Timestamp")
    assert timestamp is not None
    assert timestamp.endswith("Z")
    assert received.header("Signature") is not None


def test_its_timestamp_is_real_time_its_date_is_business_time(sqlite_gateway: RunningGateway, invoice: str):
    """D-11."""
    from datetime import UTC, datetime, timedelta

    sqlite_gateway.control("POST", "/clock", {"advance_s": 30 * 86_400})
    with Listener.start({DEMO_CLIENT_ID: SANDBOX_SECRET_KEY}) as merchant:
        create(sqlite_gateway, invoice, notify_url=merchant.url("/n"))
        play(sqlite_gateway, invoice)
        [received] = merchant.wait_for(1)

    def moment(text: str | None) -> datetime:
        return datetime.strptime(text or "", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)

    now = datetime.now(UTC)
    assert received.signature == "valid"
    assert abs(moment(received.header("Request-Timestamp")) - now) < timedelta(minutes=1)
    assert abs(moment(received.json()["transaction"]["date"]) - now - timedelta(days=30)) < timedelta(minutes=1)


@pytest.mark.parametrize("outcome", ["SUCCESS", "FAILED", "CANCELLED"])
def test_check_status_says_the_same(running: RunningGateway, invoice: str, outcome: str):
    create(running, invoice, notify_url=SOMEWHERE, body={"additional_info": {"account": {"id": "SAC-1"}}})

    [told] = play(running, invoice, outcome)["notifications"]

    assert json.loads(told["body"]) == running.status(invoice).json
