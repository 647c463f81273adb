"""All detectors together: how well they find values, and what hostile texts cost."""

import json
from collections import Counter
from pathlib import Path

import pytest

from ostiary_core.content.detection.automaton import joined
from ostiary_core.content.detection.detector import own_pattern
from ostiary_core.content.detection.kinds import DETECTORS
from ostiary_core.steps import InThread

ALL = joined(DETECTORS.values())
CORPUS = Path(__file__).parents[4] / "corpus" / "values.jsonl"
#: The least precision and recall of each kind.
TARGETS = {"CardNumber": 0.97, "IBAN": 0.99, "USSSN": 0.99, "Email": 0.99, "Secret": 0.93, "Phone": 0.93}
KIB = 1024


def scores() -> dict[str, tuple[float, float]]:
    """Precision and recall of each kind: a value counts if it is found whole, and nothing else in its text."""
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for line in CORPUS.read_text().splitlines():
        row = json.loads(line)
        raw = row["text"].encode()
        hits = {(hit.detector.name, raw[hit.start : hit.end].decode()) for hit in ALL.find(raw)}
        found.update(kind for kind, _ in hits)
        if "kind" in row:
            there[row["kind"]] += 1
            right[row["kind"]] += (row["kind"], row["value"]) in hits
    return {kind: (right[kind] / max(1, found[kind]), right[kind] / there[kind]) for kind in there}


def test_precision_and_recall_of_each_kind_reach_their_targets() -> None:
    found = scores()
    assert set(found) == set(TARGETS)
    assert {kind: pair for kind, pair in found.items() if min(pair) < TARGETS[kind]} == {}


@pytest.mark.parametrize(
    "piece",
    [
        "4111 1111 1111 1112 ", "4111111111111112,", "41111111", "AD12", "DE12 3456 ", "a@a.", "@a.b", "a@", "+1 2",
        "phone 1 ", "1.1.1.1.", "::1", "a::", "token: a ", "token:", "-----BEGIN PRIVATE KEY-----", "eyJhbGciOiJ", "://a:",
        "ghp_" + 36 * "a" + " ", "123-45-678", "\u00e9@\u00e9.", "password is ", "\x00",
    ],
)  # fmt: skip
def test_a_text_of_near_matches_is_searched_in_bounded_pieces(piece: str) -> None:
    """Every candidate is looked at once: the number of steps grows with the text, not with its square."""
    steps = []
    for size in (128 * KIB, 256 * KIB):
        text = (piece * (size // len(piece) + 1))[:size].encode()
        steps.append(sum(1 for _ in _steps_of(text)))
    assert steps[1] <= 3 * steps[0] + 16


def _steps_of(text: bytes) -> "list[None]":
    steps = ALL.finding(text)
    found: list[None] = []
    answer = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration:
            return found
        answer = step.work() if isinstance(step, InThread) else None
        found.append(None)


def test_own_patterns_are_found_within_and_next_to_kinds() -> None:
    automaton = joined([*DETECTORS.values(), own_pattern("inner", "1111 1111"), own_pattern("ticket", r"T-\d+")])
    text = b"T-1 4111 1111 1111 1111 T-22"
    assert {(hit.detector.name, text[hit.start : hit.end]) for hit in automaton.find(text)} == {
        ("ticket", b"T-1"),
        ("ticket", b"T-22"),
        ("CardNumber", b"4111 1111 1111 1111"),
        ("inner", b"1111 1111"),
    }


@pytest.mark.parametrize(
    ("pattern", "anchored"), [(r"^a", True), (r"a$", True), (r"\Aa", True), (r"[^a]b", False), (r"\$1", False)]
)
def test_an_anchored_pattern_is_known(pattern: str, anchored: bool) -> None:
    assert joined([own_pattern("p", pattern)]).is_anchored is anchored


def test_the_same_detectors_share_one_automaton_in_whatever_order() -> None:
    assert joined(DETECTORS.values()) is joined(reversed(DETECTORS.values()))
