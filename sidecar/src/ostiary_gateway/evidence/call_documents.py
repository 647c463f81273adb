"""Calls as the documents of ``/evidence/calls``: one answer, or JSON lines as they come."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

import orjson

from ostiary_gateway.evidence.call_ring import CallDetails, CallRing, EndedCall, NumberedCall
from ostiary_gateway.evidence.evidence_query import AskedCalls
from ostiary_gateway.telemetry.request_labels import RequestLabels

#: Seconds of silence before an empty line is sent.
KEEP_ALIVE_SECONDS: Final = 15.0
#: Calls of one chunk of lines: about 64 KiB.
_CHUNK: Final = 128
_NO_DETAILS: Final = CallDetails()


def call_document(numbered: NumberedCall) -> dict[str, Any]:
    """Return a call as a ``RecordedCall``; members with nothing to tell are omitted."""
    number, plain = numbered
    call = EndedCall._make(plain)
    labels = RequestLabels._make(call.labels)
    details = call.more or _NO_DETAILS
    found: dict[str, Any] = {
        "number": number,
        "at": call.at,
        "proxy": labels.proxy,
        "method": labels.method,
        "name": call.name,
        "principal": call.principal,
        "outcome": call.outcome.value,
        "durationMs": round(call.seconds * 1000, 3),
        "upstreamMs": round(call.upstream_seconds * 1000, 3),
        "status": labels.status,
        "errorType": labels.error_type[:64],
        "code": labels.code,
        "server": labels.server,
        "policy": details.policy or labels.policy,
        "rule": details.rule or labels.rule,
        "reason": details.reason,
        "detail": details.detail,
        "shadowPolicy": details.shadow_policy,
        "shadowRule": details.shadow_rule,
        "shadowReason": details.shadow_reason,
        "traceId": call.trace_id,
        "findings": details.findings,
    }
    return {key: value for key, value in found.items() if value or key in {"number", "at", "proxy"}}


def calls_document(ring: CallRing, query: AskedCalls) -> dict[str, Any]:
    """Return what ``/evidence/calls`` answers besides its head.

    They are the next calls after a number, and without one the latest calls.
    """
    position = ring.resumed(query.after)
    found, missed = ring.after(position, wanted=query.choice.has)
    page = found[: query.limit] if position else found[-query.limit :]
    more = {"next": page[-1][0]} if position and len(page) < len(found) else {}
    return {"calls": list(map(call_document, page)), "last": ring.last, "missed": missed if position else 0} | more


async def call_lines(ring: CallRing, query: AskedCalls, *, is_over: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield calls after a number as JSON lines, and each that comes until recording ends."""
    position = ring.resumed(query.after)
    while not is_over():
        found, missed = ring.after(position, wanted=query.choice.has)
        if missed and position:
            yield orjson.dumps({"kind": "Gap", "missed": missed}) + b"\n"
        reached = ring.last
        for begin in range(0, len(found), _CHUNK):
            yield lines_of(found[begin : begin + _CHUNK])
        position = reached
        await ring.wait(position, seconds=KEEP_ALIVE_SECONDS)
        if ring.last == position:
            yield b"\n"


def lines_of(calls: Iterable[NumberedCall]) -> bytes:
    """Return calls as JSON lines."""
    return b"".join(orjson.dumps({"kind": "Call", **call_document(each)}) + b"\n" for each in calls)
