"""Add examples to each command's `--help`. Tests check that every command has some and that each parses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import typer

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "init": ("init", "init --key file --policy responder --region eu"),
    "doctor": ("doctor", "doctor --output json"),
    "demo": ("demo", "demo --yes"),
    "ops": ("ops", "ops 'incidents:*' --output json"),
    "call": (
        "call incidents:read --statuses triggered --limit 5",
        "call incidents:create --json @incident.json --dry-run",
        "call incidents:acknowledge incident_id=P1234AB",
        "call users:read --all --columns id,email",
        "call incidents:manage --json @incidents.json",
        "call incidents:snooze --help",
    ),
    "incidents list": ("incidents list", "incidents list --mine --since 2h", "incidents list --status all --watch"),
    "incidents show": ("incidents show P1234AB", "incidents show 41 -w"),
    "incidents ack": ("incidents ack P1234AB", "incidents ack -"),
    "incidents acknowledge": ("incidents acknowledge P1234AB",),
    "incidents note": ("incidents note P1234AB 'failing over'", "incidents note P1234AB -"),
    "incidents alerts": ("incidents alerts P1234AB",),
    "incidents log": ("incidents log 41", "incidents log P1234AB --all"),
    "incidents notes": ("incidents notes P1234AB",),
    "incidents snooze": ("incidents snooze P1234AB 1h", "incidents snooze P1234AB --for 1h"),
    "incidents resolve": ("incidents resolve P1234AB -m 'failed over'",),
    "incidents reassign": ("incidents reassign P1234AB --to me", "incidents reassign 41 --to 'Ada Nkemelu'"),
    "incidents merge": ("incidents merge P1234AB Q5SDUTHU3DG5TI",),
    "incidents create": ("incidents create 'Disk full' -s 'Orders Database' --dry-run",),
    "oncall": ("oncall", "oncall --policy 'Data Escalation' --week"),
    "services list": ("services list", "services list orders --fields id,name"),
    "services show": ("services show 'Orders Database'",),
    "schedules list": ("schedules list",),
    "schedules show": ("schedules show 'Data On-Call' --since now --until 7d",),
    "users list": ("users list", "users list ada@example.com"),
    "users show": ("users show me",),
    "teams list": ("teams list",),
    "teams show": ("teams show Data",),
    "windows list": ("windows list", "windows list --when past"),
    "windows open": ("windows open 'Orders Database' --for 2h -d 'new disks'",),
    "windows end": ("windows end PW98YIO",),
    "analytics": ("analytics", "analytics --by week --since 90d"),
    "agents list": ("agents list", "agents list --since 7d"),
    "mcp": ("mcp", "mcp --wait 120", "mcp --http --port 8931"),
    "policy check": ("policy check policy.yaml", "policy check policies/ --output json"),
    "policy explain": ("policy explain incidents:resolve incident_id=P1234AB",),
    "policy scopes": ("policy scopes", "policy scopes -o json"),
    "policy schema": ("policy schema > policy.schema.json",),
    "approvals list": ("approvals list --state pending",),
    "approvals show": ("approvals show 5f2c9a7d1e3b4c60",),
    "approvals approve": (
        "approvals approve 5f2c9a7d1e3b4c60 --reviewer alice",
        "approvals approve 5f2c9a7d1e3b4c60 --key ~/alice.key",
    ),
    "approvals deny": ("approvals deny 5f2c9a7d1e3b4c60 --reviewer alice",),
    "approvals revoke": ("approvals revoke 5f2c9a7d1e3b4c60 --reviewer alice",),
    "approvals watch": ("approvals watch",),
    "approvals review": ("approvals review --reviewer alice", "approvals review --key ~/alice.key"),
    "reviewers invite": (
        "reviewers invite alice",
        "reviewers invite alice --user PUSER01",
    ),
    "console": ("console", "console --origin https://approvals.example.com"),
    "reviewers list": ("reviewers list",),
    "reviewers confirm": ("reviewers confirm bob --key ~/alice.key",),
    "reviewers remove": ("reviewers remove bob --key ~/alice.key",),
    "approvals keygen": ("approvals keygen --reviewer alice --file ~/alice.key",),
    "approvals verify": ("approvals verify 5f2c9a7d1e3b4c60", "approvals verify --file request.json"),
    "approvals serve": ("approvals serve", "approvals serve --host 0.0.0.0 --port 8080"),
    "audit tail": ("audit tail --target P1234AB --since 1h", "audit tail --follow --verdict DENY"),
    "audit report": ("audit report --since 90d", "audit report --file report.json"),
    "audit verify": (
        "audit verify",
        "audit verify --checkpoint checkpoints --key NAME+1234+BASE64",
    ),
    "audit export": ("audit export --since 2025-01-01 --format csv --file audit.csv",),
    "audit migrate": ("audit migrate", "audit migrate --print > audit.sql"),
    "audit show": ("audit show 17",),
    "audit stats": ("audit stats --since 2025-06-01",),
    "audit policy": ("audit policy 3f9a",),
    "audit rotate": ("audit rotate",),
    "audit retain": ("audit retain --before 2024-06-01",),
    "audit keygen": ("audit keygen audit.example.com/pagerduty --file signer.key",),
    "audit checkpoint": ("audit checkpoint --signing-key signer.key --place checkpoints",),
    "audit prove": ("audit prove 275 --place checkpoints --key NAME+1234+BASE64",),
    "audit verify-proof": ("audit verify-proof record.tlog-proof --key NAME+1234+BASE64",),
    "audit grant": ("audit grant arx_acme --org acme",),
    "audit revoke": ("audit revoke arx_acme",),
    "audit admit": ("audit admit arx_acme --org acme",),
    "audit dismiss": ("audit dismiss arx_acme",),
    "policy test": ("policy test policy.test.yaml --policy policy.yaml",),
    "agents suspend": ("agents suspend agent-7 --reason 'paged everybody'",),
    "agents resume": ("agents resume agent-7",),
    "vault set": ("vault set --email bot@yourorg.com", "vault set < key.txt"),
    "vault status": ("vault status --output json",),
    "vault rotate": ("vault rotate",),
    "sandbox": ("sandbox --port 8080", "sandbox --tls --output json"),
}


def add_examples(app: typer.Typer, under: str = "") -> None:
    """Put its examples under each command's help, unless it brings an epilogue of its own."""
    for path, command in commands(app, under):
        if examples := EXAMPLES.get(path):
            command.epilog = command.epilog or "\n".join(
                ["\b", "Examples:", *(f"  arx-pagerduty {example}" for example in examples)]
            )


def commands(app: typer.Typer, under: str = "") -> Iterator[tuple[str, typer.models.CommandInfo]]:
    """Every command below an application, with the words that call it."""
    for command in app.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "").replace("_", "-")
        yield f"{under} {name}".strip(), command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            yield from commands(group.typer_instance, f"{under} {group.name}".strip())
