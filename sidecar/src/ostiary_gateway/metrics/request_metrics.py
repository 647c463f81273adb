"""What each request adds to histograms and counters.

A request looks up its *series* once, by everything that labels it; the rest is arithmetic. The combinations of labels
are bounded for each proxy and for the process: beyond the bound a request is counted without the name of its tool, and
beyond twice the bound without its error codes, so that neither callers nor servers can grow the gateway's memory.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import sub
from typing import Final, NamedTuple

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.evidence.latency import BOUNDARIES
from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.evidence.call_ring import PlainCall
from ostiary_gateway.evidence.ended_requests import PlainEnded
from ostiary_gateway.metrics.histogram import Example, Series, SeriesHistogram
from ostiary_gateway.telemetry.request_labels import OTHER_ERROR, PlainLabels, RequestLabels, known_error
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log: Final = logging.getLogger(__name__)

#: Combinations of labels for one proxy, and for the process.
MOST_OF_PROXY: Final = 1_000
MOST_OF_PROCESS: Final = 10_000
_SIZES: Final = (256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216)
_OUTCOME: Final = ("error_type", "rpc_response_status_code")
_NAMES: Final = ("gen_ai_tool_name", "gen_ai_prompt_name")

SERVER_DURATION: Final = MetricFamily(
    "mcp_server_operation_duration_seconds",
    "Time from the first byte of an MCP message until its answer was relayed",
    MetricKind.HISTOGRAM,
    labels=("mcp_method_name", "ostiary_proxy", *_NAMES, *_OUTCOME),
    boundaries=BOUNDARIES,
)
CLIENT_DURATION: Final = MetricFamily(
    "mcp_client_operation_duration_seconds",
    "Time from sending a message to an upstream server until its response ended",
    MetricKind.HISTOGRAM,
    labels=("mcp_method_name", "ostiary_proxy", "ostiary_server", *_NAMES, *_OUTCOME),
    boundaries=BOUNDARIES,
)
OVERHEAD: Final = MetricFamily(
    "ostiary_gateway_overhead_seconds",
    "Time that a message spent in the gateway: its duration without the time of its upstream server",
    MetricKind.HISTOGRAM,
    labels=("ostiary_proxy",),
    boundaries=(0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 1),
)
REQUEST_SIZE: Final = MetricFamily(
    "http_server_request_body_size_bytes",
    "Size of the bodies of requests",
    MetricKind.HISTOGRAM,
    labels=("ostiary_proxy",),
    boundaries=_SIZES,
)
RESPONSE_SIZE: Final = MetricFamily(
    "http_server_response_body_size_bytes",
    "Size of the bodies of responses; of a stream, what was sent until it ended",
    MetricKind.HISTOGRAM,
    labels=("ostiary_proxy",),
    boundaries=_SIZES,
)
RESPONSES: Final = MetricFamily(
    "ostiary_http_responses",
    "Responses by HTTP status; most refusals of MCP are JSON-RPC errors with status 200",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "http_response_status_code"),
)
DECISIONS: Final = MetricFamily(
    "ostiary_access_decisions",
    "Decisions on named tools, resources and prompts, by the policy and rule that decided",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "ostiary_policy", "ostiary_rule", "decision", "reason"),
)
RESOURCE_READS: Final = MetricFamily(
    "ostiary_resource_requests",
    "Requests that name a resource which the server has listed",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "mcp_method_name", "mcp_resource_uri"),
)
UNLABELLED: Final = MetricFamily(
    "ostiary_metric_labels_dropped",
    "Requests that were counted without the name of their tool or their error codes, because there are too many series",
    MetricKind.COUNTER,
    labels=("ostiary_proxy",),
)


class RequestSeries(NamedTuple):
    """The series and counters of requests with the same labels; empty where there are none."""

    server: Series
    client: Series | None
    overhead: Series
    request_size: Series
    response_size: Series
    response: tuple[str, ...]
    decision: tuple[str, ...]
    resource: tuple[str, ...]


class RequestMetrics(Collector):
    """Counts requests."""

    def __init__(self) -> None:
        self._server = SeriesHistogram(SERVER_DURATION)
        self._client = SeriesHistogram(CLIENT_DURATION)
        self._overhead = SeriesHistogram(OVERHEAD)
        self._request_sizes = SeriesHistogram(REQUEST_SIZE)
        self._response_sizes = SeriesHistogram(RESPONSE_SIZE)
        self.histograms = (self._server, self._client, self._overhead, self._request_sizes, self._response_sizes)
        self._by_labels: dict[PlainLabels, RequestSeries] = {}
        self._of_proxy: Counter[str] = Counter()
        self._counters: dict[MetricFamily, Counter[tuple[str, ...]]] = {
            family: Counter() for family in (RESPONSES, DECISIONS, RESOURCE_READS, UNLABELLED)
        }
        self._responses = self._counters[RESPONSES]
        self._decisions = self._counters[DECISIONS]
        self._resources = self._counters[RESOURCE_READS]
        self._warner = WarningLimiter(_log, level=logging.ERROR)

    def take(self, ended: Sequence[PlainEnded]) -> None:
        """Count messages that have ended; those with the same labels together."""
        groups: dict[PlainLabels, list[PlainEnded]] = {}
        for each in ended:
            labels = each[4][3]
            group = groups.get(labels)
            if group is None:
                groups[labels] = [each]
            else:
                group.append(each)
        for labels, group in groups.items():
            try:
                self._count_group(labels, group)
            except Exception as error:  # noqa: BLE001  those that cannot be counted must not cost the others
                self._warner.warn("requests could not be counted: this is a bug", error=error)

    def _count_group(self, labels: PlainLabels, group: Sequence[PlainEnded]) -> None:
        series = self._by_labels.get(labels)
        if series is not None:
            self._count(series, group)
        else:
            self._count_new(labels, group)

    def _count_new(self, labels: PlainLabels, group: Sequence[PlainEnded]) -> None:
        """Count messages with new labels, each by itself: there may be too many series."""
        for each in group:
            self._count(self._find(RequestLabels._make(labels)), (each,))

    def _count(self, series: RequestSeries, group: Sequence[PlainEnded]) -> None:
        seconds = [call[1] for _, _, _, _, call in group]
        upstream_seconds = [call[2] for _, _, _, _, call in group]
        series.server.add_all(seconds)
        if series.client is not None:
            series.client.add_all(upstream_seconds)
        series.overhead.add_all(list(map(sub, seconds, upstream_seconds)))
        series.request_size.add_all([request_bytes for _, request_bytes, _, _, _ in group])
        series.response_size.add_all([response_bytes for _, _, response_bytes, _, _ in group])
        count = len(group)
        if series.response:
            self._responses[series.response] += count
        if series.decision:
            self._decisions[series.decision] += count
        if series.resource:
            self._resources[series.resource] += count
        _exemplify(series, group)

    def _find(self, labels: RequestLabels) -> RequestSeries:
        """Return the series of labels that were not seen before.

        Where there are too many, it is one with fewer labels.
        """
        bounded = self._bounded(labels)
        found = self._by_labels.get(bounded)
        if found is None:
            found = self._by_labels[bounded] = self._series(bounded)
            self._of_proxy[bounded.proxy] += 1
        return found

    def _bounded(self, labels: RequestLabels) -> RequestLabels:
        labels = labels._replace(
            error_type=known_error(labels.error_type),
            code=known_error(labels.code),
            upstream_error=known_error(labels.upstream_error),
            upstream_code=known_error(labels.upstream_code),
        )
        used = self._of_proxy[labels.proxy]
        if labels in self._by_labels or (used < MOST_OF_PROXY and len(self._by_labels) < MOST_OF_PROCESS):
            return labels
        self._counters[UNLABELLED][labels.proxy,] += 1
        labels = labels._replace(tool="", prompt="", resource="")
        if labels in self._by_labels or used < 2 * MOST_OF_PROXY:
            return labels
        return labels._replace(
            error_type=labels.error_type and OTHER_ERROR,
            code="",
            upstream_error=labels.upstream_error and OTHER_ERROR,
            upstream_code="",
        )

    def _series(self, labels: RequestLabels) -> RequestSeries:
        method, proxy, names = labels.method, labels.proxy, (labels.tool, labels.prompt)
        client = None
        if labels.server:
            outcome = (labels.upstream_error, labels.upstream_code)
            client = self._client.series(method, proxy, labels.server, *names, *outcome)
        return RequestSeries(
            server=self._server.series(method, proxy, *names, labels.error_type, labels.code),
            client=client,
            overhead=self._overhead.series(proxy),
            request_size=self._request_sizes.series(proxy),
            response_size=self._response_sizes.series(proxy),
            response=(proxy, str(labels.status)) if labels.status else (),
            decision=(proxy, labels.policy, labels.rule, labels.decision, labels.reason) if labels.decision else (),
            resource=(proxy, method, labels.resource) if labels.resource else (),
        )

    def on_swap(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        """Remove the series of what no longer exists; otherwise they would be kept for ever."""
        if not changed:
            return
        rules = {key: _rules_of(proxy) for key, proxy in snapshot.proxies.items() if key in changed}
        gone = changed - rules.keys()
        for plain in list(self._by_labels):
            labels = RequestLabels._make(plain)
            if labels.proxy in gone or _is_gone(rules.get(labels.proxy), labels.policy, labels.rule):
                del self._by_labels[plain]
                self._of_proxy[labels.proxy] -= 1
        for histogram in self.histograms:
            histogram.forget("ostiary_proxy", gone)
        for counts in self._counters.values():
            for key in [key for key in counts if key[0] in gone]:
                del counts[key]
        for key in [key for key in self._decisions if _is_gone(rules.get(key[0]), key[1], key[2])]:
            del self._decisions[key]
        for proxy in gone:
            del self._of_proxy[proxy]

    def collect(self) -> Iterator[Metric]:
        """Yield the counters; the histograms are collected apart."""
        for family, counts in self._counters.items():
            yield family.values(counts)


def _exemplify(series: RequestSeries, group: Sequence[PlainEnded]) -> None:
    """Keep the traces that are exported as examples."""
    traced = [(span_id, call) for _, _, _, span_id, call in group if span_id]
    if not traced:
        return
    seconds = [call[1] for _, call in traced]
    series.server.exemplify(seconds, lambda place: _example(*traced[place], seconds[place]))
    if series.client is not None:
        upstream_seconds = [call[2] for _, call in traced]
        series.client.exemplify(upstream_seconds, lambda place: _example(*traced[place], upstream_seconds[place]))


def _example(span_id: str, call: PlainCall, seconds: float) -> Example:
    """Return the trace of a call, of which ``seconds`` were observed."""
    return call[7], span_id, seconds, call[0] / 1000 + call[1]


def _rules_of(proxy: ProxyRuntime) -> frozenset[tuple[str, str]]:
    """Return the policies of a proxy, each with the names of its rules, and with none."""
    policies = proxy.policies.values()
    named = {(policy.identity, rule.name) for policy in policies for rule in (*policy.allow, *policy.deny)}
    return frozenset(named.union((policy.identity, "") for policy in policies))


def _is_gone(rules: frozenset[tuple[str, str]] | None, policy: str, rule: str) -> bool:
    """Return whether a proxy that has changed (its ``rules``, else None) lost this rule."""
    return rules is not None and bool(policy) and (policy, rule) not in rules
