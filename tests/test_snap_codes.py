"""S1-204: response codes, messages, times and amounts as SNAP writes them."""

import re
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gerbang.errors import Reason, Refused
from gerbang.money import NotMoney, format_snap_amount, parse_snap_amount
from gerbang.protocols.snap import errors
from gerbang.protocols.snap.codes import CASES, response_code
from gerbang.protocols.snap.decode import decode, read_object
from gerbang.protocols.snap.errors import BY_REASON, Rejected, error_body
from gerbang.protocols.snap.guard import refusal, success
from gerbang.protocols.snap.times import parse_time, read_snap_time, snap_time
from gerbang.protocols.snap.wire import Amount

# Reasons that no SNAP action can meet: they belong to cards, to other wallets, to pages, to administration or to the sandbox.
ELSEWHERE = {
    Reason.AUTHENTICATION_NOT_FOUND,
    Reason.PROVIDER_SILENT,
    Reason.PAYMENT_CODE_IN_USE,
    Reason.UNEXPECTED_NOT_FOUND,
    Reason.MERCHANT_EXISTS,
    Reason.NOTIFICATION_NOT_FOUND,
    Reason.CLOCK_NOT_MOVABLE,
    Reason.KYC_NOT_FOUND,
    Reason.KYC_DECIDED,
}


def test_every_refusal_has_a_row_of_the_table():
    assert set(Reason) - ELSEWHERE <= set(BY_REASON)


@pytest.mark.parametrize("reason", sorted(BY_REASON), ids=lambda reason: reason.name)
def test_every_row_makes_a_code_of_the_national_table(reason: Reason):
    """Seven characters, exactly two keys, HTTP status first, no placeholder left over."""
    outcome = refusal(Refused(reason, field="amount.value", phone="62811", reference="r"), "38")

    body = msgspec.json.decode(outcome.body)
    assert list(body) == ["responseCode", "responseMessage"]
    code, message = body["responseCode"], body["responseMessage"]
    assert re.fullmatch(rf"{outcome.status}38\d\d", code)
    assert (outcome.status, code[5:]) in CASES
    assert message
    assert not re.search(r"62811|\{\{|\{\}|\{why\}", message)


@pytest.mark.parametrize(
    ("refused", "code", "message"),
    [
        (Refused(Reason.FIELD_MISSING, field="amount.value"), "4003802", "Invalid Mandatory Field {amount.value}"),
        (Refused(Reason.FIELD_INVALID, field="phoneNo"), "4003801", "Invalid Field Format {phoneNo}"),
        (Refused(Reason.FIELD_INVALID, field="{0.__class__}"), "4003801", "Invalid Field Format {{0.__class__}}"),
        (Refused(Reason.BALANCE_TOO_SMALL), "4033814", "Insufficient Funds"),
        (Refused(Reason.ACCOUNT_NOT_UPGRADED), "4033815", "Transaction Not Permitted. [Account not upgraded]"),
        (Refused(Reason.AUTH_CODE_INVALID), "4013800", "Unauthorized. Invalid authCode"),
        (Refused(Reason.OTP_WRONG), "4043815", "Invalid OTP"),
        (Refused(Reason.OTP_EXPIRED), "4033812", "OTP Lifetime Expired"),
        (Refused(Reason.OTP_BLOCKED), "4033811", "OTP Blocked"),
        (Refused(Reason.TOO_MANY_REQUESTS), "4293800", "Too Many Requests"),
        (Refused(Reason.REQUEST_IN_PROGRESS), "4093800", "Conflict"),
        (Refused(Reason.REFERENCE_ALREADY_USED), "4093801", "Duplicate partnerReferenceNo"),
    ],
)
def test_refusals_are_worded_as_the_table_says(refused: Refused, code: str, message: str):
    assert msgspec.json.decode(refusal(refused, "38").body) == {"responseCode": code, "responseMessage": message}


def test_a_reason_without_a_row_answers_as_the_mistake_it_is(caplog: pytest.LogCaptureFixture):
    outcome = refusal(Refused(Reason.CLOCK_NOT_MOVABLE), "06")

    assert msgspec.json.decode(outcome.body) == {"responseCode": "5000601", "responseMessage": "Internal Server Error"}
    assert "has no answer in this protocol" in caplog.text


def test_the_table_is_the_documented_one():
    """SC7."""
    assert len(CASES) == 63
    assert {status for status, _ in CASES} == {200, 202, 400, 401, 403, 404, 405, 409, 429, 500, 504}
    assert [case for status, case in CASES if status == 403] == [f"{number:02}" for number in range(24)]
    assert [case for status, case in CASES if status == 404] == [f"{number:02}" for number in range(20)]
    assert CASES[403, "14"] == "Insufficient Funds"
    assert CASES[404, "11"] == "Invalid Card/Account/Customer"
    assert response_code(200, "06", "00") == "2000600"


def test_the_code_comes_first_in_a_success_whatever_the_action_returns():
    class Wire(msgspec.Struct, omit_defaults=True):
        referenceNo: str
        additionalInfo: dict[str, str] = {}

    assert success(Wire("r"), "06").body == b'{"responseCode":"2000600","responseMessage":"Successful","referenceNo":"r"}'
    assert success({}, "06").body == b'{"responseCode":"2000600","responseMessage":"Successful"}'
    later = success({"a": 1}, "43", status=202)
    assert (later.status, later.body) == (202, b'{"responseCode":"2024300","responseMessage":"Request In Progress","a":1}')


def test_error_texts_hold_what_they_are_given_and_nothing_else():
    body = msgspec.json.decode(error_body(errors.MISSING_HEADER, "06", {"field": "X-PARTNER-ID", "secret": "x"}))

    assert body == {"responseCode": "4000602", "responseMessage": "Invalid Mandatory Field {X-PARTNER-ID}"}


# -- times


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T10:04:05+07:00",
        "2026-01-02T10:04:05+0700",
        "2026-01-02T03:04:05+00:00",
        "2026-01-02T03:04:05-00:00",
        "2026-01-02T03:04:05.000Z",
        "2026-01-02T10:04:05.123456789+07:00",
        "2026-01-01T22:04:05-05:00",
        "20260102T10:04:05+07:00",
        "20260102T10:04:05.000+07:00",
        "20260102T10:04:05.000 +07:00",
        "20260102T10:04:05 +0700",
        "20260102T03:04:05Z",
    ],
)
def test_every_way_clients_write_a_time_is_read(text: str):
    """S1-07, RC1."""
    assert parse_time(text).replace(microsecond=0) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04Z",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05 Z",
        "2026-01-02T03:04:05z",
        "2026-13-02T03:04:05Z",
        "2026-02-30T03:04:05Z",
        "2026-01-02T24:04:05Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+07:60",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567890Z",
        "2026-0102T03:04:05Z",
        "0001-01-01T00:00:00+07:00",
        "9999-12-31T23:59:59-07:00",
        "0000-01-01T00:00:00Z",
        "٢٠٢٦-01-02T03:04:05Z",
        "1767323045",
    ],
)
def test_other_texts_are_no_times(text: str):
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)
    with pytest.raises(Refused) as refused:
        read_snap_time(text, "validUpTo")
    assert (refused.value.reason, refused.value.facts) == (Reason.FIELD_INVALID, {"field": "validUpTo"})


def test_fractions_are_kept_to_the_microsecond_and_times_are_written_in_jakarta():
    moment = parse_time("2026-01-02T23:04:05.1234567Z")

    assert moment == datetime(2026, 1, 2, 23, 4, 5, 123456, tzinfo=UTC)
    assert snap_time(moment) == "2026-01-03T06:04:05+07:00"
    assert parse_time(snap_time(moment)) == moment - timedelta(microseconds=123456)


# -- amounts


@pytest.mark.parametrize("sent", ["10000.00", "10000", "10000.0", 10000])
def test_amounts_are_read_in_every_form_clients_send(sent: object):
    """SC8: the Android client leaves the decimals out, others send numbers."""
    assert parse_snap_amount(sent) == 10_000


@pytest.mark.parametrize(
    "sent", ["", "-1.00", "10000.50", "10.000", "10,000.00", "1e4", " 1.00", "1.000", "1" * 17, "1.", ".00", "١.00", -5, True, None, 10.0, [], {}]
)  # fmt: skip
def test_what_is_no_amount_of_whole_rupiah_is_refused(sent: object):
    with pytest.raises(NotMoney):
        parse_snap_amount(sent)


def test_amounts_are_written_with_two_decimals():
    assert (format_snap_amount(0), format_snap_amount(9_999_999_999_999_999)) == ("0.00", "9999999999999999.00")


class Priced(msgspec.Struct):
    partnerReferenceNo: str
    amount: Amount
    feeAmount: Amount | None = None
    details: list[Amount] = []
    additionalInfo: dict[str, object] = {}
    remark: str | None = None


def priced(text: str) -> Priced:
    return decode(read_object(text.encode()), Priced)


def test_an_amount_in_a_body_becomes_rupiah_and_is_written_canonically():
    body = priced(
        '{"partnerReferenceNo":"r","amount":{"value":10000.00,"currency":"IDR"},"details":[{"value":"5","currency":"IDR"}]}'
    )

    assert (body.amount.rupiah, body.details[0].rupiah, body.feeAmount) == (10_000, 5, None)
    assert msgspec.json.encode(body.amount) == b'{"value":"10000.00","currency":"IDR"}'
    assert Amount.of(7) == Amount("7.00", "IDR")


@pytest.mark.parametrize(
    ("amount", "reason", "field"),
    [
        ("null", Reason.FIELD_MISSING, "amount"),
        ('""', Reason.FIELD_MISSING, "amount"),
        ("[]", Reason.FIELD_MISSING, "amount"),
        ('"10000.00"', Reason.FIELD_INVALID, "amount"),
        ("10000", Reason.FIELD_INVALID, "amount"),
        ("{}", Reason.FIELD_MISSING, "amount.value"),
        ('{"value":"","currency":"IDR"}', Reason.FIELD_MISSING, "amount.value"),
        ('{"value":"1.00"}', Reason.FIELD_MISSING, "amount.currency"),
        ('{"value":"1.00","currency":"USD"}', Reason.FIELD_INVALID, "amount.currency"),
        ('{"value":"1.00","currency":"idr"}', Reason.FIELD_INVALID, "amount.currency"),
        ('{"value":"1.50","currency":"IDR"}', Reason.FIELD_INVALID, "amount.value"),
        ('{"value":"x","currency":"IDR"}', Reason.FIELD_INVALID, "amount.value"),
        ('{"value":{},"currency":"IDR"}', Reason.FIELD_INVALID, "amount.value"),
        ('{"value":"1.00","currency":5}', Reason.FIELD_INVALID, "amount.currency"),
    ],
)
def test_a_faulty_amount_is_named(amount: str, reason: Reason, field: str):
    with pytest.raises(Refused) as refused:
        priced(f'{{"partnerReferenceNo":"r","amount":{amount}}}')

    assert (refused.value.reason, refused.value.facts) == (reason, {"field": field})


def test_absent_null_empty_text_and_empty_list_are_all_the_same():
    """RC1: optional fields come as null, "" or []; unknown ones are ignored."""
    body = priced(
        '{"partnerReferenceNo":"r","amount":{"value":"1.00","currency":"IDR"},"feeAmount":[],"details":null,'
        '"additionalInfo":[],"remark":"","origin":{"product":"SDK"}}'
    )

    assert body == Priced("r", Amount.of(1))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '"x"', "{", '{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', "\ufeff{}", "{'a':1}", '{"a":NaN}']
)
def test_what_is_no_plain_object_is_a_bad_request(text: str):
    with pytest.raises(Rejected) as rejected:
        read_object(text.encode())

    assert rejected.value.answer is errors.BAD_REQUEST
