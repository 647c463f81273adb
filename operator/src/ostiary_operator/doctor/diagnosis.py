"""The types of ``ostiary doctor``.

They are a check, its result, the options, and what earlier checks found.
"""

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_core.contract.manifest import Manifest
from ostiary_operator.api.labels import OPERATOR_NAMESPACE
from ostiary_operator.api.objects import Object
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.delivery.secret import Keys
from ostiary_operator.kube.read_only_client import ReadOnlyClient
from ostiary_operator.status.replicas import Replica

DEFAULT_PATIENCE: Final = 10.0


class CheckState(enum.StrEnum):
    """The state of a link."""

    OK = "ok"
    WARNING = "warning"
    """It works, but something should be corrected or known."""
    UNKNOWN = "unknown"
    """It could not be checked: a right or a network path is missing."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check: its state, a sentence, and the remedy if there is something to do.

    A line of the remedy that begins with a space is a command, and is not wrapped.
    """

    state: CheckState
    detail: str
    remedy: str = ""


def ok(detail: str) -> CheckResult:
    """Return the result that a link works."""
    return CheckResult(CheckState.OK, detail)


def warning(detail: str, remedy: str) -> CheckResult:
    """Return the result that a link works, with a warning."""
    return CheckResult(CheckState.WARNING, detail, remedy)


def unknown(detail: str, remedy: str = "") -> CheckResult:
    """Return the result that a link could not be checked."""
    return CheckResult(CheckState.UNKNOWN, detail, remedy)


def broken(detail: str, remedy: str) -> CheckResult:
    """Return the result that a link is broken."""
    return CheckResult(CheckState.BROKEN, detail, remedy)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the checks.

    ``gateway_replicas`` are admin URLs by gateway, for use where the addresses of EndpointSlices cannot be reached;
    ``operator_url`` is the URL of the operator's admin port. ``via`` is a base URL to connect to in place of the
    published one, such as a forwarded port. ``bearer`` is a token for the endpoint. ``patience`` is the time in seconds
    to wait for a change that is in progress.
    """

    operator_namespace: str = OPERATOR_NAMESPACE
    gateway_replicas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    operator_url: str | None = None
    via: str | None = None
    bearer: str | None = field(default=None, repr=False)
    inside: bool = False
    """Whether we run in the cluster: elsewhere a Pod's address may belong to another host, which must get no bearer."""
    patience: float = DEFAULT_PATIENCE


@dataclass(frozen=True, slots=True)
class Config:
    """The delivered config of one gateway. ``keys`` are None if its Secret may not be read."""

    manifest: Manifest
    keys: Keys | None = field(default=None, repr=False)


@dataclass(slots=True)
class Case:
    """The checked MCPProxy, if any, and what earlier checks found for later ones."""

    cluster: ReadOnlyClient
    options: Options
    namespace: str
    name: str = ""
    proxy: Object = field(default_factory=dict)
    gateways: tuple[DiscoveredGateway, ...] = ()
    configs: dict[str, Config] = field(default_factory=dict)
    """By gateway; only those that may be read."""
    replicas: dict[str, tuple[Replica, ...]] = field(default_factory=dict)
    response: Any = None
    """The last response of the endpoint."""

    @property
    def identity(self) -> str:
        """``namespace/name`` of the MCPProxy."""
        return f"{self.namespace}/{self.name}"

    @property
    def status(self) -> Mapping[str, Any]:
        """The status of the MCPProxy."""
        found: Mapping[str, Any] = self.proxy.get("status") or {}
        return found

    @property
    def elsewhere(self) -> str:
        """The namespace of its gateways, if neither its own nor the operator's; else empty."""
        named = {str(each.get("namespace")) for each in self.status.get("gateways") or ()} - {self.namespace}
        return min(named) if named and self.options.operator_namespace not in named else ""


CheckFunction = Callable[[Case], Awaitable[CheckResult]]


@dataclass(frozen=True, slots=True)
class Check:
    """One link of the chain: its name, and the function that checks it."""

    name: str
    run: CheckFunction
