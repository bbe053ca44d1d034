"""Run `python -m codegen update|trim|generate|methods|check|examples`; see each command's help."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from codegen import check, examples, generate, methods, trim, update, update_report
from codegen.errors import CodegenError

_UPSTREAM = "PagerDuty's openapiv3.json, as JSON or YAML"


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0 on success, 1 on a fault."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "update":
            return _update(given)
        if given.command == "trim":
            return _say(f"{trim.write(given.upstream)} endpoints in {trim.TRIMMED.name}")
        if given.command == "examples":
            return _say(f"{examples.write(given.upstream)} examples in {examples.EXAMPLES.parent.name}/")
        if given.command == "generate":
            return _say(f"{generate.write()} modules in {generate.GENERATED.name}")
        if given.command == "methods":
            return _say(f"{methods.write()} methods in methods.py")
        lines = check.drift() + methods.drift()
    except CodegenError as error:
        return _say("\n".join(f"codegen: {fault}" for fault in error.faults), failed=True)
    if lines:
        return _say("\n".join([*lines, "generated/ drifted; run `python -m codegen generate`"]), failed=True)
    return _say("generated/ is what spec/ says")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m codegen", description="Build the generated PagerDuty client.")
    commands = parser.add_subparsers(dest="command", required=True)
    updating = commands.add_parser("update", help="newest published document -> spec/, generated/ and a report")
    updating.add_argument("--upstream", metavar="FILE-OR-URL", help=f"{_UPSTREAM}; else the newest commit's")
    updating.add_argument("--dry-run", action="store_true", help="print the report and change nothing")
    updating.add_argument("--prune", action="store_true", help="remove overlay entries that PagerDuty has fixed")
    updating.add_argument("--report", type=Path, metavar="FOLDER", help="folder for report.md and report.json")
    trimming = commands.add_parser("trim", help="published document -> spec/pagerduty.json, spec/upstream.lock")
    trimming.add_argument("--upstream", required=True, metavar="FILE-OR-URL", help=_UPSTREAM)
    sampling = commands.add_parser("examples", help="published examples -> tests/client/{examples,requests}.json")
    sampling.add_argument("--upstream", required=True, metavar="FILE-OR-URL", help=_UPSTREAM)
    commands.add_parser("generate", help="spec/pagerduty.json -> generated/pagerduty_client")
    commands.add_parser("methods", help="the table, spec/pagerduty.json -> the connector's derived methods")
    commands.add_parser("check", help="exit 1 unless generated/ is complete and matches spec/")
    return parser


def _update(given: argparse.Namespace) -> int:
    made = update.Update(source=given.upstream, prune=given.prune).run(install=not given.dry_run)
    folder = given.report or (None if given.dry_run or made.faults else update.REPORTS)
    if folder is not None:
        update.save(made, folder)
    print(update_report.markdown(made), end="")  # noqa: T201 - a command's output
    return 1 if made.faults else 0


def _say(text: str, *, failed: bool = False) -> int:
    print(text, file=sys.stderr if failed else sys.stdout)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
