"""The exchanges of one proxy that its debug capture kept at the replicas, newest first."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ostiary_operator.api.objects import mapping_of
from ostiary_operator.local.console import printable

#: Exchanges of all replicas that are shown.
MOST_EXCHANGES: Final = 50
_SHOWN: Final = ("Exchange", "ServerMessage")
_WORDS: Final = 40


@dataclass(frozen=True, slots=True)
class CapturedRecord:
    """One exchange, or a message that a server sent by itself, as the replica captured it.

    ``record`` is untrusted: :mod:`ostiary_operator.view.exchange_text` reads what a person sees of it.
    """

    gateway: str
    replica: str
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DebugCaptureLog:
    """What was captured.

    ``until`` is when the capture ends (RFC 3339), empty where no replica captures; ``is_running`` says that it has not
    ended. ``skipped`` exchanges were too many in a second to be captured.
    """

    records: tuple[CapturedRecord, ...] = ()
    until: str = ""
    is_running: bool = False
    skipped: int = 0

    def joined(self, other: "DebugCaptureLog") -> "DebugCaptureLog":
        """Return what two replicas captured, the newest first."""
        records = sorted((*self.records, *other.records), key=lambda each: str(each.record.get("at")), reverse=True)
        return DebugCaptureLog(
            tuple(records[:MOST_EXCHANGES]),
            max(self.until, other.until),
            self.is_running or other.is_running,
            self.skipped + other.skipped,
        )


def parse_capture(body: bytes, *, gateway: str, replica: str) -> DebugCaptureLog:
    """Return what a replica answers as JSON lines; lines that are none are left out."""
    description: dict[str, Any] = {}
    records: list[CapturedRecord] = []
    for line in _objects(body):
        kind = line.get("kind")
        if kind in _SHOWN:
            records.append(CapturedRecord(gateway, replica, line))
        elif kind == "Capture":
            description = line
    skipped = description.get("skipped")
    return DebugCaptureLog(
        tuple(reversed(records[-MOST_EXCHANGES:])),
        printable(str(description.get("until") or ""), limit=_WORDS),
        bool(description) and not description.get("ended"),
        skipped if type(skipped) is int and skipped > 0 else 0,
    )


def _objects(body: bytes) -> Iterator[dict[str, Any]]:
    for line in filter(bytes.strip, body.split(b"\n")):
        try:
            found = dict(mapping_of(json.loads(line)))
            orjson.dumps(found)  # what a twin cannot hold, such as a thousand lists in each other, no gateway captures
        except (ValueError, TypeError, RecursionError):
            continue
        yield found
