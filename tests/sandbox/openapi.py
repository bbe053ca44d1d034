"""Holding JSON answers against an OpenAPI document.

Null is accepted everywhere: PagerDuty's answers hold nulls where its specification declares none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # ships no types

JSON = dict[str, Any]


class Document:
    """An OpenAPI document that can judge answers."""

    def __init__(self, file: Path) -> None:
        self.document: JSON = json.loads(file.read_text())
        self._paths = {_pattern(path): methods for path, methods in self.document["paths"].items()}

    def problems(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """Yield the document's objections to an answer; none when it does not know the endpoint."""
        schema = self._schema(method, path, status)
        if schema is None:
            return []
        return [f"{method} {path} {status} {e.json_path}: {e.message[:200]}" for e in _errors(schema, body)]

    def knows(self, method: str, path: str) -> bool:
        return any(p.fullmatch(path) and method.lower() in m for p, m in self._paths.items())

    def accepts(self, method: str, path: re.Pattern[str]) -> tuple[list[str], Any]:
        """The names of the query parameters, and a body that has every member that a request may have."""
        for template, methods in self.document["paths"].items():
            if path.fullmatch(template) and (operation := methods.get(method.lower())):
                parameters = [self._resolved(p) for p in operation.get("parameters", [])]
                content = operation.get("requestBody", {}).get("content", {}).get("application/json")
                body = self._example(content["schema"]) if content else None
                return [p["name"] for p in parameters if p["in"] == "query"], body
        return [], None

    def _example(self, schema: JSON, depth: int = 6) -> Any:
        """To a depth: some schemas hold themselves."""
        schema = self._resolved(schema)
        if "items" in schema and depth:
            return [self._example(schema["items"], depth - 1)]
        if "properties" in schema and depth:
            return {name: self._example(member, depth - 1) for name, member in schema["properties"].items()}
        return None

    def _schema(self, method: str, path: str, status: int) -> JSON | None:
        for pattern, methods in self._paths.items():
            if pattern.fullmatch(path) and (operation := methods.get(method.lower())):
                response = self._resolved(operation["responses"].get(str(status), {}))
                content = response.get("content", {}).get("application/json", {})
                return {"schema": content["schema"], "root": self.document} if "schema" in content else None
        return None

    def _resolved(self, value: JSON) -> JSON:
        while "$ref" in value:
            target: Any = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                part = part.replace("~1", "/").replace("~0", "~")
                target = target[int(part) if isinstance(target, list) else part]
            value = target
        return value


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(path)))


def _errors(schema: JSON, body: Any) -> Iterator[Any]:
    """The document becomes JSON Schema as a whole, so that its references stay valid."""
    whole = {**_json_schema(schema["root"]), "allOf": [_json_schema(schema["schema"])]}
    whole.pop("openapi", None)
    yield from Draft202012Validator(whole).iter_errors(body)


def _json_schema(value: Any) -> Any:
    """The schema with null let in wherever a type is declared; a name in `properties` is not a keyword."""
    if isinstance(value, list):
        return [_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    converted = {name: _json_schema(item) for name, item in value.items() if name != "nullable"}
    if isinstance(value.get("type"), str):
        converted["type"] = [value["type"], "null"]
    if isinstance(value.get("enum"), list):
        converted["enum"] = [*value["enum"], None]
    return converted
