"""Finds components for OpenTelemetry's SDK by the names in the standard variables.

A component is an exporter, a sampler or a propagator that an installed package registers as an entry point. The names
and groups are those of OpenTelemetry's own configurator, so that whatever works there works here.
"""

from importlib.metadata import entry_points
from typing import Any, Final

from ostiary_core.errors import OstiaryError

TRACES_EXPORTER: Final = "opentelemetry_traces_exporter"
METRICS_EXPORTER: Final = "opentelemetry_metrics_exporter"
LOGS_EXPORTER: Final = "opentelemetry_logs_exporter"
SAMPLER: Final = "opentelemetry_traces_sampler"
PROPAGATOR: Final = "opentelemetry_propagator"

#: The entry point of the ``otlp`` exporter, by the protocol that ``OTEL_EXPORTER_OTLP_PROTOCOL`` names.
OTLP_BY_PROTOCOL: Final = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc", "http/json": "otlp_json_http"}
#: The packages that provide the components which users ask for most.
_PACKAGES: Final = {
    "otlp_proto_grpc": "opentelemetry-exporter-otlp-proto-grpc",
    "otlp_proto_http": "opentelemetry-exporter-otlp-proto-http",
    "otlp_json_http": "opentelemetry-exporter-otlp-json-http",
    "zipkin": "opentelemetry-exporter-zipkin",
    "zipkin_proto": "opentelemetry-exporter-zipkin-proto-http",
    "zipkin_json": "opentelemetry-exporter-zipkin-json",
    "b3": "opentelemetry-propagator-b3",
    "b3multi": "opentelemetry-propagator-b3",
    "jaeger": "opentelemetry-propagator-jaeger",
    "xray": "opentelemetry-propagator-aws-xray",
    "ottrace": "opentelemetry-propagator-ot-trace",
}
_NAME: Final = 64


class SdkComponentMissing(OstiaryError):
    """A variable names a component that is not installed, or that cannot be imported."""


def load(group: str, name: str, *, variable: str) -> Any:
    """Return the class or function that is registered under ``name`` in a group.

    Raises:
        SdkComponentMissing: no installed package provides it, or its import fails; names the variable, what is
            installed, and the package to install where it is known.
    """
    for found in entry_points(group=group, name=name):
        try:
            return found.load()
        except (ImportError, AttributeError) as error:
            raise SdkComponentMissing(
                f"{variable} names {name!r}, whose package {found.value.partition(':')[0]} cannot be imported: {error}"
            ) from error
    raise SdkComponentMissing(_missing(group, name, variable))


def installed(group: str) -> list[str]:
    """Return the names of the components in a group that are installed, sorted."""
    return sorted({each.name for each in entry_points(group=group)})


def _missing(group: str, name: str, variable: str) -> str:
    package = _PACKAGES.get(name)
    remedy = f"install {package} next to ostiary" if package else "install the package that provides it"
    names = ", ".join(installed(group)) or "none"
    return f"{variable} names {name[:_NAME]!r}, which is not installed: {remedy}, or use one of {names}"
