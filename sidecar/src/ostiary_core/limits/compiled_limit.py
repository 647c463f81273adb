"""One limit of one policy, compiled once and shared by every proxy that it governs."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ostiary_core.contract.documents import PolicyDocument, Tier
from ostiary_core.contract.limits import LimitConfig
from ostiary_core.errors import ContractError, ExpressionError
from ostiary_core.limits.cost_weight import CostWeight
from ostiary_core.limits.quota import Period, Quota
from ostiary_core.limits.rate import Rate
from ostiary_core.limits.request_matcher import RequestMatcher
from ostiary_core.mcp.methods import Primitive, Verb

#: The shortest window of a quota, in milliseconds: a limit with a shorter one is a rate.
SHORTEST_QUOTA: Final = 3_600_000


class Dimension(enum.StrEnum):
    """What a limit counts apart."""

    PRINCIPAL = "Principal"
    CONSUMER = "Consumer"
    GROUP = "Group"
    CLAIM = "Claim"
    TOOL = "Tool"
    SERVER = "Server"
    PROXY = "Proxy"
    GATEWAY = "Gateway"


class OnStoreFailure(enum.StrEnum):
    """What a limit does while the shared store does not answer."""

    ALLOW = "Allow"
    DENY = "Deny"
    LOCAL = "Local"


class WhenExhausted(enum.StrEnum):
    """How a tool that is exhausted appears in lists."""

    SHOW = "Show"
    ANNOTATE = "Annotate"
    HIDE = "Hide"


def zone_of(name: str | None) -> ZoneInfo:
    """Return the time zone with an IANA name; UTC without one.

    Raises:
        ContractError: this process knows no time zone of this name.
    """
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ContractError(f"there is no time zone {(name or '')[:64]!r}") from None


@dataclass(frozen=True, slots=True, eq=False)
class CompiledLimit:
    """One limit. Compared by identity; keys of counters come from :mod:`.charge`.

    ``policy`` is ``namespace/name``, ``uid`` and ``generation`` are the policy's; ``shadow`` says that the policy only
    reports. A limit has a ``rate`` or a ``quota``, or neither. ``concurrency`` are requests in flight; None means that
    they are not limited, as for the sizes of messages, ``request_bytes`` and ``response_bytes``. ``counts_cost`` says
    that the units of rate and quota are the cost of requests by ``weights``, not requests.
    """

    policy: str
    uid: str
    name: str
    tier: Tier
    generation: int
    shadow: bool
    per: tuple[Dimension, ...]
    matcher: RequestMatcher
    rate: Rate | None = None
    quota: Quota | None = None
    claim: tuple[str, ...] = ()
    concurrency: int | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    counts_cost: bool = False
    weights: tuple[CostWeight, ...] = ()
    on_store_failure: OnStoreFailure = OnStoreFailure.LOCAL
    when_exhausted: WhenExhausted = WhenExhausted.SHOW

    @classmethod
    def build(cls, config: LimitConfig, policy: PolicyDocument) -> "CompiledLimit":
        """Compile a limit of a policy document.

        Raises:
            ContractError: its time zone is unknown.
            PatternError: a pattern is invalid.
            ExpressionError: the expression of a weight is invalid.
        """
        weights = tuple(_weight(config, position) for position in range(len(config.weights or ())))
        return cls(
            policy=policy.identity,
            uid=policy.uid,
            name=config.name,
            tier=policy.tier,
            generation=policy.generation,
            shadow=policy.mode == "Shadow",
            per=tuple(map(Dimension, config.per)),
            matcher=RequestMatcher.build({each: config.selection(each) for each in Primitive}),
            rate=_rate(config),
            quota=_quota(config),
            claim=tuple(config.claim or ()),
            concurrency=config.concurrency,
            request_bytes=config.request_bytes,
            response_bytes=config.response_bytes,
            counts_cost=config.budget is not None,
            weights=weights,
            on_store_failure=OnStoreFailure(config.on_store_failure),
            when_exhausted=WhenExhausted(config.when_exhausted),
        )

    @property
    def namespace(self) -> str:
        """The namespace of the policy."""
        return self.policy.partition("/")[0]

    @property
    def amount(self) -> int | None:
        """The units in a window; None where none are counted."""
        counted = self.rate or self.quota
        return counted.amount if counted is not None else None

    @property
    def largest_take(self) -> int | None:
        """The most units that one request can ever take; None where none are counted."""
        return self.rate.burst if self.rate is not None else self.amount

    @property
    def has_counter(self) -> bool:
        """Whether it counts something from request to request."""
        return self.rate is not None or self.quota is not None or self.concurrency is not None

    @property
    def is_shown_in_lists(self) -> bool:
        """Whether lists of tools change where it is exhausted.

        A rate would change them all the time.
        """
        return self.when_exhausted is not WhenExhausted.SHOW and self.quota is not None and not self.shadow

    @property
    def weight(self) -> int:
        """The cost of compiling and judging, in instructions: what budgets count."""
        expressions = (each for weight in self.weights for each in (weight.arguments, weight.result))
        judged = sum(each.weight for each in expressions if each is not None)
        return 1 + self.matcher.weight + sum(weight.matcher.weight for weight in self.weights) + judged

    @property
    def size(self) -> int:
        """The steps that comparing a name takes for each of its bytes."""
        return self.matcher.size + sum(weight.matcher.size for weight in self.weights)

    def matches(self, primitive: Primitive | None, verb: Verb | None, names: Sequence[str] | None) -> bool:
        """Return whether it counts a request, by all readings of its name.

        None is a name that is too long.
        """
        return self.matcher.matches(primitive, verb, names)


def _weight(config: LimitConfig, position: int) -> CostWeight:
    weight = (config.weights or [])[position]
    try:
        return CostWeight.build(weight)
    except ExpressionError as error:
        member = "arguments" if weight.arguments is not None else "result"
        raise error.within(f"cost.weights[{position}].{member} of limit {config.name}") from None


def _amount(config: LimitConfig) -> int | None:
    return config.requests if config.requests is not None else config.budget


def _is_rate(config: LimitConfig) -> bool:
    return config.window is not None and config.window < SHORTEST_QUOTA


def _rate(config: LimitConfig) -> Rate | None:
    amount = _amount(config)
    if amount is None or config.window is None or not _is_rate(config):
        return None
    return Rate(amount, config.window / 1000, config.burst or amount)


def _quota(config: LimitConfig) -> Quota | None:
    amount = _amount(config)
    if amount is None or _is_rate(config):
        return None
    if config.period is not None:
        return Quota(amount, period=Period(config.period), zone=zone_of(config.time_zone))
    if config.window is None:
        raise ContractError(f"limit {config.name} has neither a window nor a period")
    return Quota(amount, config.window / 1000)
