"""The category `utilities`: echo, add and the time."""

import math
from datetime import UTC, datetime, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from ostiary_operator.demo.mock_server.tools.common import READ, category

_META = category("utilities")

Number = Annotated[float, Field(allow_inf_nan=False)]


class Echo(BaseModel):
    """The message of the call."""

    message: str = Field(description="The message, unchanged.")


class Sum(BaseModel):
    """The result of an addition."""

    sum: float = Field(description="a + b.")


class Time(BaseModel):
    """A moment."""

    time: str = Field(description="The time now, ISO 8601 with the offset from UTC.")
    timezone: str = Field(description="The time zone it is given in.")


def register(server: MCPServer) -> None:
    """Add the three tools of this category."""

    @server.tool(title="Echo", annotations=READ, meta=_META)
    async def echo(
        message: Annotated[str, Field(max_length=10_000, description="The message to return.")],
    ) -> Echo:
        """Return the message."""
        return Echo(message=message)

    @server.tool(title="Add two numbers", annotations=READ, meta=_META)
    async def add(
        a: Annotated[Number, Field(description="The first number.")],
        b: Annotated[Number, Field(description="The second number.")],
    ) -> Sum:
        """Add two numbers."""
        if not math.isfinite(total := a + b):
            raise ToolError("The sum is too large for a number.")
        return Sum(sum=total)

    @server.tool(title="The time", annotations=READ, meta=_META)
    async def get_time(
        timezone: Annotated[str, Field(max_length=50, description="An IANA time zone: Europe/Berlin.")] = "UTC",
    ) -> Time:
        """Tell the time in a time zone."""
        return Time(time=datetime.now(tz=_zone(timezone)).isoformat(timespec="seconds"), timezone=timezone)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ToolError(f"There is no time zone {name!r}. Names look like Europe/Berlin.") from error
