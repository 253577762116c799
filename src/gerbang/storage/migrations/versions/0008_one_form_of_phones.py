"""wallets of mobile numbers stored as 620812…, 6206281… or 626281… get the one form 62812…, where it is free"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# What stood for 62 0812…, 0062 812… and 62 62 812… until a phone number had one form; nobody could sign in with these any more.
# With the length from which they are no landline of the area codes 062x.
_STORED_AS = {"6208": 12, "620628": 13, "62628": 13}


def upgrade() -> None:
    connection = op.get_bind()
    for stored_as, shortest in _STORED_AS.items():
        like = {"like": f"{stored_as}%", "shortest": shortest}
        found = sa.text(
            "select id, phone from wallet_account where phone like :like and length(phone) >= :shortest order by created_at, id"
        )
        for account_id, phone in connection.execute(found, like).all():
            # A twin that has the one form already keeps it; this one is then reached by its DOKU ID. No money is merged.
            connection.execute(
                sa.text(
                    "update wallet_account set phone = :phone where id = :id"
                    " and not exists (select 1 from wallet_account twin where twin.phone = :phone)"
                ),
                {"id": account_id, "phone": "628" + phone[len(stored_as) :]},
            )
        connection.execute(sa.text("delete from pin_count where phone like :like and length(phone) >= :shortest"), like)
