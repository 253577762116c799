"""Account creation, passwords, binding and unbinding over SNAP: every field, every code, and what a customer's link opens."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from gerbang.channel import Parts
from gerbang.channels.doku_wallet_snap.channel import CHANNEL, WalletRoom, open_room
from gerbang.clock import Clock
from gerbang.ids import new_digits
from gerbang.settings import BadSettings, Settings
from gerbang.storage import Database, Tx
from gerbang.vault import Vault
from gerbang.wallet import bindings, get_account, registrations
from gerbang.wallet.messages import SandboxMessages
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import import_merchant
from support.snap import SnapCaller, assert_snap_error, assert_snap_ok, reference

B2B = "/snap-adapter/b2b/v1.0/"
CREATION = B2B + "registration-account-creation"
VERIFY = B2B + "otp-verification"
OTP = B2B + "otp"
BINDING = B2B + "registration-account-binding"
INQUIRY = B2B + "registration-account-inquiry"
UNBINDING = B2B + "registration-account-unbinding"
BALANCE = "/snap-adapter/b2b2c/v1.0/balance-inquiry"

OTHER_CLIENT, OTHER_SECRET = "BRN-0777-1700000000777", "SK-anotherPartnersSecret"
RIGHT = "123456"
BUDI = "1140340011"
BACK = "https://app.example/return"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        import_merchant(one, OTHER_CLIENT, OTHER_SECRET)
        yield one


@pytest.fixture(scope="module")
def partner(running: RunningGateway) -> SnapCaller:
    return SnapCaller(running)


@pytest.fixture(scope="module")
def other(running: RunningGateway) -> SnapCaller:
    return SnapCaller(running, client_id=OTHER_CLIENT, secret_key=OTHER_SECRET)


def new_phone() -> str:
    return "0813" + new_digits(8)


def creation(**changes: Any) -> dict[str, Any]:
    """The seed's example with a phone of its own. None takes a field away."""
    whole = {
        "partnerReferenceNo": reference(),
        "name": "SNAPaccount1123001",
        "phoneNo": new_phone(),
        "email": "a@b.co",
        "redirectUrl": "https://doku.com",
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


class Registered:
    """A customer on the way: the answer to account creation, and what comes next."""

    def __init__(self, partner: SnapCaller, **changes: Any) -> None:
        self.partner = partner
        self.body = creation(**changes)
        self.answer = assert_snap_ok(partner.call(CREATION, self.body), "06")

    def original(self, **changes: Any) -> dict[str, Any]:
        whole = {
            "originalPartnerReferenceNo": self.body["partnerReferenceNo"],
            "originalReferenceNo": self.answer["referenceNo"],
        } | changes
        return {name: value for name, value in whole.items() if value is not None}

    def verify(self, otp: str = RIGHT, **changes: Any) -> Answer:
        return self.partner.call(VERIFY, self.original(otp=otp, **changes))

    def account_id(self) -> str:
        """Verify, and set a PIN as the page does."""
        token = assert_snap_ok(self.verify(), "04")["qparams"]["token"]

        def finish(tx: Tx) -> str:
            found = registrations.by_page_token(tx, token)
            assert found is not None
            now = self.partner.running.gateway.clock.now()
            return registrations.finish(tx, found, pin_hash="of a PIN", now=now).id

        return self.partner.running.database.transact_now(finish)


def customer(partner: SnapCaller) -> str:
    """A new customer; their DOKU ID."""
    return Registered(partner).account_id()


def bound(partner: SnapCaller, account_id: str, **body: Any) -> tuple[dict[str, Any], str]:
    """The answer to account binding and, the customer having consented on the page, the auth code."""
    whole = {"partnerReferenceNo": reference(), "redirectUrl": BACK, "successParams": {"accountId": account_id}} | body
    answer = assert_snap_ok(partner.call(BINDING, {name: value for name, value in whole.items() if value is not None}), "07")

    def consent(tx: Tx) -> str:
        request = bindings.request_by_id(tx, answer["nextAction"].rpartition("/")[2])
        assert request is not None
        now = partner.running.gateway.clock.now()
        return bindings.confirm(tx, request, get_account(tx, account_id), now=now)[1]

    return answer, partner.running.database.transact_now(consent)


# -- account creation


def test_creating_an_account_answers_the_two_references_and_sends_a_password(running: RunningGateway, partner: SnapCaller):
    """S1-16, S1-17, S1-23 … S1-28."""
    registered = Registered(partner)

    assert set(registered.answer) == {"responseCode", "responseMessage", "referenceNo", "partnerReferenceNo"}
    assert registered.answer["partnerReferenceNo"] == registered.body["partnerReferenceNo"]
    assert 1 <= len(registered.answer["referenceNo"]) <= 64
    (message,) = running.control("GET", f"/messages?phone={registered.body['phoneNo']}")["messages"]
    assert message["text"].startswith("Kode Anda 123 456. Berlaku 5 menit.")
    assert (message["code"], message["used"], message["over"]) == (RIGHT, False, False)


@pytest.mark.parametrize("field", ["partnerReferenceNo", "name", "phoneNo", "email", "redirectUrl"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_each_field_of_an_account_creation_is_mandatory(partner: SnapCaller, field: str, value: str | None):
    answer = partner.call(CREATION, creation(**{field: value}))

    assert_snap_error(answer, "4000602", f"Invalid Mandatory Field {{{field}}}")


@pytest.mark.parametrize(
    ("field", "fits", "does_not"),
    [
        ("partnerReferenceNo", ["x", "x" * 64], ["x" * 65, {}, ["x"], True]),
        ("name", ["x", "x" * 100, "Siti é"], ["x" * 101, "a\x07b", {"a": 1}]),
        (
            "email",
            ["a@b.co", "x" * 240 + "@example.com"],
            ["a", "a@b", "a@b.", "@b.co", "a b@c.de", "a@b@c.de", "x" * 254 + "@b.co"],
        ),
        ("redirectUrl", [BACK, "http://127.0.0.1:9/x?y=1#z"], ["doku.com", "javascript:alert(1)", "/x", "https://", "x" * 3000]),
    ],
)
def test_the_limits_of_an_account_creation(partner: SnapCaller, field: str, fits: list[Any], does_not: list[Any]):
    for value in fits:
        unique = value if field != "partnerReferenceNo" else (value + reference())[: len(value)]
        assert_snap_ok(partner.call(CREATION, creation(**{field: unique})), "06")
    for value in does_not:
        assert_snap_error(partner.call(CREATION, creation(**{field: value})), "4000601", f"Invalid Field Format {{{field}}}")


@pytest.mark.parametrize("phone", ["abc", "0812", "0" * 20, "08123x567890", -81234567890, "-81234567890", "+", 1.5, {}])
def test_a_phone_number_has_8_to_16_digits(partner: SnapCaller, phone: Any):
    """S1-25."""
    assert_snap_error(partner.call(CREATION, creation(phoneNo=phone)), "4000601", "Invalid Field Format {phoneNo}")


@pytest.mark.parametrize("written", ["0{}", "62{}", "+62 {}", "{}", "+62-{}"])
def test_a_phone_number_is_one_however_it_is_written_and_echoed_as_sent(partner: SnapCaller, written: str):
    """S1-25, D-6."""
    number = "813" + new_digits(8)
    first = Registered(partner, phoneNo=f"0{number}")
    second = Registered(partner, phoneNo=written.format(number))

    assert_snap_error(first.verify(), "4040401", "Transaction Not Found")
    assert assert_snap_ok(second.verify(), "04")["phoneNo"] == written.format(number)


def test_a_phone_number_may_come_as_a_number_without_its_zero(partner: SnapCaller):
    number = "813" + new_digits(8)
    Registered(partner, phoneNo=int(number))

    (message,) = partner.running.control("GET", f"/messages?phone=0{number}")["messages"]
    assert message["phone"] == f"62{number}"


@pytest.mark.parametrize(
    "extra", [{}, {"additionalInfo": {"deviceId": "x"}}, {"additionalInfo": ""}, {"additionalInfo": []}, {"x": 1}]
)
def test_what_else_is_sent_does_not_matter(partner: SnapCaller, extra: dict[str, Any]):
    Registered(partner, **extra)


def test_a_phone_that_is_a_customer_already_is_told_so_in_words(partner: SnapCaller):
    """4000600: the demo apps show this text as it is."""
    answer = partner.call(CREATION, creation(phoneNo="+62 812-3456-7890"))

    assert_snap_error(answer, "4000600", "This phone number is already registered")


def test_a_resend_is_a_creation_with_a_new_reference_and_the_earlier_one_is_forgotten(partner: SnapCaller):
    phone = new_phone()
    first, second = Registered(partner, phoneNo=phone), Registered(partner, phoneNo=phone)

    assert_snap_error(first.verify(), "4040401", "Transaction Not Found")
    assert_snap_ok(second.verify(), "04")


def test_a_reference_is_used_once(partner: SnapCaller, other: SnapCaller):
    """4090601; another partner may use the same text."""
    registered = Registered(partner)
    again = creation(partnerReferenceNo=registered.body["partnerReferenceNo"])

    assert_snap_error(partner.call(CREATION, again), "4090601", "Duplicate partnerReferenceNo")
    assert_snap_ok(other.call(CREATION, again), "06")
    assert_snap_ok(registered.verify(), "04")


def test_the_same_call_under_the_same_external_id_is_a_conflict(partner: SnapCaller):
    """4090600."""
    body, external_id = creation(), reference()
    assert_snap_ok(partner.call(CREATION, body, external_id=external_id), "06")

    assert_snap_error(partner.call(CREATION, body, external_id=external_id), "4090600", "Conflict")


def test_the_sixth_password_of_an_hour_is_refused_and_its_reference_stays_free(running: RunningGateway, partner: SnapCaller):
    """4290600."""
    phone = new_phone()
    for _ in range(5):
        registered = Registered(partner, phoneNo=phone)
    sixth = creation(phoneNo=phone)

    assert_snap_error(partner.call(CREATION, sixth), "4290600", "Too Many Requests")
    assert_snap_ok(registered.verify(), "04")
    sixth["phoneNo"] = new_phone()
    assert_snap_ok(partner.call(CREATION, sixth), "06")


def test_of_creations_for_one_phone_at_once_one_stays_open(gateway: RunningGateway):
    caller = SnapCaller(gateway)
    token, phone = caller.b2b(), new_phone()
    bodies = [creation(phoneNo=phone) for _ in range(5)]

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda body: caller.call(CREATION, body, token=token), bodies))

    assert [answer.status for answer in answers] == [200] * 5
    verified = [
        caller.call(
            VERIFY,
            {
                "originalPartnerReferenceNo": answer.json["partnerReferenceNo"],
                "originalReferenceNo": answer.json["referenceNo"],
                "otp": RIGHT,
            },
        ).json["responseCode"]
        for answer in answers
    ]
    assert Counter(verified) == {"2000400": 1, "4040401": 4}


# -- verify OTP


def test_the_right_password_opens_the_page_that_sets_a_pin(running: RunningGateway, partner: SnapCaller):
    """S1-29, S1-30, S1-36 … S1-39."""
    registered = Registered(partner)

    answer = assert_snap_ok(registered.verify(), "04")

    token = answer["qparams"]["token"]
    assert answer == {
        "responseCode": "2000400",
        "responseMessage": "Successful",
        "originalPartnerReferenceNo": registered.body["partnerReferenceNo"],
        "originalReferenceNo": registered.answer["referenceNo"],
        "email": "a@b.co",
        "phoneNo": registered.body["phoneNo"],
        "sendOtpFlag": "NO",
        "qparamsURL": f"{running.url}/wallet/create-pin",
        "qparams": {"token": token, "action": token},
        "additionalInfo": {},
    }
    assert len(token) >= 40
    assert urlsplit(answer["qparamsURL"]).query == ""
    (message,) = running.control("GET", f"/messages?phone={registered.body['phoneNo']}")["messages"]
    assert (message["used"], message["over"]) == (True, True)


def test_a_wrong_password_and_then_the_right_one(partner: SnapCaller):
    registered = Registered(partner)

    assert_snap_error(registered.verify("654321"), "4040415", "Invalid OTP")
    assert_snap_ok(registered.verify(), "04")


def test_from_the_fifth_wrong_password_on_it_is_blocked_until_a_new_one(partner: SnapCaller):
    registered = Registered(partner)
    for _ in range(4):
        assert_snap_error(registered.verify("654321"), "4040415", "Invalid OTP")

    assert_snap_error(registered.verify("654321"), "4030411", "OTP Blocked")
    assert_snap_error(registered.verify(), "4030411", "OTP Blocked")
    assert_snap_ok(Registered(partner, phoneNo=registered.body["phoneNo"]).verify(), "04")


def test_a_password_is_over_after_five_minutes(gateway: RunningGateway):
    caller = SnapCaller(gateway)
    registered, late = Registered(caller), Registered(caller)
    gateway.control("POST", "/clock", {"advance_s": 290})
    assert_snap_ok(registered.verify(), "04")
    gateway.control("POST", "/clock", {"advance_s": 11})

    assert_snap_error(late.verify(), "4030412", "OTP Lifetime Expired")


def test_what_was_verified_is_not_verified_again(partner: SnapCaller):
    registered = Registered(partner)
    registered.account_id()

    assert_snap_error(registered.verify(), "4040400", "Invalid Transaction Status")
    assert_snap_error(registered.verify("654321"), "4040400", "Invalid Transaction Status")


def test_both_references_have_to_be_those_of_one_call_of_this_partner(partner: SnapCaller, other: SnapCaller):
    mine, next_to_it, theirs = Registered(partner), Registered(partner), Registered(other)

    for changes in (
        {"originalReferenceNo": "reg_unknown"},
        {"originalPartnerReferenceNo": reference()},
        {"originalReferenceNo": next_to_it.answer["referenceNo"]},
        {"originalPartnerReferenceNo": next_to_it.body["partnerReferenceNo"]},
    ):
        assert_snap_error(mine.verify(**changes), "4040401", "Transaction Not Found")
    assert_snap_error(partner.call(VERIFY, theirs.original(otp=RIGHT)), "4040401", "Transaction Not Found")
    for one in (mine, next_to_it, theirs):
        assert_snap_ok(one.verify(), "04")


@pytest.mark.parametrize("field", ["originalPartnerReferenceNo", "originalReferenceNo", "otp"])
def test_each_field_of_verify_otp_is_mandatory(partner: SnapCaller, field: str):
    registered = Registered(partner)

    assert_snap_error(
        registered.verify(**{field: None} | {"otp": None if field == "otp" else RIGHT}),
        "4000402",
        f"Invalid Mandatory Field {{{field}}}",
    )
    assert_snap_error(registered.verify(**{"otp": RIGHT} | {field: "x" * 65}), "4000401", f"Invalid Field Format {{{field}}}")
    assert_snap_ok(registered.verify(), "04")


def test_fields_of_the_standard_that_mean_nothing_here_are_ignored(partner: SnapCaller):
    extra = {"action": "x", "merchantId": "y", "chargeToken": "z", "type": "PAYMENT", "additionalInfo": {"deviceId": "d"}}

    assert_snap_ok(Registered(partner).verify(**extra), "04")


def test_verifying_is_never_a_conflict(partner: SnapCaller):
    registered = Registered(partner)
    external_id = reference()
    body = registered.original(otp="654321")

    codes = [partner.call(VERIFY, body, external_id=external_id).json["responseCode"] for _ in range(2)]

    assert codes == ["4040415", "4040415"]


def test_of_the_right_password_sent_many_times_at_once_one_is_accepted(gateway: RunningGateway):
    caller = SnapCaller(gateway)
    registered = Registered(caller)
    token = caller.b2b()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: caller.call(VERIFY, registered.original(otp=RIGHT), token=token), range(8)))

    assert Counter(answer.json["responseCode"] for answer in answers) == {"2000400": 1, "4040400": 7}


# -- request OTP


def test_another_password_can_be_asked_for_under_the_same_references(partner: SnapCaller):
    registered = Registered(partner)
    for _ in range(5):
        registered.verify("654321")

    own = reference()
    answer = assert_snap_ok(partner.call(OTP, registered.original(partnerReferenceNo=own)), "81")

    assert answer == {
        "responseCode": "2008100",
        "responseMessage": "Successful",
        "referenceNo": registered.answer["referenceNo"],
        "partnerReferenceNo": own,
        "additionalInfo": {},
    }
    assert_snap_ok(registered.verify(), "04")
    again = registered.original(partnerReferenceNo=reference())
    assert_snap_error(partner.call(OTP, again), "4048100", "Invalid Transaction Status")


def test_what_cannot_get_another_password(partner: SnapCaller, other: SnapCaller):
    registered = Registered(partner)

    def ask(caller: SnapCaller = partner, **changes: Any) -> Answer:
        return caller.call(OTP, registered.original(**{"partnerReferenceNo": reference()} | changes))

    assert_snap_error(ask(originalReferenceNo="x"), "4048101", "Transaction Not Found")
    assert_snap_error(ask(other), "4048101", "Transaction Not Found")
    for field in ("partnerReferenceNo", "originalPartnerReferenceNo", "originalReferenceNo"):
        assert_snap_error(ask(**{field: None}), "4008102", f"Invalid Mandatory Field {{{field}}}")
    for _ in range(4):
        assert_snap_ok(ask(), "81")
    assert_snap_error(ask(), "4298100", "Too Many Requests")


# -- account binding


def test_binding_answers_the_link_the_page_and_the_customers_public_id(running: RunningGateway, partner: SnapCaller):
    """S1-40, S1-41, S1-47 … S1-49."""
    account_id, own = customer(partner), reference()

    answer, code = bound(partner, account_id, partnerReferenceNo=own)

    assert answer == {
        "responseCode": "2000700",
        "responseMessage": "Successful",
        "referenceNo": answer["referenceNo"],
        "partnerReferenceNo": own,
        "linkId": answer["linkId"],
        "nextAction": answer["nextAction"],
        "redirectUrl": BACK,
        "userInfo": {"publicUserId": answer["userInfo"]["publicUserId"]},
    }
    assert answer["nextAction"].startswith(f"{running.url}/wallet/bind/")
    assert account_id not in answer["userInfo"]["publicUserId"] + answer["linkId"]
    token = partner.customer(code)["accessToken"]
    assert (
        assert_snap_ok(partner.call(BALANCE, {"partnerReferenceNo": reference()}, customer=token), "11")["accountNo"]
        == account_id
    )


def test_without_an_account_the_page_asks_and_no_link_is_promised(partner: SnapCaller):
    account_id = customer(partner)

    answer, code = bound(partner, account_id, successParams=None)

    assert set(answer) == {"responseCode", "responseMessage", "referenceNo", "partnerReferenceNo", "nextAction", "redirectUrl"}
    assert "accessToken" in partner.customer(code)


def test_binding_again_keeps_link_and_public_id(partner: SnapCaller):
    account_id = customer(partner)
    first, _ = bound(partner, account_id)
    second, _ = bound(partner, account_id)

    assert (first["linkId"], first["userInfo"]) == (second["linkId"], second["userInfo"])
    assert first["referenceNo"] != second["referenceNo"]


def test_another_partner_gets_another_link_and_another_public_id(partner: SnapCaller, other: SnapCaller):
    account_id = customer(partner)
    ours, theirs = bound(partner, account_id)[0], bound(other, account_id)[0]

    assert ours["linkId"] != theirs["linkId"]
    assert ours["userInfo"] != theirs["userInfo"]


def test_whom_and_what_a_binding_refuses(partner: SnapCaller):
    def ask(**changes: Any) -> Answer:
        whole = {"partnerReferenceNo": reference(), "redirectUrl": BACK, "successParams": {"accountId": BUDI}} | changes
        return partner.call(BINDING, {name: value for name, value in whole.items() if value is not None})

    assert_snap_error(ask(successParams={"accountId": "1999999999"}), "4040711", "Invalid Card/Account/Customer")
    assert_snap_error(ask(successParams={"accountId": "1140340012"}), "4030718", "Inactive Card/Account/Customer")
    assert_snap_error(ask(partnerReferenceNo=None), "4000702", "Invalid Mandatory Field {partnerReferenceNo}")
    assert_snap_error(ask(redirectUrl=None), "4000702", "Invalid Mandatory Field {redirectUrl}")
    assert_snap_error(ask(redirectUrl="app.example"), "4000701", "Invalid Field Format {redirectUrl}")
    assert_snap_error(ask(successParams="x"), "4000701", "Invalid Field Format {successParams}")
    own = reference()
    assert_snap_ok(ask(partnerReferenceNo=own), "07")
    assert_snap_error(ask(partnerReferenceNo=own), "4090701", "Duplicate partnerReferenceNo")


def test_a_binding_that_nobody_consented_to_is_none(partner: SnapCaller):
    account_id, own = customer(partner), reference()
    body = {"partnerReferenceNo": own, "redirectUrl": BACK, "successParams": {"accountId": account_id}}
    link = assert_snap_ok(partner.call(BINDING, body), "07")["linkId"]

    by_account = {"partnerReferenceNo": reference(), "additionalInfo": {"accountId": account_id}}
    for inquiry in (by_account, {"partnerReferenceNo": own}):
        assert_snap_error(partner.call(INQUIRY, inquiry), "4040811", "Invalid Card/Account/Customer")
    leave = {"partnerReferenceNo": reference(), "linkId": link, "merchantId": partner.client_id}
    assert_snap_error(partner.call(UNBINDING, leave), "4040911", "Invalid Card/Account/Customer")


# -- account inquiry


def test_an_inquiry_gives_a_fresh_code_for_new_customer_tokens(partner: SnapCaller):
    """S1-50, S1-56, S1-57: the apps' way to a new customer token without a web page."""
    account_id = customer(partner)
    binding, first_code = bound(partner, account_id)
    own = reference()

    answer = assert_snap_ok(
        partner.call(INQUIRY, {"partnerReferenceNo": own, "additionalInfo": {"accountId": account_id, "deviceId": "dev-1"}}), "08"
    )

    info = answer["additionalInfo"]
    assert answer["partnerReferenceNo"] == own
    assert info == {
        "linkId": binding["linkId"],
        "authCode": info["authCode"],
        "remarks": "Account is bound",
        "merchantId": partner.client_id,
        "deviceId": "dev-1",
    }
    assert info["authCode"] != first_code
    tokens = [partner.customer(code)["accessToken"] for code in (info["authCode"], first_code)]
    for token in tokens:
        assert_snap_ok(partner.call(BALANCE, {"partnerReferenceNo": reference()}, customer=token), "11")


@pytest.mark.parametrize("said", [True, False], ids=["account said", "account left to the page"])
def test_without_an_account_the_bindings_reference_leads_to_it(partner: SnapCaller, said: bool):
    own, account_id = reference(), customer(partner)
    bound(partner, account_id, partnerReferenceNo=own, **({} if said else {"successParams": None}))

    for info in ({}, {"additionalInfo": {}}, {"additionalInfo": {"deviceId": "x"}}):
        answer = assert_snap_ok(partner.call(INQUIRY, {"partnerReferenceNo": own} | info), "08")
        assert "accessToken" in partner.customer(answer["additionalInfo"]["authCode"])


def test_an_inquiry_may_repeat_its_reference(partner: SnapCaller):
    account_id = customer(partner)
    bound(partner, account_id)
    body = {"partnerReferenceNo": reference(), "additionalInfo": {"accountId": account_id}}
    external_id = reference()

    codes = {
        assert_snap_ok(partner.call(INQUIRY, body, external_id=external_id), "08")["additionalInfo"]["authCode"] for _ in range(3)
    }

    assert len(codes) == 3


def test_what_an_inquiry_does_not_find(partner: SnapCaller, other: SnapCaller):
    account_id, own = customer(partner), reference()
    bound(partner, account_id, partnerReferenceNo=own)

    def inquire(caller: SnapCaller, **body: Any) -> Answer:
        return caller.call(INQUIRY, {"partnerReferenceNo": reference()} | body)

    for answer in (
        inquire(partner),
        inquire(partner, additionalInfo={"accountId": "1999999999"}),
        inquire(partner, additionalInfo={"accountId": customer(partner)}),
        inquire(other, additionalInfo={"accountId": account_id}),
        inquire(other, partnerReferenceNo=own),
    ):
        assert_snap_error(answer, "4040811", "Invalid Card/Account/Customer")
    assert_snap_error(partner.call(INQUIRY, {}), "4000802", "Invalid Mandatory Field {partnerReferenceNo}")


def test_a_locked_account_gives_no_code(running: RunningGateway, partner: SnapCaller):
    account_id = customer(partner)
    bound(partner, account_id)
    running.database.transact_now(
        lambda tx: tx.execute("update wallet_account set status = 'LOCKED' where id = :id", {"id": account_id})
    )

    answer = partner.call(INQUIRY, {"partnerReferenceNo": reference(), "additionalInfo": {"accountId": account_id}})

    assert_snap_error(answer, "4030818", "Inactive Card/Account/Customer")


# -- account unbinding


def leave(partner: SnapCaller, link: str, **changes: Any) -> Answer:
    whole = {"partnerReferenceNo": reference(), "linkId": link, "merchantId": partner.client_id} | changes
    return partner.call(UNBINDING, {name: value for name, value in whole.items() if value is not None})


def test_unbinding_waits_for_its_password_and_then_ends_everything(running: RunningGateway, partner: SnapCaller):
    """S1-58, S1-59, S1-65 … S1-68."""
    registered = Registered(partner)
    account_id, own = registered.account_id(), reference()
    binding, code = bound(partner, account_id)
    token = partner.customer(code)["accessToken"]
    unused = assert_snap_ok(
        partner.call(INQUIRY, {"partnerReferenceNo": reference(), "additionalInfo": {"accountId": account_id}}), "08"
    )["additionalInfo"]["authCode"]

    answer = assert_snap_ok(leave(partner, binding["linkId"], partnerReferenceNo=own), "09")

    assert answer == {
        "responseCode": "2000900",
        "responseMessage": "Successful",
        "referenceNo": answer["referenceNo"],
        "partnerReferenceNo": own,
        "merchantId": partner.client_id,
        "linkId": binding["linkId"],
    }
    assert len(running.control("GET", f"/messages?phone={registered.body['phoneNo']}")["messages"]) == 2
    body = {"originalPartnerReferenceNo": own, "originalReferenceNo": answer["referenceNo"]}
    assert_snap_error(partner.call(VERIFY, body | {"otp": "654321"}), "4040415", "Invalid OTP")
    assert_snap_ok(partner.call(BALANCE, {"partnerReferenceNo": reference()}, customer=token), "11")

    verified = assert_snap_ok(partner.call(VERIFY, body | {"otp": RIGHT}), "04")

    assert verified == {
        "responseCode": "2000400",
        "responseMessage": "Successful",
        "originalPartnerReferenceNo": own,
        "originalReferenceNo": answer["referenceNo"],
        "email": "a@b.co",
        "phoneNo": registered.body["phoneNo"],
        "sendOtpFlag": "NO",
        "additionalInfo": {},
    }
    assert_snap_error(
        partner.call(BALANCE, {"partnerReferenceNo": reference()}, customer=token), "4011102", "Invalid Customer Token"
    )
    refused = partner.ask_token("/authorization/v1/access-token/b2b2c", {"grantType": "authorization_code", "authCode": unused})
    assert_snap_error(refused, "4017400", "Unauthorized. Invalid authCode")
    assert_snap_error(leave(partner, binding["linkId"]), "4040911", "Invalid Card/Account/Customer")
    assert_snap_error(partner.call(VERIFY, body | {"otp": RIGHT}), "4040400", "Invalid Transaction Status")


@pytest.mark.parametrize("as_token", [True, False], ids=["customer token", "link"])
def test_token_id_stands_for_the_link(partner: SnapCaller, as_token: bool):
    binding, code = bound(partner, customer(partner))
    token_id = partner.customer(code)["accessToken"] if as_token else binding["linkId"]

    answer = assert_snap_ok(leave(partner, "", linkId=None, tokenId=token_id), "09")

    assert answer["linkId"] == binding["linkId"]


def test_another_password_can_be_asked_for_an_unbinding(partner: SnapCaller):
    binding, _ = bound(partner, customer(partner))
    own = reference()
    answer = assert_snap_ok(leave(partner, binding["linkId"], partnerReferenceNo=own), "09")
    original = {"originalPartnerReferenceNo": own, "originalReferenceNo": answer["referenceNo"]}

    assert_snap_ok(partner.call(OTP, original | {"partnerReferenceNo": reference()}), "81")

    assert_snap_ok(partner.call(VERIFY, original | {"otp": RIGHT}), "04")


def test_what_an_unbinding_refuses(partner: SnapCaller, other: SnapCaller):
    binding, _ = bound(partner, customer(partner))
    link = binding["linkId"]

    assert_snap_error(leave(partner, "lnk_unknown"), "4040911", "Invalid Card/Account/Customer")
    assert_snap_error(leave(other, link), "4040911", "Invalid Card/Account/Customer")
    assert_snap_error(leave(partner, link, merchantId=OTHER_CLIENT), "4010900", "Unauthorized. Invalid Merchant")
    assert_snap_error(leave(partner, link, merchantId=None), "4000902", "Invalid Mandatory Field {merchantId}")
    assert_snap_error(leave(partner, link, linkId=None), "4000902", "Invalid Mandatory Field {linkId}")
    assert_snap_error(leave(partner, link, partnerReferenceNo=None), "4000902", "Invalid Mandatory Field {partnerReferenceNo}")
    assert_snap_error(leave(partner, link, linkId="x" * 65), "4000901", "Invalid Field Format {linkId}")
    own = reference()
    assert_snap_ok(leave(partner, link, partnerReferenceNo=own), "09")
    assert_snap_error(leave(partner, link, partnerReferenceNo=own), "4090901", "Duplicate partnerReferenceNo")


def test_a_binding_request_is_nothing_to_verify(partner: SnapCaller):
    own = reference()
    answer, _ = bound(partner, customer(partner), partnerReferenceNo=own)
    body = {"originalPartnerReferenceNo": own, "originalReferenceNo": answer["referenceNo"]}

    assert_snap_error(partner.call(VERIFY, body | {"otp": RIGHT}), "4040401", "Transaction Not Found")
    assert_snap_error(partner.call(OTP, body | {"partnerReferenceNo": reference()}), "4048101", "Transaction Not Found")


# -- what guards every one of them


@pytest.mark.parametrize("endpoint", CHANNEL.endpoints[:6], ids=lambda endpoint: endpoint.path)
def test_no_operation_of_this_part_asks_for_a_customer_or_works_without_a_token(partner: SnapCaller, endpoint: Any):
    assert (endpoint.family, endpoint.needs_customer) == ("snap", False)
    answer = partner.call(endpoint.path, {"partnerReferenceNo": reference()}, token="invented")

    assert_snap_error(answer, f"401{endpoint.service_code}01", "Invalid Token (B2B)")


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"null", b'{"partnerReferenceNo": "1"'])
@pytest.mark.parametrize("path", [CREATION, VERIFY, OTP, BINDING, INQUIRY, UNBINDING])
def test_a_body_that_is_no_object_is_a_bad_request(partner: SnapCaller, path: str, body: bytes):
    code = {CREATION: "06", VERIFY: "04", OTP: "81", BINDING: "07", INQUIRY: "08", UNBINDING: "09"}[path]

    assert_snap_error(partner.call(path, body), f"400{code}00", "Bad Request")


ODD = [None, "", " ", "\x00", "x" * 5000, 0, -1, 1.5, 10**30, True, [], {}, [[]], {"a": 1}, "é", "' or 1=1 --"]


@pytest.mark.parametrize("path", [CREATION, VERIFY, OTP, BINDING, INQUIRY, UNBINDING])
def test_nothing_a_client_sends_is_our_mistake(partner: SnapCaller, path: str):
    fields = ("partnerReferenceNo", "name", "phoneNo", "email", "redirectUrl", "originalPartnerReferenceNo", "originalReferenceNo",
              "otp", "successParams", "linkId", "tokenId", "merchantId", "additionalInfo")  # fmt: skip
    good = creation(otp="1", originalPartnerReferenceNo="x", originalReferenceNo="y", linkId="z", merchantId=partner.client_id)
    for field in fields:
        for odd in ODD:
            answer = partner.call(path, good | {"partnerReferenceNo": reference(), "phoneNo": new_phone()} | {field: odd})
            assert answer.status < 500, (field, odd, answer.body)
            assert answer.json["responseCode"].startswith(str(answer.status))


# -- the sandbox and its opposite


def test_the_control_api_shows_messages_and_upgrades_accounts(running: RunningGateway, partner: SnapCaller):
    account_id = customer(partner)
    assert running.control("GET", f"/accounts/{account_id}")["level"] == "BASIC"

    assert running.control("POST", f"/accounts/{account_id}/upgrade")["level"] == "PREMIUM"

    assert len(running.control("GET", "/messages")["messages"]) >= 2
    assert running.request("GET", "/sandbox/v1/messages?phone=x").status == 400
    assert running.request("POST", "/sandbox/v1/accounts/1999999999/upgrade", b"").status == 404


def test_the_background_work_sends_what_is_queued(running: RunningGateway, partner: SnapCaller):
    registered = Registered(partner)
    running.control("POST", "/clock", {"advance_s": 0})  # answers when everything due was started

    (message,) = running.control("GET", f"/messages?phone={registered.body['phoneNo']}")["messages"]
    assert message["state"] == "SENT"


def test_with_no_fixed_password_the_inbox_tells_it(tmp_path: Any):
    with lent_gateway(fixed_otp="") as one:
        caller = SnapCaller(one)
        registered = Registered(caller)
        (message,) = one.control("GET", f"/messages?phone={registered.body['phoneNo']}")["messages"]

        assert_snap_ok(registered.verify(message["code"]), "04")


def parts_of(database: Database, **settings: Any) -> Parts:
    chosen = Settings(**settings)
    return Parts(database, Clock(), chosen, Vault.of(chosen))


PRODUCTION = {"mode": "production", "encryption_key": "a key of an installation of its own", "vault_key": "v" * 40}


class _Sms:
    async def send(self, phone: str, text: str, *, key: str) -> None:
        raise AssertionError


def make_sms(_parts: Parts) -> _Sms:
    """An operator's provider."""
    return _Sms()


def test_in_production_the_room_is_open_only_with_somebody_to_send_passwords(database: Database):
    assert open_room(parts_of(database, **PRODUCTION)) is None

    opened = open_room(parts_of(database, **PRODUCTION, messages_provider=f"{__name__}:make_sms"))

    assert opened is not None
    assert opened.bank is None


@pytest.mark.parametrize("named", ["nowhere.at.all:make", "gerbang.wallet:nothing", "gerbang.wallet", ":", "gerbang.wallet:"])
def test_a_provider_that_cannot_be_loaded_is_told_at_once(database: Database, named: str):
    with pytest.raises(BadSettings, match="messages_provider"):
        open_room(parts_of(database, messages_provider=named))


def test_the_room_forgets_what_need_not_be_kept(database: Database):
    parts = parts_of(database)
    room = WalletRoom(parts, SandboxMessages(), None)
    now = parts.clock.now()
    database.transact_now(
        lambda tx: registrations.begin(
            tx,
            merchant_id="BRN-1",
            partner_reference="r",
            phone="081212340010",
            name="Siti",
            email="a@b.co",
            redirect_url=BACK,
            settings=parts.settings,
            now=now,
        )
    )

    async def work() -> tuple[int, int]:
        return await room.sweep(), await room.purge()

    assert asyncio.run(work()) == (1, 0)
    parts.clock.offset += timedelta(days=31)
    assert asyncio.run(work()) == (0, 3)  # the password, its message, the registration
