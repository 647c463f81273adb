"""MCPPolicy: who may pass, and what they may see and do."""

import enum
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ostiary_operator.api.constraints import Unique
from ostiary_operator.api.model import ApiModel
from ostiary_operator.api.names import DnsLabel, NameGlobs, NamePatterns, ObjectName
from ostiary_operator.api.patterns import check_together, weigh_patterns
from ostiary_operator.api.selectors import LabelSelector


class TargetReference(ApiModel):
    """Names a resource that a policy governs, in the policy's own namespace."""

    group: Literal["ostiary.dev"] = "ostiary.dev"
    """API group of the target. Example: `ostiary.dev`."""

    kind: Literal["MCPProxy"]
    """Kind of the target. Example: `MCPProxy`."""

    name: ObjectName
    """Name of the target. Example: `crm`."""


class TargetSelector(LabelSelector):
    """Selects MCPProxies by label: in the policy's own namespace, or in others where that is permitted."""

    namespace_selector: LabelSelector | None = None
    """Selects the namespaces in which to look, by their labels; `{}` is all of them. Only policies in the operator's
    namespace may set it. Absent means every namespace for those, and the policy's own for any other.
    Example: `{matchLabels: {env: prod}}`."""


class Effect(enum.StrEnum):
    """What a matching rule does."""

    ALLOW = "Allow"
    DENY = "Deny"


class ToolVerb(enum.StrEnum):
    """What a caller can do with tools."""

    LIST = "List"
    CALL = "Call"


class ResourceVerb(enum.StrEnum):
    """What a caller can do with resources."""

    LIST = "List"
    READ = "Read"
    SUBSCRIBE = "Subscribe"


class PromptVerb(enum.StrEnum):
    """What a caller can do with prompts."""

    LIST = "List"
    GET = "Get"


class Selection(ApiModel):
    """Which names of a primitive a rule speaks of: any that `names` or `patterns` match; all, if both are absent."""

    verbs: tuple[enum.StrEnum, ...] | None = None
    """What the rule speaks of. Each primitive narrows this to its own verbs. Absent means all of them."""

    names: NameGlobs | None = None
    """Names, or for resources URIs: exact, with `*` for any run of characters and no other wildcard. Absent names and
    patterns mean every name. Example: `["read_*", "get_weather"]`."""

    patterns: NamePatterns | None = None
    """RE2 regular expressions over the whole name or URI. Absent names and patterns mean every name.
    Example: `["(get|list)_[a-z]+"]`."""

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        check_together(self.names, self.patterns)
        return self


class ToolSelection(Selection):
    """Which tools a rule speaks of, and what is done with them."""

    verbs: Annotated[tuple[ToolVerb, ...], Field(min_length=1, max_length=2), Unique()] | None = None
    """What the rule speaks of: List makes a tool visible, Call makes it callable. Absent means both.
    Example: `[List, Call]`."""


class ResourceSelection(Selection):
    """Which resources a rule speaks of, and what is done with them."""

    verbs: Annotated[tuple[ResourceVerb, ...], Field(min_length=1, max_length=3), Unique()] | None = None
    """What the rule speaks of: List makes a resource or a template visible, Read gives its contents, Subscribe its
    changes. Absent means all three. Example: `[List, Read]`."""


class PromptSelection(Selection):
    """Which prompts a rule speaks of, and what is done with them."""

    verbs: Annotated[tuple[PromptVerb, ...], Field(min_length=1, max_length=2), Unique()] | None = None
    """What the rule speaks of: List makes a prompt visible, Get gives it. Absent means both. Example: `[List, Get]`."""


class AccessRule(ApiModel):
    """One rule of access."""

    name: DnsLabel
    """Name of the rule, unique within the policy. It appears in traces and audit records. Example: `read-only`."""

    effect: Effect
    """Whether what the rule matches is allowed or denied. Deny wins over Allow. Example: `Allow`."""

    tools: ToolSelection | None = None
    """Tools that the rule speaks of; `{}` is all of them. A rule that names no primitive speaks of tools, resources
    and prompts. Example: `{verbs: [List, Call], names: ["read_*"]}`."""

    resources: ResourceSelection | None = None
    """Resources and resource templates that the rule speaks of, by URI; `{}` is all of them. A URI is judged as
    spelled and as servers read it, so that no other spelling of it evades a rule.
    Example: `{names: ["file:///docs/*"]}`."""

    prompts: PromptSelection | None = None
    """Prompts that the rule speaks of; `{}` is all of them. Example: `{verbs: [Get]}`."""


class Access(ApiModel):
    """Who may see and use what."""

    @model_validator(mode="before")
    @classmethod
    def _weigh_patterns(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            weigh_patterns(data.get("rules"))
        return data

    rules: Annotated[tuple[AccessRule, ...], Field(max_length=256), Unique(("name",))] = ()
    """The rules, in any order: any matching Deny denies, else some Allow must match. No rules deny everything; Deny
    rules alone leave the rest as it is. Example: `[{name: read, effect: Allow, tools: {names: ["read_*"]}}]`."""


class PolicySpec(ApiModel):
    """What a user wants of an MCPPolicy."""

    target_refs: Annotated[tuple[TargetReference, ...], Field(max_length=16), Unique(("kind", "name"))] = ()
    """MCPProxies that the policy governs, by name, in its own namespace. A policy without targetRefs and
    targetSelector governs nothing and is not accepted. Example: `[{kind: MCPProxy, name: crm}]`."""

    target_selector: TargetSelector | None = None
    """MCPProxies that the policy governs, by label, besides those in targetRefs; `{}` is all of its reach: its own
    namespace, or every one for a policy in the operator's namespace. Whoever may edit an MCPProxy owns its labels, so
    a policy of the platform should select namespaces instead. Example: `{matchLabels: {team: sales}}`."""

    access: Access | None = None
    """Who may see and use what. Present without rules it denies everything: clients still connect and see empty
    lists. Absent, the policy says nothing about access. Example: `{rules: []}`."""
