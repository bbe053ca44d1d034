"""From PagerDuty's published document to `spec/pagerduty.json`, step by step."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from codegen import (
    correction,
    dialect,
    flatten,
    hoist,
    names,
    overlay,
    parameters,
    reading,
    secrets,
    select,
    upstream,
    writing,
)
from codegen.document import JSON, text

SPEC: Final = Path(__file__).parent.parent / "spec"
TRIMMED: Final = SPEC / "pagerduty.json"
OVERLAY: Final = SPEC / "overlay.yaml"
MEMBERS: Final = SPEC / "members.yaml"
LOCK: Final = SPEC / "upstream.lock"


def trim(
    published: JSON, corrections: JSON, endpoints: tuple[str, ...] = select.ENDPOINTS, members: JSON | None = None
) -> JSON:
    """The generator's only input: the chosen endpoints, corrected, with strict requests and open answers.

    Args:
        members: What the members of answers are that look like a secret, an address or a URL; unchecked without.
    """
    document = select.select(published, endpoints)
    document = overlay.apply(document, corrections, published=published)
    document = hoist.reach(document)
    select.validate(document)
    document = dialect.unify(hoist.unfold(document))
    document = hoist.prune(hoist.hoist(document))
    document = parameters.normalise(document)
    document = flatten.flatten(document)
    document = writing.tighten(document)
    document = reading.loosen(document)
    if members is not None:
        document = secrets.classify(document, members)
    return hoist.prune(names.settle(document))


def load_overlay() -> JSON:
    """The overlay as committed, which remembers its lines and comments."""
    return correction.load(OVERLAY.read_text(encoding="utf-8"), "spec/overlay.yaml")


def load_lock() -> JSON:
    """The lock as committed."""
    loaded: JSON = json.loads(LOCK.read_text(encoding="utf-8"))
    return loaded


def write(source: str) -> int:
    """Trim a published document into `spec/`, and lock what it was. Returns the number of endpoints."""
    raw = upstream.load(source)
    document = trim(upstream.parse(raw, source), load_overlay(), members=secrets.load(MEMBERS))
    lock = upstream.locked(load_lock(), source, raw)
    TRIMMED.write_text(text(document), encoding="utf-8")
    OVERLAY.write_text(upstream.extending(OVERLAY.read_text(encoding="utf-8"), lock), encoding="utf-8")
    LOCK.write_text(json.dumps(lock | ours(), indent=2) + "\n", encoding="utf-8")
    return sum(len(item) for item in document["paths"].values())


def stale() -> list[str]:
    """What was changed since the last trimming; the published document is not here to trim again."""
    lock = load_lock()
    changed = [name for name, digest in ours().items() if lock.get(name) != digest]
    return [f"changed since `python -m codegen trim`: spec/{name}" for name in changed]


def ours(folder: Path | None = None) -> dict[str, str]:
    """The digests of the files that are ours: of those in another folder, where one is given."""
    files = [folder / file.name if folder else file for file in (OVERLAY, MEMBERS, TRIMMED)]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
