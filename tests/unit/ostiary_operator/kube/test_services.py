from typing import Any

import pytest
from operator_objects import SYSTEM, populated

from ostiary_operator.compile.model import NamespaceServices, Service
from ostiary_operator.kube.changed_namespaces import NOTHING, ChangedNamespaces
from ostiary_operator.kube.errors import Busy, Forbidden
from ostiary_operator.kube.fake import FakeClient, add_namespaces
from ostiary_operator.kube.kinds import ENDPOINT_SLICE, SERVICE
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.services import ServiceReader

WHOLE = OperatorOptions(operator_namespace=SYSTEM)
SELECTED = Service(ports=frozenset({80}))


def has(cluster: FakeClient, namespace: str, name: str = "crm", **spec: Any) -> None:
    given = spec or {"selector": {"app": "a"}, "ports": [{"port": 80}]}
    cluster.put(SERVICE, {"metadata": {"name": name, "namespace": namespace}, "spec": given})


def has_slice(cluster: FakeClient, name: str, *, by: str | None = None) -> None:
    labels = {"kubernetes.io/service-name": "crm"} | ({"endpointslice.kubernetes.io/managed-by": by} if by else {})
    cluster.put(ENDPOINT_SLICE, {"metadata": {"name": name, "namespace": "tools", "labels": labels}})


async def test_services_are_known_with_all_that_says_where_their_endpoints_are() -> None:
    cluster = populated()
    has(cluster, "tools")
    has(cluster, "tools", "alias", type="ExternalName", externalName="a.example.com")
    has(cluster, "tools", "headless", clusterIP="None", selector={"app": "a"})
    has(cluster, "tools", "by-hand", ports=[{"port": 80}])
    has_slice(cluster, "crm-abc", by="endpointslice-controller.k8s.io")
    has_slice(cluster, "mirrored", by="endpointslicemirroring-controller.k8s.io")
    has_slice(cluster, "written")
    assert (await ServiceReader(cluster, WHOLE).read(["tools"]))["tools"] == NamespaceServices(
        {
            "crm": Service(ports=frozenset({80}), foreign_slices=("mirrored", "written")),
            "alias": Service(external_name="a.example.com", has_selector=False),
            "headless": Service(),
            "by-hand": Service(ports=frozenset({80}), has_selector=False),
        }
    )


async def test_only_changed_services_are_read_again_and_unused_ones_forgotten() -> None:
    cluster = populated()
    it = ServiceReader(cluster, WHOLE)
    assert set((await it.read(["tools", "sales"]))["sales"].services) == set()
    for namespace in ("tools", "sales"):
        has(cluster, namespace)
    found = await it.read(["tools", "sales"], ChangedNamespaces.within(["tools"]))
    assert (set(found["tools"].services), set(found["sales"].services)) == ({"crm"}, set())
    assert set(await it.read(["tools"], NOTHING)) == {"tools"}
    assert (await it.read(["tools", "sales"], NOTHING))["sales"].services == {"crm": SELECTED}


async def test_of_many_namespaces_the_whole_cluster_is_read_with_the_same_outcome() -> None:
    cluster = populated()
    names = [f"n{number}" for number in range(40)]
    add_namespaces(cluster, names)
    for name in names:
        has(cluster, name)
    many = await ServiceReader(cluster, WHOLE).read(names)
    narrow = OperatorOptions(operator_namespace=SYSTEM, watch_namespaces=tuple(names))
    assert many == await ServiceReader(cluster, narrow).read(names)
    assert many == {name: NamespaceServices({"crm": SELECTED}) for name in names}


async def test_without_the_right_to_see_endpoint_slices_that_is_known_and_a_failure_is_no_answer() -> None:
    cluster = populated()
    has(cluster, "tools")
    cluster.fail("list", ENDPOINT_SLICE, Forbidden("no"))
    assert not (await ServiceReader(cluster, WHOLE).read(["tools"]))["tools"].slices_readable
    cluster.fail("list", ENDPOINT_SLICE, Busy("503"))
    with pytest.raises(Busy):
        await ServiceReader(cluster, WHOLE).read(["tools"])


async def test_the_services_in_use_are_known_before_they_are_read() -> None:
    told: list[Any] = []
    cluster = populated()
    has(cluster, "tools")
    it = ServiceReader(
        cluster,
        WHOLE,
        follow=lambda namespaces: told.append(set(namespaces)),
        on_seen=lambda kind, obj: told.append(f"{kind.name} {obj['metadata']['name']}"),
    )
    await it.read(["tools"])
    assert told == [{"tools"}, "Service crm"]
