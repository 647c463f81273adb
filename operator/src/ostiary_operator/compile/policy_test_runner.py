"""Evaluates the tests in policies, for the operator, `ostiary validate` and `ostiary test`.

A test is judged by its policy alone, as if that were the only one of an MCPProxy: its result depends on no other policy
and on no catalogue. Where an MCPProxy of the policy's namespace merges servers, it is judged with their prefixes, since
there a Deny applies to either name: it must pass at each MCPProxy that could have its name. A policy in Shadow mode is
judged as if it were enforced. Messages name a test by its position and name only, since claims and arguments may be
confidential.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.authentication import HIDDEN_HEADERS, AuthenticationConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.mcp.methods import METHODS, AuthorizationKind, Primitive, Verb
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_core.policy.visibility import Visibility
from ostiary_operator.api.policy_tests import PolicyTest, PolicyTestCaller
from ostiary_operator.compile.content_tests import content_failure, judge_content

#: The method of a call, by primitive and verb; lists are not judged as messages.
_METHODS: Final = {
    (row.primitive, row.verb): row.name
    for row in reversed(METHODS.values())
    if row.authorization is AuthorizationKind.NAME
}
_ALLOWED: Final = {True: "Allow", False: "Deny"}
#: The most failing tests in one message.
_NAMED: Final = 5


class PolicyTestResult(NamedTuple):
    """The result of one test: its number in the policy, from 0, and the decision.

    ``is_authenticated`` is False where the policy's authentication refuses the caller before any rule is judged.
    ``content_failure`` says what of the contents is not as expected.
    """

    position: int
    test: PolicyTest
    decision: Decision
    is_authenticated: bool = True
    content_failure: str = ""

    @property
    def field(self) -> str:
        """The path of the test in its policy."""
        return f"spec.tests[{self.position}]"

    @property
    def title(self) -> str:
        """How messages name the test."""
        return f"{self.field} ({self.test.name})" if self.test.name is not None else self.field

    @property
    def outcome(self) -> str:
        """The decision: Allow or Deny."""
        return _ALLOWED[self.decision.allowed]

    @property
    def passed(self) -> bool:
        """Whether the decision, the deciding rule and the contents are as expected."""
        return self._is_decided_so and not self.content_failure

    @property
    def _is_decided_so(self) -> bool:
        return self.outcome == self.test.expect and self.test.rule in {None, self.decision.rule}

    @property
    def cause(self) -> str:
        """What decided, or what of the contents is not as expected, as a clause."""
        if self.content_failure:
            return self.content_failure
        return describe(self.decision) if self.is_authenticated else "spec.authentication admits no anonymous caller"

    @property
    def failure(self) -> str:
        """What is wrong with a test that failed, as a clause."""
        if self._is_decided_so:
            return self.content_failure
        expected = self.test.expect + (f" by rule {self.test.rule}" if self.test.rule is not None else "")
        return f"expected {expected}, but the decision is {self.outcome}: {self.cause}"


def run_tests(
    document: PolicyDocument,
    tests: Iterable[PolicyTest],
    catalogues: Sequence[CatalogueNames | None] = (None,),
) -> tuple[PolicyTestResult, ...]:
    """Judge the tests of a policy by that policy alone.

    ``catalogues`` are the names of the proxies at which it is judged, None for those with one server.

    Raises:
        PatternError: a pattern of one of its rules is invalid.
        ExpressionError: a condition is invalid.
    """
    enforced = document.model_copy(update={"mode": None})
    access = AccessEvaluator([CompiledPolicy.build(enforced)])
    views = [Visibility.build(None, access, default="Allow", invalid=False, names=names) for names in catalogues]
    return tuple(_run(position, test, enforced, views) for position, test in enumerate(tests))


def _run(position: int, test: PolicyTest, document: PolicyDocument, views: Sequence[Visibility]) -> PolicyTestResult:
    if test.as_ is None and _refuses_anonymous(document):
        decision = Decision(False, DecisionReason.NOT_ALLOWED, document.identity, generation=document.generation)
        return PolicyTestResult(position, test, decision, is_authenticated=False)
    principal = caller(test.as_, namespace=document.namespace)
    primitive, verb, name = test.call.primitive, test.effective_verb, test.call.target
    methods = [document.authentication] if document.authentication is not None else []
    call = message(principal, primitive, verb, name, _described(test), hidden=hidden_headers(methods))
    owning = [view for view in views if view.names is None or view.names.owner_of(primitive, name) is not None]
    results = [_judged(position, test, view.for_principal(principal), call) for view in owning or views]
    return next((result for result in results if not result.passed), results[0])


def _judged(position: int, test: PolicyTest, view: Visibility, call: Call | None) -> PolicyTestResult:
    decision = view.decide(test.call.primitive, test.effective_verb, test.call.target, call)
    if not test.judges_contents or not decision.allowed:
        return PolicyTestResult(position, test, decision)
    failure = content_failure(test, judge_content(view.content, test, call))
    return PolicyTestResult(position, test, decision, content_failure=failure)


def _described(test: PolicyTest) -> "DescribedMessage":
    call = test.call
    headers = {header.name: header.value for header in call.headers or ()}
    return DescribedMessage(call.arguments or {}, headers, call.host, call.path)


def _refuses_anonymous(document: PolicyDocument) -> bool:
    methods = document.authentication
    return methods is not None and not methods.anonymous and not methods.passthrough


def caller(described: PolicyTestCaller | None, *, namespace: str) -> Principal:
    """Return the caller that a test describes, as authentication would return it."""
    if described is None:
        return ANONYMOUS
    return Principal(
        id="test",
        method="test",
        consumer=f"{namespace}/{described.consumer}" if described.consumer is not None else "",
        groups=frozenset(described.groups or ()),
        scopes=frozenset(described.scopes or ()),
        claims=described.claims or {},
    )


class DescribedMessage(NamedTuple):
    """What a message contains besides its method and name.

    An expression that reads an absent member fails.
    """

    arguments: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    host: str | None = None
    path: str | None = None


def hidden_headers(methods: Iterable[AuthenticationConfig]) -> frozenset[str]:
    """Return the headers that no condition reads, since the methods read credentials in them."""
    return HIDDEN_HEADERS.union(each.api_keys.header for each in methods if each.api_keys is not None)


def message(
    principal: Principal,
    primitive: Primitive,
    verb: Verb,
    name: str,
    described: DescribedMessage,
    *,
    hidden: frozenset[str] = HIDDEN_HEADERS,
) -> Call | None:
    """Return the message of a call as conditions read it; None for a list.

    Its ``hidden`` headers are not in it.
    """
    method = _METHODS.get((primitive, verb))
    return message_of(principal, method, name, described, hidden=hidden) if method is not None else None


def message_of(
    principal: Principal, method: str, name: str, described: DescribedMessage, *, hidden: frozenset[str]
) -> Call:
    """Return a message of any method as conditions read it, without its ``hidden`` headers."""
    places = {key: value for key, value in (("host", described.host), ("path", described.path)) if value is not None}
    return Call(
        principal,
        arguments=described.arguments,
        headers={key.lower(): value for key, value in described.headers.items() if key.lower() not in hidden},
        request={"method": method, "name": name, **places},
    )


def describe(decision: Decision) -> str:
    """Return what led to a decision, as a clause."""
    return _CAUSES[decision.reason].format(
        rule=decision.rule,
        requirements=" or ".join(decision.requirements),
        scopes=", ".join(sorted(decision.missing_scopes)),
    )


_CAUSES: Final = {
    DecisionReason.OPEN: "no rule restricts it",
    DecisionReason.ALLOWED: "rule {rule} allows it",
    DecisionReason.DENIED: "rule {rule} denies it",
    DecisionReason.NOT_ALLOWED: "no rule allows it",
    DecisionReason.INSUFFICIENT_SCOPE: "rule {rule} allows it only with the scopes {scopes}",
    DecisionReason.ARGUMENT_NOT_ALLOWED: "rule {rule} does not allow these arguments: {requirements}",
    DecisionReason.CONDITION_NOT_MET: "the condition of rule {rule} is not met",
    DecisionReason.EXPRESSION_ERROR: "an expression of rule {rule} failed",
    DecisionReason.NOT_IN_CATALOGUE: "the catalogue does not contain it, or no server has its prefix",
    DecisionReason.AMBIGUOUS_URI: "servers may read the URI in several ways",
    DecisionReason.NAME_TOO_LONG: "the name is too long for the rules",
    DecisionReason.NO_POLICY: "no policy governs the MCPProxy, and the gateway's withoutPolicy is Deny",
    DecisionReason.POLICY_INVALID: "a policy of the MCPProxy is invalid and was never accepted",
    DecisionReason.NO_ROUTE: "no routing rule leads to a server",
}


def failures(results: Iterable[PolicyTestResult]) -> str:
    """Return the failing tests as a message with fields and remedy; empty where all passed."""
    failed = [result for result in results if not result.passed]
    if not failed:
        return ""
    listed = "; ".join(f"{result.title}: {result.failure}" for result in failed[:_NAMED])
    more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return f"{listed}{more}; correct the rules or the test"
