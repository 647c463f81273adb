"""Finds what a new version of an enforced policy weakens.

That is its mode, its subjects, its authentication (:mod:`.authentication_weakenings`), its rules, which are compared
as they are written (:mod:`.rule_coverage`), its limits, and its rules about contents (:mod:`.content_weakenings`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ostiary_core.contract.access import AccessRulesConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_operator.compile.audit import audit_lowered
from ostiary_operator.compile.authentication_weakenings import of_authentication
from ostiary_operator.compile.content_weakenings import contents_loosened
from ostiary_operator.compile.limit_weakenings import detection_loosened, limits_loosened
from ostiary_operator.compile.rule_coverage import uncovered
from ostiary_operator.compile.rule_differences import edited_rules
from ostiary_operator.compile.weakening import Weakening, listed, weakening


def of_policy(old: PolicyDocument, new: PolicyDocument) -> Iterator[Weakening]:
    """Yield what a new version of an enforced policy weakens."""
    if new.mode is not None:
        yield weakening(new, "SwitchedToShadow", "spec.mode", "Enforce", new.mode)
        return  # everything else of it decides nothing now
    if old.subjects != new.subjects:
        count = [f"{len(each)} items" if each is not None else "every caller" for each in (old.subjects, new.subjects)]
        yield weakening(new, "SubjectsChanged", "spec.subjects", *count)
    if old.authentication is not None:
        yield from of_authentication(new, old.authentication, new.authentication)
    yield from _of_rules(new, old.access, new.access)
    for field, was, now in audit_lowered(old.audit, new.audit):
        yield weakening(new, "AuditLowered", f"spec.audit{field}", was, now)
    for reason, field, was, now in limits_loosened(old.limits, new.limits):
        yield weakening(new, reason, field, was, now)
    for reason, field, was, now in detection_loosened(old.loop_detection, new.loop_detection):
        yield weakening(new, reason, field, was, now)
    for change in contents_loosened(old, new):
        yield weakening(new, *change)


def _of_rules(
    policy: PolicyDocument, old: AccessRulesConfig | None, new: AccessRulesConfig | None
) -> Iterator[Weakening]:
    if old is None:
        return  # it had no rules, so rules can only narrow what was allowed
    before = old.rules
    if new is None:
        yield weakening(policy, "AccessRemoved", "spec.access", f"{len(before)} rules", "none")
        return
    after = new.rules
    denied = uncovered([rule for rule in before if rule.effect == "Deny"], after)
    if denied:
        edited = edited_rules(denied, [rule for rule in after if rule.effect == "Deny"])
        was, now = edited or (_named(denied), _rule_names(after, "Deny"))
        yield weakening(policy, "DenyRemoved", "spec.access.rules", was, now)
    allowed = uncovered([rule for rule in after if rule.effect == "Allow"], before)
    if allowed and restricts(before):
        edited = edited_rules(allowed, [rule for rule in before if rule.effect == "Allow"])
        was, now = edited[::-1] if edited else (_rule_names(before, "Allow"), _named(allowed))
        yield weakening(policy, "AllowWidened", "spec.access.rules", was, now)
    elif restricts(before) and not restricts(after):
        yield weakening(
            policy, "AllowWidened", "spec.access.rules", _rule_names(before, "Allow"), "everything but Deny"
        )


def restricts(rules: Sequence[Any]) -> bool:
    """Return whether rules allow only what they name.

    Where all of them deny, the rest stays allowed.
    """
    return not rules or any(rule.effect == "Allow" for rule in rules)


def _rule_names(rules: Iterable[Any], effect: str) -> str:
    return _named(rule for rule in rules if rule.effect == effect)


def _named(rules: Iterable[Any]) -> str:
    found = [rule.name for rule in rules]
    return f"rules {listed(found)}" if found else "no rule"
