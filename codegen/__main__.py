"""`python -m codegen trim|generate|check|examples`: see each command's help."""

from __future__ import annotations

import argparse
import sys

from codegen import check, examples, generate, trim
from codegen.errors import CodegenError


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 when done, 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m codegen", description="Build the generated PagerDuty client.")
    commands = parser.add_subparsers(dest="command", required=True)
    trimming = commands.add_parser("trim", help="published document -> spec/pagerduty.json, spec/upstream.lock")
    trimming.add_argument("--upstream", required=True, metavar="FILE-OR-URL", help="PagerDuty's openapiv3.json")
    sampling = commands.add_parser("examples", help="published examples -> tests/client/{examples,requests}.json")
    sampling.add_argument("--upstream", required=True, metavar="FILE-OR-URL", help="PagerDuty's openapiv3.json")
    commands.add_parser("generate", help="spec/pagerduty.json -> generated/pagerduty_client")
    commands.add_parser("check", help="exit 1 unless generated/ is complete and what spec/ says")
    given = parser.parse_args(arguments)
    try:
        if given.command == "trim":
            return _say(f"{trim.write(given.upstream)} endpoints in {trim.TRIMMED.name}")
        if given.command == "examples":
            return _say(f"{examples.write(given.upstream)} examples in {examples.EXAMPLES.parent.name}/")
        if given.command == "generate":
            return _say(f"{generate.write()} modules in {generate.GENERATED.name}")
        lines = check.drift()
    except CodegenError as error:
        return _say(f"codegen: {error}", failed=True)
    if lines:
        return _say("\n".join([*lines, "generated/ drifted; run `python -m codegen generate`"]), failed=True)
    return _say("generated/ is what spec/ says")


def _say(text: str, *, failed: bool = False) -> int:
    print(text, file=sys.stderr if failed else sys.stdout)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
