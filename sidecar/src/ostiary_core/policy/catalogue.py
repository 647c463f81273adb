"""The catalogue of a proxy: which names of its server exist there for callers."""

from dataclasses import dataclass

from ostiary_core.contract.documents import CatalogueConfig, CatalogueSelectionConfig
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.name_matcher import NameMatcher
from ostiary_core.policy.uri_readings import rule_names


@dataclass(frozen=True, slots=True)
class CatalogueMatcher:
    """Decides whether a name of one primitive exists at this proxy."""

    include: NameMatcher
    exclude: NameMatcher | None

    @classmethod
    def build(cls, primitive: Primitive, selection: CatalogueSelectionConfig) -> "CatalogueMatcher":
        """Compile the include and exclude lists; an absent include list contains every name."""
        include, exclude = selection.include, selection.exclude
        if primitive is Primitive.RESOURCES:
            include, exclude = rule_names(include, denies=False), rule_names(exclude, denies=True)
        excluded = NameMatcher.build(exclude, None) if exclude is not None else None
        return cls(NameMatcher.build(include, None), excluded)

    @property
    def weight(self) -> int:
        """The cost of memory and matching, in instructions."""
        return self.include.weight + (self.exclude.weight if self.exclude is not None else 0)

    @property
    def size(self) -> int:
        """The instructions that judge one name."""
        return self.include.size + (self.exclude.size if self.exclude is not None else 0)

    def holds(self, name: str) -> bool:
        """Return whether the name exists here."""
        return self.include.matches(name) and not self.excludes(name)

    def excludes(self, name: str) -> bool:
        """Return whether the name is excluded."""
        return self.exclude is not None and self.exclude.matches(name)


def compile_catalogue(catalogue: CatalogueConfig | None) -> dict[Primitive, CatalogueMatcher]:
    """Compile the selection of each primitive in a catalogue.

    Raises:
        PatternError: the names of one list together are too large.
    """
    return {
        primitive: CatalogueMatcher.build(primitive, selection)
        for primitive in Primitive
        if catalogue is not None and (selection := catalogue.selection(primitive)) is not None
    }
