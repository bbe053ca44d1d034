"""Define the PagerDuty connector: the table of operations on the governed pipeline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, ClassVar, Self, TypedDict, final

from attrs import evolve

from arx_wrapper.config import MEMORY, Config
from arx_wrapper.core.backends import Given
from arx_wrapper.errors import ConfigError
from arx_wrapper.model import Operation
from arx_wrapper.pagerduty import effects, mcp_parameters, on_call_reviewers
from arx_wrapper.pagerduty.methods import Methods
from arx_wrapper.pagerduty.operations import TABLE
from arx_wrapper.pagerduty.resources.analytics import Analytics
from arx_wrapper.pagerduty.resources.event_rules import EventRules
from arx_wrapper.pagerduty.resources.incidents import Incidents

if TYPE_CHECKING:
    from typing import Unpack

    from arx_wrapper.approvals import Approvals
    from arx_wrapper.audit import AuditLog
    from arx_wrapper.http_client import AsyncTransport
    from arx_wrapper.policy import Policies, PolicySource
    from arx_wrapper.sandbox import Sandbox
    from arx_wrapper.vault import Vault


class Options(TypedDict, total=False):
    """Arguments of a connector besides its agent, its organisation and its configuration; see `BaseConnector`."""

    policies: PolicySource | Policies | None
    audit: AuditLog | str | PathLike[str] | None
    vault: Vault | str | None
    approvals: Approvals | str | PathLike[str] | None
    base_url: str | None
    transport: AsyncTransport | None


@final
class PagerDutyConnector(
    Incidents,
    EventRules,
    Analytics,
    Methods,
):
    """PagerDuty, governed: policy, approval and audit before every call.

    One connector may be shared by many coroutines, and works with or without `async with`.

        pd = PagerDutyConnector(agent_id="agent-001", org_id="org-acme")
        incidents = await pd.list_incidents(statuses=["triggered"], urgencies=["high"])
        await pd.acknowledge_incident(incidents[0].id)

    Attributes:
        sandbox_account: The account inside this process that calls go to; None for any other address.
    """

    connector: ClassVar[str] = "pagerduty"
    operations: ClassVar[Mapping[str, Operation]] = TABLE
    client: ClassVar[str] = "pagerduty_client"
    requester_header: ClassVar[str | None] = "From"
    accept: ClassVar[str] = "application/vnd.pagerduty+json;version=2"
    key_prefix: ClassVar[str] = "Token token="
    tool_descriptions: ClassVar[Mapping[str, str]] = mcp_parameters.DESCRIPTIONS
    tool_omissions: ClassVar[frozenset[str]] = mcp_parameters.OMITTED
    recorded_fields: ClassVar[frozenset[str]] = frozenset(
        {"id", "incident", "type", "status", "urgency", "created_at", "updated_at", "start_time", "end_time"}
    )
    on_call = ("schedules:read_oncall", on_call_reviewers.on_call)
    # Keys with which events are sent, and people's contact data.
    hidden: ClassVar[tuple[str, ...]] = (
        "integration_key",
        "routing_key",
        "service_key",
        "integration_email",
        "external_id",
        "http_cal_url",
        "web_cal_url",
        "email",
        "contact_methods.address",
        "contact_method.address",
        "notification.address",
        "channel.from",
        "channel.to",
        "details.fields.value",
        "details.fields.before_value",
    )

    aliases: ClassVar[Mapping[str, re.Pattern[str]]] = effects.ALIASES

    sandbox_account: Sandbox | None = None

    @classmethod
    def sandbox(
        cls,
        agent_id: str = "agent-sandbox",
        org_id: str = "org-sandbox",
        *,
        seed: int | None = None,
        config: Config | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """Make a connector to a simulated PagerDuty account inside this process; needs the extra `sandbox`.

        Policy, approval and audit work as with a real account: without policies everything is denied. By default the
        audit log is in memory and ends with the connector. The account is `sandbox_account`.

        Args:
            agent_id: The agent that calls.
            org_id: Its organisation.
            seed: Determines the account's ids and history.
            config: The settings; arguments take precedence.
            options: Any other argument of the connector.
        """
        config = config or Config.load(audit_default=MEMORY)
        return cls(agent_id, org_id, config=evolve(config, sandbox=True, sandbox_seed=seed), **options)

    def _completed(self, given: Given) -> Given:
        """Replace PagerDuty by a simulated account inside this process, when the configuration says so."""
        if not given.config.sandbox or given.transport is not None or given.base_url is not None:
            return given
        from arx_wrapper.sandbox import Sandbox
        from arx_wrapper.vault.fixed import FixedVault

        try:
            account = self.sandbox_account = Sandbox(given.config.sandbox_seed, state=given.config.sandbox_state)
        except (OSError, ValueError) as error:
            raise ConfigError(f"The sandbox's account cannot be kept there: {error}") from None
        return evolve(
            given,
            vault=given.vault or FixedVault(api_key=account.token, requester_email=account.email),
            transport=account.transport(),
            base_url=account.base_url,
        )
