"""Work that is due by the machine's clock, which may be set back.

Nothing is ever put off by more than ten minutes. What lies further ahead was written before the clock stepped back: it is due, too, or it
would wait for as long as the clock jumped.
"""

from datetime import datetime, timedelta

from gerbang.clock import to_ms

LONGEST_WAIT = timedelta(minutes=10)


def is_due(column: str) -> str:
    """The condition of a `where`; `due_moments` gives its parameters."""
    return f"({column} <= :real or {column} > :impossible)"


def due_moments(real: datetime) -> dict[str, int]:
    """The parameters `real` and `impossible`."""
    return {"real": to_ms(real), "impossible": to_ms(real + LONGEST_WAIT)}
