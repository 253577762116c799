"""What the shop sells, what lies in a cart, and how it can be paid. Tables: add a row to add a product or a method."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gerbang.client import Address, BasketItem, DokuClient, DokuError, LineItem, Person

MAX_QUANTITY = 20

# The cart travels in a cookie and a hidden field, unsigned: whoever edits it changes only their own order,
# because prices come from this file.
_CART_PART = re.compile(r"([a-z]{1,16})\.([0-9]{1,2})")


@dataclass(frozen=True, eq=False)
class Product:
    """`name` and `detail` by language; `price` in whole rupiah; `code` also names its picture in art.html."""

    code: str
    price: int
    name: Mapping[str, str]
    detail: Mapping[str, str]


PRODUCTS = (
    Product(
        "kopi",
        89_000,
        {"id": "Kopi Gayo, 250 g", "en": "Gayo coffee, 250 g"},
        {"id": "Sangrai sedang, Aceh Tengah", "en": "Medium roast, Central Aceh"},
    ),
    Product(
        "sambal",
        45_000,
        {"id": "Sambal roa", "en": "Roa sambal"},
        {"id": "Botol 150 g, Manado", "en": "150 g jar, Manado"},
    ),
    Product(
        "lurik",
        770_000,  # more than the least that banks let people pay in installments
        {"id": "Kain lurik", "en": "Lurik cloth"},
        {"id": "Tenun tangan, 4 meter, Klaten", "en": "Handwoven, 4 metres, Klaten"},
    ),
    Product(
        "rotan",
        260_000,
        {"id": "Keranjang rotan", "en": "Rattan basket"},
        {"id": "Anyaman Cirebon", "en": "Woven in Cirebon"},
    ),
    Product(
        "cangkir",
        38_000,
        {"id": "Cangkir blirik", "en": "Speckled mug"},
        {"id": "Enamel, 300 ml", "en": "Enamel, 300 ml"},
    ),
    Product(
        "tempe",
        22_000,
        {"id": "Keripik tempe", "en": "Tempeh crisps"},
        {"id": "Tipis, 200 g, Malang", "en": "Thin, 200 g, Malang"},
    ),
)

SAMPLE_CART = "kopi.1-sambal.2"

Cart = dict[Product, int]


def read_cart(sent: str) -> Cart:
    """Pieces of each product, in the order of the shelf. What cannot be read is left out: a cart is never an error."""
    wanted = {code: int(count) for code, count in _CART_PART.findall(sent[:400])}
    return {
        product: min(wanted[product.code], MAX_QUANTITY)
        for product in PRODUCTS
        if wanted.get(product.code, 0) > 0
    }  # fmt: skip


def write_cart(cart: Cart) -> str:
    return "-".join(f"{product.code}.{count}" for product, count in cart.items())


def total(cart: Cart) -> int:
    return sum(product.price * count for product, count in cart.items())


@dataclass(frozen=True)
class Checkout:
    """What a payment method needs to know to open a payment. `customer_id`: whose saved cards the page offers."""

    invoice_number: str
    amount: int
    line_items: tuple[LineItem, ...]
    return_url: str
    notify_url: str
    customer_id: str


@dataclass(frozen=True)
class Method:
    """A way to pay. `open_payment` blocks, and returns where to send the buyer; it raises what the client raises."""

    code: str
    name: Mapping[str, str]
    detail: Mapping[str, str]
    open_payment: Callable[[DokuClient, Checkout], str]


def open_wallet_payment(client: DokuClient, checkout: Checkout) -> str:
    payment = client.wallet_payment(
        invoice_number=checkout.invoice_number,
        amount=checkout.amount,
        line_items=checkout.line_items,
        success_url=checkout.return_url,
        failed_url=checkout.return_url,
        notify_url=checkout.notify_url,
        auto_redirect=False,
    )
    return payment.url


def open_card_payment(client: DokuClient, checkout: Checkout) -> str:
    payment = client.card_payment(
        invoice_number=checkout.invoice_number,
        amount=checkout.amount,
        line_items=checkout.line_items,
        customer_id=checkout.customer_id,
        customer_name="Pembeli Pasar Pagi",
        email="pembeli@pasarpagi.example",
        callback_url=checkout.return_url,
        failed_url=checkout.return_url,
        override_notification_url=checkout.notify_url,
    )
    return payment.url


def open_linkaja_payment(client: DokuClient, checkout: Checkout) -> str:
    payment = client.linkaja_payment(
        invoice_number=checkout.invoice_number,
        amount=checkout.amount,
        line_items=checkout.line_items,
        callback_url=checkout.return_url,
        customer_name="Pembeli Pasar Pagi",
        override_notification_url=checkout.notify_url,
    )
    # LinkAja itself wants `payment.fields` posted to this address by a form; here a link is enough.
    return payment.url


def open_indodana_order(client: DokuClient, checkout: Checkout) -> str:
    home = Address("Pembeli", "Jalan Pasar Pagi 1", "Jakarta", "11230", "081234567890")
    order = client.indodana_order(
        invoice_number=checkout.invoice_number,
        amount=checkout.amount,
        items=[
            BasketItem(item.name, item.price, f"SKU-{place}", quantity=item.quantity)
            for place, item in enumerate(checkout.line_items, start=1)
        ],
        merchant_unique_reference=checkout.invoice_number,
        customer=Person("Pembeli", "081234567890", "pembeli@pasarpagi.example"),
        billing_address=home,
        shipping_address=home,
        callback_url=checkout.return_url,
        callback_url_cancel=checkout.return_url,
        override_notification_url=checkout.notify_url,
    )
    if order.url is None:
        raise DokuError("Indodana does not want this order", http_status=200, request_id=order.request_id, raw=order.raw)
    return order.url


METHODS = (
    Method(
        "wallet",
        {"id": "DOKU e-Wallet", "en": "DOKU e-Wallet"},
        {"id": "", "en": ""},
        open_wallet_payment,
    ),
    Method(
        "card",
        {"id": "Kartu kredit atau debit", "en": "Credit or debit card"},
        {"id": "Cicilan mulai Rp\u00a0500.000", "en": "Installments from Rp\u00a0500.000"},
        open_card_payment,
    ),
    Method("linkaja", {"id": "LinkAja", "en": "LinkAja"}, {"id": "", "en": ""}, open_linkaja_payment),
    Method(
        "indodana",
        {"id": "Indodana PayLater", "en": "Indodana PayLater"},
        {"id": "Bayar dalam 1 sampai 12 bulan", "en": "Pay in 1 to 12 months"},
        open_indodana_order,
    ),
)


def method_of(code: str) -> Method:
    """The method chosen in the form; the first one when the form says something else."""
    return next((method for method in METHODS if method.code == code), METHODS[0])
