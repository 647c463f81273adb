"""Metrics over OTLP, for both planes: the figures of a scrape, sent at an interval.

    settings         whether, how and how often, from the standard ``OTEL_*`` variables
    sdk_metrics      families and histograms as the metric types of OpenTelemetry's SDK
    periodic_export  the thread that exports

Everything here is pure or is handed its clock, log and exporter. The SDK is imported only where metrics are exported.
"""
