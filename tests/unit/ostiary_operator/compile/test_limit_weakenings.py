"""A change of limits that lets more through is reported with both values, and any other is not."""

from typing import Any

import pytest

from ostiary_core.contract.limits import LimitConfig, LoopDetectionConfig
from ostiary_operator.compile.limit_weakenings import detection_loosened, limits_loosened

BEFORE = {
    "name": "l",
    "per": ["Consumer"],
    "tools": {"names": ["get_*"]},
    "requests": 100,
    "window": 60_000,
    "onStoreFailure": "Local",
    "whenExhausted": "Show",
}
LOOP = {"repeats": 10, "window": 60_000, "action": "Slow", "tools": {"names": ["get_*"]}}
Found = list[tuple[str, str, str, str]]


def changed(after: dict[str, Any], **before: Any) -> Found:
    parts = [{**BEFORE, **before}, {**BEFORE, **before, **after}]
    old, new = ({key: value for key, value in each.items() if value is not None} for each in parts)
    return list(
        limits_loosened(
            [LimitConfig.model_validate(old, strict=False)], [LimitConfig.model_validate(new, strict=False)]
        )
    )


def loop(after: dict[str, Any]) -> Found:
    old, new = LOOP, {key: value for key, value in {**LOOP, **after}.items() if value is not None}
    configs = [LoopDetectionConfig.model_validate(each, strict=False) for each in (old, new)]
    return list(detection_loosened(*configs))


def test_a_limit_that_is_gone_is_reported() -> None:
    gone = list(limits_loosened([LimitConfig.model_validate(BEFORE, strict=False)], None))
    assert gone == [("LimitRemoved", "spec.limits[l]", "100 requests per 1m", "none")]


@pytest.mark.parametrize(
    ("after", "field", "was", "now"),
    [
        ({"requests": 101}, "", "100 requests per 1m", "101 requests per 1m"),
        ({"window": 59_000}, "", "100 requests per 1m", "100 requests per 59s"),
        ({"burst": 101}, "", "100 requests per 1m", "100 requests per 1m, burst 101"),
        ({"window": None, "period": "Hour", "requests": 6001}, "", "100 requests per 1m", "6001 requests per Hour"),
        ({"requests": None, "budget": 10}, "", "100 requests per 1m", "10 cost per 1m"),
        ({"requests": None, "window": None, "concurrency": 1}, "", "100 requests per 1m", "1 in flight"),
        ({"tools": {"names": ["get_weather"]}}, "", "counts tools get_*", "counts tools get_weather"),
        ({"per": ["Consumer", "Tool"]}, ".per", "Consumer", "Consumer, Tool"),
        ({"onStoreFailure": "Allow"}, ".onStoreFailure", "Local", "Allow"),
    ],
)
def test_a_looser_limit_is_reported(after: dict[str, Any], field: str, was: str, now: str) -> None:
    assert changed(after) == [("LimitLoosened", f"spec.limits[l]{field}", was, now)]


@pytest.mark.parametrize(
    ("member", "after", "was", "now"),
    [
        ("concurrency", 6, "5", "6"),
        ("concurrency", None, "5", "none"),
        ("requestBytes", 2048, "5", "2Ki"),
        ("responseBytes", None, "5", "none"),
    ],
)
def test_a_looser_bound_is_reported(member: str, after: int | None, was: str, now: str) -> None:
    assert changed({member: after}, **{member: 5}) == [("LimitLoosened", f"spec.limits[l].{member}", was, now)]


def test_other_weights_are_reported() -> None:
    before = {"requests": None, "budget": 10, "weights": [{"units": 5}]}
    (found,) = changed({"weights": [{"units": 1}]}, **before)
    assert found[1] == "spec.limits[l].cost.weights"


@pytest.mark.parametrize(
    "after",
    [
        {},
        {"requests": 99},
        {"window": 120_000},
        {"burst": 10},
        {"tools": None},
        {"tools": {"names": ["get_*", "read_*"]}},
        {"concurrency": 5},
        {"requestBytes": 1},
        {"onStoreFailure": "Deny"},
        {"whenExhausted": "Hide"},
        {"window": None, "period": "Day", "requests": 100},
    ],
)
def test_a_tighter_limit_is_not_reported(after: dict[str, Any]) -> None:
    assert changed(after) == []


@pytest.mark.parametrize(
    ("after", "field"),
    [
        ({"action": "Warn"}, "action"),
        ({"repeats": 11}, "repeats"),
        ({"window": 1000}, "window"),
        ({"tools": {"names": ["get_x"]}}, "tools"),
    ],
)
def test_looser_loop_detection_is_reported(after: dict[str, Any], field: str) -> None:
    ((reason, found, _, _),) = loop(after)
    assert (reason, found) == ("LimitLoosened", f"spec.loopDetection.{field}")


@pytest.mark.parametrize("after", [{}, {"action": "Deny"}, {"repeats": 2}, {"window": 120_000}, {"tools": None}])
def test_tighter_loop_detection_is_not_reported(after: dict[str, Any]) -> None:
    assert loop(after) == []


def test_loop_detection_that_is_gone_is_reported() -> None:
    config = LoopDetectionConfig.model_validate(LOOP, strict=False)
    assert list(detection_loosened(config, None)) == [
        ("LimitRemoved", "spec.loopDetection", "Slow after 10 in 1m", "none")
    ]
    assert list(detection_loosened(None, config)) == []
