"""A process takes checkpoints by itself: by number, by time, once for all processes; and a failure stops no call."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from arx_wrapper import ConfigError, PagerDutyConnector, audit
from arx_wrapper.audit import AuditLog
from arx_wrapper.audit.transparency import checkpointer
from arx_wrapper.audit.transparency.checkpoint import opened, sign_checkpoint
from arx_wrapper.audit.transparency.checkpoint_stores import checkpoint_store
from arx_wrapper.audit.transparency.checkpointer import Checkpointer, Plan, age_of
from arx_wrapper.audit.transparency.signed_note import Signer, Verifier
from arx_wrapper.cli.doctor.checks import examine
from arx_wrapper.config import Config
from tests.audit.conftest import entry
from tests.support import EVERYTHING, PATIENCE

SIGNER = Signer.new("audit.example.com/test")
VERIFIER = Verifier.parse(SIGNER.verifier())


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointer, "_LOOK_EVERY", 0.02)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "signer.key"
    file.write_text(SIGNER.secret())
    return file


def sizes(folder: Path) -> list[int]:
    return sorted(int(file.name[:20]) for file in folder.glob("*.checkpoint"))


async def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "no checkpoint was taken"
        await asyncio.sleep(0.01)


async def fill(log: AuditLog, count: int) -> None:
    for _ in range(count):
        log.append_soon(entry(action_type="connector.refused"))
    await log.flush()


async def test_a_checkpoint_is_taken_after_so_many_records_in_every_store(tmp_path: Path, key: Path) -> None:
    log = audit.open(f"sqlite:///{tmp_path}/audit.db")
    stores = [checkpoint_store(str(tmp_path / name)) for name in ("one", "other")]
    taking = Checkpointer(log, Plan(signing_key=key, stores=stores, every=3_600, records=50))
    await fill(log, 3)
    taking.start()
    await until(lambda: sizes(tmp_path / "other") == [3])  # the first one is due at once
    await fill(log, 20)
    await asyncio.sleep(0.2)
    assert sizes(tmp_path / "one") == [3]
    await fill(log, 40)
    await until(lambda: sizes(tmp_path / "other") == [3, 63])
    taking.stop()
    note = await stores[0].last()
    assert note is not None
    assert opened(note, VERIFIER).size == 63
    await log.aclose()


async def test_a_checkpoint_is_taken_once_the_last_one_is_old_enough_whoever_took_it(tmp_path: Path, key: Path) -> None:
    log = audit.open(f"sqlite:///{tmp_path}/audit.db")
    folder = tmp_path / "kept"
    plan = Plan(signing_key=key, stores=[checkpoint_store(str(folder))], every=3_600, records=10_000)
    await fill(log, 3)
    for count in (3, 3):  # as two processes would
        taking = Checkpointer(log, plan)
        taking.start()
        await until(lambda: sizes(folder) == [3])
        taking.stop()
        await fill(log, count)
        assert sizes(folder) == [3]
    (kept,) = folder.iterdir()
    os.utime(kept, (time.time() - 4_000, time.time() - 4_000))
    taking = Checkpointer(log, plan)
    taking.start()
    await until(lambda: sizes(folder) == [3, 9])
    taking.stop()
    assert (await age_of(log, plan.stores)).behind == 0
    await log.aclose()


async def test_a_checkpoint_that_fails_is_said_once_and_tried_again(
    tmp_path: Path, key: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = audit.open(f"sqlite:///{tmp_path}/audit.db")
    (tmp_path / "kept").write_text("no folder")
    taking = Checkpointer(log, Plan(signing_key=key, stores=[checkpoint_store(str(tmp_path / "kept"))]))
    await fill(log, 3)
    with caplog.at_level(logging.WARNING, "arx_wrapper.audit"):
        taking.start()
        await until(lambda: taking.problem is not None)
        await fill(log, 3)
        await asyncio.sleep(0.2)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        (tmp_path / "kept").unlink()
        await until(lambda: taking.problem is None and sizes(tmp_path / "kept") == [6])
    taking.stop()
    await log.aclose()


async def test_a_connector_takes_them_as_configured_and_doctor_tells_the_last_ones_age(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept"
    monkeypatch.setenv("ARX_AUDIT_SIGNING_KEY", str(key))
    monkeypatch.setenv("ARX_AUDIT_CHECKPOINTS", f"{folder}")
    url = f"sqlite:///{tmp_path}/audit.db"
    async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=url) as pd:
        await pd.list_teams()
        await until(lambda: bool(sizes(folder)))
        found = {finding.check: finding for finding in await examine(pd)}["checkpoints"]
        assert (found.state, "0.0 h ago" in found.found) == ("ok", True)
        (kept,) = folder.iterdir()
        await pd.list_teams()
        await pd.audit.flush()
        os.utime(kept, (time.time() - 3_500, time.time() - 3_500))
        monkeypatch.setenv("ARX_AUDIT_CHECKPOINT_EVERY", "1")
        pd.backends.config = Config.load()  # type: ignore[misc]
        late = {finding.check: finding for finding in await examine(pd)}["checkpoints"]
        assert late.state == "warning"
    assert not [thread for thread in __import__("threading").enumerate() if thread.name == "arx-checkpoints"]


def test_the_settings(tmp_path: Path) -> None:
    (tmp_path / "arx.toml").write_text(
        '[audit]\nsigning_key = "signer.key"\ncheckpoints = ["kept", "s3://bucket/log"]\ncheckpoint_records = 500\n'
    )
    found = Config.load({}, tmp_path).checkpoints
    assert found is not None
    assert found.signing_key == str(tmp_path / "signer.key")
    assert found.stores == (str(tmp_path / "kept"), "s3://bucket/log")
    assert (found.every, found.records) == (3_600.0, 500)
    assert Config.load({"ARX_AUDIT_CHECKPOINTS": "kept"}, tmp_path / "none").checkpoints is None, "without a key"
    with pytest.raises(ConfigError, match="checkpoints"):
        Config.load({}, _with(tmp_path, "checkpoints = 5"))


def _with(folder: Path, line: str) -> Path:
    (folder / "arx.toml").write_text(f'[audit]\nsigning_key = "signer.key"\n{line}\n')
    return folder


async def test_a_log_that_is_smaller_than_its_checkpoint_is_said_to_lack_records(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ARX_AUDIT_SIGNING_KEY", str(key))
    monkeypatch.setenv("ARX_AUDIT_CHECKPOINTS", f"{tmp_path / 'kept'} {tmp_path / 'new'}")
    file = tmp_path / "audit.db"
    log = audit.open(f"sqlite:///{file}")
    await fill(log, 30)
    await sign_checkpoint(log, SIGNER, [checkpoint_store(str(tmp_path / "kept"))])
    await log.aclose()
    for name in (file, tmp_path / "audit.db.key"):
        name.unlink()
    with caplog.at_level(logging.WARNING, "arx_wrapper.audit"):
        async with PagerDutyConnector.sandbox(policies=[EVERYTHING], audit=f"sqlite:///{file}") as pd:
            await pd.list_teams()
            found = {finding.check: finding for finding in await examine(pd)}["checkpoints"]
            await until(lambda: bool(caplog.records))
    size = (await age_of(pd.audit, [checkpoint_store(str(tmp_path / "kept"))])).missing
    assert 0 < size < 30
    assert (found.state, "records that the log lacks" in found.found) == ("wrong", True)
    assert "the log was removed, cut off or replaced" in caplog.text
    assert sizes(tmp_path / "kept") == [30]
    assert not (tmp_path / "new").exists(), "the smaller log is not signed"
