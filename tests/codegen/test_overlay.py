"""The overlay is OpenAPI Overlay 1.0, and strict: an action that no longer applies, or has no reason, is an error."""

from __future__ import annotations

from typing import Any

import pytest

from codegen.document import CodegenError
from codegen.overlay import apply
from codegen.trim import load_overlay


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
    assert apply({"a": {"x": {}}, "b": {"x": {"n": 1}}}, overlay({"target": "$.*.x", "update": {"n": 1}})) == {
        "a": {"x": {"n": 1}},
        "b": {"x": {"n": 1}},
    }, "one of its targets is enough"


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
