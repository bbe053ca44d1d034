"""Render the report of an update, as Markdown for reviewers and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from attrs import field, frozen

from codegen.compare import Change
from codegen.document import JSON
from codegen.errors import Fault
from codegen.impact import Impact
from codegen.rules import Kind, Level

_MANY: Final = 6


@frozen(kw_only=True)
class Report:
    """The findings and steps of an update.

    Attributes:
        source: The address or file of the published document.
        before: The lock before the update.
        after: The lock after the update.
        published: The changes in PagerDuty's document, classified as by oasdiff.
        client: The changes of the generated client: its methods, parameters and models.
        faults: The reasons why the client could not be built; empty when it was.
        pruned: Removed overlay entries that PagerDuty has made unnecessary.
        impact: The affected parts of the connector.
        steps: The steps that were run, each with its outcome.
    """

    source: str
    before: JSON
    after: JSON
    published: tuple[Change, ...] = field(default=())
    client: tuple[Change, ...] = field(default=())
    faults: tuple[Fault, ...] = field(default=())
    pruned: tuple[str, ...] = field(default=())
    impact: Impact = field(factory=Impact)
    steps: tuple[tuple[str, str], ...] = field(default=())

    @property
    def step(self) -> str:
        """Return the SemVer step that the client's changes require: major, minor, patch, none, or not known."""
        if self.faults:
            return "not known"
        if any(_is_major(each) for each in self.client):
            return "major"
        if any(each.kind in (Kind.ADDED, Kind.WIDENED) or each.rule.endswith("deprecated") for each in self.client):
            return "minor"
        return "patch" if self.client or self.published else "none"

    @property
    def policy(self) -> tuple[str, ...]:
        """Return the changes that a person has to judge before an agent may use them."""
        return tuple(_policy(self.published, self.client))


def _is_major(change: Change) -> bool:
    """Return True when code written for the earlier client does not work with the new one."""
    if change.rule.startswith("response-property-enum-value") or change.rule.startswith(
        "response-property-became-enum"
    ):
        return False  # enums in responses are open
    return change.level is Level.BREAKING or change.kind in (Kind.REMOVED, Kind.RENAMED)


def _policy(published: tuple[Change, ...], client: tuple[Change, ...]) -> Iterator[str]:
    written: Counter[tuple[str, ...]] = Counter()
    names: dict[tuple[str, ...], list[str]] = {}
    for each in client:
        if each.rule.startswith("new-") and each.rule.endswith("request-property"):
            writes = tuple(e for e in each.endpoints if not e.startswith("GET "))
            written[writes] += 1
            names.setdefault(writes, []).append(each.place)
    for endpoints, count in written.items():
        members = f"{count} new member{'s' if count > 1 else ''} of a write"
        yield (
            f"{members} ({', '.join(names[endpoints])}; {_some(endpoints)}): `tests/policy/test_walk.py` fails until "
            "each is classified, as an effect, a risk or neither"
        )
    for each in client:
        if each.rule == "endpoint-added":
            yield f"{each.place} is new: give its row the next `since`, so that no glob comes to permit it"
        elif each.rule in ("new-optional-request-parameter", "request-parameter-enum-value-added"):
            what = "is new" if each.detail == "parameter" else f"takes {each.detail} by now"
            yield (
                f"{each.place} {what}, and so it is in the derived method: does it read or do what needs an effect? "
                "`make accept` takes it over into `tests/surface.txt`"
            )
        elif each.rule == "request-property-enum-value-added":
            yield f"{each.place} takes {each.detail} by now: does it weaken what an effect or a risk is judged by?"
        elif "became" in each.rule and each.rule.startswith("request") and each.kind is Kind.WIDENED:
            yield f"{each.place} is {each.detail} by now ({each.rule}): does a condition rely on it?"
        elif each.rule.startswith("api-security-scope"):
            yield f"{each.place}: scope {each.detail} {each.rule.rpartition('-')[2]}"
    for each in published:
        if each.rule.startswith("request-parameter-default-value"):
            yield f"{each.place}: PagerDuty assumes something else when it is left out ({each.detail})"


def as_json(report: Report) -> JSON:
    """Return the report as plain JSON."""
    impact = report.impact
    return {
        "source": report.source,
        "before": {key: report.before.get(key) for key in ("url", "commit", "sha256")},
        "after": {key: report.after.get(key) for key in ("url", "commit", "sha256")},
        "ok": not report.faults,
        "semver": report.step,
        "published": [_change(each) for each in report.published],
        "client": [_change(each) for each in report.client],
        "policy": list(report.policy),
        "faults": [{"place": f.place, "cause": f.cause, "remedy": f.remedy} for f in report.faults],
        "pruned": list(report.pruned),
        "impact": {
            "operations": list(impact.operations), "cassettes": list(impact.cassettes), "routes": list(impact.routes),
            "columns": list(impact.columns), "unknown": impact.unknown,
        },
        "steps": [{"step": step, "outcome": outcome} for step, outcome in report.steps],
        "changelog": changelog(report),
    }  # fmt: skip


def _change(change: Change) -> JSON:
    return {
        "rule": change.rule, "level": str(change.level), "kind": str(change.kind), "place": change.place,
        "detail": change.detail, "endpoints": list(change.endpoints),
    }  # fmt: skip


def changelog(report: Report) -> str:
    """Return the entry for the changelog; empty when callers are not affected."""
    told = [each for each in report.client if not each.rule.endswith("description-changed")]
    if not told:
        return ""
    lines = ["### Changed", f"- The client follows PagerDuty's document at {_commit(report.after)}:"]
    lines += [f"  - {'**breaking** ' if _is_major(each) else ''}{_sentence(each)}" for each in told]
    return "\n".join(lines)


def markdown(report: Report) -> str:
    """Return the report as Markdown, the most important parts first."""
    return "\n".join(_sections(report)) + "\n"


def _sections(report: Report) -> Iterator[str]:
    levels = Counter(each.level for each in report.published)
    yield "# Update of PagerDuty's document"
    yield ""
    yield f"From {_commit(report.before)} to {_commit(report.after)} (`{report.source}`)."
    yield ""
    yield f"| outcome | {'**cannot be built**, see below' if report.faults else 'built and tested'} |"
    yield "|---|---|"
    yield f"| PagerDuty changed | {', '.join(f'{levels[level]} {level}' for level in Level)} |"
    places = "not known" if report.faults and not report.client else f"{len(report.client)} places"
    yield f"| the client changes | {places}, SemVer step **{report.step}** |"
    yield f"| policy | {len(report.policy)} things to judge |"
    yield f"| overlay | {len(report.pruned)} entries pruned, {len(report.faults)} faults |"
    yield from _list(
        "Why it cannot be built", [f"{f.place}\n  {f.cause}.\n  Remedy: {f.remedy}" for f in report.faults]
    )
    yield from _list("What breaks callers", [_sentence(c) for c in report.client if _is_major(c)])
    yield from _list("What matters for policy", list(report.policy))
    yield from _operations(report)
    yield from _list("What else PagerDuty says differently", _quiet(report))
    yield from _list("Overlay entries that PagerDuty has made unnecessary", list(report.pruned))
    yield from _impact(report.impact)
    yield from _list("Steps", [f"{step}: {outcome}" for step, outcome in report.steps])
    if entry := changelog(report):
        yield from ("", "## For CHANGELOG.md", "", "```markdown", entry, "```")


def _operations(report: Report) -> Iterator[str]:
    told = [each for each in report.published if not each.rule.endswith("description-changed")]
    if not told:
        return
    yield from (
        "",
        "## What PagerDuty changed",
        "",
        "| level | kind | where | what | endpoints |",
        "|---|---|---|---|---|",
    )
    for each in told:
        what = f"{each.rule}: {_cell(each.detail)}"
        yield f"| {each.level} | {each.kind} | `{_cell(each.place)}` | {what} | {_some(each.endpoints)} |"
    counts = {kind: Counter(e for each in told if each.kind is kind for e in each.endpoints) for kind in Kind}
    yield from ("", "| endpoint | " + " | ".join(Kind) + " |", "|---|" + "---|" * len(Kind))
    for endpoint in sorted({e for each in told for e in each.endpoints}):
        yield f"| `{endpoint}` | " + " | ".join(str(counts[kind][endpoint] or "") for kind in Kind) + " |"


def _quiet(report: Report) -> list[str]:
    described = [each for each in report.published if each.rule.endswith("description-changed")]
    return [f"{len(described)} descriptions: {_some(tuple(each.place for each in described))}"] if described else []


def _impact(impact: Impact) -> Iterator[str]:
    if impact.unknown:
        yield from _list("What of the connector is touched", [f"not known: {impact.unknown}"])
        return
    found = {
        "operations": impact.operations, "cassettes to record again (`make cassettes`)": impact.cassettes,
        "sandbox routes to look at": impact.routes, "columns that show what went": impact.columns,
    }  # fmt: skip
    lines = [f"{len(values)} {name}: {_some(values)}" for name, values in found.items() if values]
    yield from _list("What of the connector is touched", lines)


def _list(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"## {title}", "")
        yield from (f"- {line}" for line in lines)


def _sentence(change: Change) -> str:
    detail = "" if change.detail in ("member", "parameter", "endpoint", "body") else f" ({_cell(change.detail)})"
    return f"`{change.place}`: {change.rule.replace('-', ' ')}{detail}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_MANY])
    return shown if len(names) <= _MANY else f"{shown} and {len(names) - _MANY} more"


def _commit(lock: JSON) -> str:
    return f"commit `{lock['commit'][:12]}`" if lock.get("commit") else f"sha256 `{lock['sha256'][:12]}`"
