"""S1-204: every error that a document lists for the wallet's operations, provoked over HTTP; and what all operations have in common.

`ROWS` are the codes listed for one operation or one token request, each with how it comes about. What the guard answers is provoked
at every operation. `NOT_HERE` and `NEVER` say why the rest of what is documented is not answered by this wallet.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gerbang.channel import Parts
from gerbang.channels.doku_wallet_snap import purchase
from gerbang.channels.doku_wallet_snap.channel import CHANNEL
from gerbang.endpoint import Endpoint
from gerbang.errors import Reason
from gerbang.ids import new_digits
from gerbang.protocols.snap import errors, token_service
from gerbang.protocols.snap.codes import CASES
from gerbang.protocols.snap.errors import BY_REASON
from gerbang.protocols.snap.service import Snap
from gerbang.protocols.snap.tokens import Token, TokenKind
from gerbang.storage import StorageBusy, Tx
from gerbang.wallet import AccountStatus, Level, get_account
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import served
from support.snap import B2B2C as B2B2C_TOKEN
from support.snap import SnapCaller, assert_snap_error, assert_snap_ok
from support.snap_money import B2B, B2B2C, CORPORATE, Customer, Partner, new_reference, rupiah

RIGHT, WRONG = "123456", "654321"
BACK = "https://app.example/return"
Body = dict[str, Any]


def no_bank(_parts: Parts) -> None:
    """A `bank_provider` of an operator who has none."""
    return


class Desk:
    """A partner's engineer who makes every mistake there is. None leaves a field out."""

    def __init__(self, running: RunningGateway, directory: Path) -> None:
        self.running = running
        self.directory = directory
        self.partner = Partner(running)
        self.patch: pytest.MonkeyPatch

    @property
    def caller(self) -> SnapCaller:
        return self.partner.caller

    def customer(self, money: int = 0, **more: Any) -> Customer:
        return self.partner.customer(money, **more)

    # -- good calls, with something changed

    def call(self, name: str, good: Body, changes: Mapping[str, Any], customer: Customer | None = None, **how: Any) -> Answer:
        body = {field: value for field, value in (good | dict(changes)).items() if value is not None}
        prefix = B2B if customer is None else B2B2C
        return self.caller.call(prefix + name, body, customer=None if customer is None else customer.token, **how)

    def create(self, *, how: Mapping[str, Any] | None = None, **changes: Any) -> Answer:
        return self.call("registration-account-creation", self.creation(), changes, **(how or {}))

    def creation(self) -> Body:
        return {
            "partnerReferenceNo": new_reference(),
            "name": "Rina Kusuma",
            "phoneNo": "0813" + new_digits(8),
            "email": "rina@example.id",
            "redirectUrl": BACK,
        }

    def registered(self, **changes: Any) -> Body:
        """The references under which a registration waits for its password."""
        said = assert_snap_ok(self.create(**changes), "06")
        return {"originalPartnerReferenceNo": said["partnerReferenceNo"], "originalReferenceNo": said["referenceNo"]}

    def verify(self, original: Body, otp: str = RIGHT, **changes: Any) -> Answer:
        return self.call("otp-verification", original | {"otp": otp}, changes)

    def bind(self, account_id: str, **changes: Any) -> Answer:
        good = {"partnerReferenceNo": new_reference(), "redirectUrl": BACK, "successParams": {"accountId": account_id}}
        return self.call("registration-account-binding", good, changes)

    def leave(self, **changes: Any) -> Answer:
        binding, _ = self.caller.bind(self.customer().id)
        good = {"partnerReferenceNo": new_reference(), "linkId": binding.id, "merchantId": self.caller.client_id}
        return self.call("registration-account-unbinding", good, changes)

    def inquire_bank(self, customer: Customer, *, for_customer: bool = True, **changes: Any) -> Answer:
        good = {
            "partnerReferenceNo": new_reference(),
            "customerNumber": customer.id,
            "beneficiaryAccountNumber": "1234567890",
            "amount": rupiah(50_000),
            "additionalInfo": {"bankCode": "014"},
        }
        return self.call("emoney/bank-account-inquiry", good, changes, customer if for_customer else None)

    def transfer(self, customer: Customer, **changes: Any) -> Answer:
        return self.call("emoney/transfer-bank", self.transfer_body(customer), changes, customer)

    def transfer_body(self, customer: Customer) -> Body:
        return {
            "partnerReferenceNo": new_reference(),
            "customerNumber": customer.id,
            "accountType": "SAVING",
            "beneficiaryAccountNumber": "1234567890",
            "beneficiaryBankCode": "014",
            "amount": rupiah(50_000),
        }

    def top_up(self, customer: Customer, rupiahs: int = 1_000, **changes: Any) -> Answer:
        good = {"partnerReferenceNo": new_reference(), "customerNumber": customer.id, "amount": rupiah(rupiahs)}
        return self.call("emoney/topup", good, changes)

    def buy(self, customer: Customer, amount: int = 60_000, **changes: Any) -> Answer:
        good = {"partnerReferenceNo": new_reference(), "amount": rupiah(amount)}
        return self.call("debit/payment-host-to-host", good, changes, customer)

    def opened(self, customer: Customer, amount: int = 60_000) -> Body:
        """How an open purchase is named afterwards."""
        return {"originalPartnerReferenceNo": assert_snap_ok(self.buy(customer, amount), "54")["partnerReferenceNo"]}

    def bought(self, customer: Customer, amount: int = 60_000) -> Body:
        """The same of a purchase that the customer paid."""
        one = assert_snap_ok(self.buy(customer, amount), "54")

        def pay(tx: Tx) -> None:
            found = purchase.find(tx, one["referenceNo"])
            assert found is not None
            payer = get_account(tx, customer.id)
            purchase.pay(tx, *found, payer, settings=self.running.gateway.settings, now=self.partner.now())

        self.running.database.transact_now(pay)
        return {"originalPartnerReferenceNo": one["partnerReferenceNo"]}

    def cancel(self, original: Body, **changes: Any) -> Answer:
        return self.call("debit/cancel", original | {"reason": "sold out"}, changes)

    def refund(self, original: Body, **changes: Any) -> Answer:
        good = {"reason": "broken", "partnerRefundNo": new_reference(), "refundAmount": rupiah(20_000)}
        return self.call("debit/refund", original | good, changes)

    def authorised(self, customer: Customer) -> Body:
        good = {"partnerReferenceNo": new_reference(), "amount": rupiah(5_000)}
        said = assert_snap_ok(self.call("auth/payment", good, {}, customer), "64")
        return {"originalPartnerReferenceNo": said["partnerReferenceNo"]}

    def exchange(self, **body: Any) -> Answer:
        return self.caller.ask_token(B2B2C_TOKEN, body)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with lent_gateway() as running:
        yield Desk(running, tmp_path_factory.mktemp("another"))


@pytest.fixture
def desk(shared: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    shared.patch = monkeypatch
    return shared


# -- how the longer ones come about


def five_wrong_passwords(desk: Desk) -> Answer:
    original = desk.registered()
    for _ in range(4):
        assert_snap_error(desk.verify(original, WRONG), "4040415", "Invalid OTP")
    return desk.verify(original, WRONG)


def a_password_after_five_minutes(desk: Desk) -> Answer:
    original = desk.registered()
    desk.partner.pass_time(seconds=301)
    return desk.verify(original)


def a_password_twice(desk: Desk) -> Answer:
    original = desk.registered()
    assert_snap_ok(desk.verify(original), "04")
    return desk.verify(original)


def six_passwords_in_an_hour(desk: Desk) -> Answer:
    phone = "0813" + new_digits(8)
    for _ in range(5):
        desk.registered(phoneNo=phone)
    return desk.create(phoneNo=phone)


def a_transfer_of_another_amount(desk: Desk) -> Answer:
    customer = desk.customer(200_000)
    inquiry = assert_snap_ok(desk.inquire_bank(customer), "42")
    return desk.transfer(customer, amount=rupiah(50_001), additionalInfo={"referenceNo": inquiry["referenceNo"]})


def a_transfer_to_another_account(desk: Desk) -> Answer:
    customer = desk.customer(200_000)
    inquiry = assert_snap_ok(desk.inquire_bank(customer), "42")
    return desk.transfer(customer, beneficiaryAccountNumber="99", additionalInfo={"referenceNo": inquiry["referenceNo"]})


def more_than_the_partner_has(desk: Desk) -> Answer:
    has = desk.partner.books(CORPORATE)[0]
    assert has < 20_000_000
    return desk.top_up(desk.customer(), has + 1)


def more_than_the_customer_may_hold(desk: Desk) -> Answer:
    desk.partner.fund(2_000_001)
    return desk.top_up(desk.customer(level=Level.BASIC), 2_000_001)


def an_account_locked_while_the_call_runs(desk: Desk) -> Answer:
    """Sooner, and its customer token would be dead already (4015402)."""
    customer = desk.customer(100_000)
    used = Snap._used

    async def used_and_then_locked(self: Snap, token: Token, now: Any) -> None:
        await used(self, token, now)
        if token.kind is TokenKind.B2B2C:
            desk.partner.set_status(customer, AccountStatus.LOCKED)

    token = customer.token
    desk.patch.setattr(Snap, "_used", used_and_then_locked)
    body = {"partnerReferenceNo": new_reference(), "amount": rupiah(1_000)}
    return desk.caller.call(B2B2C + "debit/payment-host-to-host", body, customer=token)


def a_customer_locked_before(desk: Desk) -> Answer:
    customer = desk.customer(100_000)
    assert customer.token
    desk.partner.set_status(customer, AccountStatus.LOCKED)
    return desk.buy(customer)


def a_cancel_after_settlement(desk: Desk) -> Answer:
    original = desk.bought(desk.customer(60_000))
    desk.partner.pass_time(days=1)
    return desk.cancel(original)


def a_cancel_twice(desk: Desk) -> Answer:
    original = desk.bought(desk.customer(60_000))
    assert_snap_ok(desk.cancel(original), "57")
    return desk.cancel(original)


def a_refund_of_more_than_is_left(desk: Desk) -> Answer:
    original = desk.bought(desk.customer(60_000))
    desk.partner.pass_time(days=1)
    assert_snap_ok(desk.refund(original), "58")
    return desk.refund(original, refundAmount=rupiah(40_001))


def a_refund_number_twice(desk: Desk) -> Answer:
    original = desk.bought(desk.customer(60_000))
    desk.partner.pass_time(days=1)
    number = new_reference()
    assert_snap_ok(desk.refund(original, partnerRefundNo=number), "58")
    return desk.refund(original, partnerRefundNo=number, reason="again")


def busy_tables(desk: Desk) -> Answer:
    def busy(*_: object, **__: object) -> None:
        raise StorageBusy("for the test")

    desk.patch.setattr(token_service, "keep_b2b_token", busy)
    return desk.caller.ask_token()


def an_auth_code_of_a_locked_customer(desk: Desk) -> Answer:
    customer = desk.customer()
    _, code = desk.caller.bind(customer.id)
    desk.partner.set_status(customer, AccountStatus.LOCKED)
    return desk.exchange(grantType="authorization_code", authCode=code)


def an_auth_code_twice(desk: Desk) -> Answer:
    _, code = desk.caller.bind(desk.customer().id)
    desk.caller.customer(code)
    return desk.exchange(grantType="authorization_code", authCode=code)


def a_transfer_where_there_is_no_bank(desk: Desk) -> Answer:
    with served(desk.directory, bank_provider=f"{__name__}:no_bank") as running:
        other = Desk(running, desk.directory)
        return other.transfer(other.customer(100_000))


def a_bug(desk: Desk) -> Answer:
    def wrong(*_: object, **__: object) -> None:
        raise RuntimeError("a secret nobody should read")

    desk.patch.setattr(purchase, "open_order", wrong)
    return desk.buy(desk.customer(60_000))


def of(original: str = "never") -> Body:
    return {"originalPartnerReferenceNo": original}


Provoke = Callable[[Desk], Answer]
_INACTIVE, _UNKNOWN = "Inactive Card/Account/Customer", "Invalid Card/Account/Customer"
_NOT_THEIRS = "Transaction Not Permitted. [Not The Account Of The Customer Token]"
_LOCKED, _BASIC = AccountStatus.LOCKED, Level.BASIC
# Code → message and how it comes about. Documented for the operation whose service code it has, unless it stands in `OURS`.
ROWS: dict[str, tuple[str, Provoke]] = {
    # token requests
    "4007300": ("Bad Request", lambda d: d.caller.ask_token(body=b"[")),
    "4007301": ("Invalid Field Format {grantType}", lambda d: d.caller.ask_token(body={"grantType": "password"})),
    "4007302": ("Invalid Mandatory Field {grantType}", lambda d: d.caller.ask_token(body={"grantType": ""})),
    "4017300": ("Unauthorized. Signature Not Match", lambda d: d.caller.ask_token(headers={"X-SIGNATURE": "AAAA"})),
    "5007300": ("General Error", busy_tables),
    "4007401": ("Invalid Field Format {grantType}", lambda d: d.exchange(grantType="client_credentials")),
    "4007402": ("Invalid Mandatory Field {authCode}", lambda d: d.exchange(grantType="authorization_code")),
    "4017400": ("Unauthorized. Invalid authCode", an_auth_code_twice),
    "4017402": ("Invalid Customer Token", lambda d: d.exchange(grantType="refresh_token", refreshToken="over")),
    "4037418": (_INACTIVE, an_auth_code_of_a_locked_customer),
    # account creation and its password
    "4000600": ("This phone number is already registered", lambda d: d.create(phoneNo=d.customer().account.phone)),
    "4000601": ("Invalid Field Format {phoneNo}", lambda d: d.create(phoneNo="abc")),
    "4000602": ("Invalid Mandatory Field {email}", lambda d: d.create(email=None)),
    "4010601": ("Invalid Token (B2B)", lambda d: d.create(how={"token": "over"})),
    "4290600": ("Too Many Requests", six_passwords_in_an_hour),
    "4030411": ("OTP Blocked", five_wrong_passwords),
    "4030412": ("OTP Lifetime Expired", a_password_after_five_minutes),
    "4040400": ("Invalid Transaction Status", a_password_twice),
    "4040401": ("Transaction Not Found", lambda d: d.verify(d.registered(), originalPartnerReferenceNo="never")),
    "4040415": ("Invalid OTP", lambda d: d.verify(d.registered(), WRONG)),
    # binding
    "4000702": ("Invalid Mandatory Field {redirectUrl}", lambda d: d.bind(d.customer().id, redirectUrl=None)),
    "4010701": (
        "Invalid Token (B2B)",
        lambda d: d.caller.call(B2B + "registration-account-binding", {"partnerReferenceNo": "1"}, token="over"),
    ),
    "4030718": (_INACTIVE, lambda d: d.bind(d.customer(status=_LOCKED).id)),
    "4040711": (_UNKNOWN, lambda d: d.bind("1999999999")),
    "4040811": (
        _UNKNOWN,
        lambda d: d.call(
            "registration-account-inquiry",
            {"partnerReferenceNo": "1", "additionalInfo": {"accountId": d.customer().id}},
            {},
        ),
    ),
    "4010900": ("Unauthorized. Invalid Merchant", lambda d: d.leave(merchantId="BRN-ELSE")),
    "4040911": (_UNKNOWN, lambda d: d.leave(linkId="lnk_never")),
    # to a bank
    "4034202": ("Exceeds Transaction Amount Limit", lambda d: d.inquire_bank(d.customer(), amount=rupiah(10_000_001))),
    "4034215": (_NOT_THEIRS, lambda d: d.inquire_bank(d.customer(), customerNumber=d.customer().id)),
    "4034218": (_INACTIVE, lambda d: d.inquire_bank(d.customer(status=_LOCKED), for_customer=False)),
    "4044203": ("Bank Not Supported By Switch", lambda d: d.inquire_bank(d.customer(), additionalInfo={"bankCode": "999"})),
    "4044211": (_UNKNOWN, lambda d: d.inquire_bank(d.customer(), beneficiaryAccountNumber="9990000")),
    "2024300": ("Request In Progress", lambda d: d.transfer(d.customer(60_000), beneficiaryAccountNumber="9990001")),
    "4004302": ("Invalid Mandatory Field {accountType}", lambda d: d.transfer(d.customer(60_000), accountType="")),
    "4034302": ("Exceeds Transaction Amount Limit", lambda d: d.transfer(d.customer(60_000), amount=rupiah(10_000_001))),
    "4034314": ("Insufficient Funds", lambda d: d.transfer(d.customer(49_999))),
    "4034315": ("Transaction Not Permitted. [Account not upgraded]", lambda d: d.transfer(d.customer(60_000, level=_BASIC))),
    "4044311": (_UNKNOWN, lambda d: d.transfer(d.customer(60_000), beneficiaryAccountNumber="9990000")),
    "4044313": ("Invalid Amount", a_transfer_of_another_amount),
    "4044318": ("Inconsistent Request", a_transfer_to_another_account),
    "4034301": ("Feature Not Allowed [Payment Channel Is Inactive]", a_transfer_where_there_is_no_bank),
    "4034305": ("Do Not Honor", lambda d: d.transfer(d.customer(60_000), beneficiaryAccountNumber="9990004")),
    "5044200": ("Timeout", lambda d: d.inquire_bank(d.customer(), beneficiaryAccountNumber="9990006")),
    # top-up
    "4003802": ("Invalid Mandatory Field {amount}", lambda d: d.top_up(d.customer(), amount=None)),
    "4033814": ("Insufficient Funds", more_than_the_partner_has),
    "4033818": (_INACTIVE, lambda d: d.top_up(d.customer(status=_LOCKED))),
    "4033823": ("Account Limit Exceed", more_than_the_customer_may_hold),
    "4043811": (_UNKNOWN, lambda d: d.top_up(d.customer(), customerNumber="081999999999")),
    "4003901": (
        "Invalid Field Format {serviceCode}",
        lambda d: d.call("emoney/topup-status", of() | {"serviceCode": "54"}, {}),
    ),
    "4043901": ("Transaction Not Found", lambda d: d.call("emoney/topup-status", of() | {"serviceCode": "38"}, {})),
    # purchase
    "4015402": ("Invalid Customer Token", a_customer_locked_before),
    "4015404": (
        "Customer Token Not Found",
        lambda d: d.caller.call(B2B2C + "debit/payment-host-to-host", {"partnerReferenceNo": "1", "amount": rupiah(1)}),
    ),
    "4035400": ("Transaction Expired", lambda d: d.buy(d.customer(60_000), validUpTo="2020-01-01T00:00:00+07:00")),
    "4035402": ("Exceeds Transaction Amount Limit", lambda d: d.buy(d.customer(60_000, level=_BASIC), 2_000_001)),
    "4035414": ("Insufficient Funds", lambda d: d.buy(d.customer(59_999))),
    "4035418": (_INACTIVE, an_account_locked_while_the_call_runs),
    "4045413": ("Invalid Amount", lambda d: d.buy(d.customer(60_000), 0)),
    "5005401": ("Internal Server Error", a_bug),
    "4005501": (
        "Invalid Field Format {serviceCode}",
        lambda d: d.call("debit/status", d.opened(d.customer(60_000)) | {"serviceCode": "47"}, {}),
    ),
    "4045501": ("Transaction Not Found", lambda d: d.call("debit/status", of(), {})),
    "4045700": ("Invalid Transaction Status", a_cancel_after_settlement),
    "4045701": ("Transaction Not Found", lambda d: d.cancel(of())),
    "4045704": ("Transaction Cancelled", a_cancel_twice),
    "4045800": ("Invalid Transaction Status", lambda d: d.refund(d.bought(d.customer(60_000)))),
    "4045801": ("Transaction Not Found", lambda d: d.refund(of())),
    "4045813": ("Invalid Amount", a_refund_of_more_than_is_left),
    "4095801": ("Duplicate partnerReferenceNo", a_refund_number_twice),
    # history
    "4001201": (
        "Invalid Field Format {pageSize}",
        lambda d: d.call("transaction-history-list", {"partnerReferenceNo": "1", "pageSize": 101}, {}, d.customer()),
    ),
    "4041301": ("Transaction Not Found", lambda d: d.call("transaction-history-detail", of(), {}, d.customer())),
}

# What the documents and the apps' sources list, by operation.
DOCUMENTED = {
    "73": "4007300 4007301 4007302 4017300 5007300",
    "74": "4007401 4007402 4017400 4017402 4037418 4047411",
    "06": "4000600 4000601 4000602 4010601 4090600 4090601 4290600",
    "04": "4030411 4030412 4040400 4040401 4040415",
    "07": "4000702 4010701 4030718 4040711 4090700 4090701",
    "08": "4040811",
    "09": "4010900 4040911",
    "42": "4034202 4034215 4034218 4044203 4044211",
    "43": "2024300 4004302 4034302 4034314 4034315 4044311 4044313 4044318",
    "38": "4003802 4033802 4033814 4033818 4033823 4043811",
    "39": "4003901 4043901",
    "54": "4015402 4015404 4035400 4035402 4035414 4035418 4045413 4095401",
    "55": "4005501 4045501",
    "57": "4045700 4045701 4045704",
    "58": "4045800 4045801 4045813 4095801",
    "12": "4001201",
    "13": "4041301",
    "47": "4014701",
    "48": "4014800 4014801",
    "50": "4015001",
    "51": "4015101",
}
# Rows of the national table that no document ties to one of our operations.
OURS = {"4034301", "4034305", "5044200", "5005401"}
_QRIS = (
    "QRIS is another channel; that 50 says 01 is held by test_step_7_a_bad_customer_token_is_case_02_and_01_for_qr_payments_only"
)
NOT_HERE = {
    "4047411": "accounts are locked or closed, never deleted: whoever was bound is known",
    "4033802": "listed beside 4033823 for the receiver's limit; a top-up has no limit of its own",
    "4014701": _QRIS,
    "4014800": _QRIS,
    "4014801": _QRIS,
    "4015001": _QRIS,
    "4015101": _QRIS,
}
_CARDS, _BILLS = "a row for cards", "a row for bills and virtual accounts"
NEVER = {
    (403, "03"): "nothing here judges fraud",
    (403, "04"): "nothing here counts a customer's calls",
    (403, "06"): "no operation has a cut-off time",
    (403, "07"): _CARDS,
    (403, "08"): _CARDS,
    (403, "09"): "no account goes dormant",
    (403, "10"): _CARDS,
    (403, "13"): _CARDS,
    (403, "16"): "a merchant is not suspended by operation",
    (403, "17"): _CARDS,
    (403, "19"): "there is no list of bad merchants",
    (403, "20"): "merchants have no limits of their own",
    (403, "21"): _CARDS,
    (403, "22"): _CARDS,
    (404, "02"): "its message tells an unknown path, whose code is 4040000",
    (404, "05"): _CARDS,
    (404, "06"): "a password is asked for by the call before",
    (404, "07"): "there are no journeys",
    (404, "08"): "whoever is not a merchant is turned down as a client (4010000)",
    (404, "09"): _CARDS,
    (404, "10"): "an unknown path is 4040000, a wrong method 405",
    (404, "12"): _BILLS,
    (404, "14"): _BILLS,
    (404, "16"): "whoever is not a partner is turned down as a client (4010000)",
    (404, "17"): "there are no terminals",
    (404, "19"): _BILLS,
    (405, "01"): "a state that does not allow it is 404 00",
    (500, "02"): "a silent bank is 504 00, a broken one too",
}


@pytest.mark.parametrize("code", ROWS)
def test_every_documented_error_comes_about_as_documented(desk: Desk, code: str) -> None:
    message, provoke = ROWS[code]

    answer = provoke(desk)

    if code.startswith("202"):
        assert (answer.status, answer.json["responseCode"], answer.json["responseMessage"]) == (202, code, message)
    else:
        assert_snap_error(answer, code, message)


def test_an_error_is_provoked_here_or_it_says_why_not() -> None:
    conflicts = {f"409{service}{case}" for service in CREATING for case in ("00", "01")}
    documented = {code for codes in DOCUMENTED.values() for code in codes.split()}

    assert all(code[3:5] == service for service, codes in DOCUMENTED.items() for code in codes.split())
    assert documented <= ROWS.keys() | conflicts | NOT_HERE.keys()
    assert not NOT_HERE.keys() & ROWS.keys()
    assert ROWS.keys() - documented == OURS


def test_every_row_of_the_national_table_is_met_somewhere_or_says_why_not() -> None:
    met = {(int(code[:3]), code[5:]) for code in ROWS} | set(GUARDED) | {(200, "00"), (409, "00"), (409, "01")}

    assert not met & NEVER.keys()
    assert met | NEVER.keys() == set(CASES)
    # Nor may our own table answer what is said never to be answered, but for what nobody can bring about.
    answers = {(answer.status, answer.case): reason for reason, answer in BY_REASON.items()}
    assert {answers[row] for row in answers.keys() & NEVER.keys()} == {Reason.MERCHANT_NOT_FOUND}


# -- what the guard answers, at every operation

GUARDED: dict[tuple[int, str], str] = {
    (400, "00"): CASES[400, "00"],
    (400, "01"): "Invalid Field Format {X-TIMESTAMP}",
    (400, "02"): "Invalid Mandatory Field {X-SIGNATURE}",
    (401, "00"): "Unauthorized. Signature Not Match",
    (401, "01"): CASES[401, "01"],
    (401, "02"): CASES[401, "02"],
    (401, "03"): CASES[401, "03"],
    (401, "04"): CASES[401, "04"],
    (405, "00"): CASES[405, "00"],
}
ENDPOINTS = [pytest.param(one, id=f"{one.service_code} {one.path.removeprefix('/snap-adapter/')}") for one in CHANNEL.endpoints]
PREFIX = "/snap-adapter"
# Of the seed and the apps; where no document prints a path, both are served and the second asks for no customer.
OPERATIONS = {
    "06": ("/b2b/v1.0/registration-account-creation",),
    "04": ("/b2b/v1.0/otp-verification",),
    "07": ("/b2b/v1.0/registration-account-binding",),
    "08": ("/b2b/v1.0/registration-account-inquiry",),
    "09": ("/b2b/v1.0/registration-account-unbinding",),
    "11": ("/b2b2c/v1.0/balance-inquiry",),
    "42": ("/b2b2c/v1.0/emoney/bank-account-inquiry", "/b2b/v1.0/emoney/bank-account-inquiry"),
    "43": ("/b2b2c/v1.0/emoney/transfer-bank",),
    "38": ("/b2b2c/v1.0/emoney/topup", "/b2b/v1.0/emoney/topup"),
    "39": ("/b2b2c/v1.0/emoney/topup-status", "/b2b/v1.0/emoney/topup-status"),
    "54": ("/b2b2c/v1.0/debit/payment-host-to-host",),
    "55": ("/b2b2c/v1.0/debit/status", "/b2b/v1.0/debit/status"),
    "57": ("/b2b2c/v1.0/debit/cancel", "/b2b/v1.0/debit/cancel"),
    "58": ("/b2b2c/v1.0/debit/refund", "/b2b/v1.0/debit/refund"),
    "12": ("/b2b2c/v1.0/transaction-history-list",),
    "13": ("/b2b2c/v1.0/transaction-history-detail",),
}
EXTRAS = {"37", "64", "66", "68", "81"}  # of the newer page; paths inferred


def test_the_operations_are_where_the_documents_say() -> None:
    """S1-17, S1-30, S1-41, S1-50, S1-59, S1-70, S1-80, S1-92, S1-107, S1-121, S1-135, S1-146, S1-158, S1-169, S1-181, S1-195."""
    served_at = {(one.service_code, one.method, one.path, one.needs_customer) for one in CHANNEL.endpoints}
    documented = {
        (code, "POST", PREFIX + path, path.startswith("/b2b2c/")) for code, paths in OPERATIONS.items() for path in paths
    }

    assert {one for one in served_at if one[0] not in EXTRAS} == documented


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_operation_asks_for_its_headers_and_both_tokens(desk: Desk, endpoint: Endpoint) -> None:
    """S1-01, S1-05, S1-11; the header rows of all sixteen: S1-18 … S1-22, S1-31 … S1-35 and so on to S1-197 … S1-201."""
    service, heard = endpoint.service_code, set()
    customer = desk.customer().token if endpoint.needs_customer else None

    def refused(status: int, case: str, message: str = "", **how: Any) -> None:
        heard.add((status, case))
        answer = desk.caller.call(endpoint.path, **({"body": {}, "customer": customer} | how))
        assert_snap_error(answer, f"{status}{service}{case}", message or GUARDED[status, case])

    for name in ("X-TIMESTAMP", "X-SIGNATURE", "X-PARTNER-ID", "X-EXTERNAL-ID"):
        refused(400, "02", f"Invalid Mandatory Field {{{name}}}", headers={name: ""})
    refused(400, "01", timestamp="2026-01-02 03:04")
    refused(400, "01", "Invalid Field Format {X-EXTERNAL-ID}", external_id="with blank")
    refused(401, "03", headers={"Authorization": ""})
    refused(401, "01", headers={"Authorization": "Bearer over"})
    refused(401, "00", "Unauthorized. Unknown Client", headers={"X-PARTNER-ID": "BRN-NOBODY"})
    refused(401, "00", hashed=b"another body")
    refused(401, "00", signed_path="/snap-adapter/b2b/v1.0/another")
    refused(400, "00", body=b"[]")
    refused(405, "00", method="GET", body=None)
    if endpoint.needs_customer:
        refused(401, "04", customer=None)
        refused(401, "02", customer="over")
        refused(401, "02", customer=desk.caller.b2b())
    assert heard == set(GUARDED) - (set() if endpoint.needs_customer else {(401, "02"), (401, "04")})


def test_an_unknown_path_has_no_service(desk: Desk) -> None:
    assert_snap_error(desk.caller.call(B2B + "registration-account-deletion", {}), "4040000", errors.UNKNOWN_PATH.message)


# -- mandatory fields

_ORIGINALS = ("originalPartnerReferenceNo", "originalReferenceNo")
MANDATORY = {
    "06": ("partnerReferenceNo", "name", "phoneNo", "email", "redirectUrl"),
    "04": (*_ORIGINALS, "otp"),
    "81": ("partnerReferenceNo", *_ORIGINALS),
    "07": ("partnerReferenceNo", "redirectUrl"),
    "08": ("partnerReferenceNo",),
    "09": ("partnerReferenceNo", "linkId", "merchantId"),
    "11": ("partnerReferenceNo",),
    "42": ("partnerReferenceNo", "customerNumber", "beneficiaryAccountNumber"),
    "43": (
        "partnerReferenceNo",
        "customerNumber",
        "accountType",
        "beneficiaryAccountNumber",
        "beneficiaryBankCode",
        "amount",
    ),
    "37": ("partnerReferenceNo", "customerNumber"),
    "38": ("partnerReferenceNo", "customerNumber", "amount"),
    "39": ("originalPartnerReferenceNo", "serviceCode"),
    "54": ("partnerReferenceNo", "amount"),
    "55": ("originalPartnerReferenceNo",),
    "57": ("originalPartnerReferenceNo",),
    "58": ("originalPartnerReferenceNo", "reason", "partnerRefundNo"),
    "64": ("partnerReferenceNo", "amount"),
    "66": ("originalPartnerReferenceNo",),
    "68": ("originalPartnerReferenceNo",),
    "12": ("partnerReferenceNo",),
    "13": ("originalPartnerReferenceNo",),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_what_is_mandatory_is_named_when_it_is_missing_and_nothing_else_is_asked_for(desk: Desk, endpoint: Endpoint) -> None:
    """S1-77, S1-87, S1-99, S1-114, S1-131, S1-142, S1-153, S1-165, S1-176, S1-188, S1-202 and the other mandatory fields."""
    who = desk.customer(60_000)
    customer = who.token if endpoint.needs_customer else None
    filled: Body = dict.fromkeys(("name", "otp", "linkId", "accountType", "reason", "originalReferenceNo"), "1") | {
        "partnerReferenceNo": new_reference(),
        "originalPartnerReferenceNo": new_reference(),
        "partnerRefundNo": new_reference(),
        "phoneNo": "0813" + new_digits(8),
        "email": "a@b.co",
        "redirectUrl": BACK,
        "merchantId": desk.caller.client_id,
        "serviceCode": "38",
        "customerNumber": who.id,
        "beneficiaryAccountNumber": "1234567890",
        "beneficiaryBankCode": "014",
        "amount": rupiah(1_000),
    }
    asked = MANDATORY[endpoint.service_code]
    good = {name: filled[name] for name in asked} | ({"beneficiaryBankCode": "014"} if endpoint.service_code == "42" else {})

    for name in asked:
        absences: tuple[Body, ...] = ({}, {name: None}, {name: ""}, {name: []})
        for absent in absences:
            body = {other: value for other, value in good.items() if other != name} | absent
            answer = desk.caller.call(endpoint.path, body, customer=customer)
            assert_snap_error(answer, f"400{endpoint.service_code}02", f"Invalid Mandatory Field {{{name}}}")
    whole = desk.caller.call(endpoint.path, good, customer=customer)
    assert not re.fullmatch(r"400..02", whole.json["responseCode"]), whole.body


# -- repeats (D-3)

Good = tuple[str, Body, Customer | None]


def _transfer(desk: Desk) -> Good:
    customer = desk.customer(60_000)
    return "emoney/transfer-bank", desk.transfer_body(customer), customer


def _top_up(desk: Desk) -> Good:
    desk.partner.fund(1_000)
    customer = desk.customer()
    return (
        "emoney/topup",
        {"partnerReferenceNo": new_reference(), "customerNumber": customer.id, "amount": rupiah(1_000)},
        customer,
    )


def _purchase(name: str) -> Callable[[Desk], Good]:
    return lambda d: (name, {"partnerReferenceNo": new_reference(), "amount": rupiah(1_000)}, d.customer(60_000))


def _refund(desk: Desk) -> Good:
    original = desk.bought(desk.customer(60_000))
    desk.partner.pass_time(days=1)
    return "debit/refund", original | {"reason": "broken", "partnerRefundNo": new_reference(), "refundAmount": rupiah(1)}, None


def _leave(desk: Desk) -> Good:
    link = desk.caller.bind(desk.customer().id)[0].id
    body = {"partnerReferenceNo": new_reference(), "linkId": link, "merchantId": desk.caller.client_id}
    return "registration-account-unbinding", body, None


CREATING: dict[str, Callable[[Desk], Good]] = {
    "06": lambda d: ("registration-account-creation", d.creation(), None),
    "81": lambda d: ("otp", d.registered() | {"partnerReferenceNo": new_reference()}, None),
    "07": lambda d: (
        "registration-account-binding",
        {"partnerReferenceNo": new_reference(), "redirectUrl": BACK, "successParams": {"accountId": d.customer().id}},
        None,
    ),
    "09": _leave,
    "43": _transfer,
    "38": _top_up,
    "54": _purchase("debit/payment-host-to-host"),
    "57": lambda d: ("debit/cancel", d.opened(d.customer(60_000)), None),
    "58": _refund,
    "64": _purchase("auth/payment"),
    "66": lambda d: ("auth/capture", d.authorised(d.customer(60_000)), None),
    "68": lambda d: ("auth/void", d.authorised(d.customer(60_000)), None),
}


@pytest.mark.parametrize("service", CREATING)
def test_what_creates_or_moves_happens_once_whatever_is_repeated(desk: Desk, service: str) -> None:
    """D-3: the same id and body is a conflict; under another id the reference, where there is one, is a duplicate."""
    name, body, customer = CREATING[service](desk)
    external_id = new_reference()
    assert_snap_ok(desk.call(name, body, {}, customer, external_id=external_id), service)

    again = desk.call(name, body, {}, customer, external_id=external_id)
    anew = desk.call(name, body, {}, customer)

    assert_snap_error(again, f"409{service}00", "Conflict")
    if {"partnerReferenceNo", "partnerRefundNo"} & body.keys():
        assert_snap_error(anew, f"409{service}01", "Duplicate partnerReferenceNo")
    else:
        assert anew.status == 404, anew.body


def test_every_operation_that_creates_or_moves_is_among_them() -> None:
    """D-3: 06, 07, 09, 38, 43, 54, 57, 58, 81 by the national list, 64, 66, 68 because they move money too."""
    assert {one.service_code for one in CHANNEL.endpoints if one.creates} == set(CREATING)


def test_what_only_tells_may_be_asked_twice_in_the_same_words(desk: Desk) -> None:
    """D-3."""
    customer = desk.customer(60_000)
    original, number = desk.opened(customer), {"partnerReferenceNo": "again", "customerNumber": customer.id}
    bank = number | {"beneficiaryAccountNumber": "1", "beneficiaryBankCode": "014"}
    questions: list[tuple[str, Body, Customer | None]] = [
        ("otp-verification", desk.registered() | {"otp": WRONG}, None),
        ("registration-account-inquiry", {"partnerReferenceNo": "again", "additionalInfo": {"accountId": customer.id}}, None),
        ("balance-inquiry", {"partnerReferenceNo": "again"}, customer),
        ("emoney/bank-account-inquiry", bank, customer),
        ("emoney/account-inquiry", number, customer),
        ("emoney/topup-status", of() | {"serviceCode": "38"}, customer),
        ("debit/status", original, customer),
        ("transaction-history-list", {"partnerReferenceNo": "again"}, customer),
        ("transaction-history-detail", original, customer),
    ]

    for name, body, who in questions:
        first, second = [desk.call(name, body, {}, who, external_id="one-and-the-same") for _ in range(2)]
        assert first.json["responseCode"] == second.json["responseCode"]
        assert first.status in (200, 404)
    asked = {one.path.removeprefix(PREFIX)[5:].partition("v1.0/")[2] for one in CHANNEL.endpoints if not one.creates}
    assert {name for name, _, _ in questions} == asked
