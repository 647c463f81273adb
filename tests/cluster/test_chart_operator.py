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
