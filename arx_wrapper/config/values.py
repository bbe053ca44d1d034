"""Read the values of settings: text from a variable, or a value from the file. A ValueError says what is accepted."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Literal

from arx_wrapper import urls

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


def text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be text")
    return value


def boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    lowered = str(value).lower()
    if lowered in _TRUE or lowered in _FALSE:
        return lowered in _TRUE
    raise ValueError("must be 1 or 0")


def switch_or_path(value: object) -> bool | str:
    """Return a boolean, or the path of a file."""
    if isinstance(value, str) and ("/" in value or value.endswith(".json")):
        return value
    try:
        return boolean(value)
    except ValueError:
        raise ValueError("must be 1 or 0, or the path of a file that keeps the account") from None


def mode(value: object) -> Literal["wait", "raise"]:
    if value == "wait":
        return "wait"
    if value == "raise":
        return "raise"
    raise ValueError("must be 'wait' or 'raise'")


def proof(value: object) -> Literal["required", "name"]:
    if value == "required":
        return "required"
    if value == "name":
        return "name"
    raise ValueError("must be 'required' or 'name'")


def capture(value: object) -> bool:
    if value in ("params", "none"):
        return value == "params"
    raise ValueError("must be 'params' or 'none'")


def seconds(value: object) -> float:
    seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    if not 1 <= seconds <= 30 * 86400:
        raise ValueError("must be seconds between 1 and 2,592,000")
    return seconds


def count(value: object) -> int:
    text = str(value)
    if isinstance(value, bool | float) or not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise ValueError("must be a whole number between 1 and 10,000")
    return int(text)


def pagerduty(value: object) -> str:
    """Read an address on pagerduty.com: a file that another process can write must not redirect the key."""
    found = text(value)
    parts = urls.split(found)
    host = parts.hostname or "" if parts else ""
    if host == "pagerduty.com" or host.endswith(".pagerduty.com"):
        return found
    raise ValueError("must be on pagerduty.com; PAGERDUTY_BASE_URL takes any other, this machine's included")


def hosts(value: object) -> tuple[str, ...]:
    """Read a list of hosts; in a variable `host,host`."""
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip(".") for name in names):
        raise ValueError("must be a list of host names")
    return tuple(names)


def words(value: object) -> tuple[str, ...]:
    """Read a list of texts; in a variable separated by spaces."""
    found = value.split() if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(one, str) and one.strip() for one in found):
        raise ValueError("must be a list of texts")
    return tuple(found)


def names(value: object) -> Mapping[str, str]:
    """Read a table of text; in a variable `name=text,name=text`."""
    if isinstance(value, str):
        pairs = [pair.strip().partition("=")[::2] for pair in value.split(",")]
        if len(pairs) != len({name for name, _ in pairs}):
            raise ValueError("holds a name twice")
        value = dict(pairs)
    if not isinstance(value, Mapping) or not value:
        raise ValueError("must be a table of names that is not empty")
    for name, text in value.items():
        if not name or not isinstance(text, str) or not text:
            raise ValueError(f"{name!a} must be text that is not empty")
    return dict(value)


def groups(value: object) -> Mapping[str, tuple[str, ...]]:
    """Read a table of lists of names; in a variable `group=name+name,group=name`."""
    if isinstance(value, str):
        value = {group: text.split("+") for group, text in names(value).items()}
    if not isinstance(value, Mapping) or not value:
        raise ValueError("must be a table of lists of names that is not empty")
    for group, members in value.items():
        sound = isinstance(members, list) and members and all(isinstance(name, str) and name for name in members)
        if not group or not sound:
            raise ValueError(f"{group!a} must be a list of names that is not empty")
    return {group: tuple(members) for group, members in value.items()}


def reviewers(value: object) -> Mapping[str, str]:
    reviewers = names(value)
    for name, key in reviewers.items():
        try:
            length = len(base64.b64decode(key, validate=True))
        except (binascii.Error, ValueError):
            length = 0
        if length != 32:
            raise ValueError(
                f"the key of {name!a} must be an Ed25519 public key, 32 bytes as base64; `approvals keygen` makes one"
            )
    return reviewers
