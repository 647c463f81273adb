"""The weather server of the mock process, with a cheap and an expensive tool.

It is the upstream in `examples/limits`.
"""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from mcp.server.context import ServerMiddleware
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from ostiary_core.version import __version__
from ostiary_operator.demo.mock_server.tools.common import READ

PATH = "/weather/mcp"
_SERVER_NAME = "weather-server"
_INSTRUCTIONS = """\
Invented weather to try out limits with. list_cities is cheap. get_weather stands for a tool that costs money for each
call."""
_CITIES: Final = ("Amsterdam", "Berlin", "Lagos", "Lima", "Oslo", "Seoul", "Sydney", "Toronto")
_SKIES: Final = ("clear", "cloudy", "light rain", "showers", "windy")


class Cities(BaseModel):
    """The cities that the server knows."""

    cities: list[str] = Field(description="Their names.")


class Weather(BaseModel):
    """The weather in one city. It is invented: the same all day."""

    city: str = Field(description="Name of the city.")
    sky: str = Field(description="What the sky looks like.")
    celsius: int = Field(description="Temperature in degrees Celsius.")


def build(*middleware: ServerMiddleware[Any]) -> MCPServer:
    """Return a new weather server, whose messages pass these middlewares."""
    server = MCPServer(
        _SERVER_NAME,
        title="Weather server",
        description="Invented weather for trying out limits.",
        instructions=_INSTRUCTIONS,
        version=__version__,
        log_level="WARNING",
        middleware=list(middleware),
    )
    _register(server)
    return server


def _register(server: MCPServer) -> None:
    @server.tool(title="List the cities", annotations=READ)
    async def list_cities() -> Cities:
        """List the cities that get_weather knows."""
        return Cities(cities=list(_CITIES))

    @server.tool(title="The weather in a city", annotations=READ)
    async def get_weather(
        city: Annotated[str, Field(max_length=100, description="A city of list_cities: Berlin.")],
    ) -> Weather:
        """Tell the weather in one city."""
        known = next((name for name in _CITIES if name.casefold() == city.strip().casefold()), None)
        if known is None:
            raise ToolError(f"There is no weather for {city!r}. list_cities lists the cities.")
        return _invented(known)


def _invented(city: str) -> Weather:
    """Return weather that depends on the city and the day alone."""
    seed = hashlib.sha256(f"{city} {datetime.now(UTC):%Y-%m-%d}".encode()).digest()
    return Weather(city=city, sky=_SKIES[seed[0] % len(_SKIES)], celsius=seed[1] % 40 - 5)
