"""Finds what a change of limits and of loop detection lets through that was refused before.

Limits are compared as they are written: another selection, other weights or another `per` count as looser unless the
new limit certainly counts everything that the old one did.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from ostiary_core.contract.access import AccessRuleConfig, SelectionConfig
from ostiary_core.contract.limits import LOOP_ACTIONS, LimitConfig, LoopDetectionConfig
from ostiary_operator.api.durations import Duration
from ostiary_operator.api.quantities import Size
from ostiary_operator.compile.rule_coverage import covers

#: A reason, a field, its value before and its value after.
LimitChange = tuple[str, str, str, str]
_REMOVED: Final = "LimitRemoved"
_LOOSENED: Final = "LimitLoosened"
_STRICTNESS: Final = ("Allow", "Local", "Deny")
#: The shortest length of each period, in milliseconds.
_PERIODS: Final = {"Hour": 3_600_000, "Day": 86_400_000, "Week": 604_800_000, "Month": 28 * 86_400_000}


def limits_loosened(old: Iterable[LimitConfig] | None, new: Iterable[LimitConfig] | None) -> Iterator[LimitChange]:
    """Yield the limits that are gone, and those that let more through.

    Limits are known by their names.
    """
    after = {limit.name: limit for limit in new or ()}
    for limit in old or ():
        field = f"spec.limits[{limit.name}]"
        if limit.name not in after:
            yield _REMOVED, field, summary_of(limit), "none"
            continue
        now = after[limit.name]
        for member, was, is_now in _loosened(limit, now):
            yield _LOOSENED, f"{field}{member}", was, is_now


def detection_loosened(old: LoopDetectionConfig | None, new: LoopDetectionConfig | None) -> Iterator[LimitChange]:
    """Yield what loop detection lets through that it stopped before."""
    field = "spec.loopDetection"
    if old is None:
        return
    if new is None:
        yield _REMOVED, field, f"{old.action} after {old.repeats} in {Duration(old.window)}", "none"
        return
    if LOOP_ACTIONS.index(new.action) < LOOP_ACTIONS.index(old.action):
        yield _LOOSENED, f"{field}.action", old.action, new.action
    if new.repeats > old.repeats:
        yield _LOOSENED, f"{field}.repeats", str(old.repeats), str(new.repeats)
    if new.window < old.window:
        yield _LOOSENED, f"{field}.window", str(Duration(old.window)), str(Duration(new.window))
    if not covers(_rule(tools=new.tools), _rule(tools=old.tools)):
        yield _LOOSENED, f"{field}.tools", "more tools", "fewer or other tools"


def _loosened(old: LimitConfig, new: LimitConfig) -> Iterator[tuple[str, str, str]]:
    if _is_looser(old, new):
        yield "", summary_of(old), summary_of(new)
    for member, was, now in (
        (".concurrency", old.concurrency, new.concurrency),
        (".requestBytes", old.request_bytes, new.request_bytes),
        (".responseBytes", old.response_bytes, new.response_bytes),
    ):
        if was is not None and (now is None or now > was):
            size = str if member == ".concurrency" else _size
            yield member, size(was), size(now) if now is not None else "none"
    if _STRICTNESS.index(new.on_store_failure) < _STRICTNESS.index(old.on_store_failure):
        yield ".onStoreFailure", old.on_store_failure, new.on_store_failure
    if not _covers(new, old):
        yield "", f"counts {_selected(old)}", f"counts {_selected(new)}"
    if (old.per, old.claim) != (new.per, new.claim) and not set(new.per) <= set(old.per):
        yield ".per", ", ".join(old.per), ", ".join(new.per)
    if old.budget is not None and new.budget is not None and old.weights != new.weights:
        yield ".cost.weights", f"{len(old.weights or ())} weights", f"{len(new.weights or ())} other weights"


def _is_looser(old: LimitConfig, new: LimitConfig) -> bool:
    """Return whether more passes in a window, in the long run, or at once."""
    was, now = _amount(old), _amount(new)
    if was is None:
        return False
    if now is None or (old.budget is None) != (new.budget is None):
        return True
    in_the_long_run = now * _length(old) > was * _length(new)
    return now > was or in_the_long_run or _burst(new) > _burst(old)


def _amount(limit: LimitConfig) -> int | None:
    return limit.requests if limit.requests is not None else limit.budget


def _burst(limit: LimitConfig) -> int:
    return limit.burst if limit.burst is not None else _amount(limit) or 0


def _length(limit: LimitConfig) -> int:
    if limit.window is not None:
        return limit.window
    return _PERIODS[limit.period] if limit.period is not None else 1


def summary_of(limit: LimitConfig) -> str:
    """Return what a limit allows, in a few words."""
    parts = []
    amount = _amount(limit)
    if amount is not None:
        unit = "cost" if limit.requests is None else "request" if amount == 1 else "requests"
        window = str(Duration(limit.window)) if limit.window is not None else str(limit.period)
        parts.append(f"{amount} {unit} per {window}" + (f", burst {limit.burst}" if limit.burst is not None else ""))
    parts += [f"{limit.concurrency} in flight"] if limit.concurrency is not None else []
    parts += [f"requests of {_size(limit.request_bytes)}"] if limit.request_bytes is not None else []
    parts += [f"responses of {_size(limit.response_bytes)}"] if limit.response_bytes is not None else []
    return ", ".join(parts)


def _size(size: int) -> str:
    return str(Size(size))


def _covers(limit: LimitConfig, other: LimitConfig) -> bool:
    parts = [(each.tools, each.resources, each.prompts) for each in (limit, other)]
    rules = [_rule(tools=tools, resources=resources, prompts=prompts) for tools, resources, prompts in parts]
    return covers(*rules)


def _rule(
    *,
    tools: SelectionConfig | None = None,
    resources: SelectionConfig | None = None,
    prompts: SelectionConfig | None = None,
) -> AccessRuleConfig:
    """Return a rule of access with the same selection, which can be compared."""
    return AccessRuleConfig(name="limit", effect="Deny", tools=tools, resources=resources, prompts=prompts)


def _selected(limit: LimitConfig) -> str:
    found = []
    for primitive in ("tools", "resources", "prompts"):
        selection: SelectionConfig | None = getattr(limit, primitive)
        if selection is not None:
            names = [*(selection.names or ()), *(selection.patterns or ())]
            verbs = f"{', '.join(selection.verbs)} of " if selection.verbs is not None else ""
            found.append(f"{verbs}{primitive} {', '.join(names) or '*'}")
    return "; ".join(found) or "everything"
