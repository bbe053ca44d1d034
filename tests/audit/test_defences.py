"""Defences of the log that no other test would miss."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from arx_wrapper import AuditError, audit
from arx_wrapper.audit import AuditLog
from arx_wrapper.audit.record import hasher
from arx_wrapper.audit.transparency.checkpoint import Checkpoint, opened, sign_checkpoint
from arx_wrapper.audit.transparency.signed_note import Signer, Verifier
from arx_wrapper.cli.main import run
from tests.audit.conftest import entry, everything
from tests.support import PATIENCE, sqlite_at

SIGNER = Signer.new("audit.example.com/test")
VERIFIER = Verifier.parse(SIGNER.verifier())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def at(path: Path) -> AuditLog:
    return audit.open(f"sqlite:///{path}")


async def fill(path: Path, count: int, **more: object) -> None:
    log = at(path)
    for _ in range(count):
        await log.append(entry(action_type="connector.refused", **more))
    await log.aclose()


async def problem(path: Path) -> str | None:
    log = audit.open(f"sqlite:///{path}", read_only=True)
    found = await log.verify()
    await log.aclose()
    return found.problem


@contextlib.contextmanager
def without_triggers(path: Path):  # type: ignore[no-untyped-def]
    """The tools of somebody who puts everything back as it was."""
    with sqlite_at(path) as tools:
        kept = tools.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'")
        triggers = kept.fetchall()
        for name, _ in triggers:
            tools.execute(f"DROP TRIGGER {name}")
        yield tools
        for _, statement in triggers:
            tools.execute(statement)


async def test_two_honest_branches_spliced_together_show(path: Path, tmp_path: Path) -> None:
    await fill(path, 5)
    other = tmp_path / "other.db"
    shutil.copy(path, other)
    shutil.copy(f"{path}.key", f"{other}.key")
    await fill(path, 5, agent_id="here")
    await fill(other, 5, agent_id="there")
    assert await problem(path) is await problem(other) is None
    with sqlite_at(other) as there:
        theirs = there.execute("SELECT seq, id, hash, body FROM audit WHERE seq > 8").fetchall()
    with without_triggers(path) as tools:
        tools.execute("DELETE FROM audit WHERE seq > 8")
        tools.executemany("INSERT INTO audit (seq, id, hash, body) VALUES (?, ?, ?, ?)", theirs)
    assert await problem(path) == "record 9 has the wrong sequence number or link"


async def test_a_record_that_is_found_by_another_id_than_its_own_shows(path: Path) -> None:
    await fill(path, 5)
    with without_triggers(path) as tools:
        tools.execute("UPDATE audit SET id = 'another' WHERE seq = 3")
    assert await problem(path) == "record 3 has the wrong sequence number or link"


async def test_a_log_that_does_not_verify_is_not_signed(path: Path) -> None:
    await fill(path, 5)
    with without_triggers(path) as tools:
        tools.execute("UPDATE audit SET body = replace(body, 'agent', 'other') WHERE seq = 3")
    log = audit.open(f"sqlite:///{path}", read_only=True)
    with pytest.raises(AuditError, match="does not verify, so it is not signed: record 3 was changed"):
        await sign_checkpoint(log, SIGNER, [])
    await log.aclose()


async def test_records_since_the_last_checkpoint_are_verified_before_the_next_is_signed(
    path: Path, tmp_path: Path
) -> None:
    from arx_wrapper.audit.transparency.checkpoint_stores import checkpoint_store

    store = checkpoint_store(str(tmp_path / "kept"))
    await fill(path, 5)
    log = audit.open(f"sqlite:///{path}", read_only=True)
    await sign_checkpoint(log, SIGNER, [store])
    await fill(path, 5)
    with without_triggers(path) as tools:
        tools.execute("UPDATE audit SET body = replace(body, 'agent', 'other') WHERE seq = 8")
    with pytest.raises(AuditError, match="not signed: record 8 was changed"):
        await sign_checkpoint(log, SIGNER, [store])
    await log.aclose()


async def test_nothing_is_proved_of_a_record_that_was_changed(path: Path) -> None:
    from arx_wrapper.audit.transparency.inclusion_proof import prove

    await fill(path, 300)
    log = audit.open(f"sqlite:///{path}", read_only=True)
    note = await sign_checkpoint(log, SIGNER, [])
    with without_triggers(path) as tools:
        tools.execute("UPDATE audit SET body = replace(body, 'connector.refused', 'connector.called') WHERE seq = 8")
    with pytest.raises(AuditError, match="Record 8 was changed"):
        await prove(log, 8, note, VERIFIER)
    await log.aclose()


def test_a_checkpoint_of_another_log_signed_by_the_same_key_is_refused() -> None:
    note = SIGNER.sign(Checkpoint("audit.example.com/another", 3, b"r" * 32).text())
    with pytest.raises(AuditError, match="another', not of"):
        opened(note, VERIFIER)


WRITER = """
import asyncio, sys
from arx_wrapper import audit
from tests.audit.conftest import entry

async def main(url):
    log = audit.open(url)
    await log.append(entry())
    print("written", flush=True)
    sys.stdin.readline()

asyncio.run(main(sys.argv[1]))
"""


async def test_a_writer_in_another_pid_namespace_is_no_dead_one_until_it_is(path: Path) -> None:
    url = f"sqlite:///{path}"
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", WRITER, url]
    if shutil.which("unshare") is None or subprocess.run(["unshare", "--pid", "--fork", "true"]).returncode:  # noqa: ASYNC221, S607
        pytest.skip("a PID namespace of its own needs root and util-linux")
    child = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    try:
        assert await child.stdout.readline() == b"written\n"
        log = at(path)
        assert await everything(log, status="unknown") == [], "it lives, under a process id that is another one here"
        await log.aclose()
    finally:
        child.kill()
        await child.wait()
    until = asyncio.get_running_loop().time() + PATIENCE
    while True:
        log = at(path)
        unknown = await everything(log, status="unknown")
        await log.aclose()
        if unknown or asyncio.get_running_loop().time() > until:
            break
        await asyncio.sleep(0.05)
    assert [record.error for record in unknown] == ["ProcessDied"]


async def test_a_process_that_got_a_dead_writers_id_is_not_taken_for_it(path: Path) -> None:
    """A writer is known by its lock: one that no process holds belongs to a dead writer."""
    url = f"sqlite:///{path}"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, url, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    assert await child.stdout.readline() == b"written\n"
    child.kill()
    await child.wait()
    (left,) = [name for name in os.listdir(path.parent) if "-writer-" in name]
    assert str(child.pid) not in left
    log = at(path)
    assert len(await everything(log, status="unknown")) == 1
    assert left not in os.listdir(path.parent)
    await log.aclose()
    assert not [name for name in os.listdir(path.parent) if "-writer-" in name]


def test_what_is_shown_on_a_terminal_cannot_steer_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(path, 1, agent_id="\x1b[2Jagent\x07", operation="\x9b31m\u202eteams:read", error="a\rb\nc"))
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{path}")
    monkeypatch.setenv("COLUMNS", "250")  # wide enough for every column
    for command in (["tail"], ["show", "1"], ["stats"]):
        assert run(["audit", *command, "--output", "table"]) == 0
        shown = capsys.readouterr().out
        assert "agent" in shown
        assert not set(shown) & set("\x1b\x07\x9b\u202e\r"), command


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_of_an_export_is_taken_for_a_formula(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], begins: str
) -> None:
    import csv
    import io

    formula = begins + 'HYPERLINK("http://evil.example","x")'
    asyncio.run(fill(path, 1, agent_id=formula))
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{path}")
    assert run(["audit", "export", "--format", "csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out, newline=""))
    assert row["agent_id"] == "'" + formula


async def test_a_removed_record_is_named(path: Path) -> None:
    await fill(path, 5)
    with without_triggers(path) as tools:
        tools.execute("DELETE FROM audit WHERE seq = 3")
    assert await problem(path) == "record 3 is missing"


async def test_a_record_that_states_another_number_than_its_own_shows_although_it_is_keyed(path: Path) -> None:
    await fill(path, 5)
    digest = hasher(bytes.fromhex(path.with_name("audit.db.key").read_text()))
    with without_triggers(path) as tools:
        [(body,)] = tools.execute("SELECT body FROM audit WHERE seq = 5").fetchall()
        changed = body.replace('"seq":5', '"seq":9')
        assert changed != body
        tools.execute("UPDATE audit SET body = ?, hash = ? WHERE seq = 5", (changed, digest(changed.encode())))
    assert await problem(path) == "record 5 has the wrong sequence number or link"


async def test_the_last_record_of_a_checkpoint_is_verified_where_those_before_it_are_not(path: Path) -> None:
    await fill(path, 5)
    with without_triggers(path) as tools:
        tools.execute("UPDATE audit SET body = replace(body, 'agent', 'other') WHERE seq = 3")
    log = audit.open(f"sqlite:///{path}", read_only=True)
    assert (await log.verify(since=4)).ok
    for since in (3, 6):
        found = await log.verify(since=since)
        assert found.problem == f"record {since}, the last of the checkpoint, is missing or was changed"
    await log.aclose()
