"""The standard variables: what they mean to the SDK and to the gateway, and what an invalid one does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GRPCExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HTTPExporter
from opentelemetry.sdk.trace import TracerProvider

from ostiary_gateway.telemetry.collector import TLS, Collector
from ostiary_gateway.telemetry.configuration import Settings, read_settings

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
GRPC = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}


def collector(environ: Mapping[str, str]) -> Collector:
    settings = read_settings(environ)
    assert settings.collector is not None
    return settings.collector


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets variables for the SDK, which reads the process's environment."""

    def set_all(values: Mapping[str, str]) -> Mapping[str, str]:
        for key, value in values.items():
            monkeypatch.setenv(key, value)
        return values

    return set_all


# Whether there is tracing at all


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "OTEL_EXPORTER_OTLP_ENDPOINT is not set"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, "OTEL_EXPORTER_OTLP_ENDPOINT is not set"),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, "OTEL_SDK_DISABLED is true"),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, "OTEL_TRACES_EXPORTER is none"),
    ],
)
def test_tracing_is_off_without_an_endpoint_or_on_request_and_the_reason_is_logged(
    variables: Mapping[str, str], reason: str
) -> None:
    settings = read_settings(variables)

    assert (settings.off, settings.collector, settings.warnings) == (reason, None, ())


def test_asking_for_otlp_without_an_endpoint_is_warned_of() -> None:
    settings = read_settings({"OTEL_TRACES_EXPORTER": "otlp"})

    assert settings.off is not None
    assert settings.warnings == ("OTEL_TRACES_EXPORTER is otlp without OTEL_EXPORTER_OTLP_ENDPOINT: tracing is off",)


def test_the_console_needs_no_endpoint() -> None:
    settings = read_settings({"OTEL_TRACES_EXPORTER": "console"})

    assert (settings.off, settings.exporters, settings.collector) == (None, ("console",), None)


@pytest.mark.parametrize("value", ["", " ", "false", "False"])
def test_disabled_means_true_and_nothing_else(value: str) -> None:
    settings = read_settings({**ENDPOINT, "OTEL_SDK_DISABLED": value})

    assert (settings.off, settings.warnings) == (None, ())


# What the SDK reads


@pytest.mark.parametrize(
    "variables",
    [
        ENDPOINT,
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector/base"},
        {**ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces.example/otlp/v1/traces?tenant=a"},
        {**ENDPOINT, "OTEL_EXPORTER_OTLP_HEADERS": "api-key=k%20ey, X-Tenant = acme ,equals=a=b"},
        {
            **ENDPOINT,
            "OTEL_EXPORTER_OTLP_HEADERS": "a=1",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "Authorization=Basic abc==",
        },
        {**ENDPOINT, "OTEL_EXPORTER_OTLP_TIMEOUT": "2.5"},
        {**ENDPOINT, "OTEL_EXPORTER_OTLP_TIMEOUT": "2", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "3"},
        {**ENDPOINT, "OTEL_EXPORTER_OTLP_COMPRESSION": "GZIP"},
        {**ENDPOINT, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "deflate"},
    ],
)
def test_http_is_read_as_the_sdk_reads_it(environ: Any, variables: Mapping[str, str]) -> None:
    environ(variables)
    theirs = HTTPExporter()

    ours = collector(variables)

    headers = {key: value for key, value in theirs._client._headers.items() if key not in SDK_HEADERS}
    assert ours.protocol == "http/protobuf"
    assert ours.endpoint == theirs._endpoint
    assert ours.headers == headers
    assert ours.timeout == theirs._client._timeout
    assert ours.compression == theirs._compression.value


SDK_HEADERS = {"content-type", "user-agent", "Content-Encoding"}


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317/ignored"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4317"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317", "OTEL_EXPORTER_OTLP_TRACES_INSECURE": "TRUE"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:2"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=abc"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "4"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
    ],
)
def test_grpc_is_read_as_the_sdk_reads_it(environ: Any, variables: Mapping[str, str]) -> None:
    variables = {**GRPC, **variables}
    environ(variables)
    theirs = GRPCExporter()

    ours = collector(variables)

    assert ours.protocol == "grpc"
    assert ours.endpoint == theirs._endpoint
    assert ours.secure is not theirs._insecure
    assert tuple(ours.headers.items()) == theirs._headers
    assert ours.timeout == theirs._timeout
    assert (ours.compression == "gzip") is (theirs._compression.name == "Gzip")
    theirs.shutdown()


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("", ""),
        ("always_on", "0.5"),
        ("ALWAYS_OFF", ""),
        ("traceidratio", "0.25"),
        ("traceidratio", ""),
        ("traceidratio", "nonsense"),
        ("traceidratio", "nan"),
        ("parentbased_always_on", ""),
        ("parentbased_always_off", ""),
        ("parentbased_traceidratio", "0.001"),
        ("parentbased_traceidratio", "2"),
        ("parentbased_traceidratio", "-1"),
        ("unknown", ""),
    ],
)
def test_the_sampler_is_the_one_that_the_sdk_reads(environ: Any, name: str, argument: str) -> None:
    variables = {**ENDPOINT, "OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument}
    environ(variables)
    theirs = TracerProvider(shutdown_on_exit=False).sampler.get_description()

    ours = read_settings(variables)

    assert described(ours) in theirs
    assert ours.sampler.startswith("parentbased") is theirs.startswith("ParentBased")


def described(settings: Settings) -> str:
    root = settings.sampler.removeprefix("parentbased_")
    names = {"always_on": "AlwaysOnSampler", "always_off": "AlwaysOffSampler"}
    return names.get(root, f"TraceIdRatioBased{{{settings.sampler_ratio}}}")


# What differs from the SDK, and what is ours alone


def test_the_defaults_are_ours() -> None:
    settings = read_settings(ENDPOINT)

    assert settings == Settings(
        off=None,
        collector=Collector("http/protobuf", "http://collector:4318/v1/traces", False, {}, 10.0, "none", TLS()),
        sampler="parentbased_always_on",
        remote_sampled_per_second=100.0,
        queue_size=8192,
        batch_size=512,
        delay=0.2,
        attribute_text_limit=1024,
        attribute_count_limit=128,
    )


def test_the_batch_processors_variables_are_honoured() -> None:
    settings = read_settings(
        {
            **ENDPOINT,
            "OTEL_BSP_MAX_QUEUE_SIZE": "100",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "512",
            "OTEL_BSP_SCHEDULE_DELAY": "1500",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "64",
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "32",
            "OTEL_ATTRIBUTE_COUNT_LIMIT": "16",
            "OSTIARY_TRACES_REMOTE_SAMPLED_PER_SECOND": "0",
        }
    )

    assert (settings.queue_size, settings.batch_size, settings.delay) == (100, 100, 1.5)
    assert (settings.attribute_text_limit, settings.attribute_count_limit) == (64, 32)
    assert (settings.remote_sampled_per_second, settings.warnings) == (0.0, ())


@pytest.mark.parametrize(
    ("value", "limit"), [("SPAN_ONLY", 4096), ("span_and_event", 4096), ("true", 4096), ("NO_CONTENT", 0), ("", 0)]
)
def test_content_is_captured_only_where_the_variable_of_the_conventions_says_so(value: str, limit: int) -> None:
    settings = read_settings({**ENDPOINT, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": value})

    assert (settings.content_limit, settings.warnings) == (limit, ())


@pytest.mark.parametrize(("characters", "limit"), [("64", 64), ("60000", 4096)])
def test_the_standard_limit_of_attributes_holds_for_content_where_it_is_lower(characters: str, limit: int) -> None:
    settings = read_settings(
        {
            **ENDPOINT,
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": characters,
        }
    )

    assert (settings.content_limit, settings.warnings) == (limit, ())


def test_a_timeout_that_was_meant_in_milliseconds_is_cut_to_30_seconds_with_a_warning() -> None:
    settings = read_settings({**ENDPOINT, "OTEL_EXPORTER_OTLP_TIMEOUT": "10000"})

    assert settings.collector is not None
    assert settings.collector.timeout == 30.0
    assert "OTEL_EXPORTER_OTLP_TIMEOUT" in settings.warnings[0]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "nan"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "no equals sign"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-5"),
        ("OTEL_BSP_SCHEDULE_DELAY", "x"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "x"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "x"),
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "yes"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY"),
        ("OSTIARY_TRACES_REMOTE_SAMPLED_PER_SECOND", "-1"),
    ],
)
def test_a_wrong_value_gives_one_warning_that_names_it_and_the_default(variable: str, value: str) -> None:
    settings = read_settings({**ENDPOINT, variable: value})

    (warning,) = settings.warnings
    assert warning.startswith(variable + " ")
    assert replace(settings, warnings=()) == read_settings(ENDPOINT)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("endpoint", ["http://", "http://host:port", "http://[::1", "https://:4317"])
def test_an_endpoint_that_cannot_work_turns_tracing_off_with_a_warning(protocol: str, endpoint: str) -> None:
    settings = read_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})

    assert settings.off == "the OTLP endpoint is not usable"
    assert len(settings.warnings) == 1


def test_an_http_endpoint_needs_its_scheme_and_the_error_shows_the_form() -> None:
    settings = read_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"})
    assert settings.off == "the OTLP endpoint is not usable"
    assert settings.warnings == (
        "OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https URL (write http://localhost:4318): tracing is off",
    )


def test_a_grpc_endpoint_without_a_scheme_means_tls_as_in_the_sdks_and_is_logged() -> None:
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317"}
    settings = read_settings(environ)
    assert settings.collector is not None
    assert (settings.collector.endpoint, settings.collector.secure) == ("localhost:4317", True)
    assert settings.warnings == (
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT has no scheme, which means TLS: "
            "for a collector without it write http://localhost:4317"
        ),
    )
    for insecure in ("true", "false"):
        assert read_settings({**environ, "OTEL_EXPORTER_OTLP_INSECURE": insecure}).warnings == ()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_an_endpoint_that_may_hold_a_secret_is_not_shown(protocol: str) -> None:
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": "me:secret@collector:4317"}
    settings = read_settings(environ)
    assert settings.warnings
    assert "secret" not in " ".join(settings.warnings)


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "/v1/traces"])
def test_an_http_endpoint_of_another_kind_is_not_used(endpoint: str) -> None:
    assert read_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}).off == "the OTLP endpoint is not usable"


def test_the_query_of_the_base_url_stays_after_the_path() -> None:
    ours = collector({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector/base/?tenant=a"})

    assert ours.endpoint == "https://collector/base/v1/traces?tenant=a"
