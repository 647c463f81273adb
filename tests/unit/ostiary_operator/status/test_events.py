import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from operator_objects import SYSTEM

from ostiary_operator.clock import ManualClock
from ostiary_operator.kube.errors import Forbidden
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import EVENT
from ostiary_operator.status.events import EventRecord, EventRecorder, transitions

CRM = {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPProxy", "namespace": "tools", "name": "crm", "uid": "u"}


def status(**conditions: str) -> dict[str, Any]:
    words = {"True": "Fine", "False": "Bad", "Unknown": "Pending"}
    return {
        "conditions": [
            {"type": kind, "status": value, "reason": words[value], "message": f"{kind} is {value}"}
            for kind, value in conditions.items()
        ]
    }


def events_of(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return [(each.reason, each.note, each.warning) for each in transitions(CRM, before, after)]


def test_nothing_is_reported_without_a_change() -> None:
    same = status(Accepted="True", Programmed="True", Ready="True")
    assert events_of(same, same) == []


def test_a_new_resource_that_waits_is_not_reported_yet() -> None:
    assert events_of({}, status(Programmed="Unknown", Ready="Unknown")) == []


def test_a_transition_gives_one_event_and_none_for_the_summary() -> None:
    before = status(Accepted="True", Programmed="Unknown", Ready="Unknown")
    after = status(Accepted="True", Programmed="True", Ready="True")
    assert events_of(before, after) == [("Fine", "Programmed is True", False)]


def test_a_failure_is_a_warning() -> None:
    assert events_of(status(Accepted="True"), status(Accepted="False")) == [("Bad", "Accepted is False", True)]


def test_one_fault_is_one_event_whichever_conditions_show_it() -> None:
    before = status(Accepted="Unknown", ResolvedRefs="True", Programmed="True", Ready="True")
    after = status(Accepted="True", ResolvedRefs="False", Programmed="False", Ready="False")
    assert events_of(before, after) == [("Fine", "Accepted is True", False), ("Bad", "ResolvedRefs is False", True)]


def test_an_unchanged_fault_gives_one_event_and_a_new_fault_another() -> None:
    before, after = status(Programmed="False", Ready="False"), status(Programmed="False", Ready="False")
    for each in after["conditions"]:
        each["message"] = "one more replica does not run it"
    assert events_of(before, after) == []
    for each in after["conditions"]:
        each["reason"] = "Worse"
    assert events_of(before, after) == [("Worse", "one more replica does not run it", True)]


def test_a_proxy_that_no_policy_governs_any_more_gives_a_warning_in_addition_to_other_events() -> None:
    before, after = status(Ready="Unknown", Governed="True"), status(Ready="True", Governed="False")
    assert events_of(before, after) == [("Fine", "Ready is True", False), ("Bad", "Governed is False", True)]


def test_failing_references_are_reported_in_their_own_condition() -> None:
    before = status(Accepted="True", ResolvedRefs="True", Ready="True")
    after = status(Accepted="True", ResolvedRefs="False", Ready="False")
    assert events_of(before, after) == [("Bad", "ResolvedRefs is False", True)]


@asynccontextmanager
async def running(cluster: FakeClient, clock: ManualClock) -> AsyncIterator[EventRecorder]:
    events = EventRecorder(cluster, clock)
    task = asyncio.create_task(events.run())
    try:
        yield events
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_an_event_has_the_shape_of_events_k8s_io_and_is_in_the_namespace_of_its_object() -> None:
    cluster, clock = FakeClient(), ManualClock()
    async with running(cluster, clock) as events:
        events.record(EventRecord(CRM, "Rejected", "n" * 5000, warning=True))
        await clock.advance(0)
    (event,) = await cluster.list(EVENT, namespace="tools")
    assert event["regarding"] == CRM
    assert (event["type"], event["reason"], event["action"]) == ("Warning", "Rejected", "Reconcile")
    assert event["reportingController"] == "ostiary.dev/operator"
    assert len(event["note"]) <= 1024
    assert event["eventTime"].endswith("Z")


async def test_a_flood_is_bounded_and_slowed_down() -> None:
    cluster, clock = FakeClient(), ManualClock()
    async with running(cluster, clock) as events:
        for _ in range(1000):
            events.record(EventRecord(CRM, "Rejected", "m", warning=True))
        await clock.advance(0)
        for _ in range(10):
            await clock.advance(0.1)
        first = len(cluster.writes)
        assert 50 <= first <= 60
        await clock.advance(3600)
        assert len(cluster.writes) <= 200
        assert events.dropped >= 800


async def test_a_namespace_with_many_events_takes_neither_room_nor_time_from_another() -> None:
    cluster, clock = FakeClient(), ManualClock()
    async with running(cluster, clock) as events:
        for _ in range(1000):
            events.record(EventRecord(CRM, "Rejected", "m", warning=True))
        events.record(EventRecord({**CRM, "namespace": "quiet"}, "Rejected", "m", warning=True))
        await clock.advance(0)
        assert len(await cluster.list(EVENT, namespace="quiet")) == 1
        assert len(await cluster.list(EVENT, namespace="tools")) <= 50


async def test_an_event_that_cannot_be_written_is_lost_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    cluster, clock = FakeClient(), ManualClock()
    cluster.fail("create", EVENT, Forbidden("no"))
    async with running(cluster, clock) as events:
        for _ in range(2):
            events.record(EventRecord(CRM, "Rejected", "m", warning=True))
        await clock.advance(0)
    assert len(cluster.writes) == 1
    assert events.dropped == 1
    assert not caplog.records


async def test_an_event_about_something_without_a_namespace_goes_to_default() -> None:
    cluster, clock = FakeClient(), ManualClock()
    async with running(cluster, clock) as events:
        events.record(EventRecord({**CRM, "namespace": ""}, "R", "m", warning=False))
        await clock.advance(0)
    assert len(await cluster.list(EVENT, namespace="default")) == 1
    assert await cluster.list(EVENT, namespace=SYSTEM) == []


def test_a_server_is_reported_at_a_fault_and_at_its_recovery_but_not_at_its_first_response() -> None:
    unknown, well, down = (status(UpstreamHealthy=value) for value in ("Unknown", "True", "False"))
    assert events_of(unknown, well) == []
    assert events_of(well, down) == [("Bad", "UpstreamHealthy is False", True)]
    assert events_of(down, down) == []
    assert events_of(down, well) == [("Fine", "UpstreamHealthy is True", False)]


def test_a_circuit_that_opens_is_an_event_after_the_fault_that_opened_it() -> None:
    down, cut_off = status(UpstreamHealthy="False"), status(UpstreamHealthy="False")
    cut_off["conditions"][0] |= {"reason": "CircuitOpen", "message": "server crm: too many requests failed"}
    assert events_of(down, cut_off) == [("CircuitOpen", "server crm: too many requests failed", True)]
    assert events_of(cut_off, cut_off) == []
