"""Finds names in Allow rules that no server could own, because they lack a prefix.

Where an MCPProxy merges servers, an Allow matches what is exposed: a name without the prefix of a server allows
nothing. A Deny matches a server's own name too, so it needs none.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ostiary_core.contract.access import AccessRuleConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.exposed_names import could_own
from ostiary_core.mcp.methods import Primitive

#: The primitives whose names have prefixes.
_PREFIXED: Final = (Primitive.TOOLS, Primitive.PROMPTS)


class UnprefixedName(NamedTuple):
    """A name that allows nothing at any target, and one that would."""

    field: str
    name: str
    proxy: str
    example: str

    def __str__(self) -> str:
        return (
            f"{self.field}: {self.name} allows nothing, since an Allow matches names with the prefix of their server, "
            f"and no server of MCPProxy {self.proxy} has one that it begins with; write for example {self.example}"
        )


def first_unprefixed(policy: PolicyDocument, governed: Iterable[EntryDocument]) -> UnprefixedName | None:
    """Return the first name in an Allow rule that begins with the prefix of no server.

    None where there is none, or where one of the governed entries has a server whose names are exposed as they are.
    """
    entries = list(governed)
    if not entries or not all(map(_has_prefixes_only, entries)):
        return None
    prefixes = {server.prefix or "" for entry in entries for server in entry.servers}
    proxy, example = entries[0].identity, entries[0].servers[0].prefix or ""
    lacking = (
        UnprefixedName(field, name, proxy, f"{example}{name}")
        for field, name in _allowed_names(policy)
        if not any(could_own(prefix, name) for prefix in prefixes)
    )
    return next(lacking, None)


def _has_prefixes_only(entry: EntryDocument) -> bool:
    return entry.server_selection == "Merge" and all(server.prefix for server in entry.servers)


def _allowed_names(policy: PolicyDocument) -> Iterator[tuple[str, str]]:
    rules: list[AccessRuleConfig] = policy.access.rules if policy.access is not None else []
    for position, rule in enumerate(rules):
        for primitive in _PREFIXED if rule.effect == "Allow" else ():
            selection = rule.selection(primitive)
            for place, name in enumerate((selection.names if selection is not None else None) or ()):
                yield f"spec.access.rules[{position}].{primitive}.names[{place}]", name
