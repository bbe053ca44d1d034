"""One figure, its goal, and how it is printed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from attrs import frozen


@frozen(kw_only=True)
class Figure:
    """A measured value against its goal.

    Attributes:
        name: What was measured.
        values: One per round, so that the spread shows.
        unit: Of the values; `×` for a ratio taken within each round.
        goal: The value to reach; None when there is none.
        atleast: Whether more is better.
    """

    name: str
    values: Sequence[float]
    unit: str
    goal: float | None = None
    atleast: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.median >= self.goal if self.atleast else self.median <= self.goal

    def line(self) -> str:
        spread = f"{min(self.values):.3g}–{max(self.values):.3g}"
        goal = "" if self.goal is None else f"   goal {'≥' if self.atleast else '≤'} {self.goal:g}"
        verdict = {None: "", True: "   met", False: "   MISSED"}[self.met]
        return f"{self.name:<62} {self.median:>9.3g} {self.unit:<10} ({spread}){goal}{verdict}"

    def plain(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "median": self.median,
            "values": list(self.values),
            "unit": self.unit,
            "goal": self.goal,
            "met": self.met,
        }
