"""Names and URIs of one catalogue of several servers.

Who owns each, and what it is called in public.
"""

import enum
from collections.abc import Sequence

from ostiary_core.contract.documents import EntryDocument
from ostiary_core.errors import ContractError
from ostiary_core.exposed_names import LONGEST_NAME, ExposedNames, Owned
from ostiary_core.exposed_uris import LONGEST_URI, ExposedURIs
from ostiary_core.mcp.methods import Primitive


class NoPlace(enum.Enum):
    """Why a server's own name or URI has none in the catalogue."""

    FOREIGN = "Foreign"
    """It would be in the space of another server."""
    TOO_LONG = "TooLong"
    """With its prefix or mark, it would be longer than is permitted. It is never shortened."""
    NO_SCHEME = "NoScheme"
    """It is no URI that can be marked with its server: it has no scheme, or a template's expression fills it."""


class CatalogueNames:
    """The names of a proxy that merges servers.

    ``servers`` are the names and prefixes of its servers, in the order of the spec.

    Raises:
        ValueError: one of the prefixes is the beginning of another.
    """

    __slots__ = ("names", "servers", "uris")

    def __init__(self, servers: Sequence[tuple[str, str]]) -> None:
        self.servers = tuple(servers)
        prefixes = [prefix for _, prefix in servers]
        self.names = ExposedNames(prefixes)
        unmarked = prefixes.index("") if "" in prefixes else None
        self.uris = ExposedURIs([name for name, _ in servers], unmarked=unmarked)

    @classmethod
    def of_entry(cls, entry: EntryDocument) -> "CatalogueNames | None":
        """Return the names of the proxy of a config entry; None for one that merges no servers.

        Raises:
            ContractError: the prefixes of its servers overlap.
        """
        if entry.server_selection != "Merge":
            return None
        try:
            return cls([(server.name, server.prefix or "") for server in entry.servers])
        except ValueError as error:
            raise ContractError(f"entry: servers: {error}: correct the prefixes") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CatalogueNames) and self.servers == other.servers

    def __hash__(self) -> int:
        return hash(self.servers)

    def owner_of(self, primitive: Primitive, name: str) -> Owned | None:
        """Return the owner of an exposed tool, prompt, resource or template; None without one."""
        return self.uris.owner_of(name) if primitive is Primitive.RESOURCES else self.names.owner_of(name)

    def exposed(self, primitive: Primitive, server: int, name: str) -> str | None:
        """Return what a server's own tool, prompt, resource or template is called in public.

        It is None where it can have no name there: it would be in the space of another server, cannot be marked, or is
        empty or too long.
        """
        form, problem = self.placed(primitive, server, name)
        return form if problem is None else None

    def placed(self, primitive: Primitive, server: int, name: str) -> tuple[str, NoPlace | None]:
        """Return what a name is called in public, and None.

        Where it can have no name there, return the one that it would have, or its own, and the reason.
        """
        form = self.uris.exposed(server, name) if primitive is Primitive.RESOURCES else self.names.exposed(server, name)
        if form is None:
            return name, NoPlace.NO_SCHEME
        if len(form) > longest_of(primitive):
            return form, NoPlace.TOO_LONG
        return form, None if self.owner_of(primitive, form) == (server, name) else NoPlace.FOREIGN


def longest_of(primitive: Primitive) -> int:
    """Return the most characters of a name, or URI, in the catalogue."""
    return LONGEST_URI if primitive is Primitive.RESOURCES else LONGEST_NAME
