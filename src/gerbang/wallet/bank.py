"""Whom we ask to move money to bank accounts. In the sandbox the pretend bank of the DOKU Wallet's room answers.

A question has an id that is written down before it is asked: asking again with the same id gives the same answer and moves
nothing twice. Silence is an answer too: then nobody knows, and the money stays where it is until the bank says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from gerbang.money import Rupiah


@dataclass(frozen=True, slots=True)
class BankAccount:
    """An account as its bank knows it."""

    bank_code: str
    number: str
    name: str


@dataclass(frozen=True, slots=True)
class BankQuestion:
    """Move this amount to that account. The id is the idempotency key."""

    id: str
    bank_code: str
    number: str = field(repr=False)
    name: str = field(repr=False)
    amount: Rupiah


class BankState(StrEnum):
    """What became of a transfer, as far as the bank says."""

    DONE = "DONE"
    REFUSED = "REFUSED"
    PENDING = "PENDING"
    SILENT = "SILENT"
    """No answer in time: it may have happened or not."""


@dataclass(frozen=True, slots=True)
class BankAnswer:
    """`reference` is the bank's own number of the transfer, `reason` why it refused."""

    state: BankState
    reference: str | None = None
    reason: str | None = None


class BankSilent(Exception):
    """The bank did not answer a question that moves nothing."""


class Bank(Protocol):
    """Transfers to bank accounts."""

    async def inquire(self, bank_code: str, number: str) -> BankAccount | None:
        """Whose account it is, None when there is none. Raises BankSilent."""
        ...

    async def transfer(self, question: BankQuestion) -> BankAnswer:
        """Move money, once for each id. Never raises: silence is an answer."""
        ...

    async def status(self, question_id: str) -> BankAnswer | None:
        """What became of a question, None when the bank never heard it. Never raises."""
        ...


def bank_code(sent: str) -> str | None:
    """The code as the table has it, or None when there are no transfers to that bank. `14` is what JSON leaves of 014."""
    code = sent.strip()
    if code.isascii() and code.isdigit():
        code = code.zfill(3)
    return code if code in BANKS else None


# Clearing codes and the names banks go by. Codes do not change; banks merge and are renamed.
BANKS: Mapping[str, str] = {
    "002": "BRI",
    "008": "Mandiri",
    "009": "BNI",
    "011": "Danamon",
    "013": "Permata",
    "014": "BCA",
    "016": "Maybank Indonesia",
    "019": "Panin",
    "022": "CIMB Niaga",
    "023": "UOB Indonesia",
    "028": "OCBC Indonesia",
    "031": "Citibank",
    "032": "JP Morgan Chase",
    "033": "Bank of America",
    "036": "CCB Indonesia",
    "037": "Artha Graha Internasional",
    "040": "Bangkok Bank",
    "041": "HSBC Indonesia",
    "042": "MUFG",
    "046": "DBS Indonesia",
    "047": "Resona Perdania",
    "048": "Mizuho Indonesia",
    "050": "Standard Chartered",
    "054": "Capital Indonesia",
    "057": "BNP Paribas Indonesia",
    "061": "ANZ Indonesia",
    "067": "Deutsche Bank",
    "069": "Bank of China (Hong Kong)",
    "076": "Bumi Arta",
    "095": "JTrust Indonesia",
    "097": "Mayapada",
    "110": "BJB",
    "111": "Bank Jakarta",
    "112": "BPD DIY",
    "113": "Bank Jateng",
    "114": "Bank Jatim",
    "115": "Bank Jambi",
    "116": "Bank Aceh Syariah",
    "117": "Bank Sumut",
    "118": "Bank Nagari",
    "119": "BRK Syariah",
    "120": "Bank Sumsel Babel",
    "121": "Bank Lampung",
    "122": "Bank Kalsel",
    "123": "Bank Kalbar",
    "124": "Bankaltimtara",
    "125": "Bank Kalteng",
    "126": "Bank Sulselbar",
    "127": "Bank SulutGo",
    "128": "Bank NTB Syariah",
    "129": "BPD Bali",
    "130": "Bank NTT",
    "131": "Bank Maluku Malut",
    "132": "Bank Papua",
    "133": "Bank Bengkulu",
    "134": "Bank Sulteng",
    "135": "Bank Sultra",
    "137": "Bank Banten",
    "146": "Bank of India Indonesia",
    "147": "Muamalat",
    "151": "Mestika",
    "152": "Shinhan Indonesia",
    "153": "Sinarmas",
    "157": "Maspion",
    "161": "Ganesha",
    "164": "ICBC Indonesia",
    "167": "QNB Indonesia",
    "200": "BTN",
    "212": "Woori Saudara",
    "213": "SMBC Indonesia (BTPN)",
    "405": "Victoria Syariah",
    "425": "BJB Syariah",
    "426": "Mega",
    "441": "KB Bank",
    "451": "BSI",
    "472": "Bank Jasa Jakarta",
    "484": "Hana Bank",
    "485": "MNC Bank",
    "490": "Neo Commerce",
    "494": "Bank Raya",
    "498": "SBI Indonesia",
    "501": "BCA Digital (blu)",
    "503": "Nobu",
    "506": "Mega Syariah",
    "513": "Ina Perdana",
    "517": "Panin Dubai Syariah",
    "521": "KB Bank Syariah",
    "523": "Sahabat Sampoerna",
    "526": "Oke Indonesia",
    "531": "Amar",
    "535": "SeaBank",
    "536": "BCA Syariah",
    "542": "Jago",
    "547": "BTPN Syariah",
    "548": "Multiarta Sentosa",
    "555": "Index Selindo",
    "562": "Superbank",
    "564": "Mandiri Taspen",
    "566": "Victoria International",
    "567": "Allo Bank",
    "947": "Aladin Syariah",
    "949": "CTBC Indonesia",
}
