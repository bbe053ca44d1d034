"""Compare the generator's input with its output, because it silently drops what it cannot handle.

Names are compared, and behaviour: code must accept and send values that the document allows, and refuse all others;
responses must have the document's types. It runs in a separate process, which imports the new package.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codegen.descriptions import DESCRIPTIONS, described
from codegen.document import JSON, operations, referenced, success
from codegen.parameters import STYLE, python_name
from codegen.probes import Probes
from codegen.select import SCOPE


def missing(document: JSON) -> list[str]:
    """List the parts of the document that the package lacks; when it lacks none, list the differences in behaviour."""
    return list(_lacking(document)) or list(_differing(document))


def _lacking(document: JSON) -> Iterator[str]:
    models = importlib.import_module("pagerduty_client.models")
    for path, method, operation in operations(document):
        yield from _operation(path, method, operation)
    for name, schema in document["components"]["schemas"].items():
        model = getattr(models, name, None)
        if model is None:
            yield f"schema {name} has no class"
        elif "properties" in schema:
            yield from _members(name, schema, model)


def _differing(document: JSON) -> Iterator[str]:
    models = importlib.import_module("pagerduty_client.models")
    probes = Probes(document["components"]["schemas"])
    for path, method, operation in operations(document):
        yield from _asked(path, method, operation, probes)
    for name, schema in document["components"]["schemas"].items():
        told = inspect.getdoc(getattr(models, name)) or ""
        for member, said in schema.get(DESCRIPTIONS, {}).items():
            if f"{member}: {said}" not in told:
                yield f"{name} does not say of {member}: {said}"
        if schema.get("additionalProperties") is False:
            yield from _written(name, schema, getattr(models, name), probes)
        elif "properties" in schema:
            yield from _read(name, schema, getattr(models, name), models)


def _module(operation: JSON) -> Any:
    return importlib.import_module(f"pagerduty_client.api.{operation['tags'][0]}.{operation['operationId']}")


def _operation(path: str, method: str, operation: JSON) -> Iterator[str]:
    place = f"{method.upper()} {path}"
    try:
        module = _module(operation)
    except ImportError as error:
        yield f"{place} has no module: {error}"
        return
    if (method.upper(), path) != (module.METHOD, module.PATH):
        yield f"{place} became {module.METHOD} {module.PATH}"
    wanted = {python_name(parameter["name"]) for parameter in operation["parameters"]}
    wanted |= {"body"} if "requestBody" in operation else set()
    for function, more in ((module.request, set()), (module.call, {"client"})):
        found = set(inspect.signature(function).parameters)
        if found != wanted | more:
            yield f"{place}: {function.__name__}() differs in {sorted(found ^ (wanted | more))}"
    source = inspect.getsource(module.request)
    for parameter in operation["parameters"]:
        if parameter["in"] != "path" and f'"{parameter["name"]}"' not in source:
            yield f"{place} does not send {parameter['name']}"


def _asked(path: str, method: str, operation: JSON, probes: Probes) -> Iterator[str]:
    """Compare the endpoint's function with the document: parameters, request and response."""
    place, module = f"{method.upper()} {path}", _module(operation)
    if list(module.SCOPES) != operation.get(SCOPE, []):
        yield f"{place} has the scopes {list(module.SCOPES)}, not {operation.get(SCOPE, [])}"
    listed = importlib.import_module("pagerduty_client.scopes").SCOPES
    if listed.get(f"{operation['tags'][0]}.{operation['operationId']}") != module.SCOPES:
        yield f"{place} has other scopes in the list of all of them"
    if bool(operation.get("deprecated")) != ("Deprecated by PagerDuty." in (module.__doc__ or "")):
        yield f"{place} does not say whether it is deprecated"
    answer = referenced(success(operation))
    found = type(module.parse({})).__name__
    if found != (answer or "NoneType"):
        yield f"{place} answers {found}, not {answer}"
    signature = inspect.signature(module.request).parameters
    given: JSON = {}
    for parameter in operation["parameters"]:
        name = python_name(parameter["name"])
        if parameter["required"] != (signature[name].default is inspect.Parameter.empty):
            yield f"{place} does not have {name} as {'required' if parameter['required'] else 'optional'}"
        if parameter["required"]:
            given[name] = "PX" if parameter["in"] == "path" else _sample(parameter, probes)
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        models = importlib.import_module("pagerduty_client.models")
        given["body"] = getattr(models, str(referenced(schema))).parse(probes.sample(schema))
    for parameter in operation["parameters"]:
        if parameter["in"] != "path":
            yield from _sent(f"{place} {parameter['name']}", module, given, parameter, probes)


def _sample(parameter: JSON, probes: Probes) -> Any:
    return {"a": "b"} if STYLE in parameter else probes.sample(parameter["schema"])


def _sent(place: str, module: Any, given: JSON, parameter: JSON, probes: Probes) -> Iterator[str]:
    name, schema, where = python_name(parameter["name"]), parameter["schema"], parameter["in"]
    refused = _refusals()
    if STYLE in parameter:
        return
    for probe in probes.probes(schema):
        value, allowed = probe.value, probe.allowed
        if value in ("", [], None) or (value == "tomorrow" and schema.get("format") == "date-time"):
            continue  # an empty filter is refused, and PagerDuty validates times given as text
        if schema.get("type") == "array" and isinstance(value, str):
            continue  # a single text is accepted in place of a list
        if where != "query" and schema.get("type") != "string" and not allowed:
            continue
        try:
            request = module.request(**{**given, name: value})
        except refused as error:
            if allowed:
                yield f"{place} refuses {probe.why}: {error}"
            continue
        if not allowed:
            yield f"{place} takes {probe.why} ({value!r})"
        elif where == "query" and (sent := [v for key, v in request.query if key == parameter["name"]]) != (
            wanted := _wire(value, bool(parameter.get("explode")))
        ):
            yield f"{place} sends {sent}, not {wanted}"


def _wire(value: Any, explode: bool) -> list[str]:
    if isinstance(value, list):
        texts = [text for item in value for text in _wire(item, explode)]
        return texts if explode else [",".join(texts)]
    return [{True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)]


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


def _written(name: str, schema: JSON, model: Any, probes: Probes) -> Iterator[str]:
    """Compare a request's class with its schema."""
    least = probes.sample(schema)
    refused = _refusals()
    for member, value in schema["properties"].items():
        for probe in probes.probes(value):
            body = {**least, member: probe.value}
            try:
                written = model.parse(body).to_dict()
            except refused as error:
                if probe.allowed:
                    yield f"{name}.{member} refuses {probe.why}: {error}"
                continue
            if not probe.allowed:
                yield f"{name}.{member} takes {probe.why} ({probe.value!r})"
            elif written != body:
                yield f"{name}.{member} writes {probe.why} as {written.get(member)!r}"
    for member in schema.get("required", []):
        try:
            model.parse({key: value for key, value in least.items() if key != member})
            yield f"{name} does not require {member}"
        except refused:
            pass
    try:
        model.parse({**least, "member_of_tomorrow": 1})
        yield f"{name} takes a member that it does not have"
    except refused:
        pass


def _read(name: str, schema: JSON, model: Any, models: Any) -> Iterator[str]:
    """Compare a response's class with its schema."""
    decoders = {wire: python for python, (wire, _) in model._decoders.items()}
    for member, value in schema["properties"].items():
        came, wanted = _came(value)
        answer = model.from_dict({member: came})
        found = getattr(answer, decoders[member])
        if _shape(found) != wanted:
            yield f"{name}.{member} is {_shape(found)}, not {wanted}"
        if (value.get("format") == "password") == ("canary" in repr(answer)) and came == "canary":
            yield f"{name}.{member} is shown in a repr, or hidden, against the document"
        annotation = str(model.__annotations__[decoders[member]])
        yield from _annotated(f"{name}.{member}", value, annotation, models)


def _came(schema: JSON) -> tuple[Any, str]:
    """Return a value as in a response, and the type that it is decoded to."""
    if own := referenced(schema):
        return {}, own
    if schema.get("type") == "array":
        came, wanted = _came(schema["items"])
        return [came], f"[{wanted}]"
    if schema.get("format") == "date-time":
        return "2025-01-01T00:00:00Z", "datetime"
    return "canary", "str"


def _shape(value: Any) -> str:
    return f"[{_shape(value[0])}]" if isinstance(value, list) and value else type(value).__name__


def _annotated(place: str, schema: JSON, annotation: str, models: Any) -> Iterator[str]:
    wanted = _annotation(schema)
    found = annotation.removesuffix(" | None")
    if "enum" in schema:
        alias, _, base = found.partition(" | ")
        values = set(typing.get_args(getattr(models, alias, None)))
        if values != set(schema["enum"]) or base != wanted:
            listed, wanted_values = sorted(map(str, values)), sorted(map(str, schema["enum"]))
            yield f"{place} lists {listed} or {base}, not {wanted_values} or {wanted}"
    elif found != wanted and "enum" not in str(schema.get("items")):
        yield f"{place} is annotated {found}, not {wanted}"


def _annotation(schema: JSON) -> str:
    if own := referenced(schema):
        return own
    if schema.get("type") == "array":
        return f"list[{_annotation(schema['items'])}]"
    if schema.get("format") == "date-time":
        return "datetime"
    names = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
    return names.get(str(schema.get("type")), "Any")


def _refusals() -> tuple[type[Exception], ...]:
    return (importlib.import_module("pagerduty_client.errors").InvalidRequestError, TypeError)


def main(spec: str) -> int:
    """Print what is missing; return 1 if anything is."""
    lacking = missing(described(Path(spec)))
    for line in lacking:
        print(line)  # noqa: T201 - a command's output
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
