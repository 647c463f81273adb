"""Finds records in files of an audit trail.

A file may have millions of records, so a line is parsed only if the texts that are asked for occur in it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from ostiary_core.audit.line_splitter import LineSplitter
from ostiary_core.audit.record_layout import EVENT, kind_of
from ostiary_core.audit.rotated_files import oldest_first
from ostiary_core.errors import AuditTrailError
from ostiary_operator.local.audit_files import chunks, require_distinct

#: The member of a record that each filter compares, as a path.
MEMBERS: Final[Mapping[str, str]] = {
    "proxy": "objectRef.proxy",
    "server": "objectRef.server",
    "consumer": "user.consumer",
    "user": "user.username",
    "method": "mcp.method",
    "tool": "mcp.tool",
    "resource": "mcp.resource",
    "prompt": "mcp.prompt",
    "decision": "authz.decision",
    "policy": "authz.policy",
    "outcome": "response.outcome",
    "stage": "stage",
    "trace": "traceId",
    "audit_id": "auditID",
}
_AGO: Final = re.compile(r"([0-9]{1,6})(d|h|m|s)")
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


class AuditRecord(NamedTuple):
    """A record that matches: its line as it was written, and its members."""

    line: bytes
    members: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to find.

    ``exact`` are values by the name of their filter; times are texts as in records.
    """

    exact: Mapping[str, str] = field(default_factory=dict)
    kind: str | None = EVENT
    since: str = ""
    until: str = ""

    def needles(self) -> tuple[bytes, ...]:
        """Return texts that occur in the line of every match.

        Of other characters than those of ASCII a record escapes some, so texts with them are compared later.
        """
        plain = (value for value in self.exact.values() if value.isascii() and value.isprintable())
        return tuple(orjson.dumps(value)[1:-1] for value in plain)

    def matches(self, members: Mapping[str, Any]) -> bool:
        """Return whether a record is one of those."""
        moment = str(members.get("stageTimestamp", ""))
        if (self.since and moment < self.since) or (self.until and moment >= self.until):
            return False
        return all(member(members, MEMBERS[name]) == value for name, value in self.exact.items())


def records(paths: Sequence[str], wanted: AuditFilter) -> Iterator[AuditRecord]:
    """Yield the records that match, the oldest file of a rotated set first.

    Other lines are skipped.

    Raises:
        AuditFileError: a file cannot be read.
    """
    require_distinct(list(paths))
    needles = wanted.needles()
    for path in oldest_first(paths):
        for line in _lines(path):
            if all(needle in line for needle in needles):
                members = _record(line, wanted.kind)
                if members is not None and wanted.matches(members):
                    yield AuditRecord(line, members)


def member(members: Mapping[str, Any], path: str) -> Any:
    """Return the member at a path with dots; None if it is absent."""
    value: Any = members
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def parse_moment(text: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str:
    """Return a time as records have it: of RFC 3339, or a time ago such as ``2h``.

    Raises:
        AuditTrailError: it is neither.
    """
    ago = _AGO.fullmatch(text)
    try:
        moment = datetime.fromisoformat(text) if ago is None else now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except (ValueError, OverflowError):
        message = f"{text[:100]!r} is no time: write 2026-11-29T17:00:00Z, 2026-11-29, or a time ago such as 2h"
        raise AuditTrailError(message) from None


def _lines(path: str) -> Iterator[bytes]:
    splitter = LineSplitter()
    for chunk in chunks(path):
        yield from splitter.feed(chunk)
    if rest := splitter.end():
        yield rest


def _record(line: bytes, kind: str | None) -> dict[str, Any] | None:
    found = kind_of(line)
    if found is None or (kind is not None and found != kind):
        return None
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
