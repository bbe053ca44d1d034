"""Answers made to fit what a model can read, always as whole JSON, and what was left out said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

Json = dict[str, Any]

# The longest text and the longest list that stay whole, one after the other until it all fits.
_BOUNDS: Final = ((4_000, 100), (1_000, 30), (200, 10), (50, 3))


def fit(body: Mapping[str, Any], key: str | None, cap: int) -> tuple[Json, Json | None]:
    """An answer of at most so many bytes of JSON.

    A list loses its last records; what is too large without them has its texts and inner lists shortened.

    Args:
        body: The API's answer.
        key: The member that holds its records, or its only object.
        cap: The most bytes.

    Returns:
        The answer, and what was left out of it; None when it is whole.
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
