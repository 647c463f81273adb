"""What is audited, as documents say it: in a policy, and for a whole gateway.

The highest of all that applies to a proxy counts, member by member: :func:`highest`.
"""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from pydantic import Field

from ostiary_core.contract.base import ContractDocument, Positive

AuditLevel: TypeAlias = Literal["None", "Metadata", "Request", "RequestResponse"]
AuditContent: TypeAlias = Literal["None", "Digest", "Redacted", "Full"]
AuditStage: TypeAlias = Literal["RequestReceived", "ResponseComplete"]
AuditFailure: TypeAlias = Literal["Ignore", "Fail"]

#: From the lowest to the highest.
LEVELS: Final[tuple[AuditLevel, ...]] = ("None", "Metadata", "Request", "RequestResponse")
CONTENTS: Final[tuple[AuditContent, ...]] = ("None", "Digest", "Redacted", "Full")
STAGES: Final[tuple[AuditStage, ...]] = ("RequestReceived", "ResponseComplete")
#: What is recorded of arguments and of results where nothing else is said, by level.
_DEFAULT_CONTENTS: Final[dict[AuditLevel, tuple[AuditContent, AuditContent]]] = {
    "None": ("None", "None"),
    "Metadata": ("None", "None"),
    "Request": ("Redacted", "None"),
    "RequestResponse": ("Redacted", "Redacted"),
}
#: Bytes of arguments, and of a result, that a record shows at most where nothing else is said.
DEFAULT_CONTENT_BYTES: Final = 4096
#: A record is one line of less than 16 KiB, which runtimes of containers do not split.
MOST_CONTENT_BYTES: Final = 6144


class AuditConfig(ContractDocument):
    """What is recorded of each request, and what happens where it cannot be recorded.

    ``max_bytes`` are of the arguments, and again of the result. Without ``stages`` a request with effects has both, and
    another one only ResponseComplete.
    """

    level: AuditLevel
    arguments: AuditContent | None = None
    results: AuditContent | None = None
    max_bytes: Positive | None = None
    stages: list[AuditStage] | None = None
    failure_policy: AuditFailure | None = None

    @property
    def contents(self) -> tuple[AuditContent, AuditContent]:
        """What is recorded of arguments and of results."""
        arguments, results = _DEFAULT_CONTENTS[self.level]
        return self.arguments or arguments, self.results or results

    @property
    def fails(self) -> bool:
        """Whether a request is refused that cannot be recorded."""
        return self.failure_policy == "Fail"


class AuditFileConfig(ContractDocument):
    """A file with one record a line.

    It is renamed once it has ``max_bytes``, and ``max_files`` of them are kept. ``syncs``: each batch is written to the
    disk before it counts as written.
    """

    path: str
    max_bytes: Positive
    max_files: Positive
    syncs: bool = False


class AuditWebhookConfig(ContractDocument):
    """A receiver of lines of JSON.

    ``credential`` is the name of an entry of the gateway's Secret, sent as a bearer token. ``ca`` is a CA bundle as
    PEM, None for the system's. ``timeout`` is in milliseconds.
    """

    url: str
    credential: str | None = None
    ca: str | None = None
    timeout: Positive


class AuditSinkConfig(ContractDocument):
    """Where records go: exactly one member is set."""

    stdout: Literal[True] | None = None
    file: AuditFileConfig | None = None
    webhook: AuditWebhookConfig | None = None
    otlp: Literal[True] | None = None


class AuditRedactionConfig(ContractDocument):
    """What else is a secret: keys of objects, and RE2 expressions."""

    keys: list[str] = Field(default_factory=list)
    patterns: list[str] = Field(default_factory=list)


class GatewayAuditConfig(ContractDocument):
    """The audit of a gateway: the floor for all of its proxies, and where records go.

    ``checkpoint`` is the interval of signed checkpoints in milliseconds.
    """

    floor: AuditConfig | None = None
    sinks: list[AuditSinkConfig] | None = None
    checkpoint: Positive | None = None
    redact: AuditRedactionConfig | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The entries of the gateway's Secret that its sinks need."""
        webhooks = (sink.webhook for sink in self.sinks or ())
        return tuple(each.credential for each in webhooks if each is not None and each.credential is not None)


def level_rank(level: AuditLevel) -> int:
    """Return the position of a level; a higher one records more."""
    return LEVELS.index(level)


def highest(configs: Iterable[AuditConfig]) -> AuditConfig | None:
    """Return what applies where all of these do: of each member, what records more.

    None where nothing is recorded.
    """
    found = [config for config in configs if config.level != "None"]
    if not found:
        return None
    contents = [config.contents for config in found]
    stages = {stage for config in found for stage in config.stages or ("ResponseComplete",)}
    return AuditConfig(
        level=max((config.level for config in found), key=LEVELS.index),
        arguments=max((arguments for arguments, _ in contents), key=CONTENTS.index),
        results=max((results for _, results in contents), key=CONTENTS.index),
        max_bytes=max(config.max_bytes or DEFAULT_CONTENT_BYTES for config in found),
        # Without stages a request that may have effects has both: so do all where one wants the first of all.
        stages=None if any(config.stages is None for config in found) and len(stages) < 2 else sorted(stages),
        failure_policy="Fail" if any(config.fails for config in found) else "Ignore",
    )
