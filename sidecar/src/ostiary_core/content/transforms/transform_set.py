"""All transformations of what a message names, done together.

Their order does not matter: no two change the same place, and all expressions read the message as it came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.transforms.compiled_transform import CompiledTransform, PlaceChanges
from ostiary_core.content.transforms.json_places import has_value, with_value, without_value
from ostiary_core.contract.content import Direction
from ostiary_core.errors import TransformError
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.value_expression import MessageValues

#: The longest value of a header, in characters.
_HEADER_LENGTH: Final = 4096


class TransformRules(Protocol):
    """The rules of what a message names, as far as they are read."""

    @property
    def transforms(self) -> Sequence[CompiledTransform]:
        """The transformations among them."""


@dataclass(frozen=True, slots=True)
class TransformedHeaders:
    """The headers that a server gets besides those of the gateway.

    ``values`` are set; ``defaults`` where the caller sent none of that name, whose own is passed on otherwise. A header
    in ``removed`` is not sent.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()

    def given(self, callers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers, for a caller that sent ``callers``."""
        defaults = {name: callers.get(name, value) for name, value in self.defaults.items()}
        return {name: each for name, each in {**defaults, **self.values}.items() if name not in self.removed}


class TransformSet:
    """The transformations among some rules.

    Those in Shadow mode are only counted: :attr:`shadows` are their findings in each direction.
    """

    __slots__ = ("_enforced", "changes_arguments", "changes_headers", "changes_results", "reads_call", "shadows")

    def __init__(self, rules: TransformRules) -> None:
        self._enforced = [each for each in rules.transforms if not each.scope.is_shadow]
        self.changes_arguments = any(each.arguments is not None for each in self._enforced)
        self.changes_headers = any(each.headers is not None for each in self._enforced)
        self.changes_results = any(each.results is not None for each in self._enforced)
        #: Whether results depend on the request, which must be kept until then.
        self.reads_call = any(
            expression.reads_message
            for each in self._enforced
            if each.results is not None
            for expression in each.results.expressions
        )
        shadow = [each for each in rules.transforms if each.scope.is_shadow]
        self.shadows: Mapping[Direction, tuple[ContentFinding, ...]] = {
            Direction.ARGUMENTS: tuple(_finding(each, Direction.ARGUMENTS) for each in shadow if each.is_of_request),
            Direction.RESULTS: tuple(_finding(each, Direction.RESULTS) for each in shadow if each.results is not None),
        }

    def arguments(self, arguments: Any, call: Call) -> Any:
        """Return the arguments as they travel: the same object where nothing changes.

        Raises:
            TransformError: a value cannot be made or put into its place.
        """
        values = MessageValues(call)
        for each in self._enforced:
            if each.arguments is not None:
                arguments = _changed(arguments, each.arguments, values, drops_variants=True)
        return arguments

    def headers(self, call: Call) -> TransformedHeaders | None:
        """Return the headers of a request; None where there are none.

        Raises:
            TransformError: a value cannot be made, or cannot stand in a header.
        """
        values = MessageValues(call)
        found: dict[str, str] = {}
        defaults: dict[str, str] = {}
        removed: frozenset[str] = frozenset()
        for each in self._enforced:
            if each.headers is None:
                continue
            found.update((name, _text(name, expression.evaluate(values))) for name, expression in each.headers.set)
            defaults.update((name, _text(name, made.evaluate(values))) for name, made in each.headers.default)
            removed |= each.headers.remove
        return TransformedHeaders(found, defaults, removed) if found or defaults or removed else None

    def result(self, result: Mapping[str, Any], call: Call) -> Any:
        """Return a result as its caller gets it: the same object where nothing changes.

        Raises:
            TransformError: a value cannot be made or put into its place.
        """
        values = MessageValues(call, result)
        changed: Any = result
        for each in self._enforced:
            if each.results is not None:
                changed = _changed(changed, each.results, values, drops_variants=False)
        return changed

    def removed(self, result: Mapping[str, Any]) -> Any:
        """Return a result without what any of them removes: the same object where that is nothing."""
        changed: Any = result
        for each in self._enforced:
            for place in each.results.remove if each.results is not None else ():
                changed = without_value(changed, place)
        return changed


def _changed(document: Any, changes: PlaceChanges, values: MessageValues, *, drops_variants: bool) -> Any:
    for place in changes.remove:
        document = without_value(document, place, drops_variants=drops_variants)
    for place, expression in changes.default:
        if not has_value(document, place):
            document = with_value(document, place, expression.evaluate(values))
    for place, expression in changes.set:
        document = with_value(document, place, expression.evaluate(values), drops_variants=drops_variants)
    return document


def _text(name: str, value: Any) -> str:
    is_sendable = isinstance(value, str) and len(value) <= _HEADER_LENGTH and value.isascii() and value.isprintable()
    if not is_sendable or value != value.strip(" "):
        words = f"the value of the header {name} must be visible ASCII of at most {_HEADER_LENGTH} characters"
        raise TransformError(words)
    return str(value)


def _finding(transform: CompiledTransform, direction: Direction) -> ContentFinding:
    scope = transform.scope
    return ContentFinding(scope.policy, scope.rule, "Transform", "Transform", direction, is_shadow=True)
