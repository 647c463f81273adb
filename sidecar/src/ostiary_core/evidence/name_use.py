"""The most used tools, resources and prompts of one proxy.

Only names that a server has listed or that a rule writes out are counted, never what a caller invents. Lifecycle
methods name nothing, so they are not here at all.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from ostiary_core.evidence.document import EpochMilliseconds, EvidencePart, Name, Number, Seconds, Word

#: Names of one proxy that are kept.
MOST_NAMES: Final = 64


class NameUse(EvidencePart):
    """How often one name was used by one method.

    ``seconds`` is the sum of the durations, ``slowest`` the longest one. ``denied`` are those that access rules
    refused.
    """

    method: Word
    name: Name
    calls: Number = 0
    errors: Number = 0
    denied: Number = 0
    seconds: Seconds = 0.0
    slowest: Seconds = 0.0

    def joined(self, other: "NameUse") -> "NameUse":
        """Return the uses of both, under this one's name."""
        return NameUse.model_construct(
            method=self.method,
            name=self.name,
            calls=self.calls + other.calls,
            errors=self.errors + other.errors,
            denied=self.denied + other.denied,
            seconds=self.seconds + other.seconds,
            slowest=max(self.slowest, other.slowest),
        )


class NameUses(EvidencePart):
    """The most used names since a time in epoch milliseconds, most calls first.

    ``others`` are the uses of names that are not among the :data:`MOST_NAMES`; its method and name are empty.
    """

    since: EpochMilliseconds
    names: Annotated[tuple[NameUse, ...], Field(max_length=MOST_NAMES, strict=False)] = ()
    others: NameUse = NameUse(method="", name="")


def most_used(since: int, uses: Iterable[NameUse], *, others: NameUse | None = None) -> NameUses:
    """Return the most used of names, and the sum of the rest.

    A name may occur several times. Of equally used ones the first by method and name is kept, so that the result does
    not depend on the order.
    """
    by_name: dict[tuple[str, str], NameUse] = {}
    for use in uses:
        earlier = by_name.get((use.method, use.name))
        by_name[use.method, use.name] = use if earlier is None else earlier.joined(use)
    ranked = sorted(by_name.values(), key=lambda use: (-use.calls, use.method, use.name))
    rest = others if others is not None else NameUse(method="", name="")
    for use in ranked[MOST_NAMES:]:
        rest = rest.joined(use)
    return NameUses(since=since, names=tuple(ranked[:MOST_NAMES]), others=rest)


def joined_uses(found: Iterable[NameUses]) -> NameUses:
    """Return the uses that several replicas or proxies counted, since the earliest time.

    Raises:
        ValueError: there are none to join.
    """
    parts = list(found)
    if not parts:
        raise ValueError("found: give at least one set of names")
    others = NameUse(method="", name="")
    for part in parts:
        others = others.joined(part.others)
    uses = (use for part in parts for use in part.names)
    return most_used(min(part.since for part in parts), uses, others=others)
