"""Test code that uses the connector: an account for each test, faults, a clock, recorded requests, scripted reviewers.

    async def test_an_incident_is_acknowledged(pagerduty):
        async with pagerduty.connector() as pd:
            await pd.acknowledge_incident("P1234AB")
        assert pagerduty.sent("PUT", "/incidents/P1234AB").body["incident"]["status"] == "acknowledged"

The fixture `pagerduty` comes with the package, as a plugin of pytest. Needs the `testing` extra.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arx_wrapper.testing.cassettes import cassette, scrub_request, scrub_response
    from arx_wrapper.testing.kit import PERMIT_ALL, PagerDutyKit

__all__ = ["PERMIT_ALL", "PagerDutyKit", "cassette", "scrub_request", "scrub_response"]

# Loaded on first use: pytest loads the plugin in this package everywhere, which must cost nothing where it is not used.
_LAZY = {
    "PERMIT_ALL": "kit",
    "PagerDutyKit": "kit",
    "cassette": "cassettes",
    "scrub_request": "cassettes",
    "scrub_response": "cassettes",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
