"""Private files: nobody else reads them, nothing in their place is overwritten or followed."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from arx_wrapper import approvals, audit
from arx_wrapper.errors import ApprovalError, AuditError
from arx_wrapper.files import create_private, private_file, read_private, writable_by_others


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_private_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "secret"
    create_private(file, b"one")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert read_private(file, 10)[0] == b"one"


def test_what_is_there_is_kept_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"theirs")
    file.chmod(0o644)
    with pytest.raises(FileExistsError):
        create_private(file, b"ours")
    assert file.read_bytes() == b"theirs"
    create_private(file, b"ours", replace=True)
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"ours", 0o600)
    assert os.listdir(tmp_path) == ["secret"]


@pytest.mark.parametrize("target", ["there", "gone"])
def test_a_link_is_neither_written_through_nor_read_through(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").write_bytes(b"theirs")
    (tmp_path / "there").chmod(0o600)
    link = tmp_path / "secret"
    link.symlink_to(tmp_path / target)
    with pytest.raises(FileExistsError):
        create_private(link, b"ours")
    with pytest.raises(OSError, match=r"secret"):
        read_private(link, 10)
    assert (tmp_path / "there").read_bytes() == b"theirs"
    assert not (tmp_path / "gone").exists()


def test_the_permissions_of_what_is_no_file_stay_as_they_are(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"  # like /dev/null, which belongs to everybody
    os.mkfifo(pipe, 0o666)
    with pytest.raises(AuditError, match="is not a regular file"):
        asyncio.run(audit.open(f"sqlite:///{pipe}").open())
    with pytest.raises(ApprovalError, match="is not a regular file"):
        asyncio.run(approvals.open(f"sqlite:///{pipe}").list())
    with pytest.raises(OSError, match="is not a regular file"):
        private_file(pipe)
    assert stat.S_IMODE(pipe.stat().st_mode) == 0o666


def test_a_file_that_cannot_be_written_whole_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    file = tmp_path / "secret"
    for replace in (False, True):
        with pytest.raises(OSError, match="No space left"):
            create_private(file, b"ours", replace=replace)
    assert os.listdir(tmp_path) == []


def test_what_others_may_read_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    create_private(file, b"one")
    file.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        read_private(file, 10)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(PermissionError, match="not a file"):
        read_private(tmp_path / "pipe", 10)


@pytest.mark.parametrize(("mode", "who"), [(0o666, "every user"), (0o660, "its group")])
def test_a_file_that_others_can_change_is_named(tmp_path: Path, mode: int, who: str) -> None:
    file = tmp_path / "folder" / "arx.toml"
    file.parent.mkdir(mode=0o755)
    file.touch()
    file.parent.chmod(0o755)
    file.chmod(0o644)
    assert writable_by_others(file) is None
    if os.geteuid() == 0:
        os.chown(file, -1, 12345)  # not the group that root, or a user alone, has
    elif mode == 0o660:
        pytest.skip("only root gives files to other groups")
    file.chmod(mode)
    assert writable_by_others(file) == f"{file} is writable by {who}"
    file.chmod(0o644)
    file.parent.chmod(0o777)
    assert writable_by_others(file) == f"{file.parent} is writable by every user"
    file.parent.chmod(0o1777)
    assert writable_by_others(file) is None, "a sticky folder's files stay their owners'"
    assert writable_by_others(file.parent) is not None, "but others add policies to it"


def test_a_link_is_as_safe_as_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "target").touch(mode=0o644)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "open" / "target")
    assert writable_by_others(tmp_path / "link") == f"{tmp_path}/open is writable by every user"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_named(tmp_path: Path) -> None:
    file = tmp_path / "arx.toml"
    file.touch(mode=0o644)
    os.chown(file, 12345, -1)
    assert writable_by_others(file) == f"{file} belongs to user 12345"
