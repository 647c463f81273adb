"""The Resource: defaults, Kubernetes' downward API, and the standard variables above both."""

from collections.abc import Mapping
from uuid import UUID

import pytest
from opentelemetry.sdk.resources import OTELResourceDetector

from ostiary_core.version import __version__
from ostiary_gateway.telemetry.environment_variables import Environment
from ostiary_gateway.telemetry.resource import resource_attributes

POD = {
    "POD_NAME": "gateway-7d9f-x2x",
    "POD_NAMESPACE": "ostiary-system",
    "POD_UID": "6f1c",
    "NODE_NAME": "node-3",
    "DEPLOYMENT_NAME": "gateway",
}


def attributes(environ: Mapping[str, str], **extra: str) -> dict[str, str]:
    return resource_attributes(Environment(environ), extra)


def test_a_bare_process_is_an_ostiary_gateway_with_a_random_instance_id() -> None:
    first, second = attributes({}), attributes({})

    assert first["service.name"] == "ostiary-gateway"
    assert first["service.version"] == __version__
    assert UUID(first["service.instance.id"]) == UUID(second["service.instance.id"])  # of spans and of metrics
    assert not [key for key in first if key.startswith("k8s.")]


def test_the_recording_is_not_passed_off_as_the_official_sdks() -> None:
    resource = attributes({})

    assert (resource["telemetry.sdk.name"], resource["telemetry.sdk.language"]) == ("ostiary", "python")


def test_a_pod_is_named_as_kubernetes_backends_join_it() -> None:
    resource = attributes(POD)

    assert resource["k8s.pod.name"] == "gateway-7d9f-x2x"
    assert resource["k8s.pod.uid"] == "6f1c"
    assert resource["k8s.namespace.name"] == resource["service.namespace"] == "ostiary-system"
    assert resource["k8s.node.name"] == "node-3"
    assert resource["k8s.deployment.name"] == "gateway"
    assert resource["service.instance.id"] == "ostiary-system.gateway-7d9f-x2x.gateway"


def test_outside_a_pod_a_variable_that_happens_to_have_the_name_is_not_kubernetes() -> None:
    resource = attributes({"CONTAINER_NAME": "devbox", "NODE_NAME": "laptop", "POD_NAMESPACE": "x"})

    assert not [key for key in resource if key.startswith("k8s.") or key == "service.namespace"]


def test_a_sidecar_has_a_container_name_of_its_own() -> None:
    resource = attributes({**POD, "CONTAINER_NAME": "ostiary"})

    assert resource["k8s.container.name"] == "ostiary"
    assert resource["service.instance.id"] == "ostiary-system.gateway-7d9f-x2x.ostiary"


def test_the_standard_variables_win_over_everything_else() -> None:
    resource = attributes(
        {
            **POD,
            "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=mine,service.instance.id=i-1,service.name=a,team=my%20team",
            "OTEL_SERVICE_NAME": "edge",
        },
        team="default",
    )

    assert resource["k8s.pod.name"] == "mine"
    assert resource["service.instance.id"] == "i-1"
    assert resource["service.name"] == "edge"
    assert resource["team"] == "my team"


def test_the_processs_own_attributes_stand_above_the_defaults_only() -> None:
    resource = attributes({}, **{"ostiary.gateway": "ostiary-system/default", "service.name": "mcp"})

    assert resource["ostiary.gateway"] == "ostiary-system/default"
    assert resource["service.name"] == "mcp"


def test_an_empty_service_name_is_none() -> None:
    resource = attributes({"OTEL_RESOURCE_ATTRIBUTES": "service.name=", "OTEL_SERVICE_NAME": ""})

    assert resource["service.name"] == "ostiary-gateway"


@pytest.mark.parametrize("value", ["a=1,b=2", " a = 1 , b=x%2Cy,", "a=b=c", "a", "a=1,bad,c=3", "", "a=1,a=2"])
def test_resource_attributes_are_read_as_the_sdk_reads_them(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", value)

    ours = Environment({"OTEL_RESOURCE_ATTRIBUTES": value}).pairs("OTEL_RESOURCE_ATTRIBUTES")

    assert ours == dict(OTELResourceDetector().detect().attributes)


def test_a_malformed_pair_is_dropped_with_a_warning() -> None:
    env = Environment({"OTEL_RESOURCE_ATTRIBUTES": "a=1,bad,c=3"})

    assert resource_attributes(env, {})["c"] == "3"
    assert len(env.warnings) == 1


@pytest.mark.parametrize("given", [{}, {"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=mine"}])
def test_workers_of_one_pod_are_instances_of_their_own(given: dict[str, str]) -> None:
    found = [attributes({**POD, **given, "OSTIARY_WORKER": worker})["service.instance.id"] for worker in "01"]
    name = "mine" if given else "ostiary-system.gateway-7d9f-x2x.gateway"
    assert found == [f"{name}-w0", f"{name}-w1"]
