import asyncio

import pytest
from otlp_sink import Answer, http_sink

from ostiary_core.sdk_components import SdkComponentMissing
from ostiary_operator.controller.tracing import Tracing


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, "OTEL_EXPORTER_OTLP_ENDPOINT is not set"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "OTEL_EXPORTER_OTLP_ENDPOINT is not set"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "None"}, "OTEL_TRACES_EXPORTER is none"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED is true"),
    ],
)
def test_it_is_off_under_the_conditions_of_the_gateway(environ: dict[str, str], why: str) -> None:
    tracing = Tracing(environ)
    assert (tracing.tracer, tracing.off) == (None, why)


def test_an_exporter_that_is_not_installed_is_a_start_error() -> None:
    with pytest.raises(SdkComponentMissing, match="OTEL_TRACES_EXPORTER names 'zipkin_json', which is not installed"):
        Tracing({"OTEL_TRACES_EXPORTER": "zipkin_json"})


async def test_spans_reach_the_collector_with_the_resource_of_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_sink() as sink:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
            "OTEL_SERVICE_NAME": "our-operator",
            "POD_NAME": "operator-0",
            "POD_NAMESPACE": "ostiary-system",
        }
        for name, value in environ.items():  # the SDK reads its variables itself
            monkeypatch.setenv(name, value)
        tracing = Tracing(environ)
        assert tracing.tracer is not None
        tracing.tracer.start_span("change MCPProxy").end()
        await tracing.close()
        span = sink.named("change MCPProxy")
    assert span.service == "our-operator"
    assert span.resource["k8s.pod.name"] == "operator-0"
    assert span.scope == "ostiary.operator"


async def test_a_collector_that_never_answers_delays_the_end_for_a_short_time_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with http_sink() as sink:
        sink.answer = Answer(hang=True)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
        tracing = Tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        assert tracing.tracer is not None
        tracing.tracer.start_span("lost").end()
        await asyncio.wait_for(tracing.close(), 30)
        assert sink.spans == []
