"""A pattern that would find what masks show is named, and no kind finds it."""

import json
from typing import Any

import pytest

from ostiary_core.content.detection.automaton import Automaton
from ostiary_core.content.detection.kinds import DETECTORS
from ostiary_core.content.masks.mask_outputs import patterns_that_find_outputs
from ostiary_core.content.masks.replacements import masked, stars
from ostiary_core.contract.masks import MaskConfig


def mask(name: str, *detect: dict[str, Any], **more: Any) -> MaskConfig:
    document = {"name": name, "directions": ["Results"], "detect": list(detect), "action": "Mask", **more}
    return MaskConfig.model_validate_json(json.dumps(document))


def own(pattern: str) -> dict[str, Any]:
    return {"pattern": pattern, "name": "employee"}


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        (r"\[masked: [a-z]+\]", "[masked: employee]"),
        ("[a-z0-9]{40}", "hs1"),
        (r"\btk1", "tk1"),
        (r"^\[.*\]$", "["),
        (r"\*{4}", "****"),
        ("[0-9]{4}$", "1111"),
    ],
)
def test_a_pattern_that_finds_what_a_mask_shows_is_named(pattern: str, shown: str) -> None:
    masks = [mask("cards", {"kind": "CardNumber"}, keepLast=4), mask("own", {"kind": "Email"}, own(pattern))]

    (found,) = patterns_that_find_outputs(masks)

    assert (found.mask, found.detector) == (1, 1)
    assert shown in found.output


def test_other_patterns_are_not() -> None:
    masks = [mask("cards", {"kind": "CardNumber"}, keepLast=4), mask("own", own("EMP-[0-9]{6}"), keepLast=2)]

    assert list(patterns_that_find_outputs(masks)) == []


def test_no_kind_finds_what_masks_show() -> None:
    automaton = Automaton(tuple(DETECTORS.values()))
    shown = [masked("", detector.name, keep_last=0) for detector in DETECTORS.values()]
    shown += [stars("4111 1111 1111 1111", keep_last=4), stars("ada@example.com", keep_last=4)]
    shown += [f"hs1{'abcdefghijklmnopqrstuvwxyz234567' * 2}", f"tk1{'abcdefghijklmnopqrstuvwxyz234567' * 3}"]

    for text in shown:
        for sentence in (text, f"the token is {text}", f'{{"password": "{text}"}}'):
            assert automaton.find(sentence.encode()) == [], sentence
