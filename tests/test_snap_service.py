"""S1-05, S1-18 … S1-22, S1-204, D-3, D-11, D-19: every check of a SNAP call with its code, and what real clients send."""

import concurrent.futures
import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gerbang.endpoint import ActionResult, Ask, Call, Declined, Endpoint, InProgress
from gerbang.errors import Reason, Refused
from gerbang.merchants import MerchantOptions, update
from gerbang.protocols.snap.housekeeping import purge_snap
from gerbang.protocols.snap.paths import b2b, b2b2c, both
from gerbang.protocols.snap.references import find_reference, point_reference
from gerbang.protocols.snap.service import Snap
from gerbang.protocols.snap.wire import Amount
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import load_settings
from gerbang.storage import StorageBusy
from gerbang.wallet.demo import DEMO_ACCOUNTS
from support.gateway import Answer, RunningGateway, lent_gateway
from support.postgres import Postgres
from support.snap import SnapCaller, assert_snap_error, assert_snap_ok, compact, now_text, reference

CUSTOMER = DEMO_ACCOUNTS[0].account_id
PAY, PAY_FOR_CUSTOMER = both("test-pay")
REFUND, ASK, LATER, OTP = b2b("test-refund"), b2b("test-ask"), b2b("test-later"), b2b("test-otp")
INQUIRE, BROKEN, QR = b2b("test-inquire"), b2b("test-broken"), b2b2c("qr/qr-mpm-payment")


class Pay(msgspec.Struct):
    partnerReferenceNo: str
    amount: Amount | None = None
    name: str | None = None
    url: str | None = None
    count: int | None = None
    additionalInfo: dict[str, Any] = {}


class Refund(msgspec.Struct):
    originalPartnerReferenceNo: str
    partnerRefundNo: str


class Paid(msgspec.Struct, omit_defaults=True):
    referenceNo: str
    partnerReferenceNo: str
    amount: Amount | None = None
    additionalInfo: dict[str, str] = {}


def insert(call: Call, name: str) -> None:
    """Something to see whether the transaction stayed."""
    call.tx.execute("insert into instance (name, value) values (:name, '1') on conflict do nothing", {"name": name})


def pay(call: Call, body: Pay) -> ActionResult:
    insert(call, f"paid {body.partnerReferenceNo}")
    if body.name == "refuse":
        raise Refused(Reason.BALANCE_TOO_SMALL)
    if call.reference:
        point_reference(call, f"subject of {call.reference}")
    return Paid(f"ref-{call.external_id}", body.partnerReferenceNo, body.amount, {"account": call.customer_id})


def refund(call: Call, body: Refund) -> ActionResult:
    return {"partnerRefundNo": body.partnerRefundNo, "subject": call.reference}


def ask(call: Call, body: Pay) -> ActionResult:
    insert(call, f"asked {body.partnerReferenceNo}")

    async def outside() -> str:
        return "an answer"

    def after(later: Call, answer: Any) -> ActionResult:
        insert(later, f"answered {body.partnerReferenceNo}")
        if body.name == "refuse":
            raise Refused(Reason.BANK_ACCOUNT_NOT_FOUND)
        if body.name == "again":
            return Ask(outside, lambda third, second: Paid(answer + " and " + second, third.reference))
        return InProgress(Paid(answer, later.reference)) if body.name == "later" else Paid(answer, later.reference)

    return Ask(outside, after)


def wrong_otp(call: Call, body: Pay) -> ActionResult:
    insert(call, f"counted {body.partnerReferenceNo}")
    return Declined(Reason.OTP_WRONG)


def inquire(call: Call, body: Pay) -> ActionResult:
    found = find_reference(call.tx, call.merchant.client_id, "54", body.partnerReferenceNo)
    return {"subject": found.subject if found else "", "externalId": found.external_id if found else ""}


def broken(_call: Call, body: Pay) -> ActionResult:
    if body.name == "busy":
        raise StorageBusy("for the test")
    if body.name == "unknown reason":
        raise Refused(Reason.CLOCK_NOT_MOVABLE)
    raise RuntimeError("a secret nobody should read")


def test_endpoints() -> Iterator[Endpoint]:
    def one(path: str, action: Any, code: str, request: Any = Pay, **more: Any) -> Endpoint:
        return Endpoint("POST", path, "Test", action, Paid, request, family="snap", service_code=code, **more)

    yield one(PAY, pay, "54", creates=True)
    yield one(PAY_FOR_CUSTOMER, pay, "54", creates=True, needs_customer=True)
    yield one(REFUND, refund, "58", Refund, creates=True)
    yield one(ASK, ask, "43", creates=True)
    yield one(OTP, wrong_otp, "04")
    yield one(INQUIRE, inquire, "11")
    yield one(BROKEN, broken, "12")
    yield one(QR, pay, "50", creates=True, needs_customer=True)
    yield Endpoint("PUT", LATER, "Test", pay, Paid, Pay, family="snap", service_code="28")
    yield Endpoint("DELETE", LATER, "Test", pay, Paid, Pay, family="snap", service_code="31")


test_endpoints.__test__ = False  # type: ignore[attr-defined]


def equipped(running: RunningGateway) -> RunningGateway:
    guard = Snap(running.gateway.database, running.gateway.clock, running.gateway.settings)
    for endpoint in test_endpoints():
        running.gateway.api.add(guard, endpoint)
    return running


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(equip=equipped, max_body_bytes=4096) as one:
        yield one


@pytest.fixture(scope="module")
def caller(running: RunningGateway) -> SnapCaller:
    return SnapCaller(running)


@pytest.fixture(scope="module")
def customer(caller: SnapCaller) -> str:
    return caller.customer_token(CUSTOMER)


@pytest.fixture
def partner(shared_postgres: Postgres | None) -> Iterator[SnapCaller]:
    """On each engine."""
    with lent_gateway(postgres=shared_postgres, equip=equipped) as one:
        yield SnapCaller(one)


def remembered(running: RunningGateway, name: str) -> bool:
    return (
        running.database.read_now(lambda tx: tx.one("select 1 as found from instance where name = :n", {"n": name})) is not None
    )


def order(**more: Any) -> dict[str, Any]:
    return {"partnerReferenceNo": reference()} | more


# -- the checks, in their order


@pytest.mark.parametrize("missing", ["X-TIMESTAMP", "X-SIGNATURE", "X-PARTNER-ID", "X-EXTERNAL-ID"])
@pytest.mark.parametrize("empty", [False, True])
def test_step_3_a_missing_header_is_named(caller: SnapCaller, missing: str, empty: bool):
    """S1-18 … S1-21."""
    answer = caller.call(PAY, order(), headers={missing: " " if empty else ""})

    assert_snap_error(answer, "4005402", f"Invalid Mandatory Field {{{missing}}}")


@pytest.mark.parametrize("stamp", ["now", "2026-01-02T03:04:05", "2026-01-02 03:04:05Z", -16, 16])
def test_step_4_a_timestamp_that_is_none_or_too_far_off_is_refused(caller: SnapCaller, stamp: Any):
    """D-11."""
    answer = caller.call(PAY, order(), timestamp=now_text(minutes=stamp) if isinstance(stamp, int) else stamp)

    assert_snap_error(answer, "4005401", "Invalid Field Format {X-TIMESTAMP}")


@pytest.mark.parametrize("external_id", ["x" * 129, "with blank", "caf\u00e9", "tab\tinside"])
def test_step_4_an_external_id_is_visible_ascii(caller: SnapCaller, external_id: str):
    assert_snap_error(caller.call(PAY, order(), external_id=external_id), "4005401", "Invalid Field Format {X-EXTERNAL-ID}")


@pytest.mark.parametrize("authorization", ["", "Bearer", "bearer ", " "])
def test_step_5_without_a_token_it_is_not_found(caller: SnapCaller, authorization: str):
    """S1-22."""
    answer = caller.call(PAY, order(), headers={"Authorization": authorization})

    assert_snap_error(answer, "4015403", "Token Not Found (B2B)")


@pytest.mark.parametrize(
    "authorization", ["Bearer nonsense", "Basic abc", "Bearer \u00e9", "Bearer Bearer x", "Bearer " + "x" * 3000]
)
def test_step_5_an_unknown_token_is_invalid(caller: SnapCaller, authorization: str):
    answer = caller.call(PAY, order(), headers={"Authorization": authorization})

    assert_snap_error(answer, "4015401", "Invalid Token (B2B)")


def test_step_5_an_unknown_partner_is_unauthorized_and_another_ones_token_invalid(running: RunningGateway, caller: SnapCaller):
    running.control("POST", "/merchants", {"name": "Lain", "client_id": "BRN-ELSE", "secret_key": caller.secret_key})

    unknown = caller.call(PAY, order(), headers={"X-PARTNER-ID": "BRN-NOBODY"})
    other = caller.call(PAY, order(), headers={"X-PARTNER-ID": "BRN-ELSE"})

    assert_snap_error(unknown, "4015400", "Unauthorized. Unknown Client")
    assert_snap_error(other, "4015401", "Invalid Token (B2B)")


@pytest.mark.parametrize(
    "wrong",
    [
        {"hashed": b"{}"},
        {"signed_path": "/snap-adapter/b2b/v1.0/other"},
        {"headers": {"X-SIGNATURE": "85be817c55b2c135157c7e89f52499bf0c25ad6eeebe04a986e8c862561b19a5"}},
        {"headers": {"X-SIGNATURE": "A" * 86 + "=="}},
        {"headers": {"X-TIMESTAMP": now_text()[:-6] + ".5+07:00"}},
    ],
    ids=["body", "path", "hex", "zeros", "time"],
)
def test_step_6_a_wrong_signature_is_unauthorized(caller: SnapCaller, wrong: dict[str, Any]):
    """S1-21."""
    assert_snap_error(caller.call(PAY, order(), **wrong), "4015400", "Unauthorized. Signature Not Match")


def test_step_6_another_secret_is_a_wrong_signature(running: RunningGateway, caller: SnapCaller):
    stranger = SnapCaller(running, secret_key="SK-guessed", public_pem=None)

    assert_snap_error(stranger.call(PAY, order(), token=caller.b2b()), "4015400", "Unauthorized. Signature Not Match")


def test_step_6_the_sandbox_logs_the_text_to_sign_without_the_token(caller: SnapCaller, caplog: pytest.LogCaptureFixture):
    token = caller.b2b()
    with caplog.at_level(logging.DEBUG):
        caller.call(PAY, {"partnerReferenceNo": "x"}, token=token, hashed=b"another")

    assert f"'POST:{PAY}:<access token>:" in caplog.text
    assert token not in caplog.text
    assert caller.secret_key not in caplog.text


@pytest.mark.parametrize("header", ["", "Bearer", " "])
def test_step_7_without_a_customer_token_it_is_not_found(caller: SnapCaller, header: str):
    """S1-76."""
    answer = caller.call(PAY_FOR_CUSTOMER, order(), headers={"Authorization-Customer": header})

    assert_snap_error(answer, "4015404", "Customer Token Not Found")


def test_step_7_a_bad_customer_token_is_case_02_and_01_for_qr_payments_only(caller: SnapCaller, customer: str):
    """SC6, note: one client refreshes the customer's token on 4015001."""
    assert_snap_error(caller.call(PAY_FOR_CUSTOMER, order(), customer="bad"), "4015402", "Invalid Customer Token")
    assert_snap_error(caller.call(QR, order(), customer="bad"), "4015001", "Invalid Customer Token")
    assert_snap_error(caller.call(QR, order()), "4015004", "Customer Token Not Found")
    assert_snap_ok(caller.call(QR, order(), customer=customer), "50")


def test_a_partner_path_asks_for_no_customer_and_ignores_a_customers_token(caller: SnapCaller):
    said = assert_snap_ok(caller.call(PAY, order(), customer="nonsense"), "54")

    assert said["additionalInfo"] == {"account": ""}


def test_step_9_what_is_no_plain_object_is_a_bad_request(caller: SnapCaller):
    for body in (b"", b"[]", b"{", b'"x"', b'{"partnerReferenceNo":"a","partnerReferenceNo":"b"}', b"\xff"):
        assert_snap_error(caller.call(PAY, body), "4005400", "Bad Request")


def test_a_key_twice_is_a_bad_request_even_before_the_signature_is_wrong(caller: SnapCaller):
    """SC4."""
    twice = b'{"partnerReferenceNo": "a","partnerReferenceNo":"b"}'

    assert_snap_error(caller.call(PAY, twice, hashed=b'{"partnerReferenceNo":"b"}'), "4005400", "Bad Request")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({}, "4005402", "Invalid Mandatory Field {partnerReferenceNo}"),
        ({"partnerReferenceNo": None}, "4005402", "Invalid Mandatory Field {partnerReferenceNo}"),
        ({"partnerReferenceNo": []}, "4005402", "Invalid Mandatory Field {partnerReferenceNo}"),
        ({"partnerReferenceNo": {}}, "4005401", "Invalid Field Format {partnerReferenceNo}"),
        (
            {"partnerReferenceNo": "r", "amount": {"value": "x", "currency": "IDR"}},
            "4005401",
            "Invalid Field Format {amount.value}",
        ),
        ({"partnerReferenceNo": "r", "amount": {"currency": "IDR"}}, "4005402", "Invalid Mandatory Field {amount.value}"),
        ({"partnerReferenceNo": "r", "count": "many"}, "4005401", "Invalid Field Format {count}"),
    ],
)
def test_step_10_the_first_faulty_field_is_named(caller: SnapCaller, body: dict[str, Any], code: str, message: str):
    assert_snap_error(caller.call(PAY, body), code, message)


def test_step_11_a_refusal_of_the_action_has_its_code_and_leaves_nothing(running: RunningGateway, caller: SnapCaller):
    body = order(name="refuse")

    assert_snap_error(caller.call(PAY, body), "4035414", "Insufficient Funds")

    assert not remembered(running, f"paid {body['partnerReferenceNo']}")


def test_each_check_comes_before_the_next(caller: SnapCaller, customer: str):
    """SC6: mending one fault at a time leads through all of them."""
    used = "ext-used-before"
    assert_snap_ok(caller.call(PAY_FOR_CUSTOMER, b'{"partnerReferenceNo":"one"}', customer=customer, external_id=used), "54")
    all_wrong: dict[str, Any] = {
        "body": b"[]",
        "customer": "bad",
        "timestamp": now_text(),
        "hashed": b"wrong",
        "headers": {"X-SIGNATURE": "", "X-TIMESTAMP": "never", "Authorization": ""},
    }

    def heard() -> str:
        return str(caller.call(PAY_FOR_CUSTOMER, **all_wrong).json["responseCode"])

    codes = [heard()]
    del all_wrong["headers"]["X-SIGNATURE"]
    codes.append(heard())
    del all_wrong["headers"]["X-TIMESTAMP"]
    codes.append(heard())
    all_wrong["headers"]["Authorization"] = "Bearer bad"
    codes.append(heard())
    del all_wrong["headers"]["Authorization"]
    codes.append(heard())
    all_wrong["hashed"] = None
    codes.append(heard())
    all_wrong["customer"] = customer
    all_wrong["external_id"] = used
    all_wrong["body"] = b'{"partnerReferenceNo":"one"}'
    codes.append(heard())
    all_wrong["body"] = b"[]"
    codes.append(heard())
    all_wrong["body"] = b"{}"
    codes.append(heard())
    all_wrong["body"] = b'{"partnerReferenceNo":"one" }'
    codes.append(heard())
    all_wrong["body"] = b'{"partnerReferenceNo":"two","name":"refuse"}'
    codes.append(heard())

    expected = [
        "4005402",
        "4005401",
        "4015403",
        "4015401",
        "4015400",
        "4015402",
        "4095400",
        "4005400",
        "4005402",
        "4095401",
        "4035414",
    ]
    assert codes == expected


# -- routes


@pytest.mark.parametrize(
    "path", ["/snap-adapter/", "/snap-adapter/b2b/v1.0/nothing", PAY + "/", "/authorization/v1/access-token/b3b", PAY.upper().replace("SNAP-ADAPTER", "snap-adapter")]
)  # fmt: skip
def test_step_1_an_unknown_path_has_no_service(running: RunningGateway, path: str):
    for method in ("GET", "POST", "PUT"):
        assert_snap_error(running.request(method, path, b"{}"), "4040000", "Invalid Routing")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_step_2_a_wrong_method_is_told_before_anything_is_checked(running: RunningGateway, method: str):
    answer = running.request(method, PAY, b"{}")

    assert_snap_error(answer, "4055400", "Requested Function Is Not Supported")
    assert answer.headers["allow"] == "POST"


def test_other_paths_answer_as_before(running: RunningGateway):
    assert running.request("GET", "/nothing").json == {"message": "No static resource nothing"}
    wrong = running.request("GET", "/dokuwallet-emoney/v1/payment")
    assert (wrong.status, wrong.json) == (405, {"message": "Request method 'GET' is not supported"})
    assert wrong.headers["allow"] == "POST"


def test_put_and_delete_carry_bodies_too(caller: SnapCaller):
    """RC1."""
    assert_snap_ok(caller.call(LATER, order(), method="PUT"), "28")
    assert_snap_ok(caller.call(LATER, order(), method="DELETE"), "31")


def test_a_body_that_is_too_large_is_a_bad_request(caller: SnapCaller):
    assert_snap_error(caller.call(PAY, order(name="x" * 5_000)), "4005400", "Bad Request")


# -- what real clients send


def test_header_names_come_in_every_letter_case_and_channel_ids_not_at_all(running: RunningGateway, caller: SnapCaller):
    """RC1, SC5."""
    import hashlib

    from support.snap import symmetric_signature

    token, stamp, raw = caller.b2b(), now_text(), compact(order())
    text = f"POST:{PAY}:{token}:{hashlib.sha256(raw).hexdigest()}:{stamp}"
    headers = {
        "x-timestamp": stamp,
        "X-Partner-Id": caller.client_id,
        "x-external-ID": "12345",
        "X-sIGNATURE": symmetric_signature(text, caller.secret_key),
        "AUTHORIZATION": f"bEaReR {token}",
        "X-CHANNEL-ID": "DH",
        "Content-Type": "application/json;charset=UTF-8",
    }

    assert_snap_ok(running.request("POST", PAY, raw, headers), "54")


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER  {}", "{}", " {} "])
def test_the_customers_token_comes_bare_or_with_its_scheme(caller: SnapCaller, customer: str, form: str):
    """SC5: Go and the mobile SDKs send the scheme, the others do not."""
    answer = caller.call(PAY_FOR_CUSTOMER, order(), headers={"authorization-CUSTOMER": form.format(customer)})

    assert assert_snap_ok(answer, "54")["additionalInfo"] == {"account": CUSTOMER}


@pytest.mark.parametrize("form", ["{}Z", "{}.000Z", "{}+00:00", "{}-00:00", "{}.123456789Z"])
def test_timestamps_in_utc_are_taken(caller: SnapCaller, form: str):
    from datetime import UTC, datetime

    stamp = form.format(datetime.now(UTC).isoformat()[:19])

    assert_snap_ok(caller.call(PAY, order(), timestamp=stamp), "54")


@pytest.mark.parametrize("form", ["{0}+07:00", "{0}+0700", "{1}+07:00", "{1}.000+07:00", "{1}.000 +07:00"])
def test_timestamps_in_jakartas_time_are_taken(caller: SnapCaller, form: str):
    """S1-07, S1-18."""
    local = now_text()[:19]

    assert_snap_ok(caller.call(PAY, order(), timestamp=form.format(local, local.replace("-", ""))), "54")


@pytest.mark.parametrize(
    "external_id",
    ["1", "41807553358950093184162180797837", "a" * 128, "1767323045", "7d4f-uuid:2026-01-02T03:04:05+07:00", "EXT-1!~"],
)
def test_any_visible_external_id_is_taken(caller: SnapCaller, external_id: str):
    """S1-20, SC5."""
    assert assert_snap_ok(caller.call(PAY, order(), external_id=external_id), "54")["referenceNo"] == f"ref-{external_id}"


URL = "https://merchant.example/return?id=1&s='ok'"


@pytest.mark.parametrize("client", ["node", "python", "php", "java", "go", "java doubles", "seed"])
def test_every_clients_idea_of_the_body_is_believed(caller: SnapCaller, client: str):
    """SC4, D-19, RC1."""
    body = order(name="José — toko", url=URL)
    plain = compact(body)
    ascii_only = json.dumps(body, separators=(",", ":")).encode()
    html = plain
    for char in "=&<>'":
        html = html.replace(char.encode(), f"\\u{ord(char):04x}".encode())
    go = plain.replace(b"&", b"\\u0026")
    doubles = plain[:-1] + b',"additionalInfo":{"min":10000.00,"max":10000000.00}}'
    sent, hashed, more = {
        "node": (plain, plain, {}),
        "python": (json.dumps(body).encode(), ascii_only, {}),
        "php": (ascii_only.replace(b"/", b"\\/"), plain, {}),
        "java": (html, plain, {}),
        "go": (go, go, {}),
        "java doubles": (doubles, doubles.replace(b"10000.00", b"10000.0").replace(b"10000000.00", b"1.0E7"), {}),
        "seed": (plain, plain, {"signed_path": PAY.removeprefix("/")}),
    }[client]

    assert_snap_ok(caller.call(PAY, sent, hashed=hashed, **more), "54")


def test_a_query_may_be_signed_or_left_out(caller: SnapCaller):
    for signed in (f"{PAY}?a=b", PAY):
        assert_snap_ok(caller.call(f"{PAY}?a=b", order(), signed_path=signed), "54")


def test_amounts_and_empty_fields_are_read_tolerantly(caller: SnapCaller):
    """SC8."""
    body = order(amount={"value": 10000, "currency": "IDR"}, name=None, url="", count="3", additionalInfo=[], origin={"a": 1})

    said = assert_snap_ok(caller.call(PAY, body), "54")

    assert said["amount"] == {"value": "10000.00", "currency": "IDR"}


def test_the_answer_holds_what_the_service_returns_and_a_time_in_jakarta(caller: SnapCaller):
    body = order()

    answer = caller.call(PAY, body, external_id="77")

    assert answer.body == compact(
        {
            "responseCode": "2005400",
            "responseMessage": "Successful",
            "referenceNo": "ref-77",
            "partnerReferenceNo": body["partnerReferenceNo"],
            "additionalInfo": {"account": ""},
        }
    )
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-timestamp"].endswith("+07:00")


# -- X-EXTERNAL-ID and partnerReferenceNo


def test_the_same_id_with_the_same_body_is_a_conflict_and_does_nothing(partner: SnapCaller):
    """D-3: not the first body; the caller goes on with the query service."""
    body = order()
    assert_snap_ok(partner.call(PAY, body, external_id="900"), "54")

    assert_snap_error(partner.call(PAY, body, external_id="900"), "4095400", "Conflict")


def test_the_same_id_with_another_body_or_service_is_an_ordinary_call(partner: SnapCaller):
    """D-3, RC1: clients use the Unix second."""
    body = order()
    for path, code, sent in ((PAY, "54", body), (PAY, "54", order()), (ASK, "43", body)):
        assert_snap_ok(partner.call(path, sent, external_id="1767323045"), code)


def test_the_id_is_free_again_the_next_day_in_jakarta(partner: SnapCaller):
    """S1-20."""
    refused_reference = {"partnerReferenceNo": reference(), "name": "refuse"}
    body = order()
    assert_snap_ok(partner.call(PAY, body, external_id="5"), "54")
    assert_snap_error(partner.call(PAY, body, external_id="5"), "4095400", "Conflict")

    partner.running.control("POST", "/clock", {"advance_s": 86_400})

    assert_snap_error(partner.call(PAY, body, external_id="5", token=partner.b2b()), "4095401", "Duplicate partnerReferenceNo")
    assert_snap_error(partner.call(PAY, refused_reference, external_id="5", token=partner.b2b()), "4035414", "Insufficient Funds")


def test_a_refused_call_may_be_sent_again_as_it_was(partner: SnapCaller):
    """Nothing happened, so nothing is used up."""
    body = order(name="refuse")

    for _ in range(2):
        assert_snap_error(partner.call(PAY, body, external_id="6"), "4035414", "Insufficient Funds")
    for _ in range(2):
        assert_snap_error(partner.call(PAY, {}, external_id="7"), "4005402", "Invalid Mandatory Field {partnerReferenceNo}")


def test_services_that_create_nothing_never_conflict(partner: SnapCaller):
    """D-3."""
    for _ in range(2):
        assert_snap_ok(partner.call(INQUIRE, order(partnerReferenceNo="again"), external_id="8"), "11")


@pytest.mark.parametrize("where", ["merchant", "settings"])
def test_strictly_read_the_id_alone_counts_on_every_service(tmp_path: Any, where: str):
    """The seed to the letter: setting strict_external_id, and each merchant's own choice."""
    given: dict[str, Any] = {"data": str(tmp_path / "gerbang.db"), "strict_external_id": where == "settings"}
    running = equipped(RunningGateway(load_settings(env={}, given=given)))
    try:
        strict = SnapCaller(running)
        if where == "merchant":
            options = MerchantOptions(strict_external_id=True)
            running.database.transact_now(lambda tx: update(tx, DEMO_CLIENT_ID, options=options))

        assert_snap_ok(strict.call(PAY, order(), external_id="9"), "54")
        assert_snap_error(strict.call(PAY, order(), external_id="9"), "4095400", "Conflict")
        assert_snap_ok(strict.call(INQUIRE, order(), external_id="9"), "11")
        assert_snap_error(strict.call(INQUIRE, order(), external_id="9"), "4091100", "Conflict")
        assert_snap_ok(strict.call(PAY, order(), external_id="10"), "54")
    finally:
        running.stop()


def test_of_the_same_call_many_times_at_once_one_is_done(partner: SnapCaller):
    body = order()
    partner.b2b()
    token = partner.b2b()

    def call(number: int) -> str:
        return str(partner.call(PAY, body, external_id="11" if number % 2 else str(number), token=token).json["responseCode"])

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(call, range(16)))

    assert codes.count("2005400") == 1
    assert set(codes) <= {"2005400", "4095400", "4095401"}


def test_a_reference_is_used_once_per_partner_and_service_for_ever(partner: SnapCaller):
    """SC5.2."""
    body = order()
    assert_snap_ok(partner.call(PAY, body), "54")
    assert_snap_ok(partner.call(ASK, body), "43")
    assert_snap_ok(partner.call(INQUIRE, body), "11")
    partner.running.control("POST", "/merchants", {"name": "Lain", "client_id": "BRN-B", "secret_key": "SK-b"})
    assert_snap_ok(SnapCaller(partner.running, client_id="BRN-B", secret_key="SK-b").call(PAY, body), "54")

    partner.running.control("POST", "/clock", {"advance_s": 86_400 * 400})

    token = partner.b2b()
    assert_snap_error(partner.call(PAY, body, token=token), "4095401", "Duplicate partnerReferenceNo")
    said = assert_snap_ok(partner.call(INQUIRE, body, token=token), "11")
    assert said["subject"] == f"subject of {body['partnerReferenceNo']}"


def test_a_reference_remembers_the_external_id_it_came_with(partner: SnapCaller):
    body = order()
    assert_snap_ok(partner.call(PAY, body, external_id="ext-12"), "54")

    assert assert_snap_ok(partner.call(INQUIRE, body), "11")["externalId"] == "ext-12"
    assert assert_snap_ok(partner.call(INQUIRE, order()), "11")["subject"] == ""


def test_a_refunds_reference_is_its_refund_number(partner: SnapCaller):
    """4095801."""
    first = {"originalPartnerReferenceNo": "order", "partnerRefundNo": "refund-1"}
    assert assert_snap_ok(partner.call(REFUND, first), "58")["subject"] == "refund-1"

    assert_snap_error(
        partner.call(REFUND, first | {"originalPartnerReferenceNo": "x"}), "4095801", "Duplicate partnerReferenceNo"
    )
    assert_snap_ok(partner.call(REFUND, first | {"partnerRefundNo": "refund-2"}), "58")


def test_ids_of_days_gone_by_are_dropped(partner: SnapCaller):
    for number in range(3):
        assert_snap_ok(partner.call(PAY, order(), external_id=str(number)), "54")
    partner.running.control("POST", "/clock", {"advance_s": 3 * 86_400})
    assert_snap_ok(partner.call(PAY, order(), external_id="today", token=partner.b2b()), "54")

    now = partner.running.gateway.clock.now()
    partner.running.database.transact_now(lambda tx: purge_snap(tx, now=now))

    left = partner.running.database.read_now(lambda tx: tx.all("select at from snap_external_id"))
    assert len(left) == 1


# -- what an action may return


def test_an_action_may_ask_somebody_between_two_transactions(partner: SnapCaller):
    body = order()

    said = assert_snap_ok(partner.call(ASK, body), "43")

    assert said == {
        "responseCode": "2004300",
        "responseMessage": "Successful",
        "referenceNo": "an answer",
        "partnerReferenceNo": body["partnerReferenceNo"],
    }
    assert remembered(partner.running, f"asked {body['partnerReferenceNo']}")
    assert assert_snap_ok(partner.call(ASK, order(name="again")), "43")["referenceNo"] == "an answer and an answer"


def test_what_is_still_running_is_answered_202(partner: SnapCaller):
    answer = partner.call(ASK, order(name="later"))

    assert (answer.status, answer.json["responseCode"], answer.json["responseMessage"]) == (202, "2024300", "Request In Progress")
    assert answer.json["referenceNo"] == "an answer"


def test_a_refusal_after_asking_keeps_the_question(partner: SnapCaller):
    body = order(name="refuse")

    assert_snap_error(partner.call(ASK, body), "4044311", "Invalid Card/Account/Customer")

    assert remembered(partner.running, f"asked {body['partnerReferenceNo']}")
    assert not remembered(partner.running, f"answered {body['partnerReferenceNo']}")


def test_a_wrong_password_is_counted_although_it_is_refused(partner: SnapCaller):
    body = order()

    assert_snap_error(partner.call(OTP, body), "4040415", "Invalid OTP")

    assert remembered(partner.running, f"counted {body['partnerReferenceNo']}")


@pytest.mark.parametrize(
    ("trouble", "code", "message"),
    [
        ("bug", "5001201", "Internal Server Error"),
        ("busy", "5001200", "General Error"),
        ("unknown reason", "5001201", "Internal Server Error"),
    ],
)
def test_trouble_inside_is_told_without_a_word_about_it(caller: SnapCaller, trouble: str, code: str, message: str):
    assert_snap_error(caller.call(BROKEN, order(name=trouble)), code, message)


def test_every_answer_of_these_tests_agrees_with_its_status(caller: SnapCaller, customer: str):
    """SC6: HTTP status is the first three digits, always."""
    answers: list[Answer] = [
        caller.call(PAY, order()),
        caller.call(ASK, order(name="later")),
        caller.call(PAY, {}),
        caller.call(PAY_FOR_CUSTOMER, order()),
        caller.call(PAY, order(), token="x"),
        caller.call("/snap-adapter/x", {}),
        caller.call(BROKEN, order()),
    ]

    for answer in answers:
        assert isinstance(answer.json["responseCode"], str)
        assert len(answer.json["responseCode"]) == 7
        assert int(answer.json["responseCode"][:3]) == answer.status
