"""The figures that have a goal, each as a share of it: left of the line is met."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from tests.bench.figures import Figure


def draw(figures: Sequence[Figure], file: Path) -> None:
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "arx-pagerduty"  # the same figures give the same file
    from matplotlib import pyplot

    shown = [figure for figure in figures if figure.goal]
    shares = [_share(figure) for figure in shown]
    plot, axes = pyplot.subplots(figsize=(9, 0.32 * len(shown) + 1.2))
    colours = ["#2a7f62" if figure.met else "#c0504d" for figure in shown]
    axes.barh(range(len(shown)), shares, color=colours, height=0.62)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [figure.name for figure in shown], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("measured against the goal (1 = the goal, less is better)", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    plot.tight_layout()
    plot.savefig(file, metadata={"Date": None})


def _share(figure: Figure) -> float:
    assert figure.goal
    return figure.goal / figure.median if figure.atleast else figure.median / figure.goal
