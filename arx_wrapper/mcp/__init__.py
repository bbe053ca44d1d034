"""Serve the operations that policy could permit an agent as MCP tools, over stdio or streamable HTTP.

    arx-pagerduty mcp
    ARX_MCP_TOKEN=... arx-pagerduty mcp --http --port 8931

Every tool call is a call of `BaseConnector.execute()`, with its policy, approval and audit. A tool's annotations (read
only, needs a reviewer) inform people and models only; no decision depends on them. Needs the extra `mcp`.
"""
