"""A customer's money: balance, top-up, history. Paying lives with the channel that asks for it."""

from datetime import datetime

from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.ledger import Line, Transfer, account, balance_of, entries, post
from gerbang.money import Rupiah
from gerbang.storage import Tx
from gerbang.wallet.accounts import Account, AccountStatus, wallet_ledger_account
from gerbang.wallet.limits import WalletLimits, check_incoming


def balance(tx: Tx, account_id: str) -> Rupiah:
    """What the customer holds."""
    return balance_of(tx, wallet_ledger_account(account_id))


def top_up(tx: Tx, customer: Account, amount: Rupiah, *, limits: WalletLimits, now: datetime, source: str = "cash") -> Rupiah:
    """Bring money in from outside; the new balance.

    source  the system account it comes from ("cash": paid in at a counter or by the sandbox)
    Raises Refused: FIELD_INVALID (amount below 1), ACCOUNT_CLOSED, BALANCE_LIMIT_EXCEEDED, MONTHLY_LIMIT_EXCEEDED.
    """
    if amount < 1:
        raise Refused(Reason.FIELD_INVALID, field="amount")
    if customer.status is AccountStatus.CLOSED:
        raise Refused(Reason.ACCOUNT_CLOSED, account_id=customer.id)
    check_incoming(tx, customer, amount, limits=limits, now=now)
    name = wallet_ledger_account(customer.id)
    post(tx, [Transfer(debit=account(source, "topup"), credit=name, amount=amount, entry="topup")], cause=new_id("top"), now=now)
    return balance_of(tx, name)


def history(tx: Tx, account_id: str, *, limit: int = 50) -> list[Line]:
    """What came in and went out, newest first."""
    return entries(tx, account_name=wallet_ledger_account(account_id), limit=limit)
