"""What of a server stands behind one door: the proxy's catalogue, its policies, and what happens without any.

This is the single question that the request's line asks: may this caller do this with that name, and if not, may he
know that it exists?
"""

from dataclasses import dataclass, field
from typing import Final

from ostiary_core.contract.documents import Catalogue, CatalogueSelection
from ostiary_core.errors import AmbiguousURIError
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.access import Access, Decision, Reason
from ostiary_core.policy.memo import DECISIONS, Memo
from ostiary_core.policy.names import NameMatcher
from ostiary_core.policy.uris import Readings, read_uri, rule_names

_NOT_IN_CATALOGUE: Final = Decision(False, Reason.NOT_IN_CATALOGUE)
_AMBIGUOUS_URI: Final = Decision(False, Reason.AMBIGUOUS_URI)
_NO_POLICY: Final = Decision(False, Reason.NO_POLICY)
_POLICY_INVALID: Final = Decision(False, Reason.POLICY_INVALID)


@dataclass(frozen=True, slots=True)
class CatalogueMatcher:
    """Says whether a name of one primitive exists at this door."""

    include: NameMatcher
    exclude: NameMatcher | None

    @classmethod
    def build(cls, primitive: Primitive, selection: CatalogueSelection) -> "CatalogueMatcher":
        """Compile the include and exclude lists; an absent include holds every name."""
        include, exclude = selection.include, selection.exclude
        if primitive is Primitive.RESOURCES:
            include, exclude = rule_names(include, denies=False), rule_names(exclude, denies=True)
        excluded = NameMatcher.build(exclude, None) if exclude is not None else None
        return cls(NameMatcher.build(include, None), excluded)

    def holds(self, name: str) -> bool:
        """Say whether the name exists here."""
        return self.include.matches(name) and not self.excludes(name)

    def excludes(self, name: str) -> bool:
        """Say whether the name is taken out."""
        return self.exclude is not None and self.exclude.matches(name)


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Visibility:
    """The catalogue and the access of one proxy, asked together. It is itself only: what was derived from one is kept
    for as long as that lives, and never used for another.

    ``refusal`` answers everything alike where the policies cannot be trusted (PolicyInvalid) or where there are none
    and the gateway's ``withoutPolicy`` is Deny (NoPolicy).
    """

    catalogue: dict[Primitive, CatalogueMatcher]
    access: Access
    refusal: Decision | None = None
    _resources: Memo[tuple[Verb, str], Decision] = field(default_factory=Memo, repr=False)

    @classmethod
    def build(cls, catalogue: Catalogue | None, access: Access, *, default: str, invalid: bool) -> "Visibility":
        """Combine what a config entry says; ``default`` is the gateway's ``withoutPolicy``."""
        matchers = {
            primitive: CatalogueMatcher.build(primitive, selection)
            for primitive in Primitive
            if catalogue is not None and (selection := catalogue.selection(primitive)) is not None
        }
        refusal = _POLICY_INVALID if invalid else _NO_POLICY if not access.policies and default == "Deny" else None
        return cls(matchers, access, refusal)

    def decide(self, primitive: Primitive, verb: Verb, name: str) -> Decision:
        """Return the verdict on one name; on a URI or URI template, the verdict on all that servers may make of it."""
        if self.refusal is not None:
            return self.refusal
        if primitive is Primitive.RESOURCES and not self.shows_all(primitive):
            return self._decide_resource(verb, name)
        matcher = self.catalogue.get(primitive)
        if matcher is not None and not matcher.holds(name):
            return _NOT_IN_CATALOGUE
        return self.access.decide(primitive, verb, name)

    def _decide_resource(self, verb: Verb, uri: str) -> Decision:
        key = (verb, uri)
        decision = self._resources.get(key)
        if decision is None:
            try:
                decision = self._judge_readings(verb, read_uri(uri))
            except AmbiguousURIError:
                decision = _AMBIGUOUS_URI
            DECISIONS.keep(self._resources, key, decision, name=uri)
        return decision

    def _judge_readings(self, verb: Verb, readings: Readings) -> Decision:
        """Return the first refusal, or the verdict on the spelling: each reading must pass."""
        matcher = self.catalogue.get(Primitive.RESOURCES)
        verdicts = []
        for uri in readings.looked_up:
            if matcher is not None and not matcher.holds(uri):
                return _NOT_IN_CATALOGUE
            verdicts.append(self.access.judge(Primitive.RESOURCES, verb, uri))
        for uri in readings.ends_at:
            if matcher is not None and matcher.excludes(uri):
                return _NOT_IN_CATALOGUE
            denial = self.access.denial(Primitive.RESOURCES, verb, uri)
            verdicts += [denial] if denial is not None else []
        return next((verdict for verdict in verdicts if not verdict.allowed), verdicts[0])

    def shows(self, primitive: Primitive, name: str) -> bool:
        """Say whether the caller may know that the name exists."""
        return self.decide(primitive, Verb.LIST, name).allowed

    def shows_all(self, primitive: Primitive) -> bool:
        """Say whether a list of this primitive passes as it is."""
        return self.refusal is None and primitive not in self.catalogue and self.access.is_open(primitive)

    def may_use_some(self, primitive: Primitive, verb: Verb) -> bool:
        """Say whether some name of this primitive could be used."""
        return self.refusal is None and self.access.may_use_some(primitive, verb)
