"""Cards on the wire, names verbatim. Source: DOKU cards payment page guide (S2-09 … S2-123), host-to-host and token pages."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gerbang.protocols.names import NO_CARD_NUMBER, Phone

Url = Annotated[str, Meta(max_length=2048, extra_json_schema={"format": "uri"})]
Amount = Annotated[int, Meta(ge=1, le=999_999_999_999, description="Whole rupiah.")]
Invoice = Annotated[str, Meta(min_length=1, max_length=64)]
# Real clients send one as the other: read as sent, judged by the action.
TextOrObject = Annotated[Any, Meta(extra_json_schema={"type": ["string", "object"]})]
TextOrNumber = Annotated[Any, Meta(extra_json_schema={"type": ["string", "integer"]})]
Colour = Annotated[Any, Meta(description="RRGGBB; anything else means the default.", extra_json_schema={"type": "string"})]


class LineItem(msgspec.Struct):
    """One thing bought."""

    name: Annotated[str, Meta(max_length=255)] | None = None
    price: Annotated[int, Meta(ge=0, le=999_999_999_999, description="Whole rupiah.")] | None = None
    quantity: Annotated[int, Meta(ge=1, le=9_999)] | None = None


class Order(msgspec.Struct):
    """The order of a payment page."""

    amount: Amount
    invoice_number: Annotated[Invoice, Meta(description="At most 27 characters when sent to Bank Mandiri (decision D-15).")]
    callback_url: Annotated[Url, Meta(description="Where the buyer goes after paying; needed with auto_redirect.")] | None = None
    failed_url: Annotated[Url, Meta(description="Where the buyer goes otherwise; absent: callback_url.")] | None = None
    auto_redirect: Annotated[bool, Meta(description="Skip the result page. Default false; text is accepted.")] | None = None
    line_items: list[LineItem] | None = None
    descriptor: Annotated[str, Meta(max_length=22, description="Text on the statement, if switched on.")] | None = None
    session_id: TextOrNumber | None = None


class Card(msgspec.Struct):
    """A saved card, and whether to save the one that pays."""

    token: Annotated[str, Meta(max_length=64, description="Pre-fills this saved card.")] | None = None
    save: Annotated[bool, Meta(description="Save the card without asking the buyer; needs customer.id.")] | None = None


class Customer(msgspec.Struct):
    """Who buys. One of email and phone is needed."""

    id: Annotated[str, Meta(max_length=50)] | None = None
    name: Annotated[str, Meta(max_length=255, pattern=NO_CARD_NUMBER)] | None = None
    email: Annotated[str, Meta(max_length=128)] | None = None
    phone: Annotated[Phone, Meta(description="6281122334455; local forms are accepted.")] | None = None
    address: TextOrObject | None = None
    country: str | None = None


class PaymentChoice(msgspec.Struct):
    """How to charge."""

    type: Annotated[str, Meta(extra_json_schema={"enum": ["SALE", "AUTHORIZE", "INSTALLMENT", "MOTO", "RECURRING"]})] | None = (
        None
    )
    auto_capture: bool | None = None
    acquirer: Annotated[str, Meta(description="Needed for INSTALLMENT.")] | None = None
    tenor: Annotated[int, Meta(ge=0, le=99, description="Months; needed for INSTALLMENT.")] | None = None


class Themes(msgspec.Struct):
    """How the page looks."""

    language: Annotated[Any, Meta(extra_json_schema={"type": "string", "enum": ["EN", "ID"]})] | None = None
    background_color: Colour | None = None
    font_color: Colour | None = None
    button_background_color: Colour | None = None
    button_font_color: Colour | None = None


class Promo(msgspec.Struct):
    """A discount for cards whose number begins with `bin`."""

    bin: Annotated[str, Meta(max_length=16)] | None = None
    discount_amount: Annotated[int, Meta(ge=0, le=999_999_999_999)] | None = None


class Override(msgspec.Struct):
    """Otherwise than configured, for this page. A scalar stands for a list of one."""

    themes: Themes | None = None
    promo: Annotated[Any, Meta(extra_json_schema={"type": "array"})] | None = None
    allow_bin: Annotated[Any, Meta(extra_json_schema={"type": "array", "items": {"type": "string"}})] | None = None
    allow_tenor: Annotated[Any, Meta(extra_json_schema={"type": "array", "items": {"type": "integer"}})] | None = None


class Disclaimer(msgspec.Struct):
    """What the buyer has to agree to."""

    id: TextOrObject | None = None
    en: TextOrObject | None = None


class AdditionalInfo(msgspec.Struct):
    """Extras; whatever else stands here is kept."""

    override_notification_url: Annotated[Url, Meta(description="Used instead of every other notification URL.")] | None = None
    disclaimer: Disclaimer | None = None


class PageRequest(msgspec.Struct):
    """POST /credit-card/v1/payment-page."""

    order: Order
    card: Card | None = None
    customer: Customer | None = None
    payment: PaymentChoice | None = None
    override_configuration: Override | None = None
    additional_info: AdditionalInfo | None = None


class PageOrder(msgspec.Struct, omit_defaults=True):
    """The order as received."""

    invoice_number: str
    line_items: list[dict[str, Any]] | None = None
    session_id: Any = None


class Page(msgspec.Struct):
    """Where to send the buyer."""

    url: str


class PageAdditionalInfo(msgspec.Struct, omit_defaults=True):
    """The echo."""

    override_notification_url: str | None = None


class PageResponse(msgspec.Struct, omit_defaults=True):
    """S2-52 … S2-56."""

    order: PageOrder
    credit_card_payment_page: Page
    additional_info: PageAdditionalInfo | None = None


class CapturePayment(msgspec.Struct):
    """What to capture."""

    authorize_id: Annotated[str, Meta(max_length=64)]
    capture_amount: (
        Annotated[int, Meta(le=999_999_999_999, description="Whole rupiah, text is accepted; absent: all.")] | None
    ) = None


class CaptureRequest(msgspec.Struct):
    """POST /credit-card/capture."""

    payment: CapturePayment


class ChargedOrder(msgspec.Struct):
    """The order; after a capture the captured amount."""

    invoice_number: str
    amount: int


class ChargedCustomer(msgspec.Struct):
    """The customer as sent."""

    id: str


class Identifier(msgspec.Struct):
    """MID, Acquirer, TID."""

    name: str
    value: str


class ChargedPayment(msgspec.Struct, omit_defaults=True):
    """How the charge or capture went (S2-75 … S2-83)."""

    type: str
    identifier: list[Identifier]
    request_id: str
    response_code: str
    response_message: str
    status: str
    eci: str
    authorize_id: str | None = None
    approval_code: str | None = None


class ThreeDSecure(msgspec.Struct):
    """ "" for MOTO, RECURRING and cards without 3-D Secure."""

    authentication_id: str


class ChargedCard(msgspec.Struct, omit_defaults=True):
    """The card (S2-85 … S2-89)."""

    masked: str
    type: str
    issuer: str
    brand: str
    token: str | None = None


class ChargeResponse(msgspec.Struct, omit_defaults=True):
    """Answer of capture and charge."""

    order: ChargedOrder
    payment: ChargedPayment
    three_dsecure: ThreeDSecure
    card: ChargedCard
    customer: ChargedCustomer | None = None


class RefundOrder(msgspec.Struct):
    """Which order."""

    invoice_number: Invoice


class RefundedPayment(msgspec.Struct):
    """Which payment: the Request-Id that initiated it."""

    original_request_id: Annotated[str, Meta(min_length=1, max_length=128)]


class RefundAmount(msgspec.Struct):
    """How much."""

    amount: Amount


class RefundRequest(msgspec.Struct):
    """POST /cancellation/credit-card/refund."""

    order: RefundOrder
    payment: RefundedPayment
    refund: RefundAmount


class RefundResult(msgspec.Struct, omit_defaults=True):
    """How it went (S2-100 … S2-104)."""

    amount: int
    type: str
    status: str
    message: str | None = None
    approval_code: str | None = None


class RefundResponse(msgspec.Struct):
    """The answer."""

    order: RefundOrder
    payment: RefundedPayment
    refund: RefundResult


class TokenId(msgspec.Struct):
    """A token in the newer form."""

    id: Annotated[str, Meta(max_length=64)] | None = None


class UnbindRequest(msgspec.Struct):
    """Both documented bodies, on both paths (decision D-14)."""

    token_id: Annotated[str, Meta(max_length=64)] | None = None
    customer_id: Annotated[str, Meta(max_length=50)] | None = None
    token: TokenId | None = None


class UnboundToken(msgspec.Struct):
    """The newer form's answer."""

    id: str
    status: str


class UnbindResponse(msgspec.Struct, omit_defaults=True):
    """In the form that was asked: `status` is DELETE SUCCESS or DELETE FAILED, `token.status` INACTIVE."""

    status: str | None = None
    token: UnboundToken | None = None


class ListCustomer(msgspec.Struct):
    """Whose tokens."""

    id: Annotated[str, Meta(min_length=1, max_length=50)]


class Named(msgspec.Struct):
    """An id."""

    id: str | None = None


class TokenListRequest(msgspec.Struct):
    """POST /tokenization/v2/get-token; channel and issuer are filters."""

    customer: ListCustomer
    channel: Named | None = None
    issuer: Named | None = None


class ListedCard(msgspec.Struct):
    """A saved card; the name is masked, the expiry YY/MM."""

    cardholder_name: str
    expiry: str
    brand: str
    issuer: str
    country: str
    bin: int


class ListedToken(msgspec.Struct):
    """One token."""

    id: str
    masked_account: str
    card: ListedCard


class TokenListResponse(msgspec.Struct):
    """Active tokens, oldest first."""

    customer: ListCustomer
    tokens: list[ListedToken]


class TokenData(msgspec.Struct):
    """CREDIT_CARD or DIRECT_DEBIT; absent: all."""

    type: str | None = None


class TokenListV1Request(msgspec.Struct):
    """POST /tokenization/v1/tokens."""

    customer: ListCustomer
    token_data: TokenData | None = None


class ListedTokenV1(msgspec.Struct):
    """One token. [inferred: the document's answer is not visible]"""

    id: str
    type: str
    masked: str
    brand: str
    issuer: str
    expiry: str


class TokenListV1Response(msgspec.Struct):
    """Active tokens, oldest first."""

    customer: ListCustomer
    tokens: list[ListedTokenV1]


class H2hOrder(msgspec.Struct):
    """The order of a host-to-host call."""

    amount: Amount
    invoice_number: Invoice | None = None
    line_items: list[LineItem] | None = None
    descriptor: Annotated[str, Meta(max_length=22)] | None = None


class H2hCard(msgspec.Struct):
    """A token, or number and expiry (MMYY). The CVV comes with the charge only."""

    token: Annotated[str, Meta(max_length=64)] | None = None
    number: Annotated[str, Meta(max_length=32)] | None = None
    expiry: Annotated[str, Meta(max_length=7)] | None = None
    cvv: Annotated[str, Meta(max_length=4)] | None = None
    save: bool | None = None
    cardholder_name: Annotated[str, Meta(max_length=255, pattern=NO_CARD_NUMBER)] | None = None


class ThreeDSecureUrls(msgspec.Struct):
    """Where the buyer goes after authentication."""

    callback_url_success: Url
    callback_url_failed: Url


class ThreeDSecureRequest(msgspec.Struct):
    """POST /credit-card/check-three-d-secure. `invoice_number` at the top level is taken too."""

    order: H2hOrder
    card: H2hCard
    payment: PaymentChoice | None = None
    three_dsecure: ThreeDSecureUrls | None = None
    three_d_secure: ThreeDSecureUrls | None = None
    customer: Customer | None = None
    invoice_number: Invoice | None = None


class ThreeDSecureOrder(msgspec.Struct):
    """The amount."""

    amount: int


class ThreeDSecureStarted(msgspec.Struct):
    """Send the buyer to authentication_url; it leads back to one of the callback URLs."""

    enrollment_status: bool
    authentication_id: str
    authentication_url: str


class ThreeDSecureResponse(msgspec.Struct, omit_defaults=True):
    """Under the key that was asked."""

    order: ThreeDSecureOrder
    three_dsecure: ThreeDSecureStarted | None = None
    three_d_secure: ThreeDSecureStarted | None = None


class Authenticated(msgspec.Struct):
    """Which authentication."""

    authentication_id: Annotated[str, Meta(max_length=64)] | None = None


class ChargeOrder(msgspec.Struct):
    """The order of a charge."""

    invoice_number: Invoice
    amount: Amount
    line_items: list[LineItem] | None = None
    descriptor: Annotated[str, Meta(max_length=22)] | None = None


class ChargeRequest(msgspec.Struct):
    """POST /credit-card/charge. After check-three-d-secure the card may be its CVV alone."""

    order: ChargeOrder
    customer: Customer | None = None
    three_dsecure: Authenticated | None = None
    three_d_secure: Authenticated | None = None
    payment: PaymentChoice | None = None
    card: H2hCard | None = None
    additional_info: AdditionalInfo | None = None
