"""The straight line of a change on a real API server: apply, see it delivered, acknowledged, healed, and gone."""

import json
import time
from typing import Any

import pytest
from operator_environment import OperatorEnvironment, eventually, running_operator
from operator_objects import StubReplica, listening_replica, policy

from ostiary_core.contract.bundle import Bundle, manifest_file, stamp
from ostiary_operator.delivery.secret import parse_secret
from ostiary_operator.kube.kinds import CONFIG_MAP, ENDPOINT_SLICE, POLICY, PROXY, SECRET, SERVICE


@pytest.fixture
def world(unrestricted: OperatorEnvironment) -> OperatorEnvironment:
    return unrestricted


def stub_replica(world: OperatorEnvironment) -> StubReplica:
    return StubReplica(gateway=world.gateway)


async def test_an_applied_proxy_becomes_a_signed_config_owned_by_the_gateways_service(
    world: OperatorEnvironment,
) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm")
        world.has_policy("p", "crm")
        await eventually(lambda: world.served() == {"crm"})
    gateway = world.get(SERVICE, "ostiary-gateway-default")
    assert gateway is not None
    owned = ((CONFIG_MAP, "ostiary-default-0"), (SECRET, "ostiary-default"), (SECRET, "ostiary-default.evidence"))
    for kind, name in owned:
        obj = world.get(kind, name)
        assert obj is not None
        (owner,) = obj["metadata"]["ownerReferences"]
        assert owner["uid"] == gateway["metadata"]["uid"]
        assert obj["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "ostiary"


async def test_a_resource_is_ready_only_after_every_replica_runs_it(world: OperatorEnvironment) -> None:
    async with listening_replica(stub_replica(world)) as one, listening_replica(stub_replica(world)) as two:
        world.replicas = (one.url, two.url)
        async with running_operator(world.options()):
            world.has_proxy("crm")
            world.has_policy("p", "crm")
            await eventually(lambda: world.served() == {"crm"})
            await eventually(lambda: world.condition(POLICY, "p", "Ready") == ("Unknown", "Pending"))
            bundle = world.delivered()
            assert bundle is not None
            one.runs(bundle)
            await eventually(lambda: (world.get(PROXY, "crm") or {})["status"].get("programmed") == "default 1/2")
            assert world.condition(PROXY, "crm", "Ready") == ("Unknown", "Pending")
            two.runs(bundle)
            await eventually(lambda: world.condition(PROXY, "crm", "Ready") == ("True", "Ready"))
            await eventually(lambda: world.condition(POLICY, "p", "Ready") == ("True", "Ready"))
    obj = world.get(PROXY, "crm")
    assert obj is not None
    assert obj["status"]["observedGeneration"] == obj["metadata"]["generation"]
    assert obj["status"]["programmed"] == "default 2/2"
    assert obj["status"]["policies"] == [{"namespace": world.team, "name": "p"}]
    managers = {each["manager"] for each in obj["metadata"]["managedFields"] if each.get("subresource") == "status"}
    assert managers == {"ostiary-operator/proxy-status"}
    assert not {"annotations", "finalizers"} & obj["metadata"].keys()


async def test_nothing_is_written_while_nothing_changes_not_even_by_a_restart(world: OperatorEnvironment) -> None:
    async with listening_replica(stub_replica(world)) as one:
        world.replicas = (one.url,)
        async with running_operator(world.options()):
            world.has_proxy("crm")
            world.has_policy("p", "crm")
            await eventually(lambda: world.served() == {"crm"})
            bundle = world.delivered()
            assert bundle is not None
            one.runs(bundle)
            await eventually(lambda: world.condition(POLICY, "p", "Ready") == ("True", "Ready"))
            await eventually(lambda: world.condition(PROXY, "crm", "Ready") == ("True", "Ready"))
        before = world.versions()
        one.bearers.clear()
        async with running_operator(world.options()):
            await eventually(lambda: one.bearers)
            world.has_proxy("after")
            await eventually(lambda: world.served() == {"crm", "after"})
            await eventually(lambda: len(one.bearers) >= 5)  # often, since one proxy is awaited
        after = world.versions()
    for name in ("Secret ostiary-default", "MCPProxy crm", "MCPPolicy p"):
        assert after[name] == before[name]


async def test_the_gateway_is_asked_with_the_bearer_of_its_secret(world: OperatorEnvironment) -> None:
    async with listening_replica(stub_replica(world)) as one:
        world.replicas = (one.url,)
        async with running_operator(world.options()):
            await eventually(lambda: world.get(SECRET, "ostiary-default"))
            await eventually(lambda: one.bearers)
    assert len(one.bearers[0].removeprefix("Bearer ")) >= 40


async def test_the_bearer_of_evidence_is_in_a_secret_of_its_own_that_holds_nothing_else(
    world: OperatorEnvironment,
) -> None:
    async with running_operator(world.options()):
        keys = await eventually(lambda: world.get(SECRET, "ostiary-default"))
        shared = await eventually(lambda: world.get(SECRET, "ostiary-default.evidence"))
        assert shared["data"] == {"evidence-token": keys["data"]["evidence-token"]}
        assert keys["data"]["admin-token"] not in shared["data"].values()

        world.patch(SECRET, "ostiary-default.evidence", {"data": {"evidence-token": "ZmZm", "notes": "ZmZm"}})
        world.has_proxy("crm")  # its pass restores what others changed
        await eventually(lambda: (world.get(SECRET, "ostiary-default.evidence") or {}).get("data") == shared["data"])


async def test_a_config_that_was_edited_by_hand_is_restored(world: OperatorEnvironment) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: world.condition(PROXY, "crm", "Accepted") == ("True", "Accepted"))
        world.patch(CONFIG_MAP, "ostiary-default-0", {"data": {"manifest.json": "{}", "notes": "mine"}})
        await eventually(lambda: world.served() == {"crm"})
        await eventually(lambda: "notes" not in (world.get(CONFIG_MAP, "ostiary-default-0") or {})["data"])
        world.delete(SECRET, "ostiary-default")
        await eventually(lambda: world.served() == {"crm"})
        world.delete(CONFIG_MAP, "ostiary-default-0")
        await eventually(lambda: world.served() == {"crm"})


async def test_keys_that_were_added_to_a_config_map_are_named_and_removed(world: OperatorEnvironment) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: world.served() == {"crm"})
        forged = {"data": {"admin-token": "x"}, "binaryData": {"mac-1": "ZmZm", "session-0": "ZmZm"}}
        world.patch(CONFIG_MAP, "ostiary-default-0", forged)
        await eventually(lambda: not (world.get(CONFIG_MAP, "ostiary-default-0") or forged).get("binaryData"))
        await eventually(lambda: "admin-token" not in (world.get(CONFIG_MAP, "ostiary-default-0") or forged)["data"])
        await eventually(lambda: any("admin-token, mac-1, session-0" in each for each in world.events("ConfigNotOurs")))


async def test_a_revision_far_ahead_of_the_clock_is_overtaken(world: OperatorEnvironment) -> None:
    """As an operator with a wrong clock left it; signed with the key of the Secret."""
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: world.served() == {"crm"})
        bundle, keys = world.delivered(), parse_secret(world.get(SECRET, "ostiary-default"))
        assert bundle is not None
        name, key = keys.signing(time.time())
        absurd = stamp(Bundle(bundle.manifest, []), revision=2**62, key_name=name, key=key.reveal())
        world.patch(CONFIG_MAP, "ostiary-default-0", {"data": {"manifest.json": manifest_file(absurd).decode()}})
        await eventually(lambda: bundle.manifest.revision < revision(world) < 2**62)
        await eventually(lambda: any(f"its revision {2**62}" in each for each in world.events("ConfigNotOurs")))
    assert world.served() == {"crm"}


def revision(world: OperatorEnvironment) -> int:
    bundle = world.delivered()
    return bundle.manifest.revision if bundle is not None else 0


async def test_a_status_that_was_edited_by_hand_is_restored(world: OperatorEnvironment) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: world.condition(PROXY, "crm", "Accepted") == ("True", "Accepted"))
        forged = [{"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": _NOW}]
        world.patch(PROXY, "crm", {"status": {"url": "http://evil/mcp", "conditions": forged}}, status=True)
        await eventually(lambda: "evil" not in (world.get(PROXY, "crm") or {})["status"]["url"])
        await eventually(lambda: world.condition(PROXY, "crm", "Accepted") == ("True", "Accepted"))
        assert world.condition(PROXY, "crm", "Ready")[0] == "False"


_NOW = "2026-11-21T08:00:00Z"


async def test_a_deleted_proxy_leaves_the_config_at_once_and_the_last_one_after_a_second_listing(
    world: OperatorEnvironment,
) -> None:
    async with running_operator(world.options()):
        for name in ("crm", "wiki"):
            world.has_proxy(name)
        await eventually(lambda: world.served() == {"crm", "wiki"})
        world.delete(PROXY, "crm")
        await eventually(lambda: world.served() == {"wiki"})
        began = time.monotonic()
        world.delete(PROXY, "wiki")
        await eventually(lambda: world.served() == set())
        assert time.monotonic() - began >= 3


async def test_an_edit_is_delivered_and_a_broken_one_keeps_the_last_good(world: OperatorEnvironment) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm")
        world.has_policy("p", "crm", allow="read_*")
        await eventually(lambda: world.condition(POLICY, "p", "Accepted") == ("True", "Accepted"))
        bundle = world.delivered()
        assert bundle is not None
        before = bundle.manifest.entries
        broken: dict[str, Any] = {
            "namespaceSelector": {},
            "labels": {},
        }  # only the platform's policies may select namespaces
        world.patch(POLICY, "p", {"spec": {"targetRefs": None, "targetSelector": broken}})
        await eventually(lambda: world.condition(POLICY, "p", "Programmed") == ("False", "NotAccepted"))
        config = world.delivered()
        assert config is not None
        assert config.manifest.entries == before
        corrected = policy("p", "crm", allow="write_*")["spec"]
        world.patch(POLICY, "p", {"spec": {"targetSelector": None, **corrected}})
        await eventually(lambda: (found := world.delivered()) is not None and found.manifest.entries != before)


async def test_a_version_that_fails_its_own_test_is_reported_and_the_last_good_one_stays(
    world: OperatorEnvironment,
) -> None:
    test = {"name": "no caller deletes", "call": {"tool": "delete"}, "expect": "Deny"}
    async with running_operator(world.options()):
        world.has_proxy("crm")
        world.has_policy("p", "crm")
        await eventually(lambda: world.served() == {"crm"})
        world.patch(POLICY, "p", {"spec": {"access": {"rules": []}, "tests": [test]}})
        await eventually(lambda: world.condition(POLICY, "p", "TestsPassed") == ("True", "TestsPassed"))
        accepted = world.get(POLICY, "p")
        world.patch(POLICY, "p", {"spec": {"access": {"rules": [{"name": "all", "effect": "Allow"}]}}})
        await eventually(lambda: world.condition(POLICY, "p", "TestsPassed") == ("False", "TestsFailed"))
        await eventually(lambda: world.condition(POLICY, "p", "Accepted") == ("False", "TestsFailed"))
        bundle = world.delivered()
    assert accepted is not None
    assert bundle is not None
    [served] = bundle.manifest.entries
    [digest] = json.loads(bundle.take(served.digest))["policies"]
    kept = json.loads(bundle.take(digest))
    assert kept["access"] == {"rules": []}
    assert kept["generation"] == accepted["metadata"]["generation"]


async def test_replicas_are_found_in_the_endpoint_slices_of_the_service(world: OperatorEnvironment) -> None:
    world.replicas = None
    body = {
        "metadata": {
            "name": "gw-1",
            "namespace": world.system,
            "labels": {"kubernetes.io/service-name": "ostiary-gateway-default", "ostiary.dev/gateway": "default"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "admin", "port": 8081}],
        "endpoints": [{"addresses": ["192.0.2.1"], "conditions": {"ready": True}}],
    }
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: world.condition(PROXY, "crm", "Programmed") == ("False", "NoReplicas"))
        world.create(ENDPOINT_SLICE, body)
        await eventually(lambda: world.condition(PROXY, "crm", "Programmed") == ("Unknown", "Pending"))
        assert (world.get(PROXY, "crm") or {})["status"]["programmed"] == "default 0/1"


async def test_transitions_are_reported_as_events(world: OperatorEnvironment) -> None:
    def reasons() -> set[str]:
        path = f"/apis/events.k8s.io/v1/namespaces/{world.team}/events"
        items = world.api.request("GET", path)["items"]
        return {item["reason"] for item in items if item["regarding"]["name"] == "crm"}

    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: {"Accepted", "NoReplicas"} <= reasons())


async def test_an_ungoverned_proxy_and_a_policy_that_protects_nothing_are_reported(
    world: OperatorEnvironment,
) -> None:
    def warned(name: str) -> list[tuple[str, str]]:
        path = f"/apis/events.k8s.io/v1/namespaces/{world.team}/events"
        items = world.api.request("GET", path)["items"]
        return [(item["type"], item["reason"]) for item in items if item["regarding"]["name"] == name]

    async with running_operator(world.options()):
        world.has_proxy("crm")
        world.has_policy("no-delete", "crm")
        await eventually(lambda: world.condition(PROXY, "crm", "Governed") == ("True", "Governed"))
        await eventually(lambda: world.condition(POLICY, "no-delete", "Effective") == ("True", "Effective"))
        world.delete(PROXY, "crm")
        world.has_proxy("crm2")
        await eventually(lambda: world.condition(PROXY, "crm2", "Governed") == ("False", "NoPolicy"))
        await eventually(lambda: world.condition(POLICY, "no-delete", "Effective") == ("False", "ProtectsNothing"))
        assert (world.get(PROXY, "crm2") or {})["status"]["policyCount"] == 0
        conditions = (world.get(POLICY, "no-delete") or {})["status"]["conditions"]
        assert "did you mean crm2?" in next(each["message"] for each in conditions if each["type"] == "Effective")
        await eventually(lambda: ("Warning", "NoPolicy") in warned("crm2"))
        await eventually(lambda: ("Warning", "ProtectsNothing") in warned("no-delete"))


async def test_an_operator_for_the_whole_cluster_serves_every_namespace(world: OperatorEnvironment) -> None:
    world.wide = True
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: "crm" in (world.served() or ()))


async def test_a_change_arrives_without_waiting_for_a_resync(world: OperatorEnvironment) -> None:
    async with running_operator(world.options()):
        world.has_proxy("first")
        await eventually(lambda: world.served() == {"first"})
        world.has_proxy("second")
        # How soon is measured elsewhere. A resync comes every five minutes, long after this has lost its patience.
        await eventually(lambda: world.served() == {"first", "second"})
