"""Which definitions of a proxy's servers are approved, compiled from its config entry.

A lock is an allow-list. A definition is approved if its own digest is, whatever the server showed before or shows to
others; a name that no approved definition has does not exist, so that renaming a tool gains nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.contract.definitions import DefinitionsConfig, LockConfig, OverridesConfig, PinningName
from ostiary_core.contract.documents import EntryDocument
from ostiary_core.definitions.definition_digest import definition_digest
from ostiary_core.definitions.overrides import CompiledOverrides
from ostiary_core.mcp.methods import LISTS

#: What an expression of a URI template may stand for: anything, since servers differ in what they accept.
_EXPRESSION: Final = re.compile(r"\{[^{}]*\}")
_TEMPLATES: Final = "resourceTemplates"
_RESOURCES: Final = "resources"
#: Approved templates that a URI is compared with.
_MOST_TEMPLATES: Final = 1024


@dataclass(frozen=True, slots=True)
class ServerLock:
    """What is approved of one server, by the key of a list and the server's own name."""

    server: str
    approved: Mapping[str, Mapping[str, frozenset[str]]]
    instructions: frozenset[str] = frozenset()
    templates: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The approved URI templates, each with its literal parts."""

    def approves(self, list_key: str, name: str, digest: str | None) -> bool:
        """Return whether a definition of this name with this digest is approved."""
        return digest is not None and digest in self.approved[list_key].get(name, ())

    def knows(self, list_key: str, name: str) -> bool:
        """Return whether some definition of this name is approved."""
        return name in self.approved[list_key]

    def of_uri(self, uri: str) -> tuple[str, str] | None:
        """Return what approves a URI: the key of a list, and the resource or template.

        None where nothing does. A template approves each URI that begins, goes on and ends with its literal parts.
        """
        if uri in self.approved[_RESOURCES]:
            return _RESOURCES, uri
        for template, parts in self.templates:
            if template == uri or _could_expand(parts, uri):
                return _TEMPLATES, template
        return None

    def approves_instructions(self, text: str) -> bool:
        """Return whether these instructions for models are approved."""
        return definition_digest(text) in self.instructions


def _could_expand(parts: tuple[str, ...], uri: str) -> bool:
    """Return whether a URI has the literal parts of a template, in their order.

    It is linear in the URI for each part.
    """
    first, *between, last = parts if len(parts) > 1 else ("", *parts)
    if len(parts) < 2 or not uri.startswith(first):
        return False
    position = len(first)
    for part in between:
        found = uri.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return uri.endswith(last) and len(uri) - len(last) >= position


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class DefinitionRules:
    """The pinning and the overrides of one proxy.

    ``locks`` are those of its servers, in the order of the spec; empty where nothing is pinned.
    """

    pinning: PinningName | None
    locks: tuple[ServerLock, ...] = ()
    overrides: CompiledOverrides | None = None
    recheck: float = 0.0
    """Seconds for which a replica trusts the definition that it saw."""
    blocks: bool = field(init=False)
    changes_lists: bool = field(init=False)
    """Whether callers get other lists than servers send."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", self.pinning == "Block")
        object.__setattr__(self, "changes_lists", self.blocks or self.overrides is not None)

    @classmethod
    def of_entry(cls, entry: EntryDocument) -> "DefinitionRules | None":
        """Return the rules of the proxy of a config entry; None where it has none."""
        found = entry.definitions
        if found is None or (found.pinning is None and found.overrides is None):
            return None
        locks = _locks(found, [server.name for server in entry.servers]) if found.pinning is not None else ()
        return cls(found.pinning, locks, _overrides(found.overrides), (found.recheck or 0) / 1000)

    def lock_of(self, server: int) -> ServerLock | None:
        """Return the lock of the server at this place of the spec; None where nothing is pinned."""
        return self.locks[server] if self.locks else None


def _overrides(found: OverridesConfig | None) -> CompiledOverrides | None:
    return CompiledOverrides.of_config(found) if found is not None else None


def _locks(found: DefinitionsConfig, servers: Iterable[str]) -> tuple[ServerLock, ...]:
    locks = found.locks or []
    return tuple(_joined(server, [lock for lock in locks if lock.server == server]) for server in servers)


def _joined(server: str, locks: list[LockConfig]) -> ServerLock:
    """Return the lock of a server: what any of its MCPLocks approves."""
    approved: dict[str, dict[str, frozenset[str]]] = {key: {} for key in LISTS}
    for lock in locks:
        for key, names in approved.items():
            for name, digests in lock.approved(key).items():
                if key != _TEMPLATES or name in names or len(names) < _MOST_TEMPLATES:
                    names[name] = names.get(name, frozenset()).union(digests)
    instructions = frozenset(digest for lock in locks for digest in lock.instructions or ())
    templates = tuple((each, tuple(_EXPRESSION.split(each))) for each in approved[_TEMPLATES])
    return ServerLock(server, approved, instructions, templates)
