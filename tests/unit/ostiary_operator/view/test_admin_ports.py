"""The admin ports of the gateways that serve an MCPProxy, with the rights of the caller."""

import base64
from typing import Any

import pytest

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api.objects import Object
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import ENDPOINT_SLICE, PROXY, SECRET, SERVICE
from ostiary_operator.view.admin_client import AdminPort
from ostiary_operator.view.admin_ports import NoAdminPort, PortQuery, in_cluster, unreachable

SYSTEM = "ostiary-system"


class Cluster(FakeClient):
    """A cluster that serves no other documents."""

    async def document(self, path: str) -> Object:
        raise NotFound(path)


def query(**more: Any) -> PortQuery:
    return PortQuery(**{"namespace": "sales", "operator_namespace": SYSTEM, "proxy": "sales/crm", **more})


@pytest.fixture
def cluster() -> Cluster:
    """A shared gateway with two ready replicas, a gateway of the tenant with one, and an MCPProxy at the shared one."""
    made = Cluster()
    for namespace, name, pods in ((SYSTEM, "default", ("a", "b")), ("sales", "own", ("c",))):
        labels = {"ostiary.dev/gateway": name}
        put(made, SERVICE, namespace, f"ostiary-{name}", labels=labels, spec={"ports": [{"name": "http", "port": 80}]})
        token = base64.b64encode(f"token-of-{name}".encode()).decode()
        put(made, SECRET, namespace, f"ostiary-{name}", data={"admin-token": token})
        endpoints = [
            {"addresses": [f"10.0.0.{ord(pod)}"], "targetRef": {"name": f"{name}-{pod}"}, "conditions": {"ready": True}}
            for pod in pods
        ]
        service = {"kubernetes.io/service-name": f"ostiary-{name}"}
        ports = [{"name": "admin", "port": 8081}]
        put(made, ENDPOINT_SLICE, namespace, f"{name}-1", labels=service, endpoints=endpoints, ports=ports)
    status = {"gateways": [{"namespace": SYSTEM, "name": "default", "ready": 2, "desired": 2}]}
    put(made, PROXY, "sales", "crm", spec={}, status=status)
    return made


def put(cluster: Cluster, kind: Any, namespace: str, name: str, **fields: Any) -> None:
    metadata = {"namespace": namespace, "name": name, "labels": fields.pop("labels", {})}
    cluster.put(kind, {"metadata": metadata, **fields})


async def test_the_ready_replicas_of_the_gateways_that_serve_it_are_asked_with_the_token_of_their_secret(
    cluster: Cluster,
) -> None:
    ports = await in_cluster(cluster, query())
    assert [(port.replica, port.url, port.gateway, port.token.reveal()) for port in ports] == [
        ("default-a", "http://10.0.0.97:8081", f"{SYSTEM}/default", b"token-of-default"),
        ("default-b", "http://10.0.0.98:8081", f"{SYSTEM}/default", b"token-of-default"),
    ]


async def test_without_a_proxy_every_gateway_of_the_namespace_and_every_shared_one_is_asked(
    cluster: Cluster,
) -> None:
    ports = await in_cluster(cluster, query(proxy=""))
    assert {port.gateway for port in ports} == {f"{SYSTEM}/default", "sales/own"}


async def test_given_urls_need_no_endpoints_and_a_given_token_no_secret(cluster: Cluster) -> None:
    cluster.fail("list", ENDPOINT_SLICE, Forbidden("no"))
    cluster.fail("get", SECRET, Forbidden("no"))
    token = SecretBytes(b"given")
    (port,) = await in_cluster(cluster, query(urls=("http://127.0.0.1:8081/",), token=token))
    assert (port.url, port.token.reveal()) == ("http://127.0.0.1:8081", b"given")


async def test_a_tenant_without_the_right_to_read_the_secret_is_told_whom_to_ask(cluster: Cluster) -> None:
    cluster.fail("get", SECRET, Forbidden("no"))
    with pytest.raises(NoAdminPort, match=r"may not read the Secret ostiary-default .*Ask the platform team"):
        await in_cluster(cluster, query())


async def test_without_the_right_to_list_endpoints_the_port_forward_is_shown(cluster: Cluster) -> None:
    cluster.fail("list", ENDPOINT_SLICE, Forbidden("no"))
    with pytest.raises(NoAdminPort) as found:
        await in_cluster(cluster, query())
    assert f"kubectl -n {SYSTEM} port-forward service/ostiary-default 8081:admin &" in str(found.value)
    assert "--admin http://127.0.0.1:8081" in str(found.value)


async def test_a_proxy_that_does_not_exist_or_is_served_by_no_gateway_is_named(cluster: Cluster) -> None:
    with pytest.raises(NotFound):
        await in_cluster(cluster, query(proxy="sales/other"))
    put(cluster, PROXY, "sales", "new", spec={})
    with pytest.raises(NoAdminPort, match="no gateway serves MCPProxy sales/new: see `ostiary doctor new -n sales`"):
        await in_cluster(cluster, query(proxy="sales/new"))


def test_where_pods_cannot_be_reached_each_gets_a_port_of_its_own() -> None:
    token = SecretBytes(b"t")
    ports = [AdminPort(f"http://10.0.0.{n}:8081", f"default-{n}", f"{SYSTEM}/default", token) for n in (1, 2)]
    words = unreachable(ports, "no answer: it took too long")
    assert f" kubectl -n {SYSTEM} port-forward pod/default-2 8082:admin &" in words
    assert words.endswith("--admin http://127.0.0.1:8081 --admin http://127.0.0.1:8082")


def test_for_a_given_url_nothing_is_forwarded() -> None:
    port = AdminPort("http://127.0.0.1:1", "http://127.0.0.1:1", f"{SYSTEM}/default", SecretBytes(b"t"))
    assert "kubectl" not in unreachable([port], "no answer")
