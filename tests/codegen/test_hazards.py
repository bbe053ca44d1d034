"""The published document's hazards, one a test: what the generator would lose or get wrong, and how it is remedied."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codegen.document import text, walk
from codegen.errors import CodegenError
from tests.codegen import mini

OURS = {"x-partial", "x-scopes", "x-deprecated"}  # extensions that the build step adds for the templates


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return mini.trimmed()


def test_trimming_yields_the_golden_record(document: dict[str, Any]) -> None:
    assert document == mini.golden(), "renew it with `python -m tests.codegen.mini` if this change is meant"


def test_trimming_is_pure_and_stable(document: dict[str, Any]) -> None:
    published, overlay = mini.published(), mini.overlay()
    assert text(mini.trimmed(published, overlay)) == text(document)
    assert (published, overlay) == (mini.published(), mini.overlay())
    shuffled = json.loads(json.dumps(published, sort_keys=True))
    assert text(mini.trimmed(shuffled)) == text(document)


def test_only_the_chosen_endpoints_and_what_they_reach_stay(document: dict[str, Any]) -> None:
    assert sorted(document["paths"]) == ["/things", "/things/{thing_id}"]
    assert "Pagination" not in document["components"]["schemas"]
    assert all(
        code.startswith("2") for item in document["paths"].values() for op in item.values() for code in op["responses"]
    )


def test_an_endpoint_that_is_no_longer_published_is_an_error() -> None:
    published = mini.published()
    del published["paths"]["/things/{id}"]["put"]
    with pytest.raises(CodegenError, match=r"PUT /things/\{id\} is no longer published"):
        mini.trimmed(published)


def test_a_reference_into_a_schema_becomes_one_to_a_named_schema(document: dict[str, Any]) -> None:
    pointers = [node["$ref"] for node in walk(document) if "$ref" in node]
    assert pointers
    assert all(pointer.count("/") == 3 for pointer in pointers)
    assert {"id", "summary"} <= mini.schema(document, "Thing")["properties"].keys()


def test_a_deep_reference_without_a_name_aborts() -> None:
    published = mini.published()
    published["components"]["schemas"]["Thing"]["allOf"][0]["$ref"] = "#/components/schemas/Tag/allOf/1"
    with pytest.raises(CodegenError, match=r"Tag/allOf/1 is a reference into a schema; name it in codegen/hoist\.py"):
        mini.trimmed(published)


def test_a_child_that_redefines_a_member_wins_over_its_parent(document: dict[str, Any]) -> None:
    assert mini.schema(document, "Thing")["properties"]["type"] == {"type": "string", "enum": ["thing"]}
    assert mini.schema(document, "ThingCreate")["properties"]["type"] == {"type": "string", "enum": ["thing"]}


def test_an_all_of_inside_an_inline_all_of_keeps_every_member(document: dict[str, Any]) -> None:
    assert set(mini.schema(document, "ThingNested")["properties"]) == {"deep", "flat"}
    assert set(mini.schema(document, "ThingCreateNested")["properties"]) == {"deep", "flat"}


def test_a_one_of_beside_properties_keeps_both(document: dict[str, Any]) -> None:
    assert set(mini.schema(document, "Channel")["properties"]) == {"type", "host", "from"}


def test_duplicate_inline_titles_name_no_classes(document: dict[str, Any]) -> None:
    assert not any("title" in node for node in walk(document["components"]))
    assert {"ThingOne", "ThingTwo"} <= document["components"]["schemas"].keys()


def test_a_repeated_parameter_that_is_declared_as_one_value_becomes_a_list(document: dict[str, Any]) -> None:
    assert mini.parameter(document, "statuses[]")["schema"] == {
        "type": "array",
        "items": {"type": "string", "enum": ["open", "shut"]},
    }
    assert mini.parameter(document, "statuses[]")["explode"] is True


def test_a_parameter_that_is_not_exploded_stays_a_list_to_be_joined(document: dict[str, Any]) -> None:
    assert mini.parameter(document, "sort_by")["explode"] is False
    assert mini.parameter(document, "sort_by")["schema"]["type"] == "array"


def test_no_default_is_left_to_be_sent_unasked(document: dict[str, Any]) -> None:
    assert not any("default" in node for node in walk(document))


def test_a_union_without_discriminator_becomes_one_superset(document: dict[str, Any]) -> None:
    entry = mini.schema(document, "Entry")["properties"]
    assert set(entry) == {"type", "note", "reason"}
    assert entry["type"]["enum"] == ["opened", "shut"]
    assert not any("oneOf" in node or "anyOf" in node for node in walk(document["components"]))


def test_a_union_that_nobody_named_aborts() -> None:
    overlay = mini.overlay()
    overlay["actions"] = [each for each in overlay["actions"] if each["target"] != "$.components.schemas.Entry"]
    published = mini.published()
    published["components"]["schemas"]["Thing"]["allOf"][1]["properties"]["entry"] = {
        "oneOf": [{"$ref": "#/components/schemas/Owner"}, {"$ref": "#/components/schemas/Body"}]
    }
    with pytest.raises(CodegenError, match=r"union of \['Body', 'Owner'\]; name it with x-class"):
        mini.trimmed(published, overlay)


def test_a_reference_and_what_it_expands_to_read_as_one(document: dict[str, Any]) -> None:
    assert mini.schema(document, "Thing")["properties"]["owner"] == {"$ref": "#/components/schemas/Owner"}
    assert mini.schema(document, "Owner")["properties"]["type"]["enum"] == ["owner", "owner_reference"]


def test_every_body_is_required(document: dict[str, Any]) -> None:
    bodies = [node["requestBody"] for node in walk(document["paths"]) if "requestBody" in node]
    assert len(bodies) == 2
    assert all(body["required"] is True for body in bodies)


def test_a_required_member_that_is_not_declared_aborts_until_the_overlay_declares_it(document: dict[str, Any]) -> None:
    assert mini.schema(document, "BodyWrite")["required"] == ["type"]
    overlay = mini.overlay()
    overlay["actions"] = [each for each in overlay["actions"] if "schemas.Body" not in each["target"]]
    with pytest.raises(CodegenError, match=r"BodyWrite requires \['type'\], which it lacks"):
        mini.trimmed(corrections=overlay)


def test_headers_that_the_client_sends_itself_are_no_parameters(document: dict[str, Any]) -> None:
    names = {each["name"] for item in document["paths"].values() for op in item.values() for each in op["parameters"]}
    assert not names & {"Accept", "Content-Type"}
    assert "From" in names


def test_a_member_without_a_name_is_gone(document: dict[str, Any]) -> None:
    assert "" not in mini.schema(document, "Channel")["properties"]


def test_a_put_does_not_require_what_does_not_change(document: dict[str, Any]) -> None:
    assert "required" not in mini.schema(document, "ThingUpdate")
    assert mini.schema(document, "ThingCreate")["required"] == ["name", "type"]


def test_requests_are_closed_and_hold_nothing_read_only(document: dict[str, Any]) -> None:
    for name in ("CreateThingBody", "ThingCreate", "ThingUpdate", "BodyWrite"):
        assert mini.schema(document, name)["additionalProperties"] is False
    assert not {"id", "summary", "created_at", "owner"} & mini.schema(document, "ThingCreate")["properties"].keys()


def test_answers_require_nothing_and_stay_open(document: dict[str, Any]) -> None:
    for name in ("Thing", "ThingList", "Owner"):
        assert "required" not in mini.schema(document, name)
        assert "additionalProperties" not in mini.schema(document, name)


def test_null_is_allowed_in_requests_where_the_document_says_so(document: dict[str, Any]) -> None:
    assert mini.schema(document, "ThingCreate")["properties"]["timeout"]["type"] == ["integer", "null"]


def test_free_form_objects_are_handed_through_and_never_sent(document: dict[str, Any]) -> None:
    assert mini.schema(document, "Thing")["properties"]["details"] == {}
    overlay = mini.overlay()
    for action in overlay["actions"]:
        action["target"] = action["target"].replace("'owner', 'channel', 'details'", "'owner', 'channel'")
    with pytest.raises(CodegenError, match="ThingCreateDetails takes any object"):
        mini.trimmed(corrections=overlay)


def test_no_prose_example_or_extension_of_theirs_is_left(document: dict[str, Any]) -> None:
    assert "Prose that is not ours" not in text(document)
    names = {key for node in walk(document) for key in node}
    assert {name for name in names if name.startswith("x-") or name in ("example", "examples")} <= OURS


def test_placeholders_are_the_overlays(document: dict[str, Any]) -> None:
    (placed,) = document["paths"]["/things/{thing_id}"]["put"]["parameters"]
    assert (placed["name"], placed["required"]) == ("thing_id", True)


def test_an_operation_that_neither_the_overlay_nor_pagerduty_names_aborts() -> None:
    overlay, published = mini.overlay(), mini.published()
    del overlay["actions"][0]["update"]["get"]
    assert mini.trimmed(published, overlay)["paths"]["/things"]["get"]["operationId"] == "list_things"
    del published["paths"]["/things"]["get"]["operationId"]
    with pytest.raises(CodegenError, match="GET /things needs an operationId"):
        mini.trimmed(published, overlay)


def test_two_operations_of_one_name_abort() -> None:
    overlay = mini.overlay()
    overlay["actions"][1]["update"]["put"]["operationId"] = "list_things"
    with pytest.raises(CodegenError, match="both named list_things"):
        mini.trimmed(corrections=overlay)
