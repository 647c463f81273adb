"""Changes of what gateways observe are delayed, so that an unstable server floods no status."""

from typing import Any

import pytest

from ostiary_operator.compile.model import ConditionDraft
from ostiary_operator.status.observed_conditions import DWELL, MESSAGE_DWELL, damp


def as_status(found: ConditionDraft, *, generation: int = 3) -> dict[str, Any]:
    return {
        "status": found.status, "reason": found.reason, "message": found.message, "observedGeneration": generation
    }  # fmt: skip


def condition(value: str, reason: str, message: str = "words") -> ConditionDraft:
    return ConditionDraft("UpstreamHealthy", value, reason, message)


TRUE, UNKNOWN = condition("True", "UpstreamHealthy"), condition("Unknown", "NoTraffic")
DOWN, LOOP = condition("False", "UpstreamUnreachable"), condition("False", "UpstreamLoop")


@pytest.mark.parametrize("found", [TRUE, DOWN, UNKNOWN])
def test_the_first_condition_is_written_at_once(found: ConditionDraft) -> None:
    assert damp(found, None, generation=3, written_at=0, now=1).condition == found
    assert damp(found, as_status(UNKNOWN), generation=3, written_at=0, now=1).condition == found


@pytest.mark.parametrize(("before", "after"), [(TRUE, DOWN), (DOWN, TRUE), (DOWN, LOOP)])
def test_an_unstable_server_is_reported_once_a_minute(before: ConditionDraft, after: ConditionDraft) -> None:
    early = damp(after, as_status(before), generation=3, written_at=100, now=100 + DWELL - 1)
    assert (early.condition, early.until) == (before, 100 + DWELL)
    assert damp(after, as_status(before), generation=3, written_at=100, now=100 + DWELL).condition == after


def test_another_message_for_the_same_fault_is_reported_every_ten_minutes() -> None:
    other = condition("False", "UpstreamUnreachable", "other words")
    assert damp(other, as_status(DOWN), generation=3, written_at=100, now=100 + DWELL).condition == DOWN
    assert damp(other, as_status(DOWN), generation=3, written_at=100, now=100 + MESSAGE_DWELL).condition == other


@pytest.mark.parametrize("before", [TRUE, DOWN])
def test_replicas_that_have_just_started_take_nothing_from_what_is_known_of_the_same_generation(
    before: ConditionDraft,
) -> None:
    assert damp(UNKNOWN, as_status(before), generation=3, written_at=0, now=1e9).condition == before
    assert damp(UNKNOWN, as_status(before), generation=4, written_at=0, now=1e9).condition == UNKNOWN
