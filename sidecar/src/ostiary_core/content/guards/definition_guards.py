"""Guard the definitions in a list: what tools, prompts and resources say of themselves.

Each item passes the guards of its own name. Hide and Block leave it out, and so does Strip where a name, a URI or a key
would have to be cut; Strip cuts texts. Annotate and Wrap put a note in front of the description: a list with random
boundaries could not be kept. What a name looks like is judged over the whole list.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.guards.compiled_guard import CompiledGuard
from ostiary_core.content.guards.guard_set import (
    Guarded,
    GuardSet,
    finding_of,
    findings_of,
    merged_findings,
)
from ostiary_core.content.guards.guard_words import meta_of, note
from ostiary_core.content.guards.look_alikes import CatalogueName, finding_look_alikes
from ostiary_core.content.guards.marked_places import Mark
from ostiary_core.content.guards.other_tools import OtherTools
from ostiary_core.content.places import ReadablePlace, collecting
from ostiary_core.contract.content import Direction
from ostiary_core.contract.guards import GuardAction, GuardDetector
from ostiary_core.exposed_names import Owned
from ostiary_core.steps import Steps

#: Texts in which names are looked for in one step.
_AT_ONCE: Final = 64
#: What was to be stripped and is still there cannot be cut.
_OUT: Final = (GuardAction.HIDE, GuardAction.BLOCK, GuardAction.STRIP)
_NOTED: Final = (GuardAction.ANNOTATE, GuardAction.WRAP)


@dataclass(slots=True)
class GuardedDefinitions:
    """The items of a list that are left, and what guards found."""

    items: list[dict[str, Any]]
    is_changed: bool = False
    findings: tuple[ContentFinding, ...] = ()


@dataclass(slots=True)
class _GuardedItem:
    """What was found in one item."""

    marks: list[Mark] = field(default_factory=list)
    #: Guards to which the name of the item is a look-alike.
    look_alike: list[CompiledGuard] = field(default_factory=list)

    @property
    def is_left_out(self) -> bool:
        """Whether the item does not stay in the list."""
        actions = [guard.action for guard in self.look_alike] + [mark.guard.action for mark in self.marks]
        return any(action in _OUT for action in actions)

    @property
    def noted(self) -> list[str]:
        """The detectors of which the description tells."""
        found = [str(mark.detector) for mark in self.marks if mark.guard.action in _NOTED]
        if any(guard.action in _NOTED for guard in self.look_alike):
            found.append(GuardDetector.LOOK_ALIKE)
        return found


def guarding_definitions(
    key: str,
    items: Sequence[dict[str, Any]],
    sets: Sequence[GuardSet | None],
    owners: Sequence[Owned | None] = (),
) -> Steps[GuardedDefinitions]:
    """Guard the items of a list, in steps; an item that stays is changed in place.

    ``key`` is the name of the list in its result, and ``sets`` holds the guards of each item. ``owners`` says whose
    each one is where servers are merged.
    """
    found = [_GuardedItem() for _ in items]
    findings: list[ContentFinding] = []
    is_changed = False
    for guards, places in _by_set(sets):
        done = yield from _marking(key, items, found, guards, places, owners)
        findings += done.findings
        is_changed |= done.is_changed
    findings += yield from _marking_look_alikes(items, sets, owners, found)
    kept = [item for item, each in zip(items, found, strict=True) if not each.is_left_out]
    is_changed |= len(kept) < len(items)
    for item, each in zip(items, found, strict=True):
        if not each.is_left_out:
            is_changed |= _annotate(item, each.noted)
    return GuardedDefinitions(kept, is_changed, tuple(findings))


def guarding_introduction(message: dict[str, Any], guards: GuardSet) -> Steps[Guarded]:
    """Guard in place what a server says when a session begins, in steps.

    Its instructions are left out where an item would be: without them a session works.
    """
    if not guards.looks_at(Direction.DEFINITIONS):
        return Guarded()
    done = Guarded()
    places = yield from collecting(message)
    found = _GuardedItem((yield from guards.settling(message, places, Direction.DEFINITIONS, done)))
    result = message.get("result")
    if not found.marks or type(result) is not dict:
        return done
    if found.is_left_out and "instructions" in result:
        done.is_changed |= bool(result.pop("instructions"))
    elif found.noted and type(result.get("instructions")) is str:
        result["instructions"] = f"{note(found.noted)}\n{result['instructions']}"
        done.is_changed = True
    return done


def _by_set(sets: Sequence[GuardSet | None]) -> list[tuple[GuardSet, list[int]]]:
    """Return the sets that look at definitions, each with the places of its items."""
    found: dict[int, tuple[GuardSet, list[int]]] = {}
    for place, each in enumerate(sets):
        if each is not None and each.looks_at(Direction.DEFINITIONS):
            found.setdefault(id(each), (each, []))[1].append(place)
    return list(found.values())


def _marking(
    key: str,
    items: Sequence[dict[str, Any]],
    found: list[_GuardedItem],
    guards: GuardSet,
    places: Sequence[int],
    owners: Sequence[Owned | None],
) -> Steps[Guarded]:
    """Cut and note what the guards of one set find in its items."""
    message = {"result": {key: [items[place] for place in places]}}
    texts = yield from collecting(message)
    done = Guarded()
    marks = yield from guards.settling(message, texts, Direction.DEFINITIONS, done)
    if owners and guards.mention_guards:
        others = OtherTools(zip((_named(item).name for item in items), owners, strict=True))
        mentions = yield from _mentioning(
            (yield from collecting(message)), others, guards, [owners[place] for place in places]
        )
        done.findings = merged_findings(done.findings, findings_of(mentions, Direction.DEFINITIONS))
        marks += [mark for mark in mentions if not mark.guard.scope.is_shadow]
    for mark in marks:
        found[places[int(mark.part.place.full_trail[2])]].marks.append(mark)
    return done


def _mentioning(
    texts: Sequence[ReadablePlace], others: OtherTools, guards: GuardSet, owners: Sequence[Owned | None]
) -> Steps[list[Mark]]:
    """Return where definitions speak of the tools of another server than their own."""
    marks: list[Mark] = []
    for count, place in enumerate(texts):
        owner = owners[int(place.full_trail[2])] if len(place.full_trail) > 2 else None
        if owner is not None:
            for part in others.mentioned(place, owner):
                marks += [Mark(guard, GuardDetector.COERCION, part) for guard in guards.mention_guards]
        if count % _AT_ONCE == 0:
            yield
    return marks


def _marking_look_alikes(
    items: Sequence[dict[str, Any]],
    sets: Sequence[GuardSet | None],
    owners: Sequence[Owned | None],
    found: list[_GuardedItem],
) -> Steps[list[ContentFinding]]:
    """Note which names look like another one, where a guard asks for it."""
    if not any(each is not None and each.look_alike_guards for each in sets):
        return []
    counts: dict[CompiledGuard, int] = {}
    for place in (yield from _look_alikes(items, owners)):
        guards = sets[place]
        for guard in guards.look_alike_guards if guards is not None else ():
            counts[guard] = counts.get(guard, 0) + 1
            if not guard.scope.is_shadow:
                found[place].look_alike.append(guard)
    detector = GuardDetector.LOOK_ALIKE
    return [finding_of(guard, detector, Direction.DEFINITIONS, count) for guard, count in counts.items()]


def _look_alikes(items: Sequence[dict[str, Any]], owners: Sequence[Owned | None]) -> Steps[list[int]]:
    """Return the places of look-alikes, by the names of callers and by those of servers."""
    catalogue = [_named(item) for item in items]
    found = yield from finding_look_alikes(catalogue)
    if not owners:
        return found
    own = [each._replace(name=owner.name) if owner else each for each, owner in zip(catalogue, owners, strict=True)]
    return sorted({*found, *(yield from finding_look_alikes(own))})


def _named(item: dict[str, Any]) -> CatalogueName:
    name, description = item.get("name"), item.get("description")
    return CatalogueName(name if type(name) is str else "", description if type(description) is str else "")


def _annotate(item: dict[str, Any], detectors: Sequence[str]) -> bool:
    """Write a note in front of a description; return whether there is anything to note."""
    if not detectors:
        return False
    description = item.get("description")
    words = note(detectors)
    item["description"] = f"{words}\n{description}" if type(description) is str else words
    item["_meta"] = meta_of(detectors, item.get("_meta"))
    return True
