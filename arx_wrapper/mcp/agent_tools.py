"""Give each agent of one server the tools that its policy permits, on shared backends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Any, Final, Protocol

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_REQUEST

from arx_wrapper.core.connector import BaseConnector
from arx_wrapper.mcp.identity import AGENT, ORG
from arx_wrapper.mcp.tools import Tools

_MOST: Final = 1_000


class ToolSource(Protocol):
    """Gives each request its agent's tools."""

    @property
    def connector(self) -> str:
        """The connector's name."""

    def current(self) -> Tools:
        """Return the tools of the agent whose request is being served."""

    def known(self) -> Collection[Tools]:
        """Return the tools of the agents that were served recently."""


class OneAgent:
    """One agent's tools, for every request."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    @property
    def connector(self) -> str:
        return self._tools.connector

    def current(self) -> Tools:
        return self._tools

    def known(self) -> Collection[Tools]:
        return (self._tools,)


class Agents:
    """The agents that verified access tokens name.

    Args:
        connector: The connector whose backends all agents share; its owner closes it.
        options: Options of each agent's `Tools`.
    """

    def __init__(self, connector: BaseConnector, **options: Any) -> None:
        self._root, self._options = connector, options
        self._tools: OrderedDict[tuple[str, str], Tools] = OrderedDict()

    @property
    def connector(self) -> str:
        return self._root.connector

    def current(self) -> Tools:
        """Return the tools of the agent that the request's token names.

        Raises:
            MCPError: the request was served without a token; the HTTP server never does that.
        """
        token = get_access_token()
        claims = token.claims if token else None
        if not claims or AGENT not in claims or ORG not in claims:
            raise MCPError(code=INVALID_REQUEST, message="No verified token names an agent. Nothing was sent.")
        agent = (claims[AGENT], claims[ORG])
        if agent not in self._tools:
            self._tools[agent] = Tools(self._root.for_agent(*agent), **self._options)
            if len(self._tools) > _MOST:
                self._tools.popitem(last=False)
        self._tools.move_to_end(agent)
        return self._tools[agent]

    def known(self) -> Collection[Tools]:
        return tuple(self._tools.values())
