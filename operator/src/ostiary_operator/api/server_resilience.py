"""What gateways do when a server fails: health checks, retries, circuit breakers.

The names are those of Gateway API and Envoy Gateway.
"""

import enum
from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator

from ostiary_core.contract.server_resilience import MOST_RETRIES
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Rule, Unique
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.names import NameGlobs
from ostiary_operator.api.patterns import check_together
from ostiary_operator.api.quantities import INTEGRAL

Percentage = Annotated[StrictInt, Field(ge=0, le=100), INTEGRAL]
"""A share in percent."""


class PassiveHealthCheckSettings(ApiModel):
    """When an endpoint gets no requests for a time, because those of callers failed there."""

    consecutive_gateway_errors: Annotated[StrictInt, Field(ge=1, le=1000), INTEGRAL] = 5
    """After how many failures in a row: failed connects, resets, responses that did not begin in time, and the statuses
    502 to 504; 1 to 1000. What a tool reports (`isError`), JSON-RPC errors and 4xx are no failures. Example: `5`."""

    base_ejection_time: Annotated[Duration, between("1s", "1h")] = Duration.parse("30s")
    """How long the first time, and each further time longer by as much; 1s to 1h. Example: `30s`."""

    max_ejection_percent: Percentage = 50
    """How many of the endpoints may be without requests at a time, in percent; 0 turns the check off. Example: `50`."""


class ActiveHealthCheckSettings(ApiModel):
    """Requests of the gateway's own that find out whether an endpoint responds."""

    interval: Annotated[Duration, between("1s", "1h")] = Duration.parse("10s")
    """How often each endpoint is asked; 1s to 1h. Example: `10s`."""

    timeout: Annotated[Duration, between("100ms", "1m")] = Duration.parse("1s")
    """How long a response may take; 100ms to 1m. Any whole one with a status below 500 is a success. Example: `1s`."""

    unhealthy_threshold: Annotated[StrictInt, Field(ge=1, le=100), INTEGRAL] = 3
    """After how many failures in a row an endpoint gets no requests, until it responds again; 1 to 100.
    Example: `3`."""

    constraints = (
        Rule(
            "(has(self.timeout) ? duration(self.timeout) : duration('1s'))"
            " <= (has(self.interval) ? duration(self.interval) : duration('10s'))",
            lambda it: it.timeout <= it.interval,
            "has a timeout that is longer than its interval",
            "shorten the timeout, or lengthen the interval",
        ),
    )


class HealthCheckSettings(ApiModel):
    """How a gateway finds out which endpoints of a server work."""

    passive: PassiveHealthCheckSettings | None = None
    """By the requests of callers. Absent means `{}`, the defaults. Example: `{consecutiveGatewayErrors: 3}`."""

    active: ActiveHealthCheckSettings | None = None
    """By requests of the gateway's own, without a credential of any caller. Absent means that it sends none.
    Example: `{interval: 10s}`."""

    constraints = (
        Rule(
            "has(self.passive) || has(self.active)",
            lambda it: it.passive is not None or it.active is not None,
            "checks nothing",
            "set passive or active, or remove it",
        ),
    )


class RetryBudgetSettings(ApiModel):
    """How many of a server's requests may be retries, which must not become its load."""

    percent: Percentage = 20
    """In percent of the requests within the interval, but ten in any case, so that a server with few requests has
    retries, too; 0 permits none. Example: `20`."""

    interval: Annotated[Duration, between("1s", "1h")] = Duration.parse("10s")
    """The time in which requests and retries are counted; 1s to 1h. Example: `10s`."""


class ToolHint(enum.StrEnum):
    """Annotations of a tool by which its calls may be repeated."""

    READ_ONLY = "readOnlyHint"
    IDEMPOTENT = "idempotentHint"


class RepeatableTools(ApiModel):
    """The tools whose calls may be sent again after a first attempt was sent."""

    hints: Annotated[tuple[ToolHint, ...], Field(min_length=1, max_length=2), Unique()] | None = None
    """Tools with one of these annotations in the server's own list. It is the server that claims them.
    Example: `[readOnlyHint]`."""

    names: NameGlobs | None = None
    """Tools with these names, as the server calls them, without any `prefix`. Exact, with `*` for any run of
    characters. Example: `["get_*"]`."""

    constraints = (
        Rule(
            "has(self.hints) || has(self.names)",
            lambda it: it.hints is not None or it.names is not None,
            "chooses nothing",
            "set hints or names, or remove it",
        ),
    )

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        check_together(self.names, None)
        return self


class RetrySettings(ApiModel):
    """What a gateway sends again when an attempt fails.

    An attempt fails without a response, or with a status 502 to 504.
    """

    attempts: Annotated[StrictInt, Field(ge=0, le=MOST_RETRIES), INTEGRAL] = 1
    """How often a request is sent again at most; 0 turns retries off. That a request of which nothing was sent goes to
    the next endpoint does not count. Example: `2`."""

    backoff: Annotated[Duration, between("0s", "10s")] = Duration.parse("25ms")
    """The shortest pause before the first retry, which doubles with each further one; up to as much again is added at
    random. 0s to 10s. Example: `100ms`."""

    budget: RetryBudgetSettings | None = None
    """How many of the server's requests may be retries. Absent means `{}`, the defaults.
    Example: `{percent: 20, interval: 10s}`."""

    tools: RepeatableTools | None = None
    """The tools whose calls may be sent again after they were sent, so that they may run twice. Absent means none of
    them; where nothing of a call was sent, it goes to the next endpoint in any case. Example: `{names: ["get_*"]}`."""


class CircuitBreakerSettings(ApiModel):
    """When a server, or one tool of it, gets no requests for a time.

    A gateway replica counts failures of the connection for the whole server, and timeouts and invalid answers for each
    tool.
    """

    error_percent: Annotated[StrictInt, Field(ge=1, le=100), INTEGRAL] = 50
    """How many of the requests within the interval must fail, in percent. Example: `50`."""

    minimum_requests: Annotated[StrictInt, Field(ge=1, le=1_000_000), INTEGRAL] = 20
    """How many requests there must be within the interval at least. Example: `20`."""

    interval: Annotated[Duration, between("1s", "1h")] = Duration.parse("10s")
    """The time in which they are counted; 1s to 1h. Example: `10s`."""

    open_for: Annotated[Duration, between("1s", "1h")] = Duration.parse("30s")
    """How long requests are refused (`CircuitOpen`); 1s to 1h. Then one at a time is let through as a trial.
    Example: `30s`."""
