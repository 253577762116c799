"""The pretend acquirer and 3-D Secure server: strict books, a memory that outlives processes, no card data in it."""

import asyncio
import multiprocessing
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from gerbang.channels.credit_card.numbers import Brand, brand_of
from gerbang.channels.credit_card.provider import (
    AcquirerAnswer,
    AuthenticationQuestion,
    AuthoriseQuestion,
    CardData,
    ChallengeResult,
    FollowUpQuestion,
)
from gerbang.channels.credit_card.responses import is_approved
from gerbang.channels.credit_card.sandbox_cards import SANDBOX_CARDS
from gerbang.channels.credit_card.simulator import (
    CHALLENGE_TIME,
    THREE_DS_CHOICES,
    Challenge,
    SandboxAcquirer,
    SandboxSchemes,
    _authorise,
    _follow_up,
    choose,
    chosen,
    current_challenge,
    end_challenge,
    find_challenge,
    reserved,
    send_again,
    taken,
    try_code,
)
from gerbang.clock import Clock
from gerbang.errors import Reason, Refused
from gerbang.money import Rupiah
from gerbang.storage import Database, Tx, open_database
from support.gateway import NOON

CHALLENGED, FRICTIONLESS, NO_3DS = "5573381011111101", "5120910000000012", "5120910000000038"
AMEX, UNKNOWN = "378282246310005", "5555550000000002"
SILENT = next(card.number for card in SANDBOX_CARDS.values() if card.response_code == "TO" and card.brand is Brand.VISA)
FAILS = next(card.number for card in SANDBOX_CARDS.values() if (card.three_ds, card.trans_status) == ("challenge", "N"))
REJECTED = next(card.number for card in SANDBOX_CARDS.values() if card.three_ds == "rejected")
PAYMENT = "pay_1"


class FixedClock(Clock):
    """Stands still until it is told to move."""

    moment = NOON

    def now(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def acquirer(database: Database, clock: FixedClock) -> SandboxAcquirer:
    return SandboxAcquirer(database, clock)


@pytest.fixture
def schemes(database: Database, clock: FixedClock) -> SandboxSchemes:
    return SandboxSchemes(database, clock)


def card(number: str, *, cvv: str | None = "100", expiry: str = "2912") -> CardData:
    brand = brand_of(number)
    assert brand is not None
    return CardData(number, expiry, brand, cvv)


def sale(number: str = FRICTIONLESS, *, id: str = "q1", capture: bool = True, amount: int = 90_000, **of_card: Any):
    return AuthoriseQuestion(
        id=id,
        reference=PAYMENT,
        acquirer="BANK_MANDIRI",
        card=card(number, **of_card),
        amount=Rupiah(amount),
        capture=capture,
        payment_type="SALE" if capture else "AUTHORIZE",
        eci="05",
    )


def follow(kind: str, id: str, amount: int = 90_000, *, authorise_id: str = "q1", reference: str = PAYMENT) -> FollowUpQuestion:
    return FollowUpQuestion(id, kind, authorise_id, reference, "BANK_MANDIRI", Rupiah(amount))


def authentication(number: str = CHALLENGED, *, id: str = "a" * 64, **other: Any) -> AuthenticationQuestion:
    fields: dict[str, Any] = {
        "authentication_id": id,
        "reference": PAYMENT,
        "card": card(number),
        "amount": Rupiah(1_000_000),
        "merchant_name": "Kopi Lereng",
        "phone": "+62 812-3456-7890",
        "lang": "id",
        "notification_url": "https://pay.example:8443/card/abc/3ds",
    }
    return AuthenticationQuestion(**fields | other)


def money(database: Database) -> tuple[int, int]:
    return database.read_now(lambda tx: (taken(tx, PAYMENT), reserved(tx, PAYMENT)))


async def codes(acquirer: SandboxAcquirer, *questions: AuthoriseQuestion | FollowUpQuestion) -> list[str]:
    return [
        (await (acquirer.authorise(one) if isinstance(one, AuthoriseQuestion) else acquirer.follow_up(one))).response_code
        for one in questions
    ]


# The card decides.


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (sale(), "00"),
        (sale("5120910000000046"), "05"),
        (sale("5120910000000053"), "51"),
        (sale(UNKNOWN), "14"),
        (sale(expiry="2604"), "54"),
        (sale(expiry="2605"), "00"),  # valid through the last day of its month
        (sale(expiry="9999"), "54"),
        (sale(cvv="000"), "N7"),
        (sale(AMEX, cvv="0000"), "N7"),
        (sale(AMEX, cvv="1234"), "00"),
        (sale(cvv=None), "00"),  # MOTO, RECURRING
        (sale("5120910000000046", cvv="000"), "05"),
        (sale(SILENT), "TO"),
    ],
)
def test_the_number_then_expiry_and_cvv_decide(acquirer: SandboxAcquirer, question: AuthoriseQuestion, code: str) -> None:
    answer = asyncio.run(acquirer.authorise(question))

    assert answer.response_code == code
    assert (answer.approval_code is not None) == (code == "00")
    if answer.approval_code:
        assert len(answer.approval_code) == 6
        assert answer.approval_code.isdecimal()


def test_every_test_card_gets_its_own_answer(database: Database, acquirer: SandboxAcquirer) -> None:
    async def ask() -> dict[str, str]:
        asked = {number: acquirer.authorise(sale(number, id=number[::-1])) for number in SANDBOX_CARDS}
        return {number: (await question).response_code for number, question in asked.items()}

    assert asyncio.run(ask()) == {number: one.response_code for number, one in SANDBOX_CARDS.items()}
    approvals = [one for one in SANDBOX_CARDS.values() if is_approved(one.response_code, one.brand) or one.response_code == "TO"]
    assert money(database) == (90_000 * len(approvals), 0)


# The same question, the same answer.


def test_the_same_question_gets_the_same_answer_for_ever_and_takes_money_once(
    database: Database, acquirer: SandboxAcquirer, clock: FixedClock
) -> None:
    first = asyncio.run(acquirer.authorise(sale()))
    clock.moment += timedelta(days=4000)  # the card has expired since
    database.transact_now(lambda tx: choose(tx, PAYMENT, three_ds=None, response_code="51"))
    again = asyncio.run(SandboxAcquirer(database, clock).authorise(sale()))

    assert again == first
    assert first.response_code == "00"
    assert asyncio.run(acquirer.inquire("q1")) == first
    assert money(database) == (90_000, 0)


@pytest.mark.parametrize("question", [sale(), sale(SILENT), follow("REFUND", "r1", 60_000)], ids=["sale", "silent", "refund"])
def test_identical_questions_at_once_leave_one_memory(
    database: Database, acquirer: SandboxAcquirer, question: AuthoriseQuestion | FollowUpQuestion
) -> None:
    async def ask() -> list[AcquirerAnswer]:
        if isinstance(question, FollowUpQuestion):
            await acquirer.authorise(sale())
            return await asyncio.gather(*[acquirer.follow_up(question) for _ in range(8)])
        return await asyncio.gather(*[acquirer.authorise(question) for _ in range(8)])

    answers = asyncio.run(ask())

    assert len(set(answers)) == 1
    assert money(database) == ((30_000, 0) if isinstance(question, FollowUpQuestion) else (90_000, 0))


def _ask_elsewhere(address: str, queue: Any) -> None:
    database = open_database(address, connections=2)
    try:
        answer = asyncio.run(SandboxAcquirer(database, Clock()).authorise(sale(id="shared", expiry="4512")))
        queue.put((answer.response_code, answer.approval_code))
    finally:
        database.close()


def test_another_process_remembers_the_same(data_address: str, database: Database, acquirer: SandboxAcquirer) -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_ask_elsewhere, args=(data_address, queue))
    child.start()
    theirs = queue.get(timeout=60)
    child.kill()
    child.join()

    ours = asyncio.run(acquirer.authorise(sale(id="shared", expiry="4512")))

    assert (ours.response_code, ours.approval_code) == theirs
    assert theirs[0] == "00"
    assert money(database) == (90_000, 0)


# The books.


def test_reserving_capturing_and_refunding_add_up(database: Database, acquirer: SandboxAcquirer) -> None:
    assert asyncio.run(codes(acquirer, sale(capture=False))) == ["00"]
    assert money(database) == (0, 90_000)

    assert asyncio.run(codes(acquirer, follow("CAPTURE", "c1", 80_000))) == ["00"]
    assert money(database) == (80_000, 0)

    assert asyncio.run(codes(acquirer, follow("REFUND", "r1", 30_000), follow("REFUND", "r2", 50_000))) == ["00", "00"]
    assert money(database) == (0, 0)


@pytest.mark.parametrize(
    ("before", "refused"),
    [
        ([], follow("CAPTURE", "x")),  # never authorised
        ([sale("5120910000000046")], follow("CAPTURE", "x")),  # declined
        ([sale(SILENT, capture=False)], follow("CAPTURE", "x")),  # its answer never came: reverse it
        ([sale(capture=False)], follow("CAPTURE", "x", 90_001)),
        ([sale(capture=False)], follow("CAPTURE", "x", 0)),
        ([sale(capture=False)], follow("CAPTURE", "x", reference="pay_2")),  # another payment's authorisation
        ([sale(capture=False), follow("CAPTURE", "c1", 10_000)], follow("CAPTURE", "x", 10_000)),
        ([sale(capture=False), follow("VOID", "v1")], follow("CAPTURE", "x")),
        ([sale(capture=False), follow("REVERSE", "v1")], follow("CAPTURE", "x")),
        ([sale(capture=False)], follow("REFUND", "x", 10_000)),  # nothing taken yet
        ([sale()], follow("CAPTURE", "x")),  # taken at once
        ([sale()], follow("REFUND", "x", 90_001)),
        ([sale(), follow("REFUND", "r1", 50_000)], follow("REFUND", "x", 40_001)),
        ([sale(), follow("REFUND", "r1", 50_000)], follow("VOID", "x")),
        ([sale(), follow("VOID", "v1")], follow("REFUND", "x", 1)),
        ([sale(), follow("VOID", "v1")], follow("VOID", "x")),
        ([sale()], follow("VOID", "x", 10_000)),
    ],
)
def test_what_the_books_do_not_allow_is_refused_and_moves_nothing(
    database: Database, acquirer: SandboxAcquirer, before: list[Any], refused: FollowUpQuestion
) -> None:
    asyncio.run(codes(acquirer, *before))
    held = money(database)

    assert asyncio.run(acquirer.follow_up(refused)) == AcquirerAnswer("12")
    assert money(database) == held


@pytest.mark.parametrize("capture", [True, False])
def test_void_gives_everything_back(database: Database, acquirer: SandboxAcquirer, capture: bool) -> None:
    assert asyncio.run(codes(acquirer, sale(capture=capture), follow("VOID", "v1"))) == ["00", "00"]
    assert money(database) == (0, 0)


def test_refunds_side_by_side_never_exceed_what_was_taken(database: Database, acquirer: SandboxAcquirer) -> None:
    async def ask() -> list[str]:
        await acquirer.authorise(sale())
        asked = [acquirer.follow_up(follow("REFUND", f"r{number}", 40_000)) for number in range(6)]
        return [answer.response_code for answer in await asyncio.gather(*asked)]

    assert sorted(asyncio.run(ask())) == ["00", "00", "12", "12", "12", "12"]
    assert money(database) == (10_000, 0)


@pytest.mark.parametrize(
    ("first", "second", "answers", "held"),
    [
        (follow("REFUND", "r1", 60_000), follow("REFUND", "r2", 60_000), ("00", "12"), 30_000),
        (follow("REFUND", "r1", 60_000), follow("REFUND", "r1", 60_000), ("00", "00"), 30_000),
        (follow("REFUND", "r1", 60_000), follow("VOID", "v1"), ("00", "12"), 30_000),
        (sale(id="q2"), sale(id="q2"), ("00", "00"), 180_000),
        (follow("REVERSE", "v1", authorise_id="q2"), sale(id="q2"), ("00", "12"), 90_000),
    ],
    ids=["two refunds", "one refund twice", "refund and void", "one sale twice", "reversal and its sale"],
)
def test_a_question_in_the_middle_of_another_counts_on_what_that_leaves(
    database: Database, acquirer: SandboxAcquirer, first: Any, second: Any, answers: tuple[str, str], held: int
) -> None:
    """The first transaction is kept open until the second has read the same books."""
    asyncio.run(acquirer.authorise(sale()))
    inside, go_on = threading.Event(), threading.Event()

    def ask(tx: Tx, question: Any) -> AcquirerAnswer:
        return _follow_up(tx, question) if isinstance(question, FollowUpQuestion) else _authorise(tx, question, now=NOON)

    def ask_and_wait(tx: Tx) -> AcquirerAnswer:
        answer = ask(tx, first)
        inside.set()
        go_on.wait(10)
        return answer

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(database.transact_now, ask_and_wait)
        assert inside.wait(10)
        other = pool.submit(database.transact_now, lambda tx: ask(tx, second))
        time.sleep(0.3)
        go_on.set()
        found = (one.result(30), other.result(30))

    assert tuple(answer.response_code for answer in found) == answers
    assert (found[0] == found[1]) == (first == second)
    assert money(database) == (held, 0)


# Silence.


def test_a_silent_authorisation_is_unknown_to_inquiries_and_holds_money_until_reversed(
    database: Database, acquirer: SandboxAcquirer
) -> None:
    assert asyncio.run(acquirer.authorise(sale(SILENT))) == AcquirerAnswer("TO")
    assert asyncio.run(acquirer.inquire("q1")) is None
    assert money(database) == (90_000, 0)

    assert asyncio.run(codes(acquirer, follow("REVERSE", "v1"), follow("REVERSE", "v1"), follow("REVERSE", "v2"))) == ["00"] * 3
    assert money(database) == (0, 0)
    assert asyncio.run(acquirer.authorise(sale(SILENT))) == AcquirerAnswer("TO")
    assert money(database) == (0, 0)


def test_a_reversal_that_arrives_first_keeps_the_latecomer_from_taking_money(
    database: Database, acquirer: SandboxAcquirer
) -> None:
    assert asyncio.run(codes(acquirer, follow("REVERSE", "v1"), sale())) == ["00", "12"]
    assert money(database) == (0, 0)


def test_a_reversal_and_its_authorisation_at_once_leave_nothing_taken(database: Database, acquirer: SandboxAcquirer) -> None:
    async def ask() -> None:
        await asyncio.gather(
            *[acquirer.authorise(sale()), acquirer.follow_up(follow("REVERSE", "v1")), acquirer.authorise(sale())]
        )

    asyncio.run(ask())

    assert money(database) == (0, 0)


@pytest.mark.parametrize("code", ["91", "96"])
def test_codes_without_an_outcome_take_nothing(database: Database, acquirer: SandboxAcquirer, code: str) -> None:
    database.transact_now(lambda tx: choose(tx, PAYMENT, three_ds=None, response_code=code))

    assert asyncio.run(codes(acquirer, sale(), follow("REVERSE", "v1"))) == [code, "00"]
    assert asyncio.run(acquirer.inquire("q1")) == AcquirerAnswer(code)
    assert money(database) == (0, 0)


def test_a_lost_answer_to_a_refund_can_be_inquired(database: Database, acquirer: SandboxAcquirer) -> None:
    asyncio.run(acquirer.authorise(sale()))
    database.transact_now(lambda tx: choose(tx, PAYMENT, three_ds=None, response_code=None, follow_up_code="TO"))

    assert asyncio.run(codes(acquirer, follow("REFUND", "r1", 30_000), follow("REFUND", "r1", 30_000))) == ["TO", "TO"]
    found = asyncio.run(acquirer.inquire("r1"))
    assert found is not None
    assert (found.response_code, len(found.approval_code or "")) == ("00", 6)
    assert money(database) == (60_000, 0)


def test_what_was_never_asked_is_unknown(acquirer: SandboxAcquirer) -> None:
    assert asyncio.run(acquirer.inquire("nobody asked")) is None


# Chosen outcomes.


def test_a_chosen_outcome_overrides_the_card_until_it_is_changed(
    database: Database, acquirer: SandboxAcquirer, schemes: SandboxSchemes
) -> None:
    database.transact_now(lambda tx: choose(tx, PAYMENT, three_ds="rejected", response_code="51"))

    refused = asyncio.run(schemes.authenticate(authentication()))
    assert (refused.trans_status, refused.acs_url) == ("R", None)
    assert asyncio.run(codes(acquirer, sale(), sale(id="q2"))) == ["51", "51"]

    database.transact_now(lambda tx: choose(tx, PAYMENT, three_ds=None, response_code="00"))
    assert asyncio.run(codes(acquirer, sale(UNKNOWN, id="q3", cvv="000"))) == ["00"]
    assert database.read_now(lambda tx: chosen(tx, PAYMENT)).response_code == "00"
    assert asyncio.run(schemes.authenticate(authentication(id="b" * 64))).trans_status == "C"


@pytest.mark.parametrize(
    "wrong", [{"three_ds": "maybe"}, {"response_code": "5"}, {"response_code": "0a"}, {"follow_up_code": "x1"}]
)
def test_an_outcome_that_does_not_exist_is_refused(database: Database, wrong: dict[str, str]) -> None:
    fields: dict[str, Any] = {"three_ds": None, "response_code": None} | wrong

    with pytest.raises(Refused) as refused:
        database.transact_now(lambda tx: choose(tx, PAYMENT, **fields))

    assert refused.value.reason is Reason.FIELD_INVALID
    assert refused.value.facts["field"] == next(iter(wrong))


@pytest.mark.parametrize("three_ds", THREE_DS_CHOICES)
def test_every_outcome_can_be_chosen(database: Database, schemes: SandboxSchemes, three_ds: str) -> None:
    database.transact_now(lambda tx: choose(tx, PAYMENT, three_ds=three_ds, response_code=None))

    answer = asyncio.run(schemes.authenticate(authentication(NO_3DS)))

    assert answer.trans_status == THREE_DS_CHOICES[three_ds][0]
    assert (answer.acs_url is not None) == (answer.trans_status == "C")


# 3-D Secure.


@pytest.mark.parametrize("wanted", [False, True], ids=["as the card says", "challenge wanted"])
def test_every_test_card_is_authenticated_as_its_table_says(schemes: SandboxSchemes, wanted: bool) -> None:
    async def ask() -> dict[str, str | None]:
        return {
            number: (await schemes.authenticate(authentication(number, id=number, challenge=wanted))).trans_status
            for number in SANDBOX_CARDS
        }

    def expected(three_ds: str, trans_status: str | None) -> str | None:
        if three_ds == "none":
            return None
        return "C" if wanted or three_ds == "challenge" else trans_status

    assert asyncio.run(ask()) == {number: expected(one.three_ds, one.trans_status) for number, one in SANDBOX_CARDS.items()}


def test_an_unknown_number_knows_no_3ds(schemes: SandboxSchemes) -> None:
    answer = asyncio.run(schemes.authenticate(authentication(UNKNOWN, challenge=True)))

    assert (answer.trans_status, answer.acs_trans_id, answer.acs_url) == (None, None, None)


def test_asking_again_for_an_authentication_opens_no_second_challenge(database: Database, schemes: SandboxSchemes) -> None:
    async def ask() -> set[Any]:
        return set(await asyncio.gather(*[schemes.authenticate(authentication()) for _ in range(6)]))

    (answer,) = asyncio.run(ask())

    assert answer.acs_url == f"https://pay.example:8443/simulators/bank/{answer.acs_trans_id}"
    assert answer.ds_trans_id not in (None, answer.acs_trans_id)
    assert database.read_now(lambda tx: len(tx.all("select * from simulated_challenge"))) == 1


@pytest.fixture
def visit(database: Database, schemes: SandboxSchemes) -> Challenge:
    return opened(database, schemes)


def opened(database: Database, schemes: SandboxSchemes, **question: Any) -> Challenge:
    answer = asyncio.run(schemes.authenticate(authentication(**question)))
    found = database.read_now(lambda tx: find_challenge(tx, answer.acs_trans_id or ""))
    assert found is not None
    return found


def result(schemes: SandboxSchemes, challenge: Challenge) -> ChallengeResult | None:
    return asyncio.run(schemes.challenge_result(challenge.acs_trans_id))


def test_the_right_code_authenticates(database: Database, schemes: SandboxSchemes, visit: Challenge) -> None:
    assert result(schemes, visit) is None

    database.transact_now(lambda tx: try_code(tx, visit, visit.facts.otp))

    assert result(schemes, visit) == ChallengeResult("Y")


@pytest.mark.parametrize(
    ("question", "ends"),
    [
        ({"number": FAILS}, "N"),
        ({"number": REJECTED, "challenge": True}, "N"),
        ({"number": FRICTIONLESS, "challenge": True}, "Y"),
    ],
)
def test_a_card_whose_authentication_fails_fails_with_the_right_code(
    database: Database, schemes: SandboxSchemes, question: dict[str, Any], ends: str
) -> None:
    challenge = opened(database, schemes, **question)

    database.transact_now(lambda tx: try_code(tx, challenge, challenge.facts.otp))

    assert result(schemes, challenge) == ChallengeResult(ends, None if ends == "Y" else "wrong_code")


def test_the_third_wrong_code_ends_it(database: Database, schemes: SandboxSchemes, visit: Challenge) -> None:
    tries = []
    for _ in range(4):
        visit = database.transact_now(lambda tx, visit=visit: try_code(tx, visit, "999999"))
        tries.append((visit.tries_left, visit.trans_status))

    assert tries == [(2, None), (1, None), (0, "N"), (0, "N")]
    assert result(schemes, visit) == ChallengeResult("N", "wrong_code")
    database.transact_now(lambda tx: try_code(tx, visit, visit.facts.otp))
    assert result(schemes, visit) == ChallengeResult("N", "wrong_code")


def test_five_minutes_are_the_end(database: Database, schemes: SandboxSchemes, visit: Challenge, clock: FixedClock) -> None:
    clock.moment = NOON + CHALLENGE_TIME - timedelta(milliseconds=1)
    assert result(schemes, visit) is None

    clock.moment = NOON + CHALLENGE_TIME
    assert result(schemes, visit) == ChallengeResult("N", "timeout")

    late = database.transact_now(lambda tx: end_challenge(tx, visit, "Y"))
    assert (late.trans_status, late.facts.reason) == ("N", "timeout")


def test_only_the_first_result_counts(database: Database, schemes: SandboxSchemes, visit: Challenge) -> None:
    for status, reason in (("N", "cancelled"), ("Y", None), ("N", "timeout")):
        database.transact_now(lambda tx, status=status, reason=reason: end_challenge(tx, visit, status, reason=reason))

    assert result(schemes, visit) == ChallengeResult("N", "cancelled")


def test_codes_are_sent_again_three_times_with_a_pause(database: Database, visit: Challenge) -> None:
    def again(visit: Challenge, at: datetime) -> Challenge:
        return database.transact_now(lambda tx: send_again(tx, visit, now=at))

    assert visit.resend_wait_s(NOON) == 30
    assert visit.resend_wait_s(NOON + timedelta(seconds=29, milliseconds=1)) == 1
    assert again(visit, NOON + timedelta(seconds=29)).codes_sent == 1
    sent = []
    for turn in range(1, 6):
        visit = again(visit, NOON + timedelta(seconds=30 * turn))
        sent.append((visit.codes_sent, visit.resends_left))
    assert sent == [(2, 2), (3, 1), (4, 0), (4, 0), (4, 0)]


def test_a_result_that_never_was_is_none(schemes: SandboxSchemes) -> None:
    assert asyncio.run(schemes.challenge_result("00000000-0000-4000-8000-000000000000")) is None


# What is not remembered.


@pytest.fixture
def everything(database: Database, acquirer: SandboxAcquirer, schemes: SandboxSchemes) -> str:
    asyncio.run(schemes.authenticate(authentication()))
    asyncio.run(codes(acquirer, sale(CHALLENGED, cvv="739"), sale(AMEX, id="q2", cvv="7391"), follow("REVERSE", "v1")))
    rows = database.read_now(
        lambda tx: (
            [row["answer"] for row in tx.all("select answer from simulated_answer")]
            + [row["details"] for row in tx.all("select details from simulated_challenge")]
        )
    )
    # random digits may spell anything
    return re.sub(r'"(approval_code|\w+_id|acs_url)":"[^"]*"', "", "\n".join(rows))


def test_no_card_number_and_no_cvv_is_remembered(everything: str) -> None:
    for secret in (CHALLENGED, AMEX, CHALLENGED[:12], AMEX[:12], "739"):
        assert secret not in everything
    assert "557338******1101" in everything


def test_the_phone_is_remembered_masked(database: Database, schemes: SandboxSchemes, visit: Challenge) -> None:
    assert visit.facts.phone == "0812 •••• 7890"
    assert opened(database, schemes, id="b" * 64, phone=None).facts.phone is None
    assert opened(database, schemes, id="c" * 64, phone="12").facts.phone is None


def test_questions_print_no_secret() -> None:
    assert "739" not in repr(replace(sale(), card=card(CHALLENGED, cvv="739")))
    assert CHALLENGED not in repr(authentication())


def test_current_challenge_leaves_an_open_one_alone(database: Database, visit: Challenge) -> None:
    assert database.transact_now(lambda tx: current_challenge(tx, visit.acs_trans_id, now=NOON)) == visit
