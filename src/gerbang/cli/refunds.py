"""gerbang refunds …"""

import click

from gerbang.channel import all_channels
from gerbang.cli.data import open_data
from gerbang.cli.options import json_option, reads_settings
from gerbang.cli.payments import find
from gerbang.cli.show import print_facts, print_json, print_table, wib
from gerbang.money import format_rupiah
from gerbang.payments import Refund, get_payment, get_refund, open_refunds
from gerbang.protocols.nonsnap.manual_refunds import (
    CANNOT_BE_DONE,
    complete_manual_refund,
    fail_manual_refund,
    open_manual_refund,
)
from gerbang.records import refund_record
from gerbang.storage import Tx


@click.group()
@reads_settings
def refunds() -> None:
    """Open refunds that are done by hand, list those that wait for somebody, and end them."""


@refunds.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@json_option
@reads_settings
def list_refunds(limit: int, as_json: bool) -> None:
    """List refunds that nobody has ended yet, the oldest first.

    Those of a MANUAL type wait for a person; the others for their acquirer, which is asked again by itself.
    """
    with open_data() as data:
        if as_json:
            print_json(data.read(lambda tx: [refund_record(tx, one) for one in open_refunds(tx, limit=limit)]))
            return
        found = data.read(lambda tx: [(one, get_payment(tx, one.payment_id)[0]) for one in open_refunds(tx, limit=limit)])
    print_table(
        ("Asked", "Id", "Client-Id", "Invoice", ">Amount", "Type", "Waits for"),
        [
            (
                wib(refund.created_at),
                refund.id,
                refund.merchant_id,
                order.invoice_number,
                format_rupiah(refund.amount),
                refund.type.value,
                "a person" if refund.type.is_manual else "the acquirer",
            )
            for refund, order in found
        ],
        empty="No refund waits for anything.",
    )


@refunds.command("show")
@click.argument("refund_id", metavar="ID")
@json_option
@reads_settings
def show_refund(refund_id: str, as_json: bool) -> None:
    """Show a refund."""
    with open_data() as data:
        data.read(lambda tx: _print(tx, get_refund(tx, refund_id), as_json=as_json))


@refunds.command("open")
@click.argument("invoice")
@click.option("--merchant", metavar="CLIENT_ID", help="Whose; needed when several merchants have this invoice number.")
@click.option("--amount", type=click.IntRange(1), metavar="RUPIAH", help="A part of it; all that is left when not given.")
@json_option
@reads_settings
def open_one(invoice: str, merchant: str | None, amount: int | None, as_json: bool) -> None:
    """Open a refund that you carry out by hand, of any paid payment.

    What it takes is the merchant's no longer. Transfer the money, then `gerbang refunds complete`; into a wallet of ours `complete`
    brings it by itself. INVOICE may be a payment's id.
    """
    with open_data() as data:
        now = data.now()
        payment_id = invoice if invoice.startswith("pay_") else None

        def begin(tx: Tx) -> Refund:
            return open_manual_refund(tx, find(tx, invoice, merchant), amount=amount, payment_id=payment_id, now=now)

        opened = data.write(begin)
        data.read(lambda tx: _print(tx, opened, as_json=as_json))


@refunds.command("complete")
@click.argument("refund_id", metavar="ID")
@click.option("--approval-code", metavar="CODE", help="What the bank gave, if it gave one.")
@json_option
@reads_settings
def complete(refund_id: str, approval_code: str | None, as_json: bool) -> None:
    """Say that a manual refund was carried out: it is booked. Of a card's the merchant is told.

    Transfer the money first, unless a wallet of ours paid: that gets it back by this. This cannot be taken back.
    """
    with open_data() as data:
        now = data.now()

        def carried_out(tx: Tx) -> Refund:
            return complete_manual_refund(
                tx, all_channels(), refund_id, approval_code=approval_code or None, settings=data.settings, now=now
            )

        done = data.write(carried_out)
        data.read(lambda tx: _print(tx, done, as_json=as_json))


@refunds.command("fail")
@click.argument("refund_id", metavar="ID")
@click.option("--message", metavar="TEXT", default=CANNOT_BE_DONE, show_default=True, help="Why.")
@json_option
@reads_settings
def fail(refund_id: str, message: str, as_json: bool) -> None:
    """Say that a manual refund cannot be carried out: what was reserved for it is the merchant's again."""
    with open_data() as data:
        now = data.now()
        failed = data.write(lambda tx: fail_manual_refund(tx, refund_id, message=message, now=now))
        data.read(lambda tx: _print(tx, failed, as_json=as_json))


def _print(tx: Tx, refund: Refund, *, as_json: bool) -> None:
    if as_json:
        print_json(refund_record(tx, refund))
        return
    order, payment = get_payment(tx, refund.payment_id)
    print_facts(
        [
            ("Refund", refund.id),
            ("Client-Id", refund.merchant_id),
            ("Invoice", order.invoice_number),
            ("Payment", f"{payment.id}, {payment.state}"),
            ("Amount", format_rupiah(refund.amount)),
            ("Type", refund.type.value),
            ("State", refund.state.value),
            ("Approval code", refund.approval_code),
            ("Message", refund.message),
            ("Asked", wib(refund.created_at)),
            ("Ended", wib(refund.finished_at) if refund.finished_at else None),
        ]
    )
