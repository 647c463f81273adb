"""The data plane: an asyncio gateway that enforces a compiled config on every MCP message."""
