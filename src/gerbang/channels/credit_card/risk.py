"""The merchant's risk rules: who may pay by card, how often, how much (S2-57). Nothing is counted here, only judged.

The real risk engine is not documented; of its answer only "APPROVE, Decision No Rules Triggered" is known. [inferred]
"""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gerbang.errors import Reason, Refused

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_BIN = re.compile(r"[0-9]{6,16}")
_EMAIL = re.compile(r"([^\s@]+@)?[^\s@]+")
_COUNTRY = re.compile(r"[A-Z]{2}")

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Amount = Annotated[int, Meta(ge=1, le=999_999_999_999, description="Whole rupiah.")]


class RiskList(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Things that are known to be good, or bad.

    bins    the first 6 to 16 digits
    emails  an address, or a domain, which means its subdomains too
    ips     an address, or a network such as 203.0.113.0/24
    cards   fingerprints as the vault makes them, 64 hex characters
    """

    bins: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()


class RiskRules(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a merchant's payments are judged by. Only the country rule is on unless something is set; None is off.

    max_…_per_…      so many are still accepted; the next one is rejected
    minimum, maximum amounts outside are rejected
    review_from, review_to  amounts between are paid, and marked for review; one end may be open
    countries        where cards may be issued; others are challenged, rejected or taken like any card
    """

    max_attempts_per_card_per_hour: Count | None = None
    max_failures_per_card_per_hour: Count | None = None
    max_payments_per_customer_per_day: Count | None = None
    minimum: Amount | None = None
    maximum: Amount | None = None
    review_from: Amount | None = None
    review_to: Amount | None = None
    countries: tuple[str, ...] = ("ID",)
    other_countries: Literal["challenge", "reject", "accept"] = "challenge"
    block: RiskList = RiskList()
    allow: RiskList = RiskList()

    @property
    def counts_anything(self) -> bool:
        """Whether a rule needs to know of earlier attempts: counting them costs."""
        return any(
            (self.max_attempts_per_card_per_hour, self.max_failures_per_card_per_hour, self.max_payments_per_customer_per_day)
        )


@dataclass(frozen=True, slots=True)
class RiskFacts:
    """What is known of one attempt to pay. The counts are of earlier attempts, without this one.

    bin          as many leading digits as may be kept, at least six
    fingerprint  of the card, from the vault
    """

    amount: int
    bin: str
    country: str
    fingerprint: str | None = None
    email: str | None = None
    ip: str | None = None
    customer_id: str | None = None
    attempts_on_card_last_hour: int = 0
    failures_on_card_last_hour: int = 0
    payments_of_customer_today: int = 0


class RiskStatus(StrEnum):
    """`verification.status`: APPROVE is known, the others are inferred."""

    APPROVE = "APPROVE"
    REVIEW = "REVIEW"
    REJECT = "REJECT"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say.

    reason     `verification.reason`
    challenge  the issuer shall challenge the buyer even if it would not by itself
    rule       the name of the rule that decided (or that asks for the challenge); None: no rule
    """

    status: RiskStatus
    reason: str
    challenge: bool = False
    rule: str | None = None


_NOTHING = Verdict(RiskStatus.APPROVE, "Decision No Rules Triggered")


def assess(rules: RiskRules, facts: RiskFacts) -> Verdict:
    """Judge one attempt. The first rule that applies decides, in this order:

    1. a blocked card is rejected, whatever else is said for it;
    2. block lists (BIN, e-mail, IP), then the country: neither applies to what is on an allow list;
    3. velocity, then amounts: they apply to everybody, since a trusted e-mail domain must not open the door to card testing;
    4. the review band.

    The country's challenge goes along with approval and review.
    """
    if facts.fingerprint is not None and facts.fingerprint in rules.block.cards:
        return _rejected("block.cards")
    trusted = _listed(rules.allow, facts)
    if trusted is None:
        blocked = _listed(rules.block, facts)
        if blocked is not None:
            return _rejected(f"block.{blocked}")
    foreign = trusted is None and rules.other_countries != "accept" and facts.country not in rules.countries
    if foreign and rules.other_countries == "reject":
        return _rejected("countries")
    exceeded = _exceeded(rules, facts)
    if exceeded is not None:
        return _rejected(exceeded)
    if _in_review_band(rules, facts.amount):
        return Verdict(RiskStatus.REVIEW, "Decision Rule Triggered: review", challenge=foreign, rule="review")
    if foreign:
        return Verdict(RiskStatus.APPROVE, "Decision Rule Triggered: countries", challenge=True, rule="countries")
    if trusted is not None:
        return Verdict(RiskStatus.APPROVE, f"Decision Rule Triggered: allow.{trusted}", rule=f"allow.{trusted}")
    return _NOTHING


def _rejected(rule: str) -> Verdict:
    return Verdict(RiskStatus.REJECT, f"Decision Rule Triggered: {rule}", rule=rule)


def _exceeded(rules: RiskRules, facts: RiskFacts) -> str | None:
    """The first limit that this attempt would go over."""
    counted = (
        ("max_attempts_per_card_per_hour", facts.attempts_on_card_last_hour),
        ("max_failures_per_card_per_hour", facts.failures_on_card_last_hour),
        ("max_payments_per_customer_per_day", facts.payments_of_customer_today if facts.customer_id else 0),
    )
    for rule, count in counted:
        limit: int | None = getattr(rules, rule)
        if limit is not None and count >= limit:
            return rule
    if rules.minimum is not None and facts.amount < rules.minimum:
        return "minimum"
    if rules.maximum is not None and facts.amount > rules.maximum:
        return "maximum"
    return None


def _in_review_band(rules: RiskRules, amount: int) -> bool:
    if rules.review_from is None and rules.review_to is None:
        return False
    return (rules.review_from or 0) <= amount and (rules.review_to is None or amount <= rules.review_to)


def _listed(known: RiskList, facts: RiskFacts) -> str | None:
    """Which part of the list this attempt is on: cards, bins, emails, ips, or None."""
    if facts.fingerprint is not None and facts.fingerprint in known.cards:
        return "cards"
    if any(facts.bin.startswith(prefix) for prefix in known.bins):
        return "bins"
    if facts.email and any(_same_email(entry, facts.email) for entry in known.emails):
        return "emails"
    if facts.ip and known.ips and _in_networks(facts.ip, known.ips):
        return "ips"
    return None


def _same_email(entry: str, email: str) -> bool:
    entry, email = entry.strip().casefold(), email.strip().casefold()
    if "@" in entry.lstrip("@"):
        return email == entry
    domain = entry.lstrip("@")
    sent = email.rpartition("@")[2]
    return sent == domain or sent.endswith("." + domain)


def _in_networks(ip: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False  # an address nobody can read is on no list
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in ipaddress.ip_network(network, strict=False) for network in networks)


def check_rules(rules: RiskRules) -> None:
    """Whether the rules can be followed. Raises Refused(FIELD_INVALID, field="risk.…")."""
    if rules.minimum is not None and rules.maximum is not None and rules.minimum > rules.maximum:
        raise Refused(Reason.FIELD_INVALID, field="risk.maximum")
    if rules.review_from is not None and rules.review_to is not None and rules.review_from > rules.review_to:
        raise Refused(Reason.FIELD_INVALID, field="risk.review_to")
    _check_all("risk.countries", rules.countries, _COUNTRY)
    for name, known in (("block", rules.block), ("allow", rules.allow)):
        _check_all(f"risk.{name}.bins", known.bins, _BIN)
        _check_all(f"risk.{name}.emails", known.emails, _EMAIL)
        _check_all(f"risk.{name}.cards", known.cards, _FINGERPRINT)
        for network in known.ips:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise Refused(Reason.FIELD_INVALID, field=f"risk.{name}.ips") from None


def _check_all(field: str, entries: tuple[str, ...], pattern: re.Pattern[str]) -> None:
    if not all(pattern.fullmatch(entry) for entry in entries):
        raise Refused(Reason.FIELD_INVALID, field=field)
