"""`audit keygen|checkpoint|prove|verify-proof`: make and verify evidence that others can check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arx_wrapper.cli.audit.open_log import seq_of, with_log
from arx_wrapper.cli.output import Format, Output, TextFormat, print_json, say
from arx_wrapper.cli.session import Session, extras
from arx_wrapper.errors import ConfigError
from arx_wrapper.files import create_private, read_text

if TYPE_CHECKING:
    from arx_wrapper.audit import AuditLog
    from arx_wrapper.audit.transparency.signed_note import Verifier

SigningKey = Annotated[Path, typer.Option("--signing-key", envvar="ARX_AUDIT_SIGNING_KEY", help="The signer's file.")]
Places = Annotated[
    list[str],
    typer.Option("--place", envvar="ARX_AUDIT_CHECKPOINTS", help="A folder, - or s3://…."),
]
Key = Annotated[str, typer.Option("--key", envvar="ARX_AUDIT_VERIFIER_KEY", help="The verifier's key.")]


Witnesses = Annotated[
    list[str] | None,
    typer.Option("--witness", envvar="ARX_AUDIT_WITNESSES", help="KEY@URL of a witness that must cosign."),
]
Cosigners = Annotated[
    list[str] | None,
    typer.Option("--cosigner", envvar="ARX_AUDIT_COSIGNERS", help="Key of a witness that must have cosigned."),
]


def keygen(
    name: Annotated[str, typer.Argument(help="The log's public name: audit.example.com/pagerduty")],
    file: Annotated[Path, typer.Option("--file", help="Where to keep the signer's key; must not exist.")],
    output: TextFormat = Output.TABLE,
) -> None:
    """Make a key that signs checkpoints.

    Prints the verifier's key, which may be published.
    """
    with extras():
        from arx_wrapper.audit.transparency.signed_note import Signer

        try:
            signer = Signer.new(name)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    try:
        create_private(file, f"{signer.secret()}\n".encode())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}. No key was made.") from None
    if output is Output.JSON:
        print_json({"verifier": signer.verifier(), "file": str(file)})
    else:
        say(signer.verifier())


def checkpoint(
    context: typer.Context,
    signing_key: SigningKey,
    places: Places,
    witnesses: Witnesses = None,
    output: Format = Output.TABLE,
) -> None:
    """Verify the log and store a signed checkpoint of it.

    Keep it where nobody who can write to the log can reach it. Exit status 5 when the log does not go on from the last
    checkpoint in a store or at a witness (C2SP tlog-witness): nothing is signed then.
    """
    session: Session = context.obj

    async def run(log: AuditLog) -> str:
        from arx_wrapper.audit.transparency.checkpoint import sign_checkpoint
        from arx_wrapper.audit.transparency.checkpoint_stores import checkpoint_store
        from arx_wrapper.audit.transparency.witness import Witness

        asked = [Witness.parse(witness, session.config.proxy) for witness in witnesses or ()]
        return await sign_checkpoint(log, _signer(signing_key), [checkpoint_store(url) for url in places], asked)

    with extras():
        note = with_log(session, run)
    if output is Output.JSON:
        print_json({"checkpoint": note})
    elif "-" not in places:
        say(note)


def prove(
    context: typer.Context,
    places: Places,
    key: Key,
    record_id: Annotated[str, typer.Argument(metavar="[ID]", help="A record's id, or its seq.")] = "",
    earlier: Annotated[
        Path | None, typer.Option("--from", help="An earlier checkpoint's file: prove that the log goes on from it.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Where to; default stdout.")] = None,
) -> None:
    """Write a proof that a record is in the log.

    The proof leads from the record to the last checkpoint. Anybody can check it without the log (C2SP tlog-proof; the
    record is its extra data). With --from instead of a record, it proves that the log goes on from an earlier
    checkpoint.
    """
    session: Session = context.obj
    if bool(record_id) == (earlier is not None):
        raise typer.BadParameter("name a record, or an earlier checkpoint with --from")

    async def run(log: AuditLog) -> Any:
        from arx_wrapper.audit.transparency.consistency_proof import prove_consistency
        from arx_wrapper.audit.transparency.inclusion_proof import prove
        from arx_wrapper.audit.transparency.signed_note import Verifier

        verifier = Verifier.parse(key)
        last = await last_checkpoint(places, verifier)
        if earlier is not None:
            return await prove_consistency(log, _read(earlier), last, verifier)
        return await prove(log, seq_of(record_id) or record_id, last, verifier)

    with extras():
        proved = with_log(session, run)
    if file is None:
        say(proved.text().rstrip())
    else:
        try:
            file.write_text(proved.text(), "utf-8")
        except OSError as error:
            raise ConfigError(f"{file} cannot be written: {error.strerror}. Name another --file.") from None


def verify_proof(
    file: Annotated[Path, typer.Argument(help="A proof, as `audit prove` wrote it.")],
    key: Key,
    output: Format = Output.TABLE,
) -> None:
    """Check a proof offline, with the verifier's key alone. Exit status 5 when it proves nothing."""
    import msgspec

    with extras():
        from arx_wrapper.audit.transparency import consistency_proof as consistency
        from arx_wrapper.audit.transparency import inclusion_proof as inclusion
        from arx_wrapper.audit.transparency.signed_note import Verifier

        text, verifier = _read(file).encode(), Verifier.parse(key)
        if b'"consistency"' in text:
            sizes = consistency.verify_consistency(consistency.ConsistencyProof.parse(text), verifier)
            shown: dict[str, Any] = {"proved": True, "from": sizes[0], "to": sizes[1]}
            proved = f"Proved: the log of {sizes[1]} records goes on from that of {sizes[0]}"
        else:
            record = inclusion.verify_proof(inclusion.Proof.parse(text), verifier)
            shown = {"proved": True, "record": msgspec.to_builtins(record)}
            del shown["record"]["hash"]  # made with the log's own key, so a proof holds no hash
            what = f"{record.action_type}, {record.operation}, {record.status}, {record.created_at}"
            proved = f"Proved: record {record.seq}, {what}"
    if output is Output.JSON:
        print_json(shown)
    else:
        say(proved)


def _read(file: Path) -> str:
    try:
        return read_text(file)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None


async def last_checkpoint(urls: list[str], verifier: Verifier) -> str:
    """Return the largest checkpoint of several stores, of those that the key has signed.

    Raises:
        AuditError: a store's last checkpoint is not signed by this key.
        ConfigError: there is none.
    """
    from arx_wrapper.audit.transparency.checkpoint import opened
    from arx_wrapper.audit.transparency.checkpoint_stores import checkpoint_store

    notes = [note for url in urls if (note := await checkpoint_store(url).last()) is not None]
    if not notes:
        raise ConfigError(f"There is no checkpoint at {', '.join(urls)}. Take one: `arx-pagerduty audit checkpoint`.")
    return max(notes, key=lambda note: opened(note, verifier).size)


def _signer(file: Path) -> Any:
    from arx_wrapper.audit.transparency.signed_note import Signer

    try:
        return Signer.parse(read_text(file).strip())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}. Make a key: `arx-pagerduty audit keygen`.") from None
