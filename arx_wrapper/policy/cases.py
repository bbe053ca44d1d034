"""Read a policy's test file: calls, and the verdict that each must get."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from arx_wrapper.errors import PolicyError
from arx_wrapper.files import read_text
from arx_wrapper.model import Decision, Verdict
from arx_wrapper.policy.entry import MAX_BYTES, Located

_TEXTS: Final = ("operation", "agent", "org", "entry", "because_of", "reason")
_KEYS: Final = (*_TEXTS, "params", "expect", "now")


@frozen(kw_only=True)
class Case:
    """A call and the verdict that it must get.

    Attributes:
        operation, params: The call.
        expect: The expected verdict.
        agent, org: The calling agent and its organisation; None means those that run the tests.
        now: The time of the call, aware; None means the present.
        entry: The entry that must decide; None when any entry may.
        because_of: The operation that must have caused the verdict; None when any operation may.
        reason: Text that the decision's reason must contain; None when any reason will do.
        source: `file:line` of the case.
    """

    operation: str
    params: Mapping[str, Any]
    expect: Verdict
    agent: str | None = None
    org: str | None = None
    now: datetime | None = None
    entry: str | None = None
    because_of: str | None = None
    reason: str | None = None
    source: str

    def fault(self, decision: Decision) -> str | None:
        """Describe how a decision differs from the expected one; None when it does not."""
        if decision.verdict is not self.expect:
            return f"expected {self.expect}, got {decision.verdict}: {decision.reason}"
        if self.entry is not None and decision.policy != self.entry:
            return f"expected the entry {self.entry!r} to decide, it was {decision.policy!r}"
        if self.because_of is not None and decision.operation != self.because_of:
            return f"expected it because of {self.because_of}, it was because of {decision.operation}"
        if self.reason is not None and self.reason not in decision.reason:
            return f"expected a reason with {self.reason!r}, it was: {decision.reason}"
        return None


def cases(path: Path) -> list[Case]:
    """Read a test file.

    Raises:
        PolicyError: a case is malformed; it names file and line.
    """
    from arx_wrapper.policy.yaml_document import read  # imported late: PyYAML takes longer than this package

    try:
        text = read_text(path, MAX_BYTES)
    except OSError as error:
        raise PolicyError(f"cannot be read: {error.strerror}", file=str(path)) from None
    document = read(text, str(path))
    if not isinstance(document.value, list) or not document.value:
        raise PolicyError("must be a list of cases, each starting with '- operation:'", file=str(path), line=1)
    return [_case(item, str(path)) for item in document.value]


def _case(found: Located, file: str) -> Case:
    def wrong(key: str, problem: str) -> PolicyError:
        line = found.value[key].line if key in found.value else found.line
        return PolicyError(f"{key}: {problem}", file=file, line=line, key=key)

    given = found.plain()
    if not isinstance(given, dict):
        raise PolicyError("must be a case with 'operation' and 'expect'", file=file, line=found.line)
    for key in given:
        if key not in _KEYS:
            close = difflib.get_close_matches(str(key), _KEYS, n=1)
            raise wrong(str(key), f"is not a key{f'; did you mean {close[0]!r}?' if close else ''}")
    if "operation" not in given:
        raise wrong("operation", "is missing")
    for key in _TEXTS:
        if key in given and not isinstance(given[key], str):
            raise wrong(key, "must be text")
    if not isinstance(given.get("expect"), str) or given["expect"] not in set(Verdict):
        raise wrong("expect", f"must be one of {', '.join(Verdict)}")
    if not isinstance(given.get("params", {}), dict):
        raise wrong("params", "must be a mapping of parameters")
    return Case(
        operation=given["operation"],
        params=given.get("params", {}),
        expect=Verdict(given["expect"]),
        now=_moment(given["now"], wrong) if "now" in given else None,
        source=f"{file}:{found.line}",
        **{key: given[key] for key in _TEXTS[1:] if key in given},
    )


def _moment(text: object, wrong: Callable[[str, str], PolicyError]) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise wrong("now", "must be an ISO 8601 time with a time zone")
    return moment
