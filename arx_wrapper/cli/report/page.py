"""Render the report as one HTML file: no scripts, no external resources, and a layout for paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Any

from arx_wrapper._version import __version__
from arx_wrapper.cli.output import safe
from arx_wrapper.cli.report.collect import Approval, Call, Report

_STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; color: #1b2733; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #ccd4dc; }
table { border-collapse: collapse; width: 100%; font-size: 12.5px; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #e6eaee; }
th { color: #4a5866; font-weight: 600; }
code, pre { font: 12px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: #f5f7f9; padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.figures { display: flex; flex-wrap: wrap; gap: .8rem; padding: 0; list-style: none; }
.figures li { border: 1px solid #ccd4dc; border-radius: 6px; padding: .5rem .9rem; min-width: 6rem; }
.figures b { display: block; font-size: 1.3rem; }
.good { color: #1e6b2b; } .bad { color: #a1201a; font-weight: 600; } .nothing { color: #4a5866; }
details summary { cursor: pointer; } .wide { overflow-x: auto; }
@media print {
  body { margin: 0; max-width: none; font-size: 10pt; } table { font-size: 8.5pt; } .wide { overflow: visible; }
  thead { display: table-header-group; } tr { break-inside: avoid; } h2 { break-after: avoid; }
}
"""
_CALL = ("record", "time (UTC)", "agent", "operation", "objects", "verdict", "policy", "approval", "ended", "outcome")


def html(report: Report, generated: str) -> Iterator[str]:
    """Yield the page in pieces.

    Args:
        report: What it shows.
        generated: When it was made, for its head.
    """
    span = f"{_time(report.since) or 'the first record'} to {_time(report.until) or 'the last record'} (UTC)"
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Audit report, {_(span)}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{_STYLE}</style></head><body>\n<h1>Audit report</h1>\n"
    yield f"<p>{_(span)}. Records {report.first_seq or '-'} to {report.last_seq or '-'}. "
    yield f"Made {_(_time(generated))} (UTC) by arx-pagerduty {_(__version__)}.</p>\n"
    yield from _verification(report)
    yield '<ul class="figures">'
    for name, value in report.totals().items():
        yield f'<li data-figure="{name}"><b>{value}</b> {_(name.replace("_", " "))}</li>'
    yield "</ul>\n"
    yield from _section("Writes", "Each call that may have changed something.", _CALL, map(_call, report.writes))
    yield from _section("Refused", "Nothing was sent for these.", (*_CALL, "why"), map(_refusal, report.refused))
    yield from _section(
        "Unknown",
        "Look at these objects: whether the call took effect is not known.",
        _CALL,
        map(_call, report.unknown),
    )
    yield from _approvals(report.approvals)
    yield from _section("Reads", "", ("agent", "operation", "calls", "failed"), map(_values, report.reads))
    yield from _section(
        "Changes of agents, reviewers and log",
        "",
        ("record", "time (UTC)", "what", "of", "by", "why"),
        map(_values, report.changes),
    )
    yield from _policies(report.policies)
    yield "</body></html>\n"


def _verification(report: Report) -> Iterator[str]:
    found = report.verification
    if found.get("ok"):
        yield f'<p class="good">The log verifies: {found["records"]} records, each chained to the one before.</p>\n'
    else:
        yield f'<p class="bad">The log does not verify: {_(found.get("problem"))}</p>\n'
    checkpoint = found.get("checkpoint")
    if checkpoint:
        yield f"<p>It agrees with the checkpoint of {_(checkpoint['origin'])} over {checkpoint['size']} records, root "
        yield f"<code>{_(checkpoint['root'])}</code>.</p>\n"
    else:
        yield '<p class="nothing">No checkpoint was compared, so a rewrite of the whole log does not show.</p>\n'


def _approvals(approvals: Sequence[Approval]) -> Iterator[str]:
    columns = ("request", "operation", "agent", "requested", "record", "decision", "reviewer", "proof", "note")
    rows: list[Sequence[object]] = []
    for item in approvals:
        head = (item.id, item.operation, item.agent, _time(item.requested))
        decisions = item.decisions or [{}]
        for decision in decisions:
            verdict = decision.get("decision") or "no decision on record"
            counted = verdict if decision.get("counts", True) else f"{verdict} (does not count)"
            rows.append(
                (*head, decision.get("seq"), counted, *(decision.get(m) for m in ("reviewer", "proof", "note")))
            )
    yield from _section("Approvals", "Each request, and what reviewers decided.", columns, rows)


def _policies(policies: Sequence[dict[str, Any]]) -> Iterator[str]:
    columns = ("record", "time (UTC)", "source", "digest", "error")
    rows = [(p["seq"], _time(p["at"]), p["source"], p["digest"], p["error"]) for p in policies]
    yield from _section("Policies in force", "", columns, rows)
    for digest, text in {p["digest"]: p["text"] for p in policies if p["text"]}.items():
        yield f"<details open><summary>Policy <code>{_(digest)}</code></summary><pre>{_(text)}</pre></details>\n"


def _section(title: str, text: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"<h2>{_(title)}</h2>\n"
    if text:
        yield f"<p>{_(text)}</p>\n"
    began = False
    for row in rows:
        if not began:
            began = True
            heads = "".join(f"<th>{_(column)}</th>" for column in columns)
            yield f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>\n'
        yield f"<tr>{''.join(f'<td>{_(cell)}</td>' for cell in row)}</tr>\n"
    yield "</tbody></table></div>\n" if began else '<p class="nothing">None.</p>\n'


def _call(call: Call) -> Sequence[object]:
    who = f"{call.agent} for {call.requester}" if call.requester else call.agent
    ended = f"{call.status}, {call.error}" if call.error else call.status
    verdict = f"{call.verdict} at {call.risk}" if call.verdict else ""
    objects = ", ".join(call.objects)
    return (
        *(call.seq, _time(call.at), who, call.operation, objects, verdict, call.policy, call.approval, ended),
        call.outcome_seq,
    )


def _refusal(call: Call) -> Sequence[object]:
    return (*_call(call), call.reason)


def _values(row: dict[str, Any]) -> Sequence[object]:
    return [_time(value) if name == "at" else value for name, value in row.items()]


def _time(text: object) -> str:
    return str(text or "")[:19].replace("T", " ")


def _(value: object) -> str:
    """Return text as HTML shows it: no markup, and no character that would reorder or hide what follows."""
    return escape(safe(value))
