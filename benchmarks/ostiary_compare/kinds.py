"""The kinds of requests that gateways are compared by."""

from dataclasses import dataclass
from typing import Final

from ostiary_compare.mcp_server import STREAMING_TOOL, TOOL


@dataclass(frozen=True, slots=True)
class RequestKind:
    """One kind of request, and what the MCP server answers to it.

    Attributes:
        name: in options and figures.
        has_session: whether each caller opens a session first, as most clients do.
        tool: the tool that is called; None for `tools/list`.
        is_new: whether the list differs with every answer.
        is_main: whether it is measured in all rounds and in an open loop, too.
    """

    name: str
    has_session: bool = True
    tool: str | None = TOOL
    is_new: bool = False
    is_main: bool = False


SESSION: Final = RequestKind("session", is_main=True)
STATELESS: Final = RequestKind("stateless", has_session=False, is_main=True)
STREAMED: Final = RequestKind("streamed", tool=STREAMING_TOOL)
KNOWN_LIST: Final = RequestKind("known-list", tool=None)
NEW_LIST: Final = RequestKind("new-list", tool=None, is_new=True)

#: All kinds, by name, in the order in which they are measured.
KINDS: Final = {each.name: each for each in (SESSION, STATELESS, STREAMED, KNOWN_LIST, NEW_LIST)}
