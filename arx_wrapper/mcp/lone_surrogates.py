"""Replace lone surrogates, `"\\ud83d"`, in messages: JSON can express them, but Unicode text cannot hold them.

The SDK drops such a message, so that its call gets no response and no record. This module replaces it before the
SDK reads the message, and marks the message. Its call is then refused and recorded like any other bad parameter.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

MARK: Final = "arx-pagerduty/unpaired-surrogate"
_ESCAPE: Final = re.compile(r"\\u[dD][89abcdefABCDEF]")
_HALF: Final = re.compile("[\ud800-\udfff]")


def mend(text: str) -> str:
    """Return a JSON-RPC message that the SDK can read; the text itself unless it holds half a surrogate pair."""
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


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _HALF.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_mended(name): _mended(item) for name, item in value.items()}
    return [_mended(item) for item in value] if isinstance(value, list) else value
