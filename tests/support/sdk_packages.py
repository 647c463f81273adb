"""Packages that register components for OpenTelemetry's SDK, made in a directory of a test."""

import sys
from pathlib import Path

import pytest

_CODE = '''
import time
from opentelemetry import trace
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

EXPORTED = []


class ListExporter(SpanExporter):
    def export(self, spans):
        EXPORTED.extend(spans)
        return SpanExportResult.SUCCESS


class RefusingExporter(SpanExporter):
    def export(self, spans):
        return SpanExportResult.FAILURE


class RaisingExporter(SpanExporter):
    def export(self, spans):
        raise RuntimeError("a fault of the exporter")


class ToolSampler(Sampler):
    """Records calls of one tool."""

    def __init__(self, argument):
        self._tool = argument

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None):
        wanted = (attributes or {}).get("gen_ai.tool.name") == self._tool
        return SamplingResult(Decision.RECORD_AND_SAMPLE if wanted else Decision.DROP)

    def get_description(self):
        return "ToolSampler"


def raising_sampler(argument):
    class Raising(ToolSampler):
        def should_sample(self, *args, **kwargs):
            raise RuntimeError("a fault of the sampler")

    return Raising(argument)


def refusing_sampler(argument):
    raise ValueError(f"a secret: {argument}")


class OneHeader(TextMapPropagator):
    """`X-One: <trace id>/<span id>/<flags>`, with a name in mixed case as AWS X-Ray has."""

    def extract(self, carrier, context=None, getter=None):
        values = getter.get(carrier, "X-One")
        if not values:
            return context
        if values[0] == "raise":
            raise RuntimeError("a fault of the propagator")
        trace_id, span_id, flags = values[0].split("/")
        found = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags)))
        return trace.set_span_in_context(trace.NonRecordingSpan(found), context)

    def inject(self, carrier, context=None, setter=None):
        found = trace.get_current_span(context).get_span_context()
        carrier["X-One"] = f"{found.trace_id:032x}/{found.span_id:016x}/{int(found.trace_flags)}"

    @property
    def fields(self):
        return {"X-One"}
'''
_ENTRY_POINTS = """
[opentelemetry_traces_exporter]
list = made_for_a_test:ListExporter
refusing = made_for_a_test:RefusingExporter
raising = made_for_a_test:RaisingExporter
broken = made_for_a_test:Missing

[opentelemetry_traces_sampler]
by_tool = made_for_a_test:ToolSampler
raising = made_for_a_test:raising_sampler
refusing = made_for_a_test:refusing_sampler

[opentelemetry_propagator]
one = made_for_a_test:OneHeader
"""


def install(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a package with an exporter, samplers and a propagator importable, as an installation would."""
    (directory / "made_for_a_test.py").write_text(_CODE)
    metadata = directory / "made_for_a_test-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: made-for-a-test\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(_ENTRY_POINTS)
    monkeypatch.syspath_prepend(directory)
    monkeypatch.delitem(sys.modules, "made_for_a_test", raising=False)
