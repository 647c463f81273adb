"""Marks of the MCP proxies that a request has passed (``Via``, RFC 9110 §7.6.3), so that a loop ends at its first turn.

Each proxy adds a pseudonym of its own, the same on every replica of every gateway that serves it, and refuses a request
that bears it already. Of what a caller sends only such marks travel on, and only so many. A caller can send a mark that
it has seen; that ends its own request and no other, and nothing is reported of the proxy for it (decision 0012).
"""

import hashlib
import re
from typing import Final

#: So many proxies of ours may a request pass. A longer way is a loop, or as dear as one.
MOST: Final = 8
_MARK: Final = re.compile(r"ostiary-[0-9a-f]{24}")


def mark(uid: str, *, installation: str) -> str:
    """Return the pseudonym of a proxy.

    ``installation`` tells installations apart whose uids are made from names, as those of files are; a cluster's uids
    are unique in the world, and every gateway of it must come to the same mark.
    """
    return f"ostiary-{hashlib.sha256(f'ostiary hop v1/{installation}/{uid}'.encode()).hexdigest()[:24]}"


def earlier(via: str) -> list[str]:
    """Return the marks in a Via header, the first proxy first."""
    return _MARK.findall(via)


def header(marks: list[str]) -> str:
    """Return the value of the Via header that tells of these proxies."""
    return ", ".join(f"1.1 {each}" for each in marks)
