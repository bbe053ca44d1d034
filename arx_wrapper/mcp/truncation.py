"""Shorten responses to a number of bytes: the result is valid JSON and states what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

Json = dict[str, Any]

# Limits of text length and list length; each pair is tried in turn until the response fits.
_BOUNDS: Final = ((4_000, 100), (1_000, 30), (200, 10), (50, 3))


def fit(body: Mapping[str, Any], key: str | None, cap: int) -> tuple[Json, Json | None]:
    """Return a response of at most `cap` bytes of JSON.

    A list loses its last records first. If that is not enough, texts and inner lists are shortened.

    Args:
        body: The API's response.
        key: The member that holds its records, or its only object.
        cap: The largest number of bytes.

    Returns:
        The response, and a description of what was left out; None when nothing was.
    """
    if _size(body) <= cap:
        return dict(body), None
    cut: Json = {}
    records = body.get(key) if key else None
    if isinstance(records, list) and len(records) > 1:
        kept = max(_fitting(records, cap - _size({**body, str(key): []}) + 1), 1)
        body = {**body, str(key): records[:kept]}
        cut = {"records_kept": kept, "records_left_out": len(records) - kept}
        if _size(body) <= cap:
            return dict(body), cut
    for text, items in _BOUNDS:
        short = _shortened(body, text, items)
        if _size(short) <= cap:
            return short, {**cut, "texts_cut_at": text, "inner_lists_cut_at": items}
    return {}, {"everything_left_out": True}


def _fitting(records: list[Any], budget: int) -> int:
    """Count the first records that fit, each with a comma."""
    for count, record in enumerate(records):
        budget -= _size(record) + 1
        if budget < 0:
            return count
    return len(records)


def _shortened(value: Any, text: int, items: int) -> Any:
    if isinstance(value, str) and len(value) > text:
        return f"{value[:text]}… [{len(value) - text:,} more characters]"
    if isinstance(value, list):
        return [_shortened(item, text, items) for item in value[:items]]
    if isinstance(value, Mapping):
        return {name: _shortened(item, text, items) for name, item in value.items()}
    return value


def _size(value: Any) -> int:
    return len(msgspec.json.encode(value))
