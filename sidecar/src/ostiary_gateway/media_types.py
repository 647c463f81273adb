"""The two media types of MCP's HTTP transport."""

from collections.abc import Mapping
from typing import Final

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
BOTH: Final = f"{JSON}, {EVENT_STREAM}"
# The headers of nearly all responses; compared by identity to avoid building them again.
JSON_HEADERS: Final[Mapping[str, str]] = {"Content-Type": JSON}
#: A proxy in between must neither cache nor buffer a stream.
EVENT_STREAM_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}
