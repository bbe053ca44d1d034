"""`audit verify`: verify the chain, and compare it with checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from attrs import evolve

from arx_wrapper.cli.audit import proofs
from arx_wrapper.cli.audit.open_log import with_log
from arx_wrapper.cli.output import Format, Output, print_json, say, warn
from arx_wrapper.cli.session import Session, extras

if TYPE_CHECKING:
    from arx_wrapper.audit import AuditLog, Verification


def verify(
    context: typer.Context,
    stores: Annotated[
        list[str] | None, typer.Option("--checkpoint", help="Compare with the last checkpoint of this store too.")
    ] = None,
    key: Annotated[str, typer.Option(envvar="ARX_AUDIT_VERIFIER_KEY", help="The checkpoints' verifier key.")] = "",
    cosigners: proofs.Cosigners = None,
    since: Annotated[
        bool, typer.Option("--since-checkpoint", help="Verify only the records since that checkpoint, one by one.")
    ] = False,
    output: Format = Output.TABLE,
) -> None:
    """Verify every record: its hash, link and number.

    With --checkpoint it also finds a log that was rewritten with its own key, a fork, an end that was cut off, and an
    older copy. With --since-checkpoint it compares the records before the checkpoint as a whole, and verifies one by
    one only those after it. Exit status 5 when something is wrong.
    """
    session: Session = context.obj
    if stores and not key:
        raise typer.BadParameter("--checkpoint needs --key, the verifier's key")
    if cosigners and not stores:
        raise typer.BadParameter("--cosigner needs --checkpoint, the store of what they cosigned")
    if since and not stores:
        raise typer.BadParameter("--since-checkpoint needs --checkpoint, the store that has it")

    async def run(log: AuditLog) -> Verification:
        return await _against(log, stores, key, cosigners or (), since=since) if stores else await log.verify()

    with extras():
        found = with_log(session, run)
    if output is Output.JSON:
        print_json({"ok": found.ok, "records": found.records, "problem": found.problem, "since": found.since})
    elif found.ok:
        after = f" after the {found.since} of the checkpoint" if found.since else ""
        say(f"{found.records} records{after}: the chain holds")
    if not found.ok:
        warn(f"The audit log does not verify: {found.problem}. It holds {found.records} records in order.")
    raise typer.Exit(0 if found.ok else 5)


async def _against(
    log: AuditLog, stores: list[str], key: str, cosigners: Sequence[str], *, since: bool
) -> Verification:
    """Verify the log, and compare it with the last checkpoint of its stores.

    Args:
        log: The log.
        stores, key, cosigners: The checkpoint's stores, the key that verifies it, and the witnesses it needs.
        since: Whether only the records after the checkpoint are verified one by one.
    """
    from arx_wrapper.audit import Verification
    from arx_wrapper.audit.transparency.checkpoint import opened, verify_against
    from arx_wrapper.audit.transparency.signed_note import Verifier
    from arx_wrapper.audit.transparency.witness import Cosigner, require_cosignatures

    verifier = Verifier.parse(key)
    note = await proofs.last_checkpoint(stores, verifier)
    checkpoint = opened(note, verifier)
    require_cosignatures(note, [Cosigner.parse(cosigner) for cosigner in cosigners])
    found = await log.verify() if not since else None
    if found is not None and not found.ok:
        return found
    problem = await verify_against(log, checkpoint)
    if found is None and problem is None:
        return await log.verify(since=checkpoint.size)
    found = found or Verification(ok=True, records=0, since=checkpoint.size)
    return found if problem is None else evolve(found, ok=False, problem=problem)
