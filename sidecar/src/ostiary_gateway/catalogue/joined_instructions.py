"""The instructions of several servers as those of one.

Each keeps to what its server says, under a line that names the server and the prefix of its tools: the text itself
speaks of the server's own names.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

#: The bytes of one server's instructions that are kept.
LONGEST: Final = 4096
_CUT: Final = "\n[…]"


class ServerInstructions(NamedTuple):
    """What one server wrote as its instructions, of any type.

    ``name`` and ``prefix`` are those of the spec.
    """

    name: str
    prefix: str
    text: Any


def join(servers: Iterable[ServerInstructions]) -> str | None:
    """Return the instructions of these servers in one text; None where none has any."""
    found = [f"{_heading(each)}\n{_cut(each.text.strip())}" for each in servers if _has_text(each)]
    return "\n\n".join(found) or None


def _has_text(server: ServerInstructions) -> bool:
    return isinstance(server.text, str) and bool(server.text.strip())


def _heading(server: ServerInstructions) -> str:
    if not server.prefix:
        return f"# {server.name}"
    return f"# {server.name} (its tools and prompts have the prefix {server.prefix})"


def _cut(text: str) -> str:
    raw = text.encode("utf-8", "replace")
    if len(raw) <= LONGEST:
        return raw.decode()
    return raw[: LONGEST - len(_CUT.encode())].decode("utf-8", "ignore") + _CUT
