"""Witnesses cosign a log that only grows, and no other; held to an implementation of other hands where there is one."""

from __future__ import annotations

import base64
import importlib.util
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from arx_wrapper import AuditError, ConfigError, audit
from arx_wrapper.audit import AuditLog
from arx_wrapper.audit.tiles import consistent
from arx_wrapper.audit.transparency import witness as witness_module
from arx_wrapper.audit.transparency.checkpoint import opened, sign_checkpoint
from arx_wrapper.audit.transparency.checkpoint_stores import checkpoint_store
from arx_wrapper.audit.transparency.signed_note import Signer, Verifier, _key_id
from arx_wrapper.audit.transparency.witness import Cosigner, Witness, require_cosignatures
from arx_wrapper.cli.main import run
from tests.audit.conftest import entry
from tests.audit.test_attacks import keep

SIGNER = Signer.new("audit.example.com/test")
VERIFIER = Verifier.parse(SIGNER.verifier())
NAME = "witness.example.com/one"


class Own(ThreadingHTTPServer):
    """A witness as C2SP describes one, that may also be made to lie."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key, self.seen, self.answer = Ed25519PrivateKey.generate(), (0, b""), ""
        self.refusal: tuple[int, str, str] | None = None
        self.asked, self.drips = 0, False
        data = b"\x04" + self.key.public_key().public_bytes_raw()
        self.key_id = _key_id(NAME, data)
        self.verifier = f"{NAME}+{self.key_id.hex()}+{base64.b64encode(data).decode()}"

    def cosigned(self, text: str, at: int) -> str:
        signature = self.key.sign(f"cosignature/v1\ntime {at}\n{text}".encode())
        return f"\u2014 {NAME} {base64.b64encode(self.key_id + at.to_bytes(8) + signature).decode()}\n"


class _Handler(BaseHTTPRequestHandler):
    server: Own

    def do_POST(self) -> None:
        head, _, note = self.rfile.read(int(self.headers["Content-Length"])).decode().partition("\n\n")
        old, *path = head.split("\n")
        checkpoint = opened(note, VERIFIER)
        size, root = self.server.seen
        steps = [base64.b64decode(step) for step in path]
        self.server.asked += 1
        if self.server.refusal:
            self._say(*self.server.refusal)
        elif int(old.removeprefix("old ")) != size:
            self._say(409, f"{size}\n", "text/x.tlog.size")
        elif size and not consistent(size, root, checkpoint.size, checkpoint.root, steps):
            self._say(422, "")
        else:
            self.server.seen = (checkpoint.size, checkpoint.root)
            text = note.partition("\n\n")[0] + "\n"
            self._say(200, self.server.answer or self.server.cosigned(text, int(time.time())))

    def _say(self, status: int, text: str, kind: str = "text/plain") -> None:
        content = text.encode("utf-8", "surrogateescape")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        for at in range(0, len(content), size := 1 if self.server.drips else 100_000):
            self.wfile.write(content[at : at + size])
            time.sleep(0.1 if self.server.drips else 0)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def own() -> Iterator[Own]:
    server = Own()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["our own", "aics-witness"])
def witness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Witness]:
    """A witness that knows the log's key."""
    if request.param == "our own":
        server = request.getfixturevalue("own")
        yield Witness.parse(f"{server.verifier}@http://127.0.0.1:{server.server_address[1]}")
        return
    if importlib.util.find_spec("aics_witness") is None:
        pytest.skip("aics-witness, an implementation of other hands, is installed with Python 3.12 or later only")
    from aics_tlog.note import format_vkey
    from aics_witness import LogConfig, WitnessStore, make_server
    from aics_witness import Witness as Other

    store = WitnessStore(tmp_path / "witness.db", create=True)
    other = Other(
        NAME,
        Ed25519PrivateKey.generate(),
        store,
        [LogConfig.from_strings(SIGNER.name, [SIGNER.verifier()])],
    )
    running: Any = make_server(other)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield Witness.parse(f"{format_vkey(other.vkey)}@{running.url}")
    running.shutdown()
    running.server_close()
    store.close()


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[AuditLog]:
    log = audit.open(f"sqlite:///{tmp_path}/audit.db")
    yield log
    await log.aclose()


async def fill(log: AuditLog, count: int) -> None:
    for _ in range(count):
        log.append_soon(entry(action_type="connector.refused"))
    await log.flush()


async def test_a_log_that_grows_is_cosigned_each_time(log: AuditLog, witness: Witness, tmp_path: Path) -> None:
    store = checkpoint_store(str(tmp_path / "kept"))
    for count in (5, 300, 0, 7):
        await fill(log, count)
        note = await sign_checkpoint(log, SIGNER, [store], [witness])
        assert abs((witness.cosigner.cosigned_at(note) or 0) - time.time()) < 60
        require_cosignatures(note, [witness.cosigner])
        kept = await store.last()
        assert kept is not None
        assert opened(kept, VERIFIER) == opened(note, VERIFIER)
    assert opened(note, VERIFIER).size == 312


async def test_a_witness_that_has_seen_more_than_is_kept_is_asked_from_there_on(
    log: AuditLog, witness: Witness
) -> None:
    for _ in range(2):
        await fill(log, 9)
        note = await sign_checkpoint(log, SIGNER, [], [witness])  # no store that could say what it has seen
    assert opened(note, VERIFIER).size == 18


async def test_the_other_face_of_a_log_is_not_cosigned(log: AuditLog, witness: Witness, tmp_path: Path) -> None:
    await fill(log, 5)
    keep(tmp_path / "audit.db", tmp_path / "fork.db")
    await fill(log, 5)
    await sign_checkpoint(log, SIGNER, [], [witness])
    fork = audit.open(f"sqlite:///{tmp_path}/fork.db")
    with pytest.raises(AuditError, match="cut off, or it is an old copy"):
        await sign_checkpoint(fork, SIGNER, [], [witness])
    await fill(fork, 20)
    kept = checkpoint_store(str(tmp_path / "kept"))
    with pytest.raises(AuditError, match="has seen other records of this log"):
        await sign_checkpoint(fork, SIGNER, [kept], [witness])
    assert await kept.last() is None, "what is not cosigned is not kept"
    await fork.aclose()


async def test_a_checkpoint_without_its_witnesss_signature_is_refused(log: AuditLog, own: Own) -> None:
    await fill(log, 3)
    cosigner = Cosigner.parse(own.verifier)
    note = await sign_checkpoint(log, SIGNER, [])
    with pytest.raises(AuditError, match="not cosigned"):
        require_cosignatures(note, [cosigner])
    text = note.partition("\n\n")[0] + "\n"
    require_cosignatures(note + own.cosigned(text, 1_700_000_000), [cosigner])
    forged = own.cosigned(text.replace("\n3\n", "\n4\n"), 1_700_000_000)
    with pytest.raises(AuditError, match="is invalid"):
        require_cosignatures(note + forged, [cosigner])


@pytest.mark.parametrize("answer", ["", "nothing\n", "\u2014 another.example AAAAAAAA\n"])
async def test_an_answer_that_is_no_cosignature_is_refused(log: AuditLog, own: Own, answer: str) -> None:
    await fill(log, 3)
    own.answer = answer or own.cosigned("another text\n", int(time.time()))
    witness = Witness.parse(f"{own.verifier}@http://127.0.0.1:{own.server_address[1]}")
    with pytest.raises(AuditError, match=r"without its signature|is invalid"):
        await sign_checkpoint(log, SIGNER, [], [witness])


async def test_a_cosignature_with_a_time_in_the_future_is_refused(log: AuditLog, own: Own) -> None:
    """It would be accepted for ever, as proof that the log is watched now."""
    await fill(log, 3)
    note = await sign_checkpoint(log, SIGNER, [])
    text = note.partition("\n\n")[0] + "\n"
    witness = Witness.parse(f"{own.verifier}@http://127.0.0.1:{own.server_address[1]}")
    own.answer = own.cosigned(text, int(time.time()) + 90_000)
    with pytest.raises(AuditError, match="time in the future"):
        await sign_checkpoint(log, SIGNER, [], [witness])


async def test_other_lines_of_an_answer_are_ignored(log: AuditLog, own: Own) -> None:
    await fill(log, 3)
    text = (await sign_checkpoint(log, SIGNER, [])).partition("\n\n")[0] + "\n"
    true = own.cosigned(text, int(time.time()))
    own.answer = f"a comment\n\u2014 another.example AAAAAAAA\n{true.removeprefix(chr(0x2014))}{true}"
    witness = Witness.parse(f"{own.verifier}@http://127.0.0.1:{own.server_address[1]}")
    note = await sign_checkpoint(log, SIGNER, [], [witness])
    assert note.endswith(f"\n{true}")
    assert "comment" not in note


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((409, "7\n", "text/plain"), r"other records of this log \(409\)"),
        *[
            ((409, size, "text/x.tlog.size"), r"other records of this log \(409\)")
            for size in ("", "-1", "1e3", "\u0663")
        ],
        ((409, "1" * 25, "text/x.tlog.size"), r"other records of this log \(409\)"),
        ((409, "3\n", "text/x.tlog.size"), r"other records of this log \(409\)"),
        ((409, "4\n", "text/x.tlog.size"), "has cosigned 4 records of this log, and this checkpoint is over 3"),
        ((403, "", "text/plain"), r"it refuses it \(403\)"),
        ((200, "x" * 64_001, "text/plain"), "responds with over 64,000 bytes"),
        ((302, "", "text/plain"), r"it refuses it \(302\)"),
        ((200, "4\n", "text/x.tlog.size"), "without its signature"),
        ((200, "\udcff\n", "text/plain"), "without its signature"),
    ],
    ids=lambda value: "" if isinstance(value, str) else f"{value[0]} {value[1][:4].strip()}",
)
async def test_a_witness_that_refuses_is_said_and_asked_twice_at_most(
    log: AuditLog, own: Own, refusal: tuple[int, str, str], said: str
) -> None:
    await fill(log, 3)
    own.refusal = refusal
    witness = Witness.parse(f"{own.verifier}@http://127.0.0.1:{own.server_address[1]}")
    with pytest.raises(AuditError, match=said):
        await sign_checkpoint(log, SIGNER, [], [witness])
    assert own.asked == (2 if refusal[1] == "3\n" else 1)


async def test_a_witness_whose_answer_drips_is_given_up(
    log: AuditLog, own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(log, 3)
    monkeypatch.setattr(witness_module, "_WITHIN", 0.3)
    own.drips = True
    own.refusal = (200, "x" * 10, "text/plain")
    witness = Witness.parse(f"{own.verifier}@http://127.0.0.1:{own.server_address[1]}")
    with pytest.raises(AuditError, match="cannot be reached: TimeoutError"):
        await sign_checkpoint(log, SIGNER, [], [witness])


async def test_a_witness_that_cannot_be_reached_is_said(log: AuditLog, own: Own) -> None:
    await fill(log, 3)
    witness = Witness.parse(f"{own.verifier}@http://127.0.0.1:9")
    with pytest.raises(AuditError, match=r"witness.example.com/one cannot be reached: ConnectError"):
        await sign_checkpoint(log, SIGNER, [], [witness])


@pytest.mark.parametrize("text", ["", "nothing", "name+0000+AAAA@https://a.example", "@https://a.example"])
def test_a_witness_that_is_none_is_a_configuration_error(text: str, own: Own) -> None:
    with pytest.raises(ConfigError):
        Witness.parse(text)
    with pytest.raises(ConfigError, match="no such address"):
        Witness.parse(f"{own.verifier}@http://witness.example.com")


def test_the_commands_ask_and_require_a_witness(
    own: Own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    url = f"sqlite:///{tmp_path}/audit.db"
    monkeypatch.setenv("ARX_AUDIT_URL", url)

    async def some() -> None:
        log = audit.open(url)
        await fill(log, 4)
        await log.aclose()

    asyncio.run(some())
    key, folder = tmp_path / "signer.key", str(tmp_path / "kept")
    key.write_text(SIGNER.secret())
    where = ["--signing-key", str(key), "--place", folder]
    check = ["audit", "verify", "--checkpoint", folder, "--key", SIGNER.verifier(), "--cosigner", own.verifier]
    assert run(["audit", "checkpoint", *where]) == 0
    assert run(check) == 5
    assert "not cosigned by witness.example.com/one" in capsys.readouterr().err
    for file in Path(folder).iterdir():
        file.unlink()
    witness = f"{own.verifier}@http://127.0.0.1:{own.server_address[1]}"
    assert run(["audit", "checkpoint", *where, "--witness", witness]) == 0
    assert run(check) == 0
    assert run([*check, "--since-checkpoint"]) == 0
