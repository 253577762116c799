"""S0-03 … S0-06, S0-25 … S0-27, D-2, D-4, D-11: the four headers, the order in which they are judged, and every error row."""

import contextlib
import socket
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from gerbang.errors import Reason
from gerbang.protocols.nonsnap import errors
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.storage import StorageBusy
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import BODY, HEADER, PAYMENT, ago, assert_error, assert_genuine, import_merchant

NAMES = ("Client-Id", "Request-Id", "Request-Timestamp", "Signature")
STATUS = "/orders/v1/status/nobody"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(max_body_bytes=4096) as one:
        yield one


def order(**more: object) -> dict[str, object]:
    return {"order": {"invoice_number": uuid.uuid4().hex, "amount": 10_000} | more}


def with_headers(running: RunningGateway, method: str, headers: dict[str, str]) -> Answer:
    """A call with exactly these headers."""
    if method == "GET":
        return running.request("GET", STATUS, None, headers)
    return running.request("POST", PAYMENT, b"{}", headers)


def assert_unsigned(answer: Answer) -> None:
    """An error for nobody known: both timestamps, no Signature."""
    assert "signature" not in answer.headers
    assert answer.headers["response-timestamp"] == answer.headers["request-timestamp"]
    assert answer.headers["content-type"] == "application/json"


# -- order of checks


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("sent", range(4))
def test_missing_headers_are_named_one_at_a_time_in_the_observed_order(running: RunningGateway, method: str, sent: int):
    """NC3.2: a request with none of them hears about Client-Id only."""
    values = {"Client-Id": DEMO_CLIENT_ID, "Request-Id": "r-1", "Request-Timestamp": "nonsense", "Signature": "nonsense"}

    answer = with_headers(running, method, {name: values[name] for name in NAMES[:sent]})

    assert_error(answer, 400, "invalid_header_request", f"Header {NAMES[sent]} is required", HEADER)
    assert answer.headers.get("client-id") == (DEMO_CLIENT_ID if sent > 0 else None)
    assert answer.headers.get("request-id") == ("r-1" if sent > 1 else None)
    if sent > 1:
        assert_genuine(answer, method, STATUS if method == "GET" else PAYMENT)
    else:
        assert_unsigned(answer)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["", "   "], ids=["empty", "blank"])
def test_an_empty_header_is_a_missing_one(running: RunningGateway, name: str, value: str):
    answer = running.signed("POST", PAYMENT, order(), headers={name: value})

    assert_error(answer, 400, "invalid_header_request", f"Header {name} is required", HEADER)


def test_each_check_comes_before_the_next(running: RunningGateway):
    """Presence, format, window, client, signature, body: mending one fault at a time leads through all of them."""
    faulty = {"Client-Id": "BRN-NOBODY", "Request-Id": "r-1", "Request-Timestamp": "yesterday", "Signature": "x"}

    def call() -> str:
        return str(running.request("POST", PAYMENT, b"[]", faulty).json["error"]["message"])

    heard = [call()]
    faulty["Request-Timestamp"] = ago(hours=2)
    heard.append(call())
    faulty["Request-Timestamp"] = ago()
    heard.append(call())
    faulty["Client-Id"] = DEMO_CLIENT_ID
    heard.append(call())
    heard.append(running.signed("POST", PAYMENT, []).json["error"]["message"])

    assert heard == [
        "Invalid format Header Request-Timestamp",
        "Header Request-Timestamp is not in +- 3600 second of now",
        "Invalid Client-Id",
        "Invalid Header Signature",
        "Bad Request",
    ]


# -- each header


@pytest.mark.parametrize(
    "request_id", ["1", "57321", "a" * 128, "d895fb53-479c-4f77-a76a-ab81b40d77cb", "1700000000123456789", "we!rd ~ id"]
)
def test_any_printable_request_id_up_to_128_characters_is_taken(running: RunningGateway, request_id: str):
    """S0-04."""
    answer = running.signed("POST", PAYMENT, order(), request_id=request_id)

    assert answer.status == 200
    assert answer.headers["request-id"] == request_id


@pytest.mark.parametrize("request_id", ["a" * 129, "tab\there", "caf\u00e9"], ids=["129", "control", "not ASCII"])
def test_other_request_ids_are_malformed(running: RunningGateway, request_id: str):
    """S0-04: at most 128 characters."""
    answer = running.signed("POST", PAYMENT, order(), request_id=request_id, headers={"Signature": "HMACSHA256=x"})

    assert_error(answer, 400, "invalid_header_request", "Invalid format Header Request-Id", HEADER)


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-09-21 03:30:00",
        "yesterday",
        "2026-09-21T03:30:00",
        "2026-09-21T03:30:00+07:00",
        "2026-09-21T03:30:00z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "0000-01-01T00:00:00Z",
        "1700000000",
        "20260921T033000Z",
        "2026-09-21T03:30:00.Z",
        "x2026-09-21T03:30:00Z",
    ],
)
def test_a_timestamp_that_is_not_utc_iso_8601_is_malformed(running: RunningGateway, timestamp: str):
    """S0-05."""
    answer = running.signed("POST", PAYMENT, order(), headers={"Request-Timestamp": timestamp})

    assert_error(answer, 400, "invalid_header_request", "Invalid format Header Request-Timestamp", HEADER)
    assert_genuine(answer, "POST", PAYMENT)


def out_of_range(window_s: int) -> tuple[int, str, str, str]:
    return (400, "request_time_out_of_range", f"Header Request-Timestamp is not in +- {window_s} second of now", HEADER)


@pytest.mark.parametrize("sign", [1, -1], ids=["past", "future"])
def test_the_window_is_3600_seconds_either_way(running: RunningGateway, sign: int):
    """D-11. Two seconds of grace for the test's own slowness."""
    inside = running.signed("POST", PAYMENT, order(), headers={"Request-Timestamp": ago(seconds=sign * 3598)})
    outside = running.signed("POST", PAYMENT, order(), headers={"Request-Timestamp": ago(seconds=sign * 3602)})

    assert inside.status == 200
    assert_error(outside, *out_of_range(3600))
    assert_genuine(outside, "POST", PAYMENT)


def test_the_window_ends_exactly_at_its_edge():
    """D-11: 3600 s is in, 3601 s is out, to the second."""
    from datetime import UTC, datetime, timedelta

    from gerbang.protocols.nonsnap.headers import check_timestamp

    now = datetime(2026, 5, 19, 5, 0, tzinfo=UTC)
    for seconds in (-3600, -3599, 0, 3599, 3600):
        check_timestamp((now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"), real=now, window_s=3600)
    for seconds in (-3601, 3601):
        with pytest.raises(errors.Rejected) as caught:
            check_timestamp((now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"), real=now, window_s=3600)
        assert caught.value.answer is errors.TIME_OUT_OF_RANGE


def test_jakarta_time_is_utc_less_seven_hours(running: RunningGateway):
    """S0-05: a client that writes its local (Jakarta) time and appends Z is seven hours off, here as at DOKU."""
    answer = running.signed("POST", PAYMENT, order(), headers={"Request-Timestamp": ago(hours=-7)})

    assert_error(answer, *out_of_range(3600))


def test_the_window_is_a_setting_and_the_message_tells_it(tmp_path):
    with lent_gateway(request_timestamp_window_s=60) as narrow:
        assert narrow.signed("POST", PAYMENT, order(), headers={"Request-Timestamp": ago(seconds=55)}).status == 200
        answer = narrow.signed("POST", PAYMENT, order(), headers={"Request-Timestamp": ago(seconds=65)})

    assert_error(answer, *out_of_range(60))


def test_a_window_of_zero_does_not_check(tmp_path):
    with lent_gateway(request_timestamp_window_s=0) as lax:
        answer = lax.signed("POST", PAYMENT, order(), headers={"Request-Timestamp": "2020-08-11T08:45:42Z"})
        malformed = lax.signed("POST", PAYMENT, order(), headers={"Request-Timestamp": "2020-08-11"})

    assert answer.status == 200
    assert malformed.status == 400


def test_moving_the_sandbox_clock_makes_no_honest_client_stale(sqlite_gateway: RunningGateway):
    """D-11: skew is measured against the machine's clock, and the headers we send are the machine's time."""
    sqlite_gateway.control("POST", "/clock", {"advance_s": 40 * 86_400})

    honest = sqlite_gateway.signed("POST", PAYMENT, order())
    shifted = sqlite_gateway.signed("POST", PAYMENT, order(), headers={"Request-Timestamp": ago(days=-40)})

    assert honest.status == 200
    assert_genuine(honest, "POST", PAYMENT)
    assert_error(shifted, *out_of_range(3600))


# -- who is told what


def test_an_unknown_client_gets_no_signature(running: RunningGateway):
    answer = running.signed("POST", PAYMENT, order(), client_id="BRN-NOBODY")

    assert_error(answer, 400, "invalid_client_id", "Invalid Client-Id", HEADER)
    assert_unsigned(answer)
    assert answer.headers["client-id"] == "BRN-NOBODY"


def test_another_merchants_key_is_a_wrong_signature(running: RunningGateway):
    """S0-03: the Client-Id says whose key is meant."""
    import_merchant(running, "BRN-OTHER-1", "SK-of-the-other")

    answer = running.signed("POST", PAYMENT, order(), secret_key="SK-of-the-other")

    assert_error(answer, 400, "invalid_signature", "Invalid Header Signature", HEADER)
    assert_genuine(answer, "POST", PAYMENT)


def test_every_answer_echoes_both_ids_and_is_signed(running: RunningGateway):
    """S0-25, S0-26, S0-27, D-2: 200, 409, 400, 404 on POST; 200, 404 on GET."""
    body = order()
    request_id = uuid.uuid4().hex
    posts = [
        running.signed("POST", PAYMENT, body, request_id=request_id),
        running.signed("POST", PAYMENT, body, request_id=request_id),
        running.signed("POST", PAYMENT, body, request_id=request_id, headers={"Signature": "HMACSHA256=x"}),
        running.signed("POST", PAYMENT, {}, request_id=request_id),
    ]
    assert [answer.status for answer in posts] == [200, 409, 400, 400]
    for answer in posts:
        assert answer.headers["request-id"] == request_id
        assert_genuine(answer, "POST", PAYMENT)

    for path, status in ((f"/orders/v1/status/{request_id}", 200), (STATUS, 404)):
        answer = running.signed("GET", path)
        assert answer.status == status
        assert_genuine(answer, "GET", path)


def test_a_repeated_header_counts_once(running: RunningGateway):
    """Of a repeated header the first counts; the second cannot change who is meant."""
    from gerbang.web.asgi import read_headers

    scope = {"headers": [(b"client-id", b"first"), (b"Client-Id", b"second")]}

    assert read_headers(scope) == {"client-id": "first"}


# -- the rest of the table


def test_an_oversized_body_is_refused_like_every_other_error(running: RunningGateway):
    """413 has the shape, the headers and the signature of an error; the caller hears it although it was still speaking."""
    for size in (4097, 70_000, 2 * 1024 * 1024, *[6 * 1024 * 1024] * 4):
        answer = running.signed("POST", PAYMENT, b" " * size)
        assert_error(answer, 413, "INVALID_PARAMETER", "Request Body Too Large", BODY)
        assert_genuine(answer, "POST", PAYMENT)

    unknown = running.signed("POST", PAYMENT, b" " * 4097, client_id="BRN-NOBODY")
    assert unknown.status == 413
    assert_unsigned(unknown)
    assert running.signed("POST", PAYMENT, b" " * 4096).status == 400


def test_an_unknown_path_and_an_unknown_method_answer_json(running: RunningGateway):
    """NC3.2: the start of the text was observed at DOKU."""
    unknown = running.signed("POST", PAYMENT + "/", {})
    method = running.signed("DELETE", PAYMENT)

    assert unknown.status == 404
    assert unknown.json["message"].startswith("No static resource dokuwallet-emoney/v1/payment/ ")
    assert (method.status, method.headers["allow"]) == (405, "POST")
    assert "not supported" in method.json["message"]


def test_a_busy_database_is_503_and_signed(running: RunningGateway, monkeypatch: pytest.MonkeyPatch):
    async def busy(_fn: object) -> None:
        raise StorageBusy("locked")

    monkeypatch.setattr(running.database, "transact", busy)

    answer = running.signed("POST", PAYMENT, order())

    assert_error(answer, 503, "service_unavailable", "Service Unavailable", "api_error")
    assert_genuine(answer, "POST", PAYMENT)


def test_a_mistake_of_ours_is_500_and_signed_and_tells_nothing(running: RunningGateway, monkeypatch: pytest.MonkeyPatch):
    async def broken(_fn: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(running.database, "transact", broken)

    answer = running.signed("POST", PAYMENT, order())

    assert_error(answer, 500, "internal_server_error", "Internal Server Error", "api_error")
    assert_genuine(answer, "POST", PAYMENT)


def test_the_error_table_is_the_documented_one():
    """D-4 in full: whoever changes, adds or takes away a row changes the contract."""
    before_the_body = {
        "MISSING_HEADER": (400, "invalid_header_request", "Header {name} is required", HEADER),
        "MALFORMED_HEADER": (400, "invalid_header_request", "Invalid format Header {name}", HEADER),
        "TIME_OUT_OF_RANGE": (
            400,
            "request_time_out_of_range",
            "Header Request-Timestamp is not in +- {window} second of now",
            HEADER,
        ),
        "INVALID_CLIENT_ID": (400, "invalid_client_id", "Invalid Client-Id", HEADER),
        "INVALID_SIGNATURE": (400, "invalid_signature", "Invalid Header Signature", HEADER),
        "NOT_AN_OBJECT": (400, "INVALID_PARAMETER", "Bad Request", BODY),
        "BODY_TOO_LARGE": (413, "INVALID_PARAMETER", "Request Body Too Large", BODY),
        "INTERNAL": (500, "internal_server_error", "Internal Server Error", "api_error"),
        "BUSY": (503, "service_unavailable", "Service Unavailable", "api_error"),
    }
    by_reason = {
        Reason.FIELD_MISSING: (400, "INVALID_PARAMETER", "{field} Must Not Be Blank", BODY),
        Reason.FIELD_INVALID: (400, "INVALID_PARAMETER", "{field} Invalid Format", BODY),
        Reason.LINE_ITEMS_DO_NOT_ADD_UP: (400, "INVALID_PARAMETER", "Invalid Total Amount And Line Items", BODY),
        Reason.INVOICE_ALREADY_USED: (400, "INVALID_PARAMETER", "Invoice Number Already Used", BODY),
        Reason.INVOICE_ALREADY_PAID: (400, "INVALID_PARAMETER", "Invoice Number Already Paid", BODY),
        Reason.PAYMENT_CODE_IN_USE: (400, "INVALID_PARAMETER", "Payment Code Already Used", BODY),
        Reason.REQUEST_IN_PROGRESS: (409, "idempotent_request", "Idempotent Request", HEADER),
        Reason.CHANNEL_NOT_ENABLED: (400, "CHANNEL_NOT_ENABLED", "Payment Channel Is Inactive", BODY),
        Reason.PAYMENT_BUSY: (409, "INVALID_PARAMETER", "Payment Is Being Processed", BODY),
        Reason.PAYMENT_NOT_PAID: (400, "INVALID_PARAMETER", "Transaction Not Paid", BODY),
        Reason.REFUND_TOO_LARGE: (400, "INVALID_PARAMETER", "Refund Amount Exceeds Transaction Amount", BODY),
        Reason.BALANCE_TOO_SMALL: (400, "INVALID_PARAMETER", "Insufficient Balance", BODY),
        Reason.REFUND_NOT_FOUND: (400, "INVALID_PARAMETER", "Transaction Not Found", BODY),
        Reason.AUTHORISATION_NOT_FOUND: (400, "INVALID_PARAMETER", "Authorize Id Not Found", BODY),
        Reason.AUTHORISATION_CAPTURED: (400, "INVALID_PARAMETER", "Authorization Already Captured", BODY),
        Reason.AUTHORISATION_VOIDED: (400, "INVALID_PARAMETER", "Authorization Already Voided", BODY),
        Reason.AUTHORISATION_EXPIRED: (400, "INVALID_PARAMETER", "Authorization Expired", BODY),
        Reason.CAPTURE_TOO_LARGE: (400, "INVALID_PARAMETER", "Capture Amount Exceeds Authorized Amount", BODY),
        Reason.AUTHENTICATION_NOT_FOUND: (
            400,
            "INVALID_PARAMETER",
            "three_dsecure.authentication_id Invalid Format",
            BODY,
        ),
        Reason.PROVIDER_SILENT: (503, "service_unavailable", "Service Unavailable", "api_error"),
        Reason.ORDER_NOT_FOUND: (404, "data_not_found", "Data Not Found", HEADER),
    }

    def row(answer: errors.Answer) -> tuple[int, str, str, str]:
        return (answer.status, answer.code, answer.message, answer.type)

    assert {name: row(one) for name, one in vars(errors).items() if isinstance(one, errors.Answer)} == before_the_body
    assert {reason: row(one) for reason, one in errors.BY_REASON.items()} == by_reason


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("pay.example.id", "http://pay.example.id"),
        ("localhost:8080", "http://localhost:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("", "http://[::]:80"),
        ("evil/path", "http://[::]:80"),
        ("evil?x=", "http://[::]:80"),
        ("user@evil", "http://[::]:80"),
        ('a"b', "http://[::]:80"),
    ],
)
def test_the_origin_of_pages_follows_the_host_header_when_it_is_one(host: str, origin: str):
    """S0-30: the page is reachable where the caller reached us; anything that is no host is left aside."""
    from gerbang.web.asgi import origin_of

    assert origin_of({"type": "http", "server": ("::", 80)}, {"host": host}) == origin


def spoken(running: RunningGateway, request: bytes) -> bytes:
    """What is answered to these very bytes, until the connection is closed or silent."""
    parts = urlsplit(running.url)
    heard = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(request)
        connection.settimeout(0.5)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while chunk := connection.recv(65_536):
                heard += chunk
    return heard


START = f"POST {PAYMENT} HTTP/1.1\r\nHost: x\r\n".encode()


@pytest.mark.parametrize(
    "request_bytes",
    [
        START + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        START + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}{}{",
        START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        START + b"Client-Id: BRN-1\r\n 2\r\nContent-Length: 2\r\n\r\n{}",
        START + b"Client-Id: BRN-1\nRequest-Id: r\r\nContent-Length: 2\r\n\r\n{}",
        START + b"Client-Id: BRN-1\rRequest-Id: r\r\nContent-Length: 2\r\n\r\n{}",
        START + b"Client-Id: BRN\x00-1\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["two lengths", "two Content-Lengths", "unknown encoding", "space before colon", "folded", "bare LF", "bare CR", "NUL"],
)
def test_what_two_servers_could_read_differently_is_refused_and_the_connection_closed(
    running: RunningGateway, request_bytes: bytes
):
    """A proxy in front that reads such a request otherwise than we do could be made to smuggle a second one."""
    heard = spoken(running, request_bytes)

    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.count(b"HTTP/1.1 ") == 1


def test_an_endpoint_has_one_spelling_and_who_misses_it_is_told(running: RunningGateway):
    status = "/orders/v1/status/"
    near = {
        PAYMENT: [
            "/" + PAYMENT,
            PAYMENT + "/",
            "/." + PAYMENT,
            PAYMENT[:-1] + "%74",
            PAYMENT.upper(),
            PAYMENT.replace("/v1", "//v1"),
        ],
        status + "{invoice_number_or_request_id}": [
            "/" + status + "INV-1",
            status.upper() + "INV-1",
            status.replace("v1", "%761") + "INV-1",
        ],
    }
    for path, spellings in near.items():
        for sent in spellings:
            answer = running.signed("POST", sent, order())

            told = f"No static resource {sent[1:]} (you called {sent}; the path is {path})"
            assert (answer.status, answer.json) == (404, {"message": told})

    for sent in (PAYMENT + "%00", PAYMENT + ";a", "/" + PAYMENT + "/x"):
        answer = running.signed("POST", sent, order())
        assert (answer.status, answer.json) == (404, {"message": f"No static resource {sent[1:]}"})


def test_the_whole_address_in_the_request_line_counts_as_its_path(running: RunningGateway):
    heard = spoken(running, f"POST http://evil.example{PAYMENT} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())

    assert heard.startswith(b"HTTP/1.1 400 ")
    assert b"Header Client-Id is required" in heard


def test_of_a_header_sent_twice_the_first_counts_everywhere(running: RunningGateway):
    """Judged, looked up and signed by one and the same value, whichever it is."""
    lines = [f"{name}: {value}" for name in NAMES for value in ("first", "second")]

    heard = spoken(running, START + "\r\n".join([*lines, "Content-Length: 2", "", "{}"]).encode())

    assert b"\r\nclient-id: first\r\n" in heard.lower()
    assert b"\r\nrequest-id: first\r\n" in heard.lower()
    assert b"second" not in heard
