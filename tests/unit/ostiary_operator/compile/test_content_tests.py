"""Tests in a policy say what masks, guards and transformations make of a message."""

from typing import Any

import pytest

from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.content_tests import first_difference
from ostiary_operator.compile.policy_references import ResolvedReferences
from ostiary_operator.compile.policy_test_runner import PolicyTestResult
from ostiary_operator.compile.policy_versions import PolicyVersion, VersionInputs, compile_version
from ostiary_operator.compile.resource_parser import read_policies

CARD = "4111 1111 1111 1111"
MASKS: list[dict[str, Any]] = [
    {"name": "cards", "detect": [{"kind": "CardNumber"}], "keepLast": 4},
    {"name": "mail", "detect": [{"kind": "Email"}], "action": "Hash"},
    {"name": "accounts", "detect": [{"kind": "IBAN"}], "action": "Tokenise"},
    {"name": "no-ssn", "in": ["Arguments"], "detect": [{"kind": "USSSN"}], "action": "Block"},
]
GUARDS: list[dict[str, Any]] = [
    {"name": "wrapped", "tools": {"names": ["read_note"]}, "scan": ["Results"], "action": "Wrap"},
]
TRANSFORMS: list[dict[str, Any]] = [
    {
        "name": "tenant",
        "arguments": {"set": [{"path": "/tenant", "value": "claims.tenant"}]},
        "results": {"remove": ["/structuredContent/internal"]},
    }
]


def judged(**test: Any) -> PolicyTestResult:
    spec = {
        "targetRefs": [{"kind": "MCPProxy", "name": "crm"}],
        "masks": MASKS,
        "guards": GUARDS,
        "transforms": TRANSFORMS,
        "tests": [{"as": {"claims": {"tenant": "acme"}}, "call": {"tool": "get_customer"}, "expect": "Allow", **test}],
    }
    document = {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": spec,
    }
    (subject,) = read_policies([document], Cache())
    assert subject.spec is not None, subject.problem
    version = compile_version(subject, subject.spec, VersionInputs("owner", (), ResolvedReferences()), Cache())
    assert isinstance(version, PolicyVersion), version
    return version.tests[0]


def text(content: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": content}]}


def test_a_result_is_expected_as_its_caller_gets_it() -> None:
    found = judged(
        result={**text(f"card {CARD}"), "structuredContent": {"mail": "ada@example.com", "internal": 1}},
        expectResult={
            **text("card **** **** **** 1111"),
            "structuredContent": {"mail": "[hash: mail]"},
        },
        expectArguments={"tenant": "acme"},
    )

    assert found.passed, found.failure


def test_a_token_is_written_by_the_name_of_its_mask() -> None:
    found = judged(result=text("to DE89 3704 0044 0532 0130 00"), expectResult=text("to [token: accounts]"))

    assert found.passed, found.failure


def test_a_boundary_of_chance_has_a_name_in_a_test() -> None:
    words = text("a note that is long enough to say something to a model")
    found = judged(call={"tool": "read_note"}, result=words, expectResult=words)

    assert found.failure == "expectResult is not what comes out: they differ at /_meta"


def test_a_failure_names_the_place_and_no_value() -> None:
    found = judged(result=text(f"card {CARD}"), expectResult=text(f"card {CARD}"))

    assert not found.passed
    assert "/content/0/text" in found.failure
    assert "4111" not in found.failure


def test_a_message_that_must_not_pass_is_expected_so() -> None:
    call = {"tool": "get_customer", "arguments": {"note": "SSN 536-90-4399"}}

    assert judged(call=call, expectContent="Block").passed
    assert "block the arguments" in judged(call=call, expectContent="Pass").failure
    assert "but it passes" in judged(expectContent="Block").failure


@pytest.mark.parametrize(
    ("expected", "found", "place"),
    [
        ({"a": 1}, {"a": 1, "b/c": 2}, "/b~1c"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "/a/1"),
        ({"a": [1]}, {"a": [1, 3]}, "/a"),
        ({"a": 1}, {"a": True}, "/a"),
        (1, 2, ""),
    ],
)
def test_the_first_difference_is_a_json_pointer(expected: Any, found: Any, place: str) -> None:
    assert first_difference(expected, found) == place
