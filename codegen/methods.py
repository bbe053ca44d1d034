"""Derive the connector's typed methods from the rows of its table and the endpoints in PagerDuty's document.

A row without a hand-written method in `arx_wrapper/pagerduty/resources/` gets a derived one. Its parameters are those
of the endpoint and, for a write, those that its body sends. `iterate()` is typed for each operation that lists.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from jinja2 import Template

from codegen.checkout_paths import TREE, Tree
from codegen.descriptions import DESCRIPTIONS, described
from codegen.document import JSON, referenced
from codegen.errors import CodegenError
from codegen.parameters import python_name

_ASK: Final = """
import json
from arx_wrapper.pagerduty.operations import TABLE
def form(returns):
    return returns and [type(returns).__name__, returns.envelope, returns.model]
def sent(body):
    return hasattr(body, "sent") and {
        "model": body.model, "envelope": body.envelope, "members": body.sent, "further": body.further,
        "required": body.required,
    }
print(json.dumps([
    {"name": r.name, "method": r.method, "path": r.path, "risk": r.risk.name, "function": r.function,
     "doc": r.doc or f"{r.summary}.", "needs": r.needs, "args": dict(r.args), "returns": form(r.returns),
     "records": form(r.records), "writes": r.writes,
     "body": r.body is not None, "sent": sent(r.body) or None}
    for r in TABLE.values()
]))
"""
_TEMPLATE: Final = Path(__file__).parent / "templates" / "methods.py.jinja"
_RAISES: Final = "Raises:\n    ArxError: as in `execute()`."
_AWARE: Final = " A `datetime` has to be aware."
_LOCAL: Final = " A time without an offset is local to `time_zone`."
_REQUESTER: Final = "The e-mail address of the PagerDuty user for whom the write is made; by default the vault's."
_FURTHER: Final = "Further writable members of PagerDuty's schema; an unknown name is refused."
# The types of parameters by their name in the connector; any other parameter has the type of its schema.
_TYPES: Final = {
    "content": "Note", "cursor": "Cursor", "description": "Description", "duration": "SnoozeSeconds",
    "end_time": "Instant", "include_next_oncall_for_user": "Id", "limit": "Limit", "method_truncated_token": "Token",
    "name": "Title", "num_loops": "Loops", "offset": "Offset", "query": "Query", "rules": "Rules", "since": "Instant",
    "source_incident_ids": "SourceIds",
    "start_time": "Instant", "time_zone": "Zone", "title": "Title", "until": "Instant",
}  # fmt: skip
_LAST: Final = ("sort_by", "include", "limit", "offset", "cursor", "total", "requester_email")
_KINDS: Final = {"string": "Text", "integer": "int", "number": "float", "boolean": "bool"}
_WIDTH: Final = 120


@frozen
class _Parameter:
    """One parameter of a method: its name, its annotation, and whether it is required."""

    name: str
    type: str
    required: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.type}" if self.required else f"{self.name}: {self.type} | None = None"


def render(tree: Tree = TREE, package: Path | None = None, spec: Path | None = None) -> str:
    """Return the text of the module.

    Args:
        tree: The checkout.
        package: The folder that holds the generated client; by default the checkout's.
        spec: The trimmed document; by default the checkout's.

    Raises:
        CodegenError: the connector cannot be imported, or a method cannot be derived.
    """
    document, rows = described(spec or tree.trimmed), _rows(tree, package or tree.generated.parent)
    own = _own(tree)
    derived = [row for row in rows if row["function"] not in own]
    methods = "".join(_method(row, document) for row in derived)
    listing = "".join(_overload(model, names) for model, names in _lists(rows).items())
    types = sorted(set(re.findall(r"\b[A-Z]\w+\b", methods)) & _exported(tree))
    template = Template(_TEMPLATE.read_text(encoding="utf-8"), keep_trailing_newline=True)
    return _formatted(template.render(methods=methods, overloads=listing, types=types))


def write(tree: Tree = TREE) -> int:
    """Write the module. Returns the number of methods in it."""
    text = render(tree)
    tree.methods.write_text(text, encoding="utf-8")
    return text.count("    async def ")


def drift(tree: Tree = TREE) -> list[str]:
    """List the module when its text differs from a fresh derivation."""
    if tree.methods.exists() and tree.methods.read_text(encoding="utf-8") == render(tree):
        return []
    return [f"changed: {tree.methods.relative_to(tree.root)}; run `python -m codegen methods`"]


def _rows(tree: Tree, package: Path) -> list[JSON]:
    environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{tree.root}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-X", "utf8", "-c", _ASK]
    done = subprocess.run(  # noqa: S603 - our own
        command, cwd=tree.root, env=environment, capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise CodegenError(
            "arx_wrapper/pagerduty/operations.py", f"cannot be read: {said}", "correct the row that it names"
        )
    rows: list[JSON] = json.loads(done.stdout)
    return rows


def _own(tree: Tree) -> set[str]:
    """Return the names of the methods that are written by hand."""
    files = (tree.methods.parent / "resources").glob("*.py")
    parsed = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    return {node.name for each in parsed for node in ast.walk(each) if isinstance(node, ast.AsyncFunctionDef)}


def _exported(tree: Tree) -> set[str]:
    """Return the names of the types that parameters are annotated with."""
    text = (tree.root / "arx_wrapper" / "params.py").read_text(encoding="utf-8")
    return set(re.findall(r"(?m)^(?:class )?([A-Z][A-Za-z]+)(?: = |:$)", text))


def _method(row: JSON, document: JSON) -> str:
    operation = document["paths"].get(row["path"], {}).get(row["method"].lower())
    if operation is None:
        raise CodegenError(
            row["name"], f"has no endpoint {row['method']} {row['path']}", "correct its row, or codegen/endpoints.py"
        )
    parameters = list(_parameters(row, operation, document))
    required = [each for each in parameters if each.required]
    optional = sorted((each for each in parameters if not each.required), key=_order)
    star = ["*"] if optional else []
    signature = ", ".join(map(str, ["self", *required, *star, *optional]))
    kind, _, model = row["returns"] or ("None", None, None)
    returned = {"One": f"m.{model}", "Many": f"Page[m.{model}]", "None": "None"}[kind]
    if kind == "Many" and row["writes"]:
        returned = f"list[m.{model}]"
    runs = {"One": "_one", "Many": "_many" if row["writes"] else "_page"}.get(kind)
    call = f'self.{runs}(m.{model}, "{row["name"]}", locals())' if runs else f'self._gone("{row["name"]}", locals())'
    texts = _texts(row, operation, document["components"]["schemas"])
    descriptions = {each.name: texts[each.name] for each in [*required, *optional] if each.name in texts}
    docstring = textwrap.indent(_docstring(row, descriptions), " " * 8, lambda line: bool(line.strip()))
    verb = "return await" if runs else "await"
    return f"\n    async def {row['function']}({signature}) -> {returned}:\n{docstring}        {verb} {call}\n"


def _parameters(row: JSON, operation: JSON, document: JSON) -> Iterator[_Parameter]:
    for placeholder in re.findall(r"{(\w+)}", row["path"]):
        yield _Parameter(placeholder, "Id", required=True)
    declared = {python_name(p["name"]): p for p in operation["parameters"] if p["in"] == "query"}
    for name, parameter in declared.items():
        yield _Parameter(name, _type(name, parameter["schema"], row, declared), parameter["required"])
    if row["body"] and row["sent"] is None:
        raise CodegenError(row["name"], "builds its body by hand", f"write {row['function']}() by hand, too")
    if row["sent"]:
        yield from _members(row, document["components"]["schemas"])
    if row["writes"]:
        yield _Parameter("requester_email", "Email", required=False)


def _members(row: JSON, schemas: JSON) -> Iterator[_Parameter]:
    """Yield the parameters that a body sends, without those in the path."""
    schema = _sent_schema(row, schemas)
    for name, member in row["sent"]["members"].items():
        required = member in schema.get("required", ()) or name in row["sent"]["required"]
        nullable = row["method"] == "PUT" and "null" in schema["properties"][member].get("type", ())
        annotation = _type(name, schema["properties"][member], row, {})
        if annotation == "Ids" and schema["properties"][member].get("minLength") == 0:  # sic, for `minItems`
            annotation = "AnyIds"
        yield _Parameter(name, f"{annotation} | Null" if nullable else annotation, required)
    if further := row["sent"]["further"]:
        yield _Parameter(further, "Fields", required=False)


def _sent_schema(row: JSON, schemas: JSON) -> JSON:
    """Return the schema of the object whose members a body sends, below its envelope."""
    schema: JSON = schemas[row["sent"]["model"]]
    if envelope := row["sent"]["envelope"]:
        inner = schema["properties"][envelope]
        schema = schemas[referenced(inner) or ""] if "$ref" in inner else inner
    return schema


def _type(name: str, schema: JSON, row: JSON, beside: Iterable[str]) -> str:
    """Return a parameter's annotation: by its name, else by its schema."""
    if name in ("since", "until") and "time_zone" in beside:
        return "LocalTime"
    if name in _TYPES or name.endswith(("_id", "_ids")):
        return _TYPES.get(name) or ("Id" if name.endswith("_id") else "Ids")
    if schema.get("type") == "array":
        if name == "sort_by":
            return "SortFields"
        return f"NonEmpty[{_scalar(schema['items'], name, row)}]"
    return _scalar(schema, name, row)


def _scalar(schema: JSON, name: str, row: JSON) -> str:
    if "enum" in schema:
        return f"Literal[{', '.join(json.dumps(value) for value in schema['enum'])}]"
    kind: Any = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), None)
    if kind not in _KINDS:
        raise CodegenError(
            f"{row['name']}: {name}", "is of no type that a method can be derived for",
            f"name it in codegen/methods.py, or write {row['function']}() by hand",
        )  # fmt: skip
    return _KINDS[kind]


def _order(parameter: _Parameter) -> tuple[int, int]:
    """Return a parameter's sort key: a list's `query` first, the parameters common to all lists last."""
    return (_LAST.index(parameter.name) if parameter.name in _LAST else -1, parameter.name != "query")


def _texts(row: JSON, operation: JSON, schemas: JSON) -> dict[str, str]:
    """Return the descriptions of parameters: those of the row, else those in `spec/descriptions.yaml`."""
    texts = {python_name(name): text for name, text in operation.get(DESCRIPTIONS, {}).items()}
    if row["sent"]:
        members = _sent_schema(row, schemas).get(DESCRIPTIONS, {})
        texts |= {name: members[member] for name, member in row["sent"]["members"].items() if member in members}
        texts[row["sent"]["further"] or ""] = _FURTHER
    for bound in texts.keys() & {"since", "until"}:
        texts[bound] += _LOCAL if "time_zone" in texts else _AWARE
    return {**texts, "requester_email": _REQUESTER, **row["args"]}


def _docstring(row: JSON, texts: Mapping[str, str]) -> str:
    lines = "\n\n".join(textwrap.fill(" ".join(part.split()), _WIDTH - 8) for part in row["doc"].split("\n\n"))
    if row["needs"]:
        lines += f"\n\nAlso needs {' and '.join(f'`{name}`' for name in row['needs'])}."
    if texts:
        items = (f"{name}: {text}" for name, text in texts.items())
        wrapped = (textwrap.fill(each, _WIDTH - 16, subsequent_indent="    ") for each in items)
        lines += "\n\nArgs:\n" + textwrap.indent("\n".join(wrapped), "    ")
    source = f"Source: `{row['method']} {row['path']}`. Risk: {row['risk']}."
    return f'"""{lines}\n\n{source}\n\n{_RAISES}\n"""\n'


def _lists(rows: list[JSON]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["records"]:
            found.setdefault(row["records"][2], []).append(row["name"])
    return found


def _overload(model: str, names: list[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    return (
        f"\n    @overload\n    def iterate(self, operation: Literal[{listed}], params: Given = None, "
        f"**bounds: Unpack[Bounds]) -> AsyncGenerator[m.{model}, None]: ..."
    )


def _formatted(text: str) -> str:
    """Return the text formatted in the project's style, ignoring any other configuration."""
    for arguments in (
        ["check", "--isolated", "--no-cache", "--quiet", "--fix-only", "--select=F401,I", "--line-length=120",
         "--config=lint.isort.known-first-party=['arx_wrapper']", "-"],
        ["format", "--isolated", "--no-cache", "--quiet", "--line-length=120", "-"],
    ):  # fmt: skip
        command = [sys.executable, "-I", "-m", "ruff", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8")  # noqa: S603 - our own
        if done.returncode:
            raise CodegenError(
                f"ruff {arguments[0]}", f"failed:\n{done.stderr}", "correct codegen/templates/methods.py.jinja"
            )
        text = done.stdout
    return re.sub(
        r"(?m)^( {8}(?:filter|type|id|format): .*[,\[])$", r"\1  # noqa: A002 - PagerDuty's name for it", text
    )
