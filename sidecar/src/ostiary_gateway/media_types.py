"""The two media types of MCP's HTTP transport."""

from typing import Final

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
BOTH: Final = f"{JSON}, {EVENT_STREAM}"
