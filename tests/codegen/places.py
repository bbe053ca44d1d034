"""The places of a document that some endpoints reach: where a change of it matters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from attrs import field, frozen

from codegen import select
from codegen.document import steps

JSON = dict[str, Any]
Path = tuple[str | int, ...]
REQUEST: Final = "request-property"
RESPONSE: Final = "response-property"


@frozen
class Holder:
    """A schema with members.

    Attributes:
        path: The keys that lead to it in the document.
        sides: In what it is reached: in requests, in responses, or in both.
        members: The names that no other part of the same schema has, and that are neither read-only nor write-only.
    """

    path: Path
    sides: frozenset[str]
    members: tuple[str, ...] = field(default=())


def at(document: JSON, path: Path) -> Any:
    node: Any = document
    for step in path:
        node = node[step]
    return node


class Places:
    """The places of a document that some endpoints reach."""

    def __init__(self, document: JSON, endpoints: tuple[str, ...]) -> None:
        self.document = document
        self.operations = [("paths", path, method) for method, path in map(select.split, endpoints) if self._has(path)]
        self._sides: dict[Path, set[str]] = {}
        self._shadowed: dict[Path, set[str]] = {}
        for place in self.operations:
            operation = at(document, place)
            body, where = self._followed((*place, "requestBody")) if "requestBody" in operation else ({}, ())
            self._content(body, where, REQUEST)
            for status in operation["responses"]:
                if str(status).startswith("2"):
                    self._content(*self._followed((*place, "responses", status)), RESPONSE)

    def _has(self, path: str) -> bool:
        return path in self.document["paths"]

    def _followed(self, path: Path) -> tuple[JSON, Path]:
        node = at(self.document, path)
        while "$ref" in node:
            path = tuple(int(step) if step.isdigit() and len(step) < 3 else step for step in steps(node["$ref"])[1:])
            node = at(self.document, path)
        return node, path

    def _content(self, holder: JSON, path: Path, side: str) -> None:
        for media, content in holder.get("content", {}).items():
            if "schema" in content:
                self._schema((*path, "content", media, "schema"), side)

    def _schema(self, path: Path, side: str) -> None:
        """Walk a schema; what several of its parts have under one name is no place for a change."""
        parts = list(self._parts(path))
        names = Counter(name for part in parts for name in at(self.document, part).get("properties", {}))
        for part in parts:
            first = side not in self._sides.setdefault(part, set())
            self._sides[part].add(side)
            node = at(self.document, part)
            again = {name for name in node.get("properties", {}) if names[name] > 1}
            self._shadowed.setdefault(part, set()).update(again)
            if not first:
                continue
            for name, member in node.get("properties", {}).items():
                if not member.get("readOnly" if side == REQUEST else "writeOnly"):
                    self._schema((*part, "properties", name), side)
            if isinstance(node.get("items"), dict):
                self._schema((*part, "items"), side)

    def _parts(self, path: Path) -> Iterator[Path]:
        """Yield the schema that a path names, and all that it is made of."""
        node, path = self._followed(path)
        yield path
        for index in range(len(node.get("allOf", ()))):
            yield from self._parts((*path, "allOf", index))

    def holders(self) -> list[Holder]:
        """Return every schema with members that a change can be made to, in the document's order."""
        found = []
        for path, sides in self._sides.items():
            node = at(self.document, path)
            own = [
                name
                for name, member in node.get("properties", {}).items()
                if name not in self._shadowed[path] and not {"readOnly", "writeOnly"} & member.keys()
            ]
            if own and not {"oneOf", "anyOf"} & node.keys():
                found.append(Holder(path, frozenset(sides), tuple(own)))
        return found

    def parameters(self) -> list[Path]:
        """Return the place of each parameter of a query; one that several endpoints share is one place."""
        declared = [
            self._followed((*place, "parameters", index))
            for place in self.operations
            for index in range(len(at(self.document, place).get("parameters", ())))
        ]
        return list(dict.fromkeys(path for node, path in declared if node.get("in") == "query"))
