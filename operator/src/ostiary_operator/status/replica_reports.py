"""Parses a replica's report as untrusted input: another process may have its address."""

from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from ostiary_core.errors import OstiaryError
from ostiary_operator.api.labels import DNS_LABEL
from ostiary_operator.status.report_types import (
    Line,
    ReasonWord,
    ReportedDigest,
    ReportedIdentity,
    ReportPart,
    ShortName,
    SmallNumber,
)
from ostiary_operator.status.reported_servers import ReportedServer

#: The most bytes of a report, however many proxies the gateway has.
MAX_BYTES: Final = 16 * 1024 * 1024
#: The bytes that a report may have in any case, and for each proxy of its gateway.
_LEAST_BYTES: Final = 512 * 1024
_BYTES_PER_PROXY: Final = 4 * 1024
_SERVERS: Final = 64
_ENTRIES: Final = 100_000
_MISPLACED: Final = 100
_SIGNALS: Final = 8
#: The most slips that are read of one proxy, and characters of each name.
_SLIPS: Final = 32
#: The most workers of a replica.
_WORKERS: Final = 64
#: The most sinks of an audit trail.
_SINKS: Final = 256


class ReportError(OstiaryError):
    """A response that is no report of this gateway."""


def most_bytes(proxies: int) -> int:
    """Return the size limit, in bytes, of the report of a gateway with this number of proxies."""
    return min(MAX_BYTES, _LEAST_BYTES + _BYTES_PER_PROXY * proxies)


class _Broken(Exception):
    """The first invalid item. Not a ValidationError, of which pydantic would collect all first."""


def _or_stop(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        raise _Broken(error.errors(include_url=False, include_input=False, include_context=False)[0]["type"]) from None


def _few_servers(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > _SERVERS:
        raise ValueError("too many servers")
    return value


def _zero(value: object) -> object:
    return 0 if value is None else value


_Server = Annotated[StrictStr, Field(pattern=f"^{DNS_LABEL}$")]
_Word = Annotated[StrictStr, Field(pattern=r"^[a-z]{1,32}$")]


class ReportedEntryRejection(ReportPart):
    """An entry that the replica rejected."""

    digest: ReportedDigest
    reason: ReasonWord
    message: Line = ""


class ReportedDiscovery(ReportPart):
    """The last check whether OAuth clients find a server's authorization server."""

    reason: ReasonWord
    message: Line = ""


class ReportedCapture(ReportPart):
    """A debug capture that goes on, until this time in epoch milliseconds."""

    until: Annotated[StrictInt, Field(ge=0, lt=2**43)]


class ReportedSlip(ReportPart):
    """A name in a policy's rule that is not in a server's list, and the nearest one that is."""

    policy: ReportedIdentity
    rule: ShortName
    primitive: _Word
    name: ShortName
    nearest: ShortName = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Its position in the policy."""
        return self.rule, self.primitive, self.name


class Offers(ReportPart):
    """The completely known lists of a proxy, and the names in rules that are not in them.

    ``cut`` is set where there may be more such names.
    """

    known: Annotated[tuple[_Word, ...], Field(max_length=_SLIPS)] = ()
    slips: Annotated[tuple[ReportedSlip, ...], Field(max_length=_SLIPS)] = ()
    cut: StrictBool = False


class ReportedDefinitions(ReportPart):
    """What a replica saw of pinned definitions: whether any, and how many drifted.

    ``digest`` changes with what drifted.
    """

    seen: StrictBool = False
    drifted: SmallNumber = 0
    digest: ReportedDigest | None = None


class ReportedEntry(ReportPart):
    """The entry of one proxy: its active and rejected digests, servers by name, and offers.

    ``auth_discovery`` is set where the proxy's server authenticates callers itself, and ``debug_capture`` while its
    exchanges are captured.
    """

    active: ReportedDigest | None = None
    rejected: ReportedEntryRejection | None = None
    servers: Annotated[dict[_Server, ReportedServer], BeforeValidator(_few_servers)] = Field(default_factory=dict)
    offers: Offers | None = None
    auth_discovery: Annotated[ReportedDiscovery | None, Field(alias="authDiscovery")] = None
    debug_capture: Annotated[ReportedCapture | None, Field(alias="debugCapture")] = None
    definitions: ReportedDefinitions | None = None


class ReportedConfigRejection(ReportPart):
    """A config that the replica rejected or has not yet loaded. Its revision may be unknown."""

    revision: StrictInt | None = None
    reason: ReasonWord
    message: Line = ""


class ReportedCheckpoint(ReportPart):
    """The last checkpoint of a replica's audit trail: its record, and the key that signed it."""

    chain: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$")]
    seq: Annotated[StrictInt, Field(ge=1, lt=10**16)]
    hash: ReportedDigest
    key: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
    closing: StrictBool = False


class ReportedAudit(ReportPart):
    """The audit trail of a replica: its last checkpoint, and the gateway's public keys.

    A replica with several workers has a trail of each: ``checkpoints`` are those of all.
    """

    checkpoint: ReportedCheckpoint | None = None
    checkpoints: Annotated[tuple[ReportedCheckpoint, ...], Field(max_length=_WORKERS)] = ()
    public_keys: Annotated[
        tuple[Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_-]{43}$")], ...],
        Field(max_length=8, alias="publicKeys"),
    ] = ()

    @property
    def trails(self) -> tuple[ReportedCheckpoint, ...]:
        """The last checkpoint of each trail."""
        return self.checkpoints or (() if self.checkpoint is None else (self.checkpoint,))


class ReportedSink(ReportPart):
    """A sink of a replica's audit trail: why it cannot be written now, if so."""

    fault: Line | None = None


class ReportedTrail(ReportPart):
    """Whether a replica can write audit records, and its sinks."""

    fault: Line | None = None
    sinks: Annotated[tuple[ReportedSink, ...], Field(max_length=_SINKS)] = ()


class ReportedStore(ReportPart):
    """The state of the store of limits, as one replica knows it."""

    reason: ReasonWord


class ReportedExport(ReportPart):
    """The export of one signal: whether it has failed for some time."""

    failing: StrictBool = False


class Report(ReportPart):
    """The report of one replica. Without a config it knows no gateway, and has revision 0."""

    gateway: ReportedIdentity | None
    revision: Annotated[StrictInt, Field(ge=0, lt=2**63), BeforeValidator(_zero)]
    replica: Annotated[Line, Field(min_length=1)]
    entries: Annotated[
        dict[ReportedIdentity, Annotated[ReportedEntry, WrapValidator(_or_stop)]], Field(max_length=_ENTRIES)
    ]
    rejected: ReportedConfigRejection | None = None
    incomplete: ReportedConfigRejection | None = None
    """A config that waits for a document that it names."""
    limit_store: Annotated[ReportedStore | None, Field(alias="limitStore")] = None
    """The store that the replica counts in; None where it counts by itself."""
    missing_workers: Annotated[tuple[SmallNumber, ...], Field(max_length=_WORKERS, alias="missingWorkers")] = ()
    """The workers of the replica that do not answer: what the report says of them is what they said last."""
    telemetry: Annotated[dict[_Word, ReportedExport], Field(max_length=_SIGNALS)] = Field(default_factory=dict)
    """By signal (``traces``, ``metrics``): whether it reaches the collector. It lacks what is not exported."""
    misplaced_keys: Annotated[list[Line], Field(max_length=_MISPLACED, alias="misplacedKeys")] = Field(
        default_factory=list
    )
    """The files with the name of a key in the config's directory, where no key belongs."""

    audit: ReportedAudit | None = None
    """The audit trail; None where there is none."""
    audit_trail: Annotated[ReportedTrail | None, Field(alias="auditTrail")] = None
    """The state of its sinks."""

    @property
    def runs_nothing(self) -> bool:
        """Whether the replica has no config at all."""
        return self.revision == 0 and not self.entries


def parse_report(body: bytes, *, gateway: str) -> Report:
    """Parse a report.

    Raises:
        ReportError: it is no report, or one of another gateway; the message quotes nothing of it.
    """
    try:
        report = Report.model_validate_json(body)
    except _Broken as error:
        raise ReportError(f"its answer is no report: entries: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"][:1]) or "the document"
        raise ReportError(f"its answer is no report: {where}: {first['type']}") from None
    if report.gateway != gateway and not (report.gateway is None and report.runs_nothing):
        raise ReportError("it answers for another gateway")
    return report
