"""Names of tools and prompts in one catalogue of several servers.

Each is a prefix, and the server's own name behind it.

The prefixes of a proxy are prefix-free: none is the beginning of another, except the empty one, which one server may
have. So a name has one owner before any list was read, and no server can take a name in the space of another.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final, NamedTuple

#: The characters of an exposed tool or prompt name (specification, Tool Names). Longer ones are never shortened: two
#: could become one name.
LONGEST_NAME: Final = 128
#: Names whose owners are remembered: callers send the same ones again and again.
_REMEMBERED: Final = 4096


class Owned(NamedTuple):
    """The owner of an exposed name or URI.

    The server's place in the order of the spec, and its own name for what is named.
    """

    server: int
    name: str


class ExposedNames:
    """The names of tools and prompts of a proxy that merges servers.

    ``prefixes`` are those of the servers in the order of the spec.

    Raises:
        ValueError: one of the prefixes is the beginning of another.
    """

    __slots__ = ("_found", "_lengths", "_owners", "_prefixes", "_unprefixed")

    def __init__(self, prefixes: Sequence[str]) -> None:
        found = overlapping_prefixes(prefixes)
        if found is not None:
            raise ValueError(f"the prefixes {prefixes[found[0]]!r} and {prefixes[found[1]]!r} overlap")
        self._prefixes = tuple(prefixes)
        self._unprefixed = self._prefixes.index("") if "" in self._prefixes else None
        self._owners = {prefix: place for place, prefix in enumerate(self._prefixes) if prefix}
        self._found: dict[str, Owned | None] = {}
        self._lengths = tuple(sorted({len(prefix) for prefix in self._owners}))

    def owner_of(self, name: str) -> Owned | None:
        """Return the server that owns an exposed name, and its own name for it.

        It is None for a name in no server's space, and for a prefix with nothing behind it.
        """
        try:
            return self._found[name]
        except KeyError:
            owned = self._owner_of(name)
        if len(name) <= LONGEST_NAME:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[name] = owned
        return owned

    def _owner_of(self, name: str) -> Owned | None:
        for length in self._lengths:
            server = self._owners.get(name[:length])
            if server is not None:
                return Owned(server, name[length:]) if len(name) > length else None
        return Owned(self._unprefixed, name) if name and self._unprefixed is not None else None

    def exposed(self, server: int, name: str) -> str:
        """Return the exposed form of a server's own name.

        It belongs to the server only if :meth:`owner_of` says so: a server without a prefix may list names in the
        space of another.
        """
        return self._prefixes[server] + name


def overlapping_prefixes(prefixes: Sequence[str]) -> tuple[int, int] | None:
    """Return the places of two prefixes of which one is the beginning of the other.

    They may be equal. It is None where there are none. The empty prefix overlaps only with another empty one.
    """
    for (first, one), (second, other) in combinations(enumerate(prefixes), 2):
        if one == other or (one and other and (one.startswith(other) or other.startswith(one))):
            return first, second
    return None


def could_own(prefix: str, name: str) -> bool:
    """Return whether a server with this prefix could own what a name of a rule matches.

    The name may have ``*`` for any run of characters; behind the prefix there must be something.
    """
    head, star, _ = name.partition("*")
    if star:
        return head.startswith(prefix) or prefix.startswith(head)
    return name.startswith(prefix) and len(name) > len(prefix)
