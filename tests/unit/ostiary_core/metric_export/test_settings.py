"""Whether metrics leave the process: only where the environment chooses it."""

import pytest

from ostiary_core.metric_export.settings import read_settings

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
OTLP = {**ENDPOINT, "OTEL_METRICS_EXPORTER": "otlp"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        ENDPOINT,
        {**OTLP, "OTEL_SDK_DISABLED": "true"},
        {**OTLP, "OTEL_METRICS_EXPORTER": "none"},
        {**OTLP, "OTEL_METRICS_EXPORTER": "prometheus"},
        {"OTEL_METRICS_EXPORTER": "otlp"},
    ],
)
def test_they_stay_where_nothing_asks_for_them(environ: dict[str, str]) -> None:
    assert read_settings(environ).off


def test_an_exporter_without_an_endpoint_is_warned_of() -> None:
    (warning,) = read_settings({"OTEL_METRICS_EXPORTER": "otlp"}).warnings
    assert warning == (
        "OTEL_METRICS_EXPORTER is otlp, and OTEL_EXPORTER_OTLP_ENDPOINT is not set: metrics are only at /metrics"
    )


@pytest.mark.parametrize(
    ("environ", "component"),
    [
        (OTLP, "otlp_proto_http"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/v1/metrics"}, "otlp_proto_http"),
        ({**OTLP, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "otlp_proto_grpc"),
        ({**OTLP, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json"}, "otlp_json_http"),
        ({"OTEL_METRICS_EXPORTER": "console"}, "console"),
    ],
)
def test_the_exporter_is_the_one_of_the_protocol(environ: dict[str, str], component: str) -> None:
    settings = read_settings(environ)
    assert (settings.off, settings.component, settings.interval, settings.warnings) == ("", component, 60.0, ())


@pytest.mark.parametrize(
    ("text", "seconds", "warned"),
    [
        ("5000", 5.0, False),
        ("10", 1.0, True),
        ("99999999999", 3600.0, True),
        ("-1", 60.0, True),
        ("1e9999", 60.0, True),
        ("9" * 5000, 60.0, True),
        ("٣٣٣٣", 60.0, True),
    ],
)
def test_the_interval_is_bounded(text: str, seconds: float, warned: bool) -> None:
    settings = read_settings({**OTLP, "OTEL_METRIC_EXPORT_INTERVAL": text})
    assert (settings.interval, bool(settings.warnings)) == (seconds, warned)


def test_another_temporality_is_not_promised() -> None:
    settings = read_settings({**OTLP, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"})
    assert settings.warnings == (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE is 'delta': metrics are cumulative",
    )
