"""The plugin of pytest: the fixture `pagerduty`, an account for each test.

It is loaded wherever the package is installed, so it imports nothing of the package until a test asks for the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from arx_wrapper.testing.kit import PagerDutyKit


@pytest.fixture
def pagerduty() -> PagerDutyKit:
    """An account of PagerDuty that is the test's own: connectors to it, faults, clock and the requests that arrived."""
    from arx_wrapper.testing.kit import PagerDutyKit

    return PagerDutyKit()
