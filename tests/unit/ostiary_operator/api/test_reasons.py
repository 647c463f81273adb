import pytest

from ostiary_operator.api.conditions import REASONS
from ostiary_operator.api.reasons import AcceptedReason, Reason

ALL = [reason for kind in REASONS.values() for reason in kind]


@pytest.mark.parametrize("reason", ALL, ids=lambda reason: f"{type(reason).__name__}.{reason}")
def test_every_reason_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    assert reason.isidentifier()
    assert reason[0].isupper()
    assert reason.meaning.endswith(".")
    assert reason.remedy.endswith(".")


def test_a_reason_is_its_word() -> None:
    assert AcceptedReason["PATH_CONFLICT"] is AcceptedReason.PATH_CONFLICT
    assert AcceptedReason.PATH_CONFLICT.value == "PathConflict"
    assert f"{AcceptedReason.PATH_CONFLICT}" == "PathConflict"
