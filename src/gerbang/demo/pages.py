"""Files and pages of the shop: what is sent, under which names, with which headers."""

import hashlib
import io
import keyword
import re
import secrets
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gerbang.demo import words
from gerbang.demo.goods import METHODS, PRODUCTS, Cart, read_cart, total, write_cart
from gerbang.demo.orders import WIB, Order, State
from gerbang.money import format_rupiah

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

CART_COOKIE = "pasar_pagi_cart"
LANGUAGE_COOKIE = "pasar_pagi_language"
CUSTOMER_COOKIE = "pasar_pagi_customer"

_ASSETS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """A file under a name that changes with its content, so browsers may keep it for ever."""

    name: str
    media_type: str
    content: bytes


def read_assets() -> dict[str, Asset]:
    """By kind: css, js, svg. The design tokens are Gerbang's own file, put in front of the shop's rules."""
    here = files("gerbang.demo") / "static"
    tokens = files("gerbang") / "web" / "static" / "tokens.css"
    contents = {kind: (here / f"shop.{kind}").read_bytes() for kind in _ASSETS}
    contents["css"] = tokens.read_bytes() + b"\n" + contents["css"]
    return {
        kind: Asset(f"shop-{hashlib.sha256(content).hexdigest()[:12]}.{kind}", _ASSETS[kind], content)
        for kind, content in contents.items()
    }


def language_of(request: Request) -> str:
    """What `?lang=` asks for, else what it asked for last time, else Indonesian."""
    asked = (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE))
    return next((language for language in asked if language in words.LANGUAGES), words.LANGUAGES[0])


def cart_of(request: Request) -> Cart:
    return read_cart(request.cookies.get(CART_COOKIE, ""))


def customer_of(request: Request) -> str:
    """Who this browser is, for saved cards. A shop with a login has an id of its own; here nobody could guess one."""
    known = request.cookies.get(CUSTOMER_COOKIE, "")
    return known if re.fullmatch(r"PP-[\w-]{16}", known) else f"PP-{secrets.token_urlsafe(12)}"


class Pages:
    """Renders pages for one shop. Jinja is imported with the first page, not with the server."""

    def __init__(self, *, gateway_url: str, public_url: str) -> None:
        self.base = urlsplit(public_url).path.rstrip("/")
        self._secure = public_url.startswith("https:")
        self._assets = read_assets()
        self.assets = {asset.name: asset for asset in self._assets.values()}
        self._policy = content_security_policy(gateway_url)

    @cached_property
    def _environment(self) -> "Environment":
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("gerbang.demo", "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
        )
        environment.globals.update(
            base=self.base,
            css=self._assets["css"].name,
            js=self._assets["js"].name,
            svg=self._assets["svg"].name,
            rupiah=format_rupiah,
        )
        return environment

    def _respond(
        self, request: Request, template: str, *, status: int = 200, background: BackgroundTask | None = None, **facts: Any
    ) -> HTMLResponse:
        language = language_of(request)
        cart = facts.pop("cart", None)
        cart = cart_of(request) if cart is None else cart
        html = self._environment.get_template(template).render(
            lang=language,
            t=words.TEXT[language],
            # Language links lead to this page again, unless a form was posted to it.
            here=request.url.path if request.method in ("GET", "HEAD") and status == 200 else f"{self.base}/",
            cart=cart,
            cart_count=sum(cart.values()),
            cart_items=words.items(sum(cart.values()), language),
            **facts,
        )
        response = HTMLResponse(html, status, background=background)
        if request.query_params.get("lang") == language:
            self.keep(response, LANGUAGE_COOKIE, language)
        response.headers["Content-Security-Policy"] = self._policy
        response.headers["Cache-Control"] = "no-store"
        return response

    def keep(self, response: Response, cookie: str, value: str) -> None:
        """Remember something for this shop only. Lax, so that it is still there when the buyer comes back from paying."""
        response.set_cookie(
            cookie, value, max_age=30 * 86_400, path=f"{self.base}/", httponly=True, samesite="lax", secure=self._secure
        )

    def catalogue(self, request: Request, *, form_key: str) -> HTMLResponse:
        cart = cart_of(request)
        return self._respond(
            request,
            "catalogue.html",
            products=PRODUCTS,
            methods=METHODS,
            cart=cart,
            written_cart=write_cart(cart),
            total=total(cart),
            form_key=form_key,
        )

    def order(
        self, request: Request, order: Order, *, watch: bool, notify_path: str, code: str, background: BackgroundTask | None
    ) -> HTMLResponse:
        """The page of one order. `watch`: it will change, so the browser should look again."""
        language = language_of(request)
        icon, role, by_language = words.STATES[order.state]
        chip, sentence = by_language[language]
        still_open = order.state == State.WAITING and order.returned_at is not None and order.last_status not in (None, "SUCCESS")
        if still_open:
            sentence = words.STILL_OPEN[language].format(status=order.last_status)
        timeline = []
        for event in order.events:
            title, detail = words.event_words(event, order, language)
            event_icon, event_role, _ = words.EVENTS[event.kind]
            timeline.append(
                {
                    "at": event.at,
                    "clock": f"{event.at.astimezone(WIB):%H:%M:%S}",
                    "icon": event_icon,
                    "role": event_role,
                    "title": title,
                    "detail": detail,
                }
            )
        return self._respond(
            request,
            "order.html",
            background=background,
            order=order,
            chip={"icon": icon, "role": role, "word": chip},
            sentence=sentence,
            timeline=timeline,
            date=words.long_date(order.made_at, language),
            watch=watch,
            can_continue=order.state == State.WAITING and order.payment_url is not None,
            can_repeat=bool(order.cart) and (still_open or order.state in (State.UNSENT, State.CANCELLED, State.EXPIRED)),
            still_open=still_open,
            card=words.card_lines(order.card, language) if order.card else [],
            notify_path=notify_path,
            code=highlighted(code),
        )

    def message(self, request: Request, status: int, name: str) -> HTMLResponse:
        """A page that only says something; `name` is a pair of texts, `{name}_title` and `{name}`."""
        return self._respond(request, "message.html", status=status, name=name)


def content_security_policy(gateway_url: str) -> str:
    """Nothing inline, nothing from elsewhere.

    Chromium applies form-action to the redirect after a form as well, and paying is a form that ends on the gateway's
    page. Its address need not be the API's (at DOKU it is not), hence any https, and any local port beside it.
    """
    gateway = urlsplit(gateway_url)
    targets = f"'self' https: {gateway.scheme}://{gateway.netloc}"
    if gateway.hostname in ("127.0.0.1", "localhost"):
        targets += " http://127.0.0.1:* http://localhost:*"
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        f"form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )


def highlighted(source: str) -> "Markup":
    """Python source with keywords, strings and comments in spans; the text is not changed in any other way."""
    from markupsafe import Markup, escape

    parts: list[str] = []
    place = _place_in(source)
    done = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = _kind(token)
        if kind is None:
            continue
        start, end = place(token.start), place(token.end)
        parts += [escape(source[done:start]), Markup('<span class="{}">{}</span>').format(kind, source[start:end])]
        done = end
    return Markup("").join([*parts, escape(source[done:])])


def _kind(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.COMMENT:
        return "note"
    # From Python 3.12 an f-string is several tokens; plain strings are enough for a highlight.
    if token.type == tokenize.STRING:
        return "text"
    return "word" if token.type == tokenize.NAME and keyword.iskeyword(token.string) else None


def _place_in(source: str) -> Callable[[tuple[int, int]], int]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return lambda at: starts[at[0] - 1] + at[1]
