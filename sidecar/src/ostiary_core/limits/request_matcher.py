"""The requests that a limit or a weight is for, by primitive, verb and name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_core.contract.access import SelectionConfig
from ostiary_core.errors import AmbiguousURIError
from ostiary_core.mcp.methods import VERBS, Primitive, Verb
from ostiary_core.policy.name_matcher import NameMatcher
from ostiary_core.policy.uri_readings import read_uri, rule_names


def readings_of(primitive: Primitive | None, name: str) -> tuple[str, ...]:
    """Return the spellings of a name that may mean the same to a server.

    Another spelling of a URI must not evade the limit of a resource. One that cannot be read has only its own; what it
    may do at all is for access to decide.
    """
    if primitive is not Primitive.RESOURCES or not name:
        return (name,)
    try:
        readings = read_uri(name)
    except AmbiguousURIError:
        return (name,)
    return readings.looked_up + readings.ends_at


@dataclass(frozen=True, slots=True)
class RequestMatcher:
    """Matchers of names by (primitive, verb).

    None matches every request that names or lists something.
    """

    matchers: Mapping[tuple[Primitive, Verb], NameMatcher] | None = None

    @classmethod
    def build(cls, selections: Mapping[Primitive, SelectionConfig | None]) -> "RequestMatcher":
        """Compile the selections of each primitive; without any of them, everything matches.

        Raises:
            PatternError: a pattern is invalid.
        """
        given = {primitive: each for primitive, each in selections.items() if each is not None}
        if not given:
            return EVERYTHING
        matchers: dict[tuple[Primitive, Verb], NameMatcher] = {}
        for primitive, selection in given.items():
            names = selection.names
            if primitive is Primitive.RESOURCES:
                names = rule_names(names, denies=True)
            matcher = NameMatcher.build(names, selection.patterns)
            matchers |= {(primitive, verb): matcher for verb in selection.verbs or VERBS[primitive]}
        return cls(matchers)

    @property
    def weight(self) -> int:
        """The cost of judging a name, in instructions: what budgets count."""
        return sum(matcher.weight for matcher in {id(each): each for each in (self.matchers or {}).values()}.values())

    def matches(self, primitive: Primitive | None, verb: Verb | None, names: Sequence[str] | None) -> bool:
        """Return whether a request matches by any of the spellings of its name.

        A request for a list has an empty name, and matches where every name does. One without a primitive, such as a
        request about a task, matches only where everything does. A name that is too long to be compared is None: it
        matches if any name of its kind may.
        """
        if self.matchers is None:
            return True
        if primitive is None or verb is None:
            return False
        matcher = self.matchers.get((primitive, verb))
        return matcher is not None and (names is None or any(map(matcher.matches, names)))

    @property
    def size(self) -> int:
        """The steps that comparing a name takes for each of its bytes."""
        return max((matcher.size for matcher in (self.matchers or {}).values()), default=0)

    @property
    def exact_names(self) -> frozenset[str]:
        """The names that are spelled exactly."""
        return frozenset().union(*(matcher.exact for matcher in (self.matchers or {}).values()))


EVERYTHING: Final = RequestMatcher()
