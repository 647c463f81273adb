"""What only the models can check of transformations: their expressions."""

from typing import Any

import pytest

from ostiary_operator.api.load import InvalidResource, parse_policy


def policy(transforms: Any) -> dict[str, Any]:
    spec = {"targetRefs": [{"kind": "MCPProxy", "name": "crm"}], "transforms": transforms}
    return {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPPolicy", "metadata": {"name": "p"}, "spec": spec}


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"arguments": {"set": [{"path": "/a", "value": "claims.("}]}}, "arguments.set[0].value", "line 1"),
        ({"arguments": {"default": [{"path": "/a", "value": "tenant"}]}}, "arguments.default[0].value", "tenant"),
        ({"arguments": {"set": [{"path": "/a", "value": "result.x"}]}}, "arguments.set[0].value", "result"),
        ({"headers": {"set": [{"name": "x-a", "value": "1"}]}}, "headers.set[0].value", "string"),
    ],
)
def test_an_expression_that_cannot_be_used_is_named_by_its_field(
    changed: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidResource) as refused:
        parse_policy(policy([{"name": "a", **changed}]))

    assert f"spec.transforms[0].{field}" in str(refused.value)
    assert words in str(refused.value)


def test_a_result_is_read_by_expressions_of_results_only() -> None:
    parse_policy(policy([{"name": "a", "results": {"set": [{"path": "/a", "value": "result.x"}]}}]))


def test_expressions_have_a_limit_together_before_any_of_them_is_compiled() -> None:
    items = [{"path": f"/{number}", "value": f"'{'x' * 4000}'"} for number in range(5)]

    with pytest.raises(InvalidResource) as refused:
        parse_policy(policy([{"name": "a", "arguments": {"set": items}}]))

    assert "spec.transforms: hold expressions of more than 16384 characters" in str(refused.value)
