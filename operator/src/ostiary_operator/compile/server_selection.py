"""Compiles how a proxy uses several servers, and how long gateways keep their lists."""

from typing import Final, Literal

from ostiary_core.contract.server_selection import (
    InstructionsConfig,
    ListCacheConfig,
    RoutingRuleConfig,
    ServerSelectionName,
)
from ostiary_operator.api.durations import Duration
from ostiary_operator.api.proxy import ProxySpec
from ostiary_operator.api.server_selection import ServerFailure

#: What `catalogue.cacheTTL` and `catalogue.staleIfError` are where they are absent and lists are kept.
_CACHE_TTL: Final = Duration.parse("1m")
_STALE_IF_ERROR: Final = Duration.parse("10m")
_NONE: Final = Duration.parse("0s")


def selection_config(spec: ProxySpec) -> ServerSelectionName | None:
    """Return how several servers are used; None for one server."""
    return spec.server_selection.value if spec.server_selection is not None else None


def failure_config(spec: ProxySpec) -> Literal["Refuse"] | None:
    """Return whether lists are refused while a server fails; None where they are not."""
    return "Refuse" if spec.on_server_failure is ServerFailure.REFUSE else None


def instructions_config(spec: ProxySpec) -> InstructionsConfig | None:
    """Return the instructions that clients get; None where they are those of the servers."""
    found = spec.instructions
    return InstructionsConfig(mode=found.mode.value, text=found.text) if found is not None else None


def routing_configs(spec: ProxySpec) -> list[RoutingRuleConfig] | None:
    """Return the rules that choose a server, in their order; None without any."""
    if spec.routing is None:
        return None
    return [RoutingRuleConfig(name=rule.name, when=rule.when, servers=list(rule.servers)) for rule in spec.routing]


def list_cache_config(spec: ProxySpec) -> ListCacheConfig | None:
    """Return how long lists are kept; None where none are.

    They are where servers are merged, and where a user says how long.
    """
    catalogue = spec.catalogue
    ttl = catalogue.cache_ttl if catalogue is not None else None
    stale = catalogue.stale_if_error if catalogue is not None else None
    if ttl is None and stale is None and not spec.is_merged:
        return None
    if ttl is None:
        ttl = _CACHE_TTL if spec.is_merged else _NONE
    return ListCacheConfig(
        ttl=ttl.milliseconds, stale_if_error=(stale if stale is not None else _STALE_IF_ERROR).milliseconds
    )
