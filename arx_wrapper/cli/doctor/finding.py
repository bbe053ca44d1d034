"""Define a finding: the result of one check of `doctor`."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

State = Literal["ok", "warning", "wrong", "skipped"]


@frozen(kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        check: What was looked at.
        state: `ok`, `warning` (works, but look at it), `wrong` (calls fail), or `skipped`.
        found: What is so; where it is wrong, the cause.
        remedy: What to do about it.
    """

    check: str
    state: State
    found: str
    remedy: str | None = None


def ok(check: str, found: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(check=check, state="ok", found=found)


def wrong(check: str, found: str, remedy: str) -> Finding:
    """Return the finding that calls fail, and what to do."""
    return Finding(check=check, state="wrong", found=found, remedy=remedy)


def warning(check: str, found: str, remedy: str) -> Finding:
    """Return the finding that something works and wants a look, and what to do."""
    return Finding(check=check, state="warning", found=found, remedy=remedy)
