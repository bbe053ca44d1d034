"""The table, the methods, the generated client and PagerDuty's wire agree, for all 45 operations."""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from arx_wrapper import EXTENSIONS, OPERATIONS, PagerDutyConnector, Risk
from arx_wrapper.core.param_model import param_model
from arx_wrapper.model import Many
from arx_wrapper.pagerduty.pagination import Page
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.sandbox.clock import EPOCH
from tests.cases import Subjects, calls
from tests.subjects import subjects
from tests.support import connector_on

CASES = calls(Subjects(**dict.fromkeys(Subjects.__annotations__, "P1")))


def test_there_are_45_operations_of_the_documented_risks() -> None:
    assert Counter(row.risk for row in OPERATIONS.values()) == {Risk.LOW: 27, Risk.MEDIUM: 14, Risk.HIGH: 4}
    assert {name for name, row in OPERATIONS.items() if row.risk is Risk.HIGH} == {
        "services:create",
        "services:delete",
        "maintenance:create",
        "escalation:delete",
    }


DOCUMENTED = [
    line.split(" ", 4)
    for line in (Path(__file__).parent / "documented.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


def test_the_documented_operations_are_these_in_their_order() -> None:
    assert list(OPERATIONS) == [name for name, *_ in DOCUMENTED]


@pytest.mark.parametrize(("name", "method", "path", "risk", "signature"), DOCUMENTED)
def test_an_operation_and_its_method_are_as_documented(
    name: str, method: str, path: str, risk: str, signature: str
) -> None:
    row = OPERATIONS[name]
    function, listed = signature.removesuffix(")").split("(")
    assert (row.method, row.path, row.risk.name, row.function) == (method, path, risk, function)
    positional, _, keywords = listed.partition("*")
    _, *parameters = inspect.signature(getattr(PagerDutyConnector, function)).parameters.values()
    required = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty]
    optional = {one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.default is None}
    assert required == [word for word in re.split(r"[, ]+", positional) if word]
    assert {word for word in re.split(r"[, ]+", keywords) if word} <= optional
    assert len(required) + len(optional) == len(parameters)


def test_every_operation_has_a_method_of_its_own_and_every_method_an_operation() -> None:
    methods = {
        name
        for name, member in inspect.getmembers(PagerDutyConnector, inspect.iscoroutinefunction)
        if not name.startswith("_") and member.__module__.startswith("arx_wrapper.pagerduty.")
    }
    assert methods == {row.function for row in PagerDutyConnector.operations.values()}
    assert len(methods) == len(OPERATIONS) + len(EXTENSIONS)


def test_every_operation_has_a_case() -> None:
    assert set(CASES) == set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_generated_call_has_the_tables_method_and_path(name: str) -> None:
    row = OPERATIONS[name]
    endpoint = importlib.import_module(f"pagerduty_client.api.{row.endpoint}")
    assert (row.method, row.path) == (endpoint.METHOD, endpoint.PATH)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_method_takes_what_the_generated_call_takes(name: str) -> None:
    row = OPERATIONS[name]
    if row.body is not None:
        return
    endpoint = importlib.import_module(f"pagerduty_client.api.{row.endpoint}")
    generated = set(inspect.signature(endpoint.request).parameters) - {"from_"}
    ours = set(param_model(name, getattr(PagerDutyConnector, row.function)).names) - {"requester_email"}
    assert ours <= generated


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_method_returns_the_tables_model(name: str) -> None:
    row = OPERATIONS[name]
    models = importlib.import_module("pagerduty_client.models")
    returns = typing.get_type_hints(getattr(PagerDutyConnector, row.function))["return"]
    if row.returns is None:
        assert returns is type(None)
    elif isinstance(row.returns, Many):
        assert typing.get_origin(returns) in (Page, list)
        assert typing.get_args(returns) == (getattr(models, str(row.returns.model)),)
    else:
        assert returns is getattr(models, str(row.returns.model))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_write_takes_a_requester_and_no_read_does(name: str) -> None:
    row = OPERATIONS[name]
    names = param_model(name, getattr(PagerDutyConnector, row.function)).names
    assert ("requester_email" in names) == row.writes


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_docstring_states_source_and_risk(name: str) -> None:
    row = OPERATIONS[name]
    text = inspect.getdoc(getattr(PagerDutyConnector, row.function)) or ""
    assert f"Source: `{row.method} {row.path}`" in text
    assert f"Risk: {row.risk.name}." in text


@pytest.mark.parametrize("name", OPERATIONS)
async def test_the_method_and_execute_send_the_same_and_return_the_same(name: str) -> None:
    answers: list[Any] = []
    sent: list[Any] = []
    for typed in (True, False):
        account = Sandbox(clock=lambda: EPOCH)  # stands still, so that both answers hold the same times
        async with connector_on(account) as pd:
            params = calls(await subjects(pd))[name]
            account.requests.clear()
            if typed:
                value = await getattr(pd, OPERATIONS[name].function)(**params)
                answers.append(_plain(value))
            else:
                body = await pd.execute(name, params)
                key = OPERATIONS[name].envelope
                answers.append(body[key] if key else (body or None))
            assert all(not request.unknown for request in account.requests), account.requests
            sent.append([(r.method, r.path, r.query, r.headers.get("from"), r.body) for r in account.requests])
    assert sent[0] == sent[1]
    assert sent[0]
    assert answers[0] == answers[1]


def _plain(value: Any) -> Any:
    if isinstance(value, Page | list):
        return [item.to_dict() for item in value]
    return value.to_dict() if value is not None else None
