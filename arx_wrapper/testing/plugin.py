"""Plug the fixture `pagerduty`, an account for each test, into pytest.

pytest loads it wherever the package is installed, so it imports nothing of the package until a test uses the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from arx_wrapper.testing.kit import PagerDutyKit


@pytest.fixture
def pagerduty() -> PagerDutyKit:
    """Provide a PagerDuty account for one test: connectors to it, faults, a clock and the requests that arrived."""
    from arx_wrapper.testing.kit import PagerDutyKit

    return PagerDutyKit()
