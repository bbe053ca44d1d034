"""The command `arx-pagerduty`."""

from __future__ import annotations

from arx_wrapper.cli.main import main

__all__ = ["main"]
