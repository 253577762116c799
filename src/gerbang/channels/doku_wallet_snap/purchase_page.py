"""The page on which a customer pays a purchase with the PIN (service 54 leads there)."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gerbang.channels.doku_wallet_snap import purchase
from gerbang.channels.doku_wallet_snap.front import Front, is_id, leave, pin_error
from gerbang.channels.doku_wallet_snap.views import Ending, Hold, Payer
from gerbang.errors import Reason, Refused
from gerbang.merchants import Merchant, get
from gerbang.money import Rupiah, format_rupiah
from gerbang.payments import Move, Order, Payment, PaymentState
from gerbang.phones import mask_phone
from gerbang.storage import Tx
from gerbang.wallet import AccountStatus, PinOutcome, balance, confirm_pin, get_account, top_up
from gerbang.wallet.pins import PinCheck, pin_blocked_until
from gerbang.web import i18n
from gerbang.web.forms import read_form, text
from gerbang.web.views import Lang, OrderView, ResultState

METHOD = "DOKU Wallet"
_RESULT: dict[PaymentState, ResultState] = {
    PaymentState.SUCCESS: "paid",
    PaymentState.PARTIALLY_REFUNDED: "paid",
    PaymentState.FAILED: "failed",
    PaymentState.CANCELLED: "cancelled",
    PaymentState.EXPIRED: "expired",
}


@dataclass(frozen=True, slots=True)
class _Visit:
    """One look at one purchase."""

    order: Order
    payment: Payment
    merchant: Merchant
    lang: Lang

    @property
    def path(self) -> str:
        # Never as the request wrote it: redirects and forms lead here.
        return f"{purchase.PAGE_PATH}/{self.payment.id}"


class PurchasePage:
    """A GET shows where the purchase stands; a POST does one thing and, when it ended by that, sends the browser on."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def routes(self) -> list[BaseRoute]:
        path = f"{purchase.PAGE_PATH}/{{payment_id}}"
        return [Route(path, self.show, methods=["GET"]), Route(path, self.act, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Check and pay, or how it ended."""
        lang = self._front.lang(request)
        visit = await self._visit(request, lang)
        if visit is None:
            return self._front.not_found(lang, purchase.PAGE_PATH)
        if visit.payment.state.is_final:
            return await self._result(visit, just_now="done" in request.query_params)
        return await self._form(visit)

    async def act(self, request: Request) -> Response:
        """One press of a button."""
        form = await read_form(request)
        lang = self._front.lang(request, form)
        visit = await self._visit(request, lang)
        if visit is None:
            return self._front.not_found(lang, purchase.PAGE_PATH)
        if visit.payment.state is PaymentState.SUCCESS:
            return self._leave(visit, visit.payment)  # pressed twice
        if visit.payment.state.is_final:
            return self._see(visit)
        if not self._front.shown_by_us(form, visit.payment.id):
            return await self._form(visit, whole="form_old", status=422)
        match text(form, "action"):
            case "pay":
                return await self._pay(visit, text(form, "pin"))
            case "cancel":
                return await self._close(visit, Move.CANCELLED, failure="CANCELLED_BY_BUYER")
            case "topup" if self._front.settings.is_sandbox:
                return await self._top_up(visit)
            case _:
                return self._see(visit)

    # -- what the buttons do

    async def _pay(self, visit: _Visit, pin: str) -> Response:
        if error := pin_error(pin):
            return await self._form(visit, pin_key=error, status=422)
        # Whom nothing holds back and who has the money is asked; a PIN that could not pay is not looked at.
        hold, _ = await self._holds(visit)
        if hold is not None:
            return await self._form(visit, status=422)
        customer_id = purchase.customer_id(visit.order)
        check = await confirm_pin(self._front.database, self._front.wiring.pin_hasher, customer_id, pin, now=self._front.now())
        if check.outcome is not PinOutcome.RIGHT:
            return await self._wrong_pin(visit, check)

        def settle(tx: Tx) -> Payment:
            found = purchase.find(tx, visit.payment.id)
            assert found is not None
            customer = get_account(tx, customer_id)
            return purchase.pay(tx, *found, customer, settings=self._front.settings, now=self._front.now())

        try:
            paid = await self._front.database.transact(settle)
        except Refused as refused:
            match refused.reason:
                case Reason.BALANCE_TOO_SMALL | Reason.ACCOUNT_LOCKED | Reason.ACCOUNT_CLOSED:
                    return await self._form(visit, status=422)
                case Reason.PAYMENT_MOVED_ON:
                    return self._see(visit)
                case _:
                    raise
        return self._leave(visit, paid)

    async def _wrong_pin(self, visit: _Visit, check: PinCheck) -> Response:
        def remember(tx: Tx) -> Payment:
            found = purchase.find(tx, visit.payment.id)
            assert found is not None
            return purchase.wrong_pin(tx, *found, check, settings=self._front.settings, now=self._front.now())

        try:
            payment = await self._front.database.transact(remember)
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                raise
            return self._see(visit)
        if payment.state.is_final:
            return self._see(visit)  # says what happened to the PIN, and leads back from there
        if check.outcome is not PinOutcome.WRONG:
            return await self._form(visit, status=422)
        return await self._form(visit, whole="pin_wrong", attempts_left=check.attempts_left or None, status=422)

    async def _top_up(self, visit: _Visit) -> Response:
        """Sandbox: bring in what is missing, as if the customer had been to a counter."""

        def bring_in(tx: Tx) -> None:
            customer = get_account(tx, purchase.customer_id(visit.order))
            missing = visit.payment.amount - balance(tx, customer.id)
            if missing > 0:
                top_up(tx, customer, Rupiah(missing), limits=self._front.wiring.limits, now=self._front.now())

        try:
            await self._front.database.transact(bring_in)
        except Refused as refused:
            if refused.reason not in (Reason.BALANCE_LIMIT_EXCEEDED, Reason.MONTHLY_LIMIT_EXCEEDED, Reason.ACCOUNT_CLOSED):
                raise
            return await self._form(visit, whole="topup_limit", status=422)
        return self._see(visit)

    async def _close(self, visit: _Visit, move: Move, *, failure: str) -> Response:
        def close(tx: Tx) -> Payment:
            found = purchase.find(tx, visit.payment.id)
            assert found is not None
            return purchase.close(tx, *found, move, settings=self._front.settings, now=self._front.now(), failure=failure)

        try:
            closed = await self._front.database.transact(close)
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                raise
            return self._see(visit)
        return self._leave(visit, closed)

    # -- reading

    async def _visit(self, request: Request, lang: Lang) -> _Visit | None:
        payment_id = request.path_params["payment_id"]
        if not is_id(payment_id):
            return None

        def look(tx: Tx) -> _Visit | None:
            found = purchase.find(tx, payment_id)
            return None if found is None else _Visit(*found, get(tx, found[1].merchant_id), lang)

        visit = await self._front.database.read(look)
        if visit is not None and not visit.payment.state.is_final and self._front.now() >= visit.payment.expires_at:
            # The sweeper comes round too; a customer who is quicker must not see a page that cannot be paid.
            await self._close(visit, Move.TIMED_OUT, failure="EXPIRED")
            visit = await self._front.database.read(look)
        return visit

    async def _holds(self, visit: _Visit) -> tuple[Hold | None, str]:
        """Why this customer cannot pay now, and until when."""
        customer_id = purchase.customer_id(visit.order)

        def look(tx: Tx) -> tuple[Hold | None, str]:
            if get_account(tx, customer_id).status is not AccountStatus.ACTIVE:
                return "locked", ""
            until = pin_blocked_until(tx, customer_id)
            if until is not None and until > self._front.now():
                return "blocked", i18n.clock_time(until, visit.lang)
            return ("short" if balance(tx, customer_id) < visit.payment.amount else None), ""

        return await self._front.database.read(look)

    # -- where the browser goes

    def _see(self, visit: _Visit, query: str = "") -> Response:
        return leave(f"{visit.path}?lang={visit.lang}{query}")

    def _leave(self, visit: _Visit, payment: Payment) -> Response:
        """To the merchant, if it said where; otherwise to the result."""
        url = purchase.return_url(visit.order, payment)
        return leave(url) if url else self._see(visit, "&done=1")

    # -- pages

    async def _form(
        self,
        visit: _Visit,
        *,
        pin_key: str | None = None,
        whole: str | None = None,
        attempts_left: int | None = None,
        status: int = 200,
    ) -> Response:
        customer_id = purchase.customer_id(visit.order)
        hold, until = await self._holds(visit)
        customer, holds = await self._front.database.read(lambda tx: (get_account(tx, customer_id), balance(tx, customer_id)))
        return self._front.page(
            "doku_wallet_snap/purchase.html",
            lang=visit.lang,
            path=visit.path,
            merchant=visit.merchant,
            subject=visit.payment.id,
            status=status,
            order=self._order_view(visit),
            payer=Payer(customer.name, mask_phone(customer.phone)),
            balance=holds,
            hold=hold,
            until=until,
            pin_key=pin_key,
            whole=whole,
            attempts_left=attempts_left,
            form_token=self._front.form_token(visit.payment.id),
            demo_pin=self._front.demo_pin_of(customer_id),
        )

    def _order_view(self, visit: _Visit) -> OrderView:
        return OrderView(
            merchant_name=visit.merchant.name,
            invoice_number=visit.order.invoice_number,
            amount=visit.payment.amount,
            line_items=(),
            expires_at=visit.payment.expires_at,
            now=self._front.now(),
        )

    async def _result(self, visit: _Visit, *, just_now: bool) -> Response:
        payment, lang = visit.payment, visit.lang
        back = purchase.return_url(visit.order, payment)
        key = ""
        if payment.failure == "WRONG_PIN":
            key = "purchase_blocked"
        elif payment.failure == "CANCELLED_BY_MERCHANT":
            key = "shop_cancelled"
        elif payment.state in (PaymentState.VOIDED, PaymentState.REFUNDED):
            key = "money_returned"
        if key:
            end = Ending(
                "failed" if key == "purchase_blocked" else "cancelled",
                i18n.text(lang, key),
                i18n.text(lang, f"{key}_text", shop=visit.merchant.name, amount=format_rupiah(payment.amount)),
                back_url=back,
                back_label=i18n.text(lang, "back_to", shop=visit.merchant.name),
                facts=(
                    (i18n.text(lang, "amount"), format_rupiah(payment.amount)),
                    (i18n.text(lang, "invoice"), visit.order.invoice_number),
                ),
            )
            return self._front.ending(end, lang=lang, path=visit.path, merchant=visit.merchant, subject=payment.id)
        payer_id = payment.payer
        payer = await self._front.database.read(lambda tx: get_account(tx, payer_id)) if payer_id else None
        state = _RESULT[payment.state]
        return self._front.page(
            "result.html",
            lang=lang,
            path=visit.path,
            merchant=visit.merchant,
            subject=payment.id,
            order=self._order_view(visit),
            state=state,
            paid_at=payment.finished_at if state == "paid" else None,
            approval_code=payment.approval_code,
            method=METHOD,
            payer=payer.name if payer else None,
            phone_masked=mask_phone(payer.phone) if payer else None,
            return_url=back,
            app_link=back is not None,
            just_paid=just_now,
        )
