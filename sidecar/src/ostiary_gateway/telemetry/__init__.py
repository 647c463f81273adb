"""Traces of the gateway: OpenTelemetry's MCP and GenAI conventions, over OTLP.

:class:`Telemetry` makes :class:`ServerSpan` objects; each stage of a request reports to its span. A sampled span
becomes a plain tuple in a bounded queue, which one thread drains through an encoder of our own. A request never waits
for a collector.

    semantic_conventions               every attribute, span and metric name
    context                            W3C Trace Context in and out
    span, server_span, client_span     what the stages report to, and which results are errors
    config_span                        the span of loading a config, in the trace of a change
    sampling                           which traces are recorded
    span_record                        an ended span as plain data
    batch_processor                    the queue, and the thread that exports from it
    otlp                               OTLP's bytes, sent over HTTP or gRPC with retries
    collector                          the settings of the OTLP exporter
    sdk_exporters, sdk_context         what is not built in: exporters, samplers and propagators of the SDK's
    console_exporter                   spans as lines of text
    configuration, environment_variables, resource    the standard variables
    provider                           the tracing of a process, as it is configured
    denials, dropped_items, throttled_warning   what is counted or logged at a limited rate
"""

from ostiary_gateway.telemetry.batch_processor import Stats
from ostiary_gateway.telemetry.client_span import ClientSpan
from ostiary_gateway.telemetry.provider import Telemetry
from ostiary_gateway.telemetry.server_span import ServerSpan
from ostiary_gateway.telemetry.span_record import AttributeValue, SpanRecord

__all__ = ["AttributeValue", "ClientSpan", "ServerSpan", "SpanRecord", "Stats", "Telemetry"]
