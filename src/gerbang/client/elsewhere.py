"""Payments whose buyer pays elsewhere: in another company's app, at a lender, at a shop's till.

Source: DOKU, LinkAja, Indodana, ShopeePay, Alfa Group and Indomaret (non-SNAP).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gerbang.client.answers import Answer, given, text_at, unexpected


@dataclass(frozen=True)
class LineItem:
    """One line of the order; `price` is whole rupiah for one piece."""

    name: str
    price: int
    quantity: int = 1


@dataclass(frozen=True)
class Person:
    """Who buys. `phone` in any written form; the lender wants a `first_name` of at most 16 characters."""

    first_name: str
    phone: str
    email: str
    last_name: str | None = None

    def as_sent(self) -> dict[str, str]:
        """Under the API's names."""
        return given(first_name=self.first_name, last_name=self.last_name, phone=self.phone, email=self.email)


@dataclass(frozen=True)
class Address:
    """Where a bill or a parcel goes. `country_code` has three letters."""

    first_name: str
    address: str
    city: str
    postal_code: str
    phone: str
    country_code: str = "IDN"
    last_name: str | None = None

    def as_sent(self) -> dict[str, str]:
        """Under the API's names."""
        return given(**vars(self))


@dataclass(frozen=True)
class BasketItem:
    """A line item as a lender wants it: `id` is the SKU, `category` a word of its list (`others` when nothing fits)."""

    name: str
    price: int
    id: str
    category: str = "others"
    quantity: int = 1
    url: str | None = None
    image_url: str | None = None
    type: str | None = None

    def as_sent(self) -> dict[str, Any]:
        """Under the API's names."""
        return given(**vars(self))


@dataclass(frozen=True)
class FormRedirect:
    """A payment whose buyer is sent on by a form: post `fields` to `url`. A plain link to `url` works here too."""

    invoice_number: str
    url: str
    method: str
    fields: tuple[tuple[str, str], ...]
    request_id: str
    replayed: bool
    raw: dict[str, Any]


@dataclass(frozen=True)
class PageRedirect:
    """A payment whose buyer goes to `url`. `accepted` False: the lender does not want the order, and nobody will be notified."""

    invoice_number: str
    url: str | None
    accepted: bool
    request_id: str
    replayed: bool
    raw: dict[str, Any]


class _Posts(Protocol):
    def post(self, path: str, body: Mapping[str, Any], *, request_id: str | None = None) -> Answer: ...


class PaidElsewhere:
    """The part of `DokuClient` for these channels."""

    def linkaja_payment(
        self: _Posts,
        *,
        invoice_number: str,
        amount: int,
        line_items: Iterable[LineItem],
        callback_url: str,
        customer_name: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        override_notification_url: str | None = None,
        request_id: str | None = None,
    ) -> FormRedirect:
        """Open a LinkAja payment. An invoice number that is not paid may be used again.

        callback_url  where the buyer comes back to, paid or not: ask for the status there
        """
        items = [{"name": one.name, "price": one.price, "quantity": one.quantity} for one in line_items]
        body = {
            "order": {"invoice_number": invoice_number, "amount": amount, "callback_url": callback_url, "line_items": items}
        } | given(
            customer=given(name=customer_name, email=email, phone=phone),
            additional_info=given(override_notification_url=override_notification_url),
        )
        answer = self.post("/linkaja-emoney/v2/ServiceRequestPayment", body, request_id=request_id)
        url = text_at(answer.raw, "emoney_payment", "redirect_url_http")
        if url is None:
            raise unexpected("the answer has no address for the buyer", answer)
        fields = answer.raw["emoney_payment"].get("redirect_parameter")
        return FormRedirect(
            invoice_number=text_at(answer.raw, "order", "invoice_number") or invoice_number,
            url=url,
            method=text_at(answer.raw, "emoney_payment", "redirect_method_http") or "POST",
            fields=tuple((str(one.get("name")), str(one.get("value"))) for one in fields or () if isinstance(one, Mapping)),
            request_id=answer.request_id,
            replayed=answer.replayed,
            raw=answer.raw,
        )

    def indodana_order(
        self: _Posts,
        *,
        invoice_number: str,
        amount: int,
        items: Iterable[BasketItem],
        merchant_unique_reference: str,
        customer: Person,
        billing_address: Address,
        callback_url_cancel: str,
        shipping_address: Address | None = None,
        callback_url: str | None = None,
        expires_min: int | None = None,
        override_notification_url: str | None = None,
        request_id: str | None = None,
    ) -> PageRedirect:
        """Open an Indodana order. Items must add up to `amount`; a shipping address is wanted for everything but tickets."""
        order = {
            "invoice_number": invoice_number,
            "line_items": [one.as_sent() for one in items],
            "amount": amount,
            "callback_url_cancel": callback_url_cancel,
        } | given(callback_url=callback_url)
        body = {
            "order": order,
            "peer_to_peer_info": {"merchant_unique_reference": merchant_unique_reference} | given(expired_time=expires_min),
            "customer": customer.as_sent(),
            "billing_address": billing_address.as_sent(),
        } | given(
            shipping_address=shipping_address.as_sent() if shipping_address else None,
            additional_info=given(override_notification_url=override_notification_url),
        )
        answer = self.post("/indodana-peer-to-peer/v2/generate-order", body, request_id=request_id)
        status = text_at(answer.raw, "payment", "status")
        if status is None:
            raise unexpected("the answer has no payment", answer)
        return PageRedirect(
            invoice_number=text_at(answer.raw, "order", "invoice_number") or invoice_number,
            url=text_at(answer.raw, "payment", "url"),
            accepted=status != "FAILED",
            request_id=answer.request_id,
            replayed=answer.replayed,
            raw=answer.raw,
        )
