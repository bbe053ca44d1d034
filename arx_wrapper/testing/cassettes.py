"""Record and replay real calls (vcrpy cassettes). Keys, people and hosts are removed before a cassette is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

ADDRESS: Final = "http://127.0.0.1"
REQUESTER: Final = "requester@example.com"
SOMEBODY: Final = "someone@example.com"

_KEPT_REQUEST: Final = frozenset({"accept", "content-type", "from"})
_KEPT_RESPONSE: Final = frozenset({"content-type", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"})
_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]+@(?!example\.com)[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_SECRETS: Final = re.compile(
    r'("(?:integration_key|routing_key|service_key|external_id|integration_email|http_cal_url|web_cal_url|'
    r'conference_number|conference_url)"\s*:\s*)"(?:[^"\\]|\\.)*"'
)
_NUMBERS: Final = re.compile(r'("address"\s*:\s*)"\+?[0-9 ()-]{5,}"')
_HOSTS: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d+)?")


class RecordedRequest(Protocol):
    """A request as vcrpy passes it to `before_record_request`."""

    uri: str
    headers: dict[str, Any]
    body: Any


def scrub_request(request: RecordedRequest) -> RecordedRequest:
    """Remove credentials, hosts, people and numbers from a request; for vcrpy's `before_record_request`.

    vcrpy does this to the requests of a replay as well, so these still match.
    """
    parts = urlsplit(request.uri)
    query = "&".join(map(_scrubbed_pair, parts.query.split("&")))
    request.uri = urlunsplit(("http", "127.0.0.1", parts.path, query, ""))
    request.headers = {name: value for name, value in request.headers.items() if name.lower() in _KEPT_REQUEST}
    for name in request.headers:
        if name.lower() == "from":
            request.headers[name] = REQUESTER
    if isinstance(request.body, bytes):
        request.body = _scrubbed(request.body)
    return request


def scrub_response(response: dict[str, Any]) -> dict[str, Any]:
    """Remove keys, e-mail addresses, telephone numbers and hosts from a response; for `before_record_response`."""
    headers = response["headers"]
    response["headers"] = {name: headers[name] for name in headers if name.lower() in _KEPT_RESPONSE}
    body = response["body"]["string"]
    response["body"]["string"] = _scrubbed(body if isinstance(body, bytes) else body.encode())
    return response


def _scrubbed_pair(pair: str) -> str:
    """Return a pair of a query string without addresses and hosts, which are percent-encoded in it."""
    name, equals, value = pair.partition("=")
    plain = unquote_plus(value)
    scrubbed = _HOSTS.sub(ADDRESS, _EMAIL.sub(SOMEBODY, plain))
    return pair if scrubbed == plain else f"{name}{equals}{quote(scrubbed, safe='@')}"


def _scrubbed(body: bytes) -> bytes:
    text = _EMAIL.sub(SOMEBODY, body.decode("utf-8", "replace"))
    text = _NUMBERS.sub(r'\1"5550100"', _SECRETS.sub(r'\1"scrubbed"', text))
    return _HOSTS.sub(ADDRESS, text).encode()


@contextmanager
def cassette(path: str | PathLike[str], *, record: bool = False) -> Iterator[Any]:
    """Replay a cassette, or record one. In a replay each request must match method, path, query and body, once.

    Give the connector `transport=httpx.AsyncHTTPTransport()`, which vcrpy can intercept. For a replay, also give
    `base_url="http://127.0.0.1"` and a vault with any key.

    Args:
        path: The cassette's file.
        record: Whether to send real requests and replace the file with them and their responses, scrubbed.

    Raises:
        ModuleNotFoundError: vcrpy is not installed.
    """
    import vcr  # type: ignore[import-untyped]  # it publishes no types

    modes = vcr.record_mode.RecordMode
    tapes = vcr.VCR(
        record_mode=modes.ALL if record else modes.NONE,
        match_on=["method", "path", "query", "body"],
        before_record_request=scrub_request,
        before_record_response=scrub_response,
        decode_compressed_response=True,
        ignore_hosts=(),
    )
    with tapes.use_cassette(fspath(path), allow_playback_repeats=False) as tape:
        yield tape
