"""How much guards find, and how little they find where nothing is: on texts that others have labelled."""

from collections.abc import Iterable

import pytest
from guard_corpora import LabelledText, harmless_definitions, labelled_texts

from ostiary_core.content.guards.text_scanner import TextScanner
from ostiary_core.contract.content import Direction
from ostiary_core.contract.guards import GuardDetector, Sensitivity
from ostiary_core.steps import run_steps

DETECT = [each for each in GuardDetector if each is not GuardDetector.LOOK_ALIKE]


def scanner(sensitivity: Sensitivity, direction: Direction = Direction.RESULTS) -> TextScanner:
    return TextScanner.build(DETECT, sensitivity=sensitivity, direction=direction)


def scores(texts: Iterable[LabelledText], sensitivity: Sensitivity) -> tuple[float, float]:
    """Precision and recall."""
    scan = scanner(sensitivity)
    found = [(each.is_attack, bool(run_steps(scan.scanning(each.text)))) for each in texts]
    hits = found.count((True, True))
    return hits / (hits + found.count((False, True))), hits / (hits + found.count((True, False)))


def test_the_corpora_hold_enough_of_both_kinds_in_each_half() -> None:
    texts = labelled_texts()
    for half in (True, False):
        attacks = [each.is_attack for each in texts if each.is_held_out is half]
        assert min(attacks.count(True), attacks.count(False)) >= 20


def test_at_medium_sensitivity_attacks_that_were_held_out_are_found_precisely() -> None:
    precision, recall = scores([each for each in labelled_texts() if each.is_held_out], Sensitivity.MEDIUM)
    assert precision >= 0.97
    assert recall >= 0.55


def test_of_all_texts_most_attacks_are_found() -> None:
    precision, recall = scores(labelled_texts(), Sensitivity.MEDIUM)
    assert precision >= 0.97
    assert recall >= 0.75


@pytest.mark.parametrize("sensitivity", [Sensitivity.LOW, Sensitivity.MEDIUM])
def test_at_most_one_of_a_thousand_harmless_definitions_is_suspected(sensitivity: Sensitivity) -> None:
    texts = harmless_definitions()
    assert len(texts) >= 2_000
    scan = scanner(sensitivity, Direction.DEFINITIONS)
    suspected = [name for name, text in texts.items() if run_steps(scan.scanning(text))]
    assert len(suspected) * 1_000 <= len(texts), suspected
