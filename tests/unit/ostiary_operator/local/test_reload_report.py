from typing import Any

from ostiary_operator.local import reload_report
from ostiary_operator.local.manifests import ObjectManifest
from ostiary_operator.local.yaml_positions import Places, Position


def policy(name: str, **spec: Any) -> ObjectManifest:
    value = {"kind": "MCPPolicy", "metadata": {"namespace": "default", "name": name}, "spec": spec}
    return ObjectManifest("f.yaml", value, Places(Position(1, 1)))


def test_objects_that_come_and_go_are_named() -> None:
    assert reload_report.describe([policy("a"), policy("b")], [policy("b"), policy("c", access={})]) == [
        "MCPPolicy default/a: removed",
        "MCPPolicy default/c: added",
    ]


def test_an_object_that_says_the_same_under_another_name_is_renamed() -> None:
    assert reload_report.describe([policy("a", access={})], [policy("b", access={})]) == [
        "MCPPolicy default/a: renamed to b"
    ]


def test_which_of_two_that_are_alike_was_renamed_is_not_guessed() -> None:
    assert reload_report.describe([policy("a"), policy("b")], [policy("c")]) == [
        "MCPPolicy default/a: removed",
        "MCPPolicy default/b: removed",
        "MCPPolicy default/c: added",
    ]


def test_the_deepest_fields_that_differ_are_named_without_their_values() -> None:
    before = policy("a", access={"rules": [{"name": "x", "effect": "Allow"}, {"name": "y"}]}, hidden="secret")
    after = policy("a", access={"rules": [{"name": "x", "effect": "Deny"}, {"name": "y", "tools": {}}]}, hidden="new")
    assert reload_report.describe([before], [after]) == [
        "MCPPolicy default/a: spec.access.rules[0].effect, spec.access.rules[1].tools, spec.hidden changed"
    ]


def test_a_list_of_another_length_differs_as_a_whole() -> None:
    assert reload_report.describe([policy("a", names=["x"])], [policy("a", names=["x", "y"])]) == [
        "MCPPolicy default/a: spec.names changed"
    ]


def test_many_fields_are_counted() -> None:
    before, after = policy("a", **dict.fromkeys("abcdefg", 1)), policy("a", **dict.fromkeys("abcdefg", 2))
    assert reload_report.describe([before], [after]) == [
        "MCPPolicy default/a: spec.a, spec.b, spec.c, spec.d and 3 more changed"
    ]


def test_a_number_is_not_the_truth() -> None:
    assert reload_report.describe([policy("a", x=1)], [policy("a", x=True)]) == ["MCPPolicy default/a: spec.x changed"]


def test_the_same_is_no_change() -> None:
    assert reload_report.describe([policy("a", x=[{"y": 1}])], [policy("a", x=[{"y": 1}])]) == []
