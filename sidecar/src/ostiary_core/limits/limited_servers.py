"""The servers of a proxy, as its limits count and name them.

A limit may count by server, and the name in a request says which of several merged servers gets it. A rule of a limit
holds for a name as callers know it, and as its server does, so that a prefix takes no tool out of its limit.
"""

from dataclasses import dataclass

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.documents import EntryDocument
from ostiary_core.mcp.methods import Primitive


@dataclass(frozen=True, slots=True)
class LimitedServers:
    """The servers of one proxy.

    ``authorities`` are their hosts and ports, in the order of the spec. ``names`` is None where names are those of the
    servers themselves.
    """

    authorities: tuple[str, ...]
    names: CatalogueNames | None = None

    @classmethod
    def of_entry(cls, entry: EntryDocument) -> "LimitedServers":
        """Return the servers of a config entry.

        Raises:
            ContractError: the prefixes of its servers overlap.
        """
        return cls(tuple(server.authority for server in entry.servers), CatalogueNames.of_entry(entry))

    def reached(self, primitive: Primitive | None, name: str) -> tuple[str, ...]:
        """Return the authorities of the servers that a request reaches.

        All of them, unless its name says which.
        """
        if self.names is None or primitive is None or not name:
            return self.authorities
        owned = self.names.owner_of(primitive, name)
        return self.authorities if owned is None else (self.authorities[owned.server],)

    def spellings(self, primitive: Primitive | None, name: str) -> tuple[str, ...]:
        """Return the name of a request, and what its server calls it where that differs."""
        if self.names is None or primitive is None or not name:
            return (name,)
        owned = self.names.owner_of(primitive, name)
        return (name,) if owned is None or owned.name == name else (name, owned.name)
