import json
from collections.abc import Sequence
from typing import Any

import pytest

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.documents import PolicyDocument
from ostiary_operator.api.load import InvalidResource, parse_policy
from ostiary_operator.api.policy_tests import PolicyTest
from ostiary_operator.compile.policy_test_runner import PolicyTestResult, failures, run_tests

READ = {"name": "read", "effect": "Allow", "tools": {"names": ["read_*"]}}


def document(*rules: dict[str, Any], **members: Any) -> PolicyDocument:
    identity = {"namespace": "team-a", "name": "reading", "uid": "1", "generation": 3, "tier": "owner"}
    access = {"access": {"rules": list(rules)}} if rules else {}
    return PolicyDocument.model_validate_json(json.dumps({**identity, **access, **members}))


def cases(*tests: dict[str, Any]) -> tuple[PolicyTest, ...]:
    spec = {"targetSelector": {}, "tests": list(tests)}
    metadata = {"name": "reading", "namespace": "team-a"}
    policy = {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPPolicy", "metadata": metadata, "spec": spec}
    return parse_policy(policy).spec.tests


def result(policy: PolicyDocument, **test: Any) -> PolicyTestResult:
    [found] = run_tests(policy, cases(test))
    return found


DELETE = {"name": "no-delete", "effect": "Deny", "tools": {"names": ["delete_user"]}}
MERGED = CatalogueNames([("crm", "crm_"), ("erp", "erp_")])
OTHER = CatalogueNames([("crm", "c."), ("rest", "")])


def at(names: Sequence[CatalogueNames | None], **test: Any) -> PolicyTestResult:
    [found] = run_tests(document(DELETE), cases(test), names)
    return found


def test_where_servers_are_merged_a_test_names_what_is_exposed_and_a_deny_either_name() -> None:
    call = {"tool": "crm_delete_user"}

    assert at([MERGED], call=call, expect="Deny", rule="no-delete").passed
    assert at([None], call=call, expect="Allow").passed
    assert at([MERGED], call={"tool": "crm_read"}, expect="Allow").passed


def test_a_test_must_pass_at_each_proxy_that_could_have_its_name() -> None:
    assert at([MERGED, OTHER], call={"tool": "c.delete_user"}, expect="Deny").passed
    assert not at([MERGED, None], call={"tool": "crm_delete_user"}, expect="Deny").passed
    assert not at([None, MERGED], call={"tool": "crm_delete_user"}, expect="Allow").passed


def test_a_name_with_the_prefix_of_no_server_is_denied_and_said_so() -> None:
    found = at([MERGED], call={"tool": "delete_user"}, expect="Allow")
    assert found.failure == (
        "expected Allow, but the decision is Deny: the catalogue does not contain it, or no server has its prefix"
    )


def with_header(name: str, *, value: str = "v") -> dict[str, Any]:
    """A test of a call with this header."""
    return {"call": {"tool": "a", "headers": [{"name": name, "value": value}]}, "expect": "Deny"}


def test_a_consumer_is_one_of_the_namespace_of_the_policy() -> None:
    policy = document(READ, subjects=[{"consumers": ["team-a/support"]}])
    call = {"tool": "read_ticket"}
    assert result(policy, **{"as": {"consumer": "support"}}, call=call, expect="Allow").passed
    assert result(policy, **{"as": {"consumer": "team-b/support"}}, call=call, expect="Deny").passed
    assert result(policy, call=call, expect="Deny").passed


def test_a_caller_has_the_groups_scopes_and_claims_of_the_test() -> None:
    rule = READ | {"scopes": ["read"], "when": 'claims.team == "blue" && "a" in groups && authenticated'}
    policy, call = document(rule), {"tool": "read_ticket"}
    caller = {"groups": ["a"], "scopes": ["read"], "claims": {"team": "blue"}}
    assert result(policy, **{"as": caller}, call=call, expect="Allow", rule="read").passed
    assert not result(policy, **{"as": caller | {"claims": {"team": "red"}}}, call=call, expect="Allow").passed
    without_scope = result(policy, **{"as": caller | {"scopes": ["other"]}}, call=call, expect="Allow")
    assert without_scope.failure == (
        "expected Allow, but the decision is Deny: rule read allows it only with the scopes read"
    )


def test_arguments_are_judged_and_the_failure_says_what_they_must_be() -> None:
    policy = document(READ | {"arguments": [{"path": ["id"], "maximum": 10}]})
    assert result(policy, call={"tool": "read_ticket", "arguments": {"id": 10}}, expect="Allow").passed
    failed = result(policy, call={"tool": "read_ticket", "arguments": {"id": 11}}, expect="Allow")
    assert failed.failure == (
        "expected Allow, but the decision is Deny: rule read does not allow these arguments: "
        "argument 'id' must be given and be a number of at most 10"
    )
    assert result(policy, call={"tool": "read_ticket"}, verb="List", expect="Allow").passed


def test_headers_host_and_path_of_a_request_can_be_tested() -> None:
    when = 'headers["x-env"] == "prod" && request.host == "tools.example" && request.path.startsWith("/crm/")'
    policy = document(READ | {"when": when})
    call = {
        "tool": "read_ticket",
        "headers": [{"name": "x-env", "value": "prod"}],
        "host": "tools.example",
        "path": "/crm/mcp",
    }
    assert result(policy, call=call, expect="Allow", rule="read").passed
    assert result(policy, call=call | {"host": "other.example"}, expect="Deny", rule="read").passed
    assert result(policy, call=call | {"headers": [{"name": "x-env", "value": "dev"}]}, expect="Deny").passed
    without = {key: value for key, value in call.items() if key != "host"}
    assert result(policy, call=without, expect="Allow").failure == (
        "expected Allow, but the decision is Deny: an expression of rule read failed"
    )
    assert result(policy, call=call, verb="List", expect="Allow").passed


def test_a_header_with_the_api_key_is_hidden_from_conditions_of_a_test_as_in_the_gateway() -> None:
    keys = {"api_keys": {"header": "x-crm"}, "anonymous": True}
    policy = document(READ | {"when": '!("x-crm" in headers)'}, authentication=keys)
    call = {"tool": "read_ticket", "headers": [{"name": "x-crm", "value": "k"}]}
    assert result(policy, call=call, expect="Allow").passed


def test_every_verb_of_a_policy_in_shadow_mode_can_be_tested() -> None:
    policy = document(READ, mode="Shadow")
    assert result(policy, call={"tool": "delete_ticket"}, expect="Deny").passed
    assert result(policy, call={"prompt": "summary"}, verb="List", expect="Deny").passed
    assert result(policy, call={"resource": "file:///docs/a"}, verb="Subscribe", expect="Deny").passed


def test_every_primitive_can_be_tested_with_its_verbs() -> None:
    rule = {
        "name": "all",
        "effect": "Allow",
        "resources": {"verbs": ["List", "Read"], "names": ["file:///docs/*"]},
        "prompts": {"verbs": ["Get"]},
    }
    policy, readme = document(rule), {"resource": "file:///docs/a"}
    assert result(policy, call=readme, expect="Allow", rule="all").passed
    assert result(policy, call=readme, verb="Subscribe", expect="Deny").passed
    assert result(policy, call={"resource": "file:///docs/../etc"}, expect="Deny").passed
    assert result(policy, call={"prompt": "summary"}, expect="Allow").passed
    assert result(policy, call={"prompt": "summary"}, verb="List", expect="Deny").passed


def test_another_rule_than_expected_fails_the_test() -> None:
    policy = document(READ, {"name": "no-secrets", "effect": "Deny", "tools": {"names": ["*_secret"]}})
    failed = result(policy, call={"tool": "read_secret"}, expect="Deny", rule="read")
    assert failed.failure == ("expected Deny by rule read, but the decision is Deny: rule no-secrets denies it")


def test_a_policy_in_shadow_mode_is_tested_as_if_it_were_enforced() -> None:
    assert result(document(READ, mode="Shadow"), call={"tool": "delete_ticket"}, expect="Deny").passed


def test_a_policy_without_access_allows_everything() -> None:
    assert result(document(), call={"tool": "any"}, expect="Allow").cause == "no rule restricts it"


def test_a_policy_that_authenticates_refuses_the_anonymous_caller_unless_it_admits_it() -> None:
    keys = {"apiKeys": {"header": "authorization"}}
    refused = result(document(READ, authentication=keys), call={"tool": "read_ticket"}, expect="Allow")
    assert refused.failure.endswith("spec.authentication admits no anonymous caller")
    mixed = document(READ, authentication=keys | {"anonymous": True})
    assert result(mixed, call={"tool": "read_ticket"}, expect="Allow").passed
    known = result(document(READ, authentication=keys), **{"as": {}}, call={"tool": "read_ticket"}, expect="Allow")
    assert known.passed


def test_an_expression_that_fails_never_passes_a_test_that_expects_allow() -> None:
    policy = document(READ | {"when": "claims.level > 3"})
    failed = result(policy, **{"as": {"claims": {"level": "high"}}}, call={"tool": "read_ticket"}, expect="Allow")
    assert failed.cause == "an expression of rule read failed"


def test_a_message_names_the_first_failures_and_never_claims_or_arguments() -> None:
    call = {"tool": "delete_ticket", "arguments": {"password": "hunter2"}}
    test = {"as": {"claims": {"secret": "hunter3"}}, "call": call, "expect": "Allow"}
    text = failures(run_tests(document(READ), cases(*[test] * 7)))
    assert "spec.tests[4]: " in text
    assert "; and 2 more; " in text
    assert "hunter" not in text


@pytest.mark.parametrize(
    ("test", "field"),
    [
        ({"call": {}, "expect": "Deny"}, "spec.tests[0].call"),
        ({"call": {"tool": "a", "prompt": "b"}, "expect": "Deny"}, "spec.tests[0].call"),
        ({"call": {"resource": "a:b", "arguments": {}}, "expect": "Deny"}, "spec.tests[0].call"),
        ({"call": {"tool": "a"}, "verb": "Read", "expect": "Deny"}, "spec.tests[0].verb"),
        ({"call": {"tool": "a"}, "expect": "deny"}, "spec.tests[0].expect"),
        ({"call": {"tool": "a\x1b[2J"}, "expect": "Deny"}, "spec.tests[0].call.tool"),
        ({"call": {"tool": "a", "arguments": {"x": "y" * 9000}}, "expect": "Deny"}, "spec.tests[0].call.arguments"),
        ({"call": {"tool": "a", "arguments": {"x": [0] * 300}}, "expect": "Deny"}, "spec.tests[0].call.arguments"),
        (with_header("X-Env"), "spec.tests[0].call.headers[0].name"),
        (with_header("authorization"), "spec.tests[0].call.headers[0].name"),
        (with_header("x-env", value="a\r\nb"), "spec.tests[0].call.headers[0].value"),
        ({"call": {"tool": "a", "path": "mcp"}, "expect": "Deny"}, "spec.tests[0].call.path"),
        ({"call": {"tool": "a", "host": "\x1b"}, "expect": "Deny"}, "spec.tests[0].call.host"),
    ],
)
def test_a_test_that_makes_no_sense_is_refused_with_its_field(test: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidResource) as raised:
        cases(test)
    assert [problem.field for problem in raised.value.problems] == [field]


def test_arguments_nested_very_deeply_are_refused() -> None:
    nested: Any = 1
    for _ in range(900):
        nested = [nested]
    with pytest.raises(InvalidResource, match="is nested too deeply"):
        cases({"call": {"tool": "a", "arguments": {"x": nested}}, "expect": "Deny"})


def test_tests_that_would_evaluate_too_many_expressions_are_refused() -> None:
    rules = [{"name": f"r{number}", "effect": "Allow", "when": "args.n > 3"} for number in range(17)]
    tests = [{"call": {"tool": "a"}, "expect": "Deny"}] * 64
    spec = {"targetSelector": {}, "access": {"rules": rules}, "tests": tests}
    policy = {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPPolicy", "metadata": {"name": "a"}, "spec": spec}
    with pytest.raises(InvalidResource, match=r"spec\.tests: are too many: 64, for 17 expressions in the policy"):
        parse_policy(policy)
    assert len(parse_policy({**policy, "spec": {**spec, "tests": tests[:60]}}).spec.tests) == 60


def test_tests_whose_expressions_would_read_very_many_values_are_refused() -> None:
    costly = " && ".join(["args == args"] * 250)
    rules = [{"name": f"r{number}", "effect": "Allow", "when": costly} for number in range(4)]
    tests = [{"call": {"tool": "a", "arguments": {"a": [1] * 240}}, "expect": "Deny"}] * 64
    spec = {"targetSelector": {}, "access": {"rules": rules}, "tests": tests}
    policy = {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPPolicy", "metadata": {"name": "a"}, "spec": spec}
    with pytest.raises(InvalidResource, match=r"spec\.tests: have too large .* for the expressions in the policy"):
        parse_policy(policy)
    assert len(parse_policy({**policy, "spec": {**spec, "tests": tests[:8]}}).spec.tests) == 8


def test_arguments_that_are_too_large_together_are_refused() -> None:
    call = {"tool": "a", "arguments": {"text": "x" * 8000}}
    with pytest.raises(InvalidResource, match=r"spec\.tests: have too large arguments, headers, claims"):
        cases(*[{"call": call, "expect": "Deny"}] * 3)
    headers = [{"name": f"x-{number}", "value": "x" * 1024} for number in range(16)]
    with pytest.raises(InvalidResource, match=r"spec\.tests: have too large arguments, headers, claims"):
        cases({"call": {"tool": "a", "headers": headers}, "expect": "Deny"})
