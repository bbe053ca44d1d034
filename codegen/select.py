"""Keep only the endpoints that the connector's operations need, without PagerDuty's prose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from openapi_python_client.schema import OpenAPI
from pydantic import ValidationError

from codegen.document import JSON, nearest, resolve, steps
from codegen.endpoints import ENDPOINTS
from codegen.errors import CodegenError, Fault

# Keywords that would change the code: titles rename classes, and defaults would be sent unasked.
_DROPPED: Final = frozenset({"summary", "title", "example", "examples", "externalDocs", "discriminator"})
_KEPT: Final = ("parameters", "requestBody", "responses", "deprecated")
_SHARED: Final = ("schemas", "parameters", "responses", "requestBodies", "headers")
# The published description is kept for the step that finds secrets; the last step removes it.
PROSE: Final = "x-prose"
# Keywords that only the comparison of two published documents reads.
DEFAULT: Final = "x-default"
STATUSES: Final = "x-statuses"
ASIDE: Final = (PROSE, DEFAULT, STATUSES)
SCOPE: Final = "x-scopes"
# The deprecated members of a schema, because `deprecated` cannot be set beside a reference or a union.
DEPRECATED: Final = "x-deprecated"


def select(published: JSON, endpoints: tuple[str, ...] = ENDPOINTS) -> JSON:
    """Return the chosen endpoints with their successful responses, and all components, without examples and extensions.

    Raises:
        CodegenError: the document is not OpenAPI 3, or it lacks endpoints; the error names all of them.
    """
    version = published.get("openapi") if isinstance(published, dict) else None
    if not str(version).startswith("3.") or not isinstance(published.get("paths"), dict):
        raise CodegenError(
            "the published document", "is no OpenAPI document of version 3", "give the address of openapiv3.json"
        )
    if faults := list(_missing(published, endpoints)):
        raise CodegenError.of(faults)
    paths: JSON = {}
    for endpoint in endpoints:
        method, path = split(endpoint)
        paths.setdefault(path, {})[method] = _operation(published["paths"][path], method)
    components = published.get("components", {})
    shared = {kind: {name: plain(each) for name, each in components.get(kind, {}).items()} for kind in _SHARED}
    for response in shared["responses"].values():
        response["description"] = "Success."
    return {
        "openapi": "3.0.2",
        "info": {"title": "PagerDuty", "version": str(published.get("info", {}).get("version", ""))},
        "servers": [{"url": server["url"]} for server in published.get("servers", [])],
        "paths": _inlined(paths, published, paths),
        "components": _inlined(shared, published, paths),
    }


def _inlined(node: Any, published: JSON, chosen: JSON, above: tuple[str, ...] = ()) -> Any:
    """Return a node in which a reference into an endpoint that is not chosen is replaced by its target."""
    if isinstance(node, list):
        return [_inlined(each, published, chosen, above) for each in node]
    if not isinstance(node, dict):
        return node
    pointer = node.get("$ref")
    if not isinstance(pointer, str) or pointer in above or not _is_elsewhere(pointer, chosen):
        return {key: _inlined(value, published, chosen, above) for key, value in node.items()}
    try:
        named = plain(resolve(published, pointer))
    except CodegenError:
        return dict(node)  # a later step names it, if a chosen endpoint reaches it
    return _inlined(named, published, chosen, (*above, pointer))


def _is_elsewhere(pointer: str, chosen: JSON) -> bool:
    root, kind, path, method, *_ = (*steps(pointer), "", "", "", "")
    return root == "#" and kind == "paths" and method not in chosen.get(path, {})


def split(endpoint: str) -> tuple[str, str]:
    """Split an endpoint, such as `GET /incidents/{id}`, into its method in lower case and its path."""
    method, path = endpoint.split(" ", 1)
    return method.lower(), path


def _operation(item: JSON, method: str) -> JSON:
    operation = item[method]
    kept: JSON = plain({key: operation[key] for key in _KEPT if key in operation})
    own = kept.get("parameters", [])
    # An operation's parameter overrides the path's parameter of the same name.
    shared = [each for each in item.get("parameters", []) if not _declared(each, own)]
    kept["parameters"] = [*own, *plain(shared)]
    answers = operation.get("responses", {})
    kept["responses"] = {
        str(code): {**plain(answer), "description": "Success."}
        for code, answer in answers.items()
        if str(code).startswith("2")
    }
    kept[STATUSES] = sorted(map(str, answers))
    kept[PROSE] = " ".join(str(operation[key]) for key in ("summary", "description") if operation.get(key))
    if scopes := operation.get("x-pd-requires-scope"):
        kept[SCOPE] = sorted(scopes.split()) if isinstance(scopes, str) else sorted(map(str, scopes))
    return kept


def _declared(parameter: JSON, own: list[JSON]) -> bool:
    named = [(each.get("in"), each.get("name")) for each in own]
    return "$ref" not in parameter and (parameter.get("in"), parameter.get("name")) in named


def _missing(published: JSON, endpoints: tuple[str, ...]) -> Iterator[Fault]:
    known = [f"{method.upper()} {path}" for path, item in published["paths"].items() for method in item]
    for endpoint in endpoints:
        method, path = split(endpoint)
        if not isinstance(published["paths"].get(path, {}).get(method), dict):
            yield Fault(
                place=endpoint,
                cause=f"is no longer published{nearest(endpoint, known)}",
                remedy="correct ENDPOINTS in codegen/endpoints.py, or declare it in spec/overlay.yaml",
            )


def plain(node: Any) -> Any:
    """Return a node without examples and extensions, with its prose moved to own keys; names in maps are kept."""
    if isinstance(node, list):
        return [plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept: JSON = {}
    for key, value in node.items():
        if key in ("properties", "responses", "content", "patternProperties") and isinstance(value, dict):
            kept[key] = {name: plain(each) for name, each in value.items()}
        elif key in ("enum", "const", "required"):
            kept[key] = value
        elif key == "description":
            kept[PROSE] = value
        elif key == "default":
            kept[DEFAULT] = value
        elif not (key in _DROPPED or str(key).startswith("x-")):
            kept[key] = plain(value)
    return kept


def validate(document: JSON) -> None:
    """Check the document against OpenAPI's own schema.

    Raises:
        CodegenError: the document is invalid; each fault names its place.
    """
    try:
        OpenAPI.model_validate(document)
    except ValidationError as error:
        raise CodegenError.of(
            Fault(
                place=".".join(map(str, fault["loc"])),
                cause=f"is not OpenAPI: {fault['msg']}",
                remedy="correct it in spec/overlay.yaml, or leave it out of ENDPOINTS in codegen/endpoints.py",
            )
            for fault in error.errors(include_url=False, include_input=False)
        ) from None
