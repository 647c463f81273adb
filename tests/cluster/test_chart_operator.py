"""How the chart runs the operator: one replica or several, and never two that write."""

import pytest
from charts import container, of_kind, one, render

from ostiary_tools.common.errors import CommandError

NAME = "ostiary-operator"


@pytest.mark.parametrize(("replicas", "budgets"), [("1", 0), ("2", 1)])
def test_replicas_take_part_in_the_election_and_are_replaced_one_by_one(replicas: str, budgets: int) -> None:
    objects = render("--set", f"operator.replicas={replicas}")
    deployment = one(objects, "Deployment", NAME)
    assert deployment["spec"]["replicas"] == int(replicas)
    assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"
    assert {"--leader-elect", f"--name={NAME}"} <= set(container(deployment)["args"])
    found = [obj for obj in of_kind(objects, "PodDisruptionBudget") if obj["metadata"]["name"] == NAME]
    assert len(found) == budgets


def test_without_an_election_the_old_one_ends_before_the_new_one_begins() -> None:
    deployment = one(render("--set", "operator.leaderElection.enabled=false"), "Deployment", NAME)
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert "--leader-elect" not in container(deployment)["args"]


def test_several_without_an_election_are_refused() -> None:
    with pytest.raises(CommandError, match="without leaderElection all of them would write"):
        render("--set", "operator.replicas=2,operator.leaderElection.enabled=false")


def variables(*settings: str) -> dict[str, object]:
    """The environment of the operator's container, by name."""
    deployment = one(render("--set", ",".join(settings)), "Deployment", NAME)
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container(deployment)["env"]}


def test_it_traces_changes_where_calls_are_traced_but_without_the_sampler_of_calls() -> None:
    found = variables(
        "telemetry.endpoint=http://collector:4318",
        "telemetry.headersSecret.name=collector",
        "telemetry.sampler=traceidratio",
        "telemetry.serviceName=edge",
    )
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    assert found["OTEL_EXPORTER_OTLP_HEADERS"] == {"secretKeyRef": {"name": "collector", "key": "headers"}}
    assert not {"OTEL_TRACES_SAMPLER", "OTEL_SERVICE_NAME"} & found.keys()


@pytest.mark.parametrize("settings", ["telemetry.changes=Disabled", "telemetry.protocol=grpc"])
def test_it_traces_no_changes_where_that_is_disabled_or_its_image_cannot_send_them(settings: str) -> None:
    found = variables("telemetry.endpoint=http://collector:4317", settings)
    assert not [name for name in found if name.startswith("OTEL_")]
