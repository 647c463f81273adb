"""How several servers behind one endpoint are used, as parts of an entry.

The members of a proxy that has one server are absent, so that such an entry is the same document as before.
"""

from typing import Final, Literal, TypeAlias

from pydantic import Field

from ostiary_core.contract.base import ContractDocument, Count

ServerSelectionName: TypeAlias = Literal["Merge", "Route"]
InstructionsModeName: TypeAlias = Literal["Merge", "Replace", "None"]
SessionNotesName: TypeAlias = Literal["Shared", "None"]

#: Servers of one proxy, and rules that choose among them.
MOST_SERVERS: Final = 16
MOST_ROUTING_RULES: Final = 32


class InstructionsConfig(ContractDocument):
    """The instructions that a merged proxy gives to its clients.

    ``Merge`` joins those of its servers, ``Replace`` gives ``text`` instead, ``None`` gives none.
    """

    mode: InstructionsModeName
    text: str | None = None


class RoutingRuleConfig(ContractDocument):
    """The servers of the requests for which a condition holds.

    ``when`` is a CEL expression; absent means every request. ``servers`` are names of servers of the entry, in order of
    preference.
    """

    name: str
    when: str | None = None
    servers: list[str] = Field(min_length=1, max_length=MOST_SERVERS)


class ListCacheConfig(ContractDocument):
    """How long lists of servers are kept, in milliseconds.

    ``ttl`` is for a list whose server does not say; 0 keeps none of these. After it, a list is shown in place of one
    that cannot be fetched for another ``stale_if_error``.
    """

    ttl: Count
    stale_if_error: Count
