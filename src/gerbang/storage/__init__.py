"""Durable storage: the only code that knows SQLite from PostgreSQL.

Everyone else sees `Database` (run a function in a transaction) and `Tx` (run SQL with `:named` parameters in the subset
that both engines speak). See decision 0001.
"""

from gerbang.storage.database import ConstraintBroken, Database, Params, Retry, Row, StorageBusy, StorageUnusable, Tx
from gerbang.storage.opening import StorageTooNew, open_database

__all__ = [
    "ConstraintBroken",
    "Database",
    "Params",
    "Retry",
    "Row",
    "StorageBusy",
    "StorageTooNew",
    "StorageUnusable",
    "Tx",
    "open_database",
]
