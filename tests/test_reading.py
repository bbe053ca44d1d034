"""Reading what a person named ends, and stays within a limit, whatever kind of file it is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from arx_wrapper.files import decoded, read_bytes, read_text


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x" * 1000)
    assert read_bytes(file, 1000) == b"x" * 1000
    with pytest.raises(OSError, match="it is larger than 999 bytes"):
        read_bytes(file, 999)
    file.write_bytes(b"")
    assert read_bytes(file, 0) == b""


def test_a_file_that_is_far_too_large_is_not_read_at_all(tmp_path: Path) -> None:
    file = tmp_path / "sparse"
    with file.open("wb") as made:
        made.truncate(1 << 40)
    began = time.monotonic()
    with pytest.raises(OSError, match="larger than 1,000,000 bytes"):
        read_bytes(file, 1_000_000)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_a_device_without_end_ends_at_the_limit(device: str) -> None:
    with pytest.raises(OSError, match="larger than 100,000 bytes"):
        read_bytes(Path(device), 100_000)


def test_an_empty_device_is_empty() -> None:
    assert read_bytes(Path("/dev/null"), 10) == b""


def test_a_folder_a_socket_and_a_missing_file_are_said(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="it is a folder, not a file"):
        read_bytes(tmp_path, 10)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none", 10)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(OSError, match="No such device"):
            read_bytes(tmp_path / "s", 10)


def test_a_pipe_without_a_writer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TimeoutError, match=r"no process wrote to it within 0\.05 s"):
        read_bytes(tmp_path / "pipe", 10, writer=0.05)


def test_a_writer_that_is_silent_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    with pytest.raises(TimeoutError, match=r"nothing came through it for 0\.05 s"):
        read_bytes(pipe, 10, silence=0.05)
    os.write(held, b"some")
    with pytest.raises(TimeoutError, match="nothing came through it"):
        read_bytes(pipe, 10, silence=0.05)
    os.close(held)


def test_a_pipe_whose_writer_comes_late_and_writes_in_pieces_is_read_whole(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        time.sleep(0.05)
        with pipe.open("wb", buffering=0) as opened:
            for piece in (b"one ", b"two ", b"three"):
                time.sleep(0.02)
                opened.write(piece)

    writing = threading.Thread(target=write)
    writing.start()
    assert read_bytes(pipe, 100) == b"one two three"
    writing.join()


def test_a_pipe_without_end_ends_at_the_limit(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = f"open({str(pipe)!r}, 'wb').write(bytes(1 << 24))"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as sent:  # noqa: S603 - our own
        with pytest.raises(OSError, match="larger than 100,000 bytes"):
            read_bytes(pipe, 100_000)
        sent.wait(20)


READ = """
import sys
from pathlib import Path
from arx_wrapper.files import read_text
print(read_text(Path(sys.argv[1]), 99))
"""


def test_a_shells_process_substitution_is_read() -> None:
    for command, said in (("echo text", "text\n\n"), ("true", "\n"), ("sleep 0.1; echo late", "late\n\n")):
        ran = subprocess.run(  # noqa: S603 - bash of this machine
            ["/bin/bash", "-c", f'"$0" -c "$1" <({command})', sys.executable, READ], capture_output=True, text=True
        )
        assert (ran.stdout, ran.stderr) == (said, "")


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("\ufefftext\r\n".encode())
    assert read_text(tmp_path / "a", 99) == "text\r\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("caf\xe9\n".encode("cp1252"), "it is not UTF-8 text: byte 0xE9 in line 1"),
        (b"one\ntwo \x93quoted\x94\n", "it is not UTF-8 text: byte 0x93 in line 2"),
        ("text".encode("utf-16"), r"it is not UTF-8 text \(it looks like UTF-16\): byte 0xFF in line 1"),
    ],
)
def test_text_in_another_encoding_is_said_with_its_line(content: bytes, said: str) -> None:
    with pytest.raises(OSError, match=said):
        decoded(content)
