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

from ostiary_core.audit.record_layout import EVENT, GAP, KINDS, MAX_CHAIN_BYTES, MAX_LINE_BYTES, head_of
from ostiary_core.policy.principal import Principal
from ostiary_gateway.audit.audit_events import COMPLETE, AuditItem, GatewayEvent, LostRecords, RequestEvent
from ostiary_gateway.audit.audited_content import ContentEncoder
from ostiary_gateway.audit.record_members import (
    SHORT,
    TEXT,
    authz_of,
    findings_of,
    mcp_of,
    origin_of,
    response_of,
    text_of,
    user_of,
)
from ostiary_gateway.audit.record_template import RecordTemplate, RecordTemplates, key_of
from ostiary_gateway.telemetry.span_record import session_digest

#: The most bytes of a record without its place in the chain.
MOST_BYTES: Final = MAX_LINE_BYTES - MAX_CHAIN_BYTES
_PRINCIPALS: Final = 4096
_48_BITS: Final = 2**48 - 1
#: Numbers of 12 bits, hexadecimal: looking them up is faster.
_HEX: Final = tuple(f"{number:03x}" for number in range(4096))
#: Characters that JSON need not escape and that terminals obey: C1 and DEL, line separators, bidirectional controls.
_CONTROLS: Final = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


class RecordEncoder:
    """Encodes the records of one process. The thread of the trail owns it."""

    def __init__(self, *, replica: str, contents: ContentEncoder) -> None:
        self._replica = replica[:SHORT]
        self._contents = contents
        salt = randbits(62)
        self._salt = salt & _48_BITS
        self._variant = f"{(2 << 14) | (salt >> 48):04x}"
        self._second_ns, self._time_head = -(10**9), ""
        self._millisecond, self._id_head = 0, ""
        self._block, self._id_middle = -1, ""
        self._templates = RecordTemplates()
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
        key = key_of(event)
        if key is not None:
            template = self._templates.known.get(key) or self._templates.keep(key, event, self._members(event))
            text = record(EVENT, self._filled(template, event))
            if len(text) <= MOST_BYTES:
                return text
        return self._whole(event)

    def _filled(self, template: RecordTemplate, event: RequestEvent) -> dict[str, Any]:
        """Return the members of a record with those that are different in each."""
        received, now = event.received_ns, event.stage_ns
        members = template.members.copy()
        members["stageTimestamp"] = self.time(now)
        members["auditID"] = self._id(event.number, received)
        members["requestReceivedTimestamp"] = self.time(received)
        members["user"] = self._user(event.principal)
        members["sourceIPs"] = [event.address] if event.address else []
        if template.mcp is not None:
            members["mcp"] = _filled_mcp(template.mcp, event)
        if "userAgent" in members:
            members["userAgent"] = text_of(event.user_agent, TEXT)
        if "traceId" in members:
            members["traceId"] = event.trace[0]
            if "spanId" in members:
                members["spanId"] = event.trace[1]
        sent, answered = event.sizes
        if template.response is not None:
            members["durationMs"] = _milliseconds(now - received)
            members["response"] = response = template.response.copy()
            response["bytes"] = answered
        members["request"] = {"bytes": sent}
        return members

    def _whole(self, event: RequestEvent) -> bytes:
        """Return a record that is encoded as a whole, with the content of its messages."""
        members, largest = self._members(event), event.plan.max_bytes
        for limit in (largest, largest // 2, largest // 4, 0):
            text = record(EVENT, self._contents.added(members, event, limit=limit))
            if len(text) <= MOST_BYTES:
                return text
        # Only texts of an identity provider are so long: a record without them is better than none.
        members.pop("userAgent", None)
        members["user"] = {"id": text_of(event.principal.id, SHORT) if event.principal is not None else ""}
        return record(EVENT, self._contents.added(members, event, limit=0))

    def _members(self, event: RequestEvent) -> dict[str, Any]:
        trace_id, span_id, sampled = event.trace
        members: dict[str, Any] = {
            "stageTimestamp": self.time(event.stage_ns),
            "stage": event.stage,
            "level": event.plan.level,
            "auditID": self._id(event.number, event.received_ns),
            "requestReceivedTimestamp": self.time(event.received_ns),
            "replica": self._replica,
            "objectRef": event.plan.target,
            "user": self._user(event.principal),
            "sourceIPs": [event.address] if event.address else [],
            "mcp": mcp_of(event),
            "authz": authz_of(event),
            "configRevision": event.revision,
        }
        if event.user_agent:
            members["userAgent"] = text_of(event.user_agent, TEXT)
        if event.shadow is not None:
            members["shadow"] = {"decision": "deny", **origin_of(event.shadow)}
        if event.limit is not None:
            members["limit"] = dict(zip(("policy", "name", "decision"), event.limit, strict=True))
        if event.findings is not None:
            members["findings"] = findings_of(event.findings)
            if len(members["findings"]) < len(event.findings):
                members["findingsOmitted"] = len(event.findings) - len(members["findings"])
        if trace_id:
            members["traceId"], members["sampled"] = trace_id, sampled
            if sampled:
                members["spanId"] = span_id
        if event.stage == COMPLETE:
            members["durationMs"] = _milliseconds(event.stage_ns - event.received_ns)
            members["response"] = response_of(event)
        return members

    def _id(self, number: int, received_ns: int) -> str:
        """Return the id of the request, a UUID of version 7 (RFC 9562).

        Both stages have the same one.
        """
        millisecond = received_ns // 1_000_000
        if millisecond != self._millisecond:
            self._millisecond, text = millisecond, f"{millisecond & _48_BITS:012x}"
            self._id_head = f"{text[:8]}-{text[8:]}-7"
        last = self._salt ^ number
        if last >> 12 != self._block:
            self._block = last >> 12
            self._id_middle = f"-{self._variant}-{(last & _48_BITS) >> 12:09x}"
        return f"{self._id_head}{_HEX[number & 0xFFF]}{self._id_middle}{_HEX[last & 0xFFF]}"

    def time(self, nanoseconds: int) -> str:
        """Return a time as RFC 3339 in UTC, with microseconds."""
        rest = nanoseconds - self._second_ns
        if not 0 <= rest < 1_000_000_000:
            seconds, rest = divmod(nanoseconds, 1_000_000_000)
            self._second_ns = seconds * 1_000_000_000
            self._time_head = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds))
        # Without leading zeros it is faster, and most have none.
        if rest >= 100_000_000:
            return f"{self._time_head}{rest // 1000}Z"
        return f"{self._time_head}{rest // 1000:06d}Z"

    def _user(self, principal: Principal | None) -> orjson.Fragment:
        """Return the member ``user``. It is encoded once for each principal."""
        if principal is None:
            return _NOT_AUTHENTICATED
        known = self._users.get(id(principal))
        if known is not None and known[0] is principal:
            return known[1]
        if len(self._users) >= _PRINCIPALS:
            self._users.clear()
        encoded = orjson.Fragment(orjson.dumps(user_of(principal)))
        self._users[id(principal)] = (principal, encoded)
        return encoded


_NOT_AUTHENTICATED: Final = orjson.Fragment(b'{"authMethod":"none"}')


def _filled_mcp(template: dict[str, Any], event: RequestEvent) -> dict[str, Any]:
    """Return the member ``mcp`` with what is different in each record."""
    members = template.copy()
    if event.request_id is not None:
        members["requestId"] = text_of(str(event.request_id), SHORT)
    if event.session is not None:
        members["sessionHash"] = session_digest(event.session)
    return members


def _milliseconds(nanoseconds: int) -> float:
    """Return milliseconds with three decimals."""
    return (nanoseconds + 500) // 1000 / 1000


_HEADS: Final = {kind: head_of(kind) for kind in KINDS}


def record(kind: str, members: Mapping[str, Any]) -> bytes:
    """Return a record of a kind as one line of JSON without its end."""
    text = _HEADS[kind] + orjson.dumps(members)[1:]
    return text if text.isascii() and b"\x7f" not in text else _CONTROLS.sub(_escaped, text.decode()).encode()


def _escaped(found: "re.Match[str]") -> str:
    return f"\\u{ord(found[0]):04x}"


#: The numbers of requests of this process.
NUMBERS: Final = count(1)
