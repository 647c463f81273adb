import pytest

from ostiary_core import sdk_components
from ostiary_core.sdk_components import SdkComponentMissing


def test_a_component_is_found_by_the_name_that_the_standard_variables_use() -> None:
    found = sdk_components.load(sdk_components.TRACES_EXPORTER, "console", variable="OTEL_TRACES_EXPORTER")
    assert found.__name__ == "ConsoleSpanExporter"
    assert "tracecontext" in sdk_components.installed(sdk_components.PROPAGATOR)


def test_a_missing_component_names_the_variable_the_package_and_what_is_installed() -> None:
    with pytest.raises(SdkComponentMissing) as error:
        sdk_components.load(sdk_components.PROPAGATOR, "b3", variable="OTEL_PROPAGATORS")
    assert str(error.value) == (
        "OTEL_PROPAGATORS names 'b3', which is not installed: install opentelemetry-propagator-b3 next to ostiary, "
        "or use one of baggage, tracecontext"
    )


def test_an_unknown_component_is_not_quoted_at_length() -> None:
    with pytest.raises(SdkComponentMissing, match="install the package that provides it") as error:
        sdk_components.load(sdk_components.SAMPLER, "x" * 10_000, variable="OTEL_TRACES_SAMPLER")
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("name", ["otlp_proto_http", "otlp_proto_grpc"])
def test_the_protocols_of_otlp_lead_to_installed_entry_points(name: str) -> None:
    assert name in sdk_components.OTLP_BY_PROTOCOL.values()
    assert name in sdk_components.installed(sdk_components.TRACES_EXPORTER)
