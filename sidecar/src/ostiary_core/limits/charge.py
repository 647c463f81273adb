"""The units that one request takes of one counter, and the key of the counter.

A key is ``<uid of the policy>/<name of the limit>`` and one value for each dimension that the limit counts apart, each
after a ``/``. Values come from callers: they are escaped, and hashed where they are long.
"""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final, NamedTuple

from ostiary_core.limits.compiled_limit import CompiledLimit, Dimension
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import Principal

#: Characters of a value in a key; a longer one is replaced by its digest.
VALUE_LENGTH: Final = 256
#: Groups of one caller that are charged: those that come first by name.
MOST_GROUPS: Final = 16
#: The values of callers without a group or claim, and of names that no server is known to offer. No escaped value
#: begins like them.
NO_GROUP: Final = "~no group"
NO_CLAIM: Final = "~no claim"
OTHER_NAME: Final = "~other"
_DIGEST: Final = "~sha256:"


class CountedRequest(NamedTuple):
    """One request, as limits see it.

    ``name`` is the name or URI that it is about, empty for a list. ``primitive`` and ``verb`` are None for a request
    that is about none, such as one about a task. ``is_offered`` says that the server is known to offer the name: other
    names share a counter where a limit counts names apart. ``gateway`` is ``namespace/name``. ``call`` is read by
    expressions only, and may be None where no limit has any. ``servers`` are the hosts and ports of the servers that
    it reaches, None where the name says which.
    """

    principal: Principal
    primitive: Primitive | None
    verb: Verb | None
    name: str
    is_offered: bool = False
    gateway: str = ""
    call: Call | None = None
    servers: tuple[str, ...] | None = None


class Charge(NamedTuple):
    """What a request takes of one counter.

    It is ``units`` of the rate or quota, and one request in flight.
    """

    limit: CompiledLimit
    key: str
    units: int

    @property
    def values(self) -> tuple[str, ...]:
        """The values of the limit's dimensions, for people; see :func:`values_of`."""
        return values_of(self.key)


def limit_of(key: str) -> str:
    """Return the part of a key that names its limit: ``<uid of the policy>/<name>``."""
    return "/".join(key.split("/", 2)[:2])


def values_of(key: str) -> tuple[str, ...]:
    """Return the values of the dimensions in a key, in the order of the limit's ``per``."""
    return tuple(each.replace("%2F", "/").replace("%7E", "~").replace("%25", "%") for each in key.split("/")[2:])


def keys_of(limit: CompiledLimit, request: CountedRequest, *, proxy: str, servers: Sequence[str]) -> tuple[str, ...]:
    """Return the keys of the counters that a request takes from.

    There are several where groups are counted apart, or a list is of several servers. ``proxy`` is ``namespace/name``,
    ``servers`` are the hosts and ports of the upstream servers that the request reaches.
    """
    places = {
        Dimension.PROXY: (proxy,),
        Dimension.SERVER: tuple(dict.fromkeys(servers)),
        Dimension.GATEWAY: (request.gateway,),
    }
    values = [
        list(map(_escaped, places[dimension])) if dimension in places else _values(limit, dimension, request)
        for dimension in limit.per
    ]
    return tuple("/".join((limit.uid, limit.name, *each)) for each in product(*values))


def _values(limit: CompiledLimit, dimension: Dimension, request: CountedRequest) -> list[str]:
    principal = request.principal
    if dimension is Dimension.CONSUMER:
        return [_escaped(principal.consumer or principal.id)]
    if dimension is Dimension.GROUP:
        return [_escaped(group) for group in sorted(principal.groups)[:MOST_GROUPS]] or [NO_GROUP]
    if dimension is Dimension.CLAIM:
        return [_claim(principal.claims, limit.claim)]
    if dimension is Dimension.TOOL:
        is_known = request.is_offered or not request.name or request.name in limit.matcher.exact_names
        return [_escaped(request.name) if is_known else OTHER_NAME]
    return [_escaped(principal.id)]


def _claim(claims: Mapping[str, Any], path: tuple[str, ...]) -> str:
    value: Any = claims
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return _escaped(str(value)) if isinstance(value, str | int) else NO_CLAIM


def _escaped(value: str) -> str:
    if len(value) > VALUE_LENGTH or not value.isprintable():
        return _DIGEST + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    return value.replace("%", "%25").replace("/", "%2F").replace("~", "%7E")
