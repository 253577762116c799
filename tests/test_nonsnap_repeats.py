"""S0-04, S0-08, D-3, D-9: repeats of a request and of an invoice number; docs/decisions/0002-idempotency.md."""

import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from gerbang.endpoint import Call, Endpoint
from gerbang.merchants import MerchantOptions, update
from gerbang.payments.moves import record_event
from gerbang.protocols.nonsnap import service
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import load_settings
from gerbang.storage import Tx
from support.gateway import Answer, RunningGateway, lent_gateway
from support.nonsnap import BODY, HEADER, PAYMENT, assert_error, assert_genuine, import_merchant, served

pytestmark = pytest.mark.slow


OTHER, OTHER_KEY = "BRN-REPEATS-2", "SK-repeats-two"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway() as one:
        import_merchant(one, OTHER, OTHER_KEY)
        yield one


@pytest.fixture
def request_id() -> str:
    return uuid.uuid4().hex


def order(**more: object) -> dict[str, Any]:
    return {"order": {"invoice_number": uuid.uuid4().hex, "amount": 10_000} | more}


def post(running: RunningGateway, body: object, request_id: str, **more: Any) -> Answer:
    return running.signed("POST", PAYMENT, body, request_id=request_id, **more)


def assert_in_progress(answer: Answer) -> None:
    assert_error(answer, 409, "idempotent_request", "Idempotent Request", HEADER)
    assert_genuine(answer, "POST", PAYMENT)


def assert_used(answer: Answer) -> None:
    """D-9."""
    assert_error(answer, 400, "INVALID_PARAMETER", "Invoice Number Already Used", BODY)


def counted(running: RunningGateway, sql: str, **params: object) -> int:
    def count(tx: Tx) -> int:
        row = tx.one(sql, params)
        assert row is not None
        return int(row["n"])

    return running.database.read_now(count)


def test_a_repeat_gets_the_first_answer_again_under_409(running: RunningGateway, request_id: str):
    """D-3: same id, same body: the same bytes, freshly signed."""
    body = order()

    first, *repeats = [post(running, body, request_id) for _ in range(4)]

    assert first.status == 200
    for repeat in repeats:
        assert (repeat.status, repeat.body) == (409, first.body)
        assert_genuine(repeat, "POST", PAYMENT)


def test_the_first_answer_stands_whatever_happened_since(running: RunningGateway, request_id: str):
    body = order()
    first = post(running, body, request_id)
    invoice = body["order"]["invoice_number"]
    running.control("POST", "/payments/outcome", {"client_id": DEMO_CLIENT_ID, "invoice_number": invoice, "outcome": "CANCELLED"})

    assert post(running, body, request_id).body == first.body


def test_the_same_id_with_another_body_is_a_new_request(running: RunningGateway):
    """D-3: the official PHP library draws its ids from 1 to 100000."""
    answers = [post(running, order(), "57321") for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert len({answer.json["doku_wallet_payment_page"]["url"] for answer in answers}) == 3


def test_one_byte_makes_another_body(running: RunningGateway, request_id: str):
    invoice = uuid.uuid4().hex.encode()

    first = post(running, b'{"order":{"invoice_number":"%s","amount":1}}' % invoice, request_id)
    spaced = post(running, b'{"order":{"invoice_number":"%s","amount":1} }' % invoice, request_id)

    assert first.status == 200
    assert_used(spaced)


def test_another_merchant_may_use_the_same_id_and_invoice(running: RunningGateway, request_id: str):
    body = order()

    mine = post(running, body, request_id)
    theirs = post(running, body, request_id, client_id=OTHER, secret_key=OTHER_KEY)

    assert (mine.status, theirs.status) == (200, 200)
    assert mine.body != theirs.body


def test_the_key_tells_client_method_path_id_and_body_apart():
    """D-3, contract §4: another path (other channels share the ids) is another request."""
    from gerbang.protocols.nonsnap.replies import reply_key

    known = {"merchant_id": "m", "method": "POST", "path": "/a", "request_id": "1", "body": b"{}"}
    others = [
        {"merchant_id": "n"},
        {"method": "PUT"},
        {"path": "/b"},
        {"request_id": "2"},
        {"body": b"{ }"},
    ]
    keys = {reply_key(**(known | other)) for other in [{}, *others]}

    assert len(keys) == 6
    assert reply_key(**known) == reply_key(**known)


def test_the_same_invoice_again_is_refused_whatever_became_of_the_first(running: RunningGateway):
    """S0-08, D-9: open, paid, failed, cancelled, expired."""
    for outcome in (None, "SUCCESS", "FAILED", "CANCELLED", "EXPIRED"):
        body = order()
        assert post(running, body, uuid.uuid4().hex).status == 200
        if outcome:
            running.control(
                "POST",
                "/payments/outcome",
                {"client_id": DEMO_CLIENT_ID, "invoice_number": body["order"]["invoice_number"], "outcome": outcome},
            )

        again = post(running, body, uuid.uuid4().hex)

        assert_used(again)
        assert_genuine(again, "POST", PAYMENT)


def test_invoice_numbers_differ_by_case(running: RunningGateway):
    """S0-07: an invoice number is the merchant's text, not ours to fold."""
    invoice = uuid.uuid4().hex + "-a"

    assert running.create_order(invoice).status == 200
    assert running.create_order(invoice.upper()).status == 200
    assert running.status(invoice).json["order"]["invoice_number"] == invoice


def test_a_repeat_of_a_refused_request_is_judged_afresh(running: RunningGateway, request_id: str):
    """Contract §4: only 2xx answers are kept."""
    taken = order()
    assert post(running, taken, uuid.uuid4().hex).status == 200
    faulty = order(amount=0)

    assert [post(running, faulty, request_id).status for _ in range(2)] == [400, 400]
    assert [post(running, taken, request_id).status for _ in range(2)] == [400, 400]
    assert post(running, order(), request_id).status == 200


def test_a_request_that_failed_on_our_side_may_succeed_when_repeated(
    running: RunningGateway, request_id: str, monkeypatch: pytest.MonkeyPatch
):
    body = order()

    async def broken(_fn: object) -> None:
        raise RuntimeError("lightning")

    with monkeypatch.context() as patch:
        patch.setattr(running.database, "transact", broken)
        assert post(running, body, request_id).status == 500

    assert [post(running, body, request_id).status for _ in range(2)] == [200, 409]


def test_a_wrong_signature_never_reaches_a_kept_answer(running: RunningGateway, request_id: str):
    body = order()
    post(running, body, request_id)

    answer = post(running, body, request_id, secret_key="SK-wrong")

    assert answer.json["error"]["code"] == "invalid_signature"


@pytest.mark.parametrize("retention_s", [60, 86_400])
def test_after_its_retention_an_answer_is_forgotten(tmp_path, request_id: str, retention_s: int):
    """D-3: 24 h, a setting, in real time. The invoice rule still holds then; another body is simply new."""
    body = order()
    with lent_gateway(request_id_retention_s=retention_s) as running:
        first = post(running, body, request_id)

        def age(by_ms: int) -> None:
            sql = "update reply set stored_real_at = stored_real_at - :by"
            running.database.transact_now(lambda tx: tx.execute(sql, {"by": by_ms}))

        age(retention_s * 1000 - 15_000)
        assert (post(running, body, request_id).status, first.status) == (409, 200)
        age(15_000 + 1)
        assert_used(post(running, body, request_id))


def test_moving_the_sandbox_clock_forgets_no_answer(sqlite_gateway: RunningGateway, request_id: str):
    """D-11: retention is real time."""
    body = order()
    post(sqlite_gateway, body, request_id)
    sqlite_gateway.control("POST", "/clock", {"advance_s": 3 * 86_400})

    assert post(sqlite_gateway, body, request_id).status == 409


def test_a_forgotten_answer_is_replaced_by_the_next_first_one(running: RunningGateway, request_id: str):
    """A row past its retention that was not purged yet must not stand in the way."""
    body = order()
    post(running, body, request_id)

    def forget(tx: Tx) -> None:
        tx.execute("update reply set stored_real_at = 0")
        tx.execute("update orders set invoice_number = :n where invoice_number = :i", {"n": "moved-" + request_id, "i": invoice})

    invoice = body["order"]["invoice_number"]
    running.database.transact_now(forget)

    again, repeat = post(running, body, request_id), post(running, body, request_id)

    assert (again.status, repeat.status) == (200, 409)
    assert repeat.body == again.body


# -- strict_request_id


def test_by_setting_a_repeated_id_with_another_body_is_refused(tmp_path, request_id: str):
    with lent_gateway(strict_request_id=True) as strict:
        body = order()
        first = post(strict, body, request_id)
        repeat = post(strict, body, request_id)
        other = post(strict, order(), request_id)

        assert (first.status, repeat.status, repeat.body) == (200, 409, first.body)
        assert_in_progress(other)
        assert post(strict, order(), uuid.uuid4().hex).status == 200


def test_a_merchant_may_be_strict_or_lax_against_the_setting(tmp_path, request_id: str):
    with lent_gateway(strict_request_id=True) as strict:
        import_merchant(strict, OTHER, OTHER_KEY)
        strict.database.transact_now(lambda tx: update(tx, OTHER, options=MerchantOptions(strict_request_id=False)))
        lax = [post(strict, order(), request_id, client_id=OTHER, secret_key=OTHER_KEY).status for _ in range(2)]

    assert lax == [200, 200]


def test_one_merchant_may_be_strict_alone(running: RunningGateway, request_id: str):
    import_merchant(running, "BRN-STRICT-1", "SK-strict")
    running.database.transact_now(lambda tx: update(tx, "BRN-STRICT-1", options=MerchantOptions(strict_request_id=True)))

    first = post(running, order(), request_id, client_id="BRN-STRICT-1", secret_key="SK-strict")
    other = post(running, order(), request_id, client_id="BRN-STRICT-1", secret_key="SK-strict")

    assert first.status == 200
    assert_error(other, 409, "idempotent_request", "Idempotent Request", HEADER)


def test_strictly_a_refused_request_uses_no_id_up(tmp_path, request_id: str):
    with lent_gateway(strict_request_id=True) as strict:
        assert post(strict, order(amount=0), request_id).status == 400
        assert post(strict, order(), request_id).status == 200


# -- at the same moment


def at_once(calls: list[Callable[[], Answer]]) -> list[Answer]:
    gate = threading.Barrier(len(calls))

    def one(call: Callable[[], Answer]) -> Answer:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result() for future in [threads.submit(one, call) for call in calls]]


@pytest.mark.parametrize("waiting", ["in the guard", "in the database"])
def test_64_identical_requests_make_one_order(gateway: RunningGateway, waiting: str, monkeypatch: pytest.MonkeyPatch):
    """D-3 on both engines: one 200, 63 × 409 with its bytes, one order, one event.

    In one process repeats wait for their first call; the transaction must get it right without that too (decision 0002).
    """
    if waiting == "in the database":

        async def go_on(_self: object, _alike: object, **_how: object) -> None:
            return

        monkeypatch.setattr(service.NonSnap, "_await_twin", go_on)
    body, request_id = order(), uuid.uuid4().hex

    answers = at_once([lambda: post(gateway, body, request_id)] * 64)

    assert Counter(answer.status for answer in answers) == {200: 1, 409: 63}
    assert len({answer.body for answer in answers}) == 1
    for answer in answers:
        assert_genuine(answer, "POST", PAYMENT)
    assert counted(gateway, "select count(*) as n from orders") == 1
    assert counted(gateway, "select count(*) as n from payment") == 1
    assert counted(gateway, "select count(*) as n from event where event = 'CREATED'") == 1


def test_64_identical_requests_to_two_gateways_over_one_database_make_one_order(data_address: str):
    """What one gateway knows of its running requests does not help the other: the transaction decides (decision 0002)."""
    body, request_id = order(), uuid.uuid4().hex
    settings = load_settings(env={}, given={"data": data_address, "database_connections": 8})
    gateways = [RunningGateway(settings), RunningGateway(settings)]
    try:
        answers = at_once([lambda one=one: post(one, body, request_id) for one in gateways * 32])
        orders = counted(gateways[0], "select count(*) as n from orders")
    finally:
        for one in gateways:
            one.stop()

    # The page's address follows the Host header (S0-30), so a repeat on the other port shows whose answer was first.
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 63}
    assert len({answer.body for answer in answers}) == 1
    assert orders == 1


def test_64_different_requests_for_one_invoice_make_one_order(gateway: RunningGateway):
    """S0-08, D-9: one is the first, the others are told that the number is used."""
    invoice = uuid.uuid4().hex
    bodies = [order(invoice_number=invoice, amount=amount) for amount in range(1, 65)]

    answers = at_once([lambda body=body: post(gateway, body, uuid.uuid4().hex) for body in bodies])

    assert Counter(answer.status for answer in answers) == {200: 1, 400: 63}
    for answer in answers:
        if answer.status == 400:
            assert_used(answer)
    assert counted(gateway, "select count(*) as n from orders") == 1
    assert counted(gateway, "select count(*) as n from event") == 1


def test_strictly_64_different_bodies_with_one_id_make_one_order(data_address: str):
    """On both engines, within one process; between processes nothing stops two that arrive in the same moment."""
    settings = load_settings(env={}, given={"data": data_address, "database_connections": 8, "strict_request_id": True})
    strict = RunningGateway(settings)
    try:
        request_id = uuid.uuid4().hex
        answers = at_once([lambda: post(strict, order(), request_id)] * 64)
        orders = counted(strict, "select count(*) as n from orders")
    finally:
        strict.stop()

    assert Counter(answer.status for answer in answers) == {200: 1, 409: 63}
    assert orders == 1


def test_an_action_without_a_uniqueness_of_its_own_is_done_once(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch):
    """Decision 0002: whoever finds the key taken when it stores its answer rolls back and takes the first one's."""

    async def go_on(_self: object, _alike: object, **_how: object) -> None:
        return

    monkeypatch.setattr(service.NonSnap, "_await_twin", go_on)

    def note(call: Call, _body: object) -> dict[str, str]:
        time.sleep(0.02)  # so that they meet
        record_event(call.tx, "subject", call.merchant.client_id, "NOTED", "NOTED", now=call.now)
        return {"drawn": uuid.uuid4().hex}

    path = "/test/v1/note"
    protocol, _, _ = gateway.gateway.api.find("POST", PAYMENT)
    gateway.gateway.api.add(protocol, Endpoint(method="POST", path=path, summary="", action=note, response=msgspec.Struct))
    request_id = uuid.uuid4().hex

    answers = at_once([lambda: gateway.signed("POST", path, b"", request_id=request_id)] * 16)

    assert Counter(answer.status for answer in answers) == {200: 1, 409: 15}
    assert len({answer.body for answer in answers}) == 1
    assert counted(gateway, "select count(*) as n from event where event = 'NOTED'") == 1


def test_a_repeat_waits_for_its_first_call_and_then_gets_its_answer(tmp_path, request_id: str):
    """Contract §4: here the first call hangs for a moment because another process holds the database."""
    body = order()
    with served(tmp_path) as running, holding(str(tmp_path / "gerbang.db")) as release:
        threading.Timer(0.7, release).start()
        began = time.monotonic()
        answers = at_once([lambda: post(running, body, request_id)] * 3)

    assert time.monotonic() - began > 0.5
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 2}
    assert len({answer.body for answer in answers}) == 1


def test_a_repeat_does_not_wait_for_ever(tmp_path, request_id: str, monkeypatch: pytest.MonkeyPatch):
    """Contract §4: at most 5 s (less here), then 409 idempotent_request: ask later. Other requests are not concerned."""
    assert service._REPEAT_WAIT_S == 5.0
    monkeypatch.setattr(service, "_REPEAT_WAIT_S", 0.2)
    body = order()
    with served(tmp_path) as running:
        with holding(str(tmp_path / "gerbang.db")) as release:
            threading.Timer(1.0, release).start()
            answers = at_once([lambda: post(running, body, request_id)] * 3 + [lambda: post(running, order(), uuid.uuid4().hex)])

        *alike, different = answers
        assert sorted(answer.status for answer in alike) == [200, 409, 409]
        for answer in alike:
            if answer.status == 409:
                assert_in_progress(answer)
        assert different.status == 200
        assert post(running, body, request_id).status == 409


def test_a_database_that_stays_locked_is_503_and_nothing_happened(tmp_path, request_id: str):
    """Nobody can say what became of the twin: the client may simply ask again."""
    body = order()
    with served(tmp_path) as running:
        with holding(str(tmp_path / "gerbang.db")):
            answer = post(running, body, request_id)

        assert_error(answer, 503, "service_unavailable", "Service Unavailable", "api_error")
        assert_genuine(answer, "POST", PAYMENT)
        assert [post(running, body, request_id).status for _ in range(2)] == [200, 409]


class holding:
    """Another program holds the write lock of the database file until released."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._released = threading.Lock()

    def __enter__(self) -> Callable[[], None]:
        self._connection.execute("begin immediate")
        return self._release

    def __exit__(self, *_: object) -> None:
        self._release()
        self._connection.close()

    def _release(self) -> None:
        with self._released:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
