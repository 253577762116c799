"""What a server says when it listens: where it is, with which keys, and a first request to paste."""

from typing import TYPE_CHECKING

import click

from gerbang import __version__
from gerbang.cli.data import shown_address
from gerbang.merchants import Merchant, find, list_all
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.storage import Tx

if TYPE_CHECKING:
    from gerbang.app import Gateway

# Pasted into bash or zsh, on Debian and macOS. In brackets, so that no variable stays behind in the terminal. printf turns
# its \n into the line feeds that are signed.
_FIRST_PAYMENT = r"""(
  URL={url} TARGET={target} CLIENT={client_id} SECRET={secret_key}
  ID=$(date +%s) TS=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  BODY='{{"order":{{"invoice_number":"INV-'$ID'","amount":50000}}}}'
  DIGEST=$(printf %s "$BODY" | openssl dgst -sha256 -binary | base64)
  SIGNATURE=$(printf 'Client-Id:%s\nRequest-Id:%s\nRequest-Timestamp:%s\nRequest-Target:%s\nDigest:%s' \
    "$CLIENT" "$ID" "$TS" "$TARGET" "$DIGEST" | openssl dgst -sha256 -hmac "$SECRET" -binary | base64)
  curl -sS "$URL$TARGET" -H "Client-Id: $CLIENT" -H "Request-Id: $ID" -H "Request-Timestamp: $TS" \
    -H "Signature: HMACSHA256=$SIGNATURE" -H 'Content-Type: application/json' -d "$BODY"; echo
)"""


def banner(gateway: "Gateway", url: str, *, demo: bool) -> str:
    """The text. Keys appear in the sandbox only."""
    settings = gateway.settings
    facts = [("API", url), ("Data", shown_address(settings.data))]
    if settings.data == ":memory:":
        facts[1] = ("Data", "in memory; it is gone when this stops")
    if demo:
        facts.insert(0, ("Shop", f"{url}/demo"))
    if not settings.is_sandbox:
        facts.append(("Listens", f"{settings.host} port {settings.port}"))
        return _page(f"Gerbang {__version__}, production", facts)
    merchant = gateway.database.read_now(_shown_merchant)
    if merchant is not None:
        facts += [("Client-Id", merchant.client_id), ("Secret key", merchant.secret_key)]
    text = _page(f"Gerbang {__version__}, sandbox: no real money", facts)
    if merchant is None:
        return f"{text}\nThere is no merchant: gerbang merchant create --name NAME\n"
    first = click.style("A first payment, to paste into a terminal:", bold=True)
    return f"{text}\n{first}\n\n{first_payment(merchant, url)}\n"


def first_payment(merchant: Merchant, url: str) -> str:
    """Shell lines that create a signed payment and print the answer with its payment page."""
    return _FIRST_PAYMENT.format(
        url=url, target="/dokuwallet-emoney/v1/payment", client_id=merchant.client_id, secret_key=merchant.secret_key
    )


def _shown_merchant(tx: Tx) -> Merchant | None:
    return find(tx, DEMO_CLIENT_ID) or next(iter(list_all(tx)), None)


def _page(title: str, facts: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in facts)
    lines = [f"  {click.style(name.ljust(width), dim=True)}  {value}" for name, value in facts]
    return "\n".join(["", click.style(title, bold=True), "", *lines, ""])
