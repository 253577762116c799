"""The pages on which a customer sets a PIN (service 04 leads there) and consents to a partner (service 07)."""

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gerbang.channels.doku_wallet_snap.front import Front, Throttle, is_id, leave, phone_error, pin_error
from gerbang.channels.doku_wallet_snap.registration import BIND_PATH, CREATE_PIN_PATH
from gerbang.channels.doku_wallet_snap.views import Ending, Gate, Payer
from gerbang.channels.doku_wallet_snap.weak_pins import is_weak_pin
from gerbang.errors import Reason, Refused
from gerbang.merchants import Merchant, get
from gerbang.phones import mask_phone
from gerbang.storage import Tx
from gerbang.wallet import Account, AccountStatus, PinOutcome, bindings, confirm_pin, get_account, registrations
from gerbang.wallet.bindings import BindingRequest, RequestKind, RequestState
from gerbang.wallet.pins import PinCheck, pin_blocked_until
from gerbang.wallet.registrations import Registration, RegistrationState, with_query
from gerbang.web import i18n
from gerbang.web.forms import read_form, text
from gerbang.web.views import FieldError, Lang


class CreatePinPage:
    """One address; `?token=` or `?action=` says whose PIN it is."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def routes(self) -> list[BaseRoute]:
        return [
            Route(CREATE_PIN_PATH, self.show, methods=["GET"]),
            Route(CREATE_PIN_PATH, self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The form, or why there is none."""
        lang = self._front.lang(request)
        token = request.query_params.get("token") or request.query_params.get("action") or ""
        found = await self._find(token)
        if found is None:
            return self._front.not_found(lang, CREATE_PIN_PATH)
        registration, merchant = found
        if not registration.awaits_pin(self._front.now()):
            return self._over(registration, merchant, lang, token)
        return self._form(registration, merchant, lang, token)

    async def act(self, request: Request) -> Response:
        """Save the PIN: the account is opened, and the customer goes back to the partner."""
        form = await read_form(request)
        lang = self._front.lang(request, form)
        token = text(form, "token")
        found = await self._find(token)
        if found is None:
            return self._front.not_found(lang, CREATE_PIN_PATH)
        registration, merchant = found
        if registration.state is RegistrationState.DONE:
            return leave(registrations.return_url(registration, registration.account_id))  # pressed twice
        if not registration.awaits_pin(self._front.now()):
            return self._over(registration, merchant, lang, token)
        if not self._front.shown_by_us(form, registration.id):
            return self._form(registration, merchant, lang, token, whole="form_old", status=422)
        pin, repeated = text(form, "pin"), text(form, "repeat")
        errors = _new_pin_errors(pin, repeated, registration.phone)
        if errors:
            return self._form(registration, merchant, lang, token, errors=errors, status=422)
        pin_hash = await asyncio.get_running_loop().run_in_executor(None, self._front.wiring.pin_hasher.hash, pin)

        def finish(tx: Tx) -> Account:
            current = registrations.get_registration(tx, registration.id)
            if current is None:
                raise Refused(Reason.LINK_OVER)
            return registrations.finish(tx, current, pin_hash=pin_hash, now=self._front.now())

        try:
            customer = await self._front.database.transact(finish)
        except Refused as refused:
            if refused.reason is Reason.ACCOUNT_EXISTS:
                return self._end(registration, merchant, lang, token, "failed", "phone_taken", None)
            if refused.reason is not Reason.LINK_OVER:
                raise
            again = await self._find(token)
            if again is None:
                return self._front.not_found(lang, CREATE_PIN_PATH)
            if again[0].state is RegistrationState.DONE:
                return leave(registrations.return_url(again[0], again[0].account_id))
            return self._over(*again, lang, token)
        return leave(registrations.return_url(registration, customer))

    async def _find(self, token: str) -> tuple[Registration, Merchant] | None:
        def look(tx: Tx) -> tuple[Registration, Merchant] | None:
            registration = registrations.by_page_token(tx, token)
            return None if registration is None else (registration, get(tx, registration.merchant_id))

        return await self._front.database.read(look) if token else None

    def _form(
        self,
        registration: Registration,
        merchant: Merchant,
        lang: Lang,
        token: str,
        *,
        errors: tuple[FieldError, ...] = (),
        whole: str | None = None,
        status: int = 200,
    ) -> Response:
        return self._front.page(
            "doku_wallet_snap/create_pin.html",
            lang=lang,
            path=CREATE_PIN_PATH,
            merchant=merchant,
            subject=registration.id,
            status=status,
            page_token=token,
            form_token=self._front.form_token(registration.id),
            phone_masked=mask_phone(registration.phone),
            errors=errors,
            whole=whole,
        )

    def _over(self, registration: Registration, merchant: Merchant, lang: Lang, token: str) -> Response:
        if registration.state is RegistrationState.DONE:
            return self._end(registration, merchant, lang, token, "paid", "pin_done", registration.account_id)
        return self._end(registration, merchant, lang, token, "expired", "pin_late", None)

    def _end(
        self, registration: Registration, merchant: Merchant, lang: Lang, token: str, gate: Gate, key: str, account_id: str | None
    ) -> Response:
        end = Ending(
            gate,
            i18n.text(lang, key),
            i18n.text(lang, f"{key}_text", partner=merchant.name),
            back_url=registrations.return_url(registration, account_id),
            back_label=i18n.text(lang, "back_to", shop=merchant.name),
            facts=((i18n.text(lang, "doku_id"), account_id),) if account_id else (),
        )
        return self._front.ending(
            end, lang=lang, path=CREATE_PIN_PATH, merchant=merchant, subject=registration.id, page_token=token
        )


def _new_pin_errors(pin: str, repeated: str, phone: str) -> tuple[FieldError, ...]:
    # One at a time: both fields come back empty, and the first word says what to do about both.
    if error := pin_error(pin):
        return (FieldError("pin", error),)
    if is_weak_pin(pin, phone=phone):
        return (FieldError("pin", "pin_weak"),)
    if not repeated:
        return (FieldError("repeat", "repeat_missing"),)
    return () if pin == repeated else (FieldError("pin", "pins_differ"),)


@dataclass(frozen=True, slots=True)
class _Visit:
    """One look at one partner's wish. `account` is None until the customer says who they are."""

    request: BindingRequest
    merchant: Merchant
    account: Account | None
    lang: Lang

    @property
    def path(self) -> str:
        # Never as the request wrote it: redirects and forms lead here.
        return f"{BIND_PATH}/{self.request.id}"


class BindPage:
    """Consent with the PIN. Single use: an answer given is shown, not given again."""

    def __init__(self, front: Front) -> None:
        self._front = front
        # As long as such a page lives.
        self._wrong = Throttle(most=5, within_s=bindings.PAGE_LIFE.total_seconds())

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{BIND_PATH}/{{request_id}}", self.show, methods=["GET"]),
            Route(f"{BIND_PATH}/{{request_id}}", self.act, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """What the partner asks for, or how it was answered."""
        lang = self._front.lang(request)
        visit = await self._visit(request, lang)
        if visit is None:
            return self._front.not_found(lang, BIND_PATH)
        ended = await self._ended(visit)
        if ended is not None:
            return ended
        demo = self._front.demo(request)
        if demo is not None and visit.account is None:
            return self._form(visit, phone=demo.phone, pin=self._front.demo_pin_of(demo.account_id))
        return self._form(visit)

    async def act(self, request: Request) -> Response:
        """Consent, or cancel."""
        form = await read_form(request)
        lang = self._front.lang(request, form)
        visit = await self._visit(request, lang)
        if visit is None:
            return self._front.not_found(lang, BIND_PATH)
        ended = await self._ended(visit)
        if ended is not None:
            return ended
        phone, pin = text(form, "phone"), text(form, "pin")
        if not self._front.shown_by_us(form, visit.request.id):
            return self._form(visit, phone=phone, whole="form_old", status=422)
        match text(form, "action"):
            case "bind":
                return await self._consent(visit, phone, pin)
            case "cancel":
                if await self._refuse(visit):
                    return leave(bindings.return_url(visit.request, None))
                return self._see(visit)
            case _:
                return self._see(visit)

    # -- what the buttons do

    async def _consent(self, visit: _Visit, phone: str, pin: str) -> Response:
        errors = [FieldError("phone", key)] if visit.account is None and (key := phone_error(phone)) else []
        if key := pin_error(pin):
            errors.append(FieldError("pin", key))
        if errors:
            return self._form(visit, phone=phone, errors=tuple(errors), status=422)
        known = visit.account
        who = known.id if known else phone
        check = await confirm_pin(self._front.database, self._front.wiring.pin_hasher, who, pin, now=self._front.now())
        if check.outcome is not PinOutcome.RIGHT:
            return await self._wrong_pin(visit, phone, check)
        account = check.account
        assert account is not None

        def confirm(tx: Tx) -> str:
            current = bindings.request_by_id(tx, visit.request.id)
            assert current is not None
            return bindings.confirm(tx, current, account, now=self._front.now())[1]

        try:
            auth_code = await self._front.database.transact(confirm)
        except Refused as refused:
            match refused.reason:
                case Reason.LINK_OVER:
                    return self._see(visit)
                case Reason.ACCOUNT_LOCKED | Reason.ACCOUNT_CLOSED:
                    return self._see(visit) if known else self._form(visit, phone=phone, whole="wrong_login", status=422)
                case _:
                    raise
        return leave(bindings.return_url(visit.request, auth_code))

    async def _wrong_pin(self, visit: _Visit, phone: str, check: PinCheck) -> Response:
        if visit.account is None:
            # Unknown, wrong, locked and blocked read alike, so that accounts cannot be listed.
            self._wrong.count(visit.request.id)
            if self._wrong.is_full(visit.request.id):
                await self._refuse(visit)
                return self._see(visit)
            return self._form(visit, phone=phone, whole="wrong_login", status=422)
        if check.outcome is not PinOutcome.WRONG:
            if check.blocked_now:
                await self._refuse(visit)
            return self._see(visit)
        return self._form(visit, whole="pin_wrong", attempts_left=check.attempts_left or None, status=422)

    async def _refuse(self, visit: _Visit) -> bool:
        """Whether it was still open."""

        def refuse(tx: Tx) -> None:
            current = bindings.request_by_id(tx, visit.request.id)
            assert current is not None
            bindings.refuse(tx, current, now=self._front.now())

        try:
            await self._front.database.transact(refuse)
        except Refused as refused:
            if refused.reason is not Reason.LINK_OVER:
                raise
            return False
        return True

    # -- reading

    async def _visit(self, request: Request, lang: Lang) -> _Visit | None:
        request_id = request.path_params["request_id"]
        if not is_id(request_id):
            return None

        def look(tx: Tx) -> _Visit | None:
            wish = bindings.request_by_id(tx, request_id)
            if wish is None or wish.kind is not RequestKind.BIND:
                return None
            account = get_account(tx, wish.account_id) if wish.account_id else None
            return _Visit(wish, get(tx, wish.merchant_id), account, lang)

        return await self._front.database.read(look)

    async def _ended(self, visit: _Visit) -> Response | None:
        """The page for what cannot be answered (any more)."""
        wish, account = visit.request, visit.account
        now = self._front.now()
        back = bindings.return_url(wish, None)
        if wish.state is RequestState.CONFIRMED:
            # The auth code went along with the redirect; the partner asks for a fresh one (service 08).
            on = with_query(wish.redirect_url, {"partnerReferenceNo": wish.partner_reference})
            return self._end(visit, "paid", "bound", on)
        if account is not None and account.status is not AccountStatus.ACTIVE:
            return self._end(visit, "failed", "account_shut", back, help=True)
        blocked = await self._front.database.read(lambda tx: pin_blocked_until(tx, account.id)) if account else None
        if blocked is not None and blocked > now:
            return self._end(visit, "failed", "pin_blocked", back, time=i18n.clock_time(blocked, visit.lang))
        if wish.state is not RequestState.PENDING:
            return self._end(visit, "cancelled", "not_bound", back)
        return None if wish.is_open(now) else self._end(visit, "expired", "bind_late", back)

    # -- answers

    def _see(self, visit: _Visit) -> Response:
        return leave(f"{visit.path}?lang={visit.lang}")

    def _end(self, visit: _Visit, gate: Gate, key: str, back: str, *, help: bool = False, **facts: str) -> Response:
        end = Ending(
            gate,
            i18n.text(visit.lang, key, partner=visit.merchant.name),
            i18n.text(visit.lang, f"{key}_text", partner=visit.merchant.name, **facts),
            back_url=back,
            back_label=i18n.text(visit.lang, "back_to", shop=visit.merchant.name),
            help=help,
        )
        return self._front.ending(end, lang=visit.lang, path=visit.path, merchant=visit.merchant, subject=visit.request.id)

    def _form(
        self,
        visit: _Visit,
        *,
        phone: str = "",
        pin: str = "",
        errors: tuple[FieldError, ...] = (),
        whole: str | None = None,
        attempts_left: int | None = None,
        status: int = 200,
    ) -> Response:
        account = visit.account
        return self._front.page(
            "doku_wallet_snap/bind.html",
            lang=visit.lang,
            path=visit.path,
            merchant=visit.merchant,
            subject=visit.request.id,
            status=status,
            partner=visit.merchant.name,
            payer=Payer(account.name, mask_phone(account.phone)) if account else None,
            phone=phone,
            pin=pin,
            errors=errors,
            whole=whole,
            attempts_left=attempts_left,
            form_token=self._front.form_token(visit.request.id),
            demo_accounts=() if account else self._front.demo_accounts(),
            demo_pin=self._front.demo_pin_of(account.id if account else None),
        )
