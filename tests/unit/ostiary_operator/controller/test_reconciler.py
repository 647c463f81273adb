import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import ClientSession
from operator_objects import (
    GATEWAY,
    SYSTEM,
    StubReplica,
    condition,
    delivered,
    delivered_files,
    listening_replica,
    policy,
    populated,
    proxy,
    service,
    settings,
)

from ostiary_operator.clock import ManualClock
from ostiary_operator.controller.app import Components, assemble
from ostiary_operator.controller.mass_deletion_guard import CONFIRM_AFTER
from ostiary_operator.controller.queue import PassRequest, PassResult
from ostiary_operator.kube.errors import Busy, Forbidden
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import CONFIG_MAP, POLICY, PROXY, SECRET, SERVICE
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.status.replicas import from_urls

OPTIONS = OperatorOptions(operator_namespace=SYSTEM, admin_host="127.0.0.1", admin_port=0)


@dataclass
class Operator:
    """The whole operator except its watches; a test says when a pass runs and when it polls replicas."""

    cluster: FakeClient
    options: OperatorOptions = OPTIONS
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.parts: Components = assemble(self.cluster, self.options, self.clock)

    async def run_pass(self, superseded: Callable[[], bool] = lambda: False) -> PassResult:
        return await self.parts.queue._work(PassRequest(frozenset({"test"}), superseded))

    async def ask(self) -> None:
        async with ClientSession() as session:
            await self.parts.poller.round(session)

    def obj(self, name: str = "crm", *, kind: Any = PROXY) -> dict[str, Any]:
        found = self.cluster.peek(kind, name=name, namespace="tools")
        assert found is not None
        return found

    def served(self) -> set[str]:
        return {each.proxy for each in delivered(self.cluster).manifest.entries}


def operator(*objects: dict[str, Any], replicas: tuple[str, ...] = ()) -> Operator:
    clock = ManualClock()
    options = replace(OPTIONS, gateway_replicas={GATEWAY: replicas})
    return Operator(populated(*objects, time=clock.time), options, clock)


async def test_a_proxy_and_its_policy_reach_the_gateway_in_one_pass() -> None:
    it = operator(proxy("crm"), policy("read-only", "crm", allow="read_*"))
    assert await it.run_pass() == PassResult()
    bundle = delivered(it.cluster)
    (reference,) = bundle.manifest.entries
    entry = json.loads(bundle.take(reference.digest))
    assert reference.proxy == "tools/crm"
    rules = json.loads(bundle.take(entry["policies"][0]))["access"]["rules"]
    assert rules[0]["tools"]["names"] == ["read_*"]


async def test_the_status_is_true_only_after_every_replica_acknowledged() -> None:
    async with listening_replica(StubReplica()) as one, listening_replica(StubReplica()) as two:
        it = operator(proxy("crm"), policy("p", "crm"), replicas=(one.url, two.url))
        await it.run_pass()
        assert condition(it.obj(), "Accepted") == ("True", "Accepted")
        assert condition(it.obj(), "Ready") == ("Unknown", "Pending")
        one.runs(delivered(it.cluster))
        await it.ask()
        assert condition(it.obj(), "Programmed") == ("Unknown", "Pending")
        assert it.obj()["status"]["programmed"] == "default 1/2"
        two.runs(delivered(it.cluster))
        await it.ask()
        assert condition(it.obj(), "Ready") == ("True", "Ready")
        assert condition(it.obj("p", kind=POLICY), "Ready") == ("True", "Ready")
        assert it.obj()["status"]["programmed"] == "default 2/2"
        assert it.obj()["status"]["url"].endswith("/tools/crm/mcp")


async def test_an_identical_pass_writes_nothing_not_even_after_a_restart() -> None:
    async with listening_replica(StubReplica()) as one:
        it = operator(proxy("crm"), policy("p", "crm"), replicas=(one.url,))
        await it.run_pass()
        one.runs(delivered(it.cluster))
        await it.ask()
        before = len(it.cluster.writes)
        await it.run_pass()
        await it.ask()
        it.restart()
        await it.run_pass()
        await it.ask()
        assert it.cluster.writes[before:] == []


async def test_nothing_but_the_status_of_a_users_object_is_ever_written() -> None:
    it = operator(proxy("crm"), policy("p", "crm"))
    before = {**it.obj(), "status": None, "metadata": {**it.obj()["metadata"], "resourceVersion": None}}
    await it.run_pass()
    after = {**it.obj(), "status": None, "metadata": {**it.obj()["metadata"], "resourceVersion": None}}
    assert after == before
    verbs = {(verb, kind) for verb, kind, _ in it.cluster.writes}
    assert verbs == {
        ("apply", "secrets"),
        ("apply", "configmaps"),
        ("apply_status", "mcpproxies"),
        ("apply_status", "mcppolicies"),
    }


async def test_a_deleted_proxy_leaves_the_config() -> None:
    it = operator(proxy("crm"), proxy("wiki"))
    await it.run_pass()
    it.cluster.remove(PROXY, name="crm", namespace="tools")
    await it.run_pass()
    assert it.served() == {"tools/wiki"}


@pytest.mark.parametrize("kind", [PROXY, POLICY, SERVICE, CONFIG_MAP])
async def test_a_failed_list_changes_nothing(kind: Any) -> None:
    it = operator(proxy("crm"), proxy("wiki"))
    await it.run_pass()
    files = delivered_files(it.cluster)
    it.cluster.remove(PROXY, name="crm", namespace="tools")
    it.cluster.fail("list", kind, Busy("503"))
    with pytest.raises(Busy):
        await it.run_pass()
    assert delivered_files(it.cluster) == files


async def test_when_all_proxies_disappear_at_once_they_are_kept_until_confirmed() -> None:
    it = operator(proxy("crm"))
    await it.run_pass()
    it.cluster.remove(PROXY, name="crm", namespace="tools")
    outcome = await it.run_pass()
    assert outcome.requeue_after == CONFIRM_AFTER
    assert it.served() == {"tools/crm"}
    await it.clock.advance(CONFIRM_AFTER)
    await it.run_pass()
    assert it.served() == set()


async def test_a_restart_while_all_objects_are_missing_keeps_the_delivered_config() -> None:
    it = operator(proxy("crm"))
    await it.run_pass()
    it.cluster.remove(PROXY, name="crm", namespace="tools")
    it.restart()
    assert (await it.run_pass()).requeue_after == CONFIRM_AFTER
    assert it.served() == {"tools/crm"}


async def test_a_policy_that_became_unusable_stays_in_force_as_last_accepted_also_after_a_restart() -> None:
    it = operator(proxy("crm"), policy("p", "crm", allow="read_*"))
    await it.run_pass()
    before = delivered(it.cluster).manifest.entries
    broken = policy("p", "crm")
    broken["spec"]["access"]["rules"][0]["tools"] = {"patterns": ["("]}
    it.cluster.put(POLICY, broken)
    it.restart()
    await it.run_pass()
    assert delivered(it.cluster).manifest.entries == before
    obj = it.obj("p", kind=POLICY)
    assert condition(obj, "Accepted")[0] == "False"
    assert condition(obj, "Programmed") == ("False", "NotAccepted")
    assert condition(obj, "Ready")[0] == "False"


async def test_a_forged_config_is_never_the_last_good_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    it = operator(proxy("crm"))
    await it.run_pass()
    stored = it.cluster.peek(CONFIG_MAP, name="ostiary-default-0", namespace=SYSTEM)
    assert stored is not None
    forged = json.loads(stored["data"]["manifest.json"])
    forged["entries"][0]["proxy"] = "tools/backdoor"
    it.cluster.put(CONFIG_MAP, stored | {"data": stored["data"] | {"manifest.json": json.dumps(forged)}})
    it.restart()
    with caplog.at_level(logging.ERROR):
        await it.run_pass()
    assert it.served() == {"tools/crm"}
    assert "is not trusted" in caplog.text


async def test_an_edited_status_is_corrected() -> None:
    it = operator(proxy("crm"))
    await it.run_pass()
    right = it.obj()["status"]
    it.cluster.put(PROXY, {**it.obj(), "status": {**right, "url": "http://evil/mcp", "conditions": []}})
    assert not it.parts.publisher.is_known(it.obj()["metadata"]["uid"], it.obj()["status"])
    await it.clock.advance(1)
    await it.run_pass()
    assert it.obj()["status"]["url"] == right["url"]
    assert condition(it.obj(), "Accepted") == ("True", "Accepted")
    assert it.parts.publisher.is_known(it.obj()["metadata"]["uid"], it.obj()["status"])


async def test_a_gateway_that_cannot_be_written_delays_no_other_and_is_reported() -> None:
    it = operator(proxy("crm"))
    it.cluster.put(SERVICE, service("edge"))
    it.cluster.failures.append(
        lambda verb, _, name: (
            Forbidden("apply secrets: 403: no") if name == "ostiary-edge" and verb == "apply" else None
        )
    )
    outcome = await it.run_pass()
    assert outcome.failures == ("gateway ostiary-system/edge: apply secrets: 403: no",)
    assert it.served() == {"tools/crm"}
    assert condition(it.obj(), "Programmed") == ("False", "WriteFailed")
    it.cluster.failures.clear()
    assert (await it.run_pass()).failures == ()
    assert {each.proxy for each in delivered(it.cluster, "edge").manifest.entries} == {"tools/crm"}


async def test_a_namespaced_gateway_without_rights_is_skipped_and_named() -> None:
    it = operator(proxy("crm"))
    it.cluster.put(SERVICE, service("own", namespace="tools"))
    it.cluster.failures.append(
        lambda verb, _, name: Forbidden("get secrets: 403: no") if (verb, name) == ("get", "ostiary-own") else None
    )
    outcome = await it.run_pass()
    assert outcome.failures == ()  # every tenant may label a Service: edits of others do not wait for it
    assert outcome.requeue_after == 60.0
    assert it.cluster.peek(SECRET, name="ostiary-own", namespace="tools") is None
    assert it.served() == {"tools/crm"}


async def test_a_replica_that_rejects_is_named_while_the_others_continue() -> None:
    async with listening_replica(StubReplica()) as good, listening_replica(StubReplica(replica="poisoned")) as bad:
        it = operator(proxy("crm"), proxy("wiki"), replicas=(good.url, bad.url))
        await it.run_pass()
        for each in (good, bad):
            each.runs(delivered(it.cluster))
        digest = bad.entries["tools/crm"]["active"]
        rejected = {"digest": digest, "reason": "InvalidDocument", "message": "servers[0].url: odd"}
        bad.entries["tools/crm"] = {"active": None, "rejected": rejected}
        await it.ask()
        assert condition(it.obj(), "Programmed") == ("False", "Rejected")
        message = next(c for c in it.obj()["status"]["conditions"] if c["type"] == "Programmed")["message"]
        assert bad.url in message
        assert "servers[0].url: odd" in message
        assert condition(it.obj("wiki"), "Ready") == ("True", "Ready")


async def test_a_replica_that_names_another_gateway_acknowledges_nothing() -> None:
    async with listening_replica(StubReplica()) as liar:
        it = operator(proxy("crm"), replicas=(liar.url,))
        await it.run_pass()
        liar.runs(delivered(it.cluster))
        liar.gateway = "tools/default"
        await it.ask()
        assert condition(it.obj(), "Programmed") == ("Unknown", "Pending")
        await it.clock.advance(10)
        await it.ask()
        assert condition(it.obj(), "Programmed") == ("Unknown", "Unreachable")


async def test_a_gateway_without_replicas_programs_nothing() -> None:
    it = operator(proxy("crm"))
    await it.run_pass()
    assert condition(it.obj(), "Programmed") == ("False", "NoReplicas")
    assert it.obj()["status"]["programmed"] == "default 0/0"


async def test_changes_of_numbers_only_are_written_once_the_replicas_are_stable() -> None:
    async with listening_replica(StubReplica()) as one, listening_replica(StubReplica()) as two:
        it = operator(proxy("crm"), replicas=(one.url,))
        await it.run_pass()
        one.runs(delivered(it.cluster))
        await it.ask()
        two.runs(delivered(it.cluster))
        it.parts.publisher.gateway_states[GATEWAY].has(from_urls([one.url, two.url]), it.clock.monotonic())
        await it.ask()
        assert it.obj()["status"]["programmed"] == "default 1/1"
        await it.clock.advance(5)
        await it.ask()
        assert it.obj()["status"]["programmed"] == "default 2/2"


async def test_broken_settings_keep_the_last_good_ones_and_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    it = operator(proxy("crm"))
    it.cluster.put(CONFIG_MAP, settings("withoutPolicy: Deny"))
    await it.run_pass()
    before = delivered(it.cluster).manifest.settings
    it.cluster.put(CONFIG_MAP, settings("withoutPolicy: Perhaps"))
    with caplog.at_level(logging.WARNING):
        await it.run_pass()
        await it.run_pass()
    assert delivered(it.cluster).manifest.settings == before
    assert caplog.text.count("withoutPolicy") == 1


async def test_a_second_gateway_needs_no_restart_and_one_that_vanishes_leaves_the_status() -> None:
    it = operator(proxy("crm"))
    await it.run_pass()
    it.cluster.put(SERVICE, service("edge"))
    await it.run_pass()
    assert it.obj()["status"]["programmed"] == "default 0/0, edge 0/0"
    it.cluster.remove(SERVICE, name="ostiary-gateway-edge", namespace=SYSTEM)
    await it.run_pass()
    assert it.obj()["status"]["programmed"] == "default 0/0"


async def test_the_acknowledgement_asks_for_the_pass_that_prunes() -> None:
    async with listening_replica(StubReplica()) as one:
        it = operator(proxy("crm"), replicas=(one.url,))
        await it.run_pass()
        watch = it.parts.publisher.gateway_states[GATEWAY]
        watch.prunable = True
        one.runs(delivered(it.cluster))
        await it.ask()
        assert it.parts.queue.observed.requests == {"acknowledged": 1}
        await it.ask()
        assert it.parts.queue.observed.requests == {"acknowledged": 1}


async def test_a_replica_that_rejects_the_config_or_the_token_enqueues_one_check() -> None:
    async with listening_replica(StubReplica()) as one:
        it = operator(proxy("crm"), replicas=(one.url,))
        await it.run_pass()
        one.rejected = {"revision": None, "reason": "InvalidDocument", "message": "its MAC does not fit"}
        for _ in range(2):
            await it.ask()
        assert it.parts.queue.observed.requests == {"replica rejects": 1}
        one.status = 401
        for _ in range(2):
            await it.ask()
        assert it.parts.queue.observed.requests["replica refuses"] == 1


async def test_a_status_that_could_not_be_written_is_tried_again() -> None:
    it = operator(proxy("crm"), proxy("wiki"))
    it.cluster.fail("apply_status", PROXY, Busy("503"), name="crm")
    outcome = await it.run_pass()
    assert outcome.failures == ("statuses: 503",)
    assert condition(it.obj("wiki"), "Accepted") == ("True", "Accepted")
    assert (await it.run_pass()).failures == ()
    assert condition(it.obj(), "Accepted") == ("True", "Accepted")


def asked_once_before() -> Callable[[], bool]:
    answers = iter([False])
    return lambda: next(answers, True)


async def test_a_flood_of_statuses_yields_to_a_new_pass_and_is_finished_later() -> None:
    names = [f"p{number:03}" for number in range(150)]
    it = operator(*(proxy(name) for name in names))

    def statuses_written() -> int:
        return sum("status" in it.obj(name) for name in names)

    await it.run_pass(superseded=asked_once_before())
    assert 0 < statuses_written() < len(names)
    assert it.served() == {f"tools/{name}" for name in names}
    await it.run_pass()
    assert statuses_written() == len(names)


async def test_the_statuses_of_new_generations_are_written_first() -> None:
    names = [f"p{number:03}" for number in range(150)]
    it = operator(*(proxy(name) for name in names))
    await it.run_pass()
    it.cluster.put(SERVICE, service("edge"))  # a reason to write to all of them
    it.cluster.put(PROXY, proxy("p149", path="/tools/new"))
    before = len(it.cluster.writes)
    await it.run_pass()
    statuses = [name for verb, _, name in it.cluster.writes[before:] if verb == "apply_status"]
    assert statuses[0] == "p149"
    assert len(statuses) == len(names)


async def test_an_object_that_was_replaced_meanwhile_gets_no_status_of_its_predecessor() -> None:
    it = operator(proxy("crm"))

    def replaced(verb: str, kind: Any, name: str) -> None:
        if verb == "apply" and name == "ostiary-default":
            it.cluster.remove(PROXY, name="crm", namespace="tools")
            it.cluster.put(PROXY, proxy("crm", path="/tools/new"))

    it.cluster.failures.append(replaced)
    await it.run_pass()
    assert "status" not in it.obj()


def test_no_log_line_holds_a_key(caplog: pytest.LogCaptureFixture) -> None:
    it = operator(proxy("crm"))
    with caplog.at_level(logging.DEBUG):
        asyncio.run(it.run_pass())
    stored = it.cluster.peek(SECRET, name="ostiary-default", namespace=SYSTEM)
    assert stored is not None
    assert all(value not in caplog.text for value in stored["data"].values())


async def test_what_gateways_saw_of_a_server_becomes_a_condition_outside_ready_and_one_event() -> None:
    async with listening_replica(StubReplica()) as one:
        it = operator(proxy("crm"), replicas=(one.url,))
        await it.run_pass()
        one.runs(delivered(it.cluster))
        await it.ask()
        assert condition(it.obj(), "UpstreamHealthy") == ("Unknown", "NoTraffic")
        fault = {"kind": "UpstreamHostRefused", "message": "HTTP 421: Invalid Host header", "at": 1}
        one.entries["tools/crm"]["servers"] = {"mock": {"answered": False, "fault": fault}}
        await it.ask()
        assert condition(it.obj(), "UpstreamHealthy") == ("False", "UpstreamHostRefused")
        assert condition(it.obj(), "Ready") == ("True", "Ready")


async def test_the_status_of_an_unstable_server_is_written_once_a_minute_and_then_as_it_is() -> None:
    async with listening_replica(StubReplica()) as one:
        it = operator(proxy("crm"), replicas=(one.url,))
        await it.run_pass()
        one.runs(delivered(it.cluster))
        await it.ask()
        before = len(it.cluster.writes)
        for turn in range(100):
            fault = {"kind": "UpstreamReset", "message": f"words {turn}", "at": turn}
            one.entries["tools/crm"]["servers"] = {"mock": {"answered": True, **({"fault": fault} if turn % 2 else {})}}
            await it.ask()
            await it.clock.advance(1)
        assert len(it.cluster.writes) - before <= 3
        one.entries["tools/crm"]["servers"] = {"mock": {"answered": True}}
        for _ in range(2):
            await it.clock.advance(60)
            await it.ask()
        assert condition(it.obj(), "UpstreamHealthy") == ("True", "UpstreamHealthy")
