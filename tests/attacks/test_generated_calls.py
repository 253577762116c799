"""Calls that the published API description allows, or nearly does, invented by schemathesis, signed and sent: none breaks the gateway.

Bounded: the same few cases of each call every time, so that it ends in seconds. A longer run: `make proof`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from gerbang.openapi import openapi_document
from gerbang.sandbox.api import control_endpoints
from support.gateway import RunningGateway, lent_gateway
from support.rooms import summed

FEW, MANY = 6, 40


@pytest.fixture(scope="module")
def running() -> Iterator[RunningGateway]:
    with lent_gateway(ovo_timeout_s=0.05) as one:
        yield one


def operations(running: RunningGateway) -> Iterator[Any]:
    document = openapi_document(running.gateway.api.endpoints(), control_endpoints())
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = found.ok()
        # The control API moves the clock and empties everything: its own tests send it what it does not understand.
        if operation is not None and "sandbox" not in (operation.definition.raw.get("tags") or ()):
            yield operation


def sent(running: RunningGateway, operation: Any, case: Any) -> int:
    body = case.body if isinstance(case.body, dict | list) else None
    endpoint = next((one for one in running.gateway.api.endpoints() if one.path == operation.path), None)
    if endpoint is not None and isinstance(body, dict):
        body = summed(endpoint, body)
    path = case.formatted_path
    answer = running.signed(operation.method.upper(), path, body if operation.method.upper() != "GET" else None)
    assert answer.status in (404,) or answer.json is not None
    return answer.status


def break_it(running: RunningGateway, examples: int) -> None:
    count = 0
    for operation in operations(running):
        statuses = answers(running, operation, examples)
        count += len(statuses)
        assert all(status < 500 or status == 503 for status in statuses), (operation.path, statuses)
    assert count >= examples * 10


def answers(running: RunningGateway, operation: Any, examples: int) -> list[int]:
    """The statuses of so many invented calls."""
    statuses: list[int] = []

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def each(case: Any) -> None:
        statuses.append(sent(running, operation, case))

    each()
    return statuses


@pytest.mark.attack
def test_a_few_calls_of_each_kind(running: RunningGateway) -> None:
    break_it(running, FEW)


@pytest.mark.proof
def test_many_calls_of_each_kind(running: RunningGateway) -> None:
    break_it(running, MANY)
