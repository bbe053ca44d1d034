"""Require a classification of each response member that looks like a secret, an address or a URL.

`spec/members.yaml` holds the classification. A secret is kept out of the model's repr.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from codegen.document import JSON, nearest
from codegen.errors import CodegenError, Fault
from codegen.select import PROSE

KINDS: Final = ("public", "personal", "secret")
_FILE: Final = "spec/members.yaml"
_EVERYWHERE: Final = "any class"
_NAMES: Final = re.compile(
    r"(^|_)(key|token|secret|pass|password|passwd|passphrase|passcode|pin|credentials?|cert|auth|authorization|signature"
    r"|nonce|webhook|url|uri|href|link|endpoint|address|e?mail|phone|mobile|sms|ical|cal|feed|host|hostname|ip)s?(_|$)"
)
_PROSE: Final = re.compile(
    r"\b(secret|token|passwords?|passphrase|credentials?|api key|(integration|routing|service|private|access|signing|"
    r"shared|encryption) key|urls?|uri|links?|e-?mail|phone|address|private|confidential|sensitive|authorization"
    r"|authentication)\b",
    re.IGNORECASE,
)  # fmt: skip


def load(file: Path) -> JSON:
    """Read the classification.

    Raises:
        CodegenError: the file does not map classes to members to kinds.
    """
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise CodegenError(_FILE, f"is not YAML: {' '.join(str(error).split())}", "correct it there") from None
    faults = list(_malformed(loaded))
    if faults:
        raise CodegenError.of(faults)
    classes: JSON = loaded
    return classes


def classify(document: JSON, members: JSON) -> JSON:
    """Return a copy whose secret members have the format `password`.

    Raises:
        CodegenError: members that look like one are not classified, or entries match no member; it names all of them.
    """
    answers: JSON = {name: dict(schema) for name, schema in document["components"]["answers"].items()}
    faults = list(_unknown(answers, members))
    for name, schema in answers.items():
        if "properties" not in schema:
            continue
        schema["properties"] = dict(schema["properties"])
        for member, value in schema["properties"].items():
            kind = members.get(name, {}).get(member) or members.get(_EVERYWHERE, {}).get(member)
            why = suspicion(member, value)
            if kind == "secret":
                schema["properties"][member] = {**value, "format": "password"}
            elif kind is None and why and value.get("format") != "password":
                faults.append(_unclassified(name, member, why))
    if faults:
        raise CodegenError.of(faults)
    return {**document, "components": {**document["components"], "answers": answers}}


def suspicion(member: str, schema: JSON) -> str | None:
    """Explain why a member may hold a secret, an address or a URL; None when nothing indicates it or it is not text."""
    if not _is_text(schema):
        return None
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", member).lower()
    if found := _NAMES.search(snake):
        return f"its name holds {found[2]!r}"
    if found := _PROSE.search(str(schema.get(PROSE, ""))):
        return f"its published description or format speaks of {found[0]!r}"
    return None


def _is_text(schema: JSON) -> bool:
    if schema.get("type") == "array":
        items = {PROSE: "", **schema.get("items", {})}
        return _is_text(items)
    bare = "type" not in schema and "$ref" not in schema
    return (schema.get("type") == "string" or bare) and "enum" not in schema and schema.get("format") != "date-time"


def _unclassified(name: str, member: str, why: str) -> Fault:
    return Fault(
        place=f"{name}.{member}",
        cause=f"may hold a secret, an address or a URL ({why}), and a repr would show it",
        remedy=f"say under {name} in {_FILE} what it is: `{member}: {'|'.join(KINDS)}`",
    )


def _unknown(answers: JSON, members: JSON) -> Iterator[Fault]:
    every = {member for schema in answers.values() for member in schema.get("properties", {})}
    for name, own in members.items():
        known = every if name == _EVERYWHERE else answers.get(name, {}).get("properties", {})
        if not known:
            yield Fault(
                place=f"{_FILE} ({name})", cause=f"is no class{nearest(name, answers)}", remedy="correct or remove it"
            )
            continue
        for member in own:
            if member not in known:
                yield Fault(
                    place=f"{_FILE} ({name}.{member})",
                    cause=f"is no member of a response{nearest(member, list(known))}",
                    remedy="correct or remove it: it was renamed or removed",
                )


def _malformed(loaded: Any) -> Iterator[Fault]:
    if not isinstance(loaded, dict):
        yield Fault(place=_FILE, cause="is no map of classes", remedy="write `Class: {member: kind}`")
        return
    for name, own in loaded.items():
        if not isinstance(own, dict):
            yield Fault(place=f"{_FILE} ({name})", cause="is no map of members", remedy="write `member: kind`")
            continue
        for member, kind in own.items():
            if kind not in KINDS:
                place = f"{_FILE} ({name}.{member})"
                yield Fault(place=place, cause=f"is {kind!r}", remedy=f"write one of {', '.join(KINDS)}")
