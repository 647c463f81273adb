"""Templates of records: most records differ from earlier ones in a few members only.

A template holds the members of a record in their order. Those that are the same in all its records are encoded once;
the others are filled in.
"""

from collections.abc import Hashable, Mapping, Set
from typing import Any, Final, NamedTuple

import orjson

from ostiary_gateway.audit.audit_events import RequestEvent

#: Members that are different in each record, in the record and in its members ``mcp`` and ``response``.
_VARYING: Final = frozenset(
    [
        "stageTimestamp",
        "auditID",
        "requestReceivedTimestamp",
        "user",
        "sourceIPs",
        "userAgent",
        "traceId",
        "spanId",
        "durationMs",
        "request",
    ]
)
_VARYING_MCP: Final = frozenset(("requestId", "sessionHash"))
_VARYING_RESPONSE: Final = frozenset(("bytes",))
#: Templates that are kept: about 2 MiB at most, since names are the caller's own.
_MOST: Final = 1024
#: The longest texts of a caller in a key.
_NAME: Final = 256
_SHORT: Final = 64


class RecordTemplate(NamedTuple):
    """The members of records with the same :func:`key_of`.

    ``mcp`` and ``response`` are None where they hold nothing that varies. ``kept`` are the objects whose identities
    are in the key.
    """

    members: dict[str, Any]
    mcp: dict[str, Any] | None
    response: dict[str, Any] | None
    kept: tuple[Any, ...]


def key_of(event: RequestEvent) -> Hashable | None:
    """Return what events with the same template have in common; None for one that needs none.

    An event with content of messages, or with findings, is encoded as a whole.
    """
    # Unpacked at once: it is part of every record.
    # fmt: off
    (plan, stage, _, _, _, _, _, agent, http_method, method, name, request_id, protocol, session, decision, shadow,
     limit, refusal, error, code, shown, dropped, _, arguments, result, client, trace, revision, round_,
     findings, masks) = event
    # fmt: on
    if arguments is not None or result is not None or shown or findings is not None or len(name) > _NAME:
        return None
    if len(protocol) > _SHORT or len(http_method) > _SHORT:
        return None
    if client is not None:
        client = _client_key(client)
        if client is None:
            return None
    trace_id, _, sampled = trace
    # fmt: off
    return (
        id(plan), id(decision), stage, method, name, protocol, revision, error, code, http_method, request_id is None,
        session is None, not agent, not trace_id, sampled, id(shadow), limit, refusal, dropped, client,
        round_, id(masks),
    )
    # fmt: on


def _client_key(client: Any) -> Hashable | None:
    """Return the texts that a record shows of a client; None where they are none, or long."""
    if type(client) is not dict:
        return None
    found = client.get("name"), client.get("version")
    return found if all(type(each) is str and len(each) <= _SHORT for each in found) else None


class RecordTemplates:
    """The templates of one process, by :func:`key_of`. The thread of the trail owns them."""

    def __init__(self) -> None:
        #: The templates that there are.
        self.known: dict[Hashable, RecordTemplate] = {}

    def keep(self, key: Hashable, event: RequestEvent, members: dict[str, Any]) -> RecordTemplate:
        """Make a template of the members of a record, and return it."""
        if len(self.known) >= _MOST:
            self.known.clear()
        mcp, response = members["mcp"], members.get("response")
        varying = _VARYING
        has_mcp = not _VARYING_MCP.isdisjoint(mcp)
        if has_mcp:
            varying, mcp = varying | {"mcp"}, _folded(mcp, _VARYING_MCP)
        if response is not None:
            varying, response = varying | {"response"}, _folded(response, _VARYING_RESPONSE)
        kept = event.plan, event.decision, event.shadow, event.masks
        found = RecordTemplate(_folded(members, varying), mcp if has_mcp else None, response, kept)
        self.known[key] = found
        return found


def _folded(members: Mapping[str, Any], varying: Set[str]) -> dict[str, Any]:
    """Return members with one fragment for each sequence that does not vary.

    It stands at the name of its first member.
    """
    found: dict[str, Any] = {}
    first = ""
    for name, value in members.items():
        if name in varying:
            found[name], first = None, ""
        elif first:
            found[first] += b"," + orjson.dumps({name: value})[1:-1]
        else:
            first = name
            found[first] = orjson.dumps(value)
    return {name: value if value is None else orjson.Fragment(value) for name, value in found.items()}
