"""Read the stylesheet and the script that pages use."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files


@cache
def asset(name: str) -> str:
    """Return a stylesheet or script of the package."""
    return (files("arx_wrapper.console") / "static" / name).read_text("utf-8")


@cache
def style_hash() -> str:
    """Return the content security policy's source that permits the one inline stylesheet and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(asset('console.css').encode()).digest()).decode()}'"


@cache
def script_version() -> str:
    """Return a hash of the script, for its address, so that browsers may cache it."""
    return hashlib.sha256(asset("console.js").encode()).hexdigest()[:16]
