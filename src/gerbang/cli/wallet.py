"""gerbang wallet …"""

import re

import click
import msgspec

from gerbang.cli.data import open_data
from gerbang.cli.options import json_option, parsed_by, reads_settings
from gerbang.cli.show import print_facts, print_json, print_table, wib
from gerbang.clock import iso_z
from gerbang.errors import Reason, Refused
from gerbang.ledger import Line
from gerbang.merchants import find as find_merchant
from gerbang.money import Rupiah, format_rupiah
from gerbang.records import AccountRecord, account_record, transfer_record
from gerbang.storage import Tx
from gerbang.wallet import (
    Account,
    Level,
    PinHasher,
    WalletLimits,
    balance,
    create_account,
    find_account,
    history,
    list_accounts,
    top_up,
    unlock,
    wallet_ledger_account,
)
from gerbang.wallet.bindings import bindings_of
from gerbang.wallet.kyc import KycState, decide, find_kyc, identity_of, upgrade, waiting

# 50000, 50.000, Rp 50.000, 50,000 or 50_000: groups of three, so that no dot is ever taken for a decimal point.
_AMOUNT = re.compile(r"(?:Rp[.\s\u00a0]*)?(\d{1,3}(?:([.,_])\d{3})(?:\2\d{3})*|\d+)", re.IGNORECASE)
_MOST = 9_999_999_999_999_999


def read_amount(text: str) -> int:
    """Whole rupiah as people write them. Raises ValueError."""
    found = _AMOUNT.fullmatch(text.strip())
    amount = int(re.sub(r"[.,_]", "", found[1])) if found else -1
    if not 0 <= amount <= _MOST:
        raise ValueError(f"{text!r} is no amount of whole rupiah; write 50000 or 50.000")
    return amount


@click.group()
@reads_settings
def wallet() -> None:
    """Open, fund, list, upgrade and unlock wallet accounts."""


@wallet.command("create")
@click.option("--phone", required=True, help="Phone number, in any usual form.")
@click.option("--name", required=True, help="The customer's name.")
@click.option("--email", help="The customer's e-mail address.")
@click.option("--pin", prompt=True, prompt_required=False, hide_input=True, help="Six digits; without a value it is asked for.")
@click.option("--level", type=click.Choice(list(Level), case_sensitive=False), default=Level.BASIC, show_default=True)
@click.option(
    "--balance", "opening", metavar="AMOUNT", default="0", callback=parsed_by(read_amount), help="Money to start with, in rupiah."
)
@json_option
@reads_settings
def create_wallet(phone: str, name: str, email: str | None, pin: str | None, level: Level, opening: int, as_json: bool) -> None:
    """Open a wallet account."""
    with open_data(create=True) as data:
        # Slow on purpose, so before the transaction.
        pin_hash = PinHasher(data.settings.key("pin")).hash(pin) if pin is not None else None
        now, limits = data.now(), WalletLimits.of(data.settings)

        def make(tx: Tx) -> AccountRecord:
            customer = create_account(tx, phone=phone, name=name, email=email, level=Level(level), pin_hash=pin_hash, now=now)
            if opening:
                top_up(tx, customer, Rupiah(opening), limits=limits, now=now)
            return account_record(tx, customer.id)

        _print(data.write(make), as_json=as_json)
    if pin is None:
        click.echo("Note: without --pin nobody can pay from this account.", err=True)


@wallet.command("topup")
@click.argument("account")
@click.argument("amount", callback=parsed_by(read_amount))
@json_option
@reads_settings
def top_up_wallet(account: str, amount: int, as_json: bool) -> None:
    """Bring AMOUNT rupiah into ACCOUNT (its DOKU ID or phone number)."""
    with open_data() as data:
        now, limits = data.now(), WalletLimits.of(data.settings)

        def bring_in(tx: Tx) -> AccountRecord:
            customer = _get(tx, account)
            top_up(tx, customer, Rupiah(amount), limits=limits, now=now)
            return account_record(tx, customer.id)

        _print(data.write(bring_in), as_json=as_json)


@wallet.command("list")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many at most.")
@json_option
@reads_settings
def list_wallets(limit: int, as_json: bool) -> None:
    """List wallet accounts, oldest first."""
    with open_data() as data:
        found = data.read(lambda tx: [account_record(tx, one.id) for one in list_accounts(tx, limit=limit)])
    if as_json:
        print_json(found)
        return
    print_table(
        ("DOKU ID", "Phone", "Name", "Level", "Status", ">Balance"),
        [(one.account_id, "+" + one.phone, one.name, one.level, one.status, format_rupiah(one.balance)) for one in found],
        empty="No accounts yet: gerbang wallet create --phone 0812… --name NAME --pin",
    )


@wallet.command("unlock")
@click.argument("account")
@json_option
@reads_settings
def unlock_wallet(account: str, as_json: bool) -> None:
    """Let ACCOUNT (its DOKU ID or phone number) in again after too many wrong PINs."""
    with open_data() as data:

        def let_in(tx: Tx) -> AccountRecord:
            customer = _get(tx, account)
            unlock(tx, customer.id)
            return account_record(tx, customer.id)

        _print(data.write(let_in), as_json=as_json)


class BindingRecord(msgspec.Struct):
    """A customer's consent to a merchant, for programs."""

    link_id: str
    client_id: str
    merchant: str
    public_user_id: str
    since: str


@wallet.command("bindings")
@click.argument("account")
@json_option
@reads_settings
def list_bindings(account: str, as_json: bool) -> None:
    """List the merchants that ACCOUNT (its DOKU ID or phone number) consented to."""

    def look(tx: Tx) -> list[BindingRecord]:
        found = []
        for one in bindings_of(tx, _get(tx, account).id):
            merchant = find_merchant(tx, one.merchant_id)
            name = merchant.name if merchant is not None else ""
            found.append(BindingRecord(one.id, one.merchant_id, name, one.public_user_id, iso_z(one.created_at)))
        return found

    with open_data() as data:
        found = data.read(look)
    if as_json:
        print_json(found)
        return
    print_table(
        ("Link", "Client-Id", "Merchant", "Public user id", "Since"),
        [(one.link_id, one.client_id, one.merchant, one.public_user_id, one.since) for one in found],
        empty="This customer consented to no merchant.",
    )


class UpgradeRecord(msgspec.Struct):
    """A customer who asked to be upgraded, for programs."""

    account_id: str
    asked_at: str


@wallet.command("upgrades")
@json_option
@reads_settings
def list_upgrades(as_json: bool) -> None:
    """List who asked to be upgraded and waits for a decision, oldest first."""
    with open_data() as data:
        found = data.read(lambda tx: waiting(tx))
    if as_json:
        print_json([UpgradeRecord(one.account_id, iso_z(one.created_at)) for one in found])
        return
    print_table(
        ("DOKU ID", "Asked"),
        [(one.account_id, wib(one.created_at)) for one in found],
        empty="Nobody waits for an upgrade.",
    )


@wallet.command("upgrade")
@click.argument("account")
@click.option("--show", is_flag=True, help="Only show what the customer gave about themselves.")
@click.option("--reject", is_flag=True, help="Turn the request down; the customer may ask again.")
@json_option
@reads_settings
def upgrade_wallet(account: str, show: bool, reject: bool, as_json: bool) -> None:
    """Make ACCOUNT (its DOKU ID or phone number) PREMIUM, as it asked or on your own word."""
    if show and reject:
        raise click.UsageError("give --show or --reject, not both")
    with open_data() as data:
        if show:
            identity = data.read(lambda tx: identity_of(tx, _get(tx, account).id, settings=data.settings))
            if as_json:
                print_json(identity)
                return
            print_facts(
                [
                    ("NIK", identity.nik),
                    ("Name", identity.name),
                    ("Born", f"{identity.birth_place}, {identity.birth_date.isoformat()}"),
                    ("Address", identity.address),
                ]
            )
            return
        now = data.now()

        def settle(tx: Tx) -> AccountRecord:
            customer = _get(tx, account)
            asked = find_kyc(tx, customer.id)
            if reject or (asked is not None and asked.state is KycState.SUBMITTED):
                decide(tx, customer.id, approve=not reject, now=now)
            else:
                upgrade(tx, customer.id)
            return account_record(tx, customer.id)

        _print(data.write(settle), as_json=as_json)


@wallet.command("history")
@click.argument("account")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@json_option
@reads_settings
def show_history(account: str, limit: int, as_json: bool) -> None:
    """Show what came into and went out of ACCOUNT (its DOKU ID or phone number), newest first."""
    with open_data() as data:
        customer, lines, holds = data.read(lambda tx: _history(tx, account, limit))
    own = wallet_ledger_account(customer.id)
    if as_json:
        print_json([transfer_record(line) for line in lines])
        return
    click.echo(f"{customer.name}, DOKU ID {customer.id}, holds {format_rupiah(holds)}")
    click.echo()
    print_table(
        ("When", ">Amount", "What", "From or to", "Cause"),
        [
            (
                wib(line.at),
                format_rupiah(line.amount if line.credit == own else -line.amount),
                line.entry,
                line.debit if line.credit == own else line.credit,
                line.cause,
            )
            for line in lines
        ],
        empty="Nothing happened yet.",
    )


def _history(tx: Tx, account: str, limit: int) -> tuple[Account, list[Line], int]:
    customer = _get(tx, account)
    return customer, history(tx, customer.id, limit=limit), balance(tx, customer.id)


def _get(tx: Tx, phone_or_id: str) -> Account:
    found = find_account(tx, phone_or_id)
    if found is None:
        raise Refused(Reason.ACCOUNT_NOT_FOUND, account=phone_or_id)
    return found


def _print(one: AccountRecord, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
        return
    print_facts(
        [
            ("DOKU ID", one.account_id),
            ("Phone", "+" + one.phone),
            ("Name", one.name),
            ("E-mail", one.email),
            ("Level", one.level),
            ("Status", one.status),
            ("Balance", format_rupiah(one.balance)),
        ]
    )
