"""The pages' own files, each under a name that contains its hash, so that browsers may keep it for ever."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

STATIC = Path(__file__).parent / "static"

# One request for both style sheets: the tokens are useless alone and change together with the rules.
_BUNDLES: dict[str, tuple[str, ...]] = {
    "pay.css": ("tokens.css", "pay.css"),
    "pay.js": ("pay.js",),
    "favicon.svg": ("favicon.svg",),
}
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as delivered: plain and compressed bytes are both made once, at start."""

    url: str
    content_type: str
    plain: bytes
    gzipped: bytes


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
            asset = Asset(f"/assets/{name}", _TYPES[f".{suffix}"], plain, gzip.compress(plain, 9, mtime=0))
            self._by_source[source] = self._by_name[name] = asset

    def url(self, source: str) -> str:
        """`"pay.css"` → `/assets/pay.0123456789.css`. Raises KeyError for a file we do not deliver."""
        return self._by_source[source].url

    def get(self, source: str) -> Asset:
        """The file behind `url(source)`."""
        return self._by_source[source]

    async def serve(self, request: Request) -> Response:
        """Answer GET and HEAD for one hashed name; an old or invented name is 404 and may not be kept."""
        asset = self._by_name.get(request.url.path.rsplit("/", 1)[-1])
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


def _accepts_gzip(header: str) -> bool:
    for offer in header.lower().split(","):
        coding, _, weight = offer.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
