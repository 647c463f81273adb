"""The revisions of MCP that the gateway supports, and their two eras.

*Legacy* revisions open with ``initialize`` and may keep a session; *modern* ones carry their metadata in every
request (specification, Versioning).
"""

import enum
from typing import Final


class Era(enum.Enum):
    """How a message states its protocol revision."""

    LEGACY = "legacy"
    MODERN = "modern"


#: Constants, since every message compares its era and looking up a member in its class would cost more.
LEGACY: Final = Era.LEGACY
MODERN: Final = Era.MODERN

MODERN_REVISIONS: Final = frozenset({"2026-07-28"})
LEGACY_REVISIONS: Final = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"})

#: The revision that a gateway offers to an ``initialize`` that asks for one without a handshake.
NEWEST_LEGACY_REVISION: Final = "2025-11-25"
