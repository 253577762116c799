"""The hosted page: sign in, check, pay; and what is shown when that is over.

One address per payment. A GET shows where the payment stands; a POST does one thing (`action`) and, when the payment ended by
it, sends the browser on, so that reloading never pays twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gerbang.channels.doku_wallet.actions import CODE, PAGE_PATH, pay
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.merchants import Merchant, get
from gerbang.money import Rupiah
from gerbang.payments import Move, Order, Payment, PaymentState, events, find_payment, get_payment, note
from gerbang.phones import is_phone, mask_phone
from gerbang.protocols.nonsnap.notification import notify
from gerbang.protocols.nonsnap.outcomes import close_unpaid
from gerbang.storage import Tx
from gerbang.wallet import Account, PinOutcome, balance, confirm_pin, get_account, top_up
from gerbang.wallet.demo import DEMO_ACCOUNTS, DEMO_PIN
from gerbang.wallet.pins import MAX_WRONG_PINS, send_unblocking_code, unblock
from gerbang.web import sessions
from gerbang.web.forms import read_form
from gerbang.web.forms import text as _text
from gerbang.web.i18n import choose_language
from gerbang.web.pages import page_response
from gerbang.web.views import DemoAccount, FieldError, ItemView, Lang, OrderView, ResultState, Shell
from gerbang.web.wiring import Wiring

METHOD = "DOKU e-Wallet"
_WRONG_PIN = "PIN_WRONG"
_RESULT: dict[PaymentState, ResultState] = {
    PaymentState.SUCCESS: "paid",
    PaymentState.FAILED: "failed",
    PaymentState.CANCELLED: "cancelled",
    PaymentState.EXPIRED: "expired",
}


@dataclass(frozen=True, slots=True)
class _Visit:
    """One look at one payment's page."""

    order: Order
    payment: Payment
    merchant: Merchant
    lang: Lang

    @property
    def path(self) -> str:
        # Never as the request wrote it: redirects and forms lead here.
        return f"{PAGE_PATH}/{self.payment.id}"


class WalletPages:
    """Handlers of the page, over the parts of the running gateway."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._session_key = wiring.settings.key("page session")

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{PAGE_PATH}/{{payment_id}}", self.show, methods=["GET"]),
            Route(f"{PAGE_PATH}/{{payment_id}}", self.act, methods=["POST"]),
        ]

    # -- the two handlers

    async def show(self, request: Request) -> Response:
        """Where the payment stands."""
        visit = await self._visit(request, request.query_params.get("lang"))
        if isinstance(visit, Response):
            return visit
        if visit.payment.state.is_final:
            return await self._result(visit, just_now="done" in request.query_params)
        demo = next((one for one in DEMO_ACCOUNTS if one.key == request.query_params.get("as")), None)
        if demo is not None and self._wiring.settings.is_sandbox:
            return self._login(visit, phone=demo.phone, pin=DEMO_PIN)
        return self._login(visit)

    async def act(self, request: Request) -> Response:
        """One press of a button."""
        form = await read_form(request)
        visit = await self._visit(request, _text(form, "lang") or request.query_params.get("lang"))
        if isinstance(visit, Response):
            return visit
        if visit.payment.state.is_final:
            return self._see(visit)
        match _text(form, "action"):
            case "login":
                return await self._act_login(visit, form)
            case "code":
                return await self._act_code(visit, form)
            case "unblock":
                return await self._act_unblock(visit, form)
            case "pay":
                return await self._act_pay(visit, form)
            case "cancel":
                return await self._close(visit, Move.CANCELLED, failure="CANCELLED_BY_BUYER")
            case "topup" if self._wiring.settings.is_sandbox:
                return await self._act_top_up(visit, form)
            case _:
                return self._see(visit)

    # -- what the buttons do

    async def _act_login(self, visit: _Visit, form: FormData) -> Response:
        phone, pin = _text(form, "phone"), _text(form, "pin")
        errors = _login_errors(phone, pin)
        if errors:
            return self._login(visit, phone=phone, errors=errors, status=422)
        check = await confirm_pin(self._wiring.database, self._wiring.pin_hasher, phone, pin, now=self._wiring.clock.now())
        if check.outcome is PinOutcome.RIGHT and check.account is not None:
            now = self._wiring.clock.now()
            session = sessions.issue(
                self._session_key,
                payment_id=visit.payment.id,
                account_id=check.account.id,
                now=now,
                minutes=self._wiring.settings.page_session_min,
            )
            return await self._confirm(visit, check.account, session)
        if check.outcome is PinOutcome.LOCKED:
            return self._login(visit, phone=phone, errors=[FieldError("", "account_locked")], status=422)
        if check.outcome is PinOutcome.BLOCKED and not check.blocked_now:
            # Blocked before this page saw it: another account may still pay.
            return self._login(visit, phone=phone, errors=[FieldError("", "login_blocked")], status=422)
        return await self._wrong_pin(visit, phone, attempts_left=check.attempts_left)

    async def _wrong_pin(self, visit: _Visit, phone: str, *, attempts_left: int) -> Response:
        """Count on this payment's page. An unknown number counts and reads like a known one, so accounts cannot be listed."""

        def count(tx: Tx) -> int:
            _, payment = get_payment(tx, visit.payment.id)
            note(tx, payment, _WRONG_PIN, now=self._wiring.clock.now(), facts={"phone": mask_phone(phone)})
            return sum(event.event == _WRONG_PIN for event in events(tx, payment.id))

        try:
            wrong = await self._wiring.database.transact(count)
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                raise
            return self._see(visit)
        left = min(MAX_WRONG_PINS - wrong, attempts_left)
        if left <= 0:
            return await self._close(visit, Move.DECLINED, failure="WRONG_PIN")
        return self._login(visit, phone=phone, errors=[FieldError("pin", "wrong_login")], attempts_left=left, status=422)

    async def _act_code(self, visit: _Visit, form: FormData) -> Response:
        """Whose PIN others have blocked has a one-time password sent. Whoever has no account reads the same."""
        phone, now = _text(form, "phone"), self._wiring.clock.now()
        settings = self._wiring.settings
        await self._wiring.database.transact(lambda tx: send_unblocking_code(tx, phone, settings=settings, now=now))
        return self._login(visit, phone=phone, unblocking=True)

    async def _act_unblock(self, visit: _Visit, form: FormData) -> Response:
        phone, code, now = _text(form, "phone"), _text(form, "code"), self._wiring.clock.now()
        settings = self._wiring.settings
        if await self._wiring.database.transact(lambda tx: unblock(tx, phone, code, settings=settings, now=now)):
            return self._login(visit, phone=phone)
        return self._login(visit, phone=phone, errors=[FieldError("code", "unblock_code_wrong")], unblocking=True, status=422)

    async def _act_pay(self, visit: _Visit, form: FormData) -> Response:
        session = _text(form, "session")
        account_id = self._signed_in(visit, session)
        if account_id is None:
            return self._login(visit, errors=[FieldError("", "session_over")], status=422)

        def settle(tx: Tx) -> None:
            now = self._wiring.clock.now()
            order, payment = get_payment(tx, visit.payment.id)
            merchant = get(tx, payment.merchant_id)
            paid = pay(tx, payment, get_account(tx, account_id), now=now)
            channel = self._wiring.channels[CODE]
            notify(tx, channel, merchant, order, paid, settings=self._wiring.settings, now=now)

        try:
            await self._wiring.database.transact(settle)
        except Refused as refused:
            match refused.reason:
                case Reason.BALANCE_TOO_SMALL:
                    customer = await self._wiring.database.read(lambda tx: get_account(tx, account_id))
                    return await self._confirm(visit, customer, session, status=422)
                case Reason.ACCOUNT_LOCKED | Reason.ACCOUNT_CLOSED:
                    return self._login(visit, errors=[FieldError("", "account_locked")], status=422)
                case Reason.PAYMENT_MOVED_ON:
                    return self._see(visit)
                case _:
                    raise
        return self._leave(visit, "success")

    async def _act_top_up(self, visit: _Visit, form: FormData) -> Response:
        """Sandbox: bring in what is missing, as if the buyer had been to a counter."""
        session = _text(form, "session")
        account_id = self._signed_in(visit, session)
        if account_id is None:
            return self._login(visit, errors=[FieldError("", "session_over")], status=422)

        def bring_in(tx: Tx) -> Account:
            customer = get_account(tx, account_id)
            missing = visit.payment.amount - balance(tx, account_id)
            if missing > 0:
                top_up(tx, customer, Rupiah(missing), limits=self._wiring.limits, now=self._wiring.clock.now())
            return customer

        try:
            customer = await self._wiring.database.transact(bring_in)
        except Refused as refused:
            if refused.reason not in (Reason.BALANCE_LIMIT_EXCEEDED, Reason.MONTHLY_LIMIT_EXCEEDED):
                raise
            return self._login(visit, errors=[FieldError("", "topup_limit")], status=422)
        return await self._confirm(visit, customer, session)

    async def _close(self, visit: _Visit, move: Move, *, failure: str) -> Response:
        def close(tx: Tx) -> None:
            order, payment = get_payment(tx, visit.payment.id)
            merchant = get(tx, payment.merchant_id)
            close_unpaid(
                tx,
                self._wiring.channels[CODE],
                merchant,
                order,
                payment,
                move,
                settings=self._wiring.settings,
                now=self._wiring.clock.now(),
                failure=failure,
            )

        try:
            await self._wiring.database.transact(close)
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                raise
            return self._see(visit)
        return self._leave(visit, "failed")

    # -- reading

    async def _visit(self, request: Request, lang_wanted: str | None) -> "_Visit | Response":
        lang = choose_language(lang_wanted, request.headers.get("accept-language"))
        payment_id = request.path_params["payment_id"]

        def look(tx: Tx) -> tuple[Order, Payment, Merchant] | None:
            # What no payment can be called is not looked for: PostgreSQL would not even take a NUL.
            found = find_payment(tx, payment_id) if "\x00" not in payment_id else None
            if found is None or found[1].channel != CODE:
                return None
            return *found, get(tx, found[1].merchant_id)

        found = await self._wiring.database.read(look)
        if found is None:
            return self._error(request, lang)
        order, payment, merchant = found
        visit = _Visit(order, payment, merchant, lang)
        if payment.state is PaymentState.PENDING and self._wiring.clock.now() >= payment.expires_at:
            # The sweeper comes round too; a buyer who is quicker must not see a page that cannot be paid.
            await self._close(visit, Move.TIMED_OUT, failure="EXPIRED")
            again = await self._wiring.database.read(look)
            assert again is not None
            return _Visit(*again, lang)
        return visit

    def _signed_in(self, visit: _Visit, session: str) -> str | None:
        return sessions.read(self._session_key, session, payment_id=visit.payment.id, now=self._wiring.clock.now())

    # -- where the browser goes

    def _see(self, visit: _Visit, query: str = "") -> Response:
        return RedirectResponse(f"{visit.path}?lang={visit.lang}{query}", status_code=303)

    def _leave(self, visit: _Visit, outcome: Literal["success", "failed"]) -> Response:
        """To the merchant at once when it asked for that, otherwise to the result."""
        if visit.order.details.get("auto_redirect"):
            return RedirectResponse(self._merchant_url(visit.order, outcome), status_code=303)
        return self._see(visit, "&done=1")

    def _merchant_url(self, order: Order, outcome: Literal["success", "failed"]) -> str:
        details = order.details
        success = details.get("success_url") or self._wiring.settings.ewallet_default_success_url
        if outcome == "success":
            return str(success)
        return str(details.get("failed_url") or success)

    # -- pages

    def _shell(self, visit: _Visit) -> Shell:
        return Shell(
            lang=visit.lang,
            sandbox=self._wiring.settings.is_sandbox,
            title="",
            merchant_name=visit.merchant.name,
            page_url=visit.path,
            request_id=visit.payment.id,
        )

    def _order_view(self, visit: _Visit) -> OrderView:
        return OrderView(
            merchant_name=visit.merchant.name,
            invoice_number=visit.order.invoice_number,
            amount=visit.payment.amount,
            line_items=tuple(ItemView(**item) for item in visit.order.details.get("line_items", ())),
            expires_at=visit.payment.expires_at,
            now=self._wiring.clock.now(),
        )

    def _demo_accounts(self) -> tuple[DemoAccount, ...]:
        if not self._wiring.settings.is_sandbox:
            return ()
        return tuple(DemoAccount(one.key, one.name, one.note, one.phone, DEMO_PIN) for one in DEMO_ACCOUNTS)

    def _page(self, visit: _Visit, template: str, *, status: int = 200, **context: object) -> Response:
        html = self._wiring.pages.render(
            template, lang=visit.lang, shell=self._shell(visit), order=self._order_view(visit), **context
        )
        return page_response(html, status=status, frame_ancestors=self._frame_ancestors(visit.merchant))

    def _frame_ancestors(self, merchant: Merchant) -> str:
        # A PIN is typed here: in production only the sites a merchant names may frame it.
        return "*" if self._wiring.settings.is_sandbox else merchant.options.frame_ancestors or "'none'"

    def _login(
        self,
        visit: _Visit,
        *,
        phone: str = "",
        pin: str = "",
        errors: Sequence[FieldError] = (),
        attempts_left: int | None = None,
        unblocking: bool = False,
        status: int = 200,
    ) -> Response:
        return self._page(
            visit,
            "doku_wallet/login.html",
            status=status,
            phone=phone,
            pin=pin,
            errors=tuple(errors),
            attempts_left=attempts_left,
            unblocking=unblocking,
            demo_accounts=self._demo_accounts(),
        )

    async def _confirm(self, visit: _Visit, customer: Account, session: str, *, status: int = 200) -> Response:
        holds = await self._wiring.database.read(lambda tx: balance(tx, customer.id))
        return self._page(
            visit,
            "doku_wallet/confirm.html",
            status=status,
            account_name=customer.name,
            phone_masked=mask_phone(customer.phone),
            balance=holds,
            session=session,
            demo_accounts=self._demo_accounts(),
        )

    async def _result(self, visit: _Visit, *, just_now: bool) -> Response:
        payment = visit.payment
        payer_id = payment.payer
        payer = await self._wiring.database.read(lambda tx: get_account(tx, payer_id)) if payer_id else None
        state = _RESULT[payment.state]
        if payment.failure == "WRONG_PIN":
            state = "locked"
        return self._page(
            visit,
            "result.html",
            state=state,
            paid_at=payment.finished_at if state == "paid" else None,
            approval_code=payment.approval_code,
            method=METHOD,
            payer=payer.name if payer else None,
            phone_masked=mask_phone(payer.phone) if payer else None,
            return_url=self._merchant_url(visit.order, "success" if state == "paid" else "failed"),
            just_paid=just_now,
        )

    def _error(self, request: Request, lang: Lang) -> Response:
        shell = Shell(lang, self._wiring.settings.is_sandbox, "", "", request.url.path, new_id("req"))
        html = self._wiring.pages.render("error.html", lang=lang, shell=shell, kind="not_found")
        return page_response(html, status=404, frame_ancestors="'none'")


def _login_errors(phone: str, pin: str) -> list[FieldError]:
    errors = []
    if not phone:
        errors.append(FieldError("phone", "phone_missing"))
    elif not is_phone(phone):
        errors.append(FieldError("phone", "phone_invalid"))
    if not pin:
        errors.append(FieldError("pin", "pin_missing"))
    elif not (len(pin) == 6 and pin.isascii() and pin.isdigit()):
        errors.append(FieldError("pin", "pin_format"))
    return errors


def wallet_pages(wiring: Wiring) -> list[BaseRoute]:
    """The routes of this room's pages."""
    return WalletPages(wiring).routes()
