"""Name operations and classes, and join the schemas of requests and responses into one set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from codegen.document import JSON, METHODS, operations, walk
from codegen.errors import CodegenError, Fault
from codegen.parameters import STYLE, python_name
from codegen.select import ASIDE, SCOPE

_TAG = re.compile(r"[a-z_]+")
_VERSION = re.compile(r"v\d+")


def camel(name: str) -> str:
    """Return a name as that of a class: `CreateIncident` for `create_incident`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", name))


def named(document: JSON, published: JSON) -> JSON:
    """Return a copy in which every operation has names: those of the overlay, or else derived ones.

    A derived function name is PagerDuty's name of the operation, in Python's style. Its module is the first step of the
    path that is not a version. A path parameter that PagerDuty names `id` is renamed after the object that it
    identifies.
    """
    paths: JSON = {}
    for path, item in document["paths"].items():
        paths[path] = {**item, **{m: _with_names(path, m, item[m], published) for m in METHODS if m in item}}
        if "x-path" not in item and (own := _own_path(path)) != path:
            paths[path]["x-path"] = own
    return {**document, "paths": paths}


def _with_names(path: str, method: str, operation: JSON, published: JSON) -> JSON:
    declared = published.get("paths", {}).get(path, {}).get(method, {})
    family = next((step for step in path.split("/")[1:] if not _VERSION.fullmatch(step)), "")
    derived: JSON = {"tags": [re.sub(r"\W", "_", family).lower()]}
    if name := python_name(str(declared.get("operationId", ""))):
        derived |= {"operationId": name, "summary": f"{name.replace('_', ' ').capitalize()}."}
    return derived | operation


def _own_path(path: str) -> str:
    """Rename the path parameter `id` after its object: `/teams/{id}/members` becomes `/teams/{team_id}/members`."""
    steps = path.split("/")
    for index, step in enumerate(steps):
        if step == "{id}" and index > 1:
            steps[index] = f"{{{_singular(steps[index - 1])}_id}}"
    return "/".join(steps)


def _singular(name: str) -> str:
    word = re.sub(r"\W", "_", name)
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")


def combine(document: JSON) -> JSON:
    """Return a copy in which requests and responses share one set of schemas, and every operation has its own names.

    Raises:
        CodegenError: a class is used for both, an operation has no name, or an extension is left.
    """
    components = document["components"]
    requests, answers = components["requests"], components["answers"]
    if both := sorted(requests.keys() & answers.keys()):
        raise CodegenError(
            str(both), "are written and read", "name the written ones with x-request in spec/overlay.yaml"
        )
    if faults := list(_unnamed(document)):
        raise CodegenError.of(faults)
    schemas = {
        name: {"description": _described(name, schema), **schema} for name, schema in (requests | answers).items()
    }
    if faults := list(_clashing(schemas)):
        raise CodegenError.of(faults)
    combined: JSON = {**document, "openapi": "3.1.0", "components": {"schemas": schemas}}
    combined = _without_prose(combined)
    for node in walk(combined["paths"]):
        if extensions := [key for key in node if key.startswith("x-") and key not in (STYLE, SCOPE)]:
            raise CodegenError(
                str(node.get("operationId", node)), f"still has {extensions}", "remove it from spec/overlay.yaml"
            )
    return combined


def _unnamed(document: JSON) -> Iterator[Fault]:
    """Yield a fault for each operation without names of its own."""
    seen: dict[str, str] = {}
    for path, method, operation in operations(document):
        place, name = f"{method.upper()} {path}", operation.get("operationId")
        tags = operation.get("tags", [])
        if not name or len(tags) != 1 or not _TAG.fullmatch(tags[0]):
            yield Fault(
                place=place,
                cause="needs an operationId, and one tag that is a module's name",
                remedy="give them in spec/overlay.yaml: {operationId: list_things, tags: [things], summary: A list.}",
            )
        elif name in seen:
            remedy = "rename one in spec/overlay.yaml"
            yield Fault(place=f"{place} and {seen[name]}", cause=f"are both named {name}", remedy=remedy)
        else:
            seen[name] = place


def _clashing(schemas: JSON) -> Iterator[Fault]:
    """Yield a fault for each member whose enum would get the name of a schema."""
    for name, schema in schemas.items():
        for member, value in schema.get("properties", {}).items():
            if "enum" in value and (enum := f"{name}{camel(member)}") in schemas:
                yield Fault(
                    place=f"{name}.{member}",
                    cause=f"has values that would be named {enum}, as a schema is",
                    remedy="rename the schema with x-class or x-request in spec/overlay.yaml",
                )


def _without_prose(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_prose(each) for each in node]
    if isinstance(node, dict):
        return {key: _without_prose(value) for key, value in node.items() if key not in ASIDE}
    return node


def _described(name: str, schema: JSON) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    if "properties" not in schema:
        return f"{words.capitalize()}: the values."
    who = "a request sends" if schema.get("additionalProperties") is False else "PagerDuty returns"
    return f"{words.capitalize()}, as {who} it."
