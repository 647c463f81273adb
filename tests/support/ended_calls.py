"""Calls that have ended, as the record stage tells them to the evidence, and the config that they are of."""

from dataclasses import dataclass, field
from typing import cast

from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.evidence.call_ring import CallDetails, PlainCall

#: The beginning of a quarter of an hour, and of a half day, in epoch milliseconds.
NOW = 1_790_000_000_000 - 1_790_000_000_000 % 43_200_000


def ended_call(
    *,
    at: int = NOW,
    proxy: str = "tools/crm",
    method: str = "tools/call",
    tool: str = "",
    seconds: float = 0.004,
    upstream_seconds: float = 0.003,
    error_type: str = "",
    status: int = 200,
    outcome: CallOutcome = CallOutcome.OK,
    principal: str = "tools/agent",
    details: CallDetails | None = None,
) -> PlainCall:
    """A call; by default one that went well and names nothing."""
    labels = (method, proxy, tool, "", "", error_type, "", status, "up", "", "", "", "", "", "")
    return (at, seconds, upstream_seconds, labels, tool, principal, outcome, "", details)


@dataclass
class ServedProxy:
    """What the evidence needs to know of a proxy."""

    identity: str

    @property
    def uid(self) -> str:
        return f"uid-{self.identity}"


@dataclass
class EvidenceSettings:
    evidence_recording: str | None = None


@dataclass
class ServedConfig:
    """What the evidence needs to know of a config."""

    proxies: dict[str, ServedProxy] = field(default_factory=dict)
    settings: EvidenceSettings = field(default_factory=EvidenceSettings)


def serving_proxies(*identities: str, recording: str | None = None) -> Snapshot:
    """A config with these proxies."""
    proxies = {identity: ServedProxy(identity) for identity in identities}
    return cast("Snapshot", ServedConfig(proxies, EvidenceSettings(recording)))


def uid_of(proxy: str) -> str:
    """The uid of a proxy of :func:`serving_proxies`."""
    return ServedProxy(proxy).uid
