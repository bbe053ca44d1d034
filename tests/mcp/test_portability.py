"""Every client takes the tools: OpenAI's strict subset, Gemini's rules, three regex engines, and a byte budget."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import pydantic
import pytest
import re2
import yaml
from jsonschema import Draft202012Validator
from mcp_types import ListToolsResult, Tool

from arx_wrapper import OPERATIONS, PagerDutyConnector
from arx_wrapper.mcp.schemas import portable, portable_pattern
from arx_wrapper.mcp.tools import Tools
from tests.mcp.conftest import POLICIES
from tests.support import ASK_ABOUT_HIGH, EVERYTHING

Node = Mapping[str, Any]

# OpenAI, "Structured outputs: supported schemas". Lengths of texts are not among them.
STRICT = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"pattern", "format", "enum"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "enum"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "enum"},
    "boolean": {"enum"},
}
# Gemini's `Schema`, of those that schemas here could use; `additionalProperties` is read since `parametersJsonSchema`.
GEMINI = {"type", "description", "enum", "items", "properties", "required", "pattern", "minimum", "maximum"}


@pytest.fixture(scope="module")
def tools() -> list[Tool]:
    found = Tools(PagerDutyConnector.sandbox(policies=[EVERYTHING])).offered()
    asking = Tools(PagerDutyConnector.sandbox(policies=[ASK_ABOUT_HIGH])).offered()
    return found + asking


def nodes(schema: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    yield path, schema
    for name, member in schema.get("properties", {}).items():
        yield from nodes(member, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def all_nodes(tools: list[Tool]) -> list[tuple[str, Node]]:
    return [(tool.name + path, node) for tool in tools for path, node in nodes(tool.input_schema)]


def kinds(node: Node) -> list[str]:
    kind = node["type"]
    return [item for item in kind if item != "null"] if isinstance(kind, list) else [kind]


def patterns(node: object) -> Iterator[str]:
    """Every pattern that stands anywhere in a parameter model's schema."""
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for member in node.values():
            yield from patterns(member)
    elif isinstance(node, list):
        for member in node:
            yield from patterns(member)


def test_schemas_keep_to_openais_strict_subset(tools: list[Tool]) -> None:
    for path, node in all_nodes(tools):
        (kind,) = kinds(node)
        assert node.keys() - {"type", "description"} <= STRICT[kind], path
        if kind == "object":
            assert node["additionalProperties"] is False, path
            assert set(node.get("required", ())) <= node["properties"].keys(), path
    for tool in tools:
        assert tool.input_schema["type"] == "object"
        assert max(path.count(".") + path.count("[]") for path, _ in nodes(tool.input_schema)) <= 5


def test_schemas_keep_to_geminis_rules(tools: list[Tool]) -> None:
    for path, node in all_nodes(tools):
        assert node.keys() <= GEMINI | {"additionalProperties"}, path
        (kind,) = kinds(node)
        if "enum" in node:
            assert kind == "string", path
            assert all(isinstance(value, str) or value is None for value in node["enum"]), path
        if kind == "object":
            assert node["properties"] or path in {tool.name for tool in tools}, path
        if kind == "array":
            assert node["items"]["type"], path
    for tool in tools:
        assert len(tool.name) <= 64
        assert tool.name.replace("_", "").isalnum()


def test_schemas_are_flat_and_valid(tools: list[Tool]) -> None:
    for tool in tools:
        Draft202012Validator.check_schema(tool.input_schema)
        text = json.dumps(tool.input_schema)
        assert not [word for word in ("$ref", "$defs", "$schema", "anyOf", "oneOf", "allOf") if f'"{word}"' in text]


@pytest.fixture(scope="module")
def published(tools: list[Tool]) -> list[str]:
    """The patterns that tools publish, and those of the parameters, as they would be published."""
    pd = PagerDutyConnector.sandbox()
    found = {pattern for tool in tools for pattern in patterns(tool.input_schema)}
    assert found
    models = {pattern for name in OPERATIONS for pattern in patterns(pd.model_of(name).schema())}
    return sorted(found | {portable_pattern(pattern) for pattern in models})


def test_patterns_compile_in_re2_and_rust_and_are_anchored(published: list[str]) -> None:
    for pattern in published:
        re2.compile(pattern)
        pydantic.TypeAdapter(Annotated[str, pydantic.Field(pattern=pattern)])
        assert pattern.startswith("^")
        assert pattern.endswith("$")
        assert not any(look in pattern for look in ("(?=", "(?!", "(?<"))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, for ECMAScript's regular expressions")
def test_patterns_compile_in_ecmascript(published: list[str]) -> None:
    script = 'for (const p of JSON.parse(require("fs").readFileSync(0))) new RegExp(p, "u")'
    command = [str(shutil.which("node")), "-e", script]
    done = subprocess.run(command, input=json.dumps(published), text=True, capture_output=True, check=False)  # noqa: S603
    assert (done.returncode, done.stderr) == (0, "")


def test_an_object_of_any_members_is_published_as_json_text_and_null_as_a_type() -> None:
    schema = {
        "type": "object",
        "properties": {
            "fields": {"type": "object"},
            "colour": {"anyOf": [{"enum": ["red"]}, {"type": "null"}]},
            "sort_by": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        },
        "additionalProperties": False,
    }
    found = portable(schema, descriptions={})["properties"]
    assert found["fields"] == {"type": "string", "description": "JSON object, as text."}
    assert found["colour"] == {"type": ["string", "null"], "enum": ["red", None]}
    assert found["sort_by"] == {"type": "array", "items": {"type": "string"}}


def test_parameters_that_name_records_say_where_their_values_come_from(tools: list[Tool]) -> None:
    for tool in tools:
        for name, member in tool.input_schema["properties"].items():
            if name.endswith(("_id", "_ids")) and name != "approval_id":
                assert member.get("description"), f"{tool.name}.{name}"
    described = {tool.name: tool.input_schema["properties"] for tool in tools}
    assert described["services_read_detail"]["service_id"]["description"] == "From services_read"
    assert described["incidents_reassign"]["assignee_ids"]["description"] == "From users_read"
    assert "{" not in json.dumps([member.get("description", "") for p in described.values() for member in p.values()])


@pytest.mark.parametrize(("policy", "budget"), [("pd-incident-responder", 16_000), ("pd-oncall-readonly", 12_000)])
def test_the_list_of_tools_is_small(policy: str, budget: int) -> None:
    entries = yaml.safe_load((POLICIES / f"{policy}.yaml").read_text())
    listed = ListToolsResult(tools=Tools(PagerDutyConnector.sandbox(policies=entries)).offered())
    assert len(listed.model_dump_json(by_alias=True, exclude_none=True)) <= budget
