"""Fill the documentation with parts of the code while it is built: the operations, and the keys of a policy."""

from __future__ import annotations

from typing import Any

from arx_wrapper.pagerduty.operations import OPERATIONS
from arx_wrapper.policy.schema import schema


def on_page_markdown(markdown: str, **_: Any) -> str:
    return markdown.replace("<!-- operations -->", operations()).replace("<!-- keys -->", keys())


def operations() -> str:
    rows = [
        f"| `{row.name}` | {row.risk.name} | `{row.method} {row.path}` | `{row.function}()` | {row.summary} |"
        for row in OPERATIONS.values()
    ]
    return "\n".join(["| operation | risk | source | method | effect |", "|---|---|---|---|---|", *rows])


def keys() -> str:
    entry = schema()["items"]
    rows = [f"| `{key}` | {_kind(value)} | {value['description']} |" for key, value in entry["properties"].items()]
    return "\n".join(["| key | value | meaning |", "|---|---|---|", *rows])


def _kind(value: dict[str, Any]) -> str:
    if "enum" in value:
        return ", ".join(f"`{item}`" for item in value["enum"])
    if "anyOf" in value:
        return " or ".join(_kind(option) for option in value["anyOf"])
    return {"array": "list of text", "object": "mapping", "integer": "whole number"}.get(value["type"], value["type"])
