"""What a caller may see and use at one proxy.

That follows from the catalogue, the policies, and the default without policies. The request pipeline needs two answers:
may this caller use this name in this way? If not, may the caller know that the name exists?
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.content.content_rules import ContentRules, ContentStates
from ostiary_core.contract.documents import CatalogueConfig, EntryDocument
from ostiary_core.definitions.definition_rules import DefinitionRules
from ostiary_core.errors import AmbiguousURIError
from ostiary_core.mcp.methods import Primitive, Verb, primitives
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.catalogue import CatalogueMatcher, compile_catalogue
from ostiary_core.policy.compiled_policy import RuleStates
from ostiary_core.policy.cost_limits import STEPS, length_of, name_limit
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_core.policy.decision_cache import DECISIONS, Memo
from ostiary_core.policy.exposed_readings import most_readings, readings_of
from ostiary_core.policy.judgement import all_must_allow
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import Principal
from ostiary_core.policy.principal_conditions import PrincipalConditions
from ostiary_core.policy.principal_memo import PrincipalMemo
from ostiary_core.policy.schema_narrowing import narrowed
from ostiary_core.policy.uri_readings import Readings
from ostiary_core.policy.usable_names import NameJudge, is_taken_away, usable_servers

_NOT_IN_CATALOGUE: Final = Decision(False, DecisionReason.NOT_IN_CATALOGUE)
_AMBIGUOUS_URI: Final = Decision(False, DecisionReason.AMBIGUOUS_URI)
_NAME_TOO_LONG: Final = Decision(False, DecisionReason.NAME_TOO_LONG)
_NO_POLICY: Final = Decision(False, DecisionReason.NO_POLICY)
_POLICY_INVALID: Final = Decision(False, DecisionReason.POLICY_INVALID)

#: The different sets of grants that one proxy remembers.
_GRANTS: Final = 128


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Visibility:
    """The catalogue and the access of one proxy together.

    Compared by identity: what is derived from one is kept for its lifetime, and never used for another.

    ``refusal`` is the decision on everything where the policies are unusable (PolicyInvalid), or where there are none
    and the gateway's ``withoutPolicy`` is Deny (NoPolicy). ``shadow`` is what would be visible if the policies in
    Shadow mode were enforced, None where there are none.

    Where rules depend on the caller, :meth:`for_principal` returns what one caller may see and use. Where they also
    depend on the message (``needs_call``), :meth:`decide` needs a :class:`Call`; :meth:`would_deny` needs one where
    they do in ``shadow``.

    ``names`` are those of a proxy that merges servers. There a Deny rule and an excluded name apply to both forms of a
    name, everything else to the exposed one. A name that no server owns is not in the catalogue.
    """

    catalogue: dict[Primitive, CatalogueMatcher]
    access: AccessEvaluator
    refusal: Decision | None = None
    shadow: "Visibility | None" = None
    depends_on_caller: bool = False
    needs_call: bool = False
    #: Whether input schemas of tools are narrowed to the arguments that the caller may pass.
    narrows: bool = False
    names: CatalogueNames | None = None
    #: The masks, guards, transformations and validations that apply; None where there are none.
    content: ContentRules | None = None
    definitions: DefinitionRules | None = None  # what is pinned and overridden; None where nothing is
    _forms: int = 1
    #: The primitives for which deciding is more than a lookup in the rules, and the decisions on their names.
    _judged: frozenset[Primitive] = frozenset()
    _memo: Memo[tuple[Primitive, Verb, str], Decision] = field(default_factory=Memo, repr=False)
    _usable: dict[tuple[Primitive, Verb], frozenset[int]] = field(default_factory=dict, repr=False)
    _by_principal: "PrincipalMemo[Visibility]" = field(default_factory=PrincipalMemo, repr=False)
    #: Callers with the same grants share one visibility, with its caches.
    _by_states: "dict[tuple[RuleStates, RuleStates, ContentStates], Visibility]" = field(
        default_factory=dict, repr=False
    )

    @classmethod
    def of_entry(cls, entry: EntryDocument, access: AccessEvaluator) -> "Visibility":
        """Return what is visible at the proxy of a config entry, by the policies of ``access``.

        Raises:
            PatternError: the names of the catalogue together are too large.
            ContractError: the prefixes of its servers overlap.
        """
        names = CatalogueNames.of_entry(entry)
        rules, default = DefinitionRules.of_entry(entry), entry.without_policy
        return cls.build(
            entry.catalogue, access, default=default, invalid=entry.invalid, names=names, definitions=rules
        )

    @classmethod
    def build(
        cls, catalogue: CatalogueConfig | None, access: AccessEvaluator, *, default: str, invalid: bool,
        names: CatalogueNames | None = None, definitions: DefinitionRules | None = None,
    ) -> "Visibility":  # fmt: skip
        """Combine the parts of a config entry; ``default`` is the gateway's ``withoutPolicy``.

        Raises:
            PatternError: the names of the catalogue together are too large.
        """
        matchers = compile_catalogue(catalogue)
        enforced = [policy for policy in access.policies if not policy.is_shadow]
        refusal = _POLICY_INVALID if invalid else _NO_POLICY if not enforced and default == "Deny" else None
        content = ContentRules.build((policy.content for policy in access.policies), names)
        shadow = None if len(enforced) == len(access.policies) else cls._of(matchers, access, refusal, names=names)
        access = access if shadow is None else AccessEvaluator(enforced)
        return cls._of(matchers, access, refusal, shadow, names=names, content=content, definitions=definitions)

    @classmethod
    def _of(
        cls,
        catalogue: dict[Primitive, CatalogueMatcher],
        access: AccessEvaluator,
        refusal: Decision | None,
        shadow: "Visibility | None" = None,
        *,
        names: CatalogueNames | None,
        content: ContentRules | None = None,
        definitions: DefinitionRules | None = None,
        is_specialised: bool = False,
    ) -> "Visibility":
        judged = {*catalogue, *(() if access.is_open(Primitive.RESOURCES) else (Primitive.RESOURCES,))}
        if names is not None:
            judged = {*Primitive}
        has_conditions = access.depends_on_caller
        is_for_some = content is not None and content.depends_on_caller
        return cls(
            catalogue=catalogue,
            access=access,
            refusal=refusal,
            shadow=shadow,
            depends_on_caller=not is_specialised
            and (has_conditions or is_for_some or (shadow is not None and shadow.depends_on_caller)),
            needs_call=has_conditions,
            narrows=access.narrows,
            names=names,
            content=content,
            definitions=definitions,
            _forms=1 if names is None else 2,
            _judged=primitives(judged),
        )

    def for_principal(self, principal: Principal) -> "Visibility":
        """Return what one caller may see and use: this object if no rule depends on it."""
        if not self.depends_on_caller:
            return self
        return self._by_principal.of(principal, self._specialised)

    def _specialised(self, principal: Principal) -> "Visibility":
        known = PrincipalConditions(principal)
        shadowed = self.shadow.access.states(known) if self.shadow is not None else ()
        states = self.access.states(known), shadowed, self.content.states(known) if self.content is not None else ()
        found = self._by_states.get(states)
        if found is None:
            shadow = self.shadow._with_states(shadowed) if self.shadow is not None else None
            found = self._with_states(states[0], shadow, states[2])
            if len(self._by_states) >= _GRANTS:
                del self._by_states[next(iter(self._by_states))]
            self._by_states[states] = found
        return found

    def _with_states(
        self, states: RuleStates, shadow: "Visibility | None" = None, content: ContentStates = ()
    ) -> "Visibility":
        access = self.access.specialised(states)
        rules = self.content.specialised(content) if self.content is not None else None
        return self._of(
            self.catalogue, access, self.refusal, shadow,
            names=self.names, content=rules, definitions=self.definitions, is_specialised=True,
        )  # fmt: skip

    def decide(self, primitive: Primitive, verb: Verb, name: str, call: Call | None = None) -> Decision:
        """Return the decision on one name.

        For a URI or URI template, the decision on all its readings by servers. ``call`` is the message, for conditions
        that read it; without one they do not allow, and they deny. A list has no message: a conditional Allow shows a
        name there, and a conditional Deny does not hide it.
        """
        if self.refusal is not None:
            return self.refusal
        if primitive not in self._judged:
            decision = self.access.decide(primitive, verb, name)
        else:
            key = (primitive, verb, name)
            known = self._memo.get(key)
            if known is None:
                known = self._judge(primitive, verb, name)
                DECISIONS.keep(self._memo, key, known, name=name)
            decision = known
        return decision if decision.pending is None else decision.resolve(call)

    def could_allow(self, primitive: Primitive, verb: Verb, name: str) -> bool:
        """Return whether some message could use the name.

        For what a server sends outside of a response: there is no message to judge.
        """
        if self.decide(primitive, verb, name).allowed:
            return True
        return self.needs_call and self.refusal is None and self._judge(primitive, verb, name).allowed

    def would_deny(self, primitive: Primitive, verb: Verb, name: str, call: Call | None = None) -> Decision | None:
        """Return the refusal that policies in Shadow mode would cause, or None."""
        if self.shadow is None:
            return None
        decision = self.shadow.decide(primitive, verb, name, call)
        return decision if not decision.allowed else None

    def name_limit(self, primitive: Primitive) -> int:
        """Return the most bytes of a name, or of all readings of a URI, that can be judged."""
        return name_limit(self._size(primitive))

    def bytes_for_a_decision(self, primitive: Primitive) -> int | None:
        """Return how many bytes of names take the steps of one decision at its limit.

        It is None where they take none.
        """
        size = self._size(primitive) * self._forms
        return STEPS // size if size else None

    def costs_at_most(self, decisions: int, primitive: Primitive, names: Iterable[str]) -> bool:
        """Return whether judging these names takes at most the steps of ``decisions`` decisions."""
        return sum(map(length_of, names)) * self._size(primitive) * self._forms <= decisions * STEPS

    def _judge(self, primitive: Primitive, verb: Verb, name: str) -> Decision:
        limit = self.name_limit(primitive)
        if length_of(name) > limit:
            return _NAME_TOO_LONG
        try:
            readings = readings_of(primitive, name, self.names)
        except AmbiguousURIError:
            return _AMBIGUOUS_URI
        if readings is None:
            return _NOT_IN_CATALOGUE
        if sum(map(length_of, readings.looked_up + readings.ends_at)) > most_readings(self.names) * limit:
            return _NAME_TOO_LONG
        return self._judge_readings(primitive, verb, readings)

    def _judge_readings(self, primitive: Primitive, verb: Verb, readings: Readings) -> Decision:
        """Return the first refusal, or the decision on the spelling: each reading must pass."""
        matcher = self.catalogue.get(primitive)
        verdicts = []
        for name in readings.looked_up:
            if matcher is not None and not matcher.holds(name):
                return _NOT_IN_CATALOGUE
            verdicts.append(self.access.judge(primitive, verb, name))
        for name in readings.ends_at:
            if matcher is not None and matcher.excludes(name):
                return _NOT_IN_CATALOGUE
            denial = self.access.denial(primitive, verb, name)
            verdicts += [denial] if denial is not None else []
        return all_must_allow(verdicts, are_tiers=False)

    def narrowed(self, name: str, schema: Any) -> Any:
        """Return a tool's input schema, narrowed to the arguments that the caller may pass."""
        return narrowed(schema, self.access.narrowing(name)) if self.narrows else schema

    def shows(self, primitive: Primitive, name: str) -> bool:
        """Return whether the caller may see the name."""
        return self.decide(primitive, Verb.LIST, name).allowed

    def shows_all(self, primitive: Primitive) -> bool:
        """Return whether a list of this primitive passes unfiltered."""
        return self.refusal is None and primitive not in self.catalogue and self.access.is_open(primitive)

    def lists_like(self, other: "Visibility", primitive: Primitive) -> bool:
        """Return whether a list of this primitive certainly shows the same under both."""
        same_catalogue = self.catalogue.get(primitive) == other.catalogue.get(primitive) and self.names == other.names
        return self.refusal == other.refusal and same_catalogue and self.access.lists_like(other.access, primitive)

    def may_use_some(self, primitive: Primitive, verb: Verb, *, server: int | None = None) -> bool:
        """Return whether some name of this primitive could be used.

        ``server`` is the place of one of several merged servers, None for the whole proxy. Computed once, on demand.
        """
        asked = (primitive, verb)
        if asked not in self._usable:
            self._usable[asked] = self._usable_servers(primitive, verb) if self.refusal is None else frozenset()
        return bool(self._usable[asked]) if server is None else server in self._usable[asked]

    def _usable_servers(self, primitive: Primitive, verb: Verb) -> frozenset[int]:
        included, names = self.catalogue.get(primitive), self.names
        demands = self.access.demands(primitive, verb) + ([[included.include]] if included is not None else [])
        judge = NameJudge(
            passes=lambda name: self._judge(primitive, verb, name).allowed,
            is_denied=lambda name: is_taken_away((primitive, verb), name, self.access, included, names),
            size=self._size(primitive),
            rules=self.access.rules,
        )
        return usable_servers(primitive, demands, judge, names)

    def _size(self, primitive: Primitive) -> int:
        matcher = self.catalogue.get(primitive)
        return self.access.size(primitive) + (matcher.size if matcher is not None else 0)
