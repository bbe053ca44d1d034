"""Check what needs no server of PagerDuty's: files, audit log, checkpoints, approvals."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from arx_wrapper.audit import PartialViewError
from arx_wrapper.audit.key import ANOTHER_KEY, NOT_THE_KEY, key_file
from arx_wrapper.cli.doctor.finding import Finding, ok, warning, wrong
from arx_wrapper.core.backends import channels
from arx_wrapper.core.enrolment_records import enrolments_of
from arx_wrapper.files import writable_by_others
from arx_wrapper.http_client import CERTIFICATES, tls
from arx_wrapper.pagerduty.sentence_parts import counted
from arx_wrapper.urls import without_password

if TYPE_CHECKING:
    from arx_wrapper.approvals import Reviewers
    from arx_wrapper.audit import AuditLog
    from arx_wrapper.config import CheckpointSettings, Config
    from arx_wrapper.core.backends import Backends


async def files(config: Config) -> Finding:
    """Name the files that decide what is permitted and where the key goes, and that others can change."""
    named = [config.file, Path(config.policy) if config.policy else None]
    if os.environ.get(CERTIFICATES):
        tls()  # refuses what holds no certificates
        named.append(Path(os.environ[CERTIFICATES]))
    files = [file for file in named if file is not None]
    files += [inner for file in files for inner in _policies_in(file)]
    found = dict.fromkeys(filter(None, (writable_by_others(file) for file in files)))
    if found:
        return warning(
            "files",
            f"others can change the configuration: {'; '.join(found)}",
            "Take the permission away (chmod go-w), or keep the files where only this user can write.",
        )
    return ok("files", ", ".join(map(str, files)) or "no configuration file is read")


async def audit_log(backends: Backends) -> Finding:
    """Verify the log and try whether it can be written."""
    try:
        state = await backends.audit.verify()
    except PartialViewError:
        return ok("audit log", "this role sees its own organisations' records; an auditor can verify the chain")
    if state.problem == ANOTHER_KEY:
        return wrong("audit log", state.problem, NOT_THE_KEY)
    if not state.ok:
        return wrong(
            "audit log",
            f"its chain is broken: {state.problem}",
            "Something other than the connector wrote to it. Keep a copy as evidence, find out who did it, and begin a "
            "new log with ARX_AUDIT_URL.",
        )
    await backends.audit.open()  # calls are recorded before they are sent, so it must be writable
    url = backends.config.audit_url
    if hours := await _hours_without_log(backends.audit, url):
        return warning(
            "audit log",
            f"{_place(url)}: {state.records} records, and the first is {hours:.0f} h younger than the log's key",
            "If you put the key there beforehand, all is well. Else an earlier log was removed: restore it, and find "
            "out who did this. Checkpoints kept elsewhere show it at once.",
        )
    return ok("audit log", f"{_place(url)}: {state.records} records, the chain holds{_key_of(url)}")


async def checkpoints(backends: Backends, settings: CheckpointSettings) -> Finding:
    """Tell the age of the last checkpoint in the store that is furthest behind."""
    from arx_wrapper.audit.transparency.checkpoint_stores import checkpoint_store
    from arx_wrapper.audit.transparency.checkpointer import age_of

    age = await age_of(backends.audit, [checkpoint_store(url) for url in settings.stores])
    if age.missing:
        return wrong(
            "checkpoints",
            f"the last one covers {counted(age.missing, 'record')} that the log lacks",
            "The log was removed, cut off or replaced. Restore it from a backup, find out who did this, and compare: "
            "`arx-pagerduty audit verify --checkpoint STORE`.",
        )
    seconds = (backends.clock() - age.taken_at).total_seconds() if age.taken_at else None
    when = f", {seconds / 3600:.1f} h ago" if seconds is not None else ""
    found = f"the last one is over {age.size} records{when}; {age.behind} have come since"
    late = seconds is not None and seconds > 2 * settings.every
    if age.behind and (late or age.behind > 2 * settings.records):
        remedy = "Run a service with these settings, or `arx-pagerduty audit checkpoint`; its log says what failed."
        return warning("checkpoints", found, remedy)
    return ok("checkpoints", found)


async def approvals(backends: Backends, escalated: int) -> Finding:
    """Count the requests that wait, and find out whether anybody would decide them.

    Args:
        backends: The opened backends.
        escalated: The number of operations for which policy asks reviewers.
    """
    config = backends.config
    waiting = await backends.approvals.list("pending")
    own = sum(request.agent_id == config.agent_id for request in waiting)
    place = _place(config.approvals_url)
    waits, asked = _wait(len(waiting)), counted(escalated, "operation")
    if own >= config.pending_cap:
        return warning(
            "approvals",
            f"{place}: {_wait(own, ' of this agent')}, and no more are taken",
            "Decide them: `arx-pagerduty approvals list --state pending`.",
        )
    reviewers = list((await enrolments_of(backends.audit, config.org_id, _configured(config))).reviewers)
    if escalated and config.proof == "required" and not reviewers:
        return warning(
            "approvals",
            f"{place}: policy asks reviewers for {asked}, and none is enrolled",
            "Enrol one: `arx-pagerduty reviewers invite NAME`. Until then such calls expire.",
        )
    if faults := _unattended(config, escalated):
        found = waits if faults[0][0].startswith("policy") else f"{waits}, {own} of this agent"
        said = "; ".join([f"{place}: {found}", *(fault for fault, _ in faults)])
        return warning("approvals", said, " ".join(remedy for _, remedy in faults))
    if reviewers:
        who = f"reviewers: {', '.join(reviewers)}"
    elif escalated:
        who = "reviewers by name"  # without a name as proof, none would be a warning
    else:
        who = "no reviewer is enrolled, and none is needed"
    return ok("approvals", f"{place}: {waits}, {own} of this agent; {who}")


def _unattended(config: Config, escalated: int) -> list[tuple[str, str]]:
    """Return what keeps reviewers from deciding, or lets others decide in their place, each with its remedy."""
    faults = []
    if escalated and not channels(config):
        faults.append(
            (
                f"policy asks reviewers for {counted(escalated, 'operation')}, and nothing notifies them",
                "Set up a channel (approvals.slack, approvals.webhook), or have reviewers keep the console or "
                "`arx-pagerduty approvals watch` open.",
            )
        )
    if config.proof == "name" and not config.sandbox and not config.reviewers:
        faults.append(
            (
                "anyone who can run the command line approves under any name (approvals.proof = name)",
                "Enrol reviewers (`arx-pagerduty reviewers invite NAME`), then unset approvals.proof.",
            )
        )
    return faults


def _policies_in(path: Path) -> list[Path]:
    """Return a folder's policy files; none where the path is a file, or cannot be looked at."""
    return sorted(path.glob("*.yaml")) if os.path.isdir(path) else []


def _wait(number: int, whose: str = "") -> str:
    """Return how many requests wait, as a clause."""
    return f"{counted(number, 'request')}{whose} {'waits' if number == 1 else 'wait'}"


def _configured(config: Config) -> Reviewers | None:
    from arx_wrapper.approvals import Reviewers

    return Reviewers(config.reviewers) if config.reviewers else None


def _place(url: str) -> str:
    """Return where a database is: the whole path of a file, or its address without a password."""
    path = _sqlite_path(url)
    return str(Path(path).absolute()) if path else without_password(url)


def _sqlite_path(url: str) -> str | None:
    """Return the path of a log in SQLite; None for another database, or one in memory."""
    path = url.removeprefix("sqlite:///")
    return None if path == url or path.startswith(":memory:") else path


async def _hours_without_log(log: AuditLog, url: str) -> float | None:
    """Return the hours between a log's key and its first record; None for less than one, and where it is not known."""
    path = _sqlite_path(url)
    if path is None or not key_file(path).exists():
        return None
    first = [record async for record in log.records(after_seq=0, limit=1)]
    if not first or first[0].seq != 1:  # `audit retain` removed it
        return None
    hours = (datetime.fromisoformat(first[0].created_at).timestamp() - key_file(path).stat().st_mtime) / 3600
    return hours if hours >= 1 else None


def _key_of(url: str) -> str:
    """Say where the key of a log is kept, if it is beside the log."""
    path = _sqlite_path(url)
    key = key_file(str(Path(path).absolute())) if path else None
    return f"; its key: {key}" if key and key.exists() else ""
