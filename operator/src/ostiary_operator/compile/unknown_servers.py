"""Finds servers that rules about contents are for, and that no target has.

Such a rule applies to nothing, while its author relies on it.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_operator.compile.messages import listing, nearest


class UnknownServer(NamedTuple):
    """A server that is named, and that no target has.

    ``known`` are those that the targets have.
    """

    field: str
    name: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        meant = nearest(self.name, self.known)
        remedy = f"did you mean {meant}?" if meant else f"the targets have {listing(self.known)}"
        return f"{self.field}: no target has a server {self.name}, so the rule is for none of that name; {remedy}"


def first_unknown_server(policy: PolicyDocument, governed: Iterable[EntryDocument]) -> UnknownServer | None:
    """Return the first name in a rule's ``servers`` that no governed entry has.

    None where there is none, or no entry.
    """
    known = {server.name for entry in governed for server in entry.servers}
    unknown = (UnknownServer(field, name, tuple(sorted(known))) for field, name in _named(policy) if name not in known)
    return next(unknown, None) if known else None


def _named(policy: PolicyDocument) -> Iterator[tuple[str, str]]:
    groups = (("masks", policy.masks), ("guards", policy.guards), ("transforms", policy.transforms))
    rules = [(f"spec.{kind}[{place}]", rule) for kind, group in groups for place, rule in enumerate(group or ())]
    rules += [("spec.validation", policy.validation)] if policy.validation is not None else []
    for field, rule in rules:
        for place, name in enumerate(rule.servers or ()):
            yield f"{field}.servers[{place}]", name
