"""The pages' own files, each under a name that contains its hash, so that browsers may keep it for ever.

Merchants' themes are files too, named by their four colours (`theme.py`).
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from gerbang.web.theme import integrity, theme_named

STATIC = Path(__file__).parent / "static"

# One request for both style sheets: the tokens are useless alone and change together with the rules.
_BUNDLES: dict[str, tuple[str, ...]] = {
    "pay.css": ("tokens.css", "pay.css"),
    "pay.js": ("pay.js",),
    # The card pages: the same and more, still one request each.
    "card.css": ("tokens.css", "pay.css", "card.css"),
    "card.js": ("pay.js", "card.js"),
    # The wallet's own pages over SNAP.
    "wallet.css": ("tokens.css", "pay.css", "wallet.css"),
    "wallet.js": ("pay.js", "wallet.js"),
    # The sandbox's pretend bank.
    "bank.css": ("tokens.css", "bank.css"),
    "bank.js": ("bank.js",),
    # Other pretend counterparties, and the desk where testers find them.
    "simulator.css": ("tokens.css", "pay.css", "simulator.css"),
    "simulator.js": ("pay.js", "simulator.js"),
    "favicon.svg": ("favicon.svg",),
}
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_PURPOSES = {
    "bank.js": "Sandbox only, the pretend bank's page: hands over the result, marks the next cell, countdown, one press.",
    "simulator.js": "Sandbox only, pretend wallets, lenders and tills: all of pay.js, names the chosen plan, asks for the answer, keeps the desk fresh.",
    "pay.js": "Wallet and result pages: one press pays once, countdown, show PIN, move focus to errors, wait for an answer.",
    "wallet.js": "Wallet pages for partners: all of pay.js, and in the sandbox's SMS inbox copies codes and looks for new messages.",
    "card.js": "Card pages: all of pay.js, and groups digits, names the brand, previews promo and plans, checks fields before submit.",
}


class Address(str):
    """The URL of a file, and the fingerprint that a browser compares it with (subresource integrity)."""

    __slots__ = ("integrity",)
    integrity: str

    def __new__(cls, url: str, content: bytes) -> "Address":
        address = super().__new__(cls, url)
        address.integrity = integrity(content)
        return address


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as delivered: plain and compressed bytes are both made once, at start."""

    url: Address
    content_type: str
    plain: bytes
    gzipped: bytes


@dataclass(frozen=True, slots=True)
class ScriptEntry:
    """One line of the script inventory (PCI DSS 6.4.3). `size` in bytes, uncompressed: zlibs differ, content does not."""

    source: str
    url: str
    purpose: str
    size: int
    integrity: str


class Assets:
    """The static directory, read once. Route `/assets/{name}` to `serve`."""

    def __init__(self, directory: Path = STATIC) -> None:
        self._by_source: dict[str, Asset] = {}
        self._by_name: dict[str, Asset] = {}
        for source, parts in _BUNDLES.items():
            plain = b"\n".join((directory / part).read_bytes() for part in parts)
            stem, suffix = source.rsplit(".", 1)
            name = f"{stem}.{hashlib.sha256(plain).hexdigest()[:10]}.{suffix}"
            # mtime=0: two processes must produce the same bytes
            address = Address(f"/assets/{name}", plain)
            asset = Asset(address, _TYPES[f".{suffix}"], plain, gzip.compress(plain, 9, mtime=0))
            self._by_source[source] = self._by_name[name] = asset

    def url(self, source: str) -> Address:
        """`"pay.css"` → `/assets/pay.0123456789.css`, with its `.integrity`. Raises KeyError for a file we do not deliver."""
        return self._by_source[source].url

    def get(self, source: str) -> Asset:
        """The file behind `url(source)`."""
        return self._by_source[source]

    def script_inventory(self) -> tuple[ScriptEntry, ...]:
        """Every script a hosted page can load. One without a stated purpose raises KeyError: it may not be delivered."""
        return tuple(
            ScriptEntry(source, asset.url, _PURPOSES[source], len(asset.plain), asset.url.integrity)
            for source, asset in sorted(self._by_source.items())
            if source.endswith(".js")
        )

    async def serve(self, request: Request) -> Response:
        """Answer GET and HEAD for one hashed name; an old or invented name is 404 and may not be kept."""
        folder, _, name = request.url.path.rpartition("/")
        asset = _theme_asset(name) if folder.endswith("/theme") else self._by_name.get(name)
        if asset is None:
            return Response(b"Not found\n", 404, {"Cache-Control": "no-store"}, "text/plain; charset=utf-8")
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        body = asset.plain
        if _accepts_gzip(request.headers.get("accept-encoding", "")):
            body, headers["Content-Encoding"] = asset.gzipped, "gzip"
        return Response(body, 200, headers, asset.content_type)


def script_inventory() -> str:
    """`docs/script-inventory.md`: which scripts the hosted pages load, why, and how each is held to its content."""
    lines = [
        "# Script inventory",
        "",
        "Generated from `gerbang.web.assets`; `make snapshots` writes it anew. For PCI DSS 6.4.3: every script on a page where cards are",
        "typed, why it is there, and the hash that browsers check before they run it. There is no inline script and none from",
        "another host; the Content-Security-Policy of each page allows `script-src 'self'` and nothing else.",
        "",
        "| Script | Purpose | Bytes | Integrity |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{entry.url}` | {entry.purpose} | {entry.size} | `{entry.integrity}` |" for entry in Assets().script_inventory()
    ]
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=512)
def _theme_asset(name: str) -> Asset | None:
    theme = theme_named(name)
    if theme is None:
        return None
    plain = theme.css.encode()
    return Asset(Address(theme.url, plain), _TYPES[".css"], plain, gzip.compress(plain, 9, mtime=0))


def _accepts_gzip(header: str) -> bool:
    for offer in header.lower().split(","):
        coding, _, weight = offer.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
