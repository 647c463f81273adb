from collections.abc import Sequence
from pathlib import Path

import pytest

from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_operator.compile.policy_test_runner import DescribedMessage
from ostiary_operator.local import described_caller, explanation, governed_proxy
from ostiary_operator.local.decision_changes import as_object, changes_of, lines
from ostiary_operator.local.decision_variants import ChangedPart, DecisionChange
from ostiary_operator.local.described_caller import CallerDescription
from ostiary_operator.local.explanation import ExplainedCall, Explanation

PROXY = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: crm, namespace: team-a}
spec:
  servers: [{name: crm, url: "http://crm.team-a.svc:8080/mcp"}]
  catalogue: {tools: {exclude: [internal]}}
---
"""
KEYED = 'authentication: {jwt: {issuers: [{issuer: "https://idp.example"}]}}'
OWNER = f"""\
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {{name: tickets, namespace: team-a}}
spec:
  targetRefs: [{{kind: MCPProxy, name: crm}}]
  {KEYED}
  subjects: [{{groups: [support]}}]
  access:
    rules:
    - {{name: read, effect: Allow, tools: {{names: [read]}}, scopes: [tickets.read]}}
    - {{name: pay, effect: Allow, tools: {{names: [pay]}}, arguments: [{{path: [n], maximum: 5}}]}}
    - {{name: admin, effect: Allow, tools: {{names: [delete]}}}}
    - {{name: no-delete, effect: Deny, tools: {{names: [delete]}}}}
---
"""
PLATFORM = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: all, namespace: ostiary-system}
spec:
  targetSelector: {}
  access: {rules: [{name: no-pay, effect: Deny, tools: {names: [pay]}}]}
---
"""


class Explainer:
    """Explains calls of tools at the only MCPProxy of some YAML."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "files.yaml"

    def __call__(self, tool: str, *texts: str, groups: Sequence[str] | None = None, **more: object) -> Explanation:
        self._file.write_text(PROXY + "".join(texts or (OWNER,)))
        configs, errors = governed_proxy.compiled_files(
            [str(self._file)], namespace="team-a", operator_namespace="ostiary-system"
        )
        assert errors == []
        proxy = governed_proxy.find_proxy(configs, None, namespace="team-a")
        described = CallerDescription(groups=groups, scopes=more.get("scopes"))  # type: ignore[arg-type]
        message = DescribedMessage(more.get("arguments", {}))  # type: ignore[arg-type]
        call = ExplainedCall(Primitive.TOOLS, Verb.CALL, tool, message)
        return explanation.explain(proxy, described_caller.find_caller(proxy, described), call)


@pytest.fixture
def explained(tmp_path: Path) -> Explainer:
    return Explainer(tmp_path)


def _of_rules(changes: Sequence[DecisionChange]) -> list[tuple[str, str]]:
    return [(change.rule, change.words) for change in changes]


def test_missing_scopes_are_named_and_enough(explained: Explainer) -> None:
    first = changes_of(explained("read", groups=["support"]))[0]
    assert first.words == "the caller needs the scopes tickets.read"
    assert (first.part, first.policy, first.rule) == (ChangedPart.CALLER, "team-a/tickets", "read")
    assert first.is_enough


def test_what_a_rule_demands_one_after_another_is_one_change(explained: Explainer) -> None:
    first = changes_of(explained("read", groups=["sales"]))[0]
    words = "the caller must be in one of the groups support, and the caller needs the scopes tickets.read"
    assert first.words == words
    assert first.is_enough


def test_arguments_are_named_with_what_they_must_be(explained: Explainer) -> None:
    first = changes_of(explained("pay", groups=["support"], arguments={"n": 9}))[0]
    assert first.part is ChangedPart.CALL
    assert "argument 'n' must be given and be a number of at most 5" in first.words
    assert first.is_enough


def test_a_deny_rule_is_enough_alone_where_another_rule_allows(explained: Explainer) -> None:
    (change,) = changes_of(explained("delete", groups=["support"]))
    assert (change.rule, change.is_enough) == ("no-delete", True)


def test_several_reasons_are_steps_of_which_none_is_enough(explained: Explainer) -> None:
    changes = changes_of(explained("internal", groups=["support"]))
    assert [(each.step, each.part, each.is_enough) for each in changes] == [
        (1, ChangedPart.PROXY, False),
        (2, ChangedPart.POLICY, False),
    ]


def test_a_rule_that_is_proposed_is_enough(explained: Explainer) -> None:
    changes = changes_of(explained("close", groups=["support"]))
    assert ("", "add a rule to an MCPPolicy of tier owner: effect Allow, tools close") in _of_rules(changes)
    assert {each.is_enough for each in changes} == {True}


def test_a_caller_without_a_credential_needs_one_first(explained: Explainer) -> None:
    (change,) = changes_of(explained("read"))
    assert change.words == "send a credential that the authentication of team-a/tickets admits"
    assert not change.is_enough


def test_the_tier_that_denies_is_named(explained: Explainer) -> None:
    changes = changes_of(explained("pay", PLATFORM, OWNER, groups=["support"], arguments={"n": 1}))
    assert [(each.policy, each.rule, each.is_enough) for each in changes] == [("ostiary-system/all", "no-pay", True)]


def test_of_an_allowed_call_the_rule_is_named_without_which_it_is_denied(explained: Explainer) -> None:
    found = explained("read", groups=["support"], scopes=["tickets.read"])
    assert _of_rules(changes_of(found)) == [("read", "remove this rule")]
    assert list(lines(found)) == [
        "",
        "what would deny it",
        "    remove this rule (rule read of MCPPolicy team-a/tickets)",
    ]


def test_a_policy_in_shadow_mode_denies_once_it_is_enforced(explained: Explainer) -> None:
    shadow = PLATFORM.replace("targetSelector: {}", "targetSelector: {}\n  mode: Shadow")
    found = explained("pay", shadow, OWNER, groups=["support"], arguments={"n": 1})
    assert ("no-pay", "enforce this policy (mode: Enforce)") in _of_rules(changes_of(found))


def test_without_any_policy_nothing_would_deny(explained: Explainer) -> None:
    found = explained("read", "")
    assert changes_of(found) == ()
    assert list(lines(found)) == []


def test_the_changes_are_part_of_the_object(explained: Explainer) -> None:
    changes = as_object(explained("delete", groups=["support"]))["changes"]
    assert changes == [
        {
            "part": "Policy",
            "words": "let this rule leave out the name, the caller or the message",
            "policy": "team-a/tickets",
            "rule": "no-delete",
            "step": 1,
            "isEnough": True,
        }
    ]


def test_a_name_with_a_wildcard_is_not_proposed_as_a_rule(explained: Explainer) -> None:
    assert all("add a rule" not in each.words for each in changes_of(explained("*", groups=["support"])))


def test_hostile_names_are_printable(explained: Explainer) -> None:
    for change in changes_of(explained("x\x1b[31m\u202e" + "y" * 900, groups=["support"])):
        assert change.words.isprintable()
        assert len(change.words) < 600
