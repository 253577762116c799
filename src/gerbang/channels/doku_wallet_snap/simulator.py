"""The sandbox's pretend bank: a counterparty with a memory of its own.

It answers the same question the same way for ever, from another process too and after `kill -9`, and moves nothing twice. The last
four digits of the account number decide; see MAGIC_VALUES.
"""

import hashlib
from collections.abc import Mapping

import msgspec

from gerbang.clock import real_now, to_ms
from gerbang.storage import Database, Retry, Tx
from gerbang.wallet.bank import BankAccount, BankAnswer, BankQuestion, BankSilent, BankState

UNKNOWN, LATE, LATE_REFUSED, LOST_ANSWER, REFUSED, LOST_QUESTION, SILENT = "0000", "0001", "0002", "0003", "0004", "0005", "0006"

# For the channel's own list of what a tester may type.
MAGIC_VALUES: Mapping[str, str] = {
    f"bank account …{UNKNOWN}": "the bank knows no such account",
    f"bank account …{LATE}": "transfer pending (202), done when the bank is asked again",
    f"bank account …{LATE_REFUSED}": "transfer pending (202), then refused: the money comes back",
    f"bank account …{LOST_ANSWER}": "transfer done, but the bank's answer is lost (202 until it is asked again)",
    f"bank account …{REFUSED}": "transfer refused at once: the money comes back",
    f"bank account …{LOST_QUESTION}": "the bank never hears of the transfer the first time (202), asked again it is done",
    f"bank account …{SILENT}": "the bank does not answer an account inquiry (504)",
    "any other bank account": "transfer done at once",
}

_FIRST = ("Adi", "Ayu", "Bagas", "Citra", "Dewi", "Eko", "Fitri", "Galih", "Hana", "Indra", "Joko", "Kartika", "Lestari", "Made",
          "Nadia", "Oki", "Putri", "Rizky", "Sari", "Tegar", "Utami", "Wahyu", "Yanti", "Zahra")  # fmt: skip
_LAST = ("Anggraini", "Baskara", "Cahyono", "Damanik", "Firmansyah", "Gunawan", "Hidayat", "Iskandar", "Kurniawan", "Lubis",
         "Maharani", "Nasution", "Oktaviani", "Permata", "Ramadhan", "Siregar", "Susanto", "Tanjung", "Utomo", "Wibowo")  # fmt: skip


class _Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the bank knows about one question. `ends` is how a pending one ends."""

    state: str
    reference: str
    number: str
    amount: int
    ends: str | None = None
    reason: str | None = None
    lost: bool = False


class SandboxBank:
    """Every bank of the table at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def inquire(self, bank_code: str, number: str) -> BankAccount | None:
        """Names are invented, the same for the same account."""
        if number.endswith(SILENT):
            raise BankSilent
        return None if number.endswith(UNKNOWN) else BankAccount(bank_code, number, account_name(bank_code, number))

    async def transfer(self, question: BankQuestion) -> BankAnswer:
        """Move money, once for each id."""
        return await self._database.transact(lambda tx: _transfer(tx, question))

    async def status(self, question_id: str) -> BankAnswer | None:
        """What became of it. Asking ends what was pending, and finds what was lost."""
        return await self._database.transact(lambda tx: _status(tx, question_id))


def account_name(bank_code: str, number: str) -> str:
    """Whose account it is."""
    drawn = hashlib.sha256(f"{bank_code} {number}".encode()).digest()
    return f"{_FIRST[drawn[0] % len(_FIRST)]} {_LAST[drawn[1] % len(_LAST)]}".upper()


def moved(tx: Tx) -> int:
    """Whole rupiah the pretend bank has paid out, by its own books."""
    rows = tx.all("select answer from simulated_transfer")
    books = [msgspec.json.decode(row["answer"], type=_Remembered) for row in rows]
    return sum(one.amount for one in books if one.state == BankState.DONE)


def _transfer(tx: Tx, question: BankQuestion) -> BankAnswer:
    known = _recall(tx, question.id)
    if known is not None:
        return _said(known)
    reference = hashlib.sha256(question.id.encode()).hexdigest()[:12].upper()
    state, ends, reason, lost = BankState.DONE, None, None, False
    match question.number[-4:]:
        case "0000" | "0004":
            state, reason = BankState.REFUSED, "account closed"
        case "0001":
            state, ends = BankState.PENDING, BankState.DONE.value
        case "0002":
            state, ends, reason = BankState.PENDING, BankState.REFUSED.value, "account closed"
        case "0003":
            lost = True
        case "0005":
            _remember(tx, question.id, _Remembered(BankState.SILENT, reference, question.number, question.amount))
            return BankAnswer(BankState.SILENT)
    _remember(tx, question.id, _Remembered(state, reference, question.number, question.amount, ends, reason, lost))
    return BankAnswer(BankState.SILENT) if lost else _said(_recall(tx, question.id))


def _status(tx: Tx, question_id: str) -> BankAnswer | None:
    known = _recall(tx, question_id)
    if known is None:
        return None
    if known.state == BankState.SILENT:
        # It never heard the question: the next time it will, and answer as for any account.
        known = msgspec.structs.replace(known, state=BankState.DONE, lost=True)
        _rewrite(tx, question_id, known)
        return None
    if known.ends is not None or known.lost:
        known = msgspec.structs.replace(known, state=known.ends or known.state, ends=None, lost=False)
        _rewrite(tx, question_id, known)
    return _said(known)


def _said(known: _Remembered | None) -> BankAnswer:
    assert known is not None
    state = BankState(known.state)
    return BankAnswer(state, known.reference, known.reason if state is BankState.REFUSED else None)


def _recall(tx: Tx, question_id: str) -> _Remembered | None:
    row = tx.one("select answer from simulated_transfer where id = :id", {"id": question_id})
    return None if row is None else msgspec.json.decode(row["answer"], type=_Remembered)


def _remember(tx: Tx, question_id: str, known: _Remembered) -> None:
    written = tx.execute(
        "insert into simulated_transfer (id, answer, real_at) values (:id, :answer, :real_at) on conflict do nothing",
        {"id": question_id, "answer": msgspec.json.encode(known).decode(), "real_at": to_ms(real_now())},
    )
    if written != 1:
        raise Retry  # asked twice at once: the other one was first


def _rewrite(tx: Tx, question_id: str, known: _Remembered) -> None:
    tx.execute(
        "update simulated_transfer set answer = :answer where id = :id",
        {"id": question_id, "answer": msgspec.json.encode(known).decode()},
    )
