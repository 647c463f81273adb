"""Finds what a change of rules about contents stops, hides or changes no more.

Masks, guards and transformations are known by their names, and compared as they are written: another selection counts
as weaker unless the new rule certainly applies to everything that the old one did.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final, get_args

from ostiary_core.contract.access import AccessRuleConfig, SelectionConfig
from ostiary_core.contract.content import SelectedContentConfig
from ostiary_core.contract.definitions import PinningName
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.contract.guards import GuardAction, GuardConfig, ScorerConfig, Sensitivity
from ostiary_core.contract.masks import DetectConfig, MaskAction, MaskConfig
from ostiary_core.contract.transforms import TransformConfig
from ostiary_core.contract.validation import ValidationConfig, ValidationMode
from ostiary_operator.api.durations import Duration
from ostiary_operator.compile.rule_coverage import covers
from ostiary_operator.compile.weakening import listed

#: A reason, a field, its value before and its value after.
ContentChange = tuple[str, str, str, str]
#: A member of a rule, its value before and its value after.
_MemberChange = tuple[str, str, str]
_NONE: Final = "none"
_PINNING: Final = get_args(PinningName)


def contents_loosened(old: PolicyDocument, new: PolicyDocument) -> Iterator[ContentChange]:
    """Yield what the rules about contents of a policy stop no more."""
    yield from _validation_loosened(old.validation, new.validation)
    yield from _rules_loosened(("MaskRemoved", "MaskLoosened"), "masks", (old, new), _mask_loosened)
    yield from _rules_loosened(("GuardRemoved", "GuardLoosened"), "guards", (old, new), _guard_loosened)
    yield from _rules_loosened(("TransformRemoved", "TransformChanged"), "transforms", (old, new), _transform_changed)
    yield from _pinning_lowered("spec.pinning", old.pinning, new.pinning)


def pinning_lowered(old: EntryDocument, new: EntryDocument) -> Iterator[ContentChange]:
    """Yield what a proxy, under its policies, pins no more."""
    was, now = old.definitions, new.definitions
    if was is None:
        return
    field = "spec.catalogue.pinning"
    yield from _pinning_lowered(field, was.pinning, now.pinning if now is not None else None)
    if was.recheck is not None and now is not None and now.recheck is not None and now.recheck > was.recheck:
        lengths = str(Duration(was.recheck)), str(Duration(now.recheck))
        yield "PinningLowered", "spec.catalogue.recheck", *lengths


def _pinning_lowered(field: str, old: PinningName | None, new: PinningName | None) -> Iterator[ContentChange]:
    if old is not None and (new is None or _PINNING.index(new) < _PINNING.index(old)):
        yield "PinningLowered", field, old, new or "Off"


def _rules_loosened(
    reasons: tuple[str, str],
    kind: str,
    policies: tuple[PolicyDocument, PolicyDocument],
    loosened: Callable[[Any, Any], Iterator[_MemberChange]],
) -> Iterator[ContentChange]:
    """Yield the rules of one kind that are gone, and those that stop less; ``reasons`` say so."""
    before, after = ({rule.name: rule for rule in getattr(policy, kind) or ()} for policy in policies)
    for name, rule in before.items():
        place, now = f"spec.{kind}[{name}]", after.get(name)
        if now is None:
            yield reasons[0], place, _selected(rule), _NONE
            continue
        for member, was, is_now in (*_narrowed(rule, now), *loosened(rule, now)):
            yield reasons[1], f"{place}{member}", was, is_now


def _narrowed(old: SelectedContentConfig, new: SelectedContentConfig) -> Iterator[_MemberChange]:
    """Yield where a rule applies no more."""
    if not covers(_rule(new), _rule(old)):
        yield "", _selected(old), _selected(new)
    if new.servers is not None and (old.servers is None or not set(old.servers) <= set(new.servers)):
        yield ".servers", listed(old.servers) if old.servers is not None else "all", listed(new.servers)


def _validation_loosened(old: ValidationConfig | None, new: ValidationConfig | None) -> Iterator[ContentChange]:
    reason, field = "ValidationLoosened", "spec.validation"
    now = new if new is not None else ValidationConfig()
    if old is None:
        return
    for member, was, is_now in _narrowed(old, now):
        yield reason, f"{field}{member}", was, is_now
    for member in ("arguments", "results"):
        mode, now_mode = (getattr(each, member) or ValidationMode.OFF for each in (old, now))
        if _is_weaker(ValidationMode, mode, now_mode):
            yield reason, f"{field}.{member}", mode, now_mode
    for member, name, strict in (
        ("unknown_arguments", "unknownArguments", "Refuse"),
        ("when_uncheckable", "whenUncheckable", "Refuse"),
        ("coerce", "coerce", "Off"),
    ):
        if getattr(old, member) == strict != getattr(now, member):
            yield reason, f"{field}.{name}", strict, getattr(now, member) or "absent"


def _mask_loosened(old: MaskConfig, new: MaskConfig) -> Iterator[_MemberChange]:
    yield from _fewer(".in", old.directions, new.directions)
    yield from _fewer(".detect", map(_shown, old.detect), map(_shown, new.detect))
    if _is_weaker(MaskAction, old.action, new.action):
        yield ".action", old.action, new.action
    if (new.keep_last or 0) > (old.keep_last or 0):
        yield ".keepLast", str(old.keep_last or 0), str(new.keep_last)
    was, now = old.restore_in, new.restore_in
    if now is not None and (was is None or not covers(_tools(was), _tools(now))):
        yield ".restoreIn", _names(was) if was is not None else _NONE, _names(now)
    if old.notifications == "Drop" and new.notifications is None:
        yield ".notifications", "Drop", "Scan"


def _shown(detector: DetectConfig) -> str:
    return detector.kind or (f"pattern {detector.name}: {detector.pattern}" if detector.pattern else _pointer(detector))


def _pointer(detector: DetectConfig) -> str:
    return f"field /{'/'.join(detector.field or ())}"


def _guard_loosened(old: GuardConfig, new: GuardConfig) -> Iterator[_MemberChange]:
    yield from _fewer(".scan", old.directions, new.directions)
    yield from _fewer(".detect", old.detect or (), new.detect or ())
    yield from _fewer(".signatures", *([f"{s.name}: {s.pattern}" for s in g.signatures or ()] for g in (old, new)))
    if _is_weaker(Sensitivity, old.sensitivity, new.sensitivity):
        yield ".sensitivity", old.sensitivity, new.sensitivity
    if _is_weaker(GuardAction, old.action, new.action):
        yield ".action", old.action, new.action
    if old.truncate_text is not None and (new.truncate_text is None or new.truncate_text > old.truncate_text):
        yield ".truncate.text", str(old.truncate_text), str(new.truncate_text or _NONE)
    if old.scorer is not None:
        yield from _scorer_loosened(old.scorer, new.scorer)


def _scorer_loosened(old: ScorerConfig, new: ScorerConfig | None) -> Iterator[_MemberChange]:
    if new is None or new.url != old.url:
        yield ".scorer", old.url, new.url if new is not None else _NONE
    if new is not None and old.on_failure == "Block" and new.on_failure == "Pass":
        yield ".scorer.onFailure", "Block", "Pass"
    if new is not None and old.sends == "Masked" and new.sends == "Raw":
        yield ".scorer.sends", "Masked", "Raw"


def _transform_changed(old: TransformConfig, new: TransformConfig) -> Iterator[_MemberChange]:
    """Yield every change: which value of a place is the safer one, only people know."""
    for member in ("arguments", "headers", "results"):
        was, now = getattr(old, member), getattr(new, member)
        if was is not None and was != now:
            yield f".{member}", _as_written(was), _as_written(now)


def _as_written(changes: Any) -> str:
    return changes.canonical().decode() if changes is not None else _NONE


def _fewer(member: str, old: Iterable[str], new: Iterable[str]) -> Iterator[_MemberChange]:
    was, now = set(old), set(new)
    if was - now:
        yield member, listed(was), listed(now)


def _is_weaker(kinds: type[StrEnum], old: StrEnum, new: StrEnum) -> bool:
    order: Sequence[StrEnum] = list(kinds)
    return order.index(new) < order.index(old)


def _rule(selected: SelectedContentConfig) -> AccessRuleConfig:
    """Return a rule of access with the same selection, which can be compared."""
    tools, resources, prompts = selected.tools, selected.resources, selected.prompts
    return AccessRuleConfig(name="content", effect="Deny", tools=tools, resources=resources, prompts=prompts)


def _tools(names: SelectionConfig) -> AccessRuleConfig:
    return AccessRuleConfig(name="content", effect="Deny", tools=names)


def _selected(rule: SelectedContentConfig) -> str:
    parts = (("tools", rule.tools), ("resources", rule.resources), ("prompts", rule.prompts))
    found = [f"{primitive} {_names(selection)}" for primitive, selection in parts if selection is not None]
    return f"applies to {'; '.join(found) or 'everything'}"


def _names(selection: SelectionConfig) -> str:
    return ", ".join([*(selection.names or ()), *(selection.patterns or ())]) or "*"
