"""What a merged list says about servers whose items are missing, or may be out of date."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

#: The member of a result's ``_meta`` that names the servers whose items are missing.
UNAVAILABLE: Final = "dev.ostiary/unavailable"
#: The member that says why a list is empty, one of the causes below.
EMPTY: Final = "dev.ostiary/empty"

#: No server answered.
UPSTREAM_UNREACHABLE: Final = "UpstreamUnreachable"
#: The servers list nothing.
UPSTREAM_EMPTY: Final = "UpstreamEmpty"
#: The servers list items, of which this caller may see none.
FILTERED_TO_EMPTY: Final = "FilteredToEmpty"


class Unavailable(NamedTuple):
    """A server whose items are missing: its prefix, and the kind of fault."""

    prefix: str
    reason: str


def with_unavailable(result: dict[str, Any], servers: Iterable[Unavailable]) -> dict[str, Any]:
    """Return a list that names these servers in its ``_meta``, and must not be cached.

    It is unchanged for none.
    """
    found = [each._asdict() for each in servers]
    if not found:
        return result
    meta = result.get("_meta")
    shown = {**result, "_meta": {**(meta if isinstance(meta, dict) else {}), UNAVAILABLE: found}}
    return {**shown, "ttlMs": 0} if "ttlMs" in result else shown


def with_cause(result: dict[str, Any], cause: str) -> dict[str, Any]:
    """Return an empty list that says in its ``_meta`` why it is empty."""
    meta = result.get("_meta")
    return {**result, "_meta": {**(meta if isinstance(meta, dict) else {}), EMPTY: cause}}
