"""A change of rules about contents that stops less is reported with both values, and any other is not."""

import json
from typing import Any

import pytest

from ostiary_core.contract.definitions import DefinitionsConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_operator.compile.content_weakenings import contents_loosened, pinning_lowered
from ostiary_operator.compile.weakening import REASONS

MASK: dict[str, Any] = {
    "name": "cards",
    "tools": {"names": ["get_*"]},
    "servers": ["crm", "erp"],
    "directions": ["Arguments", "Results"],
    "detect": [{"kind": "CardNumber"}, {"field": ["ssn"]}],
    "action": "Mask",
    "notifications": "Drop",
}
TOKENS: dict[str, Any] = {
    "name": "tokens",
    "directions": ["Results"],
    "detect": [{"kind": "IBAN"}],
    "action": "Tokenise",
    "restoreIn": {"names": ["charge"]},
}
GUARD: dict[str, Any] = {
    "name": "notes",
    "directions": ["Definitions", "Results"],
    "detect": ["HiddenText", "Override"],
    "sensitivity": "Medium",
    "action": "Strip",
    "signatures": [{"name": "own", "pattern": "canary", "reason": "Ours."}],
    "scorer": {"url": "http://s/", "timeout": 300, "maxBytes": 1024, "onFailure": "Block", "sends": "Masked"},
    "truncateText": 1024,
}
TRANSFORM: dict[str, Any] = {
    "name": "tenant",
    "arguments": {"set": [{"path": ["tenant"], "value": "claims.tenant"}]},
}
VALIDATION: dict[str, Any] = {
    "arguments": "Enforce",
    "results": "Warn",
    "unknownArguments": "Refuse",
    "coerce": "Off",
    "whenUncheckable": "Refuse",
    "tools": {},
}


def policy(**content: Any) -> PolicyDocument:
    base = {"kind": "policy", "namespace": "ns", "name": "p", "uid": "u", "generation": 1, "tier": "owner"}
    return PolicyDocument.model_validate_json(json.dumps(base | content))


def changes(kind: str, before: dict[str, Any], change: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Changes of one rule; a member that is None is removed."""
    after = {key: value for key, value in (before | change).items() if value is not None}
    was, now = (each if kind == "validation" else [each] for each in (before, after))
    found = list(contents_loosened(policy(**{kind: was}), policy(**{kind: now})))
    assert {reason for reason, *_ in found} <= REASONS
    return found


@pytest.mark.parametrize("kind", ["masks", "guards", "transforms"])
def test_a_rule_that_is_gone_is_reported(kind: str) -> None:
    rule = {"masks": MASK, "guards": GUARD, "transforms": TRANSFORM}[kind]

    (found,) = contents_loosened(policy(**{kind: [rule]}), policy())

    applies = "applies to tools get_*" if kind == "masks" else "applies to everything"
    reason = {"masks": "MaskRemoved", "guards": "GuardRemoved", "transforms": "TransformRemoved"}[kind]
    assert found == (reason, f"spec.{kind}[{rule['name']}]", applies, "none")


@pytest.mark.parametrize(
    ("change", "member", "was", "now"),
    [
        ({"tools": {"names": ["get_user"]}}, "", "applies to tools get_*", "applies to tools get_user"),
        ({"tools": None, "prompts": {}}, "", "applies to tools get_*", "applies to prompts *"),
        ({"servers": ["crm"]}, ".servers", "crm, erp", "crm"),
        ({"directions": ["Results"]}, ".in", "Arguments, Results", "Results"),
        ({"detect": [{"kind": "CardNumber"}]}, ".detect", "CardNumber, field /ssn", "CardNumber"),
        ({"action": "Hash"}, ".action", "Mask", "Hash"),
        ({"keepLast": 4}, ".keepLast", "0", "4"),
        ({"notifications": None}, ".notifications", "Drop", "Scan"),
    ],
)
def test_a_mask_that_hides_less_is_reported(change: dict[str, Any], member: str, was: str, now: str) -> None:
    assert changes("masks", MASK, change) == [("MaskLoosened", f"spec.masks[cards]{member}", was, now)]


def test_a_token_that_more_tools_may_read_is_reported() -> None:
    found = changes("masks", TOKENS, {"restoreIn": {"names": ["charge", "mail"]}})
    assert found == [("MaskLoosened", "spec.masks[tokens].restoreIn", "charge", "charge, mail")]


@pytest.mark.parametrize(
    ("change", "member", "was", "now"),
    [
        ({"directions": ["Results"]}, ".scan", "Definitions, Results", "Results"),
        ({"detect": ["Override"]}, ".detect", "HiddenText, Override", "Override"),
        ({"sensitivity": "Low"}, ".sensitivity", "Medium", "Low"),
        ({"action": "Annotate"}, ".action", "Strip", "Annotate"),
        ({"signatures": None}, ".signatures", "own: canary", "none"),
        ({"truncateText": 2048}, ".truncate.text", "1024", "2048"),
        ({"truncateText": None}, ".truncate.text", "1024", "none"),
        ({"scorer": None}, ".scorer", "http://s/", "none"),
        ({"scorer": GUARD["scorer"] | {"url": "http://t/"}}, ".scorer", "http://s/", "http://t/"),
        ({"scorer": GUARD["scorer"] | {"onFailure": "Pass"}}, ".scorer.onFailure", "Block", "Pass"),
        ({"scorer": GUARD["scorer"] | {"sends": "Raw"}}, ".scorer.sends", "Masked", "Raw"),
    ],
)
def test_a_guard_that_finds_or_does_less_is_reported(change: dict[str, Any], member: str, was: str, now: str) -> None:
    assert changes("guards", GUARD, change) == [("GuardLoosened", f"spec.guards[notes]{member}", was, now)]


def test_a_transformation_that_sets_something_else_is_reported() -> None:
    ((reason, field, was, now),) = changes(
        "transforms", TRANSFORM, {"arguments": {"set": [{"path": ["tenant"], "value": "'all'"}]}}
    )
    assert (reason, field) == ("TransformChanged", "spec.transforms[tenant].arguments")
    assert "claims.tenant" in was
    assert "'all'" in now


@pytest.mark.parametrize(
    ("change", "member", "was", "now"),
    [
        ({"arguments": "Warn"}, ".arguments", "Enforce", "Warn"),
        ({"results": None}, ".results", "Warn", "Off"),
        ({"unknownArguments": "AsSchema"}, ".unknownArguments", "Refuse", "AsSchema"),
        ({"whenUncheckable": None}, ".whenUncheckable", "Refuse", "absent"),
        ({"coerce": "Lossless"}, ".coerce", "Off", "Lossless"),
        ({"tools": {"names": ["a"]}}, "", "applies to tools *", "applies to tools a"),
    ],
)
def test_validation_that_demands_less_is_reported(change: dict[str, Any], member: str, was: str, now: str) -> None:
    assert changes("validation", VALIDATION, change) == [("ValidationLoosened", f"spec.validation{member}", was, now)]


@pytest.mark.parametrize(
    ("kind", "rule", "change"),
    [
        ("masks", MASK, {"tools": {"names": ["*"]}, "servers": None, "action": "Block"}),
        ("masks", MASK | {"keepLast": 4}, {"keepLast": 2}),
        ("masks", TOKENS, {"restoreIn": None, "action": "Hash"}),
        ("guards", GUARD, {"sensitivity": "High", "action": "Block", "truncateText": 512, "tools": None}),
        ("guards", GUARD, {"scorer": GUARD["scorer"] | {"timeout": 100}}),
        ("transforms", TRANSFORM, {"results": {"remove": [["a"]]}}),
        ("validation", VALIDATION, {"results": "Enforce", "tools": None}),
    ],
)
def test_a_stricter_rule_is_not_reported(kind: str, rule: dict[str, Any], change: dict[str, Any]) -> None:
    assert changes(kind, rule, change) == []


def test_a_lower_floor_of_pinning_is_reported() -> None:
    assert list(contents_loosened(policy(pinning="Block"), policy(pinning="Warn"))) == [
        ("PinningLowered", "spec.pinning", "Block", "Warn")
    ]
    assert list(contents_loosened(policy(pinning="Warn"), policy(pinning="Block"))) == []


def entry(definitions: DefinitionsConfig | None) -> EntryDocument:
    timeouts = {"connect": 1, "request": 2, "idle": 3}
    place = {"namespace": "ns", "name": "e", "uid": "u", "generation": 1, "path": "/ns/e"}
    servers = [{"name": "s", "url": "http://s", "timeouts": timeouts}]
    return EntryDocument.model_validate(place | {"servers": servers, "definitions": definitions})


def test_a_proxy_that_pins_less_is_reported() -> None:
    pinned = entry(DefinitionsConfig(pinning="Block", recheck=60_000))

    assert list(pinning_lowered(pinned, entry(None))) == [("PinningLowered", "spec.catalogue.pinning", "Block", "Off")]
    assert list(pinning_lowered(pinned, entry(DefinitionsConfig(pinning="Block", recheck=90_000)))) == [
        ("PinningLowered", "spec.catalogue.recheck", "1m", "1m30s")
    ]
    assert list(pinning_lowered(entry(None), pinned)) == []
