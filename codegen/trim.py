"""Trim PagerDuty's published document to `spec/pagerduty.json`, step by step."""

from __future__ import annotations

import json
from typing import Final

from codegen import (
    correction,
    dialect,
    flatten,
    hoist,
    names,
    overlay,
    parameters,
    request_schemas,
    response_schemas,
    secrets,
    select,
    surface,
    upstream,
)
from codegen.checkout_paths import TREE, Tree
from codegen.document import JSON, text
from codegen.endpoints import ENDPOINTS

TRIMMED: Final = TREE.trimmed
OVERLAY: Final = TREE.overlay
MEMBERS: Final = TREE.members


def trim(
    published: JSON,
    corrections: JSON,
    endpoints: tuple[str, ...] = ENDPOINTS,
    members: JSON | None = None,
) -> JSON:
    """Return the generator's only input: the chosen endpoints, corrected, with strict requests and open responses.

    Args:
        members: The classification of response members that look like a secret, an address or a URL; None skips it.
    """
    document = select.select(published, endpoints)
    document = overlay.apply(document, corrections, published=published)
    document = hoist.reach(names.named(document, published))
    select.validate(document)
    document = dialect.unify(hoist.unfold(document))
    document = hoist.prune(hoist.hoist(document))
    document = parameters.normalise(document)
    document = flatten.flatten(document)
    document = request_schemas.tighten(document)
    document = response_schemas.loosen(document)
    if members is not None:
        document = secrets.classify(document, members)
    return hoist.prune(names.combine(document))


def load_overlay(tree: Tree = TREE) -> JSON:
    """Return the committed overlay, with its line numbers and comments."""
    return correction.load(tree.overlay.read_text(encoding="utf-8"), "spec/overlay.yaml")


def load_lock(tree: Tree = TREE) -> JSON:
    """Return the committed lock."""
    loaded: JSON = json.loads(tree.lock.read_text(encoding="utf-8"))
    return loaded


def write(source: str, tree: Tree = TREE) -> int:
    """Trim a published document into `spec/`, and write its lock. Return the number of endpoints."""
    raw = upstream.load(source)
    published = upstream.parse(raw, source)
    document = trim(published, load_overlay(tree), members=secrets.load(tree.members))
    lock = upstream.locked(load_lock(tree), source, raw)
    tree.trimmed.write_text(text(document), encoding="utf-8")
    tree.surface.write_text(surface.text(surface.published(published)), encoding="utf-8")
    overlay_text = upstream.extending(tree.overlay.read_text(encoding="utf-8"), lock)
    tree.overlay.write_text(overlay_text, encoding="utf-8")
    tree.lock.write_text(json.dumps(lock | tree.digests(), indent=2) + "\n", encoding="utf-8")
    return sum(len(item) for item in document["paths"].values())


def stale(tree: Tree = TREE) -> list[str]:
    """List the files that were changed since the last trimming, by their digests in the lock."""
    lock = load_lock(tree)
    changed = [name for name, digest in tree.digests().items() if lock.get(name) != digest]
    return [f"changed since `python -m codegen trim`: spec/{name}" for name in changed]
