"""Make the JSON Schema with which text editors complete and check a policy file.

It does not validate policies at run time: `entry_reader.py` does, and the schema is derived from its keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from arx_wrapper.policy.entry_reader import APPROVALS, KEYS, RISKS, SECONDS, EntryReader

_MEMBER: Final = r"^[A-Za-z0-9_*]+(\.[A-Za-z0-9_*]+)*$"
_TEXT: Final = {"type": "string", "minLength": 1}
_LIST: Final = {"type": "array", "items": _TEXT, "minItems": 1}
_RISK: Final = {"enum": list(RISKS)}
_APPROVAL: Final = {"enum": list(APPROVALS)}
_LIMIT: Final = {"type": "string", "pattern": f"^[1-9][0-9]{{0,8}}/({'|'.join(SECONDS)})$"}
_MEMBERS: Final = {"type": "array", "items": {"type": "string", "pattern": _MEMBER}, "minItems": 1}
_ON_CALL: Final = {
    "type": "object",
    "properties": {
        "on_call": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"},
        "levels": {
            "type": "array",
            "items": {"type": "integer", "minimum": 1, "maximum": 100},
            "minItems": 1,
            "uniqueItems": True,
        },
        "escalate_after": {"type": "string", "pattern": "^[1-9][0-9]{0,5}[smh]$"},
    },
    "required": ["on_call"],
    "additionalProperties": False,
}
_REVIEWER: Final = {"type": "string", "pattern": "^(group:)?[A-Za-z0-9][A-Za-z0-9 ._@:/+-]{0,127}$"}
_REVIEWERS: Final = {
    "anyOf": [
        _REVIEWER,
        _ON_CALL,
        {"type": "array", "items": {"anyOf": [_REVIEWER, _ON_CALL]}, "minItems": 1, "uniqueItems": True},
    ]
}
_KINDS: Final[Mapping[Callable[..., object], dict[str, Any]]] = {
    EntryReader.text: _TEXT,
    EntryReader.line: _TEXT,
    EntryReader.connector: _TEXT,
    EntryReader.globs: _LIST,
    EntryReader.operation_globs: _LIST,
    EntryReader.risk: _RISK,
    EntryReader.approval: {
        "anyOf": [
            _APPROVAL,
            {"type": "object", "properties": dict.fromkeys(RISKS, _APPROVAL), "additionalProperties": False},
        ]
    },
    EntryReader.expires: {"type": "string", "format": "date-time"},
    EntryReader.when: _TEXT,
    EntryReader.limits: {"type": "object", "additionalProperties": _LIMIT, "minProperties": 1},
    EntryReader.number: {"type": "integer", "minimum": 1, "maximum": 10},
    EntryReader.members: _MEMBERS,
    EntryReader.reviewers: _REVIEWERS,
    EntryReader.version: {"type": "integer", "minimum": 1},
    EntryReader.boolean: {"type": "boolean"},
}

MEANINGS: Final[Mapping[str, str]] = {
    "name": "The entry's name in decisions and records; unique.",
    "connector": "The connector that it is for: `pagerduty`.",
    "operations": "Globs over operation names that it permits.",
    "deny": "Globs over operation names that it denies, before everything else.",
    "risk_max": "The highest risk that it permits.",
    "approval": "`hitl` requires a reviewer's approval; `auto` and `none` do not. One value, or one for each risk.",
    "hitl_channel": "The channel on which reviewers are notified, `#channel`.",
    "description": "For people.",
    "agents": "Globs over agent ids; all when left out.",
    "orgs": "Globs over organisation ids; all when left out.",
    "expires": "From this time on it no longer matches; ISO 8601 with a time zone.",
    "when": "A CEL expression that has to hold for it to match.",
    "limits": "Operation to `N/second`, `N/minute`, `N/hour` or `N/day`, for each agent; above it the call is denied.",
    "min_approvals": "How many different people have to agree.",
    "reviewers": "The reviewers whose approvals count: names, `group:NAME`, or `{on_call: ESCALATION_POLICY_ID, "
    "levels: [1, 2], escalate_after: 5m}`; any reviewer's when left out.",
    "requesters": "Globs over the addresses that `requester_email` may name; any when left out. The vault's own "
    "address is always accepted.",
    "hide": "Globs over members of responses that are hidden, `contact_methods.address`. Without `operations`, of "
    "every response.",
    "show": "Exceptions to `hide`, and to the keys and addresses that are hidden by default.",
    "enforce": "`false` observes: evaluated and recorded, never enforced.",
    "table": "The version of the table of operations that its globs were written for; they do not permit operations "
    "that were added later. When left out, they do not permit writes that were added after version 1.",
}


def schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of a policy file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "arx-pagerduty policy",
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name", "connector"],
            "anyOf": [{"required": ["operations", "risk_max"]}, {"required": ["deny"]}, {"required": ["hide"]}],
            "properties": {key: {**_KINDS[kind], "description": MEANINGS[key]} for key, kind in KEYS.items()},
            "additionalProperties": False,
        },
    }
