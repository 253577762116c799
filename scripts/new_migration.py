"""`python scripts/new_migration.py "what changes"` drafts the migration for what you changed in storage/tables.py."""

import sys

from gerbang.storage.migrating import draft

if len(sys.argv) != 2:
    sys.exit(__doc__)
print(draft(sys.argv[1]))
