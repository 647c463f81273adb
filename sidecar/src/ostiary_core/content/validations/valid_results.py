"""A structured result that a mask has changed, made valid for its client.

Clients refuse a result that does not match its ``outputSchema`` (specification, Tools), so a mask must not make one of
these. For each place that was changed, candidates are tried: the masked text, one of the same length, the zero of the
type that the schema takes there, and no member at all where it may be absent. Where none is valid, there is no result.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from ostiary_core.json_schema.coercion import ValuePath, types_at
from ostiary_core.json_schema.compiled_schema import SchemaVerdict
from ostiary_core.json_schema.schema_check import SchemaCheck
from ostiary_core.steps import Steps, run_steps

#: Verdicts that one result may take.
_MOST_TRIALS: Final = 64
_ZEROS: Final[tuple[tuple[str, Callable[[], Any]], ...]] = (
    ("null", lambda: None),
    ("string", str),
    ("integer", int),
    ("number", int),
    ("boolean", bool),
    ("array", list),
    ("object", dict),
)
#: In place of a candidate: there is no member any more.
_ABSENT: Final = object()


class ChangedPlace(NamedTuple):
    """A place in a structured result that was changed.

    ``path`` leads to it from the root of the result; ``same_length`` is a masked text as long as what it replaces.
    """

    path: ValuePath
    same_length: Any


def made_valid(value: Any, check: SchemaCheck, places: Sequence[ChangedPlace]) -> bool:
    """Change a masked result in place until it is valid; return whether it is.

    A result that cannot be checked counts as valid: its client checks it with more patience, or not at all.
    """
    return run_steps(becoming_valid(value, check, places))


def becoming_valid(value: Any, check: SchemaCheck, places: Sequence[ChangedPlace]) -> Steps[bool]:
    """Do the same in steps of one verdict each, which may take milliseconds."""
    left = _groups(check, places)
    for _ in range(_MOST_TRIALS):
        if check.compiled.verdict(value) is not SchemaVerdict.INVALID:
            return True
        yield
        group = _next(left, check.words.first_fault(value))
        if group is None:
            return False
        group.advance(value)
        yield
    return False


class _Group:
    """Places at the same place of the schema, which differ by the numbers of items only."""

    def __init__(self, shape: ValuePath, candidates: Iterator[Any]) -> None:
        self.shape = shape
        self.places: list[ChangedPlace] = []
        self.is_exhausted = False
        self._candidates = candidates

    def advance(self, value: Any) -> None:
        """Put the next candidate at each place."""
        candidate = next(self._candidates, self)
        self.is_exhausted = candidate is _ABSENT or candidate is self
        for place in self.places if candidate is not self else ():
            _put(value, place.path, place.same_length if candidate is None else candidate)


def _groups(check: SchemaCheck, places: Sequence[ChangedPlace]) -> list[_Group]:
    groups: dict[ValuePath, _Group] = {}
    for place in places:
        shape = _shape(place.path)
        if place.path and shape not in groups:
            groups[shape] = _Group(shape, _candidates(check, place.path))
        if place.path:
            groups[shape].places.append(place)
    return list(groups.values())


def _candidates(check: SchemaCheck, path: ValuePath) -> Iterator[Any]:
    """Yield what may stand at a place; None is the masked text of the same length."""
    types = types_at(check.compiled.schema, path)
    if "string" in types:
        yield None
    for name, zero in _ZEROS:
        if name in types:
            yield _Zero(zero)
    yield _ABSENT


class _Zero:
    """Makes the zero of a type, a new one for each place."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def _next(groups: list[_Group], fault: ValuePath | None) -> _Group | None:
    """Return the places that are changed next.

    Those are the places of the fault, or else the first that have candidates.
    """
    open_groups = [group for group in groups if not group.is_exhausted]
    if fault is not None:
        shape = _shape(fault)
        for group in open_groups:
            size = min(len(shape), len(group.shape))
            if shape[:size] == group.shape[:size]:
                return group
    return open_groups[0] if open_groups else None


def _shape(path: ValuePath) -> ValuePath:
    return tuple(step if isinstance(step, str) else 0 for step in path)


def _put(value: Any, path: ValuePath, candidate: Any) -> None:
    """Put a candidate at a place, if that is still there."""
    *steps, last = path
    for step in steps:
        value = _inner(value, step)
    if not isinstance(value, dict | list) or _inner(value, last) is _ABSENT:
        return
    holder: Any = value
    if candidate is not _ABSENT:
        holder[last] = candidate.make() if isinstance(candidate, _Zero) else candidate
    elif isinstance(holder, dict):
        del holder[last]


def _inner(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step, _ABSENT)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return _ABSENT
