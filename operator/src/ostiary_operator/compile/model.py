"""The input and the output of the compiler, as plain frozen data.

Custom resources enter as Kubernetes objects (dicts), since the compiler validates them. Of everything else its reader
passes only what the compiler needs: in particular, no Secret but a CA bundle ever enters, and of API keys only digests.
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, ParamSpec

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_operator.api import labels
from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.reasons import ReadyReason, Reason
from ostiary_operator.api.server_kinds import BUILT_IN, ServerKind
from ostiary_operator.compile.foreign_servers import FoundGrants, FoundServers
from ostiary_operator.compile.policy_test_runner import PolicyTestResult


class ObjectKey(NamedTuple):
    """Names one custom resource: kind is ``MCPProxy``, ``MCPPolicy`` or ``MCPLock``."""

    kind: str
    namespace: str
    name: str


class ReferenceKey(NamedTuple):
    """Names one ConfigMap or Secret that a resource refers to."""

    kind: str
    namespace: str
    name: str


class Missing(enum.Enum):
    """Why a referenced object could not be read."""

    NOT_FOUND = "not found"
    FORBIDDEN = "the operator has no right to read it"
    NOT_LABELLED = f"it lacks the label {labels.USAGE}"
    API_KEYS = "it holds API keys of callers"


@dataclass(frozen=True, slots=True)
class ApiKeySecret:
    """A Secret with API keys, without the keys.

    ``digests`` are (data key, SHA-256 in hexadecimal) of the usable keys. ``consumer`` is the name in the Secret's
    namespace, ``expires_at`` is in epoch seconds. ``defects`` say what cannot be used, as "problem; remedy".
    """

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    digests: tuple[tuple[str, str], ...] = ()
    consumer: str = ""
    groups: tuple[str, ...] = ()
    expires_at: int | None = None
    defects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CredentialSecret:
    """What the compiler may know of a Secret with credentials, which is no value.

    ``hosts`` are those that its values may be sent to.
    ``names`` maps a key of its data to the name in the gateway's Secret, ``defects`` to why it is unusable.
    """

    uid: str
    names: Mapping[str, str] = field(default_factory=dict)
    defects: Mapping[str, str] = field(default_factory=dict)
    hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Service:
    """The part of a Service that determines where a server is.

    ``external_name`` is the target of a Service of type ExternalName. ``ports`` are its port numbers; None where any
    is valid. ``port_names`` are the (number, name) of those whose endpoints its EndpointSlices list; the name may be
    empty. ``has_selector`` means that Kubernetes itself sets its endpoints, from Pods of its namespace;
    ``foreign_slices`` names its EndpointSlices that Kubernetes did not create.
    """

    external_name: str | None = None
    ports: frozenset[int] | None = None
    port_names: tuple[tuple[int, str], ...] = ()
    has_selector: bool = True
    foreign_slices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NamespaceServices:
    """The known Services of one namespace.

    ``complete`` is False where there may be others, as with files that do not contain a whole namespace.
    ``slices_readable`` is False where the operator has no right to list their EndpointSlices.
    """

    services: Mapping[str, Service] = field(default_factory=dict)
    complete: bool = True
    slices_readable: bool = True


@dataclass(frozen=True, slots=True)
class DiscoveredGateway:
    """A discovered gateway: a Service with the label ``ostiary.dev/gateway``, and its settings.

    ``settings`` is the text of the ConfigMap's ``settings.yaml``, or None where there is no ConfigMap; None with a
    ``settings_problem`` where there is one without that key. ``created`` is the Service's creationTimestamp: of two
    Services that claim one name the older is the gateway. ``port`` is the Service's, for URLs where the settings name
    no externalURL.
    """

    namespace: str
    name: str
    service: str
    uid: str
    created: str
    settings: str | None = None
    settings_problem: str = ""
    port: int = 80

    @property
    def identity(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything that one compilation reads.

    ``namespaces`` maps each known namespace to its labels. ``references`` maps each referenced ConfigMap or Secret to
    its data, or to why it is not available; :func:`ostiary_operator.compile.references.wanted` lists them.
    ``credentials`` maps each Secret with credentials to what the compiler may know of it, which is no value;
    :func:`ostiary_operator.compile.references.wanted_credentials` lists them.
    ``services`` maps each namespace with proxies to its Services; of a namespace that is not in it nothing is known.
    ``api_servers`` are the addresses behind the Service ``kubernetes``, sorted. ``api_keys`` maps each namespace with a
    policy that selects API keys to its Secrets with such keys, or to why they are not available;
    :func:`ostiary_operator.compile.authentication_methods.namespaces_with_api_keys` lists those namespaces.
    ``servers`` are those of other operators, of the kinds ``server_kinds``, and ``reference_grants`` say who may refer
    to them from other namespaces; :func:`ostiary_operator.compile.server_references.wanted_servers` lists them.
    """

    operator_namespace: str
    proxies: Sequence[Mapping[str, Any]] = ()
    policies: Sequence[Mapping[str, Any]] = ()
    locks: Sequence[Mapping[str, Any]] = ()
    gateways: Sequence[DiscoveredGateway] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    references: Mapping[ReferenceKey, Mapping[str, str] | Missing] = field(default_factory=dict)
    credentials: Mapping[ReferenceKey, CredentialSecret | Missing] = field(default_factory=dict)
    services: Mapping[str, NamespaceServices] = field(default_factory=dict)
    api_servers: tuple[str, ...] = ()
    api_keys: Mapping[str, tuple[ApiKeySecret, ...] | Missing] = field(default_factory=dict)
    servers: FoundServers = field(default_factory=dict)
    reference_grants: FoundGrants = field(default_factory=dict)
    server_kinds: Sequence[ServerKind] = BUILT_IN


@dataclass(frozen=True, slots=True)
class ConditionDraft:
    """A condition without transition time, which the status publisher adds.

    ``status`` is True, False or Unknown.
    """

    type: str
    status: str
    reason: str
    message: str


def ready(conditions: Sequence[ConditionDraft]) -> ConditionDraft:
    """Summarize the other conditions: the first that is False, else Unknown, else True."""
    for value in (ConditionStatus.FALSE, ConditionStatus.UNKNOWN):
        for each in conditions:
            if each.status == value:
                return ConditionDraft(ConditionType.READY, value, each.reason, f"{each.type}: {each.message}")
    return ConditionDraft(ConditionType.READY, ConditionStatus.TRUE, ReadyReason.READY, ReadyReason.READY.meaning)


class Omission(NamedTuple):
    """What a resource refers to and no gateway can express; ``field`` is that of the reference."""

    field: str
    words: str


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """A resource's status without Programmed and Ready, which depend on the replicas.

    ``conditions`` are summarized in Ready, ``aside`` are not.
    ``expected`` maps each gateway that must serve this resource to what its replicas must report: for a proxy the
    digest of its entry; for a policy the digests of all entries with this policy, by proxy. ``serves_last_accepted`` is
    set where the newest version was not accepted and the last accepted one is served.
    ``too_large`` is set where the namespace exceeds its budget, so that the newest version is not in the config.
    """

    key: ObjectKey
    uid: str
    generation: int
    conditions: tuple[ConditionDraft, ...]
    aside: tuple[ConditionDraft, ...] = ()
    urls: tuple[tuple[str, str, str], ...] = ()
    """(gateway identity, hostname or empty, endpoint) for a proxy; the first is ``status.url``."""
    related: tuple[tuple[str, str], ...] = ()
    """(namespace, name): the policies of a proxy, or the targets of a policy."""
    expected: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Gateway identity -> {proxy identity: entry digest}."""
    servers: tuple[tuple[str, str], ...] = ()
    """(name, URL) of the servers of a proxy, in the order of the spec."""
    observed_servers: tuple[str, ...] = ()
    """The servers of a proxy whose endpoints gateways observe."""
    serves_last_accepted: bool = False
    too_large: bool = False
    tests: tuple[PolicyTestResult, ...] = ()
    """The results of the tests in a policy."""
    counts_in: tuple[str, ...] = ()
    """The identities of the gateways that count the limits of a policy in a store."""
    is_audited: bool = False
    """Whether a policy demands audit records."""
    omissions: tuple[Omission, ...] = ()
    """What a proxy refers to and is left out."""
    is_pinned: bool = False
    """Whether definitions of a proxy, or of the proxy of a lock, are pinned."""
    locked_server: str = ""
    """The server that a lock is for."""
    definitions: int | None = None
    """How many definitions a lock approves."""
    unobserved: tuple[Omission, ...] = ()
    """The Services whose Pods gateways cannot observe although the proxy asks for it, and why."""


@dataclass(frozen=True, slots=True)
class GatewayProblem:
    """A problem with a gateway's settings: the last good ones stay, or it gets no config."""

    gateway: str
    message: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """The outcome of one compilation."""

    configs: Mapping[str, GatewayConfig]
    statuses: Mapping[ObjectKey, ResourceStatus]
    problems: tuple[GatewayProblem, ...] = ()


P = ParamSpec("P")


class ResourceRejection(NamedTuple):
    """Why a resource is not accepted: a reason, and a message with object, field and remedy."""

    reason: Reason
    message: str


def first_rejection(
    checks: Iterable[Callable[P, ResourceRejection | None]], *args: P.args, **kwargs: P.kwargs
) -> ResourceRejection | None:
    """Run checks in order, each of which may return a rejection; return the first one."""
    for check in checks:
        rejection = check(*args, **kwargs)
        if rejection is not None:
            return rejection
    return None
