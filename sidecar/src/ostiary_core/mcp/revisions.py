"""The revisions of MCP that pass through the door, and the two eras they fall into.

*Legacy* revisions open with ``initialize`` and may keep a session; *modern* ones carry their metadata in every
request (specification, Versioning).
"""

import enum
from typing import Final


class Era(enum.Enum):
    """How a message says which revision it speaks."""

    LEGACY = "legacy"
    MODERN = "modern"


#: Every message is asked for its era, and a member costs more through its class than what is done with it.
LEGACY: Final = Era.LEGACY
MODERN: Final = Era.MODERN

MODERN_REVISIONS: Final = frozenset({"2026-07-28"})
LEGACY_REVISIONS: Final = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"})

#: What a gateway answers to an ``initialize`` that asks for a revision without a handshake.
NEWEST_LEGACY_REVISION: Final = "2025-11-25"

#: What a legacy request without a version header speaks (specification 2025-06-18, Protocol Version Header).
ASSUMED_REVISION: Final = "2025-03-26"

#: Keys of ``params._meta`` that every modern request holds.
META_PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
META_CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
