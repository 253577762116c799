"""A partner has the consents it was given, and none that was not given or that ended. S1-40, S1-58."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest

from gerbang.errors import Reason, Refused
from gerbang.storage import Database, Tx
from gerbang.wallet import Account, AccountStatus
from gerbang.wallet import bindings as bindings_
from gerbang.wallet.bindings import (
    Binding,
    BindingRequest,
    BindingState,
    RequestState,
    exchange_auth_code,
    get_binding,
    new_auth_code,
    request_binding,
    request_by_id,
    request_unbinding,
    unbind,
    verify_unbinding,
)
from gerbang.wallet.otp import CODE_LIFE, CodeOutcome
from support.customers import (
    MS,
    OTHER,
    PARTNER,
    PHONE,
    SANDBOX,
    a_customer,
    another,
    at_once,
    bound,
    exchange,
    last_code,
    messages,
    refusal,
)
from support.gateway import NOON


@pytest.fixture
def siti(database: Database) -> Account:
    return database.transact_now(a_customer)


def asked(
    database: Database, account_id: str | None, *, merchant_id: str = PARTNER, reference: str = "bind-1", now: datetime = NOON
) -> tuple[BindingRequest, Binding | None]:
    return database.transact_now(
        lambda tx: request_binding(
            tx,
            merchant_id=merchant_id,
            partner_reference=reference,
            account_id=account_id,
            redirect_url="https://app.example/return",
            now=now,
        )
    )


def consent(request: BindingRequest, customer: Account, *, now: datetime = NOON) -> Callable[[Tx], tuple[Binding, str]]:
    def confirm(tx: Tx) -> tuple[Binding, str]:
        current = request_by_id(tx, request.id)
        assert current is not None
        return bindings_.confirm(tx, current, customer, now=now)

    return confirm


def state_of(database: Database, request: BindingRequest) -> RequestState:
    found = database.read_now(lambda tx: request_by_id(tx, request.id))
    assert found is not None
    return found.state


def test_consent_makes_the_link_that_the_partner_was_told(database: Database, siti: Account) -> None:
    """S1-40."""
    request, promised = asked(database, siti.id)
    assert promised is not None
    assert promised.state is BindingState.PENDING

    binding, code = database.transact_now(consent(request, siti, now=NOON + MS))

    assert (binding.id, binding.public_user_id, binding.account_id, binding.merchant_id) == (
        promised.id,
        promised.public_user_id,
        siti.id,
        PARTNER,
    )
    assert (binding.state, binding.created_at) == (BindingState.ACTIVE, NOON + MS)
    assert state_of(database, request) is RequestState.CONFIRMED
    assert bindings_.return_url(request, code) == f"https://app.example/return?authCode={code}&partnerReferenceNo=bind-1"
    assert bindings_.return_url(request, None) == "https://app.example/return?status=FAILED&partnerReferenceNo=bind-1"
    assert database.transact_now(lambda tx: exchange_auth_code(tx, merchant_id=PARTNER, code=code, now=NOON)) == binding


def test_before_the_customer_consents_there_is_no_binding(database: Database, siti: Account) -> None:
    _, promised = asked(database, siti.id)
    assert promised is not None

    assert database.read_now(lambda tx: bindings_.find_binding(tx, merchant_id=PARTNER, account_id=siti.id)) is None
    assert refusal(database, unbinding(promised.id)) is Reason.BINDING_NOT_FOUND


def test_an_account_may_be_given_as_its_phone_number_too(database: Database, siti: Account) -> None:
    request, _ = asked(database, PHONE)

    assert request.account_id == siti.id


def test_who_is_asked_may_be_left_to_the_page(database: Database, siti: Account) -> None:
    request, promised = asked(database, None)
    assert (request.account_id, promised) == (None, None)

    binding, _ = database.transact_now(consent(request, siti))

    assert binding.account_id == siti.id
    known = database.read_now(lambda tx: request_by_id(tx, request.id))
    assert known is not None
    assert (known.account_id, known.binding_id) == (siti.id, binding.id)


def test_nobody_else_can_consent(database: Database, siti: Account) -> None:
    budi = database.transact_now(lambda tx: a_customer(tx, "081200000009"))
    request, _ = asked(database, siti.id)

    assert refusal(database, consent(request, budi)) is Reason.NOT_THIS_CUSTOMER
    assert state_of(database, request) is RequestState.PENDING


def test_a_page_is_answered_once(database: Database, siti: Account) -> None:
    request, _ = asked(database, siti.id)
    database.transact_now(consent(request, siti))

    assert refusal(database, consent(request, siti)) is Reason.LINK_OVER
    assert refusal(database, lambda tx: bindings_.refuse(tx, request, now=NOON)) is Reason.LINK_OVER


def test_who_refuses_is_not_bound_and_cannot_consent_afterwards(database: Database, siti: Account) -> None:
    request, _ = asked(database, siti.id)
    database.transact_now(lambda tx: bindings_.refuse(tx, request, now=NOON))

    assert state_of(database, request) is RequestState.REFUSED
    assert refusal(database, consent(request, siti)) is Reason.LINK_OVER
    assert database.read_now(lambda tx: bindings_.bindings_of(tx, siti.id)) == []


def test_a_page_lives_fifteen_minutes(database: Database, siti: Account) -> None:
    request, _ = asked(database, siti.id)

    assert refusal(database, consent(request, siti, now=NOON + bindings_.PAGE_LIFE)) is Reason.LINK_OVER
    assert refusal(database, lambda tx: bindings_.refuse(tx, request, now=NOON + bindings_.PAGE_LIFE)) is Reason.LINK_OVER
    database.transact_now(consent(request, siti, now=NOON + bindings_.PAGE_LIFE - MS))


def test_binding_again_keeps_the_link(database: Database, siti: Account) -> None:
    first, _ = asked(database, siti.id)
    binding, _ = database.transact_now(consent(first, siti))

    second, promised = asked(database, siti.id, reference="bind-2")
    again, _ = database.transact_now(consent(second, siti, now=NOON))

    assert promised is not None
    assert promised.id == binding.id
    assert again == binding


def test_each_partner_has_a_link_and_a_name_of_its_own_for_the_same_customer(database: Database, siti: Account) -> None:
    ours, theirs = database.transact_now(lambda tx: (bound(tx, siti), bound(tx, siti, OTHER)))

    assert ours.id != theirs.id
    assert ours.public_user_id != theirs.public_user_id
    assert database.read_now(lambda tx: {one.id for one in bindings_.bindings_of(tx, siti.id)}) == {ours.id, theirs.id}


@pytest.mark.parametrize(
    ("status", "reason"), [(AccountStatus.LOCKED, Reason.ACCOUNT_LOCKED), (AccountStatus.CLOSED, Reason.ACCOUNT_CLOSED)]
)
def test_an_account_that_is_not_active_is_not_bound(
    database: Database, siti: Account, status: AccountStatus, reason: Reason
) -> None:
    request, _ = asked(database, siti.id)
    database.transact_now(lambda tx: tx.execute("update wallet_account set status = :status", {"status": status.value}))

    assert refusal(database, consent(request, siti)) is reason
    with pytest.raises(Refused) as refused:
        asked(database, siti.id, reference="bind-2")
    assert refused.value.reason is reason


def test_an_unknown_account_is_not_bound(database: Database) -> None:
    with pytest.raises(Refused) as refused:
        asked(database, "1999999999")

    assert refused.value.reason is Reason.ACCOUNT_NOT_FOUND


def test_consent_given_many_times_at_once_binds_once(database: Database, siti: Account) -> None:
    requests = [asked(database, siti.id, reference=f"bind-{number}")[0] for number in range(3)]

    outcomes = at_once(database, *[consent(request, siti) for request in requests for _ in range(4)])

    given = [one for one in outcomes if not isinstance(one, Reason)]
    assert Counter(one for one in outcomes if isinstance(one, Reason)) == {Reason.LINK_OVER: 9}
    assert len(given) == 3
    assert len({binding.id for binding, _ in given}) == 1
    assert len({code for _, code in given}) == 3


def test_asking_many_times_at_once_promises_one_link(database: Database, siti: Account) -> None:
    def ask(number: int) -> Callable[[Tx], tuple[BindingRequest, Binding | None]]:
        return lambda tx: request_binding(
            tx,
            merchant_id=PARTNER,
            partner_reference=f"b{number}",
            account_id=siti.id,
            redirect_url="https://a.example",
            now=NOON,
        )

    outcomes = at_once(database, *[ask(number) for number in range(8)])

    promised = {one[1].id for one in outcomes if not isinstance(one, Reason) and one[1] is not None}
    assert len(promised) == 1
    assert len(outcomes) == 8


def unbinding(
    link_id: str, *, merchant_id: str = PARTNER, reference: str = "unbind-1", now: datetime = NOON
) -> Callable[[Tx], BindingRequest]:
    return lambda tx: request_unbinding(
        tx, merchant_id=merchant_id, partner_reference=reference, link_id=link_id, settings=SANDBOX, now=now
    )


def leave(database: Database, request: BindingRequest, code: str, *, now: datetime = NOON) -> CodeOutcome:
    def check(tx: Tx) -> CodeOutcome:
        current = request_by_id(tx, request.id)
        assert current is not None
        return verify_unbinding(tx, current, entered=code, settings=SANDBOX, now=now).outcome

    return database.transact_now(check)


def binding_state(database: Database, binding: Binding) -> BindingState:
    found = database.read_now(lambda tx: get_binding(tx, binding.id))
    assert found is not None
    return found.state


def test_a_binding_ends_with_the_right_password_and_not_before(database: Database, siti: Account) -> None:
    """S1-58."""
    binding = database.transact_now(lambda tx: bound(tx, siti))
    code = database.transact_now(lambda tx: new_auth_code(tx, binding, now=NOON))
    request = database.transact_now(unbinding(binding.id))
    password = last_code(database)

    assert leave(database, request, another(password)) is CodeOutcome.WRONG
    assert binding_state(database, binding) is BindingState.ACTIVE
    assert leave(database, request, password) is CodeOutcome.RIGHT

    assert binding_state(database, binding) is BindingState.UNBOUND
    assert refusal(database, exchange(code)) is Reason.AUTH_CODE_INVALID
    assert leave(database, request, password) is CodeOutcome.USED
    assert messages(database)[0].phone == siti.phone


def test_an_unbinding_is_blocked_and_expires_like_a_registration(database: Database, siti: Account) -> None:
    binding = database.transact_now(lambda tx: bound(tx, siti))
    request = database.transact_now(unbinding(binding.id))
    password = last_code(database)

    assert leave(database, request, password, now=NOON + CODE_LIFE) is CodeOutcome.EXPIRED
    wrong = [leave(database, request, another(password, by)) for by in range(1, 6)]

    assert wrong == [CodeOutcome.WRONG] * 4 + [CodeOutcome.BLOCKED]
    assert leave(database, request, password) is CodeOutcome.BLOCKED
    assert binding_state(database, binding) is BindingState.ACTIVE


def test_asking_again_to_unbind_replaces_the_first_request(database: Database, siti: Account) -> None:
    binding = database.transact_now(lambda tx: bound(tx, siti))
    first = database.transact_now(unbinding(binding.id))
    first_password = last_code(database)
    second = database.transact_now(unbinding(binding.id, reference="unbind-2"))

    with pytest.raises(Refused) as refused:
        leave(database, first, first_password)

    assert refused.value.reason is Reason.REFERENCE_NOT_FOUND
    assert leave(database, second, last_code(database)) is CodeOutcome.RIGHT


def test_a_password_can_be_sent_again_for_the_same_unbinding(database: Database, siti: Account) -> None:
    binding = database.transact_now(lambda tx: bound(tx, siti))
    request = database.transact_now(unbinding(binding.id))

    def again(tx: Tx) -> None:
        current = request_by_id(tx, request.id)
        assert current is not None
        bindings_.send_again(tx, current, settings=SANDBOX, now=NOON + CODE_LIFE)

    database.transact_now(again)

    assert leave(database, request, last_code(database), now=NOON + CODE_LIFE) is CodeOutcome.RIGHT
    assert refusal(database, again) is Reason.OTP_ALREADY_VERIFIED


def test_a_request_to_bind_waits_for_no_password(database: Database, siti: Account) -> None:
    request, _ = asked(database, siti.id)

    assert refusal(database, lambda tx: verify_unbinding(tx, request, entered="1", settings=SANDBOX, now=NOON)) is (
        Reason.REFERENCE_NOT_FOUND
    )
    assert refusal(database, lambda tx: bindings_.send_again(tx, request, settings=SANDBOX, now=NOON)) is (
        Reason.REFERENCE_NOT_FOUND
    )


def test_a_link_that_is_unknown_ended_or_anothers_cannot_be_ended(database: Database, siti: Account) -> None:
    ended, theirs = database.transact_now(lambda tx: (bound(tx, siti), bound(tx, siti, OTHER)))
    database.transact_now(lambda tx: unbind(tx, ended, now=NOON))

    for link in (ended.id, theirs.id, "lnk_unknown", ""):
        assert refusal(database, unbinding(link)) is Reason.BINDING_NOT_FOUND
    assert refusal(database, lambda tx: unbind(tx, ended, now=NOON)) is Reason.BINDING_NOT_FOUND
    assert messages(database) == []


def test_binding_after_unbinding_gives_a_new_link_and_the_same_public_id(database: Database, siti: Account) -> None:
    first = database.transact_now(lambda tx: bound(tx, siti))
    database.transact_now(lambda tx: unbind(tx, first, now=NOON))

    second = database.transact_now(lambda tx: bound(tx, siti))

    assert second.id != first.id
    assert second.public_user_id == first.public_user_id
    assert binding_state(database, first) is BindingState.UNBOUND


def test_a_customer_whose_account_is_locked_may_still_leave(database: Database, siti: Account) -> None:
    binding = database.transact_now(lambda tx: bound(tx, siti))
    database.transact_now(lambda tx: tx.execute("update wallet_account set status = 'LOCKED'"))

    request = database.transact_now(unbinding(binding.id))

    assert leave(database, request, last_code(database)) is CodeOutcome.RIGHT
