import pytest

from ostiary_operator.api.conditions import REASONS, ConditionType


def test_every_condition_type_has_its_reasons() -> None:
    assert set(REASONS) == set(ConditionType)


@pytest.mark.parametrize("condition", list(ConditionType))
def test_the_positive_reason_has_the_name_of_the_condition(condition: ConditionType) -> None:
    assert str(condition) in [str(reason) for reason in REASONS[condition]]
    assert "Pending" in [str(reason) for reason in REASONS[condition]]
