"""Samplers and propagators that are not built in are the SDK's; their faults affect no request."""

from pathlib import Path

import pytest
import sdk_packages

from ostiary_gateway.errors import StartupError
from ostiary_gateway.telemetry import Telemetry

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONSOLE = {"OTEL_TRACES_EXPORTER": "console"}


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk_packages.install(tmp_path, monkeypatch)


def sampled(telemetry: Telemetry, tool: str) -> bool:
    with telemetry.server_span() as span:
        span.message(method="tools/call", target=tool)
        return span.sampled


def test_a_sampler_decides_by_the_name_of_the_tool() -> None:
    environ = {**CONSOLE, "OTEL_TRACES_SAMPLER": "by_tool", "OTEL_TRACES_SAMPLER_ARG": "echo"}
    telemetry = Telemetry.from_env(environ)
    assert [sampled(telemetry, tool) for tool in ("echo", "add")] == [True, False]
    assert telemetry.active["sampler"] == "by_tool (SDK)"
    telemetry.close(5)


def test_a_sampler_that_raises_records_nothing_and_breaks_no_request(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry.from_env({**CONSOLE, "OTEL_TRACES_SAMPLER": "raising"})
    assert not sampled(telemetry, "echo")
    telemetry.close(5)
    assert "the sampler failed: RuntimeError" in caplog.text


def test_a_sampler_that_refuses_its_argument_is_a_start_error_that_does_not_quote_it() -> None:
    environ = {**CONSOLE, "OTEL_TRACES_SAMPLER": "refusing", "OTEL_TRACES_SAMPLER_ARG": "hunter2"}
    with pytest.raises(StartupError, match="does not accept OTEL_TRACES_SAMPLER_ARG: ValueError") as error:
        Telemetry.from_env(environ)
    assert "hunter2" not in str(error.value)


def propagating() -> Telemetry:
    return Telemetry.from_env({**CONSOLE, "OTEL_PROPAGATORS": "one"})


def test_a_propagator_reads_and_writes_the_headers_and_meta_stays_w3c() -> None:
    telemetry = propagating()
    traceparent, tracestate = telemetry.context_in({"x-one": f"{TRACE}/{PARENT}/1", "traceparent": "00-ignored"})
    assert (traceparent, tracestate) == (f"00-{TRACE}-{PARENT}-01", None)
    with telemetry.server_span(traceparent=traceparent) as span:
        span.message(method="tools/call", target="echo")
        with span.client() as upstream:
            assert upstream.headers() == {"X-One": f"{TRACE}/{upstream.span_id}/1"}
            assert upstream.context == {"traceparent": f"00-{TRACE}-{upstream.span_id}-01"}
    assert telemetry.active["propagators"] == "one (SDK)"
    telemetry.close(5)


@pytest.mark.parametrize("value", ["", "raise", "x/y/z", "0/0/0", f"{'f' * 33}/{PARENT}/1", "\u00ff" * 5000])
def test_hostile_headers_are_no_context(value: str) -> None:
    telemetry = propagating()
    assert telemetry.context_in({"x-one": value}) == (None, None)
    telemetry.close(5)


@pytest.mark.parametrize("names", ["tracecontext", "baggage, tracecontext", "none", ""])
def test_what_is_built_in_needs_no_sdk(names: str) -> None:
    telemetry = Telemetry.from_env({**CONSOLE, "OTEL_PROPAGATORS": names})
    assert telemetry.propagators is None
    telemetry.close(5)
