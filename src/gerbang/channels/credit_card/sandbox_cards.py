"""The sandbox's test cards: published numbers of DOKU and others (sandbox_cards.json), and a generated card for every response code.

All of them pass the check digit. The sandbox takes these numbers only, and outside the sandbox each of them has to be refused
(PCI DSS 6.5: no real numbers in tests, no test numbers in live systems).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import msgspec

from gerbang.channels.credit_card.installments import Acquirer, acquirer_of
from gerbang.channels.credit_card.numbers import Brand, cvv_length, luhn_digit
from gerbang.channels.credit_card.responses import AUTHENTICATION_DECLINED, Response, of_brand

ThreeDs = Literal["frictionless", "challenge", "attempted", "unavailable", "rejected", "none"]
CardType = Literal["CREDIT", "DEBIT"]

DEFAULT_OTP = "123456"
UNKNOWN_ISSUER = "DOKU SIMULATOR BANK"

# Each family is this prefix, zeros, the code as four digits and the check digit.
_FAMILIES = {Brand.VISA: "455556", Brand.MASTER: "544445", Brand.JCB: "352800", Brand.AMEX: "347700"}
_LENGTH = {Brand.VISA: 16, Brand.MASTER: 16, Brand.JCB: 16, Brand.AMEX: 15}
GENERATED_GROUP = "project_codes"


class SandboxCard(msgspec.Struct, frozen=True, kw_only=True):
    """What the simulators do with a number.

    three_ds      how the issuer authenticates; "challenge" asks for the OTP
    trans_status  the result when the buyer does everything right; None: 3-D Secure is not run
    response_code what the acquirer answers once it is asked. With 3-D Secure results N and R it is never asked: DA
    installment   the bank whose installments the card can use
    """

    number: str
    brand: Brand
    type: CardType
    issuer: str
    acquirer: Acquirer | None
    country: str
    cvv: str
    otp: str
    three_ds: ThreeDs
    trans_status: str | None
    response_code: str
    group: str
    description: str
    origin: str
    installment: Acquirer | None = None

    @property
    def cvv_length(self) -> int:
        return cvv_length(self.brand)


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of sandbox_cards.json. What no source states is absent and gets the default."""

    number: str
    brand: Brand
    cvv: str
    three_ds: ThreeDs
    response_code: str
    group: str
    description: str
    origin: str
    type: CardType = "CREDIT"
    issuer: str = UNKNOWN_ISSUER
    country: str = "ID"
    otp: str = DEFAULT_OTP
    trans_status: str | None = None
    installment: Acquirer | None = None


def code_card_number(brand: Brand, code: str) -> str:
    """The number of the generated card that answers `code`.

    Each character of the code is two digits: 0–9 are 00–09, A–Z are 10–35. So VISA and 51 is 455556 00000 0501 + check digit.
    The number depends on nothing but brand and code, so a new code never changes the card of another.
    """
    written = "".join(f"{int(char, 36):02}" for char in code)
    prefix = _FAMILIES[brand]
    body = prefix + "0" * (_LENGTH[brand] - 1 - len(prefix) - len(written)) + written
    return body + luhn_digit(body)


def _code_card(brand: Brand, row: Response) -> SandboxCard:
    three_ds: ThreeDs = "frictionless"
    trans_status: str | None = "Y"
    if row.code == AUTHENTICATION_DECLINED:
        trans_status = "N"  # refused without a challenge: the payment never reaches the acquirer
    elif row.code == "1A":
        three_ds, trans_status = "none", None  # an issuer asks for authentication when there was none
    return SandboxCard(
        number=code_card_number(brand, row.code),
        brand=brand,
        type="CREDIT",
        issuer=UNKNOWN_ISSUER,
        acquirer=None,
        country="ID",
        cvv="1234" if cvv_length(brand) == 4 else "123",
        otp=DEFAULT_OTP,
        three_ds=three_ds,
        trans_status=trans_status,
        response_code=row.code,
        group=GENERATED_GROUP,
        description=row.message.lower(),
        origin="Gerbang",
    )


def _published() -> Iterator[SandboxCard]:
    written = (Path(__file__).parent / "sandbox_cards.json").read_bytes()
    for line in msgspec.json.decode(written, type=list[_Written]):
        fields = msgspec.structs.asdict(line)
        yield SandboxCard(acquirer=acquirer_of(line.issuer), **fields)


def _generated() -> Iterator[SandboxCard]:
    for brand in Brand:
        for row in of_brand(brand):
            yield _code_card(brand, row)


SANDBOX_CARDS: Mapping[str, SandboxCard] = MappingProxyType({card.number: card for card in (*_generated(), *_published())})


def sandbox_card(number: str) -> SandboxCard | None:
    """The test card of this number; None: it may be somebody's real card, which a sandbox must not take (PCI DSS 6.5)."""
    return SANDBOX_CARDS.get(number)


@dataclass(frozen=True, slots=True)
class Featured:
    """A card of the sandbox bar. `key` stands in links instead of the number; texts are (Indonesian, English)."""

    key: str
    card: SandboxCard
    labels: tuple[str, str]
    notes: tuple[str, str]

    def label(self, lang: str) -> str:
        """A few words: what happens."""
        return self.labels[0 if lang == "id" else 1]

    def note(self, lang: str) -> str:
        """One sentence: what the buyer does and sees."""
        return self.notes[0 if lang == "id" else 1]


_FEATURED: tuple[tuple[str, str, tuple[str, str], tuple[str, str]], ...] = (
    (
        "approved",
        "5573381011111101",
        ("Disetujui", "Approved"),
        ("Kartu Mandiri; bank meminta OTP, lalu menyetujui.", "A Mandiri card; the bank asks for an OTP, then approves."),
    ),
    (
        "no-otp",
        "4111111111111111",
        ("Disetujui tanpa OTP", "Approved without OTP"),
        ("Bank mengenali pembeli dan tidak bertanya.", "The bank knows the buyer and does not ask."),
    ),
    (
        "declined",
        "4509198934905340",
        ("Ditolak bank", "Declined by the bank"),
        ("Setelah OTP, bank menolak (kode 05).", "After the OTP the bank declines (code 05)."),
    ),
    (
        "limit",
        "5120910000000053",
        ("Limit tidak cukup", "Limit not enough"),
        ("Setelah OTP, bank menolak (kode 51).", "After the OTP the bank declines (code 51)."),
    ),
    (
        "verification",
        "5200000000000015",
        ("Verifikasi gagal", "Verification fails"),
        ("OTP apa pun ditolak; kartu tidak ditagih (kode DA).", "Any OTP is refused; nothing is charged (code DA)."),
    ),
    (
        "silent",
        "4555550000300009",
        ("Bank tidak menjawab", "The bank does not answer"),
        ("Hasilnya belum diketahui, lalu dibatalkan (kode TO).", "The outcome is unknown at first, then reversed (code TO)."),
    ),
    (
        "installment",
        "4555551100000010",
        ("Cicilan BCA", "BCA installments"),
        ("Cicilan 3 sampai 24 bulan mulai Rp\u00a0500.000.", "3 to 24 months from Rp\u00a0500.000."),
    ),
    (
        "amex",
        "378282246310005",
        ("American Express", "American Express"),
        ("15 angka, CVV 4 angka di depan; disetujui tanpa OTP.", "15 digits, 4-digit CVV on the front; approved without OTP."),
    ),
)


def featured() -> tuple[Featured, ...]:
    """The cards of the sandbox bar, the one that simply works first."""
    return tuple(Featured(key, SANDBOX_CARDS[number], labels, notes) for key, number, labels, notes in _FEATURED)
