"""The operations as MCP tools: what policy could permit an agent, over stdio or streamable HTTP.

    arx-pagerduty mcp
    ARX_MCP_TOKEN=... arx-pagerduty mcp --http --port 8931

A way in like any other: every tool call is `BaseConnector.execute()`, with its policy, approval and audit. What a tool
says of itself, to be read only or to need a reviewer, is for people and models; nothing here decides by it.
Needs the extra `mcp`.
"""
