"""S1-01 … S1-15, D-1, D-5, D-11: token requests, what they answer, and how long tokens live."""

import asyncio
import concurrent.futures
import logging
import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from gerbang.endpoint import Call, Endpoint
from gerbang.errors import Reason, Refused
from gerbang.merchants import MerchantOptions, create, get, update
from gerbang.merchants.gateway_key import GatewayKey, gateway_public_key_now
from gerbang.protocols.snap.housekeeping import purge_snap
from gerbang.protocols.snap.service import Snap
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import load_settings
from gerbang.storage import Database
from gerbang.wallet.bindings import unbind
from gerbang.wallet.demo import DEMO_ACCOUNTS
from support.gateway import NOON, Answer, RunningGateway, lent_gateway
from support.postgres import Postgres
from support.snap import (
    B2B2C,
    PRIVATE_PEM,
    PUBLIC_PEM,
    SnapCaller,
    assert_snap_error,
    assert_snap_ok,
    claims_of,
    now_text,
    rsa_signature,
)

PARTNER_PATH = "/snap-adapter/b2b/v1.0/test-hello"
CUSTOMER_PATH = "/snap-adapter/b2b2c/v1.0/test-hello"
CUSTOMER = DEMO_ACCOUNTS[0].account_id
INVALID_B2B = ("4019901", "Invalid Token (B2B)")
INVALID_CUSTOMER = ("4019902", "Invalid Customer Token")


def hello(call: Call, _body: Any) -> dict[str, str]:
    return {"accountId": call.customer_id, "linkId": call.binding_id}


def with_test_endpoints(running: RunningGateway) -> RunningGateway:
    """Two endpoints that say whose tokens came, guarded like every SNAP endpoint."""
    guard = Snap(running.gateway.database, running.gateway.clock, running.gateway.settings)
    for path, needs_customer in ((PARTNER_PATH, False), (CUSTOMER_PATH, True)):
        running.gateway.api.add(
            guard,
            Endpoint("POST", path, "Hello", hello, dict, family="snap", service_code="99", needs_customer=needs_customer),  # type: ignore[arg-type]
        )
    return running


@pytest.fixture
def running(shared_postgres: Postgres | None) -> Iterator[RunningGateway]:
    """On each engine."""
    with lent_gateway(postgres=shared_postgres, equip=with_test_endpoints) as one:
        yield one


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningGateway]:
    """For what leaves nothing behind."""
    with lent_gateway(equip=with_test_endpoints) as one:
        yield one


@pytest.fixture
def partner(running: RunningGateway) -> SnapCaller:
    return SnapCaller(running)


@pytest.fixture
def caller(shared: RunningGateway) -> SnapCaller:
    return SnapCaller(shared)


def wait(running: RunningGateway, **delta: float) -> None:
    """Move business time."""
    running.control("POST", "/clock", {"advance_s": timedelta(**delta).total_seconds()})


def works(partner: SnapCaller, token: str) -> bool:
    answer = partner.call(PARTNER_PATH, {}, token=token)
    if answer.status != 200:
        assert_snap_error(answer, *INVALID_B2B)
    return answer.status == 200


def customer_works(partner: SnapCaller, token: str) -> bool:
    answer = partner.call(CUSTOMER_PATH, {}, token=partner.b2b(), customer=token)
    if answer.status != 200:
        assert_snap_error(answer, *INVALID_CUSTOMER)
    return answer.status == 200


def refreshed(partner: SnapCaller, token: str) -> Answer:
    return partner.ask_token(B2B2C, {"grantType": "refresh_token", "authCode": "", "refreshToken": token, "additionalInfo": None})


# -- the B2B request


def test_a_b2b_token_answers_exactly_what_every_sdk_can_read(running: RunningGateway, partner: SnapCaller):
    """S1-06 … S1-10: expiresIn a number, additionalInfo a text, no other key; the gateway's own signature on the token."""
    answer = partner.ask_token()

    body = assert_snap_ok(answer, "73")
    assert list(body) == ["responseCode", "responseMessage", "accessToken", "tokenType", "expiresIn", "additionalInfo"]
    assert (body["tokenType"], body["additionalInfo"]) == ("Bearer", "")
    assert type(body["expiresIn"]) is int
    assert body["expiresIn"] == 900
    assert answer.headers["x-client-key"] == partner.client_id
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+07:00", answer.headers["x-timestamp"])
    claims = claims_of(body["accessToken"])
    assert set(claims) == {"exp", "nbf", "iss", "iat", "jti", "clientId"}
    assert (claims["iss"], claims["clientId"], claims["exp"] - claims["iat"]) == ("DOKU", partner.client_id, 900)
    assert uuid.UUID(claims["jti"])
    assert body["accessToken"].startswith("eyJhbGciOiJSUzI1NiJ9."), "alg and nothing else"
    assert_signed_by_gateway(running, body["accessToken"])


def assert_signed_by_gateway(running: RunningGateway, token: str) -> None:
    import base64

    pem = gateway_public_key_now(running.database, running.gateway.settings)
    key = load_pem_public_key(pem.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    text, _, signature = token.rpartition(".")
    key.verify(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)), text.encode(), PKCS1v15(), SHA256())


@pytest.mark.parametrize("info", ['""', "{}", "[]", "null", '"text"', '{"a":1}', "absent"])
def test_any_additional_info_is_taken(caller: SnapCaller, info: str):
    """RC1: the SDKs do not agree."""
    rest = "" if info == "absent" else f',"additionalInfo":{info}'

    assert_snap_ok(caller.ask_token(body=f'{{"grantType":"client_credentials"{rest}}}'.encode()), "73")


def test_the_grant_type_may_be_in_capitals(caller: SnapCaller):
    assert_snap_ok(caller.ask_token(body={"grantType": "CLIENT_CREDENTIALS"}), "73")


@pytest.mark.parametrize(
    "stamp",
    [
        lambda text: text,
        lambda text: datetime.fromisoformat(text).astimezone(tz=None).isoformat(),
        lambda text: text.replace("+07:00", "+0700"),
        lambda text: text[:19].replace("-", "") + ".000+07:00",
        lambda text: text[:19].replace("-", "") + ".123 +07:00",
        lambda text: text[:19] + ".000+07:00",
    ],
)
def test_the_timestamp_is_signed_as_sent(caller: SnapCaller, stamp: Any):
    """S1-07."""
    assert_snap_ok(caller.ask_token(timestamp=stamp(now_text())), "73")


def test_utc_is_fine_too(caller: SnapCaller):
    utc = datetime.fromisoformat(now_text()) - timedelta(hours=7)

    for zone in ("Z", "+00:00", "-00:00", ".000Z"):
        assert_snap_ok(caller.ask_token(timestamp=utc.isoformat()[:19] + zone), "73")


@pytest.mark.parametrize("missing", ["X-CLIENT-KEY", "X-TIMESTAMP", "X-SIGNATURE"])
def test_a_missing_header_is_named(caller: SnapCaller, missing: str):
    assert_snap_error(caller.ask_token(headers={missing: ""}), "4007302", f"Invalid Mandatory Field {{{missing}}}")


@pytest.mark.parametrize("stamp", ["yesterday", "2026-01-02T03:04:05", -16, 16])
def test_a_timestamp_that_is_none_or_too_far_off_is_refused(caller: SnapCaller, stamp: Any):
    """D-11: a quarter of an hour, by the machine's clock."""
    stamp = now_text(minutes=stamp) if isinstance(stamp, int) else stamp

    assert_snap_error(caller.ask_token(timestamp=stamp), "4007301", "Invalid Field Format {X-TIMESTAMP}")


def test_moving_the_sandbox_clock_makes_nobody_stale(running: RunningGateway, partner: SnapCaller):
    wait(running, days=400)

    assert works(partner, partner.b2b())


def test_an_unknown_client_a_wrong_key_and_a_client_without_key_are_unauthorized(
    caller: SnapCaller, shared: RunningGateway, caplog: pytest.LogCaptureFixture
):
    nobody = SnapCaller(shared, client_id="BRN-NOBODY", public_pem=None)
    assert_snap_error(nobody.ask_token(), "4017300", "Unauthorized. Unknown Client")

    stamp = now_text()
    signature = rsa_signature(f"{caller.client_id}|{now_text(seconds=1)}")
    with caplog.at_level(logging.WARNING):
        answer = caller.ask_token(timestamp=stamp, headers={"X-SIGNATURE": signature})
    assert_snap_error(answer, "4017300", "Unauthorized. Signature Not Match")
    assert f"{caller.client_id}|{stamp}" in caplog.text, "what a developer compares"

    shared.control("POST", "/merchants", {"name": "Tanpa Kunci", "client_id": "BRN-KEYLESS", "secret_key": "SK-1"})
    keyless = SnapCaller(shared, client_id="BRN-KEYLESS", public_pem=None)
    assert_snap_error(keyless.ask_token(), "4017300", "Unauthorized. No Public Key Registered")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", "4007300", "Bad Request"),
        (b"[]", "4007300", "Bad Request"),
        (b'{"grantType":"client_credentials","grantType":"x"}', "4007300", "Bad Request"),
        (b"{}", "4007302", "Invalid Mandatory Field {grantType}"),
        (b'{"grantType":""}', "4007302", "Invalid Mandatory Field {grantType}"),
        (b'{"grantType":"authorization_code"}', "4007301", "Invalid Field Format {grantType}"),
        (b'{"grantType":["client_credentials"]}', "4007301", "Invalid Field Format {grantType}"),
    ],
)
def test_faulty_bodies_are_refused(caller: SnapCaller, body: bytes, code: str, message: str):
    assert_snap_error(caller.ask_token(body=body), code, message)


def test_asking_again_with_the_very_same_request_gives_another_token(partner: SnapCaller):
    """RC1: several within one second have the same signature; each wants an answer, and earlier ones go on."""
    stamp = now_text()

    tokens = [partner.ask_token(timestamp=stamp).json["accessToken"] for _ in range(3)]

    assert len(set(tokens)) == 3
    assert all(works(partner, token) for token in tokens)


def test_sixty_four_clients_at_once_all_get_a_token_that_works(partner: SnapCaller):
    """S1-04, D-1."""
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: partner.ask_token(), range(64)))

    assert {answer.status for answer in answers} == {200}
    tokens = {answer.json["accessToken"] for answer in answers}
    assert len(tokens) == 64
    assert works(partner, answers[0].json["accessToken"])
    assert works(partner, answers[63].json["accessToken"])


# -- how long tokens live


def test_a_token_that_is_not_used_lapses_after_fifteen_minutes(running: RunningGateway, partner: SnapCaller):
    """S1-02."""
    first, second = partner.b2b(), partner.b2b()

    wait(running, seconds=890)
    assert works(partner, second)
    wait(running, seconds=11)

    assert not works(partner, first)
    assert works(partner, second)


def test_a_token_lives_on_as_long_as_there_is_activity(running: RunningGateway, partner: SnapCaller):
    """S1-03: 900 s after the last call, also after a call soon after its issue."""
    token = partner.b2b()

    for pause in (5, 898, 898, 20, 25, 899):
        wait(running, seconds=pause)
        assert works(partner, token), pause
    wait(running, seconds=901)

    assert not works(partner, token)


def test_refused_calls_are_activity_but_calls_with_a_wrong_signature_are_none(running: RunningGateway, partner: SnapCaller):
    token = partner.b2b()
    wait(running, seconds=800)
    assert partner.call(PARTNER_PATH, {}, token=token, hashed=b"another").json["responseCode"] == "4019900"
    wait(running, seconds=101)
    assert not works(partner, token)


def test_no_token_lives_longer_than_a_day(running: RunningGateway, partner: SnapCaller):
    """D-1."""
    token = partner.b2b()
    for _ in range(96):
        wait(running, seconds=890)
        assert works(partner, token)

    wait(running, seconds=86_400 - 96 * 890 + 1)

    assert not works(partner, token)


def test_a_use_is_written_down_every_half_minute_only(running: RunningGateway, partner: SnapCaller):
    """Many calls with one token must not become as many writes."""
    token = partner.b2b()

    def lapses_at() -> list[int]:
        return [row["lapses_at"] for row in running.database.read_now(lambda tx: tx.all("select lapses_at from snap_token"))]

    written = set()
    for _ in range(31):
        wait(running, seconds=2)
        assert works(partner, token)
        written |= set(lapses_at())

    assert 2 <= len(written) <= 4


def test_a_restarted_gateway_knows_its_tokens(running: RunningGateway, partner: SnapCaller):
    token = partner.b2b()
    wait(running, seconds=600)
    assert works(partner, token)

    fresh = Snap(running.gateway.database, running.gateway.clock, running.gateway.settings)
    wait(running, seconds=600)
    running.gateway.api.add(fresh, Endpoint("POST", PARTNER_PATH + "2", "Hello", hello, dict, family="snap", service_code="99"))  # type: ignore[arg-type]

    assert partner.call(PARTNER_PATH + "2", {}, token=token).status == 200


@pytest.mark.parametrize("change", [{"secret_key": "SK-another"}, {"snap_public_key": None}])
def test_changing_the_secret_or_the_key_ends_every_token_at_once(
    running: RunningGateway, partner: SnapCaller, change: dict[str, Any]
):
    """D-1: in every mode."""
    token, tokens = partner.b2b(), partner.customer(partner.bind(CUSTOMER)[1])
    if "snap_public_key" in change:
        other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        pem = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        partner.private_pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        change = {"snap_public_key": pem}

    running.database.transact_now(lambda tx: update(tx, partner.client_id, **change))
    partner.secret_key = change.get("secret_key", partner.secret_key)

    assert not works(partner, token)
    assert works(partner, partner.b2b())
    assert not customer_works(partner, tokens["accessToken"])
    assert_snap_error(refreshed(partner, tokens["refreshToken"]), "4017402", "Invalid Customer Token")


def test_another_partner_cannot_use_a_token(running: RunningGateway, partner: SnapCaller):
    running.control("POST", "/merchants", {"name": "Toko Lain", "client_id": "BRN-OTHER", "secret_key": "SK-other"})
    other = SnapCaller(running, client_id="BRN-OTHER", secret_key="SK-other")
    tokens = partner.customer(partner.bind(CUSTOMER)[1])

    assert not works(other, partner.b2b())
    assert not customer_works(other, tokens["accessToken"])
    assert_snap_error(refreshed(other, tokens["refreshToken"]), "4017402", "Invalid Customer Token")
    assert customer_works(partner, tokens["accessToken"])


def test_tokens_of_one_kind_are_not_taken_for_another(partner: SnapCaller):
    b2b, tokens = partner.b2b(), partner.customer(partner.bind(CUSTOMER)[1])

    assert not works(partner, tokens["accessToken"])
    assert not customer_works(partner, b2b)
    assert not customer_works(partner, tokens["refreshToken"])
    assert_snap_error(refreshed(partner, tokens["accessToken"]), "4017402", "Invalid Customer Token")


@pytest.mark.parametrize("where", ["merchant", "settings"])
def test_strictly_read_only_the_latest_token_is_processed(tmp_path: Any, where: str):
    """S1-04 to the letter: setting latest_token_only, and each merchant's own choice."""
    given: dict[str, Any] = {"data": str(tmp_path / "gerbang.db"), "latest_token_only": where == "settings"}
    running = with_test_endpoints(RunningGateway(load_settings(env={}, given=given)))
    try:
        partner = SnapCaller(running)
        if where == "merchant":
            options = MerchantOptions(latest_token_only=True)
            running.database.transact_now(lambda tx: update(tx, partner.client_id, options=options))
        older = partner.b2b()
        theirs = partner.customer_token(CUSTOMER)
        others = partner.customer_token(DEMO_ACCOUNTS[1].account_id)

        newer = partner.b2b()
        assert works(partner, older), "five seconds of grace"
        wait(running, seconds=6)
        assert not works(partner, older)
        assert works(partner, newer)

        assert customer_works(partner, theirs)
        again = partner.customer_token(CUSTOMER)
        wait(running, seconds=6)
        assert not customer_works(partner, theirs)
        assert customer_works(partner, again)
        assert customer_works(partner, others), "another customer's token has nothing to do with it"
    finally:
        running.stop()


def test_ended_tokens_are_dropped_and_living_ones_kept(running: RunningGateway, partner: SnapCaller):
    used, _unused = partner.b2b(), partner.b2b()
    wait(running, seconds=600)
    assert works(partner, used)
    wait(running, seconds=500)

    now = running.gateway.clock.now()
    assert running.database.transact_now(lambda tx: purge_snap(tx, now=now)) == 1
    assert running.database.transact_now(lambda tx: purge_snap(tx, now=now)) == 0
    assert works(partner, used)


def test_tokens_are_kept_as_hashes_only(running: RunningGateway, partner: SnapCaller):
    sent = [partner.b2b(), *partner.customer(partner.bind(CUSTOMER)[1]).values()]

    rows = running.database.read_now(lambda tx: tx.all("select hash, merchant_id, kind, binding_id from snap_token"))

    assert sorted(row["kind"] for row in rows) == ["B2B", "B2B", "B2B2C", "REFRESH"][-len(rows) :]
    kept = repr([[bytes(row["hash"]), row["merchant_id"], row["binding_id"]] for row in rows])
    assert not any(len(token) > 100 and token in kept for token in sent)
    assert {len(bytes(row["hash"])) for row in rows} == {32}


# -- the customer's token


def test_an_auth_code_becomes_a_customers_tokens(running: RunningGateway, partner: SnapCaller):
    """S1-12 … S1-15: two tokens with their times, no expiresIn."""
    binding, code = partner.bind(CUSTOMER)
    assert uuid.UUID(code)

    answer = partner.ask_token(B2B2C, {"grantType": "authorization_code", "authCode": code, "refreshToken": ""})

    body = assert_snap_ok(answer, "74")
    assert list(body)[2:] == [
        "accessToken",
        "tokenType",
        "accessTokenExpiryTime",
        "refreshToken",
        "refreshTokenExpiryTime",
        "additionalInfo",
    ]
    assert (body["tokenType"], body["additionalInfo"]) == ("Bearer", "")
    access, refresh = (datetime.fromisoformat(body[name]) for name in ("accessTokenExpiryTime", "refreshTokenExpiryTime"))
    assert body["accessTokenExpiryTime"].endswith("+07:00")
    assert abs(access - running.gateway.clock.now() - timedelta(seconds=900)) < timedelta(seconds=20)
    assert refresh - access == timedelta(days=15) - timedelta(seconds=900)
    claims = claims_of(body["accessToken"])
    assert (claims["iss"], claims["clientId"]) == ("DOKU", partner.client_id)
    assert claims["additionalData"] == f'{{"accountId":"{CUSTOMER}"}}'
    assert claims["exp"] == int(access.timestamp())
    assert uuid.UUID(claims_of(body["refreshToken"])["additionalData"])
    assert_signed_by_gateway(running, body["accessToken"])
    said = assert_snap_ok(partner.call(CUSTOMER_PATH, {}, customer=body["accessToken"]), "99")
    assert (said["accountId"], said["linkId"]) == (CUSTOMER, binding.id)


def test_an_auth_code_is_exchanged_once_and_the_first_token_lives_on(partner: SnapCaller):
    """D-5: clients send the same code again before each payment."""
    _, code = partner.bind(CUSTOMER)
    first = partner.customer(code)["accessToken"]

    again = partner.ask_token(B2B2C, {"grantType": "authorization_code", "authCode": code})

    assert_snap_error(again, "4017400", "Unauthorized. Invalid authCode")
    assert customer_works(partner, first)


def test_of_many_exchanges_at_once_one_succeeds(partner: SnapCaller):
    _, code = partner.bind(CUSTOMER)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        body = {"grantType": "authorization_code", "authCode": code}
        codes = [answer.json["responseCode"] for answer in pool.map(lambda _: partner.ask_token(B2B2C, body), range(16))]

    assert sorted(codes) == ["2007400"] + ["4017400"] * 15


def test_an_auth_code_lives_ten_minutes_and_belongs_to_one_partner(running: RunningGateway, partner: SnapCaller):
    """D-5."""
    running.control("POST", "/merchants", {"name": "Toko Lain", "client_id": "BRN-OTHER", "secret_key": "SK-other"})
    other = SnapCaller(running, client_id="BRN-OTHER", secret_key="SK-other")
    _, stolen = partner.bind(CUSTOMER)
    _, late = partner.bind(CUSTOMER)

    body = {"grantType": "authorization_code", "authCode": stolen}
    assert_snap_error(other.ask_token(B2B2C, body), "4017400", "Unauthorized. Invalid authCode")
    wait(running, seconds=570)  # the machine itself may take some seconds meanwhile
    assert_snap_ok(partner.ask_token(B2B2C, body), "74")
    wait(running, seconds=31)
    body = {"grantType": "authorization_code", "authCode": late}
    assert_snap_error(partner.ask_token(B2B2C, body), "4017400", "Unauthorized. Invalid authCode")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"authCode": "x"}, "4007402", "Invalid Mandatory Field {grantType}"),
        ({"grantType": "authorization_code"}, "4007402", "Invalid Mandatory Field {authCode}"),
        ({"grantType": "authorization_code", "authCode": "", "refreshToken": "x"}, "4007402", "Invalid Mandatory Field {authCode}"),
        ({"grantType": "refresh_token", "authCode": "x"}, "4007402", "Invalid Mandatory Field {refreshToken}"),
        ({"grantType": "client_credentials"}, "4007401", "Invalid Field Format {grantType}"),
        ({"grantType": "AUTHORIZATION_CODE", "authCode": str(uuid.uuid4())}, "4017400", "Unauthorized. Invalid authCode"),
        ({"grantType": "Refresh_Token", "refreshToken": "nonsense"}, "4017402", "Invalid Customer Token"),
    ],
)  # fmt: skip
def test_faulty_customer_token_requests_are_refused(caller: SnapCaller, body: dict[str, Any], code: str, message: str):
    assert_snap_error(caller.ask_token(B2B2C, body), code, message)


def test_a_customer_token_request_is_signed_like_the_other(caller: SnapCaller):
    wrong = caller.ask_token(B2B2C, {"grantType": "refresh_token"}, headers={"X-SIGNATURE": "AAAA"})
    nameless = caller.ask_token(B2B2C, {"grantType": "refresh_token"}, headers={"X-CLIENT-KEY": ""})

    assert_snap_error(wrong, "4017400", "Unauthorized. Signature Not Match")
    assert_snap_error(nameless, "4007402", "Invalid Mandatory Field {X-CLIENT-KEY}")


def test_a_refresh_token_gives_a_new_pair_and_goes_on_for_a_minute(running: RunningGateway, partner: SnapCaller):
    """SC3."""
    first = partner.customer(partner.bind(CUSTOMER)[1])
    wait(running, days=14)
    assert not customer_works(partner, first["accessToken"])

    second = assert_snap_ok(refreshed(partner, first["refreshToken"]), "74")
    assert customer_works(partner, second["accessToken"])
    wait(running, seconds=59)
    third = assert_snap_ok(refreshed(partner, first["refreshToken"]), "74")
    wait(running, seconds=2)

    assert_snap_error(refreshed(partner, first["refreshToken"]), "4017402", "Invalid Customer Token")
    assert len({first["refreshToken"], second["refreshToken"], third["refreshToken"]}) == 3
    wait(running, days=14, hours=23)
    assert_snap_ok(refreshed(partner, second["refreshToken"]), "74")
    wait(running, days=1)
    assert_snap_error(refreshed(partner, third["refreshToken"]), "4017402", "Invalid Customer Token")


def test_unbinding_ends_codes_access_and_refresh_tokens_at_once(running: RunningGateway, partner: SnapCaller):
    """D-1."""
    binding, code = partner.bind(CUSTOMER)
    _, unused = partner.bind(CUSTOMER)
    tokens = partner.customer(code)

    running.database.transact_now(lambda tx: unbind(tx, binding, now=running.gateway.clock.now()))

    assert not customer_works(partner, tokens["accessToken"])
    assert_snap_error(refreshed(partner, tokens["refreshToken"]), "4017402", "Invalid Customer Token")
    body = {"grantType": "authorization_code", "authCode": unused}
    assert_snap_error(partner.ask_token(B2B2C, body), "4017400", "Unauthorized. Invalid authCode")
    again, _ = partner.bind(CUSTOMER)
    assert (again.id != binding.id, again.public_user_id) == (True, binding.public_user_id)
    assert not customer_works(partner, tokens["accessToken"])


@pytest.mark.parametrize("status", ["LOCKED", "CLOSED"])
def test_a_blocked_account_has_no_tokens(running: RunningGateway, partner: SnapCaller, status: str):
    """D-1: account block; 4037418 for new ones."""
    tokens = partner.customer(partner.bind(CUSTOMER)[1])
    _, code = partner.bind(CUSTOMER)

    def become(word: str) -> None:
        update_status = {"status": word, "id": CUSTOMER}
        running.database.transact_now(
            lambda tx: tx.execute("update wallet_account set status = :status where id = :id", update_status)
        )

    become(status)
    try:
        assert not customer_works(partner, tokens["accessToken"])
        inactive = ("4037418", "Inactive Card/Account/Customer")
        assert_snap_error(refreshed(partner, tokens["refreshToken"]), *inactive)
        assert_snap_error(partner.ask_token(B2B2C, {"grantType": "authorization_code", "authCode": code}), *inactive)
    finally:
        become("ACTIVE")
    assert_snap_ok(partner.ask_token(B2B2C, {"grantType": "authorization_code", "authCode": code}), "74")


# -- keys


def pem_of(bits: int) -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=bits).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_merchants_public_key_has_to_be_an_rsa_public_key(database: Database):
    """S1-08; a private key sent by mistake is neither kept nor repeated."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    curve = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    made = database.transact_now(lambda tx: create(tx, name="A", client_id="BRN-1", snap_public_key=PUBLIC_PEM, now=NOON))
    assert made.snap_public_key == PUBLIC_PEM

    for number, wrong in enumerate(["x", PRIVATE_PEM, curve, pem_of(1_024), PUBLIC_PEM[:-60]]):
        with pytest.raises(Refused) as refused:
            database.transact_now(
                lambda tx, wrong=wrong, number=number: create(
                    tx, name="B", client_id=f"BRN-2{number}", snap_public_key=wrong, now=NOON
                )  # type: ignore[misc]
            )
        assert (refused.value.reason, refused.value.facts) == (Reason.FIELD_INVALID, {"field": "snap_public_key"})
        with pytest.raises(Refused) as refused:
            database.transact_now(lambda tx, wrong=wrong: update(tx, "BRN-1", snap_public_key=wrong))  # type: ignore[misc]
        assert "PRIVATE" not in str(refused.value)
    assert database.read_now(lambda tx: get(tx, "BRN-1")).snap_public_key == PUBLIC_PEM


def test_the_gateways_key_is_made_once_however_many_ask(database: Database):
    settings = load_settings(env={})
    keys = [GatewayKey(database, settings) for _ in range(3)]

    async def ask() -> set[int]:
        found = await asyncio.gather(*(key.private_key() for key in keys * 5))
        return {key.private_numbers().d for key in found}

    assert len(asyncio.run(ask())) == 1
    pem = gateway_public_key_now(database, settings)
    (number,) = asyncio.run(ask())
    public = load_pem_public_key(pem.encode())
    assert isinstance(public, rsa.RSAPublicKey)
    assert pow(pow(42, number, public.public_numbers().n), 65_537, public.public_numbers().n) == 42


def test_a_sandbox_that_was_emptied_signs_with_its_new_key(running: RunningGateway, partner: SnapCaller):
    old = partner.b2b()
    running.control("POST", "/reset", {})

    again = SnapCaller(running)

    assert not works(again, old)
    assert_signed_by_gateway(running, again.b2b())
    assert again.client_id == DEMO_CLIENT_ID
