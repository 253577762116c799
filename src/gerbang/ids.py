"""Identifiers that sort by time and cannot be guessed, so that new rows land at the end of an index."""

import secrets
import string
import time

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
# Shop plugins HTML-decode what is pasted into them: secrets hold letters and digits only.
_PLAIN = string.ascii_letters + string.digits


_STEP_NS = 250  # what the 12 bits of a millisecond tell apart
_newest_ns = 0


def new_id(prefix: str, *, after: str | None = None) -> str:
    """`pay_` + 26 characters (a ULID): 48 bits of real time in ms, 12 bits of the ms passed, 68 random bits from the system.

    after  an id that this one has to sort behind, whoever made that and whatever their clock said

    Ids of one process sort in the order they were made, also when the machine's clock is set back. Those of two processes do not:
    where an order matters and several may write, number the rows, or hold their owner and pass the newest id as `after`.
    """
    global _newest_ns
    _newest_ns = moment = max(time.time_ns(), _newest_ns + _STEP_NS)
    ms, ns = divmod(moment, 1_000_000)
    value = (ms << 12 | (ns << 12) // 1_000_000) << 68 | secrets.randbits(68)
    made = prefix + "_" + "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])
    return made if after is None or made > after else id_after(after)


def id_after(made: str) -> str:
    """The id that sorts right behind this one."""
    kept = made.rstrip(_CROCKFORD[-1])
    return kept[:-1] + _CROCKFORD[_CROCKFORD.index(kept[-1]) + 1] + _CROCKFORD[0] * (len(made) - len(kept))


def new_secret_key() -> str:
    """A merchant's secret key in DOKU's written form, about 119 random bits."""
    return "SK-" + "".join(secrets.choice(_PLAIN) for _ in range(20))


def new_client_id() -> str:
    """A merchant's client id in DOKU's written form."""
    return f"BRN-{secrets.randbelow(10_000):04d}-{time.time_ns() // 1_000_000}"


def new_digits(count: int) -> str:
    """`count` random decimal digits, the first not 0."""
    return str(secrets.randbelow(9) + 1) + "".join(secrets.choice(string.digits) for _ in range(count - 1))
