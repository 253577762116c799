"""Structs that many SNAP bodies hold."""

from typing import Annotated, Any, Self

from msgspec import Meta, Struct

from gerbang.errors import Reason, Refused
from gerbang.money import NotMoney, Rupiah, format_snap_amount, parse_snap_amount


class Amount(Struct, frozen=True):
    """`{"value": "10000.00", "currency": "IDR"}`. Whole rupiah only; clients also send the value without decimals or as a number."""

    value: Annotated[str, Meta(pattern=r"^\d{1,16}\.\d{2}$", description="two decimals, always .00")]
    currency: Annotated[str, Meta(pattern="^IDR$")]

    @classmethod
    def of(cls, amount: int) -> Self:
        """The amount for an answer."""
        return cls(format_snap_amount(amount), "IDR")

    @property
    def rupiah(self) -> Rupiah:
        """The amount for the domain."""
        return parse_snap_amount(self.value)

    @classmethod
    def read_wire(cls, value: Any, path: str) -> Self:
        """Raises Refused: FIELD_MISSING, FIELD_INVALID (its own field, `amount.value`)."""
        if not isinstance(value, dict):
            raise Refused(Reason.FIELD_INVALID, field=path)
        sent, currency = value.get("value"), value.get("currency")
        for name, one in (("value", sent), ("currency", currency)):
            if one is None or (isinstance(one, str) and not one.strip()):
                raise Refused(Reason.FIELD_MISSING, field=f"{path}.{name}")
        try:
            amount = parse_snap_amount(sent)
        except NotMoney:
            raise Refused(Reason.FIELD_INVALID, field=f"{path}.value") from None
        if currency != "IDR":
            raise Refused(Reason.FIELD_INVALID, field=f"{path}.currency")
        return cls.of(amount)
