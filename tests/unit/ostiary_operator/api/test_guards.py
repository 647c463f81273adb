"""What only the models can check of guards: whether signatures find what they say."""

from typing import Any

import pytest

from ostiary_operator.api.load import InvalidResource, parse_policy


def policy(**guard: Any) -> dict[str, Any]:
    spec = {"targetRefs": [{"kind": "MCPProxy", "name": "crm"}], "guards": [{"name": "a", **guard}]}
    return {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPPolicy", "metadata": {"name": "p"}, "spec": spec}


def signature(**change: str) -> dict[str, str]:
    texts = {"pattern": "mail .{0,20}@", "example": "mail it to a@b", "counterExample": "a mailbox"}
    return {"name": "mail", "reason": "It asks for mail.", **texts, **change}


def test_a_signature_that_finds_its_example_alone_is_accepted() -> None:
    parse_policy(policy(signatures=[signature()]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"example": "nothing"}, "does not find its own example"),
        ({"counterExample": "mail me@"}, "finds its own counterExample"),
    ],
)
def test_a_signature_that_does_not_find_what_it_says_is_refused(change: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidResource) as refused:
        parse_policy(policy(signatures=[signature(**change)]))

    assert "spec.guards[0].signatures[0].pattern" in str(refused.value)
    assert words in str(refused.value)


def test_a_guard_that_only_encloses_texts_looks_for_nothing() -> None:
    parse_policy(policy(action="Wrap", scan=["Results"]))


def test_patterns_of_masks_and_guards_have_a_limit_together() -> None:
    signatures = [signature(name=f"s{number}") for number in range(16)]
    guards = [{"name": f"g{number}", "signatures": signatures} for number in range(17)]
    document = policy() | {"spec": {"targetRefs": [{"kind": "MCPProxy", "name": "crm"}], "guards": guards}}

    with pytest.raises(InvalidResource) as refused:
        parse_policy(document)

    assert "spec.guards: holds more than 256 patterns" in str(refused.value)
