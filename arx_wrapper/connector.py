"""The PagerDuty connector: the table of operations on the governed pipeline, and what is PagerDuty's own about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self, final

from arx_wrapper.config import Config
from arx_wrapper.errors import EndpointRetiredError, NotFoundError, PagerDutyError
from arx_wrapper.model import Operation
from arx_wrapper.operations import OPERATIONS
from arx_wrapper.passage import Passage
from arx_wrapper.resources.alerts import Alerts
from arx_wrapper.resources.analytics import Analytics
from arx_wrapper.resources.escalation import Escalation
from arx_wrapper.resources.incidents import Incidents
from arx_wrapper.resources.maintenance import Maintenance
from arx_wrapper.resources.rules import Rules
from arx_wrapper.resources.schedules import Schedules
from arx_wrapper.resources.services import Services
from arx_wrapper.resources.teams import Teams
from arx_wrapper.resources.users import Users

_NOT_SERVED: Final = frozenset({404, 405})


@final
class PagerDutyConnector(
    Incidents, Alerts, Services, Escalation, Schedules, Users, Teams, Maintenance, Rules, Analytics
):
    """PagerDuty, governed: policy, approval and audit before every call.

    One connector may be shared by many coroutines, and works with or without `async with`.

        pd = PagerDutyConnector(agent_id="agent-001", org_id="org-acme")
        incidents = await pd.list_incidents(statuses=["triggered"], urgencies=["high"])
        await pd.acknowledge_incident(incidents[0].id)
    """

    connector: ClassVar[str] = "pagerduty"
    operations: ClassVar[Mapping[str, Operation]] = OPERATIONS
    client: ClassVar[str] = "pagerduty_client"

    async def _perform(self, passage: Passage) -> dict[str, Any]:
        if passage.call.operation.name != "services:read_integrations":
            return await passage.send(passage.request)
        # Published is only the service with its integrations included; some accounts serve the shorter path as well.
        try:
            return await passage.send(passage.request)
        except PagerDutyError as error:
            if error.status not in _NOT_SERVED:
                raise
        from pagerduty_client.api.services import get_service

        request = get_service.request(passage.call.params["service_id"], include=["integrations"])
        answer = await passage.send(request)
        return {"integrations": answer.get("service", {}).get("integrations", [])}
