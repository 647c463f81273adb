"""What a client or a server declares of itself, in the other era.

Nothing is added: a peer may only use what was declared. Members of another type than the revisions define are dropped,
since their receiver would refuse every message that holds them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ostiary_core.mcp.meta_keys import TASKS_EXTENSION

#: What a client of either era may declare; ``tasks`` is not bridged.
_OF_CLIENTS: Final = ("roots", "sampling", "elicitation", "experimental")
#: What a server of either era may declare.
_OF_SERVERS: Final = ("completions", "experimental", "logging", "prompts", "resources", "tools")
#: The name of a server that does not tell its own: results of both eras must hold one.
UNNAMED: Final[Mapping[str, Any]] = {"name": "unnamed", "version": "0"}


def client_capabilities(declared: Any) -> dict[str, Any]:
    """Return what a client declares as one of the other era declares it."""
    return _bridged(declared, _OF_CLIENTS) if isinstance(declared, dict) else {}


def server_capabilities(declared: Any) -> dict[str, Any]:
    """Return what a server declares as one of the other era declares it, copied."""
    return _bridged(declared, _OF_SERVERS) if isinstance(declared, dict) else {}


def implementation(info: Any) -> Mapping[str, Any] | None:
    """Return how a client or a server names itself.

    None without the members that both eras require. It is for display only, and never a basis of a decision.
    """
    is_named = isinstance(info, dict) and isinstance(info.get("name"), str) and isinstance(info.get("version"), str)
    return info if is_named else None


def _bridged(declared: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: dict(each) for name in names if isinstance(each := declared.get(name), dict)}
    extensions = declared.get("extensions")
    known = extensions.items() if isinstance(extensions, dict) else ()
    bridged = {name: each for name, each in known if isinstance(each, dict) and name != TASKS_EXTENSION}
    return {**kept, "extensions": bridged} if bridged else kept
