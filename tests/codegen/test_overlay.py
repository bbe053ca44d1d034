"""The overlay is OpenAPI Overlay 1.0, and strict: an action that no longer applies, or has no reason, is an error."""

from __future__ import annotations

from typing import Any

import pytest

from codegen import correction
from codegen.errors import CodegenError
from codegen.overlay import apply, examine
from codegen.trim import OVERLAY, load_overlay


def overlay(*actions: dict[str, Any]) -> dict[str, Any]:
    return {"overlay": "1.0.0", "actions": [{"description": "A reason.", **action} for action in actions]}


def test_an_update_merges_objects_extends_arrays_and_replaces_the_rest() -> None:
    document = {"a": {"keep": 1, "list": [1], "text": "old"}}
    update = {"list": [2], "text": "new", "more": {"deep": True}}
    assert apply(document, overlay({"target": "$.a", "update": update})) == {
        "a": {"keep": 1, "list": [1, 2], "text": "new", "more": {"deep": True}}
    }
    assert document == {"a": {"keep": 1, "list": [1], "text": "old"}}


def test_an_update_of_an_array_appends() -> None:
    assert apply({"a": [1]}, overlay({"target": "$.a", "update": {"b": 2}})) == {"a": [1, {"b": 2}]}


def test_removal_takes_every_match_away() -> None:
    document = {"a": {"x": 1, "y": 2}, "b": {"x": 3}}
    assert apply(document, overlay({"target": "$.*.x", "remove": True})) == {"a": {"y": 2}, "b": {}}


def test_removal_of_several_items_of_one_array_takes_the_right_ones() -> None:
    document = {"a": [{"drop": True, "n": 1}, {"drop": True, "n": 2}, {"n": 3}]}
    assert apply(document, overlay({"target": "$.a[?@.drop]", "remove": True})) == {"a": [{"n": 3}]}


def test_actions_apply_in_their_order() -> None:
    actions = ({"target": "$.a", "update": {"b": {"c": 1}}}, {"target": "$.a.b", "update": {"c": 2}})
    assert apply({"a": {}}, overlay(*actions)) == {"a": {"b": {"c": 2}}}


@pytest.mark.parametrize("target", ["$.gone", "$.a[?@.name == 'gone']", "$.a.b.c"])
def test_an_action_that_no_longer_applies_is_an_error(target: str) -> None:
    with pytest.raises(CodegenError, match="no longer applies: its target matches nothing"):
        apply({"a": {"b": 1}}, overlay({"target": target, "remove": True}))


def test_an_action_that_says_what_is_published_already_is_an_error() -> None:
    with pytest.raises(CodegenError, match="no longer applies: what it says is published already"):
        apply({"a": {"b": 1}, "c": {}}, overlay({"target": "$.a", "update": {"b": 1}}))
    with pytest.raises(CodegenError, match="no longer applies: what it says is published already"):
        apply({"a": {"x": {}}, "b": {"x": {"n": 1}}}, overlay({"target": "$.*.x", "update": {"n": 1}}))


def test_an_item_that_is_published_by_now_is_not_added_twice() -> None:
    def pruned(document: Any, target: str, update: Any) -> tuple[bool, Any]:
        found = examine(document, overlay({"target": target, "update": update}))
        return all(each.fixed for each in found.stale) if found.stale else False, found.document

    assert pruned({"a": ["x"]}, "$.a", "x") == (True, {"a": ["x"]})
    assert pruned({"a": ["x"]}, "$.a", "y") == (False, {"a": ["x", "y"]})
    assert pruned({"a": {"b": ["x"]}}, "$.a", {"b": ["x"]}) == (True, {"a": {"b": ["x"]}})
    assert pruned({"a": {"b": ["x"]}}, "$.a", {"b": ["x", "y"]}) == (False, {"a": {"b": ["x", "y"]}})
    with pytest.raises(CodegenError, match="is published already"):
        apply({"a": {"b": ["x"]}}, overlay({"target": "$.a", "update": {"b": ["x", "y"]}}))


def test_true_is_not_one() -> None:
    assert apply({"a": {"b": 1}}, overlay({"target": "$.a", "update": {"b": True}})) == {"a": {"b": True}}


@pytest.mark.parametrize(
    ("document", "fixed"),
    [
        ({"a": {"b": {"other": 1}}}, True),
        ({"a": {"b": {"renamed_": 1}}}, False),
        ({"a": {"other": {}}}, False),
        ({"other": {}}, False),
    ],
)
def test_a_removal_is_fixed_only_where_its_own_name_is_gone(document: Any, fixed: bool) -> None:
    [stale] = examine(document, overlay({"target": "$.a.b.renamed", "remove": True})).stale
    assert stale.fixed is fixed


@pytest.mark.parametrize("target", ["$.a[", "a", "", None])
def test_a_target_that_is_not_jsonpath_is_an_error(target: str | None) -> None:
    with pytest.raises(CodegenError, match="a target that is not JSONPath"):
        apply({"a": 1}, overlay({"target": target, "remove": True}))


def test_the_whole_document_is_not_removed() -> None:
    with pytest.raises(CodegenError, match="removes the whole document"):
        apply({"a": 1}, overlay({"target": "$", "remove": True}))


def test_an_action_without_a_reason_is_an_error() -> None:
    with pytest.raises(CodegenError, match="gives no reason"):
        apply({"a": {}}, overlay({"target": "$.a", "update": {"b": 1}, "description": " "}))


def test_an_action_that_does_nothing_is_an_error() -> None:
    with pytest.raises(CodegenError, match="neither removes nor updates"):
        apply({"a": 1}, overlay({"target": "$.a", "update": {"b": 1}}))


def test_another_version_of_overlay_is_an_error() -> None:
    with pytest.raises(CodegenError, match=r"version '2\.0\.0'"):
        apply({}, {"overlay": "2.0.0", "actions": []})


def test_every_committed_action_has_a_reason() -> None:
    for action in load_overlay()["actions"]:
        assert len(action["description"]) > 5, action["target"]


def test_every_stale_action_is_named_at_once_with_its_line_and_the_corrected_entry() -> None:
    text = """overlay: 1.0.0
actions:
  - target: $.users.properties['http_cal_url', 'web_cal_url']  # two of one kind
    description: Private.
    update: {format: password}
  - target: $.users.properties.name
    description: Already so.
    update: {nullable: true, maxLength: 5}
"""
    document = {"users": {"properties": {"http_cal_url": {}, "web_calendar_url": {}, "name": {"nullable": True}}}}
    with pytest.raises(CodegenError) as raised:
        apply(document, correction.load(text, "x"))
    first, second = raised.value.faults
    assert first.place == "spec/overlay.yaml:3 ($.users.properties['http_cal_url', 'web_cal_url'])"
    assert "for want of 'web_cal_url', the nearest is 'web_calendar_url'" in first.cause
    assert '["http_cal_url", "name", "web_calendar_url"]' in first.cause
    assert "target: $.users.properties['http_cal_url', 'web_calendar_url']" in first.remedy
    assert second.place.startswith("spec/overlay.yaml:6 ")
    assert "published already" in second.cause
    assert "update: {maxLength: 5}" in second.remedy


def test_a_name_that_the_document_lacks_is_only_added_by_an_action_that_says_so() -> None:
    document = {"components": {"schemas": {"User": {"properties": {"id": {}}}}}}
    for target, update in (
        ("$.components.schemas", {"Team": {"description": "A team."}}),
        ("$.components.schemas.User.properties", {"mail": {"type": "string"}}),
        ("$.components.schemas.User", {"properties": {"mail": {"type": "string"}}}),
    ):
        with pytest.raises(CodegenError, match="which the document lacks: it was renamed or removed"):
            apply(document, overlay({"target": target, "update": update}))
        created = apply(document, overlay({"target": target, "update": update, "x-creates": True}))
        assert created != document


def test_a_member_set_beside_a_reference_has_to_be_one_of_what_it_refers_to() -> None:
    schemas = {"Base": {"properties": {"id": {}}}, "Thing": {"allOf": [{"$ref": "#/components/schemas/Base"}]}}
    document = {"components": {"schemas": schemas}, "x": {"$ref": "#/components/schemas/Thing"}}
    action = {"target": "$.x", "update": {"properties": {"id": {"readOnly": True}}}}
    assert apply(document, overlay(action))["x"]["properties"] == {"id": {"readOnly": True}}
    del schemas["Base"]["properties"]["id"]
    with pytest.raises(CodegenError, match="would create 'id', which the document lacks"):
        apply(document, overlay(action))


@pytest.mark.parametrize(
    ("target", "update", "published"),
    [
        ("$.paths", {"/rules/{rule_id}": {"get": {}}}, {"paths": {"/rules/{id}": {"get": {}}}}),
        ("$.paths['/a']", {"get": {}}, {"paths": {"/a": {"get": {}}}}),
        ("$.components.schemas", {"Rule": {}}, {"components": {"schemas": {"Rule": {}}}}),
    ],
)
def test_what_the_overlay_adds_must_not_be_published_by_now(target: str, update: Any, published: Any) -> None:
    selected = {"paths": {"/a": {"post": {}}}, "components": {"schemas": {}}}
    action = {"target": target, "update": update, "x-creates": True}
    assert apply(selected, overlay(action)) != selected
    with pytest.raises(CodegenError, match="creates what is published already"):
        apply(selected, overlay(action), published=published)


def test_an_action_that_says_it_creates_and_does_not_is_an_error() -> None:
    with pytest.raises(CodegenError, match="says x-creates, and adds no name"):
        apply({"a": {}}, overlay({"target": "$.a", "update": {"nullable": True}, "x-creates": True}))


def test_pruning_takes_out_what_pagerduty_has_fixed_and_nothing_else() -> None:
    text = """overlay: 1.0.0
# Kept.
actions:
  - target: $.a.oneOf  # gone
    description: A union.
    remove: true
  # Kept too.
  - target: $.a['x', 'y']
    description: Null.
    update: {nullable: true}
  - target: $.b
    description: Two of which one is there.
    update: {nullable: true, type: string}
  - target: $.c.renamed
    description: Not fixed, but moved.
    update: {nullable: true}
"""
    document = {"a": {"x": {"nullable": True}, "y": {}}, "b": {"nullable": True}, "c": {"rename": {}}}
    pruned, said = correction.prune(text, examine(document, correction.load(text, "x")).stale)
    assert len(said) == 3
    expected = """overlay: 1.0.0
# Kept.
actions:
  # Kept too.
  - target: $.a.y
    description: Null.
    update: {nullable: true}
  - target: $.b
    description: Two of which one is there.
    update: {type: string}
  - target: $.c.renamed
    description: Not fixed, but moved.
    update: {nullable: true}
"""
    assert pruned == expected
    assert [each.index for each in examine(document, correction.load(pruned, "x")).stale] == [2]


def test_the_committed_overlay_keeps_its_text_when_it_is_read_and_written() -> None:
    text = OVERLAY.read_text(encoding="utf-8")
    assert correction.dump(correction.load(text, "x")) == text


@pytest.mark.parametrize("text", ["a: [", "[]", "actions: {}", "overlay: 1.0.0"])
def test_what_is_no_overlay_is_said_to_be_none(text: str) -> None:
    with pytest.raises(CodegenError, match=r"spec/overlay\.yaml is (not YAML|no overlay)"):
        correction.load(text, "spec/overlay.yaml")


def test_pruning_once_leaves_nothing_to_prune() -> None:
    text = """overlay: 1.0.0
actions:
  - target: $.a
    description: The first of two that add the same; it is kept.
    update: {enum: [three]}
  - target: $.a
    description: The second of two that add the same.
    update: {enum: [three]}
  - target: $.a['x', 'y', 'z']
    description: One of three is there, one is gone from what follows.
    update: {nullable: true, title: X}
  - target: $.a.x.nullable
    description: It takes out what the entry before sets.
    remove: true
  - target: $.a.x
    description: It sets that again, and what is published.
    update: {nullable: true, title: X}
  - target: $.a.gone
    description: PagerDuty took it out.
    remove: true
"""
    document = {
        "a": {"enum": ["one", "two"], "x": {"title": "X"}, "y": {"nullable": True, "title": "X"}, "z": {"title": "Z"}}
    }
    pruned, said = correction.prune(text, examine(document, correction.load(text, "x")).stale)
    assert len(said) == 4
    again = examine(document, correction.load(pruned, "x"))
    assert correction.prune(pruned, again.stale) == (pruned, [])
    assert again.document == examine(document, correction.load(text, "x")).document
