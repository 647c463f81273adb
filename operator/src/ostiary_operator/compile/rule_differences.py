"""Writes what differs between two versions of access rules, for messages."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from ostiary_core.contract.access import AccessRuleConfig, ArgumentConfig, SelectionConfig
from ostiary_operator.compile.weakening import listed, short

#: How many rules a message describes.
_SHOWN: Final = 3
_PARTS: Final = ("tools", "resources", "prompts", "scopes", "when", "arguments")
_KEYWORDS: Final = ("enum", "const", "pattern", "minimum", "maximum", "max_length")


def edited_rules(rules: Sequence[AccessRuleConfig], others: Sequence[AccessRuleConfig]) -> tuple[str, str] | None:
    """Return what differs in ``rules``, and in their other versions of the same names.

    None where one of the rules has no other version.
    """
    versions = {rule.name: rule for rule in others}
    if any(rule.name not in versions for rule in rules):
        return None
    pairs = [(rule, versions[rule.name]) for rule in rules]
    return _described(pairs), _described([(other, rule) for rule, other in pairs])


def _described(pairs: Sequence[tuple[AccessRuleConfig, AccessRuleConfig]]) -> str:
    shown = [f"rule {short(rule.name)}: {', '.join(_different(rule, other))}" for rule, other in pairs[:_SHOWN]]
    more = [f"{len(pairs) - _SHOWN} more"] if len(pairs) > _SHOWN else []
    return "; ".join(shown + more)


def _different(rule: AccessRuleConfig, other: AccessRuleConfig) -> Iterator[str]:
    """Yield the parts of a rule that another version of it has not."""
    for part in _PARTS:
        value = getattr(rule, part)
        if value != getattr(other, part):
            yield f"{part} {_text(value)}"


def _text(value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, SelectionConfig):
        return _selection(value)
    if isinstance(value, str):
        return short(value)
    return listed([_constraint(each) if isinstance(each, ArgumentConfig) else each for each in value])


def _constraint(config: ArgumentConfig) -> str:
    keywords = {keyword: getattr(config, keyword) for keyword in _KEYWORDS}
    return " ".join([".".join(config.path), *(f"{key} {it}" for key, it in keywords.items() if it is not None)])


def _selection(selection: SelectionConfig) -> str:
    names = [*(selection.names or ()), *(selection.patterns or ())]
    every = selection.names is None and selection.patterns is None
    verbs = f" ({'/'.join(selection.verbs)})" if selection.verbs is not None else ""
    return ("every name" if every else listed(names)) + verbs
