"""MCPPolicy: who may use an MCPProxy, and what they may see and do there."""

import enum
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ostiary_operator.api.audit import Audit
from ostiary_operator.api.authentication import Authentication
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic, Unique
from ostiary_operator.api.definitions import Pinning
from ostiary_operator.api.guards import Guards
from ostiary_operator.api.limits import Limits
from ostiary_operator.api.loop_detection import LoopDetection
from ostiary_operator.api.masks import Masks
from ostiary_operator.api.name_selections import PromptSelection, ResourceSelection, ToolSelection
from ostiary_operator.api.names import DnsLabel, ObjectName
from ostiary_operator.api.patterns import weigh_patterns
from ostiary_operator.api.policy_tests import PolicyTests, check_cost
from ostiary_operator.api.rule_conditions import (
    ArgumentRule,
    ExpressionText,
    PolicySubject,
    Scope,
    check_expression,
    count_characters,
)
from ostiary_operator.api.selectors import LabelSelector
from ostiary_operator.api.tool_costs import count_limit_characters
from ostiary_operator.api.transforms import Transforms, count_value_characters
from ostiary_operator.api.validation import Validation


class TargetReference(ApiModel):
    """Names a resource that a policy governs, in the policy's own namespace."""

    group: Literal["ostiary.dev"] = "ostiary.dev"
    """API group of the target. Example: `ostiary.dev`."""

    kind: Literal["MCPProxy"]
    """Kind of the target. Example: `MCPProxy`."""

    name: ObjectName
    """Name of the target. Example: `crm`."""


class TargetSelector(LabelSelector):
    """Selects MCPProxies by label: in the policy's own namespace, or in others where
    that is permitted.
    """

    namespace_selector: LabelSelector | None = None
    """Selects namespaces by their labels; `{}` is all of them. Only policies in the operator's namespace may set it.
    Absent means every namespace for a policy there, and the policy's own namespace for any other policy.
    Example: `{matchLabels: {env: prod}}`."""


class Effect(enum.StrEnum):
    """What a matching rule does."""

    ALLOW = "Allow"
    DENY = "Deny"


class AccessRule(ApiModel):
    """One rule of access."""

    name: DnsLabel
    """Name of the rule, unique within the policy. It appears in traces and audit records. Example: `read-only`."""

    effect: Effect
    """Whether what the rule matches is allowed or denied. Deny wins over Allow. Where an MCPProxy merges servers, an
    Allow matches names with the prefix of the server, and a Deny names with it and without it. Example: `Allow`."""

    tools: ToolSelection | None = None
    """Tools that the rule applies to; `{}` is all of them. A rule without tools, resources and prompts applies to all
    three. Example: `{verbs: [List, Call], names: ["read_*"]}`."""

    resources: ResourceSelection | None = None
    """Resources and resource templates that the rule applies to, by URI; `{}` is all of them. A URI is checked as
    spelled and as servers read it, so that another spelling cannot evade a rule.
    Example: `{names: ["file:///docs/*"]}`."""

    prompts: PromptSelection | None = None
    """Prompts that the rule applies to; `{}` is all of them. Example: `{verbs: [Get]}`."""

    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=16), Unique()] | None = None
    """OAuth scopes that the caller must have, all of them. A call that lacks only scopes of an Allow rule is refused
    with `insufficient_scope`, so that the client can get them. Example: `[tickets:write]`."""

    when: ExpressionText | None = None
    """CEL expression that must be true. It reads `claims`, `consumer`, `groups`, `scopes` and `authenticated`, and of
    the message `args`, `headers` and `request`. If it fails, an Allow rule does not match, and a Deny rule does. In
    lists, which have no arguments, a rule that reads the message shows names if it allows, and hides none if it denies.
    Example: `args.amount <= claims.limit`."""

    arguments: Annotated[tuple[ArgumentRule, ...], Field(min_length=1, max_length=16), Atomic()] | None = None
    """Constraints on the arguments of a call, all of which must be met. Clients see them in the tool's input schema.
    Example: `[{path: [amount], maximum: 1000}]`."""

    @model_validator(mode="after")
    def _check_expression(self) -> Self:
        check_expression(self.when, principal_only=False, where=f" of rule {self.name}")
        return self


class Access(ApiModel):
    """Who may see and use what."""

    @model_validator(mode="before")
    @classmethod
    def _weigh_patterns(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            weigh_patterns(data.get("rules"), "rules")
            count_characters(data.get("rules"))
        return data

    rules: Annotated[tuple[AccessRule, ...], Field(max_length=256), Unique(("name",))] = ()
    """The rules; their order does not matter. A matching Deny denies; otherwise an Allow must match. An empty list
    denies everything; with Deny rules alone, everything that they do not match stays as it is.
    Example: `[{name: read, effect: Allow, tools: {names: ["read_*"]}}]`."""


class PolicyMode(enum.StrEnum):
    """Whether a policy decides."""

    ENFORCE = "Enforce"
    SHADOW = "Shadow"


class PolicySpec(ApiModel):
    """The desired state of an MCPPolicy."""

    mode: PolicyMode = PolicyMode.ENFORCE
    """Whether the policy decides. Shadow changes nothing for callers: the gateway only records what the policy would
    have denied. Example: `Shadow`."""

    target_refs: Annotated[tuple[TargetReference, ...], Field(max_length=16), Unique(("kind", "name"))] = ()
    """MCPProxies that the policy governs, by name, in its own namespace. A policy without targetRefs and
    targetSelector governs nothing and is not accepted. Example: `[{kind: MCPProxy, name: crm}]`."""

    target_selector: TargetSelector | None = None
    """MCPProxies that the policy governs, by label, in addition to those in targetRefs. `{}` selects all that it can
    reach: those of its own namespace, or of every namespace for a policy in the operator's namespace. Users with write
    access to an MCPProxy can change its labels, so a platform policy should select namespaces instead.
    Example: `{matchLabels: {team: sales}}`."""

    authentication: Authentication | None = None
    """How callers are authenticated. Where several policies of an MCPProxy set it, a caller may use any of their
    methods; but where a policy in the operator's namespace sets it, only the methods of such policies count. If no
    policy sets it, every caller is anonymous. Example: `{apiKey: {selector: {}}}`."""

    subjects: Annotated[tuple[PolicySubject, ...], Field(min_length=1, max_length=32), Atomic()] | None = None
    """Callers whom the rules of access match: those that match at least one item. Absent means every caller. Other
    callers are not matched by any rule of the policy, but its Allow rules close the MCPProxy for them as well.
    Example: `[{groups: [support]}]`."""

    access: Access | None = None
    """Who may see and use what. Without rules it denies everything: clients can still connect, and see empty lists.
    If it is absent, the policy does not restrict access. Example: `{rules: []}`."""

    audit: Audit | None = None
    """What the gateway records of every request to the MCPProxies that the policy governs, of every caller, whether
    it is allowed or denied. Absent means what other policies and the gateway's settings demand. In Shadow mode it
    records, and refuses nothing. Example: `{level: Metadata}`."""

    limits: Limits = ()
    """How much callers may use. All limits of all policies of an MCPProxy apply, and the tightest answers. A request
    that a limit refuses never reaches the server, and uses up nothing of any limit.
    Example: `[{name: weather, tools: {names: [get_weather]}, per: [Consumer], requests: 100, window: 24h}]`."""

    loop_detection: LoopDetection | None = None
    """What happens to an agent that calls the same tool with the same arguments again and again. Absent means nothing.
    Example: `{repeats: 10, window: 1m, action: Deny}`."""

    validation: Validation | None = None
    """Whether arguments and results are validated against the schemas of tools. Of all policies of an MCPProxy, the
    strictest values apply. Absent means what other policies say. Example: `{arguments: Enforce, results: Warn}`."""

    masks: Masks = ()
    """What must not pass in messages, and what is shown instead. All masks of all policies of an MCPProxy apply.
    Example: `[{name: cards, detect: [{kind: CardNumber}], action: Mask, keepLast: 4}]`."""

    guards: Guards = ()
    """What is suspicious in messages, and what happens to it. All guards of all policies of an MCPProxy apply.
    Example: `[{name: hidden, detect: [HiddenText, Override], action: Strip}]`."""

    transforms: Transforms = ()
    """What is set, defaulted or removed in requests and results. At most 32.
    Example: `[{name: tenant, arguments: {set: [{path: /tenant, value: claims.tenant}]}}]`."""

    pinning: Pinning | None = None
    """The least that happens at the MCPProxies that the policy governs to definitions that are not in the MCPLock of
    their server; their own `catalogue.pinning` may be stricter. Only policies in the operator's namespace may set it.
    Example: `Block`."""

    tests: PolicyTests = ()
    """Calls, and whether this policy allows them; other policies do not change the result. Names are those that clients
    see, where servers are merged with the prefix. A version that fails a test is not accepted, and the last accepted
    one stays in force. `ostiary test` runs the tests on files.
    Example: `[{as: {groups: [support]}, call: {tool: delete_ticket}, expect: Deny}]`."""

    @model_validator(mode="before")
    @classmethod
    def _weigh_lists(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            weigh_patterns(data.get("limits"), "limits")
            count_limit_characters(data.get("limits"))
            for field in ("masks", "guards", "transforms"):
                weigh_patterns(data.get(field), field)
            count_value_characters(data.get("transforms"))
        return data

    @model_validator(mode="after")
    def _check_tests(self) -> Self:
        rules = self.access.rules if self.access is not None else ()
        expressions = [each.when for each in self.subjects or ()] + [rule.when for rule in rules]
        check_cost(self.tests, expressions=[each for each in expressions if each is not None])
        return self
