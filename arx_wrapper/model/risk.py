"""Define risk and verdict, the two scales that policy uses."""

from __future__ import annotations

import enum


class Risk(enum.IntEnum):
    """The harm that an operation can do; ordered."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Verdict(enum.StrEnum):
    """A decision of policy; `ESCALATE` means that a person has to agree."""

    PERMIT = "PERMIT"
    ESCALATE = "ESCALATE"
    DENY = "DENY"
