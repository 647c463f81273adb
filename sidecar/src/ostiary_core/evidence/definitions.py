"""What the servers of one proxy have listed, and what differs from the lock.

One replica last saw it. It is what servers offer, not what any caller may see: a reader judges that with the proxy's
policies. Texts of servers are masked by the proxy's masks.
"""

from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field

from ostiary_core.evidence.document import EvidenceDocument, EvidencePart, Identity, Name, Text, Word

#: Items of one primitive of one server, and servers of a proxy.
MOST_ITEMS: Final = 1_000
MOST_SERVERS: Final = 64
#: Bytes of one definition as JSON, and of all in one answer; a larger one is left out, and only its name is told.
MOST_DEFINITION_BYTES: Final = 64 * 1024
MOST_DEFINITIONS_BYTES: Final = 8 * 1024 * 1024
#: Differences from the lock that one answer holds.
MOST_DRIFT: Final = 1_000


Digest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class RejectedEntry(EvidencePart):
    """A version of a proxy that the replica did not take, by the digest of its entry, and why."""

    digest: Digest
    reason: Word
    message: Text = ""


class ListedItem(EvidencePart):
    """A tool, resource, template or prompt, under the name that its server gives it.

    ``definition`` is the item as the server sent it; absent where this replica keeps none, or it is too large.
    """

    name: Name
    definition: dict[str, Any] | None = None


Items: TypeAlias = Annotated[tuple[ListedItem, ...], Field(max_length=MOST_ITEMS, strict=False)]


class ListedServer(EvidencePart):
    """The lists of one server, by name. ``prefix`` precedes the names that callers see.

    ``complete`` are the primitives whose lists this replica knows whole: other lists may have more.
    """

    name: Name
    prefix: Name = ""
    tools: Items = ()
    resources: Items = ()
    prompts: Items = ()
    complete: Annotated[tuple[Name, ...], Field(max_length=3, strict=False)] = ()


class EntryState(EvidencePart):
    """Which version of a proxy this replica runs.

    ``active`` is the digest of its entry, None where it runs none. ``rejected`` says why a newer one was not taken.
    """

    active: Digest | None = None
    rejected: RejectedEntry | None = None


class DefinitionsDocument(EvidenceDocument):
    """What ``/evidence/definitions`` answers for one ``proxy``.

    ``entry`` is what this replica runs of it. ``drift`` are definitions that were seen and are not approved, as
    ``/definitions`` of the admin port tells them.
    """

    proxy: Identity
    entry: EntryState | None = None
    servers: Annotated[tuple[ListedServer, ...], Field(max_length=MOST_SERVERS, strict=False)] = ()
    drift: Annotated[tuple[dict[str, Any], ...], Field(max_length=MOST_DRIFT, strict=False)] = ()
