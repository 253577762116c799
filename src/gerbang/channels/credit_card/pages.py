"""The hosted card page and the way to the bank and back.

One address per payment. A GET shows where it stands; a POST does one thing. A card that was declined is answered at once, with what
can be kept; everything that ends the payment sends the browser on, so that reloading never pays twice.
"""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gerbang.channels.credit_card.authentication import may_continue
from gerbang.channels.credit_card.authentications import Authentication, finish_authentication, get_authentication
from gerbang.channels.credit_card.bins import facts_of
from gerbang.channels.credit_card.charges import Charge, ChargeState, charges_of, current_charge, get_charge
from gerbang.channels.credit_card.installments import Plan
from gerbang.channels.credit_card.numbers import (
    BadExpiry,
    BadNumber,
    Brand,
    Expiry,
    check_number,
    clean,
    cvv_length,
    expiry_of_yymm,
    is_cvv,
    parse_expiry,
)
from gerbang.channels.credit_card.options import CardOptions, PaymentType
from gerbang.channels.credit_card.promo import best
from gerbang.channels.credit_card.responses import KNOWN_CODES, is_approved, is_silent, response
from gerbang.channels.credit_card.room import CardRefused, CardRoom, Submission
from gerbang.channels.credit_card.sandbox_cards import featured
from gerbang.channels.credit_card.terms import CODE, PAGE_PATH, THREE_DS_PATH, Quote, Terms, accepts_bin, options_of, terms_of
from gerbang.channels.credit_card.views import (
    NEW_CARD,
    CardPage,
    Decline,
    DemoCard,
    Outcomes,
    PaidCard,
    PlanView,
    PromoView,
    SavedCard,
)
from gerbang.clock import iso_z
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.merchants import Merchant, get
from gerbang.payments import Move, Order, Payment, PaymentState, find_payment, get_payment
from gerbang.protocols.names import may_hold_card_number
from gerbang.protocols.nonsnap.outcomes import close_unpaid
from gerbang.storage import Tx
from gerbang.vault import Token, deactivate, tokens_of
from gerbang.web.forms import read_form
from gerbang.web.forms import text as _text
from gerbang.web.pages import page_response
from gerbang.web.theme import Theme, parse_theme
from gerbang.web.views import FieldError, ItemView, Lang, OrderView, ResultState, Shell
from gerbang.web.wiring import Wiring

METHOD = "Credit Card"
_SHOW_ATTEMPTS_FROM = 3
_RESULT: dict[PaymentState, ResultState] = {
    PaymentState.SUCCESS: "paid",
    PaymentState.AUTHORISED: "paid",
    PaymentState.PARTIALLY_REFUNDED: "paid",
    PaymentState.REFUNDED: "paid",
    PaymentState.FAILED: "failed",
    PaymentState.CANCELLED: "cancelled",
    PaymentState.VOIDED: "cancelled",
    PaymentState.RELEASED: "cancelled",
    PaymentState.EXPIRED: "expired",
}
_NUMBER_FAULTS = {
    "missing": "number_missing",
    "incomplete": "number_incomplete",
    "wrong": "number_wrong",
    "brand": "number_brand",
}
_REASONS: dict[str, Decline] = {"timeout": "verification_timeout", "cancelled": "verification_cancelled"}


@dataclass(frozen=True, slots=True)
class _Visit:
    """One look at one payment's page."""

    order: Order
    payment: Payment
    merchant: Merchant
    deadline: datetime
    charges: tuple[Charge, ...]
    tokens: tuple[Token, ...]
    lang: Lang
    embed: bool
    origin: str
    ip: str | None
    outcome: tuple[str, str] = ("", "")

    @property
    def path(self) -> str:
        # Never as the request wrote it: redirects and forms lead here.
        return f"{PAGE_PATH}/{self.payment.id}"

    @property
    def terms(self) -> Terms:
        return terms_of(self.order)

    @property
    def options(self) -> CardOptions:
        return options_of(self.merchant)

    @property
    def charge(self) -> Charge | None:
        return self.charges[-1] if self.charges else None

    @property
    def tried(self) -> int:
        return sum(one.is_attempt and one.state is ChargeState.DECLINED for one in self.charges)


@dataclass(frozen=True, slots=True)
class _Typed:
    """What the form held. No CVV: that is never shown again."""

    choice: str = NEW_CARD
    number: str = ""
    expiry: str = ""
    name: str = ""
    plan: str | None = None
    save: bool = False
    consent: bool = False
    is_test_card: bool = False

    def shown(self, field: Literal["number", "expiry", "name"]) -> str:
        """What may be shown again: no card number comes back, in whatever field; the sandbox's own test cards may."""
        text: str = getattr(self, field)
        hidden = not self.is_test_card and (field == "number" or may_hold_card_number(text))
        return "" if hidden else text


class CardPages:
    """Handlers of the pages, over the parts of the running gateway."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._room: CardRoom = wiring.rooms[CODE]

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{PAGE_PATH}/{{payment_id}}", self.show, methods=["GET"]),
            Route(f"{PAGE_PATH}/{{payment_id}}", self.act, methods=["POST"]),
            Route(f"{PAGE_PATH}/{{payment_id}}/plans", self.plans, methods=["GET"]),
            Route(f"{THREE_DS_PATH}/{{authentication_id}}", self.to_bank, methods=["GET"]),
            Route(f"{THREE_DS_PATH}/{{authentication_id}}", self.from_bank, methods=["POST"]),
        ]

    # -- the payment's page

    async def show(self, request: Request) -> Response:
        """Where the payment stands."""
        visit = await self._visit(request, request.query_params.get("lang"), "embed" in request.query_params)
        if isinstance(visit, Response):
            return visit
        just_now = "done" in request.query_params
        if visit.payment.state.is_final:
            if just_now and visit.terms.auto_redirect and not visit.embed and self._return_url(visit):
                return RedirectResponse(self._return_url(visit), status_code=303)
            return self._result(visit, just_now=just_now)
        charge = visit.charge
        if charge is not None and charge.state in (ChargeState.AUTHORISING, ChargeState.REVERSING):
            return self._result(visit, just_now=False)
        demo = next((one for one in self._demo_cards(visit.lang) if one.key == request.query_params.get("card")), None)
        typed = (
            _Typed(number=demo.number, expiry=demo.expiry, is_test_card=True)
            if demo
            else _Typed(choice=self._first_choice(visit))
        )
        return self._form(visit, typed, decline=None if demo else self._decline(charge))

    async def act(self, request: Request) -> Response:
        """One press of a button."""
        form = await read_form(request)
        lang_wanted = _text(form, "lang") or request.query_params.get("lang")
        visit = await self._visit(request, lang_wanted, "embed" in form or "embed" in request.query_params)
        if isinstance(visit, Response):
            return visit
        if visit.payment.state.is_final:
            return self._see(visit)
        match _text(form, "action"):
            case "pay":
                return await self._pay(visit, form)
            case "cancel":
                return await self._cancel(visit)
            case "remove":
                return await self._remove(visit, form)
            case "outcome" if self._wiring.settings.is_sandbox:
                return await self._choose_outcome(visit, form)
            case _:
                return self._see(visit)

    async def plans(self, request: Request) -> Response:
        """For the script: the ways to pay with a card of this BIN, or with a saved card."""
        visit = await self._visit(request, request.query_params.get("lang"), embed=False)
        if isinstance(visit, Response):
            return JSONResponse({"plans": [], "allow_full": True}, status_code=404)
        digits = request.query_params.get("bin", "")[:8]
        token = next((one for one in visit.tokens if _ref(one) == request.query_params.get("choice")), None)
        if token is not None:
            digits = token.card.bin
        plans: tuple[Plan, ...] = ()
        if len(digits) >= 6 and digits.isascii() and digits.isdigit():
            quoted = self._quote(visit, digits)
            plans = quoted.plans if quoted and not quoted.locked else ()
        listed = [msgspec.to_builtins(_plan_view(plan)) for plan in plans] if _to_choose(plans) else []
        full = any(plan.tenor == 0 for plan in plans) or not plans
        return JSONResponse({"plans": listed, "allow_full": full}, headers={"Cache-Control": "no-store"})

    async def _pay(self, visit: _Visit, form: FormData) -> Response:
        typed = _Typed(
            choice=_text(form, "choice") or NEW_CARD,
            number=_text(form, "number"),
            expiry=_text(form, "expiry"),
            name=_text(form, "name")[:255],
            plan=_text(form, "plan") or None,
            save=bool(_text(form, "save")),
            consent=bool(_text(form, "consent")),
        )
        sent, errors = self._read(visit, typed, cvv=_text(form, "cvv"), browser_key=_text(form, "form"))
        if sent is None:
            return self._form(visit, typed, errors=errors, status=422)
        try:
            charge = await self._room.submit(visit.payment.id, sent)
        except CardRefused as refused:
            return self._form(visit, typed, errors=[FieldError(refused.field, refused.key)], status=422)
        except Refused as refused:
            if refused.reason not in (Reason.PAYMENT_MOVED_ON, Reason.PAYMENT_BUSY):
                raise
            return self._see(visit)
        if charge.state is ChargeState.AUTHENTICATING and charge.details.acs_url:
            return self._challenge(visit, charge, sent.browser_key, typed)
        if charge.state is ChargeState.DECLINED:
            visit = await self._again(visit)
            if not visit.payment.state.is_final:
                return self._form(visit, typed, decline=self._decline(charge), status=422)
        return self._leave(await self._again(visit))

    def _read(self, visit: _Visit, typed: _Typed, *, cvv: str, browser_key: str) -> tuple[Submission | None, list[FieldError]]:
        """The form's fields, checked in the order of the page."""
        errors: list[FieldError] = []
        token = next((one for one in visit.tokens if _ref(one) == typed.choice), None)
        number, expiry, brand = None, None, None
        if token is not None:
            brand = Brand(token.card.brand)
            if not accepts_bin(visit.terms, token.card.bin):
                errors.append(FieldError("choice", "number_refused"))
        elif typed.choice != NEW_CARD:
            errors.append(FieldError("choice", "card_gone"))
        else:
            number, brand = self._read_number(visit, typed.number, errors)
            expiry = self._read_expiry(typed.expiry, errors)
            if may_hold_card_number(typed.name):
                errors.append(FieldError("name", "name_number"))
        if _asks_cvv(visit.terms, saved=token is not None):
            cvv = clean(cvv)
            if not cvv:
                errors.append(FieldError("cvv", "cvv_missing"))
            elif not any(is_cvv(cvv, one) for one in ([brand] if brand is not None else Brand)):
                errors.append(FieldError("cvv", "cvv_incomplete"))
        else:
            cvv = ""
        plan_id = typed.plan
        digits = token.card.bin if token is not None else number
        if digits and not errors:
            quoted = self._quote(visit, digits)
            offered = quoted.plans if quoted else ()
            if not offered:
                errors.append(FieldError("choice" if token is not None else "number", "number_refused"))
            elif plan_id is None and _to_choose(offered) and not (quoted and quoted.locked):
                errors.append(FieldError("plan", "plan_now_offered"))
            elif plan_id is not None and all(plan.id != plan_id for plan in offered):
                if len(offered) == 1 and offered[0].tenor == 0:
                    plan_id = offered[0].id
                else:
                    errors.append(FieldError("plan", "plan_unavailable"))
        text, _ = _disclaimer(visit.terms, visit.lang)
        if text and not typed.consent:
            errors.append(FieldError("consent", "consent_missing"))
        if errors:
            return None, errors
        consent = None
        if text:
            now = self._wiring.clock.now()
            consent = {"at": iso_z(now), "lang": visit.lang, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        return (
            Submission(
                browser_key=browser_key or secrets.token_hex(16),
                number=number,
                expiry=expiry,
                cvv=cvv or None,
                holder=typed.name or None,
                token=token.id if token is not None else None,
                plan_id=plan_id,
                save=typed.save,
                consent=consent,
                ip=visit.ip,
                lang=visit.lang,
                origin=self._wiring.settings.public_url.rstrip("/") or visit.origin,
            ),
            [],
        )

    def _read_number(self, visit: _Visit, text: str, errors: list[FieldError]) -> tuple[str | None, Brand | None]:
        try:
            number = check_number(text)
        except BadNumber as bad:
            errors.append(FieldError("number", _NUMBER_FAULTS[bad.kind]))
            return None, None
        brand = facts_of(number).brand
        try:
            self._room.check_environment(number)
        except Refused:
            errors.append(FieldError("number", "number_live" if self._wiring.settings.is_sandbox else "number_test"))
            return None, brand
        if not accepts_bin(visit.terms, number):
            errors.append(FieldError("number", "number_refused"))
            return None, brand
        return number, brand

    def _read_expiry(self, text: str, errors: list[FieldError]) -> Expiry | None:
        if not text:
            errors.append(FieldError("expiry", "expiry_missing"))
            return None
        try:
            expiry = parse_expiry(text)
        except BadExpiry:
            errors.append(FieldError("expiry", "expiry_format"))
            return None
        now = self._wiring.clock.now()
        if expiry.is_over(now):
            errors.append(FieldError("expiry", "expiry_over"))
        elif expiry.too_far(now):
            errors.append(FieldError("expiry", "expiry_far"))
        return expiry

    async def _cancel(self, visit: _Visit) -> Response:
        try:
            await self._room.cancel(visit.payment.id, self._wiring.channels[CODE])
        except Refused as refused:
            if refused.reason not in (Reason.PAYMENT_MOVED_ON, Reason.PAYMENT_BUSY):
                raise
            return self._see(visit)
        return self._leave(await self._again(visit))

    async def _remove(self, visit: _Visit, form: FormData) -> Response:
        token = next((one for one in visit.tokens if _ref(one) == _text(form, "token")), None)
        if token is None:
            return self._see(visit)
        if not _text(form, "confirm"):
            page = self._card_page(visit, _Typed())
            card = next(one for one in page.saved_cards if one.token_ref == _ref(token))
            return self._render(visit, "credit_card/remove.html", page=page, card=card)
        now = self._wiring.clock.now()
        await self._wiring.database.transact(
            lambda tx: deactivate(
                tx, merchant_id=visit.merchant.client_id, token_id=token.id, customer_id=token.customer_id, now=now
            )
        )
        return self._see(visit)

    async def _choose_outcome(self, visit: _Visit, form: FormData) -> Response:
        """Sandbox: what the bank shall say to this payment from now on, whatever the card."""
        from gerbang.channels.credit_card.simulator import choose, chosen

        code, three_ds = _text(form, "response_code") or None, _text(form, "three_ds") or None
        if code is not None and code not in KNOWN_CODES:
            return self._see(visit)

        def write(tx: Tx) -> None:
            kept = chosen(tx, visit.payment.id).follow_up_code
            choose(tx, visit.payment.id, three_ds=three_ds, response_code=code, follow_up_code=kept)

        try:
            await self._wiring.database.transact(write)
        except Refused as refused:
            if refused.reason is not Reason.FIELD_INVALID:
                raise
        return self._see(visit)

    # -- to the bank and back

    async def to_bank(self, request: Request) -> Response:
        """Host-to-host: where the merchant sends its buyer. On to the issuer, or straight back when it did not ask."""
        found = await self._authentication(request)
        lang = _lang(request.query_params.get("lang"), None)
        if found is None or (found.charge_id is not None and found.state == "STARTED"):
            return self._error(request, lang, "not_found")
        if found.state == "STARTED" and found.details.acs_url and self._wiring.clock.now() < found.expires_at:
            shell = Shell(lang, self._wiring.settings.is_sandbox, "", "", f"{THREE_DS_PATH}/{found.id}", found.id)
            html = self._wiring.pages.render(
                "credit_card/to_bank.html", lang=lang, shell=shell, theme=Theme(), acs_url=found.details.acs_url
            )
            return page_response(html, frame_ancestors="*", frame_source=_origin(found.details.acs_url))
        return self._back_to_merchant(found)

    async def from_bank(self, request: Request) -> Response:
        """The issuer's page posts its result here (CRes). What it says is not believed: the schemes are asked."""
        form = await read_form(request)
        found = await self._authentication(request)
        wanted = _text(form, "lang") or request.query_params.get("lang")
        lang = _lang(wanted, None)
        if found is None:
            return self._error(request, lang, "not_found")
        if found.charge_id is None or found.state == "USED":
            return await self._host_to_host_back(found)
        charge_id = found.charge_id
        charge = await self._wiring.database.read(lambda tx: get_charge(tx, charge_id))
        charge = await self._room.continue_charge(charge, _text(form, "threeDSSessionData"))
        order, payment, merchant = await self._wiring.database.read(lambda tx: _with_merchant(tx, charge.payment_id))
        terms = terms_of(order)
        lang = _lang(wanted, terms)
        in_frame = request.headers.get("sec-fetch-dest") == "iframe"
        next_url = f"{PAGE_PATH}/{payment.id}?lang={lang}&done=1"
        if not in_frame and "sec-fetch-dest" in request.headers:
            return RedirectResponse(next_url, status_code=303)
        shell = Shell(lang, self._wiring.settings.is_sandbox, "", merchant.name, f"{PAGE_PATH}/{payment.id}", payment.id)
        html = self._wiring.pages.render(
            "credit_card/challenge_done.html", lang=lang, shell=shell, next_url=next_url, theme=_theme(terms)
        )
        return page_response(html, frame_ancestors="*")

    async def _authentication(self, request: Request) -> Authentication | None:
        named = request.path_params["authentication_id"]
        if not (len(named) == 64 and named.isascii() and named.isalnum()):
            return None
        return await self._wiring.database.read(lambda tx: get_authentication(tx, named))

    async def _host_to_host_back(self, found: Authentication) -> Response:
        if found.state == "STARTED" and found.details.acs_trans_id:
            result = await self._room.schemes.challenge_result(found.details.acs_trans_id)
            if result is not None:
                await self._wiring.database.transact(lambda tx: finish_authentication(tx, found.id, result.trans_status))
                found = replace(found, state="DONE", trans_status=result.trans_status)
        return self._back_to_merchant(found)

    def _back_to_merchant(self, found: Authentication) -> Response:
        passed = found.state != "STARTED" and may_continue(found.trans_status, allow_unavailable=True)
        return RedirectResponse(found.details.callback_success if passed else found.details.callback_failed, status_code=303)

    # -- reading

    async def _visit(self, request: Request, lang_wanted: str | None, embed: bool) -> "_Visit | Response":
        payment_id = request.path_params["payment_id"]

        def look(tx: Tx) -> _Visit | None:
            # What no payment can be called is not looked for: PostgreSQL would not even take a NUL.
            found = find_payment(tx, payment_id) if "\x00" not in payment_id else None
            if found is None or found[1].channel != CODE:
                return None
            order, payment = found
            terms = terms_of(order)
            if terms.host_to_host:
                return None
            customer_id = terms.customer_id
            tokens = tuple(tokens_of(tx, payment.merchant_id, customer_id)) if customer_id and not payment.state.is_final else ()
            return _Visit(
                order=order,
                payment=payment,
                merchant=get(tx, payment.merchant_id),
                deadline=self._room.deadline(tx, payment),
                charges=tuple(charges_of(tx, payment.id)),
                tokens=tokens,
                lang=_lang(lang_wanted, terms),
                embed=embed or request.headers.get("sec-fetch-dest") == "iframe",
                origin=f"{request.url.scheme}://{request.url.netloc}",
                ip=request.client.host if request.client else None,
                outcome=self._outcome(tx, payment) if self._wiring.settings.is_sandbox else ("", ""),
            )

        visit = await self._wiring.database.read(look)
        if visit is None:
            return self._error(request, _lang(lang_wanted, None), "not_found")
        if visit.payment.state is PaymentState.REPLACED:
            return self._error(request, visit.lang, "replaced", visit.merchant.name)
        over = self._wiring.clock.now() >= visit.deadline
        under_way = visit.charge is not None and visit.charge.state.is_open
        if visit.payment.state is PaymentState.PENDING and over and not under_way:
            # The sweeper comes round too; a buyer who is quicker must not see a page that cannot be paid.
            await self._expire(visit)
            again = await self._wiring.database.read(look)
            assert again is not None
            return again
        return visit

    async def _again(self, visit: _Visit) -> _Visit:
        def look(tx: Tx) -> _Visit:
            order, payment = get_payment(tx, visit.payment.id)
            return replace(visit, order=order, payment=payment, charges=tuple(charges_of(tx, payment.id)))

        return await self._wiring.database.read(look)

    async def _expire(self, visit: _Visit) -> None:
        def close(tx: Tx) -> None:
            order, payment = get_payment(tx, visit.payment.id)
            charge = current_charge(tx, payment.id)
            if charge is not None and charge.state.is_open:
                return
            close_unpaid(
                tx,
                self._wiring.channels[CODE],
                get(tx, payment.merchant_id),
                order,
                payment,
                Move.TIMED_OUT,
                settings=self._wiring.settings,
                now=self._wiring.clock.now(),
                failure="EXPIRED",
            )

        try:
            await self._wiring.database.transact(close)
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                raise

    def _quote(self, visit: _Visit, number_or_bin: str) -> Quote | None:
        try:
            facts = facts_of(number_or_bin)
        except BadNumber:
            return None
        return self._room.price(visit.order, visit.merchant, number_or_bin, facts)

    # -- where the browser goes

    def _see(self, visit: _Visit, query: str = "") -> Response:
        embed = "&embed=1" if visit.embed else ""
        return RedirectResponse(f"{visit.path}?lang={visit.lang}{embed}{query}", status_code=303)

    def _leave(self, visit: _Visit) -> Response:
        """To the merchant at once when it asked for that, otherwise to the result. From a frame the result leads on."""
        url = self._return_url(visit)
        if visit.payment.state.is_final and visit.terms.auto_redirect and url and not visit.embed:
            return RedirectResponse(url, status_code=303)
        return self._see(visit, "&done=1")

    def _return_url(self, visit: _Visit) -> str:
        terms = visit.terms
        paid = _RESULT.get(visit.payment.state) == "paid"
        return (terms.callback_url if paid else terms.failed_url or terms.callback_url) or ""

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
            expires_at=visit.deadline,
            now=self._wiring.clock.now(),
        )

    def _render(self, visit: _Visit, template: str, *, status: int = 200, frame_source: str = "", **context: object) -> Response:
        html = self._wiring.pages.render(template, lang=visit.lang, shell=self._shell(visit), **context)
        ancestors = visit.merchant.options.frame_ancestors or "*"
        return page_response(html, status=status, frame_ancestors=ancestors, frame_source=frame_source)

    def _form(
        self,
        visit: _Visit,
        typed: _Typed,
        *,
        errors: list[FieldError] | None = None,
        decline: Decline | None = None,
        status: int = 200,
    ) -> Response:
        page = self._card_page(visit, typed, errors=tuple(errors or ()), decline=decline)
        return self._render(visit, "credit_card/pay.html", status=status, page=page)

    def _card_page(
        self,
        visit: _Visit,
        typed: _Typed,
        *,
        errors: tuple[FieldError, ...] = (),
        decline: Decline | None = None,
    ) -> CardPage:
        terms, options = visit.terms, visit.options
        token = next((one for one in visit.tokens if _ref(one) == typed.choice), None)
        digits = token.card.bin if token is not None else clean(typed.number)
        quoted = self._quote(visit, digits) if len(digits) >= 6 else None
        discount = quoted.discount if quoted else 0
        plans = quoted.plans if quoted else ()
        locked = terms.payment_type is PaymentType.INSTALLMENT and terms.acquirer is not None
        shown: tuple[PlanView, ...] = tuple(_plan_view(plan) for plan in plans) if _to_choose(plans) or locked else ()
        if locked and not shown:
            shown = (_requested_view(terms, options, visit.order.amount),)
        chosen = typed.plan if typed.plan and any(plan.id == typed.plan for plan in shown) else (shown[0].id if shown else None)
        text, text_lang = _disclaimer(terms, visit.lang)
        left = options.max_attempts - visit.tried
        brand = Brand(token.card.brand) if token is not None else None
        forced = terms.save or (terms.payment_type is PaymentType.RECURRING and bool(terms.customer_id))
        return CardPage(
            order=self._order_view(visit),
            amount_full=visit.order.amount,
            amount_now=visit.order.amount - discount,
            form_token=secrets.token_hex(16),
            discount=discount,
            promo_applied=discount > 0,
            promo_issuer=_bank_title(digits) if discount else None,
            promos=tuple(PromoView(one.bin, one.discount) for one in terms.promos if 0 < one.discount < visit.order.amount),
            allow_bin=tuple(terms.allow_bin),
            payment_type=terms.payment_type.value,
            show_cvv=_asks_cvv(terms, saved=token is not None),
            cvv_length=cvv_length(brand) if brand else 3,
            saved_cards=tuple(self._saved(visit, one, decline) for one in visit.tokens),
            chosen=typed.choice if token is not None else NEW_CARD,
            number=typed.shown("number"),
            expiry=typed.shown("expiry"),
            name=typed.shown("name"),
            plans=shown,
            plan_chosen=chosen,
            plan_locked=locked,
            may_have_plans=terms.payment_type in (PaymentType.SALE, PaymentType.INSTALLMENT) and options.installments.on,
            save_mode="forced" if forced else "offer" if terms.customer_id else "hidden",
            save_ticked=typed.save,
            disclaimer=text,
            disclaimer_lang=text_lang,
            disclaimer_ticked=typed.consent,
            errors=errors,
            decline=decline,
            attempts_left=left if visit.tried >= _SHOW_ATTEMPTS_FROM and left > 0 else None,
            demo_cards=self._demo_cards(visit.lang),
            outcomes=self._outcomes(visit),
            embed=visit.embed,
            theme=_theme(terms),
        )

    def _saved(self, visit: _Visit, token: Token, decline: Decline | None) -> SavedCard:
        card = token.card
        last = visit.charge
        return SavedCard(
            token_ref=_ref(token),
            brand=card.brand,
            last4=card.last4,
            expiry_shown=expiry_of_yymm(card.expiry).shown,
            just_declined=decline is not None and last is not None and last.fingerprint == card.fingerprint,
            cvv_length=cvv_length(Brand(card.brand)),
            discount=best(visit.terms.promos, card.bin, visit.order.amount),
        )

    def _first_choice(self, visit: _Visit) -> str:
        """The card the merchant named, else the newest saved one that was not just declined, else a new one."""
        named = next((one for one in visit.tokens if one.id == visit.terms.token), None)
        declined = visit.charge.fingerprint if visit.charge is not None and visit.charge.state is ChargeState.DECLINED else None
        if named is not None and named.card.fingerprint != declined:
            return _ref(named)
        usable = [one for one in visit.tokens if one.card.fingerprint != declined and accepts_bin(visit.terms, one.card.bin)]
        return _ref(usable[-1]) if usable else NEW_CARD

    def _decline(self, charge: Charge | None) -> Decline | None:
        if charge is None or charge.state is not ChargeState.DECLINED or not charge.is_attempt:
            return None
        if charge.details.reason in _REASONS:
            return _REASONS[charge.details.reason]
        buyer = response(charge.response_code or "", Brand(charge.details.brand)).buyer
        # Once it is declined the bank's silence is over: it was reversed, and nothing is charged.
        return "not_processed" if buyer is None or buyer.value == "bank_silent" else buyer.value

    def _challenge(self, visit: _Visit, charge: Charge, browser_key: str, typed: _Typed) -> Response:
        page = replace(
            self._card_page(visit, typed),
            discount=charge.details.discount,
            promo_applied=charge.details.discount > 0,
            amount_now=charge.amount,
        )
        acs_url = charge.details.acs_url or ""
        return self._render(
            visit, "credit_card/challenge.html", frame_source=_origin(acs_url), page=page, acs_url=acs_url, session=browser_key
        )

    def _result(self, visit: _Visit, *, just_now: bool) -> Response:
        payment, charge = visit.payment, visit.charge
        waiting = payment.state is PaymentState.PENDING
        state: ResultState = "waiting" if waiting else _RESULT[payment.state]
        tenor = charge.details.tenor if charge else 0
        card = None
        if charge is not None:
            total = charge.amount
            monthly = -(-total // tenor) if tenor else 0
            card = PaidCard(charge.details.brand, charge.details.masked[-4:], tenor, monthly)
        return self._render(
            visit,
            "result.html",
            order=self._order_view(visit),
            state=state,
            paid_at=payment.finished_at if state == "paid" else None,
            approval_code=payment.approval_code,
            method=METHOD,
            payer=None,
            phone_masked=None,
            return_url="" if waiting else self._return_url(visit),
            just_paid=just_now,
            by_card=True,
            paid_card=card,
            charged=payment.charged,
            held=payment.state is PaymentState.AUTHORISED,
            attempts_used=visit.tried if payment.state is PaymentState.FAILED else None,
            silent=waiting and charge is not None and charge.state is ChargeState.REVERSING,
            theme=_theme(visit.terms),
            embed=visit.embed,
            leads_on=just_now and visit.embed and visit.terms.auto_redirect,
        )

    def _demo_cards(self, lang: Lang) -> tuple[DemoCard, ...]:
        if not self._wiring.settings.is_sandbox:
            return ()
        year = self._wiring.clock.now().year + 2
        return tuple(
            DemoCard(
                key=one.key,
                label=one.label(lang),
                number=one.card.number,
                expiry=f"12/{year % 100:02}",
                cvv=one.card.cvv,
                note=one.note(lang),
                otp=one.card.otp if one.card.three_ds == "challenge" else None,
            )
            for one in featured()
        )

    def _outcome(self, tx: Tx, payment: Payment) -> tuple[str, str]:
        from gerbang.channels.credit_card.simulator import chosen

        now = chosen(tx, payment.id)
        return now.response_code or "", now.three_ds or ""

    def _outcomes(self, visit: _Visit) -> Outcomes | None:
        if not self._wiring.settings.is_sandbox:
            return None
        from gerbang.channels.credit_card.simulator import THREE_DS_CHOICES

        groups: dict[str, list[tuple[str, str]]] = {"approved": [], "declined": [], "silent": []}
        for code in KNOWN_CODES:
            group = "approved" if is_approved(code) else "silent" if is_silent(code) else "declined"
            groups[group].append((code, response(code).message))
        return Outcomes(
            code=visit.outcome[0],
            authentication=visit.outcome[1],
            codes=tuple((group, tuple(sorted(listed))) for group, listed in groups.items()),
            three_ds=tuple(THREE_DS_CHOICES),
        )

    def _error(self, request: Request, lang: Lang, kind: Literal["not_found", "replaced"], shop: str = "") -> Response:
        shell = Shell(lang, self._wiring.settings.is_sandbox, "", shop, request.url.path, new_id("req"))
        html = self._wiring.pages.render("error.html", lang=lang, shell=shell, kind=kind)
        return page_response(html, status=404 if kind == "not_found" else 410, frame_ancestors="*")


def _lang(wanted: str | None, terms: Terms | None) -> Lang:
    """What the buyer chose, else what the merchant asked for, else English, as documented (S2-28)."""
    for sent in (wanted, terms.theme.get("language") if terms else None):
        if sent and sent.lower() in ("id", "en"):
            return "id" if sent.lower() == "id" else "en"
    return "en"


def _theme(terms: Terms) -> Theme:
    theme, _ = parse_theme(terms.theme)
    return theme


def _ref(token: Token) -> str:
    """Names a saved card on the page. The token itself is the merchant's and stays away from browsers."""
    return hashlib.sha256(token.id.encode()).hexdigest()[:16]


def _asks_cvv(terms: Terms, *, saved: bool) -> bool:
    """MOTO never, RECURRING for the first payment only (S2-48, S2-49)."""
    if terms.payment_type is PaymentType.MOTO:
        return False
    return terms.payment_type is not PaymentType.RECURRING or not saved


def _to_choose(plans: tuple[Plan, ...]) -> bool:
    """Whether the buyer has to say how to pay. A single tenor counts: nobody pays by the month without having seen it."""
    return any(plan.tenor for plan in plans)


def _plan_view(plan: Plan) -> PlanView:
    return PlanView(plan.id, plan.tenor, plan.monthly, plan.total, plan.interest_bp)


def _requested_view(terms: Terms, options: CardOptions, amount: int) -> PlanView:
    """The plan the merchant asked for, before any card is known."""
    assert terms.acquirer is not None
    interest_bp = options.installments.bank(terms.acquirer).interest_bp.get(terms.tenor, 0)
    total = amount + (amount * interest_bp + 5_000) // 10_000
    return PlanView(f"{terms.acquirer.value}-{terms.tenor}", terms.tenor, -(-total // terms.tenor), total, interest_bp)


def _bank_title(number_or_bin: str) -> str | None:
    """The issuing bank as people know it, when it is one of ours."""
    try:
        bank = facts_of(number_or_bin).acquirer
    except BadNumber:
        return None
    return bank.title if bank else None


def _disclaimer(terms: Terms, lang: Lang) -> tuple[str | None, str | None]:
    """The text in the page's language; a missing one falls back to English, then Indonesian (S2-38 … S2-40)."""
    for one in (lang, "en", "id"):
        if terms.disclaimer.get(one):
            return terms.disclaimer[one], one
    return None, None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _with_merchant(tx: Tx, payment_id: str) -> tuple[Order, Payment, Merchant]:
    order, payment = get_payment(tx, payment_id)
    return order, payment, get(tx, payment.merchant_id)


def card_pages(wiring: Wiring) -> list[BaseRoute]:
    """The routes of this room's pages."""
    return CardPages(wiring).routes()
