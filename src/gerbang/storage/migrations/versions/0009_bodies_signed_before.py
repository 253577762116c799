"""check sums of OVO pushes that came before check sums belonged to a body"""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_NO_BODY = "before 0009"  # is no hash: nothing that comes is what this sum was for
_CHECK_SUM_LENGTH = 64


def upgrade() -> None:
    """Whoever saw one of them could still have had another body taken under its sum, once."""
    connection = op.get_bind()
    keep = sa.text(
        "insert into signed_body (merchant_id, check_sum, meaning) values (:merchant_id, :check_sum, :meaning) on conflict do nothing"
    )
    pushed = sa.text(
        "select o.merchant_id, o.invoice_number, o.amount, o.request_id, o.details, m.secret_key"
        " from orders o join merchant m on m.client_id = o.merchant_id"
        " where exists (select 1 from payment p where p.order_id = o.id and p.channel = 'EMONEY_OVO')"
    )
    for merchant_id, invoice, amount, request_id, details, secret_key in connection.execute(pushed).all():
        kept = json.loads(details)
        # In the order that is signed; what a push does not have is empty.
        values = (str(amount), "", "", merchant_id, invoice, str(kept.get("ovo_id", "")), "", "")
        check_sum = hashlib.sha256(("".join(values) + secret_key).encode()).hexdigest()
        meaning = hashlib.sha256("".join(f"{len(value)}:{value}" for value in values).encode()).hexdigest()
        sums = {check_sum: meaning}
        # The amount may have been written otherwise, the key changed since, the order paid anew by another push.
        for name in (request_id, *kept.get("earlier_request_ids", ())):
            if len(name) == _CHECK_SUM_LENGTH:
                sums.setdefault(name, _NO_BODY)
        for one, stands_for in sums.items():
            connection.execute(keep, {"merchant_id": merchant_id, "check_sum": one, "meaning": stands_for})
