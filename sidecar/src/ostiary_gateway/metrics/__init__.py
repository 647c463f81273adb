"""The gateway's metrics: one module a group of families, and their registry.

    registry             :class:`GatewayMetrics`: every collector of a process
    request_metrics      durations, sizes, statuses and decisions of requests
    event_loop_lag       how late the event loop runs
    otlp_export          the same figures over OTLP
    export_health        whether spans and metrics reach the collector
    exposition           the text of a scrape
    histogram            the histograms that requests observe
    process_state        config, connections, requests and spans, read at each scrape
    judged_requests      what was authenticated, denied, blocked and dropped
    upstream_state       faults of servers
    audit_state          the audit trail and its sinks

Names are those of OpenTelemetry's MCP conventions where one exists. A caller never chooses a label value: methods are
from our table, proxies from the config, error types from a closed set.

A group declares each family as a constant (:class:`~ostiary_core.metric_family.MetricFamily`) and collects them in one
:class:`~prometheus_client.registry.Collector`, which :meth:`GatewayMetrics.register` adds. A collector runs in a thread
and only reads: it copies what the event loop may change meanwhile.
"""

from ostiary_gateway.metrics.registry import GatewayMetrics

__all__ = ["GatewayMetrics"]
