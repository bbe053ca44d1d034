"""A policy that is edited while it is in force, in every way that editors, mounts and half-done writes have."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from arx_wrapper import PagerDutyConnector, PermissionDeniedError, PolicyError, Verdict
from arx_wrapper.audit import AuditRecord
from arx_wrapper.cli.main import run
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import Policies
from tests.policy.support import NOW, bare

OPEN = "- {name: all, connector: pagerduty, operations: ['*'], risk_max: high}\n"
CLOSED = OPEN + "- {name: no-users, connector: pagerduty, deny: ['users:*']}\n"
SETTLED = 5.0


class Clock:
    """Seconds that pass when they are told to; what is written in between is written at the real time."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return time.time() + self.now


class Watched:
    """A policy in force, and the verdict on `users:read` after some seconds."""

    def __init__(self, source: Path) -> None:
        self.clock = Clock()
        self.policies = Policies(source, registry=RISKS, connector="pagerduty", clock=self.clock, wall=self.clock.wall)
        self.policies.drain_events()

    def after(self, seconds: float) -> Verdict:
        self.clock.now += seconds
        return self.policies.decide(bare("users:read"), NOW).verdict

    def save(self, file: Path, text: str) -> None:
        """Write a file now, by the clock of this."""
        file.write_text(text)
        os.utime(file, (self.clock.wall(), self.clock.wall()))

    def errors(self) -> list[str | None]:
        return [event.error for event in self.policies.drain_events()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(CLOSED)
    return path


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


def renamed_over(file: Path, text: str) -> None:
    fresh = file.with_name("policy.yaml~tmp")
    fresh.write_text(text)
    fresh.replace(file)


def moved_away_and_written_anew(file: Path, text: str) -> None:
    file.rename(file.with_name("policy.yaml~"))
    file.write_text(text)


def with_the_old_ones_time_and_size(file: Path, text: str) -> None:
    before = file.stat()
    fresh = file.with_name("fresh")
    fresh.write_text(text + " " * (before.st_size - len(text)))
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    fresh.replace(file)


def in_place_with_the_old_ones_time_and_size(file: Path, text: str) -> None:
    before = file.stat()
    with file.open("r+") as opened:  # the very file, as `cp --preserve` over it leaves it
        opened.write(text + " " * (before.st_size - len(text)))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)


EDITS = [
    in_place_with_the_old_ones_time_and_size,
    in_place,
    renamed_over,
    moved_away_and_written_anew,
    with_the_old_ones_time_and_size,
]


@pytest.mark.parametrize("edit", EDITS)
def test_every_way_to_save_a_file_is_noticed(file: Path, edit: Callable[[Path, str], None]) -> None:
    watched = Watched(file)
    assert watched.after(0) is Verdict.DENY
    edit(file, OPEN)
    assert watched.after(SETTLED) is Verdict.PERMIT
    assert watched.errors() == [None]


@pytest.mark.parametrize("edit", EDITS)
def test_every_way_to_save_a_broken_file_leaves_the_last_good_one(
    file: Path, edit: Callable[[Path, str], None]
) -> None:
    watched = Watched(file)
    edit(file, "- {name: all, connector")
    assert watched.after(SETTLED) is Verdict.DENY
    (error,) = watched.errors()
    assert error is not None
    assert str(file) in error


def test_another_working_directory_leaves_the_file_in_force(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    watched = Watched(Path(file.name))
    (file.parent / "elsewhere").mkdir()
    (file.parent / "elsewhere" / file.name).write_text(OPEN)
    monkeypatch.chdir(file.parent / "elsewhere")
    assert watched.after(SETTLED) is Verdict.DENY
    assert watched.errors() == []


def test_a_given_list_with_half_a_character_is_refused() -> None:
    entries = [{"name": "a", "connector": "pagerduty", "deny": ["rules:*"], "agents": ["\ud800"]}]
    with pytest.raises(PolicyError, match="not Unicode"):
        Policies(entries, registry=RISKS, connector="pagerduty")


def test_half_of_a_file_is_waited_out(file: Path) -> None:
    """Half of a policy may be one that lacks its denials, so that what was written just now is not read yet."""
    watched = Watched(file)
    for length in range(len(CLOSED) + 1):
        watched.save(file, CLOSED[:length])
        assert watched.after(0.1) is Verdict.DENY
    assert watched.errors() == [], "no half was read, the broken ones neither"
    assert watched.after(SETTLED) is Verdict.DENY
    assert watched.errors() == [None]


def test_a_change_is_in_force_within_a_second_whenever_it_is_made(file: Path) -> None:
    for made_after in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
        file.write_text(CLOSED)
        watched = Watched(file)
        watched.after(made_after)
        watched.save(file, OPEN)
        verdicts = [watched.after(0.1) for _ in range(10)]
        assert verdicts[-2:] == [Verdict.PERMIT] * 2
        assert sorted(verdicts) == verdicts, "denied first, then permitted and no longer denied"


def test_a_file_from_the_future_is_taken_up(file: Path) -> None:
    watched = Watched(file)
    file.write_text(OPEN)
    os.utime(file, (time.time() + 86_400, time.time() + 86_400))
    assert watched.after(1) is Verdict.PERMIT


def test_a_link_that_points_nowhere_leaves_the_last_good_one(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    watched = Watched(link)
    link.unlink()
    link.symlink_to(tmp_path / "none.yaml")
    assert watched.after(SETTLED) is Verdict.DENY
    assert "cannot be read" in str(watched.errors())
    link.unlink()
    link.symlink_to(link)  # to itself
    assert watched.after(SETTLED) is Verdict.DENY
    link.unlink()
    (tmp_path / "open.yaml").write_text(OPEN)
    link.symlink_to(tmp_path / "open.yaml")
    assert watched.after(SETTLED) is Verdict.PERMIT


def test_a_folder_that_is_swapped_as_a_whole_is_noticed(tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap: `policy.yaml` → `..data/policy.yaml`, `..data` → a folder with a date."""
    mount = tmp_path / "mount"
    for name, text in (("..one", CLOSED), ("..two", OPEN)):
        (mount / name).mkdir(parents=True)
        (mount / name / "policy.yaml").write_text(text)
    (mount / "..data").symlink_to("..one")
    (mount / "policy.yaml").symlink_to("..data/policy.yaml")
    watched = Watched(mount)
    assert watched.after(SETTLED) is Verdict.DENY
    (mount / "..data_tmp").symlink_to("..two")
    (mount / "..data_tmp").replace(mount / "..data")
    assert watched.after(SETTLED) is Verdict.PERMIT


def test_a_folder_notices_files_that_come_and_go_and_not_those_of_editors(tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text(OPEN)
    (tmp_path / ".#open.yaml").symlink_to("somebody@host.1")  # how Emacs locks a file
    (tmp_path / "._open.yaml").write_bytes(b"\x00\x05\x16\x07")  # what macOS leaves behind
    (tmp_path / "open.yaml~").write_text("- name: [")
    watched = Watched(tmp_path)
    assert watched.after(SETTLED) is Verdict.PERMIT
    (tmp_path / "no.yaml").write_text("- {name: no-users, connector: pagerduty, deny: ['users:*']}\n")
    assert watched.after(SETTLED) is Verdict.DENY
    (tmp_path / "no.yaml").unlink()
    assert watched.after(SETTLED) is Verdict.PERMIT
    (tmp_path / "broken.yaml").write_text("- name: [")
    (tmp_path / "no.yaml").write_text("- {name: no-users, connector: pagerduty, deny: ['users:*']}\n")
    assert watched.after(SETTLED) is Verdict.PERMIT, "refused whole: one of them is broken"
    assert "broken.yaml" in str(watched.errors())


@pytest.mark.parametrize("name", ["deny.yml", "deny.YAML", "deny.Yml"])
def test_a_folder_reads_every_spelling_of_the_suffix(tmp_path: Path, name: str) -> None:
    (tmp_path / "open.yaml").write_text(OPEN)
    watched = Watched(tmp_path)
    assert watched.after(SETTLED) is Verdict.PERMIT
    (tmp_path / name).write_text("- {name: no-users, connector: pagerduty, deny: ['users:*']}\n")
    assert watched.after(SETTLED) is Verdict.DENY
    assert Watched(tmp_path).after(0) is Verdict.DENY


def test_what_a_folder_does_not_read_is_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "open.yaml").write_text(OPEN.replace("high", "low"))
    assert run(["policy", "check", "--strict", str(tmp_path)]) == 0
    (tmp_path / "deny.yaml.bak").write_text(CLOSED)
    (tmp_path / "deny.json").write_text("[]")
    (tmp_path / "more").mkdir()
    (tmp_path / ".open.yaml.swp").write_text("x")
    capsys.readouterr()
    assert run(["policy", "check", "--strict", "--output", "table", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    for name in ("deny.yaml.bak", "deny.json", "more"):
        assert f"{tmp_path / name}: is not read" in out
    assert "swp" not in out
    assert run(["policy", "check", str(tmp_path)]) == 0


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=[OPEN])
    writer.start()
    watched = Watched(pipe)
    writer.join()
    assert watched.after(SETTLED) is Verdict.PERMIT
    assert watched.errors() == []


async def test_what_did_not_load_is_on_record_and_the_last_good_one_governs(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(CLOSED)
    async with PagerDutyConnector.sandbox(policies=str(file), audit=f"sqlite:///{tmp_path / 'a.db'}") as pd:
        await pd.list_teams(limit=1)
        file.write_text(OPEN[:40])
        await asyncio.sleep(0.7)
        with pytest.raises(PermissionDeniedError, match="no-users"):
            await pd.list_users(limit=1)
        renamed_over(file, OPEN)
        await asyncio.sleep(0.7)
        assert await pd.list_users(limit=1)
        await pd.audit.flush()
        loaded: list[AuditRecord] = [r async for r in pd.audit.records() if r.action_type == "policy.loaded"]
    assert [(r.status, r.error, r.metadata["entries"]) for r in loaded] == [
        ("success", None, 2),
        ("error", "PolicyError", 2),
        ("success", None, 1),
    ]
    assert [bool(r.metadata["digest"]) for r in loaded] == [True, False, True]
    assert loaded[0].metadata["digest"] != loaded[2].metadata["digest"]


def test_the_first_load_has_to_succeed(file: Path) -> None:
    file.write_text(CLOSED[:40])
    with pytest.raises(PolicyError, match=str(file)):
        Watched(file)
