"""Balance, bank transfers and top-ups over SNAP: every code, every rupiah, and nothing lost when somebody dies in between."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gerbang.channels.doku_wallet_snap.simulator import MAGIC_VALUES, SandboxBank, account_name, moved
from gerbang.clock import to_ms
from gerbang.errors import Reason, Refused
from gerbang.ledger import account, balance_of
from gerbang.money import Rupiah
from gerbang.settings import Settings
from gerbang.storage import Database, Tx
from gerbang.wallet import Account, AccountStatus, Level, WalletLimits, create_account, wallet_ledger_account
from gerbang.wallet.bank import BANKS, Bank, BankAccount, BankAnswer, BankQuestion, BankState, bank_code
from gerbang.wallet.limits import allowance_of, check_incoming, money_held, transit_account
from gerbang.wallet.operations import (
    Operation,
    OperationDetails,
    OperationState,
    TransferSweeper,
    ask,
    begin_transfer,
    claim_due,
    conclude,
    get_operation,
    look_up,
    question_of,
    top_up_from_merchant,
    verify_operations,
)
from support.gateway import NOON, Answer, RunningGateway, lent_gateway
from support.notifying import eventually
from support.snap import assert_snap_error, assert_snap_ok
from support.snap_money import CORPORATE, Customer, Partner, give, new_reference, rupiah

LIMITS = WalletLimits.of(Settings())
TRANSFER = "emoney/transfer-bank"
INQUIRY = "emoney/bank-account-inquiry"
TOP_UP = "emoney/topup"
FEE = 2_500


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(wallet_transfer_fee=FEE) as one:
        yield one
        assert one.database.read_now(verify_operations) == []


@pytest.fixture(scope="module")
def partner(running: RunningGateway) -> Partner:
    return Partner(running)


def ok(answer: Answer, service_code: str) -> dict[str, Any]:
    return assert_snap_ok(answer, service_code)


def transfer(partner: Partner, customer: Customer, amount: int = 50_000, number: str = "1234567890", **body: Any) -> Answer:
    given: dict[str, Any] = {
        "partnerReferenceNo": new_reference(),
        "customerNumber": customer.id,
        "accountType": "tabungan",
        "beneficiaryAccountNumber": number,
        "beneficiaryBankCode": "014",
        "amount": rupiah(amount),
    }
    return partner.call(TRANSFER, customer, **(given | body))


def inquire(partner: Partner, customer: Customer, amount: int | None = 50_000, number: str = "1234567890", **body: Any) -> Answer:
    given: dict[str, Any] = {
        "partnerReferenceNo": new_reference(),
        "customerNumber": customer.id,
        "beneficiaryAccountNumber": number,
        "amount": None if amount is None else rupiah(amount),
        "additionalInfo": {"bankCode": "014"},
    }
    return partner.call(INQUIRY, customer, **(given | body))


def top_up(partner: Partner, customer: Customer, amount: Any = 100_000, **body: Any) -> Answer:
    given: dict[str, Any] = {"partnerReferenceNo": new_reference(), "customerNumber": customer.id}
    given["amount"] = rupiah(amount) if isinstance(amount, int) else amount
    return partner.call(TOP_UP, customer, **(given | body))


def run_sweep(partner: Partner) -> None:
    """Now, whatever the machine's clock says."""
    partner.database.transact_now(hurry)
    partner.running.control("POST", "/clock", {"advance_s": 0})


def hurry(tx: Tx) -> None:
    tx.execute("update wallet_operation set due_real_at = 0 where due_real_at is not null")


# -- balance (service 11)


def test_a_balance_tells_what_can_be_spent_and_what_is_reserved(partner: Partner):  # S1-69 … S1-78
    customer = partner.customer(200_000)
    transfer(partner, customer, 50_000, number="7770001")
    reference = new_reference()

    answer = ok(partner.call("balance-inquiry", customer, partnerReferenceNo=reference), "11")

    assert list(answer) == [
        "responseCode",
        "responseMessage",
        "referenceNo",
        "partnerReferenceNo",
        "accountNo",
        "name",
        "accountInfos",
        "additionalInfo",
    ]
    assert (answer["partnerReferenceNo"], answer["accountNo"], answer["name"]) == (reference, customer.id, "Rina Kusuma")
    assert answer["accountInfos"] == [
        {
            "balanceType": "Cash",
            "amount": rupiah(147_500),
            "floatAmount": rupiah(0),
            "flatAmount": rupiah(0),
            "holdAmount": rupiah(52_500),
            "availableBalance": rupiah(147_500),
            "ledgerBalance": rupiah(200_000),
            "currentMultilateralLimit": rupiah(0),
            "registrationStatusCode": "0001",
            "status": "0001",
        }
    ]
    run_sweep(partner)


def test_a_balance_of_each_kind_asked_for_and_of_no_other(partner: Partner):
    customer = partner.customer(7_000)

    both = ok(partner.call("balance-inquiry", customer, partnerReferenceNo="1", balanceTypes=["Coins", "Cash"]), "11")

    kinds = {info["balanceType"]: info["amount"] for info in both["accountInfos"]}
    assert kinds == {"Coins": rupiah(0), "Cash": rupiah(7_000)}
    odd = partner.call("balance-inquiry", customer, partnerReferenceNo="1", balanceTypes=["Gold"])
    assert_snap_error(odd, "4001101", "Invalid Field Format {balanceTypes}")
    assert_snap_error(partner.call("balance-inquiry", customer), "4001102", "Invalid Mandatory Field {partnerReferenceNo}")


def test_a_balance_is_the_customers_of_the_token_only(partner: Partner):
    customer = partner.customer(7_000)

    bare = partner.caller.call("/snap-adapter/b2b2c/v1.0/balance-inquiry", {"partnerReferenceNo": "1"})
    wrong = partner.caller.call("/snap-adapter/b2b2c/v1.0/balance-inquiry", {"partnerReferenceNo": "1"}, customer="no")
    alias = partner.caller.call("/snap-adapter/b2b/v1.0/balance-inquiry", {"partnerReferenceNo": "1"})

    assert_snap_error(bare, "4011104", "Customer Token Not Found")
    assert_snap_error(wrong, "4011102", "Invalid Customer Token")
    assert alias.status == 404
    assert partner.balance(customer) == 7_000


# -- whose bank account (service 42)


def test_a_bank_account_has_its_holders_name(partner: Partner):  # S1-79 … S1-90
    customer = partner.customer()
    reference = new_reference()

    answer = ok(inquire(partner, customer, partnerReferenceNo=reference), "42")

    assert answer["partnerReferenceNo"] == reference
    assert answer["beneficiaryAccountNumber"] == "1234567890"
    assert answer["beneficiaryAccountName"] == account_name("014", "1234567890")
    assert (answer["beneficiaryBankCode"], answer["beneficiaryBankName"]) == ("014", "BCA")
    assert answer["amount"] == rupiah(50_000)
    assert answer["additionalInfo"] == {}
    assert answer["referenceNo"].startswith("opr_")


@pytest.mark.parametrize("bank", [{"beneficiaryBankCode": "14", "additionalInfo": ""}, {"additionalInfo": {"bankCode": 14}}])
def test_a_bank_is_named_in_either_place_and_with_or_without_its_zeros(partner: Partner, bank: dict[str, Any]):
    assert ok(inquire(partner, partner.customer(), None, **bank), "42")["beneficiaryBankCode"] == "014"


def test_a_customer_number_is_a_doku_id_or_a_phone_number_in_either_spelling(partner: Partner):
    customer = partner.customer()

    ok(inquire(partner, customer, customerNumber=customer.account.phone), "42")
    ok(inquire(partner, customer, customerNumber=None, CustomerNumber=customer.account.phone_as_sent), "42")


def test_a_bank_account_can_be_inquired_without_a_customer_token(partner: Partner):
    customer = partner.customer()
    body = {"partnerReferenceNo": "1", "beneficiaryAccountNumber": "55", "additionalInfo": {"bankCode": "008"}}

    ok(partner.call(INQUIRY, None, customerNumber=customer.account.phone, **body), "42")
    unknown = partner.call(INQUIRY, None, customerNumber="081999999999", **body)

    assert_snap_error(unknown, "4044211", "Invalid Card/Account/Customer")


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"number": "9990000"}, "4044211", "Invalid Card/Account/Customer"),
        ({"additionalInfo": {"bankCode": "999"}}, "4044203", "Bank Not Supported By Switch"),
        ({"amount": 10_000_001}, "4034202", "Exceeds Transaction Amount Limit"),
        ({"amount": 0}, "4044213", "Invalid Amount"),
        ({"customerNumber": "1140340010"}, "4034215", "Transaction Not Permitted. [Not The Account Of The Customer Token]"),
        ({"customerNumber": "081999999999"}, "4034215", "Transaction Not Permitted. [Not The Account Of The Customer Token]"),
        ({"customerNumber": None}, "4004202", "Invalid Mandatory Field {customerNumber}"),
        ({"additionalInfo": None}, "4004202", "Invalid Mandatory Field {additionalInfo.bankCode}"),
        ({"number": "12a4"}, "4004201", "Invalid Field Format {beneficiaryAccountNumber}"),
        ({"number": "1" * 35}, "4004201", "Invalid Field Format {beneficiaryAccountNumber}"),
        ({"number": ""}, "4004202", "Invalid Mandatory Field {beneficiaryAccountNumber}"),
        ({"number": "9990006"}, "5044200", "Timeout"),
    ],
)
def test_a_bank_inquiry_is_refused_in_the_documented_words(partner: Partner, given: dict[str, Any], code: str, message: str):
    assert_snap_error(inquire(partner, partner.customer(), **given), code, message)


def test_an_inactive_account_inquires_nothing(partner: Partner):
    customer = partner.customer(status=AccountStatus.LOCKED)

    answer = partner.call(
        INQUIRY,
        None,
        partnerReferenceNo="1",
        customerNumber=customer.id,
        beneficiaryAccountNumber="55",
        additionalInfo={"bankCode": "014"},
    )

    assert_snap_error(answer, "4034218", "Inactive Card/Account/Customer")


# -- transfer (service 43)


def test_a_transfer_takes_amount_and_fee_and_reaches_the_bank(partner: Partner):  # S1-91 … S1-105
    customer = partner.customer(200_000)
    inquiry = ok(inquire(partner, customer), "42")
    before = partner.books(account("bank", "014"), account("fee", "BANK_TRANSFER"))
    reference = new_reference()

    answer = ok(
        transfer(
            partner,
            customer,
            partnerReferenceNo=reference,
            additionalInfo={"referenceNo": inquiry["referenceNo"], "bankCode": "014", "accountId": customer.id},
        ),
        "43",
    )

    assert answer["partnerReferenceNo"] == reference
    assert answer["transactionDate"].endswith("+07:00")
    assert len(answer["referenceNumber"]) == 12
    assert answer["referenceNo"] != inquiry["referenceNo"]
    assert partner.balance(customer) == 200_000 - 50_000 - FEE
    after = partner.books(account("bank", "014"), account("fee", "BANK_TRANSFER"))
    assert (after[0] - before[0], after[1] - before[1]) == (50_000, FEE)
    assert partner.books(transit_account(customer.id)) == (0,)


def test_a_transfer_needs_no_inquiry_before_it(partner: Partner):
    customer = partner.customer(60_000)

    ok(transfer(partner, customer), "43")

    assert partner.balance(customer) == 7_500


def inquired(partner: Partner, customer: Customer, amount: int | None = 50_000) -> dict[str, Any]:
    return {"additionalInfo": {"referenceNo": ok(inquire(partner, customer, amount), "42")["referenceNo"]}}


def test_a_transfer_has_to_fit_its_inquiry(partner: Partner):
    customer, other = partner.customer(200_000), partner.customer(200_000)
    mine = inquired(partner, customer)

    assert_snap_error(transfer(partner, customer, 60_000, **mine), "4044313", "Invalid Amount")
    for odd in (
        transfer(partner, customer, number="999", **mine),
        transfer(partner, customer, beneficiaryBankCode="008", **mine),
        transfer(partner, other, **mine),
        transfer(partner, customer, sessionId="opr_unknown"),
    ):
        assert_snap_error(odd, "4044318", "Inconsistent Request")
    ok(transfer(partner, customer, 60_000, **inquired(partner, customer, None)), "43")
    assert partner.balance(customer) == 200_000 - 60_000 - FEE


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"amount": 197_501}, "4034314", "Insufficient Funds"),
        ({"amount": 10_000_001}, "4034302", "Exceeds Transaction Amount Limit"),
        ({"amount": 0}, "4044313", "Invalid Amount"),
        ({"number": "9990000"}, "4044311", "Invalid Card/Account/Customer"),
        ({"number": "9990004"}, "4034305", "Do Not Honor"),
        ({"number": "9990006"}, "5044300", "Timeout"),
        ({"beneficiaryBankCode": "999"}, "4044303", "Bank Not Supported By Switch"),
        ({"accountType": ""}, "4004302", "Invalid Mandatory Field {accountType}"),
        ({"beneficiaryBankCode": ""}, "4004302", "Invalid Mandatory Field {beneficiaryBankCode}"),
        ({"customerNumber": None}, "4004302", "Invalid Mandatory Field {customerNumber}"),
        ({"additionalInfo": {"bankCode": "008"}}, "4004301", "Invalid Field Format {additionalInfo.bankCode}"),
        ({"customerNumber": "1140340010"}, "4034315", "Transaction Not Permitted. [Not The Account Of The Customer Token]"),
    ],
)
def test_a_refused_transfer_moves_nothing(partner: Partner, given: dict[str, Any], code: str, message: str):
    customer = partner.customer(200_000)

    assert_snap_error(transfer(partner, customer, **given), code, message)

    assert partner.balance(customer) == 200_000
    assert partner.books(transit_account(customer.id)) == (0,)


def test_an_account_that_is_not_registered_transfers_nothing(partner: Partner):
    customer = partner.customer(200_000, level=Level.BASIC)

    assert_snap_error(transfer(partner, customer), "4034315", "Transaction Not Permitted. [Account not upgraded]")


def test_a_reference_whose_customer_was_locked_meanwhile_may_be_used_again(partner: Partner, monkeypatch: pytest.MonkeyPatch):
    """S1-91: between the look-up of the bank account and the transfer."""
    customer, reference = partner.customer(200_000), new_reference()
    bank = partner.running.gateway.rooms["EMONEY_DOKU_SNAP"].bank
    look = bank.inquire

    async def locking(code: str, number: str) -> BankAccount | None:
        await asyncio.to_thread(partner.set_status, customer, AccountStatus.LOCKED)
        found: BankAccount | None = await look(code, number)
        return found

    monkeypatch.setattr(bank, "inquire", locking)
    assert_snap_error(transfer(partner, customer, partnerReferenceNo=reference), "4034318", "Inactive Card/Account/Customer")
    monkeypatch.undo()
    partner.set_status(customer, AccountStatus.ACTIVE)

    ok(transfer(partner, customer, partnerReferenceNo=reference), "43")

    assert partner.balance(customer) == 200_000 - 50_000 - FEE


@pytest.mark.parametrize("number", ["9990000", "9990006"])
def test_a_reference_whose_account_could_not_be_found_may_be_used_again(partner: Partner, number: str):
    customer, reference = partner.customer(200_000), new_reference()
    assert transfer(partner, customer, number=number, partnerReferenceNo=reference).status in (404, 504)

    ok(transfer(partner, customer, partnerReferenceNo=reference), "43")

    again = transfer(partner, customer, partnerReferenceNo=reference)
    assert_snap_error(again, "4094301", "Duplicate partnerReferenceNo")
    assert partner.balance(customer) == 200_000 - 50_000 - FEE


@pytest.mark.parametrize(
    ("number", "comes_back"), [("9990001", False), ("9990002", True), ("9990003", False), ("9990005", False)]
)
def test_a_transfer_nobody_knows_about_is_in_progress_until_the_bank_says(partner: Partner, number: str, comes_back: bool):
    customer = partner.customer(200_000)

    answer = transfer(partner, customer, number=number)

    assert (answer.status, answer.json["responseCode"]) == (202, "2024300")
    assert answer.json["responseMessage"] == "Request In Progress"
    assert (partner.balance(customer), partner.books(transit_account(customer.id))) == (147_500, (52_500,))
    run_sweep(partner)
    # The gateway's own worker may have been quicker to take it up, and slower to end it.
    eventually(lambda: partner.books(transit_account(customer.id)) == (0,))
    assert partner.balance(customer) == (200_000 if comes_back else 147_500)
    detail = partner.call("transaction-history-detail", customer, originalPartnerReferenceNo=answer.json["partnerReferenceNo"])
    assert ok(detail, "13")["status"] == ("CLOSED" if comes_back else "SUCCESS")


def test_the_outcomes_a_tester_can_choose_are_listed_with_the_channel(partner: Partner):
    assert set(MAGIC_VALUES) <= set(partner.running.gateway.channels["EMONEY_DOKU_SNAP"].magic_values)


# -- two phases, and dying between them


def a_customer(tx: Tx, money: int = 200_000, **other: Any) -> Account:
    made = create_account(tx, phone="081234500001", name="Rina Kusuma", now=NOON, **({"level": Level.PREMIUM} | other))
    if money:
        give(tx, wallet_ledger_account(made.id), money, now=NOON)
    return made


def begin(tx: Tx, customer: Account, *, number: str = "1234567890", amount: int = 50_000, fee: int = FEE) -> Operation:
    return begin_transfer(
        tx,
        merchant_id="BRN-1",
        customer=customer,
        to=BankAccount("014", number, "ADI UTOMO"),
        amount=Rupiah(amount),
        fee=Rupiah(fee),
        partner_reference=new_reference(),
        external_id="1",
        details=OperationDetails(),
        now=NOON,
    )


class FixedClock:
    def now(self) -> Any:
        return NOON


def sweep_now(database: Database, bank: Bank) -> int:
    database.transact_now(hurry)
    sweeper = TransferSweeper(database, FixedClock(), bank, again_in_s=5, patience_s=30)  # type: ignore[arg-type]
    return asyncio.run(sweeper.sweep())


def wallet_and_transit(database: Database, customer: Account) -> tuple[int, int]:
    return database.read_now(
        lambda tx: (balance_of(tx, wallet_ledger_account(customer.id)), balance_of(tx, transit_account(customer.id)))
    )


def assert_told_the_same(database: Database) -> None:
    assert database.read_now(verify_operations) == []


def test_a_gateway_that_died_before_it_asked_asks_after_it_is_back(database: Database):
    customer = database.transact_now(a_customer)
    operation = database.transact_now(lambda tx: begin(tx, customer))  # and then kill -9

    assert wallet_and_transit(database, customer) == (147_500, 52_500)
    assert_told_the_same(database)
    assert sweep_now(database, SandboxBank(database)) == 1

    assert database.read_now(lambda tx: get_operation(tx, operation.id)).state is OperationState.SUCCESS
    assert wallet_and_transit(database, customer) == (147_500, 0)
    assert database.read_now(moved) == 50_000
    assert_told_the_same(database)


def test_a_gateway_that_died_before_it_heard_the_answer_moves_nothing_twice(database: Database):
    customer = database.transact_now(a_customer)
    operation = database.transact_now(lambda tx: begin(tx, customer))
    bank = SandboxBank(database)
    first = asyncio.run(ask(bank, question_of(operation)))  # and then kill -9

    sweep_now(database, bank)

    assert first.state is BankState.DONE
    assert database.read_now(moved) == 50_000
    assert database.read_now(lambda tx: get_operation(tx, operation.id)).details.reference_number == first.reference
    assert_told_the_same(database)


def test_money_of_a_refused_transfer_comes_back_whole_and_counts_as_no_income(database: Database):
    customer = database.transact_now(a_customer)
    income = database.read_now(lambda tx: allowance_of(tx, customer, limits=LIMITS, now=NOON).month)
    database.transact_now(lambda tx: begin(tx, customer, number="9990004"))

    sweep_now(database, SandboxBank(database))

    assert wallet_and_transit(database, customer) == (200_000, 0)
    assert database.read_now(lambda tx: allowance_of(tx, customer, limits=LIMITS, now=NOON).month) == income
    assert_told_the_same(database)


def test_money_on_its_way_out_counts_as_held_for_the_limit(database: Database):
    customer = database.transact_now(lambda tx: a_customer(tx, 19_000_000))
    database.transact_now(lambda tx: begin(tx, customer, amount=9_000_000, fee=0))

    assert database.read_now(lambda tx: money_held(tx, customer.id, now=NOON)) == 9_000_000
    database.transact_now(lambda tx: check_incoming(tx, customer, Rupiah(1_000_000), limits=LIMITS, now=NOON))
    with pytest.raises(Refused) as refused:
        database.transact_now(lambda tx: check_incoming(tx, customer, Rupiah(1_000_001), limits=LIMITS, now=NOON))
    assert refused.value.reason is Reason.BALANCE_LIMIT_EXCEEDED


def test_of_two_that_heard_different_answers_the_first_to_write_stands(database: Database):
    customer = database.transact_now(a_customer)
    operation = database.transact_now(lambda tx: begin(tx, customer))
    refused, done = BankAnswer(BankState.REFUSED, reason="closed"), BankAnswer(BankState.DONE, "R1")

    first = database.transact_now(lambda tx: conclude(tx, operation, refused, now=NOON, again_in_s=5))
    second = database.transact_now(lambda tx: conclude(tx, operation, done, now=NOON, again_in_s=5))

    assert (first.state, second.state) == (OperationState.FAILED, OperationState.FAILED)
    assert wallet_and_transit(database, customer) == (200_000, 0)
    late = BankAnswer(BankState.PENDING)
    assert database.transact_now(lambda tx: conclude(tx, operation, late, now=NOON, again_in_s=5)).state is OperationState.FAILED
    assert_told_the_same(database)


def test_sixteen_that_conclude_at_once_move_the_money_once(database: Database):
    customer = database.transact_now(a_customer)
    operation = database.transact_now(lambda tx: begin(tx, customer))
    answers = [BankAnswer(BankState.REFUSED) if n % 2 else BankAnswer(BankState.DONE, "R") for n in range(16)]

    with ThreadPoolExecutor(16) as threads:
        ended = list(
            threads.map(
                lambda answer: database.transact_now(lambda tx: conclude(tx, operation, answer, now=NOON, again_in_s=5)), answers
            )
        )

    assert len({one.state for one in ended}) == 1
    assert wallet_and_transit(database, customer)[1] == 0
    assert_told_the_same(database)


def test_a_due_transfer_is_given_to_one_sweeper(database: Database):
    customer = database.transact_now(a_customer)
    database.transact_now(lambda tx: begin(tx, customer))
    database.transact_now(hurry)

    with ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(lambda _: database.transact_now(lambda tx: claim_due(tx, again_in_s=60)), range(8)))

    assert Counter(len(claim) for claim in claims) == Counter({0: 7, 1: 1})
    sweep_now(database, SandboxBank(database))


class BrokenBank:
    """A provider with a bug, or without a network."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def inquire(self, bank_code: str, number: str) -> BankAccount | None:
        raise OSError("no route")

    async def transfer(self, question: BankQuestion) -> BankAnswer:
        self.asked.append(question.id)
        raise OSError("no route")

    async def status(self, question_id: str) -> BankAnswer | None:
        return None


def test_while_the_bank_cannot_be_reached_the_money_waits_and_nobody_gives_up(database: Database):
    customer = database.transact_now(a_customer)
    operation = database.transact_now(lambda tx: begin(tx, customer))
    bank = BrokenBank()

    sweep_now(database, bank)
    sweep_now(database, bank)

    assert bank.asked == [operation.id, operation.id]
    assert wallet_and_transit(database, customer) == (147_500, 52_500)
    assert_told_the_same(database)
    assert type(asyncio.run(look_up(bank, "014", "1"))).__name__ == "BankSilent"
    sweep_now(database, SandboxBank(database))
    assert wallet_and_transit(database, customer) == (147_500, 0)


def test_a_wallet_that_pays_for_three_transfers_makes_three(database: Database):
    customer = database.transact_now(lambda tx: a_customer(tx, 3 * (50_000 + FEE) + FEE))

    def one(_: int) -> str:
        try:
            database.transact_now(lambda tx: begin(tx, customer))
        except Refused as refused:
            return refused.reason.name
        return "BEGUN"

    with ThreadPoolExecutor(12) as threads:
        outcomes = Counter(threads.map(one, range(12)))

    assert outcomes == Counter({"BEGUN": 3, "BALANCE_TOO_SMALL": 9})
    assert_told_the_same(database)
    sweep_now(database, SandboxBank(database))
    assert database.read_now(moved) == 150_000


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("update wallet_operation set amount = amount + 1", "over 50001"),
        ("update wallet_operation set state = 'SUCCESS', due_real_at = null, finished_at = 1", "is SUCCESS"),
        ("update wallet_operation set due_real_at = null", "nobody asks"),
        ("update wallet_operation set finished_at = 1", "finished at 1"),
        ("delete from wallet_operation", "does not exist"),
    ],
)
def test_verification_finds_an_operation_that_the_books_do_not_know(database: Database, change: str, found: str):
    customer = database.transact_now(a_customer)
    database.transact_now(lambda tx: begin(tx, customer))

    told: list[str] = []

    def lie(tx: Tx) -> None:
        tx.execute(change)
        told.extend(problem.text for problem in verify_operations(tx))
        raise Refused(Reason.PAYMENT_MOVED_ON)  # takes the lie back: every database is verified once more when its test ends

    with pytest.raises(Refused):
        database.transact_now(lie)
    assert any(found in text for text in told)


def test_the_pretend_bank_answers_the_same_question_the_same_way_from_anywhere(tmp_path: Path, database: Database):
    question = BankQuestion("opr_1", "014", "1234567890", "ADI UTOMO", Rupiah(50_000))

    answers = [asyncio.run(SandboxBank(database).transfer(question)) for _ in range(3)]

    assert len({answer.reference for answer in answers}) == 1
    assert database.read_now(moved) == 50_000


# -- top-up (services 37, 38, 39)


def test_a_top_up_moves_the_partners_money_to_the_customer(partner: Partner):  # S1-106 … S1-119
    customer, reference = partner.customer(), new_reference()
    partner.fund(100_000)
    before = partner.books(CORPORATE)[0]

    answer = ok(
        top_up(
            partner,
            customer,
            partnerReferenceNo=reference,
            customerNumber=customer.account.phone_as_sent,
            notes="gaji",
            sessionId="S-1",
        ),
        "38",
    )

    assert answer["customerNumber"] == customer.account.phone_as_sent
    assert (answer["partnerReferenceNo"], answer["sessionId"], answer["amount"]) == (reference, "S-1", rupiah(100_000))
    assert answer["additionalInfo"] == {}
    assert answer["referenceNo"]
    assert answer["referenceNumber"]
    assert partner.balance(customer) == 100_000
    assert partner.books(CORPORATE)[0] == before - 100_000


def test_a_top_up_can_be_made_without_a_customer_token_for_any_customer(partner: Partner):
    customer, other = partner.customer(), partner.customer()
    partner.fund(2_000)

    ok(
        partner.call(TOP_UP, None, partnerReferenceNo=new_reference(), customerNumber=customer.id, amount=rupiah(1_000)),
        "38",
    )
    ok(top_up(partner, other, 1_000, customerNumber=customer.id), "38")

    assert (partner.balance(customer), partner.balance(other)) == (2_000, 0)


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"amount": None}, "4003802", "Invalid Mandatory Field {amount}"),
        ({"amount": {"value": "1.50", "currency": "IDR"}}, "4003801", "Invalid Field Format {amount.value}"),
        ({"amount": {"value": "100.00", "currency": "USD"}}, "4003801", "Invalid Field Format {amount.currency}"),
        ({"amount": rupiah(0)}, "4043813", "Invalid Amount"),
        ({"amount": rupiah(20_000_001)}, "4033823", "Account Limit Exceed"),
        ({"customerNumber": "081999999999"}, "4043811", "Invalid Card/Account/Customer"),
        ({"customerNumber": None}, "4003802", "Invalid Mandatory Field {customerNumber}"),
        ({"partnerReferenceNo": None}, "4003802", "Invalid Mandatory Field {partnerReferenceNo}"),
    ],
)
def test_a_refused_top_up_moves_nothing(partner: Partner, given: dict[str, Any], code: str, message: str):
    customer = partner.customer()
    partner.fund(30_000_000)
    before = partner.books(CORPORATE)[0]

    assert_snap_error(top_up(partner, customer, **given), code, message)

    assert (partner.balance(customer), partner.books(CORPORATE)[0]) == (0, before)


def test_a_partner_tops_up_with_no_more_than_it_has(partner: Partner):
    customer = partner.customer()
    while (has := partner.books(CORPORATE)[0]) >= 20_000_000:
        ok(top_up(partner, partner.customer(), 20_000_000), "38")

    too_much = top_up(partner, customer, has + 1)

    assert_snap_error(too_much, "4033814", "Insufficient Funds")
    assert partner.balance(customer) == 0


def test_an_inactive_customer_is_not_topped_up(partner: Partner):
    customer = partner.customer(status=AccountStatus.CLOSED)
    partner.fund(1_000)

    answer = partner.call(TOP_UP, None, partnerReferenceNo=new_reference(), customerNumber=customer.id, amount=rupiah(1_000))

    assert_snap_error(answer, "4033818", "Inactive Card/Account/Customer")


def test_a_repeated_reference_tops_up_once(partner: Partner):
    customer, reference = partner.customer(), new_reference()
    partner.fund(200_000)
    ok(top_up(partner, customer, partnerReferenceNo=reference), "38")

    again = top_up(partner, customer, partnerReferenceNo=reference)

    assert_snap_error(again, "4093801", "Duplicate partnerReferenceNo")
    assert partner.balance(customer) == 100_000


def test_a_month_takes_in_what_the_level_allows_and_no_more(database: Database):
    customer = database.transact_now(lambda tx: a_customer(tx, 0, level=Level.BASIC))
    limits = WalletLimits(basic_balance=10_000, basic_monthly=10_000, premium_balance=0, premium_monthly=0)
    corporate = account("merchant", "BRN-1", "corporate")
    database.transact_now(lambda tx: give(tx, corporate, 1_000_000, now=NOON))

    def one(_: int) -> str:
        try:
            database.transact_now(
                lambda tx: top_up_from_merchant(
                    tx,
                    merchant_id="BRN-1",
                    customer=customer,
                    amount=Rupiah(1_000),
                    partner_reference=new_reference(),
                    external_id="1",
                    details=OperationDetails(),
                    limits=limits,
                    now=NOON,
                )
            )
        except Refused as refused:
            return refused.reason.name
        return "DONE"

    with ThreadPoolExecutor(16) as threads:
        outcomes = Counter(threads.map(one, range(32)))

    assert outcomes["DONE"] == 10
    assert wallet_and_transit(database, customer) == (10_000, 0)
    assert_told_the_same(database)


def test_who_asks_first_learns_the_name_and_how_much_may_come_in(partner: Partner):
    customer = partner.customer(19_000_000)

    answer = ok(
        partner.call(
            "emoney/account-inquiry", None, partnerReferenceNo="1", customerNumber=customer.id, amount=rupiah(1_000_000)
        ),
        "37",
    )

    assert answer["customerName"] == "Rina Kusuma"
    assert (answer["minAmount"], answer["maxAmount"], answer["amount"]) == (rupiah(1), rupiah(1_000_000), rupiah(1_000_000))
    assert answer["customerMonthlyInLimit"] == "21000000.00"
    assert (answer["feeAmount"], answer["feeType"]) == (rupiah(0), "OUR")
    too_much = partner.call(
        "emoney/account-inquiry", None, partnerReferenceNo="1", customerNumber=customer.id, amount=rupiah(1_000_001)
    )
    assert_snap_error(too_much, "4033723", "Account Limit Exceed")


def test_a_top_up_has_to_fit_the_session_it_names(partner: Partner):
    customer, other = partner.customer(), partner.customer()
    partner.fund(5_000)
    asked = partner.call(
        "emoney/account-inquiry", customer, partnerReferenceNo="1", customerNumber=customer.id, amount=rupiah(1_000)
    )
    session = ok(asked, "37")["sessionId"]

    assert_snap_error(top_up(partner, other, 1_000, sessionId=session), "4043818", "Inconsistent Request")
    assert_snap_error(top_up(partner, customer, 2_000, sessionId=session), "4043813", "Invalid Amount")
    ok(top_up(partner, customer, 1_000, sessionId=session), "38")


def test_what_a_partner_notes_at_a_top_up_is_kept(partner: Partner):
    """S1-116, S1-117."""
    partner.fund(1_000)

    made = ok(top_up(partner, partner.customer(), 1_000, notes="gaji Mei", sessionId="S-9"), "38")

    kept = partner.database.read_now(lambda tx: get_operation(tx, made["referenceNo"])).details
    assert (kept.notes, kept.session_id) == ("gaji Mei", "S-9")


def test_a_top_up_is_found_by_each_of_its_names(partner: Partner):  # S1-120 … S1-132
    customer, reference = partner.customer(), new_reference()
    partner.fund(100_000)
    body = {"partnerReferenceNo": reference, "customerNumber": customer.id, "amount": rupiah(100_000)}
    made = ok(partner.call(TOP_UP, customer, external_id="EXT-77", **body), "38")
    names = {
        "originalPartnerReferenceNo": reference,
        "originalReferenceNo": made["referenceNo"],
        "originalExternalId": "EXT-77",
    }

    answers = [
        ok(partner.call("emoney/topup-status", customer, serviceCode="38", **given), "39")
        for given in ({name: value} for name, value in names.items())
    ] + [ok(partner.call("emoney/topup-status", None, serviceCode="38", **names), "39")]

    assert all(answer == answers[0] for answer in answers)
    answer = answers[0]
    assert {name: answer[name] for name in names} == names
    assert (answer["serviceCode"], answer["amount"]) == ("38", rupiah(100_000))
    assert (answer["latestTransactionStatus"], answer["transactionStatusDesc"]) == ("00", "Success")
    assert answer["beneficiaryAccountNo"] == customer.id
    assert answer["sourceAccountNo"].endswith(":corporate")
    assert answer["referenceNumber"] == made["referenceNumber"]
    assert answer["transactionDate"].endswith("+07:00")


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"serviceCode": "54", "originalPartnerReferenceNo": "1"}, "4003901", "Invalid Field Format {serviceCode}"),
        ({"originalPartnerReferenceNo": "1"}, "4003902", "Invalid Mandatory Field {serviceCode}"),
        ({"serviceCode": "38"}, "4003902", "Invalid Mandatory Field {originalPartnerReferenceNo}"),
        ({"serviceCode": "38", "originalPartnerReferenceNo": "never"}, "4043901", "Transaction Not Found"),
        ({"serviceCode": "38", "originalReferenceNo": "opr_never"}, "4043901", "Transaction Not Found"),
    ],
)
def test_a_top_up_query_is_refused_in_the_documented_words(partner: Partner, given: dict[str, Any], code: str, message: str):
    assert_snap_error(partner.call("emoney/topup-status", None, **given), code, message)


# -- the table of banks


def test_every_bank_has_a_code_of_three_digits_and_a_name_of_its_own():
    assert all(len(code) == 3 and code.isdigit() and name.strip() for code, name in BANKS.items())
    assert len(set(BANKS.values())) == len(BANKS)
    assert {"002": "BRI", "008": "Mandiri", "009": "BNI", "014": "BCA", "451": "BSI"}.items() <= BANKS.items()


@pytest.mark.parametrize(
    ("sent", "code"), [("014", "014"), ("14", "014"), (" 2 ", "002"), ("999", None), ("", None), ("BCA", None)]
)
def test_a_bank_code_is_known_or_it_is_not(sent: str, code: str | None):
    assert bank_code(sent) == code


def test_due_times_are_the_machines(database: Database):
    """A moved clock neither hurries nor delays what a bank is asked."""
    customer = database.transact_now(a_customer)
    operation = database.transact_now(lambda tx: begin(tx, customer))

    row = database.read_now(lambda tx: tx.one("select due_real_at from wallet_operation where id = :id", {"id": operation.id}))

    assert row is not None
    assert row["due_real_at"] > to_ms(NOON)
    sweep_now(database, SandboxBank(database))
