"""The tables of every read at 80 and 200 columns, as files: `python -m tests.cli.golden` writes them anew."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from arx_wrapper import PagerDutyConnector
from arx_wrapper.cli.output import Output
from arx_wrapper.cli.response_output import show
from arx_wrapper.pagerduty.operations import TABLE
from arx_wrapper.sandbox import Sandbox
from arx_wrapper.vault.fixed import FixedVault
from tests.support import EVERYTHING

FOLDER = Path(__file__).parent / "golden"
WIDTHS = (80, 200)
READS = [row.name for row in TABLE.values() if not row.writes]
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
_IDS = {
    "incident_id": "P1234AB",
    "service_id": "PABC123",
    "user_id": "PS7DTZT",
    "team_id": "P41PJSO",
    "schedule_id": "PCD0CAO",
    "policy_id": "PC5Z6QY",
}


async def responses() -> dict[str, dict[str, Any]]:
    """Return each read's response, from one account whose clock stands still."""
    account = Sandbox(clock=lambda: NOW)
    vault = FixedVault(api_key=account.token, requester_email=account.email)
    async with PagerDutyConnector(
        "agent",
        "org",
        policies=[EVERYTHING],
        audit="sqlite:///:memory:" if os.environ.get("ARX_SANDBOX") else None,
        vault=vault,
        transport=account.transport(),
        base_url=account.base_url,
    ) as pd:
        await pd.add_incident_note("P1234AB", "looking at it")
        await pd.create_maintenance_window(
            "2026-06-15T02:00:00Z", "2026-06-15T04:00:00Z", ["PABC123"], description="new disks"
        )
        found = {}
        for operation in READS:
            if operation == "users:read_me":  # an account's key has no user
                found[operation] = found["users:read_detail"]
                continue
            params: dict[str, Any] = {member: _IDS[member] for member in TABLE[operation].path_names}
            if "limit" in pd.model_of(operation).names:
                params["limit"] = 100
            found[operation] = await pd.execute(operation, params)
        return found


def table(operation: str, body: Mapping[str, Any], width: int) -> str:
    """Return what a terminal of that width shows of a response, its notes included."""
    out, err = StringIO(), StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(width)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            show(TABLE[operation], body, Output.TABLE, complete=True)
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before
    lines = [line.rstrip() for line in (out.getvalue() + err.getvalue()).splitlines()]
    return "\n".join([*lines, ""])


def file(operation: str, width: int) -> Path:
    """Return where a table is kept."""
    return FOLDER / f"{operation.replace(':', '.')}.{width}.txt"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, body in asyncio.run(responses()).items():
        for columns in WIDTHS:
            file(name, columns).write_text(table(name, body, columns), "utf-8")
    sys.stdout.write(f"{len(READS) * len(WIDTHS)} tables written to {FOLDER}\n")
