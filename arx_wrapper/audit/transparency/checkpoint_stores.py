"""Store checkpoints apart from the log, each under its size, never overwritten."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from arx_wrapper.errors import AuditError, ConfigError
from arx_wrapper.files import read_text

_NAME = re.compile(r"(\d{20})\.checkpoint")


class CheckpointStore(Protocol):
    """Keeps checkpoints."""

    async def last(self) -> str | None:
        """Return the largest stored checkpoint; None when there is none, or the store cannot be read."""
        ...

    async def last_at(self) -> datetime | None:
        """Return the time at which the largest checkpoint was stored; None when there is none or it is unknown."""
        ...

    async def keep(self, size: int, note: str) -> None:
        """Store a checkpoint. AuditError when that fails, or the store has a different one of this size."""
        ...


def checkpoint_store(url: str) -> CheckpointStore:
    """Return the store at an address.

    Args:
        url: A folder, `-` for stdout, or any address of fsspec, `s3://bucket/prefix`.

    Raises:
        ConfigError: fsspec is needed but not installed, or only earlier versions had this kind of store.
    """
    if url == "-":
        return Stdout()
    if url.startswith("sqlite:///"):
        raise ConfigError("Checkpoints can no longer be kept in SQLite. Use a folder, or any fsspec address.")
    if "://" not in url or url.startswith("file:///"):
        return Folder(Path(url.removeprefix("file://")))
    if importlib.util.find_spec("fsspec") is None:
        raise ConfigError("Checkpoints at this address need an extra: pip install 'arx-pagerduty[checkpoints]'.")
    return Remote(url)


class Stdout:
    """Prints checkpoints, for a collector of the process's output."""

    async def last(self) -> str | None:
        return None

    async def last_at(self) -> datetime | None:
        return None

    async def keep(self, size: int, note: str) -> None:
        sys.stdout.write(note)
        sys.stdout.flush()


class Folder:
    """A folder, with a file for each checkpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def last(self) -> str | None:
        return await asyncio.to_thread(self._last)

    async def last_at(self) -> datetime | None:
        return await asyncio.to_thread(self._last_at)

    async def keep(self, size: int, note: str) -> None:
        await asyncio.to_thread(self._keep, size, note)

    def _newest(self) -> Path | None:
        return max((file for file in self._path.glob("*.checkpoint") if _NAME.fullmatch(file.name)), default=None)

    def _last(self) -> str | None:
        newest = self._newest()
        return _read(newest) if newest else None

    def _last_at(self) -> datetime | None:
        newest = self._newest()
        return datetime.fromtimestamp(newest.stat().st_mtime, UTC) if newest else None

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
                os.link(draft, file)  # creates the complete file, or fails
            except FileExistsError:
                _same(_read(file), note, str(file))
            finally:
                draft.unlink()
        except OSError as error:
            raise AuditError(f"The checkpoint cannot be kept: {error}.") from None


def _read(file: Path) -> str:
    try:
        return read_text(file)
    except OSError as error:
        raise AuditError(f"{file} cannot be read: {error.strerror}.") from None


class Remote:
    """Any file system that fsspec knows."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def last(self) -> str | None:
        return await asyncio.to_thread(self._last)

    async def last_at(self) -> datetime | None:
        return await asyncio.to_thread(self._last_at)

    async def keep(self, size: int, note: str) -> None:
        await asyncio.to_thread(self._keep, size, note)

    def _system(self) -> tuple[Any, str]:
        import fsspec

        try:
            system, folder = fsspec.core.url_to_fs(self._url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"Checkpoints cannot be kept there: {error}.") from None
        return system, folder

    def _newest(self) -> tuple[Any, str | None]:
        system, folder = self._system()
        try:
            names = [name for name in system.ls(folder, detail=False) if _NAME.fullmatch(name.rpartition("/")[2])]
        except FileNotFoundError:
            return system, None
        except OSError as error:
            raise AuditError(f"The last checkpoint cannot be read: {error}.") from None
        return system, max(names, default=None)

    def _last(self) -> str | None:
        system, newest = self._newest()
        return str(system.cat_file(newest).decode()) if newest else None

    def _last_at(self) -> datetime | None:
        system, newest = self._newest()
        try:
            at = system.modified(newest) if newest else None
        except (NotImplementedError, OSError):
            return None
        return at.astimezone(UTC) if isinstance(at, datetime) else None

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
    """Refuse a different checkpoint of the same size: the log forked. The signed text decides, not the signatures."""
    if kept.rpartition("\n\n")[0] != note.rpartition("\n\n")[0]:
        raise AuditError(f"{where} holds another checkpoint of the same size: the log was forked or rewritten.")
