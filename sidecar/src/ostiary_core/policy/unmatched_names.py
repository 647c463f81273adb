"""Find names in rules that no server is known to offer: mostly typing errors.

Only exact names of tools and prompts are compared. A wildcard may be meant for future names, and a resource may be read
without ever being listed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

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
    """A name that a rule of a policy (``namespace/name``) writes out."""

    policy: str
    rule: str
    primitive: Primitive
    name: str


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


def exact_names(policies: Iterable[CompiledPolicy]) -> tuple[ExactName, ...]:
    """Return the names that rules write out, sorted, each once."""
    return tuple(sorted(set(_exact_names(policies))))


def _exact_names(policies: Iterable[CompiledPolicy]) -> Iterator[ExactName]:
    for policy in policies:
        for rule in (*policy.allow, *policy.deny):
            for (primitive, _), matcher in rule.matchers.items():
                for name in matcher.exact if primitive in LISTED else ():
                    yield ExactName(policy.identity, rule.name, primitive, name)


def find(names: Iterable[ExactName], offered: Mapping[Primitive, Collection[str]]) -> tuple[Slip, ...]:
    """Return the first names that are not offered.

    Nothing is known of a primitive that is not in ``offered``.
    """
    missing = [each for each in names if each.name not in offered.get(each.primitive, (each.name,))][:MOST_REPORTED]
    kinds = {each.primitive for each in missing}
    meant = {kind: Nearest(offered[kind] if len(offered[kind]) <= COMPARED else ()) for kind in kinds}
    return tuple(Slip(each, meant[each.primitive].to(each.name)) for each in missing)
