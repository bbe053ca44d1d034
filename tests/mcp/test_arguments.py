"""Arguments as clients write them: nulls, JSON as text, 5.0; messages the SDK cannot read are refused on record."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import Any

import httpx2
import pytest

from arx_wrapper import OPERATIONS, PagerDutyConnector
from arx_wrapper.mcp.arguments import read_arguments
from arx_wrapper.mcp.message_repair import MARK, mend
from arx_wrapper.mcp.tools import Tools
from arx_wrapper.params import NULL
from tests.mcp.conftest import Deployment, structured
from tests.mcp.test_calls import never
from tests.mcp.test_http import ACCEPT, BEARER, HELLO
from tests.support import EVERYTHING, PATIENCE, trail

HALF = '"\\ud83d"'


@pytest.fixture
def schema() -> dict[str, Any]:
    pd = PagerDutyConnector.sandbox()
    return {name: pd.model_of(name).schema() for name in OPERATIONS}


@pytest.mark.parametrize(
    ("operation", "given", "read"),
    [
        ("incidents:read", {"limit": 5.0, "offset": "0"}, {"limit": 5, "offset": 0}),
        ("incidents:read", {"limit": "5"}, {"limit": 5}),
        ("incidents:read", {"limit": 5.5}, {"limit": 5.5}),
        ("incidents:read", {"limit": "five"}, {"limit": "five"}),
        ("incidents:read", {"limit": True}, {"limit": True}),
        ("incidents:read", {"total": "True"}, {"total": True}),
        ("incidents:read", {"total": "yes"}, {"total": "yes"}),
        ("incidents:read", {"statuses": '["triggered"]'}, {"statuses": ["triggered"]}),
        ("incidents:read", {"statuses": "triggered"}, {"statuses": ["triggered"]}),
        ("incidents:read", {"statuses": "[triggered]"}, {"statuses": ["[triggered]"]}),
        ("incidents:read", {"sort_by": "created_at:desc"}, {"sort_by": ["created_at:desc"]}),
        ("incidents:read", {"since": None, "service_ids": None}, {}),
        ("incidents:read", {"unknown": None}, {"unknown": NULL}),
        ("incidents:read_detail", {"incident_id": 1234}, {"incident_id": "1234"}),
        ("incidents:update", {"priority_id": None, "title": None}, {"priority_id": NULL}),
        ("incidents:manage", {"incidents": '[{"id":"P1","priority_id":null,"title":null}]'},
         {"incidents": [{"id": "P1", "priority_id": NULL}]}),
        ("incidents:manage", {"incidents": ['{"id":"P1","escalation_level":2.0}']},
         {"incidents": [{"id": "P1", "escalation_level": 2}]}),
        ("services:update", {"fields": '{"auto_resolve_timeout":null}'}, {"fields": {"auto_resolve_timeout": NULL}}),
        ("services:update", {"fields": {"auto_resolve_timeout": None}}, {"fields": {"auto_resolve_timeout": NULL}}),
        ("services:update", {"fields": "[1]"}, {"fields": "[1]"}),
        ("services:update", {"description": None, "name": "null"}, {"description": NULL, "name": "null"}),
        ("incidents:add_note", {"content": '["not a list here"]'}, {"content": '["not a list here"]'}),
        ("incidents:snooze", {"duration": "1" * 5_000}, {"duration": "1" * 5_000}),
    ],
)  # fmt: skip
def test_values_are_read_as_the_schema_asks(
    schema: dict[str, Any], operation: str, given: dict[str, Any], read: dict[str, Any]
) -> None:
    found = read_arguments(schema[operation], given)
    assert found == read
    assert [type(value) for value in found.values()] == [type(value) for value in read.values()]


async def test_a_call_whose_every_other_parameter_is_null_is_made() -> None:
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        assert pd.sandbox_account
        pd.sandbox_account.options.personal_key = True  # or users_read_me is refused
        tools = Tools(pd)
        for tool in tools.offered():
            names = tool.input_schema["properties"]
            if tool.annotations and tool.annotations.read_only_hint and "required" not in tool.input_schema:
                asked = {**dict.fromkeys(names), "approval_id": None, "wait_seconds": None}
                assert structured(await tools.call(tool.name, asked, never))["done"] is True


async def test_nesting_beyond_any_depth_is_refused_by_name_and_on_record() -> None:
    deep: Any = None
    for _ in range(5_000):
        deep = [deep]
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING]) as pd:
        for given in (deep, "[" * 5_000 + "]" * 5_000, '{"a":' * 900 + "1" + "}" * 900):
            arguments = {"service_id": "PABC123", "fields": {"x": given} if given is deep else given}
            found = structured(await Tools(pd).call("services_update", arguments, never))
            assert found["error"]["class"] == "InvalidParamsError"
        assert [record.action_type for record in await trail(pd)] == ["connector.refused"] * 3


DEEP = '{"incident_id":"P1234AB","content":' + "[" * 600
UNREADABLE = [
    '{"incident_id":"P1234AB","content":"\\ud83d"}',
    '{"incident_id":"P1234AB","content":"a\\udE00b"}',
    '{"incident_id":"P1234AB","\\ud83d":"x"}',
    '{"incident_id":["\\ud83d"],"content":"x"}',
    f'{DEEP}"\\ud83d"{"]" * 600}}}',  # deeper than the SDK reads, and than Python recurses
    f'{DEEP}"x"{"]" * 600}}}',
    f'{DEEP}{"[" * 9_000}"\\ud83d"{"]" * 9_600}}}',
]


def test_what_the_sdk_cannot_read_is_answered_and_recorded_over_stdio(deployment: Deployment) -> None:
    lines = [json.dumps({**HELLO, "id": 0}), json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})]
    for number, arguments in enumerate(UNREADABLE, 1):
        call = f'{{"name":"incidents_add_note","arguments":{arguments}}}'
        lines.append(f'{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{call}}}')
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = deployment.start("mcp", **pipes)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write("\n".join(lines) + "\n")
        process.stdin.flush()
        answers = {(answer := json.loads(process.stdout.readline()))["id"]: answer for _ in range(1 + len(UNREADABLE))}
    finally:
        process.communicate(timeout=60)
    for number in range(1, 1 + len(UNREADABLE)):
        result = answers[number]["result"]
        assert result["isError"] is True
        error = json.loads(result["content"][0]["text"])["error"]
        assert (error["class"], error["sent"]) == ("InvalidParamsError", "no")
    records = [json.loads(line) for line in deployment.run("audit", "export").stdout.splitlines()]
    refused = [record for record in records if record["action_type"] == "connector.refused"]
    assert [record["operation"].strip("'") for record in refused] == ["incidents:add_note"] * len(UNREADABLE)


@pytest.mark.parametrize("content", [HALF, f"{'[' * 600}{HALF}{']' * 600}", f"{'[' * 600}{']' * 600}"])
async def test_what_the_sdk_cannot_read_is_answered_and_recorded_over_http(
    deployment: Deployment, content: str
) -> None:
    call = (
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"incidents_add_note",'
        f'"arguments":{{"incident_id":"P1234AB","content":{content}}}}}}}'
    )
    async with deployment.served() as url, httpx2.AsyncClient(headers=BEARER | ACCEPT, timeout=PATIENCE) as client:
        opened = await client.post(url, json=HELLO)
        session = {"Mcp-Session-Id": opened.headers["Mcp-Session-Id"], "Content-Type": "application/json"}
        answer = await client.post(url, headers=session, content=call)
    assert answer.status_code == 200
    assert "InvalidParamsError" in answer.text
    last = json.loads((await asyncio.to_thread(deployment.run, "audit", "export")).stdout.splitlines()[-1])
    assert (last["operation"].strip("'"), last["action_type"]) == ("incidents:add_note", "connector.refused")


def test_only_what_is_nested_too_deep_is_cut_off() -> None:
    for depth, kept in ((99, 99), (100, 99), (100_000, 99)):
        found = json.loads(mend(f'{{"a":{"[" * depth}{"]" * depth},"b":"[{{\\"[","c":[{{}},{{}}]}}'))
        assert (found["b"], found["c"]) == ('[{"[', [{}, {}])
        value, levels = found["a"], 0
        while isinstance(value, list):
            value, levels = next(iter(value), None), levels + 1
        assert levels == kept
    for unclosed in ("[" * 5_000, '"' + '\\"[' * 5_000, "]" * 5_000 + "[" * 200):
        assert mend(unclosed) == unclosed


def test_only_messages_with_half_a_pair_are_mended() -> None:
    whole_pairs = (
        '{"a":"\\ud83d\\ude00"}',
        '{"a":"\\\\ud83d"}',
        '{"a":"\\\\\\\\ud83d","n":1.0}',
        "no json \\ud83d",
        "[]",
    )
    for whole in whole_pairs:
        assert mend(whole) == whole
    mended = json.loads(mend('{"id":1,"params":{"name":"x","_meta":{"k":1},"a":["\\ude00\\ud83d"]}}'))
    assert mended["params"] == {"name": "x", "_meta": {"k": 1, MARK: True}, "a": ["\ufffd\ufffd"]}
    assert json.loads(mend('{"id":"\\ud83d"}')) == {"id": "\ufffd"}
