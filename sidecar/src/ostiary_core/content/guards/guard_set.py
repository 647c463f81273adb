"""All guards that apply to one message: what they find in it, and what becomes of it.

The texts of a message are joined and searched once for all guards that detect the same. Everything that is found
counts. Block refuses the message, and Hide withholds the item; else each guard that strips has its own finds cut out,
and what is left is wrapped where a guard wraps, or has a note in front where one annotates.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.guards.compiled_guard import CompiledGuard
from ostiary_core.content.guards.joined_texts import JoinedTexts, prose
from ostiary_core.content.guards.marked_places import Mark, act, grouped, is_refused, strip
from ostiary_core.content.guards.text_scanner import TextScanner
from ostiary_core.content.guards.truncation import is_structured_too_large, truncate
from ostiary_core.content.places import ReadablePlace, collecting
from ostiary_core.contract.content import Direction
from ostiary_core.contract.guards import GuardAction
from ostiary_core.steps import Steps

#: Rounds of cutting: one is enough for all that was not built to grow together again.
_ROUNDS: Final = 4
_TRUNCATE: Final = "Truncate"


class GuardRules(Protocol):
    """What a set is made of: the guards that apply to an item."""

    @property
    def guards(self) -> Sequence[CompiledGuard]:
        """The guards, of all policies."""


@dataclass(slots=True)
class Guarded:
    """What guards did to one message.

    ``is_blocked`` where one with Block found something: then the message must not pass. ``is_too_large`` where its
    structured content is longer than a guard lets pass: it cannot be cut.
    """

    is_changed: bool = False
    findings: tuple[ContentFinding, ...] = ()
    is_blocked: bool = False
    is_too_large: bool = False


class GuardSet:
    """The guards of one item, compiled."""

    def __init__(self, rules: GuardRules) -> None:
        self._guards = tuple(rules.guards)
        self._sides = {each: _scanners(self._guards, each) for each in Direction}

    def looks_at(self, direction: Direction) -> bool:
        """Return whether a guard looks at messages of a direction."""
        return any(direction in guard.directions for guard in self._guards)

    @property
    def look_alike_guards(self) -> list[CompiledGuard]:
        """Those that look for names which look like others."""
        return [each for each in self._guards if each.finds_look_alikes and Direction.DEFINITIONS in each.directions]

    @property
    def mention_guards(self) -> list[CompiledGuard]:
        """Those that look for definitions which speak of the tools of other servers."""
        return [each for each in self._guards if each.finds_mentions and Direction.DEFINITIONS in each.directions]

    def guarding(self, message: dict[str, Any], direction: Direction, *, boundary: Callable[[], str]) -> Steps[Guarded]:
        """Guard a parsed JSON-RPC message in place, in steps.

        ``boundary`` returns a new random one for Wrap.
        """
        guards = [guard for guard in self._guards if direction in guard.directions]
        if not guards:
            return Guarded()
        places = yield from collecting(message)
        done = Guarded()
        findings = list(_truncated(message, places, guards, done)) if direction is Direction.RESULTS else []
        marks = yield from self.settling(message, places, direction, done)
        done.findings = (*findings, *done.findings)
        if marks and not done.is_too_large:
            acted = act(message, marks, direction, boundary)
            done.is_blocked = acted.is_blocked
            done.is_changed |= acted.is_changed
        return done

    def settling(
        self, message: dict[str, Any], places: list[ReadablePlace], direction: Direction, done: Guarded
    ) -> Steps[list[Mark]]:
        """Cut out of a message what guards strip; return what is found that stays.

        That is done until nothing new appears: what stands around a cut may make a new instruction, or may
        have been hidden until then. After some rounds what is still to be cut is returned, and must not pass. Findings
        and changes are noted in ``done``.
        """
        left: list[Mark] = []
        for _ in range(_ROUNDS):
            marks = yield from self.marking(places, direction)
            done.findings = merged_findings(done.findings, findings_of(marks, direction))
            left = [mark for mark in marks if not mark.guard.scope.is_shadow]
            if is_refused(left) or not strip(grouped(left), direction):
                break
            done.is_changed = True
            places = yield from collecting(message)
        return left

    def marking(self, places: Sequence[ReadablePlace], direction: Direction) -> Steps[list[Mark]]:
        """Return what the guards find in places of a message."""
        marks: list[Mark] = []
        joined = yield from JoinedTexts.joining(places)
        for scanner, guards in self._sides[direction]:
            for hit in (yield from scanner.scanning(joined.text)):
                for part in joined.parts(hit.start, hit.end):
                    marks.extend(Mark(guard, hit.detector, part) for guard in guards)
        for guard in self._guards:
            if guard.wraps_all and direction in guard.directions:
                marks.extend(Mark(guard, GuardAction.WRAP, part) for part in prose(places))
        return marks


def _scanners(guards: Sequence[CompiledGuard], direction: Direction) -> list[tuple[TextScanner, list[CompiledGuard]]]:
    """Return the scanners of a direction, each with the guards that use it."""
    found: dict[int, tuple[TextScanner, list[CompiledGuard]]] = {}
    for guard in guards:
        scanner = guard.scanners.get(direction)
        if scanner is not None:
            found.setdefault(id(scanner), (scanner, []))[1].append(guard)
    return list(found.values())


def _truncated(
    message: dict[str, Any], places: list[ReadablePlace], guards: list[CompiledGuard], done: Guarded
) -> Iterator[ContentFinding]:
    """Cut the texts of a result as the guards say; yield the findings."""
    for guard in guards:
        limit, is_shadow = guard.truncate_bytes, guard.scope.is_shadow
        if limit is None:
            continue
        is_too_large = is_structured_too_large(message, limit)
        count = truncate(places, limit, is_shadow=is_shadow)
        if not is_shadow:
            done.is_too_large |= is_too_large
            done.is_changed |= count > 0
        if count or is_too_large:
            yield finding_of(guard, _TRUNCATE, Direction.RESULTS, count + is_too_large, action=_TRUNCATE)


def findings_of(marks: Iterable[Mark], direction: Direction) -> Iterator[ContentFinding]:
    """Yield what was found, once for each guard and detector, with the number of places."""
    for (guard, detector), count in Counter((mark.guard, mark.detector) for mark in marks).items():
        yield finding_of(guard, detector, direction, count)


def merged_findings(known: tuple[ContentFinding, ...], new: Iterable[ContentFinding]) -> tuple[ContentFinding, ...]:
    """Return the findings of several rounds, each rule and detector once."""
    seen = {(each.policy, each.rule, each.detector) for each in known}
    return (*known, *(each for each in new if (each.policy, each.rule, each.detector) not in seen))


def finding_of(
    guard: CompiledGuard, detector: str, direction: Direction, count: int, *, action: str = ""
) -> ContentFinding:
    """Return the evidence of one guard."""
    return ContentFinding(
        policy=guard.scope.policy,
        rule=guard.scope.rule,
        detector=str(detector),
        action=action or str(guard.action),
        direction=direction,
        count=count,
        is_shadow=guard.scope.is_shadow,
    )
