"""``Via`` marks of the MCP proxies that a request has passed (RFC 9110 §7.6.3).

They end a loop in its first round.

Each proxy adds its own pseudonym, which is the same on every replica of every gateway that serves it, and refuses a
request that already has it. Of a caller's ``Via`` only such marks are forwarded, up to a limit. A caller can send a
mark that it has seen; that ends only its own request, and nothing is reported about the proxy (decision 0012).
"""

import hashlib
import re
from typing import Final

#: The number of our proxies that a request may pass. A longer path is a loop, or as costly as one.
MOST: Final = 8
_MARK: Final = re.compile(r"ostiary-[0-9a-f]{24}")


def mark(uid: str, *, installation: str) -> str:
    """Return the pseudonym of a proxy.

    ``installation`` distinguishes installations whose uids are derived from names, as those from files are; a cluster's
    uids are globally unique, and every gateway of it must compute the same mark.
    """
    return f"ostiary-{hashlib.sha256(f'ostiary hop v1/{installation}/{uid}'.encode()).hexdigest()[:24]}"


def earlier(via: str) -> list[str]:
    """Return the marks in a Via header, the first proxy first."""
    return _MARK.findall(via)


def header(marks: list[str]) -> str:
    """Return the value of the Via header with these marks."""
    return ", ".join(f"1.1 {each}" for each in marks)
