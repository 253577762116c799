"""Balance, transfers to bank accounts, and top-ups from a partner's balance (services 11, 37, 38, 39, 42, 43)."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from gerbang.channel import Parts
from gerbang.channels.doku_wallet_snap.wire_money import (
    AccountInfo,
    BalanceRequest,
    BalanceResponse,
    BankInquiryRequest,
    BankInquiryResponse,
    TopUpInquiryRequest,
    TopUpInquiryResponse,
    TopUpRequest,
    TopUpResponse,
    TopUpStatusRequest,
    TopUpStatusResponse,
    TransferRequest,
    TransferResponse,
)
from gerbang.clock import Clock
from gerbang.endpoint import ActionResult, Ask, Call, Declined, Endpoint, InProgress
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.money import Rupiah, format_snap_amount
from gerbang.protocols.snap.paths import b2b, b2b2c, both
from gerbang.protocols.snap.references import forget_reference, hold_reference, keep_reference
from gerbang.protocols.snap.times import snap_time
from gerbang.protocols.snap.wire import Amount
from gerbang.settings import BadSettings, Settings
from gerbang.storage import Database
from gerbang.wallet import Account, Level, WalletLimits, balance, find_account, get_account
from gerbang.wallet.bank import BANKS, Bank, BankAccount, BankAnswer, BankSilent, bank_code
from gerbang.wallet.limits import allowance_of, money_held
from gerbang.wallet.operations import (
    Operation,
    OperationDetails,
    OperationKind,
    OperationState,
    TransferSweeper,
    ask,
    begin_transfer,
    check_amount,
    check_usable,
    conclude,
    corporate_account,
    find_operation,
    look_up,
    note_inquiry,
    question_of,
    top_up_from_merchant,
)

_SOURCE = "DOKU Wallet SNAP guide"
_ASK_AGAIN_S = 5.0  # between two questions about a pending transfer
_CASH, _COINS = "Cash", "Coins"


class MoneyRoom(Protocol):
    """What this part needs of the running room. Without a bank there are no transfers in this installation."""

    @property
    def database(self) -> Database: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def bank(self) -> Bank | None: ...


def open_bank(parts: Parts) -> Bank | None:
    """The operator's bank, the pretend one in a sandbox, or none. `bank_provider` names a function that takes `Parts`.

    Raises BadSettings.
    """
    named = parts.settings.bank_provider
    if named:
        module, _, function = named.partition(":")
        try:
            make: Callable[[Parts], Bank] = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError, ValueError) as error:
            raise BadSettings(f"bank_provider {named!r} cannot be loaded: {error}") from None
        return make(parts)
    if not parts.settings.is_sandbox:
        return None
    from gerbang.channels.doku_wallet_snap.simulator import SandboxBank

    return SandboxBank(parts.database)


def open_sweeper(parts: Parts, bank: Bank | None) -> TransferSweeper | None:
    """Who finds out what became of transfers; None where there are none."""
    return TransferSweeper(parts.database, parts.clock, bank, again_in_s=_ASK_AGAIN_S) if bank is not None else None


# -- balance


def show_balance(call: Call, body: BalanceRequest) -> BalanceResponse:
    """What the customer has, and how much of it is reserved (S1-69)."""
    customer = get_account(call.tx, call.customer_id)
    wanted = body.balanceTypes or [_CASH]
    if any(one not in (_CASH, _COINS) for one in wanted):
        raise Refused(Reason.FIELD_INVALID, field="balanceTypes")
    spendable, held = balance(call.tx, customer.id), money_held(call.tx, customer.id, now=call.now)
    # There are no coins; a partner that asks for them hears so.
    amounts = {_CASH: (spendable, held), _COINS: (Rupiah(0), Rupiah(0))}
    return BalanceResponse(
        referenceNo=new_id("inq"),
        partnerReferenceNo=body.partnerReferenceNo,
        accountNo=customer.id,
        name=customer.name,
        accountInfos=[_account_info(kind, *amounts[kind]) for kind in dict.fromkeys(wanted)],
        additionalInfo={},
    )


def _account_info(kind: str, spendable: Rupiah, held: Rupiah) -> AccountInfo:
    return AccountInfo(
        balanceType=kind,
        amount=Amount.of(spendable),
        floatAmount=Amount.of(0),
        flatAmount=Amount.of(0),
        holdAmount=Amount.of(held),
        availableBalance=Amount.of(spendable),
        ledgerBalance=Amount.of(spendable + held),
        currentMultilateralLimit=Amount.of(0),
        registrationStatusCode="0001",
        status="0001",
    )


# -- to a bank account


def inquire_bank_account(call: Call, body: BankInquiryRequest) -> ActionResult:
    """Whose bank account it is, so that the customer can confirm (S1-79). Under the b2b path the number names the customer."""
    customer_number = body.customerNumber or _other_spelling(call)
    customer = _customer(call, customer_number)
    number = _digits(body.beneficiaryAccountNumber)
    sent_code = (body.additionalInfo.bankCode if body.additionalInfo else None) or body.beneficiaryBankCode
    if not sent_code:
        raise Refused(Reason.FIELD_MISSING, field="additionalInfo.bankCode")
    if body.amount is not None:
        check_amount(body.amount.rupiah, most=call.settings.wallet_transfer_limit)
    check_usable(customer)
    code, bank = _bank_of(sent_code), _bank(call)

    def answered(call: Call, found: BankAccount | BankSilent | None) -> ActionResult:
        to = _found(found)
        inquiry = note_inquiry(
            call.tx,
            OperationKind.BANK_INQUIRY,
            merchant_id=call.merchant.client_id,
            account_id=customer.id,
            partner_reference=body.partnerReferenceNo,
            external_id=call.external_id,
            amount=body.amount.rupiah if body.amount else Rupiah(0),
            details=OperationDetails(bank_code=to.bank_code, number=to.number, name=to.name),
            now=call.now,
        )
        return BankInquiryResponse(
            referenceNo=inquiry.id,
            partnerReferenceNo=body.partnerReferenceNo,
            beneficiaryAccountNumber=to.number,
            beneficiaryAccountName=to.name,
            beneficiaryBankCode=to.bank_code,
            beneficiaryBankName=BANKS[to.bank_code],
            additionalInfo={},
            amount=body.amount,
        )

    return Ask(lambda: look_up(bank, code, number), answered)


def transfer_to_bank(call: Call, body: TransferRequest) -> ActionResult:
    """Move money from the wallet to a bank account (S1-91). An inquiry before it is not required, but has to fit."""
    wanted = _wanted(call, body)
    if wanted.to is not None:
        return _begin(call, body, wanted, wanted.to)
    bank = _bank(call)
    hold = hold_reference(call)

    def looked_up(call: Call, found: BankAccount | BankSilent | None) -> ActionResult:
        try:
            to = _found(found)
            again = _wanted(call, body)  # meanwhile the account may have been closed
        except Refused as refused:
            # Nothing was moved, and nothing asked for: the partner may use its reference again.
            forget_reference(call, hold)
            return Declined(refused.reason, refused.facts)
        keep_reference(call, hold)
        return _begin(call, body, again, to)

    return Ask(lambda: look_up(bank, wanted.bank_code, wanted.number), looked_up)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A transfer that may be made; `to` is known when it was inquired."""

    customer: Account
    bank_code: str
    number: str
    amount: Rupiah
    to: BankAccount | None


def _wanted(call: Call, body: TransferRequest) -> _Wanted:
    customer = _customer(call, body.customerNumber)
    number, amount = _digits(body.beneficiaryAccountNumber), body.amount.rupiah
    code = _bank_of(body.beneficiaryBankCode)
    info = body.additionalInfo
    if info is not None and info.bankCode and bank_code(info.bankCode) != code:
        raise Refused(Reason.FIELD_INVALID, field="additionalInfo.bankCode")
    if info is not None and info.accountId and info.accountId != customer.id:
        raise Refused(Reason.NOT_THIS_CUSTOMER)
    _bank(call)
    check_amount(amount, most=call.settings.wallet_transfer_limit)
    check_usable(customer)
    if customer.level is not Level.PREMIUM:
        raise Refused(Reason.ACCOUNT_NOT_UPGRADED, account_id=customer.id)  # PBI 20/6/PBI/2018
    to = None
    named = (info.referenceNo if info else None) or body.sessionId
    if named:
        inquiry = find_operation(call.tx, call.merchant.client_id, OperationKind.BANK_INQUIRY, operation_id=named)
        if inquiry is None or inquiry.account_id != customer.id:
            raise Refused(Reason.INQUIRY_NOT_MATCHED, field="additionalInfo.referenceNo")
        details = inquiry.details
        if (details.bank_code, details.number) != (code, number):
            raise Refused(Reason.INQUIRY_NOT_MATCHED, field="beneficiaryAccountNumber")
        if inquiry.amount and inquiry.amount != amount:
            raise Refused(Reason.AMOUNT_INVALID, amount=amount, inquired=inquiry.amount)
        to = BankAccount(code, number, details.name or "")
    needed = amount + call.settings.wallet_transfer_fee
    if balance(call.tx, customer.id) < needed:
        raise Refused(Reason.BALANCE_TOO_SMALL, account_id=customer.id, needed=needed)
    return _Wanted(customer, code, number, amount, to)


def _begin(call: Call, body: TransferRequest, wanted: _Wanted, to: BankAccount) -> Ask:
    operation = begin_transfer(
        call.tx,
        merchant_id=call.merchant.client_id,
        customer=wanted.customer,
        to=to,
        amount=wanted.amount,
        fee=Rupiah(call.settings.wallet_transfer_fee),
        partner_reference=body.partnerReferenceNo,
        external_id=call.external_id,
        details=OperationDetails(account_type=body.accountType),
        now=call.now,
    )
    bank = _bank(call)

    def answered(call: Call, answer: BankAnswer) -> ActionResult:
        ended = conclude(call.tx, operation, answer, now=call.now, again_in_s=_ASK_AGAIN_S)
        if ended.state is OperationState.FAILED:
            return Declined(Reason.BANK_REFUSED, {"why": ended.details.reason or ""})
        told = _transfer_response(ended)
        return InProgress(told) if ended.state.is_open else told

    return Ask(lambda: ask(bank, question_of(operation)), answered)


def _transfer_response(operation: Operation) -> TransferResponse:
    return TransferResponse(
        referenceNo=operation.id,
        partnerReferenceNo=operation.partner_reference,
        transactionDate=snap_time(operation.created_at),
        additionalInfo={},
        referenceNumber=operation.details.reference_number,
    )


def _found(found: BankAccount | BankSilent | None) -> BankAccount:
    if isinstance(found, BankSilent):
        raise Refused(Reason.BANK_SILENT)
    if found is None:
        raise Refused(Reason.BANK_ACCOUNT_NOT_FOUND)
    return found


def _bank(call: Call) -> Bank:
    bank: Bank | None = call.room.bank if call.room is not None else None
    if bank is None:
        raise Refused(Reason.CHANNEL_NOT_ENABLED)
    return bank


def _bank_of(sent: str) -> str:
    code = bank_code(sent)
    if code is None:
        raise Refused(Reason.BANK_NOT_SUPPORTED, bank=sent)
    return code


def _digits(number: str) -> str:
    if not (number.isascii() and number.isdigit()):
        raise Refused(Reason.FIELD_INVALID, field="beneficiaryAccountNumber")
    return number


def _other_spelling(call: Call) -> str:
    """The standard's table prints CustomerNumber."""
    sent = call.raw.get("CustomerNumber")
    if sent is None or isinstance(sent, bool) or not isinstance(sent, str | int) or not str(sent).strip():
        raise Refused(Reason.FIELD_MISSING, field="customerNumber")
    return str(sent)


def _customer(call: Call, customer_number: str) -> Account:
    """Whom the number names; with a customer token it has to be the token's.

    Raises Refused: NOT_THIS_CUSTOMER, without a token ACCOUNT_NOT_FOUND.
    """
    named = find_account(call.tx, customer_number)
    if call.customer_id and (named is None or named.id != call.customer_id):
        raise Refused(Reason.NOT_THIS_CUSTOMER)
    if named is None:
        raise Refused(Reason.ACCOUNT_NOT_FOUND)
    return named


# -- top-up from the partner's balance


def inquire_top_up(call: Call, body: TopUpInquiryRequest) -> TopUpInquiryResponse:
    """Who would receive it, and how much they may."""
    customer = _receiver(call, body.customerNumber)
    amount = body.amount.rupiah if body.amount else Rupiah(0)
    allowance = allowance_of(call.tx, customer, limits=WalletLimits.of(call.settings), now=call.now)
    if body.amount is not None:
        check_amount(amount)
        if amount > allowance.incoming:
            raise Refused(Reason.BALANCE_LIMIT_EXCEEDED, account_id=customer.id, amount=amount)
    inquiry = note_inquiry(
        call.tx,
        OperationKind.TOPUP_INQUIRY,
        merchant_id=call.merchant.client_id,
        account_id=customer.id,
        partner_reference=body.partnerReferenceNo,
        external_id=call.external_id,
        amount=amount,
        details=OperationDetails(),
        now=call.now,
    )
    return TopUpInquiryResponse(
        referenceNo=inquiry.id,
        partnerReferenceNo=body.partnerReferenceNo,
        sessionId=inquiry.id,
        customerNumber=body.customerNumber,
        customerName=customer.name,
        customerMonthlyInLimit=format_snap_amount(max(0, allowance.month)),
        minAmount=Amount.of(1),
        maxAmount=Amount.of(allowance.incoming),
        amount=Amount.of(amount),
        feeAmount=Amount.of(0),
        feeType="OUR",
        additionalInfo={},
    )


def top_up(call: Call, body: TopUpRequest) -> TopUpResponse:
    """Move money from the partner's corporate balance to a customer (S1-106)."""
    customer = _receiver(call, body.customerNumber)
    if body.sessionId:
        # Only a session of ours can contradict; partners send numbers of their own here, too.
        inquiry = find_operation(call.tx, call.merchant.client_id, OperationKind.TOPUP_INQUIRY, operation_id=body.sessionId)
        if inquiry is not None and inquiry.account_id != customer.id:
            raise Refused(Reason.INQUIRY_NOT_MATCHED, field="sessionId")
        if inquiry is not None and inquiry.amount and inquiry.amount != body.amount.rupiah:
            raise Refused(Reason.AMOUNT_INVALID, amount=body.amount.rupiah, inquired=inquiry.amount)
    done = top_up_from_merchant(
        call.tx,
        merchant_id=call.merchant.client_id,
        customer=customer,
        amount=body.amount.rupiah,
        partner_reference=body.partnerReferenceNo,
        external_id=call.external_id,
        details=OperationDetails(notes=body.notes, session_id=body.sessionId),
        limits=WalletLimits.of(call.settings),
        now=call.now,
    )
    return TopUpResponse(
        referenceNo=done.id,
        partnerReferenceNo=done.partner_reference,
        customerNumber=body.customerNumber,
        amount=Amount.of(done.amount),
        referenceNumber=done.details.reference_number or "",
        additionalInfo={},
        sessionId=body.sessionId,
    )


def _receiver(call: Call, customer_number: str) -> Account:
    """Any customer may be topped up; the customer token says only for whom the partner acts."""
    customer = find_account(call.tx, customer_number)
    if customer is None:
        raise Refused(Reason.ACCOUNT_NOT_FOUND)
    check_usable(customer)
    return customer


def query_top_up(call: Call, body: TopUpStatusRequest) -> TopUpStatusResponse:
    """What became of a top-up (S1-120)."""
    if body.serviceCode != "38":
        raise Refused(Reason.FIELD_INVALID, field="serviceCode")
    originals = (body.originalPartnerReferenceNo, body.originalReferenceNo, body.originalExternalId)
    if not any(originals):
        raise Refused(Reason.FIELD_MISSING, field="originalPartnerReferenceNo")
    done = find_operation(
        call.tx,
        call.merchant.client_id,
        OperationKind.TOP_UP,
        partner_reference=body.originalPartnerReferenceNo,
        operation_id=body.originalReferenceNo,
        external_id=body.originalExternalId,
    )
    if done is None:
        raise Refused(Reason.REFERENCE_NOT_FOUND)
    return TopUpStatusResponse(
        originalPartnerReferenceNo=done.partner_reference,
        originalReferenceNo=done.id,
        originalExternalId=done.external_id,
        serviceCode=body.serviceCode,
        transactionDate=snap_time(done.created_at),
        amount=Amount.of(done.amount),
        beneficiaryAccountNo=done.account_id,
        sourceAccountNo=corporate_account(done.merchant_id).removeprefix("merchant:"),
        referenceNumber=done.details.reference_number or "",
        latestTransactionStatus="00",
        transactionStatusDesc="Success",
        additionalInfo={},
    )


# -- endpoints


def endpoints(
    paths: tuple[str, ...],
    service_code: str,
    summary: str,
    action: Callable[[Call, Any], ActionResult],
    request: type[msgspec.Struct],
    response: type[msgspec.Struct],
    *,
    creates: bool = False,
) -> tuple[Endpoint, ...]:
    """One operation under all its paths; those of b2b2c ask for a customer's token."""
    return tuple(
        Endpoint(
            method="POST",
            path=path,
            summary=summary,
            action=action,
            request=request,
            response=response,
            source=_SOURCE,
            family="snap",
            service_code=service_code,
            needs_customer="/b2b2c/" in path,
            creates=creates,
        )
        for path in paths
    )


ENDPOINTS = (
    *endpoints((b2b2c("balance-inquiry"),), "11", "Balance of a customer", show_balance, BalanceRequest, BalanceResponse),
    *endpoints(
        (b2b2c("emoney/bank-account-inquiry"), b2b("emoney/bank-account-inquiry")),
        "42",
        "Whose bank account it is",
        inquire_bank_account,
        BankInquiryRequest,
        BankInquiryResponse,
    ),
    *endpoints(
        (b2b2c("emoney/transfer-bank"),),
        "43",
        "Transfer from the wallet to a bank account",
        transfer_to_bank,
        TransferRequest,
        TransferResponse,
        creates=True,
    ),
    *endpoints(
        both("emoney/account-inquiry"),
        "37",
        "Who would receive a top-up",
        inquire_top_up,
        TopUpInquiryRequest,
        TopUpInquiryResponse,
    ),
    *endpoints(
        both("emoney/topup"),
        "38",
        "Top up a wallet from the partner's balance",
        top_up,
        TopUpRequest,
        TopUpResponse,
        creates=True,
    ),
    *endpoints(
        both("emoney/topup-status"),
        "39",
        "What became of a top-up",
        query_top_up,
        TopUpStatusRequest,
        TopUpStatusResponse,
    ),
)
