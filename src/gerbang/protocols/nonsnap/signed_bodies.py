"""Check sums of bodies that are signed by themselves: each belongs to the one body it was first seen with, for good.

Such a sum is over values with nothing between them. Whoever saw one body could move digits from one value into its neighbour and
have another invoice, phone number or amount under the same sum (OVO push).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from gerbang.storage import Tx


@dataclass(frozen=True, slots=True)
class SignedBody:
    """A check sum that is right, and the body it came with: a hash of its signed values that tells their borders."""

    check_sum: str
    meaning: str


def meaning_of(values: Iterable[str]) -> str:
    """Hex; equal for equal values with equal borders only."""
    return hashlib.sha256("".join(f"{len(value)}:{value}" for value in values).encode(errors="surrogatepass")).hexdigest()


def keep_signed_body(tx: Tx, merchant_id: str, body: SignedBody) -> bool:
    """Remember what the check sum stands for; False when it stands for something else already."""
    tx.execute(
        "insert into signed_body (merchant_id, check_sum, meaning) values (:merchant_id, :check_sum, :meaning) on conflict do nothing",
        {"merchant_id": merchant_id, "check_sum": body.check_sum, "meaning": body.meaning},
    )
    kept = tx.one(
        "select meaning from signed_body where merchant_id = :merchant_id and check_sum = :check_sum",
        {"merchant_id": merchant_id, "check_sum": body.check_sum},
    )
    return kept is not None and kept["meaning"] == body.meaning
