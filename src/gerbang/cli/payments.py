"""gerbang payments …"""

from collections.abc import Mapping

import click
import msgspec

from gerbang.channel import Channel, all_channels
from gerbang.cli.data import open_data
from gerbang.cli.options import json_option, reads_settings
from gerbang.cli.show import heading, print_facts, print_json, print_table, wib
from gerbang.cli.trouble import Misuse
from gerbang.clock import iso_z
from gerbang.errors import Reason, Refused
from gerbang.ledger import entries
from gerbang.merchants import list_all
from gerbang.money import format_rupiah
from gerbang.notifications.outbox import attempts_of, list_notifications
from gerbang.payments import (
    Order,
    OrderState,
    Payment,
    PaymentState,
    events,
    find_order,
    find_payment,
    list_orders,
    payments_of,
    refunds_of,
)
from gerbang.records import order_record
from gerbang.storage import Tx


class OrderLine(msgspec.Struct):
    """An order in a list, with its newest payment."""

    client_id: str
    invoice_number: str
    amount: int
    state: str
    channel: str
    payment_id: str
    payer: str | None
    created_at: str


@click.group()
@reads_settings
def payments() -> None:
    """List orders, or show all about one."""


@payments.command("list")
@click.option("--merchant", metavar="CLIENT_ID", help="Only this merchant's.")
@click.option("--state", type=click.Choice(list(OrderState), case_sensitive=False), help="Only orders in this state.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@json_option
@reads_settings
def list_payments(merchant: str | None, state: OrderState | None, limit: int, as_json: bool) -> None:
    """List the newest orders with the payment that stands for each."""
    with open_data() as data:
        found = data.read(
            lambda tx: [
                (order, payments_of(tx, order.id)[-1])
                for order in list_orders(tx, merchant_id=merchant, state=state and state.value, limit=limit)
            ]
        )
    if as_json:
        print_json([_line(order, payment) for order, payment in found])
        return
    print_table(
        ("Created", "Client-Id", "Invoice", ">Amount", "State", "Channel", "Payer"),
        [
            (
                wib(order.created_at),
                order.merchant_id,
                order.invoice_number,
                format_rupiah(order.amount),
                order.state.value,
                payment.channel,
                payment.payer or "–",
            )
            for order, payment in found
        ],
        empty="No orders like that." if merchant or state else "No orders yet; `gerbang serve` shows a first payment to paste.",
    )


def _line(order: Order, payment: Payment) -> OrderLine:
    return OrderLine(
        client_id=order.merchant_id,
        invoice_number=order.invoice_number,
        amount=order.amount,
        state=order.state.value,
        channel=payment.channel,
        payment_id=payment.id,
        payer=payment.payer,
        created_at=iso_z(order.created_at),
    )


@payments.command("show")
@click.argument("invoice")
@click.option("--merchant", metavar="CLIENT_ID", help="Whose; needed when several merchants have this invoice number.")
@json_option
@reads_settings
def show_payment(invoice: str, merchant: str | None, as_json: bool) -> None:
    """Show all about an order.

    INVOICE is its invoice number; the Request-Id that made it or the id of one of its payments does as well.
    """
    channels = all_channels()
    with open_data() as data:
        if as_json:
            print_json(data.read(lambda tx: order_record(tx, find(tx, invoice, merchant), channels)))
        else:
            data.read(lambda tx: _show(tx, find(tx, invoice, merchant), channels))


def find(tx: Tx, key: str, client_id: str | None) -> Order:
    """The order a person means by an invoice number, a Request-Id or a payment's id. Raises Misuse, Refused(ORDER_NOT_FOUND)."""
    if key.startswith("pay_"):
        by_payment = find_payment(tx, key)
        if by_payment is not None:
            return by_payment[0]
    owners = [client_id] if client_id else [merchant.client_id for merchant in list_all(tx)]
    found = [order for order in (find_order(tx, owner, key) for owner in owners) if order is not None]
    if len(found) > 1:
        whose = " or ".join(f"--merchant {order.merchant_id}" for order in found)
        raise Misuse(f"{len(found)} merchants have {key}; say whose with {whose}")
    if not found:
        raise Refused(Reason.ORDER_NOT_FOUND, invoice=key)
    return found[0]


def _show(tx: Tx, order: Order, channels: Mapping[str, Channel]) -> None:
    print_facts(
        [
            ("Invoice", order.invoice_number),
            ("Client-Id", order.merchant_id),
            ("Amount", format_rupiah(order.amount)),
            ("State", order.state.value),
            ("Created", wib(order.created_at)),
            ("Request-Id", order.request_id),
            *[("Warning", str(warning)) for warning in order.details.get("warnings", ())],
        ]
    )
    for payment in payments_of(tx, order.id):
        _show_payment(tx, payment, channels)
    _show_notifications(tx, order)


def _show_payment(tx: Tx, payment: Payment, channels: Mapping[str, Channel]) -> None:
    heading(f"Payment {payment.id}")
    print_facts(
        [
            ("Channel", payment.channel),
            ("State", payment.state.value),
            ("Payer", payment.payer),
            ("Approval code", payment.approval_code),
            ("Why unpaid", payment.failure),
            ("Payable until", wib(payment.expires_at)),
            ("Charged", _differing(payment.charged, payment.amount)),
            ("Refunded", format_rupiah(payment.refunded) if payment.refunded else None),
            ("Capture before", wib(payment.capture_before) if payment.state is PaymentState.AUTHORISED else None),
            ("Settles", wib(payment.settles_at) if payment.settles_at != payment.finished_at else None),
        ]
    )
    _show_charges(tx, payment, channels)
    _show_refunds(tx, payment)
    click.echo()
    print_table(
        ("When", "Event", "State", "Facts~"),
        [
            (wib(event.at), event.event, event.state, ", ".join(f"{name} {value}" for name, value in event.facts.items()))
            for event in events(tx, payment.id)
        ],
        empty="No events.",
    )
    booked = [
        line for cause in (payment.id, *(one.id for one in refunds_of(tx, payment.id))) for line in entries(tx, cause=cause)
    ]
    if booked:
        click.echo()
        print_table(
            ("Booked", "Debit", "Credit", ">Amount", "What"),
            [(wib(line.at), line.debit, line.credit, format_rupiah(line.amount), line.entry) for line in booked],
            empty="",
        )


def _differing(charged: int | None, amount: int) -> str | None:
    """What was taken or is held, where it is not simply the amount."""
    return None if charged is None or charged == amount else format_rupiah(charged)


def _show_charges(tx: Tx, payment: Payment, channels: Mapping[str, Channel]) -> None:
    told = channels[payment.channel].charges
    charges = told(tx, payment) if told else []
    if not charges:
        return
    click.echo()
    print_table(
        ("Charge", "Card", ">Amount", "Acquirer", "State", "3-D Secure", "Answer~", "Risk"),
        [
            (
                one.id,
                f"{one.card} {one.brand}",
                format_rupiah(one.amount),
                one.acquirer + (f", {one.tenor} months" if one.tenor else ""),
                one.state,
                " ".join(filter(None, (one.trans_status, one.reason))) or "–",
                f"{one.response_code} {one.response_message}" if one.response_code else "–",
                one.risk_status,
            )
            for one in charges
        ],
        empty="",
    )


def _show_refunds(tx: Tx, payment: Payment) -> None:
    found = refunds_of(tx, payment.id)
    if not found:
        return
    click.echo()
    print_table(
        ("Refund", "Asked", ">Amount", "Type", "State", "Message~"),
        [
            (one.id, wib(one.created_at), format_rupiah(one.amount), one.type.value, one.state.value, one.message or "–")
            for one in found
        ],
        empty="",
    )


def _show_notifications(tx: Tx, order: Order) -> None:
    heading("Notifications")
    print_table(
        ("Id", "State", ">Attempts", "Next attempt", "URL"),
        [
            (one.id, one.state.value, str(len(attempts_of(tx, one.id))), wib(one.due_at), one.url)
            for one in list_notifications(tx, order_id=order.id)
        ],
        empty="None was sent: the payment is not over, or there is nobody to tell.",
    )
