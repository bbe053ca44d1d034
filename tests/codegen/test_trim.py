"""The published document's origin, and the lock's entry of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from codegen import upstream
from codegen.errors import CodegenError
from codegen.upstream import extending, locked, newest, parse
from codegen.upstream import load as load_upstream

DOCUMENT = b'{"openapi": "3.0.2"}'
COMMIT = "91a06fb3c64b0ab2b2bd6c485d12b327dfb55c18"
COMMITS = json.dumps([{"sha": COMMIT}]).encode()
LOCK = {"repository": "PagerDuty/api-schema", "path": "reference/REST/openapiv3.json"}
BEFORE = {"url": "https://example.com/a.json", "commit": "0" * 40, "sha256": hashlib.sha256(DOCUMENT).hexdigest()}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        history = "/repos/PagerDuty/api-schema/commits?path=reference/REST/openapiv3.json&per_page=1"
        answers = {"/openapi.json": DOCUMENT, f"/api{history}": COMMITS, f"/nobody{history}": b"[]"}
        self.send_response(200 if self.path in answers else 404)
        self.end_headers()
        self.wfile.write(answers.get(self.path, b"404"))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_document_is_read_from_an_address(address: str) -> None:
    assert load_upstream(f"{address}/openapi.json") == DOCUMENT
    with pytest.raises(CodegenError, match="answered 404"):
        load_upstream(f"{address}/nothing.json")


@pytest.mark.parametrize("source", ["nowhere.json", "http://127.0.0.1:1/x.json", "http://example.com/x", "ftp://x/y"])
def test_what_cannot_be_read_or_trusted_is_an_error(source: str) -> None:
    with pytest.raises(CodegenError, match="cannot be"):
        load_upstream(source)


def test_a_document_without_end_is_read_no_further_than_the_limit(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(upstream, "LARGEST", 10)
    with pytest.raises(CodegenError, match="is larger than 10 bytes"):
        load_upstream("/dev/zero")
    with pytest.raises(CodegenError, match="is larger than 10 bytes"):
        load_upstream(f"{address}/openapi.json")


def test_a_pipe_that_no_process_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert load_upstream(str(tmp_path / "pipe")) == b""


def test_a_folder_is_no_document(tmp_path: Path) -> None:
    with pytest.raises(CodegenError, match=r"cannot be read: .*directory"):
        load_upstream(str(tmp_path))


@pytest.mark.parametrize("text", [b"[" * 200_000, b"- " * 200_000, b""])
def test_what_is_nested_too_deeply_or_empty_is_no_document(text: bytes) -> None:
    with pytest.raises(CodegenError):
        parse(text, "a.json")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]", "localhost"])
def test_plain_http_is_for_this_machine_only(host: str) -> None:
    with pytest.raises(CodegenError, match="cannot be read"):
        load_upstream(f"http://{host}:1/x.json")


def test_the_newest_commit_is_asked_of_the_repositorys_history(address: str) -> None:
    found = newest(LOCK, api=f"{address}/api", raw=f"{address}/raw")
    assert found == f"{address}/raw/PagerDuty/api-schema/{COMMIT}/reference/REST/openapiv3.json"
    with pytest.raises(CodegenError, match="names no commit; nothing changed"):
        newest(LOCK, api=f"{address}/nobody")


def test_json_and_yaml_say_the_same() -> None:
    assert parse(DOCUMENT, "a.json") == parse(b"openapi: 3.0.2", "a.yaml")
    text = b"{a: on, b: 2025-01-01, c: 2025-01-01T00:00:00Z, d: true, e: 404}"
    assert parse(text, "a.yaml") == {
        "a": "on", "b": "2025-01-01", "c": "2025-01-01T00:00:00Z", "d": True, "e": 404
    }  # fmt: skip


@pytest.mark.parametrize("raw", [b"{", b"<html>", b"[1]", b"a: [", b"\xff\xfe\xff", b"", b"a: b: c"])
def test_what_holds_no_document_is_said_to(raw: bytes) -> None:
    with pytest.raises(CodegenError, match=r"^a\.json (is neither JSON nor YAML|holds a \w+)"):
        parse(raw, "a.json")


def test_the_overlay_extends_what_the_lock_names() -> None:
    text = "overlay: 1.0.0\nextends: https://example.com/old  # where\nactions: []\n"
    at = {"url": "https://example.com/new", "sha256": "ab"}
    assert "\nextends: https://example.com/new\n" in extending(text, at)
    assert "\nextends: urn:sha256:ab\n" in extending(text, at | {"url": None})


@pytest.mark.parametrize(
    ("source", "raw", "url", "commit"),
    [
        (f"https://example.com/{COMMIT}/openapi.json", b"{}", f"https://example.com/{COMMIT}/openapi.json", COMMIT),
        ("https://example.com/main/openapi.json", b"{}", "https://example.com/main/openapi.json", None),
        ("openapi.json", DOCUMENT, BEFORE["url"], BEFORE["commit"]),
        ("openapi.json", b"{}", None, None),
    ],
)
def test_the_lock_says_what_is_known_of_the_document(
    source: str, raw: bytes, url: str | None, commit: str | None
) -> None:
    assert locked(BEFORE, source, raw) == {"url": url, "commit": commit, "sha256": hashlib.sha256(raw).hexdigest()}
