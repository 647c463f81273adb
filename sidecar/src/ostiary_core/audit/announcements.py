"""What records other than events say of their chain: how it began, what was lost."""

from typing import Any, NamedTuple

from ostiary_core import strict_json
from ostiary_core.audit.chain import ChainPosition
from ostiary_core.audit.trail_parts import Predecessor
from ostiary_core.errors import StrictJSONError


class Beginning(NamedTuple):
    """The first record of a chain.

    It names the public key of its checkpoints, and what the process found in its file.
    """

    key: str | None
    previous: Predecessor | None


def beginning_of(line: bytes) -> Beginning | None:
    """Read the line of a GatewayStarted record; None if a member has another type."""
    record = _object(line)
    key, previous = record.get("publicKey"), record.get("previous")
    found = None if previous is None else _predecessor(previous)
    if not isinstance(key, str | None) or (found is None) != (previous is None):
        return None
    return Beginning(key, found)


def lost_records_of(line: bytes) -> tuple[int, int] | None:
    """Return the first and last number of records that did not reach this file.

    The line is a Gap record. None where the lost records never had a number.
    """
    gap = _object(line).get("gap")
    if not isinstance(gap, dict):
        return None
    first, last = gap.get("fromSeq"), gap.get("toSeq")
    return (first, last) if type(first) is int and type(last) is int and 0 < first <= last else None


def _predecessor(value: Any) -> Predecessor | None:
    members = value if isinstance(value, dict) else {}
    identity, seq, digest = members.get("id"), members.get("seq"), members.get("hash")
    closed, torn = members.get("closed"), members.get("tornBytes", 0)
    if not (isinstance(identity, str) and isinstance(digest, str) and type(closed) is bool):
        return None
    if type(seq) is not int or type(torn) is not int:
        return None
    return Predecessor(ChainPosition(identity, seq, digest), closed, torn)


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = strict_json.loads(line)
    except StrictJSONError:
        return {}
    return value if isinstance(value, dict) else {}
