"""What a schema costs at worst, found before the engine gets it.

Two kilobytes of schema can cost the engine hours: definitions that each refer twice to the next are a billion
evaluations of one value, and ``unevaluatedProperties`` quadruple the work of compiling with each level. So our own walk
expands every reference, as the engine does, and stops at a bound. A schema that refers to itself is followed once: the
engine keeps what it found for a value. The price is never too low; it is too high where branches exclude each other.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from ostiary_core.json_schema.faults import UncheckableSchemaError
from ostiary_core.json_schema.keyword_weights import (
    CHOICES,
    EACH_PATTERN,
    IN_PLACE,
    PATTERN,
    REFERENCES,
    UNEVALUATED,
    WITHIN,
    schemas_of,
    steps_of,
    weight_of,
)
from ostiary_core.json_schema.references import SchemaReferences, refuse_embedded

#: The largest schema, in bytes of JSON.
MOST_BYTES: Final = 64 * 1024
#: The deepest schema, with its references expanded.
DEEPEST: Final = 32
#: The most that a schema may cost, in evaluations of a schema without keywords.
MOST_COST: Final = 20_000


class SchemaPrice:
    """What a schema, or a part of one, costs at worst.

    ``cost`` is what compiling it costs: one for each schema, with references expanded. ``evaluations`` is the most that
    one value costs, at any depth. ``steps`` is what patterns cost for one byte of a text, ``height`` the number
    of its levels. ``in_place`` is the part of
    ``evaluations`` for the value that the schema itself applies to, ``below`` that for values within.
    """

    __slots__ = ("below", "cost", "height", "in_place", "steps")

    def __init__(self) -> None:
        self.cost = self.in_place = self.height = 1
        self.below = 0
        self.steps = 0

    @property
    def evaluations(self) -> int:
        """The most units that one value costs."""
        return max(self.in_place, self.below)

    def apply(self, other: "SchemaPrice") -> None:
        """Add a schema that applies to the same value."""
        self.in_place += other.in_place
        self.below += other.below
        self._add(other)

    def apply_within(self, other: "SchemaPrice") -> None:
        """Add a schema that applies to values within."""
        self.below += other.evaluations
        self._add(other)

    def apply_choices(self, others: list["SchemaPrice"]) -> None:
        """Add schemas of which one applies to each value within."""
        self.below += max((each.evaluations for each in others), default=0)
        for each in others:
            self._add(each)

    def weigh(self, units: int) -> None:
        """Add what the schema's own keywords cost."""
        self.cost += units
        self.in_place += units

    def add_pattern(self, pattern: str) -> None:
        """Add a pattern that texts are compared with."""
        self.cost += PATTERN
        self.steps += steps_of(pattern)

    def double(self) -> None:
        """Count everything twice."""
        self.cost *= 2
        self.in_place *= 2
        self.below *= 2
        self.steps *= 2

    def _add(self, other: "SchemaPrice") -> None:
        self.cost += other.cost
        self.height = max(self.height, other.height + 1)
        self.steps += other.steps


#: The price of a schema that is being followed already.
_KNOWN: Final = SchemaPrice()


def price_of(schema: Mapping[str, Any]) -> tuple[SchemaPrice, Mapping[str, SchemaPrice]]:
    """Return the price of a schema, and that of each of its properties.

    Raises:
        UncheckableSchemaError: it is too large, too deep or too costly, or refers to what is not within it.
    """
    _refuse_large(schema)
    walk = _PriceWalk(schema)
    whole = walk.price(schema)
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return whole, {}
    return whole, {name: walk.price(each) for name, each in properties.items()}


class _PriceWalk:
    """Prices the schemas of one document."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._references = SchemaReferences(root)
        self._left = MOST_COST
        self._depth = 0
        self._followed: dict[int, int] = {}
        #: What was priced without meeting a schema that is being followed: it costs the same at every place.
        self._priced: dict[int, SchemaPrice] = {}
        #: The outermost level of a schema that was met again while it was being followed.
        self._met = DEEPEST

    def price(self, schema: Any) -> SchemaPrice:
        """Return the price of one schema.

        Raises:
            UncheckableSchemaError: it cannot be used.
        """
        if isinstance(schema, bool):
            return SchemaPrice()
        identity = id(schema)
        if identity in self._followed:
            self._met = min(self._met, self._followed[identity])
            return _KNOWN
        found = self._priced.get(identity)
        if found is None:
            found = self._entered(identity, schema)
        if self._depth + found.height > DEEPEST:
            raise _too_deep()
        return found

    def _entered(self, identity: int, schema: Any) -> SchemaPrice:
        if not isinstance(schema, dict):
            raise UncheckableSchemaError("holds a value where a schema must be")
        if self._depth >= DEEPEST:
            raise _too_deep()
        if schema is not self._root:
            refuse_embedded(schema)
        outer, self._met = self._met, DEEPEST
        self._followed[identity] = self._depth
        self._depth += 1
        found = self._sum(schema)
        self._depth -= 1
        del self._followed[identity]
        if self._met >= self._depth:  # it met no schema that is still being followed
            self._priced[identity] = found
            self._met = DEEPEST
        self._met = min(self._met, outer)
        return found

    def _sum(self, schema: dict[str, Any]) -> SchemaPrice:
        price = SchemaPrice()
        for keyword, value in schema.items():
            self._spend()
            if keyword in REFERENCES:
                for target in self._references.targets(value):
                    price.apply(self.price(target))
            elif keyword in IN_PLACE:
                for each in schemas_of(keyword, value):
                    price.apply(self.price(each))
            elif keyword in CHOICES:
                price.apply_choices([self.price(each) for each in schemas_of(keyword, value)])
            else:
                self._add_within(price, keyword, value)
            price.weigh(weight_of(keyword, value))
        if not UNEVALUATED.isdisjoint(schema):
            price.double()
        if price.cost > MOST_COST:
            raise _too_costly()
        return price

    def _add_within(self, price: SchemaPrice, keyword: str, value: Any) -> None:
        if keyword == "pattern":
            price.add_pattern(value if isinstance(value, str) else "")
        elif keyword == "patternProperties" and isinstance(value, dict):
            for pattern, each in value.items():
                price.add_pattern(pattern)
                price.apply_within(self.price(each))
                price.below += EACH_PATTERN
        elif keyword in WITHIN:
            for each in schemas_of(keyword, value):
                price.apply_within(self.price(each))

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _too_costly()


def _too_deep() -> UncheckableSchemaError:
    return UncheckableSchemaError(f"nests deeper than {DEEPEST} levels")


def _too_costly() -> UncheckableSchemaError:
    return UncheckableSchemaError("costs too much to check")


def _refuse_large(schema: Mapping[str, Any]) -> None:
    try:
        size = len(orjson.dumps(schema))
    except TypeError:  # a lone surrogate, a number beyond 64 bits, too deep
        raise UncheckableSchemaError("is not JSON that every reader reads alike") from None
    if size > MOST_BYTES:
        raise UncheckableSchemaError(f"is larger than {MOST_BYTES} bytes")
