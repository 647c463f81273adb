"""The readings of an exposed name: as exposed, and as its server knows it.

Callers use the exposed name. A server judges its own name, and reads a URI in its own ways. So a Deny rule applies to
either, while an Allow rule names what is exposed: a name of a server, once allowed, would be allowed at every server.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.exposed_names import Owned
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.uri_readings import Readings, read_uri

#: What turns a sample name into a sample URI.
_SCHEMES: Final = ("file:///", "https://", "ui://")
#: Samples of URIs, of which each is parsed in many ways.
_MOST_URIS: Final = 24


def most_readings(names: CatalogueNames | None) -> int:
    """Return the limit for all readings of a name.

    It is a multiple of a name of the greatest length. Most URIs have one reading; where servers are merged, they have
    two forms.
    """
    return 2 if names is None else 4


def readings_of(primitive: Primitive, name: str, names: CatalogueNames | None) -> Readings | None:
    """Return what rules judge of a name: it is None where no server owns the name.

    ``names`` are those of a proxy that merges servers, None at any other.

    Raises:
        AmbiguousURIError: servers' readings cannot be predicted; the message says why.
    """
    is_uri = primitive is Primitive.RESOURCES
    if names is None:
        return read_uri(name) if is_uri else Readings((name,))
    owned = names.owner_of(primitive, name)
    if owned is None:
        return None
    if owned.name == name:
        return read_uri(name) if is_uri else Readings((name,))
    return _of_both_uris(name, owned, names) if is_uri else Readings((name,), (owned.name,))


def _of_both_uris(uri: str, owned: Owned, names: CatalogueNames) -> Readings:
    """Return the readings of an exposed URI and those of its server, which are marked as well."""
    exposed, own = read_uri(uri), read_uri(owned.name)
    looked_up = (*exposed.looked_up, *_exposed(own.looked_up, owned.server, names))
    ends_at = (*exposed.ends_at, *_exposed(own.ends_at, owned.server, names), *own.looked_up, *own.ends_at)
    allowed = tuple(dict.fromkeys(looked_up))
    return Readings(allowed, tuple(each for each in dict.fromkeys(ends_at) if each not in allowed))


def _exposed(uris: Iterable[str], server: int, names: CatalogueNames) -> Iterator[str]:
    marked = (names.uris.exposed(server, uri) for uri in uris)
    return (uri for uri in marked if uri is not None)


def sample_names(
    primitive: Primitive, found: Iterable[str], samples: Iterable[str], names: CatalogueNames
) -> Iterator[tuple[int, str]]:
    """Yield exposed names to try, each after the place of its server.

    First those of ``found`` that a server owns, then ``samples`` as names of each server.
    """
    for name in found:
        owned = names.owner_of(primitive, name)
        if owned is not None:
            yield owned.server, name
    is_uri = primitive is Primitive.RESOURCES
    for sample in islice(samples, _MOST_URIS) if is_uri else samples:
        for own in [scheme + sample for scheme in _SCHEMES] if is_uri else [sample]:
            exposed = ((each, names.exposed(primitive, each, own)) for each in range(len(names.servers)))
            yield from ((each, name) for each, name in exposed if name is not None)
