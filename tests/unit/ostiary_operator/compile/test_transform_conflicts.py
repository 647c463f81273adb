"""Transformations of several policies that change one place are refused, in every order."""

import json
from typing import Any

import pytest

from ostiary_core.contract.documents import PolicyDocument
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.encoded_document import EncodedPolicy, encode_document
from ostiary_operator.compile.transform_conflicts import MOST_TRANSFORMS, conflict_within, conflicts_at

TENANT = {"name": "tenant", "arguments": {"set": [{"path": ["options", "tenant"], "value": "claims.tenant"}]}}
OPTIONS = {"name": "options", "arguments": {"remove": [["options"]]}}
HEADER = {"name": "header", "headers": {"set": [{"name": "x-tenant", "value": "claims.tenant"}]}}


def policy(name: str, *transforms: dict[str, Any], **more: Any) -> EncodedPolicy:
    base = {"kind": "policy", "namespace": "ns", "name": name, "uid": name, "generation": 1, "tier": "owner"}
    document = base | {"transforms": list(transforms)} | more
    return encode_document(PolicyDocument.model_validate_json(json.dumps(document)))


def refused(*policies: EncodedPolicy, servers: tuple[tuple[str, str], ...] = (("crm", ""),)) -> dict[str, str]:
    found = conflicts_at("MCPProxy ns/p", policies, servers, Cache())
    assert found.keys() == conflicts_at("MCPProxy ns/p", policies[::-1], servers, Cache()).keys()
    return {key.name: str(rejection.message) for key, rejection in found.items()}


def test_both_policies_that_change_one_place_are_refused_by_name() -> None:
    found = refused(policy("a", TENANT), policy("b", OPTIONS), policy("c", HEADER))

    assert set(found) == {"a", "b"}
    assert "spec.transforms[0] (options) of MCPPolicy ns/b" in found["a"]
    assert "at MCPProxy ns/p" in found["a"]


@pytest.mark.parametrize(
    "others",
    [
        policy("b", OPTIONS | {"tools": {"names": ["put"]}}),
        policy("b", OPTIONS | {"servers": ["erp"]}),
        policy("b", OPTIONS, mode="Shadow"),
        policy("b", {"name": "o", "arguments": {"remove": [["other"]]}}),
        policy("b", {"name": "o", "results": {"remove": [["options"]]}}),
    ],
)
def test_policies_that_change_nothing_in_common_are_accepted(others: EncodedPolicy) -> None:
    assert refused(policy("a", TENANT | {"tools": {"names": ["get"]}, "servers": ["crm"]}), others) == {}


def test_no_owner_displaces_a_policy_of_the_platform() -> None:
    found = refused(policy("a", TENANT, tier="platform"), policy("b", OPTIONS))

    assert set(found) == {"b"}


def test_more_transformations_than_are_compared_are_refused() -> None:
    many = [HEADER | {"name": f"t{number}"} for number in range(MOST_TRANSFORMS)]

    assert set(refused(policy("a", *many[:32]), policy("b", *many[:32]), policy("c", TENANT))) == {"a", "b", "c"}


def test_one_policy_that_changes_a_place_twice_is_refused() -> None:
    assert "spec.transforms[0] (tenant) and spec.transforms[1] (options)" in conflict_within(
        policy("a", TENANT, OPTIONS).document
    )
    assert conflict_within(policy("a", TENANT, HEADER).document) == ""
