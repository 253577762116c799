"""A payment's charges as they are told to people and programs: masked, and without what only the room needs."""

from gerbang.channels.credit_card.charges import Charge, charges_of
from gerbang.channels.credit_card.notices import response_message
from gerbang.clock import iso_z
from gerbang.payments import Payment
from gerbang.records import ChargeRecord
from gerbang.storage import Tx


def charge_records(tx: Tx, payment: Payment) -> list[ChargeRecord]:
    """The payment's charges, oldest first."""
    return [_record(charge) for charge in charges_of(tx, payment.id)]


def _record(charge: Charge) -> ChargeRecord:
    details = charge.details
    return ChargeRecord(
        id=charge.id,
        state=charge.state.value,
        payment_type=details.payment_type,
        amount=charge.amount,
        discount=details.discount,
        tenor=details.tenor,
        acquirer=details.acquirer,
        card=details.masked,
        brand=details.brand,
        issuer=details.issuer,
        response_code=charge.response_code,
        response_message=response_message(charge) if charge.response_code else None,
        approval_code=details.approval_code,
        authorize_id=charge.authorize_id,
        authentication_id=charge.authentication_id,
        trans_status=details.trans_status,
        eci=details.eci,
        reason=details.reason,
        risk_status=details.risk_status,
        risk_reason=details.risk_reason,
        token=details.token,
        created_at=iso_z(charge.created_at),
    )
