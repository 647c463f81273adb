"""How the servers of one proxy are used together, built once from its entry."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.documents import EntryDocument
from ostiary_core.contract.server_selection import InstructionsConfig
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.routing import Routing
from ostiary_gateway.catalogue.exposed_content import ExposedContent
from ostiary_gateway.upstream.server import UpstreamServer


@dataclass(frozen=True, slots=True)
class MergeRuntime:
    """The servers of a proxy, merged into one catalogue.

    ``refuses`` where lists are refused while one server fails. ``instructions`` is None where those of the servers are
    joined.
    """

    catalogue: CatalogueNames
    content: tuple[ExposedContent, ...]
    """What turns the content of each server into that of the catalogue, in the order of the spec."""
    refuses: bool = False
    instructions: InstructionsConfig | None = None


def merge_of(entry: EntryDocument) -> MergeRuntime | None:
    """Return how an entry merges its servers; None where it does not.

    Raises:
        ContractError: the prefix of one server is the beginning of another's.
    """
    catalogue = CatalogueNames.of_entry(entry)
    if catalogue is None:
        return None
    content = tuple(ExposedContent(catalogue, place) for place in range(len(entry.servers)))
    return MergeRuntime(
        catalogue, content, refuses=entry.on_server_failure == "Refuse", instructions=entry.instructions
    )


def routing_of(entry: EntryDocument) -> Routing | None:
    """Return the rules by which an entry chooses among its servers; None where it has none.

    Raises:
        ExpressionError, ContractError: a rule is not valid.
    """
    if entry.server_selection != "Route":
        return None
    return Routing.build(entry.routing or (), [server.name for server in entry.servers])


class NamesOfServers:
    """The names that the servers of a proxy have listed, as its callers know them.

    ``catalogue`` is None where names are unchanged, and may be of any server.
    """

    __slots__ = ("_of", "prompts", "resources", "tools")

    def __init__(self, servers: Sequence[UpstreamServer], catalogue: CatalogueNames | None) -> None:
        self.tools: Container[str] = _Names(servers, catalogue, Primitive.TOOLS)
        self.resources: Container[str] = _Names(servers, catalogue, Primitive.RESOURCES)
        self.prompts: Container[str] = _Names(servers, catalogue, Primitive.PROMPTS)
        self._of = {
            Primitive.TOOLS: self.tools,
            Primitive.RESOURCES: self.resources,
            Primitive.PROMPTS: self.prompts,
        }

    def of(self, primitive: Primitive) -> Container[str]:
        """Return the known names of a primitive."""
        return self._of[primitive]


@dataclass(frozen=True, slots=True)
class _Names:
    servers: Sequence[UpstreamServer]
    catalogue: CatalogueNames | None
    primitive: Primitive

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        if self.catalogue is None:
            return any(name in server.known.of(self.primitive) for server in self.servers)
        owned = self.catalogue.owner_of(self.primitive, name)
        return owned is not None and owned.name in self.servers[owned.server].known.of(self.primitive)
