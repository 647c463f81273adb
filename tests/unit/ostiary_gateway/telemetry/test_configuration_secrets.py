"""Secrets in the standard variables: passwords, headers and key files. None is ever shown."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ostiary_gateway.telemetry.collector import TLS, Collector
from ostiary_gateway.telemetry.configuration import read_settings

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def collector(environ: Mapping[str, str]) -> Collector:
    settings = read_settings(environ)
    assert settings.collector is not None
    return settings.collector


def test_a_password_in_the_endpoint_becomes_a_header_and_is_never_shown() -> None:
    ours = collector({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:p%40ss@collector:4318"})

    assert ours.endpoint == "https://collector:4318/v1/traces"
    assert ours.headers == {"authorization": "Basic dXNlcjpwQHNz"}
    assert "dXNlcj" not in repr(ours)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_no_warning_quotes_a_header_or_an_endpoint(caplog: pytest.LogCaptureFixture, protocol: str) -> None:
    settings = read_settings(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:hunter2@host:port",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_HEADERS": 'bad header "hunter2",x=hunter2%0Ay',
        }
    )
    good = read_settings({**ENDPOINT, "OTEL_EXPORTER_OTLP_HEADERS": 'bad header "hunter2",x=hunter2%0Ay,ok=1'})

    assert good.collector is not None
    assert good.collector.headers == {"ok": "1"}
    assert "hunter2" not in " ".join((*settings.warnings, *good.warnings, caplog.text))


def test_tls_files_are_taken_the_traces_own_first(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key", "other"):
        (tmp_path / name).write_text("")
    ours = collector(
        {
            **ENDPOINT,
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "other"),
            "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": str(tmp_path / "ca"),
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(tmp_path / "cert"),
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(tmp_path / "key"),
        }
    )

    assert ours.tls == TLS(str(tmp_path / "ca"), str(tmp_path / "cert"), str(tmp_path / "key"))


def test_a_key_without_a_certificate_is_not_used_and_warned_of(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("")

    settings = read_settings({**ENDPOINT, "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(key)})

    assert settings.collector is not None
    assert settings.collector.tls == TLS()
    assert len(settings.warnings) == 1
