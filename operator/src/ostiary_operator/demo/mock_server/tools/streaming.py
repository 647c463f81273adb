"""The category `streaming`: tools that report progress and log while they work.

Progress is sent to clients that sent a progress token. Log messages are sent according to the log level: that of
`logging/setLevel` in a session, and in 2026-07-28 that in the request's `_meta`.
"""

from typing import Annotated

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from ostiary_operator.demo.mock_server.sessions import Sessions
from ostiary_operator.demo.mock_server.tools.common import READ, category

_META = category("streaming")

_LOGGER = "mock.streaming"
"""The logger's name in log messages."""


class Count(BaseModel):
    """The result of a count."""

    counted: int = Field(description="How far it counted.")


class LongTask(BaseModel):
    """The result of a long task."""

    steps: int = Field(description="How many steps were done.")
    seconds: float = Field(description="How long the task was asked to take.")


def register(server: MCPServer, *, sessions: Sessions) -> None:
    """Add the two tools of this category."""

    @server.tool(title="Count, streaming", annotations=READ, meta=_META)
    async def stream_count(
        ctx: Context,
        count: Annotated[int, Field(ge=1, le=1000, description="Count up to here.")] = 5,
        interval_ms: Annotated[int, Field(ge=0, le=1000, description="Milliseconds between numbers.")] = 100,
    ) -> Count:
        """Count up, with a progress notification and a log message for every number."""
        for number in range(1, count + 1):
            await anyio.sleep(interval_ms / 1000)
            await ctx.report_progress(number, count, f"{number} of {count}")
            await sessions.log(ctx, "info", f"Counted {number}", logger=_LOGGER)
        return Count(counted=count)

    @server.tool(title="A long task", annotations=READ, meta=_META)
    async def long_task(
        ctx: Context,
        seconds: Annotated[float, Field(ge=0, le=300, description="How long the task takes.")] = 3.0,
        steps: Annotated[int, Field(ge=1, le=100, description="In how many steps.")] = 10,
        fail: Annotated[bool, Field(description="Fail after the last step.")] = False,
    ) -> LongTask:
        """Work for a while in steps, reporting each. It stops when the caller cancels it."""
        await sessions.log(ctx, "info", f"Working for {seconds:g} s in {steps} steps", logger=_LOGGER)
        for step in range(1, steps + 1):
            await anyio.sleep(seconds / steps)
            await ctx.report_progress(step, steps, f"Step {step} of {steps}")
            await sessions.log(ctx, "debug", f"Step {step} is done", logger=_LOGGER)
        if fail:
            await sessions.log(ctx, "error", "The task failed, as asked", logger=_LOGGER)
            raise ToolError("The task failed after its last step, as asked.")
        return LongTask(steps=steps, seconds=seconds)
