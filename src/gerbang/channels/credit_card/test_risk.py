"""S2-57: risk rules; and what a merchant may have otherwise about cards."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from gerbang.channels.credit_card.bins import facts_of
from gerbang.channels.credit_card.installments import Acquirer
from gerbang.channels.credit_card.options import CardOptions, PaymentType, check_options, fee, read_options
from gerbang.channels.credit_card.risk import RiskFacts, RiskList, RiskRules, RiskStatus, Verdict, assess
from gerbang.errors import Reason, Refused

CARD = "ab" * 32
FACTS = RiskFacts(
    amount=90_000,
    bin="41111111",
    country="ID",
    fingerprint=CARD,
    email="anton@Example.com",
    ip="203.0.113.9",
    customer_id="CUST-1",
)
NOBODY = RiskFacts(amount=90_000, bin="411111", country="ID")


def verdict(rules: RiskRules, facts: RiskFacts = FACTS, **changes: Any) -> Verdict:
    return assess(rules, replace(facts, **changes))


def test_without_rules_everything_is_approved_in_the_documented_words():
    """The words of a real notification."""
    assert verdict(RiskRules()) == Verdict(RiskStatus.APPROVE, "Decision No Rules Triggered", challenge=False, rule=None)
    assert verdict(RiskRules(), NOBODY, amount=999_999_999_999).status == "APPROVE"


@pytest.mark.parametrize(
    ("rules", "status", "challenge"),
    [
        (RiskRules(), "APPROVE", True),
        (RiskRules(other_countries="reject"), "REJECT", False),
        (RiskRules(other_countries="accept"), "APPROVE", False),
        (RiskRules(countries=("ID", "SG"), other_countries="reject"), "APPROVE", False),
    ],
)
def test_a_card_from_another_country_is_challenged_rejected_or_taken(rules: RiskRules, status: str, challenge: bool):
    singapore = facts_of("4555552100000018").country

    found = verdict(rules, country=singapore)

    assert (found.status, found.challenge) == (status, challenge)
    assert (found.rule == "countries") is (status == "REJECT" or challenge)


@pytest.mark.parametrize(
    ("rule", "fact", "limit"),
    [
        ("max_attempts_per_card_per_hour", "attempts_on_card_last_hour", 10),
        ("max_failures_per_card_per_hour", "failures_on_card_last_hour", 3),
        ("max_payments_per_customer_per_day", "payments_of_customer_today", 1),
    ],
)
def test_so_many_are_accepted_and_the_next_is_rejected(rule: str, fact: str, limit: int):
    rules = RiskRules(**{rule: limit})

    assert verdict(rules, **{fact: limit - 1}).status == "APPROVE"
    found = verdict(rules, **{fact: limit})
    assert (found.status, found.rule) == ("REJECT", rule)
    assert rule in found.reason


def test_customers_are_not_counted_when_nobody_is_named():
    assert (
        verdict(RiskRules(max_payments_per_customer_per_day=1), customer_id=None, payments_of_customer_today=5).status
        == "APPROVE"
    )


@pytest.mark.parametrize(
    ("amount", "status", "rule"),
    [
        (9_999, "REJECT", "minimum"),
        (10_000, "APPROVE", None),
        (499_999, "APPROVE", None),
        (500_000, "REVIEW", "review"),
        (750_000, "REVIEW", "review"),
        (750_001, "APPROVE", None),
        (1_000_000, "APPROVE", None),
        (1_000_001, "REJECT", "maximum"),
    ],
)
def test_amounts_are_rejected_outside_their_bounds_and_reviewed_in_their_band(amount: int, status: str, rule: str | None):
    rules = RiskRules(minimum=10_000, maximum=1_000_000, review_from=500_000, review_to=750_000)

    found = verdict(rules, amount=amount)

    assert (found.status, found.rule) == (status, rule)


@pytest.mark.parametrize(
    ("band", "reviewed"),
    [
        ({"review_from": 90_000}, True),
        ({"review_from": 90_001}, False),
        ({"review_to": 90_000}, True),
        ({"review_to": 89_999}, False),
    ],
)
def test_a_review_band_may_be_open_at_one_end(band: dict[str, int], reviewed: bool):
    assert (verdict(RiskRules(**band)).status == "REVIEW") is reviewed


def test_a_foreign_card_under_review_is_challenged_too():
    found = verdict(RiskRules(review_from=1), country="SG")

    assert (found.status, found.challenge) == ("REVIEW", True)


@pytest.mark.parametrize(
    ("part", "entry", "hit"),
    [
        ("bins", "411111", True),
        ("bins", "41111112", False),
        ("cards", CARD, True),
        ("cards", "cd" * 32, False),
        ("emails", "ANTON@example.COM", True),
        ("emails", "xanton@example.com", False),
        ("emails", "example.com", True),
        ("emails", "@example.com", True),
        ("emails", "ample.com", False),
        ("ips", "203.0.113.9", True),
        ("ips", "203.0.113.0/24", True),
        ("ips", "203.0.114.0/24", False),
        ("ips", "2001:db8::/32", False),
    ],
)
def test_what_is_on_a_block_list_is_rejected(part: str, entry: str, hit: bool):
    rules = RiskRules(block=RiskList(**{part: (entry,)}))

    found = verdict(rules)

    assert (found.status == "REJECT") is hit
    assert found.rule == (f"block.{part}" if hit else None)
    assert verdict(rules, NOBODY, bin="999999").status == "APPROVE"


def test_a_blocked_domain_means_its_subdomains_and_a_mapped_address_is_the_address():
    rules = RiskRules(block=RiskList(emails=("example.com",), ips=("203.0.113.0/24", "2001:db8::/32")))

    assert verdict(rules, NOBODY, email="a@mail.example.com").rule == "block.emails"
    assert verdict(rules, NOBODY, email="a@notexample.com").status == "APPROVE"
    assert verdict(rules, NOBODY, ip="::ffff:203.0.113.9").rule == "block.ips"
    assert verdict(rules, NOBODY, ip="2001:db8::1").rule == "block.ips"
    assert verdict(rules, NOBODY, ip="nonsense").status == "APPROVE"


def test_an_allow_list_wins_over_block_lists_and_the_country():
    rules = RiskRules(block=RiskList(bins=("411111",), ips=("203.0.113.0/24",)), allow=RiskList(emails=("example.com",)))

    found = verdict(rules, country="SG")

    assert (found.status, found.challenge, found.rule) == ("APPROVE", False, "allow.emails")


def test_nothing_saves_a_blocked_card():
    rules = RiskRules(block=RiskList(cards=(CARD,)), allow=RiskList(emails=("example.com",), cards=(CARD,), bins=("411111",)))

    assert verdict(rules).rule == "block.cards"


def test_an_allow_list_does_not_switch_off_limits():
    rules = RiskRules(allow=RiskList(emails=("example.com",)), max_attempts_per_card_per_hour=2, maximum=100_000)

    assert verdict(rules, attempts_on_card_last_hour=2).rule == "max_attempts_per_card_per_hour"
    assert verdict(rules, amount=100_001).rule == "maximum"


def test_a_verdict_says_nothing_of_the_card_or_the_buyer():
    rules = RiskRules(block=RiskList(cards=(CARD,), emails=("example.com",)))

    for found in (verdict(rules), verdict(rules, fingerprint=None)):
        assert CARD not in repr(found)
        assert "example" not in repr(found)


def test_a_merchant_who_says_nothing_has_everything_switched_on():
    """S2-41, S2-43, S2-91."""
    options = read_options({})

    assert options == CardOptions()
    assert options.refunds_online
    assert options.types == tuple(PaymentType)
    assert options.default_type == "SALE"
    assert options.acquirers[0] is Acquirer.BANK_MANDIRI
    assert set(options.acquirers) == set(Acquirer)
    assert (options.max_attempts, options.three_ds_unavailable, options.descriptor) == (5, "continue", False)
    assert options.rate_bp("SALE") == 0
    assert msgspec.json.encode(options) == b"{}"


def test_options_are_kept_as_they_were_given():
    given = {
        "service": "direct",
        "online_refund": False,
        "acquirers": ["BCA"],
        "types": ["SALE", "INSTALLMENT"],
        "rates_bp": {"SALE": 290},
        "installments": {"banks": {"BCA": {"minimum": 1, "interest_bp": {"12": 250}, "mid": "000123"}}},
        "risk": {"maximum": 5_000_000, "block": {"ips": ["203.0.113.0/24"]}},
        "expiry_min": 30,
    }

    options = read_options(given)

    assert msgspec.json.decode(msgspec.json.encode(options)) == given
    assert msgspec.json.decode(msgspec.json.encode(options), type=CardOptions) == options
    assert not options.refunds_online
    assert (options.rate_bp("SALE"), options.rate_bp("INSTALLMENT")) == (290, 0)


def test_online_refund_is_a_question_of_the_mid_for_direct_merchants_only():
    """S2-91, S2-92."""
    assert CardOptions(service="aggregator", online_refund=False).refunds_online
    assert CardOptions(service="direct").refunds_online
    assert not CardOptions(service="direct", online_refund=False).refunds_online


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"bogus": 1}, "bogus"),
        ({"risk": {"maximun": 1}}, "risk.maximun"),
        ({"service": "other"}, "service"),
        ({"types": ["SALE", "AUTHORIZATION"]}, "types[1]"),
        ({"types": []}, "types"),
        ({"types": ["SALE", "SALE"]}, "types"),
        ({"types": ["MOTO"]}, "default_type"),
        ({"acquirers": []}, "acquirers"),
        ({"acquirers": ["BCA", "BCA"]}, "acquirers"),
        ({"acquirers": ["MANDIRI"]}, "acquirers[0]"),
        ({"rates_bp": {"SALE": -1}}, "rates_bp"),
        ({"rates_bp": {"SALE": 10_001}}, "rates_bp"),
        ({"rates_bp": {"SALES": 1}}, "rates_bp"),
        ({"rates_bp": {"SALE": 2.9}}, "rates_bp"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"expiry_min": 0}, "expiry_min"),
        ({"installments": {"banks": {"MANDIRI": {}}}}, "installments.banks"),
        ({"installments": {"banks": {"BCA": {"tenors": []}}}}, "installments.banks.BCA.tenors"),
        ({"installments": {"banks": {"BCA": {"tenors": [3, 3]}}}}, "installments.banks.BCA.tenors"),
        ({"installments": {"banks": {"BCA": {"tenors": [0]}}}}, "installments.banks.tenors[0]"),
        ({"installments": {"banks": {"BCA": {"interest_bp": {"9": 1}}}}}, "installments.banks.BCA.interest_bp"),
        ({"risk": {"minimum": 2, "maximum": 1}}, "risk.maximum"),
        ({"risk": {"review_from": 2, "review_to": 1}}, "risk.review_to"),
        ({"risk": {"countries": ["Indonesia"]}}, "risk.countries"),
        ({"risk": {"block": {"ips": ["example.com"]}}}, "risk.block.ips"),
        ({"risk": {"allow": {"ips": ["10.0.0.0/99"]}}}, "risk.allow.ips"),
        ({"risk": {"block": {"cards": ["4111111111111111"]}}}, "risk.block.cards"),
        ({"risk": {"block": {"bins": ["4"]}}}, "risk.block.bins"),
        ({"risk": {"block": {"emails": [""]}}}, "risk.block.emails"),
        (3, "options"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(given: Any, field: str):
    with pytest.raises(Refused) as refused:
        read_options(given)

    assert refused.value.reason is Reason.FIELD_INVALID
    assert refused.value.facts == {"field": field}


def test_options_made_in_code_are_checked_the_same_way():
    assert check_options(CardOptions()) == CardOptions()
    with pytest.raises(Refused, match="default_type"):
        check_options(CardOptions(types=(PaymentType.MOTO,)))


@pytest.mark.parametrize(
    ("amount", "rate_bp", "taken"),
    [(90_000, 290, 2_610), (10_017, 290, 290), (100, 50, 1), (99, 50, 0), (1, 10_000, 1), (1_000_000, 0, 0), (0, 290, 0)],
)
def test_a_fee_is_rounded_half_up_to_whole_rupiah(amount: int, rate_bp: int, taken: int):
    assert fee(amount, rate_bp) == taken
