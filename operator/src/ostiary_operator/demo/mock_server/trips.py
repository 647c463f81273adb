"""The trip server of the mock process, whose tool asks the user a question in mid-call.

It is the upstream in `examples/bridge`. With sessions it asks by a request on the stream of the call; without them its
result says what it needs, and the client calls again with the answer.
"""

from typing import Annotated, Any, Literal

from mcp.server.context import ServerMiddleware
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel, Field

from ostiary_core.version import __version__
from ostiary_operator.demo.mock_server.tools.common import READ

PATH = "/trips/mcp"
_SERVER_NAME = "trip-server"
_INSTRUCTIONS = "Plans invented trips, to try out questions in mid-call with. Nothing is booked."
_HOURS = {"train": 5, "bus": 9, "plane": 1}


class TravelChoice(BaseModel):
    """What the user is asked for."""

    means: Literal["train", "bus", "plane"] = Field(description="How to travel.")


class Trip(BaseModel):
    """A planned trip."""

    city: str = Field(description="Where the trip goes.")
    means: str = Field(description="How the user wants to travel.")
    hours: int = Field(description="How long it takes, invented.")


async def _ask_means(city: str) -> Elicit[TravelChoice]:
    return Elicit(f"How do you want to travel to {city[:50]}?", TravelChoice)


def build(*middleware: ServerMiddleware[Any]) -> MCPServer:
    """Return a new trip server, whose messages pass these middlewares."""
    server = MCPServer(
        _SERVER_NAME,
        title="Trip server",
        description="Plans invented trips for trying out questions in mid-call.",
        instructions=_INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
        middleware=list(middleware),
    )

    @server.tool(title="Plan a trip", annotations=READ)
    async def plan_trip(
        city: Annotated[str, Field(max_length=50, description="Where to: Oslo.")],
        choice: Annotated[TravelChoice, Resolve(_ask_means)],
    ) -> Trip:
        """Plan a trip. It asks the user how to travel."""
        return Trip(city=city, means=choice.means, hours=_HOURS[choice.means])

    return server
