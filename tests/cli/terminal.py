"""The command on a terminal: what it writes, what is typed, how it ends."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

_WITHIN = 60.0


@frozen
class Shown:
    """A terminal's text, and the command's exit status."""

    text: str
    status: int


def on_a_terminal(
    *arguments: str,
    typed: Sequence[tuple[str, str]] = (),
    width: int = 60,
    cwd: Path | None = None,
    **environ: str,
) -> Shown:
    """Run the command on a terminal of its own.

    Args:
        arguments: The command's arguments.
        typed: What is typed, each when the text before it has been shown: `("Approve?", "n\\n")`. "\\x03" is Ctrl-C.
        width: The terminal's columns.
        cwd: The working directory.
        environ: Variables beside those of this process.
    """
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    names = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    command = [sys.executable, "-m", "arx_wrapper.cli", *arguments]
    with subprocess.Popen(  # noqa: S603
        command,
        cwd=cwd,
        env={**names, "TERM": "xterm-256color", **environ},
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        preexec_fn=_take_terminal,
    ) as process:
        os.close(secondary)
        try:
            text = _converse(primary, process.pid, list(typed))
        finally:
            os.close(primary)
            if process.poll() is None:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
    return Shown(text, process.returncode)


def _take_terminal() -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs, and so their children, ignore Ctrl-C
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _converse(terminal: int, process: int, script: list[tuple[str, str]]) -> str:
    shown, seen, until = bytearray(), 0, time.monotonic() + _WITHIN
    while time.monotonic() < until:
        while script and (at := shown.find(script[0][0].encode(), seen)) >= 0:
            seen = at + len(script[0][0])
            _wait_until_idle(process)
            os.write(terminal, script.pop(0)[1].encode())
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # how a terminal says that nobody writes any more
            return shown.decode()
        if not chunk:
            return shown.decode()
        shown += chunk
    raise AssertionError(f"the command did not end; it showed {shown.decode()!r}")


def _wait_until_idle(process: int) -> None:
    """Wait until a command waits for what is typed: it shows its prompt some time before it reads."""
    threads, until, still = Path(f"/proc/{process}/task"), time.monotonic() + _WITHIN, 0
    if not threads.exists():  # another system than Linux
        time.sleep(0.3)
        return
    while still < 5 and time.monotonic() < until:
        time.sleep(0.01)
        still = still + 1 if all(map(_sleeps, threads.iterdir())) else 0


def _sleeps(thread: Path) -> bool:
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0] == "S"
    except OSError:  # it has ended
        return True
