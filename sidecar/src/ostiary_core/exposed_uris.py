"""URIs of resources in one catalogue of several servers.

The server's name stands behind the scheme.

``ui://a`` of the server ``crm`` is ``ui://crm/a``, and ``urn:x`` is ``urn:crm/x``: clients choose by the scheme what to
do with a resource, so it stays. The mark is the server's name, a DNS label in lower case, since URL types write hosts
in lower case. A server without a prefix is unmarked. Templates are marked in the same way, before they are expanded.
"""

import re
from collections.abc import Sequence
from typing import Final

from ostiary_core.exposed_names import Owned

#: A scheme (RFC 3986, section 3.1), and what begins an authority. No scheme matches where an expression of a template
#: fills it.
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)(//)?")
#: The characters of an exposed URI: a request cannot name a longer one (``policy.cost_limits.NAME_LENGTH``, which this
#: module cannot import: the policy judges these URIs).
LONGEST_URI: Final = 4_096


class ExposedURIs:
    """The URIs and templates of a proxy that merges servers.

    ``servers`` are the names of the servers in the order of the spec; ``unmarked`` is the place of the one without a
    prefix, None where each has one.
    """

    __slots__ = ("_marks", "_owners", "_unmarked")

    def __init__(self, servers: Sequence[str], *, unmarked: int | None) -> None:
        self._unmarked = unmarked
        self._marks = tuple(servers)
        self._owners = {name: place for place, name in enumerate(servers) if place != unmarked}

    def owner_of(self, uri: str) -> Owned | None:
        """Return the server that owns an exposed URI or template, and its own form of it.

        It is None for one in no server's space. ``exposed`` returns the same URI for what this returns: no server's
        URI has two exposed spellings.
        """
        match = _SCHEME.match(uri)
        if match is not None:
            mark, slash, rest = uri[match.end() :].partition("/")
            server = self._owners.get(mark) if slash else None
            if server is not None:
                return self._marked(server, match, rest)
        return Owned(self._unmarked, uri) if self._unmarked is not None and uri else None

    def _marked(self, server: int, match: re.Match[str], rest: str) -> Owned | None:
        """Return a marked URI without its mark; None for a spelling that no marked URI has."""
        if match[2] is None and rest.startswith("//"):
            return None  # the mark of this URI stands behind the slashes
        return Owned(server, match[0] + rest)

    def exposed(self, server: int, uri: str) -> str | None:
        """Return the exposed form of a server's own URI or template.

        It is None where it cannot be marked: it has no scheme, or a template's expression fills it. It belongs to the
        server only if :meth:`owner_of` says so, since an unmarked one may be in the space of another.
        """
        if server == self._unmarked:
            return uri
        match = _SCHEME.match(uri)
        return f"{match[0]}{self._marks[server]}/{uri[match.end() :]}" if match is not None else None
