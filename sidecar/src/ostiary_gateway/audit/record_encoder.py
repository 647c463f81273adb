"""Turns what the event loop hands over into records: JSON of one line, limited in size.

Every text that is a caller's or a server's own is cut to a limit, and control characters in it are escaped, also those
that JSON allows: a record may be shown on a terminal.
"""

import re
import time
from collections.abc import Mapping
from itertools import count
from secrets import randbits
from typing import Any, Final

import orjson

from ostiary_core.audit.record_layout import EVENT, GAP, MAX_CHAIN_BYTES, MAX_LINE_BYTES, head_of
from ostiary_core.policy.principal import Principal
from ostiary_gateway.audit.audit_events import COMPLETE, LIMITED, AuditItem, GatewayEvent, LostRecords, RequestEvent
from ostiary_gateway.audit.audited_content import ContentEncoder
from ostiary_gateway.telemetry.span_record import session_digest

#: The most bytes of a record without its place in the chain.
MOST_BYTES: Final = MAX_LINE_BYTES - MAX_CHAIN_BYTES
_NAME: Final = 512
_SHORT: Final = 128
_TEXT: Final = 256
_GROUPS: Final = 16
_PRINCIPALS: Final = 4096
#: By the first part of a method, how the record names what the request is about.
_TARGETS: Final = {"tools": "tool", "resources": "resource", "prompts": "prompt", "tasks": "task"}
#: Characters that JSON need not escape and that terminals obey: C1 and DEL, line separators, bidirectional controls.
_CONTROLS: Final = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


class RecordEncoder:
    """Encodes the records of one process. The thread of the trail owns it."""

    def __init__(self, *, replica: str, contents: ContentEncoder) -> None:
        self._replica = replica[:_SHORT]
        self._contents = contents
        self._salt = randbits(62)
        self._second = (0, "")
        self._users: dict[int, tuple[Principal, orjson.Fragment]] = {}

    def encode(self, item: AuditItem) -> bytes:
        """Return a record without its place in the chain."""
        if type(item) is RequestEvent:
            return self._request(item)
        if type(item) is LostRecords:
            return self._gap(item)
        assert type(item) is GatewayEvent  # noqa: S101  there is no fourth kind
        return record(item.kind, {"stageTimestamp": self.time(item.at_ns), "replica": self._replica, **item.members})

    def _gap(self, lost: LostRecords) -> bytes:
        gap = {"reason": lost.reason, "dropped": lost.dropped}
        times = {"since": self.time(lost.since_ns), "until": self.time(lost.until_ns)}
        members = {"stageTimestamp": self.time(lost.until_ns), "replica": self._replica}
        return record(GAP, {**members, "gap": {**gap, **times, **lost.scope}})

    def _request(self, event: RequestEvent) -> bytes:
        members, largest = self._members(event), event.plan.max_bytes
        for limit in (largest, largest // 2, largest // 4, 0):
            text = record(EVENT, self._contents.added(members, event, limit=limit))
            if len(text) <= MOST_BYTES:
                return text
        # Only texts of an identity provider are so long: a record without them is better than none.
        members.pop("userAgent", None)
        members["user"] = {"id": _text(event.principal.id, _SHORT) if event.principal is not None else ""}
        return record(EVENT, self._contents.added(members, event, limit=0))

    def _members(self, event: RequestEvent) -> dict[str, Any]:
        trace_id, span_id, sampled = event.trace
        members: dict[str, Any] = {
            "stageTimestamp": self.time(event.stage_ns),
            "stage": event.stage,
            "level": event.plan.level,
            "auditID": self._id(event),
            "requestReceivedTimestamp": self.time(event.received_ns),
            "replica": self._replica,
            "objectRef": event.plan.target,
            "user": self._user(event.principal),
            "sourceIPs": [event.address] if event.address else [],
            "mcp": _mcp(event),
            "authz": _decision(event),
            "configRevision": event.revision,
        }
        if event.user_agent:
            members["userAgent"] = _text(event.user_agent, _TEXT)
        if event.shadow is not None:
            members["shadow"] = {"decision": "deny", **_origin(event.shadow)}
        if event.limit is not None:
            members["limit"] = dict(zip(("policy", "name", "decision"), event.limit, strict=True))
        if trace_id:
            members["traceId"], members["sampled"] = trace_id, sampled
            if sampled:
                members["spanId"] = span_id
        if event.stage == COMPLETE:
            members["durationMs"] = round((event.stage_ns - event.received_ns) / 1e6, 3)
            members["response"] = _response(event)
        return members

    def _id(self, event: RequestEvent) -> str:
        """Return the id of the request, a UUID of version 7 (RFC 9562).

        Both stages have the same one.
        """
        milliseconds = (event.received_ns // 1_000_000) & (2**48 - 1)
        low = (self._salt ^ event.number) & (2**62 - 1)
        text = f"{(milliseconds << 80) | (7 << 76) | ((event.number & 0xFFF) << 64) | (2 << 62) | low:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def time(self, nanoseconds: int) -> str:
        """Return a time as RFC 3339 in UTC, with microseconds."""
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        if self._second[0] != seconds:
            self._second = (seconds, time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds)))
        return f"{self._second[1]}{rest // 1000:06d}Z"

    def _user(self, principal: Principal | None) -> orjson.Fragment:
        """Return the member ``user``. It is encoded once for each principal."""
        if principal is None:
            return _NOT_AUTHENTICATED
        known = self._users.get(id(principal))
        if known is not None and known[0] is principal:
            return known[1]
        if len(self._users) >= _PRINCIPALS:
            self._users.clear()
        encoded = orjson.Fragment(orjson.dumps(_user(principal)))
        self._users[id(principal)] = (principal, encoded)
        return encoded


_NOT_AUTHENTICATED: Final = orjson.Fragment(b'{"authMethod":"none"}')


def _user(principal: Principal) -> dict[str, Any]:
    """Return who a principal is.

    Of its claims only the client's id is shown: it names the agent.
    """
    client = principal.claims.get("azp") or principal.claims.get("client_id")
    members = {
        "authMethod": principal.method,
        "id": principal.id,
        "username": principal.subject or principal.consumer or principal.id,
        "consumer": principal.consumer,
        "issuer": principal.issuer,
        "clientId": client if isinstance(client, str) else "",
        "groups": sorted(principal.groups)[:_GROUPS],
    }
    return {key: _cut(value) for key, value in members.items() if value}


def _cut(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(each, 64) for each in value]
    return _text(value, _TEXT)


def _text(text: str, limit: int) -> str:
    """Return a text as it can be encoded: cut, and without half surrogate pairs."""
    return text[:limit] if text.isascii() else text[:limit].encode("utf-8", "replace").decode()


def _mcp(event: RequestEvent) -> dict[str, Any]:
    members: dict[str, Any] = {"method": event.method} if event.method else {"httpMethod": _text(event.http_method, 16)}
    if event.protocol:
        members["protocolVersion"] = _text(event.protocol, 32)
    if event.request_id is not None:
        members["requestId"] = _text(str(event.request_id), _SHORT)
    if event.session is not None:
        members["sessionHash"] = session_digest(event.session)
    if event.name:
        target = _TARGETS.get(event.method.partition("/")[0], "name" if event.method else "path")
        members[target] = _text(event.name, _NAME)
        if len(event.name) > _NAME:
            members["truncated"] = True
    if type(event.client) is dict:
        members["clientInfo"] = _client(event.client)
    return members


def _client(client: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a client says that it is."""
    texts = ((key, client.get(key)) for key in ("name", "version"))
    found: dict[str, Any] = {key: _text(text, 64) for key, text in texts if isinstance(text, str)}
    return {**found, "selfReported": True}


def _decision(event: RequestEvent) -> dict[str, Any]:
    """Return the member ``authz``: the decision, and the rule and policy behind it."""
    if event.refusal is None:
        decision = event.decision
        return {"decision": "allow", **(_origin(decision) if decision is not None else {})}
    if event.decision is not None and not event.decision.allowed:
        return {"decision": "deny", **_origin(event.decision)}
    reason, _, _ = event.refusal
    origin = _origin(event.decision) if event.decision is not None else {}
    return {"decision": "deny" if _is_limited(event) else "error", **origin, "reason": reason}


def _origin(decision: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"reason": decision.reason.value}
    if decision.policy:
        found["policy"], found["generation"] = decision.policy, decision.generation
    if decision.rule:
        found["rule"] = decision.rule
    return found


_OUTCOMES: Final = {"tool_error": "tool_error", "cancelled": "cancelled", "caller_left": "cancelled"}


def _response(event: RequestEvent) -> dict[str, Any]:
    """Return the member ``response``: how the request ended, from the caller's view."""
    error, refusal = event.error_type, event.refusal
    found: dict[str, Any] = {"outcome": _outcome(event)}
    code = event.code if event.code is not None else refusal[1] if refusal is not None else None
    if code is not None:
        found["code"] = code
    if refusal is not None:
        found["status"] = refusal[2]
    if error and error != str(code):
        found["error"] = _text(error, 64)
    if event.dropped:
        found["dropped"] = event.dropped
    found["bytes"] = event.sizes[1]
    return found


def _outcome(event: RequestEvent) -> str:
    if event.refusal is not None:
        return "limited" if _is_limited(event) else "denied" if _is_denied(event) else "refused"
    if event.error_type in _OUTCOMES:
        return _OUTCOMES[event.error_type]
    if event.code is not None:
        return "rpc_error"
    return "error" if event.error_type else "success"


def _is_limited(event: RequestEvent) -> bool:
    return event.limit is not None and event.limit[2] == LIMITED


def _is_denied(event: RequestEvent) -> bool:
    return event.decision is not None and not event.decision.allowed


def record(kind: str, members: Mapping[str, Any]) -> bytes:
    """Return a record of a kind as one line of JSON without its end."""
    text = head_of(kind) + orjson.dumps(members)[1:]
    return text if text.isascii() else _CONTROLS.sub(_escaped, text.decode()).encode()


def _escaped(found: "re.Match[str]") -> str:
    return f"\\u{ord(found[0]):04x}"


#: The numbers of requests of this process.
NUMBERS: Final = count(1)
