"""The record of an audit trail, as a model: for its schema, its reference, and tests.

Gateways do not load it.
"""

import enum
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from ostiary_operator.api.audit import AuditLevel, AuditStage
from ostiary_operator.api.audit_event import (
    RecordedArguments,
    RecordedCount,
    RecordedDecision,
    RecordedFinding,
    RecordedLimit,
    RecordedRequest,
    RecordedResponse,
    RecordedTarget,
    RecordedUser,
)
from ostiary_operator.api.base_model import ApiModel

_Sha256 = Annotated[StrictStr, Field(pattern="^[0-9a-f]{64}$")]
_Moment = Annotated[StrictStr, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$")]
_Position = Annotated[StrictInt, Field(ge=1)]
_PublicKey = Annotated[StrictStr, Field(pattern="^[A-Za-z0-9_-]{43}$")]


class AuditRecordKind(enum.StrEnum):
    """What a record is about."""

    EVENT = "Event"
    GATEWAY_STARTED = "GatewayStarted"
    GATEWAY_STOPPED = "GatewayStopped"
    CONFIGURATION_CHANGED = "ConfigurationChanged"
    GAP = "Gap"
    CHECKPOINT = "Checkpoint"


class RecordedChange(ApiModel):
    """An object of the config that changed; without `before` it is new, without `after` gone."""

    name: StrictStr
    """The object, as NAMESPACE/NAME. Example: `sales/crm`."""

    before: StrictStr | StrictInt | None = None
    """Digest of the MCPProxy's entry, or generation of the MCPPolicy, before. Example: `7`."""

    after: StrictStr | StrictInt | None = None
    """The same after. Example: `8`."""


class RecordedGap(ApiModel):
    """Records that are missing."""

    reason: StrictStr
    """Why: QueueFull, SinkFailed or Unencodable. Example: `QueueFull`."""

    dropped: RecordedCount | None = None
    """How many never became records. Example: `12`."""

    since: _Moment | None = None
    """When the first one was lost. Example: `2026-11-29T17:00:00.000000Z`."""

    until: _Moment | None = None
    """When the last one was lost. Example: `2026-11-29T17:00:01.000000Z`."""

    sink: StrictStr | None = None
    """The sink that did not get records, which others have. Example: `file /var/log/audit.jsonl`."""

    from_seq: _Position | None = None
    """The first record that the sink does not have. Example: `7`."""

    to_seq: _Position | None = None
    """The last one. Example: `9`."""


class RecordedPosition(ApiModel):
    """A record of a chain."""

    id: StrictStr
    """The chain. Example: `gateway-0/1764435600000`."""

    seq: _Position
    """Number of the record, from 1. Example: `1234`."""

    hash: _Sha256
    """Its hash. Example: `9f86d081...`."""


class RecordedPredecessor(RecordedPosition):
    """The end of the trail that a starting gateway found in its file."""

    closed: StrictBool
    """Whether it was closed; false after a crash. Example: `true`."""

    torn_bytes: RecordedCount = 0
    """Bytes of a line that was never finished. Example: `0`."""


class RecordedChain(RecordedPosition):
    """The record's place in its chain: always the last member."""

    prev: _Sha256
    """Hash of the record before, zeros for the first. Example: `0000...`."""


class AuditTrailRecord(ApiModel):
    """One line of an audit trail.

    `apiVersion`, `kind`, `stageTimestamp` and `chain` are in every record, the others in those of some kinds.
    """

    api_version: Literal["audit.ostiary.dev/v1"]
    """The version of the record; always the first member. Example: `audit.ostiary.dev/v1`."""

    kind: AuditRecordKind
    """What it is about; always the second member. Example: `Event`."""

    stage_timestamp: _Moment
    """When it was made, in UTC. Example: `2026-11-29T17:00:00.000000Z`."""

    chain: RecordedChain
    """Its place in the chain; always the last member. Example: `{id: gateway-0/1, seq: 7, prev: 00, hash: 9f}`."""

    replica: StrictStr | None = None
    """The replica that wrote it. Example: `gateway-0`."""

    stage: AuditStage | None = None
    """Event: before the request is forwarded, or once its outcome is known. Example: `ResponseComplete`."""

    level: AuditLevel | None = None
    """Event: how much is recorded. Example: `Metadata`."""

    audit_id: Annotated[StrictStr | None, Field(alias="auditID")] = None
    """Event: id of the request, the same in both stages. Example: `0193...`."""

    request_received_timestamp: _Moment | None = None
    """Event: when the request arrived. Example: `2026-11-29T17:00:00.000000Z`."""

    object_ref: RecordedTarget | None = None
    """Event: what the request went to. Example: `{proxy: sales/crm}`."""

    user: RecordedUser | None = None
    """Event: who sent it. Example: `{authMethod: apiKey, consumer: sales/support-agent}`."""

    source_ips: Annotated[list[StrictStr] | None, Field(alias="sourceIPs")] = None
    """Event: the address it came from. Example: `[10.0.0.7]`."""

    user_agent: StrictStr | None = None
    """Event: what the client's header says. Example: `python-httpx`."""

    mcp: RecordedRequest | None = None
    """Event: the request. Example: `{method: tools/call, tool: get_weather}`."""

    authz: RecordedDecision | None = None
    """Event: the decision. Example: `{decision: allow}`."""

    shadow: RecordedDecision | None = None
    """Event: what policies in mode Shadow would have decided. Example: `{decision: deny}`."""

    limit: RecordedLimit | None = None
    """Event: the limit that refused it. Example: `{policy: sales/support, name: weather-daily}`."""

    findings: Annotated[list[RecordedFinding], Field(max_length=16)] | None = None
    """Event: what masks, guards, validation and locks found. Example: `[{policy: sales/pii, rule: cards}]`."""

    findings_omitted: RecordedCount | None = None
    """Event: the number of further findings. Example: `3`."""

    request: RecordedArguments | None = None
    """Event: what was sent. Example: `{bytes: 512}`."""

    response: RecordedResponse | None = None
    """Event: how it ended. Example: `{outcome: success}`."""

    duration_ms: StrictFloat | StrictInt | None = None
    """Event: milliseconds from its arrival to its end. Example: `3.5`."""

    trace_id: StrictStr | None = None
    """Event: the trace. Example: `0af7651916cd43dd8448eb211c80319c`."""

    span_id: StrictStr | None = None
    """Event: the span, if the trace is sampled. Example: `b7ad6b7169203331`."""

    sampled: StrictBool | None = None
    """Event: whether the trace is sampled. Example: `true`."""

    config_revision: RecordedCount | None = None
    """Event, ConfigurationChanged: the revision of the config in force. Example: `1764435600000`."""

    gateway: StrictStr | None = None
    """Other kinds: the gateway. Example: `ostiary-system/default`."""

    version: StrictStr | None = None
    """GatewayStarted: the version of the gateway. Example: `0.12.0`."""

    config_digest: _Sha256 | None = None
    """GatewayStarted, ConfigurationChanged: a digest of the config. Example: `9f86d081...`."""

    public_key: _PublicKey | None = None
    """GatewayStarted: the key of the checkpoints that follow. Example: `Lo_iw9ya...`."""

    previous: RecordedPredecessor | None = None
    """GatewayStarted: the trail that its file held before. Example: `{id: gateway-0/1, seq: 7, closed: true}`."""

    previous_revision: RecordedCount | None = None
    """ConfigurationChanged: the revision before. Example: `1764435500000`."""

    settings_changed: StrictBool | None = None
    """ConfigurationChanged: whether the gateway's settings changed. Example: `false`."""

    proxies: RecordedCount | None = None
    """ConfigurationChanged: the number of MCPProxies. Example: `12`."""

    changed_proxies: list[RecordedChange] | None = None
    """ConfigurationChanged: the MCPProxies that changed. Example: `[{name: sales/crm}]`."""

    changed_policies: list[RecordedChange] | None = None
    """ConfigurationChanged: the MCPPolicies that changed. Example: `[{name: sales/support, before: 7, after: 8}]`."""

    part: _Position | None = None
    """ConfigurationChanged: the number of this record of a large change. Example: `1`."""

    parts: _Position | None = None
    """ConfigurationChanged: the number of records of the change. Example: `1`."""

    gap: RecordedGap | None = None
    """Gap: what is missing. Example: `{reason: QueueFull, dropped: 12}`."""

    covers: RecordedPosition | None = None
    """Checkpoint: the record before it, which it signs with all before. Example: `{id: gateway-0/1, seq: 6}`."""

    closing: StrictBool | None = None
    """Checkpoint: whether the trail ends with it. Example: `true`."""

    key: _PublicKey | None = None
    """Checkpoint: the public key of its signature (Ed25519), as base64url. Example: `Lo_iw9ya...`."""

    next_key: _PublicKey | None = None
    """Checkpoint: the key that signs from now on, if it changes. Example: `qK3...`."""

    signature: StrictStr | None = None
    """Checkpoint: the signature over the bytes of the line before this member. Example: `mC8...`."""
