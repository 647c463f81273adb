"""What was authenticated, denied, blocked or refused at a bound, and sessions."""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.metric_family import LabelledValues, MetricFamily, MetricKind
from ostiary_gateway.identity.authenticator import Outcomes
from ostiary_gateway.limits.counters import Bound
from ostiary_gateway.limits.limiter import Limiter
from ostiary_gateway.telemetry.blocked_requests import BLOCKED_REQUESTS
from ostiary_gateway.telemetry.content_findings import CONTENT_FINDINGS
from ostiary_gateway.telemetry.denials import ACCESS_DENIALS, SHADOW_DENIALS
from ostiary_gateway.telemetry.dropped_items import DROPPED
from ostiary_gateway.telemetry.session_counts import SESSIONS
from ostiary_gateway.upstream.pools import ServerPools

AUTHENTICATIONS: Final = MetricFamily(
    "ostiary_authentications",
    "Authentications of requests by the outcome: accepted, or the reason of the refusal",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "method", "outcome"),
)
BOUND_REFUSALS: Final = MetricFamily(
    "ostiary_bound_refusals",
    "Refusals at a limit in the settings' bounds",
    MetricKind.COUNTER,
    labels=("scope", "bound"),
)
LIST_ITEMS_DROPPED: Final = MetricFamily(
    "ostiary_list_items_dropped",
    "List items that were dropped because they cannot be judged",
    MetricKind.COUNTER,
    labels=("ostiary_proxy",),
)
SHADOWED: Final = MetricFamily(
    "ostiary_shadow_denials",
    "Requests that passed, and that policies in Shadow mode would deny",
    MetricKind.COUNTER,
    labels=("ostiary_proxy",),
)
DENIED: Final = MetricFamily(
    "ostiary_access_denials",
    "Requests that policies denied, by the reason of the decision",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "reason"),
)
BLOCKED: Final = MetricFamily(
    "ostiary_blocked_requests",
    "Requests that were refused because the settings block their caller, proxy or server",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "reason"),
)
FINDINGS: Final = MetricFamily(
    "ostiary_content_findings",
    "Places in messages at which masks, guards, validation or locks found something, by what was done (action)",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "ostiary_policy", "ostiary_rule", "detector", "action", "direction", "mode"),
)

SESSIONS_OPENED: Final = MetricFamily(
    "ostiary_sessions_opened",
    "Sessions that servers opened at an initialize; revisions from 2026 on have none",
    MetricKind.COUNTER,
    labels=("ostiary_proxy",),
)
SESSIONS_ENDED: Final = MetricFamily(
    "ostiary_sessions_ended",
    "Sessions that their clients ended with DELETE; most clients leave without, so this says little of open ones",
    MetricKind.COUNTER,
    labels=("ostiary_proxy",),
)
SESSIONS_REFUSED: Final = MetricFamily(
    "ostiary_session_refusals",
    "Requests answered with 404 for their session: invalid (expired, altered or of another caller), or forgotten by "
    "the server",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "reason"),
)

SESSIONS_RENEWED: Final = MetricFamily(
    "ostiary_sessions_renewed",
    "Sessions with one of several servers that the gateway opened late, or again, for clients whose own goes on",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "server"),
)


class JudgedRequests(Collector):
    """The counts of this process.

    ``limiter`` and ``pools`` count refusals at the bounds of the settings.
    """

    def __init__(self, limiter: Limiter, pools: ServerPools, authentications: Outcomes) -> None:
        self._limiter = limiter
        self._pools = pools
        self._authentications = authentications

    def collect(self) -> Iterator[Metric]:
        """Yield the counts of this moment."""
        yield AUTHENTICATIONS.values(self._authentications.counts)
        yield BOUND_REFUSALS.values(self._bound_refusals())
        yield LIST_ITEMS_DROPPED.values(_by_proxy(DROPPED.counts))
        yield SHADOWED.values(_by_proxy(SHADOW_DENIALS.counts))
        yield DENIED.values(_by_reason({reason.value: counts for reason, counts in ACCESS_DENIALS.counts.items()}))
        yield SESSIONS_OPENED.values(SESSIONS.opened)
        yield SESSIONS_ENDED.values(SESSIONS.ended)
        yield SESSIONS_REFUSED.values(SESSIONS.refused)
        yield SESSIONS_RENEWED.values(SESSIONS.renewed)
        yield FINDINGS.values(dict(CONTENT_FINDINGS.counts))
        yield BLOCKED.values(_by_reason({reason: each.counts for reason, each in BLOCKED_REQUESTS.items()}))

    def _bound_refusals(self) -> LabelledValues:
        """Return the refusals at each limit.

        A limit is that of the gateway, or of one source, principal, proxy or upstream server.
        """
        found: dict[tuple[str, ...], float] = {("server", Bound.CONNECTIONS.value): self._pools.refused}
        for limits in self._limiter.scopes:
            for bound, count in limits.refused.items():
                if limits.bounds(bound):
                    found[limits.scope, bound.value] = count
        return found


def _by_proxy(counts: Mapping[str, int]) -> LabelledValues:
    return {(proxy,): count for proxy, count in list(counts.items())}


def _by_reason(by_reason: Mapping[str, Mapping[str, int]]) -> LabelledValues:
    return {(proxy, reason): count for reason, counts in by_reason.items() for proxy, count in list(counts.items())}
