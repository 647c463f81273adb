"""How the changes of one pass that weaken are reported: none can hide others."""

from typing import cast

import pytest

from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.compile.weakening import MORE, Weakening
from ostiary_operator.controller.weakening_events import WeakeningEvents
from ostiary_operator.status.events import EventRecord, EventRecorder

GATEWAY = DiscoveredGateway(namespace="system", name="default", service="ostiary-default", uid="u", created="")


class RecordedEvents:
    """Takes Events instead of writing them."""

    def __init__(self) -> None:
        self.records: list[EventRecord] = []

    def record(self, event: EventRecord) -> None:
        self.records.append(event)


def change(number: int, *, namespace: str = "a", kind: str = "MCPPolicy", reason: str = "AllowWidened") -> Weakening:
    name = f"{kind.lower()}-{number}"
    return Weakening(kind, namespace, name, f"uid-{number}", reason, "spec.x", "before", "after")


def reported(*changes: Weakening) -> list[EventRecord]:
    events = RecordedEvents()
    WeakeningEvents(cast("EventRecorder", events)).report(dict.fromkeys(changes, GATEWAY))
    return events.records


def test_a_hundred_harmless_changes_do_not_hide_the_one_that_matters(caplog: pytest.LogCaptureFixture) -> None:
    noise = [change(number) for number in range(500)]
    found = reported(*noise, change(1, kind="MCPProxy", reason="UpstreamChanged"))
    assert [it.regarding["name"] for it in found if it.reason == "UpstreamChanged"] == ["mcpproxy-1"]
    assert len(found) == 41
    assert "MCPProxy a/mcpproxy-1: UpstreamChanged: spec.x: before → after" in caplog.text


def test_changes_without_an_event_of_their_own_are_counted_by_reason() -> None:
    deleted = [change(number, kind="MCPProxy", reason="PolicyDeleted") for number in range(30)]
    *_, last = reported(*[change(number) for number in range(30)], *deleted)
    assert (last.reason, last.warning) == (MORE, True)
    assert last.note == "20 more changes of this namespace weaken protection: AllowWidened 10, PolicyDeleted 10"


def test_the_changes_of_one_namespace_do_not_hide_those_of_another() -> None:
    found = reported(*[change(number) for number in range(500)], change(1, namespace="z"))
    assert [it.regarding["name"] for it in found if it.regarding["namespace"] == "z"] == ["mcppolicy-1"]
