"""SNAP notifications: the merchant's token first, then the notification signed with it (snap-common §9, S1)."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gerbang.clock import Clock, real_now
from gerbang.merchants import MerchantOptions, find, records, update
from gerbang.merchants.gateway_key import gateway_public_key_now
from gerbang.notifications.outbox import Exchange, Notification, NotificationState, enqueue
from gerbang.protocols.snap import notification as snap
from gerbang.protocols.snap.notification import SnapNotifications, body_bytes, read_token_answer
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY, load_settings
from support.notifying import Delivering, as_stored, eventually, queue_one
from support.snap import PRIVATE_PEM, PUBLIC_PEM, claims_of
from support.snap_merchant import NOTIFY_PATH, TOKEN_PATH, SnapMerchant, is_signed_by, token_body

pytestmark = pytest.mark.slow


BODY = {
    "originalPartnerReferenceNo": "INV+1/é%",
    "originalReferenceNo": "pay_1",
    "originalExternalId": "41807553358950093184162180797837",
    "latestTransactionStatus": "00",
    "transactionStatusDesc": "Success",
    "amount": {"value": "10000.00", "currency": "IDR"},
    "additionalInfo": {"channelId": "EMONEY_DOKU_SNAP", "accountType": "EMONEY"},
    "lineItems": [],
}


@pytest.fixture
def merchant() -> Iterator[SnapMerchant]:
    with SnapMerchant(client_id=DEMO_CLIENT_ID, secret_key=SANDBOX_SECRET_KEY, private_pem=PRIVATE_PEM) as partner:
        yield partner


@pytest.fixture
def process(tmp_path: Any, merchant: SnapMerchant) -> Iterator[Delivering]:
    with Delivering(str(tmp_path / "gerbang.db"), notification_timeout_s=3) as delivering:
        register(delivering, merchant.token_url)
        yield delivering


def register(process: Delivering, token_url: str | None, **more: Any) -> None:
    """The merchant, with this token URL."""

    def write(tx: Any) -> None:
        if find(tx, DEMO_CLIENT_ID) is None:
            records.create(
                tx, name="Pasar Pagi", client_id=DEMO_CLIENT_ID, secret_key=SANDBOX_SECRET_KEY, now=process.clock.now()
            )
        update(tx, DEMO_CLIENT_ID, options=MerchantOptions(snap_token_url=token_url), **more)

    process.database.transact_now(write)


def queue(process: Delivering, url: str, *, payment_id: str = "pay_1") -> str:
    return process.database.transact_now(
        lambda tx: enqueue(
            tx,
            merchant_id=DEMO_CLIENT_ID,
            order_id="ord_1",
            payment_id=payment_id,
            kind="snap",
            url=url,
            body=body_bytes(BODY),
            now=process.clock.now(),
        )
    )


def gateway_public_key(process: Delivering) -> str:
    return gateway_public_key_now(process.database, load_settings(env={}, given={"data": ":memory:"}))


def attempts(process: Delivering, notification_id: str, count: int = 1) -> Any:
    """The notification's attempts, once there are that many."""

    def look() -> Any:
        found = as_stored(process.database, notification_id)[1]
        return found if len(found) >= count else None

    return eventually(look)


# -- the two legs


def test_the_merchants_token_is_asked_for_and_then_signs_the_notification(process: Delivering, merchant: SnapMerchant) -> None:
    sent = queue(process, merchant.notification_url)

    asked, told = merchant.wait_for(2)

    assert asked.path == TOKEN_PATH
    assert merchant.asked_rightly(asked, gateway_public_key(process))
    assert told.path == NOTIFY_PATH
    assert json.loads(told.body) == BODY
    assert merchant.signed_rightly(told, merchant.tokens[0])
    assert attempts(process, sent)[0].status == 200
    assert eventually(lambda: as_stored(process.database, sent)[0].state is NotificationState.DELIVERED)


def test_both_legs_work_on_either_engine(data_address: str, merchant: SnapMerchant) -> None:
    with Delivering(data_address) as process:
        register(process, merchant.token_url)
        sent = queue(process, merchant.notification_url)

        attempt = attempts(process, sent)[0]

        assert attempt.status == 200
        assert attempt.before is not None
        assert attempt.before.status == 200


def test_the_headers_are_those_of_the_document(process: Delivering, merchant: SnapMerchant) -> None:
    queue(process, merchant.notification_url)

    asked, told = merchant.wait_for(2)

    assert told.header("X-PARTNER-ID") == DEMO_CLIENT_ID
    assert told.header("CHANNEL-ID") == "H2H"
    assert told.header("X-DEVICE-ID") == "GERBANG"
    assert told.header("Content-Type") == "application/json"
    # Official libraries check the customer's token as they check the partner's.
    assert told.header("Authorization-Customer") == f"Bearer {merchant.tokens[0]}"
    assert told.header("X-EXTERNAL-ID").isdecimal()
    assert len(told.header("X-EXTERNAL-ID")) <= 36
    for call in (asked, told):
        stamp = call.header("X-TIMESTAMP")
        assert stamp.endswith("+07:00")
        assert abs(datetime.fromisoformat(stamp) - real_now()) < timedelta(seconds=15)


def test_headers_carry_real_time_when_business_time_was_moved(process: Delivering, merchant: SnapMerchant) -> None:
    process.advance(days=40)

    queue(process, merchant.notification_url)

    for call in merchant.wait_for(2):
        assert abs(datetime.fromisoformat(call.header("X-TIMESTAMP")) - real_now()) < timedelta(seconds=15)


def test_what_is_signed_is_the_path_actually_called_with_its_query(process: Delivering, merchant: SnapMerchant) -> None:
    queue(process, merchant.base + "/shop/notify?a=1&b=%20x")

    _, told = merchant.wait_for(2)

    assert told.path == "/shop/notify?a=1&b=%20x"
    assert merchant.signed_rightly(told, merchant.tokens[0])


def test_the_body_is_the_same_for_whoever_hashes_it_as_received_or_written_anew(
    process: Delivering, merchant: SnapMerchant
) -> None:
    """Node's JSON.stringify writes nothing escaped; PHP's library and Java's unescape before hashing."""
    queue(process, merchant.notification_url)

    _, told = merchant.wait_for(2)

    assert told.body == json.dumps(json.loads(told.body), ensure_ascii=False, separators=(",", ":")).encode()
    assert b"INV+1/\xc3\xa9%" in told.body


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda token: token_body(token, "900"), id="expiresIn as text"),
        pytest.param(lambda token: token_body(token, None), id="expiresIn missing"),
        pytest.param(lambda token: token_body(token) | {"responseCode": 2007300}, id="code as number"),
        pytest.param(lambda token: {"accessToken": token}, id="token alone"),
        pytest.param(
            lambda token: {"header": {"x-client-key": DEMO_CLIENT_ID, "x-timestamp": "…"}, "body": token_body(token)},
            id="the wrapper of official libraries",
        ),
        pytest.param(lambda token: {"responseCode": "2007300", "body": {"accessToken": token}}, id="code outside, token inside"),
    ],
)
def test_a_token_is_found_in_every_form_merchants_answer(
    process: Delivering, merchant: SnapMerchant, answer: Callable[[str], object]
) -> None:
    merchant.token_answer = lambda token: (200, answer(token))

    queue(process, merchant.notification_url)

    _, told = merchant.wait_for(2)
    assert merchant.signed_rightly(told, merchant.tokens[0])


# -- the token is kept


def test_a_token_is_used_until_it_lapses(process: Delivering, merchant: SnapMerchant) -> None:
    for number in range(5):
        attempts(process, queue(process, merchant.notification_url, payment_id=f"pay_{number}"))

    assert len(merchant.token_calls) == 1
    assert all(merchant.signed_rightly(told, merchant.tokens[0]) for told in merchant.notifications)
    assert len(merchant.notifications) == 5


@pytest.mark.parametrize("expires_in", [0, 5, "10", -1, "soon", True, None, "nan", {}])
def test_a_token_that_hardly_lives_is_used_once(process: Delivering, merchant: SnapMerchant, expires_in: object) -> None:
    merchant.token_answer = lambda token: (200, token_body(token, expires_in))

    for number in range(2):
        attempts(process, queue(process, merchant.notification_url, payment_id=f"pay_{number}"))

    assert len(merchant.token_calls) == 2
    assert all(map(merchant.signed_rightly, merchant.notifications, merchant.tokens))


def test_a_lapsed_token_is_replaced(process: Delivering, merchant: SnapMerchant) -> None:
    attempts(process, queue(process, merchant.notification_url))
    notifier: SnapNotifications = process.deliverer._prepare["snap"].__self__  # type: ignore[attr-defined]
    [(key, token)] = notifier._tokens.items()
    # Shorter than it lives, for the way of what is signed with it.
    assert 885 < token.lapses - time.monotonic() <= 890
    notifier._tokens[key] = replace(token, lapses=time.monotonic())

    attempts(process, queue(process, merchant.notification_url, payment_id="pay_2"))

    assert len(merchant.token_calls) == 2
    assert merchant.signed_rightly(merchant.notifications[1], merchant.tokens[1])


def test_many_notifications_at_once_share_one_token_request(process: Delivering, merchant: SnapMerchant) -> None:
    merchant.token_delay_s = 0.3

    sent = [queue(process, merchant.notification_url, payment_id=f"pay_{number}") for number in range(12)]

    merchant.wait_for(13)
    assert len(merchant.token_calls) == 1
    stored = [attempts(process, one)[0] for one in sent]
    assert sum(attempt.before is not None for attempt in stored) == 1


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (401, {"responseCode": "4015601", "responseMessage": "Invalid Token (B2B)"}),
        # What an official library answers, with whatever HTTP status the merchant's framework has: mostly 200.
        (200, {"responseCode": "5005600", "responseMessage": "Invalid Token"}),
    ],
)
def test_a_token_that_the_merchant_no_longer_takes_is_not_used_again(
    process: Delivering, merchant: SnapMerchant, status: int, answer: object
) -> None:
    merchant.notification_answer = lambda: (status, answer)
    attempts(process, queue(process, merchant.notification_url))

    attempts(process, queue(process, merchant.notification_url, payment_id="pay_2"))

    assert len(merchant.token_calls) == 2
    assert merchant.signed_rightly(merchant.notifications[1], merchant.tokens[1])


def test_a_new_secret_key_or_token_url_asks_anew(process: Delivering, merchant: SnapMerchant) -> None:
    attempts(process, queue(process, merchant.notification_url))
    register(process, merchant.token_url, secret_key="SK-another")
    merchant.secret_key = "SK-another"

    attempts(process, queue(process, merchant.notification_url, payment_id="pay_2"))

    assert merchant.signed_rightly(merchant.notifications[1], merchant.tokens[1])


# -- leg 1 fails


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (401, {"responseCode": "4017300", "responseMessage": "Unauthorized."}, "answered 401 4017300 Unauthorized."),
        (200, {"responseCode": "4017300", "responseMessage": "Unauthorized."}, "refused: 4017300 Unauthorized."),
        (200, {"responseCode": 4017300, "accessToken": None}, "refused: 4017300"),
        (
            200,
            {"header": {}, "body": {"responseCode": "4017300", "responseMessage": "Unauthorized.Invalid Signature"}},
            "refused: 4017300 Unauthorized.Invalid Signature",
        ),
        (500, b"oops", "answered 500"),
        (302, b"", "answered 302"),
        (200, b"<html>", "the answer has no accessToken (200)"),
        (200, b"[]", "the answer has no accessToken (200)"),
        (200, b"[" * 100_000, "the answer has no accessToken (200)"),
        (200, {"accessToken": ""}, "the answer has no accessToken (200)"),
        (200, {"accessToken": 7}, "the answer has no accessToken (200)"),
        (200, {"accessToken": "a\r\nX-Evil: 1"}, "the answer has no accessToken (200)"),
        (200, {"accessToken": "a" * 9_000}, "the answer has no accessToken (200)"),
    ],
)
def test_without_a_token_nothing_is_sent_and_the_attempt_says_why(
    process: Delivering, merchant: SnapMerchant, status: int, answer: object, why: str
) -> None:
    merchant.token_answer = lambda _token: (status, answer)

    sent = queue(process, merchant.notification_url)

    attempt = attempts(process, sent)[0]
    assert attempt.error == f"no token from {merchant.token_url}: {why}"
    assert (attempt.status, attempt.request_headers) == (None, {})
    assert attempt.before is not None
    assert (attempt.before.url, attempt.before.status) == (merchant.token_url, status)
    assert attempt.before.string_to_sign == f"{DEMO_CLIENT_ID}|{attempt.before.request_headers['X-TIMESTAMP']}"
    assert merchant.notifications == []
    assert as_stored(process.database, sent)[0].state is NotificationState.RETRYING


def test_a_retry_asks_for_the_token_again_and_has_another_external_id(process: Delivering, merchant: SnapMerchant) -> None:
    answers = iter([(401, {"responseCode": "4017300"})])
    merchant.token_answer = lambda token: next(answers, (200, token_body(token)))
    told = iter([(500, b"")])
    merchant.notification_answer = lambda: next(told, (200, {}))
    sent = queue(process, merchant.notification_url)
    attempts(process, sent)

    process.advance(minutes=30)
    attempts(process, sent, 2)
    process.advance(hours=6)
    attempts(process, sent, 3)

    first, second = merchant.notifications
    assert as_stored(process.database, sent)[0].state is NotificationState.DELIVERED
    assert first.header("X-EXTERNAL-ID") != second.header("X-EXTERNAL-ID")
    assert first.body == second.body
    assert merchant.signed_rightly(second, merchant.tokens[-1])


def test_a_token_url_that_nobody_listens_at_is_a_failure(process: Delivering, merchant: SnapMerchant) -> None:
    register(process, "http://127.0.0.1:1/token")

    attempt = attempts(process, queue(process, merchant.notification_url))[0]

    assert attempt.error.startswith("no token from http://127.0.0.1:1/token: Cannot connect")
    assert attempt.before.status is None


def test_a_token_url_that_hangs_fails_all_that_wait_for_it_together(process: Delivering, merchant: SnapMerchant) -> None:
    merchant.token_delay_s = 5

    sent = [queue(process, merchant.notification_url, payment_id=f"pay_{number}") for number in range(8)]

    errors = [attempts(process, one)[0].error for one in sent]
    assert errors == [f"no token from {merchant.token_url}: no answer within 3 s"] * 8
    assert len(merchant.token_calls) == 1


def test_in_production_neither_leg_reaches_our_own_network(tmp_path: Any, merchant: SnapMerchant) -> None:
    production = {
        "mode": "production",
        "public_url": "https://pay.example.id",
        "encryption_key": "a key of our own, long enough to be one",
    }
    with Delivering(str(tmp_path / "gerbang.db"), **production) as process:
        register(process, merchant.token_url)
        first = attempts(process, queue(process, merchant.notification_url))[0]
        register(process, None)
        second = attempts(process, queue(process, merchant.notification_url, payment_id="pay_2"))[0]

    assert "127.0.0.1 is not a public address" in first.error
    assert first.error.startswith("no token from")
    assert "127.0.0.1 is not a public address" in second.error
    assert merchant.calls == []


# -- a token of ours


def test_a_merchant_without_a_token_url_gets_a_token_of_the_gateways(process: Delivering, merchant: SnapMerchant) -> None:
    register(process, None)

    sent = queue(process, merchant.notification_url)

    [told] = merchant.wait_for(1)
    token = told.header("Authorization").removeprefix("Bearer ")
    assert is_signed_by(token, gateway_public_key(process))
    assert not is_signed_by(token, PUBLIC_PEM)
    claims = claims_of(token)
    assert claims["iss"] == "DOKU"
    assert claims["clientId"] == DEMO_CLIENT_ID
    assert 0 < claims["exp"] - real_now().timestamp() <= 900
    assert merchant.signed_rightly(told, token)
    assert attempts(process, sent)[0].before is None


# -- what is kept of it


def test_no_token_is_kept_in_what_is_recorded(process: Delivering, merchant: SnapMerchant, tmp_path: Any) -> None:
    merchant.notification_answer = lambda: (500, {"echo": merchant.tokens[-1]})

    attempt = attempts(process, queue(process, merchant.notification_url))[0]

    token = merchant.tokens[0]
    assert attempt.request_headers["Authorization"] == f"Bearer {token[:8]}…{token[-6:]}"
    assert attempt.string_to_sign.startswith(f"POST:{NOTIFY_PATH}:{token[:8]}…{token[-6:]}:")
    with sqlite3.connect(tmp_path / "gerbang.db") as connection:
        assert token not in "\n".join(connection.iterdump())


def test_a_token_in_a_refusal_is_not_kept_either() -> None:
    answer = json.dumps({"responseCode": "4017300", "accessToken": "x" * 80})

    token, _, why = read_token_answer(Exchange("http://shop.example", 1, {}, "", 200, {}, answer, None))

    assert (token, why) == ("x" * 80, "refused: 4017300")  # known, so that it can be left out


def test_a_kind_that_nobody_prepares_is_an_attempt_that_failed(process: Delivering, merchant: SnapMerchant) -> None:
    sent = queue_one(process.database, merchant.notification_url, payment_id="pay_9")
    attempts(process, sent)
    process.database.transact_now(
        lambda tx: tx.execute(
            "update notification set kind = 'pigeon', state = 'QUEUED', due_at = 0 where id = :id", {"id": sent}
        )
    )
    process.deliverer._wake.set()

    attempt = attempts(process, sent, 2)[1]

    assert attempt.error == "this version delivers no notifications of the kind 'pigeon'"


def test_external_ids_of_attempts_differ_and_are_short() -> None:
    now = Clock().now()

    def made(number: int, at: datetime) -> str:
        one = Notification("ntf_" + str(number), "", "", "", "", "", "", "", b"", NotificationState.QUEUED, 0, False, now, now)
        return snap.external_id(one, at)

    found = {made(number, now + timedelta(milliseconds=later)) for number in range(50) for later in range(20)}
    assert len(found) == 1_000
    assert all(one.isdecimal() and len(one) <= 36 for one in found)
