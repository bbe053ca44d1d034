"""The reference pages of the documentation, made from the code: nothing in them is written by hand."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import typer.main

from arx_wrapper import errors
from arx_wrapper.audit.record import AuditRecord
from arx_wrapper.cli.main import app
from arx_wrapper.core.param_model import param_model
from arx_wrapper.model import Operation
from arx_wrapper.pagerduty.connector import PagerDutyConnector
from arx_wrapper.pagerduty.operations import TABLE
from arx_wrapper.policy.editor_schema import schema

FAMILIES = {
    "incidents": "Incidents",
    "alerts": "Alerts",
    "services": "Services",
    "escalation": "Escalation policies",
    "schedules": "Schedules and on-call",
    "users": "Users",
    "teams": "Teams",
    "maintenance": "Maintenance windows",
    "rules": "Event rules",
    "analytics": "Analytics",
    "priorities": "Priorities",
    "audit": "Audit records",
}
_VALUES = {
    "incident_id": "P1234AB",
    "service_id": "PABC123",
    "alert_id": "PZPKSN3",
    "user_id": "PS7DTZT",
    "team_id": "P41PJSO",
    "schedule_id": "PCD0CAO",
    "policy_id": "PC5Z6QY",
    "window_id": "P9658V4",
    "rule_id": "PZGF067",
}


def pages() -> Mapping[str, str]:
    """Return each page by its path in the documentation."""
    return {
        "reference/operations.md": "\n".join(operations()),
        "reference/policy-keys.md": "\n".join(policy_keys()),
        "reference/cli.md": "\n".join(command_line()),
        "reference/errors.md": "\n".join(error_classes()),
        "reference/records.md": "\n".join(record_fields()),
        "reference/python.md": _PYTHON,
    }


def operations() -> Iterator[str]:
    """Yield the page of operations: an overview, then each with its parameters and an example."""
    yield "# Operations\n"
    yield "Each operation has a name for policies, a method in Python and a verb or `call` on the command line."
    yield "The risk is that of the operation by itself; [effects](../concepts.md#effects) can raise it.\n"
    yield "| operation | risk | request | method |\n|---|---|---|---|"
    for row in TABLE.values():
        request = f"`{row.method} {row.path}`"
        yield f"| [`{row.name}`](#{_anchor(row.name)}) | {row.risk.name} | {request} | `{row.function}()` |"
    family = ""
    for row in sorted(TABLE.values(), key=lambda row: list(FAMILIES).index(row.family)):
        if row.family != family:
            family = row.family
            yield f"\n## {FAMILIES.get(family, family.title())}"
        yield from _operation(row)


def _operation(row: Operation) -> Iterator[str]:
    method = getattr(PagerDutyConnector, row.function)
    model = param_model(row.name, method)
    yield f"\n### `{row.name}` {{ #{_anchor(row.name)} }}\n"
    yield f"{_paragraph(method)}\n"
    yield f"{row.risk.name} · `{row.method} {row.path}` · `{row.function}()`" + (
        " · deprecated" if row.deprecated else ""
    )
    if model.names:
        yield "\n| parameter | | accepted |\n|---|---|---|"
        for name in model.names:
            accepted = model.accepted(name).replace("|", "\\|")
            yield f"| `{name}` | {'required' if name in model.required else ''} | {accepted} |"
    required = {name: _VALUES.get(name, "...") for name in model.required}
    typed = " ".join(f"{name}={value}" for name, value in required.items())
    yield f"\n```text\narx-pagerduty call {row.name} {typed}".rstrip() + "\n```"


def policy_keys() -> Iterator[str]:
    """Yield the page of a policy entry's keys."""
    yield "# Policy keys\n"
    yield "A policy file is a list of entries. [Write and test a policy](../policy.md) shows how they combine.\n"
    yield "| key | value | meaning |\n|---|---|---|"
    for key, value in schema()["items"]["properties"].items():
        yield f"| `{key}` | {_kind(value)} | {value['description']} |"


def command_line() -> Iterator[str]:
    """Yield the page of the command line: every command with its arguments, options and examples."""
    yield "# Command line\n"
    yield "Exit status: 0 done, 1 PagerDuty or transport error, 2 usage, 3 denied by policy, 4 approval denied, expired"
    yield "or pending, 5 audit failure. Results go to stdout, everything else to stderr.\n"
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        yield from _command(name, command)


def _command(path: str, command: Any) -> Iterator[str]:
    level = "#" * (2 + path.count(" "))
    yield f"\n{level} `{path}` {{ #{_anchor(path)} }}\n"
    text = inspect.cleandoc((command.help or "").replace("\b", "").replace("\f", ""))
    yield re.sub(r"^((?:\S+:?\s{2,}.*\n?|\s{4,}\S.*\n?)+)", r"```text\n\1```\n", text, flags=re.MULTILINE)
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from _command(f"{path} {name}", below)
        return
    shown = [parameter for parameter in command.params if parameter.name != "help_"]
    if shown:
        yield "\n| argument or option | meaning |\n|---|---|"
    for parameter in shown:
        written = ", ".join(f"`{option}`" for option in parameter.opts if option.startswith("-"))
        named = written or f"`{parameter.metavar or (parameter.name or '').upper()}`"
        yield f"| {named} | {_cell(getattr(parameter, 'help', None) or '')} |"
    if command.epilog:
        lines = [line.strip() for line in command.epilog.splitlines() if line.strip().startswith("arx-pagerduty")]
        yield "\n```text\n" + "\n".join(lines) + "\n```"


def error_classes() -> Iterator[str]:
    """Yield the page of errors: the tree, then each class."""
    yield "# Errors\n"
    yield "`ArxError` is the base of them all. [Troubleshooting](../troubleshooting.md) says what to do about each.\n"
    tree = inspect.cleandoc(errors.__doc__ or "").partition("\n\n")[2].rpartition("\n\n")[0]
    yield "```text\n" + inspect.cleandoc("\n" + tree) + "\n```"
    for name in errors.__all__:
        cls = getattr(errors, name)
        yield f"\n## `{name}` {{ #{name.lower()} }}\n"
        yield f"{_paragraph(cls)}\n\nBase: `{cls.__base__.__name__}`"
        if members := list(_attributes(cls)):
            yield "\n| attribute | meaning |\n|---|---|"
            yield from (f"| `{member}` | {_cell(meaning)} |" for member, meaning in members)


def record_fields() -> Iterator[str]:
    """Yield the page of an audit record's fields."""
    yield "# Record fields\n"
    yield "One record of the audit log, as `audit export` writes it."
    yield "[Prove what happened](../audit.md) explains the log.\n"
    yield "| field | meaning |\n|---|---|"
    for names, meaning in _attributes(AuditRecord):
        yield f"| {', '.join(f'`{name}`' for name in names.split(', '))} | {_cell(meaning)} |"


def _attributes(cls: type) -> Iterator[tuple[str, str]]:
    block = inspect.getdoc(cls) or ""
    found = re.search(r"^Attributes:\n((?: {4}.*\n?)+)", block, re.MULTILINE)
    for item in re.findall(r"^ {4}(\w[^:\n]*): (.*(?:\n {8}.*)*)", found[1] if found else "", re.MULTILINE):
        yield item[0], " ".join(item[1].split())


def _paragraph(documented: object) -> str:
    return " ".join((inspect.getdoc(documented) or "").partition("\n\n")[0].split())


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def _kind(value: Mapping[str, Any]) -> str:
    if "enum" in value:
        return ", ".join(f"`{item}`" for item in value["enum"])
    if "anyOf" in value:
        return " or ".join(_kind(option) for option in value["anyOf"])
    return {"array": "list", "object": "mapping", "integer": "whole number"}.get(value["type"], value["type"])


_PYTHON = """# Python API

::: arx_wrapper.pagerduty.connector.PagerDutyConnector
    options:
      members: [sandbox]

::: arx_wrapper.core.connector.BaseConnector
    options:
      members: [execute, explain, plan, possible_verdicts, approval, audit, requester_email, aclose]

::: arx_wrapper.pagerduty.methods.Methods.iterate

The typed methods, one for each operation, are listed under [Operations](operations.md).

::: arx_wrapper.model.Decision

::: arx_wrapper.model.Effect

::: arx_wrapper.pagerduty.pagination.Page

::: arx_wrapper.config.Config

::: arx_wrapper.params.NULL
"""
