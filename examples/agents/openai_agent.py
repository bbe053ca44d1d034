"""Give an agent of the OpenAI Agents SDK the governed tools: pip install openai-agents

PAGERDUTY_API_KEY=... ARX_POLICY=/etc/arx/policy.yaml python openai_agent.py /usr/local/bin/arx-pagerduty
"""

import asyncio
import os
import sys

from agents import Agent
from agents.mcp import MCPServerStdio, MCPServerStdioParams


async def main(command: str) -> None:
    params = MCPServerStdioParams(
        command=command,
        args=["--agent", "openai-1", "--org", "acme", "mcp"],
        env=dict(os.environ),  # the key and the policy
    )
    async with MCPServerStdio(params=params, cache_tools_list=True, client_session_timeout_seconds=30) as server:
        agent = Agent(
            name="Responder",
            instructions="Help the person on call.",
            mcp_servers=[server],
            mcp_config={"convert_schemas_to_strict": True},
        )
        print(len(await server.list_tools()), "tools for", agent.name)
        # A run would call it: await Runner.run(agent, "Who is on call for Checkout?")
        result = await server.call_tool("teams_read", {"limit": 2})
        print(result.content[0].text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
