"""Change messages that the SDK drops so that it reads them, and their calls get a response and a record.

JSON can express a lone surrogate, `"\\ud83d"`, but Unicode text cannot hold it. This module replaces it before the SDK
reads the message, and marks the message. Values nested deeper than the SDK reads are cut off, at a depth that no
parameter has. The call is then refused and recorded like any other bad parameter.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

MARK: Final = "arx-pagerduty/unpaired-surrogate"
_ESCAPE: Final = re.compile(r"\\u[dD][89abcdefABCDEF]")
_HALF: Final = re.compile("[\ud800-\udfff]")
_DEEPEST: Final = 100  # The SDK reads 200 levels; parameter models accept 64.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def mend(text: str) -> str:
    """Return a JSON-RPC message that the SDK can read; the text itself unless it has half a pair or is too deep."""
    if text.count("[") + text.count("{") > _DEEPEST:
        text = _shallow(text)
    if not _ESCAPE.search(text):
        return text
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return text  # not JSON: the SDK refuses it
    mended = _mended(message)
    if mended == message:
        return text
    if isinstance(mended, dict) and isinstance(params := mended.get("params"), dict):
        meta = params.get("_meta")
        params["_meta"] = {**(meta if isinstance(meta, dict) else {}), MARK: True}
    return json.dumps(mended)


def is_marked(meta: Any) -> bool:
    """Return True when a message's `_meta` carries the mark of a replaced half."""
    return bool(meta and meta.get(MARK))


def broken(value: Any) -> Any:
    """Restore the halves of surrogate pairs in a marked message's arguments; the parameter model then refuses them."""
    if isinstance(value, str):
        return value.replace("\N{REPLACEMENT CHARACTER}", "\ud83d")
    if isinstance(value, dict):
        return {name: broken(item) for name, item in value.items()}
    return [broken(item) for item in value] if isinstance(value, list) else value


def _shallow(text: str) -> str:
    """Return JSON text with null in place of each object and list that is nested too deep. Does not recurse."""
    kept, start, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
            if depth == _DEEPEST + 1:
                kept.append(text[start : token.start()] + "null")
        elif token[0] in ("]", "}"):
            if depth == _DEEPEST + 1:
                start = token.end()
            depth -= 1
    return "".join((*kept, text[start:])) if depth <= _DEEPEST else text


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    return [_mended(item) for item in value] if isinstance(value, list) else value
