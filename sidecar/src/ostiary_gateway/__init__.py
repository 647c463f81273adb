"""The data plane: an aiohttp gateway that enforces a compiled config on every MCP message."""
