"""Turns what the event loop hands over into records: JSON of one line, limited in size.

Every text that is a caller's or a server's own is cut to a limit, and control characters in it are escaped, also those
that JSON allows: a record may be shown on a terminal.
"""

import time
from collections.abc import Hashable
from itertools import count
from secrets import randbits
from typing import Any, Final

import orjson

from ostiary_core.audit.record_layout import EVENT, GAP, MAX_CHAIN_BYTES, MAX_LINE_BYTES
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
from ostiary_gateway.audit.record_template import (
    RecordTemplate,
    RecordTemplates,
    key_of,
    place,
    text_with_places,
)
from ostiary_gateway.audit.record_text import addresses_of, agent_of, identifier_of, json_of, record
from ostiary_gateway.telemetry.span_record import session_digest

#: The most bytes of a record without its place in the chain.
MOST_BYTES: Final = MAX_LINE_BYTES - MAX_CHAIN_BYTES
_PRINCIPALS: Final = 4096
_SECOND: Final = 1_000_000_000
_48_BITS: Final = 2**48 - 1
#: Numbers of 12 bits, hexadecimal: looking them up is faster.
_HEX: Final = tuple(f"{number:03x}" for number in range(4096))
#: What is each record's own: its number, when the request came and when the stage was (epoch nanoseconds), its caller,
#: address and user agent, its id and sealed session, the ids of trace and span, the bytes of request and response.
PlainOwn = tuple[int, int, int, Principal | None, str, str, str | int | None, str | None, str, str, int, int]


class RecordEncoder:
    """Encodes the records of one process.

    Used in one thread: that of the trail, which owns it. The event loop has one of its own, the :meth:`twin`.
    """

    def __init__(self, *, replica: str, contents: ContentEncoder, salt: int | None = None) -> None:
        self._replica = replica[:SHORT]
        self._contents = contents
        salt = randbits(62) if salt is None else salt
        self._whole_salt = salt
        self._salt = salt & _48_BITS
        self._variant = f"{(2 << 14) | (salt >> 48):04x}"
        self._second_ns, self._time_head = -(10**9), ""
        self._millisecond, self._id_head = -1, ""
        self._block, self._id_middle = -1, ""
        self._templates = RecordTemplates()
        self._users: dict[int, tuple[Principal, str]] = {}

    def twin(self) -> "RecordEncoder":
        """Return an encoder for another thread that gives each request the same id."""
        return RecordEncoder(replica=self._replica, contents=self._contents, salt=self._whole_salt)

    def encode_plain(self, item: AuditItem) -> bytes | None:
        """Return a record that holds no content of messages, as :meth:`encode` would.

        It is None for every other.
        """
        return self._by_template(item) if type(item) is RequestEvent else None

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
        return self._by_template(event) or self._whole(event)

    def _by_template(self, event: RequestEvent) -> bytes | None:
        key = key_of(event)
        if key is None:
            return None
        template = self.template(key)
        if template is None:
            template = self._template(event)
            self._templates.keep(key, template)
        trace_id, span_id, _ = event.trace
        own = (
            event.number,
            event.received_ns,
            event.stage_ns,
            event.principal,
            event.address,
            event.user_agent,
            event.request_id,
            event.session,
            trace_id,
            span_id,
            *event.sizes,
        )
        text = self.filled(template, own)
        return text if len(text) <= MOST_BYTES else None

    def filled(self, template: RecordTemplate, own: PlainOwn) -> bytes:
        """Return a record that a template makes of what is its own."""
        number, received, now, principal, address, agent, request_id, session, trace_id, span_id, sent, answered = own
        if not 0 <= now - self._second_ns < _SECOND:
            self.time(now)
        second = self._second_ns
        began = self._time_head, received - second
        if not 0 <= began[1] < _SECOND:
            began = _second_of(received)
        millisecond, last = received // 1_000_000, self._salt ^ number
        values = (
            self._time_head,
            (now - second) // 1000,
            millisecond >> 16 & 0xFFFF_FFFF,
            millisecond & 0xFFFF,
            number & 0xFFF,
            self._variant,
            last & _48_BITS,
            began[0],
            began[1] // 1000,
            self._user(principal),
            addresses_of(address),
            identifier_of(request_id),
            "" if session is None else session_digest(session),
            agent_of(agent[:TEXT]) if agent else "",
            trace_id,
            span_id,
            (now - received + 500) // 1000 / 1000,
            answered,
            sent,
        )
        return (template.text % values).encode()

    def template(self, key: Hashable) -> RecordTemplate | None:
        """Return what :meth:`learn` has made for a key."""
        return self._templates.known.get(key)

    def learn(self, key: Hashable, event: RequestEvent) -> RecordTemplate | None:
        """Keep the template of a record under a key, and return it.

        The key holds all that the record depends on, but for what is its own. None for one that is encoded as a whole.
        """
        if key_of(event) is None:
            return None
        template = self._template(event)
        self._templates.keep(key, template)
        return template

    def _template(self, event: RequestEvent) -> RecordTemplate:
        members = self._members(event)
        names = ("stageTimestamp", "auditID", "requestReceivedTimestamp", "user", "sourceIPs")
        members |= {name: place(number) for number, name in enumerate(names)}
        mcp = members["mcp"]
        mcp |= {name: place(number) for number, name in ((5, "requestId"), (6, "sessionHash")) if name in mcp}
        others = ((7, "userAgent"), (8, "traceId"), (9, "spanId"), (10, "durationMs"))
        members |= {name: place(number) for number, name in others if name in members}
        if "response" in members:
            members["response"]["bytes"] = place(11)
        members["request"] = {"bytes": place(12)}
        kept = event.plan, event.decision, event.shadow, event.masks
        return RecordTemplate(text_with_places(record(EVENT, members)), kept)

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
            "user": orjson.Fragment(self._user(event.principal)),
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
            self._time_head = _time_head(seconds)
        # Without leading zeros it is faster, and most have none.
        if rest >= 100_000_000:
            return f"{self._time_head}{rest // 1000}Z"
        return f"{self._time_head}{rest // 1000:06d}Z"

    def _user(self, principal: Principal | None) -> str:
        """Return the member ``user``. It is encoded once for each principal."""
        if principal is None:
            return _NOT_AUTHENTICATED
        known = self._users.get(id(principal))
        if known is not None and known[0] is principal:
            return known[1]
        if len(self._users) >= _PRINCIPALS:
            self._users.clear()
        encoded = json_of(user_of(principal))
        self._users[id(principal)] = (principal, encoded)
        return encoded


def _second_of(nanoseconds: int) -> tuple[str, int]:
    """Return the text of a second, and the nanoseconds since then."""
    seconds, rest = divmod(nanoseconds, _SECOND)
    return _time_head(seconds), rest


def _time_head(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds))


_NOT_AUTHENTICATED: Final = '{"authMethod":"none"}'


def _milliseconds(nanoseconds: int) -> float:
    """Return milliseconds with three decimals."""
    return (nanoseconds + 500) // 1000 / 1000


#: The numbers of requests of this process.
NUMBERS: Final = count(1)
