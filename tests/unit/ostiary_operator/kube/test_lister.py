from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from operator_objects import SYSTEM, policy, populated, proxy

from ostiary_operator.api.objects import Object, Objects
from ostiary_operator.kube.changed_namespaces import EVERYTHING, NOTHING, ChangedNamespaces
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot
from ostiary_operator.kube.errors import Busy
from ostiary_operator.kube.fake import FakeClient, add_namespaces
from ostiary_operator.kube.kinds import NAMESPACE, OURS, POLICY, PROXY, Kind
from ostiary_operator.kube.lister import Lister
from ostiary_operator.kube.options import OperatorOptions

TEAMS = [f"team-{number}" for number in range(12)]
WHOLE = OperatorOptions(operator_namespace=SYSTEM)


@dataclass
class Listed:
    """A cluster that says which of our kinds were listed where; None for the whole cluster."""

    cluster: FakeClient
    lists: list[tuple[str, str | None]] = field(default_factory=list)
    after_list: Callable[[Kind], None] = lambda _: None

    async def list(self, kind: Kind, *, namespace: str | None = None, selector: str | None = None) -> Objects:
        found = await self.cluster.list(kind, namespace=namespace, selector=selector)
        if kind in OURS:
            self.lists.append((kind.name, namespace))
            self.after_list(kind)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cluster, name)

    def taken(self) -> set[tuple[str, str | None]]:
        found, self.lists = set(self.lists), []
        return found


def platform(*objects: dict[str, Any]) -> Listed:
    """Twelve teams with a proxy and a policy each, and what is given."""
    teams = [each for team in TEAMS for each in (proxy("crm", namespace=team), policy("rules", namespace=team))]
    cluster = populated(*teams, *objects)
    add_namespaces(cluster, TEAMS)
    return Listed(cluster)


def names(objects: Iterable[Object]) -> list[str]:
    return [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in objects]


async def listed(cluster: Listed, options: OperatorOptions = WHOLE) -> Lister:
    lister = Lister(cluster, options)
    await lister.snapshot()
    cluster.taken()
    return lister


async def test_only_changed_namespaces_and_the_operators_own_are_read_again() -> None:
    cluster = platform()
    lister = await listed(cluster)
    await lister.snapshot(ChangedNamespaces.within(["team-3"]))
    assert cluster.taken() == {(kind.name, place) for kind in OURS for place in ("team-3", SYSTEM)}


async def test_without_changes_no_resource_is_read() -> None:
    cluster = platform()
    lister = await listed(cluster)
    seen = await lister.snapshot(NOTHING)
    assert cluster.taken() == set()
    assert len(seen.proxies) == len(TEAMS)
    assert list(seen.fresh) == []


async def test_a_part_sees_what_changed_there_and_the_rest_as_it_was() -> None:
    cluster = platform()
    lister = await listed(cluster)
    cluster.cluster.put(PROXY, proxy("wiki", namespace="team-3"))
    cluster.cluster.put(PROXY, proxy("unseen", namespace="team-4"))
    seen = await lister.snapshot(ChangedNamespaces.within(["team-3"]))
    assert {"team-3/crm", "team-3/wiki", "team-4/crm"} <= set(names(seen.proxies))
    assert "team-4/unseen" not in names(seen.proxies)
    assert names(seen.fresh) == ["team-3/crm", "team-3/wiki", "team-3/rules"]


async def test_a_new_proxy_is_never_seen_without_the_policies_of_its_namespace_and_of_the_platform() -> None:
    cluster = platform()
    lister = await listed(cluster)
    cluster.cluster.put(POLICY, policy("floor", namespace=SYSTEM))
    cluster.cluster.put(POLICY, policy("more", namespace="team-3"))
    cluster.cluster.put(PROXY, proxy("wiki", namespace="team-3"))
    seen = await lister.snapshot(ChangedNamespaces.within(["team-3"]))
    assert {f"{SYSTEM}/floor", "team-3/more"} <= set(names(seen.policies))


@pytest.mark.parametrize("moved", [EVERYTHING, ChangedNamespaces.within(["team-3"])], ids=["whole", "part"])
async def test_a_proxy_that_is_made_with_its_policy_while_we_read_is_not_seen_without_it(
    moved: ChangedNamespaces,
) -> None:
    cluster = platform()
    lister = await listed(cluster)

    def make(kind: Kind) -> None:
        if kind == POLICY:
            cluster.cluster.put(POLICY, policy("late", "wiki", namespace="team-3"))
            cluster.cluster.put(PROXY, proxy("wiki", namespace="team-3"))

    cluster.after_list = make
    assert "team-3/wiki" not in names((await lister.snapshot(moved)).proxies)
    seen = await lister.snapshot(moved)
    assert "team-3/wiki" in names(seen.proxies)
    assert "team-3/late" in names(seen.policies)


@pytest.mark.parametrize("moved", [EVERYTHING, ChangedNamespaces.within(["team-3"])], ids=["whole", "part"])
async def test_a_proxy_that_is_deleted_before_its_policy_while_we_read_is_not_seen_without_it(
    moved: ChangedNamespaces,
) -> None:
    cluster = platform(proxy("wiki", namespace="team-3"), policy("its", "wiki", namespace="team-3"))
    lister = await listed(cluster)
    steps = iter([(PROXY, "wiki"), (POLICY, "its")])

    def delete(kind: Kind) -> None:
        for of, name in steps if kind == PROXY else ():
            cluster.cluster.remove(of, name=name, namespace="team-3")

    cluster.after_list = delete
    seen = await lister.snapshot(moved)
    assert "team-3/its" not in names(seen.policies)
    assert "team-3/wiki" not in names(seen.proxies)


async def test_a_namespace_that_lost_all_its_objects_is_believed_only_after_a_full_listing() -> None:
    cluster = platform()
    lister = await listed(cluster)
    for team in TEAMS:
        cluster.cluster.remove(PROXY, name="crm", namespace=team)
    seen = await lister.snapshot(ChangedNamespaces.within(["team-3"]))
    assert ("MCPProxy", None) in cluster.taken()
    assert list(seen.proxies) == []


async def test_where_most_namespaces_changed_everything_is_read_at_once() -> None:
    cluster = platform()
    lister = await listed(cluster)
    await lister.snapshot(ChangedNamespaces.within(TEAMS[:10]))
    assert cluster.taken() == {(kind.name, None) for kind in OURS}


async def test_the_first_listing_is_a_full_one_whatever_changed() -> None:
    cluster = platform()
    seen = await Lister(cluster, WHOLE).snapshot(ChangedNamespaces.within(["team-3"]))
    assert len(seen.proxies) == len(TEAMS)


async def test_a_failed_listing_leaves_the_snapshot_as_it_was() -> None:
    cluster = platform()
    lister = await listed(cluster)
    cluster.cluster.fail("list", POLICY, Busy("503"))
    with pytest.raises(Busy):
        await lister.snapshot(ChangedNamespaces.within(["team-3"]))
    assert len((await lister.snapshot(NOTHING)).policies) == len(TEAMS)


async def test_namespaces_that_are_not_watched_are_not_read() -> None:
    cluster = platform()
    lister = await listed(cluster, OperatorOptions(operator_namespace=SYSTEM, watch_namespaces=("team-1",)))
    seen = await lister.snapshot(ChangedNamespaces.within(["team-2"]))
    assert cluster.taken() == {(kind.name, SYSTEM) for kind in OURS}
    assert names(seen.proxies) == ["team-1/crm"]


async def test_the_labels_of_namespaces_are_those_of_now() -> None:
    cluster = platform()
    lister = await listed(cluster)
    cluster.cluster.put(NAMESPACE, {"metadata": {"name": "team-3", "labels": {"env": "prod"}}})
    assert (await lister.snapshot(NOTHING)).namespaces["team-3"] == {"env": "prod"}


async def test_parts_equal_a_full_list_after_any_changes() -> None:
    cluster = platform()
    lister = await listed(cluster)
    for number, team in enumerate([*TEAMS, *TEAMS[:4]]):
        cluster.cluster.put(POLICY, policy("rules", allow=f"read_{number}_*", namespace=team))
        cluster.cluster.put(PROXY, proxy(f"wiki-{number}", namespace=team))
        await lister.snapshot(ChangedNamespaces.within([team]))
    part = await lister.snapshot(NOTHING)
    whole: ClusterSnapshot = await Lister(cluster, WHOLE).snapshot(EVERYTHING)
    assert (part.proxies, part.policies) == (whole.proxies, whole.policies)


async def test_every_object_that_is_read_is_reported() -> None:
    told: list[str] = []
    cluster = platform()
    lister = Lister(cluster, WHOLE, lambda kind, obj: told.append(f"{kind.name} {obj['metadata']['name']}"))
    await lister.snapshot()
    assert {"MCPProxy crm", "MCPPolicy rules", "Namespace team-3", "Service ostiary-gateway-default"} <= set(told)
