"""Times of a repeated call: one that is relative to now means what its reviewer saw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import field, frozen

from arx_wrapper.cli.times import moment
from arx_wrapper.errors import ArxError

_SLACK: Final = timedelta(minutes=1)


@frozen(kw_only=True)
class ApprovedTimes:
    """The parameters of an approved call, for times that are relative to now.

    Attributes:
        params: Its parameters; none where there is no such approval, which is for the call to refuse, on record.
        passed: The time since it was asked for.
    """

    params: Mapping[str, Any] = field(factory=dict)
    passed: timedelta = timedelta()

    def meant(self, name: str, time: datetime) -> datetime:
        """Return the approved time, if only the time that has passed lies between it and this one.

        `now` of the repeated call would otherwise make it another call. A time that means another one is returned as it
        is, and the call is refused.

        Args:
            name: The parameter.
            time: What it comes to now, aware.
        """
        with suppress(ValueError, TypeError):  # no time, or not one parameter: another operation's approval
            approved = moment(self.params[name], time) if name in self.params else None
            if approved is not None and approved - _SLACK <= time <= approved + self.passed + _SLACK:
                return approved
        return time


async def approved_times(pd: Any, approval: str | None) -> ApprovedTimes:
    """Return the times of the call that an approval was asked for.

    Args:
        pd: The connector.
        approval: The approval's id; None for a call that uses none.
    """
    with suppress(ArxError):
        if approval is not None:
            asked = await pd.backends.approvals.get(approval)
            return ApprovedTimes(params=json.loads(asked.params), passed=pd.backends.clock() - asked.created_at)
    return ApprovedTimes()
