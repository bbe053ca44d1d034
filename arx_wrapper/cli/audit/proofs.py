"""`audit keygen|checkpoint|prove|verify-proof`: evidence that outsiders can check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arx_wrapper.cli.audit.reading import seq_of, with_log
from arx_wrapper.cli.output import Format, Output, TextFormat, print_json, say
from arx_wrapper.cli.session import Session, extras
from arx_wrapper.errors import ConfigError
from arx_wrapper.files import create_private

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
    name: Annotated[str, typer.Argument(help="The log's name to the world: audit.example.com/pagerduty")],
    file: Annotated[Path, typer.Option("--file", help="Where to keep the signer's key; must not exist.")],
    output: TextFormat = Output.TABLE,
) -> None:
    """Make a key that signs checkpoints.

    Prints the verifier's key, which may be published.

    Example: arx-pagerduty audit keygen audit.example.com/pagerduty --file signer.key
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

    Keep it out of reach of those who can write to the log.
    Refused when the log does not go on from the last checkpoint of a store, or of a witness (C2SP tlog-witness). Exit
    status 5.

    Example: arx-pagerduty audit checkpoint --signing-key signer.key --place s3://bucket/checkpoints
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
    record_id: Annotated[str, typer.Argument(metavar="ID", help="A record's id, or its seq.")],
    places: Places,
    key: Key,
    file: Annotated[Path | None, typer.Option("--file", help="Where to; default stdout.")] = None,
) -> None:
    """Write a proof that a record is in the log.

    It starts from the last checkpoint, and can be checked without the log (C2SP tlog-proof; the record is its extra
    data).

    Example: arx-pagerduty audit prove 275 --place checkpoints --key NAME+1234abcd+BASE64
    """
    session: Session = context.obj

    async def run(log: AuditLog) -> Any:
        from arx_wrapper.audit.transparency import inclusion_proof as proof
        from arx_wrapper.audit.transparency.signed_note import Verifier

        verifier = Verifier.parse(key)
        which = seq_of(record_id) or record_id
        return await proof.prove(log, which, await last_checkpoint(places, verifier), verifier)

    with extras():
        proved = with_log(session, run)
    if file is None:
        say(proved.text().rstrip())
    else:
        file.write_text(proved.text(), "utf-8")


def verify_proof(
    file: Annotated[Path, typer.Argument(help="A proof, as `audit prove` wrote it.")],
    key: Key,
    output: Format = Output.TABLE,
) -> None:
    """Check a proof offline, with the verifier's key alone. Exit status 5 when it proves nothing.

    Example: arx-pagerduty audit verify-proof record.tlog-proof --key NAME+1234abcd+BASE64
    """
    import msgspec

    with extras():
        from arx_wrapper.audit.transparency import inclusion_proof as proof
        from arx_wrapper.audit.transparency.signed_note import Verifier

        try:
            text = file.read_bytes()
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror}.") from None
        record = proof.verify_proof(proof.Proof.parse(text), Verifier.parse(key))
    if output is Output.JSON:
        print_json({"proved": True, "record": msgspec.to_builtins(record)})
    else:
        what = f"{record.action_type}, {record.operation}, {record.status}, {record.created_at}"
        say(f"Proved: record {record.seq}, {what}")


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
        return Signer.parse(file.read_text("utf-8").strip())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}. Make a key: `arx-pagerduty audit keygen`.") from None
