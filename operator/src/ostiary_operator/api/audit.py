"""What is recorded of requests: in an MCPPolicy, and in the settings of a gateway."""

import enum
from typing import Annotated, ClassVar, Final

from pydantic import Field, StrictInt, StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Rule, Unique, excludes, matches
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.names import NamePatterns
from ostiary_operator.api.quantities import INTEGRAL, Size, between_sizes
from ostiary_operator.api.references import SecretReference
from ostiary_operator.api.token_authentication import PemBundle
from ostiary_operator.api.urls import UpstreamUrl


class AuditLevel(enum.StrEnum):
    """How much is recorded of a request."""

    NONE = "None"
    METADATA = "Metadata"
    REQUEST = "Request"
    REQUEST_RESPONSE = "RequestResponse"


class AuditContent(enum.StrEnum):
    """What a record holds of arguments, or of a result."""

    NONE = "None"
    DIGEST = "Digest"
    REDACTED = "Redacted"
    FULL = "Full"


class AuditStage(enum.StrEnum):
    """When a record of a request is written."""

    REQUEST_RECEIVED = "RequestReceived"
    RESPONSE_COMPLETE = "ResponseComplete"


class AuditFailurePolicy(enum.StrEnum):
    """What happens to requests while they cannot be recorded."""

    IGNORE = "Ignore"
    FAIL = "Fail"


_SHOWN: Final = ("Redacted", "Full")
_ARGUMENTS: Final = Rule(
    "!has(self.arguments) || !(self.arguments in ['Redacted', 'Full']) || self.level in ['Request', 'RequestResponse']",
    lambda audit: audit.arguments not in _SHOWN or audit.level in {"Request", "RequestResponse"},
    "arguments is Redacted or Full, but the level records no arguments",
    "raise level to Request, or set arguments to Digest or None",
)
_RESULTS: Final = Rule(
    "!has(self.results) || !(self.results in ['Redacted', 'Full']) || self.level == 'RequestResponse'",
    lambda audit: audit.results not in _SHOWN or audit.level == "RequestResponse",
    "results is Redacted or Full, but the level records no results",
    "raise level to RequestResponse, or set results to Digest or None",
)

ContentBytes = Annotated[
    StrictStr,
    StringConstraints(max_length=8),
    Pattern("^[1-6]Ki$", "is not a size from 1Ki to 6Ki", "write whole Ki, such as 4Ki"),
]
"""How many bytes of arguments, or of a result, a record shows; a record must have less than 16 KiB."""


class Audit(ApiModel):
    """What the gateway records of requests to the MCPProxies that a policy governs.

    The highest of all policies and of the gateway's settings applies: a policy raises what is recorded, and lowers
    nothing.
    """

    constraints: ClassVar[tuple[Rule, ...]] = (_ARGUMENTS, _RESULTS)

    level: AuditLevel
    """How much is recorded. Metadata: who called what, through which MCPProxy, the decision with policy and rule, the
    outcome, times and sizes. Request: the arguments too. RequestResponse: arguments and results. None: only what other
    policies and the gateway's settings demand. Example: `Metadata`."""

    arguments: AuditContent | None = None
    """What is recorded of arguments. Digest: an HMAC, by which equal arguments are recognised and none is read.
    Redacted: without values that are secrets by their key or their form. Full: as they are. Absent means Redacted from
    the level Request on, and None below. Example: `Digest`."""

    results: AuditContent | None = None
    """What is recorded of results, likewise. Absent means Redacted at the level RequestResponse, and None below.
    Example: `Digest`."""

    max_bytes: ContentBytes = "4Ki"
    """How many bytes of the arguments, and of the result, a record shows; 1Ki to 6Ki. What is longer is cut, and the
    record says so. Example: `2Ki`."""

    stages: Annotated[tuple[AuditStage, ...], Field(min_length=1, max_length=2), Unique()] | None = None
    """When records are written: RequestReceived before a request is forwarded, so that a crash leaves a trace of it;
    ResponseComplete once its outcome is known. Absent means both for calls that may have effects, and ResponseComplete
    for others. Example: `[RequestReceived, ResponseComplete]`."""

    failure_policy: AuditFailurePolicy = AuditFailurePolicy.IGNORE
    """What happens while requests cannot be recorded. Ignore: they pass, and the next record says how many are missing.
    Fail: they are refused before they reach a server, and the gateway is not ready. Example: `Fail`."""


class StdoutAuditSink(ApiModel):
    """Standard output: one JSON record a line."""


AuditPath = Annotated[
    StrictStr,
    StringConstraints(min_length=2, max_length=1024),
    matches("^/[^/]", "is not the absolute path of a file", "write it as /var/log/ostiary/audit.jsonl"),
    excludes("[[:cntrl:]]", "has control characters", "remove them"),
    excludes("(^|/)[.][.]?(/|$)", "has a step such as ..", "write the path without it"),
    excludes("/$", "names a directory", "name a file in it"),
]
"""The absolute path of a file in the gateway's container."""


class AuditSync(enum.StrEnum):
    """Whether records are on the disk before they count as written."""

    OFF = "Off"
    BATCH = "Batch"


class FileAuditSink(ApiModel):
    """A file with one JSON record a line, which is rotated."""

    path: AuditPath
    """Path of the file. Its directory must exist, on a volume that outlives the container.
    Example: `/var/log/ostiary/audit.jsonl`."""

    max_size: Annotated[Size, between_sizes("1Mi", "16Gi")] = Size.parse("100Mi")
    """Size at which the file is renamed to `<path>.1` and a new one begun; 1Mi to 16Gi. Example: `500Mi`."""

    max_files: Annotated[StrictInt, Field(ge=1, le=1000), INTEGRAL] = 10
    """Files that are kept, the current one included; the oldest is deleted. 1 to 1000. Example: `30`."""

    sync: AuditSync = AuditSync.OFF
    """Off: the operating system writes to the disk when it likes, and a power failure may lose the last records.
    Batch: each batch of records is on the disk before it counts as written. Example: `Batch`."""


class AuditWebhook(ApiModel):
    """A copy that is posted to a URL in batches: lines of JSON, as `application/x-ndjson`.

    Each line is sent until it is taken, perhaps twice. While the receiver is away a bounded number of lines waits;
    those beyond are lost to this copy and counted.
    """

    url: UpstreamUrl
    """Where batches are posted. Redirects are not followed. Example: `https://audit.example.com/ostiary`."""

    credential_ref: SecretReference | None = None
    """Secret in the gateway's namespace with the bearer token, which needs the label `ostiary.dev/usage`. Absent means
    without. Example: `{name: audit-webhook, key: token}`."""

    ca_bundle: PemBundle | None = None
    """Certificates of the receiver's authorities as PEM. Absent means those of the gateway's system. Example: `|`."""

    timeout: Annotated[Duration, between("100ms", "1m")] = Duration.parse("10s")
    """Longest time for one batch; 100ms to 1m. Example: `5s`."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.credentialRef) || self.url.startsWith('https://')",
            lambda it: it.credential_ref is None or it.url.startswith("https://"),
            "has a credential for a receiver without TLS",
            "write the URL with https, or remove credentialRef",
        ),
    )


class AuditOtlp(ApiModel):
    """A copy as OTLP log records over HTTP, with the environment's `OTEL_EXPORTER_OTLP_LOGS_*`."""


class AuditSink(ApiModel):
    """Where records go: exactly one of its fields.

    stdout and file are trails, which hold every record or whose fault is known. webhook and otlp are copies.
    """

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "[has(self.stdout), has(self.file), has(self.webhook), has(self.otlp)].exists_one(each, each)",
            lambda sink: sum(each is not None for each in (sink.stdout, sink.file, sink.webhook, sink.otlp)) == 1,
            "must have exactly one field",
            "set one of stdout, file, webhook and otlp, and write a further sink as an item of its own",
        ),
    )

    stdout: StdoutAuditSink | None = None
    """Standard output of the gateway, which a cluster's log collector reads. Example: `{}`."""

    file: FileAuditSink | None = None
    """A file that is rotated. Example: `{path: /var/log/ostiary/audit.jsonl}`."""

    webhook: AuditWebhook | None = None
    """A URL that gets a copy. Example: `{url: "https://audit.example.com/ostiary"}`."""

    otlp: AuditOtlp | None = None
    """An OTLP collector that gets a copy. Example: `{}`."""


SecretKey = Annotated[StrictStr, StringConstraints(min_length=1, max_length=128)]
"""A key of JSON objects whose values are secrets."""


class AuditRedaction(ApiModel):
    """Further secrets that Redacted arguments and results do not show."""

    keys: Annotated[tuple[SecretKey, ...], Field(max_length=64), Unique()] = ()
    """Keys whose values are secrets, in any case, with or without `-`, `_`, `.` and spaces. Example: `[iban]`."""

    patterns: NamePatterns | None = None
    """RE2 regular expressions of texts that are secrets. Example: `["DE[0-9]{20}"]`."""


class GatewayAudit(ApiModel):
    """What a gateway records whatever policies say, and where all records go."""

    floor: Audit | None = None
    """What is recorded at least, of requests to every MCPProxy. Absent means what policies demand.
    Example: `{level: Metadata}`."""

    sinks: Annotated[tuple[AuditSink, ...], Field(max_length=8)] = (AuditSink(stdout=StdoutAuditSink()),)
    """Where records go: to each of these. Absent means standard output. Example: `[{stdout: {}}]`."""

    checkpoint_interval: Annotated[Duration, between("1s", "1h")] = Duration.parse("10s")
    """Longest time between two signed checkpoints of the audit trail, of which there is one at least every 1,000
    records; 1s to 1h. Example: `1m`."""

    redact: AuditRedaction = AuditRedaction()
    """What Redacted arguments and results do not show. Example: `{keys: [iban]}`."""
