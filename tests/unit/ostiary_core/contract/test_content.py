import json
from typing import Any

import pytest
from pydantic import ValidationError

from ostiary_core.contract.access import SelectionConfig
from ostiary_core.contract.content import SelectedContentConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.mcp.methods import Primitive

POLICY: dict[str, Any] = {
    "kind": "policy", "namespace": "ns", "name": "p", "uid": "u", "generation": 1, "tier": "owner",
}  # fmt: skip
CONTENT: dict[str, Any] = {
    "validation": {"arguments": "Enforce", "results": "Warn", "coerce": "Lossless", "tools": {"names": ["get_*"]}},
    "masks": [
        {
            "name": "cards",
            "directions": ["Arguments", "Results"],
            "detect": [
                {"kind": "CardNumber"},
                {"pattern": "EMP-[0-9]{6}", "name": "employee"},
                {"field": ["structuredContent", "*", "ssn"]},
            ],
            "action": "Mask",
            "keepLast": 4,
        }
    ],
    "guards": [
        {
            "name": "notes",
            "directions": ["Definitions", "Results"],
            "detect": ["HiddenText", "Override"],
            "sensitivity": "Medium",
            "action": "Strip",
            "signatures": [{"name": "canary", "pattern": "canary-[0-9]+", "reason": "Our own canary."}],
            "scorer": {
                "url": "http://scorer.ns.svc/score",
                "timeout": 300,
                "maxBytes": 262144,
                "onFailure": "Block",
                "sends": "Masked",
            },
            "truncateText": 102400,
        }
    ],
    "transforms": [
        {
            "name": "tenant",
            "servers": ["crm"],
            "arguments": {"set": [{"path": ["tenant"], "value": "claims.tenant"}], "remove": [["debug"]]},
            "headers": {"default": [{"name": "x-tenant", "value": "claims.tenant"}]},
        }
    ],
    "pinning": "Block",
}


def test_the_rules_about_contents_survive_canonical_json_unchanged() -> None:
    document = PolicyDocument.model_validate_json(json.dumps(POLICY | CONTENT))

    assert json.loads(document.canonical()) == POLICY | CONTENT


def test_a_policy_without_rules_about_contents_does_not_mention_them() -> None:
    document = PolicyDocument.model_validate_json(json.dumps(POLICY))

    assert json.loads(document.canonical()) == POLICY


def test_a_rule_without_any_primitive_is_for_all_names() -> None:
    everything, some = SelectedContentConfig(), SelectedContentConfig(tools=SelectionConfig())

    assert everything.is_for_all
    assert not some.is_for_all
    assert some.selection(Primitive.TOOLS) is not None
    assert some.selection(Primitive.PROMPTS) is None


@pytest.mark.parametrize(
    "detector",
    [
        {},
        {"kind": "CardNumber", "field": ["a"]},
        {"pattern": "x"},
        {"kind": "Email", "name": "mail"},
        {"field": []},
        {"kind": "Surprise"},
    ],
)
def test_a_detector_is_one_of_kind_pattern_with_a_name_and_field(detector: dict[str, Any]) -> None:
    mask = CONTENT["masks"][0] | {"detect": [detector]}

    with pytest.raises(ValidationError):
        PolicyDocument.model_validate_json(json.dumps(POLICY | {"masks": [mask]}))


def test_an_entry_carries_pinning_and_overrides_by_primitive() -> None:
    definitions = {
        "pinning": "Block",
        "recheck": 60_000,
        "overrides": {"tools": [{"name": "add", "title": "Add", "annotations": {"readOnlyHint": True}}]},
    }
    server = {"name": "s", "url": "http://s", "timeouts": {"connect": 1, "request": 2, "idle": 3}}
    place = {"namespace": "ns", "name": "e", "uid": "u", "generation": 1, "path": "/ns/e", "servers": [server]}
    entry = EntryDocument.model_validate_json(json.dumps(place | {"definitions": definitions}))

    assert entry.definitions is not None
    assert entry.definitions.overrides is not None
    assert [each.title for each in entry.definitions.overrides.of(Primitive.TOOLS)] == ["Add"]
    assert entry.definitions.overrides.of(Primitive.PROMPTS) == []
    assert json.loads(entry.canonical())["definitions"] == definitions
