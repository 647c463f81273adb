"""What the rules about the contents of messages have in common: where each one applies.

Validation, masks, guards and transformations (:mod:`.validation`, :mod:`.masks`, :mod:`.guards`, :mod:`.transforms`)
select names as rules of access do. Durations are integer milliseconds, sizes integer bytes.
"""

import enum
from typing import Final, TypeAlias

from pydantic import Field

from ostiary_core.contract.access import SelectionConfig
from ostiary_core.contract.base import ContractDocument
from ostiary_core.contract.server_selection import MOST_SERVERS
from ostiary_core.mcp.methods import Primitive

#: Masks, guards and transformations of one policy, each.
MOST_CONTENT_RULES: Final = 32

#: A place in a JSON document: the keys and indices that lead to it, as a JSON Pointer has them, unescaped (RFC 6901).
#: In fields of masks, ``*`` stands for every member or item.
PlaceConfig: TypeAlias = list[str]


class Direction(enum.StrEnum):
    """Which contents a rule looks at.

    Arguments is all that goes to a server: arguments, answers to its questions, completions. Results is all that
    comes from it, besides lists and instructions, which are Definitions.
    """

    ARGUMENTS = "Arguments"
    RESULTS = "Results"
    DEFINITIONS = "Definitions"


class SelectedContentConfig(ContractDocument):
    """Messages about some names; without any primitive about all names of all three.

    Names match as those of Deny rules do: as exposed and as the server has them, URIs in every reading. Where a message
    does not say whose it is, every rule of the primitive that it could be about applies. Verbs are always absent.

    ``servers`` are names of servers of the proxy, None for all of them.
    """

    tools: SelectionConfig | None = None
    resources: SelectionConfig | None = None
    prompts: SelectionConfig | None = None
    servers: list[str] | None = Field(default=None, min_length=1, max_length=MOST_SERVERS)

    @property
    def is_for_all(self) -> bool:
        """Whether it selects every name of every primitive."""
        return self.tools is None and self.resources is None and self.prompts is None

    def selection(self, primitive: Primitive) -> SelectionConfig | None:
        """Return the selection of a primitive.

        None means none of its names, unless the rule :attr:`is_for_all`.
        """
        return {"tools": self.tools, "resources": self.resources, "prompts": self.prompts}[primitive]
