"""The pretend providers' pages: where a buyer pays in "the LinkAja app" or signs at "Indodana".

They belong to somebody else: they know only what the provider was asked, and what they decide reaches the gateway as a report, like
a real provider's. One address per order; a GET shows it, a POST does one thing and sends the browser on. A POST without `action`
shows the page too: LinkAja's redirect is a form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gerbang.clock import WIB
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.money import Rupiah, basis_points
from gerbang.payments import PaymentState, find_payment
from gerbang.phones import mask_phone, normalise_phone
from gerbang.providers.party import BALANCE, BUYER, BUYER_PHONE, LIMIT, Behaviour, Party, Plan
from gerbang.providers.room import ProviderRoom
from gerbang.providers.simulator import SimulatedOrder, decide, find_simulated, keep_of_buyer, reports_about, waiting
from gerbang.providers.views import AccountView, Look, PartyView, PlanView, WaitingView
from gerbang.storage import Tx
from gerbang.web.forms import read_form
from gerbang.web.forms import text as _text
from gerbang.web.i18n import choose_language
from gerbang.web.pages import initials, page_response
from gerbang.web.views import FieldError, ItemView, Lang, OrderView, Shell
from gerbang.web.wiring import Wiring

_ENDED: Mapping[PaymentState, str] = {
    PaymentState.SUCCESS: "paid",
    PaymentState.FAILED: "failed",
    PaymentState.CANCELLED: "cancelled",
    PaymentState.EXPIRED: "expired",
    PaymentState.REPLACED: "expired",
}
# The sandbox's buttons, in this order; what a buyer does by the page's own buttons is left out.
_BUTTONS = (
    Behaviour.NOT_ENOUGH,
    Behaviour.FAILED,
    Behaviour.EXPIRED,
    Behaviour.SLOW,
    Behaviour.NO_ANSWER,
    Behaviour.PAID_TWICE,
    Behaviour.PAID_LATE,
)


def look_of(party: Party) -> Look:
    """How a party's pages look."""
    return Look(party.code, party.name, party.initials or initials(party.name), party.kind, party.theme)


def plan_view(plan: Plan, amount: int, *, chosen: bool) -> PlanView:
    """What an amount costs on a plan. Each month is the same, rounded up, so the total is a little more than amount and interest."""
    monthly = -(-(amount + basis_points(amount, plan.interest_bp)) // plan.months)
    whole, rest = divmod(plan.interest_bp, 100)
    interest = str(whole) if not rest else f"{whole},{rest:02}".rstrip("0")
    return PlanView(plan.months, monthly, interest, monthly * plan.months, chosen)


@dataclass(frozen=True, slots=True)
class _Visit:
    """One look at an order at the pretend provider's."""

    order: SimulatedOrder
    state: PaymentState
    lang: Lang
    path: str
    until: datetime | None  # when its next report is due

    @property
    def return_url(self) -> str | None:
        return self.order.asked.return_url


class SimulatorPages:
    """The page of one party's orders."""

    def __init__(self, wiring: Wiring, party: Party) -> None:
        self._wiring = wiring
        self._party = party
        self._room: ProviderRoom = wiring.rooms[party.code]

    def routes(self) -> list[BaseRoute]:
        path = f"{self._party.page_path}/{{payment_id}}"
        return [Route(path, self.show, methods=["GET"]), Route(path, self.act, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """Where the order stands."""
        visit = await self._visit(request, request.query_params.get("lang"))
        if isinstance(visit, Response):
            return visit
        if visit.state is not PaymentState.PENDING:
            leads = self._leads(visit)
            if leads and "waited" in request.query_params:
                return RedirectResponse(leads, status_code=303)
            return self._ended(visit)
        if visit.order.is_waiting:
            if self._wiring.clock.now() >= visit.order.expires_at:
                return self._ended(visit, state="expired")
            return self._ask(visit)
        return self._pending(visit)

    async def act(self, request: Request) -> Response:
        """One press of a button."""
        form = await read_form(request)
        visit = await self._visit(request, _text(form, "lang") or request.query_params.get("lang"))
        if isinstance(visit, Response):
            return visit
        action = _text(form, "action")
        if not action:
            return await self.show(request)
        if visit.state is not PaymentState.PENDING or not visit.order.is_waiting:
            return self._see(visit)
        if action == "pay":
            chosen = visit.order.chosen or self._party.behaviour(visit.order.asked)
            if self._party.kind == "lender":
                return await self._sign(visit, form, chosen)
            return await self._decide(visit, chosen)
        if action == "cancel":
            return await self._decide(visit, Behaviour.CANCELLED)
        if action in Behaviour.__members__ and Behaviour(action) in self._party.behaviours:
            return await self._decide(visit, Behaviour(action))
        return self._see(visit)

    async def _sign(self, visit: _Visit, form: FormData, chosen: Behaviour) -> Response:
        months = _text(form, "plan")
        plan = next((one for one in self._party.plans if str(one.months) == months), None)
        errors = []
        if plan is None:
            errors.append(FieldError("plan", "sim_plan_missing"))
        if not _text(form, "consent"):
            errors.append(FieldError("consent", "sim_consent_missing"))
        if errors or plan is None:
            return self._ask(visit, errors=tuple(errors), months=months, consented=bool(_text(form, "consent")), status=422)
        facts = {"tenor": plan.months}
        return await self._decide(visit, chosen, facts=facts)

    async def _decide(self, visit: _Visit, behaviour: Behaviour, *, facts: dict[str, int] | None = None) -> Response:
        def act(tx: Tx) -> None:
            order = find_simulated(tx, visit.order.payment_id)
            assert order is not None, visit.order.payment_id
            if facts:
                keep_of_buyer(tx, order.payment_id, {**order.details, **facts})
            decide(tx, order, behaviour, now=self._wiring.clock.now(), facts=facts, tells=self._party.tells)

        try:
            await self._wiring.database.transact(act)
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                raise
            return self._see(visit)
        await self._room.hear(visit.order.payment_id)
        again = await self._look(visit.order.payment_id)
        assert again is not None, visit.order.payment_id
        order, state, _ = again
        leads = self._party.leads(order.asked, _ENDED[state]) if state in _ENDED else None
        if leads:
            return RedirectResponse(leads, status_code=303)
        return self._see(visit)

    # -- reading

    async def _look(self, payment_id: str) -> tuple[SimulatedOrder, PaymentState, datetime | None] | None:
        def look(tx: Tx) -> tuple[SimulatedOrder, PaymentState, datetime | None] | None:
            order = find_simulated(tx, payment_id) if "\x00" not in payment_id else None
            found = find_payment(tx, payment_id) if order is not None else None
            if order is None or found is None or order.asked.channel != self._party.code:
                return None
            due = [due for _, due in reports_about(tx, payment_id) if due is not None]
            return order, found[1].state, min(due, default=None)

        return await self._wiring.database.read(look)

    async def _visit(self, request: Request, lang_wanted: str | None) -> "_Visit | Response":
        lang = choose_language(lang_wanted, request.headers.get("accept-language"))
        found = await self._look(request.path_params["payment_id"])
        if found is None:
            shell = Shell(lang, True, "", "", request.url.path, new_id("req"))
            html = self._wiring.pages.render("error.html", lang=lang, shell=shell, kind="not_found")
            return page_response(html, status=404, frame_ancestors="'none'")
        order, state, until = found
        return _Visit(order, state, lang, f"{self._party.page_path}/{order.payment_id}", until)

    def _leads(self, visit: _Visit) -> str | None:
        return self._party.leads(visit.order.asked, _ENDED.get(visit.state, "paid"))

    def _see(self, visit: _Visit) -> Response:
        return RedirectResponse(f"{visit.path}?lang={visit.lang}", status_code=303)

    # -- pages

    def _page(self, visit: _Visit, template: str, *, status: int = 200, **context: object) -> Response:
        asked = visit.order.asked
        html = self._wiring.pages.render(
            template,
            lang=visit.lang,
            shell=Shell(visit.lang, True, "", asked.merchant_name, visit.path, asked.payment_id),
            look=look_of(self._party),
            order=OrderView(
                merchant_name=asked.merchant_name,
                invoice_number=asked.invoice_number,
                amount=Rupiah(asked.amount),
                line_items=tuple(ItemView(item.name, item.price, item.quantity) for item in asked.items),
                expires_at=asked.expires_at,
                now=self._wiring.clock.now(),
            ),
            reference=visit.order.reference,
            **context,
        )
        return page_response(html, status=status, frame_ancestors="*")

    def _ask(
        self,
        visit: _Visit,
        *,
        errors: tuple[FieldError, ...] = (),
        months: str = "",
        consented: bool = False,
        status: int = 200,
    ) -> Response:
        outcomes = tuple((one.value, f"sim_do_{one.value.lower()}") for one in _BUTTONS if one in self._party.behaviours)
        if self._party.kind == "app":
            account = AccountView(BUYER, _phone_of(visit.order.asked.payer), BALANCE)
            return self._page(visit, "providers/app.html", status=status, account=account, outcomes=outcomes)
        amount = visit.order.asked.amount
        usual = months or str(self._party.plans[min(1, len(self._party.plans) - 1)].months)
        return self._page(
            visit,
            "providers/lender.html",
            status=status,
            plans=tuple(plan_view(plan, amount, chosen=str(plan.months) == usual) for plan in self._party.plans),
            first_due=_next_month(self._wiring.clock.now().astimezone(WIB).date()),
            limit_after=max(0, max(LIMIT, amount) - amount),
            errors=errors,
            consented=consented,
            outcomes=outcomes,
        )

    def _pending(self, visit: _Visit) -> Response:
        """Decided, and the gateway has not heard: the counterparty is slow, silent, or paid too late."""
        if visit.order.chosen is Behaviour.PAID_LATE:
            return self._ended(visit, state="late")
        return self._page(
            visit,
            "providers/waiting.html",
            state="silent" if visit.order.is_silent else "slow",
            until=visit.until,
            return_url=visit.return_url,
        )

    def _ended(self, visit: _Visit, *, state: str | None = None) -> Response:
        shown = state or _ENDED.get(visit.state, "paid")
        return self._page(
            visit, "providers/ended.html", state=shown, until=visit.until, return_url=self._party.leads(visit.order.asked, shown)
        )


def simulator_pages(wiring: Wiring, party: Party) -> list[BaseRoute]:
    """A party's pages; none where the operator's own provider answers."""
    if party.code not in wiring.rooms:
        return []
    if party.kind == "cashier":
        from gerbang.providers.cashier_pages import CashierPages

        return CashierPages(wiring, party).routes()
    return SimulatorPages(wiring, party).routes()


def desk(wiring: Wiring) -> list[BaseRoute]:
    """`/simulators`: every pretend provider with the orders that wait there."""

    async def show(request: Request) -> Response:
        lang = choose_language(request.query_params.get("lang"), request.headers.get("accept-language"))
        now = wiring.clock.now()
        parties = [channel.party for channel in wiring.channels.values() if channel.party is not None]

        def look(tx: Tx) -> list[PartyView]:
            return [
                PartyView(
                    look_of(party),
                    f"/simulators/{party.slug}" if party.kind == "cashier" else "",
                    tuple(
                        WaitingView(
                            one.asked.merchant_name,
                            one.asked.invoice_number,
                            one.asked.amount,
                            f"/simulators/{party.slug}?code={one.asked.facts.get('code', '')}"
                            if party.kind == "cashier"
                            else f"{party.page_path}/{one.payment_id}",
                            one.expires_at,
                        )
                        for one in waiting(tx, party.code, now=now)
                    ),
                )
                for party in parties
            ]

        html = wiring.pages.render(
            "providers/hub.html",
            lang=lang,
            shell=Shell(lang, True, "", "", "/simulators", new_id("req")),
            parties=tuple(await wiring.database.read(look)),
            now=now,
        )
        return page_response(html, frame_ancestors="'none'")

    return [Route("/simulators", show, methods=["GET"])]


def _phone_of(payer: str) -> str:
    """The phone that was asked to pay, where an order names one."""
    try:
        return mask_phone(normalise_phone(payer))
    except Refused:
        return BUYER_PHONE


def _next_month(day: date) -> date:
    first = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(day.day, last.day))
