"""Where a server is reached, and what a gateway does when it fails, as parts of an entry.

The members are absent of a server that is reached at one place and sets nothing of this, so that such an entry is the
same document as before. Defaults are the compiler's: what stands here is in force as it stands.
"""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from ostiary_core.contract.base import ContractDocument, Count, Positive

LoadBalancerName: TypeAlias = Literal["RoundRobin"]
ToolHintName: TypeAlias = Literal["readOnlyHint", "idempotentHint"]

#: Endpoints of one server that a user may write down. Those that are discovered have a bound of their own.
MOST_ENDPOINTS: Final = 64
#: Patterns of names of tools that may be repeated.
MOST_RETRIED_NAMES: Final = 128
#: Attempts after the first one.
MOST_RETRIES: Final = 10

Port: TypeAlias = Annotated[int, Field(gt=0, le=65535)]
Percent: TypeAlias = Annotated[int, Field(ge=0, le=100)]


class EndpointConfig(ContractDocument):
    """One place where a server is reached: an IP address or a host name, and a port.

    ``zone`` is the topology zone of it, None where it is not known.
    """

    address: str
    port: Port
    zone: str | None = None


class DiscoveryConfig(ContractDocument):
    """The Service whose EndpointSlices say where a server is reached.

    ``port`` is the number of the Service's port. Slices name ports by ``port_name``, which is empty where the Service
    has one port without a name. ``managed``: only slices that Kubernetes' own controller made count, so that no user
    of the namespace leads the server elsewhere by a slice written by hand.
    """

    namespace: str
    service: str
    port: Port
    port_name: str
    managed: bool


class PassiveHealthCheckConfig(ContractDocument):
    """When an endpoint gets no requests for a time, by the outcome of requests of callers.

    That is after ``consecutive_gateway_errors``: failed connects, resets, missing heads, 502 to 504. The first time
    lasts ``base_ejection_time`` milliseconds, each further one longer. At most ``max_ejection_percent`` of a server's
    endpoints are ejected at a time; 0 ejects none.
    """

    consecutive_gateway_errors: Positive
    base_ejection_time: Positive
    max_ejection_percent: Percent


class ActiveHealthCheckConfig(ContractDocument):
    """Requests of the gateway's own that find out whether an endpoint responds.

    One is sent every ``interval`` milliseconds and may take ``timeout`` milliseconds. After ``unhealthy_threshold``
    failures in a row the endpoint gets no requests until one succeeds.
    """

    interval: Positive
    timeout: Positive
    unhealthy_threshold: Positive


class HealthCheckConfig(ContractDocument):
    """How a gateway finds out which endpoints of a server work; None does not."""

    passive: PassiveHealthCheckConfig | None = None
    active: ActiveHealthCheckConfig | None = None


class RetryBudgetConfig(ContractDocument):
    """How many retries a server gets: ``percent`` of its requests in ``interval`` milliseconds."""

    percent: Percent
    interval: Positive


class RetriedToolsConfig(ContractDocument):
    """The tools whose calls may be sent again once they were sent: those of either member.

    ``hints``: any of these annotations, which the server's own list of tools gives. ``names``: the server's own names,
    with ``*`` for any run of characters.
    """

    hints: list[ToolHintName] | None = None
    names: list[str] | None = Field(default=None, max_length=MOST_RETRIED_NAMES)


class RetryConfig(ContractDocument):
    """How often a request that failed is sent again.

    ``attempts`` are those after the first; 0 turns retries off. ``backoff`` is in milliseconds: the first pause, which
    doubles. ``budget`` None sets no bound. ``tools`` None repeats no call that was sent.
    """

    attempts: Annotated[int, Field(ge=0, le=MOST_RETRIES)]
    backoff: Count
    budget: RetryBudgetConfig | None = None
    tools: RetriedToolsConfig | None = None


class CircuitBreakerConfig(ContractDocument):
    """When a server, or a tool of it, gets no requests for a time.

    That is when ``error_percent`` of at least ``minimum_requests`` within ``interval`` milliseconds failed. After
    ``open_for`` milliseconds one request at a time is let through as a trial.
    """

    error_percent: Annotated[int, Field(ge=1, le=100)]
    minimum_requests: Positive
    interval: Positive
    open_for: Positive
