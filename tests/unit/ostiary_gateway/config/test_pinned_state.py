"""What a replica remembers of pinned definitions is bounded, and does not flap with its server."""

from typing import Any

from ostiary_core.definitions.definition_digest import definition_digest
from ostiary_core.definitions.definition_rules import DefinitionRules
from ostiary_gateway.config import pinned_state as module
from ostiary_gateway.config.pinned_state import (
    MOST_BYTES,
    MOST_DRIFTS,
    PinnedDefinitions,
    drift_counts,
    drift_report,
    drift_summary,
    pinned_state,
)


def _drift(state: PinnedDefinitions, name: str, **members: Any) -> None:
    definition = {"name": name, **members}
    state.note_drift("calc", "tools", name, definition_digest(definition), definition)


def test_another_lock_begins_with_nothing_seen() -> None:
    first, second = DefinitionRules("Block"), DefinitionRules("Block")
    pinned_state(first).sightings(0, None, "tools")["add"] = 5.0
    assert pinned_state(first).is_seen(0, None, "tools", "add", since=5.0)
    assert not pinned_state(first).is_seen(0, None, "tools", "add", since=5.1)
    assert not pinned_state(first).is_seen(0, "other", "tools", "add", since=0.0)
    assert not pinned_state(second).is_seen(0, None, "tools", "add", since=0.0)


def test_callers_without_number_take_bounded_memory() -> None:
    state = PinnedDefinitions()
    for number in range(2000):
        state.sightings(0, number, "tools")["add"] = 1.0
    assert not state.is_seen(0, 0, "tools", "add", since=0.0)
    assert state.is_seen(0, 1999, "tools", "add", since=0.0)
    assert len(state._lists) <= 512


def test_only_the_newest_drifts_are_kept_and_large_definitions_without_their_text() -> None:
    rules = DefinitionRules("Block")
    state = pinned_state(rules)
    for number in range(10_000):
        _drift(state, f"t{number}")
    _drift(state, "large", description="x" * MOST_BYTES)
    report = drift_report(rules)
    assert len(report) == MOST_DRIFTS
    assert (report[0]["name"], "definition" in report[0]) == ("large", False)
    assert report[1]["definition"] == '{"name":"t9999"}'
    assert drift_counts(rules) == {("calc", "tools"): 10_001}


def test_what_has_no_canonical_form_is_reported_without_text() -> None:
    state = PinnedDefinitions()
    state.note_drift("calc", "tools", "x", None, {"name": "\ud800"})
    assert [drift.report()["digest"] for drift in state.drifts()] == [""]


def test_a_server_that_alternates_stays_reported_for_a_while(monkeypatch: Any) -> None:
    rules = DefinitionRules("Block")
    state, now = pinned_state(rules), [1000.0]
    monkeypatch.setattr(module, "time", lambda: now[0])
    summaries = set()
    for _ in range(10):
        _drift(state, "add")
        now[0] += 1
        state.note_well("calc", "tools", "add")
        now[0] += 1
        summaries.add(str(drift_summary(rules)))
    assert len(summaries) == 1
    now[0] += 700
    assert drift_summary(rules)["drifted"] == 0


def test_a_name_that_is_gone_is_forgotten_after_a_while(monkeypatch: Any) -> None:
    state, now = PinnedDefinitions(), [1000.0]
    monkeypatch.setattr(module, "time", lambda: now[0])
    _drift(state, "add2")
    now[0] += 1
    state.note_gone("calc", "tools", {"add"})
    assert len(list(state.drifts())) == 1
    now[0] += 700
    assert list(state.drifts()) == []
