"""What a merchant has otherwise on a channel of a provider: whether it has it at all, and what a payment costs."""

from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from gerbang.clock import next_midnight
from gerbang.merchants import Merchant
from gerbang.money import Rupiah, basis_points


class ProviderOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A merchant's own terms.

    fee_bp      the merchant discount in hundredths of a percent of the amount, half a rupiah up
    fee_flat    what each payment costs besides, in rupiah
    expiry_min  how long an order can be paid that names no time itself
    return_url  where buyers go back to when the order names no address (ShopeePay: "Payment Return URL" of the back office)
    """

    enabled: bool = True
    fee_bp: Annotated[int, Meta(ge=0, le=10_000)] = 0
    fee_flat: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    expiry_min: Annotated[int, Meta(ge=1, le=99_999)] | None = None
    return_url: Annotated[str, Meta(max_length=2048)] | None = None


T = TypeVar("T", bound=ProviderOptions)


def terms_of(merchant: Merchant, channel_code: str, kind: type[T]) -> T:
    """The merchant's terms on a channel, defaults included; of a room that has more of them than `kind`, those of `kind`."""
    own = merchant.options.channels.get(channel_code, {})
    return msgspec.convert({name: own[name] for name in kind.__struct_fields__ if name in own}, kind)


def options_of(merchant: Merchant, channel_code: str) -> ProviderOptions:
    """What a merchant has otherwise on every such channel."""
    return terms_of(merchant, channel_code, ProviderOptions)


def fee_of(merchant: Merchant, channel_code: str, amount: Rupiah) -> Rupiah:
    """The merchant discount of one payment, never more than the payment."""
    options = options_of(merchant, channel_code)
    return Rupiah(min(amount, basis_points(amount, options.fee_bp) + options.fee_flat))


def settles_at(now: datetime) -> datetime:
    """When the merchant's money of a payment made now counts as paid out."""
    return next_midnight(now)
