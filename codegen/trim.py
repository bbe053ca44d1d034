"""From PagerDuty's published document to `spec/pagerduty.json`, step by step."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Final

import httpx
import yaml

from codegen import flatten, hoist, names, overlay, parameters, reading, select, writing
from codegen.document import JSON, CodegenError, text

SPEC: Final = Path(__file__).parent.parent / "spec"
TRIMMED: Final = SPEC / "pagerduty.json"
OVERLAY: Final = SPEC / "overlay.yaml"
LOCK: Final = SPEC / "upstream.lock"


def trim(published: JSON, corrections: JSON, endpoints: tuple[str, ...] = select.ENDPOINTS) -> JSON:
    """The generator's only input: the chosen endpoints, corrected, with strict requests and open answers."""
    document = select.select(published, endpoints)
    document = overlay.apply(document, corrections)
    document = hoist.prune(hoist.hoist(document))
    document = parameters.normalise(document)
    document = flatten.flatten(document)
    document = writing.tighten(document)
    document = reading.loosen(document)
    return hoist.prune(names.settle(document))


def load_overlay() -> JSON:
    """The overlay as committed."""
    loaded: JSON = yaml.safe_load(OVERLAY.read_text(encoding="utf-8"))
    return loaded


def load_upstream(source: str) -> bytes:
    """The published document's bytes, from a file, over HTTPS, or over HTTP from this machine.

    Raises:
        CodegenError: it cannot be read.
    """
    try:
        if "://" not in source:
            return Path(source).read_bytes()
        address = httpx.URL(source)
        if address.scheme != "https" and address.host not in ("127.0.0.1", "localhost"):
            raise CodegenError(f"{source} cannot be trusted: only https:// can")
        response = httpx.get(address, timeout=60, follow_redirects=True)
    except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise CodegenError(f"{source} cannot be read: {error}") from error
    if response.status_code != httpx.codes.OK:
        raise CodegenError(f"{source} answered {response.status_code}")
    return response.content


def write(source: str) -> int:
    """Trim a published document into `spec/`, and lock what it was. Returns the number of endpoints."""
    raw = load_upstream(source)
    try:
        published = json.loads(raw)
    except ValueError as error:
        raise CodegenError(f"{source} is not JSON: {error}") from None
    document = trim(published, load_overlay())
    TRIMMED.write_text(text(document), encoding="utf-8")
    lock = locked(json.loads(LOCK.read_text(encoding="utf-8")), source, raw)
    LOCK.write_text(json.dumps(lock | _ours(), indent=2) + "\n", encoding="utf-8")
    return sum(len(item) for item in document["paths"].values())


def locked(before: JSON, source: str, raw: bytes) -> JSON:
    """What a document was: where it came from, at which commit, and its digest.

    A file does not say where it came from; when it is another than before, that is not known.
    """
    digest = hashlib.sha256(raw).hexdigest()
    if "://" in source:
        commit = re.search(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])", source)
        return before | {"url": source, "commit": commit[0] if commit else None, "sha256": digest}
    if digest == before["sha256"]:
        return before
    return before | {"url": None, "commit": None, "sha256": digest}


def stale() -> list[str]:
    """What was changed since the last trimming; the published document is not here to trim again."""
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    changed = [name for name, digest in _ours().items() if lock.get(name) != digest]
    return [f"changed since `python -m codegen trim`: spec/{name}" for name in changed]


def _ours() -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (OVERLAY, TRIMMED)}
