"""partnerReferenceNo and partnerRefundNo: used once per partner and service, for ever, and found again by them."""

from dataclasses import dataclass
from datetime import datetime

from gerbang.clock import from_ms, to_ms
from gerbang.endpoint import Call
from gerbang.errors import Reason, Refused
from gerbang.storage import Tx

# Which field of the request is the reference; partnerReferenceNo where nothing else is said.
REFERENCE_FIELD = {"58": "partnerRefundNo"}


@dataclass(frozen=True, slots=True)
class Reference:
    """What a partner called something. `subject` is the id of what it made, empty when the action did not say."""

    subject: str
    external_id: str
    created_at: datetime


def take_reference(tx: Tx, *, merchant_id: str, service_code: str, reference: str, external_id: str, now: datetime) -> None:
    """Use up a reference; raises Refused(REFERENCE_ALREADY_USED)."""
    taken = tx.execute(
        "insert into partner_reference (merchant_id, service_code, reference, subject, external_id, created_at)"
        " values (:merchant, :service, :reference, '', :external_id, :at) on conflict do nothing",
        {
            "merchant": merchant_id,
            "service": service_code,
            "reference": reference,
            "external_id": external_id,
            "at": to_ms(now),
        },
    )
    if taken != 1:
        raise Refused(Reason.REFERENCE_ALREADY_USED, reference=reference)


def point_reference(call: Call, subject: str) -> None:
    """Say what this call's reference made."""
    pointed = call.tx.execute(
        "update partner_reference set subject = :subject"
        " where merchant_id = :merchant and service_code = :service and reference = :reference",
        {
            "subject": subject,
            "merchant": call.merchant.client_id,
            "service": call.service_code,
            "reference": call.reference,
        },
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


def forget_reference(call: Call) -> None:
    """The call made nothing after all, and says so only now that its reference is on disk: it may be used again."""
    call.tx.execute(
        "delete from partner_reference"
        " where merchant_id = :merchant and service_code = :service and reference = :reference and subject = ''",
        {"merchant": call.merchant.client_id, "service": call.service_code, "reference": call.reference},
    )
