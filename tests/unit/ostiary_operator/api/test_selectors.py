import pytest

from ostiary_operator.api.policy import TargetSelector
from ostiary_operator.api.selectors import LabelSelector


def selector(**fields: object) -> LabelSelector:
    return LabelSelector.model_validate(fields, by_alias=True, by_name=False)


def expression(operator: str, *values: str) -> LabelSelector:
    return selector(matchExpressions=[{"key": "tier", "operator": operator, "values": list(values)}])


def test_an_empty_selector_selects_everything() -> None:
    assert selector().selects({})
    assert selector().selects({"team": "sales"})


def test_all_labels_must_match() -> None:
    both = selector(matchLabels={"team": "sales", "tier": "prod"})
    assert both.selects({"team": "sales", "tier": "prod", "more": "x"})
    assert not both.selects({"team": "sales"})
    assert not both.selects({"team": "sales", "tier": "test"})


@pytest.mark.parametrize(
    ("operator", "values", "with_prod", "with_dev", "without"),
    [
        ("In", ["prod", "test"], True, False, False),
        ("NotIn", ["prod", "test"], False, True, True),
        ("Exists", [], True, True, False),
        ("DoesNotExist", [], False, False, True),
    ],
)
def test_the_operators_mean_what_they_mean_in_kubernetes(
    operator: str, values: list[str], with_prod: bool, with_dev: bool, without: bool
) -> None:
    chosen = expression(operator, *values)
    verdicts = [chosen.selects({"tier": "prod"}), chosen.selects({"tier": "dev"}), chosen.selects({"team": "sales"})]
    assert verdicts == [with_prod, with_dev, without]


def test_labels_and_expressions_must_both_hold() -> None:
    chosen = selector(matchLabels={"team": "sales"}, matchExpressions=[{"key": "tier", "operator": "Exists"}])
    assert chosen.selects({"team": "sales", "tier": "x"})
    assert not chosen.selects({"team": "sales"})
    assert not chosen.selects({"tier": "x"})


def test_an_empty_value_is_a_value() -> None:
    assert selector(matchLabels={"team": ""}).selects({"team": ""})
    assert not selector(matchLabels={"team": ""}).selects({})


def test_no_namespace_selector_is_not_an_empty_one() -> None:
    assert TargetSelector().namespace_selector is None
    assert TargetSelector.model_validate({"namespaceSelector": {}}).namespace_selector == LabelSelector()
