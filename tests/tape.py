"""Cassettes: how calls are recorded, scrubbed and replayed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import vcr
from vcr.cassette import Cassette
from vcr.request import Request

FOLDER = Path(__file__).parent / "cassettes"
PARAMS = FOLDER / "params.json"
ADDRESS = "http://127.0.0.1"
REQUESTER = "requester@example.com"

_KEPT_REQUEST = {"accept", "content-type", "from"}
_KEPT_RESPONSE = {"content-type", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"}
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@(?!example\.com)[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_SECRETS = re.compile(r'("(?:integration_key|routing_key|external_id|integration_email)"\s*:\s*)"[^"]*"')
_HOSTS = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d+)?")


def cassette_file(operation: str, folder: Path = FOLDER) -> Path:
    return folder / f"{operation.replace(':', '.')}.yaml"


@contextmanager
def cassette(operation: str, *, record: bool = False, folder: Path = FOLDER) -> Iterator[Cassette]:
    """Record an operation's calls, or replay them: same method, path, query and body, each exactly once."""
    tapes = vcr.VCR(
        record_mode=vcr.record_mode.RecordMode.ALL if record else vcr.record_mode.RecordMode.NONE,
        match_on=["method", "path", "query", "body"],
        before_record_request=_scrub_request,
        before_record_response=_scrub_response,
        decode_compressed_response=True,
        ignore_hosts=(),
    )
    with tapes.use_cassette(str(cassette_file(operation, folder)), allow_playback_repeats=False) as tape:
        yield tape


def params() -> dict[str, dict[str, Any]]:
    """The parameters that each cassette was recorded with."""
    recorded: dict[str, dict[str, Any]] = json.loads(PARAMS.read_text("utf-8"))
    return recorded


def _scrub_request(request: Request) -> Request:
    parts = urlsplit(request.uri)
    request.uri = urlunsplit(("http", "127.0.0.1", parts.path, parts.query, ""))
    request.headers = {name: value for name, value in request.headers.items() if name.lower() in _KEPT_REQUEST}
    for name in request.headers:
        if name.lower() == "from":
            request.headers[name] = REQUESTER
    return request


def _scrub_response(response: dict[str, Any]) -> dict[str, Any]:
    headers = response["headers"]
    response["headers"] = {name: headers[name] for name in headers if name.lower() in _KEPT_RESPONSE}
    body = response["body"]["string"]
    text = body.decode() if isinstance(body, bytes) else body
    text = _HOSTS.sub(ADDRESS, _EMAIL.sub("someone@example.com", _SECRETS.sub(r'\1"scrubbed"', text)))
    response["body"]["string"] = text.encode()
    return response
