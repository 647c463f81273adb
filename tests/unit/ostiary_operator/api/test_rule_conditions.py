from typing import Any

import pytest
from pydantic import ValidationError

from ostiary_operator.api.rule_conditions import ArgumentRule


@pytest.mark.parametrize(
    "keywords",
    [
        {"minimum": 5, "maximum": 1},
        {"enum": ["EUR"], "const": "CHF"},
        {"minimum": 1, "maxLength": 3},
        {"enum": [5, "eur"], "pattern": "^[A-Z]+$"},
    ],
)
def test_a_constraint_that_no_value_can_meet_is_refused(keywords: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="permits no value, since its fields contradict each other"):
        ArgumentRule.model_validate({"path": ["amount"], **keywords})
