"""Signed calls to the DOKU API.

Source: DOKU, signature component, response codes, idempotency, DOKU e-Wallet and check status (non-SNAP).
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from gerbang.client.answers import Answer, given, rupiah_of, text_at, unexpected
from gerbang.client.cards import (
    CardCharge,
    CardFacts,
    CardPayment,
    CardRefund,
    CardToken,
    PageTheme,
    Promo,
    ThreeDSecureStart,
    card_facts,
)
from gerbang.client.elsewhere import LineItem, PaidElsewhere
from gerbang.client.errors import DokuError, SignatureMismatch
from gerbang.client.transport import Host
from gerbang.clock import iso_z, real_now
from gerbang.protocols.nonsnap.signature import TimestampLine, matches, sign, string_to_sign

SANDBOX = "https://api-sandbox.doku.com"


@dataclass(frozen=True)
class WalletPayment:
    """A DOKU e-Wallet payment that waits for its buyer. Send the buyer to `url`; store `request_id` with the order."""

    invoice_number: str
    amount: int
    url: str
    request_id: str
    replayed: bool
    raw: dict[str, Any]


@dataclass(frozen=True)
class OrderStatus:
    """What the gateway says about an order now.

    status  the word of the API: PENDING, SUCCESS, FAILED, EXPIRED, REFUNDED, VOIDED, TIMEOUT, REDIRECT;
            "" before a payment method was chosen. Only SUCCESS means that the money is there.
    amount  whole rupiah, None when the answer has none: compare it with the order before shipping anything
    card    of a card payment, once a card was tried
    """

    invoice_number: str
    status: str
    amount: int | None
    channel: str | None
    date: str | None
    original_request_id: str | None
    raw: dict[str, Any]
    card: CardFacts | None = None


def signed_headers(
    *,
    client_id: str,
    secret_key: str,
    target: str,
    body: bytes | None = None,
    request_id: str | None = None,
    timestamp: str | None = None,
) -> dict[str, str]:
    """The four headers that sign a call, for use with any HTTP library.

    target  the path as it goes over the wire, percent-encoded, without host
    body    exactly the bytes that will be sent; None for a GET, whose signature has no Digest line
    """
    request_id = request_id or str(uuid.uuid4())
    timestamp = timestamp or iso_z(real_now())
    text = string_to_sign(client_id=client_id, request_id=request_id, timestamp=timestamp, target=target, body=body)
    return {
        "Client-Id": client_id,
        "Request-Id": request_id,
        "Request-Timestamp": timestamp,
        "Signature": sign(text, secret_key),
    }


class DokuClient(PaidElsewhere):
    """Calls as one merchant. Safe to share between threads: every call opens its own connection.

    base_url   where the API lives: DOKU's sandbox, `https://api.doku.com`, or your own Gerbang
    timeout_s  the longest silence on the connection, not the longest call
    """

    def __init__(self, client_id: str, secret_key: str, base_url: str = SANDBOX, timeout_s: float = 30.0) -> None:
        self.client_id = client_id
        self._secret_key = secret_key
        self._host = Host(base_url, timeout_s)

    def wallet_payment(
        self,
        *,
        invoice_number: str,
        amount: int,
        line_items: Iterable[LineItem] = (),
        success_url: str | None = None,
        failed_url: str | None = None,
        notify_url: str | None = None,
        auto_redirect: bool = False,
        override_notification_url: str | None = None,
        request_id: str | None = None,
    ) -> WalletPayment:
        """Open a DOKU e-Wallet payment. The invoice number must be new; line items must add up to `amount`.

        To repeat a call whose answer got lost, pass its `request_id` again with the same arguments.
        """
        order: dict[str, Any] = {"invoice_number": invoice_number, "amount": amount}
        if items := _items(line_items):
            order["line_items"] = items
        # DOKU's table writes these keys without `order.`; its own PHP library puts them inside, and so do we.
        urls = {"success_url": success_url, "failed_url": failed_url, "notify_url": notify_url}
        order |= {key: url for key, url in urls.items() if url is not None}
        order["auto_redirect"] = auto_redirect
        body: dict[str, Any] = {"order": order}
        if override_notification_url is not None:
            body["additional_info"] = {"override_notification_url": override_notification_url}

        answer = self.post("/dokuwallet-emoney/v1/payment", body, request_id=request_id)
        answered_amount = _amount(answer)
        url = text_at(answer.raw, "doku_wallet_payment_page", "url") or text_at(answer.raw, "payment", "url")
        if url is None:
            raise unexpected("the answer has no payment page", answer)
        return WalletPayment(
            invoice_number=text_at(answer.raw, "order", "invoice_number") or invoice_number,
            amount=amount if answered_amount is None else answered_amount,
            url=url,
            request_id=answer.request_id,
            replayed=answer.replayed,
            raw=answer.raw,
        )

    def status(self, invoice_or_request_id: str) -> OrderStatus:
        """Ask what became of an order. An order that the gateway does not know is a DokuError with http_status 404."""
        answer = self.get("/orders/v1/status/" + quote(invoice_or_request_id, safe=""))
        return OrderStatus(
            invoice_number=text_at(answer.raw, "order", "invoice_number") or invoice_or_request_id,
            status=text_at(answer.raw, "transaction", "status") or "",
            amount=_amount(answer),
            channel=text_at(answer.raw, "channel", "id"),
            date=text_at(answer.raw, "transaction", "date"),
            original_request_id=text_at(answer.raw, "transaction", "original_request_id"),
            raw=answer.raw,
            card=card_facts(answer.raw),
        )

    # -- cards

    def card_payment(
        self,
        *,
        invoice_number: str,
        amount: int,
        customer_id: str | None = None,
        customer_name: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        address: str | None = None,
        country: str | None = None,
        line_items: Iterable[LineItem] = (),
        callback_url: str | None = None,
        failed_url: str | None = None,
        auto_redirect: bool = False,
        descriptor: str | None = None,
        session_id: str | None = None,
        token: str | None = None,
        save_card: bool = False,
        payment_type: str | None = None,
        auto_capture: bool = False,
        acquirer: str | None = None,
        tenor: int | None = None,
        theme: PageTheme | None = None,
        promos: Iterable[Promo] = (),
        allow_bins: Iterable[str] = (),
        allow_tenors: Iterable[int] = (),
        disclaimer_id: str | None = None,
        disclaimer_en: str | None = None,
        override_notification_url: str | None = None,
        request_id: str | None = None,
    ) -> CardPayment:
        """Open a card payment page. E-mail or phone is needed; line items must add up to `amount`.

        customer_id    lets the buyer save cards and pay with saved ones
        callback_url   where the buyer goes after paying; needed with auto_redirect
        token          a saved card to begin with; save_card saves the one that pays without asking the buyer
        payment_type   SALE, AUTHORIZE, INSTALLMENT, MOTO or RECURRING; None: as the merchant is set up
        auto_capture   an AUTHORIZE is captured at once
        acquirer, tenor  for INSTALLMENT: the bank and the months
        allow_bins     only cards whose number begins with one of these
        allow_tenors   only these installments are offered

        An invoice number that is not paid may be used again: its earlier page is then closed. To repeat a call whose answer
        got lost, pass its `request_id` again with the same arguments.
        """
        order = given(
            invoice_number=invoice_number,
            amount=amount,
            line_items=_items(line_items),
            callback_url=callback_url,
            failed_url=failed_url,
            auto_redirect=auto_redirect,
            descriptor=descriptor,
            session_id=session_id,
        )
        customer = given(id=customer_id, name=customer_name, email=email, phone=phone, address=address, country=country)
        body = {"order": order} | given(
            card=given(token=token, save=save_card),
            customer=customer,
            payment=given(type=payment_type, auto_capture=auto_capture, acquirer=acquirer, tenor=tenor),
            override_configuration=given(
                themes=theme.as_sent() if theme else None,
                promo=[{"bin": one.bin, "discount_amount": one.discount} for one in promos],
                allow_bin=list(allow_bins),
                allow_tenor=list(allow_tenors),
            ),
            additional_info=given(
                override_notification_url=override_notification_url,
                disclaimer=given(id=disclaimer_id, en=disclaimer_en),
            ),
        )
        answer = self.post("/credit-card/v1/payment-page", body, request_id=request_id)
        url = text_at(answer.raw, "credit_card_payment_page", "url")
        if url is None:
            raise unexpected("the answer has no payment page", answer)
        return CardPayment(
            invoice_number=text_at(answer.raw, "order", "invoice_number") or invoice_number,
            url=url,
            request_id=answer.request_id,
            replayed=answer.replayed,
            raw=answer.raw,
        )

    def capture(self, authorize_id: str, amount: int | None = None, *, request_id: str | None = None) -> CardCharge:
        """Take what an AUTHORIZE reserved, or `amount` of it; the rest is let go. Once only.

        A decline is no error: look at `succeeded`. `is_pending`: the bank is silent, ask for the order's status.
        """
        payment = {"authorize_id": authorize_id} | given(capture_amount=amount)
        return _charged(self.post("/credit-card/capture", {"payment": payment}, request_id=request_id))

    def refund(self, *, invoice_number: str, original_request_id: str, amount: int, request_id: str | None = None) -> CardRefund:
        """Give money of a card payment back: a void until it is settled, which takes all or nothing; a refund afterwards.

        original_request_id  of the call that opened the payment; the status of the order has it too
        """
        body = {
            "order": {"invoice_number": invoice_number},
            "payment": {"original_request_id": original_request_id},
            "refund": {"amount": amount},
        }
        answer = self.post("/cancellation/credit-card/refund", body, request_id=request_id)
        refunded = answer.raw.get("refund")
        kind, status = text_at(answer.raw, "refund", "type"), text_at(answer.raw, "refund", "status")
        if not isinstance(refunded, Mapping) or kind is None or status is None:
            raise unexpected("the answer has no refund", answer)
        return CardRefund(
            amount=rupiah_of(refunded.get("amount"), answer) or amount,
            type=kind,
            status=status,
            message=text_at(refunded, "message"),
            approval_code=text_at(refunded, "approval_code"),
            request_id=answer.request_id,
            replayed=answer.replayed,
            raw=answer.raw,
        )

    def card_tokens(self, customer_id: str, *, bank: str | None = None) -> list[CardToken]:
        """A customer's saved cards, oldest first. `bank` narrows to one issuer, BCA for one."""
        body: dict[str, Any] = {"customer": {"id": customer_id}, "channel": {"id": "CREDIT_CARD"}}
        if bank is not None:
            body["issuer"] = {"id": bank}
        answer = self.post("/tokenization/v2/get-token", body)
        listed = answer.raw.get("tokens")
        if not isinstance(listed, list):
            raise unexpected("the answer has no tokens", answer)
        return [_token(one, answer) for one in listed]

    def unbind_token(self, token: str, *, customer_id: str | None = None) -> bool:
        """Forget a saved card. False when there was none of that name."""
        body = {"token_id": token} | given(customer_id=customer_id)
        answer = self.post("/credit-card/delete-tokenization", body)
        return text_at(answer.raw, "status") == "DELETE SUCCESS"

    def check_three_d_secure(
        self,
        *,
        amount: int,
        success_url: str,
        failed_url: str,
        token: str | None = None,
        number: str | None = None,
        expiry: str | None = None,
        invoice_number: str | None = None,
        phone: str | None = None,
        payment_type: str | None = None,
    ) -> ThreeDSecureStart:
        """Host-to-host: begin a 3-D Secure authentication of a token, or of number and expiry (MMYY).

        Send the buyer to `url`. Passing a number makes your own servers handle card data (PCI DSS); a token does not.
        """
        body = {
            "order": {"amount": amount} | given(invoice_number=invoice_number),
            "card": given(token=token, number=number, expiry=expiry),
            "three_dsecure": {"callback_url_success": success_url, "callback_url_failed": failed_url},
        } | given(payment=given(type=payment_type), customer=given(phone=phone))
        answer = self.post("/credit-card/check-three-d-secure", body)
        started = answer.raw.get("three_dsecure")
        url = text_at(answer.raw, "three_dsecure", "authentication_url")
        authentication_id = text_at(answer.raw, "three_dsecure", "authentication_id")
        if not isinstance(started, Mapping) or url is None or authentication_id is None:
            raise unexpected("the answer has no authentication", answer)
        return ThreeDSecureStart(authentication_id, url, bool(started.get("enrollment_status")), answer.raw)

    def charge(
        self,
        *,
        invoice_number: str,
        amount: int,
        authentication_id: str | None = None,
        token: str | None = None,
        number: str | None = None,
        expiry: str | None = None,
        cvv: str | None = None,
        cardholder_name: str | None = None,
        save_card: bool = False,
        customer_id: str | None = None,
        customer_name: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        payment_type: str | None = None,
        auto_capture: bool = False,
        acquirer: str | None = None,
        tenor: int | None = None,
        line_items: Iterable[LineItem] = (),
        descriptor: str | None = None,
        override_notification_url: str | None = None,
        request_id: str | None = None,
    ) -> CardCharge:
        """Host-to-host: charge a card. `authentication_id` is needed unless payment_type is MOTO or RECURRING.

        A decline is no error: look at `succeeded`, and at `response_code` for why. `is_pending`: the bank is silent; the order's
        status and a notification say how it ended. Repeat a call whose answer got lost with its `request_id` only.
        """
        order = {"invoice_number": invoice_number, "amount": amount} | given(line_items=_items(line_items), descriptor=descriptor)
        body = {"order": order} | given(
            customer=given(id=customer_id, name=customer_name, email=email, phone=phone),
            three_dsecure=given(authentication_id=authentication_id),
            payment=given(type=payment_type, auto_capture=auto_capture, acquirer=acquirer, tenor=tenor),
            card=given(token=token, number=number, expiry=expiry, cvv=cvv, cardholder_name=cardholder_name, save=save_card),
            additional_info=given(override_notification_url=override_notification_url),
        )
        return _charged(self.post("/credit-card/charge", body, request_id=request_id))

    # -- any call

    def post(self, path: str, body: Mapping[str, Any], *, request_id: str | None = None) -> Answer:
        """Any call that has no method here yet. `path` begins with a slash; the signature covers the bytes sent."""
        return self._call("POST", path, json.dumps(body, separators=(",", ":")).encode("ascii"), request_id)

    def get(self, path: str, *, request_id: str | None = None) -> Answer:
        """Any reading call; `path` is percent-encoded already."""
        return self._call("GET", path, None, request_id)

    def _call(self, method: str, path: str, body: bytes | None, request_id: str | None) -> Answer:
        if not path.startswith("/"):
            raise ValueError(f"path must begin with a slash: {path!r}")
        target = self._host.prefix + path
        headers = signed_headers(
            client_id=self.client_id, secret_key=self._secret_key, target=target, body=body, request_id=request_id
        )
        request_id = headers["Request-Id"]
        headers["Accept"] = "application/json"
        if body is not None:
            headers["Content-Type"] = "application/json"

        status, answered_headers, answered = self._host.exchange(method, target, body, headers, request_id=request_id)
        self._check_signature(answered_headers, answered, target=target, request_id=request_id, method=method)
        return _read(status, answered, request_id)

    def _check_signature(self, headers: Mapping[str, str], body: bytes, *, target: str, request_id: str, method: str) -> None:
        """Refuse an answer whose signature is wrong.

        An answer without one passes: errors before the client is known carry none, and TLS protects the rest.
        """
        sent = {name.lower(): value for name, value in headers.items()}
        signature = sent.get("signature")
        if signature is None:
            return
        # Some of DOKU's tables name the header Request-Timestamp; the signature page signs a Response-Timestamp line.
        # [inferred] Accepting the other documented forms costs nothing: none can be made without the secret.
        forms: list[tuple[TimestampLine, str]] = []
        if timestamp := sent.get("response-timestamp"):
            forms.append(("Response-Timestamp", timestamp))
        elif timestamp := sent.get("request-timestamp"):
            forms += [("Response-Timestamp", timestamp), ("Request-Timestamp", timestamp)]
        # The signed ids are the ones we sent, whatever the answer's headers claim: an answer to another call cannot pass.
        for line, timestamp in forms:
            text = string_to_sign(
                client_id=self.client_id,
                request_id=request_id,
                timestamp=timestamp,
                target=target,
                body=None if method == "GET" else body,
                timestamp_line=line,
            )
            if matches(signature, text, self._secret_key):
                return
        # A wrong secret of ours ends here too: the gateway refuses our signature and signs its refusal with the right one.
        raise SignatureMismatch(f"the answer to request {request_id} is not signed with this secret key; check the key first")


def _read(http_status: int, body: bytes, request_id: str) -> Answer:
    """Tell a success from a refusal. Raises DokuError, also for what is not a JSON object (a proxy's error page)."""
    try:
        # Decimal, so that an amount printed as 120000.0 reaches parse_amount without passing through a float.
        decoded = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise DokuError("the answer is not a JSON object", http_status=http_status, request_id=request_id)

    # A repeated request is answered 409 with the body of the first answer, which was a success.
    replayed = http_status == 409 and not decoded.keys() & {"error", "message", "error_messages"}
    if replayed or 200 <= http_status < 300:
        return Answer(http_status=http_status, request_id=request_id, replayed=replayed, raw=decoded)

    error = decoded.get("error")
    if isinstance(error, dict):
        raise DokuError(
            str(error.get("message", "")),
            http_status=http_status,
            code=text_at(error, "code"),
            type=text_at(error, "type"),
            request_id=request_id,
            raw=decoded,
        )
    # Checkout answers with a list of sentences under one of two names, and unknown paths with a single one.
    said = decoded.get("message") or decoded.get("error_messages") or "refused without a reason"
    message = "; ".join(str(line) for line in said) if isinstance(said, list) else str(said)
    raise DokuError(message, http_status=http_status, request_id=request_id, raw=decoded)


def _items(line_items: Iterable[LineItem]) -> list[dict[str, Any]]:
    return [{"name": item.name, "price": item.price, "quantity": item.quantity} for item in line_items]


def _charged(answer: Answer) -> CardCharge:
    """The shape that capture and charge share."""
    status = text_at(answer.raw, "payment", "status")
    if status is None:
        raise unexpected("the answer has no payment", answer)
    return CardCharge(
        invoice_number=text_at(answer.raw, "order", "invoice_number") or "",
        amount=_amount(answer),
        status=status,
        response_code=text_at(answer.raw, "payment", "response_code"),
        response_message=text_at(answer.raw, "payment", "response_message"),
        approval_code=text_at(answer.raw, "payment", "approval_code"),
        authorize_id=text_at(answer.raw, "payment", "authorize_id"),
        masked_card=text_at(answer.raw, "card", "masked"),
        brand=text_at(answer.raw, "card", "brand"),
        token=text_at(answer.raw, "card", "token"),
        request_id=answer.request_id,
        replayed=answer.replayed,
        raw=answer.raw,
    )


def _token(sent: object, answer: Answer) -> CardToken:
    if not isinstance(sent, Mapping) or (token := text_at(sent, "id")) is None:
        raise unexpected("the answer has a token without an id", answer)
    return CardToken(
        id=token,
        masked=text_at(sent, "masked_account") or "",
        brand=text_at(sent, "card", "brand"),
        issuer=text_at(sent, "card", "issuer"),
        expiry=text_at(sent, "card", "expiry"),
    )


def _amount(answer: Answer) -> int | None:
    order = answer.raw.get("order")
    return rupiah_of(order.get("amount") if isinstance(order, Mapping) else None, answer)
