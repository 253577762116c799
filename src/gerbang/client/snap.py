"""The DOKU Wallet over SNAP: every operation of a partner, typed.

`SnapClient` is the partner, `SnapCustomer` one of its bound customers. Tokens are got, kept and renewed by themselves.
Source: DOKU, DOKU Wallet (SNAP), get token API, symmetric and asymmetric signature.
"""

import json
import secrets
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from gerbang.client.errors import ClientError, DokuError
from gerbang.client.snap_answers import (
    AccountOpening,
    Authorisation,
    BankAccount,
    BankTransfer,
    BindingPage,
    Cancellation,
    Capture,
    CustomerTokens,
    FoundBinding,
    HistoryLine,
    OtpVerified,
    Purchase,
    PurchaseRefund,
    PurchaseStatus,
    Refund,
    SnapAnswer,
    TopUp,
    TopUpOffer,
    TopUpStatus,
    Unbinding,
    Void,
    WalletBalance,
)
from gerbang.client.transport import Host
from gerbang.clock import WIB, real_now
from gerbang.money import NotMoney, format_snap_amount, parse_snap_amount
from gerbang.protocols.snap.signature import load_private_key, sign, sign_rsa, string_to_sign, token_string_to_sign

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

TOKEN_PATH = "/authorization/v1/access-token/b2b"  # noqa: S105 - an address
CUSTOMER_TOKEN_PATH = "/authorization/v1/access-token/b2b2c"  # noqa: S105 - an address
_B2B = "/snap-adapter/b2b/v1.0/"
_B2B2C = "/snap-adapter/b2b2c/v1.0/"

_MARGIN_S = 10
# Case codes behind HTTP 401 and the service.
_B2B_TOKEN_OVER, _CUSTOMER_TOKEN_OVER = "01", "02"


def private_key_of(pem: str) -> "RSAPrivateKey":
    """The key in a PEM text. Raises ClientError when `cryptography` is not there, ValueError when it is no RSA private key."""
    try:
        return load_private_key(pem)
    except ImportError as missing:
        raise ClientError("SNAP signs with RSA, which needs one more package: pip install cryptography") from missing


class SnapClient:
    """Calls as one partner. Safe to share between threads.

    base_url         where the API lives: `https://api-sandbox.doku.com`, `https://api.doku.com`, or your own Gerbang
    private_key_pem  the partner's RSA key, whose public half the gateway knows
    timeout_s        the longest silence on the connection, not the longest call

    Every method raises DokuError when the gateway says no (`code` is its responseCode) and DokuUnreachable when no whole answer
    came: the thing may have been done or not, so ask for its status before doing it again under another reference.
    """

    def __init__(self, base_url: str, client_id: str, secret_key: str, private_key_pem: str, *, timeout_s: float = 30.0) -> None:
        self.client_id = client_id
        self._host = Host(base_url, timeout_s)
        self._secret_key = secret_key
        self._key = private_key_of(private_key_pem)
        self._token = ""
        self._token_over = 0.0  # by time.monotonic()
        self._asking = threading.Lock()

    # -- tokens

    def token(self) -> str:
        """The B2B token: the one at hand, or a new one."""
        with self._asking:
            if time.monotonic() >= self._token_over:
                asked_at = time.monotonic()
                answer = self._ask_token(TOKEN_PATH, {"grantType": "client_credentials"})
                self._token = _must(answer, "accessToken")
                self._token_over = asked_at + _seconds(answer.raw.get("expiresIn")) - _MARGIN_S
            return self._token

    def _forget_token(self, token: str) -> None:
        with self._asking:
            if self._token == token:
                self._token_over = 0.0

    def exchange_auth_code(self, auth_code: str) -> CustomerTokens:
        """A customer's tokens for the code that came back from the consent page, or from `find_binding`. A code is good once."""
        return self._customer_tokens({"grantType": "authorization_code", "authCode": auth_code})

    def refresh(self, refresh_token: str) -> CustomerTokens:
        """The next pair of tokens; the old refresh token is over a minute later."""
        return self._customer_tokens({"grantType": "refresh_token", "refreshToken": refresh_token})

    def _customer_tokens(self, body: Mapping[str, Any]) -> CustomerTokens:
        answer = self._ask_token(CUSTOMER_TOKEN_PATH, body)
        return CustomerTokens(
            access_token=_must(answer, "accessToken"),
            refresh_token=_text(answer.raw, "refreshToken") or "",
            access_expires_at=_moment(answer.raw.get("accessTokenExpiryTime")),
            refresh_expires_at=_moment(answer.raw.get("refreshTokenExpiryTime")),
        )

    def _ask_token(self, path: str, body: Mapping[str, Any]) -> SnapAnswer:
        timestamp = _now()
        headers = {
            "X-CLIENT-KEY": self.client_id,
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": sign_rsa(token_string_to_sign(self.client_id, timestamp), self._key),
            "Content-Type": "application/json",
        }
        return self._exchange(path, _encoded(body), headers, external_id="")

    # -- any call

    def call(
        self, path: str, body: Mapping[str, Any], *, customer_token: str | None = None, external_id: str | None = None
    ) -> SnapAnswer:
        """Any operation that has no method here. A B2B token that the gateway no longer takes is replaced once."""
        token = self.token()
        try:
            return self._signed(path, body, token, customer_token, external_id)
        except DokuError as refused:
            if not _is_case(refused, _B2B_TOKEN_OVER):
                raise
        self._forget_token(token)
        return self._signed(path, body, self.token(), customer_token, external_id)

    def _signed(
        self, path: str, body: Mapping[str, Any], token: str, customer_token: str | None, external_id: str | None
    ) -> SnapAnswer:
        raw, timestamp, external_id = _encoded(body), _now(), external_id or new_external_id()
        text = string_to_sign(method="POST", target=self._host.prefix + path, access_token=token, body=raw, timestamp=timestamp)
        headers = {
            "X-TIMESTAMP": timestamp,
            "X-SIGNATURE": sign(text, self._secret_key),
            "X-PARTNER-ID": self.client_id,
            "X-EXTERNAL-ID": external_id,
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        if customer_token is not None:
            headers["Authorization-Customer"] = f"Bearer {customer_token}"
        return self._exchange(path, raw, headers, external_id=external_id)

    def _exchange(self, path: str, body: bytes, headers: Mapping[str, str], *, external_id: str) -> SnapAnswer:
        if not path.startswith("/"):
            raise ValueError(f"path must begin with a slash: {path!r}")
        status, _, answered = self._host.exchange(
            "POST", self._host.prefix + path, body, {"Accept": "application/json", **headers}, request_id=external_id
        )
        return _read(status, answered, external_id)

    # -- a new customer

    def create_account(
        self, *, reference: str, name: str, phone: str, email: str, redirect_url: str, device_id: str | None = None
    ) -> AccountOpening:
        """Register a customer, who gets a one-time password. Again, with a new reference: another password."""
        body = {
            "partnerReferenceNo": reference,
            "name": name,
            "phoneNo": phone,
            "email": email,
            "redirectUrl": redirect_url,
            "additionalInfo": _device(device_id),
        }
        answer = self.call(_B2B + "registration-account-creation", _without_none(body))
        return AccountOpening(reference, _must(answer, "referenceNo"), answer.raw)

    def verify_otp(self, original: "AccountOpening | Unbinding", otp: str, *, device_id: str | None = None) -> OtpVerified:
        """Pass on the one-time password that the customer entered. A wrong one is a DokuError `4040415`."""
        body = {
            "originalPartnerReferenceNo": original.reference,
            "originalReferenceNo": original.reference_no,
            "otp": otp,
            "additionalInfo": _device(device_id),
        }
        answer = self.call(_B2B + "otp-verification", _without_none(body))
        page, token = _text(answer.raw, "qparamsURL"), _text(answer.raw, "qparams", "token")
        return OtpVerified(
            page_url=f"{page}?{urlencode({'token': token})}" if page and token else None,
            phone=_text(answer.raw, "phoneNo"),
            email=_text(answer.raw, "email"),
            raw=answer.raw,
        )

    def request_otp(self, original: "AccountOpening | Unbinding", *, reference: str | None = None) -> None:
        """Have another one-time password sent for the same thing."""
        body = {
            "partnerReferenceNo": reference or _new_reference(),
            "originalPartnerReferenceNo": original.reference,
            "originalReferenceNo": original.reference_no,
        }
        self.call(_B2B + "otp", body)

    # -- consent

    def bind_account(self, *, reference: str, redirect_url: str, account_id: str | None = None) -> BindingPage:
        """Ask for a customer's consent. Send the customer to the page; it comes back to `redirect_url?authCode=…`."""
        body: dict[str, Any] = {"partnerReferenceNo": reference, "redirectUrl": redirect_url}
        if account_id is not None:
            body["successParams"] = {"accountId": account_id}
        answer = self.call(_B2B + "registration-account-binding", body)
        return BindingPage(
            reference=reference,
            reference_no=_must(answer, "referenceNo"),
            url=_must(answer, "nextAction"),
            link_id=_text(answer.raw, "linkId"),
            public_user_id=_text(answer.raw, "userInfo", "publicUserId"),
            raw=answer.raw,
        )

    def find_binding(self, *, account_id: str | None = None, reference: str | None = None) -> FoundBinding:
        """The binding of an account, or the one asked for under this reference, with a fresh auth code.

        None is a DokuError `4040811`.
        """
        body: dict[str, Any] = {"partnerReferenceNo": reference or _new_reference()}
        if account_id is not None:
            body["additionalInfo"] = {"accountId": account_id}
        answer = self.call(_B2B + "registration-account-inquiry", body)
        return FoundBinding(
            link_id=_must(answer, "additionalInfo", "linkId"),
            auth_code=_must(answer, "additionalInfo", "authCode"),
            raw=answer.raw,
        )

    def unbind_account(self, *, reference: str, link_id: str) -> Unbinding:
        """Ask for the end of a binding. The customer gets a one-time password, and `verify_otp` ends it."""
        body = {"partnerReferenceNo": reference, "linkId": link_id, "merchantId": self.client_id}
        answer = self.call(_B2B + "registration-account-unbinding", body)
        return Unbinding(reference, _must(answer, "referenceNo"), _text(answer.raw, "linkId") or link_id, answer.raw)

    def customer(
        self, *, account_id: str | None = None, auth_code: str | None = None, tokens: CustomerTokens | None = None
    ) -> "SnapCustomer":
        """A bound customer: by the auth code of the consent page, by tokens kept from earlier, or by the account alone.

        With the account, tokens that are over are replaced without the customer for as long as the binding stands.
        """
        if tokens is None and auth_code is None and account_id is None:
            raise ValueError("a customer is known by account_id, auth_code or tokens")
        if tokens is None and auth_code is not None:
            tokens = self.exchange_auth_code(auth_code)
        return SnapCustomer(self, account_id, tokens)


class SnapCustomer:
    """What a partner may do for a customer who consented. Safe to share between threads."""

    def __init__(self, client: SnapClient, account_id: str | None, tokens: CustomerTokens | None) -> None:
        self.account_id = account_id
        self._client = client
        self._tokens = tokens
        self._renewing = threading.Lock()

    def tokens(self) -> CustomerTokens:
        """The tokens in use, to keep them for later; got first if there are none."""
        with self._renewing:
            if self._tokens is None:
                self._tokens = self._by_account()
            return self._tokens

    def call(self, path: str, body: Mapping[str, Any], *, external_id: str | None = None) -> SnapAnswer:
        """Any operation that has no method here. Tokens that are over are replaced once."""
        tokens = self.tokens()
        try:
            return self._client.call(path, body, customer_token=tokens.access_token, external_id=external_id)
        except DokuError as refused:
            if not _is_case(refused, _CUSTOMER_TOKEN_OVER):
                raise
            tokens = self._renewed(tokens, refused)
        return self._client.call(path, body, customer_token=tokens.access_token, external_id=external_id)

    def _renewed(self, old: CustomerTokens, refused: DokuError) -> CustomerTokens:
        with self._renewing:
            if self._tokens is not None and self._tokens is not old:
                return self._tokens  # another thread was quicker
            if old.refresh_token:
                try:
                    self._tokens = self._client.refresh(old.refresh_token)
                    return self._tokens
                except DokuError:
                    pass
            if self.account_id is None:
                raise refused
            self._tokens = self._by_account()
            return self._tokens

    def _by_account(self) -> CustomerTokens:
        return self._client.exchange_auth_code(self._client.find_binding(account_id=self.account_id).auth_code)

    # -- money

    def balance(self, *, reference: str | None = None) -> WalletBalance:
        """What the customer has."""
        answer = self.call(_B2B2C + "balance-inquiry", {"partnerReferenceNo": reference or _new_reference()})
        infos = answer.raw.get("accountInfos")
        cash = infos[0] if isinstance(infos, list) and infos else None
        if not isinstance(cash, dict):
            raise _unexpected("the answer has no accountInfos", answer)
        return WalletBalance(
            account_id=_text(answer.raw, "accountNo") or "",
            name=_text(answer.raw, "name") or "",
            available=_rupiah(cash.get("availableBalance") or cash.get("amount"), answer),
            held=_rupiah(cash.get("holdAmount"), answer) if cash.get("holdAmount") else 0,
            raw=answer.raw,
        )

    def find_bank_account(
        self,
        *,
        payer: str,
        bank_code: str,
        account_number: str,
        amount: int | None = None,
        reference: str | None = None,
    ) -> BankAccount:
        """Whose bank account it is. `payer` is the customer's phone number or DOKU ID. None is a DokuError `4044211`."""
        body = {
            "partnerReferenceNo": reference or _new_reference(),
            "customerNumber": payer,
            "beneficiaryAccountNumber": account_number,
            "amount": None if amount is None else _amount(amount),
            "additionalInfo": {"bankCode": bank_code},
        }
        answer = self.call(_B2B2C + "emoney/bank-account-inquiry", _without_none(body))
        return BankAccount(
            reference_no=_must(answer, "referenceNo"),
            bank_code=_text(answer.raw, "beneficiaryBankCode") or bank_code,
            number=_text(answer.raw, "beneficiaryAccountNumber") or account_number,
            name=_must(answer, "beneficiaryAccountName"),
            raw=answer.raw,
        )

    def transfer_to_bank(
        self, *, reference: str, payer: str, amount: int, to: BankAccount, account_type: str = "SAVING"
    ) -> BankTransfer:
        """Transfer from the wallet to a bank account that was inquired before, with the same amount."""
        body = {
            "partnerReferenceNo": reference,
            "customerNumber": payer,
            "accountType": account_type,
            "beneficiaryAccountNumber": to.number,
            "beneficiaryBankCode": to.bank_code,
            "amount": _amount(amount),
            "additionalInfo": {"referenceNo": to.reference_no, "bankCode": to.bank_code},
        }
        answer = self.call(_B2B2C + "emoney/transfer-bank", body)
        return BankTransfer(
            reference=reference,
            reference_no=_must(answer, "referenceNo"),
            in_progress=answer.in_progress,
            bank_reference=_text(answer.raw, "referenceNumber"),
            date=_moment(answer.raw.get("transactionDate")),
            raw=answer.raw,
        )

    def inquire_top_up(self, *, receiver: str, amount: int, reference: str | None = None) -> TopUpOffer:
        """Whether, and as whom, the receiver (phone number or DOKU ID) can be topped up."""
        body = {
            "partnerReferenceNo": reference or _new_reference(),
            "customerNumber": receiver,
            "amount": _amount(amount),
            "transactionDate": _now(),
        }
        answer = self.call(_B2B2C + "emoney/account-inquiry", body)
        return TopUpOffer(
            session_id=_must(answer, "sessionId"),
            name=_text(answer.raw, "customerName") or "",
            minimum=_rupiah(answer.raw.get("minAmount"), answer),
            maximum=_rupiah(answer.raw.get("maxAmount"), answer),
            fee=_rupiah(answer.raw.get("feeAmount"), answer),
            raw=answer.raw,
        )

    def top_up(
        self, *, reference: str, receiver: str, amount: int, session_id: str | None = None, notes: str | None = None
    ) -> TopUp:
        """Move money from the partner's own balance to a customer's wallet."""
        body = {
            "partnerReferenceNo": reference,
            "customerNumber": receiver,
            "amount": _amount(amount),
            "sessionId": session_id,
            "notes": notes,
        }
        answer = self.call(_B2B2C + "emoney/topup", _without_none(body))
        return TopUp(reference, _must(answer, "referenceNo"), _rupiah(answer.raw.get("amount"), answer), answer.raw)

    def top_up_status(self, reference: str) -> TopUpStatus:
        """What became of a top-up. One that the gateway does not know is a DokuError `4043901`."""
        answer = self.call(_B2B2C + "emoney/topup-status", {"originalPartnerReferenceNo": reference, "serviceCode": "38"})
        return TopUpStatus(
            reference=reference,
            status=_must(answer, "latestTransactionStatus"),
            description=_text(answer.raw, "transactionStatusDesc") or "",
            amount=_rupiah(answer.raw.get("amount"), answer),
            date=_moment(answer.raw.get("transactionDate")),
            raw=answer.raw,
        )

    # -- purchases

    def purchase(
        self,
        *,
        reference: str,
        amount: int,
        return_url: str | None = None,
        notify_url: str | None = None,
        valid_until: datetime | None = None,
        external_id: str | None = None,
    ) -> Purchase:
        """Open a purchase. Send the customer to its page; believe the notification or `purchase_status`, not the way back."""
        urls = [
            {"url": url, "type": kind, "isDeepLink": "N"}
            for kind, url in (("PAY_RETURN", return_url), ("PAY_NOTIFY", notify_url))
            if url is not None
        ]
        body = {
            "partnerReferenceNo": reference,
            "amount": _amount(amount),
            "urlParam": urls or None,
            "validUpTo": None if valid_until is None else _written(valid_until),
        }
        answer = self.call(_B2B2C + "debit/payment-host-to-host", _without_none(body), external_id=external_id)
        return Purchase(reference, _must(answer, "referenceNo"), _must(answer, "webRedirectUrl"), answer.raw)

    def purchase_status(self, reference: str) -> PurchaseStatus:
        """What became of a purchase. One that the gateway does not know is a DokuError `4045501`."""
        answer = self.call(_B2B2C + "debit/status", {"originalPartnerReferenceNo": reference, "serviceCode": "17"})
        refunds = answer.raw.get("refundHistory")
        return PurchaseStatus(
            reference=reference,
            reference_no=_text(answer.raw, "originalReferenceNo") or "",
            status=_must(answer, "latestTransactionStatus"),
            description=_text(answer.raw, "transactionStatusDesc") or "",
            amount=_rupiah(answer.raw.get("transAmount"), answer),
            paid_at=_moment(answer.raw.get("paidTime")),
            refunds=tuple(
                PurchaseRefund(
                    reference=_text(one, "partnerRefundNo") or "",
                    refund_no=_text(one, "refundNo") or "",
                    amount=_rupiah(one.get("refundAmount"), answer),
                    status=_text(one, "refundStatus") or "",
                )
                for one in (refunds if isinstance(refunds, list) else [])
                if isinstance(one, dict)
            ),
            raw=answer.raw,
        )

    def cancel_purchase(self, reference: str, *, reason: str) -> Cancellation:
        """Undo a purchase before it is settled, paid or not."""
        answer = self.call(_B2B2C + "debit/cancel", {"originalPartnerReferenceNo": reference, "reason": reason})
        return Cancellation(
            reference, _text(answer.raw, "originalReferenceNo") or "", _moment(answer.raw.get("cancelTime")), answer.raw
        )

    def refund_purchase(self, reference: str, *, refund_reference: str, reason: str, amount: int | None = None) -> Refund:
        """Give a settled purchase's money back; without an amount, what is left of it."""
        body = {
            "originalPartnerReferenceNo": reference,
            "partnerRefundNo": refund_reference,
            "reason": reason,
            "refundAmount": None if amount is None else _amount(amount),
        }
        answer = self.call(_B2B2C + "debit/refund", _without_none(body))
        return Refund(
            reference=reference,
            refund_reference=refund_reference,
            refund_no=_must(answer, "refundNo"),
            amount=_rupiah(answer.raw.get("refundAmount"), answer),
            at=_moment(answer.raw.get("refundTime")),
            raw=answer.raw,
        )

    # -- reserve and take

    def authorise(self, *, reference: str, amount: int, valid_until: datetime | None = None) -> Authorisation:
        """Reserve money of the wallet."""
        body = {
            "partnerReferenceNo": reference,
            "amount": _amount(amount),
            "validUpTo": None if valid_until is None else _written(valid_until),
        }
        answer = self.call(_B2B2C + "auth/payment", _without_none(body))
        return Authorisation(
            reference=reference,
            reference_no=_must(answer, "referenceNo"),
            amount=_rupiah(answer.raw.get("amount"), answer),
            valid_until=_moment(answer.raw.get("validUpTo")),
            raw=answer.raw,
        )

    def capture(self, reference: str, *, capture_reference: str, amount: int | None = None) -> Capture:
        """Take what was reserved, once; with a smaller amount the rest is let go."""
        body = {
            "originalPartnerReferenceNo": reference,
            "partnerCaptureNo": capture_reference,
            "captureAmount": None if amount is None else _amount(amount),
        }
        answer = self.call(_B2B2C + "auth/capture", _without_none(body))
        return Capture(
            reference=reference,
            capture_no=_must(answer, "captureNo"),
            amount=_rupiah(answer.raw.get("captureAmount"), answer),
            at=_moment(answer.raw.get("captureTime")),
            raw=answer.raw,
        )

    def void(self, reference: str, *, void_reference: str, reason: str | None = None) -> Void:
        """Let go of what was reserved."""
        body = {"originalPartnerReferenceNo": reference, "partnerVoidNo": void_reference, "reason": reason}
        answer = self.call(_B2B2C + "auth/void", _without_none(body))
        return Void(
            reference=reference,
            void_no=_must(answer, "voidNo"),
            amount=_rupiah(answer.raw.get("voidAmount"), answer),
            at=_moment(answer.raw.get("voidTime")),
            raw=answer.raw,
        )

    # -- history

    def history(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        page: int = 0,
        page_size: int = 10,
        reference: str | None = None,
    ) -> tuple[HistoryLine, ...]:
        """What happened to the customer's money, newest first; the last 30 days unless said otherwise, a month at most."""
        body = {
            "partnerReferenceNo": reference or _new_reference(),
            "fromDateTime": None if since is None else _written(since),
            "toDateTime": None if until is None else _written(until),
            "pageSize": page_size,
            "pageNumber": page,
        }
        answer = self.call(_B2B2C + "transaction-history-list", _without_none(body))
        lines = answer.raw.get("detailData")
        if not isinstance(lines, list):
            raise _unexpected("the answer has no detailData", answer)
        return tuple(_history_line(line, answer) for line in lines if isinstance(line, dict))

    def history_detail(self, reference: str) -> HistoryLine:
        """One of them, by the partner's reference. One that the gateway does not know is a DokuError `4041301`."""
        answer = self.call(_B2B2C + "transaction-history-detail", {"originalPartnerReferenceNo": reference})
        return _history_line(answer.raw, answer)


def new_external_id() -> str:
    """An X-EXTERNAL-ID: numeric, never the same twice."""
    return f"{time.time_ns() // 1_000_000}{secrets.randbelow(10**12):012d}"


def _new_reference() -> str:
    return str(uuid.uuid4())


def _now() -> str:
    return _written(real_now())


def _written(moment: datetime) -> str:
    """A naive time is the machine's own, as everywhere in the standard library."""
    return moment.astimezone(WIB).isoformat(timespec="seconds")


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _amount(rupiah: int) -> dict[str, str]:
    return {"value": format_snap_amount(rupiah), "currency": "IDR"}


def _without_none(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def _device(device_id: str | None) -> dict[str, str] | None:
    return None if device_id is None else {"deviceId": device_id}


def _read(http_status: int, body: bytes, external_id: str) -> SnapAnswer:
    """Tell a success from a refusal. Raises DokuError, also for what is not a JSON object (a proxy's error page)."""
    try:
        decoded = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise DokuError("the answer is not a JSON object", http_status=http_status, request_id=external_id or None)
    code = _text(decoded, "responseCode") or ""
    # Both have to say so: a refusal may come with HTTP 200.
    if 200 <= http_status < 300 and code.startswith(("200", "202")):
        return SnapAnswer(code, code.startswith("202"), external_id, decoded)
    raise DokuError(
        _text(decoded, "responseMessage") or _text(decoded, "message") or "refused without a reason",
        http_status=http_status,
        code=code or None,
        request_id=external_id or None,
        raw=decoded,
    )


def _is_case(refused: DokuError, case: str) -> bool:
    """Whether it is `401<service><case>`."""
    return refused.code is not None and len(refused.code) == 7 and (refused.code[:3], refused.code[5:]) == ("401", case)


def _text(body: Mapping[str, Any], *keys: str) -> str | None:
    found: Any = body
    for key in keys:
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) and found != "" else None


def _must(answer: SnapAnswer, *keys: str) -> str:
    found = _text(answer.raw, *keys)
    if found is None:
        raise _unexpected(f"the answer has no {'.'.join(keys)}", answer)
    return found


def _rupiah(sent: object, answer: SnapAnswer) -> int:
    value = sent.get("value") if isinstance(sent, Mapping) else None
    try:
        return parse_snap_amount(value)
    except NotMoney as problem:
        raise _unexpected("an amount of the answer is not whole rupiah", answer) from problem


def _moment(sent: object) -> datetime | None:
    """Aware, in the zone it was written in; without one it is Jakarta's."""
    if not isinstance(sent, str):
        return None
    try:
        moment = datetime.fromisoformat(sent)
    except ValueError:
        return None
    return moment.replace(tzinfo=WIB) if moment.tzinfo is None else moment


def _seconds(sent: object) -> float:
    try:
        return float(str(sent))
    except ValueError:
        return 0.0


def _history_line(line: Mapping[str, Any], answer: SnapAnswer) -> HistoryLine:
    return HistoryLine(
        at=_moment(line.get("dateTime")),
        amount=_rupiah(line.get("amount"), answer),
        type=_text(line, "type") or "",
        status=_text(line, "status") or "",
        remark=_text(line, "remark") or "",
        reference=_text(line, "additionalInfo", "partnerReferenceNo") or _text(line, "partnerReferenceNo"),
        reference_no=_text(line, "additionalInfo", "referenceNo") or _text(line, "referenceNo"),
        raw=dict(line),
    )


def _unexpected(message: str, answer: SnapAnswer) -> DokuError:
    return DokuError(
        message,
        http_status=int(answer.response_code[:3]),
        code=answer.response_code,
        request_id=answer.external_id,
        raw=answer.raw,
    )
