"""A buyer with a card and without JavaScript: reads the forms of the pages as a browser does and sends back what they hold.

shop = Shop.open(running, max_attempts=3)
buyer = shop.buyer("INV-1", 90_000).pay("5573381011111101").verify()
assert buyer.state == "paid"

What the page does not offer cannot be pressed: a button or an input that is missing fails the test.
"""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlencode, urljoin

from gerbang.channels.credit_card.charges import Charge, charges_of
from gerbang.channels.credit_card.options import read_options
from gerbang.channels.credit_card.sandbox_cards import SANDBOX_CARDS
from gerbang.channels.credit_card.simulator import reserved, taken
from gerbang.clock import real_now
from gerbang.merchants.records import MerchantOptions, update
from support.gateway import Answer, RunningGateway
from support.nonsnap import import_merchant

PAGE = "/credit-card/v1/payment-page"


def next_expiry() -> str:
    """MM/YY of a card that is valid for two more years."""
    return f"12/{(real_now().year + 2) % 100:02}"


@dataclass
class Form:
    """One form. `values` is what would be sent if nothing were touched; `inputs` everything that can be."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)
    inputs: set[str] = field(default_factory=set)
    options: dict[str, list[str]] = field(default_factory=dict)
    buttons: set[tuple[str, str]] = field(default_factory=set)


class _Reader(HTMLParser):
    """Forms, errors, headings and links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.by_id: dict[str, Form] = {}
        self.errors: dict[str, str] = {}
        self.headings: list[str] = []
        self.links: list[tuple[str, str]] = []
        self.state = ""
        self.lang = ""
        self._form: Form | None = None
        self._late: list[tuple[str, str, str]] = []
        self._templates = 0  # what is inside waits for a script
        self._into: list[Any] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attributes}
        self._templates += tag == "template"
        if self._templates:
            return
        if tag == "html":
            self.lang = said.get("lang", "")
        if "data-state" in said:
            self.state = said["data-state"]
        match tag:
            case "form":
                self._form = Form(said.get("action", ""), said.get("method", "get"))
                self.forms.append(self._form)
                if "id" in said:
                    self.by_id[said["id"]] = self._form
            case "input" if self._form is not None and "name" in said:
                self._input(self._form, said)
            case "button" if said.get("type", "submit") == "submit":
                button = (said.get("name", ""), said.get("value", ""))
                if "form" in said:
                    self._late.append((said["form"], *button))
                elif self._form is not None:
                    self._form.buttons.add(button)
            case "p" if said.get("id", "").endswith("-error"):
                self._into.append(("p", said["id"].removesuffix("-error"), []))
            case "h1" | "h2":
                self._into.append((tag, "", []))
            case "a":
                self._into.append(("a", said.get("href", ""), []))

    def _input(self, form: Form, said: dict[str, str]) -> None:
        name, kind = said["name"], said.get("type", "text")
        form.inputs.add(name)
        if kind in ("radio", "checkbox"):
            form.options.setdefault(name, []).append(said.get("value", "on"))
            if "checked" in said:
                form.values[name] = said.get("value", "on")
        else:
            form.values[name] = said.get("value", "")

    def handle_data(self, data: str) -> None:
        for _tag, _name, text in self._into:
            text.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._templates -= tag == "template"
        if tag == "form":
            self._form = None
        if self._into and self._into[-1][0] == tag:
            _, name, pieces = self._into.pop()
            text = " ".join("".join(pieces).split())
            if tag == "p":
                self.errors[name] = text
            elif tag == "a":
                self.links.append((name, text))
            else:
                self.headings.append(text)

    def done(self) -> None:
        for form, name, value in self._late:
            if form in self.by_id:
                self.by_id[form].buttons.add((name, value))


class CardBuyer:
    """One tab of one browser. `answer` is the last page, `left` the address of another site it was sent to."""

    def __init__(self, running: RunningGateway, url: str, query: str = "", headers: dict[str, str] | None = None) -> None:
        self.running = running
        self.page_path = url.removeprefix(running.url)
        self.headers = headers or {}
        self.answer: Answer
        self.left: str | None = None
        self.form: Form
        self.open(query)

    # what is on the page

    @property
    def text(self) -> str:
        return self.answer.body.decode()

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def state(self) -> str:
        """What the result page says: paid, failed, cancelled, expired, waiting; "" on any other page."""
        return self._read.state

    @property
    def errors(self) -> dict[str, str]:
        """What the page says is wrong, by input."""
        return self._read.errors

    @property
    def headings(self) -> list[str]:
        return self._read.headings

    @property
    def lang(self) -> str:
        return self._read.lang

    @property
    def links(self) -> dict[str, str]:
        """Address → words."""
        return dict(self._read.links)

    def offers(self, name: str) -> bool:
        """Whether the buyer could fill this in."""
        return any(name in form.inputs for form in self._read.forms)

    def options(self, name: str) -> list[str]:
        """What can be chosen."""
        return next((form.options[name] for form in self._read.forms if name in form.options), [])

    def form_with(self, button: str | None = None, holding: Iterable[str] = ()) -> Form:
        """The form with this button and these inputs."""
        for form in self._read.forms:
            if (button is None or any(value == button for _, value in form.buttons)) and set(holding) <= form.inputs:
                return form
        raise AssertionError(f"no form with button {button!r} and {list(holding)} on the page {self.headings}")

    # what the buyer does

    def open(self, query: str = "") -> "CardBuyer":
        self._take(self.running.request("GET", self.page_path + query, headers=self.headers))
        return self

    def pay(self, number: str | None = None, *, cvv: str | None = None, expiry: str | None = None, **typed: str) -> "CardBuyer":
        """Fill the form in and press Pay. The CVV of a test card is known; one that is not asked for is not sent.

        Without a number the saved card that stands ticked pays. `typed`: name, plan, choice, save, consent.
        """
        form = self.form_with("pay")
        sent = dict(typed)
        if number is not None:
            sent |= {"number": number, "expiry": next_expiry() if expiry is None else expiry}
            if "choice" in form.options:
                sent.setdefault("choice", "new")
            known = SANDBOX_CARDS.get(number.replace(" ", ""))
            cvv = cvv if cvv is not None else known.cvv if known else "123"
        if "cvv" in form.inputs:
            sent["cvv"] = cvv or ""
        return self.press("pay", **sent)

    def press(self, button: str, **typed: str) -> "CardBuyer":
        form = self.form_with(button, typed)
        name = next(name for name, value in form.buttons if value == button)
        self._send(form, {name: button, **typed})
        return self

    def send_again(self) -> "CardBuyer":
        """Reload, and yes, send the form again."""
        path, body = self._sent
        self._take(self._post(path, body))
        return self

    @property
    def last_sent(self) -> tuple[str, bytes]:
        """Path and body of the form sent last."""
        return self._sent

    # at the bank

    @property
    def is_sent_to_bank(self) -> bool:
        return any("/simulators/bank/" in form.action for form in self._read.forms)

    def to_bank(self) -> "CardBuyer":
        """Press the button that opens the bank's page, and see it as the whole window."""
        self._send(next(form for form in self._read.forms if "/simulators/bank/" in form.action), {})
        return self

    def enter_code(self, code: str) -> "CardBuyer":
        return self.press("verify", code=code)

    def back_from_bank(self) -> "CardBuyer":
        """Send the bank's result to the gateway and follow the link out of the frame."""
        self._send(self.form_with(holding=["cres"]), {})
        if self.left is None:
            [onward] = [address for address in self.links if "done=1" in address]
            self.follow(onward)
        return self

    def verify(self, code: str = "123456") -> "CardBuyer":
        """The whole way through the bank, with the right code."""
        return self.to_bank().enter_code(code).back_from_bank()

    def end_at_bank(self, button: str) -> "CardBuyer":
        """Through the bank with one of its buttons: cancel, approve, fail, expire."""
        return self.to_bank().press(button).back_from_bank()

    def follow(self, address: str) -> "CardBuyer":
        self._take(self.running.request("GET", self._local(address), headers=self.headers))
        return self

    # plumbing

    def _local(self, address: str) -> str:
        return urljoin(self.running.url + self.page_path, address).removeprefix(self.running.url)

    def _send(self, form: Form, values: dict[str, str]) -> None:
        assert form.method.lower() == "post"
        self._take(self._post(self._local(form.action), urlencode(form.values | values).encode()))

    def _post(self, path: str, body: bytes) -> Answer:
        self._sent = (path, body)
        return self.running.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded", **self.headers})

    def _take(self, answer: Answer) -> None:
        self.left = None
        while answer.status == 303:
            address = urljoin(self.running.url + self.page_path, answer.headers["location"])
            if not address.startswith(self.running.url + "/"):
                self.left = address
                break
            answer = self.running.request("GET", self._local(address), headers=self.headers)
        self.answer = answer
        reader = _Reader()
        reader.feed(answer.body.decode())
        reader.done()
        self._read = reader


NOBODY = "http://127.0.0.1:9/notify"  # notifications are written, nobody listens
SECRET_KEY = "SK-cards-under-test"


@dataclass
class Shop:
    """A merchant of its own on a running gateway. `options` are its card options as plain JSON."""

    running: RunningGateway
    client_id: str

    @classmethod
    def open(cls, running: RunningGateway, notification_url: str = NOBODY, **options: Any) -> "Shop":
        shop = cls(running, f"BRN-{uuid.uuid4().hex[:12]}")
        import_merchant(running, shop.client_id, SECRET_KEY, notification_url=notification_url)
        read_options(options)
        kept = MerchantOptions(channels={"CREDIT_CARD": options})
        running.database.transact_now(lambda tx: update(tx, shop.client_id, options=kept))
        return shop

    def call(self, path: str, body: object, **more: Any) -> Answer:
        return self.running.signed("POST", path, body, client_id=self.client_id, secret_key=SECRET_KEY, **more)

    def create(
        self,
        invoice: str,
        amount: int = 90_000,
        *,
        order: dict[str, Any] | None = None,
        customer: dict[str, Any] | None = None,
        request_id: str | None = None,
        **blocks: Any,
    ) -> Answer:
        """A payment page. `order` and `customer` are added to the usual ones, `blocks` stand beside them."""
        body = {
            "order": {"invoice_number": invoice, "amount": amount} | (order or {}),
            "customer": {"name": "Anton Budiman", "email": "anton@example.com"} | (customer or {}),
        } | blocks
        return self.call(PAGE, body, request_id=request_id)

    def buyer(self, invoice: str, amount: int = 90_000, *, query: str = "", **page: Any) -> CardBuyer:
        """The buyer who opened a new page."""
        answer = self.create(invoice, amount, **page)
        assert answer.status == 200, answer.body
        return CardBuyer(self.running, str(answer.json["credit_card_payment_page"]["url"]), query)

    def status(self, invoice: str) -> Any:
        """Check status, its JSON."""
        path = "/orders/v1/status/" + quote(invoice, safe="")
        answer = self.running.signed("GET", path, client_id=self.client_id, secret_key=SECRET_KEY)
        assert answer.status == 200, answer.body
        return answer.json

    def record(self, invoice: str) -> Any:
        """The order with its payments, as programs are told."""
        return self.running.control("GET", f"/payments?client_id={self.client_id}&invoice_number={quote(invoice, safe='')}")

    def told(self, invoice: str) -> list[dict[str, Any]]:
        """The bodies of the notifications about an invoice, in the order they were made."""
        return [json.loads(one["body"]) for one in self.record(invoice)["notifications"]]

    def charges(self, invoice: str) -> list[Charge]:
        """Every attempt to charge a card, oldest first."""
        found = [one["id"] for one in self.record(invoice)["payments"]]
        return self.running.database.read_now(lambda tx: [charge for one in found for charge in charges_of(tx, one)])

    def at_acquirer(self, invoice: str) -> tuple[int, int]:
        """(taken, reserved) of the invoice's payments, by the acquirer's own books."""
        found = [one["id"] for one in self.record(invoice)["payments"]]
        return self.running.database.read_now(
            lambda tx: (sum(taken(tx, one) for one in found), sum(reserved(tx, one) for one in found))
        )
