"""The chart's roles, asked of the API server that enforces them; that they are enough shows where the operator runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import yaml
from charts import CHART, render

from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.errors import CommandError
from ostiary_tools.common.processes import wait_until


@dataclass(frozen=True)
class Rights:
    """The default values' roles and bindings in one namespace, and another namespace that has none."""

    control_plane: ControlPlane
    own: str
    other: str

    def allow(self, user: str, question: str) -> bool:
        words = question.format(own=self.own, other=self.other).split()
        try:
            return self.control_plane.kubectl("auth", "can-i", "--as", user, *words).strip() == "yes"
        except CommandError as answer:
            if answer.stderr:  # else it said no, in its exit code too
                raise
            return False


@pytest.fixture
def rights(control_plane: ControlPlane, new_namespace: Callable[..., str]) -> Iterator[Rights]:
    control_plane.apply_crds(CHART.parents[1] / "crds")
    own = new_namespace()
    objects = [obj for obj in render(release=own, namespace=own) if "Role" in obj["kind"]]
    manifest = yaml.safe_dump_all(objects)
    control_plane.kubectl("create", "-f", "-", input=manifest)
    yield Rights(control_plane, own, new_namespace())
    control_plane.kubectl("delete", "-f", "-", input=manifest)


OPERATOR_MAY = (
    "list mcpproxies --all-namespaces",
    "watch services --all-namespaces",
    "patch mcpproxies --subresource=status --all-namespaces",
    "create events.events.k8s.io -n {other}",
    "get configmaps -n {other}",
    "watch configmaps -n {own}",
    "create configmaps/ostiary-default-15 -n {own}",
    "patch secrets/ostiary-default -n {own}",
    "create secrets/ostiary-default.evidence -n {own}",
    "list endpointslices -n {own}",
    "create leases.coordination.k8s.io/ostiary-claim -n {other}",
    "get endpointslices/kubernetes -n default",
    "patch leases.coordination.k8s.io/{own}-ostiary-operator -n {own}",
)
OPERATOR_MAY_NOT = (
    "patch mcpproxies --all-namespaces",
    "delete mcppolicies --all-namespaces",
    "get secrets -n {other}",
    "get secrets/other -n {own}",
    "list secrets -n {own}",
    "list configmaps -n {other}",
    "create configmaps/other -n {own}",
    "delete configmaps/ostiary-default-0 -n {own}",
    "create leases.coordination.k8s.io/other -n {other}",
    "patch leases.coordination.k8s.io/{own}-ostiary-operator -n {other}",
    "delete leases.coordination.k8s.io/ostiary-claim -n {own}",
    "list pods --all-namespaces",
    "get endpointslices/other -n default",
    "get endpointslices/kubernetes -n {other}",
    "create clusterrolebindings --all-namespaces",
)


def test_the_operator_may_do_what_it_needs_and_no_more(rights: Rights) -> None:
    operator = f"system:serviceaccount:{rights.own}:{rights.own}-ostiary-operator"
    wait_until(lambda: rights.allow(operator, OPERATOR_MAY[0]), what="the roles to be in force")
    assert [question for question in OPERATOR_MAY if not rights.allow(operator, question)] == []
    assert [question for question in OPERATOR_MAY_NOT if rights.allow(operator, question)] == []


GATEWAY_MAY = (
    "watch configmaps/ostiary-default-0 -n {own}",
    "get configmaps/ostiary-default-15 -n {own}",
    "list secrets/ostiary-default -n {own}",
    "list endpointslices --all-namespaces",
    "watch endpointslices -n {other}",
)
GATEWAY_MAY_NOT = (
    "patch endpointslices -n {other}",
    "list services -n {other}",
    "list pods -n {other}",
    "list mcpproxies -n {other}",
    "patch configmaps/ostiary-default-0 -n {own}",
    "get configmaps/ostiary-edge-0 -n {own}",
    "list configmaps -n {own}",
    "get secrets/other -n {own}",
    "get secrets/ostiary-default.evidence -n {own}",
    "get secrets/ostiary-default -n {other}",
    "list mcpproxies --all-namespaces",
)


def test_the_gateway_may_read_its_own_config_and_where_pods_are_and_nothing_else(rights: Rights) -> None:
    gateway = f"system:serviceaccount:{rights.own}:{rights.own}-ostiary-gateway"
    wait_until(lambda: rights.allow(gateway, GATEWAY_MAY[0]), what="the roles to be in force")
    assert [question for question in GATEWAY_MAY if not rights.allow(gateway, question)] == []
    assert [question for question in GATEWAY_MAY_NOT if rights.allow(gateway, question)] == []


@pytest.mark.parametrize(
    ("role", "verbs"),
    [("view", ["get"]), ("edit", ["get", "create"]), ("admin", ["get", "create", "deletecollection"])],
)
def test_a_user_of_a_namespace_may_use_its_proxies(rights: Rights, role: str, verbs: list[str]) -> None:
    user = f"who-may-{role}"
    bind = ("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}", "-n", rights.other)
    rights.control_plane.kubectl(*bind)

    def has_what_it_should() -> bool:
        asked = ("get", "create", "deletecollection", "escalate")
        return [verb for verb in asked if rights.allow(user, f"{verb} mcppolicies -n {{other}}")] == verbs

    wait_until(has_what_it_should, what=f"the rights of {role}: {verbs}")  # a controller joins the roles
