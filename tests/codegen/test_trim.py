"""Where the published document comes from, and what the lock says of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from codegen.document import CodegenError
from codegen.trim import load_upstream, locked

DOCUMENT = b'{"openapi": "3.0.2"}'
COMMIT = "91a06fb3c64b0ab2b2bd6c485d12b327dfb55c18"
BEFORE = {"url": "https://example.com/a.json", "commit": "0" * 40, "sha256": hashlib.sha256(DOCUMENT).hexdigest()}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/openapi.json" else 404)
        self.end_headers()
        self.wfile.write(DOCUMENT)

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
