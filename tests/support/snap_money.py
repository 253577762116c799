"""A partner with bound customers who have money, for the tests of the wallet's money over SNAP."""

import itertools
from datetime import datetime, timedelta
from typing import Any

from gerbang.ids import new_id
from gerbang.ledger import Transfer, account, post
from gerbang.money import Rupiah
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.storage import Database, Tx
from gerbang.wallet import Account, AccountStatus, Level, create_account, wallet_ledger_account
from support.gateway import Answer, RunningGateway
from support.snap import SnapCaller, reference

B2B, B2B2C = "/snap-adapter/b2b/v1.0/", "/snap-adapter/b2b2c/v1.0/"
CLIENT_ID = DEMO_CLIENT_ID
CORPORATE = account("merchant", CLIENT_ID, "corporate")
_phones = itertools.count(81_100_000_001)


def rupiah(amount: int) -> dict[str, str]:
    """As SNAP writes an amount."""
    return {"value": f"{amount}.00", "currency": "IDR"}


def give(tx: Tx, name: str, amount: int, *, now: datetime) -> None:
    """Money from outside for a ledger account."""
    post(tx, [Transfer(account("cash", "test"), name, Rupiah(amount), "topup")], cause=new_id("top"), now=now)


class Customer:
    """A customer of the partner, bound. The token is fetched anew when the clock was moved."""

    def __init__(self, partner: "Partner", account: Account) -> None:
        self.account = account
        self.id = account.id
        self._partner = partner
        self._token = ""
        self._age = -1

    @property
    def token(self) -> str:
        if self._age != self._partner.age:
            self._age, self._token = self._partner.age, self._partner.caller.customer_token(self.id)
        return self._token


class Partner:
    """Calls operations by name; every call has a reference of its own unless one is given."""

    def __init__(self, running: RunningGateway) -> None:
        self.running = running
        self.database: Database = running.database
        self.caller = SnapCaller(running)
        self.age = 0

    def now(self) -> datetime:
        return self.running.gateway.clock.now()

    def customer(self, money: int = 0, *, level: Level = Level.PREMIUM, status: AccountStatus = AccountStatus.ACTIVE) -> Customer:
        """A new one."""
        phone = f"0{next(_phones)}"

        def make(tx: Tx) -> Account:
            made = create_account(tx, phone=phone, name="Rina Kusuma", level=level, now=self.now())
            if money:
                give(tx, wallet_ledger_account(made.id), money, now=self.now())
            return made

        customer = Customer(self, self.database.transact_now(make))
        if status is not AccountStatus.ACTIVE:
            self.set_status(customer, status)
        return customer

    def set_status(self, customer: Customer, status: AccountStatus) -> None:
        self.database.transact_now(
            lambda tx: tx.execute(
                "update wallet_account set status = :status where id = :id", {"status": status.value, "id": customer.id}
            )
        )

    def fund(self, amount: int) -> None:
        """Money on the partner's own balance."""
        self.database.transact_now(lambda tx: give(tx, CORPORATE, amount, now=self.now()))

    def call(self, name: str, customer: Customer | None = None, *, external_id: str | None = None, **body: Any) -> Answer:
        """One operation; without a customer under its b2b path. None leaves a field out."""
        prefix, token = (B2B, None) if customer is None else (B2B2C, customer.token)
        sent = {name: value for name, value in body.items() if value is not None}
        return self.caller.call(prefix + name, sent, customer=token, external_id=external_id)

    def pass_time(self, **delta: float) -> None:
        """Move business time on; what became due has happened when this returns. Old tokens are over."""
        self.running.control("POST", "/clock", {"advance_s": timedelta(**delta).total_seconds()})
        self.age += 1
        self.caller = SnapCaller(self.running)

    def books(self, *accounts: str) -> tuple[int, ...]:
        """What these ledger accounts have: credits less debits."""

        def look(tx: Tx) -> tuple[int, ...]:
            found = []
            for name in accounts:
                row = tx.one(
                    "select coalesce(sum(case when credit = :name then amount else -amount end), 0) as has from transfer"
                    " where credit = :name or debit = :name",
                    {"name": name},
                )
                assert row is not None
                found.append(int(row["has"]))
            return tuple(found)

        return self.database.read_now(look)

    def balance(self, customer: Customer) -> int:
        return self.books(wallet_ledger_account(customer.id))[0]


def new_reference() -> str:
    """A partnerReferenceNo."""
    return reference()
