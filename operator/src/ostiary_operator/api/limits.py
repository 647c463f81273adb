"""How much callers may use: `spec.limits` of an MCPPolicy."""

from typing import Annotated, Final, Self

from pydantic import Field, StrictInt, StrictStr, StringConstraints, model_validator

from ostiary_core.errors import ContractError
from ostiary_core.limits.compiled_limit import SHORTEST_QUOTA, Dimension, OnStoreFailure, WhenExhausted, zone_of
from ostiary_core.limits.quota import Period
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Rule, Unique, problem
from ostiary_operator.api.durations import LimitWindow
from ostiary_operator.api.name_selections import CountedPrompts, CountedResources, CountedTools
from ostiary_operator.api.names import DnsLabel
from ostiary_operator.api.quantities import INTEGRAL, Size
from ostiary_operator.api.token_authentication import ClaimPath
from ostiary_operator.api.tool_costs import Amount, CostBudget

#: Limits of one policy.
MOST_LIMITS: Final = 32

MessageBytes = Annotated[
    StrictStr,
    StringConstraints(max_length=12),
    Pattern(
        "^([1-9][0-9]{0,8}|[1-9][0-9]{0,5}Ki|[1-9][0-9]{0,2}Mi)$",
        "is not a size of a message",
        "write a number of bytes, or one with Ki or Mi, such as 64Ki",
    ),
]
"""The size of a message in bytes, as text."""

TimeZone = Annotated[
    StrictStr,
    StringConstraints(max_length=64),
    Pattern(
        "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$",
        "is not the name of a time zone",
        "write a name of the IANA database, such as Europe/Berlin",
    ),
]
"""The name of a time zone in the IANA database."""


def _is_rate(limit: "Limit") -> bool:
    return limit.window is not None and limit.window.milliseconds < SHORTEST_QUOTA


def _is_quota(limit: "Limit") -> bool:
    return limit.period is not None or (limit.window is not None and not _is_rate(limit))


def _fits_burst(limit: "Limit") -> bool:
    weights = limit.cost.weights if limit.cost is not None else ()
    return limit.burst is None or all(each.units is None or each.units <= limit.burst for each in weights)


class Limit(ApiModel):
    """One limit: what it counts, for whom, and how much of it there is."""

    name: DnsLabel
    """Name of the limit, unique within the policy. It appears in metrics and traces, and counters keep their values
    while policy and name stay. Example: `weather-daily`."""

    tools: CountedTools | None = None
    """Tools whose calls count; `{}` is all of them. A limit without tools, resources and prompts counts every request
    that names or lists something, but no handshake, ping or notification. Where servers are merged, names count with
    the prefix of the server and without it. Example: `{names: [get_weather]}`."""

    resources: CountedResources | None = None
    """Resources whose use counts, by URI in any spelling; `{}` is all of them. Example: `{names: ["file:///docs/*"]}`."""

    prompts: CountedPrompts | None = None
    """Prompts whose use counts; `{}` is all of them. Example: `{names: [summary]}`."""

    per: Annotated[tuple[Dimension, ...], Field(min_length=1, max_length=8), Unique()] = (Dimension.PRINCIPAL,)
    """What is counted apart; several count every combination apart. Principal is the caller. Consumer is its consumer
    name, or the caller where it has none. Group is each group of the caller. Claim is the value of `claim`. Tool is
    the tool, resource or prompt. Server, Proxy and Gateway are where the request goes through: without Proxy, a
    counter is for all MCPProxies that the policy governs. Example: `[Consumer, Tool]`."""

    claim: ClaimPath | None = None
    """Path to the claim that Claim in `per` counts apart: a text, a whole number, or true or false. Callers without it
    share one counter. Example: `[team]`."""

    requests: Amount | None = None
    """How many requests are let through in each window. Example: `100`."""

    cost: CostBudget | None = None
    """How much cost is let through in each window, instead of a number of requests.
    Example: `{budget: 5000, weights: [{tools: {names: [summarize]}, units: 5}]}`."""

    window: LimitWindow | None = None
    """Length of the window, from 1s to 31d. Below 1h, the limit is a rate: what is used comes back steadily. From 1h
    on, it is a quota: its window begins with the first request, and at its end all is available again.
    Example: `24h`."""

    period: Period | None = None
    """A quota for each hour, day, week from Monday or month of the calendar, instead of `window`. Example: `Day`."""

    time_zone: TimeZone | None = None
    """Time zone of `period`, by its name in the IANA database. Absent means UTC. Example: `Europe/Berlin`."""

    burst: Amount | None = None
    """How much a rate lets through at once. Absent means as much as in a window. Example: `20`."""

    concurrency: Annotated[StrictInt, Field(ge=1, le=100_000), INTEGRAL] | None = None
    """How many requests may be in flight at a time, streams included. Example: `10`."""

    request_bytes: MessageBytes | None = None
    """The largest body of a request. Example: `64Ki`."""

    response_bytes: MessageBytes | None = None
    """The largest message of a response. Example: `1Mi`."""

    on_store_failure: OnStoreFailure = OnStoreFailure.LOCAL
    """What happens while the store that gateways share does not answer. Local: each replica counts for itself. Allow:
    requests pass uncounted. Deny: they are refused. Example: `Deny`."""

    when_exhausted: WhenExhausted = WhenExhausted.SHOW
    """How a tool that a caller has used up appears in its list, for quotas of tools. Show: as always. Annotate: with a
    sentence that says when it is available again. Hide: not at all until then. Example: `Hide`."""

    constraints = (
        Rule(
            "!has(self.requests) || !has(self.cost)",
            lambda it: it.requests is None or it.cost is None,
            "has both requests and cost",
            "keep one of them; write two limits to have both",
        ),
        Rule(
            "has(self.requests) || has(self.cost) || has(self.concurrency) || has(self.requestBytes)"
            " || has(self.responseBytes)",
            lambda it: any(
                each is not None for each in (it.requests, it.cost, it.concurrency, it.request_bytes, it.response_bytes)
            ),
            "limits nothing",
            "set requests or cost with a window, or concurrency, requestBytes or responseBytes",
        ),
        Rule(
            "(has(self.requests) || has(self.cost)) == (has(self.window) || has(self.period))",
            lambda it: (
                (it.requests is not None or it.cost is not None) == (it.window is not None or it.period is not None)
            ),
            "needs requests or cost together with a window or a period",
            "set one of requests and cost, and one of window and period",
        ),
        Rule(
            "!has(self.window) || !has(self.period)",
            lambda it: it.window is None or it.period is None,
            "has both window and period",
            "keep one of them: a window begins with the first request, a period with the calendar",
        ),
        Rule(
            "!has(self.timeZone) || has(self.period)",
            lambda it: it.time_zone is None or it.period is not None,
            "is set, but only a period begins at a time of a time zone",
            "set period instead of window, or remove timeZone",
            field_path=".timeZone",
        ),
        Rule(
            "!has(self.burst) || (has(self.window) && !self.window.endsWith('d')"
            " && duration(self.window) < duration('1h'))",
            lambda it: it.burst is None or _is_rate(it),
            "is set, but only a limit with a window below 1h has a burst",
            "choose a shorter window, or remove burst",
            field_path=".burst",
        ),
        Rule(
            "!has(self.burst) || !has(self.cost) || !has(self.cost.weights)"
            " || self.cost.weights.all(each, !has(each.units) || each.units <= self.burst)",
            _fits_burst,
            "is less than the units of a weight, so that its tools could never be called",
            "raise burst to the largest weight at least",
            field_path=".burst",
        ),
        Rule(
            "has(self.claim) == (has(self.per) && self.per.exists(each, each == 'Claim'))",
            lambda it: (it.claim is not None) == (Dimension.CLAIM in it.per),
            "must have claim together with Claim in per",
            "set claim to the path of the claim, or remove both",
        ),
        Rule(
            "!has(self.whenExhausted) || self.whenExhausted == 'Show' || has(self.period)"
            " || (has(self.window) && (self.window.endsWith('d') || duration(self.window) >= duration('1h')))",
            lambda it: it.when_exhausted is WhenExhausted.SHOW or _is_quota(it),
            "is set, but lists do not follow a limit with a window below 1h, or without requests and cost",
            "choose a longer window or a period, or remove whenExhausted",
            field_path=".whenExhausted",
        ),
        Rule(
            "!has(self.whenExhausted) || self.whenExhausted == 'Show' || has(self.tools)"
            " || !(has(self.resources) || has(self.prompts))",
            lambda it: (
                it.when_exhausted is WhenExhausted.SHOW
                or it.tools is not None
                or (it.resources is None and it.prompts is None)
            ),
            "is set, but only lists of tools follow limits, and this one counts none",
            "select tools, or remove whenExhausted",
            field_path=".whenExhausted",
        ),
    )

    @model_validator(mode="after")
    def _check_time_zone(self) -> Self:
        if self.time_zone is not None:
            try:
                zone_of(self.time_zone)
            except ContractError as error:
                remedy = "write a name of the IANA database, such as Europe/Berlin"
                raise problem(str(error), remedy, below=("timeZone",)) from None
        return self

    @property
    def request_size(self) -> int | None:
        """The largest body of a request in bytes."""
        return int(Size.parse(self.request_bytes)) if self.request_bytes is not None else None

    @property
    def response_size(self) -> int | None:
        """The largest message of a response in bytes."""
        return int(Size.parse(self.response_bytes)) if self.response_bytes is not None else None


Limits = Annotated[tuple[Limit, ...], Field(max_length=MOST_LIMITS), Unique(("name",))]
"""The limits of a policy."""
