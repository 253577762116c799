"""The pretend till of a chain of shops: a cashier types a payment code, sees the bill, takes the money, prints a receipt.

It belongs to somebody else: it knows what the chain was told, and what it decides reaches the gateway as a report.
"""

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.payments import PaymentState, find_payment
from gerbang.providers.party import Behaviour, Party
from gerbang.providers.questions import Report
from gerbang.providers.room import ProviderRoom
from gerbang.providers.simulator import (
    SimulatedOrder,
    SimulatedProvider,
    decide,
    find_by_code,
    find_report,
    find_simulated,
    hold_simulated,
    reports_about,
)
from gerbang.providers.simulator_pages import look_of
from gerbang.providers.views import BillView, ReceiptView
from gerbang.storage import Tx
from gerbang.web.forms import read_form
from gerbang.web.i18n import choose_language
from gerbang.web.pages import page_response
from gerbang.web.views import FieldError, Lang, Shell
from gerbang.web.wiring import Wiring

_ATTEMPT = re.compile(r"rcp_[0-9A-Z]{26}")
_SPACING = re.compile(r"[\s.-]+")
_LONGEST = 32

# The sandbox's buttons, in this order.
_BUTTONS = (Behaviour.EXPIRED, Behaviour.SLOW, Behaviour.NO_ANSWER, Behaviour.PAID_TWICE, Behaviour.PAID_LATE)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a till knows about a code: the order, or why it cannot be paid (a key of i18n)."""

    order: SimulatedOrder | None
    fault: str | None


class CashierPages:
    """The till of one chain."""

    def __init__(self, wiring: Wiring, party: Party) -> None:
        self._wiring = wiring
        self._party = party
        self._room: ProviderRoom = wiring.rooms[party.code]

    def routes(self) -> list[BaseRoute]:
        """None where the operator's own provider answers."""
        if not isinstance(self._room.provider, SimulatedProvider):
            return []
        path = f"/simulators/{self._party.slug}"
        return [Route(path, self.show, methods=["GET"]), Route(path, self.act, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """The empty form, a bill, or a receipt."""
        query = request.query_params
        lang = choose_language(query.get("lang"), request.headers.get("accept-language"))
        if "receipt" in query:
            receipt = await self._receipt(query["receipt"])
            if receipt is not None:
                return self._page(lang, receipt=receipt)
        if "code" in query:
            return await self._look(lang, query["code"])
        return self._page(lang)

    async def act(self, request: Request) -> Response:
        """One press of a button. Whatever it does, the answer is an address to look at, so that reloading pays nothing."""
        form = {name: value.strip() for name, value in (await read_form(request)).items() if isinstance(value, str)}
        lang = choose_language(form.get("lang"), request.headers.get("accept-language"))
        action, typed = form.get("action", ""), form.get("code", "")
        code, fault = _digits(typed)
        if fault is None and (action == "pay" or action in self._party.behaviours):
            return await self._take(lang, code, action, form.get("attempt", ""))
        if fault is None:
            fault = (await self._wiring.database.read(lambda tx: self._find(tx, code))).fault
        if fault is not None:
            return self._page(lang, code=typed[:_LONGEST], fault=fault, status=422)
        return self._see(lang, code=code)

    async def _take(self, lang: Lang, code: str, action: str, attempt: str) -> Response:
        def act(tx: Tx) -> tuple[str, str | None]:
            """The payment and the receipt of its money, if any was taken. Raises Refused(PAYMENT_MOVED_ON)."""
            order = find_by_code(tx, self._party.code, code)
            if order is None:
                raise Refused(Reason.PAYMENT_MOVED_ON, code=code)
            hold_simulated(tx, order.payment_id)
            number = attempt if _ATTEMPT.fullmatch(attempt) else new_id("rcp")
            before = find_report(tx, self._party.code, number)
            if before is not None and before.payment_id == order.payment_id:
                return order.payment_id, number  # the same press again
            if self._fault(tx, order) is not None:
                raise Refused(Reason.PAYMENT_MOVED_ON, code=code)
            if before is not None:
                number = new_id("rcp")
            behaviour = Behaviour(action) if action != "pay" else order.chosen or self._party.behaviour(order.asked)
            decide(tx, order, behaviour, now=self._wiring.clock.now(), receipt=number, tells=self._party.tells)
            made = find_report(tx, self._party.code, number)
            return order.payment_id, number if made is not None and made.outcome == "PAID" else None

        try:
            payment_id, receipt = await self._wiring.database.transact(act)
        except Refused as refused:
            if refused.reason is not Reason.PAYMENT_MOVED_ON:
                raise
            return self._see(lang, code=code)
        await self._room.hear(payment_id)
        return self._see(lang, receipt=receipt) if receipt else self._see(lang, code=code)

    # -- reading

    def _find(self, tx: Tx, code: str) -> _Found:
        order = find_by_code(tx, self._party.code, code)
        return _Found(order, "sim_code_unknown" if order is None else self._fault(tx, order))

    def _fault(self, tx: Tx, order: SimulatedOrder) -> str | None:
        """Why a till would not take money for it. The chain asks us about each code, so what we know counts too."""
        found = find_payment(tx, order.payment_id)
        assert found is not None, order.payment_id
        if not order.is_reusable and any(report.outcome == "PAID" for report, _ in reports_about(tx, order.payment_id)):
            return "sim_code_paid"
        if self._wiring.clock.now() >= order.expires_at:
            return "sim_code_over"
        if order.is_withdrawn or found[1].state is PaymentState.CANCELLED:
            return "sim_code_cancelled"
        if order.is_silent:
            return "sim_code_silent"
        still_open = found[1].state is PaymentState.PENDING or (order.is_reusable and found[1].state.is_paid)
        return None if order.is_waiting and still_open else "sim_code_over"

    async def _receipt(self, number: str) -> ReceiptView | None:
        def look(tx: Tx) -> tuple[SimulatedOrder, Report] | None:
            report = find_report(tx, self._party.code, number) if _ATTEMPT.fullmatch(number) else None
            order = find_simulated(tx, report.payment_id) if report is not None and report.outcome == "PAID" else None
            return (order, report) if order is not None and report is not None else None

        found = await self._wiring.database.read(look)
        if found is None:
            return None
        order, report = found
        return ReceiptView(
            code=str(order.asked.facts["code"]),
            merchant_name=order.asked.merchant_name,
            amount=report.amount,
            paid_at=report.at,
            trx_id=str(report.facts["AGENT_TRX_ID"]),
            store=f"{self._party.name} {report.facts['AGENT_STORE_ID']}",
            footer=str(order.asked.facts.get("footer", "")),
            number=number,
        )

    # -- pages

    async def _look(self, lang: Lang, typed: str) -> Response:
        code, fault = _digits(typed)
        if fault is None:
            found = await self._wiring.database.read(lambda tx: self._find(tx, code))
            if found.order is not None and found.fault is None:
                return self._page(lang, bill=_bill(found.order))
            fault = found.fault
        return self._page(lang, code=typed[:_LONGEST], fault=fault)

    def _see(self, lang: Lang, **about: str) -> Response:
        ((name, value),) = about.items()
        return RedirectResponse(f"/simulators/{self._party.slug}?lang={lang}&{name}={value}", status_code=303)

    def _page(
        self,
        lang: Lang,
        *,
        code: str = "",
        fault: str | None = None,
        bill: BillView | None = None,
        receipt: ReceiptView | None = None,
        status: int = 200,
    ) -> Response:
        html = self._wiring.pages.render(
            "providers/cashier.html",
            lang=lang,
            shell=Shell(lang, True, "", "", f"/simulators/{self._party.slug}", new_id("req")),
            look=look_of(self._party),
            code=code,
            errors=(FieldError("code", fault),) if fault else (),
            bill=bill,
            receipt=receipt,
            outcomes=tuple((one.value, f"sim_do_{one.value.lower()}") for one in _BUTTONS if one in self._party.behaviours),
        )
        return page_response(html, status=status, frame_ancestors="'none'")


def _bill(order: SimulatedOrder) -> BillView:
    asked = order.asked
    return BillView(
        code=str(asked.facts["code"]),
        merchant_name=asked.merchant_name,
        invoice_number=asked.invoice_number,
        amount=asked.amount,
        info=tuple(asked.facts.get("info", ())),
        expires_at=asked.expires_at,
        attempt=new_id("rcp"),
    )


def _digits(typed: str) -> tuple[str, str | None]:
    """The code as it is looked up, and what is wrong with it (a key of i18n). People write digits in groups."""
    code = _SPACING.sub("", typed)
    if not code:
        return "", "sim_code_missing"
    if not code.isascii() or not code.isdigit() or len(code) > _LONGEST:
        return "", "sim_code_format"
    return code, None
