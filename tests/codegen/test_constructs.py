"""Constructs of OpenAPI that PagerDuty uses elsewhere or used once are generated, and mean what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codegen import generate, names
from codegen.document import text
from codegen.errors import CodegenError
from tests.codegen import mini
from tests.codegen.test_generate import run

JSON = dict[str, Any]
THING: JSON = {"type": "object", "properties": {"thing": {"$ref": "#/components/schemas/Thing"}}}


def changed(change: Callable[[JSON], object]) -> JSON:
    published = mini.published()
    change(published)
    return published


def member(schema: JSON) -> JSON:
    """The mini document with one more member that is read and written."""
    return changed(
        lambda it: it["components"]["schemas"]["Thing"]["allOf"][1]["properties"].update(
            more=schema, also={"type": "string"}
        )
    )


def query(parameter: JSON) -> JSON:
    return changed(lambda it: it["paths"]["/things"]["get"]["parameters"].append(parameter))


def wide() -> JSON:
    published = mini.published()
    schemas = published["components"]["schemas"]
    schemas["Colour"] = {"type": "string", "enum": ["red", "green"]}
    schemas["Depth"] = {"type": "integer", "minimum": 1, "maximum": 9}
    schemas["Label"] = {"type": "string", "minLength": 2, "pattern": "^[a-z]+$"}
    schemas["Labels"] = {"type": "array", "items": {"$ref": "#/components/schemas/Label"}, "maxItems": 2}
    schemas["Thing"]["allOf"][1]["properties"] |= {
        "colour": {"$ref": "#/components/schemas/Colour"},
        "shade": {"oneOf": [{"$ref": "#/components/schemas/Colour"}, {"type": "null"}]},
        "depth": {"$ref": "#/components/schemas/Depth"},
        "labels": {"$ref": "#/components/schemas/Labels"},
        "count": {"type": ["integer", "null"], "exclusiveMinimum": 0},
        "ratio": {"type": "number", "minimum": 0, "maximum": 1},
        "fixed": {"const": "one"},
        "names": {"items": {"type": "string"}},
        "value": {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "array", "items": {"type": "string"}}]},
    }
    published["paths"]["/things"]["get"]["parameters"] += [
        {
            "in": "header",
            "name": "X-EARLY-ACCESS",
            "required": True,
            "schema": {"type": "string", "enum": ["yes", "no"]},
        },
        {"in": "header", "name": "From", "required": True, "schema": {"type": "string"}},
        {"in": "header", "name": "X-Depth", "schema": {"$ref": "#/components/schemas/Depth"}},
        {"in": "cookie", "name": "session", "schema": {"type": "string"}},
        {"in": "cookie", "name": "dark", "schema": {"type": "boolean"}},
        {"in": "query", "name": "where", "style": "deepObject", "schema": {"type": "object"}},
        {"in": "query", "name": "by", "content": {"application/json": {"schema": {"type": "object"}}}},
        {"in": "query", "name": "colour", "required": True, "schema": {"$ref": "#/components/schemas/Colour"}},
        {"in": "query", "name": "depth", "deprecated": True, "schema": {"$ref": "#/components/schemas/Depth"}},
        {"in": "query", "name": "label", "schema": {"$ref": "#/components/schemas/Label"}},
        {"in": "query", "name": "sizes[]", "schema": {"type": "array", "items": {"type": "integer", "minimum": 1}}},
        {"in": "query", "name": "level", "schema": {"type": "integer", "enum": [1, 2]}},
        {"in": "query", "name": "camelCase", "schema": {"allOf": [{"$ref": "#/components/schemas/Colour"}]}},
    ]
    put = published["paths"]["/things/{id}"]["put"]
    put["deprecated"] = True
    published["components"]["requestBodies"] = {
        "Thing": {"content": {"application/json; charset=utf-8": {"schema": THING}}}
    }
    published["components"]["responses"]["Thing"] = {
        "description": "It.", "content": {"application/vnd.api+json;version=2": {"schema": THING}}
    }  # fmt: skip
    put["requestBody"] = {"$ref": "#/components/requestBodies/Thing"}
    put["responses"] = {"200": {"$ref": "#/components/responses/Thing"}}
    return published


def corrections() -> JSON:
    """The mini document's overlay, which names the body of the request where it stands now."""
    overlay = mini.overlay()
    for action in overlay["actions"]:
        if "['/things/{id}'].put.requestBody" in action["target"]:
            action["target"] = (
                "$.components.requestBodies.Thing.content['application/json; charset=utf-8'].schema.properties.thing"
            )
    return overlay


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide")
    spec = folder / "spec.json"
    spec.write_text(text(mini.trimmed(wide(), corrections())), encoding="utf-8")
    package = generate.render(spec, folder)
    generate.covers(spec, package)
    generate.typed(package, folder)
    return package


START = (
    "from pagerduty_client.api.things import list_things, update_thing\n"
    "from pagerduty_client import models as m, InvalidRequestError\n"
    "def ask(**more): return list_things.request(**{'colour': 'red', 'x_early_access': 'yes', **more})\n"
    "def no(**more):\n"
    "    try: ask(**more)\n"
    "    except (InvalidRequestError, TypeError) as error: return str(error)\n"
    "    raise SystemExit(f'taken: {more}')\n"
)


def test_headers_and_cookies_are_sent_beside_from(package: Path) -> None:
    code = START + (
        "print(ask().headers)\n"
        "print(ask(from_='a@b.c', x_depth=3, session='s', dark=True).headers)\n"
        "print(no(session='a; b=c')); print(no(x_depth=10)); print(no(x_early_access='maybe'))"
    )
    least, most, cookie, depth, access = run(package, code).splitlines()
    assert least == "(('X-EARLY-ACCESS', 'yes'),)"
    assert (
        most == "(('X-EARLY-ACCESS', 'yes'), ('From', 'a@b.c'), ('X-Depth', '3'), ('Cookie', 'session=s; dark=true'))"
    )
    assert "without spaces, commas, quotes and semicolons" in cookie
    assert "a whole number of 1 to 9" in depth
    assert "one of no, yes" in access


def test_query_parameters_are_sent_in_their_styles_and_held_to_their_bounds(package: Path) -> None:
    code = START + (
        "print(ask(where={'a': 'x', 'b': [1, True]}, by={'k': [None, 'é']}, sizes=[1, 2], level=2,\n"
        "          camel_case='red').query)\n"
        "for bad in ({'depth': 0}, {'label': 'A'}, {'label': 'Aa'}, {'sizes': [0]}, {'level': 3}, {'colour': 'blue'},\n"
        "            {'camel_case': 'x'}, {'sort_by': 'a,b,c'}, {'where': {}}, {'by': {1: 2}}, {'sizes': [True]}):\n"
        "    print(no(**bad))\n"
        "try: list_things.request(x_early_access='yes')\n"
        "except TypeError as error: print(error)"
    )
    sent, *refused = run(package, code).splitlines()
    assert sent == (
        "(('where[a]', 'x'), ('where[b]', '1'), ('where[b]', 'true'), ('by', '{\"k\":[null,\"\\\\u00e9\"]}'), "
        "('colour', 'red'), ('sizes[]', '1'), ('sizes[]', '2'), ('level', '2'), ('camelCase', 'red'))"
    )
    assert len(refused) == 12
    assert "a list of 1 to 2" in refused[7]
    assert "missing 1 required keyword-only argument: 'colour'" in refused[-1]


def test_named_values_and_nulls_hold_in_bodies_as_the_document_has_them(package: Path) -> None:
    good: list[JSON] = [
        {"colour": "red", "shade": None, "depth": 9, "labels": ["ab", "cd"], "count": None, "ratio": 0.5},
        {"shade": "green", "count": 1, "fixed": "one", "names": ["a"], "value": "x"},
        {"value": ["x"]}, {"value": 7},
    ]  # fmt: skip
    bad: list[JSON] = [
        {"colour": None}, {"colour": "blue"}, {"shade": "blue"}, {"depth": 10}, {"labels": ["a"]}, {"labels": ["AB"]},
        {"labels": ["ab"] * 3}, {"count": 0}, {"ratio": 1.5}, {"ratio": -1}, {"fixed": "two"}, {"names": "a"},
        {"names": [1]},
    ]  # fmt: skip
    code = START + (
        "import json\n"
        f"for body in json.loads({json.dumps(json.dumps(good))}):\n"
        "    assert update_thing.request('PT', body=m.UpdateThingBody.parse({'thing': body})).json == {'thing': body}\n"
        f"for body in json.loads({json.dumps(json.dumps(bad))}):\n"
        "    try: m.UpdateThingBody.parse({'thing': body}); print('taken', body)\n"
        "    except InvalidRequestError: pass\n"
        "print(update_thing.parse({'thing': {'colour': 'mauve', 'names': ['a']}}).thing)"
    )
    assert run(package, code) == "Thing(colour='mauve', names=['a'])"


def test_what_is_deprecated_says_so(package: Path) -> None:
    module = (package / "api" / "things" / "update_thing.py").read_text(encoding="utf-8")
    assert "Deprecated by PagerDuty." in module
    listing = (package / "api" / "things" / "list_things.py").read_text(encoding="utf-8")
    assert "depth: Deprecated by PagerDuty." in listing
    assert 'SCOPES: Final[tuple[str, ...]] = ("things.read",)' in listing


@pytest.mark.parametrize(
    "schema",
    [
        {"type": ["string", "null"]},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"oneOf": [{"type": "null"}, {"type": "string"}]},
        {"type": "string", "nullable": True},
    ],
)
def test_nulls_of_openapi_3_1_are_nulls(schema: JSON) -> None:
    document = mini.trimmed(member(schema))
    assert mini.schema(document, "ThingCreate")["properties"]["more"] == {"type": ["string", "null"]}
    assert mini.schema(document, "Thing")["properties"]["more"] == {"type": "string"}


def test_a_list_without_a_type_is_a_list_in_requests_and_answers() -> None:
    document = mini.trimmed(member({"items": {"type": "integer", "maximum": 3}}))
    assert mini.schema(document, "ThingCreate")["properties"]["more"]["items"] == {"type": "integer", "maximum": 3}
    assert mini.schema(document, "Thing")["properties"]["more"]["type"] == "array"


def test_values_that_a_child_does_not_narrow_may_still_be_answered() -> None:
    published = mini.published()
    published["components"]["schemas"]["Tag"]["allOf"][0]["properties"]["type"]["enum"] = ["thing_or_so", "owner"]
    document = mini.trimmed(published)
    assert set(mini.schema(document, "Thing")["properties"]["type"]["enum"]) == {"thing", "thing_or_so", "owner"}
    assert mini.schema(document, "ThingCreate")["properties"]["type"]["enum"] == ["thing"]


def test_a_reference_to_a_member_of_another_schema_is_that_member() -> None:
    pointer = "#/components/schemas/Owner/allOf/1/properties/email"
    document = mini.trimmed(member({"$ref": pointer}))
    assert mini.schema(document, "ThingCreate")["properties"]["more"] == {"type": "string"}


def text_query(name: str, **schema: Any) -> JSON:
    return query({"in": "query", "name": name, "schema": {"type": "string", **schema}})


GONE = {"$ref": "#/components/schemas/Gone"}
NO_DOCUMENT = "is no OpenAPI document of version 3"


@pytest.mark.parametrize(
    ("published", "place", "remedy"),
    [
        (member({"$ref": "#/components/schemas/Ownr"}), "#/components/schemas/Ownr names nothing", "overlay.yaml"),
        (member({"$ref": "other.json#/Owner"}), "other.json#/Owner is a reference into another doc", "overlay.yaml"),
        (member({"type": "string", "pattern": "(?<n"}), "ThingCreateMore has the pattern", "overlay.yaml"),
        (member({"type": "number", "exclusiveMinimum": 1}), "has the bound exclusiveMinimum", "overlay.yaml"),
        (member({"properties": []}), "is not OpenAPI", "overlay.yaml"),
        (member({"type": "strin"}), "is not OpenAPI", "overlay.yaml"),
        (member({"allOf": {}}), "is not OpenAPI", "overlay.yaml"),
        (text_query("total[]"), "both total in Python", "overlay.yaml"),
        (text_query("body"), "both body in Python", "overlay.yaml"),
        (text_query("?"), "which is no name", "overlay.yaml"),
        (text_query("x", pattern="["), "not Python's", "overlay.yaml"),
        (query({"in": "query", "name": "x", "schema": GONE}), "names nothing", "overlay.yaml"),
        (changed(lambda it: it["paths"]["/things"]["get"].pop("responses")), "no response that means", "overlay.yaml"),
        (changed(lambda it: it.pop("components")), "matches nothing", "the published document"),
        (changed(lambda it: it.pop("openapi")), NO_DOCUMENT, "openapiv3.json"),
        (changed(lambda it: it.update(paths=[])), NO_DOCUMENT, "openapiv3.json"),
        (changed(lambda it: it["paths"]["/things"].pop("get")), "GET /things is no longer published", "ENDPOINTS"),
    ],
)
def test_an_error_names_place_cause_and_remedy(published: JSON, place: str, remedy: str) -> None:
    with pytest.raises(CodegenError) as raised:
        mini.trimmed(published)
    assert place in str(raised.value)
    assert remedy in str(raised.value)
    assert all(fault.place and fault.cause and fault.remedy for fault in raised.value.faults)


def test_every_endpoint_that_is_gone_is_named_at_once_with_the_nearest_name() -> None:
    published = mini.published()
    published["paths"]["/thingz"] = published["paths"].pop("/things")
    with pytest.raises(CodegenError) as raised:
        mini.trimmed(published)
    assert [fault.place for fault in raised.value.faults] == ["GET /things", "POST /things"]
    assert "the nearest is 'GET /thingz'" in str(raised.value)


@pytest.mark.slow
def test_the_build_works_in_a_c_locale_below_a_folder_that_is_not_ascii(tmp_path: Path) -> None:
    folder = tmp_path / "Ünïcode"
    folder.mkdir()
    spec = folder / "spec.json"
    spec.write_text(text(mini.trimmed()), encoding="utf-8")
    code = (
        "from pathlib import Path; from codegen import generate; generate.render(Path.cwd() / 'spec.json', Path.cwd())"
    )
    locale = {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    environment = {**os.environ, **locale, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, cwd=folder)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert (folder / "pagerduty_client" / "py.typed").exists()


def test_every_endpoint_that_nobody_names_is_an_error_at_once() -> None:
    overlay = mini.overlay()
    del overlay["actions"][0]["update"]["get"]
    del overlay["actions"][1]["update"]["put"]
    published = changed(lambda it: it["paths"]["/things"]["get"].pop("operationId"))
    with pytest.raises(CodegenError) as raised:
        mini.trimmed(published, overlay)
    assert [fault.place for fault in raised.value.faults] == ["GET /things", "PUT /things/{thing_id}"]


@pytest.mark.parametrize(
    ("path", "method", "published", "module", "function", "renamed"),
    [
        ("/teams/{id}/members", "get", "listTeamUsers", "teams", "list_team_users", "/teams/{team_id}/members"),
        ("/v3/policies/{id}", "put", "updatePolicy", "policies", "update_policy", "/v3/policies/{policy_id}"),
        ("/change-events", "post", "create_event", "change_events", "create_event", "/change-events"),
    ],
)
def test_an_endpoint_that_the_overlay_does_not_name_is_named_as_published(
    path: str, method: str, published: str, module: str, function: str, renamed: str
) -> None:
    document = {"paths": {path: {method: {}}}}
    named = names.named(document, {"paths": {path: {method: {"operationId": published}}}})
    words = f"{function.replace('_', ' ').capitalize()}."
    assert named["paths"][path][method] == {"tags": [module], "operationId": function, "summary": words}
    assert named["paths"][path].get("x-path", path) == renamed


def test_the_overlays_names_go_before_derived_ones() -> None:
    own = {"operationId": "list_members", "tags": ["people"], "summary": "List them."}
    document = {"paths": {"/teams/{id}/members": {"x-path": "/teams/{team}/members", "get": own}}}
    published = {"paths": {"/teams/{id}/members": {"get": {"operationId": "listTeamUsers", "tags": ["Teams"]}}}}
    assert names.named(document, published) == document


@pytest.mark.parametrize("path", ["/others", "/others/{id}"])
def test_a_reference_into_an_endpoint_that_is_not_chosen_is_what_it_names(path: str) -> None:
    parameter = {"in": "query", "name": "colour", "schema": {"type": "string"}, "description": "Prose."}
    pointer = f"#/paths/{path.replace('/', '~1').replace('{', '%7B').replace('}', '%7D')}/get/parameters/0"
    published = changed(lambda it: it["paths"].update({path: {"get": {"parameters": [parameter], "responses": {}}}}))
    published["paths"]["/things"]["get"]["parameters"].append({"$ref": pointer})
    assert mini.parameter(mini.trimmed(published), "colour")["schema"] == {"type": "string"}
