"""A message of very many candidates that are no values: what is left of it counts as one."""

from typing import Any

import pytest
from compiled_masks import mask, mask_set, masked
from guard_rules import guard, guarded

from ostiary_core.content.detection.automaton import joined
from ostiary_core.content.detection.detector import Detector
from ostiary_core.content.detection.kinds import DETECTORS
from ostiary_core.contract.masks import DetectedKind

NEAR = "token:token:a9 "
SECRET = "AKIAIOSFODNN7REALKEY"


def judged(kind: DetectedKind, text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many candidates of a kind are verified in a text."""
    count = 0
    values = Detector._values

    def counted(self: Detector, text: bytes, start: int, end: int) -> list[tuple[int, int]]:
        nonlocal count
        count += 1
        return values(self, text, start, end)

    monkeypatch.setattr(Detector, "_values", counted)
    found = joined([DETECTORS[kind]]).find(text.encode())
    assert [hit.end for hit in found] == [len(text)]
    return count


@pytest.mark.parametrize(
    ("kind", "piece", "most"),
    [(DetectedKind.SECRET, NEAR, 16_385), (DetectedKind.EMAIL, "a@b.c ", 262_145)],
)
def test_the_work_for_one_text_is_bounded(
    kind: DetectedKind, piece: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judged(kind, piece * 300_000, monkeypatch) == most


def test_what_follows_too_many_near_matches_is_masked_as_one() -> None:
    message: dict[str, Any] = {
        "result": {"content": [{"type": "text", "text": f"before {NEAR * 20_000}{SECRET} after"}]}
    }
    masked(mask_set(mask({"kind": "Secret"}, keep_last=4)), message)
    text = message["result"]["content"][0]["text"]
    assert text.startswith(f"before {NEAR}")
    assert text.endswith("[masked: Secret]")
    assert SECRET not in text


def test_the_texts_of_one_message_share_the_limit() -> None:
    pieces = [f"{NEAR * 1_000}." for _ in range(20)]
    message: dict[str, Any] = {"result": {"structuredContent": {"a": pieces}}}
    masked(mask_set(mask({"kind": "Secret"})), message)
    found = message["result"]["structuredContent"]["a"]
    assert found[0] == f"{NEAR * 1_000}."
    assert found[-1] == "[masked: Secret]"


def test_numbers_that_are_as_long_as_those_of_cards_stay() -> None:
    message: dict[str, Any] = {"result": {"content": [{"type": "text", "text": "4012888888881882 " * 20_000}]}}
    assert not masked(mask_set(mask({"kind": "CardNumber"})), message).is_changed


def test_a_guard_strips_what_follows_too_many_near_matches() -> None:
    message: dict[str, Any] = {
        "id": 1,
        "result": {"content": [{"type": "text", "text": f"before {NEAR * 20_000}{SECRET} after"}]},
    }
    done = guarded(message, guard("SecretOut", action="Strip"))
    text = message["result"]["content"][0]["text"]
    assert done.is_changed
    assert text.startswith(f"before {NEAR}")
    assert SECRET not in text
    assert len(text) < 20_000 * len(NEAR)
