"""What viewers of the console may see, as a real API server judges it by the chart's own roles."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import yaml
from charts import CHART, render
from mcp_clients import eventually

from ostiary_operator.console.access.rights import Right, Viewer
from ostiary_operator.console.access.subject_reviews import SubjectReviews
from ostiary_operator.kube.kubeconfig import Credentials, opened
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.processes import wait_until

EVERYTHING = [Right.PROXY, Right.EVIDENCE, Right.CALLS, Right.POLICY, Right.LOCK]


@pytest.fixture
def roles(control_plane: ControlPlane, namespace: str) -> Iterator[str]:
    """The prefix of the chart's roles for people."""
    control_plane.apply_crds(CHART.parents[1] / "crds")
    found = [each for each in render(release=namespace) if each["kind"] == "ClusterRole"]
    manifest = yaml.safe_dump_all(each for each in found if "operator" not in each["metadata"]["name"])
    control_plane.kubectl("create", "-f", "-", input=manifest)
    yield f"{namespace}-ostiary"
    control_plane.kubectl("delete", "-f", "-", input=manifest)


@pytest.fixture
async def reviews(control_plane: ControlPlane) -> AsyncIterator[SubjectReviews]:
    async with opened(Credentials(str(control_plane.kubeconfig))) as cluster:
        found = SubjectReviews(cluster)
        yield found
        await found.close()


def bind(control_plane: ControlPlane, namespace: str, role: str, *, user: str) -> None:
    """Bind a role to a user in a namespace, and wait until the API server knows."""
    name = f"{user}-{role.rpartition('-')[2]}"
    control_plane.kubectl("create", "rolebinding", name, f"--clusterrole={role}", f"--user={user}", "-n", namespace)
    wait_until(lambda: may_get(control_plane, user, namespace), what=f"{user} to have {role}")


def may_get(control_plane: ControlPlane, user: str, namespace: str) -> bool:
    """Whether a user may get the MCPProxy `crm`."""
    attributes = {
        "group": "ostiary.dev",
        "resource": "mcpproxies",
        "verb": "get",
        "namespace": namespace,
        "name": "crm",
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return bool(control_plane.api.request("POST", path, body)["status"]["allowed"])


async def rights_of(reviews: SubjectReviews, user: str, namespace: str) -> list[Right]:
    """The rights of a user to an MCPProxy, or what has its name."""
    rights = reviews.of(Viewer(user, ("system:authenticated",)))
    return [right for right in EVERYTHING if await rights.may(right, namespace=namespace, name="crm")]


async def test_an_observer_sees_one_namespace_and_nothing_of_another(
    control_plane: ControlPlane, reviews: SubjectReviews, roles: str, new_namespace: Callable[..., str]
) -> None:
    own, other = new_namespace(), new_namespace()
    bind(control_plane, own, f"{roles}-observer", user="ada")
    assert await rights_of(reviews, "ada", own) == EVERYTHING
    assert await rights_of(reviews, "ada", other) == []
    visible = reviews.of(Viewer("ada", ("system:authenticated",))).visible
    assert await visible(Right.PROXY, [f"{own}/crm", f"{own}/b", f"{other}/crm"]) == {f"{own}/crm", f"{own}/b"}


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("view", [Right.PROXY, Right.EVIDENCE, Right.POLICY, Right.LOCK]),
        ("edit", [Right.PROXY, Right.EVIDENCE, Right.POLICY, Right.LOCK]),
        ("admin", EVERYTHING),
    ],
)
async def test_who_works_in_a_namespace_sees_its_traffic_and_only_its_administrator_who_calls(
    control_plane: ControlPlane, reviews: SubjectReviews, roles: str, namespace: str, role: str, expected: list[Right]
) -> None:
    bind(control_plane, namespace, role, user=f"who-may-{role}")

    async def has_what_it_should() -> bool:
        async with opened(Credentials(str(control_plane.kubeconfig))) as cluster:  # which remembers nothing
            return await rights_of(SubjectReviews(cluster), f"who-may-{role}", namespace) == expected

    await eventually(has_what_it_should)  # a controller joins the roles
    assert await rights_of(reviews, f"who-may-{role}", namespace) == expected


async def test_a_role_for_one_name_shows_one_object(
    control_plane: ControlPlane, reviews: SubjectReviews, roles: str, namespace: str
) -> None:
    make = ("create", "role", "one", "--verb=get", "--resource=mcpproxies.ostiary.dev", "--resource-name=crm")
    control_plane.kubectl(*make, "-n", namespace)
    control_plane.kubectl("create", "rolebinding", "one", "--role=one", "--user=eve", "-n", namespace)
    wait_until(lambda: may_get(control_plane, "eve", namespace), what="the role to be in force")
    assert await rights_of(reviews, "eve", namespace) == [Right.PROXY]
    rights = reviews.of(Viewer("eve"))
    assert await rights.visible(Right.PROXY, [f"{namespace}/crm", f"{namespace}/other"]) == {f"{namespace}/crm"}


async def test_where_the_console_serves_some_namespaces_it_asks_within_them(
    control_plane: ControlPlane, roles: str, new_namespace: Callable[..., str]
) -> None:
    own, other = new_namespace(), new_namespace()
    for each in (own, other):
        bind(control_plane, each, f"{roles}-observer", user="ada")
    async with opened(Credentials(str(control_plane.kubeconfig))) as cluster:
        rights = SubjectReviews(cluster, namespaces=[own]).of(Viewer("ada"))
        assert await rights.visible(Right.CALLS, [f"{own}/crm", f"{other}/crm"]) == {f"{own}/crm"}
