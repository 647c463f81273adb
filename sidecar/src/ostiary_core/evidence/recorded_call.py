"""One call as a replica remembers it, and the document of the latest ones.

It holds no arguments, results or headers. Names and reasons of callers and servers are masked by the proxy's masks,
have no secrets that :mod:`ostiary_core.redaction` knows, and are cut, before they are kept.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from ostiary_core.evidence.document import (
    EpochMilliseconds,
    EvidenceDocument,
    EvidencePart,
    Identity,
    Milliseconds,
    Name,
    Number,
    Text,
    Word,
)

#: Calls of one replica that are kept, and that one answer holds.
MOST_CALLS: Final = 4096
#: Findings of rules about content that one call names.
MOST_FINDINGS: Final = 16


class CallOutcome(StrEnum):
    """How a call ended, in the word that people read.

    ``TOOL_ERROR`` is a result with ``isError`` of the server. ``DENIED`` is a refusal by an access rule of what the
    caller may see, ``HIDDEN`` of what it may not. ``BLOCKED`` is one by the gateway's settings, ``LIMITED`` by a limit
    or by loop detection, ``GUARDED`` by a rule about content. ``REFUSED`` came without a valid credential, before its
    message was read. Everything else that is an error ``FAILED``.
    """

    OK = "ok"
    TOOL_ERROR = "tool error"
    DENIED = "denied"
    HIDDEN = "hidden"
    BLOCKED = "blocked"
    LIMITED = "limited"
    GUARDED = "guarded"
    REFUSED = "refused"
    FAILED = "failed"


class RecordedCall(EvidencePart):
    """One call. ``number`` counts the calls of this replica from 1.

    ``at`` is when it came. ``principal`` is the consumer, or the id that stands for a caller without a name; empty
    where callers are not authenticated. ``durationMs`` are milliseconds until its answer was sent, of which
    ``upstreamMs`` were spent waiting for the server. ``status`` is the HTTP status, 0 without a response.
    ``errorType`` is ``error.type`` and ``code`` the JSON-RPC error code, each empty without one. ``policy`` and
    ``rule`` decided on access, ``reason`` says why a call was refused, and ``detail`` what failed. ``shadow*`` are
    what a policy in Shadow mode would have denied. ``findings`` are what rules about content found, each as detector
    and action.
    """

    number: Number
    at: EpochMilliseconds
    proxy: Identity
    method: Word = ""
    name: Name = ""
    principal: Name = ""
    outcome: Word = CallOutcome.OK.value
    duration_ms: Milliseconds = 0.0
    upstream_ms: Milliseconds = 0.0
    status: Number = 0
    error_type: Word = ""
    code: Word = ""
    server: Name = ""
    policy: Identity = ""
    rule: Name = ""
    reason: Word = ""
    detail: Text = ""
    shadow_policy: Identity = ""
    shadow_rule: Name = ""
    shadow_reason: Word = ""
    trace_id: Word = ""
    findings: Annotated[tuple[Name, ...], Field(max_length=MOST_FINDINGS, strict=False)] = ()


class CallsDocument(EvidenceDocument):
    """What ``/evidence/calls`` answers: the latest calls, or the next ones, oldest first.

    ``last`` is the number of the newest call of this replica, and ``missed`` says how many of those that were asked for
    are no longer kept. ``next`` is set where there are more that are kept: give it as ``after``.
    """

    calls: Annotated[tuple[RecordedCall, ...], Field(max_length=MOST_CALLS, strict=False)] = ()
    last: Number = 0
    missed: Number = 0
    next: Number | None = None
