"""Give a LangChain agent the governed tools: pip install langchain-mcp-adapters langchain

PAGERDUTY_API_KEY=... ARX_POLICY=/etc/arx/policy.yaml python langchain_tools.py /usr/local/bin/arx-pagerduty
"""

import asyncio
import os
import sys

from langchain_mcp_adapters.client import MultiServerMCPClient


async def main(command: str) -> None:
    client = MultiServerMCPClient(
        {
            "pagerduty": {
                "transport": "stdio",
                "command": command,
                "args": ["--agent", "langchain-1", "--org", "acme", "mcp"],
                "env": dict(os.environ),  # the key and the policy; LangChain passes on very little by itself
            }
        }
    )
    tools = {tool.name: tool for tool in await client.get_tools()}
    print(len(tools), "tools")
    # An agent would call it: langchain.agents.create_agent("openai:gpt-5", list(tools.values()))
    print(await tools["teams_read"].ainvoke({"limit": 2}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
