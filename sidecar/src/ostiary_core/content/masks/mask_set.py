"""All masks that apply to one item: they mask messages, and values and texts of records.

Each place of a message is looked at on its own, decoded. What several masks find in one place is one: where their hits
overlap, the strongest action is taken of all.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.masks.directed_masks import DirectedMasks, directed, folded
from ostiary_core.content.masks.message_work import Masked, MessageWork
from ostiary_core.content.masks.tokens import MaskKeys
from ostiary_core.content.masks.unescaped_text import may_hide, unescaped
from ostiary_core.content.places import PlaceKind, collecting, values_of
from ostiary_core.contract.content import Direction
from ostiary_core.steps import Steps, run_steps

__all__ = ["MaskRules", "MaskSet", "Masked"]


class MaskRules(Protocol):
    """What a set is made of: the masks that apply to an item."""

    @property
    def masks(self) -> Sequence[CompiledMask]:
        """The masks, of all policies."""


class MaskSet:
    """The masks of one item, compiled.

    Raises:
        PatternError: the patterns together are too large.
    """

    def __init__(self, rules: MaskRules) -> None:
        masks = tuple(rules.masks)
        self._sides = {each: directed(mask for mask in masks if each in mask.directions) for each in Direction}
        # Most masks are for both directions: one search is enough then.
        sides = {(each.automaton, bool(each.fields)): each for each in self._sides.values() if each is not None}
        self._searched = tuple(sides.values())
        self._records = directed(masks)
        #: Whether no notification may pass about what these masks select.
        self.drops_notifications = any(mask.drops_notifications and not mask.scope.is_shadow for mask in masks)

    def may_match(self, text: bytes) -> bool:
        """Return whether a text of JSON could hold anything that a mask is about.

        One search, without a walk, which frees the interpreter's lock meanwhile.
        """
        return any(side.may_match_json(text) for side in self._searched)

    def holds_nothing(self, text: bytes) -> bool:
        """Return whether a text of JSON certainly holds nothing, and no number out of range.

        That takes one search.
        """
        return all(side.holds_nothing(text) for side in self._searched)

    def masking(self, message: dict[str, Any], direction: Direction, keys: MaskKeys | None = None) -> Steps[Masked]:
        """Mask a parsed JSON-RPC message in place, in steps."""
        side = self._sides[direction]
        if side is None:
            return Masked()
        places = yield from collecting(message)
        work = MessageWork(side, direction, keys)
        work.force(_root_of_fields(message, direction), side.fields)
        if not work.is_forced and not side.structured_fields and not (yield from side.may_match_some(places)):
            return work.masked
        yield from work.judging(places)
        masked = yield from work.finishing(message)
        return masked

    def crosses(self, before: str, after: str) -> bool:
        """Return whether a value begins at the end of one text and ends in the next one.

        For what was sent in parts, of which the first has gone out already. Only masks of results that are enforced
        count.
        """
        side = self._sides[Direction.RESULTS]
        if side is None:
            return False
        text, join = before + after, len(before)
        if _crosses(side, text, join):
            return True
        seen = unescaped(text, is_uri=False) if may_hide(text, is_uri=False) else None
        return seen is not None and _crosses(side, seen.text, seen.seen(join))

    def value(self, value: Any) -> Any:
        """Return a value as records show it; an object or list is changed in place.

        Fields are looked up from the value itself: it is the arguments of a request, or a result.
        """
        if self._records is None:
            return value
        holder = {"": value}
        work = MessageWork(self._records, Direction.RESULTS, is_record=True)
        work.force(value, self._records.fields)
        run_steps(
            work.judging(
                [place for place in values_of(holder) if place.kind is not PlaceKind.KEY or place.holder is not holder]
            )
        )
        run_steps(work.finishing(holder))
        return holder[""]

    def text(self, text: str) -> str:
        """Return a text as records show it."""
        return str(self.value(text))


def _crosses(side: DirectedMasks, text: str, join: int) -> bool:
    plain = folded(text)
    place = len(plain[:join].encode("utf-8", "replace"))
    return any(
        hit.start < place < hit.end and any(not mask.scope.is_shadow for mask in side.owners[hit.detector])
        for hit in side.automaton.find(plain.encode("utf-8", "replace"))
    )


def _root_of_fields(message: dict[str, Any], direction: Direction) -> Any:
    """Return what the pointers of masks begin at: the arguments of a request, or a result."""
    if direction is not Direction.ARGUMENTS:
        return message.get("result")
    params = message.get("params")
    return params.get("arguments") if type(params) is dict else None
