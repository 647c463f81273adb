"""The replicas of gateways in a cluster, and the token that opens their evidence."""

import base64
from typing import Any

import pytest

from ostiary_core.contract.key_names import evidence_secret_name
from ostiary_operator.api.objects import Object
from ostiary_operator.console.sources.cluster_objects import ClusterObjects
from ostiary_operator.console.sources.cluster_ports import ClusterPorts
from ostiary_operator.kube.errors import Forbidden, NotFound, Unreachable
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import ENDPOINT_SLICE, PROXY, SECRET, SERVICE
from ostiary_operator.view.evidence.gathered import ProblemKind
from ostiary_operator.view.evidence.proxy_scope import ProxyScope

SYSTEM = "ostiary-system"
ALL = ProxyScope()
CRM, FILES = ProxyScope.of(["sales/crm"]), ProxyScope.of(["hr/files"])


class Cluster(FakeClient):
    """A cluster that serves no other documents."""

    async def document(self, path: str) -> Object:
        raise NotFound(path)


def put(cluster: Cluster, kind: Any, namespace: str, name: str, **fields: Any) -> None:
    metadata = {"namespace": namespace, "name": name, "labels": fields.pop("labels", {})}
    cluster.put(kind, {"metadata": metadata, **fields})


def put_gateway(cluster: Cluster, namespace: str, name: str, address: str) -> None:
    service = f"ostiary-{name}"
    put(cluster, SERVICE, namespace, service, labels={"ostiary.dev/gateway": name}, spec={"ports": []})
    endpoints = [{"addresses": [address], "targetRef": {"name": f"{name}-a"}, "conditions": {"ready": True}}]
    labels, ports = {"kubernetes.io/service-name": service}, [{"name": "admin", "port": 8081}]
    put(cluster, ENDPOINT_SLICE, namespace, f"{name}-1", labels=labels, endpoints=endpoints, ports=ports)
    for secret, key in ((f"ostiary-{name}", "admin-token"), (evidence_secret_name(name), "evidence-token")):
        put(cluster, SECRET, namespace, secret, data={key: base64.b64encode(f"{key} of {name}".encode()).decode()})


@pytest.fixture
def cluster() -> Cluster:
    """A shared gateway that serves two proxies, and one of the namespace sales that serves a third."""
    made = Cluster()
    put_gateway(made, SYSTEM, "default", "10.0.0.1")
    put_gateway(made, "sales", "own", "10.0.0.2")
    for (namespace, name), gateway in {
        ("sales", "crm"): (SYSTEM, "default"),
        ("hr", "files"): (SYSTEM, "default"),
        ("sales", "api"): ("sales", "own"),
    }.items():
        status = {"gateways": [{"namespace": gateway[0], "name": gateway[1], "ready": 1, "desired": 1}]}
        put(made, PROXY, namespace, name, spec={}, status=status)
    return made


def finder(cluster: Cluster) -> ClusterPorts:
    objects = ClusterObjects(cluster, title="https://api", operator_namespace=SYSTEM)
    return ClusterPorts(cluster, objects, operator_namespace=SYSTEM)


async def test_replicas_are_asked_with_the_token_that_opens_evidence_alone(cluster: Cluster) -> None:
    (port,) = (await finder(cluster).find(CRM)).ports
    assert (port.admin.url, port.admin.replica) == ("http://10.0.0.1:8081", "default-a")
    assert port.admin.token.reveal() == b"evidence-token of default"


async def test_a_person_who_may_read_only_the_secret_of_the_gateway_uses_that(cluster: Cluster) -> None:
    cluster.fail("get", SECRET, Forbidden("no"), name=evidence_secret_name("default"))
    (port,) = (await finder(cluster).find(CRM)).ports
    assert port.admin.token.reveal() == b"admin-token of default"


async def test_only_gateways_that_serve_what_is_wanted_are_looked_for(cluster: Cluster) -> None:
    finds = finder(cluster)
    everywhere = {port.admin.gateway for port in (await finds.find(ALL)).ports}
    assert everywhere == {f"{SYSTEM}/default", "sales/own"}
    assert [port.admin.gateway for port in (await finds.find(FILES)).ports] == [f"{SYSTEM}/default"]
    assert (await finds.find(ProxyScope.of(["sales/none"]))).ports == ()
    assert (await finds.find(ProxyScope.of([]))).ports == ()


async def test_a_gateway_of_a_namespace_may_tell_of_that_namespace_alone(cluster: Cluster) -> None:
    (port,) = [each for each in (await finder(cluster).find(ALL)).ports if each.admin.gateway == "sales/own"]
    assert (port.may_tell_of("sales/api"), port.may_tell_of("hr/files")) == (True, False)
    (shared,) = (await finder(cluster).find(FILES)).ports
    assert shared.may_tell_of("hr/files")


async def test_without_a_right_the_gateway_is_named_and_the_others_are_found(cluster: Cluster) -> None:
    for name in (evidence_secret_name("default"), "ostiary-default"):
        cluster.fail("get", SECRET, Forbidden("no"), name=name)
    found = await finder(cluster).find(ALL)
    assert [port.admin.gateway for port in found.ports] == ["sales/own"]
    (problem,) = found.problems
    assert (problem.gateway, problem.replica, problem.kind) == (f"{SYSTEM}/default", "", ProblemKind.NO_RIGHT)
    assert f"Secret {evidence_secret_name('default')} in namespace {SYSTEM}" in problem.why


@pytest.mark.parametrize(
    ("error", "kind"), [(Forbidden("no"), ProblemKind.NO_RIGHT), (Unreachable("away"), ProblemKind.UNREACHABLE)]
)
async def test_replicas_that_cannot_be_listed_are_a_problem_of_their_gateway(
    cluster: Cluster, error: Any, kind: ProblemKind
) -> None:
    cluster.fail("list", ENDPOINT_SLICE, error)
    (problem,) = (await finder(cluster).find(CRM)).problems
    assert (problem.gateway, problem.kind) == (f"{SYSTEM}/default", kind)


async def test_a_gateway_without_a_ready_replica_says_so(cluster: Cluster) -> None:
    cluster.remove(ENDPOINT_SLICE, namespace=SYSTEM, name="default-1")
    (problem,) = (await finder(cluster).find(CRM)).problems
    assert (problem.kind, problem.why) == (ProblemKind.NO_REPLICA, "it has no ready replica")


async def test_a_gateway_that_is_gone_says_so(cluster: Cluster) -> None:
    cluster.remove(SERVICE, namespace=SYSTEM, name="ostiary-default")
    (problem,) = (await finder(cluster).find(CRM)).problems
    assert problem.kind is ProblemKind.NO_RIGHT


async def test_an_api_server_that_is_away_is_one_problem_and_no_error(cluster: Cluster) -> None:
    cluster.fail("list", PROXY, Unreachable("the API server does not answer"))
    found = await finder(cluster).find(CRM)
    assert ([each.why for each in found.problems], found.ports) == (["the API server does not answer"], ())
