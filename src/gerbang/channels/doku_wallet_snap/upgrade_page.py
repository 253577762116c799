"""The page on which a customer gives their identity and becomes registered. SNAP has no operation for it."""

from datetime import date, datetime
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gerbang.channels.doku_wallet_snap.front import Front, Throttle, leave, phone_error, pin_error
from gerbang.channels.doku_wallet_snap.views import Ending, Gate, IdentityForm, Payer
from gerbang.clock import WIB
from gerbang.errors import Reason, Refused
from gerbang.phones import mask_phone
from gerbang.storage import Tx
from gerbang.wallet import Account, Level, PinOutcome, confirm_pin, get_account
from gerbang.wallet.kyc import Identity, KycState, find_kyc, submit
from gerbang.web import i18n
from gerbang.web.forms import read_form, text
from gerbang.web.views import FieldError, Lang

UPGRADE_PATH = "/wallet/upgrade"
_SUBJECT = "upgrade"
_FIELDS = ("nik", "name", "birth_place", "birth_date", "address")
_DATES = ("%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y")


class UpgradePage:
    """Sign in, then the form. What was given is shown to nobody afterwards, so the way on leads to an address that says less."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._wrong = Throttle(most=30, within_s=60)

    def routes(self) -> list[BaseRoute]:
        return [
            Route(UPGRADE_PATH, self.show, methods=["GET"]),
            Route(UPGRADE_PATH, self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Sign in, or what became of it."""
        lang = self._front.lang(request)
        match request.query_params.get("done"):
            case "approved":
                return self._end(lang, "paid", "upgraded")
            case "sent":
                return self._end(lang, "waiting", "upgrade_waits")
        demo = self._front.demo(request)
        if demo is not None:
            return self._sign_in(lang, phone=demo.phone, pin=self._front.demo_pin_of(demo.account_id))
        return self._sign_in(lang)

    async def act(self, request: Request) -> Response:
        """Sign in, or hand in."""
        form = await read_form(request)
        lang = self._front.lang(request, form)
        if not self._front.shown_by_us(form, _SUBJECT):
            return self._sign_in(lang, phone=text(form, "phone"), whole="form_old", status=422)
        match text(form, "action"):
            case "login":
                return await self._act_login(lang, text(form, "phone"), text(form, "pin"))
            case "submit":
                return await self._act_submit(lang, form)
            case _:
                return leave(f"{UPGRADE_PATH}?lang={lang}")

    async def _act_login(self, lang: Lang, phone: str, pin: str) -> Response:
        found = {"phone": phone_error(phone), "pin": pin_error(pin)}
        errors = tuple(FieldError(field, key) for field, key in found.items() if key)
        if errors:
            return self._sign_in(lang, phone=phone, errors=errors, status=422)
        if self._wrong.is_full(_SUBJECT):
            return self._sign_in(lang, phone=phone, whole="try_later", status=429)
        check = await confirm_pin(self._front.database, self._front.wiring.pin_hasher, phone, pin, now=self._front.now())
        if check.outcome is not PinOutcome.RIGHT or check.account is None:
            # Unknown, wrong, locked and blocked read alike, so that accounts cannot be listed.
            self._wrong.count(_SUBJECT)
            return self._sign_in(lang, phone=phone, whole="wrong_login", status=422)
        customer = check.account
        kyc = await self._front.database.read(lambda tx: find_kyc(tx, customer.id))
        if customer.level is Level.PREMIUM:
            return self._end(lang, "paid", "upgraded")
        if kyc is not None and kyc.state is KycState.SUBMITTED:
            return self._end(lang, "waiting", "upgrade_waits")
        return self._identity(
            lang, customer, IdentityForm(name=customer.name), rejected=kyc is not None and kyc.state is KycState.REJECTED
        )

    async def _act_submit(self, lang: Lang, form: FormData) -> Response:
        account_id = self._front.signed_in(form, _SUBJECT)
        if account_id is None:
            return self._sign_in(lang, whole="session_over", status=422)
        customer = await self._front.database.read(lambda tx: get_account(tx, account_id))
        typed = IdentityForm(**{name: text(form, name) for name in _FIELDS})
        born = _read_date(typed.birth_date)
        errors = _identity_errors(typed, born, self._front.now())
        if errors or born is None:
            return self._identity(lang, customer, typed, errors=errors, status=422)
        identity = Identity(typed.nik, typed.name, typed.birth_place, born, typed.address)

        def hand_in(tx: Tx) -> KycState:
            return submit(tx, customer, identity, settings=self._front.settings, now=self._front.now()).state

        try:
            state = await self._front.database.transact(hand_in)
        except Refused as refused:
            match refused.reason:
                case Reason.FIELD_MISSING | Reason.FIELD_INVALID if refused.facts.get("field") in _FIELDS:
                    field = str(refused.facts["field"])
                    return self._identity(lang, customer, typed, errors=(FieldError(field, f"{field}_invalid"),), status=422)
                case Reason.KYC_DECIDED:
                    return leave(f"{UPGRADE_PATH}?lang={lang}&done={'approved' if customer.level is Level.PREMIUM else 'sent'}")
                case Reason.ACCOUNT_LOCKED | Reason.ACCOUNT_CLOSED:
                    return self._sign_in(lang, whole="wrong_login", status=422)
                case _:
                    raise
        return leave(f"{UPGRADE_PATH}?lang={lang}&done={'approved' if state is KycState.APPROVED else 'sent'}")

    # -- pages

    def _sign_in(
        self,
        lang: Lang,
        *,
        phone: str = "",
        pin: str = "",
        errors: tuple[FieldError, ...] = (),
        whole: str | None = None,
        status: int = 200,
    ) -> Response:
        return self._page(
            lang,
            status,
            step="sign_in",
            phone=phone,
            pin=pin,
            errors=errors,
            whole=whole,
            demo_accounts=self._front.demo_accounts(),
        )

    def _identity(
        self,
        lang: Lang,
        customer: Account,
        typed: IdentityForm,
        *,
        errors: tuple[FieldError, ...] = (),
        rejected: bool = False,
        status: int = 200,
    ) -> Response:
        return self._page(
            lang,
            status,
            step="identity",
            payer=Payer(customer.name, mask_phone(customer.phone)),
            typed=typed,
            session=self._front.session(_SUBJECT, customer.id),
            errors=errors,
            whole="upgrade_rejected" if rejected else None,
        )

    def _page(self, lang: Lang, status: int, **context: Any) -> Response:
        limits = self._front.wiring.limits
        return self._front.page(
            "doku_wallet_snap/upgrade.html",
            lang=lang,
            path=UPGRADE_PATH,
            merchant=None,
            status=status,
            form_token=self._front.form_token(_SUBJECT),
            most_balance=limits.premium_balance,
            most_monthly=limits.premium_monthly,
            **context,
        )

    def _end(self, lang: Lang, gate: Gate, key: str) -> Response:
        end = Ending(gate, i18n.text(lang, key), i18n.text(lang, f"{key}_text"))
        return self._front.ending(end, lang=lang, path=UPGRADE_PATH, merchant=None)


def _read_date(typed: str) -> date | None:
    """As browsers send it (2001-02-03), or as people without a date picker write it (03/02/2001)."""
    for written in _DATES:
        try:
            return datetime.strptime(typed, written).date()  # noqa: DTZ007 - a date, not a moment
        except ValueError:
            continue
    return None


def _identity_errors(typed: IdentityForm, born: date | None, now: datetime) -> tuple[FieldError, ...]:
    """What can be told at once; the rules are the wallet's, which looks again."""
    errors = [FieldError(name, f"{name}_missing") for name in _FIELDS if not getattr(typed, name)]
    digits = "".join(char for char in typed.nik if char not in " .-")
    if typed.nik and not (len(digits) == 16 and digits.isascii() and digits.isdigit()):
        errors.append(FieldError("nik", "nik_invalid"))
    if typed.birth_date and (born is None or not date(1900, 1, 1) <= born < now.astimezone(WIB).date()):
        errors.append(FieldError("birth_date", "birth_date_invalid"))
    return tuple(sorted(errors, key=lambda error: _FIELDS.index(error.field)))
