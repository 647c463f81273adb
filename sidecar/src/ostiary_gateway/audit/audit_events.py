"""What the event loop hands over: plain tuples.

The thread of the trail turns them into records.

A tuple holds references to what the request has anyway, so it costs about a microsecond.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.record_masks import RecordMasks
from ostiary_core.policy.decision import Decision
from ostiary_core.policy.principal import Principal
from ostiary_gateway.audit.audit_plan import AuditPlan

RECEIVED: Final = "RequestReceived"
COMPLETE: Final = "ResponseComplete"
#: What a limit did: it refused the request, or would have, in Shadow mode.
LIMITED: Final = "limited"
SHADOW: Final = "shadow"


class RequestEvent(NamedTuple):
    """One stage of one request.

    ``number`` counts requests of this process, and gives both stages the same id. Times are nanoseconds since the
    epoch. ``method`` is from our table, or empty; the other texts may be the caller's own, and are cut to limits when
    they are written. ``session`` is the sealed id, of which only a digest is written. ``decision`` is that of the
    policies, also of a refusal. ``arguments`` and ``result`` are JSON values, or None where they are not recorded.
    ``limit`` is a policy, the name of its limit, and whether that limited the request or would (`limited`, `shadow`).
    ``shown`` is a list as its caller sees it, as JSON; of ``dropped`` items it could not be judged whether the caller
    may see them. ``sizes`` are the bytes of the request and of the response. ``round`` is the number of times
    that a bridged call was sent to its server, which asked the caller in between. ``findings`` are what rules about
    content found so far, with the number of places; ``masks`` apply to all texts of the caller and the server.
    """

    plan: AuditPlan
    stage: str
    number: int
    received_ns: int
    stage_ns: int
    principal: Principal | None
    address: str
    user_agent: str
    http_method: str
    method: str
    name: str
    request_id: str | int | None
    protocol: str
    session: str | None
    decision: Decision | None
    shadow: Decision | None
    limit: tuple[str, str, str] | None
    refusal: tuple[str, int | None, int] | None
    error_type: str
    code: int | None
    shown: bytes
    dropped: int
    sizes: tuple[int, int]
    arguments: Any
    result: Any
    client: Any
    trace: tuple[str, str, bool]
    revision: int
    round: int = 1
    findings: Mapping[ContentFinding, int] | None = None
    masks: RecordMasks | None = None


class LostRecords(NamedTuple):
    """Records that were not made: how many, why, and between which times.

    Times are nanoseconds since the epoch.

    ``scope`` says of which requests, as members of the record.
    """

    reason: str
    dropped: int
    since_ns: int
    until_ns: int
    scope: dict[str, Any]


class GatewayEvent(NamedTuple):
    """A record of another kind, with its members."""

    kind: str
    at_ns: int
    members: dict[str, Any]


AuditItem = RequestEvent | LostRecords | GatewayEvent
