"""What the validations of several policies demand together."""

from typing import Any

import pytest

from ostiary_core import strict_json
from ostiary_core.content.content_rules import ContentRules
from ostiary_core.content.policy_content import PolicyContentRules
from ostiary_core.content.validations.compiled_validation import UNCHECKABLE, ValidationChecks
from ostiary_core.contract.content import Direction
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.validation import ValidationMode
from ostiary_core.errors import PatternError
from ostiary_core.mcp.methods import Primitive

OFF, WARN, ENFORCE = ValidationMode.OFF, ValidationMode.WARN, ValidationMode.ENFORCE


def content(name: str, *, shadow: bool = False, **validation: Any) -> PolicyContentRules | None:
    document = {
        "namespace": "crm",
        "name": name,
        "uid": name,
        "generation": 1,
        "tier": "owner",
        "validation": validation,
    }
    text = strict_json.dumps(document | ({"mode": "Shadow"} if shadow else {}))
    return PolicyContentRules.build(PolicyDocument.model_validate_json(text), None)


def checks(*contents: PolicyContentRules | None, tool: str = "add") -> ValidationChecks:
    rules = ContentRules.build(contents, None)
    assert rules is not None
    found = rules.of(Primitive.TOOLS, tool)
    assert found is not None
    return found.kept(ValidationChecks)


def test_the_strictest_value_of_each_member_counts() -> None:
    found = checks(
        content("a", arguments="Warn", whenUncheckable="Pass", unknownArguments="Refuse"),
        content("b", arguments="Enforce", results="Warn", whenUncheckable="Refuse", unknownArguments="AsSchema"),
        content("c", arguments="Off", results="Off"),
    )

    assert (found.arguments, found.results) == (ENFORCE, WARN)
    assert (found.refuses_unknown, found.refuses_uncheckable) == (True, True)
    assert (found.refuses(Direction.ARGUMENTS), found.refuses(Direction.RESULTS)) == (True, False)


@pytest.mark.parametrize(
    ("values", "coerces"), [([], False), (["Lossless"], True), (["Lossless", "Off"], False), (["Lossless", None], True)]
)
def test_one_policy_that_says_off_keeps_arguments_as_they_were_sent(values: list[str | None], coerces: bool) -> None:
    extra: list[dict[str, Any]] = [{"coerce": value} if value else {} for value in values]
    contents = [content(f"p{place}", **more) for place, more in enumerate(extra)]

    assert checks(content("a", arguments="Enforce"), *contents).coerces is coerces


def test_a_policy_in_shadow_mode_demands_nothing_and_is_counted() -> None:
    found = checks(content("a", shadow=True, arguments="Enforce", unknownArguments="Refuse", coerce="Lossless"))

    assert (found.arguments, found.refuses_unknown, found.coerces) == (OFF, False, False)
    assert found.needs_arguments
    assert [(each.policy, each.action, each.is_shadow) for each in found.findings(Direction.ARGUMENTS)] == [
        ("crm/a", "Refuse", True)
    ]


def test_each_policy_that_demands_it_has_its_own_finding() -> None:
    found = checks(content("a", arguments="Warn"), content("b", arguments="Enforce"), content("c", results="Warn"))

    assert [(each.policy, each.action) for each in found.findings(Direction.ARGUMENTS)] == [
        ("crm/a", "Warn"),
        ("crm/b", "Refuse"),
    ]
    assert [each.detector for each in found.uncheckable(Direction.RESULTS)] == [UNCHECKABLE]


def test_a_validation_is_for_the_tools_that_it_selects() -> None:
    rules = ContentRules.build([content("a", arguments="Enforce", tools={"names": ["add"]})], None)
    assert rules is not None

    assert rules.of(Primitive.TOOLS, "add") is not None
    assert rules.of(Primitive.TOOLS, "sub") is None


def test_nothing_is_demanded_without_a_policy() -> None:
    found = checks(content("a", results="Off"))

    assert (found.needs_arguments, found.needs_results) == (False, False)


def test_a_pattern_that_cannot_be_used_is_named_with_its_field() -> None:
    with pytest.raises(PatternError, match=r"spec\.validation"):
        content("a", arguments="Warn", tools={"patterns": ["("]})
