"""Twelve situations played against a merchant's receiver: what it must do with notifications, genuine and not.

Source: DOKU, HTTP notification and best practice; what is not written there is what each loss of money teaches [inferred].
The runner is an outsider: it talks HTTP to the shop and to the gateway, and signs with the functions the gateway signs with.
Orders are real ones. Their own notifications are withheld (`mischief.Kind.NEVER`), so that only what is played arrives.
"""

import contextlib
import http.client
import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from gerbang.client import ClientError, DokuClient
from gerbang.clock import iso_z, real_now
from gerbang.notifications.mischief import Kind
from gerbang.notifications.outbox import body_bytes
from gerbang.protocols.nonsnap.signature import digest, sign, string_to_sign, target_of_url
from gerbang.urls import is_absolute_url

TOTAL = 12
_PAID_WORDS = {"paid", "success", "succeeded", "settled", "settlement", "completed", "complete", "lunas"}
_STATE_NAMES = ("state", "status", "payment_status")
_LONGEST_ANSWER_S = 30.0
_SHOWN = 300
_LARGEST = 1 << 20
_AMOUNT = 60_000
# A second merchant of the sandbox, the same in each run.
_OTHER_ID, _OTHER_KEY = "BRN-0000-gerbang-score", "SK-gerbangScoreOther0001"


class Situation(msgspec.Struct):
    """One situation: what was sent, what came back, and for one that failed why it matters and how to mend it."""

    number: int
    title: str
    verdict: Literal["HANDLED", "FAILED", "NOT_JUDGED"]
    sent: str
    came_back: str
    why: str
    mend: str


class ScoreReport(msgspec.Struct):
    """How a shop did. `sentence` says it in one line."""

    sentence: str
    handled: int
    judged: int
    total: int
    situations: list[Situation]


class Unplayable(Exception):
    """The situations could not be played: gateway, credentials or checkout URL are not as said. The text says what."""


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop to play against, and the gateway it uses.

    url           where it receives notifications
    checkout_url  POST: the shop makes an order, has it opened at the gateway, and answers its invoice number
    state_url     GET, with {invoice} in it: what the shop believes of that order (see `read_state`)
    wait_s        how long the shop may take until it believes that an order is paid
    quick_s       how soon a notification has to be acknowledged
    calm_s        how long nothing may happen where nothing is to happen
    """

    url: str
    gateway: str
    client_id: str
    secret_key: str = field(repr=False)
    checkout_url: str | None = None
    state_url: str | None = None
    wait_s: float = 15.0
    quick_s: float = 5.0
    calm_s: float = 2.0

    def __post_init__(self) -> None:
        for name, url in (("url", self.url), ("gateway", self.gateway), ("checkout-url", self.checkout_url)):
            if url is not None and not is_absolute_url(url):
                raise Unplayable(f"{name} has to be an absolute http or https address: {url!r}")
        if self.state_url is not None:
            if "{invoice}" not in self.state_url:
                raise Unplayable(f"state-url needs {{invoice}} where the invoice number goes: {self.state_url!r}")
            if not is_absolute_url(self.state_url.replace("{invoice}", "I")):
                raise Unplayable(f"state-url has to be an absolute http or https address: {self.state_url!r}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of a call: a status, or why there is none."""

    status: int | None
    body: str
    seconds: float
    error: str = ""

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def __str__(self) -> str:
        if self.status is None:
            return f"no answer: {self.error}"
        text = " ".join(self.body.split())
        said = f" {text[:_SHOWN]!r}" if text else ""
        return f"HTTP {self.status} after {self.seconds:.1f} s{said}"


@dataclass(frozen=True, slots=True)
class Belief:
    """What the shop says of an order. `fulfilled`: how often it was bought, when the shop tells."""

    paid: bool
    fulfilled: int | None
    said: str


def read_state(text: str) -> Belief:
    """What the answer of a state URL says.

    A JSON object: the first text among `state`, `status`, `payment_status`, or `paid` as true or false; a whole number
    `fulfilled` says how often the order was bought. Anything else: the whole text is the word. Paid are, whatever their case,
    paid, success, succeeded, settled, settlement, completed, complete and lunas; every other word is not.
    """
    said = " ".join(text.split())[:_SHOWN]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    if not isinstance(found, dict):
        return Belief(str(found).strip().lower() in _PAID_WORDS, None, said)
    count = found.get("fulfilled")
    fulfilled = count if isinstance(count, int) and not isinstance(count, bool) else None
    words = [found[name] for name in _STATE_NAMES if isinstance(found.get(name), str)]
    paid = words[0].strip().lower() in _PAID_WORDS if words else found.get("paid") is True
    return Belief(paid, fulfilled, said)


def run_score(shop: Shop, tell: Callable[[Situation], None] = lambda _one: None) -> ScoreReport:
    """Play all twelve, one after the other; `tell` hears of each as it is over. Blocks. Raises Unplayable."""
    played = _Game(shop, tell).play()
    handled = sum(one.verdict == "HANDLED" for one in played)
    judged = sum(one.verdict != "NOT_JUDGED" for one in played)
    return ScoreReport(_sentence(played, handled, judged), handled, judged, len(played), played)


_NEEDS_URLS = "needs --checkout-url and --state-url"


def _sentence(played: list[Situation], handled: int, judged: int) -> str:
    if judged == len(played):
        return f"your shop handled {handled} of {judged}"
    left = [one for one in played if one.verdict == "NOT_JUDGED"]
    asking = sum(one.came_back == _NEEDS_URLS for one in left)
    parts = [f"your shop handled {handled} of {judged} judged"]
    if asking:
        parts.append(f"{asking} {'needs' if asking == 1 else 'need'} --checkout-url and --state-url")
    if len(left) > asking:
        parts.append(f"{len(left) - asking} could not be judged")
    return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class _Order:
    invoice: str
    amount: int


@dataclass(frozen=True, slots=True)
class _Said:
    """A verdict before it has its words."""

    verdict: Literal["HANDLED", "FAILED", "NOT_JUDGED"]
    sent: str
    came_back: str


def _judged(handled: bool, sent: str, came_back: object) -> _Said:
    return _Said("HANDLED" if handled else "FAILED", sent, str(came_back))


class _Game:
    """One run against one shop."""

    def __init__(self, shop: Shop, tell: Callable[[Situation], None]) -> None:
        self._shop = shop
        self._tell = tell
        self._control = shop.gateway.rstrip("/") + "/sandbox/v1"
        self._client = DokuClient(shop.client_id, shop.secret_key, shop.gateway.rstrip("/"), timeout_s=_LONGEST_ANSWER_S)
        self._paid: tuple[_Order, bytes, str, Answer] | None = None

    def play(self) -> list[Situation]:
        played = []
        for number, (title, why, mend, situation) in enumerate(_SITUATIONS, start=1):
            said = situation(self)
            one = Situation(number, title, said.verdict, said.sent, said.came_back, why, mend)
            played.append(one)
            self._tell(one)
        return played

    # -- the twelve

    def genuine(self) -> _Said:
        order = self._order()
        body, request_id = self._end(order, "SUCCESS"), str(uuid.uuid4())
        answer = self._send(body, request_id=request_id)
        self._paid = (order, body, request_id, answer)
        return _judged(answer.accepted, f"SUCCESS for {order.invoice}, {order.amount} rupiah, properly signed", answer)

    def quick(self) -> _Said:
        order, _, _, answer = self._first()
        handled = answer.status is not None and answer.seconds <= self._shop.quick_s
        return _judged(handled, f"the same delivery of {order.invoice}: at most {self._shop.quick_s:g} s were allowed", answer)

    def duplicate(self) -> _Said:
        order, body, request_id, _ = self._first()
        sent = f"SUCCESS for {order.invoice} again: the same Request-Id and body, signed anew"
        if not self._can_see():
            return _Said("NOT_JUDGED", sent, _NEEDS_URLS)
        before = self._wait_until_paid(order)
        answer = self._send(body, request_id=request_id)
        time.sleep(self._shop.calm_s)
        after = self._belief(order)
        if answer.accepted and isinstance(after, Belief) and after.paid and after.fulfilled is None:
            return _Said("NOT_JUDGED", sent, "--state-url tells no whole number `fulfilled`, so buying twice could not be seen")
        handled = answer.accepted and isinstance(after, Belief) and after.paid and after.fulfilled == 1
        return _judged(handled, sent, f"{answer}; before, the shop said {_told(before)}, and afterwards {_told(after)}")

    def failed(self) -> _Said:
        order = self._order()
        answer = self._send(self._end(order, "FAILED"))
        return _judged(answer.accepted, f"FAILED for {order.invoice}, properly signed", answer)

    def failed_after_success(self) -> _Said:
        order, body, _, _ = self._first()
        sent = f"FAILED for {order.invoice}, which is paid: an earlier attempt, told late"
        if not self._can_see():
            return _Said("NOT_JUDGED", sent, _NEEDS_URLS)
        before = self._wait_until_paid(order)
        answer = self._send(_with_status(body, "FAILED"))
        time.sleep(self._shop.calm_s)
        after = self._belief(order)
        handled = answer.accepted and isinstance(after, Belief) and after.paid
        return _judged(handled, sent, f"{answer}; before, the shop said {_told(before)}, and afterwards {_told(after)}")

    def wrong_signature(self) -> _Said:
        order = self._order()
        answer = self._send(self._claim(order), secret_key=self._shop.secret_key + "-wrong")
        return self._refused(answer, f"SUCCESS for {order.invoice}, which nobody paid, signed with a wrong key")

    def altered(self) -> _Said:
        order = self._order()
        body = self._claim(order)
        answer = self._send(body, signed_body=_with_status(body, "FAILED"))
        sent = f"a FAILED of {order.invoice}, made a SUCCESS after it was signed; a Digest header of the old body came along"
        return self._refused(answer, sent)

    def stranger(self) -> _Said:
        order = self._order()
        self._ask(
            "POST", "/merchants", {"name": "gerbang score", "client_id": _OTHER_ID, "secret_key": _OTHER_KEY}, or_status=409
        )
        answer = self._send(self._claim(order), client_id=_OTHER_ID, secret_key=_OTHER_KEY)
        sent = f"SUCCESS for {order.invoice}, which nobody paid, with Client-Id and key of merchant {_OTHER_ID}"
        return self._refused(answer, sent)

    def other_form(self) -> _Said:
        order = self._order()
        genuine = json.loads(self._end(order, "SUCCESS"))
        told = {name: genuine[name] for name in reversed(genuine)} | {"gerbang_score": {"a_new_field": [1, None, "baru"]}}
        told["order"] = {"a_new_field": True, **{name: genuine["order"][name] for name in reversed(genuine["order"])}}
        body = b"\r\n" + json.dumps(told, indent=3, ensure_ascii=False).encode() + b"\n \n"
        answer = self._send(body)
        sent = f"SUCCESS for {order.invoice} with its keys in another order, unknown new fields and white space, properly signed"
        return _judged(answer.accepted, sent, answer)

    def wrong_amount(self) -> _Said:
        if not self._can_see():
            return _Said("NOT_JUDGED", "SUCCESS over another amount than the order's, properly signed", _NEEDS_URLS)
        order = self._order()
        body = json.loads(self._claim(order))
        other = order.amount // 10 if order.amount >= 10 else order.amount + 1
        body["order"]["amount"] = other
        answer = self._send(body_bytes(body))
        time.sleep(self._shop.calm_s)
        after = self._belief(order)
        sent = f"SUCCESS for {order.invoice} over {other} rupiah instead of {order.amount}, properly signed"
        return _judged(isinstance(after, Belief) and not after.paid, sent, f"{answer}; afterwards the shop said {_told(after)}")

    def early(self) -> _Said:
        sent = "an order paid and told before the call that makes it was answered"
        if not self._can_see():
            return _Said("NOT_JUDGED", sent, _NEEDS_URLS)
        try:
            with self._all_early():
                order = self._checkout()
        except Unplayable as problem:
            return _Said("FAILED", sent, str(problem))
        query = urlencode({"client_id": self._shop.client_id, "invoice_number": order.invoice})
        told = self._ask("GET", f"/notifications?{query}")["notifications"]
        attempts = [attempt for one in told for attempt in one["attempts"]]
        if not attempts:
            why = "gave it no notification URL, and none is configured" if not told else "did not take it in time"
            return _Said("FAILED", f"{sent}: {order.invoice}", f"nothing was delivered: the shop {why}")
        first = attempts[0]
        answer = f"HTTP {first['status']}" if first["status"] is not None else f"no answer: {first['error']}"
        after = self._wait_until_paid(order)
        handled = 200 <= (first["status"] or 0) < 300 and isinstance(after, Belief) and after.paid
        return _judged(handled, f"{sent}: {order.invoice}", f"{answer}; in the end the shop said {_told(after)}")

    def silence(self) -> _Said:
        sent = "nothing, though the order was paid"
        if not self._can_see():
            return _Said("NOT_JUDGED", sent, _NEEDS_URLS)
        order = self._order()
        self._end(order, "SUCCESS")
        after = self._wait_until_paid(order)
        handled = isinstance(after, Belief) and after.paid
        return _judged(handled, f"{sent}: {order.invoice}", f"within {self._shop.wait_s:g} s the shop said {_told(after)}")

    # -- judging

    def _first(self) -> tuple[_Order, bytes, str, Answer]:
        assert self._paid is not None, "the genuine one comes first"
        return self._paid

    def _refused(self, answer: Answer, sent: str) -> _Said:
        if not self._first()[3].accepted:
            return _Said("NOT_JUDGED", sent, f"{answer}, but the shop refuses genuine ones too, so this proves nothing")
        return _judged(answer.status is not None and answer.status >= 300, sent, answer)

    def _can_see(self) -> bool:
        return self._shop.checkout_url is not None and self._shop.state_url is not None

    def _belief(self, order: _Order) -> Belief | Answer:
        """What the shop says, or the answer that says nothing."""
        assert self._shop.state_url is not None
        answer = _call("GET", self._shop.state_url.replace("{invoice}", quote(order.invoice, safe="")), None, {})
        return read_state(answer.body) if answer.accepted else answer

    def _wait_until_paid(self, order: _Order) -> Belief | Answer:
        deadline = time.monotonic() + self._shop.wait_s
        while True:
            belief = self._belief(order)
            if (isinstance(belief, Belief) and belief.paid) or time.monotonic() >= deadline:
                return belief
            time.sleep(0.25)

    # -- the gateway

    def _order(self) -> _Order:
        """A new order that waits to be paid, and of which the gateway itself will tell nothing."""
        order = self._checkout() if self._shop.checkout_url is not None else self._own_order()
        body = {"client_id": self._shop.client_id, "invoice_number": order.invoice, "kinds": [Kind.NEVER]}
        self._ask("POST", "/payments/mischief", body)
        return order

    def _own_order(self) -> _Order:
        invoice = f"INV-SCORE-{secrets.token_hex(6).upper()}"
        try:
            self._client.wallet_payment(invoice_number=invoice, amount=_AMOUNT, notify_url=self._shop.url)
        except ClientError as problem:
            raise Unplayable(f"the gateway at {self._shop.gateway} made no order: {problem}") from None
        return _Order(invoice, _AMOUNT)

    def _checkout(self) -> _Order:
        assert self._shop.checkout_url is not None
        answer = _call("POST", self._shop.checkout_url, b"{}", {"Content-Type": "application/json"})
        if not answer.accepted:
            raise Unplayable(f"--checkout-url made no order: {answer}")
        invoice = invoice_in(answer.body)
        if not invoice:
            raise Unplayable(f"--checkout-url answers no invoice number: {answer}")
        query = urlencode({"client_id": self._shop.client_id, "invoice_number": invoice})
        return _Order(invoice, int(self._ask("GET", f"/payments?{query}")["amount"]))

    def _end(self, order: _Order, outcome: str) -> bytes:
        """Let the buyer pay, or fail to; the body the gateway would have sent."""
        named = {"client_id": self._shop.client_id, "invoice_number": order.invoice}
        # Some channels know no failed payment (400); a shop gets along with a FAILED all the same.
        self._ask("POST", "/payments/outcome", {**named, "outcome": outcome}, or_status=400 if outcome == "FAILED" else 200)
        told = self._ask("GET", f"/notifications?{urlencode(named)}")["notifications"]
        if told:
            return str(told[-1]["body"]).encode()
        # Nobody was to be told, so there is no notification to take it from.
        return _with_status(self._claim(order), outcome)

    def _claim(self, order: _Order) -> bytes:
        """What a SUCCESS of this order would look like, whether it is paid or not."""
        try:
            told = dict(self._client.status(order.invoice).raw)
        except ClientError as problem:
            raise Unplayable(f"check status of {order.invoice} failed: {problem}") from None
        return _with_status(body_bytes(told), "SUCCESS")

    @contextlib.contextmanager
    def _all_early(self) -> Any:
        path = f"/merchants/{quote(self._shop.client_id, safe='')}/mischief"
        before = self._ask("GET", path)
        self._ask("PUT", path, {"kinds": [Kind.EARLY]})
        try:
            yield
        finally:
            if before["kinds"]:
                self._ask("PUT", path, {name: before[name] for name in ("kinds", "seed", "rate", "by")})
            else:
                self._ask("DELETE", path)

    def _ask(self, method: str, path: str, body: object = None, *, or_status: int = 200) -> Any:
        raw = None if body is None else json.dumps(body).encode()
        answer = _call(method, self._control + path, raw, {"Content-Type": "application/json"})
        if not answer.accepted and answer.status != or_status:
            raise Unplayable(f"the gateway at {self._shop.gateway} does not play along: {method} {path}: {answer}")
        return json.loads(answer.body)

    # -- the shop

    def _send(
        self,
        body: bytes,
        *,
        request_id: str | None = None,
        client_id: str | None = None,
        secret_key: str | None = None,
        signed_body: bytes | None = None,
    ) -> Answer:
        """Post a notification. `signed_body` is what was signed when that is not what is sent."""
        client_id = client_id or self._shop.client_id
        request_id = request_id or str(uuid.uuid4())
        timestamp = iso_z(real_now())
        text = string_to_sign(
            client_id=client_id,
            request_id=request_id,
            timestamp=timestamp,
            target=target_of_url(self._shop.url),
            body=body if signed_body is None else signed_body,
        )
        headers = {
            "Client-Id": client_id,
            "Request-Id": request_id,
            "Request-Timestamp": timestamp,
            "Signature": sign(text, secret_key or self._shop.secret_key),
            "Content-Type": "application/json",
            "User-Agent": "Gerbang",
        }
        if signed_body is not None:
            headers["Digest"] = digest(signed_body)
        return _call("POST", self._shop.url, body, headers)


def invoice_in(text: str) -> str | None:
    """The invoice number that a checkout URL answered: `invoice_number` of a JSON object, or of its `order`; else all of the text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text.strip()
    if isinstance(found, dict):
        inner = found.get("order")
        found = found.get("invoice_number") or (inner.get("invoice_number") if isinstance(inner, dict) else None)
    if not isinstance(found, str) or not 0 < len(found) <= 128 or not found.isprintable():
        return None
    return found


def _told(belief: Belief | Answer) -> str:
    return f"{belief.said!r}" if isinstance(belief, Belief) else f"nothing readable ({belief})"


def _with_status(body: bytes, status: str) -> bytes:
    told = json.loads(body)
    told["transaction"]["status"] = status
    return body_bytes(told)


def _call(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """One call, no redirects. Whatever goes wrong is the answer."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme.lower() == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_LONGEST_ANSWER_S)
    began = time.monotonic()
    try:
        with contextlib.closing(connection):
            connection.request(method, target_of_url(url), body, dict(headers))
            response = connection.getresponse()
            seconds = time.monotonic() - began
            text = response.read(_LARGEST).decode("utf-8", "replace")
            return Answer(response.status, text, seconds)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        return Answer(None, "", time.monotonic() - began, f"{type(problem).__name__}: {problem}")


_SITUATIONS: tuple[tuple[str, str, str, Callable[[_Game], _Said]], ...] = (
    (
        "a genuine SUCCESS is acknowledged",
        "Without a 2xx the gateway takes it for lost, sends it again after 30 minutes, 6 and 12 hours, and then gives up.",
        "Answer 200 once the signature is right. If the answer above is 404, either --url is not your receiver, or your shop does"
        " not know this order: then give --checkout-url. If it is 401 or 403, see docs/guides/signature-trouble.md.",
        _Game.genuine,
    ),
    (
        "it is acknowledged within 5 seconds",
        "A gateway hangs up on whoever takes long, counts a failure, and your work is done twice.",
        "Store the notification, answer, and work afterwards in a queue or a background task.",
        _Game.quick,
    ),
    (
        "the same notification again buys nothing twice",
        "Every network delivers something twice: the answer got lost, not the notification.",
        "Keep the Request-Ids you have handled under a unique key, and let an order move to paid once, by an update that names the"
        " old state. Answer a repeat with 200, or it comes again.",
        _Game.duplicate,
    ),
    (
        "a FAILED is acknowledged",
        "A notification that is refused is sent again for half a day, whatever it says.",
        "Answer 200 to every status that is properly signed, also to those you do nothing about.",
        _Game.failed,
    ),
    (
        "a FAILED that comes after the SUCCESS undoes nothing",
        "A declined first card is told late; the second card has paid. Whoever cancels now keeps the money and sends no goods.",
        "Never move from paid to failed by a notification. In doubt ask for the status (GET /orders/v1/status/{invoice}).",
        _Game.failed_after_success,
    ),
    (
        "a wrong signature is refused",
        "Whoever knows the address of your receiver could pay with a curl command.",
        "Compute HMAC-SHA256 over Client-Id, Request-Id, Request-Timestamp, Request-Target and Digest with your secret key, compare"
        " it in constant time with Signature, and answer 401 when they differ.",
        _Game.wrong_signature,
    ),
    (
        "a body that was altered after signing is refused",
        "The signature covers the body only by its digest. Who does not compute that believes any body.",
        "Compute the Digest line yourself, base64(SHA-256(body)), over the bytes received; never take it from a header.",
        _Game.altered,
    ),
    (
        "a notification of another merchant is refused",
        "Everybody can become a merchant and have genuine signatures made, with another key.",
        "Check that Client-Id is yours, and verify with your own key only. Do not answer 2xx to what you ignore.",
        _Game.stranger,
    ),
    (
        "another form of the same JSON is accepted",
        "The gateway may add fields, and order or space them differently, on any day.",
        "Verify over the raw bytes (php://input, request.get_data(), express.raw()), not over JSON that you wrote anew, and ignore"
        " the fields you do not know.",
        _Game.other_form,
    ),
    (
        "another amount than the order's is not counted as paid",
        "An order that was changed after its payment page was opened would be paid with the old price.",
        "Compare order.amount with what your database says that the order costs, before anything else.",
        _Game.wrong_amount,
    ),
    (
        "a notification that arrives before the create call returns is accepted",
        "A wallet can be quicker than your own connection: you are told of an order whose creation you have not seen answered.",
        "Store the order before you call the gateway, and do not hold a lock on it (or your only worker) during the call.",
        _Game.early,
    ),
    (
        "a notification that never arrives is made up for",
        "Your server was down for a day, or a firewall was changed: the buyer has paid and gets nothing.",
        "Ask for the status of open orders, every few minutes and when the buyer comes back; --wait says how long this test waits.",
        _Game.silence,
    ),
)
assert len(_SITUATIONS) == TOTAL
