"""Find and load PagerDuty's published document, and describe it for the lock."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from codegen.document import JSON
from codegen.errors import CodegenError

API: Final = "https://api.github.com"
RAW: Final = "https://raw.githubusercontent.com"
LARGEST: Final = 100_000_000
"""Bytes of a document; PagerDuty's has 5 million."""
_DEEPEST: Final = 200
_COMMIT: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")
_REMEDY: Final = "give another --upstream: a file, or an address with https://"


class _Loader(yaml.CSafeLoader):
    """Loads YAML 1.2's core schema: a time stays text, and `on` is not a boolean."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")
    ]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def newest(lock: JSON, api: str = API, raw: str = RAW) -> str:
    """Return the address of the document at the newest commit that changed it.

    Raises:
        CodegenError: GitHub cannot be asked, or does not say.
    """
    repository, path = lock["repository"], lock["path"]
    address = f"{api}/repos/{repository}/commits?path={path}&per_page=1"
    try:
        (commit,) = json.loads(load(address))
        sha = str(commit["sha"])
    except CodegenError as error:
        raise _unasked(address, error.faults[0].cause) from error
    except (ValueError, KeyError, TypeError):
        raise _unasked(address, "names no commit") from None
    if not _COMMIT.fullmatch(sha):
        raise _unasked(address, f"names the commit {sha!r}")
    return f"{raw}/{repository}/{sha}/{path}"


def _unasked(address: str, cause: str) -> CodegenError:
    """Return the error of a look-up of the newest commit, with the ways to do without."""
    return CodegenError(
        address,
        f"was asked for the newest commit and {cause}",
        "nothing changed. Try again later, or give the document itself, which needs no look-up: "
        "`make update-spec UPSTREAM=openapiv3.json`, with a file or an address with https://",
    )


def load(source: str) -> bytes:
    """Return a document's bytes, from a file, over HTTPS, or over HTTP from this machine.

    Raises:
        CodegenError: it cannot be read.
    """
    try:
        if "://" not in source:
            return _file(Path(source))
        address = httpx.URL(source)
        if address.scheme != "https" and not (address.scheme == "http" and _is_loopback(address.host)):
            raise CodegenError(source, "cannot be trusted: only https:// can", _REMEDY)
        with httpx.stream("GET", address, timeout=60, follow_redirects=True) as response:
            if response.status_code != httpx.codes.OK:
                raise CodegenError(source, f"answered {response.status_code}", _REMEDY)
            content = bytearray()
            for part in response.iter_bytes():
                content += part
                if len(content) > LARGEST:
                    raise _too_large(source)
            return bytes(content)
    except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise CodegenError(source, f"cannot be read: {error}", _REMEDY) from error


def _file(path: Path) -> bytes:
    """Return a file's content. A pipe works as well; one that no process writes to is empty."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    with open(descriptor, "rb") as opened:
        content = opened.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise _too_large(str(path))
    return content


def _too_large(source: str) -> CodegenError:
    return CodegenError(source, f"is larger than {LARGEST:,} bytes", _REMEDY)


def parse(raw: bytes, source: str) -> JSON:
    """Parse a document from JSON or YAML text.

    Raises:
        CodegenError: the text holds none.
    """
    try:
        loaded: Any = json.loads(raw)
    except RecursionError:
        raise CodegenError(source, "is nested too deeply to be a document", _REMEDY) from None
    except ValueError as not_json:
        try:
            _require_shallow(raw, source)
            loaded = yaml.load(raw, _Loader)  # noqa: S506 - a safe loader
        except (yaml.YAMLError, ValueError, RecursionError) as not_yaml:
            problem = not_json if raw.lstrip()[:1] in (b"{", b"[") else not_yaml
            raise CodegenError(source, f"is neither JSON nor YAML: {' '.join(str(problem).split())}", _REMEDY) from None
    if not isinstance(loaded, dict):
        raise CodegenError(source, f"holds a {type(loaded).__name__}, not a document", _REMEDY)
    return loaded


def _require_shallow(raw: bytes, source: str) -> None:
    """Refuse YAML whose nesting would overflow the loader's stack, which ends the process."""
    depth = 0
    for event in yaml.parse(raw, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise CodegenError(source, "is nested too deeply to be a document", _REMEDY)


def locked(before: JSON, source: str, raw: bytes) -> JSON:
    """Return the origin of a document: address, commit and digest.

    The origin of a file is unknown, unless its digest is the same as before.
    """
    digest = hashlib.sha256(raw).hexdigest()
    if "://" in source:
        commit = _COMMIT.search(source)
        return before | {"url": source, "commit": commit[0] if commit else None, "sha256": digest}
    if digest == before["sha256"]:
        return before
    return before | {"url": None, "commit": None, "sha256": digest}


def extending(overlay: str, lock: JSON) -> str:
    """Return an overlay's text whose `extends` names the locked document, by address or else by digest."""
    name = lock["url"] or f"urn:sha256:{lock['sha256']}"
    return re.sub(r"(?m)^extends:.*$", f"extends: {name}", overlay, count=1)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
