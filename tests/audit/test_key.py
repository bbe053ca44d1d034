"""A log is written with the key it began with, and with no other."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from arx_wrapper import AuditError, audit
from arx_wrapper.audit import AuditLog
from arx_wrapper.cli.main import run
from tests.audit.conftest import KEY, entry, everything
from tests.support import sqlite_at

OTHER = "cd" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def opened(path: Path) -> AuditLog:
    return audit.open(f"sqlite:///{path}")


async def begun(path: Path, count: int = 3) -> None:
    log = opened(path)
    for _ in range(count):
        await log.append(entry(action_type="connector.refused"))
    await log.aclose()


async def refused(path: Path, why: str) -> None:
    log = opened(path)
    with pytest.raises(AuditError, match=why) as caught:
        await log.append(entry())
    assert "Nothing was sent" in str(caught.value)
    await log.aclose()


async def holds(path: Path) -> int:
    log = opened(path)
    found = await log.verify()
    await log.aclose()
    assert found.ok, found.problem
    return found.records


async def test_another_key_is_refused_and_nothing_is_written_with_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begun(path)
    monkeypatch.setenv("ARX_AUDIT_KEY", OTHER)
    await refused(path, "not the log's key")
    log = opened(path)
    found = await log.verify()
    assert (found.ok, found.problem) == (False, "this is not the log's key")
    assert len(await everything(log)) == 3, "it can be read without its key"
    await log.aclose()
    monkeypatch.delenv("ARX_AUDIT_KEY")
    assert await holds(path) == 3


async def test_a_lost_key_is_not_replaced_by_a_new_one(path: Path) -> None:
    await begun(path)
    kept = Path(f"{path}.key").rename(path.parent / "kept")  # noqa: ASYNC240 - a test's file
    await refused(path, "its key is not here")
    assert not Path(f"{path}.key").exists()  # noqa: ASYNC240 - a test's file
    kept.rename(f"{path}.key")
    assert await holds(path) == 3


async def test_the_key_is_told_by_its_records_where_a_log_of_an_earlier_format_has_no_mark(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begun(path)
    with sqlite_at(path) as tools:
        tools.execute("DELETE FROM audit_meta")
    monkeypatch.setenv("ARX_AUDIT_KEY", OTHER)
    log = opened(path)
    assert not (await log.verify()).ok
    await log.aclose()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
async def test_a_key_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    await begun(path)
    Path(f"{path}.key").chmod(mode)  # noqa: ASYNC240 - a test's file
    await refused(path, "open to other users")


async def test_a_key_of_another_user_is_refused(path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("giving a file to another user needs root")
    await begun(path)
    os.chown(f"{path}.key", 65534, 65534)
    await refused(path, "belongs to another user")


def test_a_look_without_the_services_key_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{path}")
    monkeypatch.setenv("ARX_AUDIT_KEY", KEY)
    asyncio.run(begun(path))
    before = path.read_bytes()
    monkeypatch.delenv("ARX_AUDIT_KEY")
    for command in (["tail"], ["show", "2"], ["stats"], ["export"]):
        assert run(["audit", *command]) == 0, command
    assert run(["audit", "verify"]) == 5
    assert "without the key the log can be read but not verified" in capsys.readouterr().err.lower()
    assert run(["agents", "list"]) == 0
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir() if file.name.startswith("audit.db")) == ["audit.db"]
    monkeypatch.setenv("ARX_AUDIT_KEY", KEY)
    assert run(["audit", "verify"]) == 0


def test_looking_at_a_log_that_was_not_begun_begins_none(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARX_AUDIT_URL", f"sqlite:///{path}")
    for command in (["tail"], ["stats"], ["export"], ["verify"]):
        assert run(["audit", *command]) == 0, command
    assert list(path.parent.iterdir()) == []


async def test_a_log_whose_file_is_gone_and_whose_key_is_not_is_no_empty_log(path: Path) -> None:
    await begun(path)
    path.unlink()  # noqa: ASYNC240 - a test's file
    log = opened(path)
    with pytest.raises(AuditError, match=r"is missing, but its key .* exists"):
        await log.verify()
    await log.aclose()


@pytest.mark.parametrize(("minutes", "warned"), [(0, False), (10, True)])
async def test_a_log_that_begins_with_a_key_of_earlier_says_so(
    path: Path, caplog: pytest.LogCaptureFixture, minutes: int, warned: bool
) -> None:
    key = path.with_name("audit.db.key")
    with caplog.at_level(logging.WARNING, "arx_wrapper.audit"):
        await begun(path)
        assert not caplog.records, "the first log makes its key"
        path.unlink()  # noqa: ASYNC240 - a test's file
        os.utime(key, (time.time() - 60 * minutes, time.time() - 60 * minutes))
        await begun(path)
    found = [record.getMessage() for record in caplog.records]
    assert len(found) == warned
    for said in found:
        assert f"{path} begins now, and its key {key} is 10 minutes old" in said
        assert "restore it, and find out who did this" in said
    caplog.clear()
    await begun(path)
    assert not caplog.records, "it has begun"
