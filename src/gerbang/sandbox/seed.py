"""The demo merchant and wallet accounts a sandbox starts with."""

from datetime import datetime

from gerbang.ids import new_id
from gerbang.ledger import Transfer, account, post
from gerbang.merchants import create, find, update
from gerbang.money import Rupiah
from gerbang.settings import SANDBOX_SECRET_KEY
from gerbang.storage import ConstraintBroken, Retry, Tx
from gerbang.wallet import PinHasher, create_account, wallet_ledger_account
from gerbang.wallet.demo import DEMO_ACCOUNTS, DEMO_PIN, PLAYER

DEMO_CLIENT_ID = "BRN-0001-1700000000001"
DEMO_NAME = "Pasar Pagi"

_TABLES = (
    "payment_code",
    "further_payment",
    "simulated_report",
    "simulated_order",
    "unexpected_money",
    "attempt",
    "notification",
    "event",
    "card_question",
    "card_authentication",
    "card_charge",
    "card_token",
    "vault_use",
    "vault_card",
    "snap_token",
    "snap_external_id",
    "partner_reference",
    "wallet_registration",
    "one_time_code",
    "message",
    "binding_request",
    "binding",
    "auth_code",
    "wallet_operation",
    "kyc",
    "simulated_transfer",
    "simulated_answer",
    "simulated_challenge",
    "refund",
    "payment",
    "orders",
    "reply",
    "signed_body",
    "transfer",
    "balance",
    "wallet_account",
    "pin_count",
    "merchant",
    "instance",
)


def is_seeded(tx: Tx) -> bool:
    """Whether this database has its demo data (a merchant removed by hand stays removed)."""
    return tx.one("select 1 as found from instance where name = 'seeded'") is not None


def seed(tx: Tx, *, pin_hash: str, notification_url: str | None, now: datetime) -> None:
    """Write the demo merchant and accounts, once."""
    # Two processes that start at once on a new PostgreSQL: the second waits here and finds it done.
    if tx.execute("insert into instance (name, value) values ('seeded', '1') on conflict do nothing") != 1:
        return
    if find(tx, DEMO_CLIENT_ID) is None:
        create(
            tx,
            name=DEMO_NAME,
            client_id=DEMO_CLIENT_ID,
            secret_key=SANDBOX_SECRET_KEY,
            notification_url=notification_url,
            now=now,
        )
    for demo in (*DEMO_ACCOUNTS, PLAYER):
        create_account(
            tx,
            phone=demo.phone,
            name=demo.name,
            email=demo.email,
            level=demo.level,
            status=demo.status,
            account_id=demo.account_id,
            pin_hash=pin_hash,
            now=now,
        )
        if demo.balance:
            opening = Transfer(
                debit=account("cash", "sandbox"),
                credit=wallet_ledger_account(demo.account_id),
                amount=Rupiah(demo.balance),
                entry="topup",
            )
            post(tx, [opening], cause=new_id("top"), now=now)


def point_at_shop(tx: Tx, notification_url: str) -> None:
    """Let the demo merchant be notified at this run's shop, unless somebody gave it an address of their own."""
    merchant = find(tx, DEMO_CLIENT_ID)
    if merchant is None or merchant.notification_url == notification_url:
        return
    if merchant.notification_url is None or merchant.notification_url.endswith("/demo/notifications"):
        update(tx, DEMO_CLIENT_ID, notification_url=notification_url)


def demo_pin_hash(hasher: PinHasher) -> str:
    """The hash of the demo PIN. Slow on purpose: make it outside the transaction."""
    return hasher.hash(DEMO_PIN)


def wipe(tx: Tx) -> None:
    """Empty every table."""
    try:
        for table in _TABLES:
            tx.execute(f"delete from {table}")  # noqa: S608 - fixed names
    except ConstraintBroken:
        # On PostgreSQL somebody wrote beside us, between two of these, a row that needs one we delete: once more, with theirs.
        raise Retry from None
