"""Where SNAP services of the wallet are, as data: a corrected path is a change of one line."""

_ADAPTER = "/snap-adapter"

B2B_TOKEN_PATH = "/authorization/v1/access-token/b2b"  # noqa: S105 - an address
B2B2C_TOKEN_PATH = "/authorization/v1/access-token/b2b2c"  # noqa: S105 - an address

# Under these, an unknown path is answered in SNAP's form.
PREFIXES = (f"{_ADAPTER}/", "/authorization/")


def b2b(name: str) -> str:
    """The path of a service that partners call for themselves."""
    return f"{_ADAPTER}/b2b/v1.0/{name}"


def b2b2c(name: str) -> str:
    """The path of a service that partners call for a customer, whose token they send along."""
    return f"{_ADAPTER}/b2b2c/v1.0/{name}"


def both(name: str) -> tuple[str, str]:
    """(b2b, b2b2c): for services whose path no document prints. Only the second asks for a customer token."""
    return b2b(name), b2b2c(name)
