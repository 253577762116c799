"""What the room's pages have in common: language, headers, form tokens, how a visit ends."""

import time
from collections import OrderedDict
from datetime import datetime

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gerbang.channels.doku_wallet_snap.views import Ending
from gerbang.ids import new_id
from gerbang.merchants import Merchant
from gerbang.phones import is_phone
from gerbang.wallet.demo import DEMO_ACCOUNTS, DEMO_PIN, Demo
from gerbang.web import i18n, sessions
from gerbang.web.forms import text
from gerbang.web.pages import page_response
from gerbang.web.views import DemoAccount, Lang, Shell
from gerbang.web.wiring import Wiring

# Longer than any of these pages lives: what they lead to has a deadline of its own.
_FORM_MIN = 60


class Front:
    """The parts of the running gateway, as these pages use them."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self.settings = wiring.settings
        self.database = wiring.database
        self._key = wiring.settings.key("wallet pages")

    def now(self) -> datetime:
        """Business time."""
        return self.wiring.clock.now()

    # -- who is speaking

    def lang(self, request: Request, form: FormData | None = None) -> Lang:
        """The form's, else the address's, else the browser's."""
        wanted = (text(form, "lang") if form is not None else "") or request.query_params.get("lang")
        return i18n.choose_language(wanted, request.headers.get("accept-language"))

    def form_token(self, subject: str) -> str:
        """Says that a form was shown by us, for this and nothing else."""
        return self.session(subject, "")

    def shown_by_us(self, form: FormData, subject: str) -> bool:
        """Whether this form came with its token."""
        return sessions.read(self._key, text(form, "form"), payment_id=subject, now=self.now()) is not None

    def session(self, subject: str, account_id: str) -> str:
        """Says that this account's PIN was right."""
        return sessions.issue(self._key, payment_id=subject, account_id=account_id, now=self.now(), minutes=_FORM_MIN)

    def signed_in(self, form: FormData, subject: str) -> str | None:
        """The account whose PIN was right."""
        return sessions.read(self._key, text(form, "session"), payment_id=subject, now=self.now()) or None

    def demo(self, request: Request) -> Demo | None:
        """Sandbox: the demo account that the visitor wants to be."""
        if not self.settings.is_sandbox:
            return None
        return next((one for one in DEMO_ACCOUNTS if one.key == request.query_params.get("as")), None)

    def demo_accounts(self) -> tuple[DemoAccount, ...]:
        """Sandbox: accounts whose PIN everybody may know."""
        if not self.settings.is_sandbox:
            return ()
        return tuple(DemoAccount(one.key, one.name, one.note, one.phone, DEMO_PIN) for one in DEMO_ACCOUNTS)

    def demo_pin_of(self, account_id: str | None) -> str:
        """Sandbox: the PIN of a demo account; empty for anybody else's."""
        known = self.settings.is_sandbox and any(one.account_id == account_id for one in DEMO_ACCOUNTS)
        return DEMO_PIN if known else ""

    # -- answers

    def page(
        self,
        template: str,
        *,
        lang: Lang,
        path: str,
        merchant: Merchant | None,
        subject: str = "",
        status: int = 200,
        **context: object,
    ) -> Response:
        """A page. A PIN is typed here: in production only the sites a merchant names may frame it."""
        shell = Shell(
            lang=lang,
            sandbox=self.settings.is_sandbox,
            title="",
            merchant_name=merchant.name if merchant else "",
            page_url=path,
            request_id=subject or new_id("req"),
        )
        framing = "'none'"
        if merchant is not None:
            framing = "*" if self.settings.is_sandbox else merchant.options.frame_ancestors or "'none'"
        html = self.wiring.pages.render(template, lang=lang, shell=shell, **context)
        return page_response(html, status=status, frame_ancestors=framing)

    def ending(
        self,
        ending: Ending,
        *,
        lang: Lang,
        path: str,
        merchant: Merchant | None,
        subject: str = "",
        page_token: str = "",
        status: int = 200,
    ) -> Response:
        """The page that says how a visit ended."""
        return self.page(
            "doku_wallet_snap/ended.html",
            lang=lang,
            path=path,
            merchant=merchant,
            subject=subject,
            status=status,
            page_token=page_token,
            end=ending,
        )

    def not_found(self, lang: Lang, path: str) -> Response:
        """No such link, or one that a newer one replaced. Which of them is not told."""
        gone = Ending("shut", i18n.text(lang, "link_gone"), i18n.text(lang, "link_gone_text"))
        return self.ending(gone, lang=lang, path=path, merchant=None, status=404)


def leave(url: str) -> Response:
    """Send the browser on. What is in the address (an auth code) is nobody else's."""
    return RedirectResponse(url, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def is_id(value: str) -> bool:
    """Whether it may be looked for at all: PostgreSQL would not even take a NUL."""
    return 0 < len(value) <= 128 and value.isascii() and value.isprintable()


def phone_error(phone: str) -> str | None:
    """What is wrong with a phone number as typed, as a key of `i18n`."""
    if not phone:
        return "phone_missing"
    return None if is_phone(phone) else "phone_invalid"


def pin_error(pin: str) -> str | None:
    """What is wrong with a PIN as typed, as a key of `i18n`."""
    if not pin:
        return "pin_missing"
    return None if len(pin) == 6 and pin.isascii() and pin.isdigit() else "pin_format"


class Throttle:
    """Counts wrong sign-ins where the visitor says who they are, so that phone numbers cannot be tried one after another.

    A PIN blocks itself after three; this is against one try at each of many accounts. Kept in this process's memory: another
    process counts for itself, a restart forgets.
    """

    _MOST_KEYS = 10_000

    def __init__(self, *, most: int, within_s: float) -> None:
        self._most = most
        self._within_s = within_s
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def is_full(self, key: str) -> bool:
        """Whether there were too many lately."""
        since = time.monotonic() - self._within_s
        lately = [at for at in self._wrong.get(key, ()) if at > since]
        return len(lately) >= self._most

    def count(self, key: str) -> None:
        """One more."""
        since = time.monotonic() - self._within_s
        self._wrong[key] = [at for at in self._wrong.pop(key, ()) if at > since] + [time.monotonic()]
        while len(self._wrong) > self._MOST_KEYS:
            self._wrong.popitem(last=False)
