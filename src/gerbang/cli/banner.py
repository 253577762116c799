"""What a server says when it listens: where it is, with which keys, and a first request to paste."""

from typing import TYPE_CHECKING

import click
import msgspec

from gerbang import __version__
from gerbang.cli.data import shown_address
from gerbang.merchants import Merchant, find, list_all
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.storage import Tx
from gerbang.wallet.demo import DEMO_ACCOUNTS, DEMO_PIN

if TYPE_CHECKING:
    from gerbang.app import Gateway

# Pasted into bash or zsh, on Debian and macOS. In brackets, so that no variable stays behind in the terminal. printf turns
# its \n into the line feeds that are signed.
_FIRST_PAYMENT = r"""(
  URL={url} TARGET={target} CLIENT={client_id} SECRET={secret_key}
  ID=$(date +%s) TS=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  BODY='{{"order":{{"invoice_number":"INV-'$ID'","amount":50000{more}}}}}'
  DIGEST=$(printf %s "$BODY" | openssl dgst -sha256 -binary | base64)
  SIGNATURE=$(printf 'Client-Id:%s\nRequest-Id:%s\nRequest-Timestamp:%s\nRequest-Target:%s\nDigest:%s' \
    "$CLIENT" "$ID" "$TS" "$TARGET" "$DIGEST" | openssl dgst -sha256 -hmac "$SECRET" -binary | base64)
  curl -sS "$URL$TARGET" -H "Client-Id: $CLIENT" -H "Request-Id: $ID" -H "Request-Timestamp: $TS" \
    -H "Signature: HMACSHA256=$SIGNATURE" -H 'Content-Type: application/json' -d "$BODY"; echo
)"""

_SHOP_URLS = """,
    "notify_url":"'$URL'/demo/notifications","success_url":"'$URL'/demo/orders/INV-'$ID'?from=gateway\""""


class ListeningRecord(msgspec.Struct, omit_defaults=True):
    """Where a server listens, for programs. Keys appear in the sandbox only."""

    url: str
    port: int
    mode: str
    data: str
    shop_url: str | None = None
    client_id: str | None = None
    secret_key: str | None = None


def listening_record(gateway: "Gateway", url: str, *, port: int, demo: bool) -> ListeningRecord:
    """What the banner says, for programs."""
    settings = gateway.settings
    record = ListeningRecord(url, port, settings.mode, shown_address(settings.data), f"{url}/demo/" if demo else None)
    merchant = gateway.database.read_now(_shown_merchant) if settings.is_sandbox else None
    if merchant is not None:
        record.client_id, record.secret_key = merchant.client_id, merchant.secret_key
    return record


def banner(gateway: "Gateway", url: str, *, demo: bool) -> str:
    """The text. Keys appear in the sandbox only."""
    settings = gateway.settings
    facts = [("API", url), ("Data", shown_address(settings.data))]
    if settings.data == ":memory:":
        facts[1] = ("Data", "in memory; it is gone when this stops")
    if demo:
        facts.insert(0, ("Shop", f"{url}/demo/"))
    if not settings.is_sandbox:
        facts.append(("Listens", f"{settings.host} port {settings.port}"))
        return _page(f"Gerbang {__version__}, production", facts)
    merchant = gateway.database.read_now(_shown_merchant)
    if merchant is not None:
        facts += [("Client-Id", merchant.client_id), ("Secret key", merchant.secret_key)]
    buyer = DEMO_ACCOUNTS[0]
    if merchant is not None and merchant.client_id == DEMO_CLIENT_ID:
        facts.append(("Demo buyer", f"{buyer.phone}, PIN {DEMO_PIN}"))
        # No number here: what is printed ends in logs, and a log never holds a card number, not even one that everybody knows.
        facts.append(("Test cards", "on the card page's sandbox bar, and in docs/guides/test-cards.md"))
    text = _page(f"Gerbang {__version__}, sandbox: no real money", facts)
    if merchant is None:
        return f"{text}\nThere is no merchant: gerbang merchant create --name NAME\n"
    first = click.style("A first payment, to paste into a terminal:", bold=True)
    return f"{text}\n{first}\n\n{first_payment(merchant, url, demo=demo)}\n"


def first_payment(merchant: Merchant, url: str, *, demo: bool) -> str:
    """Shell lines that create a signed payment and print the answer with its payment page.

    demo  let the shop hear of it, and lead the buyer back to the order's page there
    """
    return _FIRST_PAYMENT.format(
        url=url,
        target="/dokuwallet-emoney/v1/payment",
        client_id=merchant.client_id,
        secret_key=merchant.secret_key,
        more=_SHOP_URLS if demo and merchant.client_id == DEMO_CLIENT_ID else "",
    )


def _shown_merchant(tx: Tx) -> Merchant | None:
    return find(tx, DEMO_CLIENT_ID) or next(iter(list_all(tx)), None)


def _page(title: str, facts: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in facts)
    lines = [f"  {click.style(name.ljust(width), dim=True)}  {value}" for name, value in facts]
    return "\n".join(["", click.style(title, bold=True), "", *lines, ""])
