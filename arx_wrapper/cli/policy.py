"""`policy check|explain|schema`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from arx_wrapper.cli.arguments import bare_call, parse
from arx_wrapper.cli.output import Format, Output, print_json, print_table, say
from arx_wrapper.cli.session import Session
from arx_wrapper.errors import ConfigError
from arx_wrapper.model import Verdict

app = typer.Typer(no_args_is_help=True, help="Validate policies, and say why a call is permitted or not.")


@app.command()
def check(
    context: typer.Context,
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders; default ARX_POLICY.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Validate policies, and point out what they may still have wrong."""
    from arx_wrapper import policy
    from arx_wrapper.operations import RISKS
    from arx_wrapper.rooms import utc_now

    session: Session = context.obj
    configured = [Path(session.config.policy)] if session.config.policy else []
    sources = list(paths or configured)
    if not sources:
        raise ConfigError("No policy to check: name a file, or set ARX_POLICY.")
    report = []
    for source in sources:
        loaded = policy.load(source, registry=RISKS, connector="pagerduty")
        findings = [
            {"policy": finding.entry.name, "source": finding.entry.source, "problem": finding.problem}
            for finding in policy.lint(loaded, registry=RISKS, now=utc_now())
        ]
        report.append({"source": str(source), "entries": len(loaded.entries), "findings": findings})
    if output is Output.JSON:
        print_json(report)
        return
    for item in report:
        say(f"{item['source']}: {item['entries']} entries, valid")
        for finding in item["findings"]:  # type: ignore[attr-defined]  # a list, as built above
            say(f"  {finding['source'] or finding['policy']}: {finding['policy']}: {finding['problem']}")


@app.command()
def explain(
    context: typer.Context,
    operation: Annotated[str, typer.Argument(help="e.g. incidents:update")],
    params: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
    document: Annotated[str | None, typer.Option("--json", help="Parameters as a JSON object.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Say what policy decides of a call, by which entry, and why. Exit status 3 when it is denied."""
    session: Session = context.obj

    async def run(connector: Any) -> tuple[Any, list[Any]]:
        rooms, model = connector._rooms, connector.model_of(operation)
        if params or document:
            frozen, _ = connector._resolve(operation, parse(model, params or (), document))
        else:  # the operation by itself, whatever its parameters
            frozen = bare_call(connector.operations[operation], session.config)
        return rooms.policies.decide(frozen, rooms.clock()), rooms.policies.trace(frozen, rooms.clock())

    decision, trace = session.with_connector(run)
    rows = [
        {
            "entry": item.entry.name,
            "source": item.entry.source,
            "effect": item.effect.operation,
            "risk": item.effect.risk.name,
            "matched": item.matched,
            "why": item.why,
        }
        for item in trace
    ]
    if output is Output.JSON:
        print_json(
            {
                "verdict": decision.verdict.value,
                "operation": decision.operation,
                "risk": decision.risk.name,
                "policy": decision.policy,
                "source": decision.source,
                "reason": decision.reason,
                "entries": rows,
            }
        )
    else:
        say(f"{decision.verdict.value}: {decision.reason}")
        print_table(
            ("entry", "effect", "risk", "matched", "why"),
            ([row["entry"], row["effect"], row["risk"], "yes" if row["matched"] else "no", row["why"]] for row in rows),
        )
    raise typer.Exit(3 if decision.verdict is Verdict.DENY else 0)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a policy file, for editors."""
    from arx_wrapper.policy import schema as policy_schema

    print_json(policy_schema())
