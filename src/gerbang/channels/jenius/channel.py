"""Jenius Pay: a request to pay appears in the buyer's Jenius app. Nobody is sent anywhere."""

from gerbang.channels.jenius.wire import InternetBankingPayment, OrderInText, PaymentRequest, PaymentResponse
from gerbang.endpoint import Ask, Call, Endpoint
from gerbang.errors import Reason, Refused
from gerbang.money import parse_amount
from gerbang.payments import Order, Payment
from gerbang.providers.channel import provider_channel
from gerbang.providers.line_items import adding_up
from gerbang.providers.opening import open_with_provider
from gerbang.providers.party import Party
from gerbang.providers.questions import Asked, Begun, TurnedDown
from gerbang.providers.wire import override_of
from gerbang.web.theme import Theme

NOBODY = "$nobody"


def _refuses(asked: Asked) -> str | None:
    return "CASH_TAG_UNKNOWN" if asked.payer == NOBODY else None


PARTY = Party(
    code="JENIUS_PAY",
    name="Jenius",
    slug="jenius",
    kind="app",
    theme=Theme(background="F3F2EF", font="1C1A17", button="44403C", button_font="FFFFFF"),
    magic={f"jenius_info.cash_tag {NOBODY}": "nobody has it: internet_banking_payment.status FAILED, nobody is notified"},
    refuses=_refuses,
)


def request_payment(call: Call, body: PaymentRequest) -> Ask:
    """Write the order down and have Jenius ask its buyer.

    "Must equal the Request-Id" is checked for merchants that are strict about Request-Ids: DOKU's own clients draw theirs at random.
    """
    order = body.order
    if call.merchant.strict_request_id(call.settings) and order.invoice_number != call.request_id:
        raise Refused(Reason.FIELD_INVALID, field="order.invoice_number")
    amount = parse_amount(order.amount)
    return open_with_provider(
        call,
        invoice_number=order.invoice_number,
        amount=amount,
        override=override_of(body.additional_info),
        details={"cash_tag": body.jenius_info.cash_tag},
        items=adding_up(order.line_items, amount),
        payer=body.jenius_info.cash_tag,
        return_url=body.redirect_url,
        answer=_answer,
    )


def _answer(_call: Call, order: Order, payment: Payment, said: Begun | TurnedDown) -> PaymentResponse:
    return PaymentResponse(
        order=OrderInText(order.invoice_number, str(payment.amount)),
        internet_banking_payment=InternetBankingPayment("SUCCESS" if isinstance(said, Begun) else "FAILED"),
        additional_info=order.details.get("additional_info"),
    )


CHANNEL = provider_channel(
    PARTY,
    title="Jenius Pay",
    service_id="DIGITAL_BANKING",
    acquirer_id="BTPN",
    acquirer_name="Bank Tabungan Pensiunan Nasional",
    endpoints=(
        Endpoint(
            method="POST",
            path="/jenius-digital-banking/v2/ServiceRequestPayment",
            summary="Have Jenius ask the buyer to pay in the app",
            action=request_payment,
            request=PaymentRequest,
            response=PaymentResponse,
            source="DOKU Jenius Pay guide",
        ),
    ),
)
