"""The resources of a cluster as the console reads them, with the rights of its account."""

from collections import Counter
from typing import Any

import pytest

from ostiary_operator.api.objects import Object, Objects
from ostiary_operator.console.sources.cluster_objects import ClusterObjects, ListedObjects
from ostiary_operator.console.sources.protocols import SourceUnavailable
from ostiary_operator.kube.errors import Forbidden, KindMissing, NotFound, Unreachable
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import LOCK, POLICY, PROXY, SERVICE, Kind
from ostiary_operator.kube.list_decoding import packed
from ostiary_operator.local.governed_proxy import UnknownProxy

SYSTEM = "ostiary-system"


class Cluster(FakeClient):
    """A cluster that counts what it is asked, and packs as the real client of the console does."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: Counter[str] = Counter()

    async def list(self, kind: Kind, *, namespace: str | None = None, selector: str | None = None) -> Objects:
        self.lists[kind.plural] += 1
        return [packed(each, kind) for each in await super().list(kind, namespace=namespace, selector=selector)]

    async def document(self, path: str) -> Object:
        raise NotFound(path)


def put(cluster: Cluster, kind: Kind, namespace: str, name: str, **fields: Any) -> None:
    metadata = {"namespace": namespace, "name": name, "labels": fields.pop("labels", {})}
    cluster.put(kind, {"metadata": metadata, **fields})


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    for namespace, name in (("sales", "crm"), ("hr", "files"), ("sales", "api")):
        put(made, PROXY, namespace, name, spec={"servers": []})
        put(made, POLICY, namespace, name, spec={"access": {"rules": [{"name": "all", "effect": "Allow"}]}})
    return made


def objects(cluster: Cluster, **more: Any) -> ClusterObjects:
    return ClusterObjects(cluster, title="https://api", operator_namespace=SYSTEM, **more)


def names(found: Any) -> list[str]:
    return [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in found]


async def test_objects_are_in_the_order_of_their_names_and_found_by_them(cluster: Cluster) -> None:
    reads = objects(cluster)
    assert names(await reads.proxies()) == ["hr/files", "sales/api", "sales/crm"]
    assert names([await reads.proxy("sales/crm")]) == ["sales/crm"]
    assert await reads.proxy("sales/none") is None


async def test_policies_are_kept_packed_and_read_whole(cluster: Cluster) -> None:
    reads = objects(cluster)
    policies = await reads.policies("sales")
    assert [each["spec"]["access"]["rules"][0]["name"] for each in policies] == ["all"] * 2
    assert names(policies[1:]) == ["sales/crm"]
    policy = await reads.policy("hr/files")
    assert policy is not None
    assert policy["spec"]["access"]["rules"][0]["effect"] == "Allow"
    assert (len(policies), policies[0]["kind"]) == (2, "MCPPolicy")


async def test_policies_of_one_namespace_are_read_not_those_of_all(cluster: Cluster) -> None:
    asked: list[str | None] = []
    listed = cluster.list

    async def list_in(kind: Kind, *, namespace: str | None = None, selector: str | None = None) -> Objects:
        asked.append(namespace)
        return await listed(kind, namespace=namespace, selector=selector)

    cluster.list = list_in  # type: ignore[method-assign]  # to see what is asked
    reads = objects(cluster)
    assert names(await reads.policies("hr")) == ["hr/files"]
    assert len(await reads.policies("../sales")) == 0
    assert asked == ["hr"]


async def test_policies_that_a_user_may_not_list_are_none_and_those_of_a_platform_are_a_problem(
    cluster: Cluster,
) -> None:
    cluster.fail("list", POLICY, Forbidden("no"))
    assert len(await objects(cluster, namespace="hr").policies("sales")) == 0
    cluster.fail("list", POLICY, Forbidden("no"))
    with pytest.raises(SourceUnavailable, match="no"):
        await objects(cluster).policies("sales")


async def test_one_policy_is_read_without_listing_all(cluster: Cluster) -> None:
    reads = objects(cluster, namespaces=("hr",))
    assert await reads.policy("hr/files") is not None
    assert await reads.policy("hr/none") is None
    assert await reads.policy("sales/crm") is None, "its namespace is not read"
    assert cluster.lists["mcppolicies"] == 0
    cluster.fail("get", POLICY, Unreachable("away"))
    with pytest.raises(SourceUnavailable, match="away"):
        await objects(cluster).policy("hr/files")


async def test_what_many_pages_ask_is_listed_once(cluster: Cluster) -> None:
    reads = objects(cluster)
    for _ in range(5):
        await reads.proxies()
        await reads.proxy("sales/crm")
        await reads.gateways()
    assert (cluster.lists["mcpproxies"], cluster.lists["services"]) == (1, 1)


async def test_an_api_server_that_is_away_is_named(cluster: Cluster) -> None:
    cluster.fail("list", PROXY, Unreachable("the API server at https://api does not answer: it took too long"))
    reads = objects(cluster)
    with pytest.raises(SourceUnavailable, match="the API server at https://api does not answer"):
        await reads.proxies()
    assert len(await reads.proxies()) == 3, "a failure is not kept"


async def test_an_account_of_one_namespace_sees_that_namespace_and_the_title_says_so(cluster: Cluster) -> None:
    cluster.fail("list", PROXY, Forbidden("no"))
    reads = objects(cluster, namespace="sales")
    assert names(await reads.proxies()) == ["sales/api", "sales/crm"]
    assert names(await reads.policies("sales")) == ["sales/api", "sales/crm"]
    assert len(await reads.policies("hr")) == 0
    assert reads.title == "namespace sales of https://api"


async def test_only_namespaces_that_were_named_are_read(cluster: Cluster) -> None:
    put(cluster, SERVICE, "hr", "own", labels={"ostiary.dev/gateway": "own"}, spec={"ports": []})
    put(cluster, PROXY, "finance", "secret", spec={})
    reads = objects(cluster, namespaces=("sales", "hr"))
    assert names(await reads.proxies()) == ["hr/files", "sales/api", "sales/crm"]
    assert reads.title == "namespaces sales, hr of https://api"
    assert {identity: each.service for identity, each in (await reads.gateways()).items()} == {"hr/own": "own"}


async def test_without_a_namespace_of_its_own_a_missing_right_is_told(cluster: Cluster) -> None:
    cluster.fail("list", PROXY, Forbidden("mcpproxies is forbidden"))
    with pytest.raises(SourceUnavailable, match="mcpproxies is forbidden"):
        await objects(cluster).proxies()


async def test_without_the_kind_there_are_no_locks_and_without_that_of_proxies_nothing_works(cluster: Cluster) -> None:
    cluster.fail("list", LOCK, KindMissing("install it"))
    assert list(await objects(cluster).locks()) == []
    cluster.fail("list", PROXY, KindMissing("install it"))
    with pytest.raises(SourceUnavailable, match="install it"):
        await objects(cluster).proxies()


async def test_a_proxy_that_was_not_delivered_is_told_with_the_reason(cluster: Cluster) -> None:
    reads = objects(cluster)
    for identity, words in (("sales/none", "there is no MCPProxy"), ("sales/crm", "no gateway serves it")):
        with pytest.raises(UnknownProxy, match=words):
            await reads.governed(identity)
    status = {"gateways": [{"namespace": SYSTEM, "name": "default", "ready": 1, "desired": 1}]}
    put(cluster, PROXY, "sales", "crm", spec={}, status=status)
    with pytest.raises(UnknownProxy, match=f"gateway {SYSTEM}/default has no config yet"):
        await objects(cluster).governed("sales/crm")


async def test_gateways_are_those_of_services_and_those_that_statuses_name(cluster: Cluster) -> None:
    put(cluster, SERVICE, SYSTEM, "ostiary-default", labels={"ostiary.dev/gateway": "default"}, spec={"ports": []})
    status = {"gateways": [{"namespace": SYSTEM, "name": "gone", "ready": 0, "desired": 0}]}
    put(cluster, PROXY, "sales", "crm", spec={}, status=status)
    found = await objects(cluster).gateways()
    services = {identity: each.service for identity, each in found.items()}
    assert services == {f"{SYSTEM}/default": "ostiary-default", f"{SYSTEM}/gone": None}


def test_a_list_of_nothing_has_nothing() -> None:
    assert (len(ListedObjects()), list(ListedObjects()), ListedObjects().find("a/b")) == (0, [], None)
