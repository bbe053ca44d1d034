"""Attacks on the log by somebody who holds the file, the store's own tools, and sometimes the log's key."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from arx_wrapper import AuditError, audit
from arx_wrapper.audit import AuditLog
from arx_wrapper.audit.storage.sqlite_segments import NO_DELETE
from arx_wrapper.audit.transparency.checkpoint import opened, sign_checkpoint, verify_against
from arx_wrapper.audit.transparency.checkpoint_stores import checkpoint_store
from arx_wrapper.audit.transparency.consistency_proof import (
    ConsistencyProof,
    prove_consistency,
    verify_consistency,
)
from arx_wrapper.audit.transparency.inclusion_proof import Proof, prove, verify_proof
from arx_wrapper.audit.transparency.signed_note import Signer, Verifier
from arx_wrapper.cli.main import run
from tests.audit.conftest import entry
from tests.support import CANARY, sqlite_at

SIGNER = Signer.new("audit.example.com/test")
VERIFIER = Verifier.parse(SIGNER.verifier())


def at(path: Path) -> AuditLog:
    return audit.open(f"sqlite:///{path}")


async def fill(log: AuditLog, count: int, **more: object) -> list[audit.AuditRecord]:
    return [await log.append(entry(action_type="connector.refused", **more)) for _ in range(count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


@pytest.fixture
async def log(path: Path) -> AsyncIterator[AuditLog]:
    log = at(path)
    yield log
    await log.aclose()


async def found(path: Path, note: str) -> str | None:
    """Verify the log by itself, then against a checkpoint; the problem that is found."""
    log = at(path)
    try:
        verified = await log.verify()
        return verified.problem or await verify_against(log, opened(note, VERIFIER))
    finally:
        await log.aclose()


def keep(path: Path, copy: Path) -> None:
    with sqlite_at(path) as source, sqlite_at(copy) as target:
        source.backup(target)
    shutil.copy(f"{path}.key", f"{copy}.key")


async def test_an_honest_log_goes_on_from_its_checkpoint(log: AuditLog, path: Path, tmp_path: Path) -> None:
    await fill(log, 20)
    note = await sign_checkpoint(log, SIGNER, [checkpoint_store(str(tmp_path / "kept"))])
    await fill(log, 7)
    assert await found(path, note) is None
    assert opened(note, VERIFIER).size == 20


async def test_a_tail_that_was_cut_off_shows(log: AuditLog, path: Path) -> None:
    await fill(log, 20)
    note = await sign_checkpoint(log, SIGNER, [])
    await log.aclose()
    with sqlite_at(path) as tools:
        tools.executescript("DROP TRIGGER audit_no_delete; DELETE FROM audit WHERE seq > 15;")
        tools.execute(NO_DELETE)
    assert "cut off" in str(await found(path, note))


async def test_an_older_copy_that_was_put_back_shows_even_when_it_has_grown_since(
    log: AuditLog, path: Path, tmp_path: Path
) -> None:
    await fill(log, 10)
    keep(path, tmp_path / "old.db")
    await fill(log, 10)
    note = await sign_checkpoint(log, SIGNER, [])
    old = at(tmp_path / "old.db")
    assert "an old copy" in str(await found(tmp_path / "old.db", note))
    await fill(old, 30)
    await old.aclose()
    assert "rewritten, or forked" in str(await found(tmp_path / "old.db", note))


async def test_a_whole_rewrite_with_the_logs_own_key_shows(log: AuditLog, path: Path, tmp_path: Path) -> None:
    await fill(log, 20)
    note = await sign_checkpoint(log, SIGNER, [])
    key = bytes.fromhex(Path(f"{path}.key").read_text())  # noqa: ASYNC240 - a test's file
    forged = audit.open(f"sqlite:///{tmp_path / 'forged.db'}", key=key)
    records = [record async for record in log.records()]
    for record in records:
        agent = "somebody-else" if record.seq == 7 else record.agent_id
        await forged.append(entry(action_type="connector.refused", agent_id=agent, id=record.id))
    assert (await forged.verify()).ok, "without a checkpoint it cannot show"
    assert await verify_against(forged, opened(note, VERIFIER)) is not None
    await forged.aclose()


async def test_a_dump_that_was_edited_and_loaded_again_shows(log: AuditLog, path: Path, tmp_path: Path) -> None:
    await fill(log, 20)
    note = await sign_checkpoint(log, SIGNER, [])
    await log.aclose()
    with sqlite_at(path) as tools:
        dump = "\n".join(tools.iterdump()).replace("connector.refused", "connector.called", 1)
    os.unlink(path)
    with sqlite_at(path) as tools:
        tools.executescript(dump + "\nPRAGMA user_version = 1;")
    assert await found(path, note) is not None


async def test_a_fork_is_not_signed(log: AuditLog, path: Path, tmp_path: Path) -> None:
    places = [checkpoint_store(str(tmp_path / "folder")), checkpoint_store("memory://a-fork-is-not-signed")]
    await fill(log, 5)
    keep(path, tmp_path / "fork.db")
    await fill(log, 5)
    await sign_checkpoint(log, SIGNER, places)
    await sign_checkpoint(log, SIGNER, places)  # the same again is no fork
    fork = at(tmp_path / "fork.db")
    await fill(fork, 5)
    with pytest.raises(AuditError, match="not signed"):
        await sign_checkpoint(fork, SIGNER, places)
    await fill(fork, 5)
    with pytest.raises(AuditError, match="not signed"):
        await sign_checkpoint(fork, SIGNER, places[1:])
    await fork.aclose()


async def test_places_that_contradict_each_other_show_a_fork(log: AuditLog, path: Path, tmp_path: Path) -> None:
    await fill(log, 4)
    keep(path, tmp_path / "fork.db")
    fork = at(tmp_path / "fork.db")
    one, other = checkpoint_store(str(tmp_path / "one")), checkpoint_store(str(tmp_path / "other"))
    await fill(log, 1)
    await fill(fork, 1)
    await sign_checkpoint(log, SIGNER, [one])
    await sign_checkpoint(fork, SIGNER, [other])
    with pytest.raises(AuditError, match="contradict"):
        await sign_checkpoint(fork, SIGNER, [one, other])
    await fork.aclose()


async def test_what_was_removed_cannot_be_vouched_for_by_who_has_the_log(
    log: AuditLog, path: Path, tmp_path: Path
) -> None:
    kept = checkpoint_store(str(tmp_path / "kept"))
    await fill(log, 5)
    note = await sign_checkpoint(log, SIGNER, [kept])
    key = bytes.fromhex(Path(f"{path}.key").read_text())  # noqa: ASYNC240 - a test's file
    forged = audit.open(f"sqlite:///{tmp_path / 'elsewhere' / 'forged.db'}", key=key)
    await fill(forged, 9)
    await forged.rotate(by="mallory", org_id="org")
    await forged.retain(datetime.now(UTC) + timedelta(days=1), by="mallory", org_id="org")
    assert (await forged.verify()).ok, "without a checkpoint it cannot show"
    assert "not those of the checkpoint" in str(await verify_against(forged, opened(note, VERIFIER)))
    with pytest.raises(AuditError, match="not signed"):
        await sign_checkpoint(forged, SIGNER, [kept])
    await forged.aclose()


async def test_an_empty_or_damaged_checkpoint_is_not_taken_for_none(log: AuditLog, tmp_path: Path) -> None:
    await fill(log, 3)
    await sign_checkpoint(log, SIGNER, [checkpoint_store(str(tmp_path / "kept"))])
    (tmp_path / "kept" / f"{9:020d}.checkpoint").write_text("")
    with pytest.raises(AuditError):
        await sign_checkpoint(log, SIGNER, [checkpoint_store(str(tmp_path / "kept"))])
    assert list((tmp_path / "kept").glob(".*")) == [], "no drafts are left"


async def test_checkpoints_go_wherever_fsspec_goes(log: AuditLog) -> None:
    remote = checkpoint_store("memory://checkpoints/log")
    assert await remote.last() is None
    for _ in range(3):
        await fill(log, 4)
        note = await sign_checkpoint(log, SIGNER, [remote])
    assert await remote.last() == note
    assert opened(note, VERIFIER).size == 12


async def test_a_record_is_proved_without_the_log_and_without_its_key(log: AuditLog, path: Path) -> None:
    records = await fill(log, 33, reason=None)
    note = await sign_checkpoint(log, SIGNER, [])
    await fill(log, 5)
    for record in (records[0], records[16], records[32]):
        proof = Proof.parse((await prove(log, record.id, note, VERIFIER)).text().encode())
        assert verify_proof(proof, VERIFIER).id == record.id
    key = Path(f"{path}.key").read_text()  # noqa: ASYNC240 - a test's file
    assert key not in proof.text()
    with pytest.raises(AuditError, match="newer than the checkpoint"):
        await prove(log, (await fill(log, 1))[0].id, note, VERIFIER)
    for missing in ("nothing", 4_000):
        with pytest.raises(AuditError, match="no record"):
            await prove(log, missing, note, VERIFIER)
    by_number = await prove(log, records[16].seq, note, VERIFIER)
    assert by_number == await prove(log, records[16].id, note, VERIFIER)


async def test_a_proof_that_was_tampered_with_proves_nothing(log: AuditLog) -> None:
    records = await fill(log, 9)
    note = await sign_checkpoint(log, SIGNER, [])
    proof = await prove(log, records[4].id, note, VERIFIER)
    plain = msgspec.to_builtins(proof)
    other = Signer.new(SIGNER.name)
    for change in (
        {"record": proof.record.replace('"agent_id":"agent"', '"agent_id":"other"')},
        {"index": 3},
        {"size": 8},
        {"path": proof.path[:-1]},
        {"path": [*proof.path[:-1], "00" * 32]},
        {"path": ["zz"]},
        {"record": "{}"},
        {"checkpoint": other.sign(note.rpartition("\n\n")[0] + "\n")},
        {"more": 1},
    ):
        with pytest.raises(AuditError):
            verify_proof(Proof.parse(json.dumps({**plain, **change}).encode()), VERIFIER)


async def test_a_proof_is_written_as_c2sp_has_it_and_earlier_ones_are_read_too(log: AuditLog) -> None:
    records = await fill(log, 9)
    proof = await prove(log, records[4].id, await sign_checkpoint(log, SIGNER, []), VERIFIER)
    text = proof.text()
    head, _, note = text.partition("\n\n")
    magic, extra, index, *path = head.split("\n")
    assert (magic, index, note) == ("c2sp.org/tlog-proof@v1", "index 4", proof.checkpoint)
    assert base64.b64decode(extra.removeprefix("extra ")).decode() == proof.record
    assert [base64.b64decode(step).hex() for step in path] == proof.path
    assert Proof.parse(text.encode()) == proof == Proof.parse(json.dumps(msgspec.to_builtins(proof)).encode())
    for broken in (text[20:], text.replace("index 4", "index 04"), text.replace("extra ", "more "), head, "", "\n\n"):
        with pytest.raises(AuditError):
            verify_proof(Proof.parse(broken.encode()), VERIFIER)


async def test_proofs_hold_after_retention(path: Path, tmp_path: Path) -> None:
    now = [datetime(2025, 1, 1, tzinfo=UTC)]
    log = audit.open(f"sqlite:///{path}", clock=lambda: now[0])
    await fill(log, 21)
    early = await sign_checkpoint(log, SIGNER, [])
    await log.rotate(by="ada", org_id="org")
    now[0] += timedelta(days=9)
    kept = await fill(log, 10)
    await log.retain(now[0] - timedelta(days=1), by="ada", org_id="org")
    late = await sign_checkpoint(log, SIGNER, [checkpoint_store(str(tmp_path / "kept"))])
    assert await verify_against(log, opened(early, VERIFIER)) is None
    assert await verify_against(log, opened(late, VERIFIER)) is None
    assert verify_proof(await prove(log, kept[3].id, late, VERIFIER), VERIFIER).id == kept[3].id
    await log.aclose()


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path, folder, key = tmp_path / "audit.db", tmp_path / "checkpoints", tmp_path / "signer.key"
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{path}")

    async def some() -> str:
        log = at(path)
        records = await fill(log, 12)
        await log.aclose()
        return records[3].id

    record = asyncio.run(some())
    assert run(["audit", "keygen", "audit.example.com/cli", "--file", str(key)]) == 0
    verifier = capsys.readouterr().out.strip()
    assert key.stat().st_mode & 0o777 == 0o600
    assert run(["audit", "keygen", "again", "--file", str(key)]) == 2, "never overwritten"
    assert run(["audit", "checkpoint", "--signing-key", str(key), "--place", str(folder)]) == 0
    assert run(["audit", "verify", "--checkpoint", str(folder), "--key", verifier]) == 0
    proof = tmp_path / "proof.json"
    where = ["--place", str(folder), "--key", verifier]
    assert run(["audit", "prove", record, *where, "--file", str(proof)]) == 0
    (early,) = folder.glob("*.checkpoint")
    growth = tmp_path / "growth.json"
    assert run(["audit", "prove", "--from", str(early), *where, "--file", str(growth)]) == 0
    assert run(["audit", "prove", *where]) == run(["audit", "prove", record, "--from", str(early), *where]) == 2
    for file in (path, Path(f"{path}.key")):
        file.unlink()  # nothing of the log is needed from here on
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{tmp_path / 'no' / 'log.db'}")
    capsys.readouterr()
    assert run(["audit", "verify-proof", str(proof), "--key", verifier, "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["record"]["id"] == record
    assert run(["audit", "verify-proof", str(growth), "--key", verifier, "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"proved": True, "from": 12, "to": 12}
    extra = base64.b64decode(proof.read_text().split("\n")[1].removeprefix("extra "))
    changed = base64.b64encode(extra.replace(b"refused", b"changed")).decode()
    proof.write_text(proof.read_text().replace(base64.b64encode(extra).decode(), changed))
    assert run(["audit", "verify-proof", str(proof), "--key", verifier]) == 5
    assert run(["audit", "verify", "--checkpoint", str(tmp_path / "empty"), "--key", verifier]) in (2, 5)
    secret = key.read_text().split("+", 4)[4].strip()
    assert len(secret) > 40
    streams = capsys.readouterr()
    assert secret not in streams.out + streams.err
    assert CANARY not in streams.out + streams.err


async def test_a_later_checkpoint_is_proved_to_go_on_from_an_earlier_one(log: AuditLog, path: Path) -> None:
    await fill(log, 5)
    early = await sign_checkpoint(log, SIGNER, [])
    keep(path, path.with_name("fork.db"))
    await fill(log, 300)
    late = await sign_checkpoint(log, SIGNER, [])
    proof = ConsistencyProof.parse((await prove_consistency(log, early, late, VERIFIER)).text().encode())
    assert verify_consistency(proof, VERIFIER) == (5, 305)
    same = await prove_consistency(log, late, late, VERIFIER)
    assert verify_consistency(same, VERIFIER) == (305, 305)
    with pytest.raises(AuditError, match="does not come after"):
        await prove_consistency(log, late, early, VERIFIER)
    fork = at(path.with_name("fork.db"))
    await fill(fork, 300)
    other = await sign_checkpoint(fork, SIGNER, [])
    await fork.aclose()
    with pytest.raises(AuditError, match="Nothing can be proved"):
        await prove_consistency(log, early, other, VERIFIER)
    await fill(log, 1)
    with pytest.raises(AuditError, match="Nothing can be proved"):
        await prove_consistency(log, other, await sign_checkpoint(log, SIGNER, []), VERIFIER)
    plain = msgspec.to_builtins(proof)
    for change in (
        {"new": other},
        {"old": other},
        {"consistency": proof.consistency[:-1]},
        {"consistency": [*proof.consistency[:-1], "00" * 32]},
        {"consistency": ["zz"]},
        {"new": Signer.new(SIGNER.name).sign(late.rpartition("\n\n")[0] + "\n")},
    ):
        with pytest.raises(AuditError):
            verify_consistency(ConsistencyProof.parse(json.dumps({**plain, **change}).encode()), VERIFIER)
    for text in (b"", b"[]", b"{}", json.dumps({**plain, "more": 1}).encode(), b'{"old": 1}'):
        with pytest.raises(AuditError, match="not a consistency proof"):
            ConsistencyProof.parse(text)


async def test_nothing_is_proved_from_a_checkpoint_over_no_records(log: AuditLog) -> None:
    await fill(log, 5)
    late = await sign_checkpoint(log, SIGNER, [])
    empty = SIGNER.sign(f"{SIGNER.name}\n0\n{base64.b64encode(hashlib.sha256().digest()).decode()}\n")
    with pytest.raises(AuditError, match="does not come after one over 0"):
        await prove_consistency(log, empty, late, VERIFIER)


FLIPS = 1_000 if os.environ.get("CI") else 200
_LOOK = """
import asyncio, sys
from arx_wrapper import ArxError, audit

async def look(path):
    log = audit.open(f"sqlite:///{path}", timeout=20)
    try:
        found = await log.verify()
        return "ok" if found.ok else "found"
    except ArxError:
        return "found"
    finally:
        try:
            await log.aclose()
        except ArxError:
            pass

async def main():
    for line in sys.stdin:
        try:
            print(await look(line.strip()), flush=True)
        except Exception as error:
            print(f"bad {error!r}", flush=True)

asyncio.run(main())
"""
_RECORDS = "SELECT seq, id, hash, CAST(body AS BLOB) FROM audit ORDER BY seq"


@pytest.mark.timeout(300)
def test_every_flipped_bit_is_found_or_provably_without_meaning(path: Path, tmp_path: Path) -> None:
    async def some() -> None:
        log = at(path)
        await asyncio.gather(
            *(log.append(entry(action_type="connector.refused", operation=str(n))) for n in range(300))
        )
        await log.aclose()

    asyncio.run(some())
    with sqlite_at(path) as tools:
        tools.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        records = tools.execute(_RECORDS).fetchall()
    whole, draw = path.read_bytes(), random.Random(7)  # noqa: S311 - places to flip
    counts = {"found": 0, "without meaning": 0}
    command = [sys.executable, "-c", _LOOK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as looker:  # noqa: S603
        assert looker.stdin
        assert looker.stdout
        for number in range(FLIPS):
            bit = draw.randrange(len(whole) * 8)
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            folder = tmp_path / str(number)
            folder.mkdir()
            copy = folder / "audit.db"
            copy.write_bytes(flipped)
            shutil.copy(f"{path}.key", f"{copy}.key")
            looker.stdin.write(f"{copy}\n")
            looker.stdin.flush()
            verdict = looker.stdout.readline().strip()
            assert verdict in ("ok", "found"), verdict
            if verdict == "ok":
                with sqlite_at(copy) as tools:
                    assert tools.execute(_RECORDS).fetchall() == records, f"bit {bit} changed a record unseen"
            counts["found" if verdict == "found" else "without meaning"] += 1
            shutil.rmtree(folder)
        looker.stdin.close()
    assert sum(counts.values()) == FLIPS
    assert counts["found"] > FLIPS // 3, counts
