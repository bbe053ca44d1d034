"""`approvals list|show|approve|deny|revoke|watch|review|keygen|verify|serve`: show and decide requests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from arx_wrapper.cli.approvals.deciding import Decision, decide, decided, plain
from arx_wrapper.cli.completion import complete_approvals
from arx_wrapper.cli.output import Format, Output, print_json, print_table, say
from arx_wrapper.cli.session import Session, extras
from arx_wrapper.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Requests for approval: list, decide, withdraw.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The request's id.", autocompletion=complete_approvals)]
Reviewer = Annotated[str | None, typer.Option(help="Your name, never the agent's; default the owner of the key.")]
Key = Annotated[
    Path | None,
    typer.Option(
        envvar="ARX_REVIEWER_KEY",
        help="Your private key's file, to sign with; default reviewer.key beside the user's arx.toml.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Sign without showing the request and asking.")]
Note = Annotated[str, typer.Option(help="A remark, which goes on record.")]


@app.command("list")
def list_(
    context: typer.Context,
    state: Annotated[
        str | None, typer.Option(help="pending, approved, denied, expired, consumed, stale, revoked.")
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """List requests, newest first."""
    session: Session = context.obj

    async def run(backends: Any) -> Any:
        return await backends.approvals.list(state)

    requests = session.with_backends(run)
    if output is Output.JSON:
        print_json([plain(request) for request in requests])
    else:
        columns = ("id", "state", "risk", "asks to", "agent", "expires")
        rows = (
            [r.id, r.state, r.risk.name, r.sentence or r.operation, r.agent_id, f"{r.expires_at:%Y-%m-%d %H:%M}Z"]
            for r in requests
        )
        print_table(columns, rows)


@app.command()
def show(context: typer.Context, approval_id: Id, output: Format = Output.TABLE) -> None:
    """Show exactly what a request would do."""
    from arx_wrapper.approvals import render

    session: Session = context.obj

    async def run(backends: Any) -> Any:
        return await backends.approvals.get(approval_id)

    request = session.with_backends(run)
    if output is Output.JSON:
        print_json(plain(request))
    else:
        say(render(request))


@app.command()
def approve(
    context: typer.Context,
    approval_id: Id,
    reviewer: Reviewer = None,
    note: Note = "",
    key: Key = None,
    yes: Yes = False,
    output: Format = Output.TABLE,
) -> None:
    """Approve a request.

    Where decisions need a signature, the command shows you the request, asks you to confirm, and signs with your key.
    """
    decide(context.obj, approval_id, Decision(reviewer, True, note, key, yes), output)


@app.command()
def deny(
    context: typer.Context,
    approval_id: Id,
    reviewer: Reviewer = None,
    note: Note = "",
    key: Key = None,
    yes: Yes = False,
    output: Format = Output.TABLE,
) -> None:
    """Deny a request. Signed like an approval."""
    decide(context.obj, approval_id, Decision(reviewer, False, note, key, yes), output)


@app.command()
def revoke(
    context: typer.Context,
    approval_id: Id,
    reviewer: Annotated[str, typer.Option(help="Your name.")],
    note: Note = "",
    output: Format = Output.TABLE,
) -> None:
    """Withdraw a request, or an approval that no call has used yet.

    Nobody can decide or use it afterwards.
    """
    from arx_wrapper.core.review import revoke as withdraw

    async def run(backends: Any) -> Any:
        return await withdraw(backends.approvals, backends.audit, approval_id, reviewer=reviewer, note=note)

    request = context.obj.with_backends(run)
    if output is Output.JSON:
        print_json(plain(request))
    else:
        say(f"{request.id}: {request.state}")


@app.command()
def watch(
    context: typer.Context,
    every: Annotated[float, typer.Option(min=0.05, help="Seconds between two checks.")] = 1.0,
    lines: Annotated[int | None, typer.Option(min=1, help="Stop after this many lines.")] = None,
    output: Format = Output.TABLE,
) -> None:
    """Print requests as they come, until Ctrl-C.

    A line for each when an agent asks, before it expires, and when somebody decides.
    """
    from arx_wrapper.cli.approvals.watching import watch as run

    session: Session = context.obj
    session.with_backends(lambda backends: run(backends.approvals, session.config.org_id, every, output, lines))


@app.command("review")
def review_(context: typer.Context, reviewer: Reviewer = None, key: Key = None) -> None:
    """Step through the requests that wait.

    Shows each in full, and asks whether to approve, deny or skip it. Where decisions need a signature, it signs with
    your key. With a passkey, decide at `arx-pagerduty console`.
    """
    from arx_wrapper.cli.approvals.watching import review as run

    session: Session = context.obj
    if session.config.proof == "required" and not session.config.reviewers:
        raise ConfigError(
            "Decisions need a signature here, and no reviewer's key is configured. Decide with your passkey at "
            "`arx-pagerduty console`. Nothing was decided."
        )

    async def work(backends: Any) -> None:
        async def take(request: Any, approve: bool, note: str) -> None:
            await decided(session, backends, request.id, Decision(reviewer, approve, note, key, True))

        await run(backends.approvals, session.config.org_id, take)

    session.with_backends(work)


@app.command()
def keygen(
    reviewer: Annotated[str, typer.Option(help="The name of the reviewer who will own the key.")],
    file: Annotated[
        Path | None,
        typer.Option(help="Where to keep the private key; default reviewer.key beside the user's arx.toml."),
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """Make a reviewer's key.

    Prints the public key, for you to register. The private key goes to a new file that only you can read.
    """
    from arx_wrapper.approvals.request import plain_name
    from arx_wrapper.cli.approvals import signing

    plain_name(reviewer)
    kept = file or signing.default_file()
    public = signing.make_key(kept)
    if output is Output.JSON:
        print_json({"reviewer": reviewer, "public_key": public, "file": str(kept)})
        return
    say(f"Private key: {kept}. Keep it; name it with --key or {signing.VARIABLE}.")
    say(f'Register the public key in arx.toml:\n\n[approvals.reviewers]\n"{reviewer}" = "{public}"')


@app.command()
def verify(
    context: typer.Context,
    approval_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The request's id.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A request that `approvals show ID --output json` printed, instead; - is stdin.")
    ] = None,
    reviewers: Annotated[
        Path | None,
        typer.Option(
            help="The public keys, as `reviewers list --output json` printed them; default those in force here."
        ),
    ] = None,
    output: Format = Output.TABLE,
) -> None:
    """Verify the signatures of a request's decisions.

    Needs no database with --file and --reviewers. Exit status 4 when somebody altered the request, when a signature
    does not verify, or when there is no decision.
    """
    from arx_wrapper.cli.approvals.verify import exported, listed, verified

    session: Session = context.obj
    if (approval_id is None) == (file is None):
        raise typer.BadParameter("name a request, or a --file")

    async def run(backends: Any) -> Any:
        from arx_wrapper.core.enrolment_records import enrolments_of

        known = listed(reviewers) if reviewers else None
        if known is None:
            configured = backends.approvals.reviewers
            known = (await enrolments_of(backends.audit, session.config.org_id, configured)).reviewers
        _require_keys(known)
        return (exported(file) if file else await backends.approvals.get(approval_id)), known

    with extras():
        if file and (reviewers or session.config.reviewers):
            from arx_wrapper.approvals import Reviewers

            known = listed(reviewers) if reviewers else Reviewers(session.config.reviewers or {})
            _require_keys(known)
            request = exported(file)
        else:
            request, known = session.with_backends(run)
        findings = verified(known, request)
    sound = bool(findings) and all(finding["problem"] is None for finding in findings)
    if output is Output.JSON:
        print_json({"id": request.id, "ok": sound, "decisions": findings})
    elif findings:
        columns = ("reviewer", "verdict", "at", "problem")
        print_table(columns, ([finding[column] for column in columns] for finding in findings))
        say(f"{request.id}: " + ("every decision is signed by its reviewer" if sound else "DOES NOT HOLD"))
    else:
        say(f"{request.id}: nobody has decided yet")
    raise typer.Exit(0 if sound else 4)


def _require_keys(known: Any) -> None:
    if not known:
        raise ConfigError(
            "There are no reviewers' keys to verify with: enrol reviewers, list keys in approvals.reviewers, or "
            "name --reviewers FILE."
        )


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 8787,
    output: Format = Output.TABLE,
) -> None:
    """Serve the endpoint for Slack's approve and deny buttons.

    Slack reaches it over HTTPS, so put a proxy in front. Enter the proxy's address, with the path
    /slack/interactions, as the interactivity request URL of your Slack app. Needs SLACK_BOT_TOKEN and
    SLACK_SIGNING_SECRET.
    """
    from arx_wrapper.cli.approvals.slack_server import serve as run

    def ready(address: str) -> None:
        if output is Output.JSON:
            print_json({"url": address})
        else:
            say(f"Listening for Slack at {address}. Stop it with Ctrl-C.")

    run(context.obj, host, port, ready)
