"""PINs that are guessed first: about one in two hundred of all there are."""

import re
from itertools import pairwise

# Lines and corners of the keypad, and the digits that lists of leaked PINs begin with.
_FAMILIAR = re.compile(
    "112233|147258|258369|369258|147852|159357|159753|357159|753951|789456|456789|741852|"
    "963852|852456|258456|142536|102030|112211|168168|520520|131420|696969|420420|787878"
)


def is_weak_pin(pin: str, *, phone: str = "") -> bool:
    """Whether six digits are a sequence, a repetition, a line on the keypad, or part of the customer's own phone number."""
    digits = [int(digit) for digit in pin]
    steps = {(after - before) % 10 for before, after in pairwise(digits)}
    return (
        len(steps) == 1  # 111111, 123456, 987654, 135791
        or len(set(digits)) <= 2  # 100000, 121212, 112112
        or pin[:3] == pin[3:]  # 123123
        or pin == pin[::-1]  # 123321
        or _FAMILIAR.fullmatch(pin) is not None
        or pin in phone
    )
