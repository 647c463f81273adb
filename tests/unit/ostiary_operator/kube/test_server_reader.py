"""Servers of other operators are read where proxies refer to them; what is not installed is an answer."""

from typing import Any

import pytest

from ostiary_operator.api.server_kinds import BUILT_IN
from ostiary_operator.compile.foreign_servers import ForeignServer, MissingServer, ServerKey, WantedServer
from ostiary_operator.kube.changed_namespaces import NOTHING, ChangedNamespaces
from ostiary_operator.kube.errors import Busy, Forbidden
from ostiary_operator.kube.event_filter import EventFilter
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import REFERENCE_GRANTS, Kind
from ostiary_operator.kube.server_reader import ForeignServerReader, kind_of, views_of

GROUP = "toolhive.stacklok.dev"
TOOLHIVE = next(kind_of(kind) for kind in BUILT_IN if kind.identity == (GROUP, "MCPServer"))
KEY = ServerKey(GROUP, "MCPServer", "crm", "crm")
HERE, ABROAD = WantedServer("crm", KEY), WantedServer("team-a", KEY)
GRANT, GRANT_BEFORE = REFERENCE_GRANTS


def server(name: str = "crm", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "crm"},
        "status": {"phase": "Ready", "url": "http://a/mcp", **status},
    }


def grant(namespace: str = "crm") -> dict[str, Any]:
    spec = {
        "from": [{"group": "ostiary.dev", "kind": "MCPProxy", "namespace": "team-a"}],
        "to": [{"group": GROUP, "kind": "MCPServer"}],
    }
    return {"metadata": {"name": "g", "namespace": namespace}, "spec": spec}


def cluster_with(*objects: tuple[Kind, dict[str, Any]]) -> FakeClient:
    cluster = FakeClient()
    for kind, obj in objects:
        cluster.put(kind, obj)
    return cluster


async def test_what_is_not_wanted_is_not_read() -> None:
    cluster = cluster_with((TOOLHIVE, server()))
    cluster.fail("list", TOOLHIVE, Busy("must not be asked"))
    assert (await ForeignServerReader(cluster, BUILT_IN).read([])).servers == {}


async def test_a_kind_that_is_not_installed_is_an_answer() -> None:
    cluster = FakeClient()
    cluster.missing_kinds |= {TOOLHIVE, *REFERENCE_GRANTS}
    found = await ForeignServerReader(cluster, BUILT_IN).read([ABROAD])
    assert found.servers == {KEY: MissingServer.KIND_NOT_INSTALLED}
    assert found.grants == {"crm": MissingServer.KIND_NOT_INSTALLED}


async def test_a_missing_right_is_an_answer_and_a_failing_request_fails_the_pass() -> None:
    cluster = cluster_with((TOOLHIVE, server()))
    reader = ForeignServerReader(cluster, BUILT_IN)
    cluster.fail("list", TOOLHIVE, Forbidden("no"))
    assert (await reader.read([HERE])).servers == {KEY: MissingServer.FORBIDDEN}
    cluster.fail("list", TOOLHIVE, Busy("down"))
    with pytest.raises(Busy):
        await reader.read([HERE])
    assert (await reader.read([HERE])).servers == {KEY: ForeignServer("http://a/mcp")}


async def test_grants_are_read_only_where_something_is_referred_to_from_elsewhere() -> None:
    cluster = cluster_with((TOOLHIVE, server()), (GRANT, grant()))
    reader = ForeignServerReader(cluster, BUILT_IN)
    assert (await reader.read([HERE])).grants == {}
    assert GRANT not in reader.wanted
    grants = (await reader.read([HERE, ABROAD])).grants["crm"]
    assert isinstance(grants, tuple)
    [permitted] = grants
    assert permitted.permits("team-a", KEY)
    assert not permitted.permits("team-b", KEY)
    assert GRANT in reader.wanted


async def test_the_older_version_of_grants_is_read_where_the_newer_one_is_not_served() -> None:
    cluster = cluster_with((GRANT_BEFORE, grant()))
    cluster.missing_kinds.add(GRANT)
    found = await ForeignServerReader(cluster, BUILT_IN).read([ABROAD])
    assert isinstance(found.grants["crm"], tuple)


async def test_unchanged_namespaces_are_not_read_again() -> None:
    cluster = cluster_with((TOOLHIVE, server()))
    reader = ForeignServerReader(cluster, BUILT_IN)
    await reader.read([HERE])
    cluster.put(TOOLHIVE, server(url="http://b/mcp"))
    assert (await reader.read([HERE], NOTHING)).servers[KEY] == ForeignServer("http://a/mcp")
    changed = ChangedNamespaces.within(["crm"])
    assert (await reader.read([HERE], changed)).servers[KEY] == ForeignServer("http://b/mcp")


async def test_a_server_that_is_newly_referred_to_is_read_although_its_namespace_did_not_change() -> None:
    cluster = cluster_with((TOOLHIVE, server()))
    reader = ForeignServerReader(cluster, BUILT_IN)
    await reader.read([HERE])
    cluster.put(TOOLHIVE, server("other", url="http://b/mcp"))
    other = WantedServer("crm", KEY._replace(name="other"))
    found = await reader.read([HERE, other], NOTHING)
    assert found.servers[other.key] == ForeignServer("http://b/mcp")


async def test_a_kind_that_no_setting_names_is_not_asked_for() -> None:
    unknown = WantedServer("crm", KEY._replace(group="example.com"))
    assert (await ForeignServerReader(FakeClient(), BUILT_IN).read([unknown])).servers == {}


async def test_the_kinds_that_are_wanted_are_told_once() -> None:
    told = []
    reader = ForeignServerReader(FakeClient(), BUILT_IN)
    reader.on_wanted = lambda: told.append(reader.wanted)
    await reader.read([HERE])
    await reader.read([HERE])
    await reader.read([])
    assert told == [frozenset({TOOLHIVE}), frozenset()]


async def test_only_what_matters_of_what_is_referred_to_makes_a_pass() -> None:
    events = EventFilter(lambda _uid, _status: True, views=views_of(BUILT_IN))
    cluster = cluster_with((TOOLHIVE, server()), (TOOLHIVE, server("other")))
    reader = ForeignServerReader(cluster, BUILT_IN, on_seen=events.record, refer=events.refer)

    def matters(name: str = "crm", event: str | None = "MODIFIED", **status: Any) -> bool:
        now = cluster.put(TOOLHIVE, server(name, **status))
        return events.matters(TOOLHIVE, event, now)

    assert not matters()  # nothing refers to it
    await reader.read([HERE])
    assert not matters(event=None)
    assert not matters(heartbeat="2026-11-30T00:00:00Z", readyReplicas=3)
    assert matters(phase="Failed")
    assert matters(url="http://c/mcp")
    assert not matters("other", url="http://c/mcp")
    assert matters(event="DELETED")
