"""What tenants write for policies: metadata of Secrets with keys, tests of policies, and constraints on arguments."""

import base64
import hashlib
import json
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]  # it ships no types
from changed_documents import changed
from hypothesis import example, given
from hypothesis import strategies as st
from messages import plain
from pydantic import ValidationError

from ostiary_core.contract.access import ArgumentConfig
from ostiary_core.contract.documents import EntryDocument
from ostiary_core.errors import PatternError
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.arguments import ArgumentConstraint, ConstrainedArguments
from ostiary_core.policy.expressions import ExpressionResult
from ostiary_core.policy.routing import Routing
from ostiary_core.policy.schema_narrowing import narrowed
from ostiary_core.policy.visibility import Visibility
from ostiary_operator.api.policy_tests import PolicyTest
from ostiary_operator.compile.api_key_secrets import api_key_secrets
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.inputs import resources_from_objects

KEY: Final = "a-key-of-an-agent-0123456789"
SECRET: Final = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "agent",
        "namespace": "ns",
        "uid": "u",
        "labels": {"ostiary.dev/usage": "api-key", "app": "crm"},
        "annotations": {
            "ostiary.dev/consumer": "agent",
            "ostiary.dev/groups": "a, b",
            "ostiary.dev/expires": "2027-01-31T00:00:00+01:00",
        },
    },
    "data": {"key": base64.b64encode(KEY.encode()).decode(), "key-2": "AAAA"},
    "stringData": {"key-next": f"{KEY}-next\n"},
}


@given(changed(SECRET))
@example(SECRET)
def test_a_secret_of_any_shape_gives_digests_and_never_a_key(item: dict[str, Any]) -> None:
    for secret in api_key_secrets([item]):
        assert KEY not in repr(secret)
        assert all(len(bytes.fromhex(digest)) == hashlib.sha256().digest_size for _, digest in secret.digests)
        assert all(group.isprintable() and group for group in secret.groups)
        assert secret.digests == () or secret.consumer


SPEC: Final[dict[str, Any]] = {
    "targetRefs": [{"kind": "MCPProxy", "name": "crm"}],
    "subjects": [{"groups": ["support"]}, {"when": 'claims.tenant == "emea"'}],
    "access": {
        "rules": [
            {
                "name": "pay",
                "effect": "Allow",
                "tools": {"names": ["pay"]},
                "scopes": ["pay"],
                "when": "args.amount <= 10",
                "arguments": [{"path": ["amount"], "minimum": 1}],
            }
        ]
    },
    "tests": [
        {
            "name": "pays",
            "as": {"consumer": "agent", "groups": ["support"], "scopes": ["pay"], "claims": {"tenant": "emea"}},
            "call": {"tool": "pay", "arguments": {"amount": 5}},
            "expect": "Allow",
            "rule": "pay",
        }
    ],
}
TEST: Final = SPEC["tests"][0]


@given(changed(TEST) | plain)
@example(TEST)
def test_a_test_of_any_shape_is_read_or_refused_with_its_fields(document: Any) -> None:
    try:
        found = PolicyTest.model_validate(document)
    except ValidationError:
        assert document != TEST
        return
    assert found.expect == document["expect"]
    assert found.call.target


@given(changed(SPEC), st.sampled_from(["ns", "ostiary-system"]))
def test_a_policy_of_any_shape_is_compiled_or_reported(spec: Any, namespace: str) -> None:
    metadata = {"name": "p", "namespace": namespace, "uid": "p", "generation": 1}
    policy = {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPPolicy", "metadata": metadata, "spec": spec}
    compiled = compile_resources(resources_from_objects([policy], "ostiary-system"), {})
    assert compile_resources(resources_from_objects([policy], "ostiary-system"), {}) == compiled


POLICY: Final = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPPolicy",
    "metadata": {"name": "p", "namespace": "ns", "uid": "q", "generation": 1},
    "spec": SPEC,
}
GATEWAY: Final = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "gateway", "namespace": "ostiary-system", "labels": {"ostiary.dev/gateway": "default"}},
}
MERGED: Final[dict[str, Any]] = {
    "serverSelection": "Merge",
    "onServerFailure": "Partial",
    "instructions": {"mode": "Replace", "text": "Ask crm first."},
    "catalogue": {"cacheTTL": "1m", "staleIfError": "10m"},
    "servers": [
        {"name": "crm", "prefix": "crm_", "url": "http://crm.example/mcp", "protocolVersion": "2025-11-25"},
        {"name": "erp", "prefix": "", "url": "http://erp.example/mcp"},
    ],
}
ROUTED: Final[dict[str, Any]] = {
    "serverSelection": "Route",
    "servers": [{"name": name, "url": f"http://{name}.example/mcp"} for name in ("eu", "us")],
    "routing": [{"name": "eu", "when": 'claims.region == "eu"', "servers": ["eu"]}, {"name": "us", "servers": ["us"]}],
}


@given(changed(MERGED) | changed(ROUTED))
@example(MERGED)
@example(ROUTED)
def test_several_servers_of_any_shape_are_compiled_or_reported_and_gateways_can_use_them(spec: Any) -> None:
    metadata = {"name": "crm", "namespace": "ns", "uid": "p", "generation": 1}
    proxy = {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPProxy", "metadata": metadata, "spec": spec}
    compiled = compile_resources(resources_from_objects([GATEWAY, proxy, POLICY], "ostiary-system"), {})
    entries = [entry for config in compiled.configs.values() for entry in config.entries.values()]
    assert entries or spec not in (MERGED, ROUTED)
    for entry in entries:
        assert EntryDocument.model_validate_json(entry.canonical()) == entry
        Visibility.of_entry(entry, AccessEvaluator([]))
        Routing.build(entry.routing or (), [server.name for server in entry.servers])
        assert (entry.server_selection is not None) == (len(entry.servers) > 1)


_NUMBERS: Final = st.integers(-3, 3) | st.sampled_from([0.5, -0.0, 1.0, 2**53, 1e300])
_VALUES: Final = st.sampled_from(["", "a", "ab", "é", True, False]) | _NUMBERS
constraints = st.fixed_dictionaries(
    {"path": st.sampled_from([["a"], ["o", "a"]])},
    optional={
        "enum": st.lists(_VALUES, min_size=1, max_size=3),
        "const": _VALUES,
        "pattern": st.sampled_from(["a", "^a$", "b+"]),
        "minimum": _NUMBERS,
        "maximum": _NUMBERS,
        "max_length": st.integers(0, 2),
    },
)
arguments = st.recursive(
    _VALUES | st.none(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "o", "A", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(constraints, st.dictionaries(st.sampled_from(["a", "o", "A", "O", "x"]), arguments, max_size=4))
@example({"path": ["a"], "const": 1}, {"a": True})
@example({"path": ["a"], "enum": [0]}, {"a": False})
@example({"path": ["a"], "minimum": 1}, {"a": "2"})
def test_a_constraint_that_holds_is_what_the_narrowed_schema_demands(
    config: dict[str, Any], passed: dict[str, Any]
) -> None:
    try:
        constraint = ArgumentConstraint.build(ArgumentConfig(**config))
    except PatternError:
        return
    result = constraint.evaluate(ConstrainedArguments(passed))
    schema = narrowed({"type": "object"}, (constraint,))
    jsonschema.Draft202012Validator.check_schema(schema)
    is_valid = jsonschema.Draft202012Validator(schema).is_valid(passed)
    if result is ExpressionResult.TRUE:
        assert is_valid, schema
    if is_valid and result is not ExpressionResult.TRUE:
        # Stricter than JSON Schema in one point: a member that differs only in case may be this one to a server.
        assert result is ExpressionResult.ERROR
        assert any(name in json.dumps(passed) for name in ('"A"', '"O"'))
