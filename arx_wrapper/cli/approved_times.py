"""Keep the times that a reviewer approved, when the call is repeated with times that are relative to now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import field, frozen

from arx_wrapper.cli.times import moment
from arx_wrapper.errors import ArxError

# Allows for hosts whose clocks differ, and for the time from the start of a call to its request for approval.
_TOLERANCE: Final = timedelta(minutes=1)


@frozen(kw_only=True)
class ApprovedTimes:
    """The times of an approved call, for a repetition of it.

    Attributes:
        params: The approved call's parameters; empty when there is no such approval. Then the repeated call is refused,
            and the refusal recorded.
        passed: The time since the approval was requested.
    """

    params: Mapping[str, Any] = field(factory=dict)
    passed: timedelta = timedelta()

    def meant(self, name: str, time: datetime) -> datetime:
        """Return the approved time when a relative time of the repeated call is later only because time has passed.

        Otherwise `now` in the repeated call would differ from `now` in the approved one, and make it another call. Any
        other time is returned unchanged, and the call is refused.

        Args:
            name: The parameter.
            time: The repeated call's value of it, aware.
        """
        with suppress(ValueError, TypeError):  # no time, or not one parameter: another operation's approval
            approved = moment(self.params[name], time) if name in self.params else None
            if approved is not None and approved - _TOLERANCE <= time <= approved + self.passed + _TOLERANCE:
                return approved
        return time


async def approved_times(pd: Any, approval: str | None) -> ApprovedTimes:
    """Return the times of the call for which an approval was requested.

    Args:
        pd: The connector.
        approval: The approval's id; None for a call that uses none.
    """
    with suppress(ArxError):
        if approval is not None:
            asked = await pd.backends.approvals.get(approval)
            return ApprovedTimes(params=json.loads(asked.params), passed=pd.backends.clock() - asked.created_at)
    return ApprovedTimes()
