"""Find names in rules that no server is known to offer: mostly typing errors.

Only exact names of tools and prompts are compared. A wildcard may be meant for future names, and a resource may be read
without ever being listed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.closest_name import Nearest
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.compiled_policy import CompiledPolicy

#: The primitives whose lists are complete.
LISTED: Final = (Primitive.TOOLS, Primitive.PROMPTS)
#: The most typing errors that are reported for one proxy.
MOST_REPORTED: Final = 16
#: The most names to compare with: each comparison costs some microseconds, whatever the names are.
COMPARED: Final = 250


class ExactName(NamedTuple):
    """A name that a rule of a policy (``namespace/name``) writes out.

    ``also`` are the other names that it stands for: where servers are merged, a Deny rule may name a server's own.
    """

    policy: str
    rule: str
    primitive: Primitive
    name: str
    also: tuple[str, ...] = ()


class Slip(NamedTuple):
    """A name that no server offers, and the one that was probably meant.

    It is empty where none is similar.
    """

    exact: ExactName
    nearest: str

    @property
    def words(self) -> str:
        """The same as text, for a sentence."""
        kind = self.exact.primitive.removesuffix("s")
        meant = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"rule {self.exact.rule}: no {kind} is called {self.exact.name}{meant}"


def exact_names(policies: Iterable[CompiledPolicy], names: CatalogueNames | None = None) -> tuple[ExactName, ...]:
    """Return the names that rules write out, sorted, each once.

    ``names`` are those of a proxy that merges servers, None at any other.
    """
    return tuple(sorted(set(_exact_names(policies, names))))


class SpelledNames:
    """The names of tools and prompts that rules write out.

    Made when it is first asked: a proxy without calls needs none, and they take more memory than their rules.
    """

    __slots__ = ("_names", "_policies")

    def __init__(self, policies: Iterable[CompiledPolicy]) -> None:
        self._policies = tuple(policies)
        self._names: frozenset[str] | None = None

    def __contains__(self, name: object) -> bool:
        if self._names is None:
            self._names = frozenset(name for policy in self._policies for name in _listed_names(policy))
        return name in self._names


def _listed_names(policy: CompiledPolicy) -> Iterator[str]:
    for rule in (*policy.allow, *policy.deny):
        for primitive, place in {(primitive, place) for (primitive, _), place in rule.places.items()}:
            yield from rule.matchers[place].exact if primitive in LISTED else ()


def _exact_names(policies: Iterable[CompiledPolicy], names: CatalogueNames | None) -> Iterator[ExactName]:
    for policy in policies:
        for rule in (*policy.allow, *policy.deny):
            exposing = names if rule in policy.deny else None
            for (primitive, _), place in rule.places.items():
                for name in rule.matchers[place].exact if primitive in LISTED else ():
                    yield ExactName(policy.identity, rule.name, primitive, name, _exposed(exposing, primitive, name))


def _exposed(names: CatalogueNames | None, primitive: Primitive, name: str) -> tuple[str, ...]:
    """Return what a server's own name is called in public, at each server."""
    if names is None:
        return ()
    found = (names.exposed(primitive, server, name) for server in range(len(names.servers)))
    return tuple(each for each in found if each is not None)


def find(names: Iterable[ExactName], offered: Mapping[Primitive, Collection[str]]) -> tuple[Slip, ...]:
    """Return the first names that are not offered.

    Nothing is known of a primitive that is not in ``offered``.
    """
    missing = [each for each in names if not _is_offered(each, offered)][:MOST_REPORTED]
    kinds = {each.primitive for each in missing}
    meant = {kind: Nearest(offered[kind] if len(offered[kind]) <= COMPARED else ()) for kind in kinds}
    return tuple(Slip(each, meant[each.primitive].to(each.name)) for each in missing)


def _is_offered(exact: ExactName, offered: Mapping[Primitive, Collection[str]]) -> bool:
    known = offered.get(exact.primitive)
    return known is None or exact.name in known or any(name in known for name in exact.also)
