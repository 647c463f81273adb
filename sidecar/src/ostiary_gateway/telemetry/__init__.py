"""Traces of the gateway: OpenTelemetry's MCP and GenAI conventions, over OTLP.

:class:`Telemetry` makes :class:`ServerSpan` objects; each stage of a request reports to its span. A sampled span
becomes a plain tuple in a bounded queue, which one thread drains through an encoder of our own. A request never waits
for a collector.

    names        every attribute, span and metric name
    context      W3C Trace Context in and out          outcome   what is an error, and on which side
    span, server_span, client_span                     what the stages report to
    sampling     which traces are recorded             record    an ended span as plain data
    drain        batch span processor                  exporting retries between exporter and transport
    encode, protobuf                                   OTLP's bytes
    transport_http, transport_grpc, console            where they go
    settings, environment, resource                    the standard variables
"""

from ostiary_gateway.telemetry.client_span import ClientSpan
from ostiary_gateway.telemetry.drain import Stats
from ostiary_gateway.telemetry.provider import Observer, Telemetry
from ostiary_gateway.telemetry.record import AttributeValue, SpanRecord
from ostiary_gateway.telemetry.server_span import ServerSpan

__all__ = ["AttributeValue", "ClientSpan", "Observer", "ServerSpan", "SpanRecord", "Stats", "Telemetry"]
