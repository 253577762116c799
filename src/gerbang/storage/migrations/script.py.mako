"""${message}"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


# There is no way down: what a merchant was paid is not given up to an older schema. Restore a backup instead.
def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
