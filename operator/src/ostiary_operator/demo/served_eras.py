"""The eras of the protocol that a mock server may serve, with its port and its name."""

from enum import StrEnum
from typing import Final


class ServedEras(StrEnum):
    """What a mock server speaks."""

    BOTH = "both"
    """Every revision."""

    LEGACY = "legacy"
    """The revisions with sessions: 2024-11-05 to 2025-11-25."""

    MODERN = "modern"
    """The revision without sessions: 2026-07-28."""

    @property
    def server(self) -> str:
        """The server's name in the `_meta` of its results."""
        return _SERVERS[self]

    @property
    def port_offset(self) -> int:
        """How far its port is from MOCK_PORT, where it is not given."""
        return _OFFSETS[self]


SERVER_KEY: Final = "dev.ostiary.demo/server"
"""The key in the `_meta` of every result that holds the name of the server that it came from."""

_SERVERS: Final = {ServedEras.BOTH: "mock", ServedEras.LEGACY: "old", ServedEras.MODERN: "new"}
_OFFSETS: Final = {ServedEras.BOTH: 0, ServedEras.LEGACY: 1, ServedEras.MODERN: 2}
