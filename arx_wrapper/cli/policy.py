"""`policy check|explain|scopes|test|simulate|schema`: check a policy, and ask what it decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import asdict

from arx_wrapper.cli.arguments import parse
from arx_wrapper.cli.output import Format, Output, print_json, print_table, say, warn
from arx_wrapper.cli.session import Session
from arx_wrapper.cli.times import moment
from arx_wrapper.core.resolution import minimal_call
from arx_wrapper.errors import ConfigError, InvalidParamsError, PolicyError, UnknownOperationError
from arx_wrapper.model import Decision, Verdict

if TYPE_CHECKING:
    from arx_wrapper.policy.tracing import EntryTrace

app = typer.Typer(no_args_is_help=True, help="Policies: validate, explain, test, simulate.")


@app.command()
def check(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Files or folders; default ARX_POLICY.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit status 1 when anything is pointed out.")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Validate policies, and point out likely mistakes.

    Exit status 2 when a policy does not load.
    """
    session: Session = context.obj
    configured = [Path(session.config.policy)] if session.config.policy else []
    sources = list(paths or configured)
    if not sources:
        raise ConfigError("No policy to check: name a file, or set ARX_POLICY.")
    try:
        report = [_checked(source, session) for source in sources]
    except PolicyError as error:  # handled here: the next step would be this very command
        warn(str(error))
        raise typer.Exit(2) from None
    if output is Output.JSON:
        print_json(report)
    else:
        for item in report:
            say(f"{item['source']}: {item['entries']} {'entry' if item['entries'] == 1 else 'entries'}, valid")
            for finding in item["findings"]:
                say("  " + ": ".join(finding[key] for key in ("source", "policy", "problem") if finding[key]))
            for note in item["notes"]:
                say(f"  note: {note['policy']}: {note['note']}")
    raise typer.Exit(1 if strict and any(item["findings"] for item in report) else 0)


def _checked(source: Path, session: Session) -> dict[str, Any]:
    """Load one policy, and return its number of entries, the likely mistakes in it, and notes that explain it.

    Raises:
        PolicyError: it does not load.
    """
    from arx_wrapper import PagerDutyConnector, policy
    from arx_wrapper.core.backends import utc_now
    from arx_wrapper.core.param_model import param_model
    from arx_wrapper.pagerduty.operations import TABLE

    loaded = policy.load(source, registry=TABLE, connector="pagerduty")
    linted = policy.lint(
        loaded,
        operations=TABLE,
        now=utc_now(),
        parameters={
            name: param_model(name, getattr(PagerDutyConnector, row.function)).names for name, row in TABLE.items()
        },
        members=_members() if any(entry.hide or entry.show for entry in loaded.entries) else (),
    )
    findings = [{"policy": one.entry.name, "source": one.entry.source, "problem": one.problem} for one in linted]
    findings += [
        {"policy": None, "source": file, "problem": "is not read: policy files end in .yaml or .yml"}
        for file in policy.unread_files(source)
    ]
    if session.config.proof == "name" and not session.config.sandbox and not session.config.reviewers:
        problem = "approvals.proof = name: anyone who can run the command line approves under any name"
        findings.append({"policy": None, "source": "settings", "problem": problem})
    notes = [
        {"policy": note.entry.name, "source": note.entry.source, "note": note.problem}
        for note in policy.notes(loaded, operations=TABLE)
    ]
    return {"source": str(source), "entries": len(loaded.entries), "findings": findings, "notes": notes}


@app.command()
def explain(
    context: typer.Context,
    operation: Annotated[str, typer.Argument(metavar="OPERATION", help="e.g. incidents:update")],
    params: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Its parameters.")] = None,
    document: Annotated[str | None, typer.Option("--json", help="Parameters as a JSON object.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Show what policy decides of a call, and why.

    Exit status 3 when it is denied.
    """
    from arx_wrapper import PagerDutyConnector

    session: Session = context.obj

    async def run(connector: Any) -> tuple[Any, list[Any]]:
        backends, model = connector.backends, connector.model_of(operation)
        if params or document:
            frozen = connector.plan(operation, parse(model, params or (), document)).call
        else:  # the operation by itself, whatever its parameters
            who = {"agent_id": connector.agent_id, "org_id": connector.org_id}
            frozen = minimal_call(connector.operations[operation], connector.operations, **who)
        return backends.policies.decide(frozen, backends.clock()), backends.policies.trace(frozen, backends.clock())

    decision, trace = session.with_connector(run)
    rules = [rule for effect in decision.visibility for rule in effect]
    visibility = {
        "hide": sorted({glob for rule in rules for glob in rule.hide}),
        "show": sorted({glob for rule in rules for glob in rule.show}),
        "hidden_by_default": list(PagerDutyConnector.hidden),
    }
    if output is Output.JSON:
        print_json(_explanation(decision, trace) | visibility)
    else:
        _print_explanation(decision, trace, visibility)
    raise typer.Exit(3 if decision.verdict is Verdict.DENY else 0)


def _explanation(decision: Decision, trace: Sequence[EntryTrace]) -> dict[str, Any]:
    return {
        "verdict": decision.verdict.value,
        "operation": decision.operation,
        "risk": decision.risk.name,
        "policy": decision.policy,
        "source": decision.source,
        "reason": decision.reason,
        "entries": [
            {
                "entry": item.entry.name,
                "source": item.entry.source,
                "effect": item.effect.operation,
                "of": _subject(item) or None,
                "risk": item.effect.risk.name,
                "matched": item.matched,
                "why": item.why,
            }
            for item in trace
        ],
    }


def _print_explanation(
    decision: Decision, trace: Sequence[EntryTrace], visibility: Mapping[str, Sequence[str]]
) -> None:
    say(f"{decision.verdict.value}: {decision.reason}")
    columns = ("entry", "matched", "why", "effect", "of", "risk")
    rows = (
        (
            item.entry.name,
            "yes" if item.matched else "no",
            item.why,
            item.effect.operation,
            _subject(item),
            item.effect.risk.name,
        )
        for item in trace
    )
    print_table(columns, rows)
    for verb, globs in (("hides", visibility["hide"]), ("shows", visibility["show"])):
        if globs:
            say(f"{verb}: {', '.join(globs)}")
    say(f"hidden unless shown: {', '.join(visibility['hidden_by_default'])}")


def _subject(item: EntryTrace) -> str:
    return item.subject.removeprefix(" for ")


@app.command()
def scopes(context: typer.Context, output: Format = Output.TABLE) -> None:
    """List the OAuth scopes that policy needs, and no more.

    They are those of every operation that policy can permit.
    """
    from arx_wrapper.core.scopes import needed

    session: Session = context.obj

    async def run(connector: Any) -> dict[str, tuple[str, ...]]:
        rows = connector.operations.values()
        return needed(row for row in rows if connector.possible_verdicts(row.name))

    found = session.with_connector(run)
    if output is Output.JSON:
        print_json({"scopes": list(found), "needed_by": found})
    elif not found:
        say("Policy permits nothing, so a key needs no scope.")
    else:
        print_table(("scope", "needed by"), ([scope, ", ".join(names)] for scope, names in found.items()))


@app.command("test")
def check_cases(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Test files: a list of cases each.")],
    policy: Annotated[Path | None, typer.Option(help="The policy to test; default ARX_POLICY.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Run policy tests: calls and the verdict each must get.

    Exit status 1 when a call gets another verdict.
    A case has `operation` and `expect`, and may have `params`, `agent`, `org`, `now`, `entry`, `because_of`, `reason`.
    """
    from arx_wrapper.policy import cases

    session: Session = context.obj
    wanted = [case for file in files for case in cases(file)]

    async def run(connector: Any) -> list[dict[str, Any]]:
        loaded = _proposed(session, policy)
        return [_outcome(case, _judged(connector, case, loaded)) for case in wanted]

    outcomes = session.with_connector(run)
    failed = sum(outcome["fault"] is not None for outcome in outcomes)
    if output is Output.JSON:
        print_json(outcomes)
    else:
        for outcome in outcomes:
            if outcome["fault"]:
                say(f"{outcome['source']}: {outcome['operation']}: {outcome['fault']}")
        say(f"{len(outcomes) - failed} passed, {failed} failed")
    raise typer.Exit(1 if failed else 0)


@app.command()
def simulate(
    context: typer.Context,
    since: Annotated[str, typer.Option(help="How far back: 30d, 12h, or a date.")] = "30d",
    policy: Annotated[Path | None, typer.Option(help="The proposed policy; default ARX_POLICY.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Show what a proposed policy would have changed.

    Judges the calls on record by it.
    Example: arx-pagerduty policy simulate --since 30d --policy proposed.yaml
    """
    from arx_wrapper import PagerDutyConnector
    from arx_wrapper.core.simulation import simulate as judge_anew
    from arx_wrapper.pagerduty.operations import TABLE

    session: Session = context.obj
    start = _moment(since)

    async def run(backends: Any) -> Any:
        proposed = _proposed(session, policy)
        return await judge_anew(backends.audit, proposed, TABLE, PagerDutyConnector.is_alias, since=start)

    found = session.with_backends(run)
    if output is Output.JSON:
        print_json(asdict(found))
        return
    columns = ("agent", "operation", "was", "would be", "calls", "why", "records")
    print_table(
        columns,
        (
            [change.agent_id, change.operation, change.was, change.would_be, change.count, change.reason, examples]
            for change in found.changes
            for examples in [" ".join(change.examples)]
        ),
    )
    say(f"{found.judged} calls judged, {sum(change.count for change in found.changes)} would change")
    if found.unsure:
        kept = "ARX_AUDIT_CAPTURE=params keeps all but free text"
        say(f"{found.unsure} could not be judged: they depend on parameters that the log did not store ({kept})")
    if found.suspended:
        say(f"{found.suspended} left out: their agent was suspended")
    if found.unknown:
        say(f"{found.unknown} left out: their operation is not known any more")


def _members() -> set[str]:
    """Return the names of all members of answers that are known."""
    import pkgutil
    from importlib import import_module

    from attrs import fields
    from pagerduty_client import models
    from pagerduty_client.answer import Answer

    from arx_wrapper import PagerDutyConnector

    for module in pkgutil.iter_modules(models.__path__):
        import_module(f"{models.__name__}.{module.name}")
    names = {glob.rpartition(".")[2] for glob in PagerDutyConnector.hidden}
    return names.union(*({member.name for member in fields(model)} for model in Answer.__subclasses__()))


def _proposed(session: Session, path: Path | None) -> Any:
    from arx_wrapper import policy
    from arx_wrapper.pagerduty.operations import TABLE

    source = path or session.config.policy
    if source is None:
        raise ConfigError("No policy to try: pass --policy FILE, or set ARX_POLICY.")
    return policy.load(source, registry=TABLE, connector="pagerduty")


def _outcome(case: Any, decision: Any) -> dict[str, Any]:
    return {
        "source": case.source,
        "operation": case.operation,
        "expected": case.expect.value,
        "verdict": decision.verdict.value,
        "entry": decision.policy,
        "because_of": decision.operation,
        "reason": decision.reason,
        "fault": case.fault(decision),
    }


def _judged(connector: Any, case: Any, loaded: Any) -> Any:
    from attrs import evolve

    try:
        call = connector.plan(case.operation, case.params).call
    except (UnknownOperationError, InvalidParamsError) as error:
        raise PolicyError(str(error), file=case.source) from None
    call = evolve(call, agent_id=case.agent or call.agent_id, org_id=case.org or call.org_id)
    return loaded.decide(call, case.now or datetime.now(UTC))


def _moment(text: str) -> datetime:
    try:
        return moment(text, datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(f"--since: {error}") from None


@app.command()
def schema() -> None:
    """Print the JSON Schema of a policy file, for editors."""
    from arx_wrapper.policy import schema as policy_schema

    print_json(policy_schema())
