"""One transformation, compiled: its places with their expressions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.content.transforms.header_names import refused_header
from ostiary_core.content.transforms.json_places import concern_the_same, shown
from ostiary_core.contract.transforms import HeaderChangesConfig, PlaceChangesConfig, TransformConfig
from ostiary_core.errors import ExpressionError, PatternError
from ostiary_core.policy.value_expression import ValueExpression

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlaceChanges:
    """What changes in one JSON document."""

    set: tuple[tuple[Place, ValueExpression], ...] = ()
    default: tuple[tuple[Place, ValueExpression], ...] = ()
    remove: tuple[Place, ...] = ()

    @classmethod
    def build(cls, config: PlaceChangesConfig | None, field: str, *, of_result: bool = False) -> Self | None:
        """Compile the changes of ``field``; None where there are none.

        Raises:
            ExpressionError: an expression is not valid.
        """
        if config is None:
            return None

        def compiled(name: str) -> tuple[tuple[Place, ValueExpression], ...]:
            given = getattr(config, name) or ()
            return tuple(
                (tuple(each.path), _compiled(each.value, f"{field}.{name}[{number}].value", of_result=of_result))
                for number, each in enumerate(given)
            )

        return cls(compiled("set"), compiled("default"), tuple(map(tuple, config.remove or ())))

    @property
    def places(self) -> Iterator[Place]:
        """All places that may change."""
        yield from (place for place, _ in self.set + self.default)
        yield from self.remove

    @property
    def expressions(self) -> Iterator[ValueExpression]:
        """All expressions."""
        return (expression for _, expression in self.set + self.default)


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """What changes in the headers that a server gets, by names in lower case."""

    set: tuple[tuple[str, ValueExpression], ...] = ()
    default: tuple[tuple[str, ValueExpression], ...] = ()
    remove: frozenset[str] = frozenset()

    @classmethod
    def build(cls, config: HeaderChangesConfig | None, field: str) -> Self | None:
        """Compile the changes of ``field``; None where there are none.

        Raises:
            ExpressionError: an expression is not valid.
            PatternError: a header is none that may be changed.
        """
        if config is None:
            return None
        for name in (*(each.name for each in (*(config.set or ()), *(config.default or ()))), *(config.remove or ())):
            if refused := refused_header(name):
                raise PatternError(f"{field}: {name[:128]!r} {refused}")

        def compiled(name: str) -> tuple[tuple[str, ValueExpression], ...]:
            given = getattr(config, name) or ()
            return tuple(
                (each.name, _compiled(each.value, f"{field}.{name}[{number}].value", is_text=True))
                for number, each in enumerate(given)
            )

        return cls(compiled("set"), compiled("default"), frozenset(config.remove or ()))

    @property
    def names(self) -> frozenset[str]:
        """All headers that may change."""
        return self.remove.union(name for name, _ in self.set + self.default)

    @property
    def expressions(self) -> Iterator[ValueExpression]:
        """All expressions."""
        return (expression for _, expression in self.set + self.default)


def _compiled(source: str, field: str, *, of_result: bool = False, is_text: bool = False) -> ValueExpression:
    try:
        return ValueExpression.compile(source, reads_result=of_result, is_text=is_text)
    except ExpressionError as error:
        raise error.within(field) from None


@dataclass(frozen=True, slots=True, eq=False)
class CompiledTransform:
    """One transformation with where it applies."""

    scope: RuleScope
    arguments: PlaceChanges | None
    headers: HeaderChanges | None
    results: PlaceChanges | None

    @classmethod
    def build(cls, config: TransformConfig, scope: RuleScope) -> Self:
        """Compile a transformation of the contract.

        Raises:
            ExpressionError: an expression is not valid.
            PatternError: a header is none that may be changed.
        """
        return cls(
            scope,
            PlaceChanges.build(config.arguments, "arguments"),
            HeaderChanges.build(config.headers, "headers"),
            PlaceChanges.build(config.results, "results", of_result=True),
        )

    @property
    def is_of_request(self) -> bool:
        """Whether it changes what a server gets."""
        return self.arguments is not None or self.headers is not None

    @property
    def weight(self) -> int:
        """The cost of its expressions, in instructions of patterns: what budgets count."""
        parts = (self.arguments, self.headers, self.results)
        return sum(expression.weight for part in parts if part is not None for expression in part.expressions)


#: The documents that a transformation changes, by the member of the spec.
_DOCUMENTS: Final = ("arguments", "results")


def common_place(first: TransformConfig, second: TransformConfig) -> str:
    """Return a place that both transformations may change, as the spec names it.

    It is empty where there is none. Of one transformation with itself: a place that it changes twice. Whether both
    apply to the same names and servers is another question.
    """
    for document in _DOCUMENTS:
        ours, theirs = (_places(getattr(each, document)) for each in (first, second))
        found = _common(ours, theirs, is_same=first is second)
        if found is not None:
            return f"{document}{shown(found)}"
    names, others = _names(first.headers), _names(second.headers)
    found_name = next((n for i, n in enumerate(names) if n in (others[i + 1 :] if first is second else others)), "")
    return f"header {found_name}" if found_name else ""


def _common(ours: Sequence[Place], theirs: Sequence[Place], *, is_same: bool) -> Place | None:
    for number, place in enumerate(ours):
        others = theirs[number + 1 :] if is_same else theirs
        if any(concern_the_same(place, other) for other in others):
            return place
    return None


def _places(config: PlaceChangesConfig | None) -> list[Place]:
    if config is None:
        return []
    given = [each.path for each in (*(config.set or ()), *(config.default or ()))]
    return [tuple(each) for each in (*given, *(config.remove or ()))]


def _names(config: HeaderChangesConfig | None) -> list[str]:
    if config is None:
        return []
    return [each.name for each in (*(config.set or ()), *(config.default or ()))] + list(config.remove or ())
