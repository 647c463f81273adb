"""Work is in proportion to what changed, for thousands of resources; shown with few."""

import json
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from operator_objects import (
    GATEWAY,
    SYSTEM,
    StubReplica,
    delivered,
    listening_replica,
    policy,
    populated,
    proxy,
    settings,
)

from ostiary_core.contract import parts
from ostiary_operator.api.objects import Object
from ostiary_operator.clock import ManualClock
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.model import Compiled, Resources
from ostiary_operator.controller import reconciler
from ostiary_operator.controller.app import assemble
from ostiary_operator.controller.queue import PassRequest
from ostiary_operator.kube.changed_namespaces import EVERYTHING, NOTHING, ChangedNamespaces
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot
from ostiary_operator.kube.fake import FakeClient, add_namespaces
from ostiary_operator.kube.kinds import CONFIG_MAP, POLICY, PROXY, Kind
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.status.replica_state import GatewayState

TEAMS = [f"team-{number}" for number in range(9)]


def two_teams_proxies() -> list[Object]:
    names = [(team, name) for team in TEAMS for name in ("crm", "wiki")]
    return [
        each
        for team, name in names
        for each in (proxy(name, namespace=team), policy(f"{name}-rules", name, namespace=team, allow="read_*"))
    ]


class Line:
    """The operator without watches: a test says what moved, and when a pass runs."""

    def __init__(self, cluster: FakeClient, *replicas: str) -> None:
        options = OperatorOptions(operator_namespace=SYSTEM, admin_port=0, gateway_replicas={GATEWAY: replicas})
        self.cluster = cluster
        self.clock = ManualClock()
        self.parts = assemble(cluster, options, self.clock)

    async def run_pass(self, moved: ChangedNamespaces = EVERYTHING) -> None:
        outcome = await self.parts.queue._work(PassRequest(frozenset({"test"}), changed=moved))
        assert outcome.failures == ()

    async def ask(self) -> None:
        async with ClientSession() as session:
            await self.parts.poller.round(session)

    def writes_since(self, mark: int) -> set[tuple[str, str]]:
        return {(kind, name) for _, kind, name in self.cluster.writes[mark:]}


def world(*objects: Object) -> FakeClient:
    cluster = populated(*objects)
    add_namespaces(cluster, TEAMS)
    return cluster


async def settled(line: Line, replica: StubReplica) -> int:
    await line.run_pass()
    replica.runs(delivered(line.cluster))
    await line.ask()
    await line.run_pass()
    await line.ask()
    return len(line.cluster.writes)


async def test_a_pass_over_what_did_not_change_writes_nothing() -> None:
    async with listening_replica(StubReplica()) as replica:
        line = Line(world(*two_teams_proxies()), replica.url)
        mark = await settled(line, replica)
        for moved in (EVERYTHING, ChangedNamespaces.within(TEAMS[:2]), ChangedNamespaces.within([])):
            await line.run_pass(moved)
            await line.ask()
    assert line.cluster.writes[mark:] == []
    assert line.parts.publisher.outstanding == 0


async def test_one_edit_touches_one_entry_and_the_status_of_its_proxy_and_policies_and_nothing_else() -> None:
    async with listening_replica(StubReplica()) as replica:
        line = Line(world(*two_teams_proxies()), replica.url)
        mark = await settled(line, replica)
        before = {each.proxy: each.digest for each in delivered(line.cluster).manifest.entries}
        line.cluster.put(POLICY, policy("crm-rules", "crm", namespace="team-4", allow="get_*"))
        await line.run_pass(ChangedNamespaces.within(["team-4"]))
        after = {each.proxy: each.digest for each in delivered(line.cluster).manifest.entries}
        replica.runs(delivered(line.cluster))
        await line.ask()
    assert {key for key in before if before[key] != after[key]} == {"team-4/crm"}
    statuses = {(kind, name) for kind, name in line.writes_since(mark) if kind.startswith("mcp")}
    assert statuses == {("mcppolicies", "crm-rules")}  # the report to its proxy did not change


async def test_one_edit_rewrites_the_parts_of_its_proxy_and_policy_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ONE_PART_BYTES", 800)
    line = Line(world(*two_teams_proxies()))
    await line.run_pass()
    assert len(delivered(line.cluster).manifest.parts) == parts.MAX_PARTS
    mark = len(line.cluster.writes)
    line.cluster.put(PROXY, proxy("crm", namespace="team-4", path="/team-4/moved"))
    await line.run_pass(ChangedNamespaces.within(["team-4"]))
    assert len([name for kind, name in line.writes_since(mark) if kind == "configmaps"]) == 2
    assert "/team-4/moved" in {json.loads(text).get("path") for text in delivered(line.cluster).documents.values()}


async def test_a_status_is_judged_again_only_where_something_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening_replica(StubReplica()) as replica:
        line = Line(world(*two_teams_proxies()), replica.url)
        await settled(line, replica)
        judged: list[str] = []
        judge = line.parts.publisher._evaluate

        def counted(uid: str, *rest: Any) -> Any:
            judged.append(line.parts.publisher._statuses[uid].key.name)
            return judge(uid, *rest)

        monkeypatch.setattr(line.parts.publisher, "_evaluate", counted)
        await line.run_pass()
        await line.ask()
        assert judged == []
        line.cluster.put(POLICY, policy("crm-rules", "crm", namespace="team-4", allow="get_*"))
        await line.run_pass(ChangedNamespaces.within(["team-4"]))
        assert set(judged) == {"crm", "crm-rules"}


async def test_a_report_of_a_tenants_replicas_does_not_recompute_statuses_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening_replica(StubReplica()) as replica:
        line = Line(world(*two_teams_proxies()), replica.url)
        await settled(line, replica)
        tenants = GatewayState("team-4/own", known_since=0.0)
        line.parts.publisher.gateway_states["team-4/own"] = tenants
        tenants.take_changes()
        judged: list[str] = []
        monkeypatch.setattr(line.parts.publisher, "_evaluate", lambda uid, *_: judged.append(uid))
        tenants.is_new = True  # as where another replica came, or one says something new of itself
        await line.parts.publisher.publish()
        assert judged == []
        line.parts.publisher.gateway_states[GATEWAY].is_new = True
        await line.parts.publisher.publish()
        assert len(judged) == len(line.parts.publisher._statuses)


async def test_a_namespace_that_is_no_longer_served_leaves_the_config_in_a_pass_without_changes() -> None:
    line = Line(world(*two_teams_proxies()))
    await line.run_pass()
    reconciler = line.parts.queue._work.__self__  # type: ignore[attr-defined]  # a bound method

    class Refused:
        async def owned(self, seen: ClusterSnapshot) -> ClusterSnapshot:
            kept = [each for each in seen.proxies if each["metadata"]["namespace"] != "team-4"]
            return replace(seen, proxies=kept)

    reconciler.ownership = Refused()
    await line.run_pass(NOTHING)
    served = {each.proxy for each in delivered(line.cluster).manifest.entries}
    assert "team-3/crm" in served
    assert "team-4/crm" not in served


Edits: TypeAlias = list[tuple[str, str, str, str]]


async def test_thousands_of_statuses_delay_no_pass_and_are_still_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line(world(*two_teams_proxies()))
    apply_status = line.cluster.apply_status

    async def slow(*args: Any, **kwargs: Any) -> Object:
        await line.clock.advance(0.5)
        return await apply_status(*args, **kwargs)

    monkeypatch.setattr(line.cluster, "apply_status", slow)
    await line.run_pass()
    assert line.parts.publisher.unfinished
    assert 0 < line.parts.publisher.outstanding < 4 * len(TEAMS)
    assert line.parts.publisher.poll_now.is_set()  # the poller is called to go on
    while line.parts.publisher.unfinished:
        await line.ask()
    assert line.parts.publisher.outstanding == 0


async def test_a_pass_that_only_tidies_up_compiles_nothing_and_one_after_a_change_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[int] = []

    def counted(resources: Resources, *args: Any, **kwargs: Any) -> Compiled:
        compiled.append(len(resources.proxies))
        return compile_resources(resources, *args, **kwargs)

    monkeypatch.setattr(reconciler, "compile_resources", counted)
    line = Line(world(*two_teams_proxies()))
    await line.run_pass()
    await line.run_pass(NOTHING)
    assert len(compiled) == 1
    line.cluster.put(CONFIG_MAP, settings("withoutPolicy: Deny"))
    await line.run_pass(NOTHING)
    await line.run_pass()
    assert len(compiled) == 3


EDITS: st.SearchStrategy[Edits] = st.lists(
    st.tuples(
        st.sampled_from(TEAMS[:3]),
        st.sampled_from(["put proxy", "put policy", "break policy", "drop proxy", "drop policy", "platform"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["get_*", "read_*", "*"]),
    ),
    min_size=1,
    max_size=12,
)


def edit(cluster: FakeClient, team: str, what: str, name: str, allow: str) -> str:
    """Do as a user does; return the namespace in which something moved."""
    match what:
        case "put proxy":
            cluster.put(PROXY, proxy(name, namespace=team, path=f"/{team}/{name}-{len(allow)}"))
        case "put policy":
            cluster.put(POLICY, policy(f"{name}-rules", name, namespace=team, allow=allow))
        case "break policy":
            broken = policy(f"{name}-rules", name, namespace=team)
            cluster.put(POLICY, {**broken, "spec": {**broken["spec"], "access": {"rules": [{"effect": "Perhaps"}]}}})
        case "platform":
            cluster.put(POLICY, policy("floor", namespace=SYSTEM, allow=allow))
            return SYSTEM
        case _:
            drop(cluster, POLICY if "policy" in what else PROXY, name, team)
    return team


def drop(cluster: FakeClient, kind: Kind, name: str, team: str) -> None:
    name = f"{name}-rules" if kind == POLICY else name
    if cluster.peek(kind, name=name, namespace=team) is not None:
        cluster.remove(kind, name=name, namespace=team)


@given(EDITS)
@given_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_passes_over_changes_give_the_same_result_as_full_passes(
    edits: list[tuple[str, str, str, str]],
) -> None:
    # What is kept of unusable versions depends on the way there, so both operators go it, side by side.
    sides = [Line(world(*two_teams_proxies())), Line(world(*two_teams_proxies()))]
    for line in sides:
        await line.run_pass()
    for each in edits:
        for line, whole in zip(sides, (False, True), strict=True):
            place = edit(line.cluster, *each)
            await line.run_pass(EVERYTHING if whole else ChangedNamespaces.within([place]))
    parted, whole_ones = (delivered(line.cluster) for line in sides)
    assert parted.manifest.entries == whole_ones.manifest.entries
    assert parted.manifest.parts == whole_ones.manifest.parts
    statuses = [statuses_of(line.cluster) for line in sides]
    assert statuses[0] == statuses[1]


def statuses_of(cluster: FakeClient) -> dict[tuple[str, str, str], Any]:
    return {
        key: entry.obj.get("status")
        for key, entry in cluster._entries.items()
        if key[0] in {PROXY.plural, POLICY.plural}
    }


async def test_the_same_pass_again_finds_nothing_left_to_prune(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ONE_PART_BYTES", 800)
    async with listening_replica(StubReplica()) as replica:
        line = Line(world(*two_teams_proxies()), replica.url)
        await settled(line, replica)
        line.cluster.put(PROXY, proxy("crm", namespace="team-4", path="/team-4/moved"))
        await line.run_pass(ChangedNamespaces.within(["team-4"]))
        assert line.parts.publisher.gateway_states[GATEWAY].prunable
        replica.runs(delivered(line.cluster))
        await line.ask()
        await line.run_pass(ChangedNamespaces.within([]))
    assert not line.parts.publisher.gateway_states[GATEWAY].prunable
    lying = [line.cluster.peek(CONFIG_MAP, name=f"ostiary-default-{n}", namespace=SYSTEM) for n in range(16)]
    assert "/team-4/crm" not in json.dumps(lying)
