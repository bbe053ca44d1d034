"""Create and read files: those that only their owner may read, and those that a person named, up to a limit."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
from pathlib import Path
from typing import Final

LARGEST: Final = 4_000_000
"""Bytes of a file that a person names, where nothing else limits it: parameters, keys, proofs, settings."""
_CHUNK: Final = 1 << 16
# Seconds: for a process to open a named pipe for writing, and between two pieces of what comes through a pipe.
_WRITER: Final = 5.0
_SILENCE: Final = 120.0


def private_file(path: Path) -> None:
    """Create an empty file unless it exists, and let only its owner read it; SQLite's side files take its mode.

    An existing file is never opened: closing a descriptor of it would drop the locks that this process's connections
    hold on it, because POSIX locks belong to the process and the file. Another process would then believe that the log
    is not in use, and remove records that are not in the database file yet.

    Raises:
        OSError: it cannot be created, or is no regular file: a device's permissions are everybody's.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        import tempfile

        with tempfile.NamedTemporaryFile(dir=path.parent) as empty, contextlib.suppress(FileExistsError):
            os.link(empty.name, path)  # mode 0600; suppressed when another process was faster
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise OSError(f"{path} is not a regular file")
    if mode & 0o077:
        path.chmod(0o600)


def open_private(path: Path) -> int:
    """Create a file for writing, mode 0600, and return its descriptor. Its folder is created, mode 0700.

    Raises:
        FileExistsError: the path exists already; a dangling link counts.
        OSError: it cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def create_private(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Write a file that only its owner may read, durably.

    A replaced file is replaced whole: a crash leaves the old content or the new. A new file that cannot be written
    whole is removed again.

    Raises:
        FileExistsError: the file exists and is not to be replaced.
        OSError: it cannot be written.
    """
    target = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(8).hex()}") if replace else path
    descriptor = open_private(target)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if replace:
            os.replace(target, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            target.unlink()
        raise


def writable_by_others(path: Path) -> str | None:
    """Describe which other users can change a path: the file, its links' targets, or a folder above it.

    Returns:
        One clause for a message, `/etc/arx is writable by its group`; None when only its owner, this user or root can.
    """
    trusted = {0, os.geteuid()}
    whole = Path(os.path.abspath(path))
    for place in dict.fromkeys([*whole.parents[::-1], whole, *whole.resolve().parents[::-1], whole.resolve()]):
        try:
            state = place.stat()
        except OSError:
            continue
        if state.st_uid not in trusted:
            return f"{place} belongs to user {state.st_uid}"
        if stat.S_ISDIR(state.st_mode) and state.st_mode & stat.S_ISVTX and place != whole:
            continue  # as /tmp: others add to it, but replace nothing of this user's
        if state.st_mode & stat.S_IWOTH:
            return f"{place} is writable by every user"
        if state.st_mode & stat.S_IWGRP and not _own_group(state.st_gid):
            return f"{place} is writable by its group"
    return None


def _own_group(group_id: int) -> bool:
    """Return True for root's group, and for the group that many systems make for each user alone."""
    import grp
    import pwd

    if group_id == 0:
        return True
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(group_id)
    except KeyError:
        return False
    return user.pw_gid == group_id and set(group.gr_mem) <= {user.pw_name} and group.gr_name == user.pw_name


def read_private(path: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """Read a file that only this user may read, and its state.

    Args:
        path: The file; a link is not followed.
        limit: Bytes that are read at most.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        PermissionError: it is no regular file, belongs to another user, or others may read it; the message says which.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise PermissionError("it is not a file")
        if state.st_uid != os.geteuid():
            raise PermissionError("it belongs to another user")
        if state.st_mode & 0o077:
            raise PermissionError(f"others may read it; run `chmod 600 {path}`, and consider its key known")
        return os.read(descriptor, limit), state
    finally:
        os.close(descriptor)


def read_bytes(path: Path, limit: int = LARGEST, *, writer: float = _WRITER, silence: float = _SILENCE) -> bytes:
    """Return a file's content. A pipe works as well, so that `<(command)` of a shell does.

    Args:
        path: The file, pipe or device.
        limit: Bytes that it may hold.
        writer, silence: Seconds to wait for a process that writes to a pipe, and for it to write more.

    Raises:
        OSError: it cannot be read, is a folder, is larger than the limit, or no process writes to it; `strerror`
            says which.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except ValueError:
        raise OSError(errno.EINVAL, "its name holds a null character", str(path)) from None
    try:
        state = os.fstat(descriptor)
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file")
        if stat.S_ISREG(state.st_mode) and state.st_size > limit:
            raise _too_large(limit)
        parts, size = list[bytes](), 0
        while part := _next(descriptor, writer, silence):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise _too_large(limit)
        return b"".join(parts)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        os.close(descriptor)


def read_text(path: Path, limit: int = LARGEST) -> str:
    """Return a file's text, without a byte order mark. Raises as `read_bytes()`, and when it is not UTF-8."""
    try:
        return decoded(read_bytes(path, limit))
    except OSError as error:
        error.filename = str(path)
        raise


def decoded(content: bytes) -> str:
    """Return UTF-8 as text, without a byte order mark.

    Raises:
        OSError: it is not UTF-8; `strerror` says where, and what it looks like.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kind = " (it looks like UTF-16)" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        line = content.count(b"\n", 0, error.start) + 1
        raise OSError(
            errno.EILSEQ, f"it is not UTF-8 text{kind}: byte 0x{content[error.start]:02X} in line {line}"
        ) from None


def _next(descriptor: int, writer: float, silence: float) -> bytes:
    """Return the next bytes; none at the end. A named pipe that no process writes to seems to be at its end."""
    poll, tried = select.poll(), False
    poll.register(descriptor, select.POLLIN)
    while True:
        try:
            part = os.read(descriptor, _CHUNK)
        except BlockingIOError:  # a process has it open for writing, and has written nothing yet
            if not poll.poll(silence * 1000):
                raise TimeoutError(errno.ETIMEDOUT, f"nothing came through it for {silence:g} s") from None
            continue
        ended = bool(part) or not stat.S_ISFIFO(os.fstat(descriptor).st_mode) or bool(poll.poll(0))
        if ended:
            return part
        if tried:
            raise TimeoutError(errno.ETIMEDOUT, f"it is a pipe, and no process wrote to it within {writer:g} s")
        poll.poll(writer * 1000)
        tried = True


def _too_large(limit: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {limit:,} bytes")
