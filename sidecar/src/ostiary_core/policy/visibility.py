"""What of a server stands behind one door: the proxy's catalogue, its policies, and what happens without any.

This is the single question that the request's line asks: may this caller do this with that name, and if not, may he
know that it exists?
"""

from dataclasses import dataclass
from typing import Final

from ostiary_core.contract.documents import Catalogue, CatalogueSelection
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.access import Access, Decision, Reason
from ostiary_core.policy.names import NameMatcher

_NOT_IN_CATALOGUE: Final = Decision(False, Reason.NOT_IN_CATALOGUE)
_NO_POLICY: Final = Decision(False, Reason.NO_POLICY)
_POLICY_INVALID: Final = Decision(False, Reason.POLICY_INVALID)


@dataclass(frozen=True, slots=True)
class CatalogueMatcher:
    """Says whether a name of one primitive exists at this door."""

    include: NameMatcher
    exclude: NameMatcher | None

    @classmethod
    def build(cls, selection: CatalogueSelection) -> "CatalogueMatcher":
        """Compile the include and exclude lists; an absent include holds every name."""
        exclude = NameMatcher.build(selection.exclude, None) if selection.exclude is not None else None
        return cls(NameMatcher.build(selection.include, None), exclude)

    def holds(self, name: str) -> bool:
        """Say whether the name exists here."""
        return self.include.matches(name) and not (self.exclude is not None and self.exclude.matches(name))


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

    @classmethod
    def build(cls, catalogue: Catalogue | None, access: Access, *, default: str, invalid: bool) -> "Visibility":
        """Combine what a config entry says; ``default`` is the gateway's ``withoutPolicy``."""
        matchers = {
            primitive: CatalogueMatcher.build(selection)
            for primitive in Primitive
            if catalogue is not None and (selection := catalogue.selection(primitive)) is not None
        }
        refusal = _POLICY_INVALID if invalid else _NO_POLICY if not access.policies and default == "Deny" else None
        return cls(matchers, access, refusal)

    def decide(self, primitive: Primitive, verb: Verb, name: str) -> Decision:
        """Return the verdict on one name."""
        if self.refusal is not None:
            return self.refusal
        matcher = self.catalogue.get(primitive)
        if matcher is not None and not matcher.holds(name):
            return _NOT_IN_CATALOGUE
        return self.access.decide(primitive, verb, name)

    def shows(self, primitive: Primitive, name: str) -> bool:
        """Say whether the caller may know that the name exists."""
        return self.decide(primitive, Verb.LIST, name).allowed

    def shows_all(self, primitive: Primitive) -> bool:
        """Say whether a list of this primitive passes as it is."""
        return self.refusal is None and primitive not in self.catalogue and self.access.is_open(primitive)

    def may_use_some(self, primitive: Primitive, verb: Verb) -> bool:
        """Say whether some name of this primitive could be used."""
        return self.refusal is None and self.access.may_use_some(primitive, verb)
