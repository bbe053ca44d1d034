"""Where checkpoints are kept: off the log, each under its size, never overwritten."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from arx_wrapper.errors import AuditError, ConfigError

_NAME = re.compile(r"(\d{20})\.checkpoint")


class CheckpointStore(Protocol):
    """Keeps checkpoints."""

    async def last(self) -> str | None:
        """The largest checkpoint that is kept; None when there is none, or it cannot be looked up."""
        ...

    async def keep(self, size: int, note: str) -> None:
        """Keep a checkpoint. AuditError when it cannot be, or another of this size is there."""
        ...


def place(url: str) -> CheckpointStore:
    """The place at an address.

    Args:
        url: A folder, `-` for stdout, `sqlite:///path`, or anything that fsspec knows, `s3://bucket/prefix`.

    Raises:
        ConfigError: fsspec is needed and not installed.
    """
    if url == "-":
        return Stdout()
    if url.startswith("sqlite:///"):
        return Database(Path(url.removeprefix("sqlite:///")))
    if "://" not in url or url.startswith("file:///"):
        return Folder(Path(url.removeprefix("file://")))
    if importlib.util.find_spec("fsspec") is None:
        raise ConfigError("Checkpoints at this address need an extra: pip install 'arx-pagerduty[checkpoints]'.")
    return Remote(url)


class Stdout:
    """Prints checkpoints, for whatever collects a process's output."""

    async def last(self) -> str | None:
        return None

    async def keep(self, size: int, note: str) -> None:
        sys.stdout.write(note)
        sys.stdout.flush()


class Folder:
    """A folder, with a file a checkpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def last(self) -> str | None:
        return await asyncio.to_thread(self._last)

    async def keep(self, size: int, note: str) -> None:
        await asyncio.to_thread(self._keep, size, note)

    def _last(self) -> str | None:
        found = sorted(file for file in self._path.glob("*.checkpoint") if _NAME.fullmatch(file.name))
        return _read(found[-1]) if found else None

    def _keep(self, size: int, note: str) -> None:
        file = self._path / f"{size:020d}.checkpoint"
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            with draft.open("w", encoding="utf-8") as handle:
                handle.write(note)
                handle.flush()
                os.fsync(handle.fileno())
            try:
                os.link(draft, file)  # whole, or not at all
            except FileExistsError:
                _same(_read(file), note, str(file))
            finally:
                draft.unlink()
        except OSError as error:
            raise AuditError(f"The checkpoint cannot be kept: {error}.") from None


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(f"{file} cannot be read: {error}.") from None


class Database:
    """Another SQLite database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def last(self) -> str | None:
        return await asyncio.to_thread(self._run, "SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1", ())

    async def keep(self, size: int, note: str) -> None:
        insert = "INSERT INTO checkpoints VALUES (?, ?) ON CONFLICT DO NOTHING"
        await asyncio.to_thread(self._run, insert, (size, note))
        kept = await asyncio.to_thread(self._run, "SELECT note FROM checkpoints WHERE size = ?", (size,))
        _same(kept or "", note, str(self._path))

    def _run(self, statement: str, values: tuple[object, ...]) -> str | None:
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL)"
                )
                row = database.execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise AuditError(f"The checkpoint cannot be kept: {error}.") from None
        return row[0] if row else None


class Remote:
    """Any file system that fsspec knows."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def last(self) -> str | None:
        return await asyncio.to_thread(self._last)

    async def keep(self, size: int, note: str) -> None:
        await asyncio.to_thread(self._keep, size, note)

    def _system(self) -> tuple[Any, str]:
        import fsspec

        try:
            system, folder = fsspec.core.url_to_fs(self._url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"Checkpoints cannot be kept there: {error}.") from None
        return system, folder

    def _last(self) -> str | None:
        system, folder = self._system()
        try:
            names = [name for name in system.ls(folder, detail=False) if _NAME.fullmatch(name.rpartition("/")[2])]
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AuditError(f"The last checkpoint cannot be read: {error}.") from None
        return str(system.cat_file(max(names)).decode()) if names else None

    def _keep(self, size: int, note: str) -> None:
        system, folder = self._system()
        file = f"{folder}/{size:020d}.checkpoint"
        try:
            if system.exists(file):
                _same(system.cat_file(file).decode(), note, file)
                return
            system.makedirs(folder, exist_ok=True)
            system.pipe_file(file, note.encode())
        except OSError as error:
            raise AuditError(f"The checkpoint cannot be kept: {error}.") from None


def _same(kept: str, note: str, where: str) -> None:
    """Two checkpoints of one size are the same, or the log forked. Signatures may differ, what is signed may not."""
    if kept.rpartition("\n\n")[0] != note.rpartition("\n\n")[0]:
        raise AuditError(f"{where} holds another checkpoint of the same size: the log was forked or rewritten.")
