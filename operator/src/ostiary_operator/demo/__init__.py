"""The demo: a mock MCP server that proxies can use as upstream."""
