"""Compares access rules: does one rule match everything that another one matches?

The comparison is of the rules as they are written. Regular expressions and conditions are covered only by equal ones,
and a rule only by one other rule, never by several together. So "not covered" can be wrong, and "covered" never is.
"""

from collections.abc import Iterable, Sequence

from ostiary_core.contract.access import AccessRuleConfig, ArgumentConfig, SelectionConfig
from ostiary_core.mcp.methods import Primitive


def covers(rule: AccessRuleConfig, other: AccessRuleConfig) -> bool:
    """Return whether ``rule`` matches everything that ``other`` matches; effects are ignored."""
    return _has_fewer_conditions(rule, other) and all(_covers_primitive(rule, other, each) for each in Primitive)


def uncovered(rules: Iterable[AccessRuleConfig], by: Sequence[AccessRuleConfig]) -> list[AccessRuleConfig]:
    """Return the rules that no rule of ``by`` with the same effect covers."""
    return [rule for rule in rules if not any(each.effect == rule.effect and covers(each, rule) for each in by)]


def _has_fewer_conditions(rule: AccessRuleConfig, other: AccessRuleConfig) -> bool:
    return (
        rule.when in (None, other.when)
        and set(rule.scopes or ()) <= set(other.scopes or ())
        and all(_is_among(each, other.arguments or ()) for each in rule.arguments or ())
    )


def _is_among(constraint: ArgumentConfig, constraints: Iterable[ArgumentConfig]) -> bool:
    return any(constraint == each for each in constraints)


def _covers_primitive(rule: AccessRuleConfig, other: AccessRuleConfig, primitive: Primitive) -> bool:
    mine, theirs = _selection(rule, primitive), _selection(other, primitive)
    return theirs is None or (mine is not None and _covers_selection(mine, theirs))


def _selection(rule: AccessRuleConfig, primitive: Primitive) -> SelectionConfig | None:
    """Return what a rule selects of a primitive.

    Without any primitive it selects everything of each.
    """
    if rule.tools is None and rule.resources is None and rule.prompts is None:
        return SelectionConfig()
    return rule.selection(primitive)


def _covers_selection(selection: SelectionConfig, other: SelectionConfig) -> bool:
    if selection.verbs is not None and (other.verbs is None or not set(other.verbs) <= set(selection.verbs)):
        return False
    if selection.names is None and selection.patterns is None:
        return True
    if other.names is None and other.patterns is None:
        return "*" in (selection.names or ())
    return set(other.patterns or ()) <= set(selection.patterns or ()) and all(
        any(_covers_name(each, name) for each in selection.names or ()) for name in other.names or ()
    )


def _covers_name(name: str, other: str) -> bool:
    """Return whether a name with wildcards matches all that another one matches.

    It is decided for one ``*`` at the end.
    """
    if name in ("*", other):
        return True
    return name.endswith("*") and "*" not in name[:-1] and other.startswith(name[:-1])
