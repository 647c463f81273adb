"""A mask's output may match no mask."""

from compiled_masks import mask

from ostiary_core.content.masks.output_checks import matched_outputs
from ostiary_core.contract.masks import DetectedKind

KINDS = [{"kind": kind.value} for kind in DetectedKind]


def test_outputs_of_all_kinds_and_actions_match_no_kind() -> None:
    masks = [mask(*KINDS, action=action) for action in ("Mask", "Hash", "Tokenise", "Remove", "Block")]
    assert matched_outputs([*masks, mask(*KINDS, keep_last=4)]) == []


def test_a_pattern_that_matches_an_output_is_reported_with_a_remedy() -> None:
    (found,) = matched_outputs(
        [mask({"kind": "CardNumber"}), mask({"pattern": "masked|secret", "name": "word"}, action="Block")]
    )
    assert found.detector.name == "word"
    assert "make its pattern narrower" in found.problem


def test_a_pattern_that_matches_the_characters_that_stay_is_reported() -> None:
    assert matched_outputs([mask({"pattern": r"\d{4}", "name": "four"}, keep_last=4)])


def test_a_pattern_that_matches_tokens_is_reported() -> None:
    assert matched_outputs(
        [mask({"kind": "Email"}, action="Tokenise"), mask({"pattern": "[a-z2-7]{40}", "name": "long"})]
    )
