"""What a doctor finds at one link, and what he knows of the case so far."""

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_core.contract.manifest import Manifest
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.delivery.secret import Keys
from ostiary_operator.kube.client import Object
from ostiary_operator.kube.visit import ReadOnlyClient
from ostiary_operator.status.replicas import Replica

DEFAULT_PATIENCE: Final = 10.0


class CheckState(enum.StrEnum):
    """How a link is."""

    OK = "ok"
    WARNING = "warning"
    """It holds, and something about it should be known."""
    UNKNOWN = "unknown"
    """It could not be looked at, for want of a right or of a way."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was found: a sentence, and what to do where something is to be done.

    A line of the remedy that begins with a space is a command, and is shown as it is.
    """

    state: CheckState
    detail: str
    remedy: str = ""


def ok(detail: str) -> CheckResult:
    """Return that a link holds."""
    return CheckResult(CheckState.OK, detail)


def warning(detail: str, remedy: str) -> CheckResult:
    """Return that a link holds, with something to know."""
    return CheckResult(CheckState.WARNING, detail, remedy)


def unknown(detail: str, remedy: str = "") -> CheckResult:
    """Return that a link could not be looked at, and what would help."""
    return CheckResult(CheckState.UNKNOWN, detail, remedy)


def broken(detail: str, remedy: str) -> CheckResult:
    """Return that a link is broken, and the remedy."""
    return CheckResult(CheckState.BROKEN, detail, remedy)


@dataclass(frozen=True, slots=True)
class Options:
    """How to look.

    ``gateway_replicas`` are admin URLs by gateway, where EndpointSlices lead nowhere from here; ``operator_url`` is
    that of the operator's admin port. ``via`` is a base URL to connect to in place of the published one, such as a
    forwarded port. ``bearer`` is a token for the door. ``patience`` is in seconds: how long something that is on its
    way is waited for.
    """

    operator_namespace: str = "ostiary-system"
    gateway_replicas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    operator_url: str | None = None
    via: str | None = None
    bearer: str | None = field(default=None, repr=False)
    inside: bool = False
    """Whether the addresses of Pods are Pods: elsewhere they may be anybody's, and no bearer is sent there."""
    patience: float = DEFAULT_PATIENCE


@dataclass(frozen=True, slots=True)
class Config:
    """The config of one gateway as it lies in the cluster. ``keys`` are None where its Secret may not be read."""

    manifest: Manifest
    keys: Keys | None = field(default=None, repr=False)


@dataclass(slots=True)
class Case:
    """One MCPProxy, or an installation without any, and what earlier links found out for later ones."""

    cluster: ReadOnlyClient
    options: Options
    namespace: str
    name: str = ""
    proxy: Object = field(default_factory=dict)
    gateways: tuple[DiscoveredGateway, ...] = ()
    configs: dict[str, Config] = field(default_factory=dict)
    """By gateway, as far as it may be read."""
    replicas: dict[str, tuple[Replica, ...]] = field(default_factory=dict)
    answer: Any = None
    """What the door answered."""

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
        """Where its gateways are by its status, if that is neither its namespace nor where we look for the operator."""
        named = {str(each.get("namespace")) for each in self.status.get("gateways") or ()} - {self.namespace}
        return min(named) if named and self.options.operator_namespace not in named else ""


CheckFunction = Callable[[Case], Awaitable[CheckResult]]


@dataclass(frozen=True, slots=True)
class Check:
    """One link of the chain: its name and how it is looked at."""

    name: str
    check: CheckFunction
