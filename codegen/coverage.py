"""Compare what went into the generator with what came out: it drops what it cannot handle.

Runs in a process of its own, because it imports the package that was generated: `coverage.py SPEC FOLDER`.
"""

from __future__ import annotations

import importlib
import inspect
import json
import keyword
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

JSON = dict[str, Any]


def missing(document: JSON) -> Iterator[str]:
    """Everything of the document that the importable package lacks, in words."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield from _operation(path, method, operation)
    models = importlib.import_module("pagerduty_client.models")
    for name, schema in document["components"]["schemas"].items():
        model = getattr(models, name, None)
        if model is None:
            yield f"schema {name} has no class"
        elif "properties" in schema:
            yield from _members(name, schema, model)


def _operation(path: str, method: str, operation: JSON) -> Iterator[str]:
    place = f"{method.upper()} {path}"
    home = f"pagerduty_client.api.{operation['tags'][0]}.{operation['operationId']}"
    try:
        module = importlib.import_module(home)
    except ImportError as error:
        yield f"{place} has no module: {error}"
        return
    if (method.upper(), path) != (module.METHOD, module.PATH):
        yield f"{place} became {module.METHOD} {module.PATH}"
    wanted = {_python_name(parameter["name"]) for parameter in operation["parameters"]}
    wanted |= {"body"} if "requestBody" in operation else set()
    for function, more in ((module.request, set()), (module.call, {"client"})):
        found = set(inspect.signature(function).parameters)
        if found != wanted | more:
            yield f"{place}: {function.__name__}() differs in {sorted(found ^ (wanted | more))}"
    source = inspect.getsource(module.request)
    for parameter in operation["parameters"]:
        if parameter["in"] == "query" and f'"{parameter["name"]}"' not in source:
            yield f"{place} does not send {parameter['name']}"


def _members(name: str, schema: JSON, model: Any) -> Iterator[str]:
    closed = schema.get("additionalProperties") is False
    if closed:
        members = {wire: member.default for wire, member in model.members().items()}
        required = {wire for wire, default in members.items() if repr(default) != "UNSET"}
        if required != set(schema.get("required", [])):
            yield f"{name} requires {sorted(required)}, not {sorted(schema.get('required', []))}"
    else:
        members = {wire: python for python, (wire, _) in model._decoders.items()}
    if differing := sorted(members.keys() ^ schema["properties"].keys()):
        yield f"{name} differs in {differing}"


def _python_name(name: str) -> str:
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("[]")).lower()
    return f"{snake}_" if keyword.iskeyword(snake) else snake


def main(spec: str, folder: str) -> int:
    """Print what is missing; 1 if anything is."""
    sys.path.insert(0, folder)
    lacking = list(missing(json.loads(Path(spec).read_text(encoding="utf-8"))))
    for line in lacking:
        print(line)  # noqa: T201 - a command's output
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
