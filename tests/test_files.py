"""Private files: nobody else reads them, nothing in their place is overwritten or followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from arx_wrapper.files import create_private, read_private


@pytest.fixture(autouse=True)
def open_umask():
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
