"""The rules about content of one proxy, and which of them one message has to pass.

A message about a tool, resource or prompt passes the rules that match its name. One that does not say what it is about
passes every rule that could match: a resumed stream, a task, a log message.

Messages with the same rules share one :class:`ItemRules`, which keeps what is compiled from all of them together.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar, cast

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.content.guards.compiled_guard import CompiledGuard
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.policy_content import PolicyContentRules
from ostiary_core.content.rule_scope import RuleScope, ScopedRule
from ostiary_core.content.transforms.compiled_transform import CompiledTransform
from ostiary_core.content.validations.compiled_validation import CompiledValidation
from ostiary_core.errors import AmbiguousURIError
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.cost_limits import length_of, name_limit
from ostiary_core.policy.decision_cache import DECISIONS, Memo
from ostiary_core.policy.exposed_readings import readings_of
from ostiary_core.policy.principal_conditions import PrincipalConditions

Made = TypeVar("Made")

#: Which rules are for one caller, by their places in :attr:`ContentRules.rules`.
ContentStates: TypeAlias = tuple[int, ...]

#: The different sets of rules that one proxy keeps, with what was compiled from each.
_SETS: Final = 256
_UNKNOWN: Final = object()


class ItemRules:
    """The rules that one message has to pass, of every kind.

    ``places`` are those in the rules of the proxy, by which equal sets are recognised.
    """

    __slots__ = ("_made", "_sets", "guards", "is_for_servers", "masks", "places", "transforms", "validations")

    def __init__(self, sets: "_RuleSets", places: ContentStates) -> None:
        self.places = places
        self._sets = sets
        self._made: dict[Callable[[ItemRules], Any], Any] = {}
        rules = [sets.rules[place] for place in places]
        self.masks = tuple(rule for rule in rules if isinstance(rule, CompiledMask))
        self.guards = tuple(rule for rule in rules if isinstance(rule, CompiledGuard))
        self.transforms = tuple(rule for rule in rules if isinstance(rule, CompiledTransform))
        self.validations = tuple(rule for rule in rules if isinstance(rule, CompiledValidation))
        #: Whether a rule is for some servers only.
        self.is_for_servers = any(rule.scope.servers is not None for rule in rules)

    def kept(self, make: "Callable[[ItemRules], Made]") -> Made:
        """Return what ``make`` compiles from these rules, from the first time on."""
        if make not in self._made:
            self._made[make] = make(self)
        return cast("Made", self._made[make])

    def towards(self, servers: frozenset[str]) -> "ItemRules | None":
        """Return those of the rules that are for messages from or to one of these servers."""
        if not self.is_for_servers:
            return self
        return self._sets.of(place for place in self.places if self._sets.scope(place).is_towards(servers))


class _RuleSets:
    """All rules of one proxy, and the sets of them that messages have to pass."""

    def __init__(self, rules: Sequence[ScopedRule]) -> None:
        self.rules = rules
        self._sets: dict[ContentStates, ItemRules] = {}

    def scope(self, place: int) -> RuleScope:
        return self.rules[place].scope

    def of(self, places: Iterable[int]) -> ItemRules | None:
        """Return a set; None where it is empty."""
        key = tuple(places)
        if not key:
            return None
        found = self._sets.get(key)
        if found is None:
            if len(self._sets) >= _SETS:
                del self._sets[next(iter(self._sets))]
            found = self._sets[key] = ItemRules(self, key)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class ContentRules:
    """The rules about content of one proxy, or those of them that are for one caller.

    ``names`` are those of a proxy that merges servers, None at any other.
    """

    names: CatalogueNames | None
    places: ContentStates
    _sets: _RuleSets
    _memo: "Memo[tuple[Primitive, str], ItemRules | None]" = field(default_factory=Memo, repr=False)

    @classmethod
    def build(
        cls, contents: Iterable[PolicyContentRules | None], names: CatalogueNames | None
    ) -> "ContentRules | None":
        """Join the rules of the policies of a proxy; None where there are none."""
        rules = [each for content in contents if content is not None for each in content.rules()]
        return cls(names, tuple(range(len(rules))), _RuleSets(rules)) if rules else None

    @property
    def depends_on_caller(self) -> bool:
        """Whether a rule is for some callers only."""
        return any(self._sets.scope(place).subjects is not None for place in self.places)

    def states(self, known: PrincipalConditions) -> ContentStates:
        """Decide which rules are for a caller."""
        return tuple(place for place in self.places if self._sets.scope(place).governs(known))

    def specialised(self, states: ContentStates) -> "ContentRules | None":
        """Return the rules for the callers with these states; None where there are none."""
        if states == self.places:
            return self
        return ContentRules(self.names, states, self._sets) if states else None

    def of(self, primitive: Primitive, name: str) -> ItemRules | None:
        """Return the rules that messages about a name have to pass; None where there are none."""
        key = (primitive, name)
        found: Any = self._memo.get(key, _UNKNOWN)
        if found is _UNKNOWN:
            found = self._matching(primitive, name)
            DECISIONS.keep(self._memo, key, found, name=name)
        return cast("ItemRules | None", found)

    def of_primitive(self, primitive: Primitive) -> ItemRules | None:
        """Return the rules for a message about a name that is not known.

        That is all of its primitive that could match.
        """
        return self._sets.of(place for place in self.places if self._sets.scope(place).may_match(primitive))

    def unnamed(self) -> ItemRules | None:
        """Return the rules for a message that does not say what it is about, which are all."""
        return self._sets.of(self.places)

    def _matching(self, primitive: Primitive, name: str) -> ItemRules | None:
        scopes = [(place, self._sets.scope(place)) for place in self.places]
        size = sum(scope.size(primitive) for _, scope in scopes)
        try:
            readings = readings_of(primitive, name, self.names)
        except AmbiguousURIError:
            return self.of_primitive(primitive)
        limit = name_limit(size)
        if readings is None or any(length_of(each) > limit for each in readings.looked_up + readings.ends_at):
            return self.of_primitive(primitive)
        return self._sets.of(place for place, scope in scopes if scope.matches(primitive, readings))
