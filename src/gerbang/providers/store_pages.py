"""What a buyer reads who has a payment code: the code, the amount, until when, and what to do at the till. Also as JSON, for shops.

Unsigned, like every page: the address holds the payment's id, which nobody can guess.
"""

from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gerbang.errors import Reason
from gerbang.ids import new_id
from gerbang.merchants import get
from gerbang.money import format_rupiah
from gerbang.payments import Order, Payment, PaymentState, find_payment, is_reusable
from gerbang.protocols.nonsnap.errors import BY_REASON, body_of
from gerbang.providers.stores import Store, code_of
from gerbang.providers.stores_wire import HowToPay, Instructions
from gerbang.storage import Tx
from gerbang.web import i18n
from gerbang.web.pages import page_response
from gerbang.web.views import Lang, OrderView, Shell
from gerbang.web.wiring import Wiring

_STEPS = ("store_step_go", "store_step_say", "store_step_check", "store_step_keep")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a page is about."""

    order: Order
    payment: Payment
    merchant_name: str


class HowToPayPages:
    """The instructions of one chain of shops."""

    def __init__(self, wiring: Wiring, store: Store) -> None:
        self._wiring = wiring
        self._store = store

    def routes(self) -> list[BaseRoute]:
        path = f"/how-to-pay/{self._store.slug}/{{payment_id}}"
        return [Route(f"{path}.json", self.tell, methods=["GET"]), Route(path, self.show, methods=["GET"])]

    async def tell(self, request: Request) -> Response:
        """The steps in both languages, as shop plugins read them."""
        about = await self._about(request)
        if about is None:
            answer = BY_REASON[Reason.ORDER_NOT_FOUND]
            return Response(body_of(answer, {}), answer.status, {"Cache-Control": "no-store"}, "application/json")
        told = HowToPay([Instructions(self._store.title, self._steps(about, lang), lang.upper()) for lang in i18n.LANGUAGES])
        return Response(msgspec.json.encode(told), 200, {"Cache-Control": "no-store"}, "application/json")

    async def show(self, request: Request) -> Response:
        """The same for people, with how the payment stands."""
        lang = i18n.choose_language(request.query_params.get("lang"), request.headers.get("accept-language"))
        about = await self._about(request)
        sandbox, pages, now = self._wiring.settings.is_sandbox, self._wiring.pages, self._wiring.clock.now()
        if about is None:
            shell = Shell(lang, sandbox, "", "", request.url.path, new_id("req"))
            html = pages.render("error.html", lang=lang, shell=shell, kind="not_found")
            return page_response(html, status=404, frame_ancestors="'none'")
        order, payment = about.order, about.payment
        again = is_reusable(order) and payment.state.is_paid
        if now < payment.expires_at and (again or payment.state is PaymentState.PENDING):
            state = "waiting"
        else:
            state = "paid" if payment.state.is_paid else "expired"
        html = pages.render(
            "providers/how_to_pay.html",
            lang=lang,
            shell=Shell(lang, sandbox, "", about.merchant_name, request.url.path, payment.id),
            order=OrderView(about.merchant_name, order.invoice_number, payment.amount, (), payment.expires_at, now),
            store_name=self._store.name,
            code=code_of(payment),
            steps=self._steps(about, lang),
            state=state,
            reusable=is_reusable(order),
            paid_at=payment.finished_at if payment.state.is_paid else None,
            # Where a tester pays; in production nobody pretends.
            till_url=f"/simulators/{self._store.slug}?lang={lang}&code={code_of(payment)}" if sandbox else None,
        )
        return page_response(html, frame_ancestors="*")

    async def _about(self, request: Request) -> _Asked | None:
        payment_id = request.path_params["payment_id"]

        def look(tx: Tx) -> _Asked | None:
            found = find_payment(tx, payment_id) if "\x00" not in payment_id else None
            if found is None or found[1].channel != self._store.code:
                return None
            return _Asked(*found, get(tx, found[1].merchant_id).name)

        return await self._wiring.database.read(look)

    def _steps(self, about: _Asked, lang: Lang) -> list[str]:
        values = {
            "shops": self._store.shops,
            "shop": about.merchant_name,
            "code": code_of(about.payment),
            "amount": format_rupiah(about.payment.amount),
            "time": i18n.date_time(about.payment.expires_at, lang),
        }
        return [i18n.text(lang, step, **values) for step in _STEPS]
