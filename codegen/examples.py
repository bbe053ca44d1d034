"""Extract published examples of requests and responses as test data, with personal and secret values replaced."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from codegen import trim, upstream
from codegen.dialect import inline, json_media
from codegen.document import JSON, operations
from codegen.endpoints import ENDPOINTS
from codegen.select import split

EXAMPLES: Final = Path(__file__).parent.parent / "tests" / "client" / "examples.json"
REQUESTS: Final = EXAMPLES.with_name("requests.json")

_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_HOST: Final = re.compile(r"(?<=://)[\w.-]+(?::\d+)?")
_IP: Final = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_KEY: Final = re.compile(r"\b(?=[a-zA-Z]*\d)[0-9a-zA-Z]{20,}\b")
_SECRET_NAMES: Final = frozenset({"integration_key", "service_key", "external_id", "routing_key"})
_PERSONAL_NAMES: Final = frozenset({"address", "conferenceAddress", "conference_number"})


def texts(published: JSON, trimmed: JSON, endpoints: tuple[str, ...] = ENDPOINTS) -> dict[str, str]:
    """Return the text of each fixture of `tests/client`, by its file's name."""
    found = {
        EXAMPLES.name: examples(published, trimmed, endpoints=endpoints),
        REQUESTS.name: examples(published, trimmed, requests=True, endpoints=endpoints),
    }
    return {name: json.dumps(each, sort_keys=True, ensure_ascii=False, indent=1) + "\n" for name, each in found.items()}


def examples(published: JSON, trimmed: JSON, *, requests: bool = False, endpoints: tuple[str, ...] = ENDPOINTS) -> JSON:
    """Return the published responses, or requests, scrubbed, by operationId and the example's name."""
    named = {(path, method): operation["operationId"] for path, method, operation in operations(trimmed)}
    found: JSON = {}
    for endpoint in endpoints:
        method, path = split(endpoint)
        operation = published["paths"][path][method]
        answers = [answer for status, answer in operation["responses"].items() if str(status).startswith("2")]
        for described in [operation.get("requestBody", {})] if requests else answers:
            media = json_media(inline(published, described).get("content", {})) or {}
            for label, example in media.get("examples", {}).items():
                shown = inline(published, example)
                if "value" in shown:
                    found.setdefault(named[_renamed(path, trimmed), method], {})[label] = scrub(shown["value"])
    return found


def scrub(value: Any, name: str = "") -> Any:
    """Return a value in which addresses, hosts and keys are replaced by ones that do not exist."""
    if isinstance(value, dict):
        return {key: scrub(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [scrub(item, name) for item in value]
    if not isinstance(value, str):
        return value
    if name in _SECRET_NAMES:
        return "SCRUBBED"
    if name in _PERSONAL_NAMES:
        return "someone@example.com" if "@" in value else "5550100"
    for pattern, instead in ((_EMAIL, "someone@example.com"), (_HOST, "example.com"), (_IP, "192.0.2.1")):
        value = pattern.sub(instead, value)
    return _KEY.sub("SCRUBBED", value)


def write(source: str) -> int:
    """Write the fixtures of `tests/client`. Returns the number of examples."""
    published = upstream.parse(upstream.load(source), source)
    trimmed = json.loads(trim.TRIMMED.read_text(encoding="utf-8"))
    count = 0
    for name, text in texts(published, trimmed).items():
        EXAMPLES.with_name(name).write_text(text, encoding="utf-8")
        count += sum(len(named) for named in json.loads(text).values())
    return count


def _renamed(path: str, trimmed: JSON) -> str:
    """Return the trimmed document's path for a published one; only the placeholders' names differ."""
    shape = re.sub(r"{\w+}", "{}", path)
    paths: list[str] = list(trimmed["paths"])
    return next(candidate for candidate in paths if re.sub(r"{\w+}", "{}", candidate) == shape)
