"""partnerReferenceNo and partnerRefundNo: used once per partner and service, for ever, and found again by them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gerbang.clock import from_ms, real_now, to_ms
from gerbang.endpoint import Call
from gerbang.errors import Reason, Refused
from gerbang.ids import new_id
from gerbang.storage import Tx

# Which field of the request is the reference; partnerReferenceNo where nothing else is said.
REFERENCE_FIELD = {"58": "partnerRefundNo"}

_HOLD = "hold:"
_HELD_FOR = timedelta(minutes=1)  # real time; longer than anybody outside is waited for


@dataclass(frozen=True, slots=True)
class Reference:
    """What a partner called something. `subject` is the id of what it made, empty when the action did not say.

    While a call still asks somebody outside, `subject` is its hold (`hold_reference`): nothing was made yet.
    """

    subject: str
    external_id: str
    created_at: datetime


def take_reference(tx: Tx, *, merchant_id: str, service_code: str, reference: str, external_id: str, now: datetime) -> None:
    """Use up a reference; raises Refused(REFERENCE_ALREADY_USED). One whose holder did not come back is taken over."""
    row = {
        "merchant": merchant_id,
        "service": service_code,
        "reference": reference,
        "external_id": external_id,
        "at": to_ms(now),
    }
    taken = tx.execute(
        "insert into partner_reference (merchant_id, service_code, reference, subject, external_id, created_at)"
        " values (:merchant, :service, :reference, '', :external_id, :at) on conflict do nothing",
        row,
    )
    if taken == 1:
        return
    held = find_reference(tx, merchant_id, service_code, reference)
    if held is not None and _is_abandoned(held.subject):
        taken = tx.execute(
            "update partner_reference set subject = '', external_id = :external_id, created_at = :at"
            " where merchant_id = :merchant and service_code = :service and reference = :reference and subject = :hold",
            row | {"hold": held.subject},
        )
    if taken != 1:
        raise Refused(Reason.REFERENCE_ALREADY_USED, reference=reference)


def hold_reference(call: Call) -> str:
    """The call asks somebody outside before it makes anything; the hold is to be given back when it goes on.

    Should nobody come back, for the process died, then nothing was made, and the reference is free again after a minute.
    """
    hold = f"{_HOLD}{to_ms(real_now() + _HELD_FOR)}:{new_id('hld')}"
    point_reference(call, hold)
    return hold


def keep_reference(call: Call, hold: str) -> None:
    """The call goes on, and makes something. Raises Refused(REFERENCE_ALREADY_USED): it took so long that another has taken over."""
    kept = call.tx.execute(
        "update partner_reference set subject = ''"
        " where merchant_id = :merchant and service_code = :service and reference = :reference and subject = :hold",
        _key(call) | {"hold": hold},
    )
    if kept != 1:
        raise Refused(Reason.REFERENCE_ALREADY_USED, reference=call.reference)


def _is_abandoned(subject: str) -> bool:
    # One that ends later than anybody could have written was held before the clock was set back.
    return subject.startswith(_HOLD) and not timedelta(0) < from_ms(int(subject.split(":")[1])) - real_now() <= 2 * _HELD_FOR


def _key(call: Call) -> dict[str, str]:
    return {"merchant": call.merchant.client_id, "service": call.service_code, "reference": call.reference}


def point_reference(call: Call, subject: str) -> None:
    """Say what this call's reference made."""
    pointed = call.tx.execute(
        "update partner_reference set subject = :subject"
        " where merchant_id = :merchant and service_code = :service and reference = :reference",
        _key(call) | {"subject": subject},
    )
    assert pointed == 1, "an endpoint that creates, with its reference"


def find_reference(tx: Tx, merchant_id: str, service_code: str, reference: str) -> Reference | None:
    """What the partner called so, or None."""
    row = tx.one(
        "select subject, external_id, created_at from partner_reference"
        " where merchant_id = :merchant and service_code = :service and reference = :reference",
        {"merchant": merchant_id, "service": service_code, "reference": reference},
    )
    return None if row is None else Reference(row["subject"], row["external_id"], from_ms(row["created_at"]))


def forget_reference(call: Call, hold: str) -> None:
    """The call made nothing after all: its reference may be used again, at once."""
    call.tx.execute(
        "delete from partner_reference"
        " where merchant_id = :merchant and service_code = :service and reference = :reference and subject = :hold",
        _key(call) | {"hold": hold},
    )
