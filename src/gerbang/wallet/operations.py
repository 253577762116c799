"""What partners and customers do with a wallet's money beside paying: top up from a partner's balance, transfer to a bank account.

A transfer has two phases. First the money leaves the wallet for an account in between, and the question is on disk; then the bank
is asked, outside any transaction; its answer moves the money on, or back. Whoever dies in between leaves a question that the
sweeper asks again, with its id. While nobody knows, the money stays in between.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

import msgspec

from gerbang.clock import Clock, from_ms, real_now, to_ms
from gerbang.errors import Reason, Refused
from gerbang.ids import new_digits, new_id
from gerbang.ledger import Problem, Transfer, account, post
from gerbang.money import Rupiah
from gerbang.payments.moves import record_event
from gerbang.storage import Database, Row, StorageBusy, Tx
from gerbang.storage.due import due_moments, is_due
from gerbang.stragglers import Stragglers
from gerbang.wallet.accounts import Account, wallet_ledger_account
from gerbang.wallet.bank import Bank, BankAccount, BankAnswer, BankQuestion, BankSilent, BankState
from gerbang.wallet.limits import WalletLimits, check_incoming, transit_account

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 35  # longest the bank may take before the sweeper asks what became of a question
_SWEEP_BATCH = 20
_MOST_AT_ONCE = 100  # questions under way, while the bank hangs


class OperationKind(StrEnum):
    """What was asked for."""

    TOP_UP = "TOP_UP"
    TOPUP_INQUIRY = "TOPUP_INQUIRY"
    BANK_INQUIRY = "BANK_INQUIRY"
    BANK_TRANSFER = "BANK_TRANSFER"


class OperationState(StrEnum):
    """Where it stands. Only a transfer is ever ASKED (the bank has not answered) or PENDING (it said: not yet)."""

    ASKED = "ASKED"
    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"

    @property
    def is_open(self) -> bool:
        return self in (OperationState.ASKED, OperationState.PENDING)


class OperationDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """What only one kind has.

    reference_number  the bank's number of a transfer, ours of a top-up
    reason            why the bank refused
    """

    bank_code: str | None = None
    number: str | None = None
    name: str | None = None
    account_type: str | None = None
    notes: str | None = None
    session_id: str | None = None
    reference_number: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One top-up, transfer or inquiry. `fee` is what the customer pays on top of `amount`."""

    id: str
    merchant_id: str
    account_id: str
    kind: OperationKind
    partner_reference: str
    external_id: str
    amount: Rupiah
    fee: Rupiah
    state: OperationState
    details: OperationDetails
    created_at: datetime
    finished_at: datetime | None


def note_inquiry(
    tx: Tx,
    kind: OperationKind,
    *,
    merchant_id: str,
    account_id: str,
    partner_reference: str,
    external_id: str,
    amount: Rupiah,
    details: OperationDetails,
    now: datetime,
) -> Operation:
    """Keep what was inquired, so that the payment after it can be held against it. Moves nothing."""
    operation = Operation(
        id=new_id("opr"),
        merchant_id=merchant_id,
        account_id=account_id,
        kind=kind,
        partner_reference=partner_reference,
        external_id=external_id,
        amount=amount,
        fee=Rupiah(0),
        state=OperationState.SUCCESS,
        details=details,
        created_at=now,
        finished_at=now,
    )
    _write(tx, operation, due_real_at=None)
    return operation


def corporate_account(merchant_id: str) -> str:
    """The ledger account a merchant tops its customers up from."""
    return account("merchant", merchant_id, "corporate")


def top_up_from_merchant(
    tx: Tx,
    *,
    merchant_id: str,
    customer: Account,
    amount: Rupiah,
    partner_reference: str,
    external_id: str,
    details: OperationDetails,
    limits: WalletLimits,
    now: datetime,
) -> Operation:
    """Move money from the merchant's own balance to a customer.

    Raises Refused: AMOUNT_INVALID, ACCOUNT_LOCKED, ACCOUNT_CLOSED, BALANCE_LIMIT_EXCEEDED, MONTHLY_LIMIT_EXCEEDED,
    BALANCE_TOO_SMALL (the merchant's).
    """
    check_amount(amount)
    check_usable(customer)
    check_incoming(tx, customer, amount, limits=limits, now=now)
    operation = Operation(
        id=new_id("opr"),
        merchant_id=merchant_id,
        account_id=customer.id,
        kind=OperationKind.TOP_UP,
        partner_reference=partner_reference,
        external_id=external_id,
        amount=amount,
        fee=Rupiah(0),
        state=OperationState.SUCCESS,
        details=msgspec.structs.replace(details, reference_number=new_digits(12)),
        created_at=now,
        finished_at=now,
    )
    _write(tx, operation, due_real_at=None)
    movement = Transfer(corporate_account(merchant_id), wallet_ledger_account(customer.id), amount, "topup")
    post(tx, [movement], cause=operation.id, now=now)
    return operation


def check_amount(amount: Rupiah, *, most: int | None = None) -> None:
    """Raise Refused: AMOUNT_INVALID for nothing, AMOUNT_LIMIT_EXCEEDED for too much at once."""
    if amount < 1:
        raise Refused(Reason.AMOUNT_INVALID, amount=amount)
    if most is not None and amount > most:
        raise Refused(Reason.AMOUNT_LIMIT_EXCEEDED, amount=amount, limit=most)


def check_usable(customer: Account) -> None:
    """Raise Refused: ACCOUNT_LOCKED, ACCOUNT_CLOSED."""
    if customer.status == "LOCKED":
        raise Refused(Reason.ACCOUNT_LOCKED, account_id=customer.id)
    if customer.status == "CLOSED":
        raise Refused(Reason.ACCOUNT_CLOSED, account_id=customer.id)


# -- transfers to a bank


def begin_transfer(
    tx: Tx,
    *,
    merchant_id: str,
    customer: Account,
    to: BankAccount,
    amount: Rupiah,
    fee: Rupiah,
    partner_reference: str,
    external_id: str,
    details: OperationDetails,
    now: datetime,
) -> Operation:
    """Take the money out of the wallet and write the question down; the bank is asked when this is committed.

    Raises Refused: BALANCE_TOO_SMALL, for amount and fee together. Who may transfer, and how much, the caller has checked.
    """
    operation = Operation(
        id=new_id("opr"),
        merchant_id=merchant_id,
        account_id=customer.id,
        kind=OperationKind.BANK_TRANSFER,
        partner_reference=partner_reference,
        external_id=external_id,
        amount=amount,
        fee=fee,
        state=OperationState.ASKED,
        details=msgspec.structs.replace(details, bank_code=to.bank_code, number=to.number, name=to.name),
        created_at=now,
        finished_at=None,
    )
    _write(tx, operation, due_real_at=to_ms(real_now() + timedelta(seconds=ANSWER_TIMEOUT_S)))
    record_event(tx, operation.id, merchant_id, "ASKED", operation.state, now=now)
    name = wallet_ledger_account(customer.id)
    transfers = [Transfer(name, transit_account(customer.id), amount, "transit")]
    if fee:
        transfers.append(Transfer(name, transit_account(customer.id), fee, "transit-fee"))
    post(tx, transfers, cause=operation.id, now=now)
    return operation


def question_of(operation: Operation) -> BankQuestion:
    """What the bank is asked."""
    details = operation.details
    assert details.bank_code, operation.id
    assert details.number, operation.id
    return BankQuestion(operation.id, details.bank_code, details.number, details.name or "", operation.amount)


async def look_up(bank: Bank, bank_code: str, number: str) -> BankAccount | BankSilent | None:
    """Whose account it is. Never raises: whatever goes wrong outside is silence."""
    try:
        return await asyncio.wait_for(bank.inquire(bank_code, number), ANSWER_TIMEOUT_S)
    except (BankSilent, TimeoutError):
        return BankSilent()
    except Exception:
        log.exception("account inquiry at %s: the bank's provider broke", bank_code)
        return BankSilent()


async def ask(bank: Bank, question: BankQuestion) -> BankAnswer:
    """Ask the bank. Never raises: whatever goes wrong outside is silence."""
    try:
        return await asyncio.wait_for(bank.transfer(question), ANSWER_TIMEOUT_S)
    except TimeoutError:
        return BankAnswer(BankState.SILENT)
    except Exception:
        log.exception("transfer %s: the bank's provider broke", question.id)
        return BankAnswer(BankState.SILENT)


def conclude(tx: Tx, operation: Operation, answer: BankAnswer, *, now: datetime, again_in_s: float) -> Operation:
    """Act on the bank's answer, once; when somebody else was first, theirs stands.

    again_in_s  when the sweeper asks next, in real seconds, after an answer that ends nothing
    """
    details = operation.details
    if answer.state in (BankState.PENDING, BankState.SILENT):
        tx.execute(
            "update wallet_operation set state = :state, due_real_at = :due where id = :id and state in ('ASKED', 'PENDING')",
            {
                "id": operation.id,
                "state": "PENDING" if answer.state is BankState.PENDING else operation.state.value,
                "due": to_ms(real_now() + timedelta(seconds=again_in_s)),
            },
        )
        return get_operation(tx, operation.id)
    done = answer.state is BankState.DONE
    state = OperationState.SUCCESS if done else OperationState.FAILED
    reference = answer.reference if done else None
    details = msgspec.structs.replace(details, reference_number=reference, reason=None if done else answer.reason)
    ended = tx.execute(
        "update wallet_operation set state = :state, details = :details, finished_at = :now, due_real_at = null"
        " where id = :id and state in ('ASKED', 'PENDING')",
        {"id": operation.id, "state": state.value, "details": _json(details), "now": to_ms(now)},
    )
    if ended != 1:
        return get_operation(tx, operation.id)
    between, amount, fee = transit_account(operation.account_id), operation.amount, operation.fee
    if done:
        transfers = [Transfer(between, account("bank", details.bank_code or ""), amount, "gross")]
        if fee:
            transfers.append(Transfer(between, account("fee", "BANK_TRANSFER"), fee, "fee"))
    else:
        transfers = [Transfer(between, wallet_ledger_account(operation.account_id), Rupiah(amount + fee), "return")]
    post(tx, transfers, cause=operation.id, now=now)
    record_event(tx, operation.id, operation.merchant_id, answer.state, state, now=now)
    return replace(operation, state=state, details=details, finished_at=now)


def claim_due(tx: Tx, *, again_in_s: float, limit: int = _SWEEP_BATCH) -> list[Operation]:
    """Transfers whose asker has not come back, each given to one sweeper for `again_in_s` real seconds."""
    real = real_now()
    rows = tx.all(
        f"select * from wallet_operation where {is_due('due_real_at')} order by due_real_at limit :limit",  # noqa: S608 - fixed texts
        {**due_moments(real), "limit": limit},
    )
    return [
        _operation(row)
        for row in rows
        if tx.execute(
            "update wallet_operation set due_real_at = :again where id = :id and due_real_at = :due",
            {"id": row["id"], "due": row["due_real_at"], "again": to_ms(real + timedelta(seconds=again_in_s))},
        )
        == 1
    ]


class TransferSweeper:
    """Finds out what became of transfers left behind and of pending ones. Any number of processes may: each is leased to one.

    A question that hangs goes on by itself, for as long as a bank may take, while the others are asked.

    again_in_s  when to ask next, in real seconds, after an answer that ends nothing
    patience_s  how long a sweep waits for the bank
    """

    def __init__(self, database: Database, clock: Clock, bank: Bank, *, again_in_s: float, patience_s: float = 1) -> None:
        self._database = database
        self._clock = clock
        self._bank = bank
        self._again_in_s = again_in_s
        self._asking = Stragglers(patience_s=patience_s)

    async def sweep(self) -> int:
        """Take up what is due; how many transfers that were whose answer is acted upon already."""
        free = _MOST_AT_ONCE - len(self._asking)
        if free <= 0 or not await self._database.read(_any_due):
            return 0
        # Longer than asking can take, so that nobody asks beside us.
        lease_s = max(self._again_in_s, 2 * ANSWER_TIMEOUT_S)
        limit = min(free, _SWEEP_BATCH)
        claimed = await self._database.transact(lambda tx: claim_due(tx, again_in_s=lease_s, limit=limit))
        return await self._asking.run({one.id: partial(self._take_up, one) for one in claimed})

    async def _take_up(self, operation: Operation) -> int:
        answer = await self._find_out(operation)
        try:
            await self._database.transact(
                lambda tx: conclude(tx, operation, answer, now=self._clock.now(), again_in_s=self._again_in_s)
            )
        except StorageBusy:
            log.warning("transfer %s: the answer could not be written down; asking again", operation.id)
            return 0
        except Exception:
            # One that cannot be concluded must not keep the others open.
            log.exception("transfer %s", operation.id)
            return 0
        return 1

    async def _find_out(self, operation: Operation) -> BankAnswer:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await self._bank.status(operation.id)
                if answer is None:  # it never heard the question
                    answer = await self._bank.transfer(question_of(operation))
                return answer
        except TimeoutError:
            return BankAnswer(BankState.SILENT)
        except Exception:
            log.exception("transfer %s: the bank's provider broke", operation.id)
            return BankAnswer(BankState.SILENT)


def _any_due(tx: Tx) -> bool:
    due = tx.one(f"select 1 as due from wallet_operation where {is_due('due_real_at')} limit 1", due_moments(real_now()))  # noqa: S608
    return due is not None


# -- finding


def get_operation(tx: Tx, operation_id: str) -> Operation:
    """The operation; raises Refused(REFERENCE_NOT_FOUND)."""
    row = tx.one("select * from wallet_operation where id = :id", {"id": operation_id})
    if row is None:
        raise Refused(Reason.REFERENCE_NOT_FOUND, id=operation_id)
    return _operation(row)


def find_operation(
    tx: Tx,
    merchant_id: str,
    kind: OperationKind,
    *,
    partner_reference: str | None = None,
    operation_id: str | None = None,
    external_id: str | None = None,
) -> Operation | None:
    """The newest operation of the merchant that has everything given; None when there is none. At least one is given."""
    given = {"partner_reference": partner_reference, "id": operation_id, "external_id": external_id}
    given = {name: value for name, value in given.items() if value}
    assert given, "an operation is found by something"
    where = " and ".join([f"{name} = :{name}" for name in given])
    row = tx.one(
        f"select * from wallet_operation where merchant_id = :merchant_id and kind = :kind and {where}"  # noqa: S608 - fixed names
        " order by id desc limit 1",
        {"merchant_id": merchant_id, "kind": kind.value, **given},
    )
    return None if row is None else _operation(row)


def _write(tx: Tx, operation: Operation, *, due_real_at: int | None) -> None:
    tx.execute(
        "insert into wallet_operation (id, merchant_id, account_id, kind, partner_reference, external_id, amount, fee, state,"
        " details, created_at, finished_at, due_real_at)"
        " values (:id, :merchant_id, :account_id, :kind, :partner_reference, :external_id, :amount, :fee, :state, :details,"
        " :created_at, :finished_at, :due_real_at)",
        {
            "id": operation.id,
            "merchant_id": operation.merchant_id,
            "account_id": operation.account_id,
            "kind": operation.kind.value,
            "partner_reference": operation.partner_reference,
            "external_id": operation.external_id,
            "amount": operation.amount,
            "fee": operation.fee,
            "state": operation.state.value,
            "details": _json(operation.details),
            "created_at": to_ms(operation.created_at),
            "finished_at": None if operation.finished_at is None else to_ms(operation.finished_at),
            "due_real_at": due_real_at,
        },
    )


def _json(details: OperationDetails) -> str:
    return msgspec.json.encode(details).decode()


def _operation(row: "Row | Mapping[str, object]") -> Operation:
    finished_at = row["finished_at"]
    return Operation(
        id=str(row["id"]),
        merchant_id=str(row["merchant_id"]),
        account_id=str(row["account_id"]),
        kind=OperationKind(str(row["kind"])),
        partner_reference=str(row["partner_reference"]),
        external_id=str(row["external_id"]),
        amount=row["amount"],  # type: ignore[arg-type]
        fee=row["fee"],  # type: ignore[arg-type]
        state=OperationState(str(row["state"])),
        details=msgspec.json.decode(str(row["details"]), type=OperationDetails),
        created_at=from_ms(row["created_at"]),  # type: ignore[arg-type]
        finished_at=None if finished_at is None else from_ms(finished_at),  # type: ignore[arg-type]
    )


# -- verification

_BOOKED = (
    "select o.id as id, o.kind as kind, o.state as state, o.amount as amount, o.fee as fee,"
    " coalesce((select sum(t.amount) from transfer t where t.cause = o.id and t.entry in ('transit', 'transit-fee')), 0) as taken,"
    " coalesce((select sum(t.amount) from transfer t where t.cause = o.id and t.entry in ('gross', 'fee')), 0) as gone,"
    " coalesce((select t.amount from transfer t where t.cause = o.id and t.entry = 'return'), 0) as back,"
    " coalesce((select t.amount from transfer t where t.cause = o.id and t.entry = 'topup'), 0) as topped"
    " from wallet_operation o"
)
_CHECKS = (
    (
        "operation",
        "operation {id} ({kind}) is {state} over {amount} + {fee}; {taken} left the wallet, {gone} went on, {back} came back,"
        " {topped} came in",
        f"select * from ({_BOOKED}) told where"  # noqa: S608 - words of this file
        " (kind = 'TOP_UP' and (topped <> amount or state <> 'SUCCESS')) or (kind <> 'TOP_UP' and topped <> 0)"
        " or (kind <> 'BANK_TRANSFER' and (taken <> 0 or gone <> 0 or back <> 0))"
        " or (kind = 'BANK_TRANSFER' and (taken <> amount + fee"
        " or gone <> case state when 'SUCCESS' then amount + fee else 0 end"
        " or back <> case state when 'FAILED' then amount + fee else 0 end))",
    ),
    (
        "operation",
        "operation {id} is {state}, but finished at {finished_at}",
        "select id, state, finished_at from wallet_operation where (state in ('ASKED', 'PENDING')) <> (finished_at is null)",
    ),
    (
        "operation",
        "operation {id} is {state}, and nobody asks what became of it",
        "select id, state from wallet_operation where (state in ('ASKED', 'PENDING')) <> (due_real_at is not null)",
    ),
    (
        "operation",
        "transfer {id} was booked for operation {cause}, which does not exist",
        "select t.id as id, t.cause as cause from transfer t where substr(t.cause, 1, 4) = 'opr_' and length(t.cause) = 30"
        " and not exists (select 1 from wallet_operation o where o.id = t.cause)",
    ),
    (
        "operation",
        "{id} holds {amount}, open transfers say {told}",
        "select * from (select b.account as id, b.amount as amount, (select coalesce(sum(o.amount + o.fee), 0)"
        " from wallet_operation o where b.account = 'wallet:' || o.account_id || ':transit' and o.kind = 'BANK_TRANSFER'"
        " and o.state in ('ASKED', 'PENDING')) as told from balance b where b.account like 'wallet:%:transit') held"
        " where amount <> told",
    ),
)


def verify_operations(tx: Tx) -> list[Problem]:
    """Operations and the journal agree; an empty list means they do.

    A top-up came in once. A transfer's money left the wallet, and then went on or came back, whole, exactly as its state says;
    what lies in between is what open transfers are over, and each of those will be asked about.
    """
    return [Problem(check, row["id"], words.format_map(row)) for check, words, sql in _CHECKS for row in tx.all(sql)]
