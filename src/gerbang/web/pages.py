"""Hosted pages: templates in, bytes and strict headers out.

Templates live in `gerbang/web/templates` and, for what belongs to one channel, in that channel's room
(`doku_wallet/login.html` is `gerbang/channels/doku_wallet/login.html`). Their records are in `views.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response

from gerbang.clock import WIB
from gerbang.money import dotted, format_rupiah
from gerbang.web import i18n
from gerbang.web.assets import Assets
from gerbang.web.info_words import INFO
from gerbang.web.views import Lang

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"
_ROOMS = Path(__file__).parent.parent / "channels"
_HOUSE = Path(__file__).parent.parent  # `providers/app.html` is `gerbang/providers/app.html`


class Pages:
    """Renders templates in both languages.

    sandbox  whether this installation is one. A page shows demo accounts only when the installation and its own
             `Shell` agree, so that one wrong flag cannot print PINs in production.
    """

    def __init__(self, assets: Assets, *, sandbox: bool) -> None:
        self._assets = assets
        self._sandbox = sandbox
        self._environments: dict[Lang, Environment] = {}

    def render(self, template: str, *, lang: Lang, **context: object) -> bytes:
        """The page as UTF-8. A name the template needs and `context` lacks raises jinja2.UndefinedError."""
        environment = self._environments.get(lang) or self._make_environment(lang)
        return environment.get_template(template).render(context).encode()

    def _make_environment(self, lang: Lang) -> Environment:
        # Imported here because jinja2 costs a good part of the server's start, and most installations
        # answer many API calls before the first page. One environment per language, so that macros see
        # `t` and the formatters as globals and are compiled and cached without a context.
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader([_TEMPLATES, _ROOMS, _HOUSE]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals.update(_vocabulary(lang))
        environment.globals["asset"] = self._assets.url
        environment.globals["sandbox_installation"] = self._sandbox
        return self._environments.setdefault(lang, environment)


def _vocabulary(lang: Lang) -> Mapping[str, object]:
    """What every template may call; the language is already decided."""

    def t(key: str, **values: object) -> str:
        return i18n.text(lang, key, **values)

    def deadline(moment: datetime, now: datetime) -> str:
        """A clock time, with its date when that is not today's."""
        today = moment.astimezone(WIB).date() == now.astimezone(WIB).date()
        return i18n.clock_time(moment, lang) if today else i18n.date_time(moment, lang)

    def seconds_left(expires_at: datetime, now: datetime) -> int:
        return max(0, int((expires_at - now).total_seconds()))

    return {
        "t": t,
        "lang": lang,
        "rupiah": format_rupiah,
        "dotted": dotted,
        "initials": initials,
        "deadline": deadline,
        "seconds_left": seconds_left,
        "time_left": lambda expires_at, now: i18n.time_left(expires_at, now, lang),
        "clock_time": lambda moment: i18n.clock_time(moment, lang),
        "date_time": lambda moment: i18n.date_time(moment, lang),
        "demo_note": lambda note: i18n.demo_note(note, lang),
        "info_sections": lambda topic: INFO[lang][topic],
    }


def initials(name: str) -> str:
    """`Pasar Pagi` → `PP`: one or two letters for the square that stands for a shop or a person."""
    words = [word for word in name.split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "·"


def page_response(html: bytes, *, status: int = 200, frame_ancestors: str, frame_source: str = "") -> Response:
    """An HTML answer that may run and load nothing but our own files.

    frame_ancestors  a CSP source list: "'none'", or who may frame the page where DOKU documents framing
    frame_source     the origin of the one page this one frames (a bank's), if any

    There is deliberately no `form-action`: after the buyer posts a form the answer is a 303 to the merchant's own
    address, Chromium checks that redirect against `form-action` too, and the addresses cannot be listed beforehand.
    """
    assert not set(frame_ancestors + frame_source) & set(";,\r\n"), (frame_ancestors, frame_source)
    framed = f"frame-src {frame_source}; " if frame_source else ""
    headers = {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
            # connect-src: the waiting page asks its own address whether the answer has come
            f"connect-src 'self'; {framed}base-uri 'none'; frame-ancestors {frame_ancestors}"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
    if frame_ancestors == "'none'":
        headers["X-Frame-Options"] = "DENY"
    return Response(html, status, headers, "text/html; charset=utf-8")
