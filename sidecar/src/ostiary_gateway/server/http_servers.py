"""The implementations of a connection, by the names that ``--http-server`` takes."""

from typing import Final

from ostiary_gateway.server.aiohttp_web.connection import AiohttpConnection
from ostiary_gateway.server.host import NewConnection
from ostiary_gateway.server.llhttp.connection import LlhttpConnection

#: Our own on llhttp, the default: docs/decisions/0024.
LLHTTP: Final = "llhttp"
#: On ``aiohttp.web.Server``.
AIOHTTP: Final = "aiohttp"

HTTP_SERVERS: Final[dict[str, NewConnection]] = {AIOHTTP: AiohttpConnection, LLHTTP: LlhttpConnection}
