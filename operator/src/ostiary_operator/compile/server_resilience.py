"""Compiles what gateways do when a server fails, with all defaults written out.

A server that is reached at one place gets what its owner wrote and nothing else, so that its entry is the same document
as before. One that is reached at several places is checked by its callers' requests, and what failed is sent again.
"""

from ostiary_core.contract.server_resilience import (
    ActiveHealthCheckConfig,
    CircuitBreakerConfig,
    EndpointConfig,
    HealthCheckConfig,
    LoadBalancerName,
    PassiveHealthCheckConfig,
    RetriedToolsConfig,
    RetryBudgetConfig,
    RetryConfig,
)
from ostiary_operator.api.server_places import BalancingType
from ostiary_operator.api.server_resilience import (
    ActiveHealthCheckSettings,
    PassiveHealthCheckSettings,
    RepeatableTools,
    RetryBudgetSettings,
    RetrySettings,
)
from ostiary_operator.api.servers import Server


def endpoint_configs(server: Server) -> list[EndpointConfig] | None:
    """Return the places that a server lists."""
    if server.endpoints is None:
        return None
    return [EndpointConfig(address=each.address, port=each.port, zone=each.zone) for each in server.endpoints]


def load_balancer_name(server: Server) -> LoadBalancerName | None:
    """Return how one of several endpoints is chosen; None is by their open requests."""
    choice = server.load_balancer
    return "RoundRobin" if choice is not None and choice.type is BalancingType.ROUND_ROBIN else None


def health_check_config(server: Server) -> HealthCheckConfig | None:
    """Return how endpoints are checked: by the requests of callers, unless that is turned off."""
    settings = server.health_check
    passive = _passive(settings.passive if settings is not None else None)
    active = _active(settings.active) if settings is not None and settings.active is not None else None
    return HealthCheckConfig(passive=passive, active=active) if passive is not None or active is not None else None


def _passive(given: PassiveHealthCheckSettings | None) -> PassiveHealthCheckConfig | None:
    settings = given or PassiveHealthCheckSettings()
    if settings.max_ejection_percent == 0:
        return None
    return PassiveHealthCheckConfig(
        consecutive_gateway_errors=settings.consecutive_gateway_errors,
        base_ejection_time=settings.base_ejection_time.milliseconds,
        max_ejection_percent=settings.max_ejection_percent,
    )


def _active(settings: ActiveHealthCheckSettings) -> ActiveHealthCheckConfig:
    return ActiveHealthCheckConfig(
        interval=settings.interval.milliseconds,
        timeout=settings.timeout.milliseconds,
        unhealthy_threshold=settings.unhealthy_threshold,
    )


def retry_config(server: Server, *, has_several_places: bool) -> RetryConfig | None:
    """Return what is sent again; None is nothing beyond what every request is."""
    if server.retry is None and not has_several_places:
        return None
    settings = server.retry or RetrySettings()
    budget = settings.budget or RetryBudgetSettings()
    return RetryConfig(
        attempts=settings.attempts,
        backoff=settings.backoff.milliseconds,
        budget=RetryBudgetConfig(percent=budget.percent, interval=budget.interval.milliseconds),
        tools=_tools(settings.tools) if settings.tools is not None else None,
    )


def _tools(tools: RepeatableTools) -> RetriedToolsConfig:
    return RetriedToolsConfig(
        hints=[each.value for each in tools.hints] if tools.hints is not None else None,
        names=list(tools.names) if tools.names is not None else None,
    )


def circuit_breaker_config(server: Server) -> CircuitBreakerConfig | None:
    """Return when the server gets no requests; None is never."""
    settings = server.circuit_breaker
    if settings is None:
        return None
    return CircuitBreakerConfig(
        error_percent=settings.error_percent,
        minimum_requests=settings.minimum_requests,
        interval=settings.interval.milliseconds,
        open_for=settings.open_for.milliseconds,
    )
