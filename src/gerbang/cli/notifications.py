"""gerbang notifications …"""

import textwrap
from datetime import datetime

import click

from gerbang.cli.data import Data, open_data
from gerbang.cli.options import json_option, reads_settings
from gerbang.cli.outstanding import PATIENCE_S, wait_for
from gerbang.cli.show import heading, indented, print_facts, print_json, print_table, wib
from gerbang.cli.trouble import Failure
from gerbang.clock import real_now
from gerbang.notifications.mischief import history as mischief_of
from gerbang.notifications.outbox import (
    Attempt,
    Exchange,
    Notification,
    NotificationState,
    attempts_of,
    get_notification,
    list_notifications,
    resend,
)
from gerbang.notifications.queue import is_under_way
from gerbang.records import notification_record
from gerbang.storage import Tx


@click.group()
@reads_settings
def notifications() -> None:
    """List, inspect and resend notifications to merchants."""


@notifications.command("list")
@click.option("--merchant", metavar="CLIENT_ID", help="Only this merchant's.")
@click.option("--state", type=click.Choice(list(NotificationState), case_sensitive=False), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@json_option
@reads_settings
def list_them(merchant: str | None, state: NotificationState | None, limit: int, as_json: bool) -> None:
    """List the newest notifications."""

    def find(tx: Tx) -> list[Notification]:
        return list_notifications(tx, merchant_id=merchant, state=state and state.value, limit=limit)

    with open_data() as data:
        if as_json:
            print_json(data.read(lambda tx: [notification_record(tx, one) for one in find(tx)]))
            return
        found = data.read(lambda tx: [(one, attempts_of(tx, one.id), mischief_of(tx, one.id)) for one in find(tx)])
    # What only a sandbox does is shown where it was done.
    mischievous = any(mischief for _, _, mischief in found)
    print_table(
        (
            "Made",
            "Id",
            "Client-Id",
            "State",
            ">Attempts",
            "Last answer",
            "Next attempt",
            *(["Mischief"] if mischievous else []),
            "URL",
        ),
        [
            (
                wib(one.created_at),
                one.id,
                one.merchant_id,
                one.state.value,
                str(len(attempts)),
                textwrap.shorten(_short(attempts[-1]), 50, placeholder="…") if attempts else "–",
                wib(one.due_at),
                *([", ".join(dict.fromkeys(done.kind.value for done in mischief)) or "–"] if mischievous else []),
                one.url,
            )
            for one, attempts, mischief in found
        ],
        empty="No notifications like that." if merchant or state else "No notifications yet: one is made when a payment ends.",
    )


@notifications.command("show")
@click.argument("notification_id", metavar="ID")
@json_option
@reads_settings
def show(notification_id: str, as_json: bool) -> None:
    """Show a notification with every attempt: what was sent, what was signed, what came back."""
    with open_data() as data:
        if as_json:
            print_json(data.read(lambda tx: notification_record(tx, get_notification(tx, notification_id))))
            return
        one, attempts, mischief = data.read(
            lambda tx: (
                get_notification(tx, notification_id),
                attempts_of(tx, notification_id),
                mischief_of(tx, notification_id),
            )
        )
    print_facts(
        [
            ("Id", one.id),
            ("Client-Id", one.merchant_id),
            ("Payment", one.payment_id),
            ("State", one.state.value),
            ("Made", wib(one.created_at)),
            ("Next attempt", wib(one.due_at)),
            ("URL", one.url),
            *(("Mischief", f"{done.kind.value}, {wib(done.at)}: {done.what}") for done in mischief),
        ]
    )
    heading("Body")
    click.echo(indented(one.body.decode()))
    for attempt in attempts:
        _show_attempt(attempt)
    if not attempts:
        heading("No attempt so far")


@notifications.command("resend")
@click.argument("notification_id", metavar="ID")
@json_option
@reads_settings
def resend_one(notification_id: str, as_json: bool) -> None:
    """Deliver a notification once more, now, whatever happened before.

    The running server or worker delivers it; this waits up to 3 seconds for the merchant's answer.
    """
    with open_data() as data:
        before = data.read(lambda tx: len(attempts_of(tx, notification_id)))
        now = data.now()
        data.write(lambda tx: resend(tx, notification_id, now=now))
        delivered = wait_for(lambda: data.read(lambda tx: len(attempts_of(tx, notification_id))) > before)
        if not delivered:
            raise Failure(_why_not(data, notification_id))
        if as_json:
            print_json(data.read(lambda tx: notification_record(tx, get_notification(tx, notification_id))))
            return
        last = data.read(lambda tx: attempts_of(tx, notification_id))[-1]
    if not last.succeeded:
        raise Failure(f"sent, but {_short(last)}; `gerbang notifications show {notification_id}` has the whole exchange")
    click.echo(f"Delivered: {_short(last)} in {last.duration_ms} ms.")


def _why_not(data: Data, notification_id: str) -> str:
    """Why nothing was delivered in time."""
    real = real_now()
    one, earlier, under_way = data.read(lambda tx: _standing(tx, notification_id, real))
    if under_way:
        return (
            f"sent, but {one.endpoint} has not answered within {PATIENCE_S:g} s; `gerbang notifications show {one.id}` will tell"
        )
    if earlier is not None:
        return f"it waits behind {earlier.id} of the same payment, due {wib(earlier.due_at)}; they arrive in order, so resend that one first"
    return f"it is due, but nothing delivered it within {PATIENCE_S:g} s; start `gerbang serve` or `gerbang worker` on this data"


def _standing(tx: Tx, notification_id: str, real: datetime) -> tuple[Notification, Notification | None, bool]:
    one = get_notification(tx, notification_id)
    siblings = list_notifications(tx, order_id=one.order_id, limit=1000)
    earlier = [other for other in siblings if other.payment_id == one.payment_id and other.id < one.id and other.due_at]
    return one, earlier[0] if earlier else None, is_under_way(tx, one.id, real=real)


def _short(attempt: Exchange) -> str:
    if attempt.error:
        return attempt.error
    return f"answered {attempt.status}"


def _show_attempt(attempt: Attempt) -> None:
    heading(f"Attempt {attempt.number}, {wib(attempt.at)}: {_short(attempt)} after {attempt.duration_ms} ms")
    if attempt.before is not None:
        click.echo(f"  {click.style(f'Token asked from {attempt.before.url}: {_short(attempt.before)}', dim=True)}")
        _show_exchange(attempt.before)
        if attempt.request_headers:
            click.echo(f"  {click.style('The notification with that token', dim=True)}")
    _show_exchange(attempt)


def _show_exchange(attempt: Exchange) -> None:
    parts = [
        ("Request headers", _headers(attempt.request_headers)),
        ("String that was signed", attempt.string_to_sign),
        ("Answer headers", _headers(attempt.answer_headers)),
        ("Answer", attempt.answer_body),
    ]
    for name, text in parts:
        if text:
            click.echo(f"  {click.style(name, dim=True)}")
            click.echo(indented(text))


def _headers(headers: dict[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers.items())
