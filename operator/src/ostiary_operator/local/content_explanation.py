"""The rules about contents that a described call has to pass, for explanations.

Which of them would find something depends on the messages, and is not said: ``ostiary mask`` and the tests of a policy
show it.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.guards import GuardAction, GuardConfig
from ostiary_core.contract.masks import MaskConfig
from ostiary_core.contract.transforms import TransformConfig
from ostiary_core.contract.validation import ValidationConfig
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.principal import Principal
from ostiary_operator.local.governed_proxy import GovernedProxy

#: The kinds in the order in which they work on a request.
_TRANSFORM: Final = "transform"
_VALIDATION: Final = "validation"
_MASK: Final = "mask"
_GUARD: Final = "guard"


class ApplyingRule(NamedTuple):
    """A rule about contents that the messages of a call have to pass.

    ``kind`` is transform, validation, mask or guard; ``does`` is what it does, from its specification. ``rule`` is
    empty for a validation, of which a policy has one.
    """

    kind: str
    policy: str
    rule: str
    does: str
    shadow: bool

    def __str__(self) -> str:
        mode = ", in Shadow mode" if self.shadow else ""
        name = f"{self.kind} {self.rule}" if self.rule else self.kind
        return f"{name} of MCPPolicy {self.policy}: {self.does}{mode}"

    def as_object(self) -> dict[str, Any]:
        """The rule as a JSON object."""
        return {**self._asdict(), "rule": self.rule or None}


def applying_rules(
    proxy: GovernedProxy, principal: Principal, primitive: Primitive, name: str, servers: frozenset[str]
) -> tuple[ApplyingRule, ...]:
    """Return the rules about contents that a call has to pass.

    It is a call by a caller, to one of the servers.
    """
    content = proxy.visibility.for_principal(principal).content
    rules = content.of(primitive, name) if content is not None else None
    rules = rules.towards(servers) if rules is not None else None
    if rules is None:
        return ()
    policies = {policy.identity: policy for policy in proxy.policies}
    groups = ((_TRANSFORM, rules.transforms), (_VALIDATION, rules.validations), (_MASK, rules.masks))
    found = [(kind, each.scope) for kind, group in (*groups, (_GUARD, rules.guards)) for each in group]
    return tuple(_applying(kind, scope, policies[scope.policy]) for kind, scope in found)


def _applying(kind: str, scope: RuleScope, policy: PolicyDocument) -> ApplyingRule:
    does = ", ".join(_deeds(kind, scope.rule, policy))
    return ApplyingRule(kind, scope.policy, scope.rule, does or "demands nothing", scope.is_shadow)


def _deeds(kind: str, rule: str, policy: PolicyDocument) -> Iterator[str]:
    if kind == _TRANSFORM:
        yield from (_changes(each) for each in policy.transforms or () if each.name == rule)
    elif kind == _MASK:
        yield from (_hides(each) for each in policy.masks or () if each.name == rule)
    elif kind == _GUARD:
        yield from (_watches(each) for each in policy.guards or () if each.name == rule)
    elif policy.validation is not None:
        yield from _demands(policy.validation)


def _changes(config: TransformConfig) -> str:
    parts = {"arguments": config.arguments, "headers": config.headers, "results": config.results}
    return f"changes {' and '.join(name for name, part in parts.items() if part is not None)}"


def _hides(config: MaskConfig) -> str:
    kinds = [each.kind or each.name or f"the field /{'/'.join(each.field or ())}" for each in config.detect]
    directions = [*config.directions, "Records"]
    return f"{config.action} of {', '.join(map(str, kinds))} in {', '.join(directions)}"


def _watches(config: GuardConfig) -> str:
    directions = f"in {', '.join(config.directions)}"
    cuts = f"cuts text {directions} at {config.truncate_text} bytes" if config.truncate_text is not None else ""
    found = _sought(config)
    deeds = (f"{config.action} of {', '.join(found)} {directions}" if found else "", cuts)
    return "; ".join(each for each in deeds if each)


def _sought(config: GuardConfig) -> list[str]:
    found = [str(each) for each in config.detect or ()]
    found += [f"signature {each.name}" for each in config.signatures or ()]
    found += ["what the scorer flags"] if config.scorer is not None else []
    return found or (["everything"] if config.action is GuardAction.WRAP else [])


def _demands(config: ValidationConfig) -> Iterator[str]:
    members = {
        "arguments": config.arguments,
        "results": config.results,
        "unknownArguments": config.unknown_arguments,
        "coerce": config.coerce,
        "whenUncheckable": config.when_uncheckable,
    }
    yield from (f"{name} {value}" for name, value in members.items() if value is not None)
