"""Every change of a published document is found, and weighed as oasdiff's published rules weigh it. None is silent."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from codegen import surface
from codegen.compare import Change, compare
from codegen.errors import CodegenError
from codegen.rules import RULES, Kind, Level
from tests.codegen import mini

JSON = dict[str, Any]
SIDES = ("request-property", "request-parameter", "response-property")
TEXT: JSON = {"type": "string"}
NUMBER: JSON = {"type": "number"}

# One schema, another, and what the change from one to the other is called: in a request, in a parameter, in an answer.
FACTS: list[tuple[str, JSON, JSON]] = [
    ("type-changed", TEXT, {"type": "integer"}),
    ("type-changed", {"type": "boolean"}, {"type": "array", "items": TEXT}),
    ("type-changed", {**TEXT, "format": "date"}, {**TEXT, "format": "date-time"}),
    ("type-generalized", {"type": "integer"}, {"type": "number"}),
    ("type-generalized", {**TEXT, "format": "uuid"}, TEXT),
    ("type-generalized", TEXT, {}),
    ("type-specialized", {"type": "number"}, {"type": "integer"}),
    ("type-specialized", TEXT, {**TEXT, "format": "email"}),
    ("type-specialized", {}, TEXT),
    ("enum-value-added", {**TEXT, "enum": ["a"]}, {**TEXT, "enum": ["a", "b"]}),
    ("enum-value-removed", {**TEXT, "enum": ["a", "b"]}, {**TEXT, "enum": ["a"]}),
    ("became-enum", TEXT, {**TEXT, "enum": ["a"]}),
    ("is-no-enum-any-more", {**TEXT, "enum": ["a"]}, TEXT),
    ("became-nullable", TEXT, {**TEXT, "nullable": True}),
    ("became-nullable", TEXT, {"type": ["string", "null"]}),
    ("became-nullable", TEXT, {"oneOf": [TEXT, {"type": "null"}]}),
    ("became-not-nullable", {**TEXT, "nullable": True}, TEXT),
    ("pattern-added", TEXT, {**TEXT, "pattern": "^a"}),
    ("pattern-changed", {**TEXT, "pattern": "^a"}, {**TEXT, "pattern": "^b"}),
    ("pattern-removed", {**TEXT, "pattern": "^a"}, TEXT),
    ("default-value-added", TEXT, {**TEXT, "default": "a"}),
    ("default-value-changed", {**TEXT, "default": "a"}, {**TEXT, "default": "b"}),
    ("default-value-removed", {**TEXT, "default": "a"}, TEXT),
    ("deprecated", TEXT, {**TEXT, "deprecated": True}),
    ("reactivated", {**TEXT, "deprecated": True}, TEXT),
    ("description-changed", {**TEXT, "description": "At most 5."}, {**TEXT, "description": "At most 4."}),
    ("max-decreased", {"type": "integer", "maximum": 9}, {"type": "integer", "maximum": 8}),
    ("max-increased", {"type": "integer", "maximum": 9}, {"type": "integer", "maximum": 10}),
    ("max-set", {"type": "integer"}, {"type": "integer", "maximum": 9}),
    ("max-unset", {"type": "integer", "maximum": 9}, {"type": "integer"}),
    ("min-decreased", {"type": "integer", "minimum": 1}, {"type": "integer", "minimum": 0}),
    ("min-increased", {"type": "integer", "minimum": 1}, {"type": "integer", "exclusiveMinimum": 1}),
    ("min-set", {"type": "integer"}, {"type": "integer", "minimum": 1}),
    ("max-length-decreased", {**TEXT, "maxLength": 9}, {**TEXT, "maxLength": 8}),
    ("max-length-unset", {**TEXT, "maxLength": 9}, TEXT),
    ("min-length-increased", {**TEXT, "minLength": 1}, {**TEXT, "minLength": 2}),
    ("max-items-decreased", {"items": TEXT, "maxItems": 9}, {"items": TEXT, "maxItems": 8}),
    ("min-items-set", {"items": TEXT}, {"items": TEXT, "minItems": 1}),
    ("unique-items-set", {"items": TEXT}, {"items": TEXT, "uniqueItems": True}),
    ("unique-items-unset", {"items": TEXT, "uniqueItems": True}, {"items": TEXT}),
    ("enum-value-removed", {"items": {**TEXT, "enum": ["a", "b"]}}, {"items": {**TEXT, "enum": ["a"]}}),
    ("enum-value-added", {"$ref": "#/components/schemas/One"}, {"$ref": "#/components/schemas/Two"}),
    ("wrapped-in-one-of", TEXT, {"oneOf": [TEXT, {"type": "integer"}]}),
    ("unwrapped-from-one-of", {"oneOf": [TEXT, {"type": "integer"}]}, TEXT),
    ("one-of-added", {"oneOf": [TEXT, NUMBER]}, {"oneOf": [TEXT, NUMBER, {"type": "boolean"}]}),
    ("one-of-removed", {"anyOf": [TEXT, NUMBER, {"type": "boolean"}]}, {"anyOf": [TEXT, NUMBER]}),
]  # fmt: skip


def holding(side: str, schema: JSON) -> JSON:
    """The mini document with one more thing of a schema, which is only asked, only written or only read."""
    published = mini.published()
    components = published["components"]["schemas"]
    components["One"], components["Two"] = {**TEXT, "enum": ["a"]}, {**TEXT, "enum": ["a", "b"]}
    if side == "request-parameter":
        published["paths"]["/things"]["get"]["parameters"].append({"in": "query", "name": "probe", "schema": schema})
    else:
        only = "writeOnly" if side == "request-property" else "readOnly"
        components["Thing"]["allOf"][1]["properties"]["probe"] = {"allOf": [schema], **schema, only: True}
    return published


def changes(old: JSON, new: JSON) -> list[Change]:
    return compare(surface.published(old, mini.ENDPOINTS), surface.published(new, mini.ENDPOINTS))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("rule", "old", "new"), [pytest.param(*each, id=f"{each[0]}-{i}") for i, each in enumerate(FACTS)]
)
def test_what_changes_of_a_schema_is_named_and_weighed(rule: str, old: JSON, new: JSON, side: str) -> None:
    found = changes(holding(side, old), holding(side, new))
    assert {each.rule for each in found} == {f"{side}-{rule}"}
    assert all("probe" in each.place or each.place in ("One", "Two") for each in found)
    try:
        mini.trimmed(holding(side, new))
    except CodegenError as error:
        assert all(fault.place and fault.cause and fault.remedy for fault in error.faults)  # noqa: PT017 - either is right


Mutation = Callable[[JSON], object]


def thing(published: JSON) -> JSON:
    found: JSON = published["components"]["schemas"]["Thing"]["allOf"][1]
    return found


def listing(published: JSON) -> JSON:
    found: JSON = published["paths"]["/things"]["get"]
    return found


def answer(published: JSON) -> JSON:
    found: JSON = listing(published)["responses"]["200"]["content"]["application/json"]["schema"]["allOf"][1]
    return found


def renamed(mapping: JSON, old: str, new: str) -> None:
    mapping[new] = mapping.pop(old)


def parameter(published: JSON, name: str) -> JSON:
    found: JSON = next(each for each in listing(published)["parameters"] if each.get("name") == name)
    return found


LEVELS = {
    "breaking": Level.BREAKING,
    "warning": Level.WARNING,
    "info": Level.INFO,
}
# What is done to the document, the rules that name it, the worst level, and the endpoints that are touched.
MUTATIONS: list[tuple[str, Mutation, set[str], str, int]] = [
    (
        "an endpoint goes",
        lambda d: d["paths"]["/things/{id}"].pop("delete"),
        {"api-removed-without-deprecation"},
        "breaking",
        1,
    ),
    ("an endpoint is deprecated", lambda d: listing(d).update(deprecated=True), {"endpoint-deprecated"}, "info", 1),
    (
        "an endpoint is described otherwise",
        lambda d: listing(d).update(description="Else."),
        {"endpoint-description-changed"},
        "info",
        1,
    ),
    (
        "a scope comes",
        lambda d: d["paths"]["/things"]["post"].update({"x-pd-requires-scope": "things.write"}),
        {"api-security-scope-added"},
        "info",
        1,
    ),
    (
        "a scope changes",
        lambda d: listing(d).update({"x-pd-requires-scope": "all.read"}),
        {"api-security-scope-added", "api-security-scope-removed"},
        "info",
        1,
    ),
    (
        "a success goes",
        lambda d: renamed(d["paths"]["/things/{id}"]["delete"]["responses"], "204", "202"),
        {"response-success-status-added", "response-success-status-removed"},
        "breaking",
        1,
    ),
    (
        "an error comes",
        lambda d: listing(d)["responses"].update({"429": {"description": "Slow."}}),
        {"response-non-success-status-added"},
        "info",
        1,
    ),
    ("an error goes", lambda d: listing(d)["responses"].pop("400"), {"response-non-success-status-removed"}, "info", 1),
    (
        "a body comes",
        lambda d: d["paths"]["/things/{id}"]["delete"].update(
            requestBody={"content": {"application/json": {"schema": TEXT}}}
        ),
        {"request-body-added-required"},
        "breaking",
        1,
    ),
    (
        "a body goes",
        lambda d: d["paths"]["/things"]["post"].pop("requestBody"),
        {"request-body-removed"},
        "breaking",
        1,
    ),
    (
        "an answer goes",
        lambda d: d["paths"]["/things"]["post"]["responses"]["201"].pop("content"),
        {"response-body-removed"},
        "breaking",
        1,
    ),
    (
        "an answer comes",
        lambda d: d["paths"]["/things/{id}"]["delete"]["responses"]["204"].update(
            content={"application/json": {"schema": TEXT}}
        ),
        {"response-body-added"},
        "info",
        1,
    ),
    (
        "a parameter is renamed",
        lambda d: parameter(d, "filter").update(name="filters"),
        {"request-parameter-renamed"},
        "breaking",
        1,
    ),
    (
        "a parameter goes",
        lambda d: listing(d)["parameters"].remove(parameter(d, "since")),
        {"request-parameter-removed"},
        "warning",
        1,
    ),
    (
        "a required parameter comes",
        lambda d: listing(d)["parameters"].append({"in": "query", "name": "q", "required": True, "schema": TEXT}),
        {"new-required-request-parameter"},
        "breaking",
        1,
    ),
    (
        "an optional parameter comes",
        lambda d: listing(d)["parameters"].append({"in": "query", "name": "q", "schema": TEXT}),
        {"new-optional-request-parameter"},
        "info",
        1,
    ),
    (
        "a parameter becomes required",
        lambda d: parameter(d, "total").update(required=True),
        {"request-parameter-became-required"},
        "breaking",
        1,
    ),
    (
        "a parameter becomes optional",
        lambda d: parameter(d, "Content-Type").update(required=False),
        {"request-parameter-became-optional"},
        "info",
        1,
    ),
    (
        "a list is sent otherwise",
        lambda d: parameter(d, "sort_by").update(explode=True),
        {"request-parameter-style-changed"},
        "breaking",
        1,
    ),
    (
        "a shared parameter changes",
        lambda d: d["components"]["parameters"]["header_Accept"].update(required=False),
        {"request-parameter-became-optional"},
        "info",
        1,
    ),
    (
        "a member is renamed",
        lambda d: renamed(thing(d)["properties"], "created_at", "created_on"),
        {"response-property-renamed"},
        "breaking",
        3,
    ),
    (
        "a member that is written is renamed",
        lambda d: renamed(thing(d)["properties"], "status", "state"),
        {"response-property-renamed", "request-property-renamed"},
        "breaking",
        3,
    ),
    (
        "a member goes",
        lambda d: thing(d)["properties"].pop("status"),
        {"response-optional-property-removed", "request-property-removed"},
        "warning",
        3,
    ),
    (
        "a required member goes",
        lambda d: (thing(d)["properties"].pop("name"), thing(d)["required"].remove("name")),
        {"response-required-property-removed", "request-property-removed"},
        "breaking",
        3,
    ),
    (
        "a member comes",
        lambda d: thing(d)["properties"].update(colour=TEXT),
        {"response-optional-property-added", "new-optional-request-property"},
        "info",
        3,
    ),
    (
        "a member that is only read comes",
        lambda d: thing(d)["properties"].update(colour={**TEXT, "readOnly": True}),
        {"response-optional-property-added"},
        "info",
        3,
    ),
    (
        "a required member comes",
        lambda d: (thing(d)["properties"].update(colour=TEXT), thing(d)["required"].append("colour")),
        {"response-required-property-added", "new-required-request-property"},
        "breaking",
        3,
    ),
    (
        "a member becomes required",
        lambda d: thing(d)["required"].append("timeout"),
        {"response-property-became-required", "request-property-became-required"},
        "breaking",
        3,
    ),
    (
        "a member becomes optional",
        lambda d: thing(d)["required"].remove("name"),
        {"response-property-became-optional", "request-property-became-optional"},
        "breaking",
        3,
    ),
    (
        "a member becomes read-only",
        lambda d: thing(d)["properties"]["status"].update(readOnly=True),
        {"request-property-became-read-only", "response-property-became-read-only"},
        "info",
        3,
    ),
    (
        "a member becomes writable",
        lambda d: thing(d)["properties"]["key"].update(readOnly=False),
        {"request-property-became-not-read-only", "response-property-became-not-read-only"},
        "info",
        3,
    ),
    (
        "a member becomes write-only",
        lambda d: thing(d)["properties"]["name"].update(writeOnly=True),
        {"response-property-became-write-only", "request-property-became-write-only"},
        "info",
        3,
    ),
    (
        "an answer's member becomes required",
        lambda d: answer(d).update(required=[]),
        {"response-property-became-optional"},
        "breaking",
        1,
    ),
    (
        "a schema far below changes",
        lambda d: d["components"]["schemas"]["Tag"]["allOf"][0]["properties"]["summary"].update(nullable=False),
        {"response-property-became-not-nullable"},
        "info",
        3,
    ),
    (
        "a variant comes",
        lambda d: d["components"]["schemas"]["Entry"]["oneOf"].append({"type": "object", "properties": {"new": TEXT}}),
        {"response-property-one-of-added", "request-property-one-of-added"},
        "breaking",
        3,
    ),
    (
        "a variant's member changes",
        lambda d: d["components"]["schemas"]["Entry"]["oneOf"][0]["properties"]["note"].update(type="integer"),
        {"response-property-type-changed", "request-property-type-changed"},
        "breaking",
        3,
    ),
    (
        "a placeholder is renamed",
        lambda d: [
            p.update(name="thing") for m in ("put", "delete") for p in d["paths"]["/things/{id}"][m]["parameters"]
        ],
        {"path-parameter-renamed"},
        "info",
        2,
    ),
]


@pytest.mark.parametrize(
    ("mutation", "rules", "level", "touched"), [pytest.param(*each[1:], id=each[0]) for each in MUTATIONS]
)
def test_a_mutation_is_found_weighed_and_placed(mutation: Mutation, rules: set[str], level: str, touched: int) -> None:
    published = mini.published()
    mutation(published)
    found = changes(mini.published(), published)
    assert {each.rule for each in found} == rules
    assert found[0].level is LEVELS[level]
    assert len({endpoint for each in found for endpoint in each.endpoints}) == touched


def test_there_is_no_change_where_nothing_changed() -> None:
    assert changes(mini.published(), mini.published()) == []
    reordered = json.loads(json.dumps(mini.published(), sort_keys=True))
    assert changes(mini.published(), reordered) == []
    assert len(FACTS) * len(SIDES) + len(MUTATIONS) > 150


def test_a_change_back_is_the_opposite() -> None:
    opposite = {
        Kind.ADDED: Kind.REMOVED,
        Kind.REMOVED: Kind.ADDED,
        Kind.WIDENED: Kind.NARROWED,
        Kind.NARROWED: Kind.WIDENED,
    }
    for _, mutation, *_ in MUTATIONS:
        published = mini.published()
        mutation(published)
        there, back = changes(mini.published(), published), changes(published, mini.published())
        assert sorted(opposite.get(each.kind, each.kind) for each in there) == sorted(each.kind for each in back)


def test_every_rule_has_a_level_and_a_kind() -> None:
    assert all(isinstance(rule.level, Level) and isinstance(rule.kind, Kind) for rule in RULES.values())


def test_a_surface_keeps_no_prose_and_its_text_holds_all_of_it() -> None:
    found = surface.published(mini.published(), mini.ENDPOINTS)
    text = surface.text(found)
    assert json.loads(text) == found
    assert "Prose" not in text
    assert text == surface.text(deepcopy(found))


def test_what_is_no_document_has_no_surface() -> None:
    for document in ({}, {"paths": {}}, {"openapi": "3.0.2", "paths": {"/else": {"get": {}}}}):
        with pytest.raises(CodegenError, match="has none of the endpoints"):
            surface.published(document, mini.ENDPOINTS)
